//! A real relay on this machine's loopback, and real servers behind it.

use std::net::Ipv4Addr;

use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;

use super::handover::{Door, socket};
use super::*;

const SOON: Duration = Duration::from_secs(5);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A relay that is reached over the network, and one that is reached by a socket in a folder.
async fn relays(folder: &TempDir) -> [(Address, Token); 2] {
    let (listener, address) = listen().await;
    let token = Token::random().unwrap();
    let door = Door::open(folder.path(), address.port()).unwrap();
    tokio::spawn(node::serve(listener, token));
    tokio::spawn(async move { node::serve_at(&door, token).await });
    [
        (Address::Network(address), token),
        (
            Address::Shared(socket(folder.path(), address.port())),
            token,
        ),
    ]
}

/// A way through each of the relays, and its other end.
async fn ways() -> [(TcpStream, TcpStream); 2] {
    let folder = tempfile::tempdir().unwrap();
    let [network, shared] = relays(&folder).await;
    let way = async |(relay, token): (Address, Token)| {
        let (server, to) = listen().await;
        let (near, far) = tokio::join!(connect(&relay, &token, to), server.accept());
        (near.unwrap(), far.unwrap().0)
    };
    [way(network).await, way(shared).await]
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[tokio::test]
async fn bytes_arrive_intact_both_ways_at_once() {
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
    for (near, far) in ways().await {
        let (a, b) = timeout(SOON, async { tokio::join!(talk(near), talk(far)) })
            .await
            .unwrap();
        assert!(a == sent && b == sent);
    }
}

#[tokio::test]
async fn a_client_that_ends_its_side_still_gets_the_whole_answer() {
    for (mut near, mut far) in ways().await {
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        far.write_all(&pattern(1_000_000)).await.unwrap();
        drop(far);
        let mut answer = Vec::new();
        timeout(SOON, near.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer == pattern(1_000_000));
    }
}

#[tokio::test]
async fn a_reset_arrives_as_a_reset_on_either_side() {
    for (mut near, far) in ways().await {
        far.set_zero_linger().unwrap();
        drop(far);
        let error = timeout(SOON, near.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    for (near, mut far) in ways().await {
        near.set_zero_linger().unwrap();
        drop(near);
        let error = timeout(SOON, far.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_apart_from_a_relay_that_is_not() {
    let (closed, to) = listen().await;
    drop(closed);
    let folder = tempfile::tempdir().unwrap();
    for (relay, token) in relays(&folder).await {
        let refused = connect(&relay, &token, to).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(
            refused.to_string().starts_with(&format!("{to}: ")),
            "{refused}"
        );
    }
    for nobody in [
        Address::Network(to),
        Address::Shared(socket(folder.path(), 1)),
    ] {
        let no_relay = connect(&nobody, &Token::random().unwrap(), to)
            .await
            .unwrap_err();
        assert!(
            no_relay.get_ref().is_none(),
            "the system's own words: {no_relay}"
        );
    }
}

#[tokio::test]
async fn who_lacks_the_token_is_turned_away_and_reaches_nobody() {
    let ((server, to), folder) = (listen().await, tempfile::tempdir().unwrap());
    for (relay, _) in relays(&folder).await {
        let error = connect(&relay, &Token::random().unwrap(), to)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
            ),
            "{error}"
        );
        assert!(
            timeout(Duration::from_millis(100), server.accept())
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_door_takes_the_place_of_a_killed_ones_and_goes_with_its_relay() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket(folder.path(), 7);
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "what a killed relay leaves");
    let door = Door::open(folder.path(), 7).unwrap();
    UnixStream::connect(&path).await.unwrap();
    drop(door);
    assert!(!path.exists());
}

#[tokio::test]
async fn orders_are_read_as_they_were_written() {
    for listen in ["172.18.0.2", "fc00::2"] {
        let orders = Orders {
            token: Token::random().unwrap(),
            listen: listen.parse().unwrap(),
        };
        assert_eq!(
            Orders::read(&mut orders.encode().as_slice()).await.unwrap(),
            orders
        );
    }
}
