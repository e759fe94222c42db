//! A real listener, a real client, a fake API server at the wire.

use std::future::Future;

use tokio::task::JoinHandle;

use super::*;
use crate::ports::{Forward, listeners};
use crate::session::fake_api::{FakeApi, Pod, listing};
use crate::session::target::Slice;
use serde_json::json;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// A session with one forward, `api`, to port 80 of Service `api`.
struct Session {
    address: (Ipv4Addr, u16),
    clients: watch::Sender<Option<Client>>,
    pods: watch::Sender<Snapshot>,
    counters: Arc<ForwardCounters>,
    reporter: Reporter,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn forward(local: u16) -> Forward {
    let text = |text: &str| text.to_owned();
    Forward {
        name: text("api"),
        namespace: text("ns"),
        service: text("api"),
        remote: 80,
        local,
        url: String::new(),
        moved: None,
    }
}

/// The later a pod stands in the list, the newer it is.
fn ready(pods: &[&str]) -> Snapshot {
    let slice = Slice {
        service: "api".into(),
        ports: BTreeMap::from([(String::new(), 80)]),
        ready: pods.iter().map(|pod| ((*pod).to_owned(), None)).collect(),
    };
    let age =
        |(n, pod): (i64, &&str)| ((*pod).to_owned(), jiff::Timestamp::from_second(n).unwrap());
    Snapshot {
        slices: BTreeMap::from([("x".into(), slice)]),
        born: (0..).zip(pods).map(age).collect(),
        trouble: None,
    }
}

async fn session(client: Option<Client>, pods: Snapshot, patience: Duration) -> Session {
    let listener = Listener::bind(&forward(0)).await.unwrap();
    let address = (
        Ipv4Addr::LOCALHOST,
        listener.v4.local_addr().unwrap().port(),
    );
    let clients = watch::channel(client).0;
    let pods = watch::channel(pods).0;
    let counters = Arc::<ForwardCounters>::default();
    let reporter = Reporter::default();
    let cancel = CancellationToken::new();
    let route = Route {
        name: "api".into(),
        target: Target {
            namespace: "ns".into(),
            service: "api".into(),
            port_name: String::new(),
        },
        clients: clients.subscribe(),
        relay: watch::channel(Err("no relay".to_owned())).1,
        pods: pods.subscribe(),
        readiness: SyncReadiness::new(
            watch::channel(vec![]).1,
            watch::channel(Default::default()).1,
            watch::channel(()).1,
        ),
        counters: Arc::clone(&counters),
        reporter: reporter.clone(),
        patience,
        opening: Semaphore::new(MAX_OPENING),
    };
    let task = tokio::spawn(serve(Arc::new(listener), Arc::new(route), cancel.clone()));
    Session {
        address,
        clients,
        pods,
        counters,
        reporter,
        cancel,
        task,
    }
}

async fn session_with(api: &FakeApi, pods: &[&str]) -> Session {
    session(Some(api.client()), ready(pods), READY_POD_TIMEOUT).await
}

/// A server in a pod; `answer` gets each connection.
async fn server<F: Future<Output = ()> + Send + 'static>(answer: fn(TcpStream) -> F) -> Pod {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream));
        }
    });
    Pod::Runs(address)
}

async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// Answers a line after a while with 100,000 bytes, then closes.
async fn answer_a_line(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).await.is_ok() && byte != *b"\n" {}
    sleep(Duration::from_millis(50)).await;
    let _ = stream.write_all(&vec![b'x'; 100_000]).await;
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

