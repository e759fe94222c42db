//! Objects with every field, each with one mistake made in it: every mistake is found where it was made.

use super::*;

/// What is wrong in the object at a place, that was not wrong before.
fn found(object: &Value, before: &SchemaVerdict, path: &str) -> Vec<SchemaProblem> {
    let targets: Vec<_> = all_versions().into_iter().rev().take(1).collect();
    let after = check(object, &targets);
    let new = after
        .violations
        .into_iter()
        .filter(|one| one.path == path && !before.violations.contains(one));
    new.map(|one| one.problem).collect()
}

/// Looks whether a mistake in the example of a kind is found.
fn is_found(name: &str, path: &str, problem: SchemaProblem, mistake: impl FnOnce(&mut Value)) {
    let examples = examples();
    let mut object = examples[name].clone();
    let before = check(&object, &all_versions()[12..]);
    mistake(&mut object);
    let problems = found(&object, &before, path);
    assert!(problems.contains(&problem), "{name} {path}: {problems:?}");
}

/// Every object inside of a value that is no map of any keys, with its place.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let is_map = map
                .keys()
                .any(|key| key.ends_with("Key") || ["storage", "$ref"].contains(&key.as_str()));
            if !map.is_empty() && !is_map {
                found.push(path.to_owned());
            }
            for (key, value) in map {
                objects(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                objects(item, &format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
}

/// Every text, number and boolean inside of a value, with its place.
fn scalars(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| scalars(value, &format!("{path}/{key}"), found)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, item)| scalars(item, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Kinds that people write, whose parts are those of most others.
const KINDS: [&str; 24] = [
    "admissionregistration.k8s.io.v1.ValidatingWebhookConfiguration",
    "apps.v1.DaemonSet",
    "apps.v1.Deployment",
    "apps.v1.StatefulSet",
    "autoscaling.v2.HorizontalPodAutoscaler",
    "batch.v1.CronJob",
    "batch.v1.Job",
    "core.v1.ConfigMap",
    "core.v1.LimitRange",
    "core.v1.Namespace",
    "core.v1.PersistentVolume",
    "core.v1.PersistentVolumeClaim",
    "core.v1.Pod",
    "core.v1.ResourceQuota",
    "core.v1.Secret",
    "core.v1.Service",
    "core.v1.ServiceAccount",
    "networking.k8s.io.v1.Ingress",
    "networking.k8s.io.v1.NetworkPolicy",
    "policy.v1.PodDisruptionBudget",
    "rbac.authorization.k8s.io.v1.ClusterRole",
    "rbac.authorization.k8s.io.v1.RoleBinding",
    "scheduling.k8s.io.v1.PriorityClass",
    "storage.k8s.io.v1.StorageClass",
];

/// A mistake at a share of all places of all kinds.
fn everywhere(
    places: fn(&Value, &str, &mut Vec<String>),
    step: usize,
    problem: SchemaProblem,
    mistake: impl Fn(&mut Value, &str) -> String,
) -> usize {
    let examples = examples();
    let mut count = 0;
    for name in KINDS {
        let before = check(&examples[name], &all_versions()[12..]);
        let mut all = vec![];
        places(&examples[name], "", &mut all);
        // `managedFields` has parts of any form.
        let all = all.into_iter().filter(|path| !path.contains("fieldsV1"));
        for path in all
            .enumerate()
            .filter(|(at, _)| at % step == 0)
            .map(|(_, path)| path)
        {
            let mut object = examples[name].clone();
            let at = mistake(&mut object, &path);
            let problems = found(&object, &before, &at);
            assert!(problems.contains(&problem), "{name} {at}: {problems:?}");
            count += 1;
        }
    }
    count
}

#[test]
fn an_unknown_key_is_found_in_any_object() {
    let count = everywhere(objects, 9, SchemaProblem::UnknownKey, |object, path| {
        object.pointer_mut(path).unwrap()["unknwonKey"] = json!("a");
        format!("{path}/unknwonKey")
    });
    assert!(count >= 100, "{count}");
}

#[test]
fn a_list_in_the_place_of_any_value_is_found() {
    let count = everywhere(scalars, 23, SchemaProblem::WrongType, |object, path| {
        *object.pointer_mut(path).unwrap() = json!([[]]);
        path.to_owned()
    });
    assert!(count >= 100, "{count}");
}

#[test]
fn texts_numbers_and_booleans_in_each_others_place_are_found() {
    for (name, path, value) in [
        ("apps.v1.Deployment", "/spec/replicas", json!("2")),
        ("apps.v1.Deployment", "/spec/replicas", json!(1.5)),
        (
            "apps.v1.Deployment",
            "/spec/replicas",
            json!(3_000_000_000u32),
        ),
        ("apps.v1.Deployment", "/spec/paused", json!("true")),
        ("apps.v1.Deployment", "/spec/paused", json!(1)),
        ("apps.v1.Deployment", "/spec/selector", json!("app")),
        (
            "apps.v1.Deployment",
            "/metadata/labels/labelsKey",
            json!(true),
        ),
        (
            "apps.v1.Deployment",
            "/metadata/annotations/annotationsKey",
            json!(1),
        ),
        ("apps.v1.Deployment", "/metadata/name", json!(1)),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers",
            json!({"name": "a"}),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0",
            json!("nginx"),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/args",
            json!("--port=80"),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/args/0",
            json!(80),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/env",
            json!({"A": "b"}),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/env/0/value",
            json!(false),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/ports/0/containerPort",
            json!("http"),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/resources/limits/limitsKey",
            json!({"a": 1}),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/livenessProbe/httpGet/port",
            json!(true),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/containers/0/securityContext/runAsUser",
            json!("1000"),
        ),
        (
            "apps.v1.Deployment",
            "/spec/template/spec/hostAliases",
            json!("a"),
        ),
        ("core.v1.ConfigMap", "/data/dataKey", json!({"a": "b"})),
        ("core.v1.ConfigMap", "/immutable", json!("yes")),
        ("core.v1.Secret", "/stringData/stringDataKey", json!(1)),
        ("core.v1.Service", "/spec/ports/0/port", json!("80")),
        ("core.v1.Service", "/spec/selector", json!(["app"])),
        ("core.v1.Service", "/spec/selector/selectorKey", json!(1)),
        ("batch.v1.CronJob", "/spec/schedule", json!(5)),
        ("batch.v1.Job", "/spec/backoffLimit", json!("3")),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules",
            json!({"host": "a"}),
        ),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/tls/0/hosts",
            json!("a"),
        ),
        (
            "policy.v1.PodDisruptionBudget",
            "/spec/minAvailable",
            json!(true),
        ),
        (
            "rbac.authorization.k8s.io.v1.ClusterRole",
            "/rules/0/verbs",
            json!("get"),
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/maxReplicas",
            json!("10"),
        ),
    ] {
        is_found(name, path, SchemaProblem::WrongType, |object| {
            *object.pointer_mut(path).unwrap() = value
        });
    }
}

