//! One watch a namespace: which pods are behind which Service, kept current for the whole session.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::target::{Slice, Snapshot};
use crate::again::{API_SERVER_PAUSES, restart_on_change};
use crate::error::chain;

/// Watches a namespace until `cancel`, through whatever client there is. The snapshot is empty while
/// there is none, and starts again with every new client.
pub fn watch(
    namespace: &str,
    clients: watch::Receiver<Option<Client>>,
    cancel: CancellationToken,
) -> watch::Receiver<Snapshot> {
    let (snapshots, receiver) = watch::channel(Snapshot::default());
    let namespace = namespace.to_owned();
    restart_on_change(clients, cancel, move |client| {
        follow(client, namespace.clone(), snapshots.clone())
    });
    receiver
}

/// Publishes every change. Ends only if the streams do, which kube's watchers never do.
async fn follow(client: Option<Client>, namespace: String, snapshots: watch::Sender<Snapshot>) {
    snapshots.send_replace(Snapshot::default());
    let Some(client) = client else {
        return std::future::pending().await;
    };
    let (slices, writer) = reflector::store::<EndpointSlice>();
    let watched = watcher(
        Api::namespaced(client.clone(), &namespace),
        watcher::Config::default(),
    );
    let of_slices = watched
        .backoff(API_SERVER_PAUSES)
        .reflect(writer)
        .map_ok(drop);
    let (pods, writer) = reflector::store::<PartialObjectMeta<Pod>>();
    let watched = watcher(
        Api::namespaced(client, &namespace),
        watcher::Config::default(),
    );
    let of_pods = watched
        .backoff(API_SERVER_PAUSES)
        .reflect(writer)
        .map_ok(drop);
    let mut changes = stream::select(of_slices.boxed(), of_pods.boxed());
    while let Some(change) = changes.next().await {
        // The watcher itself tries again.
        let trouble = change.err().map(|error| chain(&error));
        let now = snapshot(&slices.state(), &pods.state(), trouble);
        snapshots.send_if_modified(|snapshot| std::mem::replace(snapshot, now.clone()) != now);
    }
}

fn snapshot(
    slices: &[Arc<EndpointSlice>],
    pods: &[Arc<PartialObjectMeta<Pod>>],
    trouble: Option<String>,
) -> Snapshot {
    let slices = slices
        .iter()
        .map(|slice| (slice.name_any(), Slice::from(EndpointSlice::clone(slice))));
    let born = pods
        .iter()
        .filter_map(|pod| Some((pod.name_any(), pod.metadata.creation_timestamp.as_ref()?.0)));
    Snapshot {
        slices: slices.collect(),
        born: born.collect(),
        trouble,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::http::{Request, Response};

    use super::*;

    /// Answers to the requests for EndpointSlices, in order; after the last one the server is silent.
    /// Requests for pods get an empty list.
    fn client(answers: &[(u16, Value)]) -> Client {
        let answers = Arc::new(Mutex::new(answers.iter().cloned().collect::<VecDeque<_>>()));
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let query = request.uri().query().unwrap_or_default().to_owned();
            let answer = match (
                path.ends_with("/endpointslices"),
                query.contains("watch=true"),
            ) {
                (true, _) => answers.lock().unwrap().pop_front(),
                (false, false) => Some((200, list("PartialObjectMetadata", "meta.k8s.io/v1", &[]))),
                (false, true) => None,
            };
            async move {
                let Some((status, body)) = answer else {
                    return std::future::pending().await;
                };
                let body = Body::from(format!("{body}\n").into_bytes());
                let response = Response::builder().status(status).body(body);
                Ok::<_, std::convert::Infallible>(response.unwrap())
            }
        });
        Client::new(service, "ns")
    }

    fn list(kind: &str, version: &str, items: &[Value]) -> Value {
        json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items})
    }

    fn slices(items: &[Value]) -> (u16, Value) {
        (200, list("EndpointSlice", "discovery.k8s.io/v1", items))
    }

    fn slice(pod: &str) -> Value {
        json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
               "metadata": {"name": "api-x", "resourceVersion": "2", "labels": {"kubernetes.io/service-name": "api"}},
               "ports": [{"name": "", "port": 80}],
               "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": pod}}]})
    }

    fn event(kind: &str, object: &Value) -> (u16, Value) {
        (200, json!({"type": kind, "object": object}))
    }

    fn failure(code: u16) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": "Expired", "code": code})
    }

    struct Watch {
        clients: watch::Sender<Option<Client>>,
        snapshots: watch::Receiver<Snapshot>,
        _stop: tokio_util::sync::DropGuard,
    }

    fn start(client: Option<Client>) -> Watch {
        let clients = watch::channel(client).0;
        let cancel = CancellationToken::new();
        let snapshots = watch("ns", clients.subscribe(), cancel.clone());
        Watch {
            clients,
            snapshots,
            _stop: cancel.drop_guard(),
        }
    }

    impl Watch {
        async fn sees(&mut self, what: impl FnMut(&Snapshot) -> bool) -> bool {
            timeout(Duration::from_secs(5), self.snapshots.wait_for(what))
                .await
                .is_ok_and(|seen| seen.is_ok())
        }

        async fn sees_pod(&mut self, pod: &str) -> bool {
            self.sees(|snapshot| {
                snapshot
                    .slices
                    .values()
                    .any(|slice| slice.ready.contains_key(pod))
            })
            .await
        }
    }

    #[tokio::test]
    async fn a_replaced_pod_is_seen_in_the_watch() {
        let mut watch = start(Some(client(&[
            slices(&[slice("old")]),
            event("MODIFIED", &slice("new")),
        ])));
        assert!(watch.sees_pod("new").await);
        assert!(
            !watch.snapshots.borrow().slices["api-x"]
                .ready
                .contains_key("old")
        );
    }

    #[tokio::test]
    async fn an_expired_watch_is_listed_again() {
        let expired = event("ERROR", &failure(410));
        let mut watch = start(Some(client(&[
            slices(&[slice("old")]),
            expired,
            slices(&[slice("new")]),
        ])));
        assert!(watch.sees_pod("new").await);
    }

    #[tokio::test]
    async fn while_the_server_fails_the_last_state_stays_with_the_reason_beside_it() {
        let answers = [
            slices(&[slice("old")]),
            (503, failure(503)),
            (503, failure(503)),
        ];
        let mut watch = start(Some(client(&answers)));
        assert!(watch.sees(|snapshot| snapshot.trouble.is_some()).await);
        assert!(watch.sees_pod("old").await);
    }

    #[tokio::test]
    async fn a_new_client_begins_anew_and_none_means_nothing_is_ready() {
        let mut watch = start(Some(client(&[slices(&[slice("first")])])));
        assert!(watch.sees_pod("first").await);
        watch.clients.send_replace(None);
        assert!(
            watch
                .sees(|snapshot| *snapshot == Snapshot::default())
                .await
        );
        watch
            .clients
            .send_replace(Some(client(&[slices(&[slice("second")])])));
        assert!(watch.sees_pod("second").await);
    }
}
