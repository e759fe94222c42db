//! What a created object may hold: the parts of its kind, by the schemas of Kubernetes, no pod below the Pod Security
//! baseline, and no right that is a wildcard.

use serde_json::{Map, Value, json};

use super::kind::ObjectKind;
use super::plan::{Create, ObjectName};
use crate::kubernetes_schema::{SchemaCatalog, SchemaProblem, schema_versions};
use crate::pod_security::{PodSecurityLevel, pod_security_violations_at};

/// The keys beside `apiVersion`, `kind` and `metadata`.
const fn parts(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::ConfigMap => &["data"],
        ObjectKind::Role => &["rules"],
        ObjectKind::RoleBinding => &["roleRef", "subjects"],
        ObjectKind::ServiceAccount | ObjectKind::Namespace => &[],
        _ => &["spec"],
    }
}

/// The object as a manifest.
pub(super) fn manifest(object: &ObjectName, create: &Create) -> Value {
    let mut metadata = Map::from_iter([("name".to_owned(), json!(object.name))]);
    if let Some(namespace) = &object.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if !create.labels.is_empty() {
        metadata.insert("labels".to_owned(), json!(create.labels));
    }
    let mut manifest = json!({
        "apiVersion": object.kind.api_version(),
        "kind": object.kind.name(),
        "metadata": metadata,
    });
    for (key, value) in &create.body {
        manifest[key] = value.clone();
    }
    manifest
}

/// What of it is refused, as sentences.
pub(super) fn refused(object: &ObjectName, create: &Create) -> Vec<String> {
    let kind = object.kind;
    let foreign = create
        .body
        .keys()
        .filter(|key| !parts(kind).contains(&key.as_str()));
    let mut found: Vec<_> = foreign
        .map(|key| {
            format!(
                "the body of a {kind} has no `{key}`; it may have: {}",
                listed(kind)
            )
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let manifest = manifest(object, create);
    found.extend(against_schema(&manifest));
    found.extend(below_baseline(&manifest));
    found.extend(rights(kind, &manifest));
    found.extend(ports_of_nodes(kind, &manifest));
    found
}

fn listed(kind: ObjectKind) -> String {
    match parts(kind) {
        [] => "nothing".to_owned(),
        parts => parts.join(", "),
    }
}

fn against_schema(manifest: &Value) -> Vec<String> {
    // The cluster's own version is asked by the dry run; here what no known version takes is a mistake of the plan.
    let Some(newest) = schema_versions().next_back() else {
        return vec![];
    };
    let verdict = SchemaCatalog::new([]).check(manifest, &[newest]);
    let wrong = verdict
        .violations
        .into_iter()
        .filter(|violation| violation.problem != SchemaProblem::Deprecated);
    let said = wrong.map(|violation| match violation.expected {
        Some(expected) => format!("`{}`: {} ({expected})", violation.path, violation.what),
        None => format!("`{}`: {}", violation.path, violation.what),
    });
    said.collect()
}

/// What the pods of an object may do to their node beyond the baseline.
pub(super) fn below_baseline(object: &Value) -> Vec<String> {
    let Some(newest) = schema_versions().next_back() else {
        return vec![];
    };
    let Some(template) = template(object) else {
        return vec![];
    };
    let found = pod_security_violations_at(PodSecurityLevel::Baseline, template, newest);
    let said = found
        .into_iter()
        .map(|violation| match violation.container {
            Some(container) => format!("container `{container}`: {}", violation.what),
            None => format!("the pod: {}", violation.what),
        });
    said.collect()
}

/// The pod, or the pod template of a workload.
pub(super) fn template(object: &Value) -> Option<&Value> {
    if object["kind"] == "Pod" {
        return Some(object);
    }
    let spec = &object["spec"];
    let template = spec.get("template");
    template.or_else(|| spec.pointer("/jobTemplate/spec/template"))
}

fn rights(kind: ObjectKind, manifest: &Value) -> Vec<String> {
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect()
    };
    let mut found = vec![];
    for rule in manifest["rules"].as_array().into_iter().flatten() {
        let all = ["apiGroups", "resources", "verbs"].map(|key| words(&rule[key]));
        if all.iter().flatten().any(|word| word.contains('*')) {
            found.push("a rule of rights names what it gives, and `*` names nothing".to_owned());
        }
        let widens = ["escalate", "bind", "impersonate"];
        if let Some(verb) = all[2].iter().find(|verb| widens.contains(&verb.as_str())) {
            found.push(format!("no plan gives the right to `{verb}`"));
        }
    }
    let role = &manifest["roleRef"];
    let is_wide = role["kind"] == "ClusterRole" && role["name"] != "view";
    if kind == ObjectKind::RoleBinding && is_wide {
        found.push("a RoleBinding of a plan gives a Role, or the ClusterRole `view`".to_owned());
    }
    found
}

fn ports_of_nodes(kind: ObjectKind, manifest: &Value) -> Vec<String> {
    let spec = &manifest["spec"];
    let is_plain = spec["type"].is_null() || spec["type"] == "ClusterIP";
    let is_open = kind == ObjectKind::Service && (!is_plain || !spec["externalIPs"].is_null());
    let said = is_open.then(|| "a Service of a plan is of the type ClusterIP".to_owned());
    said.into_iter().collect()
}
