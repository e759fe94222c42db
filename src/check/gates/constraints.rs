//! What `check:` asks of charts: each rule looks only where its constraint is set.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::{Sightings, Subject, escaped};
use super::super::view::{ChartView, RenderingView, list, selects, texts};
use super::files::line;
use super::resources::amount;
use super::upkeep;
use crate::quantity::thousandths;
use crate::version_range::{self, VersionRange};

rules! { Readiness;
    "constraint.kubernetes" High, Foundation 5, Constraint, Chart(kubernetes):
        "the chart's `kubeVersion` leaves out a version that `check.kubernetes` asks for",
        "widen `kubeVersion` in Chart.yaml",
        "`check.kubernetes`";
    "constraint.labels" Medium, Foundation 3, Constraint, Rendering(labels):
        "a workload lacks a label that `check.labels` asks for",
        "add the label to the workload",
        "`check.labels`";
    "constraint.annotations" Medium, Foundation 3, Constraint, Rendering(annotations):
        "pods lack an annotation that `check.annotations` asks for",
        "add the annotation to the pod template",
        "`check.annotations`";
    "constraint.ceiling" High, Foundation 5, Constraint, Rendering(ceiling):
        "a container requests, or may use, more than `check.maxCpu` or `check.maxMemory` allows",
        "lower the request or the limit, or set a limit",
        "`check.maxCpu`, `check.maxMemory`";
    "constraint.storage-class" High, Foundation 5, Constraint, Rendering(storage_class):
        "a claim names a storage class that `check.storageClasses` does not have",
        "name one of the classes of `check.storageClasses`, or none",
        "`check.storageClasses`";
    "constraint.ingress-class" High, Foundation 5, Constraint, Rendering(ingress_class):
        "an Ingress names a class that `check.ingressClasses` does not have, or none",
        "name one of the classes of `check.ingressClasses`",
        "`check.ingressClasses`";
    "constraint.network-policy" High, Foundation 5, Constraint, Rendering(network_policy):
        "no NetworkPolicy of the chart selects the pods, so everything in the cluster reaches them",
        "add a NetworkPolicy that names who may connect",
        "`check.networkPolicy`; Kubernetes, \"Network Policies\"";
    "constraint.backup" High, Foundation 5, Constraint, Chart(backup):
        "`check.backup` asks that every claim is backed up",
        "annotate the pods for your backup, or add a CronJob or a VolumeSnapshot",
        "`check.backup`";
    "constraint.expired-ignore" High, Foundation 0, Constraint, Chart(expired):
        "an entry of `check.ignore` has expired: what it ignored counts again, and nobody has looked at it",
        "remove what the rule finds, or give the entry a later `until`",
        "`check.ignore`";
}

/// The versions that a range of versions is tried with.
const MINORS: std::ops::RangeInclusive<u64> = 20..=60;

fn kubernetes(view: &ChartView<'_>, seen: &mut Sightings) {
    let wanted = view
        .constraints
        .kubernetes
        .as_deref()
        .and_then(VersionRange::parse);
    let given = view.facts.metadata["kubeVersion"].as_str();
    let Some((wanted, given)) = wanted.zip(given) else {
        return;
    };
    let Some(range) = VersionRange::parse(given) else {
        return;
    };
    let missing = MINORS
        .filter_map(|minor| version_range::version(&format!("1.{minor}")))
        .find(|version| wanted.has(version) && !range.has(version));
    if let Some(version) = missing {
        let message = format!("`kubeVersion: {given}` leaves out {version}");
        seen.file("Chart.yaml", line(view, "kubeVersion"), message);
    }
}

fn missing<'a>(wanted: &'a [String], given: &BTreeMap<&str, &str>) -> Vec<&'a str> {
    let missing = wanted
        .iter()
        .filter(|key| !given.contains_key(key.as_str()));
    missing.map(String::as_str).collect()
}

/// The key of a label that is asked of a kind: `team` of every one, `Deployment/team` of Deployments. The prefix of a label is
/// written in lowercase, so the two are told apart.
fn of_kind(label: &str, kind: &str) -> Option<String> {
    let is_kind = |prefix: &str| prefix.starts_with(|c: char| c.is_ascii_uppercase());
    match label.split_once('/').filter(|(prefix, _)| is_kind(prefix)) {
        Some((only, key)) => (only == kind).then(|| key.to_owned()),
        None => Some(label.to_owned()),
    }
}

fn labels(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, _) in view.workloads() {
        let given = texts(&object.json["metadata"]["labels"]);
        let all = view.constraints.labels.iter();
        let wanted: Vec<_> = all
            .filter_map(|label| of_kind(label, object.kind))
            .collect();
        for key in missing(&wanted, &given) {
            let values = &["commonLabels", "labels"];
            let message = format!("the label `{key}` is missing");
            let path = format!("/metadata/labels/{}", escaped(key));
            seen.governed(object, &path, values, message);
        }
    }
}

