//! When a workload is ready, and which pods are its current ones: pure functions of its object.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::crash::last_seen;
use super::labels::has_all;
use crate::cluster::pod::is_ready;

/// How far a workload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WorkloadState {
    Ready,
    Waiting {
        ready: i32,
        wanted: i32,
    },
    /// It will not become ready by itself.
    Failed(String),
    /// There is no such object.
    Missing,
}

/// The rule of `kubectl rollout status`: the newest spec was seen, all replicas are of it and
/// available, and none of an older one is left.
pub(super) fn deployment(object: &Deployment) -> WorkloadState {
    let wanted = object.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let Some(status) = object.status.as_ref() else {
        return WorkloadState::Waiting { ready: 0, wanted };
    };
    let counts = [
        status.replicas,
        status.updated_replicas,
        status.available_replicas,
    ];
    let settled = counts.iter().all(|count| count.unwrap_or(0) == wanted);
    let updated = status
        .updated_replicas
        .unwrap_or(0)
        .min(status.available_replicas.unwrap_or(0));
    verdict(
        settled && seen(object, status.observed_generation),
        updated,
        wanted,
    )
}

/// As a Deployment, below the partition and with `OnDelete` older pods are fine.
pub(super) fn stateful_set(object: &StatefulSet) -> WorkloadState {
    let spec = object.spec.as_ref();
    let wanted = spec.and_then(|s| s.replicas).unwrap_or(1);
    let strategy = spec.and_then(|s| s.update_strategy.as_ref());
    let partition = strategy
        .and_then(|s| s.rolling_update.as_ref())
        .and_then(|r| r.partition)
        .unwrap_or(0);
    let on_delete = strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete");
    let Some(status) = object.status.as_ref() else {
        return WorkloadState::Waiting { ready: 0, wanted };
    };
    let ready = status
        .ready_replicas
        .unwrap_or(0)
        .min(status.available_replicas.unwrap_or(0));
    // Once a rollout is complete the counter of updated replicas may be dropped.
    let complete = status.current_revision == status.update_revision;
    let updated =
        complete || on_delete || status.updated_replicas.unwrap_or(0) >= wanted - partition;
    let settled = ready == wanted && status.replicas == wanted && updated;
    verdict(
        settled && seen(object, status.observed_generation),
        ready,
        wanted,
    )
}

/// Available on every node it wants, in the newest version unless the strategy is `OnDelete`.
pub(super) fn daemon_set(object: &DaemonSet) -> WorkloadState {
    let strategy = object
        .spec
        .as_ref()
        .and_then(|s| s.update_strategy.as_ref());
    let on_delete = strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete");
    let Some(status) = object.status.as_ref() else {
        return WorkloadState::Waiting {
            ready: 0,
            wanted: 1,
        };
    };
    let wanted = status.desired_number_scheduled;
    let available = status.number_available.unwrap_or(0);
    let updated = on_delete || status.updated_number_scheduled.unwrap_or(0) == wanted;
    verdict(
        available == wanted && updated && seen(object, status.observed_generation),
        available,
        wanted,
    )
}

/// Complete, or suspended on purpose.
pub(super) fn job(object: &Job) -> WorkloadState {
    let wanted = object
        .spec
        .as_ref()
        .and_then(|s| s.completions)
        .unwrap_or(1);
    let status = object.status.as_ref();
    let conditions = status
        .and_then(|s| s.conditions.as_ref())
        .into_iter()
        .flatten();
    for condition in conditions.filter(|c| c.status == "True") {
        match condition.type_.as_str() {
            "Complete" | "SuccessCriteriaMet" | "Suspended" => return WorkloadState::Ready,
            "Failed" => {
                return WorkloadState::Failed(
                    condition
                        .message
                        .clone()
                        .unwrap_or_else(|| "the job failed".to_owned()),
                );
            }
            _ => {}
        }
    }
    WorkloadState::Waiting {
        ready: status.and_then(|s| s.succeeded).unwrap_or(0),
        wanted,
    }
}

/// The reasons for which the Job controller gives a Job up (batch/v1, `JobFailed`).
const GIVEN_UP: [&str; 5] = [
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "PodFailurePolicy",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
];

