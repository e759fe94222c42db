//! Why a pod does not run: a pure function of the pod, its events and its logs.

mod claims;
mod log;

use std::borrow::Borrow;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod, PodStatus,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::cluster::node_end::ended_with_its_node;

pub(super) use log::{follow_log, is_log, logs};
pub(crate) use log::{is_apology, read_log};

/// So many log lines are shown.
const MAX_LOG_LINES: usize = 10;
/// A longer log line is cut: some programs log whole requests.
const MAX_LINE_LENGTH: usize = 400;
/// Probes may fail this often while a program starts.
const MIN_PROBE_FAILURES: i32 = 3;

/// The kinds of failure. Different kinds of one container are explained one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It ended, and Kubernetes starts it again or not.
    Crash,
    /// It ended so often that Kubernetes waits longer and longer.
    CrashLoop,
    OutOfMemory,
    ImagePull,
    InvalidImage,
    /// A ConfigMap, Secret, command or mount that the container needs is not there.
    Config,
    Volume,
    /// A claim that has no volume, and why.
    Claim,
    /// A claim that has no volume yet.
    Unbound,
    Network,
    Unschedulable,
    Probe,
    Evicted,
    /// The workload may not make a pod.
    NoPod,
}

/// What is wrong with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFailure {
    /// For [`Reason::NoPod`] the workload.
    pub pod: String,
    pub namespace: String,
    /// None if the whole pod is concerned.
    pub container: Option<String>,
    pub reason: Reason,
    /// Kubernetes' own words, if it has any.
    pub detail: String,
    pub exit_code: Option<i32>,
    pub restarts: i32,
    pub image: String,
    /// When an event last said so; None if the state of the pod does.
    pub at: Option<Timestamp>,
}

/// A failure with what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub summary: String,
    /// Log lines and events.
    pub lines: Vec<String>,
}

impl Report {
    /// Summary and lines, the latter indented.
    pub fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("\n  {line}"));
        std::iter::once(self.summary.clone()).chain(lines).collect()
    }
}

impl PodFailure {
    /// One line: what happened to whom.
    pub fn summary(&self) -> String {
        let who = match &self.container {
            Some(container) => format!("container `{container}` of pod `{}`", self.pod),
            None => format!("pod `{}`", self.pod),
        };
        let detail = if self.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", self.detail)
        };
        let exit = self
            .exit_code
            .map(|code| format!(" with exit code {code}"))
            .unwrap_or_default();
        match self.reason {
            Reason::Crash => format!("{who} ended{exit}{}{detail}", restarts(self.restarts)),
            Reason::CrashLoop => format!("{who} keeps crashing{exit}{}", restarts(self.restarts)),
            Reason::OutOfMemory => {
                format!("{who} was killed: out of memory{}", restarts(self.restarts))
            }
            Reason::ImagePull => format!("{who} has no image `{}`{detail}", self.image),
            Reason::InvalidImage => format!("{who} has an invalid image name `{}`", self.image),
            Reason::Config => format!("{who} cannot be created{detail}"),
            Reason::Volume => format!("{who} waits for a volume{detail}"),
            Reason::Claim => format!("{who} waits for claim {}", self.detail),
            Reason::Network => format!("{who} gets no network{detail}"),
            Reason::Unschedulable | Reason::Unbound => format!("{who} fits on no node{detail}"),
            Reason::Probe => format!("{who} runs but is not healthy{detail}"),
            Reason::Evicted => format!("{who} was evicted{detail}"),
            Reason::NoPod => format!("`{}` gets no pod{detail}", self.pod),
        }
    }

    /// True if the container has logs that tell more.
    pub(crate) fn has_logs(&self) -> bool {
        matches!(
            self.reason,
            Reason::Crash | Reason::CrashLoop | Reason::OutOfMemory | Reason::Probe
        )
    }
}

fn restarts(count: i32) -> String {
    match count {
        0 => String::new(),
        1 => " (1 restart)".to_owned(),
        count => format!(" ({count} restarts)"),
    }
}

