//! A real relay on this machine's loopback, and real servers behind it.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(5);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn relay() -> (SocketAddr, Token) {
    let (listener, address) = listen().await;
    let token = Token::random().unwrap();
    tokio::spawn(node::serve(listener, token));
    (address, token)
}

/// A way through a relay, and its other end.
async fn way() -> (TcpStream, TcpStream) {
    let ((server, to), (relay, token)) = (listen().await, relay().await);
    let (near, far) = tokio::join!(connect(relay, &token, to), server.accept());
    (near.unwrap(), far.unwrap().0)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test]
async fn bytes_arrive_intact_both_ways_at_once() {
    let (near, far) = way().await;
    let sent = pattern(5_000_000);
    let talk = async |stream: TcpStream| {
        let (mut read, mut write) = stream.into_split();
        let mut got = Vec::new();
        let send = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let receive = async { read.read_to_end(&mut got).await.unwrap() };
        tokio::join!(send, receive);
        got
    };
    let (a, b) = timeout(SOON, async { tokio::join!(talk(near), talk(far)) }).await.unwrap();
    assert!(a == sent && b == sent);
}

#[tokio::test]
async fn a_client_that_ends_its_side_still_gets_the_whole_answer() {
    let (mut near, mut far) = way().await;
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut question = String::new();
    far.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    far.write_all(&pattern(1_000_000)).await.unwrap();
    drop(far);
    let mut answer = Vec::new();
    timeout(SOON, near.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer == pattern(1_000_000));
}

#[tokio::test]
async fn a_reset_arrives_as_a_reset_on_either_side() {
    let (mut near, far) = way().await;
    far.set_zero_linger().unwrap();
    drop(far);
    let error = timeout(SOON, near.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (near, mut far) = way().await;
    near.set_zero_linger().unwrap();
    drop(near);
    let error = timeout(SOON, far.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_apart_from_a_relay_that_is_not() {
    let (closed, to) = listen().await;
    drop(closed);
    let (relay, token) = relay().await;
    let refused = connect(relay, &token, to).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(refused.to_string().starts_with(&format!("{to}: ")), "{refused}");
    let no_relay = connect(to, &token, to).await.unwrap_err();
    assert!(no_relay.get_ref().is_none(), "the system's own words: {no_relay}");
}

#[tokio::test]
async fn who_lacks_the_token_is_reset_and_reaches_nobody() {
    let ((server, to), (relay, _)) = (listen().await, relay().await);
    let error = connect(relay, &Token::random().unwrap(), to).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
    assert!(timeout(Duration::from_millis(100), server.accept()).await.is_err());
}

#[tokio::test]
async fn orders_are_read_as_they_were_written() {
    for listen in ["172.18.0.2", "fc00::2"] {
        let orders = Orders { token: Token::random().unwrap(), listen: listen.parse().unwrap() };
        assert_eq!(Orders::read(&mut orders.encode().as_slice()).await.unwrap(), orders);
    }
}
