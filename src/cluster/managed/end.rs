//! Stops a cluster, or removes it with what its provider and devk have of it.

use super::{ClusterLock, ManagedCluster};
use crate::cluster::{End, creation, pin};
use crate::error::Result;
use crate::paths::remove_dir;

impl ManagedCluster {
    /// Stops the cluster. The data stays.
    ///
    /// # Errors
    /// As [`Cluster::end`].
    pub async fn stop(&self, _lock: &ClusterLock) -> Result<()> {
        self.cluster.end(End::Stop).await
    }

    /// Removes the cluster, its state, and the provider's network if devk created it and nothing else uses it.
    ///
    /// # Errors
    /// As [`Cluster::end`]; [`Code::StateIo`].
    pub async fn delete(&self, lock: &ClusterLock) -> Result<()> {
        self.cluster.end(End::Delete).await?;
        self.forget(lock).await
    }

    /// Removes what is left of a cluster whose nodes are gone: what its provider has of it, if devk made it, then as
    /// [`Self::forget`].
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub async fn delete_remains(&self, lock: &ClusterLock) -> Result<()> {
        let is_made = pin::load(&self.dir)
            .ok()
            .flatten()
            .is_some_and(|pin| pin.created);
        if is_made || creation::load(&self.dir).is_some() {
            self.cluster.end(End::Delete).await?;
        }
        self.forget(lock).await
    }

    /// Removes what is left of a cluster that is gone: its state, and the network as in [`Self::delete`].
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn forget(&self, _lock: &ClusterLock) -> Result<()> {
        // A damaged pin does not prevent the removal of its cluster.
        let pinned = pin::load(&self.dir)
            .ok()
            .flatten()
            .is_some_and(|pin| pin.network_created);
        if pinned || creation::load(&self.dir).is_some_and(|creation| creation.network_created) {
            self.remove_network().await;
        }
        remove_dir(&self.dir)
    }
}
