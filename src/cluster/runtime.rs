//! The nodes as Kubernetes reports them: their names and addresses, and their container runtimes.

use bollard::Docker;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};

use super::client::refused;
use super::nodes::SoughtNode;
use crate::docker::request_failed;
use crate::error::Result;

/// Kubernetes' name of the one container runtime that devk loads images into.
const CONTAINERD: &str = "containerd://";

/// Whether the nodes run on this Engine itself, as in Docker Desktop, Colima and Rancher Desktop, and so have its
/// images.
///
/// # Errors
/// [`ClusterUnreachable`](crate::error::Code::ClusterUnreachable), [`DockerRequest`](crate::error::Code::DockerRequest).
pub(super) async fn run_on(docker: &Docker, client: &kube::Client) -> Result<bool> {
    let engine = docker
        .info()
        .await
        .map_err(|e| request_failed("cannot ask Docker about itself", &e))?
        .name
        .unwrap_or_default();
    let nodes = list(client).await?;
    Ok(!nodes.is_empty() && nodes.iter().all(|node| is_engine(node, &engine)))
}

async fn list(client: &kube::Client) -> Result<Vec<Node>> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await;
    Ok(nodes.map_err(|e| refused(&e))?.items)
}

/// Such a node has the name of the machine that the Engine runs on.
fn is_engine(node: &Node, engine: &str) -> bool {
    runtime(node).is_some_and(|runtime| runtime.starts_with("docker://"))
        && node.metadata.name.as_deref() == Some(engine)
}

fn runtime(node: &Node) -> Option<&str> {
    Some(
        &node
            .status
            .as_ref()?
            .node_info
            .as_ref()?
            .container_runtime_version,
    )
}

/// The first container runtime of the cluster's nodes that devk cannot load images into.
///
/// # Errors
/// [`ClusterUnreachable`](crate::error::Code::ClusterUnreachable).
pub(super) async fn other_runtime(client: &kube::Client) -> Result<Option<String>> {
    let nodes = list(client).await?;
    let mut runtimes = nodes.iter().filter_map(runtime);
    Ok(runtimes
        .find(|runtime| !runtime.starts_with(CONTAINERD))
        .map(str::to_owned))
}

/// The name and addresses that a container must have to be each node. None if a node cannot be a container of this
/// Engine with containerd.
///
/// # Errors
/// [`ClusterUnreachable`](crate::error::Code::ClusterUnreachable).
pub(super) async fn wanted(client: &kube::Client) -> Result<Option<Vec<SoughtNode>>> {
    Ok(list(client).await?.iter().map(container).collect())
}

/// The name and addresses that a container must have to be this node. None if no container can be it.
fn container(node: &Node) -> Option<SoughtNode> {
    let addresses = node
        .status
        .as_ref()?
        .addresses
        .iter()
        .flatten()
        .filter(|address| address.type_ == "InternalIP");
    let addresses = addresses
        .filter_map(|address| address.address.parse().ok())
        .collect();
    runtime(node)?
        .starts_with(CONTAINERD)
        .then_some(SoughtNode {
            name: node.metadata.name.clone()?,
            addresses,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(runtime: &str) -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "dev-control-plane"},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "172.18.0.2"}, {"type": "Hostname", "address": "dev-control-plane"},
                ],
                "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": runtime, "kernelVersion": "",
                    "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "linux",
                    "osImage": "", "systemUUID": ""},
            },
        }))
        .unwrap()
    }

    #[test]
    fn images_go_to_containerd_alone() {
        let containerd = container(&node("containerd://2.1.4")).unwrap();
        assert_eq!(
            (containerd.name.as_str(), containerd.addresses.len()),
            ("dev-control-plane", 1)
        );
        assert!(
            container(&node("docker://28.0.1")).is_none(),
            "its images are another daemon's"
        );
    }

    #[test]
    fn a_node_that_is_the_engine_itself_has_its_images() {
        assert!(is_engine(&node("docker://28.0.1"), "dev-control-plane"));
        assert!(!is_engine(&node("docker://28.0.1"), "docker-desktop"));
        assert!(!is_engine(&node("containerd://2.1.4"), "dev-control-plane"));
    }
}
