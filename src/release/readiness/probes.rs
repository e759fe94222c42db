//! A probe that fails from the beginning, as one on the wrong port does: told soon, and not when the time is over.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::snapshot::{Assessment, NamespaceSnapshot};
use crate::release::crash::{self, PodFailure, Reason};

/// Every program that takes a moment to start fails its probe at first.
const START_TIMEOUT: Duration = Duration::from_secs(3);

/// Since when the probe of each pod fails, and the workloads of which that was told.
#[derive(Debug, Default)]
pub(super) struct FailingProbes {
    since: HashMap<String, Instant>,
    told: HashSet<(String, String)>,
}

impl FailingProbes {
    /// What the probes of a workload say, once for each workload. What else is wrong with it says more.
    pub(super) fn news(
        &mut self,
        assessments: &[Assessment<'_>],
        snapshots: &[NamespaceSnapshot],
        now: Instant,
    ) -> Vec<PodFailure> {
        let mut news = vec![];
        let mut failing = HashMap::new();
        let is_probe = |failure: &PodFailure| failure.reason == Reason::Probe;
        let healthy_else = assessments
            .iter()
            .filter(|a| a.failures.iter().all(is_probe));
        for assessment in healthy_else {
            let workload = assessment.workload;
            let snapshot = snapshots.iter().find(|s| s.namespace == workload.namespace);
            let events = snapshot.map_or(&[][..], |s| &s.events);
            for pod in &assessment.pods {
                let Some(failure) = crash::unhealthy(pod, events) else {
                    continue;
                };
                let uid = pod.uid().unwrap_or_default();
                let since = *self.since.get(&uid).unwrap_or(&now);
                failing.insert(uid, since);
                let key = (workload.namespace.clone(), workload.name.clone());
                if now.duration_since(since) >= START_TIMEOUT && self.told.insert(key) {
                    news.push(failure);
                }
            }
        }
        self.since = failing;
        news
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::assess;
    use super::*;
    use crate::release::manifest::{Workload, WorkloadKind};

    const REFUSED: &str = "Readiness probe failed: Get \"http://10.244.0.5:8081/health\": dial tcp 10.244.0.5:8081: connect: connection refused\n";

    fn object<K: serde::de::DeserializeOwned>(value: Value) -> Arc<K> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// `api` with one pod, whose only container is in this state, and an event of its probe.
    fn snapshot(uid: &str, state: Value) -> Vec<NamespaceSnapshot> {
        let container = json!({"name": "api", "image": "api", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let deployment = json!({"metadata": {"name": "api", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "api"}}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}});
        let pod = json!({"metadata": {"name": "api-1", "namespace": "shop", "uid": uid, "labels": {"app": "api"}},
            "status": {"phase": "Running", "containerStatuses": [container]}});
        let event = json!({"metadata": {}, "type": "Warning", "reason": "Unhealthy", "message": REFUSED, "count": 1,
            "involvedObject": {"kind": "Pod", "name": "api-1", "uid": uid}});
        vec![NamespaceSnapshot {
            namespace: "shop".into(),
            deployments: vec![object(deployment)],
            pods: vec![object(pod)],
            events: vec![object(event)],
            ..NamespaceSnapshot::default()
        }]
    }

    #[tokio::test]
    async fn a_probe_that_keeps_failing_is_told_once_within_five_seconds_of_its_first_event() {
        let workloads = [Workload {
            kind: WorkloadKind::Deployment,
            namespace: "shop".into(),
            name: "api".into(),
            expires: false,
        }];
        let began = Instant::now();
        let mut probes = FailingProbes::default();
        let mut told = |second: u64, snapshots: &[NamespaceSnapshot]| -> Vec<String> {
            let now = began + Duration::from_secs(second);
            let news = probes.news(&assess(&workloads, snapshots), snapshots, now);
            news.iter().map(PodFailure::summary).collect()
        };
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let failing = snapshot("a", running.clone());
        assert!(told(0, &failing).is_empty(), "it may only be starting");
        assert!(told(2, &failing).is_empty());
        // A new pod starts anew.
        assert!(told(4, &snapshot("b", running.clone())).is_empty());
        let crashed = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert!(
            told(6, &snapshot("b", crashed)).is_empty(),
            "the crash is told"
        );
        assert!(told(8, &failing).is_empty());
        let line = format!("pod `api-1` runs but is not healthy: {}", REFUSED.trim());
        assert_eq!(told(11, &failing), [line]);
        assert!(told(12, &failing).is_empty());
        assert!(told(20, &snapshot("c", running)).is_empty());
    }
}
