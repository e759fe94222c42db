//! The host ports that containers claim, running or stopped: a stopped container takes its ports back when it starts.

use std::collections::HashMap;
use std::path::Path;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, PortBinding, PortMap};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures::{StreamExt, TryStreamExt};

use super::{is_not_found, request_failed};
use crate::error::Result;

/// Inspect requests under way at once.
const MAX_CONCURRENT_INSPECTS: usize = 16;

/// One host port that a container claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// None: every address of the host.
    pub host_ip: Option<String>,
    /// The container's name.
    pub container: String,
    /// Of the `com.docker.compose.*` labels.
    pub compose_project: Option<String>,
    pub compose_service: Option<String>,
    /// The files that it was started from, with commas.
    pub compose_files: Option<String>,
    pub running: bool,
}

impl PublishedPort {
    /// The Compose files that the container was started from.
    pub fn compose_files(&self) -> impl Iterator<Item = &Path> {
        self.compose_files
            .iter()
            .flat_map(|files| files.split(','))
            .map(Path::new)
    }
}

/// Every claimed host port, sorted.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses. A container that vanishes in between is no error.
pub async fn published_ports(docker: &Docker) -> Result<Vec<PublishedPort>> {
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let listed = docker
        .list_containers(Some(all))
        .await
        .map_err(|e| request_failed("cannot list the containers", &e))?;
    let ids = listed.into_iter().filter_map(|container| container.id);
    let inspected = futures::stream::iter(ids)
        .map(|id| inspect(docker, id))
        .buffer_unordered(MAX_CONCURRENT_INSPECTS);
    let containers: Vec<_> = inspected.try_collect().await?;
    let mut ports: Vec<_> = containers.iter().flatten().flat_map(claims).collect();
    ports.sort();
    ports.dedup();
    Ok(ports)
}

