//! One conversation of a build with an SSH agent (draft-miller-ssh-agent): each request is answered before the next one is
//! read.
//!
//! A build may list the keys and sign with them, as `docker build` lets it. It cannot add keys, remove those of the user, or
//! lock the agent: such requests fail without reaching the agent.

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

/// SSH_AGENTC_REQUEST_IDENTITIES and SSH_AGENTC_SIGN_REQUEST.
const ALLOWED: [u8; 2] = [11, 13];

/// SSH_AGENT_FAILURE as a whole message: its length in four bytes, and its type.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// The longest message that OpenSSH's agent reads, in bytes.
const MAX_MESSAGE_BYTES: u32 = 256 * 1024;

/// Answers the requests from `build` with the agent at `socket`, until the build closes its side.
pub(super) async fn answer(
    socket: &Path,
    mut requests: impl AsyncRead + Unpin,
    mut answers: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut agent = UnixStream::connect(socket).await?;
    while let Some(request) = message(&mut requests).await? {
        // Behind the length.
        let is_allowed = request.get(4).is_some_and(|kind| ALLOWED.contains(kind));
        if !is_allowed {
            answers.write_all(&FAILURE).await?;
        } else {
            agent.write_all(&request).await?;
            let answer = message(&mut agent).await?;
            let answer = answer.ok_or_else(|| io::Error::other("the SSH agent hung up"))?;
            answers.write_all(&answer).await?;
        }
        answers.flush().await?;
    }
    Ok(())
}

/// The next message with its length. None: there is no further one.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read(&mut length).await? {
        0 => return Ok(None),
        read => from.read_exact(&mut length[read..]).await?,
    };
    let size = u32::from_be_bytes(length);
    if size > MAX_MESSAGE_BYTES {
        let what = format!("a message of {size} bytes is none of an SSH agent's");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut message = length.to_vec();
    let read = from.take(u64::from(size)).read_to_end(&mut message).await?;
    if read < size as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a build gets for its requests, and what of them an agent sees that answers each with itself.
    async fn conversation(requests: &[u8]) -> (io::Result<()>, Vec<u8>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let agent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![];
            while let Ok(Some(request)) = message(&mut stream).await {
                stream.write_all(&request).await.unwrap();
                seen.extend(request);
            }
            seen
        };
        let mut answers = vec![];
        let (talked, seen) = tokio::join!(answer(&socket, requests, &mut answers), agent);
        (talked, answers, seen)
    }

    #[tokio::test]
    async fn keys_are_listed_and_sign_and_all_else_fails_before_it_reaches_the_agent() {
        let list = [0, 0, 0, 1, 11];
        let remove_all = [0, 0, 0, 1, 19];
        let empty = [0; 4];
        let sign = [0, 0, 0, 3, 13, 7, 7];
        let requests = [&list[..], &remove_all, &empty, &sign].concat();
        let (talked, answers, seen) = conversation(&requests).await;
        talked.unwrap();
        assert_eq!(
            answers,
            [&list[..], &FAILURE, &FAILURE, &sign].concat(),
            "in the order of the requests"
        );
        assert_eq!(seen, [&list[..], &sign].concat());
    }

    #[tokio::test]
    async fn what_is_no_message_ends_the_conversation() {
        let (talked, answers, _) = conversation(&[0xff, 0xff, 0xff, 0xff, 11]).await;
        assert_eq!(talked.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(answers.is_empty());
        let (talked, ..) = conversation(&[0, 0, 0, 9, 11]).await;
        assert_eq!(talked.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
