//! Connecting to the Engine that the user means, within seconds, or saying what was tried.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;

use super::endpoint::{EndpointInputs, EngineAddress, candidates};
use crate::environment::Environment;
use crate::error::{Code, Error, Result};

/// How long one Engine may take to answer the first request. A healthy one needs milliseconds.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// bollard's timeout runs until the response headers and so covers whole uploads: a large build
/// context on a slow link must fit.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(6 * 3600);

/// A Docker Engine that answered.
#[derive(Debug, Clone)]
pub struct Engine {
    pub docker: Docker,
    /// In the form of DOCKER_HOST, such as `unix:///var/run/docker.sock`.
    pub host: String,
    pub(super) tls: Option<PathBuf>,
    /// The ID that the Engine reports, once it was asked.
    pub(super) id: Arc<OnceCell<String>>,
    /// How the Engine was found, and the environment for programs that talk to it.
    pub environment: Environment,
}

impl Engine {
    /// An Engine for tests.
    #[cfg(test)]
    pub(crate) fn at(docker: Docker, host: &str, environment: Environment) -> Self {
        Self {
            docker,
            host: host.to_owned(),
            tls: None,
            id: Arc::default(),
            environment,
        }
    }

    /// The variables that send a `docker` CLI, and whatever runs one (kind), to this same Engine.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let mut env = vec![("DOCKER_HOST", OsString::from(&self.host))];
        if let Some(dir) = &self.tls {
            env.extend([
                ("DOCKER_TLS_VERIFY", "1".into()),
                ("DOCKER_CERT_PATH", dir.clone().into()),
            ]);
        }
        env
    }
}

/// Connects by the docker CLI's rules: DOCKER_HOST, else DOCKER_CONTEXT or the current context,
/// else the default socket and those of Docker Desktop, Colima, OrbStack, Rancher and rootless Docker.
///
/// # Errors
/// [`Code::DockerUnavailable`] with every address that was tried and what it answered.
pub async fn connect(environment: &Environment) -> Result<Engine> {
    first_answering(&candidates(&EndpointInputs::of(environment))?, environment).await
}

async fn first_answering(endpoints: &[EngineAddress], environment: &Environment) -> Result<Engine> {
    let mut tried = Vec::new();
    for endpoint in endpoints {
        match answer_of(endpoint).await {
            Ok(docker) => {
                let EngineAddress { host, tls, .. } = endpoint.clone();
                return Ok(Engine {
                    docker,
                    host,
                    tls,
                    id: Arc::default(),
                    environment: environment.clone(),
                });
            }
            Err(why) => tried.push(format!("{} ({}): {why}", endpoint.host, endpoint.source)),
        }
    }
    let hint = hint(&tried.join("\n"));
    Err(
        Error::new(Code::DockerUnavailable, "the Docker Engine does not answer")
            .evidence(tried.join("\n"))
            .hint(hint),
    )
}

/// The connection, after one round trip on it.
async fn answer_of(endpoint: &EngineAddress) -> Result<Docker, String> {
    let docker = client(endpoint).map_err(|e| e.to_string())?;
    match tokio::time::timeout(FIRST_ANSWER_TIMEOUT, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker.with_timeout(REQUEST_TIMEOUT)),
        // bollard's own timer may end first.
        Err(_) | Ok(Err(bollard::errors::Error::RequestTimeoutError)) => Err(format!(
            "no answer within {} s",
            FIRST_ANSWER_TIMEOUT.as_secs()
        )),
        Ok(Err(error)) => Err(crate::error::chain(&error)),
    }
}

fn client(endpoint: &EngineAddress) -> Result<Docker, bollard::errors::Error> {
    let host = endpoint.host.as_str();
    let seconds = FIRST_ANSWER_TIMEOUT.as_secs();
    match &endpoint.tls {
        Some(dir) if !host.starts_with("unix://") => {
            let file = |name: &str| Path::new(dir).join(name);
            let key = file("key.pem");
            let cert = file("cert.pem");
            let ca = file("ca.pem");
            Docker::connect_with_ssl(host, &key, &cert, &ca, seconds, API_DEFAULT_VERSION)
        }
        // Not `connect_with_host`: it would turn to TLS by itself where DOCKER_TLS_VERIFY is set,
        // which the docker CLI does not do for a context.
        None if host.starts_with("tcp://") || host.starts_with("http://") => {
            Docker::connect_with_http(host, seconds, API_DEFAULT_VERSION)
        }
        _ => Docker::connect_with_host(host),
    }
}

fn hint(tried: &str) -> &'static str {
    if tried.contains("Permission denied") {
        "sudo usermod -aG docker $USER    # then log in again"
    } else if tried.contains("ssh://") {
        "devk does not speak ssh to Docker: forward the socket (ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST) \
         and export DOCKER_HOST=unix:///tmp/docker.sock"
    } else if tried.contains("(DOCKER_HOST)") {
        "unset DOCKER_HOST    # unless the Engine is to run there"
    } else if cfg!(target_os = "linux") {
        "sudo systemctl start docker    # or start Docker Desktop"
    } else {
        "start Docker Desktop, Colima or OrbStack"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: String) -> EngineAddress {
        EngineAddress {
            host,
            tls: None,
            source: "DOCKER_HOST".to_owned(),
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named_with_what_was_tried() {
        let error = first_answering(
            &[at("unix:///nowhere/docker.sock".to_owned())],
            &Environment::default(),
        )
        .await
        .unwrap_err();
        assert_eq!(error.code, Code::DockerUnavailable);
        assert_eq!(
            error.evidence,
            ["unix:///nowhere/docker.sock (DOCKER_HOST): Socket not found: /nowhere/docker.sock"]
        );
        assert!(error.hint.unwrap().starts_with("unset DOCKER_HOST"));
    }

    #[tokio::test]
    async fn an_engine_that_accepts_and_stays_silent_is_given_up_after_seconds() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", silent.local_addr().unwrap());
        let error = first_answering(&[at(host.clone())], &Environment::default())
            .await
            .unwrap_err();
        assert_eq!(
            error.evidence,
            [format!("{host} (DOCKER_HOST): no answer within 3 s")]
        );
    }

    #[tokio::test]
    async fn ssh_is_refused_with_the_way_around_it() {
        let error = first_answering(
            &[at("ssh://ann@example".to_owned())],
            &Environment::default(),
        )
        .await
        .unwrap_err();
        assert!(error.hint.unwrap().contains("ssh -NL"));
    }

    #[test]
    fn a_child_is_sent_to_the_same_engine() {
        let docker =
            Docker::connect_with_http("tcp://127.0.0.1:1", 1, API_DEFAULT_VERSION).unwrap();
        let host = "tcp://127.0.0.1:1".to_owned();
        let tls = Some("/certs".into());
        let engine = Engine {
            docker,
            host,
            tls,
            id: Arc::default(),
            environment: Environment::default(),
        };
        let env: Vec<_> = engine
            .env()
            .into_iter()
            .map(|(k, v)| format!("{k}={}", v.display()))
            .collect();
        assert_eq!(
            env,
            [
                "DOCKER_HOST=tcp://127.0.0.1:1",
                "DOCKER_TLS_VERIFY=1",
                "DOCKER_CERT_PATH=/certs"
            ]
        );
    }
}
