//! What the facts of a chart come from: a release as `devk up` renders it, the cluster that the release is on.

use crate::cluster::{Access, ManagedCluster, State};
use crate::config::{ClusterConfig, Project, Provider};
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::observe::{self, PreparedRelease};
use crate::paths::Paths;
use crate::release::capabilities::{self, Capabilities};
use crate::release::helm::Helm;

/// The namespace of a chart that belongs to no project.
pub(super) const NAMESPACE: &str = "chart-check";

/// A release, and what its chart is rendered with.
#[derive(Debug)]
pub(super) struct DraftedRelease {
    pub(super) release: PreparedRelease,
    pub(super) capabilities: Capabilities,
}

/// The releases of a project as `devk up` renders them, and what their charts find in the cluster.
#[derive(Debug)]
pub(super) struct DraftedProject {
    releases: Vec<PreparedRelease>,
    capabilities: Capabilities,
}

impl DraftedProject {
    /// With stand-ins for ports and image tags.
    ///
    /// # Errors
    /// What keeps any of the releases from being rendered.
    pub(super) async fn of(
        project: &Project,
        paths: &Paths,
        helm: &Helm,
        environment: &Environment,
    ) -> Result<Self, Errors> {
        let drafts = observe::drafts(project, None, None, paths, environment).await?;
        let releases = drafts.releases?;
        let capabilities = capabilities(project, &releases, paths, helm).await?;
        Ok(Self {
            releases,
            capabilities,
        })
    }

    /// One of its releases.
    ///
    /// # Errors
    /// [`Code::Internal`] if there is none of that name.
    pub(super) fn release(&self, name: &str) -> Result<DraftedRelease, Error> {
        let mut releases = self.releases.iter();
        let found = releases.find(|found| found.prepared.name == name);
        let message = || format!("the release `{name}` was not rendered");
        let release = found.ok_or_else(|| Error::new(Code::Internal, message()))?;
        Ok(DraftedRelease {
            release: release.clone(),
            capabilities: self.capabilities.clone(),
        })
    }
}

/// What a chart finds in the cluster, as devk last saw it, and what the project's releases bring.
async fn capabilities(
    project: &Project,
    releases: &[PreparedRelease],
    paths: &Paths,
    helm: &Helm,
) -> Result<Capabilities, Error> {
    let cluster = paths.cluster(&project.cluster.folder());
    let mut known = Capabilities::load(&cluster)?.unwrap_or_default();
    for release in releases {
        known
            .api_versions
            .extend(capabilities::defined(&release.rendered));
        let brought = capabilities::brought_by(&release.prepared.chart, helm, &paths.cache);
        known.api_versions.extend(brought.await?);
    }
    Ok(known)
}

/// The cluster that devk has pinned for a project, if it runs.
pub(super) async fn access(
    project: &Project,
    paths: &Paths,
    environment: &Environment,
) -> Result<Access, String> {
    let engine = docker::connect(environment).await.map_err(|e| e.message)?;
    let cluster = ManagedCluster::of(&engine, &project.cluster, paths);
    let name = &project.cluster.name;
    let nodes = match cluster.state().await.map_err(|e| e.message)? {
        State::Running(nodes) => nodes,
        other => return Err(format!("the cluster `{name}` is {}", other.word())),
    };
    let pinned = cluster.pinned(&nodes).await.map_err(|e| e.message)?;
    pinned.ok_or_else(|| format!("the cluster `{name}` is not devk's yet"))
}

/// A project for a chart that belongs to none.
pub(super) fn nobodys(folder: &std::path::Path) -> Project {
    Project::without_file(
        NAMESPACE,
        folder,
        ClusterConfig::new(Provider::Kind, "devk"),
    )
}
