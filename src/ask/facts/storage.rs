//! Facts of claims, volumes, ConfigMaps and Secrets, and of what limits and scales.

use serde_json::Value;

use super::super::kind::{AskedKind, USERS};
use super::super::object::{SeenObject, items, text, texts};
use super::super::snapshot::ClusterSnapshot;
use super::or_none;

/// What each volume of a pod is: `ConfigMap settings`.
fn volumes(seen: SeenObject<'_>) -> Vec<(String, String)> {
    let named = |volume: &Value| {
        let of = |key: &str, name: &str, kind: &str| {
            Some(format!("{kind} {}", volume[key][name].as_str()?))
        };
        of("configMap", "name", "ConfigMap")
            .or_else(|| of("secret", "secretName", "Secret"))
            .or_else(|| of("persistentVolumeClaim", "claimName", "claim"))
            .or_else(|| of("hostPath", "path", "host path"))
            .unwrap_or_else(|| {
                let keys = volume.as_object().into_iter().flatten().map(|(key, _)| key);
                keys.filter(|key| *key != "name")
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            })
    };
    let in_pods =
        items(&seen.pod_spec()["volumes"]).map(|volume| (text(&volume["name"]), named(volume)));
    let templates = items(&seen.spec()["volumeClaimTemplates"]);
    let claimed = templates.map(|claim| {
        (
            text(&claim["metadata"]["name"]),
            "a claim for each pod".to_owned(),
        )
    });
    in_pods.chain(claimed).collect()
}

pub(super) fn mounts(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let volumes = volumes(seen);
    let mut rows = vec![];
    for container in seen.containers() {
        for mount in items(&container["volumeMounts"]) {
            let name = text(&mount["name"]);
            let path = text(&mount["mountPath"]);
            // The token that Kubernetes gives every pod.
            if path == "/var/run/secrets/kubernetes.io/serviceaccount" {
                continue;
            }
            let what = volumes
                .iter()
                .find(|(of, _)| *of == name)
                .map_or(String::new(), |(_, what)| format!(": {what}"));
            rows.push(vec![
                text(&container["name"]),
                path,
                format!("{name}{what}"),
            ]);
        }
    }
    rows
}

pub(super) fn keys(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let of = |member: &str| texts(&seen.value[member]).into_keys();
    of("data")
        .chain(of("binaryData"))
        .map(|key| vec![key])
        .collect()
}

pub(super) fn capacity(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    if seen.kind != AskedKind::Node {
        return claims(seen, snapshot)
            .into_iter()
            .map(|row| row.into_iter().take(1).collect())
            .collect();
    }
    let can = &seen.status()["allocatable"];
    vec![vec![format!(
        "cpu {}, memory {}, pods {}",
        text(&can["cpu"]),
        text(&can["memory"]),
        text(&can["pods"])
    )]]
}

pub(super) fn claims(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let (spec, status) = (seen.spec(), seen.status());
    let size = match seen.kind {
        AskedKind::Volume => &spec["capacity"]["storage"],
        _ if status["capacity"]["storage"].is_string() => &status["capacity"]["storage"],
        _ => &spec["resources"]["requests"]["storage"],
    };
    let bound = match seen.kind {
        AskedKind::Volume if spec["claimRef"].is_null() => String::new(),
        AskedKind::Volume => format!(
            "{}/{}",
            text(&spec["claimRef"]["namespace"]),
            text(&spec["claimRef"]["name"])
        ),
        _ => text(&spec["volumeName"]),
    };
    let access: Vec<_> = items(&spec["accessModes"]).map(text).collect();
    vec![vec![
        text(size),
        text(&spec["storageClassName"]),
        access.join(", "),
        or_none(bound),
    ]]
}