/// How a Job that is gone has ended, by its events; without any it counts as done.
pub(super) fn ended_job<'a>(events: impl Iterator<Item = &'a Event>) -> WorkloadState {
    let is_end = |event: &&Event| {
        let reason = event.reason.as_deref().unwrap_or_default();
        reason == "Completed" || GIVEN_UP.contains(&reason)
    };
    match events.filter(is_end).max_by_key(|event| last_seen(event)) {
        Some(last) if last.type_.as_deref() == Some("Warning") => WorkloadState::Failed(
            last.message
                .clone()
                .unwrap_or_else(|| "the job failed".to_owned()),
        ),
        _ => WorkloadState::Ready,
    }
}

/// Ready, or run to its end.
pub(super) fn pod(object: &Pod) -> WorkloadState {
    let status = object.status.as_ref();
    let ready = is_ready(object);
    match status.and_then(|s| s.phase.as_deref()) {
        Some("Succeeded") => WorkloadState::Ready,
        Some("Failed") => WorkloadState::Failed(
            status
                .and_then(|s| s.message.clone())
                .unwrap_or_else(|| "the pod failed".into()),
        ),
        _ => verdict(ready, i32::from(ready), 1),
    }
}

/// The pods of the newest revision, by the hash label that its controller puts on them. Right after
/// an upgrade there are none: pods of the older version say nothing about the new one.
pub(super) fn deployment_pods(object: &Deployment, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let status = object.status.as_ref();
    let updated = status.and_then(|s| s.updated_replicas).unwrap_or(0);
    if updated == 0 || !seen(object, status.and_then(|s| s.observed_generation)) {
        return Vec::new();
    }
    newest_revision(
        selected(object.spec.as_ref().map(|s| &s.selector), pods),
        "pod-template-hash",
    )
}

/// As [`deployment_pods`].
pub(super) fn daemon_set_pods(object: &DaemonSet, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let status = object.status.as_ref();
    let updated = status.and_then(|s| s.updated_number_scheduled).unwrap_or(0);
    if updated == 0 || !seen(object, status.and_then(|s| s.observed_generation)) {
        return Vec::new();
    }
    newest_revision(
        selected(object.spec.as_ref().map(|s| &s.selector), pods),
        "controller-revision-hash",
    )
}

/// All its pods: a StatefulSet in the default order never replaces a broken pod of an older
/// revision, so that pod is what stands in the way.
pub(super) fn stateful_set_pods(object: &StatefulSet, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    if !seen(
        object,
        object.status.as_ref().and_then(|s| s.observed_generation),
    ) {
        return Vec::new();
    }
    selected(object.spec.as_ref().map(|s| &s.selector), pods)
}

/// The pods that Kubernetes made for a job.
pub(super) fn job_pods(object: &Job, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    selected(object.spec.as_ref().and_then(|s| s.selector.as_ref()), pods)
}

/// Pods know of a crash before their controller counts it: a workload is ready only if its pods are.
/// Pods that have ended for good (evicted ones stay for a while) do not count.
pub(super) fn confirmed(state: WorkloadState, pods: &[Arc<Pod>]) -> WorkloadState {
    let states: Vec<_> = pods
        .iter()
        .map(|object| pod(object))
        .filter(|s| !matches!(s, WorkloadState::Failed(_)))
        .collect();
    let ready = states
        .iter()
        .filter(|s| **s == WorkloadState::Ready)
        .count();
    if state != WorkloadState::Ready || ready == states.len() {
        return state;
    }
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    WorkloadState::Waiting {
        ready: count(ready),
        wanted: count(states.len()),
    }
}

/// A container without a readiness probe is ready as soon as it runs, even if it crashes a second
/// later. It has proven itself after this long, or longer once it has crashed.
const PROVEN_DELAY: Duration = Duration::from_secs(3);
const PROVEN_AFTER_CRASH_DELAY: Duration = Duration::from_secs(10);

/// The runs of a pod's containers that have yet to prove themselves: a name for each run, and how
/// long it has to last from now on.
pub(super) fn unproven(pod: &Pod, now: Timestamp) -> Vec<(String, Duration)> {
    let specs = pod.spec.iter().flat_map(|spec| &spec.containers);
    let probed: Vec<_> = specs
        .filter(|c| c.readiness_probe.is_some())
        .map(|c| c.name.as_str())
        .collect();
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let unprobed = containers.filter(|c| !probed.contains(&c.name.as_str()));
    unprobed
        .filter_map(|container| unproven_run(pod, container, now))
        .collect()
}

