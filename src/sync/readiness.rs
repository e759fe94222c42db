//! Which pods connections may go to: the pods that have every save that was synced before they started.

use std::sync::Arc;

use tokio::sync::watch;

use super::containers::{Container, Containers};
use super::engine::SyncEngine;

/// The engines of a session; replaced as a whole.
pub type Engines = Vec<Arc<SyncEngine>>;

/// Whether connections may go to a pod; forwards ask before they choose one.
#[derive(Debug, Clone)]
pub struct SyncReadiness {
    engines: watch::Receiver<Engines>,
    containers: watch::Receiver<Containers>,
    progress: watch::Receiver<()>,
}

impl SyncReadiness {
    pub fn new(
        engines: watch::Receiver<Engines>,
        containers: watch::Receiver<Containers>,
        progress: watch::Receiver<()>,
    ) -> Self {
        Self {
            engines,
            containers,
            progress,
        }
    }

    /// Whether every container of the pod has what was synced before it started. A pod whose containers were not
    /// seen yet may lack it.
    pub fn is_synced(&self, namespace: &str, pod: &str) -> bool {
        let engines = self.engines.borrow();
        let mut serving = engines
            .iter()
            .filter(|engine| engine.settings().namespaces.contains(namespace));
        if serving.all(|engine| engine.is_pristine()) {
            return true;
        }
        let containers = self.containers.borrow();
        let mut of_pod = containers
            .iter()
            .filter(|(_, Container { place, .. })| place.namespace == namespace && place.pod == pod)
            .peekable();
        of_pod.peek().is_some()
            && of_pod.all(|(id, container)| {
                let mut serving = engines
                    .iter()
                    .filter(|engine| engine.settings().reference == container.image);
                serving.all(|engine| engine.is_current(id))
            })
    }

    /// Waits until the answers may be others.
    pub async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.engines.changed() => changed,
            changed = self.containers.changed() => changed,
            changed = self.progress.changed() => changed,
        };
        if changed.is_err() {
            // The session is ending.
            std::future::pending::<()>().await;
        }
    }
}
