//! A running session: what devk holds open and keeps alive after `up` has settled.
//!
//! Invariant: a listener once shown stays until the session ends or the plan drops its forward; the
//! cluster behind it may come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio::sync::{Mutex, OnceCell, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bridge::relay::{BridgeRelay, Guard};
use crate::bridge::startup::DatabaseMap;
use crate::cluster::Access;
use crate::compose::{Compose, Stack};
use crate::config::{Project, Source};
use crate::environment::Environment;
use crate::error::{Errors, Result};
use crate::image::Loader;
use crate::inputs::Inputs;
use crate::observe::{BuiltImage, Own};
use crate::paths::Paths;
use crate::plan::ForwardFact;
use crate::program::Build;
use crate::ui::{self, event::Reporter};

pub mod behind;
pub mod change;
pub mod endpoints;
#[cfg(test)]
mod fake_api;
pub mod forward;
pub mod listener;
mod mounts;
pub mod outcome;
pub mod relay;
mod relay_program;
pub mod settle;
pub mod stats;
pub mod status;
pub mod sync;
pub mod target;
pub mod tunnel;
pub mod uncompared;
pub mod upstream;
pub mod view;

use change::{Change, Teller, concern};
use forward::{Forwarder, Serving};
use listener::Listener;
use outcome::Outcome;
use relay::Site;
use sync::Syncing;
use target::{Snapshot, Target};
use view::{Purpose, SessionView, Working};

/// How long a session that ends waits for what is unfinished.
const LAST_WORK_TIMEOUT: Duration = Duration::from_secs(1);

/// What one supervisor holds. One loop owns it (`controller.rs`), and nothing else changes it.
pub struct Session {
    pub reporter: Reporter,
    clients: watch::Sender<Option<kube::Client>>,
    sites: watch::Sender<Option<Site>>,
    forwarder: Forwarder,
    cancel: CancellationToken,
    /// In the order of the table.
    held: Vec<Held>,
    /// To Compose's database, where it is published on loopback alone.
    relay: Mutex<Option<BridgeRelay>>,
    pub syncing: Syncing,
    /// The images that were looked at last, except those that have to be looked at again.
    pub images: Vec<BuiltImage>,
    inputs: Inputs,
    changed: mpsc::UnboundedSender<PathBuf>,
    /// The view that readers compute the status from.
    view: watch::Sender<SessionView>,
    loader: OnceCell<Arc<Loader>>,
    /// The warming of the layer cache, in the background.
    warming: JoinSet<()>,
    /// Work of the last `up` that has to end before the next `up` looks at anything.
    unfinished: JoinSet<()>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("held", &self.held)
            .field("outcome", &self.view.borrow().outcome)
            .finish_non_exhaustive()
    }
}

/// A forward that is bound and served.
#[derive(Debug)]
struct Held {
    fact: ForwardFact,
    serving: Serving,
}

impl Session {
    /// `teller` hears of the changes that sync cannot serve.
    pub fn new(reporter: Reporter, teller: Teller) -> Self {
        let (clients, watched) = watch::channel(None);
        let cancel = CancellationToken::new();
        let sites = watch::Sender::default();
        let syncing = Syncing::new(
            watched.clone(),
            teller.rebuilds,
            reporter.clone(),
            cancel.clone(),
        );
        let forwarder = Forwarder::new(
            watched,
            sites.subscribe(),
            syncing.readiness(),
            reporter.clone(),
            cancel.clone(),
        );
        let inputs = Inputs::default();
        let view = watch::Sender::new(SessionView {
            // OccupiedPorts at the start: the program's file may be replaced.
            build: Build::own(),
            root: None,
            outcome: None,
            forwards: vec![],
            at_work: None,
            relay: forwarder.relay(),
            engines: syncing.engines(),
            progress: syncing.progress(),
            containers: syncing.containers(),
            pods: syncing.pods(),
            clients: clients.subscribe(),
            inputs: inputs.looks(),
        });
        Self {
            reporter,
            clients,
            sites,
            forwarder,
            cancel,
            held: vec![],
            relay: Mutex::default(),
            syncing,
            images: vec![],
            inputs,
            changed: teller.inputs,
            view,
            loader: OnceCell::new(),
            warming: JoinSet::new(),
            unfinished: JoinSet::new(),
        }
    }

