//! Container logs through the API server: every container of every selected pod, those included that
//! come later, each line behind the names of its pod and container.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;
use kube::api::{Api, LogParams};
use tokio::task::JoinSet;

use crate::error::{Error, Result, internal};
use crate::log_lines::{LogLines, timed};
use crate::release::project_pods::{PodSelector, ProjectPods};
use crate::ui::{self, Format};

/// Pause before the pods, or a log that was cut off, are looked at again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// How often a log is asked for that the API server does not give, where nobody follows.
const MAX_READ_RETRIES: u32 = 4;

/// How lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    Prefixed,
    Json,
}

impl Printed {
    pub fn of(format: Format) -> Self {
        if format == Format::Json {
            Self::Json
        } else {
            Self::Prefixed
        }
    }

    fn print(self, pod: &str, container: &str, line: &str) -> Result<()> {
        match self {
            Self::Prefixed => ui::out(&format!("{pod}/{container} | {line}\n")),
            Self::Json => ui::json(
                &serde_json::json!({"version": 1, "pod": pod, "container": container, "line": line}),
            ),
        }
    }
}

/// Whose logs, and how many lines of their past.
#[derive(Clone)]
pub struct Tail {
    pub client: kube::Client,
    /// The id of the project.
    pub project: String,
    /// None for all pods of the project.
    pub selector: Option<PodSelector>,
    /// None for all containers of these pods.
    pub container: Option<String>,
    /// So many lines of the past, for each container.
    pub lines: i64,
    /// Nothing that is older.
    pub since: Option<Duration>,
    /// The run before the last restart of each container, instead of the run that is on.
    pub previous: bool,
    /// Only these containers, and nothing that is older than the moment.
    pub edits: Option<EditTimes>,
    pub printed: Printed,
}

/// By pod and container, when it got the files that it has; None for one that has only those of its image.
pub type EditTimes = BTreeMap<(String, String), Option<Timestamp>>;

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("project", &self.project)
            .field("selector", &self.selector)
            .finish_non_exhaustive()
    }
}

/// Why a log was not shown to its end.
enum Ended {
    Unread,
    Unprinted(Error),
}

/// One run of one container; a restart is another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContainerRun {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    restarts: i32,
}

impl ContainerRun {
    fn key(&self) -> (String, String) {
        (self.pod.clone(), self.container.clone())
    }
}

