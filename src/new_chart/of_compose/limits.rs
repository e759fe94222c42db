//! What a component may use: requests and limits, pods at once, time to end.

use serde_json::{Map, Value, json};

use super::keys::ServiceKeys;
use crate::compose::{YamlNode, bytes, number, seconds};
use crate::new_chart::model::Carried;

/// What a component asks for if Compose does not say: little, for a development cluster has many of them.
const MEMORY_REQUEST: &str = "64Mi";
const CPU_REQUEST: &str = "10m";
const MEMORY_LIMIT: &str = "1Gi";

/// Docker's time between the signal and the end, in seconds.
const GRACE: u64 = 10;

/// Requests and limits.
pub(super) fn resources(keys: &ServiceKeys<'_>) -> Value {
    let deploy = keys.take("deploy");
    let resources = deploy.and_then(|deploy| deploy.get("resources"));
    let of = |part: &str, key: &str| {
        resources
            .and_then(|resources| resources.get(part))
            .and_then(|part| part.get(key))
    };
    let memory_limit = of("limits", "memory")
        .or(keys.take("mem_limit"))
        .and_then(memory);
    let cpu_limit = of("limits", "cpus").or(keys.take("cpus")).and_then(cpu);
    let memory_request = of("reservations", "memory")
        .or(keys.take("mem_reservation"))
        .and_then(memory);
    let cpu_request = of("reservations", "cpus").and_then(cpu);
    for (part, key, node) in unknown(resources) {
        let what = format!("deploy.resources.{part}.{key}");
        keys.note(
            &what,
            &node.place,
            Carried::No,
            "a cluster gives devices by device plugins, and counts no processes",
        );
    }
    let mut limits = Map::new();
    let mut requests = Map::new();
    // A request above the limit is refused.
    let request = memory_request.or(memory_limit.filter(|limit| *limit < 64 << 20));
    requests.insert(
        "cpu".to_owned(),
        json!(
            cpu_request
                .or(cpu_limit.filter(|limit| *limit < 10))
                .map_or(CPU_REQUEST.to_owned(), millis)
        ),
    );
    requests.insert(
        "memory".to_owned(),
        json!(request.map_or(MEMORY_REQUEST.to_owned(), in_units)),
    );
    if let Some(limit) = cpu_limit {
        limits.insert("cpu".to_owned(), json!(millis(limit)));
    }
    let limit = memory_limit.map_or_else(
        || {
            request
                .filter(|request| *request > 1 << 30)
                .map_or(MEMORY_LIMIT.to_owned(), in_units)
        },
        in_units,
    );
    limits.insert("memory".to_owned(), json!(limit));
    json!({"requests": requests, "limits": limits})
}

fn unknown(resources: Option<&YamlNode>) -> Vec<(String, String, &YamlNode)> {
    let parts = resources.map(YamlNode::entries).unwrap_or_default();
    let keys = parts.iter().flat_map(|part| {
        part.value
            .entries()
            .iter()
            .map(move |entry| (part.key.clone(), entry.key.clone(), &entry.value))
    });
    keys.filter(|(_, key, _)| !["cpus", "memory"].contains(&key.as_str()))
        .collect()
}

/// Bytes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn memory(node: &YamlNode) -> Option<u64> {
    bytes(node)
        .filter(|bytes| *bytes > 0.0)
        .map(|bytes| bytes as u64)
}

/// Thousandths of a processor.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn cpu(node: &YamlNode) -> Option<u64> {
    number(node)
        .filter(|cpus| *cpus > 0.0)
        .map(|cpus| ((cpus * 1000.0).round() as u64).max(1))
}

fn millis(cpu: u64) -> String {
    match cpu % 1000 {
        0 => (cpu / 1000).to_string(),
        _ => format!("{cpu}m"),
    }
}

/// An amount of bytes as Kubernetes writes it.
pub(super) fn in_units(bytes: u64) -> String {
    for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

/// An amount of memory of a node; None if it is none.
pub(super) fn size(node: &YamlNode) -> Option<String> {
    memory(node).map(in_units)
}

/// How many pods.
pub(super) fn replicas(keys: &ServiceKeys<'_>) -> u32 {
    let deploy = keys.take("deploy");
    for entry in deploy.map(YamlNode::entries).unwrap_or_default() {
        let why = match entry.key.as_str() {
            "replicas" | "resources" | "mode" => continue,
            "restart_policy" => {
                "a pod's containers are always restarted, those of a Job until they end well"
            }
            "placement" => {
                "the cluster places pods; set `nodeSelector` or `affinity` in the values"
            }
            "update_config" | "rollback_config" => "a Deployment has a strategy of its own",
            "endpoint_mode" => "a Service has an address of its own",
            "labels" => "labels of Swarm's services",
            _ => "Kubernetes has nothing of this kind",
        };
        keys.note(
            &format!("deploy.{}", entry.key),
            &entry.place,
            Carried::No,
            why,
        );
    }
    let count = keys
        .take("scale")
        .or(deploy.and_then(|deploy| deploy.get("replicas")));
    count
        .and_then(|count| count.printed().parse().ok())
        .unwrap_or(1)
}

/// Seconds between the signal and the end.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn grace(keys: &ServiceKeys<'_>) -> u64 {
    let said = keys
        .text("stop_grace_period")
        .and_then(|text| seconds(&text));
    said.map_or(GRACE, |seconds| seconds.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_the_largest_whole_unit() {
        assert_eq!(in_units(512 << 20), "512Mi");
        assert_eq!(in_units(3 << 30), "3Gi");
        assert_eq!(in_units(1000), "1000");
        assert_eq!(
            (millis(500), millis(2000)),
            ("500m".to_owned(), "2".to_owned())
        );
    }
}