async fn ask(session: &Session, line: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(session.address).await?;
    stream.write_all(line).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map(|_| answer)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(5), waiting).await.is_ok(),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_arrive_intact_both_ways_at_once() {
    let api = FakeApi::start(&[("pod", server(echo).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let (mut read, mut write) = TcpStream::connect(session.address)
        .await
        .unwrap()
        .into_split();
    let sent = Arc::new(pattern(100_000_000));
    let source = Arc::clone(&sent);
    let writer = tokio::spawn(async move { write.write_all(&source).await.map(|()| write) });
    let mut received = vec![0; sent.len()];
    read.read_exact(&mut received).await.unwrap();
    assert!(received == *sent, "the bytes differ");
    drop((read, writer.await.unwrap().unwrap()));
    let stats = session.counters.stats();
    assert_eq!(
        (stats.bytes_in, stats.bytes_out),
        (100_000_000, 100_000_000)
    );
}

#[tokio::test]
async fn a_client_that_ends_its_side_still_gets_the_whole_answer() {
    let api = FakeApi::start(&[("pod", server(answer_a_line).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.len(), 100_000);
}

#[tokio::test]
async fn an_answer_that_ends_by_closing_ends_for_the_client() {
    let api = FakeApi::start(&[("pod", server(answer_a_line).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    assert_eq!(ask(&session, b"hello\n").await.unwrap().len(), 100_000);
    eventually("the connection is counted out", || {
        session.counters.stats().open == 0
    })
    .await;
    assert_eq!(session.counters.stats().total, 1);
}

#[tokio::test]
async fn a_pod_that_vanished_is_replaced_by_another_before_the_first_byte() {
    let api = FakeApi::start(&[("old", server(answer_a_line).await)]).await;
    let session = session_with(&api, &["old", "gone"]).await;
    assert_eq!(ask(&session, b"hello\n").await.unwrap().len(), 100_000);
    assert_eq!(*api.dialled.lock().unwrap(), ["gone", "old"]);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_with_everything_the_client_said() {
    let api = FakeApi::start(&[("old", server(answer_a_line).await), ("new", Pod::Refuses)]).await;
    let session = session_with(&api, &["old", "new"]).await;
    assert_eq!(ask(&session, b"hello\n").await.unwrap().len(), 100_000);
    assert_eq!(*api.dialled.lock().unwrap(), ["new", "old"]);
}

#[tokio::test]
async fn a_server_that_is_restarting_is_waited_for() {
    let api = FakeApi::start(&[("pod", Pod::Refuses)]).await;
    let session = session_with(&api, &["pod"]).await;
    let back = server(answer_a_line).await;
    let restart = async {
        sleep(Duration::from_millis(50)).await;
        api.set("pod", back);
    };
    let (answer, ()) = tokio::join!(ask(&session, b"hello\n"), restart);
    assert_eq!(answer.unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_server_that_stays_away_resets_the_client_and_is_reported_once() {
    let api = FakeApi::start(&[("pod", Pod::Refuses)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut events = session.reporter.subscribe();
    for _ in 0..2 {
        assert_eq!(
            ask(&session, b"hello\n").await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    }
    let error = events.recv().await.and(events.recv().await).unwrap();
    assert_eq!(error.step, "forward.connect/api");
    assert!(error.error.unwrap().evidence[0].contains("connection refused"));
    assert!(events.is_empty(), "the same failure was reported again");
    assert_eq!(
        session.counters.stats().last_error.as_deref(),
        Some("no connection to port 80 of pod `pod`")
    );
}

#[tokio::test]
async fn a_request_that_a_pod_may_have_seen_is_never_sent_twice() {
    let api = FakeApi::start(&[
        ("old", server(answer_a_line).await),
        ("new", Pod::Dies { after: 6 }),
    ])
    .await;
    let session = session_with(&api, &["old", "new"]).await;
    assert_eq!(
        ask(&session, b"hello\n").await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(*api.dialled.lock().unwrap(), ["new"]);
}

#[tokio::test]
async fn a_connection_waits_for_a_client_and_a_ready_pod() {
    let api = FakeApi::start(&[("pod", server(answer_a_line).await)]).await;
    let session = session(None, Snapshot::default(), READY_POD_TIMEOUT).await;
    let start = async {
        sleep(Duration::from_millis(50)).await;
        session.clients.send_replace(Some(api.client()));
        sleep(Duration::from_millis(50)).await;
        session.pods.send_replace(ready(&["pod"]));
    };
    let (answer, ()) = tokio::join!(ask(&session, b"hello\n"), start);
    assert_eq!(answer.unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_connection_that_waited_in_vain_is_reset_and_says_why() {
    let session = session(None, Snapshot::default(), Duration::from_millis(100)).await;
    let mut events = session.reporter.subscribe();
    assert_eq!(
        ask(&session, b"hello\n").await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let error = events
        .recv()
        .await
        .and(events.recv().await)
        .unwrap()
        .error
        .unwrap();
    assert_eq!(
        error.message,
        "no Ready pod behind Service `api` in namespace `ns` for 0 s"
    );
    assert_eq!(error.evidence, ["the cluster does not answer"]);
}

#[tokio::test]
async fn a_connection_that_waited_in_vain_says_why_there_is_no_pod() {
    let objects = [
        json!({"kind": "Service", "metadata": {"name": "api"}, "spec": {"selector": {"app": "api"}}}),
        json!({"kind": "Deployment", "metadata": {"name": "worker"},
            "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "api"}}}}}),
    ];
    let client = Some(listing(&objects));
    let session = session(client, Snapshot::default(), Duration::from_millis(100)).await;
    let mut events = session.reporter.subscribe();
    ask(&session, b"hello\n").await.unwrap_err();
    let event = events.recv().await.and(events.recv().await).unwrap();
    assert_eq!(
        event.error.unwrap().evidence,
        ["no pod: Deployment `worker` has 0 replicas"]
    );
}

#[tokio::test]
async fn a_new_cluster_serves_the_connections_after_it() {
    let first = FakeApi::start(&[("pod", server(echo).await)]).await;
    let second = FakeApi::start(&[("pod", server(answer_a_line).await)]).await;
    let session = session_with(&first, &["pod"]).await;
    session.clients.send_replace(Some(second.client()));
    assert_eq!(ask(&session, b"hello\n").await.unwrap().len(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_at_once_are_all_served() {
    let api = FakeApi::start(&[("pod", server(answer_a_line).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let answers = futures::future::join_all((0..200).map(|_| ask(&session, b"hello\n"))).await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap().len() == 100_000)
    );
    assert_eq!(session.counters.stats().total, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_can_still_send() {
    // The server reads all and sends all at once; 20 MB exceed every buffer on the way.
    async fn both(mut stream: TcpStream) {
        let (mut read, mut write) = stream.split();
        let noise = vec![b'x'; 20_000_000];
        let mut received = vec![0; 20_000_000];
        let _ = tokio::join!(write.write_all(&noise), read.read_exact(&mut received));
    }
    let api = FakeApi::start(&[("pod", server(both).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    let sending = stream.write_all(&pattern(20_000_000)).await;
    assert!(sending.is_ok());
    let mut received = vec![0; 20_000_000];
    stream.read_exact(&mut received).await.unwrap();
}

#[tokio::test]
async fn a_client_that_aborts_ends_the_connection_in_the_pod() {
    let api = FakeApi::start(&[("pod", server(echo).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    eventually("the connection is torn down", || {
        session.counters.stats().open == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_closes_after_its_answer_does_not_keep_the_pod_for_long() {
    let api = FakeApi::start(&[("pod", server(echo).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    drop(stream);
    eventually("the connection is given up", || {
        session.counters.stats().open == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_ended_its_side_waits_for_a_slow_answer() {
    async fn slow(mut stream: TcpStream) {
        let _ = stream.read_exact(&mut [0; 6]).await;
        sleep(Duration::from_secs(2)).await;
        let _ = stream.write_all(b"at last").await;
    }
    let api = FakeApi::start(&[("pod", server(slow).await)]).await;
    let session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "at last");
}

#[tokio::test]
async fn the_end_of_the_session_frees_the_port_and_ends_the_connections() {
    let api = FakeApi::start(&[("pod", server(echo).await)]).await;
    let mut session = session_with(&api, &["pod"]).await;
    let mut stream = TcpStream::connect(session.address).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    session.cancel.cancel();
    (&mut session.task).await.unwrap();
    assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
    eventually("connections are counted out", || {
        session.counters.stats().open == 0
    })
    .await;
    assert!(!listeners::held(session.address.1));
}

#[tokio::test]
async fn a_held_port_is_refused_by_the_name_of_its_holder_and_left_alone() {
    for address in ["127.0.0.1", "::1", "0.0.0.0"] {
        let holder = std::net::TcpListener::bind((address, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = Listener::bind(&forward(port)).await.unwrap_err();
        assert_eq!(error.code, Code::PortHeld);
        assert!(
            error
                .message
                .contains(&format!("(pid {})", std::process::id())),
            "{}",
            error.message
        );
        drop(holder);
        // A program that another test starts at this moment has the holder's socket, too, until it runs.
        eventually("a half of the listener stays", || !listeners::held(port)).await;
    }
}

#[tokio::test]
async fn the_listener_answers_on_both_loopback_addresses() {
    let listener = Listener::bind(&forward(0)).await.unwrap();
    assert!(listener.v4.local_addr().is_ok());
    // With port 0 the two halves differ; what counts is that both exist.
    let v6 = listener.v6.as_ref().unwrap().local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(v6));
    assert_eq!(
        accepted.peer_addr().unwrap(),
        connected.unwrap().local_addr().unwrap()
    );
}
