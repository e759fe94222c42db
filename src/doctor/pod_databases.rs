//! Pods that look for a database in themselves.

use std::net::IpAddr;

use super::charts::{RenderedChart, TemplateRef};
use super::{Check, Id};
use crate::database::{self, Kind, Named, Server};
use crate::release::databases as rendered;
use crate::release::pods::{self, ConfigSources};

/// `localhost` in a pod is the pod itself.
pub(super) fn inside_pods(chart: &RenderedChart) -> Vec<Check> {
    let settings = ConfigSources::of(&chart.rendered, &chart.namespace);
    let mut found = vec![];
    for pod in pods::pods(&chart.rendered) {
        for container in pod.containers() {
            for named in rendered::of_container(&pod, container, &settings, &chart.namespace) {
                found.extend(inside_pod(chart, &pod, named));
            }
        }
    }
    found
}

fn inside_pod(chart: &RenderedChart, pod: &pods::Pod, named: Named) -> Option<Check> {
    let Server::At { host, port } = &named.server else {
        return None;
    };
    let port = port.unwrap_or(named.kind.port());
    if !is_loopback(host) || answers(pod, named.kind, port) {
        return None;
    }
    let object = pod.manifest.object_name();
    let summary = format!(
        "`{object}` looks for database `{}` at {host}:{port}, which is the pod itself",
        named.name
    );
    let check = Check::error(Id::DatabasesLocalhost, summary);
    let of = TemplateRef {
        source: &pod.manifest.source,
        object: &object,
    };
    let check = chart.show(
        check,
        of,
        &[&named.via, host],
        format!("{} of {object}", named.via),
    );
    Some(check.hint(hint(named.kind)))
}

/// The bridge serves Postgres alone.
fn hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "name the database's Service there; `devk up --bridge` uses Compose's",
        Kind::Mysql | Kind::Mongo | Kind::Redis => "name the database's Service there",
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Another container of the pod has the port, serves such databases, or passes connections on.
fn answers(pod: &pods::Pod, kind: Kind, port: u16) -> bool {
    let image = |container: &serde_json::Value| {
        let image = container["image"].as_str().unwrap_or_default();
        database::serves(image) == Some(kind)
            || ["proxy", "bouncer", "tunnel"]
                .iter()
                .any(|word| image.contains(word))
    };
    pod.ports().any(|own| own == port) || pod.containers().any(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_postgres_can_be_bridged() {
        assert!(hint(Kind::Postgres).contains("--bridge"));
        for kind in [Kind::Mysql, Kind::Mongo, Kind::Redis] {
            assert!(!hint(kind).contains("--bridge"), "{kind:?}");
        }
    }
}
