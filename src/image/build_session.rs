//! devk's side of a build's session with BuildKit: what the builder asks the one who builds for.
//!
//! The Engine turns the connection of `POST /session` around and asks devk by gRPC: for secrets, for SSH agents, for the
//! credentials of registries. The session of bollard answers the last only, so a build that may use more has this one.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bollard::auth::DockerCredentials;
use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use bollard::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures::{Stream, StreamExt};
use hyper::server::conn::http2;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use tokio_util::io::{ReaderStream, StreamReader};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::agent;
use super::secrets::BuildAccess;
use crate::docker::{Credentials, Engine};
use crate::error::Result;

/// What BuildKit may ask for (the headers of moby's `/session`): it asks for nothing else.
const METHODS: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
];

/// The header of a request with the id of the agent that it means.
const AGENT_ID: &str = "buildkit.ssh.id";

/// The id of the agent of a mount that names none.
const DEFAULT_AGENT: &str = "default";

/// How the docker CLI and devk's credentials name Docker Hub.
const HUB_LOGIN: &str = "https://index.docker.io/v1/";
const HUB: &str = "registry-1.docker.io";

/// Bytes of an agent's answers that wait for BuildKit.
const PIPE_BYTES: usize = 64 * 1024;

type Answer<T> = Result<Response<T>, Status>;

/// A session that the Engine knows, and that waits for its questions.
pub(super) struct BuildSession {
    connection: Upgraded,
    routes: Routes,
}

impl BuildSession {
    /// Opens a session under an ID that a build then names.
    ///
    /// # Errors
    /// [`Code::DockerRequest`].
    pub(super) async fn open(
        engine: &Engine,
        id: &str,
        access: Arc<BuildAccess>,
        credentials: Credentials,
    ) -> Result<Self> {
        let uuid = ("X-Docker-Expose-Session-Uuid", id.to_owned());
        let methods =
            METHODS.map(|method| ("X-Docker-Expose-Session-Grpc-Method", method.to_owned()));
        let headers: Vec<_> = [uuid].into_iter().chain(methods).collect();
        Ok(Self {
            connection: engine.upgraded("/session", "h2c", &headers).await?,
            routes: Routes::new(HealthServer::new(Alive))
                .add_service(AuthServer::new(Logins(credentials)))
                .add_service(SecretsServer::new(SecretStore(Arc::clone(&access))))
                .add_service(SshServer::new(AgentSockets(access))),
        })
    }

    /// Answers until the Engine closes the session; dropping this closes it, too. How the session ended shows in the build.
    pub(super) async fn serve(self) {
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(self.connection, TowerToHyperService::new(self.routes))
            .await;
    }
}

/// BuildKit asks every few seconds, and ends the session of one who does not answer.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        Err(not_offered())
    }

    type WatchStream = futures::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(not_offered())
    }
}

/// What is none of [`METHODS`].
fn not_offered() -> Status {
    Status::unimplemented("devk does not offer this")
}

/// The credentials with which the Engine itself asks registries for tokens.
struct Logins(Credentials);