async fn inspect(docker: &Docker, id: String) -> Result<Option<ContainerInspectResponse>> {
    match docker
        .inspect_container(&id, None::<InspectContainerOptions>)
        .await
    {
        Ok(container) => Ok(Some(container)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(request_failed(
            &format!("cannot inspect container `{id}`"),
            &error,
        )),
    }
}

fn claims(container: &ContainerInspectResponse) -> Vec<PublishedPort> {
    let running = container
        .state
        .as_ref()
        .and_then(|state| state.running)
        .unwrap_or(false);
    let labels = container
        .config
        .as_ref()
        .and_then(|config| config.labels.clone())
        .unwrap_or_default();
    let name = container
        .name
        .as_deref()
        .unwrap_or_default()
        .trim_start_matches('/');
    let published = |(protocol, port, host_ip): (String, u16, Option<String>)| PublishedPort {
        port,
        protocol,
        host_ip,
        container: name.to_owned(),
        compose_project: labels.get("com.docker.compose.project").cloned(),
        compose_service: labels.get("com.docker.compose.service").cloned(),
        compose_files: labels
            .get("com.docker.compose.project.config_files")
            .cloned(),
        running,
    };
    let declared = container
        .host_config
        .as_ref()
        .and_then(|config| config.port_bindings.as_ref());
    let actual = container
        .network_settings
        .as_ref()
        .and_then(|network| network.ports.as_ref())
        .filter(|_| running);
    let (declared, ephemeral) = declared.map(fixed_bindings).unwrap_or_default();
    let actual = actual
        .map(|map| chosen_by_docker(map, &ephemeral))
        .unwrap_or_default();
    let exposed = if running {
        vec![]
    } else {
        exposed_on_host(container)
    };
    declared
        .into_iter()
        .chain(actual)
        .chain(exposed)
        .map(published)
        .collect()
}

/// On the host's network a container listens on its own ports. One that runs is seen listening; of one
/// that is stopped, what its image exposes is all that is known.
fn exposed_on_host(container: &ContainerInspectResponse) -> Vec<Claim> {
    let mode = container
        .host_config
        .as_ref()
        .and_then(|config| config.network_mode.as_deref());
    let exposed = container
        .config
        .as_ref()
        .and_then(|config| config.exposed_ports.as_ref());
    let exposed = exposed
        .filter(|_| mode == Some("host"))
        .into_iter()
        .flatten();
    let claim = |target: &String| {
        let (ports, _) = target.split_once('/').unwrap_or((target, ""));
        host_ports(ports)
            .into_iter()
            .map(|port| (protocol(target), port, None))
            .collect::<Vec<_>>()
    };
    exposed.flat_map(claim).collect()
}

type Claim = (String, u16, Option<String>);

/// The ports that `PortBindings` spells out, and per container port whether all of it was spelled out.
fn fixed_bindings(map: &PortMap) -> (Vec<Claim>, HashMap<&str, bool>) {
    let mut claims = Vec::new();
    let mut complete = HashMap::new();
    for (target, binding) in bindings(map) {
        let ports = host_ports(binding.host_port.as_deref().unwrap_or_default());
        *complete.entry(target).or_insert(true) &= !ports.is_empty();
        claims.extend(
            ports
                .into_iter()
                .map(|port| (protocol(target), port, host_ip(binding))),
        );
    }
    (claims, complete)
}

/// What a running container got for ports that were left to Docker (`-p 80`, `-P`).
fn chosen_by_docker(map: &PortMap, spelled_out: &HashMap<&str, bool>) -> Vec<Claim> {
    let left_open =
        bindings(map).filter(|(target, _)| !spelled_out.get(target).copied().unwrap_or(false));
    left_open
        .flat_map(|(target, binding)| {
            let ports = host_ports(binding.host_port.as_deref().unwrap_or_default());
            ports
                .into_iter()
                .map(move |port| (protocol(target), port, host_ip(binding)))
        })
        .collect()
}

fn bindings(map: &PortMap) -> impl Iterator<Item = (&str, &PortBinding)> {
    map.iter().flat_map(|(target, list)| {
        list.iter()
            .flatten()
            .map(move |binding| (target.as_str(), binding))
    })
}

/// `80/tcp` -> `tcp`; Docker takes tcp where nothing is said.
fn protocol(target: &str) -> String {
    target
        .split_once('/')
        .map_or("tcp", |(_, protocol)| protocol)
        .to_owned()
}

fn host_ip(binding: &PortBinding) -> Option<String> {
    binding
        .host_ip
        .clone()
        .filter(|ip| !["", "0.0.0.0", "::"].contains(&ip.as_str()))
}

/// `8000` -> 8000; `8000-8002` -> 8000, 8001, 8002 (Docker takes any one of them at each start);
/// `` and `0` -> none: Docker chooses.
pub fn host_ports(host_port: &str) -> Vec<u16> {
    let (first, last) = host_port.split_once('-').unwrap_or((host_port, host_port));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first @ 1..), Ok(last)) => (first..=last).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(running: bool, declared: &str, actual: &str) -> ContainerInspectResponse {
        let text = format!(
            r#"{{"Name":"/shop-db-1","State":{{"Running":{running}}},"HostConfig":{{"PortBindings":{declared}}},
                "NetworkSettings":{{"Ports":{actual}}},
                "Config":{{"Labels":{{"com.docker.compose.project":"shop","com.docker.compose.service":"db"}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn short(container: &ContainerInspectResponse) -> Vec<String> {
        let mut claims: Vec<_> = claims(container)
            .into_iter()
            .map(|p| {
                format!(
                    "{}:{}/{}",
                    p.host_ip.unwrap_or_default(),
                    p.port,
                    p.protocol
                )
            })
            .collect();
        claims.sort();
        claims
    }

    #[test]
    fn a_stopped_container_still_claims_its_ports() {
        let stopped = container(
            false,
            r#"{"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"5439"}]}"#,
            "{}",
        );
        let expected = PublishedPort {
            port: 5439,
            protocol: "tcp".to_owned(),
            host_ip: Some("127.0.0.1".to_owned()),
            container: "shop-db-1".to_owned(),
            compose_project: Some("shop".to_owned()),
            compose_service: Some("db".to_owned()),
            compose_files: None,
            running: false,
        };
        assert_eq!(claims(&stopped), [expected]);
    }

    #[test]
    fn ranges_are_claimed_whole() {
        let ranged = container(
            false,
            r#"{"80/tcp":[{"HostIp":"","HostPort":"8000-8002"}]}"#,
            "{}",
        );
        assert_eq!(short(&ranged), [":8000/tcp", ":8001/tcp", ":8002/tcp"]);
    }

    #[test]
    fn an_ephemeral_port_is_what_the_running_container_got() {
        let declared =
            r#"{"80/tcp":[{"HostIp":"","HostPort":"0"}],"53/udp":[{"HostPort":"5353"}]}"#;
        let actual = r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"32768"}],
                         "53/udp":[{"HostIp":"0.0.0.0","HostPort":"5353"},{"HostIp":"::","HostPort":"5353"}]}"#;
        assert_eq!(
            short(&container(true, declared, actual)),
            [":32768/tcp", ":5353/udp"]
        );
        assert_eq!(short(&container(false, declared, "{}")), [":5353/udp"]);
    }

    #[test]
    fn ports_published_without_any_binding_are_seen_too() {
        let all = container(
            true,
            "{}",
            r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"32769"}],"443/tcp":null}"#,
        );
        assert_eq!(short(&all), [":32769/tcp"]);
    }

    #[test]
    fn a_stopped_container_of_the_hosts_network_claims_what_it_exposes() {
        let text = |running: bool, mode: &str| {
            format!(
                r#"{{"Name":"/cache","State":{{"Running":{running}}},"HostConfig":{{"NetworkMode":"{mode}"}},
                    "Config":{{"ExposedPorts":{{"6379/tcp":{{}}}}}}}}"#
            )
        };
        let parsed = |running, mode| serde_json::from_str(&text(running, mode)).unwrap();
        assert_eq!(short(&parsed(false, "host")), [":6379/tcp"]);
        assert_eq!(short(&parsed(true, "host")), Vec::<String>::new());
        assert_eq!(short(&parsed(false, "bridge")), Vec::<String>::new());
    }

    #[test]
    fn a_container_without_bindings_claims_nothing() {
        assert_eq!(
            short(&container(true, "null", "null")),
            Vec::<String>::new()
        );
    }
}