/// What is wrong with a pod, most telling first; None if nothing is.
pub fn failure<E: Borrow<Event>>(pod: &Pod, events: &[E]) -> Option<PodFailure> {
    let events: Vec<&Event> = events.iter().map(Borrow::borrow).collect();
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let mut containers = init.chain(status.container_statuses.iter().flatten());
    containers
        .find_map(|container| container_failure(pod, container))
        .or_else(|| pod_failure(pod, &events))
}

/// Puts a failure, the pod's warnings and its logs together.
pub fn explain<E: Borrow<Event>>(failure: &PodFailure, events: &[E], logs: &str) -> Report {
    let mut lines = Vec::new();
    for line in crate::log_lines::last_lines(logs, MAX_LOG_LINES).lines() {
        lines.push(format!(
            "| {}",
            line.chars().take(MAX_LINE_LENGTH).collect::<String>()
        ));
    }
    let events = events
        .iter()
        .map(Borrow::borrow)
        .filter(|e| e.involved_object.name.as_ref() == Some(&failure.pod));
    lines.extend(
        warnings(events)
            .into_iter()
            .filter(|line| !line.contains("Back-off restarting")),
    );
    Report {
        summary: failure.summary(),
        lines,
    }
}

/// `Warning` events as lines, the newest last, each reason once.
pub(super) fn warnings<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let mut events: Vec<_> = events
        .into_iter()
        .filter(|e| e.type_.as_deref() == Some("Warning"))
        .collect();
    events.sort_by_key(|event| last_seen(event));
    let mut lines: Vec<(String, String)> = Vec::new();
    for event in events {
        let reason = event.reason.clone().unwrap_or_default();
        let message = event
            .message
            .as_deref()
            .unwrap_or_default()
            .trim()
            .replace('\n', " ");
        lines.retain(|(earlier, _)| *earlier != reason);
        lines.push((reason.clone(), format!("event {reason}: {message}")));
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

fn container_failure(pod: &Pod, container: &ContainerStatus) -> Option<PodFailure> {
    let state = container.state.as_ref()?;
    let ended = ended(state)
        .or_else(|| container.last_state.as_ref().and_then(ended))
        .filter(|end| end.exit_code != 0);
    let lost = ended.is_some_and(ended_with_its_node) && is_started_again(pod);
    let ended = ended.filter(|_| !lost);
    let (reason, detail) = match &state.waiting {
        // It is on its way back.
        Some(waiting) if lost && waiting.reason.as_deref() == Some("CrashLoopBackOff") => {
            return None;
        }
        Some(waiting) => {
            let detail = waiting.message.clone().unwrap_or_default();
            (waiting_reason(waiting.reason.as_deref()?, ended)?, detail)
        }
        // A container that is ready has recovered.
        None if container.ready => return None,
        None => (
            end_reason(ended?, Reason::Crash),
            ended
                .and_then(|end| end.message.clone())
                .unwrap_or_default(),
        ),
    };
    Some(PodFailure {
        container: Some(container.name.clone()),
        reason,
        detail: detail.trim().to_owned(),
        exit_code: ended.map(|end| end.exit_code),
        restarts: container.restart_count,
        image: container.image.clone(),
        ..whole_pod(pod, reason, "")
    })
}

fn is_started_again(pod: &Pod) -> bool {
    let policy = pod
        .spec
        .iter()
        .find_map(|spec| spec.restart_policy.as_ref());
    policy.is_none_or(|policy| policy != "Never")
}

fn ended(state: &ContainerState) -> Option<&ContainerStateTerminated> {
    state.terminated.as_ref()
}

fn waiting_reason(reason: &str, ended: Option<&ContainerStateTerminated>) -> Option<Reason> {
    Some(match reason {
        "CrashLoopBackOff" => {
            ended.map_or(Reason::CrashLoop, |end| end_reason(end, Reason::CrashLoop))
        }
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError" => Reason::ImagePull,
        "InvalidImageName" => Reason::InvalidImage,
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError" => Reason::Config,
        _ => return None,
    })
}

fn end_reason(end: &ContainerStateTerminated, other: Reason) -> Reason {
    if end.reason.as_deref() == Some("OOMKilled") {
        Reason::OutOfMemory
    } else {
        other
    }
}

/// `all` are the events of the namespace.
fn pod_failure(pod: &Pod, all: &[&Event]) -> Option<PodFailure> {
    let status = pod.status.as_ref()?;
    let condition = |kind: &str| status.conditions.iter().flatten().find(|c| c.type_ == kind);
    if status.reason.as_deref() == Some("Evicted") {
        return Some(whole_pod(
            pod,
            Reason::Evicted,
            status.message.as_deref().unwrap_or_default(),
        ));
    }
    if let Some(scheduled) =
        condition("PodScheduled").filter(|c| c.reason.as_deref() == Some("Unschedulable"))
    {
        let message = scheduled.message.as_deref().unwrap_or_default();
        let unbound = claims::unbound(pod, all, message);
        return unbound.or_else(|| Some(whole_pod(pod, Reason::Unschedulable, message)));
    }
    let has_node = condition("PodScheduled").is_some_and(|c| c.status == "True");
    if let Some(failure) = claims::failed(pod, all).filter(|_| !has_node) {
        return Some(failure);
    }
    let events: Vec<_> = all.iter().filter(|event| concerns(event, pod)).collect();
    let is_ready = condition("Ready").is_some_and(|c| c.status == "True");
    if is_ready || status.phase.as_deref() == Some("Succeeded") {
        return None;
    }
    let newest = |reasons: &[&str]| {
        let matching = events.iter().copied().filter(|e| {
            e.reason
                .as_deref()
                .is_some_and(|reason| reasons.contains(&reason))
        });
        matching.max_by_key(|event| last_seen(event)).copied()
    };
    if runs(status) {
        return failed_probe(pod, all, MIN_PROBE_FAILURES);
    }
    let (reason, event) = if let Some(event) = newest(&["FailedMount", "FailedAttachVolume"]) {
        (Reason::Volume, event)
    } else {
        (Reason::Network, newest(&["FailedCreatePodSandBox"])?)
    };
    Some(whole_pod(
        pod,
        reason,
        event.message.as_deref().unwrap_or_default(),
    ))
}

fn runs(status: &PodStatus) -> bool {
    let mut containers = status.container_statuses.iter().flatten();
    containers.any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()))
}

