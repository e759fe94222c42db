//! Sockets handed over: where the relay and the session share a folder of this machine, the relay dials
//! the pod and gives its end of the connection away (SCM_RIGHTS, unix(7)). Bytes then take one hop less.
//!
//! Invariant: the socket file does not outlive both processes. The relay removes it when the relay ends; the session
//! removes it when it ends, or sees that the relay is gone.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixListener, UnixStream};

use super::CONNECTED;
use crate::limits;

/// The shared folder as the node sees it.
pub const FOLDER: &str = "/devk";

/// The relay's socket in a shared folder, by the relay's port: no two relays of a node have the same one.
pub fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!("{port}.sock"))
}

/// A listening socket in a shared folder, which goes with it.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// # Errors
    /// There is no such folder, or it takes no sockets.
    pub(super) fn open(folder: &Path, port: u16) -> Result<Self> {
        let path = socket(folder, port);
        // Of a relay that had this port and was killed.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let door = Self { listener, path };
        limits::raise_backlog(&door.listener)?;
        // The session is no root. Who may come is up to the folder and the token.
        std::fs::set_permissions(&door.path, std::fs::Permissions::from_mode(0o666))?;
        Ok(door)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers [`CONNECTED`], and gives `far` away with it.
pub(super) async fn give(stream: &UnixStream, far: &TcpStream) -> Result<()> {
    stream
        .async_io(Interest::WRITABLE, || send(stream, far))
        .await
}

fn send(stream: &UnixStream, far: &TcpStream) -> Result<()> {
    let far = [far.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&far));
    sendmsg(
        stream,
        &[IoSlice::new(&[CONNECTED])],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    Ok(())
}

/// The first byte of the relay's answer, and the socket that came with it.
pub(super) async fn take(stream: &UnixStream) -> Result<(u8, Option<TcpStream>)> {
    let (answer, socket) = stream
        .async_io(Interest::READABLE, || receive(stream))
        .await?;
    let socket = socket
        .map(|socket| TcpStream::from_std(socket.into()))
        .transpose()?;
    Ok((answer, socket))
}

fn receive(stream: &UnixStream) -> Result<(u8, Option<OwnedFd>)> {
    let mut answer = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut answer)],
        &mut ancillary,
        CLOSED_ON_EXEC,
    )?;
    if received.bytes == 0 {
        return Err(Error::from(ErrorKind::UnexpectedEof));
    }
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    Ok((answer[0], socket))
}

/// Programs that devk starts do not inherit what arrives.
#[cfg(not(target_vendor = "apple"))]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
/// macOS has no such flag; containers there are behind a virtual machine, so no socket arrives.
#[cfg(target_vendor = "apple")]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::empty();
