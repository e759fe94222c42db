//! One exchange with one backend: a request over HTTP, its reply within the limits.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::backend::{ModelBackend, WireFormat};
use super::conversation::{Conversation, ModelReply};
use super::key::ApiKey;
use super::parts::{ModelFault, ReplyParts, told_error};
use super::stream::{BodyForm, BodyReader};
use super::{anthropic, ollama, openai};
use crate::environment::Environment;
use crate::error::chain;

/// So long a program may take to print a key: it may ask for a PIN.
const LONGEST_KEY: Duration = Duration::from_secs(60);
/// So long the body of a refusal may take.
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);
/// So much of a refusal is read.
const MOST_REFUSAL_BYTES: usize = 16 * 1024;
/// So much of a backend's own words is shown.
const MOST_SHOWN_CHARS: usize = 300;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendFailure {
    pub(super) why: String,
    /// The backend does not answer, or answers that it cannot now: the next question would wait for the same.
    pub(super) is_down: bool,
    /// How long it asks to be left alone.
    pub(super) pause: Option<Duration>,
}

impl SendFailure {
    fn down(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_down: true,
            pause: None,
        }
    }
}

impl From<ModelFault> for SendFailure {
    fn from(fault: ModelFault) -> Self {
        Self {
            why: fault.0,
            is_down: false,
            pause: None,
        }
    }
}

/// Sends a conversation and reads the reply. `said` hears each piece of its text as it comes.
pub(super) async fn send(
    backend: &ModelBackend,
    conversation: &Conversation,
    environment: &Environment,
    said: &mut (dyn FnMut(&str) + Send),
) -> Result<ModelReply, SendFailure> {
    let told = |error: crate::error::Error| ModelFault(error.to_string());
    let address = backend.address().map_err(told)?;
    let key = timeout(LONGEST_KEY, backend.api_key(environment)).await;
    let key = key
        .map_err(|_| late("no key", LONGEST_KEY))?
        .map_err(told)?;
    let exchange = exchange(backend, conversation, &address, key.as_ref(), said);
    let sent = match timeout(backend.limits.total, exchange).await {
        Ok(sent) => sent,
        Err(_) => Err(SendFailure::down(
            late("no whole reply", backend.limits.total).0,
        )),
    };
    sent.map_err(|failure| SendFailure {
        why: shown(&failure.why, key.as_ref()),
        ..failure
    })
}

async fn exchange(
    backend: &ModelBackend,
    conversation: &Conversation,
    address: &Uri,
    key: Option<&ApiKey>,
    said: &mut (dyn FnMut(&str) + Send),
) -> Result<ModelReply, SendFailure> {
    let (body, take): (Value, Take) = match backend.format {
        WireFormat::OpenAi => (openai::request(&backend.model, conversation), openai::take),
        WireFormat::Anthropic => (
            anthropic::request(&backend.model, conversation),
            anthropic::take,
        ),
        WireFormat::Ollama => (ollama::request(&backend.model, conversation), ollama::take),
    };
    let is_streamed = body["stream"] == Value::Bool(true);
    let request = request(backend.format, address, key, &body)?;
    let client = client(backend.limits.connect)?;
    let first = match is_streamed {
        true => backend.limits.first_byte,
        false => backend.limits.total,
    };
    let begins = Instant::now() + first;
    let is_late = |_| SendFailure::down(late("no answer", first).0);
    let response = timeout_at(begins, client.request(request)).await;
    let response = response.map_err(is_late)?;
    let response = response.map_err(|e| SendFailure::down(chain(&e)))?;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let mut reading = Reading::of(&response, take, said);
    let mut body = response.into_body();
    let first_document = async {
        loop {
            let goes_on = reading.frame(&mut body).await?;
            if !goes_on || reading.has_begun {
                return Ok::<_, ModelFault>(goes_on);
            }
        }
    };
    let first_document = timeout_at(begins, first_document).await;
    let mut goes_on = first_document.map_err(is_late)??;
    while goes_on {
        goes_on = reading.frame(&mut body).await?;
    }
    Ok(reading.end()?.finish(conversation)?)
}

/// Reads one document of a reply into its parts.
type Take = fn(&mut ReplyParts, &Value) -> Result<(), ModelFault>;

/// A reply while it comes.
struct Reading<'s> {
    take: Take,
    reader: BodyReader,
    parts: ReplyParts,
    /// A document has come.
    has_begun: bool,
    said: &'s mut (dyn FnMut(&str) + Send),
}

