//! A forward: listeners that stay for the whole session, and for each connection the newest Ready pod.
//! There is no session with a pod to keep alive: a replaced pod, a restarted cluster or a dead API
//! server costs the connections that were open, never the forward.
//!
//! Invariant: a connection never ends well that lost bytes; it is reset instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::behind;
use super::endpoints;
use super::listener::Listener;
use super::relay::{self, Site};
use super::stats::ForwardCounters;
use super::target::{Endpoint, Snapshot, Target, choose};
use super::tunnel::{ConnectionEnd, SentBytes};
use super::upstream::Upstream;
use crate::error::{Code, Error, Result};
use crate::sync::readiness::SyncReadiness;
use crate::ui::event::Reporter;

/// How long a connection waits for a client of the cluster and a Ready pod.
pub const READY_POD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection into a pod may take to open.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections of one forward may be opening at once: all connections that waited for a pod open at the same
/// moment, and the accept queue of a server is short (listen(2): 128 for many).
const MAX_OPENING: usize = 64;
/// Pauses before the attempts after the first: a server that its reloader restarts refuses
/// connections for about a second while its pod stays Ready.
const DIAL_DELAYS: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
];
/// How long a client may take to close after the pod has closed. If devk closed first while the client sends, the
/// client would get a reset, which discards data that the client has not read yet.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// All forwards of a session. The forwards share one watch a namespace, and the current Kubernetes client.
pub struct Forwarder {
    clients: watch::Receiver<Option<Client>>,
    relay: watch::Receiver<relay::RelayState>,
    readiness: SyncReadiness,
    reporter: Reporter,
    cancel: CancellationToken,
    namespaces: BTreeMap<String, watch::Receiver<Snapshot>>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder")
            .field("namespaces", &self.namespaces.keys())
            .finish_non_exhaustive()
    }
}

/// A forward that is being served, until the session's token is cancelled. Dropping the value ends the forward soon.
#[derive(Debug)]
pub struct Serving {
    pub counters: Arc<ForwardCounters>,
    /// Another forward may take the listener over.
    pub listener: Arc<Listener>,
    task: AbortOnDropHandle<()>,
}

impl Serving {
    /// Stops accepting connections, and ends the open ones.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Waits until the forward has been stopped, or the token cancelled. Then its port is free, unless another forward
    /// took the listener over.
    pub async fn ended(self) {
        // The only error is the abort itself.
        let _ = self.task.await;
    }
}

impl Forwarder {
    /// `clients` holds None while the cluster does not answer. A new client restarts the watches; connections
    /// wait for both.
    pub fn new(
        clients: watch::Receiver<Option<Client>>,
        sites: watch::Receiver<Option<Site>>,
        readiness: SyncReadiness,
        reporter: Reporter,
        cancel: CancellationToken,
    ) -> Self {
        let relay = relay::keep_running(sites, cancel.clone());
        Self {
            clients,
            relay,
            readiness,
            reporter,
            cancel,
            namespaces: BTreeMap::new(),
        }
    }

    /// The relay that connections take, or why they go over the API server, as it changes.
    pub fn relay(&self) -> watch::Receiver<relay::RelayState> {
        self.relay.clone()
    }

    /// Serves connections as the forward `name` until the token is cancelled; then the port is free and all
    /// connections end.
    pub fn serve(&mut self, name: &str, listener: Arc<Listener>, target: Target) -> Serving {
        let pods = self.pods(&target.namespace);
        let counters = Arc::new(ForwardCounters::default());
        let route = Route {
            name: name.to_owned(),
            target,
            clients: self.clients.clone(),
            relay: self.relay.clone(),
            pods,
            readiness: self.readiness.clone(),
            counters: Arc::clone(&counters),
            reporter: self.reporter.clone(),
            patience: READY_POD_TIMEOUT,
            opening: Semaphore::new(MAX_OPENING),
        };
        let task = tokio::spawn(serve(
            listener.clone(),
            Arc::new(route),
            self.cancel.clone(),
        ));
        Serving {
            counters,
            listener,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// The namespace's snapshots, watched from the first call on.
    pub fn pods(&mut self, namespace: &str) -> watch::Receiver<Snapshot> {
        let start = || endpoints::watch(namespace, self.clients.clone(), self.cancel.clone());
        self.namespaces
            .entry(namespace.to_owned())
            .or_insert_with(start)
            .clone()
    }
}

async fn serve(listener: Arc<Listener>, route: Arc<Route>, cancel: CancellationToken) {
    // Dropping the set ends its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => drop(connections.spawn(Arc::clone(&route).connection(stream))),
            Some(_) = connections.join_next() => {}
            () = cancel.cancelled() => return,
        }
    }
}

/// All that a connection needs to reach its pod.
struct Route {
    name: String,
    target: Target,
    clients: watch::Receiver<Option<Client>>,
    relay: watch::Receiver<relay::RelayState>,
    pods: watch::Receiver<Snapshot>,
    readiness: SyncReadiness,
    counters: Arc<ForwardCounters>,
    reporter: Reporter,
    patience: Duration,
    opening: Semaphore,
}

/// Why an attempt failed, and whether another attempt may succeed without sending anything twice.
struct DialFailure {
    error: Error,
    again: bool,
}

