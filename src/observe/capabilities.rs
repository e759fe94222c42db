//! What charts may ask of the cluster (`.Capabilities`), read once, and only if a chart asks.

use std::path::PathBuf;

use tokio::sync::{OnceCell, SetOnce};

use crate::cluster::{Access, ManagedCluster};
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

/// What is known of a cluster, by the access to it if it answers.
pub(super) async fn answer(cluster: &ManagedCluster, access: Option<Access>) -> ClusterAnswer {
    match access {
        Some(access) => ClusterAnswer::Access(Box::new(access)),
        // A Docker that does not answer is reported where the plan depends on it.
        None => ClusterAnswer::None {
            kube_version: cluster.version_to_be().await.unwrap_or_default(),
        },
    }
}

/// The cluster, for charts that ask. They are rendered while it is looked at, and wait only if they ask.
#[derive(Debug)]
pub(super) struct ClusterCapabilities {
    /// The cluster's state folder.
    folder: PathBuf,
    cluster: SetOnce<ClusterAnswer>,
    read: OnceCell<Capabilities>,
}

impl ClusterCapabilities {
    pub(super) fn new(project: &Project, paths: &Paths) -> Self {
        Self {
            folder: paths.cluster(&project.cluster.folder()),
            cluster: SetOnce::new(),
            read: OnceCell::new(),
        }
    }

    /// Says what is known of the cluster. Charts that ask wait for it.
    pub(super) fn found(&self, answer: ClusterAnswer) {
        // The first one counts; there is one look at the cluster.
        let _ = self.cluster.set(answer);
    }

    /// # Errors
    /// As [`Capabilities::of_cluster`] and [`Capabilities::load`].
    pub(super) async fn get(&self) -> Result<&Capabilities> {
        self.read.get_or_try_init(|| self.read()).await
    }

    /// How a chart was rendered that the cluster could not be asked for; None if it was asked.
    pub(super) fn without_cluster(&self) -> Option<String> {
        if let Some(ClusterAnswer::Access(_)) = self.cluster.get() {
            return None;
        }
        let version = self
            .read
            .get()
            .and_then(|read| read.kube_version.as_deref());
        let version = version.unwrap_or("helm's default version");
        Some(format!(
            "rendered without the cluster, which does not run: for Kubernetes {version}, with the API versions of \
             Kubernetes itself and those that this release and the ones before it bring"
        ))
    }

    async fn read(&self) -> Result<Capabilities> {
        let kube_version = match self.cluster.wait().await {
            ClusterAnswer::Access(access) => {
                let found = Capabilities::of_cluster(&access.client).await?;
                found.save(&self.folder)?;
                return Ok(found);
            }
            ClusterAnswer::None { kube_version } => kube_version.clone(),
        };
        let kept = Capabilities::load(&self.folder)?;
        Ok(kept.unwrap_or(Capabilities {
            kube_version,
            ..Capabilities::default()
        }))
    }
}
