//! What the API says of a pod and its containers. Pure.

use k8s_openapi::api::core::v1::{Container, Pod};

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    let mut conditions = conditions.flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether an init container runs beside the others until the pod ends (KEP-753), and not before them.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}
