//! The folder of what shows why a run failed: the output of each test, the steps of `up`, the state of the stack, the
//! logs of its containers, the events of its namespaces. Every text in it is masked.
//!
//! The folder may have been there before: what an earlier run left in it goes, what devk does not write stays.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use futures::io::AsyncBufRead;
use k8s_openapi::api::core::v1::{Event as ClusterEvent, Pod};
use kube::Client;
use kube::api::{Api, ListParams, LogParams};

use super::last_lines::LastLines;
use crate::error::Result;
use crate::log_lines::LogLines;
use crate::logs::{ContainerRun, container_runs};
use crate::paths::{refused, remove_dir, remove_file, write_atomic};
use crate::release::project_pods::ProjectPods;
use crate::ui::event::Event;
use crate::ui::plain;

/// The subfolders and files that devk writes.
const TESTS: &str = "tests";
const LOGS: &str = "logs";
const UP: &str = "up.log";
const STATUS: &str = "status.json";
const EVENTS: &str = "events.txt";
/// The mode of what is written; it may hold what programs print.
const MODE: u32 = 0o600;
/// Of a container's log so much of the end is kept.
const MAX_LOG_LINES: i64 = 5000;
const MAX_LOG_BYTES: usize = 4 << 20;

/// The folder of one run.
#[derive(Debug)]
pub struct Artifacts<M> {
    folder: PathBuf,
    mask: M,
}

impl<M: Fn(&str) -> String> Artifacts<M> {
    /// The folder without what an earlier run has left there.
    ///
    /// # Errors
    /// [`Code::StateIo`](crate::error::Code::StateIo).
    pub fn begin(folder: PathBuf, mask: M) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|e| refused("make", &folder, &e))?;
        for below in [TESTS, LOGS] {
            remove_dir(&folder.join(below))?;
        }
        for file in [UP, STATUS, EVENTS] {
            remove_file(&folder.join(file))?;
        }
        Ok(Self { folder, mask })
    }

    /// The output of a test.
    ///
    /// # Errors
    /// [`Code::StateIo`](crate::error::Code::StateIo), as all below.
    pub fn test(&self, name: &str, output: &str) -> Result<()> {
        self.write(&Path::new(TESTS).join(format!("{name}.log")), output)
    }

    /// The steps of `up`.
    pub fn steps(&self, events: &[Event]) -> Result<()> {
        let lines: String = events.iter().map(plain::lines).collect();
        self.write(Path::new(UP), &lines)
    }

    /// The document of `devk status`.
    pub fn status(&self, document: &str) -> Result<()> {
        self.write(Path::new(STATUS), document)
    }

    /// What the cluster tells of the project: logs and events. What it does not tell stands in the file instead.
    pub async fn cluster(&self, client: &Client, project: &str) -> Result<()> {
        let of_project = match ProjectPods::of(client, project).await {
            Ok(of_project) => of_project,
            Err(error) => return self.write(Path::new(EVENTS), &format!("{error}\n")),
        };
        let namespaces = of_project.namespaces().into_iter();
        let events = join_all(namespaces.map(|namespace| events(client, namespace))).await;
        self.write(Path::new(EVENTS), &events.concat())?;
        let pods = match of_project.list(client, None).await {
            Ok(pods) => pods,
            Err(error) => {
                let file = Path::new(LOGS).join("error.txt");
                return self.write(&file, &format!("{error}\n"));
            }
        };
        let logs = runs(&pods).into_iter();
        let logs = join_all(logs.map(|(run, previous)| log(client, run, previous))).await;
        logs.into_iter()
            .try_for_each(|(file, text)| self.write(&file, &text))
    }

    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let path = self.folder.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| refused("make", folder, &e))?;
        }
        write_atomic(&path, (self.mask)(text).as_bytes(), MODE)
    }
}

/// The end of the log of one run of a container.
async fn log(client: &Client, run: ContainerRun, previous: bool) -> (PathBuf, String) {
    let ContainerRun {
        namespace,
        pod,
        container,
        ..
    } = run;
    let when = if previous { ".previous" } else { "" };
    let file = Path::new(LOGS)
        .join(&namespace)
        .join(format!("{pod}.{container}{when}.log"));
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let params = LogParams {
        container: Some(container),
        previous,
        tail_lines: Some(MAX_LOG_LINES),
        timestamps: true,
        ..LogParams::default()
    };
    let text = match api.log_stream(&pod, &params).await {
        Ok(stream) => end_of(LogLines::new(stream)).await,
        Err(e) => format!("the API server does not give this log: {e}\n"),
    };
    (file, text)
}

