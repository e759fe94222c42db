//! Nodes, and webhooks that the API server cannot reach.

use std::collections::BTreeSet;

use super::super::kind::AskedKind;
use super::super::object::{SeenObject, items, text};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};

pub(super) fn node(seen: SeenObject<'_>) -> Vec<Finding> {
    let name = seen.name();
    let mut findings = vec![];
    if !seen.is("Ready") {
        let message = seen
            .condition("Ready")
            .map(|one| text(&one["message"]))
            .unwrap_or_default();
        findings.push(
            Finding::new(
                seen,
                Weight::Broken,
                format!("node `{name}` is not ready: {message}"),
            )
            .shown_by("status.conditions[Ready]", "is not True"),
        );
    }
    for pressure in [
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "NetworkUnavailable",
    ] {
        if let Some(condition) = seen
            .condition(pressure)
            .filter(|one| one["status"] == "True")
        {
            let what = format!(
                "node `{name}` reports {pressure}: {}",
                text(&condition["message"])
            );
            findings.push(
                Finding::new(seen, Weight::Broken, what)
                    .shown_by(format!("status.conditions[{pressure}]"), "True"),
            );
        }
    }
    if seen.spec()["unschedulable"] == true {
        let what = format!("node `{name}` is cordoned: it takes no new pods");
        findings
            .push(Finding::new(seen, Weight::Limited, what).shown_by("spec.unschedulable", "true"));
    }
    findings
}

/// A webhook whose Service has no endpoint fails what it is asked about, unless its policy is to be ignored.
pub(super) fn webhooks(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let mut findings = vec![];
    for webhook in items(&seen.value["webhooks"]) {
        let to = &webhook["clientConfig"]["service"];
        let (Some(namespace), Some(name)) = (to["namespace"].as_str(), to["name"].as_str()) else {
            continue;
        };
        // Of Services that could not be read nothing is known; the answer says so.
        let known = [AskedKind::Service, AskedKind::EndpointSlice];
        if snapshot.unread.iter().any(|(kind, _)| known.contains(kind)) {
            continue;
        }
        let service = snapshot.find(AskedKind::Service, namespace, name);
        let why = match service {
            None => format!("Service `{name}` in namespace `{namespace}` is not there"),
            Some(service) if snapshot.ready_endpoints(service).is_empty() => {
                format!("Service `{name}` in namespace `{namespace}` has no ready endpoint")
            }
            Some(_) => continue,
        };
        let policy = text(&webhook["failurePolicy"]);
        let (weight, then) = match policy.as_str() {
            "Ignore" => (Weight::Limited, "the API server goes on without it"),
            _ => (
                Weight::Broken,
                "the API server refuses what it would ask about",
            ),
        };
        let what = format!(
            "webhook `{}` of `{}` cannot be asked: {why}; {then}",
            text(&webhook["name"]),
            seen.name()
        );
        findings.push(Finding::new(seen, weight, what).shown_by("webhooks.failurePolicy", policy));
    }
    findings
}

impl ClusterSnapshot {
    /// The namespaces of the Services that webhooks ask.
    pub(in super::super) fn webhook_places(&self) -> BTreeSet<String> {
        let kinds = [AskedKind::ValidatingWebhook, AskedKind::MutatingWebhook];
        let all = kinds.into_iter().flat_map(|kind| self.all(kind));
        let webhooks = all.flat_map(|seen| items(&seen.value["webhooks"]));
        let places =
            webhooks.filter_map(|webhook| webhook["clientConfig"]["service"]["namespace"].as_str());
        places.map(str::to_owned).collect()
    }
}
