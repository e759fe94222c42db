//! Nodes that are Docker containers, recognised by the labels of their provider.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, ListContainersOptionsBuilder,
};
use jiff::Timestamp;

use super::State;
use crate::config::Provider;
use crate::docker::request_failed;
use crate::error::Result;

/// A node container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Container name, such as `devk-control-plane`; it is the node's name in Kubernetes, too.
    pub name: String,
    pub id: String,
    pub running: bool,
    pub control_plane: bool,
    /// The provider whose labels the container has.
    pub provider: Provider,
}

/// The version of Kubernetes in the tag of a node image: `v1.36.3` of `kindest/node:v1.36.3@sha256:…`, and of
/// `rancher/k3s:v1.36.3-k3s1`.
pub(super) fn version_of(image: &str) -> Option<String> {
    let tag = image.split('@').next()?.rsplit_once(":v")?.1;
    let version = tag.split('-').next()?;
    let is_whole = version.split('.').count() == 3
        && version.split('.').all(|part| part.parse::<u32>().is_ok());
    is_whole.then(|| format!("v{version}"))
}

/// Reads a container's name and labels as a provider sets them: the cluster of the node, and whether it is a control
/// plane. None if the container is no node of that provider.
pub(super) type Role = fn(name: &str, labels: &Labels) -> Option<(Provider, bool)>;

/// A container's labels.
pub(super) type Labels = HashMap<String, String>;

/// A node of an existing cluster, to be found among the containers.
#[derive(Debug)]
pub(super) struct SoughtNode {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
}

/// All node containers with one label (`KEY=VALUE`), control planes first.
///
/// # Errors
/// [`Code::DockerRequest`](crate::error::Code::DockerRequest).
pub(super) async fn labelled(docker: &Docker, label: &str, role: Role) -> Result<Vec<Node>> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = docker
        .list_containers(Some(options))
        .await
        .map_err(|e| request_failed("cannot list the node containers", &e))?;
    Ok(sorted(
        containers
            .into_iter()
            .filter_map(|container| node(container, &[role]))
            .collect(),
    ))
}

/// The containers of these nodes, by name and address; none if one of the nodes is no container of this Engine.
///
/// # Errors
/// [`Code::DockerRequest`](crate::error::Code::DockerRequest).
pub(super) async fn among(
    docker: &Docker,
    wanted: &[SoughtNode],
    roles: &[Role],
) -> Result<Vec<Node>> {
    let containers = docker
        .list_containers(None::<ListContainersOptions>)
        .await
        .map_err(|e| request_failed("cannot list the containers", &e))?;
    Ok(matched(containers, wanted, roles).unwrap_or_default())
}

fn matched(
    containers: Vec<ContainerSummary>,
    wanted: &[SoughtNode],
    roles: &[Role],
) -> Option<Vec<Node>> {
    let running = containers
        .into_iter()
        .filter_map(|container| Some((addresses(&container), node(container, roles)?)));
    let running: Vec<_> = running.collect();
    let find = |wanted: &SoughtNode| {
        let is_it = |(addresses, node): &&(Vec<IpAddr>, Node)| {
            node.name == wanted.name
                && addresses
                    .iter()
                    .any(|address| wanted.addresses.contains(address))
        };
        running.iter().find(is_it).map(|(_, node)| node.clone())
    };
    wanted.iter().map(find).collect::<Option<_>>().map(sorted)
}

/// The addresses of a container in Docker's networks.
pub(super) fn addresses(container: &ContainerSummary) -> Vec<IpAddr> {
    let networks = container
        .network_settings
        .iter()
        .flat_map(|settings| settings.networks.iter().flatten());
    networks
        .filter_map(|(_, network)| network.ip_address.as_ref()?.parse().ok())
        .collect()
}

fn sorted(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by_key(|n| (!n.control_plane, n.name.clone()));
    nodes
}

/// None if the container is no node: providers run load balancers and registries beside nodes.
fn node(container: ContainerSummary, roles: &[Role]) -> Option<Node> {
    let name = container.names?.first()?.trim_start_matches('/').to_owned();
    let (provider, control_plane) = {
        let labels = container.labels?;
        roles.iter().find_map(|role| role(&name, &labels))?
    };
    let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
    Some(Node {
        name,
        id: container.id?,
        running,
        control_plane,
        provider,
    })
}

