//! After a node was started again the API server still tells the old pod states and Services lead to
//! addresses that no longer exist; nothing may be believed until kubelet and controllers have reported.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, api::ListParams};

use crate::error::{Code, Error, Result};
use crate::ui::event::Step;

/// How long the kubelet may take to report every container anew.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until every node has reported after `since` and no pod is called ready for the sake of a
/// container that ran before it.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if that takes longer than 90 s.
pub(super) async fn wait_until_fresh(client: &kube::Client, since: Timestamp, step: &Step) -> Result<()> {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !is_fresh(client, since).await.unwrap_or(false) {
            step.progress("waiting for the node to report its containers");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    waited.await.map_err(|_| {
        Error::new(Code::ClusterUnreachable, "the node does not report its containers after 90 s")
            .hint("kubectl --kubeconfig \"$(devk kubeconfig)\" get nodes,pods -A")
    })
}

async fn is_fresh(client: &kube::Client, since: Timestamp) -> kube::Result<bool> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    if !nodes.iter().all(|node| reported(node, since)) {
        return Ok(false);
    }
    let pods = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await?;
    let slices = Api::<EndpointSlice>::all(client.clone()).list(&ListParams::default()).await?;
    Ok(!pods.iter().any(|pod| is_stale(pod, since)) && slices.iter().all(|slice| leads_to(slice, &pods.items)))
}

fn reported(node: &Node, since: Timestamp) -> bool {
    let conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let mut ready = conditions.filter(|c| c.type_ == "Ready" && c.status == "True");
    // The API's times are whole seconds.
    ready.any(|c| c.last_heartbeat_time.as_ref().is_some_and(|t| t.0.as_second() >= since.as_second()))
}

fn is_stale(pod: &Pod, since: Timestamp) -> bool {
    let Some(status) = &pod.status else { return false };
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let containers = status.container_statuses.iter().flatten();
    let mut running = containers.filter_map(|c| c.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    ready && running.any(|started| started.0.as_second() < since.as_second())
}

/// Every address that the slice gives for a pod is that pod's.
fn leads_to(slice: &EndpointSlice, pods: &[Pod]) -> bool {
    let namespace = &slice.metadata.namespace;
    slice.endpoints.iter().all(|endpoint| {
        let Some(target) = endpoint.target_ref.as_ref().filter(|t| t.kind.as_deref() == Some("Pod")) else {
            return true;
        };
        let pod = pods.iter().find(|pod| pod.metadata.name == target.name && pod.metadata.namespace == *namespace);
        let address = pod.and_then(|pod| pod.status.as_ref()?.pod_ip.as_ref());
        address.is_some_and(|address| endpoint.addresses.contains(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_leads_to_an_address_of_before_the_restart_is_not_believed() {
        let slice: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv4", "metadata": {"namespace": "shop"},
            "endpoints": [{"addresses": ["10.0.0.2"], "targetRef": {"kind": "Pod", "name": "db-0"}}],
        }))
        .unwrap();
        let pod = |address: &str| -> Pod {
            let pod =
                serde_json::json!({"metadata": {"name": "db-0", "namespace": "shop"}, "status": {"podIP": address}});
            serde_json::from_value(pod).unwrap()
        };
        assert!(leads_to(&slice, &[pod("10.0.0.2")]));
        assert!(!leads_to(&slice, &[pod("10.0.0.3")]));
        assert!(!leads_to(&slice, &[]));
    }

    fn pod(ready: &str, started: &str) -> Pod {
        serde_json::from_value(serde_json::json!({"status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": started}}}],
        }}))
        .unwrap()
    }

    #[test]
    fn a_ready_pod_whose_container_ran_before_the_restart_is_not_believed() {
        let since = "2026-01-01T10:00:00Z".parse().unwrap();
        assert!(is_stale(&pod("True", "2026-01-01T09:59:59Z"), since));
        assert!(!is_stale(&pod("True", "2026-01-01T10:00:00Z"), since));
        assert!(!is_stale(&pod("False", "2026-01-01T09:59:59Z"), since));
    }
}
