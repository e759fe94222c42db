//! Facts of pods and of the templates that pods are made from.

use serde_json::Value;

use super::super::kind::AskedKind;
use super::super::object::{SeenObject, items, moment as time, text, texts};
use super::super::snapshot::ClusterSnapshot;
use super::or_none;

fn name(container: &Value) -> String {
    text(&container["name"])
}

pub(super) fn images(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    seen.containers()
        .map(|container| vec![name(container), text(&container["image"])])
        .collect()
}

pub(super) fn node(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let node = text(&seen.spec()["nodeName"]);
    vec![vec![or_none(node), or_none(text(&seen.status()["podIP"]))]]
}

pub(super) fn restarts(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let row = |status: &Value| {
        let end = &status["lastState"]["terminated"];
        let last = time(&end["finishedAt"]).map(|at| {
            format!(
                "{} (exit code {}), {}",
                text(&end["reason"]),
                text(&end["exitCode"]),
                snapshot.ago(Some(at))
            )
        });
        vec![
            name(status),
            text(&status["restartCount"]),
            last.unwrap_or_else(|| "none".to_owned()),
        ]
    };
    seen.container_statuses().map(row).collect()
}

/// Names and sources, never values: a value that stands in a manifest may be a password all the same.
pub(super) fn environment(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for container in seen.containers() {
        for source in items(&container["envFrom"]) {
            let prefix = text(&source["prefix"]);
            let from = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];
            let from = from
                .into_iter()
                .find_map(|(key, kind)| Some(format!("{kind} {}", source[key]["name"].as_str()?)));
            rows.push(vec![
                name(container),
                format!("{prefix}*"),
                from.unwrap_or_default(),
            ]);
        }
        for variable in items(&container["env"]) {
            rows.push(vec![name(container), name(variable), source_of(variable)]);
        }
    }
    rows
}

fn source_of(variable: &Value) -> String {
    let from = &variable["valueFrom"];
    let key = |of: &str, kind: &str| {
        let source = &from[of];
        Some(format!(
            "{kind} {}, key {}",
            source["name"].as_str()?,
            source["key"].as_str()?
        ))
    };
    key("secretKeyRef", "Secret")
        .or_else(|| key("configMapKeyRef", "ConfigMap"))
        .or_else(|| Some(format!("field {}", from["fieldRef"]["fieldPath"].as_str()?)))
        .or_else(|| {
            Some(format!(
                "resource {}",
                from["resourceFieldRef"]["resource"].as_str()?
            ))
        })
        .unwrap_or_else(|| "the manifest".to_owned())
}

pub(super) fn labels(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    seen.labels()
        .into_iter()
        .map(|(key, value)| vec![key, value])
        .collect()
}

/// Keys alone: values repeat whole manifests.
pub(super) fn annotations(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    texts(&seen.value["metadata"]["annotations"])
        .into_keys()
        .map(|key| vec![key])
        .collect()
}

pub(super) fn resources(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let row = |container: &Value| {
        let one = |what: &str, unit: &str| or_none(text(&container["resources"][what][unit]));
        vec![
            name(container),
            one("requests", "cpu"),
            one("limits", "cpu"),
            one("requests", "memory"),
            one("limits", "memory"),
        ]
    };
    seen.containers().map(row).collect()
}

pub(super) fn replicas(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let (spec, status) = (seen.spec(), seen.status());
    let number = |value: &Value| value.as_i64().unwrap_or_default().to_string();
    let counts = match seen.kind {
        AskedKind::DaemonSet => [
            &status["desiredNumberScheduled"],
            &status["numberReady"],
            &status["currentNumberScheduled"],
        ],
        AskedKind::Autoscaler => [
            &status["desiredReplicas"],
            &Value::Null,
            &status["currentReplicas"],
        ],
        _ => [
            &spec["replicas"],
            &status["readyReplicas"],
            &status["replicas"],
        ],
    };
    vec![counts.map(number).to_vec()]
}

pub(super) fn probes(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for container in seen.containers() {
        for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
            if container[kind].is_object() {
                rows.push(vec![
                    name(container),
                    kind.trim_end_matches("Probe").to_owned(),
                    asks(&container[kind]),
                ]);
            }
        }
    }
    rows
}

/// What a probe asks: `GET / on port http every 10 s`.
pub(in super::super) fn asks(probe: &Value) -> String {
    let (http, tcp, exec, grpc) = (
        &probe["httpGet"],
        &probe["tcpSocket"],
        &probe["exec"],
        &probe["grpc"],
    );
    let what = if http.is_object() {
        format!(
            "GET {} on port {}",
            http["path"].as_str().unwrap_or("/"),
            text(&http["port"])
        )
    } else if tcp.is_object() {
        format!("a connection to port {}", text(&tcp["port"]))
    } else if exec.is_object() {
        items(&exec["command"])
            .map(text)
            .collect::<Vec<_>>()
            .join(" ")
    } else {
        format!("gRPC on port {}", text(&grpc["port"]))
    };
    format!(
        "{what} every {} s",
        probe["periodSeconds"].as_i64().unwrap_or(10)
    )
}

pub(super) fn command(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let row = |container: &Value| {
        let words = items(&container["command"]).chain(items(&container["args"]));
        let words: Vec<_> = words.map(|word| crate::shell::quote(text(word))).collect();
        let command = if words.is_empty() {
            "that of the image".to_owned()
        } else {
            words.join(" ")
        };
        vec![name(container), command]
    };
    seen.containers().map(row).collect()
}

pub(super) fn strategy(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let spec = seen.spec();
    let strategy = if spec["strategy"].is_object() {
        &spec["strategy"]
    } else {
        &spec["updateStrategy"]
    };
    let rolling = &strategy["rollingUpdate"];
    let part = |key: &str, words: &str| {
        (!rolling[key].is_null()).then(|| format!(", {words} {}", text(&rolling[key])))
    };
    let parts = [
        part("maxSurge", "at most more"),
        part("maxUnavailable", "at most fewer"),
        part("partition", "partition"),
    ];
    vec![vec![format!(
        "{}{}",
        text(&strategy["type"]),
        parts.into_iter().flatten().collect::<String>()
    )]]
}

pub(super) fn containers(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let state = |container: &str| {
        let status = seen
            .container_statuses()
            .find(|status| status["name"] == container)?;
        let (state, detail) = status["state"].as_object()?.iter().next()?;
        let reason = detail["reason"]
            .as_str()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        Some(format!("{state}{reason}"))
    };
    let row = |container: &Value| {
        let called = name(container);
        let state = state(&called).unwrap_or_default();
        vec![called, text(&container["image"]), state]
    };
    seen.containers().map(row).collect()
}