/// What the probe of a pod says that runs and is not ready, from the first time on.
pub(super) fn unhealthy<E: Borrow<Event>>(pod: &Pod, events: &[E]) -> Option<PodFailure> {
    let status = pod.status.as_ref()?;
    let mut conditions = status.conditions.iter().flatten();
    let is_ready = conditions.any(|c| c.type_ == "Ready" && c.status == "True");
    let events: Vec<&Event> = events.iter().map(Borrow::borrow).collect();
    (runs(status) && !is_ready).then(|| failed_probe(pod, &events, 1))?
}

fn failed_probe(pod: &Pod, events: &[&Event], least: i32) -> Option<PodFailure> {
    let of_probe = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("Unhealthy") && concerns(event, pod));
    let newest = of_probe.max_by_key(|event| last_seen(event))?;
    let message = newest.message.as_deref().unwrap_or_default();
    (event_count(newest).max(1) >= least).then(|| whole_pod(pod, Reason::Probe, message))
}

fn whole_pod(pod: &Pod, reason: Reason, detail: &str) -> PodFailure {
    PodFailure {
        pod: pod.name_any(),
        namespace: pod.namespace().unwrap_or_default(),
        container: None,
        reason,
        detail: detail.trim().to_owned(),
        exit_code: None,
        restarts: 0,
        image: String::new(),
        at: None,
    }
}

fn concerns(event: &Event, pod: &Pod) -> bool {
    let object = &event.involved_object;
    object.kind.as_deref() == Some("Pod")
        && object.name == pod.metadata.name
        && object.uid == pod.metadata.uid
}

fn event_count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    event.count.unwrap_or(0).max(series.unwrap_or(0))
}

