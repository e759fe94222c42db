//! Which fields a patch may set. All else needs a chart: identity, rights, what a pod may do to its node.

use serde_json::{Map, Value};

use super::kind::ObjectKind;
use super::read::shown;

/// Patterns of paths below an object; `[]` stands for the members of a list, which name themselves. All that is below
/// an allowed path is allowed.
const TEMPLATE: &[&str] = &[
    "spec.minReadySeconds",
    "spec.revisionHistoryLimit",
    "spec.template.metadata.annotations",
    "spec.template.metadata.labels",
    "spec.template.spec.terminationGracePeriodSeconds",
    "spec.template.spec.nodeSelector",
    "spec.template.spec.tolerations",
    "spec.template.spec.affinity",
    "spec.template.spec.topologySpreadConstraints",
    "spec.template.spec.volumes[].emptyDir",
    "spec.template.spec.volumes[].configMap",
    "spec.template.spec.volumes[].secret",
    "spec.template.spec.volumes[].persistentVolumeClaim",
];
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resources",
    "startupProbe",
    "volumeMounts",
    "workingDir",
];
const CONTAINERS: &[&str] = &[
    "spec.template.spec.containers[]",
    "spec.template.spec.initContainers[]",
];
const METADATA: &[&str] = &["metadata.labels", "metadata.annotations"];
/// Wherever they stand: a port of the node.
const NEVER: &[&str] = &["hostPort", "hostIP", "nodePort"];

/// The fields of one kind.
const fn own(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Deployment => &[
            "spec.replicas",
            "spec.strategy",
            "spec.paused",
            "spec.progressDeadlineSeconds",
        ],
        ObjectKind::StatefulSet => &["spec.replicas", "spec.updateStrategy"],
        ObjectKind::DaemonSet => &["spec.updateStrategy"],
        ObjectKind::ReplicaSet => &["spec.replicas"],
        ObjectKind::Job => &[
            "spec.parallelism",
            "spec.suspend",
            "spec.backoffLimit",
            "spec.activeDeadlineSeconds",
            "spec.ttlSecondsAfterFinished",
        ],
        ObjectKind::CronJob => &[
            "spec.schedule",
            "spec.timeZone",
            "spec.suspend",
            "spec.concurrencyPolicy",
            "spec.startingDeadlineSeconds",
            "spec.successfulJobsHistoryLimit",
            "spec.failedJobsHistoryLimit",
        ],
        ObjectKind::Service => &["spec.selector", "spec.ports", "spec.sessionAffinity"],
        ObjectKind::Ingress => &[
            "spec.rules",
            "spec.tls",
            "spec.ingressClassName",
            "spec.defaultBackend",
        ],
        ObjectKind::NetworkPolicy => &["spec"],
        ObjectKind::ConfigMap => &["data"],
        ObjectKind::PersistentVolumeClaim => &["spec.resources.requests.storage"],
        ObjectKind::HorizontalPodAutoscaler => &[
            "spec.minReplicas",
            "spec.maxReplicas",
            "spec.metrics",
            "spec.behavior",
        ],
        ObjectKind::PodDisruptionBudget => &["spec.minAvailable", "spec.maxUnavailable"],
        ObjectKind::ResourceQuota => &["spec.hard"],
        ObjectKind::LimitRange => &["spec.limits"],
        ObjectKind::Pod
        | ObjectKind::Secret
        | ObjectKind::ServiceAccount
        | ObjectKind::Role
        | ObjectKind::RoleBinding
        | ObjectKind::Namespace => &[],
    }
}

/// Whose key of a label or annotation it is, if it is not the user's.
pub(super) fn kept_by(key: &str) -> Option<&'static str> {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    match prefix {
        "devk.dev" => Some("devk"),
        "helm.sh" | "meta.helm.sh" => Some("helm"),
        "pod-security.kubernetes.io" => Some("the cluster's admission"),
        "deployment.kubernetes.io" | "kubernetes.io" | "node.kubernetes.io" => Some("Kubernetes"),
        _ if key == "app.kubernetes.io/managed-by" => Some("helm"),
        _ => None,
    }
}

/// What of a patch may not be set, as sentences.
pub(super) fn refused(kind: ObjectKind, patch: &Map<String, Value>) -> Vec<String> {
    if patch.is_empty() {
        return vec!["the patch changes nothing".to_owned()];
    }
    let mut found = vec![];
    let root = Value::Object(patch.clone());
    walk(kind, &root, "", &mut found);
    found
}

fn walk(kind: ObjectKind, value: &Value, path: &str, found: &mut Vec<String>) {
    if is_allowed(kind, path) {
        below_allowed(value, path, found);
        return;
    }
    match value {
        Value::Object(map) if leads_on(kind, path) && !map.is_empty() => {
            for (key, value) in map {
                let path = joined(path, key);
                // The member of a list is found by its name.
                let names_itself = key == "name" && path.ends_with("[].name");
                if !names_itself {
                    walk(kind, value, &path, found);
                }
            }
        }
        Value::Array(items) if leads_on(kind, &format!("{path}[]")) => {
            for item in items {
                if item.get("name").and_then(Value::as_str).is_none() {
                    found.push(format!("each member of `{path}` has a `name`"));
                }
                walk(kind, item, &format!("{path}[]"), found);
            }
        }
        _ => found.push(format!("no plan patches `{}` of a {kind}", shown(path))),
    }
}

