//! One connection into one pod: the port-forward protocol of the API server over a websocket
//! (subprotocol `v4.channel.k8s.io`: channel 0 carries data, channel 1 an error text).
//!
//! Not kube's `Portforwarder`, for three reasons: it sends uploads in 4 KiB frames, it moves both
//! directions in one loop, so that a client that does not read cannot send either, and it shows a
//! broken connection as a clean end.
//!
//! The protocol has no half-close. When the local client ends its side, the pod's side stays open for
//! as long as the pod answers: closing it would drop the answer. Who sent last decides how long devk
//! waits: a client that ended right after it sent something awaits an answer; a client that ended after an answer is
//! done.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::core::Request;
use kube::{Client, Resource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::SetOnce;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};

use super::stats::ForwardCounters;
use super::target::Endpoint;
use crate::error::chain;

const DATA: u8 = 0;
const ERROR: u8 = 1;
/// Bytes read from the local client at once: the size of an upload frame.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes kept for a second attempt; a client that sent more before the first answer gets none.
const MAX_REPEATED_BYTES: usize = 64 * 1024;
/// How long a pod may be silent after the client ended its side with an answer outstanding. There is
/// an end, since a client that was killed looks no different, and its database session must not stay.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(30);
/// The same after an answer: connections that are done must not pile up.
const ANSWERED_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the pod's last word may take once it accepts no more data.
const LAST_DATA_TIMEOUT: Duration = Duration::from_secs(1);

type Frames = BoxStream<'static, Result<Message, WsError>>;
type Outgoing = Pin<Box<dyn Sink<Message, Error = WsError> + Send>>;

/// An open way into a pod. Dropping it ends it.
pub struct Tunnel {
    frames: Frames,
    outgoing: Outgoing,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnel")
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The pod's side ended, and the client has all of it.
    Finished,
    /// The local client went away.
    Abandoned,
    /// The pod's side failed, in its own words.
    Failed(String),
}

/// What the local client has sent so far, for an attempt on another pod.
#[derive(Debug, Default)]
pub struct SentBytes {
    bytes: Vec<u8>,
    too_much: bool,
    answered: bool,
}