#[test]
fn a_text_that_is_in_no_enumeration_is_found() {
    const POD: &str = "/spec/template/spec";
    for (name, path) in [
        ("apps.v1.DaemonSet", "/spec/updateStrategy/type"),
        ("apps.v1.Deployment", "/spec/strategy/type"),
        (
            "apps.v1.Deployment",
            "/spec/selector/matchExpressions/0/operator",
        ),
        ("apps.v1.StatefulSet", "/spec/podManagementPolicy"),
        ("apps.v1.StatefulSet", "/spec/updateStrategy/type"),
        (
            "apps.v1.StatefulSet",
            "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
        ),
        (
            "apps.v1.StatefulSet",
            "/spec/volumeClaimTemplates/0/spec/accessModes/0",
        ),
        (
            "apps.v1.StatefulSet",
            "/spec/volumeClaimTemplates/0/spec/volumeMode",
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/behavior/scaleDown/selectPolicy",
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/behavior/scaleUp/policies/0/type",
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/metrics/0/type",
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/metrics/0/resource/target/type",
        ),
        ("batch.v1.CronJob", "/spec/concurrencyPolicy"),
        ("batch.v1.Job", "/spec/completionMode"),
        ("batch.v1.Job", "/spec/podReplacementPolicy"),
        ("batch.v1.Job", "/spec/podFailurePolicy/rules/0/action"),
        (
            "core.v1.PersistentVolume",
            "/spec/persistentVolumeReclaimPolicy",
        ),
        ("core.v1.Service", "/spec/type"),
        ("core.v1.Service", "/spec/externalTrafficPolicy"),
        ("core.v1.Service", "/spec/internalTrafficPolicy"),
        ("core.v1.Service", "/spec/ipFamilies/0"),
        ("core.v1.Service", "/spec/ipFamilyPolicy"),
        ("core.v1.Service", "/spec/ports/0/protocol"),
        ("core.v1.Service", "/spec/sessionAffinity"),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules/0/http/paths/0/pathType",
        ),
        ("networking.k8s.io.v1.NetworkPolicy", "/spec/policyTypes/0"),
        (
            "networking.k8s.io.v1.NetworkPolicy",
            "/spec/egress/0/ports/0/protocol",
        ),
        (
            "policy.v1.PodDisruptionBudget",
            "/spec/unhealthyPodEvictionPolicy",
        ),
        ("scheduling.k8s.io.v1.PriorityClass", "/preemptionPolicy"),
        ("storage.k8s.io.v1.StorageClass", "/volumeBindingMode"),
        ("storage.k8s.io.v1.StorageClass", "/reclaimPolicy"),
        (
            "admissionregistration.k8s.io.v1.ValidatingWebhookConfiguration",
            "/webhooks/0/failurePolicy",
        ),
        (
            "admissionregistration.k8s.io.v1.ValidatingWebhookConfiguration",
            "/webhooks/0/sideEffects",
        ),
        ("apps.v1.Deployment", &format!("{POD}/restartPolicy")),
        ("apps.v1.Deployment", &format!("{POD}/dnsPolicy")),
        ("apps.v1.Deployment", &format!("{POD}/preemptionPolicy")),
        ("apps.v1.Deployment", &format!("{POD}/os/name")),
        (
            "apps.v1.Deployment",
            &format!("{POD}/securityContext/fsGroupChangePolicy"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/securityContext/seccompProfile/type"),
        ),
        ("apps.v1.Deployment", &format!("{POD}/tolerations/0/effect")),
        (
            "apps.v1.Deployment",
            &format!("{POD}/tolerations/0/operator"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/topologySpreadConstraints/0/whenUnsatisfiable"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/imagePullPolicy"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/terminationMessagePolicy"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/protocol"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/httpGet/scheme"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/securityContext/procMount"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/volumeMounts/0/mountPropagation"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/initContainers/0/restartPolicy"),
        ),
    ] {
        is_found(name, path, SchemaProblem::NotInEnumeration, |object| {
            *object.pointer_mut(path).unwrap() = json!("Sometimes");
        });
    }
}