/// Below an allowed path only what is never allowed is looked for.
fn below_allowed(value: &Value, path: &str, found: &mut Vec<String>) {
    let is_metadata = path.ends_with("metadata.labels") || path.ends_with("metadata.annotations");
    match value {
        // All labels at once, those of helm among them.
        Value::Null if is_metadata => found.push(format!("no plan removes all of `{path}`")),
        Value::Object(map) => {
            for (key, value) in map {
                let path = joined(path, key);
                let owner = kept_by(key).filter(|_| is_metadata);
                if let Some(owner) = owner {
                    found.push(format!(
                        "`{key}` belongs to {owner}, and no plan changes it"
                    ));
                } else if key.starts_with('$') || NEVER.contains(&key.as_str()) {
                    found.push(format!("no plan patches `{}`", shown(&path)));
                } else {
                    below_allowed(value, &path, found);
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| below_allowed(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn patterns(kind: ObjectKind) -> impl Iterator<Item = String> {
    let template = if kind.rolls_out() { TEMPLATE } else { &[] };
    let containers = if kind.rolls_out() { CONTAINERS } else { &[] };
    let of_containers = containers.iter().flat_map(|container| {
        let fields = CONTAINER.iter();
        fields.map(move |field| format!("{container}.{field}"))
    });
    let plain = [METADATA, own(kind), template].into_iter().flatten();
    plain.map(|path| (*path).to_owned()).chain(of_containers)
}

fn is_allowed(kind: ObjectKind, path: &str) -> bool {
    patterns(kind).any(|pattern| pattern == path)
}

/// Whether an allowed path goes on from here.
fn leads_on(kind: ObjectKind, path: &str) -> bool {
    patterns(kind).any(|pattern| {
        path.is_empty()
            || pattern
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.') || rest.starts_with('['))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: ObjectKind, patch: Value) -> Vec<String> {
        refused(kind, patch.as_object().unwrap())
    }

    fn container(field: &str, value: Value) -> Value {
        let mut container = json!({"name": "api"});
        container[field] = value;
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn what_a_container_runs_may_be_patched_and_what_it_may_do_may_not() {
        let of = |field: &str, value| of(ObjectKind::Deployment, container(field, value));
        assert_eq!(
            of("livenessProbe", json!({"httpGet": {"port": 80}})),
            [""; 0]
        );
        assert_eq!(of("image", json!("api:2")), [""; 0]);
        assert_eq!(
            of("securityContext", json!({"privileged": true})),
            ["no plan patches `spec.template.spec.containers[].securityContext` of a Deployment"]
        );
        assert_eq!(
            of("ports", json!([{"containerPort": 80, "hostPort": 80}])).len(),
            1
        );
    }

    #[test]
    fn identity_host_and_directives_are_refused_at_any_depth() {
        for patch in [
            json!({"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}}),
            json!({"spec": {"template": {"spec": {"hostNetwork": true}}}}),
            json!({"spec": {"template": {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}}}),
            json!({"spec": {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {"$patch": "delete"}}]}}}}),
            json!({"spec": {"template": {"spec": {"$patch": "replace"}}}}),
            json!({"spec": null}),
            json!({"spec": {}}),
            json!({"metadata": {"ownerReferences": []}}),
            json!({"metadata": {"finalizers": null}}),
            json!({"metadata": {"labels": null}}),
            json!({"metadata": {"resourceVersion": "1"}}),
            json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "x"}}}),
            json!({"kind": "Pod"}),
            json!({}),
        ] {
            assert!(
                !of(ObjectKind::Deployment, patch.clone()).is_empty(),
                "{patch}"
            );
        }
        let unnamed = json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}});
        assert_eq!(of(ObjectKind::Deployment, unnamed).len(), 1);
    }

    #[test]
    fn each_kind_has_its_own_fields() {
        assert_eq!(
            of(
                ObjectKind::Service,
                json!({"spec": {"selector": {"track": "b"}}})
            ),
            [""; 0]
        );
        assert_eq!(
            of(ObjectKind::Service, json!({"spec": {"type": "NodePort"}})).len(),
            1
        );
        assert_eq!(
            of(
                ObjectKind::Service,
                json!({"spec": {"ports": [{"nodePort": 30000}]}})
            )
            .len(),
            1
        );
        assert_eq!(
            of(ObjectKind::ConfigMap, json!({"data": {"a": null}})),
            [""; 0]
        );
        assert_eq!(
            of(ObjectKind::Secret, json!({"data": {"a": "eA=="}})).len(),
            1
        );
        assert_eq!(
            of(ObjectKind::Deployment, json!({"data": {"a": "b"}})).len(),
            1
        );
    }
}
