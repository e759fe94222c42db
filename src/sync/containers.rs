//! The running containers of namespaces, as they come and go.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Volume, VolumeMount};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::exec::ContainerRef;
use super::pods::Pods;
use super::status::Covered;
use crate::again::{API_SERVER_PAUSES, restart_on_change};
use crate::cluster::pod::is_sidecar;

/// Running containers by the id that the runtime gave them: one that is restarted has a new id.
pub type Containers = BTreeMap<String, Container>;

/// A running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub place: ContainerRef,
    /// The image's reference in the pod's spec.
    pub image: String,
    /// What the pod mounts into it, in the spec's order.
    pub mounts: Vec<Mount>,
    /// What made the pod, such as a ReplicaSet, or the pod if nothing did, and the container's name in it: containers of
    /// one owner run the same, and two containers of one pod need not, even if their image is one.
    pub owner: String,
    /// When it was started, in seconds since 1970 by the node's clock.
    pub started: i64,
}

impl Container {
    /// One without mounts, of an image `api:1`.
    #[cfg(test)]
    pub(crate) fn of_test(place: ContainerRef) -> Self {
        Self {
            image: "api:1".to_owned(),
            mounts: vec![],
            owner: place.pod.clone(),
            started: 0,
            place,
        }
    }

    /// What to tell of a path of the build context that goes where something is mounted. `places` are the templates
    /// that mount it, by the path in the container.
    pub(super) fn covered(
        &self,
        path: &Path,
        mount: &str,
        places: &BTreeMap<String, String>,
    ) -> Covered {
        let volume = self
            .mounts
            .iter()
            .find(|known| known.path.trim_end_matches('/') == mount);
        Covered {
            path: path.to_owned(),
            mount: mount.to_owned(),
            volume: volume.map_or_else(|| "a volume".to_owned(), |known| known.volume.clone()),
            place: places.get(mount).cloned(),
        }
    }
}

/// A `volumeMount` of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute, as the spec has it: links on the way are not followed.
    pub path: String,
    /// What is mounted there, in words for the user, such as "claim `data`".
    pub volume: String,
}

/// Publishes the containers and pods of a namespace, beside those of others, until `cancel`, through whatever client
/// there is. While there is none, the last state stays: containers do not end with the way to them.
pub fn watch(
    namespace: &str,
    clients: watch::Receiver<Option<Client>>,
    containers: watch::Sender<Containers>,
    pods: watch::Sender<Pods>,
    cancel: CancellationToken,
) {
    let namespace = namespace.to_owned();
    restart_on_change(clients, cancel, move |client| {
        follow(client, namespace.clone(), containers.clone(), pods.clone())
    });
}

/// Publishes every change. Ends only if the stream does, which kube's watchers never do.
async fn follow(
    client: Option<Client>,
    namespace: String,
    containers: watch::Sender<Containers>,
    states: watch::Sender<Pods>,
) {
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
        let pods = store.state();
        states.send_if_modified(|known| known.take(&namespace, &pods));
        containers.send_if_modified(|known| {
            let mut now = known.clone();
            now.retain(|_, container| container.place.namespace != namespace);
            now.extend(pods.iter().flat_map(|pod| running(pod)));
            std::mem::replace(known, now) != *known
        });
    }
}