pub(super) fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    series
        .max(last)
        .max(event.event_time.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::log::is_log;
    use super::*;

    const NO_EVENTS: &[Event] = &[];

    fn pod(container: Value) -> Pod {
        pod_with(json!({"phase": "Running", "containerStatuses": [container]}))
    }

    fn pod_with(status: Value) -> Pod {
        let meta = json!({"name": "api-1", "namespace": "shop", "uid": "u1"});
        serde_json::from_value(json!({"metadata": meta, "status": status})).unwrap()
    }

    fn container(ready: bool, restarts: i32, state: Value, last: Value) -> Value {
        json!({"name": "api", "image": "devk.local/shop/api:0", "imageID": "", "ready": ready,
               "restartCount": restarts, "state": state, "lastState": last})
    }

    fn event(reason: &str, count: i32, message: &str) -> Event {
        let object = json!({"kind": "Pod", "name": "api-1", "uid": "u1"});
        serde_json::from_value(json!({"metadata": {}, "involvedObject": object, "type": "Warning", "reason": reason,
            "count": count, "message": message, "lastTimestamp": format!("2026-01-01T00:00:{:02}Z", count)}))
        .unwrap()
    }

    fn summary(pod: &Pod, events: &[Event]) -> Option<String> {
        failure(pod, events).map(|found| found.summary())
    }

    #[test]
    fn an_apology_of_the_kubelet_is_no_log() {
        assert!(!is_log(
            "unable to retrieve container logs for containerd://9f63"
        ));
        assert!(!is_log(" \n"));
        assert!(is_log(
            "cannot start: unable to retrieve container logs for x"
        ));
    }

    /// An API server that answers everything with this log.
    async fn api(log: &'static [u8]) -> kube::Client {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    log.len()
                );
                let _ = socket.write_all(&[head.as_bytes(), log].concat()).await;
            }
        });
        kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn a_byte_that_is_no_text_does_not_cost_the_log() {
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let found = failure(
            &pod(container(false, 1, json!({"running": {}}), last)),
            NO_EVENTS,
        )
        .unwrap();
        assert_eq!(
            logs(&api(b"gr\xfc\xdfe\npanic: boom\n").await, &found).await,
            "gr\u{fffd}\u{fffd}e\npanic: boom\n"
        );
    }

    #[test]
    fn a_crash_loop_tells_exit_code_and_restarts() {
        let last = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        let looping = pod(container(
            false,
            4,
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m"}}),
            last,
        ));
        assert_eq!(
            summary(&looping, NO_EVENTS).unwrap(),
            "container `api` of pod `api-1` keeps crashing with exit code 3 (4 restarts)"
        );
    }

    #[test]
    fn out_of_memory_is_told_from_other_crashes() {
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let killed = pod(container(
            false,
            1,
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            last,
        ));
        assert_eq!(
            summary(&killed, NO_EVENTS).unwrap(),
            "container `api` of pod `api-1` was killed: out of memory (1 restart)"
        );
    }

    #[test]
    fn a_crash_is_a_failure_until_the_container_is_ready_again() {
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let state = json!({"running": {}});
        let restarted = pod(container(false, 1, state.clone(), last.clone()));
        assert_eq!(
            failure(&restarted, NO_EVENTS).unwrap().reason,
            Reason::Crash
        );
        assert_eq!(
            failure(&pod(container(true, 1, state, last)), NO_EVENTS),
            None
        );
    }

    #[test]
    fn a_container_that_ended_with_its_node_has_not_crashed() {
        let end =
            |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let lost = end(255, "Unknown");
        let found = |state: &Value, last: &Value| {
            summary(&pod(container(false, 3, state.clone(), last.clone())), &[])
        };
        let coming = [
            running.clone(),
            waiting("ContainerCreating"),
            waiting("CrashLoopBackOff"),
        ];
        for state in &coming {
            assert_eq!(found(state, &lost), None, "{state}");
        }
        assert_eq!(
            found(&lost, &json!({})),
            None,
            "it is not started again yet"
        );
        // What keeps it from coming back is reported, and so is a crash of its own.
        let missing = found(&waiting("CreateContainerConfigError"), &lost).unwrap();
        assert!(missing.contains("cannot be created"), "{missing}");
        for own in [end(255, "Error"), end(1, "Unknown"), end(1, "Error")] {
            assert!(
                found(&running, &own)
                    .unwrap()
                    .contains(" ended with exit code ")
            );
            assert!(
                found(&waiting("CrashLoopBackOff"), &own)
                    .unwrap()
                    .contains("keeps crashing")
            );
        }
    }

    #[test]
    fn a_container_that_ended_with_its_node_and_does_not_come_back_is_told() {
        let end = json!({"terminated": {"exitCode": 255, "reason": "Unknown"}});
        let mut pod = pod(container(false, 0, end, json!({})));
        pod.spec =
            serde_json::from_value(json!({"containers": [], "restartPolicy": "Never"})).unwrap();
        assert!(
            summary(&pod, &[])
                .unwrap()
                .contains("ended with exit code 255")
        );
    }

    #[test]
    fn a_container_that_ended_well_is_no_failure() {
        let done = container(
            false,
            0,
            json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
            json!({}),
        );
        assert_eq!(failure(&pod(done), NO_EVENTS), None);
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named_with_the_cause() {
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
        assert_eq!(
            summary(&pod(container(false, 0, waiting, json!({}))), NO_EVENTS).unwrap(),
            "container `api` of pod `api-1` has no image `devk.local/shop/api:0`: not found"
        );
    }

    #[test]
    fn an_init_container_comes_first() {
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let mut init = container(
            false,
            2,
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            last,
        );
        init["name"] = json!("migrate");
        let main = container(
            false,
            0,
            json!({"waiting": {"reason": "PodInitializing"}}),
            json!({}),
        );
        let status = json!({"phase": "Pending", "initContainerStatuses": [init], "containerStatuses": [main]});
        assert_eq!(
            failure(&pod_with(status), NO_EVENTS)
                .unwrap()
                .container
                .as_deref(),
            Some("migrate")
        );
    }

    #[test]
    fn a_missing_secret_shows_kubernetes_words() {
        let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"x\" not found"}});
        let found = failure(&pod(container(false, 0, waiting, json!({}))), NO_EVENTS).unwrap();
        assert_eq!(
            (found.reason, found.detail.as_str()),
            (Reason::Config, "secret \"x\" not found")
        );
    }

    #[test]
    fn an_unschedulable_pod_says_what_is_lacking() {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"});
        let pending = pod_with(json!({"phase": "Pending", "conditions": [condition]}));
        assert_eq!(
            summary(&pending, NO_EVENTS).unwrap(),
            "pod `api-1` fits on no node: Insufficient cpu"
        );
    }

    #[test]
    fn a_volume_that_does_not_mount_is_found_in_the_events() {
        let creating = container(
            false,
            0,
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({}),
        );
        let events = [
            event("FailedMount", 2, "configmap \"c\" not found"),
            event("Other", 9, "x"),
        ];
        assert_eq!(
            summary(&pod(creating), &events).unwrap(),
            "pod `api-1` waits for a volume: configmap \"c\" not found"
        );
    }

    #[test]
    fn a_probe_may_fail_while_a_program_starts() {
        let running = pod(container(false, 0, json!({"running": {}}), json!({})));
        assert_eq!(
            failure(&running, &[event("Unhealthy", 2, "Readiness probe failed")]),
            None
        );
        let found = failure(
            &running,
            &[event("Unhealthy", 3, "Readiness probe failed: 503")],
        )
        .unwrap();
        assert_eq!(
            (found.reason, found.detail.as_str()),
            (Reason::Probe, "Readiness probe failed: 503")
        );
    }

    #[test]
    fn events_of_an_earlier_pod_of_the_same_name_do_not_count() {
        let creating = container(
            false,
            0,
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({}),
        );
        let mut other = event("FailedMount", 1, "x");
        other.involved_object.uid = Some("u0".into());
        assert_eq!(failure(&pod(creating), &[other]), None);
    }

    #[test]
    fn a_report_has_the_last_log_lines_and_each_warning_once() {
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let found = failure(
            &pod(container(false, 1, json!({"running": {}}), last)),
            NO_EVENTS,
        )
        .unwrap();
        let logs: String = (0..20).map(|line| format!("line {line}\n")).collect();
        let events = [
            event("Unhealthy", 1, "first"),
            event("Unhealthy", 2, "second"),
            event("BackOff", 3, "Back-off restarting failed"),
        ];
        let report = explain(&found, &events, &logs);
        assert_eq!(report.lines.len(), 11);
        assert_eq!(
            (report.lines[0].as_str(), report.lines[10].as_str()),
            ("| line 10", "event Unhealthy: second")
        );
    }
}
