//! Services that lead nowhere: what is behind a Service without a ready pod (`src/session/behind.rs`), ports that no container
//! has, and NetworkPolicies that let nobody in.

use std::collections::BTreeMap;

use kube::core::SelectorExt;
use serde_json::Value;

use super::super::kind::{AskedKind, WORKLOADS};
use super::super::object::{SeenObject, items, selector, texts};
use super::super::relation::{limits_ingress, policies_of};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};
use crate::error::suggest;
use crate::release::labels::words;
use crate::session::behind::{Behind, NO_REPLICAS, NOT_READY};

pub(super) fn judge(service: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let pods = snapshot.pods_of(service);
    let behind = nothing_behind(service, &pods, snapshot);
    let mut findings: Vec<_> = behind.into_iter().collect();
    if let Some(pod) = pods.first() {
        if findings.is_empty() {
            findings.extend(wrong_port(service, *pod));
        }
        findings.extend(shut_out(service, *pod, snapshot));
    }
    findings
}

fn nothing_behind(
    service: SeenObject<'_>,
    pods: &[SeenObject<'_>],
    snapshot: &ClusterSnapshot,
) -> Option<Finding> {
    if service.spec()["type"] == "ExternalName" {
        return None;
    }
    let objects = snapshot.behind(service.namespace())?;
    let ports =
        items(&service.spec()["ports"]).filter_map(|port| port["port"].as_u64()?.try_into().ok());
    let behind = ports
        .map(|port: u16| objects.behind_port(service.name(), port))
        .find(|behind| *behind != Behind::Ready)?;
    let name = service.name();
    let selector = texts(&service.spec()["selector"]);
    let (weight, why) = match &behind {
        Behind::Ready => return None,
        // The pods' own state tells it.
        Behind::Expected(why) if why.contains(NOT_READY) => (Weight::Follows, why),
        // Of a Service without a selector somebody else writes the endpoints.
        Behind::Nothing(_)
            if selector.is_empty() && !snapshot.ready_endpoints(service).is_empty() =>
        {
            return None;
        }
        Behind::Nothing(why) if why.contains(NO_REPLICAS) => (Weight::Told, why),
        Behind::Expected(why) | Behind::Nothing(why) | Behind::NoPort(why) => (Weight::Broken, why),
    };
    let near = match pods.is_empty() {
        true => nearest_labels(snapshot, service, &selector),
        false => String::new(),
    };
    let finding = Finding::new(
        service,
        weight,
        format!("Service `{name}` leads to no ready pod: {why}{near}"),
    );
    let finding = finding.shown_by("spec.selector", words(&selector));
    Some(match weight {
        Weight::Broken => finding.next(format!("devk ask \"selector of service {name}\"")),
        _ => finding,
    })
}

/// `; app=search is a label of Deployment search`, if a value of the selector is nearly that of a workload.
fn nearest_labels(
    snapshot: &ClusterSnapshot,
    service: SeenObject<'_>,
    selector: &BTreeMap<String, String>,
) -> String {
    let labels: Vec<BTreeMap<String, String>> = WORKLOADS
        .iter()
        .flat_map(|kind| snapshot.here(*kind, service.namespace()))
        .map(|one| one.pod_labels())
        .collect();
    let near = selector.iter().find_map(|(key, value)| {
        let values = labels
            .iter()
            .filter_map(|labels| labels.get(key))
            .map(String::as_str);
        suggest(value, values)
            .filter(|near| near != value)
            .map(|near| format!("{key}={near}"))
    });
    near.map(|label| format!("; there are pods with `{label}`"))
        .unwrap_or_default()
}

/// A port number that no container declares, although it declares others.
fn wrong_port(service: SeenObject<'_>, pod: SeenObject<'_>) -> Option<Finding> {
    let declared: Vec<_> = pod
        .containers()
        .flat_map(|one| items(&one["ports"]))
        .filter_map(|port| port["containerPort"].as_i64())
        .collect();
    let target = |port: &Value| {
        let target = &port["targetPort"];
        if target.is_null() {
            port["port"].as_i64()
        } else {
            target.as_i64()
        }
    };
    let port = items(&service.spec()["ports"]).find_map(|port| {
        target(port).filter(|target| !declared.is_empty() && !declared.contains(target))
    })?;
    let known: Vec<_> = declared.iter().map(ToString::to_string).collect();
    let what = format!(
        "Service `{}` leads to port {port}, and the containers of pod `{}` declare port {} only",
        service.name(),
        pod.name(),
        known.join(", ")
    );
    Some(
        Finding::new(service, Weight::Limited, what)
            .shown_by("spec.ports.targetPort", port.to_string()),
    )
}

/// NetworkPolicies that let none of the pods that there are reach the Service.
fn shut_out(
    service: SeenObject<'_>,
    pod: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
) -> Option<Finding> {
    let limiting: Vec<_> = policies_of(pod, snapshot)
        .into_iter()
        .filter(|policy| limits_ingress(*policy))
        .collect();
    if limiting.is_empty()
        || limiting
            .iter()
            .any(|policy| lets_in(*policy, pod, snapshot))
    {
        return None;
    }
    let names: Vec<_> = limiting
        .iter()
        .map(|policy| format!("`{}`", policy.name()))
        .collect();
    let what = format!(
        "NetworkPolicy {} lets no pod that there is reach Service `{}`, where the network enforces policies",
        names.join(" and "),
        service.name()
    );
    let rules = limiting
        .iter()
        .flat_map(|policy| super::super::facts::policy(policy.spec()))
        .collect::<Vec<_>>();
    let finding = Finding::new(service, Weight::Broken, what)
        .shown_by("NetworkPolicy spec.ingress", rules.join("; "));
    Some(finding.next(format!(
        "devk ask \"rules of networkpolicy {}\"",
        limiting[0].name()
    )))
}

/// Whether a policy lets a pod in that there is, other than the pods behind it.
fn lets_in(policy: SeenObject<'_>, behind: SeenObject<'_>, snapshot: &ClusterSnapshot) -> bool {
    items(&policy.spec()["ingress"]).any(|rule| {
        let peers: Vec<_> = items(&rule["from"]).collect();
        // Addresses may be those of anybody.
        peers.is_empty()
            || peers
                .iter()
                .any(|peer| peer["ipBlock"].is_object() || fits_any(peer, policy, behind, snapshot))
    })
}

fn fits_any(
    peer: &Value,
    policy: SeenObject<'_>,
    behind: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
) -> bool {
    // The pods of other namespaces may not have been read: they count as let in.
    if peer["namespaceSelector"].is_object() {
        return true;
    }
    let Some(selector) = selector(&peer["podSelector"]) else {
        return false;
    };
    let others = snapshot
        .here(AskedKind::Pod, policy.namespace())
        .filter(|pod| !pod.same(&behind));
    others
        .into_iter()
        .any(|pod| selector.matches(&pod.labels()))
}