fn annotations(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.workloads() {
        for key in missing(&view.constraints.annotations, &pod.annotations()) {
            let path = format!("{}/metadata/annotations/{}", pod.path, escaped(key));
            let message = format!("the annotation `{key}` is missing");
            seen.governed(object, &path, &["podAnnotations"], message);
        }
    }
}

fn ceiling(view: &RenderingView<'_>, seen: &mut Sightings) {
    let (cpu, memory) = (&view.constraints.max_cpu, &view.constraints.max_memory);
    for (what, most) in [("cpu", cpu), ("memory", memory)] {
        let Some((most, text)) = most
            .as_ref()
            .and_then(|text| Some((thousandths(text)?, text)))
        else {
            continue;
        };
        for (object, pod) in view.pods() {
            for container in &pod.containers {
                for of in ["requests", "limits"] {
                    if amount(container, of, what).is_some_and(|amount| amount > most) {
                        let message = format!(
                            "container `{}` has {of} of {what} above {text}",
                            container.name
                        );
                        let below = format!("/resources/{of}/{what}");
                        seen.container(object, container, &below, &["resources"], message);
                    }
                }
            }
        }
    }
}

fn storage_class(view: &RenderingView<'_>, seen: &mut Sightings) {
    let allowed = &view.constraints.storage_classes;
    if allowed.is_empty() {
        return;
    }
    let is_foreign = |spec: &Value| {
        let class = spec["storageClassName"]
            .as_str()
            .filter(|class| !class.is_empty());
        class
            .filter(|class| !allowed.iter().any(|allowed| allowed == class))
            .map(|class| format!("the storage class `{class}` is not allowed"))
    };
    let values = &["storageClass", "storageClassName"];
    for object in view.installed() {
        if object.kind == "PersistentVolumeClaim"
            && let Some(message) = is_foreign(object.spec())
        {
            seen.governed(object, "/spec/storageClassName", values, message);
        }
        for (at, claim) in list(&object.spec()["volumeClaimTemplates"])
            .iter()
            .enumerate()
        {
            if let Some(message) = is_foreign(&claim["spec"]) {
                let path = format!("/spec/volumeClaimTemplates/{at}/spec/storageClassName");
                seen.governed(object, &path, values, message);
            }
        }
    }
}

fn ingress_class(view: &RenderingView<'_>, seen: &mut Sightings) {
    let allowed = &view.constraints.ingress_classes;
    for ingress in view.of_kind("Ingress").filter(|_| !allowed.is_empty()) {
        let class = ingress.spec()["ingressClassName"]
            .as_str()
            .or(ingress.annotation("kubernetes.io/ingress.class"));
        let message = match class {
            Some(class) if allowed.iter().any(|allowed| allowed == class) => continue,
            Some(class) => format!("the ingress class `{class}` is not allowed"),
            None => "the Ingress names no class".to_owned(),
        };
        let values = &["className", "ingressClassName"];
        seen.governed(ingress, "/spec/ingressClassName", values, message);
    }
}

fn network_policy(view: &RenderingView<'_>, seen: &mut Sightings) {
    if !view.constraints.network_policy {
        return;
    }
    for (object, pod) in view.workloads() {
        let labels = pod.labels();
        let is_selected = view.of_kind("NetworkPolicy").any(|policy| {
            let selector = &policy.spec()["podSelector"];
            let is_all = selector.as_object().is_some_and(serde_json::Map::is_empty);
            policy.namespace == object.namespace
                && (is_all || selects(&texts(&selector["matchLabels"]), &labels))
        });
        if !is_selected {
            let path = format!("{}/metadata", pod.path);
            let message = "no NetworkPolicy of the chart selects the pods";
            seen.governed(object, &path, &["networkPolicy"], message);
        }
    }
}

fn expired(view: &ChartView<'_>, seen: &mut Sightings) {
    for ignore in &view.constraints.ignore {
        let expired = ignore.until.filter(|until| view.today > *until);
        if let Some(until) = expired {
            let message = format!("the ignore of `{}` has expired on {until}", ignore.rule);
            seen.push(message, Subject::Place(ignore.origin.clone()), &[]);
        }
    }
}

fn backup(view: &ChartView<'_>, seen: &mut Sightings) {
    if view.constraints.backup {
        upkeep::backup(view, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_asked_of_every_kind_or_of_one() {
        for (label, kind, key) in [
            ("team", "Job", Some("team")),
            ("shop.example/team", "Job", Some("shop.example/team")),
            ("Deployment/team", "Deployment", Some("team")),
            (
                "Deployment/shop.example/team",
                "Deployment",
                Some("shop.example/team"),
            ),
            ("Deployment/team", "Job", None),
        ] {
            assert_eq!(of_kind(label, kind).as_deref(), key, "{label} of {kind}");
        }
    }
}
