//! Services that lead nowhere: what is behind a Service without a ready pod (`src/session/behind.rs`), ports that no container
//! has, and NetworkPolicies that let nobody in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::kind::AskedKind;
use super::super::object::{SeenObject, items, selects, texts};
use super::super::relation::{limits_ingress, policies_of};
use super::super::snapshot::ClusterSnapshot;
use super::{Case, Finding, Weight};
use crate::error::suggest;
use crate::release::labels::words;
use crate::session::behind::{Behind, NamespaceLists, NamespaceObjects};

pub(super) fn judge(case: &Case<'_>, service: SeenObject<'_>) -> Vec<Finding> {
    let mut findings: Vec<_> = nothing_behind(case, service).into_iter().collect();
    if findings.is_empty() {
        findings.extend(wrong_port(case.snapshot, service));
    }
    findings.extend(shut_out(case.snapshot, service));
    findings
}

fn nothing_behind(case: &Case<'_>, service: SeenObject<'_>) -> Option<Finding> {
    let snapshot = case.snapshot;
    let objects = NamespaceObjects::of(service.namespace(), lists(snapshot, service.namespace()));
    let ports =
        items(&service.spec()["ports"]).filter_map(|port| port["port"].as_u64()?.try_into().ok());
    let behind = ports
        .map(|port: u16| objects.behind_port(service.name(), port))
        .find(|behind| *behind != Behind::Ready)?;
    if service.spec()["type"] == "ExternalName" {
        return None;
    }
    let name = service.name();
    let selector = texts(&service.spec()["selector"]);
    let (weight, why) = match &behind {
        Behind::Ready => return None,
        // The pods' own state tells it.
        Behind::Expected(why) if why.contains("is not Ready") => (Weight::Follows, why),
        // Of a Service without a selector somebody else writes the endpoints.
        Behind::Nothing(_)
            if selector.is_empty() && !snapshot.ready_endpoints(service).is_empty() =>
        {
            return None;
        }
        Behind::Nothing(why) if why.contains("has 0 replicas") => (Weight::Told, why),
        Behind::Expected(why) | Behind::Nothing(why) => (Weight::Broken, why),
    };
    let near = nearest_labels(snapshot, service, &selector);
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
    if !snapshot.pods_of(service).is_empty() {
        return String::new();
    }
    let labels: Vec<BTreeMap<String, String>> = [
        AskedKind::Deployment,
        AskedKind::StatefulSet,
        AskedKind::DaemonSet,
    ]
    .into_iter()
    .flat_map(|kind| snapshot.all(kind))
    .filter(|one| one.namespace() == service.namespace())
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
fn wrong_port(snapshot: &ClusterSnapshot, service: SeenObject<'_>) -> Option<Finding> {
    let pods = snapshot.pods_of(service);
    let pod = pods.first()?;
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
fn shut_out(snapshot: &ClusterSnapshot, service: SeenObject<'_>) -> Option<Finding> {
    let pods = snapshot.pods_of(service);
    let pod = pods.first()?;
    let limiting: Vec<_> = policies_of(*pod, snapshot)
        .into_iter()
        .filter(|policy| limits_ingress(*policy))
        .collect();
    if limiting.is_empty()
        || limiting
            .iter()
            .any(|policy| lets_in(*policy, *pod, snapshot))
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
    let here = snapshot
        .all(AskedKind::Pod)
        .filter(|pod| pod.namespace() == policy.namespace() && pod.title() != behind.title());
    here.into_iter()
        .any(|pod| selects(&peer["podSelector"], &pod.labels()))
}

fn lists(snapshot: &ClusterSnapshot, namespace: &str) -> NamespaceLists {
    fn of<K: serde::de::DeserializeOwned>(
        snapshot: &ClusterSnapshot,
        kind: AskedKind,
        namespace: &str,
    ) -> Vec<K> {
        snapshot
            .all(kind)
            .filter(|seen| seen.namespace() == namespace)
            .filter_map(|seen| seen.typed())
            .collect()
    }
    NamespaceLists {
        services: of(snapshot, AskedKind::Service, namespace),
        slices: of(snapshot, AskedKind::EndpointSlice, namespace),
        pods: of(snapshot, AskedKind::Pod, namespace),
        deployments: of(snapshot, AskedKind::Deployment, namespace),
        stateful_sets: of(snapshot, AskedKind::StatefulSet, namespace),
        daemon_sets: of(snapshot, AskedKind::DaemonSet, namespace),
        replica_sets: of(snapshot, AskedKind::ReplicaSet, namespace),
        jobs: of(snapshot, AskedKind::Job, namespace),
        cron_jobs: of(snapshot, AskedKind::CronJob, namespace),
    }
}
