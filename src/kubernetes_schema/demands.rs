//! What the API server demands of fields that depend on each other, beyond its OpenAPI (k8s.io/kubernetes v1.36.3,
//! `pkg/apis/*/validation/validation.go`; the function is named with each demand). What it fills in by itself is no
//! demand: a volume of no kind becomes an `emptyDir`.

mod network;

use serde_json::{Map, Value};

use super::SchemaProblem;
use super::walk::Complaint;
use network::{ingress, ingress_path, peer, service};

type Object = Map<String, Value>;
/// A complaint, and the key below the object that it is about.
type Placed = (Complaint, Option<String>);
/// What is wrong with an object of a definition.
pub(super) type ServerDemand = fn(&Object) -> Vec<Placed>;

/// The demand on a definition.
pub(super) fn of(definition: &str) -> Option<ServerDemand> {
    let found = DEMANDS.iter().find(|(name, _)| *name == definition);
    found.map(|(_, demand)| *demand)
}

const DEMANDS: &[(&str, ServerDemand)] = &[
    ("apps.v1.DaemonSetSpec", template_always),
    ("apps.v1.DeploymentSpec", template_always),
    ("apps.v1.DeploymentStrategy", strategy),
    ("apps.v1.ReplicaSetSpec", template_always),
    ("apps.v1.StatefulSetSpec", template_always),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", autoscaler),
    ("autoscaling.v2.MetricSpec", metric),
    ("batch.v1.JobSpec", template_ends),
    ("core.v1.ConfigMapEnvSource", |map| needs(map, "name")),
    ("core.v1.ConfigMapKeySelector", |map| needs(map, "name")),
    ("core.v1.ConfigMapProjection", |map| needs(map, "name")),
    ("core.v1.ConfigMapVolumeSource", |map| needs(map, "name")),
    ("core.v1.Container", |map| needs(map, "image")),
    ("core.v1.EnvFromSource", |map| {
        one_of(map, &["configMapRef", "secretRef"])
    }),
    ("core.v1.EnvVar", variable),
    ("core.v1.EnvVarSource", |map| {
        one_of(
            map,
            &[
                "configMapKeyRef",
                "fieldRef",
                "fileKeyRef",
                "resourceFieldRef",
                "secretKeyRef",
            ],
        )
    }),
    ("core.v1.EphemeralContainer", |map| needs(map, "image")),
    ("core.v1.LifecycleHandler", |map| {
        one_of(map, &["exec", "httpGet", "sleep", "tcpSocket"])
    }),
    ("core.v1.PersistentVolumeClaimSpec", claim),
    ("core.v1.PersistentVolumeSpec", |map| {
        [needs(map, "accessModes"), needs(map, "capacity")].concat()
    }),
    ("core.v1.PodSpec", |map| needs(map, "containers")),
    ("core.v1.Probe", |map| {
        one_of(map, &["exec", "grpc", "httpGet", "tcpSocket"])
    }),
    ("core.v1.ReplicationControllerSpec", template_always),
    ("core.v1.Secret", secret),
    ("core.v1.SecretEnvSource", |map| needs(map, "name")),
    ("core.v1.SecretKeySelector", |map| needs(map, "name")),
    ("core.v1.SecretProjection", |map| needs(map, "name")),
    ("core.v1.SecretVolumeSource", |map| needs(map, "secretName")),
    ("core.v1.ServiceSpec", service),
    ("core.v1.Toleration", toleration),
    ("core.v1.Volume", volume),
    ("meta.v1.LabelSelectorRequirement", requirement),
    ("networking.v1.HTTPIngressPath", ingress_path),
    ("networking.v1.IngressBackend", |map| {
        one_of(map, &["resource", "service"])
    }),
    ("networking.v1.IngressServiceBackend", |map| {
        needs(map, "port")
    }),
    ("networking.v1.IngressSpec", ingress),
    ("networking.v1.NetworkPolicyPeer", peer),
    ("networking.v1.ServiceBackendPort", |map| {
        one_of(map, &["name", "number"])
    }),
    ("policy.v1.PodDisruptionBudgetSpec", |map| {
        at_most_one(map, &["maxUnavailable", "minAvailable"])
    }),
    ("rbac.v1.PolicyRule", rule),
    ("rbac.v1.Subject", subject),
];

/// The API server sees no difference between nothing, null, and empty texts, lists and maps.
fn is_set(map: &Object, key: &str) -> bool {
    map.get(key).is_some_and(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        // An empty object may say something: `emptyDir: {}`.
        _ => true,
    })
}

fn word<'a>(map: &'a Object, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn missing(key: &str, why: &str) -> Placed {
    let what = match why {
        "" => format!("`{key}` is missing"),
        _ => format!("`{key}` is missing {why}"),
    };
    (
        Complaint::new(SchemaProblem::Missing, what),
        Some(key.to_owned()),
    )
}

