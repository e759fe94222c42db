//! The side that runs in the node: `devk relay`, started by the session through a Docker exec. It reads
//! its orders from standard input, prints its port on standard output, and ends when standard input ends, that is with
//! the session, however the session ends.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures::future::OptionFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use super::copy::copy_bidirectional;
use super::handover::{self, Door, FOLDER};
use super::{CONNECTED, ELSEWHERE, Hello, Orders, REFUSED, Refusal, Token, refuse, tune};
use crate::limits;

/// How long a caller may take to say who it is.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pod may take to accept.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the listener rests when the process is out of file descriptors.
const OUT_OF_FILES_DELAY: Duration = Duration::from_millis(100);

/// Serves until standard input ends.
///
/// # Errors
/// No orders came, or the address cannot be listened on.
pub async fn run() -> Result<()> {
    let mut input = tokio::io::stdin();
    let mut output = tokio::io::stdout();
    let orders = Orders::read(&mut input).await?;
    let listener = TcpListener::bind((orders.listen, 0)).await?;
    limits::raise_backlog(&listener)?;
    let port = listener.local_addr()?.port();
    // Few nodes have the folder; the session tries the socket in it, and else comes over the network.
    let door = Door::open(Path::new(FOLDER), port).ok();
    output.write_all(&port.to_be_bytes()).await?;
    output.flush().await?;
    let shared = door.as_ref().map(|door| serve_at(door, orders.token));
    let mut rest = [0; 64];
    tokio::select! {
        () = serve(listener, orders.token) => {}
        Some(()) = OptionFuture::from(shared) => {}
        () = async { while input.read(&mut rest).await.is_ok_and(|count| count > 0) {} } => {}
    }
    Ok(())
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, token: Token) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_connection(stream, token))),
            Err(_) => tokio::time::sleep(OUT_OF_FILES_DELAY).await,
        }
    }
}

/// Serves who shares the folder, for ever.
pub(super) async fn serve_at(door: &Door, token: Token) {
    loop {
        match door.listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(hand_over(stream, token))),
            Err(_) => tokio::time::sleep(OUT_OF_FILES_DELAY).await,
        }
    }
}

async fn serve_connection(mut near: TcpStream, token: Token) {
    let Ok(Some(mut far)) = open(&mut near, &token).await else {
        return reset(&near);
    };
    if tune(&near).is_err() || near.write_u8(CONNECTED).await.is_err() {
        return reset(&far);
    }
    if copy_bidirectional(&mut near, &mut far, drop, drop)
        .await
        .is_err()
    {
        reset(&near);
        reset(&far);
    }
}

async fn hand_over(mut near: UnixStream, token: Token) {
    let Ok(Some(far)) = open(&mut near, &token).await else {
        return;
    };
    if handover::give(&near, &far).await.is_err() {
        reset(&far);
    }
}

/// The pod's side; None for a caller that has no business here, or whose pod does not answer.
async fn open(
    near: &mut (impl AsyncRead + AsyncWrite + Unpin),
    token: &Token,
) -> Result<Option<TcpStream>> {
    let Ok(hello) = timeout(HANDSHAKE_TIMEOUT, Hello::read(near)).await else {
        return Ok(None);
    };
    let hello = hello?;
    if !token.is(&hello.token) {
        return Ok(None);
    }
    match dial(hello.to).await {
        Ok(far) => Ok(Some(far)),
        Err(refusal) => {
            refuse(near, &refusal).await?;
            // Ended in order, or the text would be lost.
            near.shutdown().await?;
            let mut rest = [0; 64];
            let _ = timeout(HANDSHAKE_TIMEOUT, near.read(&mut rest)).await;
            Ok(None)
        }
    }
}

/// A connection to the pod's address; if that is refused, to the pod's loopback.
async fn dial(to: SocketAddr) -> std::result::Result<TcpStream, Refusal> {
    let refused = |text: String| Refusal {
        answer: REFUSED,
        text,
    };
    let stream = match timeout(DIAL_TIMEOUT, TcpStream::connect(to)).await {
        Err(_) => {
            let waited = DIAL_TIMEOUT.as_secs();
            return Err(refused(format!("{to} did not answer within {waited} s")));
        }
        Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => {
            dial_loopback(to).await.map_err(|answer| Refusal {
                answer,
                text: format!("{to}: {e}"),
            })?
        }
        Ok(connected) => connected.map_err(|e| refused(format!("{to}: {e}")))?,
    };
    tune(&stream).map_err(|e| refused(format!("{to}: {e}")))?;
    Ok(stream)
}

/// A connection to the loopback of the pod that has this address, or the answer to the session.
#[cfg(target_os = "linux")]
async fn dial_loopback(to: SocketAddr) -> std::result::Result<TcpStream, u8> {
    use super::loopback;
    let stream = loopback::connect(to, DIAL_TIMEOUT).await;
    let stream = stream.map_err(|e| match e.kind() {
        ErrorKind::ConnectionRefused => REFUSED,
        _ => ELSEWHERE,
    })?;
    let nonblocking = stream.set_nonblocking(true);
    nonblocking
        .and_then(|()| TcpStream::from_std(stream))
        .map_err(|_| ELSEWHERE)
}

#[cfg(not(target_os = "linux"))]
async fn dial_loopback(_to: SocketAddr) -> std::result::Result<TcpStream, u8> {
    Err(REFUSED)
}

fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
