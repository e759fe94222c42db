//! The listener that Docker pushes to, on the loopback device. It answers only for pushes under way.
//!
//! Docker speaks plain HTTP to 127.0.0.0/8, but tries TLS first, and falls back only if the answer begins like HTTP;
//! hyper's answer to a request that it cannot parse does. Each push has a random repository name. devk uses a name
//! again, since Docker first asks whether blobs are there that it sent to the same name before, and remembers only so
//! many names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::push::{Offer, Push, Received, refuse, reply, with};
use crate::error::{Code, Error, Result};
use crate::hex;

/// How the last part of the name of each push begins.
const PREFIX: &str = "devk-push-";

/// The listener; it closes when the value is dropped.
#[derive(Debug)]
pub(super) struct PushListener {
    port: u16,
    pushes: Arc<Pushes>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Pushes(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    under_way: HashMap<String, Arc<Push>>,
    free: Vec<String>,
}

/// An expected push; its name is released when the value is dropped.
#[derive(Debug)]
pub(super) struct Awaited {
    /// `127.0.0.1:PORT/NAME`, to be pushed with any tag.
    pub repository: String,
    pub push: Arc<Push>,
    name: String,
    pushes: Arc<Pushes>,
}

impl PushListener {
    /// Listens on a free port.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] if the system gives none.
    pub(super) async fn open() -> Result<Self> {
        let failed = |e| Error::new(Code::ImageLoad, format!("cannot listen on 127.0.0.1: {e}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let pushes = Arc::new(Pushes::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, pushes.clone()));
        Ok(Self {
            port,
            pushes,
            _server: server,
        })
    }

    /// Prepares for a push, whose content the receiver gives.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] if the system gives no random bytes.
    pub(super) fn expect(
        &self,
        offer: watch::Receiver<Option<Offer>>,
    ) -> Result<(Awaited, mpsc::Receiver<Received>)> {
        let (push, received) = Push::new(offer);
        let push = Arc::new(push);
        let name = self.pushes.admit(push.clone())?;
        let repository = format!("127.0.0.1:{}/{name}", self.port);
        Ok((
            Awaited {
                repository,
                push,
                name,
                pushes: self.pushes.clone(),
            },
            received,
        ))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut names = self.pushes.names();
        names.under_way.remove(&self.name);
        names.free.push(std::mem::take(&mut self.name));
    }
}

impl Pushes {
    fn admit(&self, push: Arc<Push>) -> Result<String> {
        let mut names = self.names();
        let name = names.free.pop().map_or_else(new_name, Ok)?;
        names.under_way.insert(name.clone(), push);
        Ok(name)
    }

    fn find(&self, name: &str) -> Option<Arc<Push>> {
        self.names().under_way.get(name).cloned()
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_name() -> Result<String> {
    let random = hex::random::<16>().map_err(|e| {
        Error::new(
            Code::ImageLoad,
            format!("the system gives no random bytes: {e}"),
        )
    })?;
    Ok(format!("{PREFIX}{random}"))
}

/// The address that a tag was once pushed to, if it is one of ours.
pub(super) fn pushed_to(tag: &str) -> Option<SocketAddr> {
    let (address, name) = tag.split_once('/')?;
    address.parse().ok().filter(|address: &SocketAddr| {
        address.ip() == Ipv4Addr::LOCALHOST && name.starts_with(PREFIX)
    })
}

async fn serve(listener: TcpListener, pushes: Arc<Pushes>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(converse(stream, pushes.clone()))),
            // Out of file descriptors, as a rule: there will be some again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, pushes: Arc<Pushes>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let pushes = pushes.clone();
        async move { Ok::<_, Infallible>(answer(&pushes, request).await) }
    });
    // A broken connection needs no report here: Docker's push fails.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(pushes: &Pushes, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path == "/v2/" {
        return with(
            reply(StatusCode::OK),
            &[("docker-distribution-api-version", "registry/2.0")],
        );
    }
    let below = path
        .strip_prefix("/v2/")
        .and_then(|rest| rest.split_once('/'));
    match below.and_then(|(name, rest)| Some((name, rest, pushes.find(name)?))) {
        Some((name, rest, push)) => push.answer(name, rest, request).await,
        None => refuse(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::image::load::fake_docker::{FakeDocker, digest};
    use crate::image::load::layers::{Blob, Spared};

    struct Server {
        endpoint: PushListener,
        awaited: Awaited,
        received: mpsc::Receiver<Received>,
        offer: watch::Sender<Option<Offer>>,
        docker: FakeDocker,
    }

    async fn server(offer: Option<Offer>) -> Server {
        let endpoint = PushListener::open().await.unwrap();
        let (offer, offered) = watch::channel(offer);
        let (awaited, received) = endpoint.expect(offered).unwrap();
        let docker = FakeDocker::new(&awaited.repository);
        Server {
            endpoint,
            awaited,
            received,
            offer,
            docker,
        }
    }

    /// The node has one layer, whose blob is `there` and 7 bytes.
    fn spared() -> Spared {
        let blob = Blob {
            diff_id: "sha256:d".to_owned(),
            size: 7,
        };
        Spared {
            blobs: [(digest(b"there"), blob)].into(),
            bytes: 70,
        }
    }

    async fn content(received: Option<Received>) -> (String, Vec<u8>) {
        match received.unwrap() {
            Received::Blob {
                digest,
                mut content,
                ..
            } => {
                let mut bytes = vec![];
                content.read_to_end(&mut bytes).await.unwrap();
                (digest, bytes)
            }
            Received::Manifest {
                digest, content, ..
            } => (digest, content.to_vec()),
        }
    }

    #[tokio::test]
    async fn a_tls_hello_is_answered_as_http() {
        let server = server(None).await;
        let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0xab; 506]].concat();
        let answer = tokio::time::timeout(Duration::from_secs(5), server.docker.raw(&hello))
            .await
            .unwrap();
        assert!(answer.starts_with(b"HTTP/1."), "{answer:?}");
    }

