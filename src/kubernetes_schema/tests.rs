use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod custom;
mod mutations;

/// One object of each kind with every field set, as Kubernetes tests its own versions with them.
fn examples() -> BTreeMap<String, Value> {
    let packed = include_bytes!("../../tests/kubernetes/examples.json.gz");
    let mut text = String::new();
    GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let mut examples: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    examples.values_mut().for_each(with_size);
    examples
}

/// The files have made-up names of resources everywhere; a claim needs a real one.
fn with_size(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("accessModes") && map.contains_key("resources") {
                map["resources"]["requests"] = json!({"storage": "1Gi"});
            }
            map.values_mut().for_each(with_size);
        }
        Value::Array(items) => items.iter_mut().for_each(with_size),
        _ => {}
    }
}

fn version(minor: u8) -> KubernetesVersion {
    KubernetesVersion::new(minor)
}

fn all_versions() -> Vec<KubernetesVersion> {
    schema_versions().collect()
}

fn check(object: &Value, targets: &[KubernetesVersion]) -> SchemaVerdict {
    SchemaCatalog::new([]).check(object, targets)
}

/// `PATH: WHAT (EXPECTED)`.
fn lines(verdict: &SchemaVerdict) -> Vec<String> {
    let line = |one: &SchemaViolation| match &one.expected {
        Some(expected) => format!("{}: {} ({expected})", one.path, one.what),
        None => format!("{}: {}", one.path, one.what),
    };
    verdict.violations.iter().map(line).collect()
}

fn of_yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_packed_schemas_are_whole() {
    let versions: Vec<_> = schema_versions().map(|version| version.minor).collect();
    assert_eq!(versions, (25..=37).collect::<Vec<_>>());
    let packed = packed::packed();
    assert!(
        packed.definitions.len() > 1100,
        "{}",
        packed.definitions.len()
    );
    assert!(
        packed
            .definitions
            .is_sorted_by_key(|definition| &definition.name)
    );
    for definition in &packed.definitions {
        for (_, kind) in definition.fields.values().flat_map(|field| &field.types) {
            let mut kind = kind;
            while let packed::SchemaType::List(inner) | packed::SchemaType::Map(inner) = kind {
                kind = inner;
            }
            match kind {
                packed::SchemaType::SchemaDefinition(at) => assert!(*at < packed.definitions.len()),
                packed::SchemaType::Enumeration(at) => assert!(*at < packed.enumerations.len()),
                _ => {}
            }
        }
        assert!(
            definition
                .required
                .keys()
                .all(|key| definition.fields.contains_key(key)),
            "{}",
            definition.name
        );
    }
}

#[test]
fn objects_with_every_field_have_no_unknown_key_no_wrong_type_and_nothing_missing() {
    let newest = all_versions().last().copied().unwrap();
    let (mut valid, mut elsewhere) = (0, vec![]);
    for (name, object) in examples() {
        let (api_version, kind) = (
            object["apiVersion"].as_str().unwrap_or_default(),
            object["kind"].as_str().unwrap_or_default(),
        );
        let has_newest = packed::packed()
            .kind(api_version, kind)
            .is_some_and(|(_, mask)| mask >> 12 & 1 == 1);
        if !has_newest {
            elsewhere.push(name);
            continue;
        }
        let verdict = check(&object, &[newest]);
        // Texts such as `restartPolicyValue` are members of no enumeration, and volumes have all kinds at once.
        let is_value = |one: &&SchemaViolation| {
            use SchemaProblem::{Conflict, Deprecated, NotInEnumeration, WrongFormat};
            ![Conflict, Deprecated, NotInEnumeration, WrongFormat].contains(&one.problem)
        };
        let wrong: Vec<_> = verdict.violations.iter().filter(is_value).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        let is_placeholder = |one: &&SchemaViolation| {
            let named = one.what.contains("Value`")
                || one.what.contains("Key`")
                || one.what.contains("Value…`");
            let is_subject = one.what == "the subject is of an unknown kind";
            one.problem != SchemaProblem::NotInEnumeration || named || is_subject
        };
        let strange: Vec<_> = verdict
            .violations
            .iter()
            .filter(|one| !is_placeholder(one))
            .collect();
        assert!(strange.is_empty(), "{name}: {strange:#?}");
        assert_eq!(verdict.unchecked, [""; 0]);
        valid += 1;
    }
    assert!(valid >= 95, "{valid}");
    // Kinds that are no longer served, and those that are only asked of webhooks and the API server.
    assert!(
        elsewhere
            .iter()
            .any(|name| name == "extensions.v1beta1.Ingress"),
        "{elsewhere:?}"
    );
    assert_eq!(valid + elsewhere.len(), 193);
}

