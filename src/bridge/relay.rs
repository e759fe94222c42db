//! The bridge's relay, for a Compose stack that publishes on this machine's loopback only: a listener at the gateway
//! address that copies connections to the loopback port, as long as the session lives.
//!
//! Invariant: a connection from any address but those of the cluster's nodes is reset before a byte of it
//! is read. devk asks for the nodes' addresses again once they are 2 s old, and refuses every connection while the
//! addresses cannot be read.
//! Invariant: no byte goes to the server before the database that the client asks for is known to be in the map
//! ([`super::startup`]).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::startup::{self, DatabaseMap, StartupAnswer};
use crate::error::{Code, Error, Result};
use crate::relay::copy::copy_bidirectional;

/// How old the nodes' addresses may be. A node that restarts may get another one.
const MAX_ADDRESS_AGE: Duration = Duration::from_secs(2);
/// How long the server, which is on this machine, may take to accept a connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take to say which database it wants, as long as the server gives it (authentication_timeout).
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client may ask for encryption of both kinds before it begins.
const MAX_REQUESTS: usize = 4;
/// So much of what a refused client sends is read and thrown away.
const MAX_REFUSED_BYTES: u64 = 1 << 16;
/// How long the listener rests when the machine is out of file descriptors.
const OUT_OF_FILES_DELAY: Duration = Duration::from_millis(100);
/// A pod that went without a word is noticed after this time and some unanswered probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// The relay's port is the server's and this, as with forwards: always the same, for those who open a
/// firewall for it. On the server's own, Compose could not publish it on every address any more.
const OFFSET: u16 = crate::ports::table::OFFSET;

type Addresses = Box<dyn Fn() -> BoxFuture<'static, Result<BTreeSet<IpAddr>>> + Send + Sync>;

/// Who may connect: the addresses that `ask` returns, at most [`MAX_ADDRESS_AGE`] old.
pub struct Guard {
    ask: Addresses,
    known: Mutex<Option<(Instant, BTreeSet<IpAddr>)>>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub fn new(
        ask: impl Fn() -> BoxFuture<'static, Result<BTreeSet<IpAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            ask: Box::new(ask),
            known: Mutex::new(None),
        }
    }

    async fn admits(&self, peer: IpAddr) -> bool {
        let mut known = self.known.lock().await;
        if let Some((at, addresses)) = known.as_ref()
            && at.elapsed() < MAX_ADDRESS_AGE
        {
            return addresses.contains(&peer);
        }
        let Ok(addresses) = (self.ask)().await else {
            *known = None;
            return false;
        };
        let admitted = addresses.contains(&peer);
        *known = Some((Instant::now(), addresses));
        admitted
    }
}

/// A relay that is being served until it is closed or dropped.
#[derive(Debug)]
pub struct BridgeRelay {
    /// The address that the relay listens on.
    pub address: SocketAddr,
    /// The address that connections are copied to.
    pub to: SocketAddr,
    /// The databases that clients get.
    pub map: Arc<DatabaseMap>,
    task: JoinHandle<()>,
}

impl BridgeRelay {
    /// Listens at the gateway, on the server's port + 10000 if that is free there, else on any.
    ///
    /// # Errors
    /// [`Code::BridgeRelay`] if the address is not this machine's.
    pub async fn open(
        gateway: Ipv4Addr,
        to: SocketAddr,
        map: DatabaseMap,
        guard: Guard,
    ) -> Result<Self> {
        let listener = match TcpListener::bind((gateway, port(to))).await {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                TcpListener::bind((gateway, 0)).await
            }
            bound => bound,
        };
        let failed = |e| not_opened(gateway, &e);
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let map = Arc::new(map);
        let server = Server {
            address: to,
            map: Arc::clone(&map),
            guard,
        };
        let task = tokio::spawn(serve(listener, Arc::new(server)));
        Ok(Self {
            address,
            to,
            map,
            task,
        })
    }

    /// Ends the relay with all its connections; then the port is free.
    pub async fn close(mut self) {
        self.task.abort();
        // The task is gone; the only error is the abort itself.
        let _ = (&mut self.task).await;
    }
}

impl Drop for BridgeRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// 0, which means any, where there is no such port.
fn port(to: SocketAddr) -> u16 {
    to.port().checked_add(OFFSET).unwrap_or_default()
}

fn not_opened(gateway: Ipv4Addr, cause: &std::io::Error) -> Error {
    Error::new(Code::BridgeRelay, format!("the relay cannot listen on {gateway}: {cause}"))
        .hint("publish Compose's port on every address (\"5439:5432\" without an IP), then no relay is needed")
}

/// Where connections go, and which.
struct Server {
    address: SocketAddr,
    map: Arc<DatabaseMap>,
    guard: Guard,
}

