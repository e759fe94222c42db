//! Why a pod's claims have no volume: the events of the claims say more than those of the pod.

use k8s_openapi::api::core::v1::{Event, Pod};

use super::{PodFailure, Reason, last_seen, whole_pod};

/// Events by which a claim's controller says that it cannot go on. `FailedBinding` is no warning to Kubernetes.
const FAILED: [&str; 3] = ["ProvisioningFailed", "FailedBinding", "VolumeMismatch"];
/// The event of a claim that gets its volume with its pod: no cause.
const WAITS_FOR_POD: &str = "WaitForFirstConsumer";
/// Events by which somebody says that a claim is being worked on, before and after each attempt: what failed before is
/// not over with that.
const AT_WORK: [&str; 4] = [
    WAITS_FOR_POD,
    "WaitForPodScheduled",
    "ExternalProvisioning",
    "Provisioning",
];
/// The scheduler's words for a claim that has no volume (yet).
const UNBOUND: &str = "unbound immediate PersistentVolumeClaims";
/// And for one that is not there: `persistentvolumeclaim "files" not found`.
const ABSENT: &str = "persistentvolumeclaim \"";

/// The failure of a pod that fits on no node because of its claims; None if the scheduler names something else.
pub(super) fn unbound(pod: &Pod, events: &[&Event], message: &str) -> Option<PodFailure> {
    let absent = message
        .split_once(ABSENT)
        .and_then(|(_, rest)| rest.split_once("\" not found"));
    if let Some((name, _)) = absent {
        return Some(whole_pod(
            pod,
            Reason::Claim,
            &format!("`{name}`: not found"),
        ));
    }
    if !message.contains(UNBOUND) {
        return None;
    }
    let results = last_events(pod, events, &AT_WORK);
    let others = last_events(pod, events, &[WAITS_FOR_POD]);
    let said = results.into_iter().chain(others).next();
    let said = said.map_or_else(String::new, |(claim, last)| {
        let why = last.message.as_deref().unwrap_or_default();
        format!("; claim `{claim}`: {}", why.trim())
    });
    let unbound = || whole_pod(pod, Reason::Unbound, &format!("{message}{said}"));
    // Another attempt that is under way may go well.
    Some(failed_last(pod, last_events(pod, events, &[])).unwrap_or_else(unbound))
}

/// The failure of a pod that waits for a volume which nobody makes.
pub(super) fn failed(pod: &Pod, events: &[&Event]) -> Option<PodFailure> {
    failed_last(pod, last_events(pod, events, &AT_WORK))
}

fn failed_last(pod: &Pod, last: Vec<(String, &Event)>) -> Option<PodFailure> {
    last.into_iter().find_map(|(claim, last)| {
        let is_failed = FAILED.contains(&last.reason.as_deref().unwrap_or_default());
        let why = last.message.as_deref().unwrap_or_default();
        is_failed.then(|| PodFailure {
            at: last_seen(last),
            ..whole_pod(pod, Reason::Claim, &format!("`{claim}`: {}", why.trim()))
        })
    })
}

