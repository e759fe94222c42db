//! Keeps a relay running in a node for as long as the session lives: one Docker exec starts the program, out of the
//! folder that the node shares with this machine, else out of its standard input, and devk starts it again when it ends.
//! While no relay runs, connections go over the API server.
//!
//! Invariant: nothing of the relay stays in the node but the program in the shared folder, which goes with the cluster.
//! A program that came through the standard input is unlinked before it runs. The relay ends when its standard input
//! ends, which even a kill -9 of this process closes.
//!
//! Connections through the relay end with the relay: the relay ends with its node, and the pods of a killed node may
//! not have sent their FIN.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::MountPoint;
use bollard::query_parameters::InspectContainerOptions;
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::relay_program;
use crate::again::{Pauses, restart_on_change};
use crate::docker::{Attached, Exec};
use crate::error::chain;
use crate::relay::{self, Address, Orders, Token, handover};

/// Reads N bytes of program from standard input and executes them. The program reads the rest of the input.
const BECOME: &str = r#"f=/usr/local/.devk-relay.$$; trap 'rm -f "$f"' EXIT
head -c "$0" >"$f" && chmod 700 "$f" && exec 3<"$f" && rm "$f" && exec /proc/self/fd/3 relay"#;

/// Executes the program in a file, by the same name.
const BECOME_FILE: &str = r#"exec 3<"$0" && exec /proc/self/fd/3 relay"#;

/// How long a relay may take to start; most of the time copies the program, if the node has it not yet.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the relay may take over one connection before the API server is asked instead.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Pauses before a relay that ended is started again.
const FIRST_RESTART_DELAY: Duration = Duration::from_millis(500);
const MAX_RESTART_DELAY: Duration = Duration::from_secs(30);

/// Where a relay is to run.
#[derive(Debug, Clone)]
pub struct Site {
    pub docker: Docker,
    /// The id of a node's container.
    pub node: String,
}

/// A relay that answered.
#[derive(Debug, Clone)]
pub struct Relay {
    address: Address,
    token: Token,
    /// Cancelled when the relay is gone, and its connections with it.
    pub gone: CancellationToken,
}

impl Relay {
    #[cfg(test)]
    pub(super) fn at(address: SocketAddr, token: Token) -> Self {
        Self {
            address: Address::Network(address),
            token,
            gone: CancellationToken::new(),
        }
    }

    /// Opens a way to an address in the cluster. `Err` with a text is the other side's refusal; None says nothing about
    /// the other side: the relay failed, or could not look at the loopback of a pod of another node.
    pub async fn dial(&self, to: SocketAddr) -> Option<Result<tokio::net::TcpStream, String>> {
        match timeout(DIAL_TIMEOUT, relay::connect(&self.address, &self.token, to)).await {
            Ok(Ok(stream)) => Some(Ok(stream)),
            Ok(Err(e))
                if e.get_ref().is_some() && e.kind() == std::io::ErrorKind::ConnectionRefused =>
            {
                Some(Err(e.to_string()))
            }
            _ => None,
        }
    }
}

/// The relay of the moment, or why there is none.
pub type RelayState = Result<Relay, String>;

/// Keeps a relay wherever `sites` says, until `cancel`.
pub fn keep_running(
    sites: watch::Receiver<Option<Site>>,
    cancel: CancellationToken,
) -> watch::Receiver<RelayState> {
    let (states, state) = watch::channel(Err("not started yet".to_owned()));
    restart_on_change(sites, cancel, move |site| keep_at(site, states.clone()));
    state
}

async fn keep_at(site: Option<Site>, states: watch::Sender<RelayState>) {
    let Some(site) = site else {
        return std::future::pending().await;
    };
    let mut pauses = Pauses::new(FIRST_RESTART_DELAY, MAX_RESTART_DELAY);
    loop {
        let began = Instant::now();
        let why = match timeout(START_TIMEOUT, Running::start(&site)).await {
            Ok(Ok(running)) => running.report(&states).await,
            Ok(Err(why)) => why,
            Err(_) => format!("it did not start within {} s", START_TIMEOUT.as_secs()),
        };
        drop(states.send_replace(Err(why)));
        if began.elapsed() > MAX_RESTART_DELAY {
            pauses.reset();
        }
        pauses.rest().await;
    }
}

/// A relay's process. Dropping it ends the relay.
struct Running {
    attached: Attached,
    relay: Relay,
}

impl Running {
    async fn start(site: &Site) -> Result<Self, String> {
        let at = NodeAddress::of(site).await?;
        if let Some(folder) = &at.folder
            && let Ok(name) = relay_program::place(folder).await
        {
            let file = format!("{}/{name}", handover::FOLDER);
            let become_it = Exec::new(&site.node, ["sh", "-c", BECOME_FILE, &file]);
            // The node may not see the folder, or run nothing that is in it.
            if let Ok(running) = Self::by(site, &at, &become_it, tokio::io::empty()).await {
                return Ok(running);
            }
        }
        let (program, size) = program()
            .await
            .map_err(|e| format!("cannot read devk's own program: {e}"))?;
        let become_it = Exec::new(&site.node, ["sh", "-c", BECOME, &size.to_string()]);
        Self::by(site, &at, &become_it, program).await
    }

