//! The two upstreams of a forward into a pod: the relay in the node, which is close to a native connection, and the
//! API server, which every cluster has. The upstream is chosen for each connection.

use std::net::SocketAddr;

use kube::Client;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::relay;
use super::stats::ForwardCounters;
use super::target::Endpoint;
use super::tunnel::{self, ConnectionEnd, SentBytes, Tunnel};
use crate::relay::copy::{Broken, copy_bidirectional};

/// An open connection into a pod. Dropping the value closes the connection.
#[derive(Debug)]
pub enum Upstream {
    Relay {
        stream: TcpStream,
        gone: CancellationToken,
    },
    Api(Tunnel),
}

impl Upstream {
    /// Opens the best connection that can be had: the relay's failure is no failure while the API server answers.
    ///
    /// # Errors
    /// A text: the pod's refusal, or that of the API server, the kubelet or the network.
    pub async fn open(
        relay: &watch::Receiver<relay::RelayState>,
        client: &Client,
        namespace: &str,
        endpoint: &Endpoint,
    ) -> Result<Self, String> {
        let relay = relay.borrow().as_ref().ok().cloned();
        if let (Some(relay), Some(address)) = (relay, endpoint.address)
            && let Some(dialled) = relay.dial(SocketAddr::new(address, endpoint.port)).await
        {
            return dialled.map(|stream| Self::Relay {
                stream,
                gone: relay.gone,
            });
        }
        tunnel::dial(client, namespace, endpoint)
            .await
            .map(Self::Api)
    }

    /// Copies bytes in both directions until one side is done. The bytes that an earlier attempt `sent` go first.
    pub async fn copy(
        self,
        local: &mut TcpStream,
        sent: &mut SentBytes,
        counters: &ForwardCounters,
    ) -> ConnectionEnd {
        match self {
            Self::Api(tunnel) => tunnel.relay(local, sent, counters).await,
            Self::Relay { mut stream, gone } => {
                let carried = tokio::select! {
                    carried = through(&mut stream, local, sent, counters) => carried,
                    () = gone.cancelled() => return ConnectionEnd::Failed("the relay in the node ended".to_owned()),
                };
                match carried {
                    Ok(()) => ConnectionEnd::Finished,
                    Err(Broken::Far(e)) => ConnectionEnd::Failed(e.to_string()),
                    Err(Broken::Near(_)) => {
                        // The pod sees what the client did.
                        let _ = stream.set_zero_linger();
                        ConnectionEnd::Abandoned
                    }
                }
            }
        }
    }
}

