//! What becomes of a pod that is deleted, which its controller decides. A Job counts a pod that is deleted before it ended as
//! one that failed (kubernetes.io/docs/concepts/workloads/controllers/job, "Handling Pod and container failures"). Pure.

use serde_json::Value;

use super::risk::ChangeRisk;
use crate::release::pods::list;

/// Kinds that make a pod anew.
const REMAKE: &[&str] = &[
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ReplicationController",
];
/// The failures that a Job allows if it does not say so (batch/v1).
const BACKOFF_LIMIT: u64 = 6;

/// Kind and name of the controller of a pod.
pub(super) fn controller(pod: &Value) -> Option<(&str, &str)> {
    let owner =
        list(&pod["metadata"]["ownerReferences"]).find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

/// The name of the Job that made a pod.
pub(super) fn job_of(pod: &Value) -> Option<&str> {
    controller(pod)
        .filter(|(kind, _)| *kind == "Job")
        .map(|(_, name)| name)
}

/// The risk of the deletion of a pod. `job` is the Job that controls it, if it was read.
pub(super) fn pod_end(pod: Option<&Value>, job: Option<&Value>) -> (ChangeRisk, String) {
    use ChangeRisk::{Destructive, Disruptive};
    match pod.and_then(controller) {
        None => (
            Destructive,
            "the pod has no controller, so nothing makes another".to_owned(),
        ),
        Some((kind, name)) if REMAKE.contains(&kind) => (
            Disruptive,
            format!("the pod ends, and its {kind} `{name}` makes another"),
        ),
        Some(("Job", name)) => {
            let ended = pod.and_then(|pod| pod["status"]["phase"].as_str());
            of_job(name, ended, job)
        }
        Some((kind, name)) => (
            Destructive,
            format!("the pod ends, and whether its {kind} `{name}` makes another is not known"),
        ),
    }
}

fn of_job(name: &str, phase: Option<&str>, job: Option<&Value>) -> (ChangeRisk, String) {
    use ChangeRisk::{Destructive, Disruptive};
    if let Some(ended @ ("Succeeded" | "Failed")) = phase {
        let ended = ended.to_lowercase();
        let why = format!("the pod of Job `{name}` has {ended} already, and its logs go");
        return (Disruptive, why);
    }
    let Some(job) = job else {
        let why = format!("the pod ends, and its Job `{name}` is not there to make another");
        return (Destructive, why);
    };
    let spec = &job["spec"];
    if !spec["podFailurePolicy"].is_null() {
        let why = format!(
            "the pod ends, and the podFailurePolicy of Job `{name}` decides whether the Job fails"
        );
        return (Destructive, why);
    }
    if !spec["backoffLimitPerIndex"].is_null() {
        let why = format!(
            "Job `{name}` counts it as a failure of the pod's index, which may be its last one"
        );
        return (Destructive, why);
    }
    let limit = spec["backoffLimit"].as_u64().unwrap_or(BACKOFF_LIMIT);
    let failures = job["status"]["failed"].as_u64().unwrap_or(0) + 1;
    let restarts = &spec["template"]["spec"]["restartPolicy"];
    if failures > limit {
        let why = format!(
            "Job `{name}` counts it as failure {failures}, and its backoffLimit is {limit}: the Job fails"
        );
        return (Destructive, why);
    }
    let also = match restarts == "OnFailure" {
        true => ", beside the restarts of its containers",
        false => "",
    };
    let why = format!(
        "Job `{name}` counts it as failure {failures} of the {limit} that its backoffLimit allows{also}, and starts its \
         work again in another pod"
    );
    (Disruptive, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(kind: &str, phase: &str) -> Value {
        let owner = json!({"kind": kind, "name": "web", "controller": true});
        json!({"metadata": {"ownerReferences": [owner]}, "status": {"phase": phase}})
    }

    #[test]
    fn what_becomes_of_a_pod_is_its_controllers_to_decide() {
        use ChangeRisk::{Destructive, Disruptive};
        let job = |spec: Value, failed: u64| json!({"spec": spec, "status": {"failed": failed}});
        let last = job(json!({"backoffLimit": 0}), 0);
        let some = job(
            json!({"template": {"spec": {"restartPolicy": "OnFailure"}}}),
            2,
        );
        let policy = job(json!({"podFailurePolicy": {"rules": []}}), 0);
        let indexed = job(json!({"backoffLimitPerIndex": 1}), 0);
        for (kind, phase, job, risk, words) in [
            (
                "ReplicaSet",
                "Running",
                None,
                Disruptive,
                "its ReplicaSet `web` makes another",
            ),
            ("DaemonSet", "Running", None, Disruptive, "makes another"),
            (
                "Gang",
                "Running",
                None,
                Destructive,
                "whether its Gang `web` makes another is not known",
            ),
            (
                "Job",
                "Running",
                Some(&last),
                Destructive,
                "failure 1, and its backoffLimit is 0: the Job fails",
            ),
            (
                "Job",
                "Running",
                Some(&some),
                Disruptive,
                "failure 3 of the 6 that its backoffLimit allows, beside the restarts",
            ),
            (
                "Job",
                "Running",
                Some(&policy),
                Destructive,
                "podFailurePolicy of Job `web` decides",
            ),
            (
                "Job",
                "Running",
                Some(&indexed),
                Destructive,
                "the pod's index",
            ),
            (
                "Job",
                "Succeeded",
                Some(&last),
                Disruptive,
                "has succeeded already",
            ),
            (
                "Job",
                "Running",
                None,
                Destructive,
                "is not there to make another",
            ),
        ] {
            let (found, why) = pod_end(Some(&pod(kind, phase)), job);
            assert_eq!(found, risk, "{kind}: {why}");
            assert!(why.contains(words), "{why}");
        }
        let (risk, why) = pod_end(Some(&json!({"metadata": {}})), None);
        assert_eq!(risk, Destructive);
        assert!(why.contains("no controller"), "{why}");
    }
}
