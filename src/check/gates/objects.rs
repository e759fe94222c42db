//! Objects among themselves: each once, selectors that select something, ports that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, PodView, RenderingView, list, selects, texts};

rules! { Functional;
    "object.repeated" High, Foundation 10, On, Every(repeated):
        "two templates render the same object; helm installs one of them",
        "rename or remove one of them",
        "Kubernetes, \"Object Names and IDs\"";
    "workload.selector" High, Foundation 10, On, Every(workload_selector):
        "the API server refuses a workload whose selector does not fit the labels of its own pods",
        "give the pod template the labels of the selector",
        "Kubernetes, \"Deployments\": Selector";
    "service.selector" Medium, Foundation 5, On, Every(service_selector):
        "the Service selects no pod of the chart, so every connection to it fails",
        "make the selector the labels of the pods",
        "Kubernetes, \"Service\": Services with selectors";
    "service.port" High, Foundation 8, On, Every(service_port):
        "the Service leads to a port by a name that no container of its pods has",
        "name a port of the container, or its number",
        "Kubernetes, \"Service\": Port definitions";
    "service.undeclared-port" Low, Foundation 0, Off, Every(service_undeclared):
        "the Service leads to a number that no container of its pods declares; that works, and is often a mistake",
        "declare the port in the container, and name it",
        "Kubernetes, \"Service\": Port definitions";
    "scaling.target" Medium, Foundation 5, Off, Every(scale_target):
        "the autoscaler names a workload that the chart does not have",
        "name the workload as it is rendered",
        "Kubernetes, \"Horizontal Pod Autoscaling\"";
    "disruption.selector" Medium, Foundation 3, Off, Every(disruption_selector):
        "the disruption budget selects no pod of the chart, and protects nothing",
        "make the selector the labels of the pods",
        "Kubernetes, \"Specifying a Disruption Budget\"";
    "network-policy.selector" Low, Foundation 0, Off, Every(policy_selector):
        "the NetworkPolicy selects no pod of the chart, and protects nothing",
        "make the selector the labels of the pods",
        "Kubernetes, \"Network Policies\"";
    "object.namespace" Low, Foundation 0, Off, Rendering(namespace):
        "an object with a namespace of its own goes there whatever `--namespace` says",
        "remove `namespace:`, or take `.Release.Namespace`",
        "helm, \"Best Practices\": Templates";
    "object.name" Low, Foundation 0, Off, Rendering(name):
        "the object's name has no part of the release's, so a second release in the namespace collides with the first",
        "begin the name with `.Release.Name`, as `helm create` does",
        "helm, \"Best Practices\": Templates";
    "object.bare-pod" Medium, Foundation 3, Off, Rendering(bare_pod):
        "nothing starts a bare pod again when its node goes",
        "make it a Deployment or a Job",
        "Kubernetes, \"Configuration Best Practices\": naked Pods";
}

fn repeated(view: &RenderingView<'_>, seen: &mut Sightings) {
    let mut known = BTreeSet::new();
    for object in view.installed() {
        // Hooks may well be the same object at several times.
        let key = (
            object.api_group(),
            object.kind,
            object.namespace,
            object.name,
        );
        if !object.name.is_empty() && !known.insert(key) {
            let message = format!("`{}` is rendered twice", object.label());
            seen.object(object, "/metadata/name", message);
        }
    }
}

fn workload_selector(view: &RenderingView<'_>, seen: &mut Sightings) {
    let selecting = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
    for (object, pod) in view
        .workloads()
        .filter(|(o, _)| selecting.contains(&o.kind))
    {
        let selector = texts(&object.spec()["selector"]["matchLabels"]);
        let labels = pod.labels();
        let missing = selector
            .iter()
            .find(|(key, value)| labels.get(*key) != Some(value));
        if let Some((key, value)) = missing {
            let message =
                format!("the pods do not have the label `{key}: {value}` of the selector");
            seen.object(object, "/spec/selector/matchLabels", message);
        }
    }
}

/// Whether custom resources of the rendering may make pods that nobody sees.
fn has_unseen_pods(view: &RenderingView<'_>) -> bool {
    const KNOWN: [&str; 18] = [
        "",
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "apiextensions.k8s.io",
        "admissionregistration.k8s.io",
        "storage.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "monitoring.coreos.com",
        "cert-manager.io",
        "gateway.networking.k8s.io",
        "external-secrets.io",
        "traefik.io",
    ];
    view.objects.iter().any(|object| {
        object.kind == "CustomResourceDefinition" || !KNOWN.contains(&object.api_group())
    })
}

/// The pods of a namespace that a selector of equal labels selects.
pub(in crate::check) fn selected<'v, 'a>(
    view: &'v RenderingView<'a>,
    namespace: &str,
    selector: &BTreeMap<&str, &str>,
) -> Vec<(&'v ChartObject<'a>, &'v PodView<'a>)> {
    view.pods()
        .filter(|(object, pod)| object.namespace == namespace && selects(selector, &pod.labels()))
        .collect()
}

