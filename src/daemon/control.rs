//! The control socket: how a client talks to the supervisor of its project. One JSON document a line.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::bridge::Switch;
use crate::config::Source;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result};
use crate::program::Build;
use crate::session::outcome::Outcome;
use crate::session::settle::{SettleScope, Settlement};
use crate::session::status::SessionStatus;
use crate::sync::verify::Comparison;
use crate::ui::event::Event;

/// How long the session outlives the client that asked for `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifetime {
    /// As long as the client stays (`up`).
    Attached,
    /// Until `down` (`up -d`), once it has settled.
    Detached,
    /// Until it has settled (`up --once`).
    Once,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    Up {
        source: Source,
        #[serde(rename = "keep")]
        lifetime: Lifetime,
        bridge: Switch,
        /// Every other project of this user on the cluster is to sleep first.
        #[serde(default)]
        sleep_others: bool,
        /// The client's: the session works in it.
        environment: Environment,
        /// The devk that asks: another one's session does not serve it.
        #[serde(default)]
        build: Option<Build>,
    },
    /// The status of the session.
    Status {
        /// Send the status again whenever it has changed, until the client goes.
        #[serde(default)]
        follow: bool,
    },
    Events,
    /// Compare what was synced with what is in the containers.
    Verify,
    /// Wait until what was saved is live.
    Settle {
        scope: SettleScope,
        patience: Duration,
    },
    /// End the session; the connection closes when that has begun.
    Stop,
    /// The client of an `up` goes, and wants to know whether the session ends with it.
    Leave,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "lowercase")]
pub enum Reply {
    Event {
        event: Event,
    },
    /// Nothing was touched.
    Refused {
        errors: Errors,
    },
    Settled {
        outcome: Outcome,
        /// It is detached, or another client is attached: it does not end with this client.
        session_stays: bool,
    },
    Status {
        status: Box<SessionStatus>,
    },
    Verified {
        comparison: Comparison,
    },
    Live {
        settlement: Settlement,
    },
    Left {
        session_ends: bool,
    },
}

/// What ends a session and begins a new one.
pub(super) const RESTART: &str =
    "devk up --restart    # its forwards close for a moment; cluster and data stay";

/// One end of a conversation.
#[derive(Debug)]
pub struct Connection {
    pub read: Receiver,
    pub write: Sender,
}

#[derive(Debug)]
pub struct Receiver(Lines<BufReader<OwnedReadHalf>>);

#[derive(Debug)]
pub struct Sender {
    half: OwnedWriteHalf,
    /// What a send that was given up left over: the next one goes on with it, so that a document
    /// never stands in the middle of another.
    unsent: Vec<u8>,
}

impl From<UnixStream> for Connection {
    fn from(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: Receiver(BufReader::new(read).lines()),
            write: Sender {
                half: write,
                unsent: vec![],
            },
        }
    }
}

impl Receiver {
    /// The next document; None at the end of the conversation.
    ///
    /// # Errors
    /// [`Code::SessionLost`] if the other side speaks something else, such as another version of devk.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        // A reset is an end like any other: the process on the other side is gone.
        let Ok(Some(line)) = self.0.next_line().await else {
            return Ok(None);
        };
        // The line itself is not shown: the client's environment may stand in it.
        serde_json::from_str(&line).map(Some).map_err(|e| {
            let place = format!("column {}", e.column());
            Error::new(
                Code::SessionLost,
                format!("the session speaks another version of devk ({place})"),
            )
            .hint(RESTART)
        })
    }
}

impl Sender {
    /// Sends one document. If this is given up half-way, the rest goes with the next one.
    ///
    /// # Errors
    /// [`Code::SessionLost`] if the other side is gone.
    pub async fn send(&mut self, document: &impl Serialize) -> Result<()> {
        let lost = |e: &dyn std::fmt::Display| {
            Error::new(Code::SessionLost, format!("the session is gone: {e}"))
        };
        serde_json::to_writer(&mut self.unsent, document).map_err(|e| lost(&e))?;
        self.unsent.push(b'\n');
        while !self.unsent.is_empty() {
            let sent = self.half.write(&self.unsent).await.map_err(|e| lost(&e))?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_document_that_was_given_up_half_way_does_not_spoil_the_next_one() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut near = Connection::from(ours);
        let mut far = Connection::from(theirs);
        let long = "x".repeat(4 << 20);
        let given_up =
            tokio::time::timeout(std::time::Duration::from_millis(50), near.write.send(&long))
                .await;
        assert!(given_up.is_err(), "the buffer of the socket is smaller");
        let (sent, first) = tokio::join!(near.write.send(&"bye"), far.read.next::<String>());
        sent.unwrap();
        assert_eq!(first.unwrap().unwrap().len(), long.len());
        assert_eq!(
            far.read.next::<String>().await.unwrap().as_deref(),
            Some("bye")
        );
    }
}
