//! The Docker Engine: which one answers, whether it can build, and whether what it publishes can be reached.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::models::SystemInfo;
use bollard::query_parameters::ListNetworksOptions;
use jiff::Timestamp;
use serde_json::Value;

use super::network::Subnet;
use super::{Check, Id, Looked, Missing, skipped};
use crate::docker::{Engine, PublishedPort, published_ports};
use crate::environment::Environment;
use crate::error::Result;
use crate::process;

/// BuildKit speaks over HTTP from API 1.39 on (Engine 18.09).
const BUILDKIT_API: (u32, u32) = (1, 39);

/// Where dockerd reads its settings (dockerd manual, "Daemon configuration file").
const DAEMON: &str = "/etc/docker/daemon.json";

/// An Engine that answers.
#[derive(Debug, Clone, Default)]
pub struct Docker {
    /// In the form of DOCKER_HOST.
    pub host: String,
    pub version: String,
    pub api: String,
    /// Its data folder, on the machine that it runs on.
    pub root: Option<PathBuf>,
    /// Bytes that the machine it runs on has.
    pub memory: Option<u64>,
    /// Its clock minus this machine's, in seconds.
    pub clock: Option<i64>,
    /// The kernel passes packets between networks.
    pub forwards: Option<bool>,
    pub networks: Vec<DockerNetwork>,
    pub containers: Vec<PublishedPort>,
    /// daemon.json, if the Engine runs here and has one.
    pub daemon: Value,
    /// The command line of dockerd, if it runs here.
    pub command: String,
    pub choice: Choice,
}

#[derive(Debug, Clone, Default)]
pub struct DockerNetwork {
    pub name: String,
    pub subnets: Vec<Subnet>,
    pub gateways: Vec<IpAddr>,
    /// Of the machine that the Engine runs on.
    pub interface: String,
}

/// Who says which Engine it is to be.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `docker context use`; None: the default.
    pub context: Option<String>,
}

pub(super) async fn inspect(engine: &Result<Engine>, environment: &Environment) -> Looked<Docker> {
    let engine = engine.as_ref().map_err(|error| error.clone())?;
    let refused =
        |e: bollard::errors::Error| crate::docker::request_failed("the Engine is not well", &e);
    let docker = &engine.docker;
    let networks = docker.list_networks(None::<ListNetworksOptions>);
    let (version, info, networks) = tokio::join!(docker.version(), docker.info(), networks);
    let version = version.map_err(refused)?;
    let info = info.map_err(refused)?;
    let networks = networks.map_err(refused)?;
    let is_here = engine.host.starts_with("unix://");
    Ok(Docker {
        host: engine.host.clone(),
        version: version.version.unwrap_or_default(),
        api: version.api_version.unwrap_or_default(),
        clock: clock(&info, Timestamp::now()),
        root: info.docker_root_dir.map(PathBuf::from),
        memory: info.mem_total.and_then(|bytes| bytes.try_into().ok()),
        forwards: info.ipv4_forwarding,
        networks: networks.into_iter().map(network).collect(),
        containers: published_ports(docker).await?,
        daemon: if is_here {
            daemon(Path::new(DAEMON))
        } else {
            Value::Null
        },
        command: if is_here {
            dockerd().await
        } else {
            String::new()
        },
        choice: choice(environment),
    })
}

fn clock(info: &SystemInfo, now: Timestamp) -> Option<i64> {
    let theirs: Timestamp = info.system_time.as_ref()?.parse().ok()?;
    Some(theirs.as_second() - now.as_second())
}

fn network(network: bollard::models::Network) -> DockerNetwork {
    let id = network.id.unwrap_or_default();
    let options = network.options.unwrap_or_default();
    let named = options.get("com.docker.network.bridge.name").cloned();
    let ranges = network
        .ipam
        .and_then(|ipam| ipam.config)
        .unwrap_or_default();
    DockerNetwork {
        name: network.name.unwrap_or_default(),
        interface: named.unwrap_or_else(|| format!("br-{}", id.get(..12).unwrap_or(&id))),
        subnets: ranges
            .iter()
            .filter_map(|range| Subnet::parse(range.subnet.as_ref()?))
            .collect(),
        gateways: ranges
            .iter()
            .filter_map(|range| range.gateway.as_ref()?.parse().ok())
            .collect(),
    }
}