    #[tokio::test]
    async fn only_a_push_that_is_awaited_is_answered() {
        let server = server(Some(Offer::Spared(spared()))).await;
        let there = format!("blobs/{}", digest(b"there"));
        assert_eq!(server.docker.ask_at("GET", "/v2/", b"").await.status, 200);
        assert_eq!(server.docker.ask("HEAD", &there, b"").await.status, 200);
        assert_eq!(
            server
                .docker
                .ask_at("HEAD", &format!("/v2/other/{there}"), b"")
                .await
                .status,
            404
        );
        drop(server.awaited);
        assert_eq!(server.docker.ask("HEAD", &there, b"").await.status, 404);
    }

    #[tokio::test]
    async fn names_are_used_again_and_never_twice_at_once() {
        let server = server(None).await;
        let expect = || server.endpoint.expect(server.offer.subscribe()).unwrap().0;
        let second = expect();
        assert_ne!(second.repository, server.awaited.repository);
        let name = second.repository.clone();
        drop(second);
        assert_eq!(expect().repository, name);
    }

    #[tokio::test]
    async fn what_the_node_can_do_without_is_there_and_has_its_size() {
        let server = server(Some(Offer::Spared(spared()))).await;
        let answer = server
            .docker
            .ask("HEAD", &format!("blobs/{}", digest(b"there")), b"")
            .await;
        let header = |name: &str| answer.headers[name].as_str();
        assert_eq!((answer.status, header("content-length")), (200, "7"));
        assert_eq!(header("docker-content-digest"), digest(b"there"));
        assert_eq!(
            server
                .docker
                .ask("HEAD", &format!("blobs/{}", digest(b"new")), b"")
                .await
                .status,
            404
        );
        let mount = |content| {
            format!(
                "blobs/uploads/?mount={}&from=library/other",
                digest(content)
            )
        };
        assert_eq!(
            server
                .docker
                .ask("POST", &mount(b"there"), b"")
                .await
                .status,
            201
        );
        assert_eq!(
            server.docker.ask("POST", &mount(b"new"), b"").await.status,
            202
        );
    }

    #[tokio::test]
    async fn a_question_waits_until_the_node_has_told_what_it_has() {
        let server = server(None).await;
        let there = format!("blobs/{}", digest(b"there"));
        let answer = server.docker.ask("HEAD", &there, b"");
        let tells = async {
            server.awaited.push.reached().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            server.offer.send_replace(Some(Offer::Spared(spared())));
        };
        assert_eq!(tokio::join!(answer, tells).0.status, 200);
    }

    #[tokio::test]
    async fn a_blob_comes_whole_and_is_there_from_then_on() {
        let mut server = server(Some(Offer::Spared(spared()))).await;
        assert_eq!(server.docker.upload(b"new content").await, 201);
        assert_eq!(
            content(server.received.recv().await).await,
            (digest(b"new content"), b"new content".to_vec())
        );
        let asked = server
            .docker
            .ask("HEAD", &format!("blobs/{}", digest(b"new content")), b"")
            .await;
        assert_eq!(
            (asked.status, asked.headers["content-length"].as_str()),
            (200, "11")
        );
    }