impl Tail {
    /// Prints the logs; with `follow` it goes on until it is dropped.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`] if the pods cannot be listed; as [`ui::out`]. A log that cannot be read (its
    /// container has not started) is none.
    pub async fn show(&self, follow: bool) -> Result<()> {
        let mut streams = JoinSet::new();
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let mut first = true;
        let mut of_project = ProjectPods::of(&self.client, &self.project).await?;
        loop {
            match self.pods(&mut of_project).await {
                Ok(pods) => self
                    .runs(&pods)
                    .for_each(|run| self.start(run, follow, first, &seen, &mut streams)),
                Err(error) if first || !follow => return Err(error),
                Err(_) => {}
            }
            first = false;
            if !follow {
                while let Some(ended) = streams.join_next().await {
                    ended.map_err(|e| internal(&e))??;
                }
                return Ok(());
            }
            while let Some(ended) = streams.try_join_next() {
                ended.map_err(|e| internal(&e))??;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    fn start(
        &self,
        run: ContainerRun,
        follow: bool,
        first: bool,
        seen: &Arc<Mutex<HashSet<ContainerRun>>>,
        streams: &mut JoinSet<Result<()>>,
    ) {
        let is_new = seen.lock().is_ok_and(|mut seen| seen.insert(run.clone()));
        if is_new {
            // What starts while we watch is shown from its first line.
            let lines = first.then_some(self.lines);
            let tail = self.clone();
            let seen = seen.clone();
            streams.spawn(async move {
                let mut again = if follow { 0 } else { MAX_READ_RETRIES };
                loop {
                    match tail.stream(&run, follow, lines).await {
                        // The way to the kubelet may be missing for a moment, and nobody looks again.
                        Err(Ended::Unread) if again > 0 => again -= 1,
                        // Not started yet, or its node is away: another look will find it.
                        Err(Ended::Unread) => {
                            let _ = seen.lock().map(|mut seen| seen.remove(&run));
                            return Ok(());
                        }
                        Err(Ended::Unprinted(error)) => return Err(error),
                        Ok(()) => return Ok(()),
                    }
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            });
        }
    }

    fn runs<'a>(&'a self, pods: &'a [Pod]) -> impl Iterator<Item = ContainerRun> + 'a {
        let runs = pods
            .iter()
            .flat_map(|pod| container_runs(pod, self.previous));
        let wanted = |run: &ContainerRun| {
            let container = self.container.as_ref();
            let edits = self.edits.as_ref();
            container.is_none_or(|container| *container == run.container)
                && edits.is_none_or(|edits| edits.contains_key(&run.key()))
        };
        runs.filter(wanted)
    }

    async fn pods(&self, of_project: &mut ProjectPods) -> Result<Vec<Pod>> {
        of_project.look(&self.client).await?;
        of_project.list(&self.client, self.selector.as_ref()).await
    }

    /// Prints one run's lines. A stream that is cut off (an API server that restarts, hours of silence, a
    /// laptop that slept) is taken up again where it ended.
    async fn stream(
        &self,
        run: &ContainerRun,
        follow: bool,
        tail_lines: Option<i64>,
    ) -> Result<(), Ended> {
        let ContainerRun {
            namespace,
            pod,
            container,
            ..
        } = run;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let edits = self.edits.as_ref();
        let edit = edits.and_then(|edits| edits.get(&run.key()).copied().flatten());
        let mut params = LogParams {
            container: Some(container.clone()),
            follow,
            tail_lines,
            timestamps: edit.is_some(),
            since_seconds: self.since.map(|since| since.as_secs().cast_signed()),
            previous: self.previous,
            ..LogParams::default()
        };
        let mut lines = LogLines::new(
            api.log_stream(pod, &params)
                .await
                .map_err(|_| Ended::Unread)?,
        );
        loop {
            let mut last = Timestamp::now();
            while let Ok(Some(line)) = lines.next().await {
                let text = match edit.filter(|_| !line.continues) {
                    Some(edit) => written_since(&line.text, edit),
                    None => Some(line.text.as_str()),
                };
                let printed = text.map_or(Ok(()), |text| self.printed.print(pod, container, text));
                printed.map_err(Ended::Unprinted)?;
                last = Timestamp::now();
            }
            (params.since_time, params.since_seconds, params.tail_lines) = (Some(last), None, None);
            lines = loop {
                // Without an answer it may well run on.
                let runs = follow
                    && api
                        .get_opt(pod)
                        .await
                        .map_or(true, |pod| pod.is_some_and(|p| runs_on(&p, run)));
                if !runs {
                    return Ok(());
                }
                tokio::time::sleep(RETRY_DELAY).await;
                if let Ok(stream) = api.log_stream(pod, &params).await {
                    break LogLines::new(stream);
                }
            };
        }
    }
}

/// A line without the time before it; None if it is older than a moment.
fn written_since(line: &str, moment: Timestamp) -> Option<&str> {
    match timed(line) {
        Some((time, text)) => (time >= moment).then_some(text),
        None => Some(line),
    }
}

/// This very run of the container has not ended.
fn runs_on(pod: &Pod, run: &ContainerRun) -> bool {
    let status = pod.status.iter();
    let mut all = status.flat_map(|s| {
        s.init_container_statuses
            .iter()
            .chain(&s.container_statuses)
            .flatten()
    });
    let same = |c: &ContainerStatus| c.name == run.container && c.restart_count == run.restarts;
    all.any(|c| {
        same(c)
            && c.state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
    })
}

/// The containers of a pod that have started, or with `previous` those that were restarted.
pub(crate) fn container_runs(pod: &Pod, previous: bool) -> Vec<ContainerRun> {
    let Some((name, status)) = pod.metadata.name.as_ref().zip(pod.status.as_ref()) else {
        return vec![];
    };
    let all = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    let has_log = |state: &Option<ContainerState>| {
        let state = state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let started = all.filter(|c| match previous {
        true => has_log(&c.last_state),
        false => has_log(&c.state),
    });
    started
        .map(|c| ContainerRun {
            namespace: pod.namespace().unwrap_or_default(),
            pod: name.clone(),
            container: c.name.clone(),
            restarts: c.restart_count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_container_is_another_run_and_a_waiting_one_is_none() {
        let pod = |restarts: i32, state: serde_json::Value| -> Pod {
            let container = serde_json::json!({"name": "c", "image": "", "imageID": "", "ready": true,
                "restartCount": restarts, "state": state});
            let pod = serde_json::json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}});
            serde_json::from_value(pod).unwrap()
        };
        let running = serde_json::json!({"running": {}});
        let first = ContainerRun {
            namespace: String::new(),
            pod: "p".into(),
            container: "c".into(),
            restarts: 0,
        };
        let started = |pod: &Pod| container_runs(pod, false);
        assert_eq!(
            started(&pod(0, running.clone())),
            std::slice::from_ref(&first)
        );
        assert_ne!(
            started(&pod(0, running.clone())),
            started(&pod(1, running.clone()))
        );
        assert_eq!(started(&pod(0, serde_json::json!({"waiting": {}}))), []);
        assert!(runs_on(&pod(0, running.clone()), &first));
        assert!(!runs_on(&pod(1, running), &first), "restarted");
        assert!(!runs_on(
            &pod(0, serde_json::json!({"terminated": {"exitCode": 0}})),
            &first
        ));
    }

    #[test]
    fn what_is_older_than_an_edit_is_left_out_to_the_nanosecond() {
        let edit = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let line = |time: &str| format!("{time} a b");
        assert_eq!(
            written_since(&line("2026-01-01T00:00:00.499999999Z"), edit),
            None
        );
        assert_eq!(
            written_since(&line("2026-01-01T00:00:00.5Z"), edit),
            Some("a b")
        );
        assert_eq!(written_since("2026-01-01T00:00:01Z", edit), Some(""));
    }

    #[test]
    fn only_a_container_that_was_restarted_has_a_previous_run() {
        let pod = |last: serde_json::Value| -> Pod {
            let container = serde_json::json!({"name": "c", "image": "", "imageID": "", "ready": true,
                "restartCount": 1, "state": {"running": {}}, "lastState": last});
            let pod = serde_json::json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}});
            serde_json::from_value(pod).unwrap()
        };
        let ended = serde_json::json!({"terminated": {"exitCode": 1}});
        assert_eq!(container_runs(&pod(ended), true).len(), 1);
        assert_eq!(container_runs(&pod(serde_json::json!({})), true), []);
    }
}
