//! Services that point out of the cluster: of type ExternalName, or without a selector and with endpoints in a
//! manifest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifest::{Manifest, Rendered};
use super::pods::list;

/// What the rendered Services of this kind stand for, by every name that a pod may use for the Service.
#[derive(Debug, Clone, Default)]
pub struct ExternalServices(BTreeMap<String, ExternalTarget>);

#[derive(Debug, Clone)]
struct ExternalTarget {
    host: String,
    /// The Service's port → the port outside; without an entry the same.
    ports: BTreeMap<u16, u16>,
}

impl ExternalServices {
    /// Of all releases; `namespace` is theirs.
    pub fn of<'a>(releases: impl IntoIterator<Item = &'a Rendered>, namespace: &str) -> Self {
        let manifests: Vec<_> = releases
            .into_iter()
            .flat_map(|rendered| &rendered.manifests)
            .collect();
        let services = manifests.iter().filter(|m| m.kind() == "Service");
        let mut targets_by_name = BTreeMap::new();
        for service in services {
            let (Some(name), at) = (service.name(), service.namespace(namespace)) else {
                continue;
            };
            let Some(target) = external_name(service)
                .or_else(|| endpoints(service, name, &at, &manifests, namespace))
            else {
                continue;
            };
            let names = [
                name.to_owned(),
                format!("{name}.{at}"),
                format!("{name}.{at}.svc"),
                format!("{name}.{at}.svc.cluster.local"),
            ];
            targets_by_name.extend(names.map(|name| (name, target.clone())));
        }
        Self(targets_by_name)
    }

    /// The host and port that a pod reaches when it dials this host and port.
    pub fn resolve(&self, host: &str, port: u16) -> (String, u16) {
        match self.0.get(host) {
            Some(target) => (
                target.host.clone(),
                target.ports.get(&port).copied().unwrap_or(port),
            ),
            None => (host.to_owned(), port),
        }
    }
}

fn external_name(service: &Manifest) -> Option<ExternalTarget> {
    let host = service.object["spec"]["externalName"].as_str()?;
    Some(ExternalTarget {
        host: host.trim_end_matches('.').to_lowercase(),
        ports: BTreeMap::new(),
    })
}

fn endpoints(
    service: &Manifest,
    name: &str,
    at: &str,
    manifests: &[&Manifest],
    namespace: &str,
) -> Option<ExternalTarget> {
    let near = manifests.iter().filter(|m| m.namespace(namespace) == at);
    let (host, targets) = near.filter_map(|m| endpoint(m, name)).next()?;
    let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let ports = list(&service.object["spec"]["ports"]).filter_map(|port| {
        let target = targets
            .iter()
            .find(|target| target["name"] == port["name"])?;
        Some((number(&port["port"])?, number(&target["port"])?))
    });
    Some(ExternalTarget {
        host,
        ports: ports.collect(),
    })
}

/// The address and ports of an Endpoints or EndpointSlice object of this Service.
fn endpoint<'a>(manifest: &'a Manifest, service: &str) -> Option<(String, Vec<&'a Value>)> {
    let object = &manifest.object;
    let (address, ports) = match manifest.kind() {
        "Endpoints" if manifest.name() == Some(service) => {
            let subset = &object["subsets"][0];
            (&subset["addresses"][0]["ip"], &subset["ports"])
        }
        "EndpointSlice"
            if object["metadata"]["labels"]["kubernetes.io/service-name"] == service =>
        {
            (&object["endpoints"][0]["addresses"][0], &object["ports"])
        }
        _ => return None,
    };
    Some((address.as_str()?.to_owned(), list(ports).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_followed_out_of_the_cluster() {
        let text = r#"
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {type: ExternalName, externalName: Host.docker.internal.}}
---
{apiVersion: v1, kind: Service, metadata: {name: pg}, spec: {ports: [{port: 5432}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: pg}, subsets: [{addresses: [{ip: 172.18.0.1}], ports: [{port: 5439}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: slice}, spec: {ports: [{port: 1, name: a}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: x, labels: {kubernetes.io/service-name: slice}}
endpoints: [{addresses: [10.0.0.1]}]
ports: [{name: a, port: 2}]
---
{apiVersion: v1, kind: Service, metadata: {name: api}, spec: {selector: {a: b}, ports: [{port: 80}]}}
"#;
        let external = ExternalServices::of([&Rendered::parse(text).unwrap()], "shop");
        assert_eq!(
            external.resolve("db.shop.svc", 5439),
            ("host.docker.internal".to_owned(), 5439)
        );
        assert_eq!(
            external.resolve("pg", 5432),
            ("172.18.0.1".to_owned(), 5439)
        );
        assert_eq!(
            external.resolve("slice.shop", 1),
            ("10.0.0.1".to_owned(), 2)
        );
        assert_eq!(external.resolve("api", 80), ("api".to_owned(), 80));
    }
}