#[test]
fn a_field_that_must_be_there_is_missed() {
    const POD: &str = "/spec/template/spec";
    for (name, path) in [
        ("apps.v1.Deployment", "/metadata/name"),
        ("apps.v1.Deployment", "/spec/selector"),
        ("apps.v1.Deployment", "/spec/template"),
        (
            "apps.v1.Deployment",
            "/spec/selector/matchExpressions/0/key",
        ),
        (
            "apps.v1.Deployment",
            "/spec/selector/matchExpressions/0/operator",
        ),
        ("apps.v1.Deployment", &format!("{POD}/containers")),
        ("apps.v1.Deployment", &format!("{POD}/containers/0/name")),
        ("apps.v1.Deployment", &format!("{POD}/containers/0/image")),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/env/0/name"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/env/0/valueFrom/configMapKeyRef/key"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/env/0/valueFrom/configMapKeyRef/name"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/env/0/valueFrom/secretKeyRef/name"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/envFrom/0/secretRef/name"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/containerPort"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/httpGet/port"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/tcpSocket/port"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/volumeMounts/0/mountPath"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/volumeMounts/0/name"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/topologySpreadConstraints/0/maxSkew"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/topologySpreadConstraints/0/topologyKey"),
        ),
        ("apps.v1.Deployment", &format!("{POD}/volumes/0/name")),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/hostPath/path"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/persistentVolumeClaim/claimName"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/secret/secretName"),
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/configMap/name"),
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/maxReplicas",
        ),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/scaleTargetRef",
        ),
        ("batch.v1.CronJob", "/spec/schedule"),
        ("batch.v1.CronJob", "/spec/jobTemplate"),
        ("batch.v1.Job", "/spec/template"),
        ("core.v1.PersistentVolume", "/spec/accessModes"),
        ("core.v1.PersistentVolume", "/spec/capacity"),
        ("core.v1.PersistentVolumeClaim", "/spec/accessModes"),
        ("core.v1.Service", "/spec/ports"),
        ("core.v1.Service", "/spec/ports/0/port"),
        ("networking.k8s.io.v1.Ingress", "/spec/rules/0/http/paths"),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules/0/http/paths/0/backend",
        ),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules/0/http/paths/0/pathType",
        ),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/defaultBackend/service/name",
        ),
        (
            "networking.k8s.io.v1.NetworkPolicy",
            "/spec/egress/0/to/0/ipBlock/cidr",
        ),
        ("rbac.authorization.k8s.io.v1.ClusterRole", "/rules/0/verbs"),
        ("rbac.authorization.k8s.io.v1.RoleBinding", "/roleRef"),
        (
            "rbac.authorization.k8s.io.v1.RoleBinding",
            "/subjects/0/name",
        ),
        ("storage.k8s.io.v1.StorageClass", "/provisioner"),
    ] {
        is_found(name, path, SchemaProblem::Missing, |object| {
            let (owner, key) = path.rsplit_once('/').unwrap();
            let owner = object
                .pointer_mut(owner)
                .and_then(Value::as_object_mut)
                .unwrap();
            owner.remove("generateName");
            owner.remove(key).unwrap();
        });
    }
}

