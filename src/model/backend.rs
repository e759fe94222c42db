//! A backend: where a model answers, in which format, with which key and within which limits.

use std::time::Duration;

use hyper::Uri;

use super::key::{ApiKey, KeySource};
use crate::environment::Environment;
use crate::error::{Code, Error, Result};

/// The forms of a request and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFormat {
    /// `POST /chat/completions` of OpenAI, which vLLM, llama.cpp, LM Studio, LiteLLM and Ollama speak, too.
    OpenAi,
    /// `POST /v1/messages` of Anthropic.
    Anthropic,
    /// `POST /api/chat` of Ollama.
    Ollama,
}

/// How long a backend may take before the next one is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// For the TCP connection.
    pub connect: Duration,
    /// Until the first byte of a streamed reply. A reply that comes whole has the time of `total`.
    pub first_byte: Duration,
    /// For the whole reply.
    pub total: Duration,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(20),
            total: Duration::from_secs(90),
        }
    }
}

/// One model on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelBackend {
    /// How messages and the audit log name it: `ollama/qwen3:8b`, or a name that the user gave.
    pub name: String,
    pub format: WireFormat,
    /// Without a slash at the end; the format's path follows it.
    pub url: String,
    pub model: String,
    pub key: Option<KeySource>,
    pub limits: ModelLimits,
}

impl WireFormat {
    pub const NAMES: [&'static str; 3] = ["openai", "anthropic", "ollama"];

    /// As the user writes it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "openai" => Some(Self::OpenAi),
            "anthropic" => Some(Self::Anthropic),
            "ollama" => Some(Self::Ollama),
            _ => None,
        }
    }

    /// What follows the backend's URL.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/chat/completions",
            Self::Anthropic => "/v1/messages",
            Self::Ollama => "/api/chat",
        }
    }
}

impl ModelBackend {
    /// The address of the requests.
    ///
    /// # Errors
    /// [`Code::ModelUrl`] if it is no URL of HTTP, or one that would send a key unencrypted to another machine.
    pub fn address(&self) -> Result<Uri> {
        let text = format!("{}{}", self.url, self.format.path());
        let wrong = |why: &str| {
            let what = format!("`{}` is no address of a model: {why}", self.url);
            Err(Error::new(Code::ModelUrl, what).hint("an address is like http://127.0.0.1:11434"))
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return wrong("it is no URL");
        };
        let Some(host) = uri.host() else {
            return wrong("it names no host");
        };
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return wrong("a user or a password has no place in it");
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.key.is_none() || is_this_machine(host) => Ok(uri),
            Some("http") => wrong("the key would go unencrypted to another machine; use https"),
            _ => wrong("it begins with neither http:// nor https://"),
        }
    }

    /// The key that the requests carry, read anew for each question.
    pub(super) async fn api_key(&self, environment: &Environment) -> Result<Option<ApiKey>> {
        match &self.key {
            Some(source) => source.read(environment).await.map(Some),
            None => Ok(None),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
