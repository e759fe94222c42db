//! Nodes that are Docker containers, told by the labels that their provider puts on them.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use jiff::Timestamp;

use super::State;
use crate::config::Provider;
use crate::error::{Code, Error, Result};

/// A node container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Container name, such as `devk-control-plane`; it is the node's name in Kubernetes, too.
    pub name: String,
    pub id: String,
    pub running: bool,
    pub control_plane: bool,
    /// Whose labels it has.
    pub provider: Provider,
}

/// All node containers with one label, whatever its value or with this one, and their values of it; control planes
/// first.
///
/// # Errors
/// [`Code::DockerUnavailable`].
pub(super) async fn labelled(docker: &Docker, label: &str) -> Result<Vec<Node>> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers = docker.list_containers(Some(options)).await.map_err(|e| docker_error(&e))?;
    let mut nodes: Vec<_> = containers.into_iter().filter_map(node).collect();
    nodes.sort_by_key(|n| (!n.control_plane, n.name.clone()));
    Ok(nodes)
}

/// None if it is no node: providers run load balancers and registries beside them.
fn node(container: ContainerSummary) -> Option<Node> {
    let name = container.names?.first()?.trim_start_matches('/').to_owned();
    let (provider, control_plane) = role(&name, &container.labels?)?;
    let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
    Some(Node { name, id: container.id?, running, control_plane, provider })
}

/// By whose labels a container is a node, and whether of the control plane.
fn role(_name: &str, labels: &HashMap<String, String>) -> Option<(Provider, bool)> {
    match labels.get(super::kind::ROLE_LABEL)?.as_str() {
        "control-plane" => Some((Provider::Kind, true)),
        "worker" => Some((Provider::Kind, false)),
        _ => None,
    }
}

/// What a cluster of these nodes is in.
pub(super) fn state(nodes: Vec<Node>) -> State {
    if nodes.is_empty() {
        State::Absent
    } else if nodes.iter().all(|node| node.running) {
        State::Running(nodes)
    } else {
        State::Stopped(nodes)
    }
}

/// The container id of the first control plane, which is another one when somebody made the cluster anew.
pub(super) fn control_plane(nodes: &[Node]) -> String {
    nodes.iter().find(|n| n.control_plane).map(|n| n.id.clone()).unwrap_or_default()
}

/// When each node was started, by the clock of the machine that Docker runs on, which is the nodes'.
///
/// # Errors
/// [`Code::DockerUnavailable`].
pub(super) async fn starts(docker: &Docker, nodes: &[Node]) -> Result<BTreeMap<String, Timestamp>> {
    let mut starts = BTreeMap::new();
    for node in nodes {
        let found = docker.inspect_container(&node.name, None::<InspectContainerOptions>).await;
        let state = found.map_err(|e| docker_error(&e))?.state;
        let started = state.and_then(|state| state.started_at?.parse().ok());
        starts.extend(started.map(|started| (node.name.clone(), started)));
    }
    Ok(starts)
}

pub(super) fn docker_error(error: &bollard::errors::Error) -> Error {
    Error::new(Code::DockerUnavailable, "the Docker Engine refused a request").evidence(error.to_string())
}