#[test]
fn a_value_in_a_wrong_format_is_found() {
    const POD: &str = "/spec/template/spec";
    let wrong = SchemaProblem::WrongFormat;
    let bounds = SchemaProblem::Conflict;
    for (name, path, value, problem) in [
        (
            "apps.v1.Deployment",
            "/metadata/name",
            json!("My_Shop"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/metadata/namespace",
            json!("a.b"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/metadata/creationTimestamp",
            json!("yesterday"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/metadata/labels/labelsKey",
            json!("two words"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/spec/selector/matchLabels/matchLabelsKey",
            json!("-a"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/spec/strategy/rollingUpdate/maxSurge",
            json!("half"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            "/spec/strategy/rollingUpdate/maxSurge",
            json!(-1),
            bounds,
        ),
        ("apps.v1.Deployment", "/spec/replicas", json!(-1), bounds),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/name"),
            json!("My_App"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/image"),
            json!(" nginx"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/env/0/name"),
            json!("A=B"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/name"),
            json!("a_name_with_underscores"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/containerPort"),
            json!(0),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/containerPort"),
            json!(65536),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/ports/0/hostPort"),
            json!(-1),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/httpGet/port"),
            json!("80"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/httpGet/port"),
            json!(70000),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/livenessProbe/periodSeconds"),
            json!(-5),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/resources/limits/limitsKey"),
            json!("1 Gi"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/containers/0/resources/requests/requestsKey"),
            json!("100K"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/name"),
            json!("a.b"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/secret/defaultMode"),
            json!(644),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/volumes/0/emptyDir/sizeLimit"),
            json!("big"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/nodeSelector/nodeSelectorKey"),
            json!("a b"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/hostname"),
            json!("a.b"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/terminationGracePeriodSeconds"),
            json!(-1),
            bounds,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/tolerations/0/key"),
            json!("a b"),
            wrong,
        ),
        (
            "apps.v1.Deployment",
            &format!("{POD}/topologySpreadConstraints/0/maxSkew"),
            json!(0),
            bounds,
        ),
        ("apps.v1.StatefulSet", "/metadata/name", json!("a.b"), wrong),
        (
            "autoscaling.v2.HorizontalPodAutoscaler",
            "/spec/maxReplicas",
            json!(0),
            bounds,
        ),
        ("batch.v1.Job", "/spec/backoffLimit", json!(-1), bounds),
        (
            "core.v1.PersistentVolumeClaim",
            "/spec/resources/requests/storage",
            json!("8 GB"),
            wrong,
        ),
        (
            "core.v1.Secret",
            "/data/dataKey",
            json!("not base64!"),
            wrong,
        ),
        ("core.v1.Service", "/metadata/name", json!("a.b"), wrong),
        (
            "core.v1.Service",
            "/spec/ports/0/name",
            json!("my_port"),
            wrong,
        ),
        ("core.v1.Service", "/spec/ports/0/port", json!(0), bounds),
        (
            "core.v1.Service",
            "/spec/ports/0/nodePort",
            json!(99999),
            bounds,
        ),
        (
            "core.v1.Service",
            "/spec/ports/0/targetPort",
            json!("a_port"),
            wrong,
        ),
        (
            "core.v1.Service",
            "/spec/selector/selectorKey",
            json!("a/b"),
            wrong,
        ),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules/0/host",
            json!("10.0.0.1"),
            wrong,
        ),
        (
            "networking.k8s.io.v1.Ingress",
            "/spec/rules/0/host",
            json!("https://shop.example.com"),
            wrong,
        ),
        (
            "networking.k8s.io.v1.NetworkPolicy",
            "/spec/egress/0/to/0/ipBlock/cidr",
            json!("10.0.0.0"),
            wrong,
        ),
        (
            "policy.v1.PodDisruptionBudget",
            "/spec/minAvailable",
            json!("most"),
            wrong,
        ),
    ] {
        is_found(name, path, problem, |object| {
            *object.pointer_mut(path).unwrap() = value
        });
    }
}

#[test]
fn fields_that_exclude_each_other_are_found() {
    let probe = "{name: a, image: a, livenessProbe: {httpGet: {port: 80}, tcpSocket: {port: 80}}}";
    let objects = [
        (
            "v1",
            "Service",
            "{clusterIP: None, type: NodePort, ports: [{port: 1}]}",
            "/spec/clusterIP",
        ),
        (
            "v1",
            "Service",
            "{type: ExternalName}",
            "/spec/externalName",
        ),
        (
            "v1",
            "Service",
            "{ports: [{port: 1}, {port: 2}]}",
            "/spec/ports",
        ),
        (
            "v1",
            "Service",
            "{ports: [{port: 1, name: a}, {port: 2, name: a}]}",
            "/spec/ports",
        ),
        (
            "v1",
            "Pod",
            &format!("{{containers: [{probe}]}}"),
            "/spec/containers/0/livenessProbe/tcpSocket",
        ),
        ("v1", "Pod", "{containers: []}", "/spec/containers"),
        (
            "v1",
            "Pod",
            "{containers: [{name: a, image: a, livenessProbe: {}}]}",
            "/spec/containers/0/livenessProbe",
        ),
        (
            "v1",
            "Pod",
            "{containers: [{name: a, image: ''}]}",
            "/spec/containers/0/image",
        ),
        (
            "v1",
            "Pod",
            "{containers: [{name: a, image: a, env: [{name: A, value: b, valueFrom: {}}]}]}",
            "/spec/containers/0/env/0/valueFrom",
        ),
        (
            "v1",
            "Pod",
            "{containers: [{name: a, image: a}], volumes: [{name: a, emptyDir: {}, hostPath: {path: /}}]}",
            "/spec/volumes/0/hostPath",
        ),
        (
            "apps/v1",
            "Deployment",
            "{selector: {}, template: {}, strategy: {type: Recreate, rollingUpdate: {}}}",
            "/spec/strategy/rollingUpdate",
        ),
        (
            "apps/v1",
            "Deployment",
            "{selector: {}, template: {spec: {restartPolicy: Never}}}",
            "/spec/template",
        ),
        (
            "batch/v1",
            "Job",
            "{template: {spec: {containers: [{name: a, image: a}]}}}",
            "/spec/template",
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{scaleTargetRef: {kind: a, name: a}, minReplicas: 3, maxReplicas: 2}",
            "/spec/maxReplicas",
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            "{minAvailable: 1, maxUnavailable: 1}",
            "/spec/minAvailable",
        ),
        ("networking.k8s.io/v1", "Ingress", "{}", "/spec/rules"),
        (
            "networking.k8s.io/v1",
            "Ingress",
            "{defaultBackend: {service: {name: a, port: {name: a, number: 1}}}}",
            "/spec/defaultBackend/service/port/number",
        ),
    ];
    for (api_version, kind, spec, path) in objects {
        let object = of_yaml(&format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        ));
        let verdict = check(&object, &all_versions());
        assert!(
            verdict.violations.iter().any(|one| one.path == path),
            "{spec}: {:#?}",
            lines(&verdict)
        );
    }
}

#[test]
fn what_the_api_server_fills_in_is_not_asked_for() {
    for text in [
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, selector: {a: b}}}",
        "{apiVersion: v1, kind: Pod, metadata: {generateName: a-}, spec: {containers: [{name: a, image: a}], volumes: [{name: a}]}}",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {restartPolicy: '', containers: [{name: a, image: a, imagePullPolicy: ''}]}}",
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}, ingress: [{}], egress: []}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a.b, annotations: {Example.com/A: ''}}, data: {.env: '', b: null}}",
        "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: 'aGFsbG8=', b: ''}, stringData: {c: d}}",
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}, spec: {minAvailable: 50%, selector: {}}}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: 'system:a'}, rules: []}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, rules: [{apiGroups: [''], resources: ['*'], verbs: [get]}]}",
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1}}}}",
    ] {
        let verdict = check(&of_yaml(text), &all_versions());
        assert_eq!(lines(&verdict), [""; 0], "{text}");
        assert_eq!(verdict.unchecked, [""; 0]);
    }
}
