//! How bad a step can be: what it costs while it happens, and whether it can be taken back. Pure.

use serde::Serialize;
use serde_json::Value;

use super::diff::FieldChange;
use super::kind::ObjectKind;
use super::operation::{Deed, Operation, replicas};
use super::plan::{ChangeAction, ChangeStep};
use super::pod_end::pod_end;

/// From the least to the worst. A plan has the risk of its worst step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeRisk {
    /// Nothing that runs is touched, and one command takes the step back.
    Reversible,
    /// What runs is replaced, ended or cut off for a while; one command takes the step back.
    Disruptive,
    /// No command brings back what goes.
    Destructive,
}

impl ChangeRisk {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reversible => "reversible",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
        }
    }
}

impl std::fmt::Display for ChangeRisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// The risk of a step and the reason for it. `before` is the object as it is.
pub(super) fn risk(
    step: &ChangeStep,
    operation: &Operation,
    before: Option<&Value>,
    changes: &[FieldChange],
) -> (ChangeRisk, String) {
    use ChangeRisk::{Disruptive, Reversible};
    let kind = operation.target.kind;
    if kind == ObjectKind::Pod && operation.deed == Deed::Delete {
        return pod_end(before, None);
    }
    let (risk, why) = match (&step.action, &operation.deed) {
        (ChangeAction::Scale(_), Deed::Patch(patch)) => {
            let (old, new) = (before.map_or(0, replicas), replicas(patch));
            match new {
                _ if new < old && loses_claims(before) => LOST_CLAIMS,
                0 => (Disruptive, "no pod is left"),
                _ if new < old => (Disruptive, "pods end"),
                _ => (Reversible, "pods are added"),
            }
        }
        (_, Deed::Delete) => deleted(kind),
        (_, Deed::Create(_)) => created(kind),
        (ChangeAction::Restart(_), _) => (Disruptive, "every pod is replaced"),
        _ => patched(kind, before, changes),
    };
    (risk, why.to_owned())
}

const fn deleted(kind: ObjectKind) -> (ChangeRisk, &'static str) {
    match kind {
        ObjectKind::Namespace => (
            ChangeRisk::Destructive,
            "everything in the namespace goes, data too",
        ),
        ObjectKind::PersistentVolumeClaim => {
            (ChangeRisk::Destructive, "the data of the volume goes")
        }
        kind if kind.rolls_out() => (ChangeRisk::Destructive, "the object and its pods go"),
        _ => (ChangeRisk::Destructive, "the object goes"),
    }
}

/// The claims of a StatefulSet go with the pods that a smaller count ends.
fn loses_claims(before: Option<&Value>) -> bool {
    let policy = before.map(|live| &live["spec"]["persistentVolumeClaimRetentionPolicy"]);
    policy.is_some_and(|policy| policy["whenScaled"] == "Delete")
}

const LOST_CLAIMS: (ChangeRisk, &str) = (
    ChangeRisk::Destructive,
    "pods end, and their claims go with the data",
);

const fn created(kind: ObjectKind) -> (ChangeRisk, &'static str) {
    match kind {
        ObjectKind::Pod | ObjectKind::Deployment | ObjectKind::StatefulSet => (
            ChangeRisk::Disruptive,
            "it runs a program, and Services that select its labels send traffic to it",
        ),
        ObjectKind::Ingress => (
            ChangeRisk::Disruptive,
            "it lets traffic in, and may take that of another one",
        ),
        ObjectKind::Job | ObjectKind::CronJob => (
            ChangeRisk::Disruptive,
            "it runs a program, and what that does stays",
        ),
        ObjectKind::NetworkPolicy => (
            ChangeRisk::Disruptive,
            "pods that it selects lose all traffic that no policy allows",
        ),
        ObjectKind::ResourceQuota | ObjectKind::LimitRange => (
            ChangeRisk::Disruptive,
            "new pods beyond its limits are refused",
        ),
        ObjectKind::HorizontalPodAutoscaler => (
            ChangeRisk::Disruptive,
            "from then on it sets the count of replicas",
        ),
        ObjectKind::RoleBinding | ObjectKind::Role => (
            ChangeRisk::Disruptive,
            "it gives rights until it is deleted",
        ),
        _ => (ChangeRisk::Reversible, "the object is new"),
    }
}

