//! Where Docker pushes to: a listener on the loopback device that knows nothing but the pushes under way.
//!
//! Docker speaks plain HTTP to 127.0.0.0/8, but tries TLS first and only gives it up for an answer that
//! begins like HTTP: hyper's answer to what it cannot read does. Each push has a name that nobody can guess.
//! Names are used again, since Docker asks more readily for blobs that it sent to the same name before, and
//! remembers only so many names.

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
use crate::hex::hex;

/// How the last part of the name of each push begins.
const PREFIX: &str = "devk-push-";

/// The listener; it closes when this is dropped.
#[derive(Debug)]
pub(super) struct Endpoint {
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

/// A push that may come; its name is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Awaited {
    /// `127.0.0.1:PORT/NAME`, to be pushed with any tag.
    pub repository: String,
    pub push: Arc<Push>,
    name: String,
    pushes: Arc<Pushes>,
}

impl Endpoint {
    /// Listens on a free port.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] if the system gives none.
    pub(super) async fn open() -> Result<Self> {
        let failed = |e| Error::new(Code::ImageLoad, format!("cannot listen on 127.0.0.1: {e}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let pushes = Arc::new(Pushes::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, pushes.clone()));
        Ok(Self { port, pushes, _server: server })
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
        Ok((Awaited { repository, push, name, pushes: self.pushes.clone() }, received))
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
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|e| Error::new(Code::ImageLoad, format!("the system gives no random bytes: {e}")))?;
    Ok(format!("{PREFIX}{}", hex(random)))
}

/// The address that a tag was once pushed to, if it is one of ours.
pub(super) fn pushed_to(tag: &str) -> Option<SocketAddr> {
    let (address, name) = tag.split_once('/')?;
    address.parse().ok().filter(|address: &SocketAddr| address.ip() == Ipv4Addr::LOCALHOST && name.starts_with(PREFIX))
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
    // A connection that breaks is for Docker to tell: its push fails.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(pushes: &Pushes, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path == "/v2/" {
        return with(reply(StatusCode::OK), &[("docker-distribution-api-version", "registry/2.0")]);
    }
    let below = path.strip_prefix("/v2/").and_then(|rest| rest.split_once('/'));
    match below.and_then(|(name, rest)| Some((name, rest, pushes.find(name)?))) {
        Some((name, rest, push)) => push.answer(name, rest, request).await,
        None => refuse(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
    }
}
