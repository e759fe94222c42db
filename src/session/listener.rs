//! The listener of a forward.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::error::{Code, Error, Errors, Result};
use crate::limits;
use crate::plan::ForwardFact;
use crate::ports::{Forward, listeners};

/// How long a listener rests when the machine is out of file descriptors.
const OUT_OF_FILES_DELAY: Duration = Duration::from_millis(100);

/// The bound host port of a forward. Dropping it frees the port.
#[derive(Debug)]
pub struct Listener {
    pub(super) v4: TcpListener,
    /// None on a host without IPv6.
    pub(super) v6: Option<TcpListener>,
}

/// Listeners for all of these forwards, by their ports.
///
/// # Errors
/// Every reason why one of the addresses cannot be bound.
pub(super) async fn bind_all(facts: &[&ForwardFact]) -> Result<Vec<(u16, Listener)>, Errors> {
    let mut bound = vec![];
    let mut problems = vec![];
    for fact in facts {
        match Listener::bind(&fact.forward).await {
            Ok(listener) => bound.push((fact.forward.local, listener)),
            Err(error) => problems.push(error),
        }
    }
    Errors::unless_empty(problems, bound)
}

impl Listener {
    /// Binds 127.0.0.1 and, where the host has IPv6, ::1: both or none.
    ///
    /// # Errors
    /// [`Code::PortHeld`] naming the holder, or what the system says.
    pub async fn bind(forward: &Forward) -> Result<Self> {
        // On BSDs the binds below would succeed beside another process's wildcard listener.
        if listeners::held(forward.local) {
            return Err(held(forward).await);
        }
        let v4 = match bind(Ipv4Addr::LOCALHOST.into(), forward).await? {
            Some(listener) => listener,
            None => return Err(not_bound(forward, "this machine has no 127.0.0.1")),
        };
        let v6 = bind(Ipv6Addr::LOCALHOST.into(), forward).await?;
        Ok(Self { v4, v6 })
    }

    /// The next connection, whatever the system says in between.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            let accepted = tokio::select! {
                accepted = self.v4.accept() => accepted,
                accepted = accept_v6(self.v6.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, _)) => return stream,
                // A client that is gone already is no reason for a delay; too many open files are.
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => sleep(OUT_OF_FILES_DELAY).await,
            }
        }
    }
}

async fn accept_v6(
    listener: Option<&TcpListener>,
) -> std::io::Result<(TcpStream, std::net::SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// None if the host does not have the address.
async fn bind(address: IpAddr, forward: &Forward) -> Result<Option<TcpListener>> {
    let bound = TcpListener::bind((address, forward.local)).await;
    match bound.and_then(|listener| limits::raise_backlog(&listener).map(|()| listener)) {
        Ok(listener) => Ok(Some(listener)),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Err(held(forward).await),
        Err(e) if lacks_address(&e) => Ok(None),
        Err(e) => Err(not_bound(forward, &e.to_string())),
    }
}

/// The interface has no such address, or the kernel was started without the protocol.
fn lacks_address(error: &std::io::Error) -> bool {
    let unsupported = Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT);
    unsupported || error.kind() == ErrorKind::AddrNotAvailable
}

async fn held(forward: &Forward) -> Error {
    not_bound(
        forward,
        &format!("held by {}", listeners::holder(forward.local).await),
    )
}

fn not_bound(forward: &Forward, cause: &str) -> Error {
    let text = format!(
        "port {} of forward `{}` cannot be opened: {cause}",
        forward.local, forward.name
    );
    Error::new(Code::PortHeld, text).hint("devk doctor")
}