fn patched(
    kind: ObjectKind,
    before: Option<&Value>,
    changes: &[FieldChange],
) -> (ChangeRisk, &'static str) {
    use ChangeRisk::{Destructive, Disruptive, Reversible};
    let is_metadata = |change: &FieldChange| change.path.starts_with("metadata.");
    let touches = |path: &str| changes.iter().any(|change| change.is_below(path));
    match kind {
        _ if HISTORY.iter().any(|path| touches(path)) => (
            Destructive,
            "what is kept of the past may go, and nothing brings it back",
        ),
        _ if shrinks(changes) && loses_claims(before) => LOST_CLAIMS,
        ObjectKind::PersistentVolumeClaim if !changes.iter().all(is_metadata) => {
            (Destructive, "a volume can grow and never shrink")
        }
        _ if touches("spec.template") => (
            Disruptive,
            "the pod template changes, so every pod is replaced",
        ),
        _ if touches("spec.updateStrategy") => (
            Disruptive,
            "pods of an earlier template may be replaced from then on",
        ),
        _ if changes.iter().any(unpauses) => {
            (Disruptive, "what waited for the end of the pause rolls out")
        }
        ObjectKind::Pod | ObjectKind::ReplicaSet if touches("metadata.labels") => (
            Disruptive,
            "Services, policies and controllers find pods by their labels",
        ),
        ObjectKind::Namespace if touches("metadata.labels") => (
            Disruptive,
            "policies and webhooks find namespaces by their labels",
        ),
        ObjectKind::Service | ObjectKind::Ingress => {
            (Disruptive, "traffic goes elsewhere, or stops")
        }
        _ if changes.iter().all(is_metadata) => {
            (Reversible, "labels and annotations of the object alone")
        }
        ObjectKind::NetworkPolicy => (Disruptive, "traffic goes elsewhere, or stops"),
        ObjectKind::ConfigMap => (
            Disruptive,
            "programs that read it behave differently, some from their next start on",
        ),
        _ if kind.has_template() && !shrinks(changes) => {
            (Reversible, "running pods stay as they are")
        }
        _ => (Disruptive, "what runs behaves differently"),
    }
}

/// How much is kept of what was: the controllers delete the rest.
const HISTORY: &[&str] = &[
    "spec.revisionHistoryLimit",
    "spec.ttlSecondsAfterFinished",
    "spec.successfulJobsHistoryLimit",
    "spec.failedJobsHistoryLimit",
];

fn unpauses(change: &FieldChange) -> bool {
    change.path == "spec.paused" && change.after.as_deref() != Some("true")
}

