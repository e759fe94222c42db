//! What a container has printed since a save.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::time::timeout;

use crate::log_lines::{LogLines, timed};
use crate::session::view::SessionView;

const MAX_LINES: usize = 40;
/// How long the API server may take to give them.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// The last lines of a container since a moment, those of its run before this one included. Empty if the API server does
/// not give them.
pub(super) async fn since(
    view: &SessionView,
    namespace: &str,
    (pod, container): (&str, &str),
    moment: Instant,
) -> Vec<String> {
    let Some(client) = view.clients.borrow().clone() else {
        return vec![];
    };
    let pods = Api::namespaced(client, namespace);
    let moment = Timestamp::now() - moment.elapsed();
    let mut lines = vec![];
    for previous in [true, false] {
        let read = read(&pods, pod, container, previous, moment);
        lines.extend(timeout(LOG_TIMEOUT, read).await.unwrap_or_default());
    }
    lines.split_off(lines.len().saturating_sub(MAX_LINES))
}

async fn read(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    previous: bool,
    moment: Timestamp,
) -> Vec<String> {
    let params = LogParams {
        container: Some(container.to_owned()),
        previous,
        timestamps: true,
        tail_lines: i64::try_from(MAX_LINES).ok(),
        ..LogParams::default()
    };
    // A container that never ran before has no previous log.
    let Ok(stream) = pods.log_stream(pod, &params).await else {
        return vec![];
    };
    let mut lines = LogLines::new(stream);
    let mut kept = vec![];
    while let Ok(Some(line)) = lines.next().await {
        let since = timed(&line.text).filter(|(time, _)| *time >= moment);
        kept.extend(since.map(|(_, text)| text.to_owned()));
    }
    kept
}