fn daemon(file: &Path) -> Value {
    std::fs::read(file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

async fn dockerd() -> String {
    let is_dockerd = |line: &String| {
        line.split(' ')
            .next()
            .is_some_and(|word| word.rsplit('/').next() == Some("dockerd"))
    };
    process::command_lines()
        .await
        .into_iter()
        .find(is_dockerd)
        .unwrap_or_default()
}

fn choice(environment: &Environment) -> Choice {
    let text = |key: &str| {
        environment
            .get(key)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let folder = || Some(PathBuf::from(text("HOME")?).join(".docker"));
    let folder = text("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(folder)
        .unwrap_or_default();
    let chosen = daemon(&folder.join("config.json"))["currentContext"]
        .as_str()
        .map(str::to_owned);
    let context = text("DOCKER_CONTEXT")
        .or(chosen)
        .filter(|name| !name.is_empty() && name != "default");
    Choice {
        host: text("DOCKER_HOST"),
        context,
    }
}

pub(super) fn checks(docker: &Looked<Docker>) -> Vec<Check> {
    let ids = [
        Id::DockerEngine,
        Id::DockerBuildkit,
        Id::DockerContext,
        Id::DockerForwarding,
    ];
    match docker {
        Ok(docker) => {
            let engine = format!(
                "Docker Engine {} (API {}) answers at {}",
                docker.version, docker.api, docker.host
            );
            vec![
                Check::ok(Id::DockerEngine, engine),
                buildkit(&docker.api),
                context(docker),
                forwarding(docker),
            ]
        }
        Err(missing @ Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::DockerEngine, errors);
            broken
                .into_iter()
                .chain(skipped(&ids[1..], missing))
                .collect()
        }
        Err(missing) => skipped(&ids, missing),
    }
}

fn buildkit(api: &str) -> Check {
    let numbers: Vec<u32> = api
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    match numbers[..] {
        [major, minor, ..] if (major, minor) >= BUILDKIT_API => {
            Check::ok(Id::DockerBuildkit, "the Engine has BuildKit")
        }
        _ => Check::error(Id::DockerBuildkit, format!("API {api} has no BuildKit"))
            .hint("install Docker Engine 20.10 or newer"),
    }
}

fn context(docker: &Docker) -> Check {
    let Choice { host, context } = &docker.choice;
    if let (Some(host), Some(context)) = (host, context) {
        return Check::warning(
            Id::DockerContext,
            format!("DOCKER_HOST sends docker elsewhere than context `{context}`"),
        )
        .evidence(format!("DOCKER_HOST={host}"))
        .hint("unset DOCKER_HOST    # or: docker context use default");
    }
    if is_elsewhere(&docker.host) {
        return Check::warning(
            Id::DockerContext,
            format!("the Engine at {} is on another machine", docker.host),
        )
        .evidence("forwards, the cluster's API and Compose's ports are expected on this one")
        .hint("docker context use default");
    }
    let chosen = context
        .as_ref()
        .map_or_else(|| "the default".to_owned(), |name| format!("`{name}`"));
    Check::ok(
        Id::DockerContext,
        format!("Docker context: {chosen}, on this machine"),
    )
}

fn is_elsewhere(host: &str) -> bool {
    let Some((scheme, rest)) = host.split_once("://") else {
        return false;
    };
    let name = rest.split('/').next().unwrap_or_default();
    let name = name.rsplit_once('@').map_or(name, |(_, name)| name);
    let local = ["127.", "localhost", "[::1]"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    matches!(scheme, "tcp" | "http" | "https" | "ssh") && !local
}

/// Settings by which published ports lead nowhere, or not from everywhere.
fn forwarding(docker: &Docker) -> Check {
    let off = |key: &str| {
        docker.daemon[key] == false || docker.command.contains(&format!("--{key}=false"))
    };
    let place = |key: &str| match docker.daemon.get(key) {
        Some(_) => format!("{DAEMON}: \"{key}\": false"),
        None => format!("dockerd --{key}=false"),
    };
    if off("iptables") {
        return Check::error(
            Id::DockerForwarding,
            "Docker sets no packet filter rules: published ports lead nowhere",
        )
        .evidence(place("iptables"))
        .hint("remove the setting and restart Docker");
    }
    if docker.forwards == Some(false) {
        return Check::error(
            Id::DockerForwarding,
            "the kernel passes nothing between networks",
        )
        .hint("sudo sysctl -w net.ipv4.ip_forward=1");
    }
    if off("userland-proxy") {
        let text = "Docker's userland proxy is off: Compose's ports do not answer on ::1, nor to containers by the host's address";
        return Check::warning(Id::DockerForwarding, text)
            .evidence(place("userland-proxy"))
            .hint("remove the setting and restart Docker");
    }
    Check::ok(Id::DockerForwarding, "published ports are passed on")
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn buildkit_needs_api_1_39() {
        assert_eq!(buildkit("1.38").status, CheckStatus::Error);
        assert_eq!(buildkit("1.41").status, CheckStatus::Ok);
        assert_eq!(buildkit("").status, CheckStatus::Error);
    }

    #[test]
    fn an_engine_elsewhere_is_told_from_one_here() {
        for host in [
            "unix:///var/run/docker.sock",
            "tcp://127.0.0.1:2375",
            "tcp://localhost:1",
            "npipe:////./pipe/x",
        ] {
            assert!(!is_elsewhere(host), "{host}");
        }
        for host in [
            "tcp://10.0.0.1:2375",
            "ssh://ann@build.example",
            "https://h",
        ] {
            assert!(is_elsewhere(host), "{host}");
        }
    }

    #[test]
    fn the_engines_clock_is_compared_in_seconds() {
        let info = SystemInfo {
            system_time: Some("2026-01-31T09:30:10.5Z".to_owned()),
            ..SystemInfo::default()
        };
        assert_eq!(
            clock(&info, "2026-01-31T09:30:00Z".parse().unwrap()),
            Some(10)
        );
        assert_eq!(clock(&SystemInfo::default(), Timestamp::now()), None);
    }

    #[test]
    fn settings_are_found_in_the_file_and_on_the_command_line() {
        let by_file = Docker {
            daemon: serde_json::json!({"userland-proxy": false}),
            ..Docker::default()
        };
        assert_eq!(
            forwarding(&by_file).evidence[0].text,
            "/etc/docker/daemon.json: \"userland-proxy\": false"
        );
        let by_flag = Docker {
            command: "/usr/bin/dockerd --userland-proxy=false".into(),
            ..Docker::default()
        };
        assert_eq!(forwarding(&by_flag).status, CheckStatus::Warning);
        let no_rules = Docker {
            command: "dockerd --iptables=false".into(),
            ..Docker::default()
        };
        assert_eq!(forwarding(&no_rules).status, CheckStatus::Error);
        assert_eq!(
            forwarding(&Docker {
                forwards: Some(true),
                ..Docker::default()
            })
            .status,
            CheckStatus::Ok
        );
    }
}
