//! The pods of namespaces as the API server tells of them: whether they are ready, and how their containers ended last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::cluster::node_end::ended_with_its_node;

/// The label by which the pods of a ReplicaSet carry the end of its name.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// What a container waits for that does not come by itself.
const STUCK: [&str; 6] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];
/// SIGTERM's exit code: whoever is asked to end does.
const TERMINATED: i32 = 128 + 15;

/// By namespace that is not the project's own: the labels of the pods of each workload that the project has there.
pub type OwnElsewhere = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// Pods by namespace and name, without those that are about to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods {
    states: BTreeMap<(String, String), PodState>,
    /// Of these namespaces only the project's own pods count.
    elsewhere: OwnElsewhere,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    pub namespace: String,
    pub name: String,
    /// A pod of a StatefulSet has the name of the one that it replaces.
    pub uid: String,
    /// What made it, such as a Deployment, by its name; its own name if nothing did.
    pub workload: String,
    pub labels: BTreeMap<String, String>,
    pub is_ready: bool,
    /// A Job's, or one that has ended, well or in favour of another: it is not to be ready.
    pub is_job: bool,
    pub containers: Vec<ContainerState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub name: String,
    /// The image's reference in the pod's spec.
    pub image: String,
    pub restarts: i32,
    /// Why it does not run, and that it will not by itself.
    pub stuck: Option<String>,
    /// How its last run failed.
    pub crash: Option<Crash>,
}

/// The end of a run that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    pub code: i32,
    /// `Error`, `OOMKilled`.
    pub reason: String,
    /// When devk heard of it.
    pub at: Instant,
}

impl Pods {
    /// Takes over the pods of a namespace. Whether anything is another.
    pub(crate) fn take(&mut self, namespace: &str, pods: &[Arc<Pod>]) -> bool {
        let mut now = self.states.clone();
        now.retain(|(of, _), _| of != namespace);
        let staying = pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        for pod in staying {
            let key = (namespace.to_owned(), pod.name_any());
            let mut state = PodState::of(namespace, pod);
            if let Some(before) = self.states.get(&key) {
                state.keep_times(before);
            }
            now.insert(key, state);
        }
        std::mem::replace(&mut self.states, now) != self.states
    }

    /// Whose pods count in namespaces that others use, too. Whether that is another than before.
    pub fn limit(&mut self, elsewhere: OwnElsewhere) -> bool {
        std::mem::replace(&mut self.elsewhere, elsewhere) != self.elsewhere
    }

    /// The pods of the project.
    pub fn iter(&self) -> impl Iterator<Item = &PodState> {
        let is_own = |pod: &&PodState| match self.elsewhere.get(&pod.namespace) {
            Some(workloads) => workloads.iter().any(|labels| pod.has_labels(labels)),
            None => true,
        };
        self.states.values().filter(is_own)
    }
}

impl PodState {
    fn of(namespace: &str, pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let is_ready = conditions
            .iter()
            .flat_map(|conditions| conditions.iter())
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let owner = pod.owner_references().first();
        // Whatever made a pod that was evicted makes another one.
        let has_ended = match status.and_then(|status| status.phase.as_deref()) {
            Some("Succeeded") => true,
            Some("Failed") => owner.is_some(),
            _ => false,
        };
        let specs = pod.spec.iter().flat_map(|spec| &spec.containers);
        let statuses = status.and_then(|status| status.container_statuses.as_ref());
        let containers = specs.map(|spec| {
            let status = statuses
                .iter()
                .flat_map(|statuses| statuses.iter())
                .find(|status| status.name == spec.name);
            let image = spec.image.clone().unwrap_or_default();
            ContainerState::of(&spec.name, image, status)
        });
        Self {
            namespace: namespace.to_owned(),
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            workload: workload(pod),
            labels: pod.labels().clone(),
            is_ready,
            is_job: has_ended || owner.is_some_and(|owner| owner.kind == "Job"),
            containers: containers.collect(),
        }
    }

    pub fn has_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(key, value)| self.labels.get(key) == Some(value);
        labels.iter().all(has)
    }

    /// Whether the spec of a container has an image's reference.
    pub fn runs(&self, reference: &str) -> bool {
        self.containers
            .iter()
            .any(|container| container.image == reference)
    }

    /// What was known before has not happened just now.
    fn keep_times(&mut self, before: &Self) {
        for container in &mut self.containers {
            let known = before
                .containers
                .iter()
                .find(|known| known.name == container.name && known.restarts == container.restarts);
            if let Some((crash, known)) = container
                .crash
                .as_mut()
                .zip(known.and_then(|known| known.crash.as_ref()))
            {
                crash.at = known.at;
            }
        }
    }
}