impl Route {
    async fn connection(self: Arc<Self>, mut local: TcpStream) {
        let _open = self.counters.opened();
        // Delaying small packets would only cost time: the client is on this machine.
        let _ = local.set_nodelay(true);
        match self.connect(&mut local).await {
            Ok(()) => self.counters.succeeded(),
            Err(error) => {
                // A reset, as the client would see it from the server itself.
                let _ = local.set_zero_linger();
                self.report(error);
            }
        }
    }

    async fn connect(&self, local: &mut TcpStream) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        let mut sent = SentBytes::default();
        let mut tried = BTreeSet::new();
        let mut pauses = DIAL_DELAYS.iter();
        loop {
            let Err(failure) = self.attempt(local, &mut sent, &mut tried, deadline).await else {
                return Ok(());
            };
            let Some(pause) = pauses.next().filter(|_| failure.again) else {
                return Err(failure.error);
            };
            sleep(*pause).await;
        }
    }

    async fn attempt(
        &self,
        local: &mut TcpStream,
        sent: &mut SentBytes,
        tried: &mut BTreeSet<String>,
        deadline: Instant,
    ) -> Result<(), DialFailure> {
        let (upstream, endpoint) = self.open(tried, deadline).await?;
        match upstream.copy(local, sent, &self.counters).await {
            ConnectionEnd::Finished => {
                close(local).await;
                Ok(())
            }
            ConnectionEnd::Abandoned => Ok(()),
            ConnectionEnd::Failed(text) => Err(DialFailure {
                error: self.broken(&endpoint, &text),
                again: sent.may_repeat(&text),
            }),
        }
    }

    /// A connection into a Ready pod. Connections of one forward open at most [`MAX_OPENING`] at once.
    async fn open(
        &self,
        tried: &mut BTreeSet<String>,
        deadline: Instant,
    ) -> Result<(Upstream, Endpoint), DialFailure> {
        let in_turn = async {
            let turn = self.opening.acquire().await;
            (turn, self.ready(tried).await)
        };
        let waited = timeout_at(deadline, in_turn).await;
        let Ok((_turn, (client, endpoint))) = waited else {
            return Err(DialFailure {
                error: self.nowhere().await,
                again: false,
            });
        };
        tried.insert(endpoint.pod.clone());
        let opened = timeout(
            DIAL_TIMEOUT,
            Upstream::open(&self.relay, &client, &self.target.namespace, &endpoint),
        )
        .await;
        let opened = opened
            .unwrap_or_else(|_| Err(format!("no answer within {} s", DIAL_TIMEOUT.as_secs())));
        let upstream = opened.map_err(|text| DialFailure {
            error: self.broken(&endpoint, &text),
            again: true,
        })?;
        Ok((upstream, endpoint))
    }

    /// A client and a Ready pod that is synced, as soon as there are both.
    async fn ready(&self, tried: &BTreeSet<String>) -> (Client, Endpoint) {
        let mut clients = self.clients.clone();
        let mut pods = self.pods.clone();
        let mut readiness = self.readiness.clone();
        loop {
            let is_synced = |pod: &str| self.readiness.is_synced(&self.target.namespace, pod);
            let endpoint = choose(&pods.borrow_and_update(), &self.target, tried, is_synced);
            let client = clients.borrow_and_update().clone();
            if let (Some(client), Some(endpoint)) = (client, endpoint) {
                return (client, endpoint);
            }
            let changed = tokio::select! {
                changed = clients.changed() => changed,
                changed = pods.changed() => changed,
                () = readiness.changed() => Ok(()),
            };
            if changed.is_err() {
                // The session is ending, and will end this connection.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn nowhere(&self) -> Error {
        let Target {
            namespace, service, ..
        } = &self.target;
        let waited = self.patience.as_secs();
        let none = match choose(&self.pods.borrow(), &self.target, &BTreeSet::new(), |_| {
            true
        }) {
            Some(Endpoint { pod, .. }) => {
                format!("no pod but `{pod}`, which lacks files that were synced before it started,")
            }
            None => "no Ready pod".to_owned(),
        };
        let text =
            format!("{none} behind Service `{service}` in namespace `{namespace}` for {waited} s");
        let trouble = self.pods.borrow().trouble.clone();
        let client = self.clients.borrow().clone();
        let why = match (trouble, client) {
            (Some(trouble), _) => Some(trouble),
            (None, None) => Some("the cluster does not answer".to_owned()),
            (None, Some(client)) => behind::look(&client, &self.target).await.why(),
        };
        Error::new(Code::ForwardNoPod, text)
            .evidence(why.unwrap_or_default())
            .hint("devk status")
    }

    fn broken(&self, endpoint: &Endpoint, cause: &str) -> Error {
        let Endpoint { pod, port, .. } = endpoint;
        Error::new(
            Code::ForwardBroken,
            format!("no connection to port {port} of pod `{pod}`"),
        )
        .evidence(cause)
        .hint(format!("devk logs {}", self.target.service))
    }

    /// One event for consecutive equal failures: a page that polls would fill the log.
    fn report(&self, error: Error) {
        if self.counters.failed(&error.to_string()) {
            self.reporter
                .start(format!("forward.connect/{}", self.name), "")
                .failed(error);
        }
    }
}

/// Tells the client that nothing more comes, and waits for it to close.
async fn close(local: &mut TcpStream) {
    if local.shutdown().await.is_ok() {
        let mut rest = [0; 4096];
        let drain = async { while local.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
        let _ = timeout(CLOSE_TIMEOUT, drain).await;
    }
}

#[cfg(test)]
mod tests;
