//! What scales, what must stay, and what is used up: HPAs, PodDisruptionBudgets, quotas.

use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text, texts};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};
use crate::quantity::thousandths;

pub(super) fn autoscaler(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let name = seen.name();
    let target = &seen.spec()["scaleTargetRef"];
    let kind = target["kind"].as_str().and_then(AskedKind::named);
    let of = text(&target["name"]);
    if let Some(kind) = kind.filter(|kind| snapshot.is_read(*kind))
        && snapshot.find(kind, seen.namespace(), &of).is_none()
    {
        let what = format!(
            "HPA `{name}` scales {} `{of}`, which is not there",
            kind.name()
        );
        return vec![Finding::new(seen, Weight::Broken, what).shown_by("spec.scaleTargetRef", of)];
    }
    let off = ["AbleToScale", "ScalingActive"]
        .into_iter()
        .find_map(|of| seen.condition(of).filter(|one| one["status"] == "False"));
    if let Some(condition) = off {
        let what = format!(
            "HPA `{name}` does not scale: {}",
            text(&condition["message"])
        );
        let field = format!("status.conditions[{}]", text(&condition["type"]));
        let finding =
            Finding::new(seen, Weight::Broken, what).shown_by(field, text(&condition["reason"]));
        let is_idle = condition["reason"] == "ScalingDisabled";
        return vec![if is_idle {
            Finding {
                weight: Weight::Told,
                ..finding
            }
        } else {
            finding
        }];
    }
    let limited = seen
        .condition("ScalingLimited")
        .filter(|one| one["status"] == "True" && one["reason"] == "TooManyReplicas");
    let told = limited.map(|condition| {
        let what = format!(
            "HPA `{name}` would like more than its {} replicas",
            text(&seen.spec()["maxReplicas"])
        );
        Finding::new(seen, Weight::Limited, what).shown_by(
            "status.conditions[ScalingLimited]",
            text(&condition["reason"]),
        )
    });
    told.into_iter().collect()
}

pub(super) fn budget(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let name = seen.name();
    let status = seen.status();
    if snapshot.pods_of(seen).is_empty() {
        let what = format!("PDB `{name}` protects no pod: its selector chooses none");
        return vec![Finding::new(seen, Weight::Limited, what).shown_by(
            "spec.selector",
            super::super::object::selector_text(&seen.spec()["selector"]),
        )];
    }
    if status["disruptionsAllowed"] != 0 {
        return vec![];
    }
    let (healthy, wanted) = (
        text(&status["currentHealthy"]),
        text(&status["desiredHealthy"]),
    );
    let what = format!(
        "PDB `{name}` lets no pod be evicted: {healthy} pods are healthy, and {wanted} have to be"
    );
    vec![Finding::new(seen, Weight::Limited, what).shown_by("status.disruptionsAllowed", "0")]
}

pub(super) fn quota(seen: SeenObject<'_>) -> Vec<Finding> {
    let (hard, used) = (texts(&seen.status()["hard"]), texts(&seen.status()["used"]));
    let is_full = |(resource, most): &(&String, &String)| {
        let used = used.get(*resource).and_then(|used| thousandths(used));
        used.zip(thousandths(most))
            .is_some_and(|(used, most)| used >= most)
    };
    let full: Vec<_> = hard
        .iter()
        .filter(is_full)
        .map(|(resource, most)| format!("{} of {most} {resource}", used[resource]))
        .collect();
    if full.is_empty() {
        return vec![];
    }
    let what = format!(
        "ResourceQuota `{}` of namespace `{}` is used up: {}",
        seen.name(),
        seen.namespace(),
        full.join(", ")
    );
    vec![
        Finding::new(seen, Weight::Limited, what)
            .shown_by("status.used", full.join(", "))
            .next(format!("devk ask \"quota usage in {}\"", seen.namespace())),
    ]
}