async fn end_of<R: AsyncBufRead + Unpin>(mut lines: LogLines<R>) -> String {
    let mut tail = LastLines::new(MAX_LOG_BYTES);
    loop {
        match lines.next().await {
            Ok(Some(line)) => tail.push(&line.text),
            Ok(None) => return tail.text(),
            Err(e) => {
                tail.push(&format!("the API server gave no more of this log: {e}"));
                return tail.text();
            }
        }
    }
}

/// The runs of containers that have a log: the current ones, and those before their last restarts.
fn runs(pods: &[Pod]) -> Vec<(ContainerRun, bool)> {
    let each = pods.iter().flat_map(|pod| {
        let of = move |previous| container_runs(pod, previous).into_iter();
        let current = of(false).map(|run| (run, false));
        current.chain(of(true).map(|run| (run, true)))
    });
    each.collect()
}

async fn events(client: &Client, namespace: &str) -> String {
    let api: Api<ClusterEvent> = Api::namespaced(client.clone(), namespace);
    match api.list(&ListParams::default()).await {
        Ok(events) => lines(events.items, namespace),
        Err(e) => format!("the API server does not give the events of `{namespace}`: {e}\n"),
    }
}

/// The oldest first.
fn lines(mut events: Vec<ClusterEvent>, namespace: &str) -> String {
    let time = |event: &ClusterEvent| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    events.sort_by_key(time);
    let line = |event: &ClusterEvent| {
        let object = &event.involved_object;
        format!(
            "{} {namespace} {}/{} {} {} (×{}): {}\n",
            time(event).map(|time| time.to_string()).unwrap_or_default(),
            object.kind.as_deref().unwrap_or_default(),
            object.name.as_deref().unwrap_or_default(),
            event.type_.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.count.unwrap_or(1),
            event.message.as_deref().unwrap_or_default().trim_end(),
        )
    };
    events.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_removes_what_an_earlier_one_left_and_nothing_else_and_masks_what_it_writes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        let mask = |text: &str| text.replace("hunter22", "[masked]");
        let first = Artifacts::begin(folder.clone(), mask).unwrap();
        first.test("e2e", "token hunter22\n").unwrap();
        first.status("{}").unwrap();
        let log = folder.join("tests/e2e.log");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "token [masked]\n");
        std::fs::write(folder.join("mine.txt"), "mine").unwrap();
        Artifacts::begin(folder.clone(), mask).unwrap();
        let left = std::fs::read_dir(&folder).unwrap().flatten();
        let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }

    #[test]
    fn a_container_that_was_restarted_has_two_runs() {
        let pod = json!({"metadata": {"name": "api-1", "namespace": "shop"},
            "status": {
                "initContainerStatuses": [{"name": "migrate", "restartCount": 0, "ready": true,
                    "image": "", "imageID": "", "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"name": "api", "restartCount": 2, "ready": false, "image": "", "imageID": "",
                    "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let runs: Vec<_> = runs(&[pod])
            .into_iter()
            .map(|(run, previous)| (run.container, previous))
            .collect();
        let run = |name: &str, previous| (name.to_owned(), previous);
        assert_eq!(
            runs,
            [run("migrate", false), run("api", false), run("api", true)]
        );
    }

    #[test]
    fn events_are_one_line_each_the_oldest_first() {
        let event = |time: &str, message: &str| -> ClusterEvent {
            let event = json!({"metadata": {}, "involvedObject": {"kind": "Pod", "name": "api-1"},
                "type": "Warning", "reason": "BackOff", "message": message, "lastTimestamp": time});
            serde_json::from_value(event).unwrap()
        };
        let text = lines(
            vec![
                event("2026-01-01T00:00:09Z", "second"),
                event("2026-01-01T00:00:01Z", "first\n"),
            ],
            "shop",
        );
        assert_eq!(
            text,
            "2026-01-01T00:00:01Z shop Pod/api-1 Warning BackOff (×1): first\n\
             2026-01-01T00:00:09Z shop Pod/api-1 Warning BackOff (×1): second\n"
        );
    }
}
