//! Why a workload has fewer pods than it should: its pods say it themselves if there are any; otherwise its controller does.

use k8s_openapi::api::apps::v1;

use super::super::columns::ready_of;
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};
use crate::release::readiness::refused_pods;

pub(super) fn judge(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let (ready, wanted) = ready_of(seen);
    let name = seen.name();
    let kind = seen.kind.name();
    if wanted == 0 {
        let what = format!("{kind} `{name}` is scaled to zero: nobody wants a pod of it");
        return vec![Finding::new(seen, Weight::Told, what).shown_by("spec.replicas", "0")];
    }
    let refused = match seen.kind {
        AskedKind::Deployment => seen
            .typed::<v1::Deployment>()
            .and_then(|typed| refused_pods::of_deployment(&typed, snapshot.typed_events())),
        AskedKind::StatefulSet => seen
            .typed::<v1::StatefulSet>()
            .and_then(|typed| refused_pods::of_stateful_set(&typed, snapshot.typed_events())),
        AskedKind::DaemonSet => seen
            .typed::<v1::DaemonSet>()
            .and_then(|typed| refused_pods::of_daemon_set(&typed, snapshot.typed_events())),
        _ => None,
    };
    if let Some(failure) = refused {
        let made = if ready == 0 {
            String::new()
        } else {
            format!("; {ready} of {wanted} are ready")
        };
        let what = format!("{kind} {}{made}", failure.summary());
        let finding = Finding::new(seen, Weight::Broken, what)
            .shown_by("status.conditions[ReplicaFailure]", failure.detail.clone());
        let is_quota = failure.detail.contains("exceeded quota");
        return vec![if is_quota {
            finding.next(format!("devk ask \"quota usage in {}\"", seen.namespace()))
        } else {
            finding
        }];
    }
    if ready >= wanted {
        return vec![];
    }
    let pods = snapshot.pods_of(seen);
    let explained = pods
        .iter()
        .any(|pod| !super::pods::judge(*pod, snapshot).is_empty());
    if explained {
        // The pods' own findings are told before; this one says what follows from them.
        let what = format!("{kind} `{name}` has {ready} of {wanted} pods ready");
        return vec![
            Finding::new(seen, Weight::Follows, what)
                .shown_by("status.readyReplicas", ready.to_string()),
        ];
    }
    let deadline = seen
        .condition("Progressing")
        .filter(|one| one["status"] == "False")
        .map(|one| text(&one["message"]));
    let why = deadline.unwrap_or_else(|| format!("{} pods are there", pods.len()));
    let what = format!("{kind} `{name}` has {ready} of {wanted} pods ready: {why}");
    vec![
        Finding::new(seen, Weight::Broken, what)
            .shown_by("status.readyReplicas", ready.to_string())
            .next(format!("devk ask \"events of {name}\"")),
    ]
}
