//! The ports of pods, as a Service finds them by the names in `targetPort`.

use k8s_openapi::api::core::v1::{ContainerPort, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::cluster::pod::{is_ready, is_sidecar};

/// What a Service's port that is found by its name leads to, if a pod is Ready and none has a port of that name.
pub(super) fn missing(pods: &[&Pod], service: &Service, port_name: &str) -> Option<String> {
    let spec = service.spec.as_ref()?;
    let mut ports = spec.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref().unwrap_or_default() == port_name)?;
    let Some(IntOrString::String(target)) = &port.target_port else {
        return None;
    };
    let has_it = |pod: &&Pod| {
        let mut ports = offered(pod);
        ports.any(|offered| is_it(offered, target, port))
    };
    let ready = pods.iter().find(|pod| is_ready(pod))?;
    if pods.iter().any(has_it) {
        return None;
    }
    let shown: Vec<_> = offered(ready).map(shown).collect();
    let has = match shown.is_empty() {
        true => "names no ports".to_owned(),
        false => format!("has {}", shown.join(", ")),
    };
    Some(format!(
        "port {} of Service `{}` leads to the port `{target}` of its pods, and no container has one of that name; pod `{}` {has}",
        port.port,
        service.name_any(),
        ready.name_any()
    ))
}

/// The ports of the containers that run as long as the pod.
fn offered(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let spec = pod.spec.iter();
    let all = spec.flat_map(|spec| {
        let first = spec.init_containers.iter().flatten();
        let lasting = first.filter(|container| is_sidecar(container));
        spec.containers.iter().chain(lasting)
    });
    all.flat_map(|container| container.ports.iter().flatten())
}

fn is_it(offered: &ContainerPort, target: &str, port: &ServicePort) -> bool {
    let protocol = |text: &Option<String>| text.clone().unwrap_or_else(|| "TCP".to_owned());
    offered.name.as_deref() == Some(target)
        && protocol(&offered.protocol) == protocol(&port.protocol)
}

/// `web` (8080), or 8080.
fn shown(port: &ContainerPort) -> String {
    match &port.name {
        Some(name) => format!("`{name}` ({})", port.container_port),
        None => port.container_port.to_string(),
    }
}