    #[tokio::test]
    async fn a_blob_may_come_in_a_single_request() {
        let mut server = server(Some(Offer::Spared(spared()))).await;
        let location = server
            .docker
            .ask("POST", "blobs/uploads/", b"")
            .await
            .headers["location"]
            .clone();
        let put = format!("{location}?digest={}", digest(b"all"));
        assert_eq!(server.docker.ask_at("PUT", &put, b"all").await.status, 201);
        assert_eq!(content(server.received.recv().await).await.1, b"all");
    }

    #[tokio::test]
    async fn content_that_is_not_what_its_digest_says_is_refused() {
        let mut server = server(Some(Offer::Spared(spared()))).await;
        let location = server
            .docker
            .ask("POST", "blobs/uploads/", b"")
            .await
            .headers["location"]
            .clone();
        let wrong = |digest: &str| format!("{location}?digest={digest}");
        assert_eq!(
            server
                .docker
                .ask_at("PUT", &wrong("sha256:../../etc/passwd"), b"all")
                .await
                .status,
            400
        );
        assert_eq!(
            server
                .docker
                .ask_at("PUT", &wrong(&digest(b"other")), b"all")
                .await
                .status,
            400
        );
        server.awaited.push.end();
        assert!(server.received.recv().await.is_none());
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_leaves_nothing() {
        let mut server = server(Some(Offer::Spared(spared()))).await;
        let location = server.docker.break_off(b"half").await;
        let resumed = format!("{location}?digest={}", digest(b"half"));
        assert_ne!(server.docker.ask_at("PUT", &resumed, b"").await.status, 201);
        server.awaited.push.end();
        assert!(server.received.recv().await.is_none());
    }

    #[tokio::test]
    async fn the_tagged_manifest_is_the_end() {
        let mut server = server(Some(Offer::Spared(spared()))).await;
        let by_digest = |content| format!("manifests/{}", digest(content));
        assert_eq!(
            server
                .docker
                .ask("HEAD", "manifests/latest", b"")
                .await
                .status,
            404
        );
        assert_eq!(
            server
                .docker
                .ask("PUT", &by_digest(b"other"), b"{}")
                .await
                .status,
            400
        );
        assert_eq!(
            server
                .docker
                .ask("PUT", &by_digest(b"{}"), b"{}")
                .await
                .status,
            201
        );
        assert_eq!(
            server
                .docker
                .ask("PUT", "manifests/latest", b"{ }")
                .await
                .status,
            201
        );
        assert_eq!(
            server
                .docker
                .ask("PUT", "manifests/latest", b"{  }")
                .await
                .status,
            404
        );
        assert_eq!(content(server.received.recv().await).await.1, b"{}");
        let Some(Received::Manifest {
            media_type,
            tagged: true,
            ..
        }) = server.received.recv().await
        else {
            panic!("the tagged manifest did not come")
        };
        assert_eq!(media_type, "application/test");
        assert!(server.received.recv().await.is_none());
    }

    #[tokio::test]
    async fn for_a_lesson_everything_is_there_and_contents_are_dropped() {
        let mut server = server(Some(Offer::Everything(spared()))).await;
        let size = async |content| {
            let answer = server
                .docker
                .ask("HEAD", &format!("blobs/{}", digest(content)), b"")
                .await;
            (answer.status, answer.headers["content-length"].clone())
        };
        assert_eq!(size(b"there").await, (200, "7".to_owned()));
        assert_eq!(size(b"never seen").await, (200, "0".to_owned()));
        assert_eq!(server.docker.upload(b"unasked").await, 201);
        assert_eq!(size(b"unasked").await, (200, "7".to_owned()));
        assert_eq!(
            server
                .docker
                .ask("PUT", "manifests/latest", b"{}")
                .await
                .status,
            201
        );
        assert_eq!(content(server.received.recv().await).await.1, b"{}");
        assert!(server.received.recv().await.is_none());
    }

    #[test]
    fn only_names_of_ours_are_known_again() {
        assert_eq!(
            pushed_to("127.0.0.1:4711/devk-push-0a:latest").map(|a| a.port()),
            Some(4711)
        );
        for other in [
            "127.0.0.1:4711/other:latest",
            "10.0.0.1:4711/devk-push-0a:latest",
            "devk-push-0a",
            "a/devk-push-0a",
        ] {
            assert_eq!(pushed_to(other), None, "{other}");
        }
    }
}
