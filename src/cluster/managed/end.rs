//! Stops a cluster, or removes it with what its provider and devk have of it.

use super::{ClusterLock, ManagedCluster};
use crate::cluster::pin::{self, Pin};
use crate::cluster::{End, creation};
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
        if self.is_noted(|pin| pin.created) || creation::load(&self.dir).is_some() {
            self.cluster.end(End::Delete).await?;
        }
        self.forget(lock).await
    }

    /// Removes what is left of a cluster that is gone: its state, and the network as in [`Self::delete`].
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn forget(&self, _lock: &ClusterLock) -> Result<()> {
        let is_begun =
            || creation::load(&self.dir).is_some_and(|creation| creation.network_created);
        if self.is_noted(|pin| pin.network_created) || is_begun() {
            self.remove_network().await;
        }
        remove_dir(&self.dir)
    }

    /// Removes the folder of a cluster on which devk has never worked: only the lock is in it.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn forget_untouched(&self, _lock: &ClusterLock) -> Result<()> {
        let has_pin = !matches!(pin::load(&self.dir), Ok(None));
        match has_pin || creation::load(&self.dir).is_some() {
            true => Ok(()),
            false => remove_dir(&self.dir),
        }
    }

    /// What the pin says. A damaged one does not prevent the removal of its cluster.
    fn is_noted(&self, what: impl Fn(&Pin) -> bool) -> bool {
        pin::load(&self.dir).is_ok_and(|pin| pin.as_ref().is_some_and(what))
    }
}
