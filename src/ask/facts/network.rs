//! Facts of Services, ingresses and policies.

use serde_json::Value;

use super::super::kind::AskedKind;
use super::super::object::{SeenObject, items, selector_text, text, texts};
use super::super::relation::routes_to;
use super::super::snapshot::ClusterSnapshot;
use super::or_none;
use crate::release::labels::words;

pub(super) fn ports(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let named = |port: &Value, key: &str| {
        let protocol = port["protocol"]
            .as_str()
            .filter(|protocol| *protocol != "TCP");
        let protocol = protocol
            .map(|protocol| format!("/{protocol}"))
            .unwrap_or_default();
        format!("{}{protocol}", text(&port[key]))
    };
    match seen.kind {
        AskedKind::Service => {
            let row = |port: &Value| {
                let target = if port["targetPort"].is_null() {
                    &port["port"]
                } else {
                    &port["targetPort"]
                };
                vec![
                    named(port, "port"),
                    format!("port {} of the pods", text(target)),
                ]
            };
            items(&seen.spec()["ports"]).map(row).collect()
        }
        _ => {
            let row = |container: &Value, port: &Value| {
                let name = port["name"]
                    .as_str()
                    .map(|name| format!(" ({name})"))
                    .unwrap_or_default();
                vec![
                    format!("{}{name}", named(port, "containerPort")),
                    format!("container {}", text(&container["name"])),
                ]
            };
            let ports = seen.containers().flat_map(|container| {
                items(&container["ports"]).map(move |port| (container, port))
            });
            ports
                .map(|(container, port)| row(container, port))
                .collect()
        }
    }
}

pub(super) fn address(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let (spec, status) = (seen.spec(), seen.status());
    let (address, name) = match seen.kind {
        AskedKind::Service => (
            text(&spec["clusterIP"]),
            format!("{}.{}.svc", seen.name(), seen.namespace()),
        ),
        AskedKind::Pod => (text(&status["podIP"]), String::new()),
        AskedKind::Node => {
            let internal =
                items(&status["addresses"]).find(|address| address["type"] == "InternalIP");
            (
                internal
                    .map(|address| text(&address["address"]))
                    .unwrap_or_default(),
                String::new(),
            )
        }
        _ => {
            let points = items(&status["loadBalancer"]["ingress"])
                .map(|point| text(&point["ip"]) + &text(&point["hostname"]));
            (points.collect::<Vec<_>>().join(", "), String::new())
        }
    };
    vec![vec![or_none(address), name]]
}

pub(super) fn selector(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let selector = match seen.kind {
        AskedKind::Service => words(&texts(&seen.spec()["selector"])),
        AskedKind::NetworkPolicy => selector_text(&seen.spec()["podSelector"]),
        _ => selector_text(&seen.spec()["selector"]),
    };
    let selector = match seen.kind {
        AskedKind::NetworkPolicy if selector.is_empty() => "every pod".to_owned(),
        _ => or_none(selector),
    };
    vec![vec![selector, names(&snapshot.pods_of(seen))]]
}

