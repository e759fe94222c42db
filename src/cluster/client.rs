//! devk's Kubernetes client: from one private kubeconfig file, and from nothing else.
//!
//! Invariant: neither the user's `KUBECONFIG` nor `~/.kube/config` nor a service account nor a proxy
//! variable has a say in where devk writes.

use std::path::Path;
use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::api::{Api, DeleteParams, DynamicObject, Preconditions};
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::discovery::Discovery;
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder, ServiceExt};

use super::buffered::Buffered;
use crate::error::{Code, Error, Result, chain};

/// How long a TCP connection to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first answer, TLS included, may take.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent connection is probed after this time, and given up after three unanswered probes: streams
/// have no read timeout, but a laptop that slept must not wait for a dead one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Makes ring the crypto of rustls; called again, it does nothing.
pub fn install_crypto() {
    // The error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for the current context of `kubeconfig`, whose API server has just answered.
/// Streams (watches, forwards, execs) have no read timeout.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if the file cannot be read or the API server does not answer.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    answering(config(kubeconfig).await?, &shown(kubeconfig)).await
}

/// A client for the same cluster as [`client`], as another user: the user of the kubeconfig impersonates it. The API
/// server refuses what that user may not do.
///
/// # Errors
/// As [`client`].
pub async fn client_as(kubeconfig: &Path, user: &str, groups: Vec<String>) -> Result<Client> {
    let mut config = config(kubeconfig).await?;
    config.auth_info.impersonate = Some(user.to_owned());
    config.auth_info.impersonate_groups = Some(groups).filter(|groups| !groups.is_empty());
    answering(config, &shown(kubeconfig)).await
}

/// The same for the text of a kubeconfig; `what` names it.
///
/// # Errors
/// As [`client`].
pub async fn client_of(kubeconfig: &str, what: &str) -> Result<Client> {
    let file = Kubeconfig::from_yaml(kubeconfig).map_err(|e| unreachable(what, &e))?;
    answering(config_of(file, what).await?, what).await
}

/// What kinds the API server knows.
///
/// # Errors
/// Those of the API server.
pub async fn discovery(client: &Client) -> kube::Result<Discovery> {
    match Discovery::new(client.clone()).run_aggregated().await {
        Ok(found) => Ok(found),
        // Before Kubernetes 1.26 each group has to be asked.
        Err(_) => Discovery::new(client.clone()).run().await,
    }
}

/// The objects of a kind, in a namespace or in none.
pub(crate) fn objects_of(
    client: &Client,
    namespace: Option<&str>,
    resource: &ApiResource,
) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

/// The deletion of the very object that was looked at, and of no other of its name.
pub(crate) fn deletion_of(uid: Option<String>) -> DeleteParams {
    let same = Preconditions {
        uid,
        resource_version: None,
    };
    DeleteParams::default().preconditions(same)
}

async fn answering(config: Config, what: &str) -> Result<Client> {
    let client = build(config).map_err(|e| unreachable(what, &e))?;
    match tokio::time::timeout(FIRST_ANSWER_TIMEOUT, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(e)) => Err(unreachable(what, &e)),
        Err(_) => Err(unreachable(what, &Silent)),
    }
}

/// Whether the file exists and is complete, whether or not its API server answers.
pub async fn is_whole(kubeconfig: &Path) -> bool {
    config(kubeconfig).await.is_ok()
}

/// The API server's URL.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if the file cannot be read.
pub async fn endpoint(kubeconfig: &Path) -> Result<String> {
    Ok(config(kubeconfig).await?.cluster_url.to_string())
}

/// The API server's URL in the text of a kubeconfig; [`endpoint`] does the same for a file.
///
/// # Errors
/// As there.
pub async fn endpoint_of(kubeconfig: &str, what: &str) -> Result<String> {
    let file = Kubeconfig::from_yaml(kubeconfig).map_err(|e| unreachable(what, &e))?;
    Ok(config_of(file, what).await?.cluster_url.to_string())
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let what = shown(kubeconfig);
    config_of(
        Kubeconfig::read_from(kubeconfig).map_err(|e| unreachable(&what, &e))?,
        &what,
    )
    .await
}

async fn config_of(file: Kubeconfig, what: &str) -> Result<Config> {
    if let Some(cluster) = file
        .clusters
        .iter()
        .find(|c| c.cluster.as_ref().is_some_and(|c| c.proxy_url.is_some()))
    {
        let text = format!(
            "cluster `{}` is behind a `proxy-url`, which devk does not use",
            cluster.name
        );
        return Err(Error::new(Code::ClusterUnreachable, text).evidence(what));
    }
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    config.map_err(|e| unreachable(what, &e))
}

/// By hand, since kube's own client leaves Nagle's algorithm on (40 ms a small exchange) and takes
/// `HTTPS_PROXY` even for a cluster on this machine.
pub(crate) fn build(config: Config) -> kube::Result<Client> {
    install_crypto();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL / 3));
    tcp.set_keepalive_retries(Some(3));
    let connector =
        config.rustls_https_connector_with_connector(tcp.map_response(Buffered::from))?;
    let http = HttpClient::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// The API server accepted the connection and said nothing.
#[derive(Debug)]
struct Silent;

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer within {} s", FIRST_ANSWER_TIMEOUT.as_secs())
    }
}

impl std::error::Error for Silent {}

fn shown(kubeconfig: &Path) -> String {
    format!("`{}`", kubeconfig.display())
}

fn unreachable(what: &str, cause: &dyn std::error::Error) -> Error {
    Error::new(
        Code::ClusterUnreachable,
        format!("the API server of {what} does not answer"),
    )
    .evidence(chain(cause))
    .hint("devk doctor")
}

/// A request that the API server refused for a reason that devk does not know; the error quotes the server.
pub(super) fn refused(error: &kube::Error) -> Error {
    Error::new(
        Code::ClusterUnreachable,
        "the cluster's API server refused a request",
    )
    .evidence(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(server: &str, extra: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"{server}\"{extra}}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[tokio::test]
    async fn a_refused_connection_shows_its_cause() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let file = kubeconfig(&format!("https://{closed}"), "");
        let error = client(file.path()).await.err().unwrap();
        assert_eq!(error.code, Code::ClusterUnreachable);
        assert!(
            error.evidence[0].contains("Connection refused"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_missing_file_and_a_proxied_cluster_are_refused() {
        let missing = client(Path::new("/nowhere/kubeconfig"))
            .await
            .err()
            .unwrap();
        assert_eq!(missing.code, Code::ClusterUnreachable);
        let file = kubeconfig(
            "https://127.0.0.1:1",
            ", proxy-url: \"http://proxy.example:3128\"",
        );
        let proxied = client(file.path()).await.err().unwrap();
        assert_eq!(
            proxied.message,
            "cluster `c` is behind a `proxy-url`, which devk does not use"
        );
    }
}