#[test]
fn what_people_get_wrong_is_told_with_what_would_be_right() {
    let object = of_yaml(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: Shop, labels: {app: a b}}\nspec:\n  replica: 2\n  \
         selector: {matchLabels: {app: shop}}\n  template:\n    metadata: {labels: {app: shop}}\n    spec:\n      \
         containers:\n      - name: api\n        image: api:1\n        imagePullPolicy: Alwyas\n        env:\n        \
         - {name: PORT, value: 80}\n        ports:\n        - {name: http, containerPort: 80800}\n        resources:\n          \
         limits: {memory: 1GB}\n        livenessProbe: {httpGet: {port: web_ui}, periodSeconds: often}\n",
    );
    let container = "/spec/template/spec/containers/0";
    assert_eq!(
        lines(&check(&object, &[version(33)])),
        [
            "/metadata/labels/app: `a b` is no value of a label (letters, digits, `-`, `_` and `.`, a letter or digit at both \
             ends, at most 63)"
                .to_owned(),
            "/spec/replica: `replica` is no key of `DeploymentSpec` (did you mean `replicas`?)".to_owned(),
            format!("{container}/imagePullPolicy: `Alwyas` is not allowed (did you mean `Always`?)"),
            format!("{container}/env/0/value: the value is an integer (a text)"),
            format!("{container}/ports/0/containerPort: 80800 is out of bounds (a port from 1 to 65535)"),
            format!("{container}/resources/limits/memory: `1GB` is no quantity (a quantity such as `500m` or `1Gi`)"),
            format!(
                "{container}/livenessProbe/httpGet/port: `web_ui` is no name of a port (at most 15 lowercase letters, digits \
                 and `-`)"
            ),
            format!("{container}/livenessProbe/periodSeconds: the value is a text (an integer of 32 bits)"),
            "/metadata/name: `Shop` is no name for `Deployment` (lowercase letters, digits, `-` and `.`, at most 253)".to_owned(),
        ]
    );
}

#[test]
fn a_null_is_nothing_and_a_required_field_that_is_null_is_missing() {
    let object = of_yaml(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: null, creationTimestamp: null}\nspec:\n  \
         nodeSelector: null\n  containers:\n  - {name: a, image: a, args: [null], env: [null], ports: [{containerPort: null}]}\n",
    );
    assert_eq!(
        lines(&check(&object, &all_versions())),
        [
            "/spec/containers/0/env/0/name: `name` is missing",
            "/spec/containers/0/ports/0/containerPort: `containerPort` is missing"
        ]
    );
}

#[test]
fn versions_are_told_apart_in_one_verdict() {
    let object = of_yaml(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, image: a, resizePolicy: []}\n",
    );
    let verdict = check(&object, &all_versions());
    assert_eq!(
        lines(&verdict),
        [
            "/spec/containers/0/resizePolicy: `resizePolicy` is not known (Kubernetes 1.27 to 1.37 has it)"
        ]
    );
    assert_eq!(verdict.violations[0].versions, [version(25), version(26)]);
    assert_eq!(lines(&check(&object, &[version(27)])), [""; 0]);
}

#[test]
fn api_versions_that_are_gone_or_going_name_their_successor() {
    let of = |api_version: &str, kind: &str, target| {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": null});
        let verdict = check(&object, &[version(target)]);
        let found = verdict
            .violations
            .iter()
            .find(|one| one.path == "/apiVersion" || one.path == "/kind");
        found.map(|one| (one.problem, one.what.clone(), one.expected.clone()))
    };
    let expect = |problem, what: &str, expected: &str| {
        Some((problem, what.to_owned(), Some(expected.to_owned())))
    };
    use SchemaProblem::{Deprecated, NotServed, UnknownKind};
    assert_eq!(
        of("extensions/v1beta1", "Ingress", 30),
        expect(
            NotServed,
            "`Ingress` of `extensions/v1beta1` is no longer served",
            "`networking.k8s.io/v1`"
        )
    );
    assert_eq!(
        of("autoscaling/v2beta2", "HorizontalPodAutoscaler", 26),
        expect(
            NotServed,
            "`HorizontalPodAutoscaler` of `autoscaling/v2beta2` is no longer served",
            "`autoscaling/v2`"
        )
    );
    assert_eq!(
        of("autoscaling/v2beta2", "HorizontalPodAutoscaler", 25),
        expect(
            Deprecated,
            "`HorizontalPodAutoscaler` of `autoscaling/v2beta2` is deprecated, and gone from 1.26 on",
            "`autoscaling/v2`"
        )
    );
    assert_eq!(
        of("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", 28)
            .unwrap()
            .1,
        "`FlowSchema` of `flowcontrol.apiserver.k8s.io/v1` is not yet served"
    );
    assert_eq!(
        of("networking.k8s.io/v1beta1", "NetworkPolicy", 30),
        expect(
            UnknownKind,
            "`networking.k8s.io/v1beta1` has no kind `NetworkPolicy`",
            "`networking.k8s.io/v1`"
        )
    );
    assert_eq!(
        of("apps/v1", "Deploymnet", 30),
        expect(
            UnknownKind,
            "`apps/v1` has no kind `Deploymnet`",
            "did you mean `Deployment`?"
        )
    );
    assert_eq!(of("apps/v1", "Deployment", 30), None);
}