fn names(pods: &[SeenObject<'_>]) -> String {
    let names: Vec<_> = pods.iter().map(SeenObject::name).collect();
    or_none(names.join(", "))
}

pub(super) fn endpoints(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let ready = snapshot.ready_endpoints(seen);
    let ready = or_none(ready.join(", "));
    vec![vec![ready, names(&snapshot.pods_of(seen))]]
}

/// Host, path, and the Service that answers there, of every rule.
pub(in super::super) fn backends(ingress: SeenObject<'_>) -> Vec<(String, String, &Value)> {
    let spec = ingress.spec();
    let mut found = vec![];
    if spec["defaultBackend"]["service"].is_object() {
        found.push((
            "*".to_owned(),
            "everything else".to_owned(),
            &spec["defaultBackend"]["service"],
        ));
    }
    for rule in items(&spec["rules"]) {
        let host = rule["host"].as_str().unwrap_or("*");
        for path in items(&rule["http"]["paths"]) {
            let at = path["path"].as_str().unwrap_or("/");
            found.push((host.to_owned(), at.to_owned(), &path["backend"]["service"]));
        }
    }
    found
}

/// `web:80`.
pub(in super::super) fn backend_text(service: &Value) -> String {
    let port = &service["port"];
    format!(
        "{}:{}{}",
        text(&service["name"]),
        text(&port["number"]),
        text(&port["name"])
    )
}

pub(super) fn routes(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    backends(seen)
        .into_iter()
        .map(|(host, path, service)| vec![host, path, backend_text(service)])
        .collect()
}

pub(super) fn rules(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let list = |value: &Value| items(value).map(text).collect::<Vec<_>>().join(", ");
    match seen.kind {
        AskedKind::Ingress => routes(seen, snapshot)
            .into_iter()
            .map(|row| vec![row.join(" ")])
            .collect(),
        AskedKind::Role => {
            let row = |rule: &Value| {
                vec![format!(
                    "may {} {}",
                    list(&rule["verbs"]),
                    list(&rule["resources"])
                )]
            };
            items(&seen.value["rules"]).map(row).collect()
        }
        _ => policy(seen.spec())
            .into_iter()
            .map(|rule| vec![rule])
            .collect(),
    }
}

/// What a NetworkPolicy lets through, a sentence each.
pub(in super::super) fn policy(spec: &Value) -> Vec<String> {
    let mut rules = vec![];
    let types: Vec<_> = items(&spec["policyTypes"])
        .filter_map(Value::as_str)
        .collect();
    for (direction, key, peers) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        if !types.contains(&direction) {
            continue;
        }
        if items(&spec[key]).next().is_none() {
            rules.push(format!("{key}: nothing is let through"));
        }
        for rule in items(&spec[key]) {
            let who: Vec<_> = items(&rule[peers]).map(peer).collect();
            let who = if who.is_empty() {
                "everybody".to_owned()
            } else {
                who.join(" or ")
            };
            let ports: Vec<_> = items(&rule["ports"])
                .map(|port| text(&port["port"]))
                .collect();
            let ports = if ports.is_empty() {
                "every port".to_owned()
            } else {
                format!("port {}", ports.join(", "))
            };
            rules.push(format!("{key}: {who} on {ports}"));
        }
    }
    rules
}

fn peer(peer: &Value) -> String {
    if peer["ipBlock"].is_object() {
        return text(&peer["ipBlock"]["cidr"]);
    }
    let labels = |selector: &Value, what: &str| {
        let text = selector_text(selector);
        if text.is_empty() {
            format!("every {what}")
        } else {
            format!("{what}s with {text}")
        }
    };
    let pods = peer["podSelector"]
        .is_object()
        .then(|| labels(&peer["podSelector"], "pod"));
    let places = peer["namespaceSelector"]
        .is_object()
        .then(|| labels(&peer["namespaceSelector"], "namespace"));
    match (pods, places) {
        (Some(pods), Some(places)) => format!("{pods} of {places}"),
        (pods, places) => pods.or(places).unwrap_or_default(),
    }
}

pub(super) fn service_type(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let spec = seen.spec();
    let headless = if spec["clusterIP"] == "None" {
        ", headless"
    } else {
        ""
    };
    vec![vec![format!(
        "{}{headless}",
        spec["type"].as_str().unwrap_or("ClusterIP")
    )]]
}

/// Where the Service answers: its name in the cluster, and the ingresses that lead to it.
pub(super) fn exposed(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let ports: Vec<_> = items(&seen.spec()["ports"])
        .map(|port| text(&port["port"]))
        .collect();
    let address = format!(
        "{}.{}.svc:{}",
        seen.name(),
        seen.namespace(),
        ports.join(",")
    );
    let leading: Vec<_> = routes_to(seen, snapshot)
        .into_iter()
        .map(|(ingress, way)| format!("{way} ({})", ingress.name()))
        .collect();
    vec![vec![address, or_none(leading.join(", "))]]
}
