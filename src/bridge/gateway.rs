//! The address by which pods reach this machine.
//!
//! If Docker runs on this machine, the address is the gateway of the node container's network. If Docker runs in a
//! virtual machine (Docker Desktop, OrbStack, Colima), that gateway is inside the virtual machine, and nodes reach this
//! machine by a host name. minikube and k3d give their nodes such a host name in both cases.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use bollard::Docker;
use bollard::models::EndpointSettings;
use bollard::query_parameters::InspectContainerOptions;

use crate::cluster::Node;
use crate::config::Provider;
use crate::docker::{Engine, Exec, request_failed};
use crate::error::{Code, Error, Result};

/// Where the Engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineLocation {
    /// On this machine: its containers' gateways are this machine's addresses.
    Here,
    /// In a virtual machine that passes this machine's loopback on.
    Machine,
}

/// How the address is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The gateway of the node's Docker network.
    Gateway,
    /// The address that this name has within the node.
    Name(&'static str),
}

/// The rule for a provider; None if only the user can know.
pub fn rule(provider: Provider, place: EngineLocation) -> Option<Rule> {
    match (provider, place) {
        (Provider::Kind, EngineLocation::Here) => Some(Rule::Gateway),
        (Provider::Kind, EngineLocation::Machine) => Some(Rule::Name("host.docker.internal")),
        (Provider::Minikube, _) => Some(Rule::Name("host.minikube.internal")),
        (Provider::K3d, _) => Some(Rule::Name("host.k3d.internal")),
        (Provider::Existing, _) => None,
    }
}

/// Where an Engine runs, by the name of its operating system and the address of its socket.
pub fn place(operating_system: &str, host: &str) -> EngineLocation {
    const MACHINES: &[&str] = &["Docker Desktop", "OrbStack"];
    let by_name = MACHINES.iter().any(|name| operating_system.contains(name));
    // A virtual machine's socket, as Colima, Lima and Rancher Desktop call theirs.
    let by_socket = [".colima/", ".lima/", ".rd/", ".orbstack/"]
        .iter()
        .any(|part| host.contains(part));
    if by_name || by_socket || cfg!(not(target_os = "linux")) {
        EngineLocation::Machine
    } else {
        EngineLocation::Here
    }
}

/// Where the Engine runs.
///
/// # Errors
/// [`Code::DockerRequest`].
pub async fn place_of(engine: &Engine) -> Result<EngineLocation> {
    let info = engine
        .docker
        .info()
        .await
        .map_err(|e| request_failed("cannot ask the Engine where it runs", &e))?;
    Ok(place(
        &info.operating_system.unwrap_or_default(),
        &engine.host,
    ))
}

/// The address by which pods on these nodes reach this machine.
///
/// # Errors
/// [`Code::BridgeGateway`], [`Code::DockerRequest`].
pub async fn address(engine: &Engine, nodes: &[Node]) -> Result<Ipv4Addr> {
    let node = nodes
        .first()
        .ok_or_else(|| unknown("the cluster has no node that is a container of this Docker"))?;
    match rule(node.provider, place_of(engine).await?) {
        Some(Rule::Gateway) => {
            let networks = networks(&engine.docker, node).await?;
            let gateways = networks
                .iter()
                .filter_map(|network| network.gateway.as_deref()?.parse().ok());
            gateways
                .into_iter()
                .next()
                .ok_or_else(|| unknown("the node's network has no IPv4 gateway"))
        }
        Some(Rule::Name(name)) => resolved(&engine.docker, node, name).await,
        None => Err(unknown("no rule says it for this provider")),
    }
}

/// The addresses that connections of pods come from: the nodes' own, by which pods are masqueraded.
///
/// # Errors
/// [`Code::DockerRequest`].
pub async fn node_addresses(docker: &Docker, nodes: &[Node]) -> Result<BTreeSet<IpAddr>> {
    let networks = nodes.iter().map(|node| networks(docker, node));
    let networks = futures::future::try_join_all(networks).await?;
    Ok(networks
        .iter()
        .flatten()
        .filter_map(|network| network.ip_address.as_deref()?.parse().ok())
        .collect())
}

async fn networks(docker: &Docker, node: &Node) -> Result<Vec<EndpointSettings>> {
    let found = docker
        .inspect_container(&node.name, None::<InspectContainerOptions>)
        .await;
    let found =
        found.map_err(|e| request_failed(&format!("cannot look at node `{}`", node.name), &e))?;
    let networks = found
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default();
    let mut networks: Vec<_> = networks.into_iter().collect();
    networks.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(networks.into_iter().map(|(_, network)| network).collect())
}

async fn resolved(docker: &Docker, node: &Node, name: &str) -> Result<Ipv4Addr> {
    // k3s has no getent; k3d writes the name into the node's hosts file.
    const LOOKUP: &str = r#"getent ahostsv4 "$0" 2>/dev/null || grep -wF "$0" /etc/hosts"#;
    let lookup = Exec::new(&node.name, ["sh", "-c", LOOKUP, name])
        .output(docker)
        .await?;
    first_address(&lookup.text())
        .ok_or_else(|| unknown(&format!("node `{}` cannot resolve `{name}`", node.name)))
}

/// Of the output of `getent ahostsv4`, `192.168.65.254  STREAM host.docker.internal`, or of a line of /etc/hosts.
fn first_address(text: &str) -> Option<Ipv4Addr> {
    text.split_whitespace().next()?.parse().ok()
}

fn unknown(why: &str) -> Error {
    Error::new(
        Code::BridgeGateway,
        format!("the address by which pods reach this machine cannot be found: {why}"),
    )
    .hint("devk doctor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_on_linux_leads_to_the_gateway_and_in_a_virtual_machine_to_a_name() {
        assert_eq!(
            rule(Provider::Kind, EngineLocation::Here),
            Some(Rule::Gateway)
        );
        assert_eq!(
            rule(Provider::Kind, EngineLocation::Machine),
            Some(Rule::Name("host.docker.internal"))
        );
    }

    #[test]
    fn minikube_and_k3d_have_names_of_their_own_wherever_docker_runs() {
        for place in [EngineLocation::Here, EngineLocation::Machine] {
            assert_eq!(
                rule(Provider::Minikube, place),
                Some(Rule::Name("host.minikube.internal"))
            );
            assert_eq!(
                rule(Provider::K3d, place),
                Some(Rule::Name("host.k3d.internal"))
            );
            assert_eq!(rule(Provider::Existing, place), None);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_engine_is_here_unless_its_system_or_its_socket_is_a_machines() {
        assert_eq!(
            place(
                "Debian GNU/Linux 13 (trixie)",
                "unix:///var/run/docker.sock"
            ),
            EngineLocation::Here
        );
        assert_eq!(
            place("Docker Desktop", "unix://~/.docker/desktop/docker.sock"),
            EngineLocation::Machine
        );
        assert_eq!(
            place("Ubuntu 24.04 LTS", "unix://~/.colima/default/docker.sock"),
            EngineLocation::Machine
        );
    }

    #[test]
    fn a_name_is_read_as_getent_prints_it() {
        let text = "192.168.65.254  STREAM host.docker.internal\n192.168.65.254  DGRAM\n";
        assert_eq!(first_address(text), Some(Ipv4Addr::new(192, 168, 65, 254)));
        assert_eq!(first_address(""), None);
    }
}
