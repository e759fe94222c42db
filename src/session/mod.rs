//! A running session: what devk holds open and keeps alive after `up` has settled.
//!
//! Invariant: a listener once shown stays until the session ends or the plan drops its forward; the
//! cluster behind it may come and go.

use std::collections::BTreeSet;
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
    /// In the order of the table.
    held: Vec<Held>,
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
        Self { reporter, clients, forwarder, cancel, held: vec![], shown: watch::Sender::default(), outcome: None }
    }

    /// The host ports that this session listens on.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.held.iter().map(|held| held.fact.forward.local).collect()
    }

    /// Holds exactly these forwards: what is held already stays untouched, what is gone is closed, and
    /// what is new is bound, all of it before any of it is served.
    ///
    /// # Errors
    /// Every port that cannot be bound; then nothing new is held.
    pub async fn hold(&mut self, facts: &[ForwardFact]) -> Result<(), Errors> {
        // A forward that only leads elsewhere keeps its port number, so its old listener goes first.
        self.close_all_but(facts).await;
        let (mut bound, mut problems): (Vec<(&ForwardFact, Listener)>, Vec<Error>) = (vec![], vec![]);
        for fact in facts.iter().filter(|fact| !self.held.iter().any(|held| held.fact.leads_as(fact))) {
            match Listener::bind(&fact.forward).await {
                Ok(listener) => bound.push((fact, listener)),
                Err(error) => problems.push(error),
            }
        }
        Errors::unless_empty(problems, ())?;
        for (fact, listener) in bound {
            let serving = self.forwarder.serve(listener, target(fact));
            self.held.push(Held { fact: fact.clone(), serving });
        }
        self.held.sort_by_key(|held| facts.iter().position(|fact| held.fact.leads_as(fact)));
        self.show();
        Ok(())
    }

    async fn close_all_but(&mut self, facts: &[ForwardFact]) {
        let is_kept = |held: &Held| facts.iter().any(|fact| held.fact.leads_as(fact));
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().partition(is_kept);
        self.held = kept;
        for held in gone {
            held.serving.task.abort();
            // Its port is free only when the task is gone; that it was aborted is no news.
            let _ = held.serving.task.await;
        }
        self.show();
    }

    fn show(&self) {
        let forward = |held: &Held| (held.fact.forward.clone(), Arc::clone(&held.serving.numbers));
        self.shown.send_replace(self.held.iter().map(forward).collect());
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
        for held in std::mem::take(&mut self.held) {
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
