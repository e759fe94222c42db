//! The relay: devk itself, running inside a node, where pods are one hop away. The session reaches it on
//! the node's own address, or by a socket in a folder that both see, and so gets native sockets into pods:
//! real half-close, real resets, and no API server between.
//!
//! A connection begins with a [`Hello`]: the session's token and where to dial. The relay answers with
//! [`CONNECTED`], or with [`REFUSED`] or [`ELSEWHERE`], two bytes of length (big-endian) and a text. Then bytes flow
//! through the relay as they are; or the socket into the pod came with the answer, and the relay is out of the path
//! ([`handover`]). A caller without the token gets no answer.
//!
//! A pod that refuses on its address may listen on its loopback only: the relay dials that, too, before it answers
//! [`REFUSED`]. [`ELSEWHERE`] says that the relay could not, since the pod runs on another node.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

pub mod copy;
pub mod handover;
// Namespaces are Linux's, and so is every node.
#[cfg(target_os = "linux")]
mod loopback;
pub mod node;

#[cfg(test)]
mod tests;

const CONNECTED: u8 = 0;
const REFUSED: u8 = 1;
/// Refused on the pod's address, and the pod's loopback is out of the relay's reach.
const ELSEWHERE: u8 = 2;

/// A refusal is one line of text.
const MAX_REFUSAL_BYTES: usize = 1024;

/// What proves that a connection comes from the session that started the relay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| Error::other(e.to_string()))?;
        Ok(Self(bytes))
    }

    /// Compares all of it whatever differs, so that the time taken tells nothing.
    fn is(&self, other: &[u8; 32]) -> bool {
        self.0
            .iter()
            .zip(other)
            .fold(0, |differing, (a, b)| differing | (a ^ b))
            == 0
    }
}

/// What the session sends first on the relay's standard input: who may come, and where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    pub token: Token,
    /// An address of the node.
    pub listen: IpAddr,
}

impl Orders {
    const LENGTH: usize = 48;

    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..32].copy_from_slice(&self.token.0);
        bytes[32..].copy_from_slice(&sixteen(self.listen));
        bytes
    }

    async fn read(input: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let mut token = [0; 32];
        let mut address = [0; 16];
        input.read_exact(&mut token).await?;
        input.read_exact(&mut address).await?;
        Ok(Self {
            token: Token(token),
            listen: Ipv6Addr::from(address).to_canonical(),
        })
    }
}

/// Where a relay is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Network(SocketAddr),
    /// A socket in a folder that this machine shares with the node.
    Shared(PathBuf),
}

/// Opens a way through `relay` to `to`.
///
/// # Errors
/// [`ErrorKind::ConnectionRefused`] with the relay's words if `to` cannot be reached; [`ErrorKind::NotFound`] if another
/// way may reach it; anything else is the relay's own failure.
pub async fn connect(relay: &Address, token: &Token, to: SocketAddr) -> Result<TcpStream> {
    let hello = Hello { token: token.0, to }.encode();
    match relay {
        Address::Network(address) => {
            let mut stream = TcpStream::connect(address).await?;
            tune(&stream)?;
            stream.write_all(&hello).await?;
            let answer = stream.read_u8().await?;
            connected(answer, &mut stream).await?;
            Ok(stream)
        }
        Address::Shared(path) => {
            let mut stream = UnixStream::connect(path).await?;
            stream.write_all(&hello).await?;
            let (answer, way) = handover::take(&stream).await?;
            connected(answer, &mut stream).await?;
            way.ok_or_else(|| Error::new(ErrorKind::InvalidData, "the relay gave no socket"))
        }
    }
}

async fn connected(answer: u8, stream: &mut (impl AsyncRead + Unpin)) -> Result<()> {
    match answer {
        CONNECTED => Ok(()),
        REFUSED => Err(Error::new(
            ErrorKind::ConnectionRefused,
            refusal(stream).await?,
        )),
        ELSEWHERE => Err(Error::new(ErrorKind::NotFound, refusal(stream).await?)),
        other => Err(Error::new(
            ErrorKind::InvalidData,
            format!("the relay answered {other}"),
        )),
    }
}

/// Who asks, and for what.
struct Hello {
    token: [u8; 32],
    to: SocketAddr,
}

impl Hello {
    fn encode(&self) -> [u8; 50] {
        let mut bytes = [0; 50];
        bytes[..32].copy_from_slice(&self.token);
        bytes[32..48].copy_from_slice(&sixteen(self.to.ip()));
        bytes[48..].copy_from_slice(&self.to.port().to_be_bytes());
        bytes
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let mut token = [0; 32];
        let mut address = [0; 16];
        stream.read_exact(&mut token).await?;
        stream.read_exact(&mut address).await?;
        let port = stream.read_u16().await?;
        Ok(Self {
            token,
            to: (Ipv6Addr::from(address).to_canonical(), port).into(),
        })
    }
}

/// Why the relay opens no way.
struct Refusal {
    /// [`REFUSED`] or [`ELSEWHERE`].
    answer: u8,
    text: String,
}

async fn refuse(
    stream: &mut (impl AsyncWrite + Unpin),
    Refusal { answer, text }: &Refusal,
) -> Result<()> {
    let text = &text.as_bytes()[..text.len().min(MAX_REFUSAL_BYTES)];
    let length = u16::try_from(text.len()).unwrap_or_default();
    let answer = [&[*answer], &length.to_be_bytes()[..], text].concat();
    stream.write_all(&answer).await
}

async fn refusal(stream: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let length = usize::from(stream.read_u16().await?).min(MAX_REFUSAL_BYTES);
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// IPv4 addresses in their IPv6 form (RFC 4291, section 2.5.5.2).
fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// No delay for small writes; and a peer whose network is gone without a word (a deleted pod, a killed
/// node) is noticed within half a minute.
fn tune(stream: &TcpStream) -> Result<()> {
    const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
    const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}
