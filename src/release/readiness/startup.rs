//! The time that a container may take to start by its own `startupProbe`, which may be longer than the release's.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, Probe};
use k8s_openapi::jiff::Timestamp;

use crate::release::workload::running_for;

/// What the API server sets where a probe says nothing.
const DEFAULT_PERIOD: i32 = 10;
const DEFAULT_FAILURES: i32 = 3;

/// How much longer a container of this pod may take, at most: of those that run for the first time and have not passed
/// their startup probe.
pub(super) fn time_left(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref()?;
    let containers = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten());
    let statuses = || {
        let init = status.init_container_statuses.iter().flatten();
        status.container_statuses.iter().flatten().chain(init)
    };
    let left = containers.filter_map(|container| {
        let status = statuses().find(|status| status.name == container.name)?;
        of_container(container, status, now)
    });
    left.max()
}

fn of_container(
    container: &Container,
    status: &ContainerStatus,
    now: Timestamp,
) -> Option<Duration> {
    let probe = container.startup_probe.as_ref()?;
    // A run that failed its probe gets no more time than the one before had.
    if status.started == Some(true) || status.restart_count > 0 {
        return None;
    }
    allowance(probe).checked_sub(running_for(status, now)?)
}

/// After this time Kubernetes ends the container.
fn allowance(probe: &Probe) -> Duration {
    let seconds = |value: Option<i32>, default: i32| {
        u64::try_from(value.unwrap_or(default)).unwrap_or_default()
    };
    let period = seconds(probe.period_seconds, DEFAULT_PERIOD);
    let failures = seconds(probe.failure_threshold, DEFAULT_FAILURES);
    Duration::from_secs(seconds(probe.initial_delay_seconds, 0) + period * failures)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn left(probe: Value, status: Value) -> Option<u64> {
        let mut container = json!({"name": "api", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}});
        for (key, value) in status.as_object().unwrap() {
            container[key] = value.clone();
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": {},
            "spec": {"containers": [{"name": "api", "startupProbe": probe}]},
            "status": {"containerStatuses": [container]}}))
        .unwrap();
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        time_left(&pod, now).map(|left| left.as_secs())
    }

    #[test]
    fn a_container_has_the_time_of_its_startup_probe() {
        let probe = json!({"initialDelaySeconds": 5, "periodSeconds": 10, "failureThreshold": 30});
        assert_eq!(left(probe.clone(), json!({})), Some(245));
        assert_eq!(left(probe.clone(), json!({"started": true})), None);
        assert_eq!(left(probe.clone(), json!({"restartCount": 1})), None);
        assert_eq!(left(probe, json!({"state": {}})), None);
        assert_eq!(left(json!({}), json!({})), None, "30 s are over");
        assert_eq!(left(Value::Null, json!({})), None);
    }
}
