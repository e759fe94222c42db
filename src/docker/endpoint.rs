//! Which Engine the user means: the rules of the docker CLI, then the sockets that Docker's
//! desktop packagings are known to use.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::hex::hex;

/// Where an Engine may be listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EngineAddress {
    /// In the form of DOCKER_HOST: `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2376`.
    pub host: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, if the Engine is spoken to by TLS.
    pub tls: Option<PathBuf>,
    /// The source of the address: `DOCKER_HOST`, ``context `colima` ``, `default socket`.
    pub source: String,
}

/// The inputs of the resolution, as a value, so that tests need not change the process environment.
#[derive(Debug, Clone, Default)]
pub(super) struct EndpointInputs {
    pub docker_host: Option<String>,
    pub docker_context: Option<String>,
    /// `DOCKER_TLS_VERIFY` is set and not empty.
    pub tls_verify: bool,
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub config_dir: PathBuf,
    pub home: PathBuf,
    pub runtime_dir: Option<PathBuf>,
}

impl EndpointInputs {
    pub(super) fn of(environment: &Environment) -> Self {
        let text = |key| {
            environment
                .get(key)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let home = text("HOME")
            .map(PathBuf::from)
            .or_else(std::env::home_dir)
            .unwrap_or_default();
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            cert_path: text("DOCKER_CERT_PATH").map(PathBuf::from),
            config_dir: text("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from),
            runtime_dir: text("XDG_RUNTIME_DIR").map(PathBuf::from),
            home,
        }
    }
}

/// The Engines to try, in order. Where the user named one (DOCKER_HOST, a context), it is the only
/// one: a cluster must not appear in another Engine because the chosen one is down.
///
/// # Errors
/// [`Code::DockerUnavailable`] if the chosen context does not exist or cannot be read.
pub(super) fn candidates(around: &EndpointInputs) -> Result<Vec<EngineAddress>> {
    if let Some(host) = &around.docker_host {
        return Ok(vec![from_docker_host(around, host)]);
    }
    match chosen_context(around)? {
        Some(name) => Ok(vec![from_context(&around.config_dir, &name)?]),
        None => Ok(sockets(around)),
    }
}

fn from_docker_host(around: &EndpointInputs, host: &str) -> EngineAddress {
    let certificates = || {
        around
            .cert_path
            .clone()
            .unwrap_or_else(|| around.config_dir.clone())
    };
    EngineAddress {
        host: host.to_owned(),
        tls: around.tls_verify.then(certificates),
        source: "DOCKER_HOST".to_owned(),
    }
}

/// DOCKER_CONTEXT, else `currentContext` of config.json. `default` means: no context.
fn chosen_context(around: &EndpointInputs) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct ConfigFile {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    let name = match &around.docker_context {
        Some(name) => Some(name.clone()),
        None => {
            let file = around.config_dir.join("config.json");
            let Ok(text) = std::fs::read(&file) else {
                return Ok(None);
            };
            serde_json::from_slice::<ConfigFile>(&text)
                .map_err(|e| unreadable(&file, &e))?
                .current_context
        }
    };
    Ok(name.filter(|name| !name.is_empty() && name != "default"))
}

/// A context is stored below the SHA-256 of its name (docker/cli, cli/context/store).
fn from_context(config_dir: &Path, name: &str) -> Result<EngineAddress> {
    #[derive(Deserialize)]
    struct Meta {
        #[serde(rename = "Endpoints")]
        endpoints: std::collections::BTreeMap<String, MetaEndpoint>,
    }
    #[derive(Deserialize)]
    struct MetaEndpoint {
        #[serde(rename = "Host")]
        host: Option<String>,
    }
    let id = hex(Sha256::digest(name));
    let file = config_dir.join("contexts/meta").join(&id).join("meta.json");
    let text = std::fs::read(&file).map_err(|_| missing_context(name, &file))?;
    let meta: Meta = serde_json::from_slice(&text).map_err(|e| unreadable(&file, &e))?;
    let host = meta
        .endpoints
        .get("docker")
        .and_then(|endpoint| endpoint.host.clone());
    let host = host.ok_or_else(|| missing_context(name, &file))?;
    let tls =
        Some(config_dir.join("contexts/tls").join(&id).join("docker")).filter(|dir| dir.is_dir());
    Ok(EngineAddress {
        host,
        tls,
        source: format!("context `{name}`"),
    })
}

fn missing_context(name: &str, file: &Path) -> Error {
    Error::new(
        Code::DockerUnavailable,
        format!("the Docker context `{name}` names no Engine"),
    )
    .evidence(format!("looked for {}", file.display()))
    .hint("`docker context ls` shows the contexts there are, `docker context use NAME` chooses one")
}

fn unreadable(file: &Path, cause: &serde_json::Error) -> Error {
    Error::new(
        Code::DockerUnavailable,
        format!("`{}` is not what Docker writes: {cause}", file.display()),
    )
    .hint("correct the file, or set DOCKER_HOST")
}

/// The default socket first, then Docker Desktop's, Colima's, OrbStack's, Rancher's and the rootless one.
fn sockets(around: &EndpointInputs) -> Vec<EngineAddress> {
    let home = |path: &str| Some(around.home.join(path));
    let known = [
        (
            "default socket",
            Some(PathBuf::from("/var/run/docker.sock")),
        ),
        ("Docker Desktop", home(".docker/run/docker.sock")),
        (
            "Docker Desktop on Linux",
            home(".docker/desktop/docker.sock"),
        ),
        ("Colima", home(".colima/default/docker.sock")),
        ("OrbStack", home(".orbstack/run/docker.sock")),
        ("Rancher Desktop", home(".rd/docker.sock")),
        (
            "rootless Docker",
            around
                .runtime_dir
                .as_ref()
                .map(|dir| dir.join("docker.sock")),
        ),
    ];
    let endpoint = |(source, path): (&str, Option<PathBuf>)| {
        let host = format!("unix://{}", path?.display());
        Some(EngineAddress {
            host,
            tls: None,
            source: source.to_owned(),
        })
    };
    known.into_iter().filter_map(endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_context(name: &str, meta: &str) -> (tempfile::TempDir, EndpointInputs) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir
            .path()
            .join("contexts/meta")
            .join(hex(Sha256::digest(name)));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("meta.json"), meta).unwrap();
        let around = EndpointInputs {
            config_dir: dir.path().to_owned(),
            home: "/home/ann".into(),
            ..Default::default()
        };
        (dir, around)
    }

