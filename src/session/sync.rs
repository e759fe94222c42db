//! The session's engines: one for every image that devk builds, and for the image before it as long as
//! containers run that.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::observe::{BuiltImage, PreparedRelease};
use crate::release::pods::{self, Settings as Stores, list};
use crate::sync::containers::{self, Containers};
use crate::sync::engine::{Engine, Rebuild, Settings, Surroundings};
use crate::sync::gate::{Engines, Gate};
use crate::sync::rules::{Rules, Usage};
use crate::sync::status::SyncStatus;
use crate::sync::verify::Difference;

/// Keeps the containers of a session current.
#[derive(Debug)]
pub struct Syncing {
    engines: watch::Sender<Engines>,
    containers: watch::Sender<Containers>,
    around: Surroundings,
    cancel: CancellationToken,
    /// The containers are being watched.
    watching: bool,
}

impl Syncing {
    pub fn new(
        clients: watch::Receiver<Option<Client>>,
        rebuilds: mpsc::UnboundedSender<Rebuild>,
        cancel: CancellationToken,
    ) -> Self {
        let containers = watch::Sender::default();
        let progress = watch::Sender::default();
        let around = Surroundings { clients, containers: containers.subscribe(), rebuilds, progress };
        Self { engines: watch::Sender::default(), containers, around, cancel, watching: false }
    }

    pub fn gate(&self) -> Gate {
        Gate::new(self.engines.subscribe(), self.containers.subscribe(), self.around.progress.subscribe())
    }

    /// The engines as they come and go.
    pub fn engines(&self) -> watch::Receiver<Engines> {
        self.engines.subscribe()
    }

    /// Follows these images from now on. An engine whose image is as before goes on with its journal. The answer
    /// is what is followed, and what cannot be.
    pub async fn follow(
        &mut self,
        namespace: &str,
        images: &[BuiltImage],
        releases: &[PreparedRelease],
    ) -> Vec<(String, Result<()>)> {
        if !std::mem::replace(&mut self.watching, true) {
            let (clients, sender) = (self.around.clients.clone(), self.containers.clone());
            containers::watch(namespace, clients, sender, self.cancel.clone());
        }
        let (mut now, mut answers) = (Engines::new(), vec![]);
        for image in images {
            let engine = self.engine(namespace, image, releases).await;
            answers.push((image.target.name.clone(), engine.map(|engine| now.push(engine))));
        }
        let before = self.engines.borrow().clone();
        let superseded: Vec<_> =
            before.into_iter().filter(|old| !now.iter().any(|new| Arc::ptr_eq(old, new))).collect();
        superseded.iter().for_each(|engine| engine.retire(true));
        now.extend(superseded.into_iter().filter(|engine| self.is_run(&engine.settings().reference)));
        self.engines.send_replace(now);
        answers
    }

    async fn engine(&self, namespace: &str, image: &BuiltImage, releases: &[PreparedRelease]) -> Result<Arc<Engine>> {
        let reference = image.target.reference();
        let rules = Rules::read(&image.config, &image.args, &usage(&reference, releases, namespace))?;
        let (name, context) = (image.target.name.clone(), image.config.context.clone());
        let settings = Settings { image: name, namespace: namespace.to_owned(), reference, context, rules };
        let known = self.engines.borrow().iter().find(|engine| *engine.settings() == settings).cloned();
        if let Some(engine) = known {
            engine.retire(false);
            return Ok(engine);
        }
        Engine::start(settings, image.seen.clone(), self.around.clone()).await.map(Arc::new)
    }

    fn is_run(&self, reference: &str) -> bool {
        self.containers.borrow().values().any(|container| container.image == reference)
    }

    /// What compares, whoever has the session meanwhile.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            clients: self.around.clients.clone(),
            engines: self.engines.subscribe(),
            containers: self.containers.subscribe(),
        }
    }
}

/// Compares what was synced with what is in the containers.
#[derive(Clone)]
pub struct Verifier {
    clients: watch::Receiver<Option<Client>>,
    engines: watch::Receiver<Engines>,
    containers: watch::Receiver<Containers>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("containers", &self.containers).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Compares all of it as it is now.
    ///
    /// # Errors
    /// [`crate::error::Code::ClusterUnreachable`] while the cluster is away.
    pub async fn verify(&self) -> Result<Vec<Difference>> {
        let Some(client) = self.clients.borrow().clone() else {
            return Err(Error::new(crate::error::Code::ClusterUnreachable, "the cluster is away").hint("devk up"));
        };
        let (engines, containers) = (self.engines.borrow().clone(), self.containers.borrow().clone());
        let verified = engines.iter().map(|engine| engine.verify(&client, &containers));
        Ok(futures::future::join_all(verified).await.concat())
    }
}

/// What `devk status` tells of engines: those of earlier images only while containers run them.
pub fn status(engines: &Engines) -> Vec<SyncStatus> {
    engines.iter().filter(|engine| !engine.is_over()).map(|engine| engine.status()).collect()
}

/// How the charts run an image. The first container that does counts.
fn usage(reference: &str, releases: &[PreparedRelease], namespace: &str) -> Usage {
    for release in releases {
        let stores = Stores::of(&release.rendered, namespace);
        for pod in pods::pods(&release.rendered) {
            let Some(container) = pod.containers().find(|container| container["image"] == reference) else { continue };
            let words = |key: &str| list(&container[key]).filter_map(Value::as_str).map(str::to_owned).collect();
            let (mut command, args): (Vec<String>, Vec<String>) = (words("command"), words("args"));
            command.extend(args);
            return Usage { command, environment: stores.environment(container, namespace) };
        }
    }
    Usage { command: vec![], environment: BTreeMap::new() }
}