fn conflict(key: Option<&str>, what: impl Into<String>) -> Placed {
    (
        Complaint::new(SchemaProblem::Conflict, what),
        key.map(str::to_owned),
    )
}

/// A field that must be there and not be empty; a field that the OpenAPI requires is told as missing there.
fn needs(map: &Object, key: &str) -> Vec<Placed> {
    let is_told = map.get(key).is_none_or(Value::is_null) && key == "containers";
    match is_set(map, key) || is_told {
        true => vec![],
        false => vec![missing(key, "")],
    }
}

fn names(keys: &[&str]) -> String {
    let names: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    names.join(", ")
}

/// Of several fields at most one (`may not specify more than 1 …`).
fn at_most_one(map: &Object, keys: &[&str]) -> Vec<Placed> {
    let set: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| is_set(map, key))
        .collect();
    match set.as_slice() {
        [first, second, ..] => vec![conflict(
            Some(second),
            format!("`{second}` excludes `{first}`"),
        )],
        _ => vec![],
    }
}

fn one_of(map: &Object, keys: &[&str]) -> Vec<Placed> {
    if keys.iter().any(|key| is_set(map, key)) {
        return at_most_one(map, keys);
    }
    let complaint = Complaint::new(SchemaProblem::Missing, "none of its kinds is given");
    vec![(complaint.expected(format!("one of {}", names(keys))), None)]
}

/// `ValidateVolumes`: at most one kind.
fn volume(map: &Object) -> Vec<Placed> {
    let kinds: Vec<_> = map
        .keys()
        .map(String::as_str)
        .filter(|key| *key != "name")
        .collect();
    at_most_one(map, &kinds)
}

/// `ValidateEnv`: a value or a source.
fn variable(map: &Object) -> Vec<Placed> {
    at_most_one(map, &["value", "valueFrom"])
}

fn restart_policy(map: &Object) -> &str {
    let policy = map
        .get("template")
        .and_then(|template| template.pointer("/spec/restartPolicy"));
    policy.and_then(Value::as_str).unwrap_or_default()
}

/// `ValidatePodTemplateSpecForReplicaSet` and its like for other workloads: pods that are kept running.
fn template_always(map: &Object) -> Vec<Placed> {
    match restart_policy(map) {
        policy @ ("Never" | "OnFailure") => {
            let what =
                format!("`restartPolicy` of the pods is `{policy}`, but they are kept running");
            vec![(
                Complaint::new(SchemaProblem::Conflict, what).expected("`Always`"),
                Some("template".to_owned()),
            )]
        }
        _ => vec![],
    }
}

/// `validateJobSpec`: pods that end, which is not what a pod does by default.
fn template_ends(map: &Object) -> Vec<Placed> {
    let is_indexed = word(map, "completionMode") == "Indexed";
    let indexed = (is_indexed && !is_set(map, "completions"))
        .then(|| missing("completions", "for `Indexed`"));
    let has_template = map.get("template").is_some_and(Value::is_object);
    let restarted = (has_template && ["", "Always"].contains(&restart_policy(map))).then(|| {
        let what = "`restartPolicy` of the pods is `Always`, which a Job does not take";
        let complaint =
            Complaint::new(SchemaProblem::Conflict, what).expected("`Never` or `OnFailure`");
        (complaint, Some("template".to_owned()))
    });
    indexed.into_iter().chain(restarted).collect()
}

/// `ValidateDeploymentStrategy`, `ValidateRollingUpdateDeployment`.
fn strategy(map: &Object) -> Vec<Placed> {
    let rolling = map.get("rollingUpdate").and_then(Value::as_object);
    if word(map, "type") == "Recreate" && rolling.is_some() {
        return vec![conflict(
            Some("rollingUpdate"),
            "`rollingUpdate` excludes `type: Recreate`",
        )];
    }
    let is_none = |key: &str| {
        rolling
            .and_then(|rolling| rolling.get(key))
            .is_some_and(|value| *value == 0 || value == "0%")
    };
    match is_none("maxSurge") && is_none("maxUnavailable") {
        true => vec![conflict(
            Some("rollingUpdate"),
            "with `maxSurge` and `maxUnavailable` of 0 nothing can roll",
        )],
        false => vec![],
    }
}

/// `validateHorizontalPodAutoscalerSpec`.
fn autoscaler(map: &Object) -> Vec<Placed> {
    let number = |key: &str| map.get(key).and_then(Value::as_f64);
    let (least, most) = (number("minReplicas").unwrap_or(1.0), number("maxReplicas"));
    match most.filter(|most| *most < least) {
        Some(most) => vec![conflict(
            Some("maxReplicas"),
            format!("`maxReplicas` is {most}, less than `minReplicas` {least}"),
        )],
        None => vec![],
    }
}

