//! Waits after the restart of a node until the API server is up to date. Until kubelet and controllers have reported,
//! the API server returns the pod states from before the restart, and Services have endpoints that no longer exist.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, api::ListParams};

use crate::error::{Code, Error, Result, on_cluster};
use crate::ui::event::Step;

/// How long the kubelet may take to report every container again.
const KUBELET_TIMEOUT: Duration = Duration::from_secs(90);

/// When each node was started, by name.
pub(super) type Starts = BTreeMap<String, Timestamp>;

/// Waits until every node has reported since it was started and no pod is called ready for the sake of
/// a container that ran before that.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if that takes longer than 90 s.
pub(super) async fn wait_until_fresh(
    client: &kube::Client,
    starts: &Starts,
    step: &Step,
) -> Result<()> {
    let waited = tokio::time::timeout(KUBELET_TIMEOUT, async {
        while !is_fresh(client, starts).await.unwrap_or(false) {
            step.progress("waiting for the node to report its containers");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    waited.await.map_err(|_| {
        Error::new(
            Code::ClusterUnreachable,
            "the node does not report its containers after 90 s",
        )
        .hint(on_cluster("kubectl get nodes,pods -A"))
    })
}

async fn is_fresh(client: &kube::Client, starts: &Starts) -> kube::Result<bool> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    if !nodes.iter().all(|node| reported(node, starts)) {
        return Ok(false);
    }
    let pods = Api::<Pod>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let slices = Api::<EndpointSlice>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    Ok(!pods.iter().any(|pod| is_stale(pod, starts))
        && slices.iter().all(|slice| leads_to(slice, &pods.items)))
}

/// A node that is no container of the cluster's has nothing to report.
fn reported(node: &Node, starts: &Starts) -> bool {
    let Some(since) = node
        .metadata
        .name
        .as_ref()
        .and_then(|name| starts.get(name))
    else {
        return true;
    };
    let conditions = node
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let mut ready = conditions.filter(|c| c.type_ == "Ready" && c.status == "True");
    // The API's times are whole seconds.
    ready.any(|c| {
        c.last_heartbeat_time
            .as_ref()
            .is_some_and(|t| t.0.as_second() >= since.as_second())
    })
}

fn is_stale(pod: &Pod, starts: &Starts) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let (Some(since), Some(status)) = (node.and_then(|node| starts.get(node)), &pod.status) else {
        return false;
    };
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    let containers = status.container_statuses.iter().flatten();
    let mut running =
        containers.filter_map(|c| c.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    ready && running.any(|started| started.0.as_second() < since.as_second())
}

/// Every address that the slice gives for a pod is that pod's.
fn leads_to(slice: &EndpointSlice, pods: &[Pod]) -> bool {
    let namespace = &slice.metadata.namespace;
    slice.endpoints.iter().all(|endpoint| {
        let Some(target) = endpoint
            .target_ref
            .as_ref()
            .filter(|t| t.kind.as_deref() == Some("Pod"))
        else {
            return true;
        };
        let pod = pods
            .iter()
            .find(|pod| pod.metadata.name == target.name && pod.metadata.namespace == *namespace);
        let status = pod.and_then(|pod| pod.status.as_ref());
        // A slice holds addresses of one family, a pod may have one of each.
        let second = status
            .and_then(|status| status.pod_ips.as_ref())
            .into_iter()
            .flatten()
            .map(|ip| &ip.ip);
        let mut addresses = status
            .and_then(|status| status.pod_ip.as_ref())
            .into_iter()
            .chain(second);
        addresses.any(|address| endpoint.addresses.contains(address))
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
            let pod = serde_json::json!({"metadata": {"name": "db-0", "namespace": "shop"}, "status": {"podIP": address}});
            serde_json::from_value(pod).unwrap()
        };
        assert!(leads_to(&slice, &[pod("10.0.0.2")]));
        assert!(!leads_to(&slice, &[pod("10.0.0.3")]));
        assert!(!leads_to(&slice, &[]));
    }

    #[test]
    fn the_second_address_of_a_pod_is_believed_too() {
        let slice: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv6", "metadata": {"namespace": "shop"},
            "endpoints": [{"addresses": ["fd00::2"], "targetRef": {"kind": "Pod", "name": "db-0"}}],
        }))
        .unwrap();
        let pod = serde_json::json!({"metadata": {"name": "db-0", "namespace": "shop"},
            "status": {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]}});
        assert!(leads_to(&slice, &[serde_json::from_value(pod).unwrap()]));
    }

    fn pod(node: &str, ready: &str, started: &str) -> Pod {
        serde_json::from_value(serde_json::json!({"spec": {"nodeName": node, "containers": []}, "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": started}}}],
        }}))
        .unwrap()
    }

    fn starts() -> Starts {
        let at = |time: &str| time.parse().unwrap();
        [
            ("a".to_owned(), at("2026-01-01T10:00:00Z")),
            ("b".to_owned(), at("2026-01-01T08:00:00Z")),
        ]
        .into()
    }

    #[test]
    fn a_ready_pod_whose_container_ran_before_the_restart_is_not_believed() {
        assert!(is_stale(
            &pod("a", "True", "2026-01-01T09:59:59Z"),
            &starts()
        ));
        assert!(!is_stale(
            &pod("a", "True", "2026-01-01T10:00:00Z"),
            &starts()
        ));
        assert!(!is_stale(
            &pod("a", "False", "2026-01-01T09:59:59Z"),
            &starts()
        ));
    }

    #[test]
    fn a_pod_on_a_node_that_ran_on_is_believed() {
        assert!(!is_stale(
            &pod("b", "True", "2026-01-01T09:00:00Z"),
            &starts()
        ));
    }
}
