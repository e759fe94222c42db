//! How the objects of a kind are listed: the columns, and one word for their state, as kubectl has it.

use serde_json::Value;

use super::kind::AskedKind;
use super::object::{SeenObject, items, moment, text};
use super::snapshot::{ClusterSnapshot, seen_last};

/// The columns behind the name, for a table of this kind.
pub(super) fn head(kind: AskedKind) -> &'static [&'static str] {
    match kind {
        AskedKind::Pod => &["READY", "STATUS", "RESTARTS", "AGE", "NODE"],
        AskedKind::Deployment
        | AskedKind::StatefulSet
        | AskedKind::DaemonSet
        | AskedKind::ReplicaSet => &["READY", "STATUS", "AGE", "IMAGES"],
        AskedKind::Service => &["TYPE", "ADDRESS", "PORTS", "ENDPOINTS", "AGE"],
        AskedKind::Job => &["STATUS", "COMPLETIONS", "AGE"],
        AskedKind::CronJob => &["SCHEDULE", "STATUS", "LAST RUN", "AGE"],
        AskedKind::Ingress => &["CLASS", "HOSTS", "AGE"],
        AskedKind::Claim => &["STATUS", "SIZE", "CLASS", "AGE"],
        AskedKind::Volume => &["STATUS", "SIZE", "CLAIM", "AGE"],
        AskedKind::ConfigMap | AskedKind::Secret => &["KEYS", "AGE"],
        AskedKind::Autoscaler => &["SCALES", "STATUS", "AGE"],
        AskedKind::Event => &["LAST SEEN", "TYPE", "REASON", "MESSAGE"],
        _ => &["STATUS", "AGE"],
    }
}

/// The cells below [`head`].
pub(super) fn cells(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<String> {
    let spec = seen.spec();
    let state = || status_word(seen, snapshot);
    let since = || snapshot.age(seen.created());
    match seen.kind {
        AskedKind::Pod => {
            let statuses = || items(&seen.status()["containerStatuses"]);
            let ready = statuses().filter(|status| status["ready"] == true).count();
            let all = items(&spec["containers"]).count();
            vec![
                format!("{ready}/{all}"),
                state(),
                seen.restarts().to_string(),
                since(),
                text(&spec["nodeName"]),
            ]
        }
        AskedKind::Deployment
        | AskedKind::StatefulSet
        | AskedKind::DaemonSet
        | AskedKind::ReplicaSet => {
            let (ready, wanted) = ready_of(seen);
            vec![format!("{ready}/{wanted}"), state(), since(), seen.images()]
        }
        AskedKind::Service => {
            let ports: Vec<_> = items(&spec["ports"])
                .map(|port| text(&port["port"]))
                .collect();
            let endpoints = snapshot.ready_endpoints(seen).len().to_string();
            vec![
                spec["type"].as_str().unwrap_or("ClusterIP").to_owned(),
                text(&spec["clusterIP"]),
                ports.join(","),
                endpoints,
                since(),
            ]
        }
        AskedKind::Job => {
            let done = seen.status()["succeeded"].as_i64().unwrap_or_default();
            vec![
                state(),
                format!("{done}/{}", spec["completions"].as_i64().unwrap_or(1)),
                since(),
            ]
        }
        AskedKind::CronJob => vec![
            text(&spec["schedule"]),
            state(),
            snapshot.ago(moment(&seen.status()["lastScheduleTime"])),
            since(),
        ],
        AskedKind::Ingress => {
            let hosts: Vec<_> = items(&spec["rules"])
                .map(|rule| rule["host"].as_str().unwrap_or("*").to_owned())
                .collect();
            vec![text(&spec["ingressClassName"]), hosts.join(", "), since()]
        }
        AskedKind::Claim => vec![
            state(),
            text(&spec["resources"]["requests"]["storage"]),
            text(&spec["storageClassName"]),
            since(),
        ],
        AskedKind::Volume => {
            let claim = format!(
                "{}/{}",
                text(&spec["claimRef"]["namespace"]),
                text(&spec["claimRef"]["name"])
            );
            vec![state(), text(&spec["capacity"]["storage"]), claim, since()]
        }
        AskedKind::ConfigMap | AskedKind::Secret => {
            let keys = ["data", "binaryData"].map(|member| {
                seen.value[member]
                    .as_object()
                    .map_or(0, serde_json::Map::len)
            });
            vec![keys.iter().sum::<usize>().to_string(), since()]
        }
        AskedKind::Autoscaler => {
            let target = &spec["scaleTargetRef"];
            vec![
                format!("{} {}", text(&target["kind"]), text(&target["name"])),
                state(),
                since(),
            ]
        }
        AskedKind::Event => {
            vec![
                snapshot.age(seen_last(seen)),
                text(&seen.value["type"]),
                text(&seen.value["reason"]),
                seen.message(),
            ]
        }
        _ => vec![state(), since()],
    }
}

/// Ready and wanted replicas of a workload.
pub(super) fn ready_of(seen: SeenObject<'_>) -> (i64, i64) {
    let (spec, status) = (seen.spec(), seen.status());
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    match seen.kind {
        AskedKind::DaemonSet => (
            number(&status["numberReady"]),
            number(&status["desiredNumberScheduled"]),
        ),
        _ => (
            number(&status["readyReplicas"]),
            spec["replicas"].as_i64().unwrap_or(1),
        ),
    }
}

/// The state of an object in a word or two.
pub(super) fn status_word(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> String {
    if seen.is_terminating() && seen.kind != AskedKind::Pod {
        return "Terminating".to_owned();
    }
    let (spec, status) = (seen.spec(), seen.status());
    match seen.kind {
        AskedKind::Pod => pod_status(seen),
        AskedKind::Deployment
        | AskedKind::StatefulSet
        | AskedKind::DaemonSet
        | AskedKind::ReplicaSet => match ready_of(seen) {
            (_, 0) => "scaled to zero".to_owned(),
            (ready, wanted) if ready >= wanted => "ready".to_owned(),
            (ready, wanted) => format!("{ready} of {wanted} ready"),
        },
        AskedKind::Job if seen.is("Complete") => "Complete".to_owned(),
        AskedKind::Job if seen.is("Failed") => "Failed".to_owned(),
        AskedKind::Job if spec["suspend"] == true => "Suspended".to_owned(),
        AskedKind::Job => "Running".to_owned(),
        AskedKind::CronJob if spec["suspend"] == true => "suspended".to_owned(),
        AskedKind::CronJob => "active".to_owned(),
        AskedKind::Service => match snapshot.ready_endpoints(seen).len() {
            0 => "no ready endpoints".to_owned(),
            1 => "1 ready endpoint".to_owned(),
            count => format!("{count} ready endpoints"),
        },
        AskedKind::Node => {
            let ready = if seen.is("Ready") {
                "Ready"
            } else {
                "NotReady"
            };
            let cordoned = if spec["unschedulable"] == true {
                ", cordoned"
            } else {
                ""
            };
            format!("{ready}{cordoned}")
        }
        AskedKind::Autoscaler => {
            let number = |key: &str| status[key].as_i64().unwrap_or_default();
            let active = if seen.is("ScalingActive") {
                ""
            } else {
                ", not active"
            };
            format!(
                "{} of {} replicas{active}",
                number("currentReplicas"),
                number("desiredReplicas")
            )
        }
        AskedKind::DisruptionBudget => {
            let allowed = status["disruptionsAllowed"].as_i64().unwrap_or_default();
            format!("{allowed} disruptions allowed")
        }
        AskedKind::Claim | AskedKind::Volume | AskedKind::Namespace => text(&status["phase"]),
        _ => "exists".to_owned(),
    }
}

/// The STATUS of `kubectl get pods`.
pub(super) fn pod_status(pod: SeenObject<'_>) -> String {
    let (spec, status) = (pod.spec(), pod.status());
    if pod.is_terminating() {
        return "Terminating".to_owned();
    }
    let phase = status["reason"]
        .as_str()
        .unwrap_or_else(|| status["phase"].as_str().unwrap_or_default());
    if let Some(init) = init_status(spec, status) {
        return init;
    }
    let mut word = phase.to_owned();
    let mut is_running = false;
    // kubectl goes from the last container to the first, so that the first one's word counts.
    for container in items(&status["containerStatuses"])
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let state = &container["state"];
        if let Some(reason) = state["waiting"]["reason"].as_str() {
            word = reason.to_owned();
        } else if state["terminated"].is_object() {
            word = ended(&state["terminated"]);
        } else if container["ready"] == true && state["running"].is_object() {
            is_running = true;
        }
    }
    match is_running && word == "Completed" {
        true if pod.is("Ready") => "Running".to_owned(),
        true => "NotReady".to_owned(),
        false => word,
    }
}

fn ended(terminated: &Value) -> String {
    match terminated["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None if terminated["signal"].as_i64().unwrap_or_default() != 0 => {
            format!("Signal:{}", terminated["signal"])
        }
        None => format!("ExitCode:{}", terminated["exitCode"]),
    }
}