#[tonic::async_trait]
impl Auth for Logins {
    async fn credentials(&self, asked: Request<CredentialsRequest>) -> Answer<CredentialsResponse> {
        let host = match asked.get_ref().host.as_str() {
            HUB_LOGIN => HUB,
            host => host,
        };
        Ok(Response::new(
            self.0.get(host).map(told).unwrap_or_default(),
        ))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Answer<FetchTokenResponse> {
        Err(not_offered())
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Answer<GetTokenAuthorityResponse> {
        // As the docker CLI says that the Engine itself is to ask for tokens.
        Err(Status::unavailable("client side tokens disabled"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Answer<VerifyTokenAuthorityResponse> {
        Err(not_offered())
    }
}

/// A token stands alone, a password behind its user.
fn told(login: &DockerCredentials) -> CredentialsResponse {
    let (username, secret) = match &login.identitytoken {
        Some(token) => (None, Some(token)),
        None => (login.username.clone(), login.password.as_ref()),
    };
    CredentialsResponse {
        username: username.unwrap_or_default(),
        secret: secret.cloned().unwrap_or_default(),
    }
}

struct SecretStore(Arc<BuildAccess>);

#[tonic::async_trait]
impl Secrets for SecretStore {
    async fn get_secret(&self, asked: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        let id = &asked.get_ref().id;
        match self.0.secrets.get(id) {
            Some(secret) => Ok(Response::new(GetSecretResponse {
                data: secret.clone(),
            })),
            // A mount without `required=true` is then left out.
            None => Err(Status::not_found(id.as_str())),
        }
    }
}

struct AgentSockets(Arc<BuildAccess>);

impl AgentSockets {
    fn socket(&self, id: &str) -> Result<PathBuf, Status> {
        let id = if id.is_empty() { DEFAULT_AGENT } else { id };
        let socket = self.0.agents.get(id).cloned();
        socket.ok_or_else(|| Status::not_found(format!("unset ssh forward key {id}")))
    }
}

#[tonic::async_trait]
impl Ssh for AgentSockets {
    async fn check_agent(&self, asked: Request<CheckAgentRequest>) -> Answer<CheckAgentResponse> {
        self.socket(&asked.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn forward_agent(
        &self,
        asked: Request<Streaming<BytesMessage>>,
    ) -> Answer<Self::ForwardAgentStream> {
        let id = asked.metadata().get(AGENT_ID);
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let socket = self.socket(id)?;
        let requests = asked.into_inner().map(|part| {
            part.map(|part| io::Cursor::new(part.data))
                .map_err(io::Error::other)
        });
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let conversation = async move {
            let requests = StreamReader::new(requests);
            let talked = agent::answer(&socket, requests, ours).await;
            talked
                .err()
                .map(|e| Err(Status::unavailable(e.to_string())))
        };
        let answers = ReaderStream::new(theirs).map(|part| {
            let data = part
                .map_err(|e| Status::unavailable(e.to_string()))?
                .to_vec();
            Ok(BytesMessage { data })
        });
        let conversation = futures::stream::once(conversation).filter_map(std::future::ready);
        let both = futures::stream::select(answers, conversation);
        Ok(Response::new(Box::pin(both)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn registries_get_what_docker_login_kept_for_them_and_others_nothing() {
        let login = DockerCredentials {
            username: Some("ann".to_owned()),
            password: Some("pass".to_owned()),
            ..Default::default()
        };
        let token = DockerCredentials {
            username: Some("unused".to_owned()),
            identitytoken: Some("token".to_owned()),
            ..Default::default()
        };
        let logins = Logins([(HUB.to_owned(), login), ("r.example".to_owned(), token)].into());
        let asked = async |host: &str| {
            let host = host.to_owned();
            let answer = logins.credentials(Request::new(CredentialsRequest { host }));
            let answer = answer.await.unwrap().into_inner();
            (answer.username, answer.secret)
        };
        let pair = |user: &str, secret: &str| (user.to_owned(), secret.to_owned());
        assert_eq!(asked(HUB_LOGIN).await, pair("ann", "pass"));
        assert_eq!(asked(HUB).await, pair("ann", "pass"));
        assert_eq!(asked("r.example").await, pair("", "token"));
        assert_eq!(asked("other.example").await, pair("", ""));
    }

    #[tokio::test]
    async fn what_nobody_gave_is_not_found() {
        let access = Arc::new(BuildAccess {
            secrets: [("npmrc".to_owned(), b"s".to_vec())].into(),
            agents: [("default".to_owned(), "/a".into())].into(),
        });
        let secrets = SecretStore(Arc::clone(&access));
        let asked = async |id: &str| {
            let id = id.to_owned();
            let request = GetSecretRequest {
                id,
                ..Default::default()
            };
            secrets.get_secret(Request::new(request)).await
        };
        assert_eq!(asked("npmrc").await.unwrap().into_inner().data, b"s");
        let code = asked("netrc").await.unwrap_err().code();
        assert_eq!(code, tonic::Code::NotFound);
        let agents = AgentSockets(access);
        assert!(agents.socket("").is_ok() && agents.socket("default").is_ok());
        assert_eq!(
            agents.socket("x").unwrap_err().code(),
            tonic::Code::NotFound
        );
    }
}