    fn hosts(around: &EndpointInputs) -> Vec<String> {
        candidates(around)
            .unwrap()
            .into_iter()
            .map(|endpoint| endpoint.host)
            .collect()
    }

    const COLIMA: &str = r#"{"Name":"colima","Endpoints":{"docker":{"Host":"unix:///c.sock","SkipTLSVerify":false}}}"#;

    #[test]
    fn docker_host_is_the_only_candidate_when_set() {
        let (_dir, mut around) = with_context("colima", COLIMA);
        around.docker_host = Some("tcp://10.0.0.1:2375".to_owned());
        around.docker_context = Some("colima".to_owned());
        assert_eq!(hosts(&around), ["tcp://10.0.0.1:2375"]);
    }

    #[test]
    fn tls_is_used_where_docker_tls_verify_asks_for_it() {
        let (dir, mut around) = with_context("colima", COLIMA);
        around.docker_host = Some("tcp://10.0.0.1:2376".to_owned());
        around.tls_verify = true;
        assert_eq!(
            candidates(&around).unwrap()[0].tls.as_deref(),
            Some(dir.path())
        );
    }

    #[test]
    fn a_context_is_read_from_its_hashed_folder() {
        let (dir, mut around) = with_context("colima", COLIMA);
        around.docker_context = Some("colima".to_owned());
        assert_eq!(hosts(&around), ["unix:///c.sock"]);
        around.docker_context = None;
        std::fs::write(
            dir.path().join("config.json"),
            r#"{"auths":{},"currentContext":"colima"}"#,
        )
        .unwrap();
        assert_eq!(hosts(&around), ["unix:///c.sock"]);
    }

    #[test]
    fn a_context_that_does_not_exist_is_an_error_and_not_the_default_engine() {
        let (_dir, mut around) = with_context("colima", COLIMA);
        around.docker_context = Some("colina".to_owned());
        let error = candidates(&around).unwrap_err();
        assert_eq!(error.code, Code::DockerUnavailable);
        assert_eq!(error.message, "the Docker context `colina` names no Engine");
    }

    #[test]
    fn the_default_context_means_the_known_sockets_in_order() {
        let (_dir, mut around) = with_context("colima", COLIMA);
        around.docker_context = Some("default".to_owned());
        around.runtime_dir = Some("/run/user/1000".into());
        let hosts = hosts(&around);
        assert_eq!(hosts.first().unwrap(), "unix:///var/run/docker.sock");
        assert_eq!(hosts[1], "unix:///home/ann/.docker/run/docker.sock");
        assert_eq!(hosts.last().unwrap(), "unix:///run/user/1000/docker.sock");
    }
}