/// How long a container has been running; None if it is not.
pub(super) fn running_for(container: &ContainerStatus, now: Timestamp) -> Option<Duration> {
    let running = container.state.as_ref()?.running.as_ref()?;
    let started = running.started_at.as_ref()?.0;
    // A node whose clock is ahead seems to have started it in the future: an age of zero.
    Some(Duration::try_from(now.duration_since(started)).unwrap_or_default())
}

fn unproven_run(
    pod: &Pod,
    container: &ContainerStatus,
    now: Timestamp,
) -> Option<(String, Duration)> {
    let age = running_for(container, now)?;
    let crashed = container
        .last_state
        .as_ref()
        .and_then(|s| s.terminated.as_ref())
        .is_some_and(|t| t.exit_code != 0);
    let needed = if crashed {
        PROVEN_AFTER_CRASH_DELAY
    } else {
        PROVEN_DELAY
    };
    let left = needed.checked_sub(age).filter(|left| !left.is_zero())?;
    Some((
        format!(
            "{}/{}/{}",
            pod.name_any(),
            container.name,
            container.restart_count
        ),
        left,
    ))
}

/// True for a pod that an upgrade of its StatefulSet should have replaced.
pub(super) fn is_outdated(object: &StatefulSet, pod: &Pod) -> bool {
    let newest = object
        .status
        .as_ref()
        .and_then(|s| s.update_revision.as_ref());
    newest.is_some() && pod.labels().get("controller-revision-hash") != newest
}

fn verdict(settled: bool, ready: i32, wanted: i32) -> WorkloadState {
    if settled {
        WorkloadState::Ready
    } else {
        WorkloadState::Waiting { ready, wanted }
    }
}

fn seen(object: &impl ResourceExt, observed: Option<i64>) -> bool {
    observed.unwrap_or(0) >= object.meta().generation.unwrap_or(0)
}

fn selected(selector: Option<&LabelSelector>, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let labels = selector
        .and_then(|s| s.match_labels.as_ref())
        .filter(|labels| !labels.is_empty());
    let Some(labels) = labels else {
        return Vec::new();
    };
    let alive = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    alive
        .filter(|pod| has_all(pod.labels(), labels))
        .cloned()
        .collect()
}