impl ContainerState {
    fn of(name: &str, image: String, status: Option<&ContainerStatus>) -> Self {
        let state = status.and_then(|status| status.state.as_ref());
        let last = status.and_then(|status| status.last_state.as_ref());
        let waiting = state.and_then(|state| state.waiting.as_ref());
        let stuck = waiting.and_then(|waiting| {
            let reason = waiting.reason.as_deref()?;
            let message = waiting.message.as_deref().unwrap_or_default();
            let stuck = || format!("{reason}: {message}");
            STUCK
                .contains(&reason)
                .then(|| stuck().trim_end_matches(": ").to_owned())
        });
        let ended = state
            .and_then(|state| state.terminated.as_ref())
            .or_else(|| last.and_then(|last| last.terminated.as_ref()));
        let failed = ended
            .filter(|ended| !matches!(ended.exit_code, 0 | TERMINATED))
            .filter(|ended| !ended_with_its_node(ended));
        let crash = failed.map(|ended| {
            let age = ended.finished_at.as_ref().map_or(Duration::ZERO, |time| {
                let seconds = jiff::Timestamp::now().as_second() - time.0.as_second();
                Duration::from_secs(seconds.try_into().unwrap_or(0))
            });
            Crash {
                code: ended.exit_code,
                reason: ended.reason.clone().unwrap_or_default(),
                at: Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
            }
        });
        Self {
            name: name.to_owned(),
            image,
            restarts: status.map_or(0, |status| status.restart_count),
            stuck,
            crash,
        }
    }
}

/// A ReplicaSet is named for its Deployment and its template.
fn workload(pod: &Pod) -> String {
    let Some(owner) = pod.owner_references().first() else {
        return pod.name_any();
    };
    let hash = pod.labels().get(TEMPLATE_HASH);
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    deployment.unwrap_or(&owner.name).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(state: &Value) -> Arc<Pod> {
        let pod = json!({
            "metadata": {
                "name": "api-5d9-x", "namespace": "shop", "labels": {TEMPLATE_HASH: "5d9"},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-5d9", "uid": "u"},
                ],
            },
            "spec": {"containers": [{"name": "api", "image": "api:1"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [state],
            },
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn status(restarts: i32, state: &Value, code: i32) -> Value {
        json!({
            "name": "api", "image": "api:1", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state,
            "lastState": {"terminated": {
                "exitCode": code, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z",
            }},
        })
    }

    #[test]
    fn a_crash_has_happened_when_devk_heard_of_it_first() {
        let mut pods = Pods::default();
        let first = pod(&status(1, &json!({"running": {}}), 1));
        assert!(pods.take("shop", std::slice::from_ref(&first)));
        let known = pods.clone();
        assert!(!pods.take("shop", &[first]), "it is the same pod");
        assert!(!pods.take("other", &[]));
        let again = pod(&status(
            2,
            &json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            3,
        ));
        assert!(pods.take("shop", &[again]));
        let states = [&known, &pods].map(|pods| pods.iter().next().unwrap().clone());
        assert_eq!(
            (states[0].workload.as_str(), states[0].is_ready),
            ("api", false)
        );
        let containers = states.map(|state| state.containers[0].clone());
        assert_eq!(containers[0].stuck, None);
        assert_eq!(containers[1].stuck.as_deref(), Some("CrashLoopBackOff"));
        let [before, now] = containers.map(|container| container.crash.unwrap());
        assert_eq!((before.code, now.code), (1, 3));
    }

    #[test]
    fn in_namespaces_of_others_only_pods_of_the_projects_workloads_count() {
        let named = |name: &str, labels: Value| {
            let metadata = json!({"name": name, "labels": labels});
            Arc::new(serde_json::from_value(json!({"metadata": metadata})).unwrap())
        };
        let agent = || named("agent", json!({"app": "agent", "pod-template-hash": "1"}));
        let mut pods = Pods::default();
        pods.take("kube-system", &[named("coredns", json!({"app": "dns"}))]);
        pods.take("tools", &[agent(), named("other", json!({"app": "other"}))]);
        pods.take("shop", &[named("api", json!({}))]);
        let own = BTreeMap::from([("app".to_owned(), "agent".to_owned())]);
        let elsewhere = OwnElsewhere::from([
            ("kube-system".to_owned(), vec![]),
            ("tools".to_owned(), vec![own]),
        ]);
        assert!(pods.limit(elsewhere.clone()));
        assert!(!pods.limit(elsewhere), "it is the same");
        pods.take("kube-system", &[agent()]);
        let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["api", "agent"]);
    }

    #[test]
    fn what_ended_with_its_node_has_not_crashed() {
        let mut lost = status(1, &json!({"running": {}}), 255);
        lost["lastState"]["terminated"]["reason"] = json!("Unknown");
        let mut pods = Pods::default();
        pods.take("shop", &[pod(&lost)]);
        assert_eq!(pods.iter().next().unwrap().containers[0].crash, None);
    }

    #[test]
    fn who_was_asked_to_end_has_not_crashed() {
        for code in [0, TERMINATED] {
            let mut pods = Pods::default();
            pods.take("shop", &[pod(&status(1, &json!({"running": {}}), code))]);
            assert_eq!(pods.iter().next().unwrap().containers[0].crash, None);
        }
    }
}
