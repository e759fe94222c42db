//! Why a pod does not run: devk's crash reports, and what a pod that has not failed waits for.

use k8s_openapi::api::core::v1;

use super::super::answer::place;
use super::super::columns::pod_status;
use super::super::facts::probe_text;
use super::super::object::{SeenObject, items, text};
use super::super::snapshot::{ClusterSnapshot, LogOf};
use super::{Finding, Weight};
use crate::release::crash::{self, PodFailure, Reason};
use crate::shell::quote;

pub(super) fn judge(pod: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let failure = pod
        .typed::<v1::Pod>()
        .and_then(|typed| crash::failure(&typed, snapshot.typed_events()));
    match failure {
        Some(failure) => vec![failed(pod, &failure, snapshot)],
        None => waiting(pod, snapshot).into_iter().collect(),
    }
}

fn failed(pod: SeenObject<'_>, failure: &PodFailure, snapshot: &ClusterSnapshot) -> Finding {
    let log = failure
        .container
        .as_deref()
        .map(|container| log_of(snapshot, pod, container))
        .unwrap_or_default();
    let report = crash::explain(failure, snapshot.typed_events(), &log);
    let container = failure.container.as_deref();
    let field = match (&failure.reason, container) {
        (_, Some(container)) => format!("status.containerStatuses[{container}].state"),
        (Reason::Unschedulable | Reason::Unbound | Reason::Claim, None) => {
            "status.conditions[PodScheduled]".to_owned()
        }
        _ => "status".to_owned(),
    };
    let mut finding =
        Finding::new(pod, Weight::Broken, report.summary).shown_by(field, pod_status(pod));
    finding.lines = report.lines;
    if failure.reason == Reason::Probe {
        finding.lines.extend(probes(pod));
    }
    if failure.has_logs() {
        let previous = if failure.restarts > 0 {
            " --previous"
        } else {
            ""
        };
        let container = container
            .map(|name| format!(" --container {}", quote(name)))
            .unwrap_or_default();
        finding.kubectl.push(format!(
            "logs {}{container}{previous}{}",
            quote(pod.name()),
            place(pod)
        ));
        let name = snapshot
            .maker(pod)
            .map_or_else(|| pod.name().to_owned(), |(_, name)| name);
        finding
            .next
            .push(format!("devk logs {}{previous}", quote(name)));
    }
    match failure.reason {
        Reason::OutOfMemory => finding.next(format!(
            "devk ask \"resource limits of pod {}\"",
            pod.name()
        )),
        Reason::ImagePull | Reason::InvalidImage => {
            finding.next(format!("devk ask \"images of pod {}\"", pod.name()))
        }
        Reason::Claim | Reason::Unbound | Reason::Volume => {
            finding.next(format!("devk ask \"claims of pod {}\"", pod.name()))
        }
        Reason::Unschedulable => finding.next("devk ask \"capacity of the nodes\""),
        Reason::Config => finding.next(format!("devk ask \"environment of pod {}\"", pod.name())),
        _ => finding,
    }
}

/// The probes of a pod, for one that fails them.
fn probes(pod: SeenObject<'_>) -> Vec<String> {
    let probe = |container: &serde_json::Value| {
        let asked = ["startupProbe", "readinessProbe", "livenessProbe"]
            .into_iter()
            .find(|kind| container[*kind].is_object())?;
        Some(format!(
            "event {} of container {}: {}",
            asked,
            text(&container["name"]),
            probe_text(&container[asked])
        ))
    };
    pod.containers().filter_map(probe).collect()
}

/// A pod that has not failed, and is not ready all the same.
fn waiting(pod: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<Finding> {
    let phase = pod.status()["phase"].as_str().unwrap_or_default();
    if pod.is("Ready") || phase == "Succeeded" {
        return None;
    }
    if pod.is_terminating() {
        return Some(
            Finding::new(
                pod,
                Weight::Limited,
                format!("pod `{}` is being deleted", pod.name()),
            )
            .shown_by("metadata.deletionTimestamp", "is set"),
        );
    }
    let running = items(&pod.status()["initContainerStatuses"])
        .find(|status| status["state"]["running"].is_object());
    let what = match running {
        Some(status) => {
            let name = text(&status["name"]);
            let log = log_of(snapshot, pod, &name);
            let said = crate::log_lines::last_lines(&log, 1);
            let said = if said.is_empty() {
                String::new()
            } else {
                format!(": {said}")
            };
            format!(
                "init container `{name}` of pod `{}` still runs{said}",
                pod.name()
            )
        }
        None if phase == "Pending" => format!("pod `{}` is being started", pod.name()),
        None if phase == "Failed" => format!(
            "pod `{}` has failed: {}",
            pod.name(),
            text(&pod.status()["message"])
        ),
        None => format!("pod `{}` runs and is not ready", pod.name()),
    };
    let mut finding = Finding::new(pod, Weight::Broken, what)
        .shown_by("status.conditions[Ready]", pod_status(pod));
    finding.lines = probes(pod);
    let name = snapshot
        .maker(pod)
        .map_or_else(|| pod.name().to_owned(), |(_, name)| name);
    let finding = match running {
        Some(status) => {
            finding.kubectl.push(format!(
                "logs {} --container {}{}",
                quote(pod.name()),
                quote(text(&status["name"])),
                place(pod)
            ));
            finding
        }
        None => finding.next(format!("devk ask \"events of {name}\"")),
    };
    Some(finding)
}

/// The log that tells most: that of the run that ended, if there was one. Without the times before its lines.
fn log_of(snapshot: &ClusterSnapshot, pod: SeenObject<'_>, container: &str) -> String {
    let log = |previous: bool| snapshot.logs.get(&LogOf::of(pod, container, previous));
    let lines = log(true)
        .or_else(|| log(false))
        .map(String::as_str)
        .unwrap_or_default()
        .lines();
    let lines: Vec<_> = lines
        .map(|line| crate::log_lines::timed(line).map_or(line, |(_, text)| text))
        .collect();
    lines.join("\n")
}

/// The logs that explain a pod, if it is in trouble.
pub(super) fn logs_of(pod: SeenObject<'_>) -> Vec<LogOf> {
    let is_fine = pod.is("Ready") || pod.status()["phase"] == "Succeeded";
    let of = |status: &serde_json::Value| {
        let (state, last) = (&status["state"], &status["lastState"]);
        let bad = |end: &serde_json::Value| end["exitCode"].as_i64().is_some_and(|code| code != 0);
        let previous = bad(&last["terminated"]) && !bad(&state["terminated"]);
        let tells = bad(&last["terminated"])
            || bad(&state["terminated"])
            || (state["running"].is_object() && status["ready"] != true);
        tells.then(|| LogOf::of(pod, text(&status["name"]), previous))
    };
    if is_fine {
        vec![]
    } else {
        pod.container_statuses().filter_map(of).collect()
    }
}
