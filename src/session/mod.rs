//! A running session: what devk holds open and keeps alive after `up` has settled.
//!
//! Invariant: a listener once shown stays until the session ends or the plan drops its forward; the
//! cluster behind it may come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Errors};
use crate::plan::ForwardFact;
use crate::ports::Forward;
use crate::ui::event::Reporter;

pub mod client;
pub mod control;
pub mod endpoints;
#[cfg(test)]
mod fake_api;
pub mod forward;
pub mod numbers;
pub mod status;
pub mod supervisor;
pub mod target;
pub mod tunnel;

use control::Outcome;
use forward::{Forwarder, Listener, Serving};
use numbers::Numbers;
use status::SessionStatus;
use target::{Snapshot, Target};

/// What one supervisor holds.
pub struct Session {
    pub reporter: Reporter,
    clients: watch::Sender<Option<kube::Client>>,
    forwarder: Forwarder,
    cancel: CancellationToken,
    held: BTreeMap<String, Held>,
    /// What is held, for those who ask while an `up` works on the session.
    shown: watch::Sender<Shown>,
    pub outcome: Option<Outcome>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("held", &self.held).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// The forwards that are held and their numbers.
pub type Shown = Vec<(Forward, Arc<Numbers>)>;

/// A forward that is bound and served.
#[derive(Debug)]
struct Held {
    fact: ForwardFact,
    serving: Serving,
}

impl Session {
    pub fn new(reporter: Reporter) -> Self {
        let (clients, watched) = watch::channel(None);
        let cancel = CancellationToken::new();
        let forwarder = Forwarder::new(watched, reporter.clone(), cancel.clone());
        let (held, shown) = (BTreeMap::new(), watch::Sender::default());
        Self { reporter, clients, forwarder, cancel, held, shown, outcome: None }
    }

    /// The host ports that this session listens on.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.held.values().map(|held| held.fact.forward.local).collect()
    }

    /// Holds exactly these forwards: what is held already stays untouched, what is new is bound, all of
    /// it before any of it is served, and what is gone is closed.
    ///
    /// # Errors
    /// A port that cannot be bound; then nothing has changed.
    pub async fn hold(&mut self, facts: &[ForwardFact]) -> Result<(), Errors> {
        let is_held =
            |fact: &&ForwardFact| self.held.get(&fact.forward.name).is_some_and(|held| held.fact.leads_as(fact));
        let (kept, new): (Vec<_>, Vec<_>) = facts.iter().partition(is_held);
        let kept: BTreeSet<_> = kept.iter().map(|fact| fact.forward.name.clone()).collect();
        // A forward that only points elsewhere keeps its port number, so the old listener goes first.
        self.close_others(&kept).await;
        let (mut bound, mut problems): (Vec<(ForwardFact, Listener)>, Vec<Error>) = (vec![], vec![]);
        for fact in new {
            match Listener::bind(&fact.forward).await {
                Ok(listener) => bound.push((fact.clone(), listener)),
                Err(error) => problems.push(error),
            }
        }
        Errors::unless_empty(problems, ())?;
        for (fact, listener) in bound {
            let serving = self.forwarder.serve(listener, target(&fact));
            self.held.insert(fact.forward.name.clone(), Held { fact, serving });
        }
        self.show();
        Ok(())
    }

    async fn close_others(&mut self, kept: &BTreeSet<String>) {
        let gone: Vec<_> = self.held.keys().filter(|name| !kept.contains(*name)).cloned().collect();
        for held in gone.iter().filter_map(|name| self.held.remove(name)).collect::<Vec<_>>() {
            held.serving.task.abort();
            // Its port is free only when the task is gone; that it was aborted is no news.
            let _ = held.serving.task.await;
        }
        self.show();
    }

    fn show(&self) {
        let forward = |held: &Held| (held.fact.forward.clone(), Arc::clone(&held.serving.numbers));
        self.shown.send_replace(self.held.values().map(forward).collect());
    }

    /// What is held as it changes, to be asked without the session.
    pub fn shown(&self) -> watch::Receiver<Shown> {
        self.shown.subscribe()
    }

    /// The cluster that the forwards lead to; None while there is none.
    pub fn lead_to(&self, client: Option<kube::Client>) {
        self.clients.send_replace(client);
    }

    /// The namespace's Ready pods as they change.
    pub fn pods(&mut self, namespace: &str) -> watch::Receiver<Snapshot> {
        self.forwarder.pods(namespace)
    }

    pub fn status(&self) -> SessionStatus {
        SessionStatus { busy: false, outcome: self.outcome.clone(), ..SessionStatus::busy(&self.shown.borrow()) }
    }

    /// Closes every listener and connection.
    pub async fn close(&mut self) {
        self.cancel.cancel();
        for (_, held) in std::mem::take(&mut self.held) {
            let _ = held.serving.task.await;
        }
    }
}

/// What a forward leads to.
pub fn target(fact: &ForwardFact) -> Target {
    Target {
        namespace: fact.forward.namespace.clone(),
        service: fact.forward.service.clone(),
        port_name: fact.port_name.clone(),
    }
}
