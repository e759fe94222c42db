//! A request to the Engine that turns its connection into one of another protocol. bollard upgrades connections only for
//! requests of its own.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tower::{Service, ServiceExt};

use super::Engine;
use crate::error::{Code, Error, Result, chain};

/// More of a refusal is not read.
const MAX_REFUSAL_BYTES: usize = 4096;

/// The name of the Engine where its address is a socket.
const NO_HOST: &str = "docker";

/// A connection as hyper takes it.
trait Wire: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Wire for T {}

impl Engine {
    /// Asks for `path` by POST and gives the connection away once the Engine has changed to `protocol`.
    ///
    /// # Errors
    /// [`Code::DockerRequest`] if the Engine cannot be reached or does not change.
    pub async fn upgraded(
        &self,
        path: &str,
        protocol: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Upgraded> {
        let failed = |why: String| {
            Error::new(
                Code::DockerRequest,
                format!("the Engine at {} opens no {path}: {why}", self.host),
            )
            .hint("docker version")
        };
        let (host, wire) = self.dial().await.map_err(&failed)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(wire)
            .await
            .map_err(|e| failed(chain(&e)))?;
        // It ends with what uses the connection, or with the runtime.
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::post(path)
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, protocol);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|e| failed(e.to_string()))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| failed(chain(&e)))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REFUSAL_BYTES)
                .collect()
                .await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let said = String::from_utf8_lossy(&body);
            return Err(failed(format!("{status} {}", said.trim())));
        }
        hyper::upgrade::on(response)
            .await
            .map_err(|e| failed(chain(&e)))
    }

    /// A connection of its own to the Engine, and the Engine's name on it.
    async fn dial(&self) -> Result<(String, Box<dyn Wire>), String> {
        let text = |e: &dyn std::error::Error| chain(e);
        if let Some(path) = self.host.strip_prefix("unix://") {
            let socket = UnixStream::connect(path).await.map_err(|e| text(&e))?;
            return Ok((NO_HOST.to_owned(), Box::new(TokioIo::new(socket))));
        }
        let (_, host) = self
            .host
            .split_once("://")
            .ok_or_else(|| format!("`{}` is no address", self.host))?;
        let host = host.trim_end_matches('/');
        let Some(folder) = &self.tls else {
            let tcp = TcpStream::connect(host).await.map_err(|e| text(&e))?;
            tcp.set_nodelay(true).map_err(|e| text(&e))?;
            return Ok((host.to_owned(), Box::new(TokioIo::new(tcp))));
        };
        let uri: Uri = format!("https://{host}").parse().map_err(|e| text(&e))?;
        let mut connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(folder)?)
            .https_only()
            .enable_http1()
            .build();
        let ready = ServiceExt::<Uri>::ready(&mut connector)
            .await
            .map_err(|e| e.to_string())?;
        let wire = ready.call(uri).await.map_err(|e| e.to_string())?;
        Ok((host.to_owned(), Box::new(wire)))
    }
}

/// The certificates that the docker CLI uses for the Engine.
fn tls(folder: &Path) -> Result<ClientConfig, String> {
    let file = |name: &str| folder.join(name);
    let named = |name: &str, cause: &dyn std::error::Error| {
        format!("`{}`: {}", file(name).display(), chain(cause))
    };
    let certificates = |name: &str| {
        CertificateDer::pem_file_iter(file(name))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| named(name, &e))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates("ca.pem")? {
        roots.add(root).map_err(|e| named("ca.pem", &e))?;
    }
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).map_err(|e| named("key.pem", &e))?;
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|e| named("cert.pem", &e))
}