/// The claims of a pod, each with its last event that has none of these reasons.
fn last_events<'e>(pod: &Pod, events: &[&'e Event], without: &[&str]) -> Vec<(String, &'e Event)> {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    let claims = volumes.filter_map(|volume| {
        let own = volume.persistent_volume_claim.as_ref();
        let name = own.map(|claim| claim.claim_name.clone());
        // The claim of an ephemeral volume is named after the pod.
        let ephemeral = || Some(format!("{}-{}", pod.metadata.name.as_ref()?, volume.name));
        name.or_else(|| volume.ephemeral.as_ref().and_then(|_| ephemeral()))
    });
    let with_last = |claim: String| {
        let about = |event: &&&Event| {
            let object = &event.involved_object;
            object.kind.as_deref() == Some("PersistentVolumeClaim")
                && object.name.as_ref() == Some(&claim)
                && !without.contains(&event.reason.as_deref().unwrap_or_default())
        };
        let own = events.iter().filter(about);
        let last = own.max_by_key(|event| last_seen(event))?;
        Some((claim, *last))
    };
    claims.into_iter().filter_map(with_last).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::release::crash::failure;

    fn event(reason: &str, second: u32, message: &str) -> Event {
        let object = json!({"kind": "PersistentVolumeClaim", "name": "data-db-0"});
        let time = format!("2026-01-01T00:00:{second:02}Z");
        serde_json::from_value(
            json!({"metadata": {}, "involvedObject": object, "reason": reason, "message": message,
            "lastTimestamp": time}),
        )
        .unwrap()
    }

    fn pod(conditions: Value) -> Pod {
        let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}});
        serde_json::from_value(
            json!({"metadata": {"name": "db-0"}, "spec": {"containers": [], "volumes": [claim]},
            "status": {"phase": "Pending", "conditions": conditions}}),
        )
        .unwrap()
    }

    fn unschedulable() -> Pod {
        pod(
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"}]),
        )
    }

    #[test]
    fn the_claims_own_event_tells_why_it_has_no_volume() {
        let events = [
            event("WaitForFirstConsumer", 1, "waiting for first consumer"),
            event(
                "ProvisioningFailed",
                2,
                "storageclass.storage.k8s.io \"gp3\" not found",
            ),
        ];
        let found = failure(&unschedulable(), &events).unwrap();
        assert_eq!(
            found.summary(),
            "pod `db-0` waits for claim `data-db-0`: storageclass.storage.k8s.io \"gp3\" not found"
        );
    }

    #[test]
    fn a_claim_that_nobody_made_is_named() {
        let pod = pod(
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: persistentvolumeclaim \"files\" not found. not found"}]),
        );
        let found = failure::<Event>(&pod, &[]).unwrap();
        assert_eq!(
            found.summary(),
            "pod `db-0` waits for claim `files`: not found"
        );
    }

    #[test]
    fn a_claim_that_is_being_made_is_no_failure_of_the_claim() {
        for events in [
            vec![],
            vec![
                event("ProvisioningFailed", 1, "try again"),
                event("ExternalProvisioning", 2, "waiting for a volume"),
            ],
        ] {
            let found = failure(&unschedulable(), &events).unwrap();
            assert_eq!(found.reason, Reason::Unbound);
        }
        let scheduling = pod(json!([]));
        assert_eq!(failure::<Event>(&scheduling, &[]), None);
    }

    #[test]
    fn why_a_claim_gets_no_volume_is_said_while_its_provisioner_tries_again() {
        let many = "NodePath only supports ReadWriteOnce and ReadWriteOncePod access modes";
        let events = [
            event("ProvisioningFailed", 1, many),
            event(
                "Provisioning",
                2,
                "External provisioner is provisioning volume",
            ),
            event("ExternalProvisioning", 3, "waiting for a volume"),
        ];
        let found = failure(&unschedulable(), &events).unwrap();
        assert_eq!(found.reason, Reason::Unbound);
        let said = format!("; claim `data-db-0`: {many}");
        assert!(found.detail.ends_with(&said), "{}", found.detail);
        // Where the class waits for the pod, the scheduler says nothing.
        let found = failure(&pod(json!([])), &events).unwrap();
        assert_eq!(found.detail, format!("`data-db-0`: {many}"));
        let made = event("ProvisioningSucceeded", 4, "it is there");
        let events: Vec<_> = events.into_iter().chain([made]).collect();
        assert_eq!(failure(&pod(json!([])), &events), None);
    }

    #[test]
    fn a_volume_that_cannot_be_made_is_told_before_the_pod_has_a_node() {
        let events = [event("ProvisioningFailed", 1, "the disk is full")];
        let found = failure(&pod(json!([])), &events).unwrap();
        assert_eq!(found.reason, Reason::Claim);
        let scheduled = pod(json!([{"type": "PodScheduled", "status": "True"}]));
        assert_eq!(failure(&scheduled, &events), None);
    }
}
