//! What the facts of a chart come from: a release as `devk up` renders it, the cluster that the release is on.

use crate::cluster::{Access, ManagedCluster, State};
use crate::config::{ClusterConfig, Project, Provider, ReleaseConfig};
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

/// A release as `devk up` renders it, with stand-ins for ports and image tags. A release that does not render keeps none
/// of the others from it.
pub(super) async fn drafted(
    project: &Project,
    release: &ReleaseConfig,
    paths: &Paths,
    helm: &Helm,
    environment: &Environment,
) -> Result<DraftedRelease, Errors> {
    let all = observe::drafts(project, None, None, paths, environment).await?;
    let releases = match all.releases {
        Ok(releases) => releases,
        Err(_) => {
            let alone = Project {
                releases: vec![release.clone()],
                ..project.clone()
            };
            let alone = observe::drafts(&alone, None, None, paths, environment).await?;
            alone.releases?
        }
    };
    let capabilities = capabilities(project, &releases, paths, helm).await?;
    let found = releases
        .into_iter()
        .find(|found| found.prepared.name == release.name);
    let message = || format!("the release `{}` was not rendered", release.name);
    let release = found.ok_or_else(|| Error::new(Code::Internal, message()))?;
    Ok(DraftedRelease {
        release,
        capabilities,
    })
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