/// The state of a cluster with these nodes.
pub(super) fn state(nodes: Vec<Node>) -> State {
    if nodes.is_empty() {
        State::Absent
    } else if nodes.iter().all(|node| node.running) {
        State::Running(nodes)
    } else {
        State::Stopped(nodes)
    }
}

/// The container id of the first control plane. A cluster that was created again has another one.
pub(super) fn control_plane(nodes: &[Node]) -> String {
    nodes
        .iter()
        .find(|n| n.control_plane)
        .map(|n| n.id.clone())
        .unwrap_or_default()
}

/// When each node was started, by the clock of the machine that Docker runs on, which is the nodes'.
///
/// # Errors
/// [`Code::DockerRequest`](crate::error::Code::DockerRequest).
pub(super) async fn starts(docker: &Docker, nodes: &[Node]) -> Result<BTreeMap<String, Timestamp>> {
    let mut starts = BTreeMap::new();
    for node in nodes {
        let found = docker
            .inspect_container(&node.name, None::<InspectContainerOptions>)
            .await;
        let failed = |e| request_failed(&format!("cannot look at node `{}`", node.name), &e);
        let state = found.map_err(failed)?.state;
        let started = state.and_then(|state| state.started_at?.parse().ok());
        starts.extend(started.map(|started| (node.name.clone(), started)));
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake;
    use super::*;
    use crate::docker::fake::Containers;
    use crate::error::{Code, Exit};

    #[test]
    fn the_tag_of_a_node_image_tells_the_version_of_kubernetes() {
        let versions = [
            ("kindest/node:v1.36.3", Some("v1.36.3")),
            ("kindest/node:v1.36.3@sha256:0123", Some("v1.36.3")),
            ("rancher/k3s:v1.36.3-k3s1", Some("v1.36.3")),
            ("registry:5000/node:v0.0.49", Some("v0.0.49")),
            ("registry:5000/node", None),
            ("node:v1", None),
        ];
        for (image, version) in versions {
            assert_eq!(version_of(image).as_deref(), version, "{image}");
        }
    }

    fn container(name: &str, address: &str, labels: &serde_json::Value) -> ContainerSummary {
        serde_json::from_value(fake::container(name, true, address, labels)).unwrap()
    }

    fn wanted(name: &str, address: &str) -> SoughtNode {
        SoughtNode {
            name: name.to_owned(),
            addresses: vec![address.parse().unwrap()],
        }
    }

    fn role(_: &str, labels: &Labels) -> Option<(Provider, bool)> {
        labels
            .get("role")
            .map(|role| (Provider::Kind, role == "control-plane"))
    }

    #[tokio::test]
    async fn a_request_that_the_engine_refuses_is_told_in_its_words_and_not_as_an_engine_that_is_away()
     {
        let refusing = Containers::start(|_| (String::new(), 0)).await;
        let error = labelled(&refusing.docker, "a=b", role).await.unwrap_err();
        assert_eq!(
            (error.code, error.code.exit()),
            (Code::DockerRequest, Exit::Failed)
        );
        let said = "cannot list the node containers: /";
        assert!(error.message.starts_with(said), "{error}");
        assert!(starts(&refusing.docker, &[]).await.unwrap().is_empty());
    }

    #[test]
    fn nodes_of_the_users_cluster_are_found_by_name_and_address() {
        let labels = json!({"role": "control-plane"});
        let containers = || vec![container("dev-control-plane", "172.18.0.2", &labels)];
        let found = matched(
            containers(),
            &[wanted("dev-control-plane", "172.18.0.2")],
            &[role],
        )
        .unwrap();
        assert_eq!(
            (found[0].name.as_str(), found[0].provider),
            ("dev-control-plane", Provider::Kind)
        );
        let namesake = [wanted("dev-control-plane", "10.0.0.7")];
        assert_eq!(
            matched(containers(), &namesake, &[role]),
            None,
            "a node of that name on another machine"
        );
        let half = [
            wanted("dev-control-plane", "172.18.0.2"),
            wanted("dev-worker", "10.0.0.8"),
        ];
        assert_eq!(
            matched(containers(), &half, &[role]),
            None,
            "what is brought has to come to every node"
        );
    }
}