fn newest_revision(mut pods: Vec<Arc<Pod>>, label: &str) -> Vec<Arc<Pod>> {
    let newest = pods.iter().max_by_key(|pod| pod.creation_timestamp());
    let revision = newest.and_then(|pod| pod.labels().get(label)).cloned();
    pods.retain(|pod| pod.labels().get(label) == revision.as_ref());
    pods
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn rollout(generation: i64, counts: [i32; 3]) -> Deployment {
        let [replicas, updated, available] = counts;
        read(json!({
            "metadata": {"name": "api", "generation": generation},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "api"}}, "template": {}},
            "status": {"observedGeneration": 5, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available},
        }))
    }

    #[test]
    fn a_deployment_is_ready_when_only_new_pods_are_left_and_available() {
        assert_eq!(deployment(&rollout(5, [2, 2, 2])), WorkloadState::Ready);
        assert_eq!(
            deployment(&rollout(5, [2, 2, 1])),
            WorkloadState::Waiting {
                ready: 1,
                wanted: 2
            }
        );
        assert_eq!(
            deployment(&rollout(5, [3, 2, 3])),
            WorkloadState::Waiting {
                ready: 2,
                wanted: 2
            },
            "an old pod is left"
        );
        assert_eq!(
            deployment(&rollout(6, [2, 2, 2])),
            WorkloadState::Waiting {
                ready: 2,
                wanted: 2
            },
            "not seen yet"
        );
    }

    #[test]
    fn a_stateful_set_waits_for_the_update_above_its_partition() {
        let set = |updated: i32, partition: i32| -> StatefulSet {
            read(json!({
                "metadata": {"generation": 1},
                "spec": {"replicas": 2, "selector": {}, "template": {}, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
                "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "availableReplicas": 2,
                           "updatedReplicas": updated, "currentRevision": "a", "updateRevision": "b"},
            }))
        };
        assert_eq!(stateful_set(&set(2, 0)), WorkloadState::Ready);
        assert_eq!(
            stateful_set(&set(1, 0)),
            WorkloadState::Waiting {
                ready: 2,
                wanted: 2
            }
        );
        assert_eq!(stateful_set(&set(1, 1)), WorkloadState::Ready);
    }

    #[test]
    fn a_daemon_set_that_no_node_wants_is_ready() {
        let set: DaemonSet = read(
            json!({"status": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0,
            "numberMisscheduled": 0, "numberReady": 0}}),
        );
        assert_eq!(daemon_set(&set), WorkloadState::Ready);
    }

    #[test]
    fn a_job_is_ready_when_complete_and_failed_for_good() {
        let with = |kind: &str| -> Job {
            read(
                json!({"status": {"conditions": [{"type": kind, "status": "True", "message": "no more tries"}]}}),
            )
        };
        assert_eq!(job(&with("Complete")), WorkloadState::Ready);
        assert_eq!(
            job(&with("Failed")),
            WorkloadState::Failed("no more tries".into())
        );
        assert_eq!(
            job(&Job::default()),
            WorkloadState::Waiting {
                ready: 0,
                wanted: 1
            }
        );
    }

    fn pod_of(hash: &str, created: &str) -> Arc<Pod> {
        let labels = json!({"app": "api", "pod-template-hash": hash});
        Arc::new(read(
            json!({"metadata": {"name": hash, "labels": labels, "creationTimestamp": created}}),
        ))
    }

    #[test]
    fn only_pods_of_the_newest_revision_count() {
        let pods = [
            pod_of("old", "2026-01-01T00:00:00Z"),
            pod_of("new", "2026-01-02T00:00:00Z"),
        ];
        let names: Vec<_> = deployment_pods(&rollout(5, [3, 1, 2]), &pods)
            .iter()
            .map(|p| p.name_any())
            .collect();
        assert_eq!(names, ["new"]);
        assert_eq!(
            deployment_pods(&rollout(5, [2, 0, 2]), &pods).len(),
            0,
            "the new ones do not exist yet"
        );
    }

    #[test]
    fn a_container_without_a_probe_has_to_run_for_a_while_and_longer_after_a_crash() {
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let run = |started: &str, last: Value, probe: Value| {
            let container = json!({"name": "api", "image": "", "imageID": "", "ready": true, "restartCount": 1,
                "state": {"running": {"startedAt": started}}, "lastState": last});
            let pod: Pod = read(
                json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]},
                "spec": {"containers": [{"name": "api", "readinessProbe": probe}]}}),
            );
            unproven(&pod, now).first().map(|(_, left)| left.as_secs())
        };
        let crash = json!({"terminated": {"exitCode": 1}});
        assert_eq!(run("2026-01-01T00:00:08Z", json!({}), Value::Null), Some(1));
        assert_eq!(run("2026-01-01T00:00:06Z", json!({}), Value::Null), None);
        assert_eq!(
            run("2026-01-01T00:00:06Z", crash.clone(), Value::Null),
            Some(6)
        );
        assert_eq!(
            run("2026-01-01T00:05:00Z", json!({}), Value::Null),
            Some(3),
            "the node's clock is ahead"
        );
        assert_eq!(
            run("2026-01-01T00:00:09Z", crash, json!({})),
            None,
            "a probe is proof enough"
        );
    }

    #[test]
    fn a_workload_is_not_ready_while_one_of_its_pods_is_not() {
        let pod = |status: Value| -> Arc<Pod> {
            Arc::new(read(json!({"metadata": {"name": "p"}, "status": status})))
        };
        let ready =
            pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        let crashed =
            pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}));
        let evicted = pod(json!({"phase": "Failed"}));
        assert_eq!(
            confirmed(WorkloadState::Ready, &[ready.clone(), evicted]),
            WorkloadState::Ready
        );
        assert_eq!(
            confirmed(WorkloadState::Ready, &[ready, crashed]),
            WorkloadState::Waiting {
                ready: 1,
                wanted: 2
            }
        );
    }
}
