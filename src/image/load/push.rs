//! One push from Docker to devk: the push half of the OCI distribution protocol, as far as Engines speak it.
//!
//! Docker does not send a blob that devk reports as present. devk passes each blob on as soon as it is complete, the
//! tagged manifest last. Until then the blob is in an unnamed file, since its size is known only at its end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

use super::layers::Spared;
use crate::hex::hex;

/// Manifests are a few kilobytes; the specification asks registries for 4 MiB.
const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// How many chunks may wait for the reader.
const MAX_QUEUED_CHUNKS: usize = 64;

const DIGEST_HEADER: &str = "docker-content-digest";

/// A part of a push.
#[derive(Debug)]
pub(super) enum Received {
    Blob {
        digest: String,
        size: u64,
        /// Stands at its beginning.
        content: File,
    },
    Manifest {
        digest: String,
        media_type: String,
        content: Bytes,
        /// Pushed by tag and not by digest: the image itself, and the end of the push.
        tagged: bool,
    },
}

/// The blobs that devk reports as present.
#[derive(Debug, Clone)]
pub(super) enum Offer {
    /// The blobs that the node can do without.
    Spared(Spared),
    /// Every blob: only the manifest is of interest. What Docker sends unasked is dropped.
    Everything(Spared),
}

impl Offer {
    /// The size of a blob that Docker need not send.
    fn size_of(&self, digest: &str) -> Option<u64> {
        match self {
            Self::Spared(spared) => spared.blobs.get(digest).map(|blob| blob.size),
            Self::Everything(spared) => Some(spared.blobs.get(digest).map_or(0, |blob| blob.size)),
        }
    }
}