#[test]
fn a_kind_without_a_schema_and_a_version_without_one_are_not_checked() {
    let object = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "a"}});
    let verdict = check(&object, &all_versions());
    assert_eq!(verdict.violations, []);
    assert_eq!(
        verdict.unchecked,
        ["there is no schema of `ServiceMonitor` in `monitoring.coreos.com/v1`"]
    );
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": 1});
    let verdict = check(&map, &[version(24)]);
    assert_eq!(
        (verdict.violations.len(), verdict.unchecked),
        (0, vec!["devk has no schemas of Kubernetes 1.24".to_owned()])
    );
}

#[test]
fn the_items_of_a_list_are_objects_of_their_own() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": 1}},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"kind": "ConfigMap"},
        7,
    ]});
    assert_eq!(
        lines(&check(&list, &[version(30)])),
        [
            "/items/0/data/a: the value is an integer (a text)",
            "/items/1/metadata/name: `name` is missing",
            "/items/2/apiVersion: `apiVersion` is missing",
            "/items/3: the value is an integer (an object)",
        ]
    );
}

#[test]
fn what_may_be_secret_is_not_shown() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
        "data": {"password": "hunter2!", "b": 12345}, "stringData": {"pin": 4711}});
    let verdict = check(&secret, &all_versions());
    assert_eq!(verdict.violations.len(), 3, "{verdict:?}");
    let text = serde_json::to_string(&verdict).unwrap();
    assert!(
        !["hunter2", "12345", "4711"]
            .iter()
            .any(|word| text.contains(word)),
        "{text}"
    );
}

#[test]
fn two_hundred_objects_are_checked_against_all_versions_in_one_walk_each() {
    let object = &examples()["apps.v1.Deployment"];
    let catalog = SchemaCatalog::new([]);
    let targets = all_versions();
    let (one, all) = (Instant::now(), catalog.check(object, &targets[12..]));
    let (one, many) = (one.elapsed(), Instant::now());
    let verdict = catalog.check(object, &targets);
    let many = many.elapsed();
    assert!(verdict.violations.len() >= all.violations.len());
    // All versions together cost a few times one of them, not thirteen times; the bound leaves room for a busy machine.
    assert!(
        many < one * 8 + std::time::Duration::from_millis(50),
        "{one:?} {many:?}"
    );
}

const WORDS: &[&str] = &[
    "spec",
    "metadata",
    "template",
    "containers",
    "ports",
    "env",
    "name",
    "data",
    "rules",
    "selector",
    "volumes",
];

/// Any JSON, with the keys of common objects among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        proptest::sample::select(WORDS).prop_map(str::to_owned),
        any::<String>()
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_the_check_panic(spec in any_json(), schema in any_json(), at in 0usize..6) {
        let (api_version, kind) = [
            ("apps/v1", "Deployment"), ("v1", "Pod"), ("v1", "Service"), ("networking.k8s.io/v1", "Ingress"),
            ("batch/v1", "Job"), ("v1", "Secret"),
        ][at];
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "spec": {"group": "a.b", "names": {"kind": "C"},
                "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema}}]}});
        let catalog = SchemaCatalog::new([&definition, &spec]);
        for mut object in [spec.clone(), json!({"spec": spec, "metadata": spec, "data": spec, "type": "ExternalName"})] {
            catalog.check(&object, &all_versions());
            for (api_version, kind) in [(api_version, kind), ("a.b/v1", "C")] {
                if let Some(map) = object.as_object_mut() {
                    map.insert("apiVersion".to_owned(), api_version.into());
                    map.insert("kind".to_owned(), kind.into());
                }
                let verdict = catalog.check(&object, &all_versions());
                prop_assert!(verdict.violations.iter().all(|one| !one.what.is_empty() && !one.versions.is_empty()));
            }
        }
    }
}

#[test]
fn an_object_without_bottom_ends() {
    let around =
        |key: &str, inner: Value| Value::Object([(key.to_owned(), inner)].into_iter().collect());
    let mut schema = json!({"type": 1});
    for _ in 0..500 {
        schema = around("properties", around("a", schema));
    }
    let object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "a.b.c"}, "spec": {"group": "b.c", "scope": "Namespaced", "names": {"kind": "A", "plural": "a"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    assert_eq!(check(&object, &all_versions()).violations, []);
}

#[test]
fn every_family_of_addresses_of_an_endpoint_slice_is_taken() {
    for family in ["IPv4", "IPv6", "FQDN"] {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"},
            "addressType": family, "endpoints": [],
        });
        let found = check(&slice, &all_versions());
        assert!(found.violations.is_empty(), "{family}: {:?}", lines(&found));
    }
}