/// Fewer replicas by a patch.
fn shrinks(changes: &[FieldChange]) -> bool {
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u32>().ok());
    let mut counts = changes
        .iter()
        .filter(|change| change.path == "spec.replicas");
    counts.any(|change| number(&change.after) < number(&change.before))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::read_plan;
    use super::*;

    /// The risk of a step on an object, with what changes by its dry run.
    fn of(step: &str, before: Option<Value>, changed: &[&str]) -> ChangeRisk {
        let text = format!(r#"{{"version": 1, "steps": [{step}]}}"#);
        let plan = read_plan(&text, Path::new("plan")).unwrap();
        let step = &plan.steps[0];
        let operation = Operation::of(step, before.as_ref(), &[], "now").unwrap();
        let changes: Vec<_> = changed
            .iter()
            .map(|path| FieldChange {
                path: (*path).to_owned(),
                before: Some("3".to_owned()),
                after: Some("1".to_owned()),
            })
            .collect();
        risk(step, &operation, before.as_ref(), &changes).0
    }

    fn step(verb: &str, kind: &str, more: &str) -> String {
        format!(
            r#"{{"verb": "{verb}", "object": {{"kind": "{kind}", "namespace": "shop", "name": "web"}}{more}}}"#
        )
    }

    #[test]
    fn more_replicas_are_reversible_and_fewer_end_pods() {
        let three = || Some(json!({"spec": {"replicas": 3}}));
        let scale = |count: u32| step("scale", "Deployment", &format!(r#", "replicas": {count}"#));
        assert_eq!(of(&scale(4), three(), &[]), ChangeRisk::Reversible);
        assert_eq!(of(&scale(2), three(), &[]), ChangeRisk::Disruptive);
        assert_eq!(of(&scale(0), three(), &[]), ChangeRisk::Disruptive);
        let patch = step(
            "patch",
            "Deployment",
            r#", "patch": {"spec": {"replicas": 1}}"#,
        );
        assert_eq!(
            of(&patch, three(), &["spec.replicas"]),
            ChangeRisk::Disruptive
        );
    }

    #[test]
    fn a_deletion_is_destructive_but_of_a_pod_that_comes_again() {
        let live = || Some(json!({}));
        for kind in [
            "Deployment",
            "PersistentVolumeClaim",
            "ConfigMap",
            "Secret",
            "Pod",
        ] {
            let delete = step("delete", kind, "");
            assert_eq!(of(&delete, live(), &[]), ChangeRisk::Destructive, "{kind}");
        }
        let owner = json!({"kind": "ReplicaSet", "name": "web-1", "controller": true});
        let owned = json!({"metadata": {"ownerReferences": [owner]}});
        assert_eq!(
            of(&step("delete", "Pod", ""), Some(owned), &[]),
            ChangeRisk::Disruptive
        );
    }

    #[test]
    fn what_replaces_pods_or_moves_traffic_is_disruptive_and_a_label_is_not() {
        let live =
            || Some(json!({"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}));
        let restart = step("restart", "Deployment", "");
        assert_eq!(of(&restart, live(), &[]), ChangeRisk::Disruptive);
        let image = step("set-image", "Deployment", r#", "image": "x:2""#);
        let path = "spec.template.spec.containers[web].image";
        assert_eq!(of(&image, live(), &[path]), ChangeRisk::Disruptive);
        let label = step("label", "Deployment", r#", "set": {"a": "b"}"#);
        assert_eq!(
            of(&label, live(), &["metadata.labels.a"]),
            ChangeRisk::Reversible
        );
        let selector = step(
            "patch",
            "Service",
            r#", "patch": {"spec": {"selector": {"a": "b"}}}"#,
        );
        assert_eq!(
            of(&selector, live(), &["spec.selector.a"]),
            ChangeRisk::Disruptive
        );
        let size = r#", "patch": {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}"#;
        let grow = step("patch", "PersistentVolumeClaim", size);
        assert_eq!(
            of(&grow, live(), &["spec.resources.requests.storage"]),
            ChangeRisk::Destructive
        );
    }

    /// The risk of a patch with one change.
    fn of_patch(kind: ObjectKind, before: Value, path: &str, after: &str) -> ChangeRisk {
        let changes = [FieldChange {
            path: path.to_owned(),
            before: Some("3".to_owned()),
            after: Some(after.to_owned()),
        }];
        patched(kind, Some(&before), &changes).0
    }

    #[test]
    fn a_patch_has_the_risk_of_what_a_controller_makes_of_it() {
        use ChangeRisk::{Destructive, Disruptive, Reversible};
        use ObjectKind::{
            CronJob, Deployment, Ingress, Job, Pod, ReplicaSet, Service, StatefulSet,
        };
        for (kind, path, after, expected) in [
            (
                StatefulSet,
                "spec.updateStrategy.type",
                "RollingUpdate",
                Disruptive,
            ),
            (Deployment, "spec.paused", "false", Disruptive),
            (Deployment, "spec.paused", "true", Reversible),
            (Deployment, "spec.revisionHistoryLimit", "0", Destructive),
            (Job, "spec.ttlSecondsAfterFinished", "0", Destructive),
            (CronJob, "spec.failedJobsHistoryLimit", "0", Destructive),
            (Pod, "metadata.labels.app", "x", Disruptive),
            (ReplicaSet, "metadata.labels.app", "x", Disruptive),
            (Pod, "metadata.annotations.a", "x", Reversible),
            (Ingress, "metadata.annotations.a", "x", Disruptive),
            (Service, "metadata.labels.a", "x", Disruptive),
            (Deployment, "metadata.labels.a", "x", Reversible),
        ] {
            assert_eq!(
                of_patch(kind, json!({}), path, after),
                expected,
                "{kind} {path}"
            );
        }
    }

    #[test]
    fn fewer_replicas_are_destructive_where_the_claims_go_with_them() {
        let set = |when: &str| json!({"spec": {"replicas": 3, "persistentVolumeClaimRetentionPolicy": {"whenScaled": when}}});
        let scale = |count: u32| step("scale", "StatefulSet", &format!(r#", "replicas": {count}"#));
        assert_eq!(
            of(&scale(1), Some(set("Delete")), &[]),
            ChangeRisk::Destructive
        );
        assert_eq!(
            of(&scale(0), Some(set("Delete")), &[]),
            ChangeRisk::Destructive
        );
        assert_eq!(
            of(&scale(4), Some(set("Delete")), &[]),
            ChangeRisk::Reversible
        );
        assert_eq!(
            of(&scale(1), Some(set("Retain")), &[]),
            ChangeRisk::Disruptive
        );
        let kind = ObjectKind::StatefulSet;
        let by_patch = of_patch(kind, set("Delete"), "spec.replicas", "1");
        assert_eq!(by_patch, ChangeRisk::Destructive);
    }

    #[test]
    fn a_new_program_and_a_new_way_in_are_disruptive() {
        for kind in [
            ObjectKind::Pod,
            ObjectKind::Deployment,
            ObjectKind::StatefulSet,
            ObjectKind::Ingress,
        ] {
            assert_eq!(created(kind).0, ChangeRisk::Disruptive, "{kind}");
        }
        assert_eq!(created(ObjectKind::ConfigMap).0, ChangeRisk::Reversible);
    }

    #[test]
    fn the_worst_comes_last() {
        assert!(ChangeRisk::Reversible < ChangeRisk::Disruptive);
        assert!(ChangeRisk::Disruptive < ChangeRisk::Destructive);
    }
}