    /// Runs a command in the node that reads `program`, if it is that, and then is a relay.
    async fn by(
        site: &Site,
        at: &NodeAddress,
        command: &Exec,
        program: impl AsyncRead + Unpin,
    ) -> Result<Self, String> {
        let NodeAddress { listen, folder } = at;
        let token = Token::random().map_err(|e| e.to_string())?;
        let mut attached = command
            .attach(&site.docker)
            .await
            .map_err(|e| e.to_string())?;
        let orders = Orders {
            token,
            listen: *listen,
        };
        // A shell that fails reads no further input: its output is the cause, not the broken pipe.
        let sent = send(program, &orders, &mut attached.stdin).await;
        let port = port(&mut attached).await.map_err(|words| match &sent {
            Err(e) if words.is_empty() => e.to_string(),
            _ => words,
        })?;
        let network = SocketAddr::new(*listen, port);
        let shared = folder
            .as_ref()
            .map(|folder| Address::Shared(handover::socket(folder, port)));
        for address in shared.into_iter().chain([Address::Network(network)]) {
            let relay = Relay {
                address,
                token,
                gone: CancellationToken::new(),
            };
            // The relay dials itself, to test both directions.
            if let Some(Ok(_)) = relay.dial(network).await {
                return Ok(Self { attached, relay });
            }
        }
        Err(format!("{network} cannot be reached from this machine"))
    }

    /// Publishes the relay until it is gone, and returns the reason. The socket goes with [`Running`].
    async fn report(mut self, states: &watch::Sender<RelayState>) -> String {
        let _gone = self.relay.gone.clone().drop_guard();
        drop(states.send_replace(Ok(self.relay.clone())));
        let words = last_words(&mut self.attached).await;
        if words.is_empty() {
            "it ended".to_owned()
        } else {
            words
        }
    }
}

impl Drop for Running {
    /// A relay that was killed, or that does not see the folder any more, leaves its socket file.
    fn drop(&mut self) {
        if let Address::Shared(socket) = &self.relay.address {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Where a node can be met.
struct NodeAddress {
    /// The node's address on its Docker network.
    listen: IpAddr,
    /// The folder that the node shares with this machine, if the Engine runs here, which devk does not know.
    folder: Option<PathBuf>,
}

impl NodeAddress {
    async fn of(site: &Site) -> Result<Self, String> {
        let inspected = site
            .docker
            .inspect_container(&site.node, None::<InspectContainerOptions>)
            .await;
        let inspected = inspected.map_err(|e| chain(&e))?;
        let networks = inspected
            .network_settings
            .and_then(|settings| settings.networks);
        let mut addresses = networks
            .into_iter()
            .flatten()
            .filter_map(|(_, network)| network.ip_address?.parse().ok());
        let shared = |mount: &MountPoint| mount.destination.as_deref() == Some(handover::FOLDER);
        let folder = inspected
            .mounts
            .into_iter()
            .flatten()
            .find(shared)
            .and_then(|mount| mount.source);
        let listen = addresses
            .next()
            .ok_or_else(|| "the node has no address".to_owned())?;
        Ok(Self {
            listen,
            folder: folder.map(PathBuf::from),
        })
    }
}

/// The running program and its size.
async fn program() -> std::io::Result<(tokio::fs::File, u64)> {
    let file = tokio::fs::File::open(crate::program::program()?).await?;
    let size = file.metadata().await?.len();
    Ok((file, size))
}

async fn send(
    mut program: impl AsyncRead + Unpin,
    orders: &Orders,
    stdin: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    tokio::io::copy_buf(
        &mut tokio::io::BufReader::with_capacity(256 * 1024, &mut program),
        stdin,
    )
    .await?;
    stdin.write_all(&orders.encode()).await?;
    stdin.flush().await
}

/// The first two bytes on the relay's standard output, or its error output.
async fn port(attached: &mut Attached) -> Result<u16, String> {
    let mut bytes = Vec::new();
    let mut words = String::new();
    while let Some(Ok(chunk)) = attached.output.next().await {
        match chunk {
            LogOutput::StdErr { message } => words.push_str(&String::from_utf8_lossy(&message)),
            other => bytes.extend_from_slice(&other.into_bytes()),
        }
        if let [high, low, ..] = bytes[..] {
            return Ok(u16::from_be_bytes([high, low]));
        }
    }
    Err(words.trim().to_owned())
}

async fn last_words(attached: &mut Attached) -> String {
    let mut words = String::new();
    while let Some(Ok(chunk)) = attached.output.next().await {
        words = String::from_utf8_lossy(&chunk.into_bytes())
            .trim()
            .to_owned();
    }
    words
}
