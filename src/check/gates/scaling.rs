//! Autoscalers and replicas.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, RenderingView, list};
use super::resources::amount;

rules! { Performance;
    "scaling.replicas" Medium, Foundation 4, On, Rendering(replicas):
        "each upgrade sets the count of replicas back, and the autoscaler has to start anew",
        "leave `replicas` out where the autoscaler is on",
        "Kubernetes, \"Horizontal Pod Autoscaling\": Migrating Deployments and StatefulSets";
    "scaling.requests" Medium, Foundation 4, Off, Rendering(requests):
        "utilisation is a share of the request: without one the autoscaler does nothing",
        "set the request of what is measured on every container",
        "Kubernetes, \"Horizontal Pod Autoscaling\": Algorithm details";
    "scaling.range" Medium, Foundation 2, Off, Rendering(range):
        "the autoscaler has no range to scale in",
        "make `maxReplicas` larger than `minReplicas`",
        "Kubernetes, \"Horizontal Pod Autoscaling\"";
    "scaling.single-replica" Low, Foundation 0, Off, Rendering(single):
        "with one replica each upgrade of a node ends the service for a moment",
        "two replicas, with a disruption budget",
        "Kubernetes, \"Disruptions\"";
    "scaling.spread" Low, Upkeep 0, Off, Rendering(spread):
        "several replicas may all be on one node, and go with it",
        "add `topologySpreadConstraints` over `kubernetes.io/hostname`",
        "Kubernetes, \"Pod Topology Spread Constraints\"";
}

/// The autoscalers, each with the workload that it scales.
fn scaled<'v, 'a>(
    view: &'v RenderingView<'a>,
) -> impl Iterator<Item = (&'v ChartObject<'a>, &'v ChartObject<'a>)> {
    view.of_kind("HorizontalPodAutoscaler")
        .filter_map(|scaler| {
            let target = &scaler.spec()["scaleTargetRef"];
            let (kind, name) = (target["kind"].as_str()?, target["name"].as_str()?);
            Some((scaler, view.find(kind, scaler.namespace, name)?))
        })
}

fn replicas(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (scaler, workload) in scaled(view) {
        if !workload.spec()["replicas"].is_null() {
            let message = format!(
                "`replicas` is set, and `{}` scales the workload",
                scaler.label()
            );
            let values = &["replicaCount", "replicas"];
            seen.governed(workload, "/spec/replicas", values, message);
        }
    }
}

/// What the autoscaler measures as a share of requests.
fn measured<'a>(scaler: &ChartObject<'a>) -> Vec<&'a str> {
    let spec = scaler.spec();
    let older = spec["targetCPUUtilizationPercentage"]
        .is_u64()
        .then_some("cpu");
    let metrics = list(&spec["metrics"]).iter().filter_map(|metric| {
        let resource = &metric["resource"];
        let is_share = resource["target"]["type"] == "Utilization";
        resource["name"].as_str().filter(|_| is_share)
    });
    metrics.chain(older).collect()
}

fn requests(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (scaler, workload) in scaled(view) {
        let Some(pod) = &workload.pod else { continue };
        for what in measured(scaler) {
            let without = pod.running().find(|container| {
                amount(container, "requests", what)
                    .or(amount(container, "limits", what))
                    .is_none()
            });
            if let Some(container) = without {
                let message = format!(
                    "`{}` measures {what}, and container `{}` requests none",
                    scaler.label(),
                    container.name
                );
                seen.container(workload, container, "/resources", &["resources"], message);
            }
        }
    }
}

fn range(view: &RenderingView<'_>, seen: &mut Sightings) {
    for scaler in view.of_kind("HorizontalPodAutoscaler") {
        let least = scaler.spec()["minReplicas"].as_u64().unwrap_or(1);
        let most = scaler.spec()["maxReplicas"].as_u64();
        if most.is_some_and(|most| most <= least) {
            let message = "`maxReplicas` is not above `minReplicas`";
            seen.governed(scaler, "/spec/maxReplicas", &["maxReplicas"], message);
        }
    }
}

/// How many replicas a workload has at least; None for one that is not counted by replicas.
pub(in crate::check) fn least_replicas(
    view: &RenderingView<'_>,
    workload: &ChartObject<'_>,
) -> Option<u64> {
    if !["Deployment", "StatefulSet"].contains(&workload.kind) {
        return None;
    }
    let scaler = scaled(view).find(|(_, scaled)| std::ptr::eq(*scaled, workload));
    let least = |value: &Value| value.as_u64().unwrap_or(1);
    Some(match scaler {
        Some((scaler, _)) => least(&scaler.spec()["minReplicas"]),
        None => least(&workload.spec()["replicas"]),
    })
}

fn single(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (workload, _) in view.services() {
        if least_replicas(view, workload).is_some_and(|count| count < 2) {
            let values = &["replicaCount", "replicas"];
            seen.governed(workload, "/spec/replicas", values, "there is one replica");
        }
    }
}

fn spread(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (workload, pod) in view.services() {
        let is_several = least_replicas(view, workload).is_some_and(|count| count > 1);
        let is_spread = !list(&pod.spec["topologySpreadConstraints"]).is_empty()
            || !pod.spec["affinity"]["podAntiAffinity"].is_null();
        if is_several && !is_spread {
            let values = &["topologySpreadConstraints", "affinity"];
            let message = "nothing keeps the replicas on several nodes";
            seen.governed(workload, &pod.at(""), values, message);
        }
    }
}
