//! Probes of ports that something of the chart says a program listens on.

use serde_json::{Value, json};

use super::super::super::view::{ChartObject, ContainerView, list, selects, texts};
use super::{Case, Fields, below};

impl<'a> Case<'a> {
    /// A connection to a port that another probe asks, or that a Service leads to.
    pub(super) fn probe(&self, key: &str, failures: Option<u64>) -> Fields {
        let (container, path) = self.container()?;
        let port = asked(container).or_else(|| self.served(container));
        let Some(port) = port else {
            return Err(
                "no Service and no other probe says which port the program listens on".to_owned(),
            );
        };
        let port = below(&path, &[key, "tcpSocket", "port"], port);
        let threshold =
            failures.map(|failures| below(&path, &[key, "failureThreshold"], json!(failures)));
        Ok(std::iter::once(port).chain(threshold).collect())
    }

    /// The port of a container that a Service of the chart leads to: its name, else its number.
    pub(super) fn served(&self, container: &ContainerView<'_>) -> Option<Value> {
        let labels = self.object.pod.as_ref()?.labels();
        let documents = &self.facts.renderings[self.rendering].documents;
        let objects = documents
            .iter()
            .map(|document| ChartObject::of(&document.object, &self.facts.namespace));
        let services = objects.filter(|service| {
            service.kind == "Service"
                && service.namespace == self.object.namespace
                && selects(&texts(&service.spec()["selector"]), &labels)
        });
        let targets = services.flat_map(|service| {
            let ports = list(&service.spec()["ports"]).iter();
            let tcp = ports.filter(|port| {
                port["protocol"]
                    .as_str()
                    .is_none_or(|protocol| protocol == "TCP")
            });
            let target = |port: &Value| match port["targetPort"].is_null() {
                true => port["port"].clone(),
                false => port["targetPort"].clone(),
            };
            tcp.map(target).collect::<Vec<_>>()
        });
        let targets: Vec<_> = targets.collect();
        container.ports().find_map(|(name, number)| {
            let is_target = targets.iter().any(|target| {
                target.as_u64() == Some(number) || name.is_some() && target.as_str() == name
            });
            is_target.then(|| name.map_or(json!(number), |name| json!(name)))
        })
    }

    /// More failures of the liveness probe, by its period and by how long the readiness probe waits.
    pub(super) fn patience(&self, count: fn(u64, u64) -> u64) -> Fields {
        let (container, path) = self.container()?;
        let number = |probe: &str, key: &str, default: u64| {
            container.json[probe][key]
                .as_u64()
                .unwrap_or(default)
                .max(1)
        };
        let period = number("livenessProbe", "periodSeconds", 10);
        let ready = number("readinessProbe", "periodSeconds", 10)
            * number("readinessProbe", "failureThreshold", 3);
        let keys = ["livenessProbe", "failureThreshold"];
        let failures = count(period, ready).max(6);
        Ok(vec![below(&path, &keys, json!(failures))])
    }
}

/// The port that a probe of the container asks.
fn asked(container: &ContainerView<'_>) -> Option<Value> {
    let kinds = ["readinessProbe", "livenessProbe", "startupProbe"];
    let probes = kinds.iter().map(|kind| &container.json[*kind]);
    let ports = probes.flat_map(|probe| [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"]]);
    ports.into_iter().find(|port| !port.is_null()).cloned()
}
