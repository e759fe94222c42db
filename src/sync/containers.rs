//! The running containers of a namespace, as they come and go.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::exec::ContainerRef;
use crate::again::{API_SERVER_PAUSES, restart_on_change};

/// Running containers by the id that the runtime gave them: one that is restarted has a new id.
pub type Containers = BTreeMap<String, Container>;

/// A running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub place: ContainerRef,
    /// The image's reference in the pod's spec.
    pub image: String,
}

/// Publishes the containers of a namespace until `cancel`, through whatever client there is. While there is none,
/// the last state stays: containers do not end with the way to them.
pub fn watch(
    namespace: &str,
    clients: watch::Receiver<Option<Client>>,
    sender: watch::Sender<Containers>,
    cancel: CancellationToken,
) {
    let namespace = namespace.to_owned();
    restart_on_change(clients, cancel, move |client| {
        follow(client, namespace.clone(), sender.clone())
    });
}

/// Publishes every change. Ends only if the stream does, which kube's watchers never do.
async fn follow(client: Option<Client>, namespace: String, sender: watch::Sender<Containers>) {
    let Some(client) = client else {
        return std::future::pending().await;
    };
    let pods = watcher(
        Api::<Pod>::namespaced(client, &namespace),
        watcher::Config::default(),
    );
    let (store, writer) = reflector::store();
    let mut pods = pods.backoff(API_SERVER_PAUSES).reflect(writer).boxed();
    while let Some(event) = pods.next().await {
        // The store of a new client holds nothing before its first list is whole.
        if matches!(event, Err(_) | Ok(Event::Init | Event::InitApply(_))) {
            continue;
        }
        let now: Containers = store.state().iter().flat_map(|pod| running(pod)).collect();
        sender.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
    }
}

/// The containers of a pod that run now. One of a pod that is about to end gets nothing more.
fn running(pod: &Pod) -> Vec<(String, Container)> {
    if pod.metadata.deletion_timestamp.is_some() {
        return vec![];
    }
    let namespace = pod.namespace().unwrap_or_default();
    let name = pod.name_any();
    let specs = pod.spec.iter().flat_map(|spec| &spec.containers);
    let statuses = pod.status.iter().flat_map(|s| &s.container_statuses);
    let running = statuses.flatten().filter(|status| {
        status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    });
    let found = running.filter_map(|status| {
        let spec = specs.clone().find(|spec| spec.name == status.name)?;
        let image = spec.image.clone()?;
        let place = ContainerRef {
            namespace: namespace.clone(),
            pod: name.clone(),
            container: status.name.clone(),
        };
        Some((status.container_id.clone()?, Container { place, image }))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(state: &serde_json::Value, ending: bool) -> Pod {
        let mut pod = serde_json::json!({
            "metadata": {"name": "api-1", "namespace": "shop"},
            "spec": {"containers": [{"name": "api", "image": "devk.local/shop/api:1"}, {"name": "side", "image": "x"}]},
            "status": {"containerStatuses": [
                {"name": "api", "containerID": "containerd://a", "image": "sha256:1", "imageID": "", "ready": false, "restartCount": 0, "state": state},
                {"name": "side", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {}}},
            ]}
        });
        if ending {
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_container_is_there_while_it_runs_by_the_image_of_its_spec() {
        let up = serde_json::json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let place = ContainerRef {
            namespace: "shop".into(),
            pod: "api-1".into(),
            container: "api".into(),
        };
        let expected = Container {
            place,
            image: "devk.local/shop/api:1".into(),
        };
        assert_eq!(
            running(&pod(&up, false)),
            [("containerd://a".to_owned(), expected)]
        );
        assert_eq!(
            running(&pod(
                &serde_json::json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                false
            )),
            []
        );
        assert_eq!(running(&pod(&up, true)), []);
    }
}