/// `Init:0/1` while init containers run; None once they are through.
fn init_status(spec: &Value, status: &Value) -> Option<String> {
    let all: Vec<_> = items(&spec["initContainers"]).collect();
    for (at, container) in items(&status["initContainerStatuses"]).enumerate() {
        let state = &container["state"];
        let is_sidecar = all
            .iter()
            .any(|one| one["name"] == container["name"] && one["restartPolicy"] == "Always");
        let is_through =
            state["terminated"]["exitCode"] == 0 || (is_sidecar && container["started"] == true);
        if is_through {
            continue;
        }
        return Some(if state["terminated"].is_object() {
            format!("Init:{}", ended(&state["terminated"]))
        } else {
            match state["waiting"]["reason"]
                .as_str()
                .filter(|reason| *reason != "PodInitializing")
            {
                Some(reason) => format!("Init:{reason}"),
                None => format!("Init:{at}/{}", all.len()),
            }
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn word(pod: Value) -> String {
        pod_status(SeenObject {
            kind: AskedKind::Pod,
            value: &pod,
        })
    }

    #[test]
    fn a_pods_status_is_kubectls_word() {
        let waiting = |reason: &str| json!({"name": "a", "state": {"waiting": {"reason": reason}}});
        let of = |container: Value| json!({"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running", "containerStatuses": [container]}});
        assert_eq!(word(of(waiting("CrashLoopBackOff"))), "CrashLoopBackOff");
        assert_eq!(
            word(of(json!({"state": {"terminated": {"exitCode": 3}}}))),
            "ExitCode:3"
        );
        assert_eq!(
            word(json!({"status": {"phase": "Failed", "reason": "Evicted"}})),
            "Evicted"
        );
        let init = json!({"name": "wait", "state": {"running": {}}});
        let starting = json!({"spec": {"initContainers": [{"name": "wait"}, {"name": "b"}]}, "status": {"phase": "Pending", "initContainerStatuses": [init]}});
        assert_eq!(word(starting), "Init:0/2");
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}});
        assert_eq!(word(deleted), "Terminating");
    }
}