fn service_selector(view: &RenderingView<'_>, seen: &mut Sightings) {
    if has_unseen_pods(view) {
        return;
    }
    for service in view.of_kind("Service") {
        let selector = texts(&service.spec()["selector"]);
        let is_for_pods = !selector.is_empty() && service.spec()["type"] != "ExternalName";
        if is_for_pods && selected(view, service.namespace, &selector).is_empty() {
            seen.object(
                service,
                "/spec/selector",
                "the Service selects no pod of the chart",
            );
        }
    }
}

/// A port of a Service that has pods.
struct ReachedPort<'v, 'a> {
    service: &'v ChartObject<'a>,
    /// JSON pointer.
    path: String,
    /// `targetPort`, or what stands for it.
    target: &'a Value,
    /// The ports of the pods, with their names.
    ports: Vec<(Option<&'a str>, u64)>,
}

fn reached_ports<'v, 'a>(view: &'v RenderingView<'a>) -> impl Iterator<Item = ReachedPort<'v, 'a>> {
    view.of_kind("Service").flat_map(|service| {
        let selector = texts(&service.spec()["selector"]);
        let pods = selected(view, service.namespace, &selector);
        let ports: Vec<_> = pods.iter().flat_map(|(_, pod)| pod.ports()).collect();
        let has_pods = !pods.is_empty();
        let declared = list(&service.spec()["ports"]).iter().enumerate();
        let declared = declared.filter(move |_| has_pods);
        declared.map(move |(at, port)| ReachedPort {
            service,
            path: format!("/spec/ports/{at}"),
            target: match &port["targetPort"] {
                Value::Null => &port["port"],
                target => target,
            },
            ports: ports.clone(),
        })
    })
}

fn service_port(view: &RenderingView<'_>, seen: &mut Sightings) {
    for port in reached_ports(view) {
        if let Some(name) = port.target.as_str()
            && name.parse::<u16>().is_err()
            && !port.ports.iter().any(|(known, _)| *known == Some(name))
        {
            let message = format!("no container behind the Service has a port `{name}`");
            seen.object(port.service, &format!("{}/targetPort", port.path), message);
        }
    }
}

fn service_undeclared(view: &RenderingView<'_>, seen: &mut Sightings) {
    for port in reached_ports(view) {
        if let Some(number) = port.target.as_u64()
            && !port.ports.iter().any(|(_, known)| *known == number)
        {
            let message = format!("no container behind the Service declares the port {number}");
            seen.object(port.service, &port.path, message);
        }
    }
}

fn scale_target(view: &RenderingView<'_>, seen: &mut Sightings) {
    for scaler in view.of_kind("HorizontalPodAutoscaler") {
        let target = &scaler.spec()["scaleTargetRef"];
        let (kind, name) = (target["kind"].as_str(), target["name"].as_str());
        if let Some((kind, name)) = kind.zip(name)
            && super::super::view::LONG_RUNNING.contains(&kind)
            && !view.has(kind, scaler.namespace, name)
        {
            let message = format!("the chart has no `{kind}/{name}` to scale");
            seen.object(scaler, "/spec/scaleTargetRef/name", message);
        }
    }
}

fn disruption_selector(view: &RenderingView<'_>, seen: &mut Sightings) {
    selects_none(view, "PodDisruptionBudget", "selector", seen);
}

fn policy_selector(view: &RenderingView<'_>, seen: &mut Sightings) {
    selects_none(view, "NetworkPolicy", "podSelector", seen);
}

fn selects_none(view: &RenderingView<'_>, kind: &str, key: &str, seen: &mut Sightings) {
    if has_unseen_pods(view) {
        return;
    }
    for object in view.of_kind(kind) {
        let labels = texts(&object.spec()[key]["matchLabels"]);
        let is_plain = !labels.is_empty() && object.spec()[key]["matchExpressions"].is_null();
        if is_plain && selected(view, object.namespace, &labels).is_empty() {
            seen.object(
                object,
                &format!("/spec/{key}"),
                "no pod of the chart is selected",
            );
        }
    }
}

fn namespace(view: &RenderingView<'_>, seen: &mut Sightings) {
    for object in view
        .installed()
        .filter(|object| object.namespace != view.namespace)
    {
        let message = format!("the object goes to the namespace `{}`", object.namespace);
        seen.object(object, "/metadata/namespace", message);
    }
}

fn name(view: &RenderingView<'_>, seen: &mut Sightings) {
    let singular = ["Namespace", "CustomResourceDefinition"];
    let named = view
        .installed()
        .filter(|object| !singular.contains(&object.kind));
    for object in named.filter(|object| !object.name.contains(view.release)) {
        let message = format!("the name `{}` has no part of the release's", object.name);
        seen.object(object, "/metadata/name", message);
    }
}

fn bare_pod(view: &RenderingView<'_>, seen: &mut Sightings) {
    for pod in view.of_kind("Pod") {
        seen.object(pod, "/kind", "the chart installs a bare pod");
    }
}