async fn serve(listener: TcpListener, server: Arc<Server>) {
    // Dropping the set ends its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => drop(connections.spawn(serve_connection(stream, peer.ip(), Arc::clone(&server)))),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(_) => sleep(OUT_OF_FILES_DELAY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection. Whatever goes wrong, the pod sees a reset, as from a server that is down.
async fn serve_connection(mut inward: TcpStream, peer: IpAddr, server: Arc<Server>) {
    if converse(&mut inward, peer, &server).await.is_err() {
        let _ = inward.set_zero_linger();
    }
}

/// Carries one connection until it ends well, or the client was told why it is refused.
async fn converse(inward: &mut TcpStream, peer: IpAddr, server: &Server) -> std::io::Result<()> {
    if !server.guard.admits(peer).await {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let _ = inward.set_nodelay(true);
    let first = timeout(FIRST_MESSAGE_TIMEOUT, first(inward, &server.map)).await??;
    let First::Forward(first) = first else {
        return Ok(());
    };
    let mut outward = timeout(DIAL_TIMEOUT, TcpStream::connect(server.address)).await??;
    let _ = outward.set_nodelay(true);
    for stream in [&*inward, &outward] {
        let _ = set_socket_keepalive(stream, true)
            .and_then(|()| set_tcp_keepidle(stream, KEEPALIVE_INTERVAL));
    }
    outward.write_all(&first).await?;
    let copied = copy_bidirectional(inward, &mut outward, |_| {}, |_| {}).await;
    if copied.is_err() {
        let _ = outward.set_zero_linger();
    }
    copied.map(drop).map_err(|_| ErrorKind::BrokenPipe.into())
}

/// How a connection begins.
enum First {
    /// These bytes go to the server.
    Forward(Vec<u8>),
    /// The client was told why not.
    Refused,
}

/// Reads messages until one asks for a database, or cancels a query.
async fn first(client: &mut TcpStream, map: &DatabaseMap) -> std::io::Result<First> {
    for _ in 0..MAX_REQUESTS {
        let message = read_message(client).await?;
        match startup::answer(&message, map) {
            Some(StartupAnswer::Unencrypted) => client.write_all(&[startup::NO_ENCRYPTION]).await?,
            Some(StartupAnswer::Forward(bytes)) => return Ok(First::Forward(bytes)),
            Some(StartupAnswer::Refuse(bytes)) => {
                client.write_all(&bytes).await?;
                client.shutdown().await?;
                // A close with unread bytes would be a reset, and the client would not read the reason.
                let _ =
                    tokio::io::copy(&mut client.take(MAX_REFUSED_BYTES), &mut tokio::io::sink())
                        .await;
                return Ok(First::Refused);
            }
            None => break,
        }
    }
    Err(ErrorKind::InvalidData.into())
}

/// One message with its length, of which nothing behind it is read.
async fn read_message(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).await?;
    let bytes = u32::from_be_bytes(length) as usize;
    if !(8..=startup::MAX_MESSAGE_BYTES).contains(&bytes) {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut message = length.to_vec();
    message.resize(bytes, 0);
    client.read_exact(&mut message[4..]).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(answer: Result<Vec<IpAddr>>) -> Guard {
        Guard::new(move || {
            let answer = answer
                .clone()
                .map(|addresses| addresses.into_iter().collect());
            Box::pin(async { answer })
        })
    }

    /// A server that answers with what it hears.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    /// Another address of this machine, so that the port of the server is free there.
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    fn map() -> DatabaseMap {
        [("shop".to_owned(), "shop_k8s".to_owned())]
            .into_iter()
            .collect()
    }

    /// How a client begins, and what the server hears of that.
    fn asks_for(database: &str) -> Vec<u8> {
        startup::message(&[("user", "ann"), ("database", database)])
    }

    async fn open(server: SocketAddr, guard: Guard) -> BridgeRelay {
        BridgeRelay::open(GATEWAY, server, map(), guard)
            .await
            .unwrap()
    }

    fn admitting() -> Guard {
        guard(Ok(vec![[127, 0, 0, 1].into()]))
    }

    /// What an echoing server makes of this text, behind what it hears first.
    async fn says(relay: &BridgeRelay, text: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(relay.address).await?;
        stream.write_all(&asks_for("shop")).await?;
        stream.write_all(text).await?;
        stream.shutdown().await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        let first = asks_for("shop_k8s");
        assert_eq!(answer[..first.len()], first);
        Ok(answer[first.len()..].to_vec())
    }

    /// A pod whose first message the server has heard.
    async fn connected(relay: &BridgeRelay, server: &TcpListener) -> (TcpStream, TcpStream) {
        let mut pod = TcpStream::connect(relay.address).await.unwrap();
        pod.write_all(&asks_for("shop")).await.unwrap();
        let (mut database, _) = server.accept().await.unwrap();
        let mut heard = asks_for("shop_k8s");
        let expected = heard.clone();
        database.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, expected);
        (pod, database)
    }

    #[tokio::test]
    async fn a_node_reaches_the_server_and_composes_port_stays_free() {
        let server = echo().await;
        let relay = open(server, admitting()).await;
        assert_ne!(relay.address.port(), server.port());
        // The last bytes of a side that has closed arrive, too.
        assert_eq!(says(&relay, &[7; 100_000]).await.unwrap(), [7; 100_000]);
    }

    #[tokio::test]
    async fn a_reset_of_either_side_is_a_reset_for_the_other() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap();
        let relay = open(to, admitting()).await;
        for by_pod in [true, false] {
            let (mut pod, mut database) = connected(&relay, &server).await;
            pod.write_all(b"x").await.unwrap();
            assert_eq!(database.read(&mut [0; 1]).await.unwrap(), 1);
            let (breaks, sees) = match by_pod {
                true => (pod, &mut database),
                false => (database, &mut pod),
            };
            breaks.set_zero_linger().unwrap();
            drop(breaks);
            let error = sees.read(&mut [0; 1]).await.unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset,
                "{by_pod}"
            );
        }
    }

    #[tokio::test]
    async fn a_side_that_has_closed_still_hears_what_the_other_has_to_say() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap();
        let relay = open(to, admitting()).await;
        let (mut pod, mut database) = connected(&relay, &server).await;
        database.write_all(b"bye").await.unwrap();
        database.shutdown().await.unwrap();
        let mut heard = vec![];
        pod.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"bye");
        pod.write_all(b"last").await.unwrap();
        pod.shutdown().await.unwrap();
        let mut heard = vec![];
        database.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_replaced_by_another() {
        let server = echo().await;
        let first = open(server, guard(Ok(vec![]))).await;
        let relay = open(server, admitting()).await;
        assert_ne!(relay.address, first.address);
        assert_eq!(says(&relay, b"hello").await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn a_foreign_address_is_reset_and_so_is_everybody_while_the_nodes_are_unknown() {
        let unknown = Err(Error::new(Code::DockerRequest, "gone"));
        for answer in [Ok(vec![[10, 0, 0, 9].into()]), Ok(vec![]), unknown] {
            let relay = open(echo().await, guard(answer)).await;
            let mut stream = TcpStream::connect(relay.address).await.unwrap();
            let error = stream.read(&mut [0; 1]).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_down_resets_and_one_that_is_back_answers() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        drop(server);
        let relay = open(address, admitting()).await;
        assert!(says(&relay, b"x").await.is_err());
        let back = TcpListener::bind(address).await.unwrap();
        connected(&relay, &back).await;
    }

    #[tokio::test]
    async fn a_database_outside_of_the_map_is_refused_in_words_and_the_server_hears_nothing() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = open(server.local_addr().unwrap(), admitting()).await;
        let mut pod = TcpStream::connect(relay.address).await.unwrap();
        // SSLRequest, as psql sends it first.
        pod.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
        assert_eq!(pod.read_u8().await.unwrap(), b'N');
        pod.write_all(&asks_for("demo")).await.unwrap();
        let mut told = vec![];
        pod.read_to_end(&mut told).await.unwrap();
        let told = String::from_utf8_lossy(&told);
        assert!(
            told.starts_with('E') && told.contains("database \"demo\""),
            "{told}"
        );
        let heard = timeout(Duration::from_millis(100), server.accept()).await;
        assert!(heard.is_err(), "nobody has connected");
    }

    #[tokio::test]
    async fn what_is_not_postgres_is_reset() {
        let relay = open(echo().await, admitting()).await;
        let mut pod = TcpStream::connect(relay.address).await.unwrap();
        pod.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let error = pod.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn the_port_is_the_same_every_time_where_there_is_one() {
        assert_eq!(
            ["1.1.1.1:5439", "1.1.1.1:60000"].map(|to| port(to.parse().unwrap())),
            [15439, 0]
        );
    }

    #[tokio::test]
    async fn a_relay_that_is_closed_frees_its_port() {
        let relay = open(echo().await, guard(Ok(vec![]))).await;
        let address = relay.address;
        relay.close().await;
        TcpListener::bind(address).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_that_is_not_this_machines_is_an_error() {
        let error = BridgeRelay::open(
            Ipv4Addr::new(192, 0, 2, 1),
            echo().await,
            map(),
            guard(Ok(vec![])),
        )
        .await
        .unwrap_err();
        assert_eq!(error.code, Code::BridgeRelay);
    }
}
