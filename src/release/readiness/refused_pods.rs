//! Pods that a workload may not make: no such ServiceAccount, a quota, an admission webhook. There is no pod that could
//! say so; its controller does, by an event or a condition.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;

use crate::release::crash::{PodFailure, Reason, last_seen};

/// Refusals that last until somebody changes something: what is missing, what a pod must not have, what it must say.
const CERTAIN: [&str; 6] = [
    "\" not found",
    "no PriorityClass with name",
    "violates PodSecurity",
    "usage per Pod is",
    "usage per Container is",
    "must specify",
];

/// Whether waiting does not help, by the API server's words. A webhook may be about to start.
pub(super) fn is_certain(why: &str) -> bool {
    CERTAIN.iter().any(|words| why.contains(words)) && !why.contains("calling webhook")
}

/// A Deployment notes it as a condition while it lasts; when it was tried last, the events of its ReplicaSets say.
pub(crate) fn of_deployment(object: &Deployment, events: &[Arc<Event>]) -> Option<PodFailure> {
    let conditions = object.status.as_ref()?.conditions.iter().flatten();
    let failed = conditions
        .into_iter()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")?;
    let name = object.name_any();
    let is_own = |event: &&Arc<Event>| {
        let of = &event.involved_object;
        let hash = of.name.as_deref().and_then(|of| of.strip_prefix(&name));
        of.kind.as_deref() == Some("ReplicaSet") && hash.is_some_and(|hash| hash.starts_with('-'))
    };
    let at = events
        .iter()
        .filter(is_own)
        .filter_map(|event| last_seen(event))
        .max();
    let why = failed.message.as_deref().unwrap_or_default();
    Some(refused(&name, object.namespace(), why, at))
}

pub(crate) fn of_stateful_set(object: &StatefulSet, events: &[Arc<Event>]) -> Option<PodFailure> {
    let wanted = object.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let made = object.status.as_ref().map_or(0, |status| status.replicas);
    lacking(object, "StatefulSet", events).filter(|_| made < wanted)
}

pub(crate) fn of_daemon_set(object: &DaemonSet, events: &[Arc<Event>]) -> Option<PodFailure> {
    let status = object.status.as_ref()?;
    let is_lacking = status.current_number_scheduled < status.desired_number_scheduled;
    lacking(object, "DaemonSet", events).filter(|_| is_lacking)
}

pub(crate) fn of_job(object: &Job, events: &[Arc<Event>]) -> Option<PodFailure> {
    let active = object.status.as_ref().and_then(|status| status.active);
    lacking(object, "Job", events).filter(|_| active.unwrap_or(0) == 0)
}

/// The controller's last word on making pods, if it was a failure.
fn lacking(object: &impl ResourceExt, kind: &str, events: &[Arc<Event>]) -> Option<PodFailure> {
    let (name, uid) = (object.name_any(), object.uid());
    let is_own = |event: &&Arc<Event>| {
        let of = &event.involved_object;
        let reason = event.reason.as_deref().unwrap_or_default();
        of.kind.as_deref() == Some(kind)
            && of.name.as_ref() == Some(&name)
            && of.uid == uid
            && ["FailedCreate", "SuccessfulCreate"].contains(&reason)
    };
    let last = events
        .iter()
        .filter(is_own)
        .max_by_key(|event| last_seen(event))?;
    let why = last.message.as_deref().unwrap_or_default();
    let is_failed = last.reason.as_deref() == Some("FailedCreate");
    is_failed.then(|| refused(&name, object.namespace(), why, last_seen(last)))
}

fn refused(
    workload: &str,
    namespace: Option<String>,
    why: &str,
    at: Option<k8s_openapi::jiff::Timestamp>,
) -> PodFailure {
    // `Error creating: pods "x-" is forbidden: …` and `create Pod db-0 in StatefulSet db failed error: pods …`.
    let why = ["Error creating: ", "failed error: "]
        .iter()
        .find_map(|words| Some(why.split_once(words)?.1))
        .unwrap_or(why);
    PodFailure {
        pod: workload.to_owned(),
        namespace: namespace.unwrap_or_default(),
        container: None,
        reason: Reason::NoPod,
        detail: why.trim().to_owned(),
        exit_code: None,
        restarts: 0,
        image: String::new(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn event(kind: &str, name: &str, reason: &str, second: u32, message: &str) -> Arc<Event> {
        let object = json!({"kind": kind, "name": name, "uid": "u1"});
        let time = format!("2026-01-01T00:00:{second:02}Z");
        Arc::new(read(
            json!({"metadata": {}, "involvedObject": object, "reason": reason, "message": message,
            "lastTimestamp": time}),
        ))
    }

    #[test]
    fn a_deployment_says_by_its_condition_why_it_gets_no_pod() {
        let why = "pods \"api-5d-\" is forbidden: error looking up service account no-pod/deployer: serviceaccount \
                   \"deployer\" not found";
        let condition =
            |status: &str| json!({"type": "ReplicaFailure", "status": status, "message": why});
        let api = |status: &str| -> Deployment {
            read(
                json!({"metadata": {"name": "api"}, "status": {"conditions": [condition(status)]}}),
            )
        };
        let events = [event(
            "ReplicaSet",
            "api-5d",
            "FailedCreate",
            7,
            "Error creating: x",
        )];
        let found = of_deployment(&api("True"), &events).unwrap();
        assert_eq!(found.summary(), format!("`api` gets no pod: {why}"));
        assert!(is_certain(&found.detail));
        assert_eq!(found.at, last_seen(&events[0]));
        assert_eq!(of_deployment(&api("False"), &events), None);
    }

    #[test]
    fn the_others_say_it_by_their_last_event_while_they_lack_a_pod() {
        let set = |made: i32| -> StatefulSet {
            read(
                json!({"metadata": {"name": "db", "uid": "u1"}, "status": {"replicas": made},
                "spec": {"replicas": 1, "selector": {}, "template": {}}}),
            )
        };
        let failed = event(
            "StatefulSet",
            "db",
            "FailedCreate",
            2,
            "create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota: small",
        );
        let events = [
            event("StatefulSet", "db", "SuccessfulCreate", 1, "claim"),
            failed,
        ];
        let found = of_stateful_set(&set(0), &events).unwrap();
        assert_eq!(
            found.detail,
            "pods \"db-0\" is forbidden: exceeded quota: small"
        );
        assert!(!is_certain(&found.detail), "another pod may end");
        assert_eq!(of_stateful_set(&set(1), &events), None);
        let later = [
            events[1].clone(),
            event("StatefulSet", "db", "SuccessfulCreate", 3, "pod"),
        ];
        assert_eq!(of_stateful_set(&set(0), &later), None);

        let job: Job = read(json!({"metadata": {"name": "seed", "uid": "u1"}}));
        let events = [event(
            "Job",
            "seed",
            "FailedCreate",
            1,
            "Error creating: no",
        )];
        assert_eq!(of_job(&job, &events).unwrap().detail, "no");
        let other: Job = read(json!({"metadata": {"name": "seed", "uid": "u2"}}));
        assert_eq!(of_job(&other, &events), None, "of the Job before it");
    }
}
