//! What a created object may hold: the parts of its kind, by the schemas of Kubernetes, no pod below the Pod Security
//! baseline, and no right that is a wildcard.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::fields::kept_by;
use super::kind::ObjectKind;
use super::plan::{Create, ObjectName};
use super::read::shown;
use crate::kubernetes_schema::{SchemaCatalog, SchemaProblem, schema_versions};
use crate::pod_security::{PodSecurityLevel, pod_security_violations_at};
use crate::release::pods::list;

/// Keys of a pod that name a Secret, in volumes of every type and in variables.
const OF_SECRETS: &[&str] = &[
    "secret",
    "secretRef",
    "secretKeyRef",
    "secretName",
    "nodePublishSecretRef",
    "imagePullSecrets",
];

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
    kept_of_templates(&manifest["spec"], "spec", &mut found);
    found
}

/// The metadata of templates: what they make belongs to nobody else, and nothing keeps it from going.
fn kept_of_templates(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                match key.as_str() {
                    "metadata" => kept_of_metadata(value, &path, found),
                    _ => kept_of_templates(value, &path, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| kept_of_templates(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

fn kept_of_metadata(metadata: &Value, path: &str, found: &mut Vec<String>) {
    for key in ["finalizers", "ownerReferences"] {
        if !metadata[key].is_null() {
            found.push(format!("no plan sets `{path}.{key}`"));
        }
    }
    for key in ["labels", "annotations"] {
        for name in metadata[key].as_object().into_iter().flat_map(Map::keys) {
            if let Some(owner) = kept_by(name) {
                found.push(format!(
                    "`{name}` in `{path}.{key}` belongs to {owner}, and no plan sets it"
                ));
            }
        }
    }
}

/// What the pods of an object use that only an admin may see or be: Secrets, and another ServiceAccount than `default`.
/// As sentences.
pub(super) fn of_admins(object: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(template) = template(object) else {
        return found;
    };
    let spec = &template["spec"];
    for key in ["serviceAccountName", "serviceAccount"] {
        if let Some(name) = spec[key]
            .as_str()
            .filter(|name| !["", "default"].contains(name))
        {
            found.insert(format!("the pod runs as ServiceAccount `{}`", shown(name)));
        }
    }
    for key in [
        "volumes",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "imagePullSecrets",
    ] {
        secrets(&spec[key], key, key, &mut found);
    }
    found
}

/// Adds the names of Secrets below a key of a pod.
fn secrets(value: &Value, key: &str, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if OF_SECRETS.contains(&key) => {
            let name = ["name", "secretName"]
                .iter()
                .find_map(|key| map.get(*key)?.as_str());
            let name = shown(name.unwrap_or_default());
            found.insert(format!("`{path}` uses the Secret `{name}`"));
        }
        Value::String(name) if OF_SECRETS.contains(&key) => {
            found.insert(format!("`{path}` uses the Secret `{}`", shown(name)));
        }
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| secrets(value, key, &format!("{path}.{key}"), found)),
        Value::Array(items) => items
            .iter()
            .for_each(|item| secrets(item, key, &format!("{path}[]"), found)),
        _ => {}
    }
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
        list(value)
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect()
    };
    let mut found = vec![];
    for rule in list(&manifest["rules"]) {
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
    if kind == ObjectKind::RoleBinding && role["kind"] != "Role" {
        found.push("a RoleBinding of a plan gives a Role of its namespace".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: Value) -> Value {
        json!({"kind": "Pod", "spec": spec})
    }

    fn in_workload(kind: &str, spec: Value) -> Value {
        json!({"kind": kind, "spec": {"template": {"spec": spec}}})
    }

    #[test]
    fn the_account_and_the_secrets_of_a_pod_are_named() {
        let in_container =
            |field: &str, value: Value| json!({"containers": [{"name": "c", field: value}]});
        let secret = json!({"name": "db"});
        for spec in [
            json!({"serviceAccountName": "admin"}),
            json!({"serviceAccount": "admin"}),
            json!({"imagePullSecrets": [secret]}),
            json!({"volumes": [{"name": "v", "secret": {"secretName": "db"}}]}),
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": secret}]}}]}),
            json!({"volumes": [{"name": "v", "csi": {"nodePublishSecretRef": secret}}]}),
            in_container("envFrom", json!([{"secretRef": secret}])),
            in_container(
                "env",
                json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]),
            ),
        ] {
            assert_eq!(of_admins(&pod(spec.clone())).len(), 1, "{spec}");
            assert_eq!(
                of_admins(&in_workload("Deployment", spec.clone())).len(),
                1,
                "{spec}"
            );
            let of_times =
                json!({"kind": "CronJob", "spec": {"jobTemplate": in_workload("Job", spec)}});
            assert_eq!(of_admins(&of_times).len(), 1, "{of_times}");
        }
        let plain = json!({
            "serviceAccountName": "default",
            "containers": [{"name": "secret", "env": [{"name": "secret", "value": "a"}]}],
            "volumes": [{"name": "secret", "configMap": {"name": "c"}}],
        });
        assert_eq!(of_admins(&pod(plain)), BTreeSet::new());
    }

    #[test]
    fn what_a_template_makes_is_kept_by_nobody() {
        let of = |metadata: Value| {
            let mut found = vec![];
            let spec = json!({"jobTemplate": {"spec": {"template": {"metadata": metadata}}}});
            kept_of_templates(&spec, "spec", &mut found);
            let spec = json!({"volumeClaimTemplates": [{"metadata": metadata}]});
            kept_of_templates(&spec, "spec", &mut found);
            found
        };
        for metadata in [
            json!({"finalizers": ["a/b"]}),
            json!({"ownerReferences": [{"uid": "a"}]}),
            json!({"labels": {"app.kubernetes.io/managed-by": "devk"}}),
            json!({"annotations": {"meta.helm.sh/release-name": "shop"}}),
            json!({"labels": {"devk.dev/project": "shop"}}),
        ] {
            assert_eq!(of(metadata.clone()).len(), 2, "{metadata}");
        }
        assert_eq!(of(json!({"labels": {"app": "web"}})), [""; 0]);
    }

    #[test]
    fn a_binding_gives_a_role_of_its_namespace_alone() {
        let of = |kind: &str| {
            let role = json!({"roleRef": {"kind": kind, "name": "view"}});
            rights(ObjectKind::RoleBinding, &role).len()
        };
        assert_eq!((of("Role"), of("ClusterRole")), (0, 1));
    }
}