/// The server's side of one push.
#[derive(Debug)]
pub(super) struct Push {
    /// None until it is known; requests that depend on it wait.
    offer: watch::Receiver<Option<Offer>>,
    /// None once the image is complete.
    received: Mutex<Option<mpsc::Sender<Received>>>,
    uploads: Mutex<Uploads>,
    reached: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Uploads {
    open: HashMap<String, Upload>,
    begun: u64,
    /// Digest -> size of what has come; Docker asks whether it did.
    complete: HashMap<String, u64>,
}

/// A blob on its way.
#[derive(Debug)]
struct Upload {
    /// None where contents are dropped.
    file: Option<File>,
    hash: Sha256,
    size: u64,
}

type Reply = Response<Full<Bytes>>;
/// A request that was refused, and why.
type Refusal = (StatusCode, &'static str);

impl Push {
    /// The push and its results.
    pub(super) fn new(offer: watch::Receiver<Option<Offer>>) -> (Self, mpsc::Receiver<Received>) {
        let (to, received) = mpsc::channel(MAX_QUEUED_CHUNKS);
        let received_by = Mutex::new(Some(to));
        let push = Self {
            offer,
            received: received_by,
            uploads: Mutex::default(),
            reached: watch::Sender::new(false),
        };
        (push, received)
    }

    /// Ends when Docker has asked for the first time.
    pub(super) async fn reached(&self) {
        // The sender lives as long as `self`.
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// No more is to be received.
    pub(super) fn end(&self) {
        self.sender().take();
    }

    /// Answers a request below `/v2/NAME/`; `path` is what follows.
    pub(super) async fn answer(&self, name: &str, path: &str, request: Request<Incoming>) -> Reply {
        self.reached.send_replace(true);
        let parts: Vec<_> = path.split('/').collect();
        let method = request.method().clone();
        let answered = match (&method, parts.as_slice()) {
            (&Method::HEAD | &Method::GET, ["blobs", digest]) => self.has(digest).await,
            (&Method::POST, ["blobs", "uploads", ""]) => self.begin(name, &request).await,
            (&Method::PATCH, ["blobs", "uploads", id]) => self.append(name, id, request).await,
            (&Method::PUT, ["blobs", "uploads", id]) => self.complete(id, request).await,
            (&Method::DELETE, ["blobs", "uploads", id]) => {
                self.uploads().open.remove(*id);
                Ok(reply(StatusCode::NO_CONTENT))
            }
            (&Method::PUT, ["manifests", reference]) => self.manifest(reference, request).await,
            _ => Err((StatusCode::NOT_FOUND, "NAME_UNKNOWN")),
        };
        answered.unwrap_or_else(|(status, code)| refuse(status, code))
    }

    async fn has(&self, digest: &str) -> Result<Reply, Refusal> {
        let uploaded = self.uploads().complete.get(digest).copied();
        let size = match uploaded {
            Some(size) => Some(size),
            None => self.offered(digest).await,
        };
        match size {
            Some(size) => Ok(with(
                reply(StatusCode::OK),
                &[
                    ("content-length", &size.to_string()),
                    (DIGEST_HEADER, digest),
                ],
            )),
            None => Err((StatusCode::NOT_FOUND, "BLOB_UNKNOWN")),
        }
    }

    /// Waits until devk knows which blobs are present.
    async fn offered(&self, digest: &str) -> Option<u64> {
        let mut offer = self.offer.clone();
        // The sender is gone, so no blob is reported as present.
        let offer = offer.wait_for(Option::is_some).await.ok()?;
        offer.as_ref()?.size_of(digest)
    }

    /// Docker begins an upload, or asks for a blob of another repository of the same registry.
    async fn begin(&self, name: &str, request: &Request<Incoming>) -> Result<Reply, Refusal> {
        if let Some(digest) = digest_in(request, "mount")
            && self.offered(&digest).await.is_some()
        {
            let location = format!("/v2/{name}/blobs/{digest}");
            return Ok(with(
                reply(StatusCode::CREATED),
                &[("location", &location), (DIGEST_HEADER, &digest)],
            ));
        }
        let keep = !matches!(*self.offer.borrow(), Some(Offer::Everything(_)));
        let file = if keep { Some(unnamed_file()?) } else { None };
        let mut uploads = self.uploads();
        uploads.begun += 1;
        let id = uploads.begun.to_string();
        uploads.open.insert(
            id.clone(),
            Upload {
                file,
                hash: Sha256::new(),
                size: 0,
            },
        );
        Ok(accepted(name, &id, 0))
    }

    async fn append(
        &self,
        name: &str,
        id: &str,
        request: Request<Incoming>,
    ) -> Result<Reply, Refusal> {
        let mut upload = self.take(id)?;
        upload.write(request.into_body()).await?;
        let size = upload.size;
        self.uploads().open.insert(id.to_owned(), upload);
        Ok(accepted(name, id, size))
    }

    async fn complete(&self, id: &str, request: Request<Incoming>) -> Result<Reply, Refusal> {
        let digest =
            digest_in(&request, "digest").ok_or((StatusCode::BAD_REQUEST, "DIGEST_INVALID"))?;
        let mut upload = self.take(id)?;
        upload.write(request.into_body()).await?;
        if digest_of(upload.hash) != digest {
            return Err((StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
        }
        self.uploads().complete.insert(digest.clone(), upload.size);
        if let Some(mut content) = upload.file {
            content.rewind().await.map_err(no_file)?;
            self.hand_on(Received::Blob {
                digest: digest.clone(),
                size: upload.size,
                content,
            })
            .await?;
        }
        Ok(with(
            reply(StatusCode::CREATED),
            &[(DIGEST_HEADER, &digest)],
        ))
    }

    async fn manifest(
        &self,
        reference: &str,
        request: Request<Incoming>,
    ) -> Result<Reply, Refusal> {
        let media_type = media_type(request.headers());
        let body = Limited::new(request.into_body(), MAX_MANIFEST_BYTES)
            .collect()
            .await;
        let content = body
            .map_err(|_| (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"))?
            .to_bytes();
        let digest = digest_of(Sha256::new_with_prefix(&content));
        let tagged = !is_digest(reference);
        if !tagged && reference != digest {
            return Err((StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
        }
        self.hand_on(Received::Manifest {
            digest: digest.clone(),
            media_type,
            content,
            tagged,
        })
        .await?;
        if tagged {
            self.end();
        }
        Ok(with(
            reply(StatusCode::CREATED),
            &[(DIGEST_HEADER, &digest)],
        ))
    }

    async fn hand_on(&self, received: Received) -> Result<(), Refusal> {
        let to = self.sender().clone();
        let gone = (StatusCode::NOT_FOUND, "NAME_UNKNOWN");
        to.ok_or(gone)?.send(received).await.map_err(|_| gone)
    }

    fn take(&self, id: &str) -> Result<Upload, Refusal> {
        self.uploads()
            .open
            .remove(id)
            .ok_or((StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"))
    }

    fn uploads(&self) -> std::sync::MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Received>>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    async fn write(&mut self, mut body: Incoming) -> Result<(), Refusal> {
        while !body.is_end_stream() {
            let Some(frame) = body.frame().await else {
                break;
            };
            let broken = |_| (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID");
            let Ok(data) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            self.hash.update(&data);
            self.size += data.len() as u64;
            if let Some(file) = &mut self.file {
                file.write_all(&data).await.map_err(no_file)?;
            }
        }
        if let Some(file) = &mut self.file {
            file.flush().await.map_err(no_file)?;
        }
        Ok(())
    }
}

fn unnamed_file() -> Result<File, Refusal> {
    tempfile::tempfile().map(File::from_std).map_err(no_file)
}

/// The disk is full, or the like: Docker shows the code, and devk streams the image instead.
fn no_file(_: std::io::Error) -> Refusal {
    (StatusCode::INSUFFICIENT_STORAGE, "BLOB_UPLOAD_INVALID")
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// A digest in the request's query, its colon encoded or not.
fn digest_in<B>(request: &Request<B>, key: &str) -> Option<String> {
    let mut pairs = request
        .uri()
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let (_, digest) = pairs.find(|(name, _)| *name == key)?;
    Some(digest.replace("%3A", ":").replace("%3a", ":")).filter(|digest| is_digest(digest))
}

pub(super) fn is_digest(text: &str) -> bool {
    let is_hex = |digits: &str| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.strip_prefix("sha256:").is_some_and(is_hex)
}

fn digest_of(hash: Sha256) -> String {
    format!("sha256:{}", hex(hash.finalize()))
}

fn accepted(name: &str, id: &str, size: u64) -> Reply {
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    let range = format!("0-{}", size.saturating_sub(1));
    with(
        reply(StatusCode::ACCEPTED),
        &[
            ("location", &location),
            ("range", &range),
            ("docker-upload-uuid", id),
        ],
    )
}

pub(super) fn refuse(status: StatusCode, code: &str) -> Reply {
    let body = serde_json::json!({"errors": [{"code": code, "message": "devk takes pushes only"}]});
    let mut response = with(reply(status), &[("content-type", "application/json")]);
    *response.body_mut() = Full::from(body.to_string());
    response
}

pub(super) fn reply(status: StatusCode) -> Reply {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

pub(super) fn with(mut response: Reply, headers: &[(&'static str, &str)]) -> Reply {
    for (name, value) in headers {
        // What is no header value cannot be a digest or a path of ours either.
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}
