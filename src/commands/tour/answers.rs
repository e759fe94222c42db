//! What the demo answers behind its forwards: the tour believes nothing else.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::stage::TourNote;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks by HTTP, with a connection for each question: the pod behind a forward may be another one by then.
#[derive(Debug)]
pub(super) struct DemoAnswers(Client<HttpConnector, Empty<Bytes>>);

impl DemoAnswers {
    pub(super) fn new() -> Self {
        let mut client = Client::builder(TokioExecutor::new());
        Self(client.pool_max_idle_per_host(0).build_http())
    }

    /// The body of a 200; None if there is no such answer.
    pub(super) async fn get(&self, url: &str) -> Option<String> {
        let uri = url.parse().ok()?;
        let body = async {
            let answer = self.0.get(uri).await.ok()?;
            let is_ok = answer.status().is_success();
            let body = answer.into_body().collect().await.ok()?.to_bytes();
            is_ok.then(|| String::from_utf8_lossy(&body).into_owned())
        };
        timeout(ANSWER_TIMEOUT, body).await.ok().flatten()
    }

    /// The notes, the newest first; None if the API does not answer with notes.
    pub(super) async fn notes(&self, api: &str) -> Option<Vec<TourNote>> {
        serde_json::from_str(&self.get(&format!("{api}/notes")).await?).ok()
    }
}
