//! How bad a step can be: what it costs while it happens, and whether it can be taken back. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::FieldChange;
use super::kind::ObjectKind;
use super::operation::{Deed, Operation, replicas};
use super::plan::{ChangeAction, ChangeStep};

/// From the least to the worst. A plan has the risk of its worst step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    let (risk, why) = match (&step.action, &operation.deed) {
        (ChangeAction::Scale(_), Deed::Patch(patch)) => {
            let (old, new) = (before.map_or(0, replicas), replicas(patch));
            match new {
                0 => (Disruptive, "no pod is left"),
                _ if new < old => (Disruptive, "pods end"),
                _ => (Reversible, "pods are added"),
            }
        }
        (_, Deed::Delete) => deleted(kind, before),
        (_, Deed::Create(_)) => created(kind),
        (ChangeAction::Restart(_), _) => (Disruptive, "every pod is replaced"),
        _ if templates(changes) => (
            Disruptive,
            "the pod template changes, so every pod is replaced",
        ),
        _ => patched(kind, changes),
    };
    (risk, why.to_owned())
}

fn deleted(kind: ObjectKind, before: Option<&Value>) -> (ChangeRisk, &'static str) {
    let owners = before.and_then(|live| live["metadata"]["ownerReferences"].as_array());
    let is_owned = owners
        .into_iter()
        .flatten()
        .any(|owner| owner["controller"] == true);
    match kind {
        ObjectKind::Pod if is_owned => (
            ChangeRisk::Disruptive,
            "the pod ends, and its controller makes another",
        ),
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

const fn created(kind: ObjectKind) -> (ChangeRisk, &'static str) {
    match kind {
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

fn patched(kind: ObjectKind, changes: &[FieldChange]) -> (ChangeRisk, &'static str) {
    let is_metadata = |change: &FieldChange| change.path.starts_with("metadata.");
    match kind {
        _ if changes.iter().all(is_metadata) => (
            ChangeRisk::Reversible,
            "labels and annotations of the object alone",
        ),
        ObjectKind::PersistentVolumeClaim => (
            ChangeRisk::Destructive,
            "a volume can grow and never shrink",
        ),
        ObjectKind::Service | ObjectKind::Ingress | ObjectKind::NetworkPolicy => {
            (ChangeRisk::Disruptive, "traffic goes elsewhere, or stops")
        }
        ObjectKind::ConfigMap => (
            ChangeRisk::Disruptive,
            "programs that read it behave differently, some from their next start on",
        ),
        _ if kind.has_template() && !shrinks(changes) => {
            (ChangeRisk::Reversible, "running pods stay as they are")
        }
        _ => (ChangeRisk::Disruptive, "what runs behaves differently"),
    }
}

fn templates(changes: &[FieldChange]) -> bool {
    changes
        .iter()
        .any(|change| change.path.starts_with("spec.template"))
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
        let owned = json!({"metadata": {"ownerReferences": [{"controller": true}]}});
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

    #[test]
    fn the_worst_comes_last() {
        assert!(ChangeRisk::Reversible < ChangeRisk::Disruptive);
        assert!(ChangeRisk::Disruptive < ChangeRisk::Destructive);
    }
}
