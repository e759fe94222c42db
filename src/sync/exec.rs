//! A process in a container, over the API server: the exec protocol on a websocket (subprotocols
//! `v4.channel.k8s.io` and `v5.channel.k8s.io`: the first byte of a frame is its channel).
//!
//! Not kube's `AttachedProcess`, for two reasons: what goes to the process passes a pipe and a task
//! there, which costs a save two changes of thread, and a reader learns nothing of a connection that
//! died. Here a task reads whatever comes, so that the process never waits for us.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use kube::core::Request;
use kube::{Client, Resource};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};
use tokio_util::task::AbortOnDropHandle;

use crate::error::chain;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// Ends another channel; v5 only.
const CLOSE: u8 = 255;

/// An API server that is suspended takes connections and says nothing: asking anew finds it when it is back.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

type Frames = BoxStream<'static, Result<Message, WsError>>;
type Outgoing = Pin<Box<dyn Sink<Message, Error = WsError> + Send>>;

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerRef {
    pub namespace: String,
    pub pod: String,
    pub container: String,
}

impl std::fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pod, self.container)
    }
}

/// One thing that a process says.
#[derive(Debug)]
pub(super) enum Said {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The process is over: None if it ended with exit code 0, else the API server's words. The last.
    Ended(Option<String>),
}

/// A running process. Dropping it closes its standard input.
#[derive(Debug)]
pub(super) struct ContainerExec {
    pub(super) input: Input,
    pub(super) output: ProcessOutput,
}

/// The standard input of a process.
pub(super) struct Input {
    outgoing: Outgoing,
    closes: bool,
}

/// What a process says.
#[derive(Debug)]
pub(super) struct ProcessOutput {
    said: mpsc::UnboundedReceiver<Said>,
    _reader: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("closes", &self.closes)
            .finish_non_exhaustive()
    }
}

impl ContainerExec {
    /// Starts a process.
    ///
    /// # Errors
    /// A text: the API server's or the network's. A program that is not in the image is told by
    /// [`Said::Ended`].
    pub(super) async fn start(
        client: &Client,
        place: &ContainerRef,
        command: &[&str],
    ) -> Result<Self, String> {
        let pods = Request::new(Pod::url_path(&(), Some(&place.namespace)));
        let attach = AttachParams::default()
            .container(&place.container)
            .stdin(true);
        let request = pods
            .exec(&place.pod, command.iter().copied(), &attach)
            .map_err(|e| chain(&e))?;
        let connected = timeout(CONNECT_TIMEOUT, client.connect(request)).await;
        let silent = |_| {
            format!(
                "the API server did not answer for {} s",
                CONNECT_TIMEOUT.as_secs()
            )
        };
        let connection = connected.map_err(silent)?.map_err(|e| chain(&e))?;
        let closes = connection.supports_stream_close();
        let (outgoing, frames) = connection.into_stream().split();
        let (sender, said) = mpsc::unbounded_channel();
        let reader = AbortOnDropHandle::new(tokio::spawn(read(frames.boxed(), sender)));
        let input = Input {
            outgoing: Box::pin(outgoing),
            closes,
        };
        Ok(Self {
            input,
            output: ProcessOutput {
                said,
                _reader: reader,
            },
        })
    }
}

impl Input {
    /// Sends `bytes`.
    ///
    /// # Errors
    /// A text, if the connection is gone.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.frame(STDIN, bytes).await
    }

    /// Ends the input where the server can; the process must not depend on it.
    pub(super) async fn close(&mut self) {
        if self.closes {
            // A connection that is gone has no input to end.
            let _ = self.frame(CLOSE, &[STDIN]).await;
        }
    }

    async fn frame(&mut self, channel: u8, bytes: &[u8]) -> Result<(), String> {
        let mut frame = Vec::with_capacity(1 + bytes.len());
        frame.push(channel);
        frame.extend_from_slice(bytes);
        self.outgoing
            .send(Message::binary(frame))
            .await
            .map_err(|e| chain(&e))
    }
}

impl ProcessOutput {
    /// The next thing it says. None after its end.
    pub(super) async fn next(&mut self) -> Option<Said> {
        self.said.recv().await
    }
}

async fn read(mut frames: Frames, said: mpsc::UnboundedSender<Said>) {
    let ended = loop {
        let frame = match frames.next().await {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Close(_))) | None => {
                break Some("the connection was closed".to_owned());
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => break Some(chain(&error)),
        };
        let Some(&channel) = frame.first() else {
            continue;
        };
        let data = frame.slice(1..);
        let told = match channel {
            STDOUT => said.send(Said::Stdout(data)),
            STDERR => said.send(Said::Stderr(data)),
            STATUS => break failure(&data),
            _ => continue,
        };
        if told.is_err() {
            return;
        }
    };
    // Nobody listens any more: then nobody waits for the end either.
    let _ = said.send(Said::Ended(ended));
}

/// The status frame is a `metav1.Status`.
fn failure(status: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Status>(status) {
        Ok(status) if status.status.as_deref() == Some("Success") => None,
        Ok(status) => Some(
            status
                .message
                .unwrap_or_else(|| "failed without a reason".to_owned()),
        ),
        Err(_) => Some(String::from_utf8_lossy(status).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_frame_tells_success_from_failure() {
        assert_eq!(failure(br#"{"status":"Success"}"#), None);
        assert_eq!(
            failure(br#"{"status":"Failure","message":"no such file"}"#).as_deref(),
            Some("no such file")
        );
        assert_eq!(failure(b"plain words").as_deref(), Some("plain words"));
    }
}