impl SentBytes {
    pub(super) fn record(&mut self, bytes: &[u8]) {
        self.too_much |= self.bytes.len() + bytes.len() > MAX_REPEATED_BYTES;
        if self.too_much {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Gives away what is to be sent first. From here on nothing is kept, and nothing can be repeated.
    pub(super) fn hand_over(&mut self) -> Vec<u8> {
        self.too_much = true;
        std::mem::take(&mut self.bytes)
    }

    /// Whether a new attempt cannot do anything twice: the pod has answered nothing, and either was
    /// sent nothing or refused the connection.
    pub fn may_repeat(&self, failure: &str) -> bool {
        let unseen = self.bytes.is_empty() || failure.to_lowercase().contains("connection refused");
        unseen && !self.too_much && !self.answered
    }
}

/// Opens the way into a pod. The program in it is dialled by the kubelet afterwards: a refusal shows
/// in [`Tunnel::relay`].
///
/// # Errors
/// A text: the API server's, the kubelet's or the network's.
pub async fn dial(client: &Client, namespace: &str, endpoint: &Endpoint) -> Result<Tunnel, String> {
    let pods = Request::new(Pod::url_path(&(), Some(namespace)));
    let request = pods
        .portforward(&endpoint.pod, &[endpoint.port])
        .map_err(|e| chain(&e))?;
    let connection = client.connect(request).await.map_err(|e| chain(&e))?;
    let (outgoing, frames) = connection.into_stream().split();
    let mut tunnel = Tunnel {
        frames: frames.boxed(),
        outgoing: Box::pin(outgoing),
    };
    tunnel.greet(endpoint.port).await?;
    Ok(tunnel)
}

impl Tunnel {
    /// Each channel begins with a frame that repeats the port, little-endian.
    async fn greet(&mut self, port: u16) -> Result<(), String> {
        let [low, high] = port.to_le_bytes();
        for channel in [DATA, ERROR] {
            let frame = next(&mut self.frames)
                .await?
                .ok_or("the port-forward ended before it began")?;
            if frame != [channel, low, high].as_slice() {
                return Err(format!("the port-forward began with {frame:?}"));
            }
        }
        Ok(())
    }

    /// Carries bytes both ways until one side is done. What was `sent` to a pod before is sent first.
    pub async fn relay(
        mut self,
        local: &mut TcpStream,
        sent: &mut SentBytes,
        counters: &ForwardCounters,
    ) -> ConnectionEnd {
        let (mut read, mut write) = local.split();
        let talk = Talk::default();
        let end = {
            let down = download(&mut self.frames, &mut write, &talk, counters);
            let up = upload(&mut read, &mut self.outgoing, sent, &talk, counters);
            tokio::pin!(down);
            tokio::select! {
                end = &mut down => end,
                side = up => match side {
                    Side::LocalEnded => { talk.client_ended(); down.await }
                    Side::LocalGone => ConnectionEnd::Abandoned,
                    Side::PodGone(error) => timeout(LAST_DATA_TIMEOUT, down).await.unwrap_or(ConnectionEnd::Failed(error)),
                },
            }
        };
        sent.answered = talk.answered.into_inner();
        end
    }
}

/// What the two directions of a connection know of each other.
#[derive(Default)]
struct Talk {
    /// The pod has said anything at all.
    answered: AtomicBool,
    /// The pod spoke last.
    pod_last: AtomicBool,
    /// Set when the client has ended its side: how long the pod may be silent from then on.
    ended: SetOnce<Duration>,
}

impl Talk {
    fn pod_spoke(&self) {
        self.answered.store(true, Relaxed);
        self.pod_last.store(true, Relaxed);
    }

    fn client_ended(&self) {
        let patience = if self.pod_last.load(Relaxed) {
            ANSWERED_TIMEOUT
        } else {
            UNANSWERED_TIMEOUT
        };
        // It ends once.
        let _ = self.ended.set(patience);
    }

    /// Passes when the pod has been silent for too long, counted from the call.
    async fn silence(&self) {
        let patience = *self.ended.wait().await;
        sleep(patience).await;
    }
}

/// How the way up ended.
enum Side {
    LocalEnded,
    LocalGone,
    PodGone(String),
}

async fn upload(
    local: &mut ReadHalf<'_>,
    pod: &mut Outgoing,
    sent: &mut SentBytes,
    talk: &Talk,
    counters: &ForwardCounters,
) -> Side {
    let mut frame = vec![DATA; 1 + CHUNK_BYTES];
    if !sent.bytes.is_empty() {
        let again = [&[DATA], sent.bytes.as_slice()].concat();
        if let Err(error) = pod.send(Message::binary(again)).await {
            return Side::PodGone(chain(&error));
        }
    }
    loop {
        let count = match local.read(&mut frame[1..]).await {
            Ok(0) => return Side::LocalEnded,
            Ok(count) => count,
            Err(_) => return Side::LocalGone,
        };
        talk.pod_last.store(false, Relaxed);
        if !talk.answered.load(Relaxed) {
            sent.record(&frame[1..=count]);
        }
        if let Err(error) = pod.send(Message::binary(frame[..=count].to_vec())).await {
            return Side::PodGone(chain(&error));
        }
        counters.sent(count);
    }
}

async fn download(
    frames: &mut Frames,
    local: &mut WriteHalf<'_>,
    talk: &Talk,
    counters: &ForwardCounters,
) -> ConnectionEnd {
    loop {
        let frame = tokio::select! {
            frame = next(frames) => frame,
            () = talk.silence() => return ConnectionEnd::Abandoned,
        };
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) => return ConnectionEnd::Finished,
            Err(text) => return ConnectionEnd::Failed(text),
        };
        match frame.split_first() {
            Some((&DATA, data)) => {
                talk.pod_spoke();
                counters.received(data.len());
                if local.write_all(data).await.is_err() {
                    return ConnectionEnd::Abandoned;
                }
            }
            Some((_, text)) => {
                return ConnectionEnd::Failed(String::from_utf8_lossy(text).trim().to_owned());
            }
            None => {}
        }
    }
}

/// The next binary frame; None at the websocket's orderly end.
async fn next(frames: &mut Frames) -> Result<Option<Bytes>, String> {
    loop {
        match frames.next().await {
            Some(Ok(Message::Binary(frame))) => return Ok(Some(frame)),
            Some(Ok(Message::Close(_))) | None => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(chain(&error)),
        }
    }
}