/// The containers of a pod that run now. One of a pod that is about to end gets nothing more.
fn running(pod: &Pod) -> Vec<(String, Container)> {
    if pod.metadata.deletion_timestamp.is_some() {
        return vec![];
    }
    let namespace = pod.namespace().unwrap_or_default();
    let name = pod.name_any();
    let sidecars = pod.spec.iter().flat_map(|spec| &spec.init_containers);
    let sidecars = sidecars.flatten().filter(|spec| is_sidecar(spec));
    let specs = pod.spec.iter().flat_map(|spec| &spec.containers);
    let specs = specs.chain(sidecars);
    let volumes = pod.spec.iter().flat_map(|spec| &spec.volumes).flatten();
    let volumes: Vec<_> = volumes.collect();
    let of_sidecars = pod.status.iter().flat_map(|s| &s.init_container_statuses);
    let statuses = pod.status.iter().flat_map(|s| &s.container_statuses);
    let statuses = statuses.chain(of_sidecars).flatten();
    let owner = pod.owner_references().first();
    let owner = owner.map_or_else(|| name.clone(), |owner| owner.name.clone());
    let found = statuses.filter_map(|status| {
        let running = status.state.as_ref()?.running.as_ref()?;
        let started = running.started_at.as_ref();
        let spec = specs.clone().find(|spec| spec.name == status.name)?;
        let image = spec.image.clone()?;
        let place = ContainerRef {
            namespace: namespace.clone(),
            pod: name.clone(),
            container: status.name.clone(),
        };
        let mounts = spec.volume_mounts.iter().flatten();
        let container = Container {
            place,
            image,
            mounts: mounts.map(|mount| mounted(mount, &volumes)).collect(),
            owner: format!("{owner}/{}", status.name),
            started: started.map_or(0, |time| time.0.as_second()),
        };
        Some((status.container_id.clone()?, container))
    });
    found.collect()
}

fn mounted(mount: &VolumeMount, volumes: &[&Volume]) -> Mount {
    let volume = volumes.iter().find(|volume| volume.name == mount.name);
    Mount {
        path: mount.mount_path.clone(),
        volume: volume.map_or_else(
            || format!("volume `{}`", mount.name),
            |volume| named(volume),
        ),
    }
}

/// What a volume brings, in words for the user.
fn named(volume: &Volume) -> String {
    let claim = volume.persistent_volume_claim.as_ref();
    let claim = claim.map(|claim| format!("claim `{}`", claim.claim_name));
    let config_map = volume.config_map.as_ref();
    let config_map = config_map.map(|map| format!("ConfigMap `{}`", map.name));
    let secret = volume
        .secret
        .as_ref()
        .and_then(|secret| secret.secret_name.as_ref());
    let secret = secret.map(|name| format!("Secret `{name}`"));
    let host_path = volume.host_path.as_ref();
    let host_path = host_path.map(|host| format!("the node's `{}`", host.path));
    claim
        .or(config_map)
        .or(secret)
        .or(host_path)
        .unwrap_or_else(|| format!("volume `{}`", volume.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(state: &serde_json::Value, ending: bool) -> Pod {
        let mut pod = serde_json::json!({
            "metadata": {"name": "api-1", "namespace": "shop"},
            "spec": {
                "containers": [
                    {"name": "api", "image": "devk.local/shop/api:1", "volumeMounts": [
                        {"name": "data", "mountPath": "/data"},
                        {"name": "config", "mountPath": "/app/x.yaml", "subPath": "x.yaml"},
                        {"name": "scratch", "mountPath": "/tmp"},
                    ]},
                    {"name": "side", "image": "x"},
                ],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "api-data"}},
                    {"name": "config", "configMap": {"name": "api"}},
                    {"name": "scratch", "emptyDir": {}},
                ],
            },
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
            mounts: [
                ("/data", "claim `api-data`"),
                ("/app/x.yaml", "ConfigMap `api`"),
                ("/tmp", "volume `scratch`"),
            ]
            .map(|(path, volume)| Mount {
                path: path.into(),
                volume: volume.into(),
            })
            .into(),
            owner: "api-1/api".into(),
            started: 1_767_225_600,
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

    #[test]
    fn a_sidecar_among_the_init_containers_is_a_container_and_a_step_before_the_start_is_none() {
        let up = serde_json::json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let mut pod = serde_json::to_value(pod(&up, false)).unwrap();
        pod["spec"]["initContainers"] = serde_json::json!([
            {"name": "log", "image": "devk.local/shop/api:1", "restartPolicy": "Always"},
            {"name": "migrate", "image": "devk.local/shop/api:1"},
        ]);
        let status = |name: &str| {
            serde_json::json!({"name": name, "containerID": name, "image": "x", "imageID": "", "ready": true,
                               "restartCount": 0, "state": up})
        };
        pod["status"]["initContainerStatuses"] =
            serde_json::json!([status("log"), status("migrate")]);
        let found = running(&serde_json::from_value(pod).unwrap());
        let found: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(found, ["containerd://a", "log"]);
    }
}
