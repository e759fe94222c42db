//! The last lines of a container that failed.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};

use super::{MAX_LOG_LINES, PodFailure, Reason};
use crate::log_lines::LogLines;

/// The last log lines of a failing container: of the run that ended, if there was one. Empty if
/// there are none (yet) or the API server does not give them in time.
pub(in crate::release) async fn logs(client: &kube::Client, failure: &PodFailure) -> String {
    if !failure.has_logs() {
        return String::new();
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &failure.namespace);
    let ended = failure.reason != Reason::Probe && failure.restarts > 0;
    // The kubelet may be replacing the container at this moment: what was the current one is the previous one then.
    for previous in [ended, !ended, ended] {
        let tail = i64::try_from(MAX_LOG_LINES).ok();
        let params = LogParams {
            container: failure.container.clone(),
            previous,
            tail_lines: tail,
            ..LogParams::default()
        };
        let text = tokio::time::timeout(
            Duration::from_secs(5),
            read_log(&pods, &failure.pod, &params),
        )
        .await;
        if let Ok(Some(text)) = text
            && is_log(&text)
        {
            return text;
        }
    }
    String::new()
}

/// Hands every line that a container prints from its start to `keep`, until the run has ended or the API server gives
/// no more of it.
pub(in crate::release) async fn follow_log(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    mut keep: impl FnMut(String),
) {
    let params = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        ..LogParams::default()
    };
    let Ok(stream) = pods.log_stream(pod, &params).await else {
        return;
    };
    let mut lines = LogLines::new(stream);
    while let Ok(Some(line)) = lines.next().await {
        if !line.continues {
            keep(line.text);
        }
    }
}

/// A log as far as it can be read; of an overlong line the beginning.
pub(crate) async fn read_log(pods: &Api<Pod>, pod: &str, params: &LogParams) -> Option<String> {
    let mut lines = LogLines::new(pods.log_stream(pod, params).await.ok()?);
    let mut text = String::new();
    while let Ok(Some(line)) = lines.next().await {
        if !line.continues {
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    Some(text)
}

/// For a container that was removed a moment ago the kubelet's answer is no error, but an apology.
pub(crate) fn is_apology(text: &str) -> bool {
    text.starts_with("unable to retrieve container logs for ")
}

pub(in crate::release) fn is_log(text: &str) -> bool {
    !text.trim().is_empty() && !is_apology(text)
}
