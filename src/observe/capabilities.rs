//! What charts may ask of the cluster (`.Capabilities`), read once, and only if a chart asks.

use std::path::PathBuf;

use tokio::sync::{OnceCell, SetOnce};

use crate::cluster::{Access, ManagedCluster, State};
use crate::config::Project;
use crate::error::Result;
use crate::paths::Paths;
use crate::release::capabilities::Capabilities;

/// What is known of the cluster when the charts are rendered.
#[derive(Debug)]
pub(super) enum ClusterAnswer {
    Access(Box<Access>),
    /// It does not answer, or is not there yet. The version is that of the nodes that devk would make.
    None {
        kube_version: Option<String>,
    },
}

impl ClusterAnswer {
    /// By the access to a cluster, if it answers.
    pub(super) async fn of(cluster: &ManagedCluster, access: Option<Access>) -> Self {
        match access {
            Some(access) => Self::Access(Box::new(access)),
            // A Docker that does not answer is reported where the plan depends on it.
            None => Self::None {
                kube_version: cluster.version_to_be().await.unwrap_or_default(),
            },
        }
    }
}

/// Who says what is known of the cluster.
#[derive(Debug)]
enum Source {
    /// Nobody: what the cluster had when devk last asked has to do.
    Kept,
    /// The cluster itself, when a chart asks.
    Cluster(ManagedCluster),
    /// A look at the cluster that is under way.
    Look(SetOnce<ClusterAnswer>),
}

/// The capabilities of the project's cluster, for charts that ask.
#[derive(Debug)]
pub(super) struct ClusterCapabilities {
    /// The cluster's state folder.
    folder: PathBuf,
    source: Source,
    /// The answer, and whether the cluster itself gave it.
    read: OnceCell<(Capabilities, bool)>,
}

impl ClusterCapabilities {
    /// Those that the cluster had when devk last asked.
    pub(super) fn kept(project: &Project, paths: &Paths) -> Self {
        Self {
            folder: paths.cluster(&project.cluster.folder()),
            source: Source::Kept,
            read: OnceCell::new(),
        }
    }

    /// Those of the cluster as it is when a chart asks.
    pub(super) fn of_cluster(project: &Project, paths: &Paths, cluster: ManagedCluster) -> Self {
        Self {
            source: Source::Cluster(cluster),
            ..Self::kept(project, paths)
        }
    }

    /// Those of a cluster that is being looked at: charts that ask wait for [`Self::found`].
    pub(super) fn of_look(project: &Project, paths: &Paths) -> Self {
        Self {
            source: Source::Look(SetOnce::new()),
            ..Self::kept(project, paths)
        }
    }

    /// Ends the waiting for a look at the cluster.
    pub(super) fn found(&self, answer: ClusterAnswer) {
        if let Source::Look(look) = &self.source {
            // There is one look.
            let _ = look.set(answer);
        }
    }

    /// # Errors
    /// As [`Capabilities::of_cluster`] and [`Capabilities::load`].
    pub(super) async fn get(&self) -> Result<&Capabilities> {
        let read = self.read.get_or_try_init(|| self.read()).await?;
        Ok(&read.0)
    }

    /// How a chart was rendered that the cluster could not be asked for; None if it was asked.
    pub(super) fn without_cluster(&self) -> Option<String> {
        let (known, is_asked) = self.read.get()?;
        let version = known.kube_version.as_deref();
        let version = version.unwrap_or("helm's default version");
        (!is_asked).then(|| {
            format!(
                "rendered without the cluster, which does not run: for Kubernetes {version}, with the API versions of \
                 Kubernetes itself and those that this release and the ones before it bring"
            )
        })
    }

    async fn read(&self) -> Result<(Capabilities, bool)> {
        let kube_version = match &self.source {
            Source::Kept => None,
            Source::Look(look) => match look.wait().await {
                ClusterAnswer::Access(access) => return self.ask(access).await,
                ClusterAnswer::None { kube_version } => kube_version.clone(),
            },
            Source::Cluster(cluster) => match look(cluster).await {
                ClusterAnswer::Access(access) => return self.ask(&access).await,
                ClusterAnswer::None { kube_version } => kube_version,
            },
        };
        let kept = Capabilities::load(&self.folder)?;
        let known = kept.unwrap_or(Capabilities {
            kube_version,
            ..Capabilities::default()
        });
        Ok((known, false))
    }

    async fn ask(&self, access: &Access) -> Result<(Capabilities, bool)> {
        let found = Capabilities::of_cluster(&access.client).await?;
        found.save(&self.folder)?;
        Ok((found, true))
    }
}

/// Whether the cluster answers. Why it does not is told by who needs it.
async fn look(cluster: &ManagedCluster) -> ClusterAnswer {
    let access = match cluster.state().await {
        Ok(State::Running(nodes)) => cluster.pinned(&nodes).await.ok().flatten(),
        _ => None,
    };
    ClusterAnswer::of(cluster, access).await
}
