//! Claims that have no volume.

use super::super::facts::or_none;
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};

pub(super) fn judge(claim: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let phase = claim.status()["phase"].as_str().unwrap_or_default();
    if phase == "Bound" {
        return vec![];
    }
    let last = snapshot
        .events_of(claim)
        .last()
        .map(|event| (text(&event.value["reason"]), text(&event.value["message"])));
    let (why, is_waiting) = match (no_class(claim, snapshot), &last) {
        (Some(why), _) => (why, false),
        (None, Some((reason, _))) if reason == "WaitForFirstConsumer" => (
            "it gets its volume with the first pod that uses it".to_owned(),
            true,
        ),
        (None, Some((_, message))) => (message.clone(), false),
        (None, None) => (format!("its phase is {phase}"), false),
    };
    let weight = if is_waiting {
        Weight::Limited
    } else {
        Weight::Broken
    };
    let mut finding = Finding::new(
        claim,
        weight,
        format!("claim `{}` has no volume: {why}", claim.name()),
    )
    .shown_by("status.phase", phase);
    finding
        .lines
        .extend(last.map(|(reason, message)| format!("event {reason}: {message}")));
    vec![finding.next("devk ask \"storage classes\"")]
}

/// The class that the claim names is not there, or it names none and there is no default.
fn no_class(claim: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<String> {
    if !snapshot.is_read(AskedKind::StorageClass) {
        return None;
    }
    let known: Vec<_> = snapshot
        .all(AskedKind::StorageClass)
        .map(|class| format!("`{}`", class.name()))
        .collect();
    match claim.spec()["storageClassName"].as_str() {
        Some("") => None,
        Some(class) if snapshot.find(AskedKind::StorageClass, "", class).is_none() => {
            Some(format!(
                "StorageClass `{class}` is not there (the cluster has {})",
                or_none(known.join(", "))
            ))
        }
        Some(_) => None,
        None => Some("it names no StorageClass, and the cluster has no default".to_owned()),
    }
}