async fn through(
    pod: &mut TcpStream,
    local: &mut TcpStream,
    sent: &mut SentBytes,
    counters: &ForwardCounters,
) -> Result<(), Broken> {
    // The pod accepted: what it has read cannot be taken back, even if only some of this reaches it.
    let before = sent.hand_over();
    pod.write_all(&before).await.map_err(Broken::Far)?;
    copy_bidirectional(local, pod, |n| counters.sent(n), |n| counters.received(n)).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::relay::{Token, node};
    use crate::session::fake_api::{FakeApi, Pod};
    use crate::session::relay::Relay;

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A server that says who it is and reads to the end.
    async fn pod(name: &'static str) -> SocketAddr {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(name.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let _ = stream.read_to_end(&mut vec![]).await;
            }
        });
        address
    }

    async fn served() -> Relay {
        let (listener, address) = listen().await;
        let token = Token::random().unwrap();
        tokio::spawn(node::serve(listener, token));
        Relay::at(address, token)
    }

    async fn open(
        relay: relay::RelayState,
        api: &FakeApi,
        to: SocketAddr,
    ) -> Result<Upstream, String> {
        let endpoint = Endpoint {
            pod: "pod".into(),
            port: to.port(),
            address: Some(to.ip()),
        };
        Upstream::open(&watch::channel(relay).1, &api.client(), "ns", &endpoint).await
    }

    /// A local client and devk's end of it.
    async fn client() -> (TcpStream, TcpStream) {
        let (listener, address) = listen().await;
        let (client, local) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), local.unwrap().0)
    }

    async fn says(upstream: Upstream) -> String {
        let ((mut client, mut local), mut said) = (client().await, String::new());
        let mut sent = SentBytes::default();
        let counters = ForwardCounters::default();
        let carried = async {
            let end = upstream.copy(&mut local, &mut sent, &counters).await;
            drop(local);
            end
        };
        let read = async move {
            client.read_to_string(&mut said).await.unwrap();
            said
        };
        let (end, said) = tokio::join!(carried, read);
        assert_eq!(end, ConnectionEnd::Finished);
        assert_eq!(counters.stats().bytes_in, said.len() as u64);
        said
    }

    #[tokio::test]
    async fn a_relay_that_serves_is_taken() {
        let api = FakeApi::start(&[("pod", Pod::Runs(pod("over the API server").await))]).await;
        let upstream = open(Ok(served().await), &api, pod("through the relay").await)
            .await
            .unwrap();
        assert_eq!(says(upstream).await, "through the relay");
        assert!(api.dialled.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn without_a_relay_or_with_a_dead_one_the_api_server_is_asked() {
        let api = FakeApi::start(&[("pod", Pod::Runs(pod("over the API server").await))]).await;
        let (closed, nobody) = listen().await;
        drop(closed);
        let dead = Relay::at(nobody, Token::random().unwrap());
        for relay in [Err("not started yet".to_owned()), Ok(dead)] {
            // The fake API server greets with port 80.
            let upstream = open(relay, &api, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80))
                .await
                .unwrap();
            assert_eq!(says(upstream).await, "over the API server");
        }
    }

    #[tokio::test]
    async fn a_pod_that_refuses_is_refused_by_the_relay_without_asking_twice() {
        let api = FakeApi::start(&[("pod", Pod::Runs(pod("over the API server").await))]).await;
        let (closed, to) = listen().await;
        drop(closed);
        let refusal = open(Ok(served().await), &api, to).await.unwrap_err();
        assert!(
            refusal.to_lowercase().contains("connection refused"),
            "{refusal}"
        );
        assert!(api.dialled.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_api_server_is_asked_where_the_relay_cannot_look_at_the_pods_loopback() {
        let api = FakeApi::start(&[("pod", Pod::Runs(pod("over the API server").await))]).await;
        // A relay whose pod runs on another node and refuses.
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 50]).await.unwrap();
            stream.write_all(b"\x02\x00\x07refused").await.unwrap();
        });
        let relay = Relay::at(address, Token::random().unwrap());
        // The fake API server greets with port 80.
        let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80);
        let upstream = open(Ok(relay), &api, to).await.unwrap();
        assert_eq!(says(upstream).await, "over the API server");
    }

    #[tokio::test]
    async fn a_program_on_the_pods_loopback_is_reached_through_the_relay() {
        let api = FakeApi::start(&[]).await;
        let server = pod("on loopback").await;
        let elsewhere = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), server.port());
        let upstream = open(Ok(served().await), &api, elsewhere).await.unwrap();
        assert_eq!(says(upstream).await, "on loopback");
        assert!(api.dialled.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_a_client_said_before_the_relay_came_up_is_sent_through_it_first() {
        let ((server, to), api) = (listen().await, FakeApi::start(&[]).await);
        let upstream = open(Ok(served().await), &api, to).await.unwrap();
        let ((mut client, mut local), mut sent) = (client().await, SentBytes::default());
        sent.record(b"GET / HTTP/1.1\r\n");
        client.write_all(b"host: shop\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let pod = async {
            let mut heard = String::new();
            server
                .accept()
                .await
                .unwrap()
                .0
                .read_to_string(&mut heard)
                .await
                .unwrap();
            heard
        };
        let counters = ForwardCounters::default();
        let (end, heard) = tokio::join!(upstream.copy(&mut local, &mut sent, &counters), pod);
        assert_eq!(
            (end, heard.as_str()),
            (
                ConnectionEnd::Finished,
                "GET / HTTP/1.1\r\nhost: shop\r\n\r\n"
            )
        );
        assert!(!sent.may_repeat("connection refused"));
    }

    #[tokio::test]
    async fn connections_end_with_their_relay_and_nothing_is_sent_twice() {
        let (server, to) = listen().await;
        let relay = served().await;
        let api = FakeApi::start(&[]).await;
        let upstream = open(Ok(relay.clone()), &api, to).await.unwrap();
        let _silent = server.accept().await.unwrap();
        let ((_client, mut local), mut sent) = (client().await, SentBytes::default());
        let counters = ForwardCounters::default();
        let (end, ()) = tokio::join!(upstream.copy(&mut local, &mut sent, &counters), async {
            relay.gone.cancel()
        });
        let ConnectionEnd::Failed(text) = end else {
            panic!("{end:?}")
        };
        assert!(!sent.may_repeat(&text));
    }
}