/// The ways in which a pod or its template uses a ConfigMap, Secret, claim or ServiceAccount.
pub(in super::super) fn uses(seen: SeenObject<'_>, kind: AskedKind, name: &str) -> Vec<String> {
    let spec = seen.pod_spec();
    let mut found = vec![];
    let (source, reference, volume, named) = match kind {
        AskedKind::ConfigMap => ("configMapRef", "configMapKeyRef", "configMap", "name"),
        AskedKind::Secret => ("secretRef", "secretKeyRef", "secret", "secretName"),
        AskedKind::Claim => ("", "", "persistentVolumeClaim", "claimName"),
        AskedKind::ServiceAccount => {
            let account = spec["serviceAccountName"].as_str().unwrap_or("default");
            return if account == name {
                vec!["its account".to_owned()]
            } else {
                vec![]
            };
        }
        _ => return found,
    };
    for container in seen.containers() {
        let sources = items(&container["envFrom"]).filter(|one| one[source]["name"] == name);
        found.extend(sources.map(|_| "environment".to_owned()));
        let single =
            items(&container["env"]).filter(|one| one["valueFrom"][reference]["name"] == name);
        found.extend(single.map(|one| format!("variable {}", text(&one["name"]))));
    }
    let own = items(&spec["volumes"]).filter(|one| one[volume][named] == name);
    found.extend(own.map(|one| format!("volume {}", text(&one["name"]))));
    // Kubernetes adds one with the account's token to every pod.
    let own =
        items(&spec["volumes"]).filter(|one| !text(&one["name"]).starts_with("kube-api-access-"));
    let projected = own.flat_map(|one| items(&one["projected"]["sources"]));
    found.extend(
        projected
            .filter(|one| one[volume]["name"] == name)
            .map(|_| "projected volume".to_owned()),
    );
    if kind == AskedKind::Secret {
        let pulls = items(&spec["imagePullSecrets"]).filter(|one| one["name"] == name);
        found.extend(pulls.map(|_| "image pulls".to_owned()));
    }
    found
}

/// Who uses an object: workloads, and pods that none of these makes.
pub(in super::super) fn users<'a>(
    seen: SeenObject<'_>,
    snapshot: &'a ClusterSnapshot,
) -> Vec<(SeenObject<'a>, Vec<String>)> {
    let mut found: Vec<(SeenObject<'a>, Vec<String>)> = vec![];
    for kind in USERS {
        for one in snapshot.here(*kind, seen.namespace()) {
            let is_told = snapshot.maker(one).is_some_and(|(kind, name)| {
                found
                    .iter()
                    .any(|(user, _)| user.kind == kind && user.name() == name)
            });
            let ways = uses(one, seen.kind, seen.name());
            if !ways.is_empty() && !is_told {
                found.push((one, ways));
            }
        }
    }
    found
}

pub(super) fn used_by(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let rows: Vec<_> = users(seen, snapshot)
        .into_iter()
        .map(|(user, ways)| vec![user.title(), ways.join(", ")])
        .collect();
    if rows.is_empty() {
        vec![vec!["nothing".to_owned(), String::new()]]
    } else {
        rows
    }
}

pub(super) fn quota(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let (hard, used) = (texts(&seen.status()["hard"]), texts(&seen.status()["used"]));
    let row = |(resource, most): (String, String)| {
        let used = used.get(&resource).cloned().unwrap_or_default();
        vec![resource, used, most]
    };
    hard.into_iter().map(row).collect()
}

pub(super) fn autoscaler(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let (spec, status) = (seen.spec(), seen.status());
    let target = &spec["scaleTargetRef"];
    let metric = |metric: &Value| {
        let resource = &metric["resource"];
        let wanted = text(&resource["target"]["averageUtilization"]);
        let now = items(&status["currentMetrics"])
            .find(|one| one["resource"]["name"] == resource["name"]);
        let now = now
            .map(|one| text(&one["resource"]["current"]["averageUtilization"]))
            .filter(|now| !now.is_empty());
        let now = now.map_or_else(|| "unknown".to_owned(), |now| format!("{now} %"));
        match resource["name"].as_str() {
            Some(name) => format!("{name}: {now} of {wanted} %"),
            None => text(&metric["type"]),
        }
    };
    let metrics: Vec<_> = items(&spec["metrics"]).map(metric).collect();
    let least = spec["minReplicas"].as_i64().unwrap_or(1).to_string();
    vec![vec![
        format!("{} {}", text(&target["kind"]), text(&target["name"])),
        least,
        text(&spec["maxReplicas"]),
        status["currentReplicas"]
            .as_i64()
            .unwrap_or_default()
            .to_string(),
        metrics.join(", "),
    ]]
}
