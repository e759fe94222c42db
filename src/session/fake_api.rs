//! An API server for tests, at the wire: real websockets that speak the port-forward protocol as the
//! kubelet and containerd do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use kube::client::Body;
use kube::{Client, Config};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{Request as HttpRequest, Response as HttpResponse};

/// What happens to a port-forward into a pod.
#[derive(Debug, Clone)]
pub(crate) enum Pod {
    /// Bytes go to a real server.
    Runs(SocketAddr),
    /// Nothing listens in the pod.
    Refuses,
    /// The connection dies after this many bytes from the client, without a word.
    Dies { after: usize },
}

/// Pods by name; one that is not there is answered with 404.
#[derive(Debug, Clone)]
pub(crate) struct FakeApi {
    address: SocketAddr,
    pods: Arc<Mutex<BTreeMap<String, Pod>>>,
    /// The pods dialled, in order.
    pub(crate) dialled: Arc<Mutex<Vec<String>>>,
}

impl FakeApi {
    pub(crate) async fn start(pods: &[(&str, Pod)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            address: listener.local_addr().unwrap(),
            pods: Arc::new(Mutex::new(
                pods.iter()
                    .map(|(name, pod)| ((*name).to_owned(), pod.clone()))
                    .collect(),
            )),
            dialled: Arc::default(),
        };
        let serving = api.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().forward(socket));
            }
        });
        api
    }

    pub(crate) fn set(&self, name: &str, pod: Pod) {
        self.pods.lock().unwrap().insert(name.to_owned(), pod);
    }

    pub(crate) fn client(&self) -> Client {
        let config = Config::new(format!("http://{}", self.address).parse().unwrap());
        crate::cluster::client::build(config).unwrap()
    }

    async fn forward(self, socket: TcpStream) {
        let mut pod = None;
        // The size of the error is the library's choice.
        #[expect(clippy::result_large_err)]
        let handshake = |request: &Request, mut response: Response| {
            let name = request.uri().path().split('/').nth(6).unwrap().to_owned();
            pod = self.pods.lock().unwrap().get(&name).cloned();
            self.dialled.lock().unwrap().push(name);
            response.headers_mut().insert(
                "sec-websocket-protocol",
                "v4.channel.k8s.io".parse().unwrap(),
            );
            if pod.is_some() {
                Ok(response)
            } else {
                Err(not_found())
            }
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(socket, handshake).await else {
            return;
        };
        for channel in [0, 1] {
            socket
                .send(Message::binary(vec![channel, 80, 0]))
                .await
                .unwrap();
        }
        match pod.unwrap() {
            Pod::Runs(server) => run(socket, TcpStream::connect(server).await.unwrap()).await,
            Pod::Refuses => refuse(socket).await,
            Pod::Dies { after } => die(socket, after).await,
        }
    }
}

/// A client of an API server that has these objects, and lists them by their kinds.
pub(crate) fn listing(objects: &[Value]) -> Client {
    let objects = objects.to_vec();
    let service = tower::service_fn(move |request: HttpRequest<Body>| {
        let plural = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let is_asked_for = |object: &&Value| {
            plural == format!("{}s", object["kind"].as_str().unwrap().to_lowercase())
        };
        let items: Vec<_> = objects.iter().filter(is_asked_for).collect();
        let list = serde_json::json!({"metadata": {}, "items": items}).to_string();
        async move { Ok::<_, Infallible>(HttpResponse::new(Body::from(list.into_bytes()))) }
    });
    Client::new(service, "shop")
}

fn not_found() -> ErrorResponse {
    let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods not found","reason":"NotFound","code":404}"#;
    let mut response = ErrorResponse::new(Some(body.to_owned()));
    *response.status_mut() = 404.try_into().unwrap();
    response
        .headers_mut()
        .insert("content-length", body.len().to_string().parse().unwrap());
    response
}

type Socket = WebSocketStream<TcpStream>;

/// As containerd: when either direction ends, the other has a second, then all is closed.
async fn run(socket: Socket, server: TcpStream) {
    let (outgoing, frames) = socket.split();
    let (read, write) = server.into_split();
    let outgoing = Arc::new(tokio::sync::Mutex::new(outgoing));
    let down = tokio::spawn(down(read, Arc::clone(&outgoing)));
    let up = tokio::spawn(up(frames, write));
    let second = Duration::from_secs(1);
    tokio::select! {
        _ = down => tokio::time::sleep(second).await,
        _ = up => {}
    }
    let _ = outgoing.lock().await.close().await;
}

async fn down(
    mut server: tokio::net::tcp::OwnedReadHalf,
    pod: Arc<tokio::sync::Mutex<SplitSink<Socket, Message>>>,
) {
    let mut frame = vec![0; 32 * 1024];
    while let Ok(count @ 1..) = server.read(&mut frame[1..]).await {
        if pod
            .lock()
            .await
            .send(Message::binary(frame[..=count].to_vec()))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn up(mut frames: SplitStream<Socket>, mut server: tokio::net::tcp::OwnedWriteHalf) {
    while let Some(Ok(message)) = frames.next().await {
        if let Message::Binary(frame) = message {
            assert_eq!(frame[0], 0, "only the data channel carries bytes to a pod");
            if server.write_all(&frame[1..]).await.is_err() {
                return;
            }
        }
    }
}

async fn refuse(mut socket: Socket) {
    let text = "\u{1}failed to execute portforward in network namespace \"/x\": failed to connect to localhost:80 \
                inside namespace \"y\", IPv4: dial tcp4 127.0.0.1:80: connect: connection refused";
    socket
        .send(Message::binary(text.as_bytes().to_vec()))
        .await
        .unwrap();
    let _ = socket.close(None).await;
}

async fn die(mut socket: Socket, after: usize) {
    let mut count = 0;
    while count < after {
        let Some(Ok(Message::Binary(frame))) = socket.next().await else {
            return;
        };
        count += frame.len() - 1;
    }
}