impl<'s> Reading<'s> {
    fn of(
        response: &Response<Incoming>,
        take: Take,
        said: &'s mut (dyn FnMut(&str) + Send),
    ) -> Self {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        Self {
            take,
            reader: BodyReader::new(BodyForm::of(content_type.unwrap_or_default())),
            parts: ReplyParts::default(),
            has_begun: false,
            said,
        }
    }

    /// Reads the next part of the body; false after the last one.
    async fn frame(&mut self, body: &mut Incoming) -> Result<bool, ModelFault> {
        let Some(frame) = body.frame().await else {
            return Ok(false);
        };
        let frame = frame.map_err(|e| ModelFault(format!("the reply was cut: {}", chain(&e))))?;
        if let Some(bytes) = frame.data_ref() {
            let documents = self.reader.take(bytes)?;
            self.documents(&documents)?;
        }
        if self.reader.is_done {
            self.parts.ends();
        }
        Ok(!self.reader.is_done)
    }

    fn documents(&mut self, documents: &[Value]) -> Result<(), ModelFault> {
        for document in documents {
            self.has_begun = true;
            let before = self.parts.said().len();
            if let Some(fault) = told_error(document) {
                return Err(fault);
            }
            (self.take)(&mut self.parts, document)?;
            (self.said)(&self.parts.said()[before..]);
        }
        Ok(())
    }

    /// All parts, after the last one.
    fn end(mut self) -> Result<ReplyParts, ModelFault> {
        // What follows OpenAI's last event is not waited for.
        if !self.reader.is_done {
            let rest = self.reader.end()?;
            self.documents(&rest)?;
        }
        Ok(self.parts)
    }
}

fn request(
    format: WireFormat,
    address: &Uri,
    key: Option<&ApiKey>,
    body: &Value,
) -> Result<Request<Full<Bytes>>, ModelFault> {
    let mut request = Request::post(address).header(CONTENT_TYPE, "application/json");
    if format == WireFormat::Anthropic {
        request = request.header("anthropic-version", anthropic::VERSION);
    }
    request = match (format, key) {
        (_, None) => request,
        (WireFormat::Anthropic, Some(key)) => request.header("x-api-key", key.text()),
        (_, Some(key)) => request.header(AUTHORIZATION, format!("Bearer {}", key.text())),
    };
    let body = Full::new(Bytes::from(body.to_string()));
    request.body(body).map_err(|e| ModelFault(chain(&e)))
}

/// What a connection needs of TLS: the certificates that this machine trusts, read with the first request.
fn tls() -> Result<ClientConfig, ModelFault> {
    static READ: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = READ.get() {
        return Ok(config.clone());
    }
    // What could not be read is read again: the next request may find it.
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| ModelFault(format!("TLS cannot be used: {e}")))?
        .with_native_roots()
        .map_err(|e| ModelFault(format!("no certificates of this machine: {e}")))?
        .with_no_client_auth();
    Ok(READ.get_or_init(|| config).clone())
}

/// A client that follows no redirect: a key goes to the address that the user named.
fn client(
    connect: Duration,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, ModelFault> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(connect));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls()?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(https))
}

/// What a backend says that gives no reply.
async fn refusal(response: Response<Incoming>) -> SendFailure {
    let status = response.status();
    let pause = response.headers().get(RETRY_AFTER);
    let pause = pause.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = Limited::new(response.into_body(), MOST_REFUSAL_BYTES).collect();
    let body = timeout(LONGEST_REFUSAL, body)
        .await
        .ok()
        .and_then(Result::ok);
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let told = serde_json::from_slice(&body)
        .ok()
        .and_then(|body| told_error(&body));
    let why = match told {
        Some(told) => format!("it answers {status}: {}", told.0),
        None => format!("it answers {status}"),
    };
    SendFailure {
        why,
        is_down: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        pause: pause.map(Duration::from_secs),
    }
}

fn late(what: &str, limit: Duration) -> ModelFault {
    ModelFault(format!("{what} within {:.1} s", limit.as_secs_f64()))
}

/// A backend's words in a message: one line, not at any length, without the key.
fn shown(why: &str, key: Option<&ApiKey>) -> String {
    let hidden = key.map_or_else(|| why.to_owned(), |key| key.hidden_in(why));
    let line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(MOST_SHOWN_CHARS).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_of_this_machine_are_read_once() {
        let (first, second) = (tls().unwrap(), tls().unwrap());
        // Two clones of one configuration share what it verifies with.
        assert!(Arc::ptr_eq(
            first.crypto_provider(),
            second.crypto_provider()
        ));
    }
}