    /// What this session has that the next look at everything takes as it is.
    pub fn own(&self) -> Own {
        Own {
            ports: self.ports(),
            images: self.images.clone(),
        }
    }

    /// From now on the images that the changes concern count as unknown; None: all of them.
    pub fn look_anew(&mut self, changes: Option<&BTreeSet<Change>>) {
        self.images
            .retain(|image| changes.is_some_and(|changes| !concern(changes, &image.config)));
        self.syncing.tell_all();
    }

    /// The host ports that this session listens on.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.held
            .iter()
            .map(|held| held.fact.forward.local)
            .collect()
    }

    /// Holds exactly these forwards: what is held already stays untouched, what is new is bound, all of
    /// it before any of it is served, and what is gone is closed. A port that only leads elsewhere from now on
    /// stays bound.
    ///
    /// # Errors
    /// A port that cannot be bound; then nothing has changed. Nor has anything if the future is dropped before that
    /// is known; after that all is as it is to be, and the ports of what is gone are free soon.
    pub async fn hold(&mut self, facts: &[ForwardFact]) -> Result<(), Errors> {
        let own = self.ports();
        let unheld: Vec<_> = facts
            .iter()
            .filter(|fact| !own.contains(&fact.forward.local))
            .collect();
        let bound = listener::bind_all(&unheld).await?;
        let gone = self.switch(facts, bound);
        self.show_forwards();
        futures::future::join_all(gone.into_iter().map(|held| held.serving.ended())).await;
        Ok(())
    }

    /// Serves exactly these forwards, at listeners that are held or have just been bound. The answer is what ends.
    fn switch(&mut self, facts: &[ForwardFact], bound: Vec<(u16, Listener)>) -> Vec<Held> {
        let is_kept = |held: &Held| facts.iter().any(|fact| held.fact.leads_as(fact));
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(is_kept);
        self.held = kept;
        gone.iter().for_each(|held| held.serving.stop());
        let mut listeners: BTreeMap<_, _> = gone
            .iter()
            .map(|held| (held.fact.forward.local, held.serving.listener.clone()))
            .collect();
        listeners.extend(
            bound
                .into_iter()
                .map(|(port, listener)| (port, Arc::new(listener))),
        );
        for fact in facts {
            // What is kept is not among them.
            let Some(listener) = listeners.remove(&fact.forward.local) else {
                continue;
            };
            let serving = self
                .forwarder
                .serve(&fact.forward.name, listener, target(fact));
            self.held.push(Held {
                fact: fact.clone(),
                serving,
            });
        }
        self.held
            .sort_by_key(|held| facts.iter().position(|fact| held.fact.leads_as(fact)));
        gone
    }

    /// Keeps the outcome of the last `up`.
    pub fn record_outcome(&mut self, outcome: Outcome) {
        self.view.send_modify(|view| view.outcome = Some(outcome));
    }

    /// Shows a reconcile as being at work, for as long as the answer lives.
    pub fn begin(&self, purpose: Purpose) -> Working {
        Working::begin(self.view.clone(), purpose)
    }

    /// Reads the project and its Compose files. Their watch begins before, so every later change is reported.
    ///
    /// # Errors
    /// As [`crate::config::load`].
    pub async fn read(
        &mut self,
        source: &Source,
        paths: &Paths,
        environment: &Environment,
    ) -> Result<(Project, Stack), Errors> {
        self.inputs
            .read(source, paths, environment, &self.changed)
            .await
    }

    /// Watches the files that the plan was made from, and reports their changes.
    ///
    /// # Errors
    /// [`crate::error::Code::SyncWatch`].
    pub async fn follow_inputs(
        &mut self,
        project: &Project,
        compose: Option<&Compose>,
    ) -> Result<()> {
        self.inputs.follow(project, compose, &self.changed).await
    }

    /// What brings images to the nodes.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub async fn loader(&self, docker: &Docker, cache: &Path) -> Result<&Loader> {
        let loader = self
            .loader
            .get_or_try_init(|| async { Loader::new(docker, cache).await.map(Arc::new) });
        loader.await.map(Arc::as_ref)
    }

    /// Adds the layers of loaded images to the layer cache, in the background: Docker may compress for half a minute.
    pub fn warm_layer_cache(&mut self) {
        let Some(loader) = self.loader.get().cloned() else {
            return;
        };
        while self.warming.try_join_next().is_some() {}
        self.warming.spawn(async move {
            // Nothing but speed is lost; the log says why.
            if let Err(error) = loader.warm_cache().await {
                ui::log(format_args!("warming the layer cache: {error}"));
            }
        });
    }

    /// Does what an `up` need not wait for; the next one does.
    pub fn finish_later(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.unfinished.spawn(work);
    }

    /// Waits for what an earlier `up` left to be done.
    pub async fn finished(&mut self) {
        while self.unfinished.join_next().await.is_some() {}
    }

    /// What the session shows of itself, for any number of readers.
    pub fn view(&self) -> watch::Receiver<SessionView> {
        self.view.subscribe()
    }

    /// The cluster that the forwards lead to.
    pub fn lead_to(&self, docker: &Docker, access: &Access) {
        self.clients.send_replace(Some(access.client.clone()));
        let node = access.nodes.iter().find(|node| node.control_plane);
        let site = node.map(|node| Site {
            docker: docker.clone(),
            node: node.id.clone(),
        });
        // A relay that serves stays: a second `up` must not cost its connections.
        self.sites.send_if_modified(|now| {
            let is_new = now.as_ref().map(|now| &now.node) != site.as_ref().map(|site| &site.node);
            if is_new {
                *now = site;
            }
            is_new
        });
    }

    /// The namespace's Ready pods as they change.
    pub fn pods(&mut self, namespace: &str) -> watch::Receiver<Snapshot> {
        self.forwarder.pods(namespace)
    }

    /// Holds the relay from the gateway to a server of this machine, and tells where it listens. One that
    /// leads there already, to the same databases, stays untouched.
    ///
    /// # Errors
    /// [`crate::error::Code::BridgeRelay`].
    pub async fn relay(
        &self,
        gateway: Ipv4Addr,
        to: SocketAddr,
        map: DatabaseMap,
        guard: impl FnOnce() -> Guard,
    ) -> Result<SocketAddr> {
        let mut held = self.relay.lock().await;
        if let Some(relay) = held.take() {
            if relay.address.ip() == gateway && relay.to == to && *relay.map == map {
                return Ok(held.insert(relay).address);
            }
            relay.close().await;
        }
        Ok(held
            .insert(BridgeRelay::open(gateway, to, map, guard()).await?)
            .address)
    }

    /// Ends the relay, if there is one.
    pub async fn no_relay(&self) {
        if let Some(relay) = self.relay.lock().await.take() {
            relay.close().await;
        }
    }

    fn show_forwards(&self) {
        let shown = |held: &Held| (held.fact.forward.clone(), held.serving.counters.clone());
        let forwards = self.held.iter().map(shown).collect();
        self.view.send_modify(|view| view.forwards = forwards);
    }

    /// Closes every listener and connection.
    pub async fn close(&mut self) {
        self.cancel.cancel();
        self.no_relay().await;
        self.warming.shutdown().await;
        // After `up --once` there is no next time.
        let _ = tokio::time::timeout(LAST_WORK_TIMEOUT, self.finished()).await;
        self.unfinished.shutdown().await;
        for held in std::mem::take(&mut self.held) {
            held.serving.ended().await;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::ports::Forward;

    fn fact(name: &str, local: u16) -> ForwardFact {
        let forward = Forward {
            name: name.into(),
            namespace: "shop".into(),
            service: name.into(),
            remote: 80,
            local,
            url: String::new(),
            moved: None,
        };
        ForwardFact {
            forward,
            port_name: String::new(),
            release: "shop".into(),
        }
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    #[tokio::test]
    async fn a_port_that_cannot_be_bound_costs_no_forward_that_is_held() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().port();
        let mut session = Session::new(Reporter::default(), change::channel().0);
        let api = fact("api", free_port());
        session.hold(std::slice::from_ref(&api)).await.unwrap();
        session.hold(&[fact("web", taken)]).await.unwrap_err();
        session
            .hold(&[fact("web", api.forward.local), fact("other", taken)])
            .await
            .unwrap_err();
        assert_eq!(session.ports(), [api.forward.local].into());
        assert_eq!(session.status().forwards[0].forward.service, "api");
        assert!(std::net::TcpStream::connect(("127.0.0.1", api.forward.local)).is_ok());
        session.close().await;
    }

    #[tokio::test]
    async fn a_connection_that_comes_while_its_port_changes_hands_is_taken() {
        let mut session = Session::new(Reporter::default(), change::channel().0);
        let port = free_port();
        session.hold(&[fact("api", port)]).await.unwrap();
        // No task runs before this one waits: nobody has taken it yet.
        let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        session.hold(&[fact("web", port)]).await.unwrap();
        let taken = async {
            while session.status().forwards[0].stats.open == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), taken)
            .await
            .unwrap();
        session.close().await;
    }

    #[tokio::test]
    async fn forwards_that_are_gone_are_closed_even_if_nobody_waits_for_it() {
        let mut session = Session::new(Reporter::default(), change::channel().0);
        let ports = [free_port(), free_port(), free_port()];
        session
            .hold(&ports.map(|port| fact(&port.to_string(), port)))
            .await
            .unwrap();
        assert!(
            session.hold(&[]).now_or_never().is_none(),
            "it waits for the first of them"
        );
        assert!(session.ports().is_empty());
        let closed = async {
            while ports
                .iter()
                .any(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok())
            {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), closed)
            .await
            .unwrap();
        session.close().await;
    }

    #[tokio::test]
    async fn a_port_that_leads_elsewhere_stays_and_is_told() {
        let mut session = Session::new(Reporter::default(), change::channel().0);
        let view = session.view();
        let port = free_port();
        session.hold(&[fact("api", port)]).await.unwrap();
        session.hold(&[fact("web", port)]).await.unwrap();
        assert_eq!(view.borrow().status().forwards[0].forward.service, "web");
        session.close().await;
    }

    #[tokio::test]
    async fn a_look_at_the_inputs_tells_every_save_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let chart = dir.path().join("Chart.yaml");
        let text = "apiVersion: v2\nname: shop\nversion: 0.1.0\n";
        std::fs::write(&chart, text).unwrap();
        let releases = "releases: [{name: shop, chart: .}]\n";
        std::fs::write(dir.path().join("devk.yaml"), releases).unwrap();
        let source = Source {
            dir: dir.path().to_owned(),
            file: None,
            profile: None,
        };
        let paths = Paths::below(&dir.path().join("devk"));
        let (teller, mut changes) = change::channel();
        let mut session = Session::new(Reporter::default(), teller);
        let environment = Environment::default();
        let _ = session.read(&source, &paths, &environment).await.unwrap();
        let inputs = session.view().borrow().inputs.clone();
        for save in 1..20 {
            std::fs::write(&chart, format!("{text}{}", " ".repeat(save))).unwrap();
            inputs.look().await;
            let mut told = BTreeSet::new();
            changes.take_told(&mut told);
            assert_eq!(told.len(), 1, "save {save}");
        }
    }
}
