//! The Services of a rendering, and the pods that they select.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Manifest, Rendered};
use crate::release::pods::list;

/// A rendered Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestService {
    pub name: String,
    pub namespace: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    /// `clusterIP: None`.
    pub headless: bool,
    /// The labels by which it selects pods; empty if it selects none.
    pub selector: BTreeMap<String, String>,
    /// The rendered objects whose pods it selects: `Deployment/api`.
    pub selected: BTreeSet<String>,
    pub ports: Vec<ServicePort>,
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    pub name: Option<String>,
    pub port: u16,
    /// The container's port; None if the Service names a port that no rendered workload has.
    pub target: Option<u16>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

impl Rendered {
    /// All Services that are no hooks.
    pub fn services(&self, namespace: &str) -> Vec<ManifestService> {
        let services = self
            .manifests
            .iter()
            .filter(|m| m.is("v1", "Service") && !m.is_hook());
        services
            .filter_map(|m| self.service(m, namespace))
            .collect()
    }

    fn service(&self, manifest: &Manifest, namespace: &str) -> Option<ManifestService> {
        let spec = &manifest.object["spec"];
        let namespace = manifest.namespace(namespace);
        let selector = labels(&spec["selector"]);
        let selected = self.selected(&selector, &namespace);
        let pods: Vec<_> = selected.iter().map(|(_, pod)| *pod).collect();
        let ports = spec["ports"].as_array().into_iter().flatten();
        Some(ManifestService {
            name: manifest.name()?.to_owned(),
            kind: spec["type"].as_str().unwrap_or("ClusterIP").to_owned(),
            headless: spec["clusterIP"] == "None",
            ports: ports.filter_map(|port| service_port(port, &pods)).collect(),
            selected: selected.iter().map(|(of, _)| of.object_name()).collect(),
            selector,
            source: manifest.source.clone(),
            namespace,
        })
    }

    /// The objects whose pods have all labels of a Service's selector, and the specs of these pods.
    fn selected(
        &self,
        selector: &BTreeMap<String, String>,
        namespace: &str,
    ) -> Vec<(&Manifest, &Value)> {
        if selector.is_empty() {
            return Vec::new();
        }
        let in_namespace = self
            .manifests
            .iter()
            .filter(|m| m.namespace(namespace) == namespace);
        let templates = in_namespace.filter_map(|m| Some((m, m.template()?)));
        templates
            .filter(|(_, template)| {
                let of_pod = labels(&template["metadata"]["labels"]);
                selector
                    .iter()
                    .all(|label| of_pod.get_key_value(label.0) == Some(label))
            })
            .map(|(manifest, template)| (manifest, &template["spec"]))
            .collect()
    }
}

fn service_port(port: &Value, pods: &[&Value]) -> Option<ServicePort> {
    let number = as_port(&port["port"])?;
    let target = match &port["targetPort"] {
        Value::Null => Some(number),
        target => as_port(target).or_else(|| named_port(target.as_str()?, pods)),
    };
    Some(ServicePort {
        name: port["name"].as_str().map(str::to_owned),
        port: number,
        target,
        protocol: port["protocol"].as_str().unwrap_or("TCP").to_owned(),
    })
}

fn named_port(name: &str, pods: &[&Value]) -> Option<u16> {
    let mut ports = pods
        .iter()
        .flat_map(|pod| serving(pod))
        .flat_map(|container| list(&container["ports"]));
    as_port(&ports.find(|port| port["name"] == name)?["containerPort"])
}

/// The containers that run for as long as the pod does: native sidecars are init containers that always restart.
fn serving(pod: &Value) -> impl Iterator<Item = &Value> {
    let sidecars = list(&pod["initContainers"]).filter(|c| c["restartPolicy"] == "Always");
    list(&pod["containers"]).chain(sidecars)
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A number, or a quoted number as charts often write it.
fn as_port(value: &Value) -> Option<u16> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|number| u16::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_port_may_be_that_of_a_native_sidecar_and_of_no_other_init_container() {
        let target = |policy: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n\
                 spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: http}}]}}\n---\n\
                 apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\n\
                 spec: {{template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web}}],\n\
                 initContainers: [{{name: proxy, {policy} ports: [{{name: http, containerPort: 8080}}]}}]}}}}}}\n"
            );
            let service = &Rendered::parse(&text).unwrap().services("shop")[0];
            assert_eq!(service.selected, ["Deployment/web".to_owned()].into());
            service.ports[0].target
        };
        assert_eq!(target("restartPolicy: Always,"), Some(8080));
        assert_eq!(target(""), None);
    }

    #[test]
    fn a_service_may_select_the_pods_of_a_cron_job_and_none_at_all() {
        let text = "apiVersion: v1\nkind: List\nitems:\n\
            - {apiVersion: v1, kind: Service, metadata: {name: nightly}, spec: {selector: {app: nightly}, ports: [{port: 80, targetPort: http}]}}\n\
            - {apiVersion: v1, kind: Service, metadata: {name: legacy}, spec: {ports: [{port: 9090}]}}\n\
            - {apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly}, spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: nightly}},\n\
               spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}}}}}\n";
        let services = Rendered::parse(text).unwrap().services("shop");
        assert_eq!(services[0].selected, ["CronJob/nightly".to_owned()].into());
        assert_eq!(services[0].ports[0].target, Some(8080));
        assert!(services[1].selector.is_empty() && services[1].selected.is_empty());
    }
}
