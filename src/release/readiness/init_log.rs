//! What init containers print while they run: one that waits for something says what it waits for.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, LogParams};
use tokio::time::{Instant, timeout};

use super::hint::InitWait;
use super::snapshot::Assessment;
use crate::release::crash::{is_log, read_log};

/// Between two looks at the logs.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The API server gives the end of a log within this time, or the next look asks again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Lines that are kept of a log.
const MAX_LINES: i64 = 10;
/// Of a longer line this many characters are shown.
const MAX_CHARS: usize = 200;

/// The last lines of the init containers that run, by pod and container.
#[derive(Debug, Default)]
pub(super) struct InitLogs {
    texts: HashMap<(String, String), String>,
    looked: Option<Instant>,
}

impl InitLogs {
    /// Reads them anew, unless that was done a moment ago.
    pub(super) async fn look(&mut self, client: &Client, assessments: &[Assessment<'_>]) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        let waiting = assessments.iter().filter(|a| !a.is_ready());
        let running =
            waiting.filter_map(|a| Some((&a.workload.namespace, InitWait::of(&a.pods, &[])?)));
        let reads = running.map(|(namespace, init)| async move {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let params = LogParams {
                container: Some(init.container.clone()),
                tail_lines: Some(MAX_LINES),
                ..LogParams::default()
            };
            let read = timeout(ANSWER_TIMEOUT, read_log(&pods, &init.pod, &params)).await;
            let text = read.ok()??;
            is_log(&text).then_some(((init.pod, init.container), text))
        });
        let read = futures::future::join_all(reads).await;
        self.texts.extend(read.into_iter().flatten());
    }

    /// The last lines, each with the mark of a log.
    pub(super) fn lines(&self, init: &InitWait) -> Vec<String> {
        let lines = self
            .text(init)
            .lines()
            .filter(|line| !line.trim().is_empty());
        lines.map(|line| format!("| {}", shown(line))).collect()
    }

    /// The last line that says something.
    pub(super) fn last_line(&self, init: &InitWait) -> Option<String> {
        let mut lines = self.text(init).lines().rev();
        lines.find(|line| !line.trim().is_empty()).map(shown)
    }

    fn text(&self, init: &InitWait) -> &str {
        let key = (init.pod.clone(), init.container.clone());
        self.texts.get(&key).map_or("", String::as_str)
    }
}

fn shown(line: &str) -> String {
    line.trim_end().chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_init_container_said_last_is_told() {
        let init = InitWait {
            pod: "api-1".into(),
            container: "wait".into(),
            awaited: None,
        };
        let mut logs = InitLogs::default();
        assert_eq!((logs.last_line(&init), logs.lines(&init).len()), (None, 0));
        let key = ("api-1".to_owned(), "wait".to_owned());
        logs.texts.insert(
            key,
            format!("one\n\ndb:5432 - no response{}\n \n", "!".repeat(300)),
        );
        let last = logs.last_line(&init).unwrap();
        assert!(last.starts_with("db:5432 - no response!") && last.chars().count() == MAX_CHARS);
        assert_eq!(logs.lines(&init)[0], "| one");
    }
}