/// `validateMetricSpec`: the field that the type names.
fn metric(map: &Object) -> Vec<Placed> {
    let kind = word(map, "type");
    let key = match kind {
        "ContainerResource" => "containerResource",
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        _ => return vec![],
    };
    let is_there = is_set(map, key);
    (!is_there)
        .then(|| missing(key, &format!("for `{kind}`")))
        .into_iter()
        .collect()
}

/// `ValidatePersistentVolumeClaimSpec`.
fn claim(map: &Object) -> Vec<Placed> {
    let size = map
        .get("resources")
        .and_then(|resources| resources.pointer("/requests/storage"));
    let modes = (!is_set(map, "accessModes")).then(|| missing("accessModes", ""));
    let size = size.is_none_or(Value::is_null).then(|| {
        let complaint = Complaint::new(SchemaProblem::Missing, "`requests.storage` is missing");
        (
            complaint.expected("a quantity such as `1Gi`"),
            Some("resources".to_owned()),
        )
    });
    modes.into_iter().chain(size).collect()
}

/// `ValidateSecret`: keys that a type of Secret must have.
fn secret(map: &Object) -> Vec<Placed> {
    let keys: &[&str] = match word(map, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    let has = |key: &str| {
        let mut places = ["data", "stringData"].into_iter();
        places.any(|place| map.get(place).and_then(|data| data.get(key)).is_some())
    };
    let absent = keys.iter().filter(|key| !has(key));
    absent
        .map(|key| {
            let what = format!(
                "the key `{key}` is missing for `type: {}`",
                word(map, "type")
            );
            (
                Complaint::new(SchemaProblem::Missing, what),
                Some("data".to_owned()),
            )
        })
        .collect()
}

/// `ValidateTolerations`.
fn toleration(map: &Object) -> Vec<Placed> {
    let operator = word(map, "operator");
    if !is_set(map, "key") && operator != "Exists" {
        return vec![conflict(
            Some("operator"),
            "without a `key` the operator is `Exists`",
        )];
    }
    match operator == "Exists" && is_set(map, "value") {
        true => vec![conflict(
            Some("value"),
            "`value` excludes `operator: Exists`",
        )],
        false => vec![],
    }
}

/// `ValidateLabelSelectorRequirement`.
fn requirement(map: &Object) -> Vec<Placed> {
    match (word(map, "operator"), is_set(map, "values")) {
        (operator @ ("In" | "NotIn"), false) => {
            vec![missing("values", &format!("for `{operator}`"))]
        }
        (operator @ ("Exists" | "DoesNotExist"), true) => {
            vec![conflict(
                Some("values"),
                format!("`values` excludes `operator: {operator}`"),
            )]
        }
        _ => vec![],
    }
}

/// `ValidatePolicyRule`.
fn rule(map: &Object) -> Vec<Placed> {
    let verbs = map.get("verbs").is_some_and(|verbs| !verbs.is_null()) && !is_set(map, "verbs");
    let verbs = verbs.then(|| missing("verbs", ""));
    let rest = match (
        is_set(map, "resources"),
        is_set(map, "nonResourceURLs"),
        is_set(map, "apiGroups"),
    ) {
        (true, true, _) => Some(conflict(
            Some("nonResourceURLs"),
            "`nonResourceURLs` excludes `resources`",
        )),
        (true, false, false) => Some(missing("apiGroups", "for `resources`")),
        (false, false, _) => Some(missing("resources", "")),
        _ => None,
    };
    verbs.into_iter().chain(rest).collect()
}

/// `ValidateRoleBindingSubject`, `ValidateClusterRoleBindingSubject`. helm gives a ServiceAccount no namespace.
fn subject(map: &Object) -> Vec<Placed> {
    if !is_set(map, "name") && map.contains_key("name") {
        return vec![missing("name", "")];
    }
    match word(map, "kind") {
        "ServiceAccount" if !is_set(map, "namespace") => {
            vec![missing("namespace", "for a ServiceAccount")]
        }
        "User" | "Group" | "ServiceAccount" | "" => vec![],
        _ => {
            let complaint = Complaint::new(
                SchemaProblem::NotInEnumeration,
                "the subject is of an unknown kind",
            );
            vec![(
                complaint.expected("one of `User`, `Group`, `ServiceAccount`"),
                Some("kind".to_owned()),
            )]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::packed;
    use super::*;

    #[test]
    fn every_definition_with_a_demand_is_in_the_schemas() {
        let mut seen = std::collections::BTreeSet::new();
        for (definition, _) in DEMANDS {
            let at = packed().definition(definition);
            assert!(
                at.is_some_and(|at| packed().definitions[at].demand.is_some()),
                "{definition}"
            );
            assert!(seen.insert(definition), "{definition} is there twice");
        }
    }
}
