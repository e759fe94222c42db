use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

/// What `cargo xtask kubernetes` wrote: Kubernetes' own test data, and what Kubernetes' own code says of each pod.
#[derive(Deserialize)]
struct Official {
    newest: u8,
    files: Vec<OfficialFile>,
    pods: Vec<Value>,
    verdicts: Vec<OfficialVerdict>,
}

#[derive(Deserialize)]
struct OfficialFile {
    /// `LEVEL/vVERSION/pass|fail/CHECK.yaml`.
    path: String,
    pod: usize,
}

/// Per check or level the versions: a bit for each minor.
#[derive(Deserialize)]
struct OfficialVerdict {
    refused: BTreeMap<String, u64>,
    admitted: BTreeMap<String, u64>,
}

fn official() -> Official {
    let packed = include_bytes!("../../tests/kubernetes/pod-security.json.gz");
    let mut text = String::new();
    GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn level(word: &str) -> PodSecurityLevel {
    match word {
        "baseline" => PodSecurityLevel::Baseline,
        "restricted" => PodSecurityLevel::Restricted,
        _ => panic!("{word}"),
    }
}

#[test]
fn every_file_of_the_official_test_data_is_judged_as_its_folder_says() {
    let official = official();
    assert_eq!(official.files.len(), 4241);
    let mut refused_by = BTreeSet::new();
    for file in &official.files {
        let parts: Vec<_> = file.path.split('/').collect();
        let [folder, version, verdict, name] = parts[..] else {
            panic!("{}", file.path);
        };
        let version = KubernetesVersion::parse(version).unwrap();
        let pod = &official.pods[file.pod];
        let violations = pod_security_violations_at(level(folder), pod, version);
        assert_eq!(
            violations.is_empty(),
            verdict == "pass",
            "{}: {violations:?}",
            file.path
        );
        let admitted = pod_security_level(pod, version) >= level(folder);
        assert_eq!(admitted, verdict == "pass", "{}", file.path);
        if verdict == "fail" {
            let check = name
                .trim_end_matches(|c: char| !c.is_alphabetic())
                .trim_end_matches(".yaml");
            let check = check.trim_end_matches(|c: char| c.is_ascii_digit());
            let all = pod_security_violations(pod, version);
            let found = all.iter().find(|found| found.check.to_lowercase() == check);
            refused_by.insert(
                found
                    .unwrap_or_else(|| panic!("{}: {all:?}", file.path))
                    .check,
            );
        }
    }
    assert_eq!(refused_by, CHECKS.iter().map(|check| check.id).collect());
}

#[test]
fn each_check_and_level_agrees_with_kubernetes_on_every_pod_at_every_version() {
    let official = official();
    assert!(official.pods.len() > 500, "{}", official.pods.len());
    for (pod, verdict) in official.pods.iter().zip(&official.verdicts) {
        for minor in 0..=official.newest {
            let version = KubernetesVersion::new(minor);
            let has = |masks: &BTreeMap<String, u64>, id: &str| {
                masks.get(id).is_some_and(|mask| mask >> minor & 1 == 1)
            };
            let found = pod_security_violations(pod, version);
            let found: BTreeSet<_> = found.iter().map(|violation| violation.check).collect();
            let theirs = CHECKS.iter().map(|check| check.id);
            let theirs: BTreeSet<_> = theirs.filter(|id| has(&verdict.refused, id)).collect();
            assert_eq!(found, theirs, "1.{minor}: {pod}");
            for word in ["baseline", "restricted"] {
                let refused = pod_security_violations_at(level(word), pod, version);
                assert_eq!(
                    refused.is_empty(),
                    has(&verdict.admitted, word),
                    "1.{minor} {word}: {pod}"
                );
            }
        }
    }
    let known: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
    let theirs = official
        .verdicts
        .iter()
        .flat_map(|verdict| verdict.refused.keys());
    assert_eq!(theirs.map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn a_violation_names_its_container_and_leads_to_the_field() {
    let pod = json!({
        "metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/api": "unconfined"}},
        "spec": {
            "hostNetwork": true,
            "containers": [{"name": "api", "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]}],
            "initContainers": [{"name": "setup", "securityContext": {"privileged": true}}],
        },
    });
    let found =
        pod_security_violations_at(PodSecurityLevel::Baseline, &pod, KubernetesVersion::new(36));
    let lines: Vec<_> = found
        .iter()
        .map(|one| {
            format!(
                "{} {} {}: {}",
                one.check,
                one.container.as_deref().unwrap_or("pod"),
                one.path,
                one.what
            )
        })
        .collect();
    let annotation = "container.apparmor.security.beta.kubernetes.io";
    assert_eq!(
        lines,
        [
            format!(
                "appArmorProfile pod /metadata/annotations/{annotation}~1api: \
                 the annotation `{annotation}/api` asks for `unconfined`"
            ),
            "hostNamespaces pod /spec/hostNetwork: `hostNetwork` is true".to_owned(),
            "hostPorts api /spec/containers/0/ports/1/hostPort: the container takes port 81 of its node".to_owned(),
            "privileged setup /spec/initContainers/0/securityContext/privileged: `privileged` is true".to_owned(),
        ]
    );
    let present = |one: &PodSecurityViolation| pod.pointer(&one.path).is_some();
    assert!(found.iter().all(present), "{found:?}");
}

#[test]
fn at_the_restricted_level_a_stricter_check_takes_the_place_of_the_wider_one() {
    let pod = json!({"spec": {
        "volumes": [{"name": "docker", "hostPath": {"path": "/var/run/docker.sock"}}],
        "containers": [],
    }});
    let checks = |level| {
        let found = pod_security_violations_at(level, &pod, KubernetesVersion::new(30));
        found.into_iter().map(|one| one.check).collect::<Vec<_>>()
    };
    assert_eq!(checks(PodSecurityLevel::Privileged), [""; 0]);
    assert_eq!(checks(PodSecurityLevel::Baseline), ["hostPathVolumes"]);
    assert_eq!(checks(PodSecurityLevel::Restricted), ["restrictedVolumes"]);
}

/// Any JSON, with the names of a pod's fields among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("spec".to_owned()),
        Just("metadata".to_owned()),
        Just("annotations".to_owned()),
        Just("containers".to_owned()),
        Just("initContainers".to_owned()),
        Just("volumes".to_owned()),
        Just("hostPath".to_owned()),
        Just("securityContext".to_owned()),
        Just("capabilities".to_owned()),
        Just("add".to_owned()),
        Just("ports".to_owned()),
        Just("hostPort".to_owned()),
        Just("seccompProfile".to_owned()),
        Just("type".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
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
    fn no_json_makes_a_check_panic(spec in any_json(), version in 0u8..60) {
        let version = KubernetesVersion::new(version);
        for pod in [spec.clone(), json!({"spec": spec, "metadata": spec})] {
            let found = pod_security_violations(&pod, version);
            prop_assert!(found.iter().all(|one| one.path.starts_with('/') && !one.what.is_empty()));
        }
    }
}
