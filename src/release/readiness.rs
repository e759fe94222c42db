//! Waits until a release's workloads are ready, and reports meanwhile why they are not.
//!
//! Watches instead of `helm --wait`: every failing pod is explained as it fails, a crash that
//! recovers is no failure, and an API server that is away for a moment does not end the wait.

mod hint;
mod init_log;
mod now;
mod probes;
pub(crate) mod refused_pods;
mod snapshot;
mod startup;
mod stuck;
mod verdict;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use tokio::time::Instant;

use super::crash::{self, PodFailure, Reason, Report};
use super::manifest::Workload;
use crate::error::{Code, Error, Result};
use crate::ui::event::Step;
use hint::InitWait;
use init_log::InitLogs;
pub use now::is_ready;
use probes::FailingProbes;
use snapshot::{Assessment, Heard, NamespaceSnapshot, Watched};
pub(super) use snapshot::{Streams, watch};
use verdict::Conditions;

/// This many restarts are a crash loop, once everything that the program could wait for is ready.
const CRASH_LOOP_RESTARTS: i32 = 3;
/// Waits until all workloads are ready. Progress goes to `step`: the counts, and each failure once
/// with its last log lines. helm has applied them: a Job that is gone because its time to live is over has ended.
///
/// # Errors
/// [`Code::ReleaseNotReady`] after `timeout`, or earlier if it is certain that waiting is of no use:
/// an image that cannot be pulled, a failed job, a container that cannot be created for
/// 10 seconds, a crash loop when nothing else is pending. [`Code::ClusterUnreachable`] if
/// the API server does not answer when the time is over.
pub async fn wait_ready(
    client: &Client,
    namespace: &str,
    workloads: &[Workload],
    timeout: Duration,
    step: &Step,
) -> Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    let (watched, mut streams) = Watched::all(client, workloads, Some(namespace));
    let mut wait = Wait {
        client,
        step,
        conditions: Conditions::new(),
        told: HashSet::new(),
        probes: FailingProbes::default(),
        progress: String::new(),
        init_logs: InitLogs::default(),
        proving: HashMap::new(),
        replaced: HashSet::new(),
        away: None,
    };
    let began = Instant::now();
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            Some(event) = streams.next() => wait.heard(event),
            _ = tick.tick() => {}
            () = &mut deadline => match wait.more_time(workloads, &watched) {
                Some(more) => deadline.as_mut().reset(Instant::now() + more),
                None => return wait.timed_out(began.elapsed(), workloads, &watched).await,
            },
        }
        if watched.iter().all(Watched::is_synced) && wait.poll(workloads, &watched).await? {
            return Ok(());
        }
    }
}

/// What the wait has seen and reported so far.
struct Wait<'a> {
    client: &'a Client,
    step: &'a Step,
    conditions: Conditions,
    /// Failures that were explained: workload, container, reason, exit code.
    told: HashSet<(String, Option<String>, Reason, Option<i32>)>,
    probes: FailingProbes,
    progress: String,
    init_logs: InitLogs,
    /// Container runs without a probe, and when each has lasted long enough.
    proving: HashMap<String, Instant>,
    /// The UIDs of pods that blocked a newer revision.
    replaced: HashSet<String>,
    /// The API server's last error, while it is away.
    away: Option<String>,
}

impl Wait<'_> {
    fn heard(&mut self, event: Heard) {
        match event {
            Ok(()) => self.away = None,
            Err(e) => {
                if self.away.is_none() {
                    self.step
                        .progress("the API server does not answer, trying again");
                }
                self.away = Some(e.to_string());
                self.progress.clear();
            }
        }
    }

    /// Reads and judges the current state; true when all workloads are ready.
    async fn poll(&mut self, workloads: &[Workload], watched: &[Watched]) -> Result<bool> {
        let snapshots: Vec<_> = watched.iter().map(Watched::snapshot).collect();
        let assessments = assess(workloads, &snapshots);
        if assessments.iter().all(Assessment::is_ready) {
            return Ok(self.all_proven(&assessments, Instant::now()));
        }
        self.init_logs.look(self.client, &assessments).await;
        self.tell_progress(&assessments);
        self.conditions.remember(&assessments, Instant::now());
        self.tell_failures(&assessments, &snapshots).await;
        for failure in self.probes.news(&assessments, &snapshots, Instant::now()) {
            let error = Error::new(Code::ReleaseNotReady, failure.summary());
            self.step.trouble(error);
        }
        self.replace_stuck(&assessments).await;
        if self.conditions.are_hopeless(&assessments, Instant::now()) {
            return Err(self
                .not_ready(&assessments, &snapshots, String::new())
                .await);
        }
        Ok(false)
    }

    /// True once no container run is too young, by the node's clock or by ours.
    fn all_proven(&mut self, assessments: &[Assessment<'_>], now: Instant) -> bool {
        let young: Vec<_> = assessments
            .iter()
            .filter(|a| !a.unproven.is_empty())
            .collect();
        let mut lasted = true;
        for (run, left) in young.iter().flat_map(|a| &a.unproven) {
            let proven_at = *self.proving.entry(run.clone()).or_insert(now + *left);
            lasted &= now >= proven_at;
        }
        if !lasted {
            let names = young
                .iter()
                .map(|a| a.workload.name.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            self.say(format!(
                "all ready: watching {names} for a moment, without a readiness probe"
            ));
        }
        lasted
    }

    /// Progress that is not repeated.
    fn say(&mut self, text: String) {
        if text != self.progress {
            self.step.progress(text.clone());
            self.progress = text;
        }
    }

    fn tell_progress(&mut self, assessments: &[Assessment<'_>]) {
        let names: Vec<_> = assessments
            .iter()
            .map(|a| a.workload.name.clone())
            .collect();
        let waiting: Vec<_> = assessments
            .iter()
            .filter(|a| !a.is_ready())
            .map(|a| match InitWait::of(&a.pods, &names) {
                Some(init) => {
                    let last = self.init_logs.last_line(&init);
                    format!("{}: {}", a.short(), init.text_with(last.as_deref()))
                }
                None => a.short(),
            })
            .collect();
        let ready = assessments.len() - waiting.len();
        let all = assessments.len();
        self.say(format!(
            "{ready} of {all} workloads ready: waiting for {}",
            waiting.join(", ")
        ));
    }

    async fn tell_failures(
        &mut self,
        assessments: &[Assessment<'_>],
        snapshots: &[NamespaceSnapshot],
    ) {
        for assessment in assessments {
            let name = assessment.workload.name.as_str();
            for failure in &assessment.failures {
                if !self.conditions.is_trouble(name, failure, Instant::now()) {
                    continue;
                }
                // The loop that follows a crash is the same crash.
                let reason = if failure.reason == Reason::CrashLoop {
                    Reason::Crash
                } else {
                    failure.reason
                };
                let key = (
                    assessment.workload.name.clone(),
                    failure.container.clone(),
                    reason,
                    failure.exit_code,
                );
                if self.told.insert(key) {
                    let report = self.report(failure, snapshots).await;
                    match failure.reason {
                        // Every program that takes a moment to start fails its probe at first.
                        Reason::Probe => self.step.progress(report.summary),
                        _ => self.step.trouble(
                            Error::new(Code::ReleaseNotReady, report.summary)
                                .evidence(report.lines.join("\n")),
                        ),
                    }
                }
            }
        }
    }

    /// Removes the broken pods that their StatefulSets wait for, each once.
    async fn replace_stuck(&mut self, assessments: &[Assessment<'_>]) {
        let stuck = assessments.iter().filter_map(|a| a.stuck.as_ref());
        for pod in stuck.filter(|pod| pod.is_replaced) {
            if self.replaced.insert(pod.uid.clone()) {
                pod.remove(self.client, self.step).await;
            }
        }
    }

    async fn report(&self, failure: &PodFailure, snapshots: &[NamespaceSnapshot]) -> Report {
        let logs = crash::logs(self.client, failure).await;
        let snapshot = snapshots.iter().find(|s| s.namespace == failure.namespace);
        crash::explain(failure, snapshot.map_or(&[][..], |s| &s.events), &logs)
    }

    /// The time that a startup probe still allows, when the release's is over.
    fn more_time(&self, workloads: &[Workload], watched: &[Watched]) -> Option<Duration> {
        let snapshots: Vec<_> = watched.iter().map(Watched::snapshot).collect();
        let assessments = assess(workloads, &snapshots);
        let left = |assessment: &Assessment<'_>| {
            let pods = assessment.pods.iter();
            pods.filter_map(|pod| startup::time_left(pod, Timestamp::now()))
                .max()
        };
        let starting = assessments.iter().filter_map(|a| Some((left(a)?, a)));
        let (more, slowest) = starting.max_by_key(|(left, _)| *left)?;
        let name = &slowest.workload.name;
        self.step.progress(format!(
            "the release's timeout is over, and the startupProbe of `{name}` allows {} s more: waiting for that",
            more.as_secs()
        ));
        // The kubelet acts on the last probe a moment after it.
        Some(more + Duration::from_secs(1))
    }

    async fn timed_out(
        &self,
        timeout: Duration,
        workloads: &[Workload],
        watched: &[Watched],
    ) -> Result<()> {
        if let Some(cause) = &self.away {
            let message =
                "the API server does not answer, so nobody knows whether the release is ready";
            return Err(Error::new(Code::ClusterUnreachable, message)
                .evidence(cause)
                .hint("devk doctor"));
        }
        let snapshots: Vec<_> = watched.iter().map(Watched::snapshot).collect();
        let assessments = assess(workloads, &snapshots);
        if assessments.iter().all(Assessment::is_ready) {
            // Ready, only too young to be sure: the time is over, and nothing speaks against it.
            return Ok(());
        }
        Err(self
            .not_ready(
                &assessments,
                &snapshots,
                format!(" after {} s", timeout.as_secs()),
            )
            .await)
    }

    async fn not_ready(
        &self,
        assessments: &[Assessment<'_>],
        snapshots: &[NamespaceSnapshot],
        when: String,
    ) -> Error {
        let waiting: Vec<_> = assessments.iter().filter(|a| !a.is_ready()).collect();
        let known = self.known_names(&waiting).await;
        let init = |a: &Assessment<'_>| InitWait::of(&a.pods, &known);
        let first = hint::first(&waiting, &known);
        let names = waiting
            .iter()
            .map(|a| a.short())
            .collect::<Vec<_>>()
            .join(", ");
        let cause = |a: &Assessment<'_>| a.cause().or_else(|| Some(init(a)?.text()));
        let first_cause = first
            .and_then(&cause)
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        let mut error = Error::new(
            Code::ReleaseNotReady,
            format!("not ready{when}: {names}{first_cause}"),
        );
        for assessment in &waiting {
            let cause = cause(assessment);
            let said = init(assessment).map(|init| self.init_logs.lines(&init));
            error = error.evidence(self.evidence(assessment, cause, snapshots).await);
            error = error.evidence(said.unwrap_or_default().join("\n"));
        }
        let workloads: Vec<_> = assessments.iter().map(|a| a.workload.clone()).collect();
        match first {
            Some(first) => error.hint(hint::hint(first, init(first).as_ref(), &workloads)),
            None => error,
        }
    }

    /// The names of workloads and Services, one of which an init container may wait for.
    async fn known_names(&self, waiting: &[&Assessment<'_>]) -> Vec<String> {
        let mut names = vec![];
        let namespaces: BTreeSet<_> = waiting.iter().map(|a| &a.workload.namespace).collect();
        for namespace in namespaces {
            let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
            // Without them less is said.
            let found = services.list_metadata(&ListParams::default()).await;
            names.extend(
                found
                    .iter()
                    .flat_map(|list| &list.items)
                    .map(ResourceExt::name_any),
            );
        }
        names.extend(waiting.iter().map(|a| a.workload.name.clone()));
        names
    }

    async fn evidence(
        &self,
        assessment: &Assessment<'_>,
        cause: Option<String>,
        snapshots: &[NamespaceSnapshot],
    ) -> String {
        let mut lines: Vec<String> = cause.into_iter().collect();
        if let Some(failure) = assessment.failures.first() {
            lines.extend(self.report(failure, snapshots).await.lines);
        } else if let Some(snapshot) = snapshots
            .iter()
            .find(|s| s.namespace == assessment.workload.namespace)
        {
            lines.extend(snapshot.warnings(assessment.workload));
        }
        lines.join("\n")
    }
}

fn assess<'a>(workloads: &'a [Workload], snapshots: &[NamespaceSnapshot]) -> Vec<Assessment<'a>> {
    let of = |workload: &'a Workload| {
        snapshots
            .iter()
            .find(|s| s.namespace == workload.namespace)
            .map(|snapshot| snapshot.assess(workload))
    };
    workloads.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::release::manifest::WorkloadKind;
    use crate::release::workload::WorkloadState;
    use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
    use k8s_openapi::api::core::v1::{Event, Pod};
    use serde::de::DeserializeOwned;
    use std::sync::Arc;

    fn workload(name: &str) -> Workload {
        Workload {
            kind: WorkloadKind::Deployment,
            namespace: "shop".into(),
            name: name.into(),
            expires: false,
        }
    }

    fn object<K: DeserializeOwned>(value: Value) -> Arc<K> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// A Deployment of one replica, available or not.
    fn deployment(name: &str, available: i32) -> Arc<Deployment> {
        object(json!({
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available},
        }))
    }

    fn waiting_pod(app: &str, reason: &str, restarts: i32, image: &str) -> Arc<Pod> {
        let container = json!({"name": app, "image": image, "imageID": "", "ready": false, "restartCount": restarts,
            "state": {"waiting": {"reason": reason}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}});
        object(
            json!({"metadata": {"name": format!("{app}-1"), "namespace": "shop", "labels": {"app": app}},
            "status": {"phase": "Running", "containerStatuses": [container]}}),
        )
    }

    fn snapshot(deployments: Vec<Arc<Deployment>>, pods: Vec<Arc<Pod>>) -> Vec<NamespaceSnapshot> {
        vec![NamespaceSnapshot {
            namespace: "shop".into(),
            deployments,
            pods,
            ..NamespaceSnapshot::default()
        }]
    }

    fn is_hopeless(
        workloads: &[Workload],
        snapshots: &[NamespaceSnapshot],
        lasted: Duration,
    ) -> bool {
        let assessments = assess(workloads, snapshots);
        let mut conditions = Conditions::new();
        let now = Instant::now();
        conditions.remember(&assessments, now);
        conditions.are_hopeless(&assessments, now + lasted)
    }

    #[tokio::test]
    async fn a_crash_loop_is_fatal_only_when_nothing_else_is_pending() {
        let looping = |restarts| vec![waiting_pod("api", "CrashLoopBackOff", restarts, "api")];
        let both = [workload("api"), workload("db")];
        let starting = snapshot(vec![deployment("api", 0), deployment("db", 0)], looping(5));
        assert!(
            !is_hopeless(&both, &starting, Duration::ZERO),
            "the database may be what it waits for"
        );
        let alone = |restarts| {
            snapshot(
                vec![deployment("api", 0), deployment("db", 1)],
                looping(restarts),
            )
        };
        assert!(is_hopeless(&both, &alone(3), Duration::ZERO));
        assert!(!is_hopeless(&both, &alone(2), Duration::ZERO));
    }

    #[tokio::test]
    async fn only_an_image_of_devks_can_never_be_pulled() {
        let with = |image| {
            snapshot(
                vec![deployment("api", 0)],
                vec![waiting_pod("api", "ImagePullBackOff", 0, image)],
            )
        };
        assert!(is_hopeless(
            &[workload("api")],
            &with("devk.local/shop/api:0"),
            Duration::ZERO
        ));
        assert!(!is_hopeless(
            &[workload("api")],
            &with("postgres:17"),
            Duration::ZERO
        ));
    }

    #[tokio::test]
    async fn a_missing_secret_or_workload_is_fatal_only_if_it_lasts() {
        let config = snapshot(
            vec![deployment("api", 0)],
            vec![waiting_pod("api", "CreateContainerConfigError", 0, "x")],
        );
        let missing = snapshot(Vec::new(), Vec::new());
        for snapshots in [config, missing] {
            assert!(!is_hopeless(
                &[workload("api")],
                &snapshots,
                Duration::from_secs(9)
            ));
            assert!(is_hopeless(
                &[workload("api")],
                &snapshots,
                Duration::from_secs(11)
            ));
        }
    }

    fn job_event(reason: &str, kind: &str, second: u32) -> Arc<Event> {
        object(
            json!({"metadata": {}, "involvedObject": {"kind": "Job", "name": "seed"}, "type": kind,
            "reason": reason, "message": "told", "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z")}),
        )
    }

    #[tokio::test]
    async fn a_job_that_expired_is_done_unless_its_last_event_says_that_it_failed() {
        let expires = Workload {
            kind: WorkloadKind::Job,
            expires: true,
            ..workload("seed")
        };
        let with = |events| NamespaceSnapshot {
            namespace: "shop".into(),
            events,
            ..NamespaceSnapshot::default()
        };
        let state = |events| with(events).assess(&expires).state;
        let failed = job_event("BackoffLimitExceeded", "Warning", 2);
        assert_eq!(
            state(vec![]),
            WorkloadState::Ready,
            "its events may be gone, too"
        );
        assert_eq!(
            state(vec![job_event("FailedCreate", "Warning", 1)]),
            WorkloadState::Ready,
            "that was tried again"
        );
        assert_eq!(
            state(vec![failed.clone()]),
            WorkloadState::Failed("told".into())
        );
        assert_eq!(
            state(vec![job_event("Completed", "Normal", 1), failed.clone()]),
            WorkloadState::Failed("told".into())
        );
        assert_eq!(
            state(vec![failed.clone(), job_event("Completed", "Normal", 3)]),
            WorkloadState::Ready,
            "it ran again"
        );
        let workloads = [expires];
        let snapshots = [with(vec![failed])];
        assert!(
            !is_hopeless(&workloads, &snapshots, Duration::from_secs(9)),
            "a later event may be on its way"
        );
        assert!(is_hopeless(&workloads, &snapshots, Duration::from_secs(11)));
    }

    #[tokio::test]
    async fn a_job_without_a_time_to_live_that_is_not_there_is_missing() {
        let job = Workload {
            kind: WorkloadKind::Job,
            ..workload("seed")
        };
        assert_eq!(
            NamespaceSnapshot::default().assess(&job).state,
            WorkloadState::Missing
        );
    }

    #[tokio::test]
    async fn what_failed_is_named_before_what_is_merely_slow() {
        let workloads = [workload("slow"), workload("api")];
        let snapshots = snapshot(
            vec![deployment("slow", 0), deployment("api", 0)],
            vec![waiting_pod("api", "InvalidImageName", 0, "A:B:C")],
        );
        let assessments = assess(&workloads, &snapshots);
        assert_eq!(
            assessments
                .iter()
                .map(Assessment::short)
                .collect::<Vec<_>>(),
            ["slow (0/1)", "api (0/1)"]
        );
        assert_eq!(assessments[0].cause(), None);
        assert_eq!(
            assessments[1].cause().unwrap(),
            "container `api` of pod `api-1` has an invalid image name `A:B:C`"
        );
        assert!(is_hopeless(&workloads, &snapshots, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_server_that_is_not_ready_is_looked_at_before_the_program_that_crashes_without_it() {
        let crashing = |name: &str, server: &str| {
            let mut pod = (*waiting_pod(name, "CrashLoopBackOff", 4, "x")).clone();
            let env = json!([{"name": "DATABASE_URL", "value": format!("postgres://{server}.shop:5432/x")}]);
            pod.spec = serde_json::from_value(json!({"containers": [{"name": name, "env": env}]}))
                .unwrap();
            Arc::new(pod)
        };
        let first = |pods: Vec<Arc<Pod>>, ready: i32| {
            let names = ["api", "db"];
            let workloads = names.map(workload);
            let snapshots = snapshot(vec![deployment("api", 0), deployment("db", ready)], pods);
            let assessments = assess(&workloads, &snapshots);
            let waiting: Vec<_> = assessments.iter().filter(|a| !a.is_ready()).collect();
            hint::first(&waiting, &[]).unwrap().workload.name.clone()
        };
        assert_eq!(first(vec![crashing("api", "db")], 0), "db");
        assert_eq!(first(vec![crashing("api", "db")], 1), "api", "db is ready");
        assert_eq!(first(vec![crashing("api", "elsewhere")], 0), "api");
        let both = vec![crashing("api", "db"), crashing("db", "api")];
        assert_eq!(first(both, 0), "db", "two that name each other");
    }

    #[tokio::test]
    async fn a_broken_pod_of_an_older_revision_blocks_its_stateful_set() {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"name": "db", "generation": 2},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": {}},
            "status": {"observedGeneration": 2, "replicas": 1, "currentRevision": "a", "updateRevision": "b"},
        }))
        .unwrap();
        let mut pod = (*waiting_pod("db", "CrashLoopBackOff", 9, "x")).clone();
        pod.labels_mut()
            .insert("controller-revision-hash".into(), "a".into());
        let snapshot = NamespaceSnapshot {
            stateful_sets: vec![Arc::new(set)],
            pods: vec![Arc::new(pod)],
            ..NamespaceSnapshot::default()
        };
        let workload = Workload {
            kind: WorkloadKind::StatefulSet,
            ..workload("db")
        };
        assert_eq!(snapshot.assess(&workload).stuck.unwrap().name, "db-1");
    }

    /// A Deployment whose ReplicaSet may not make a pod.
    fn refused(name: &str, why: &str) -> Arc<Deployment> {
        let condition = json!({"type": "ReplicaFailure", "status": "True", "message": why});
        object(json!({
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {}},
            "status": {"observedGeneration": 1, "conditions": [condition]},
        }))
    }

    #[tokio::test]
    async fn a_pod_that_lacks_an_account_is_hopeless_and_one_that_lacks_quota_only_if_nothing_else_is_pending()
     {
        let both = [workload("api"), workload("db")];
        let with = |why| snapshot(vec![refused("api", why), deployment("db", 0)], vec![]);
        let [soon, later] = [9, 11].map(Duration::from_secs);
        let account = with("pods \"api-\" is forbidden: serviceaccount \"deployer\" not found");
        assert!(!is_hopeless(&both, &account, soon));
        assert!(is_hopeless(&both, &account, later));
        let quota = with("pods \"api-\" is forbidden: exceeded quota: small");
        assert!(
            !is_hopeless(&both, &quota, later),
            "`db` may give some back"
        );
        assert!(is_hopeless(&both[..1], &quota, later));
        let assessments = assess(&both, &account);
        assert_eq!(
            assessments[0].cause().unwrap(),
            "`api` gets no pod: pods \"api-\" is forbidden: serviceaccount \"deployer\" not found"
        );
    }

    #[tokio::test]
    async fn what_a_controller_said_long_ago_may_be_over() {
        let said = |time: String| {
            let event: Arc<Event> = object(json!({"metadata": {}, "reason": "FailedCreate",
                "involvedObject": {"kind": "ReplicaSet", "name": "api-5d"}, "lastTimestamp": time}));
            let why = "serviceaccount \"deployer\" not found";
            let mut all = snapshot(vec![refused("api", why)], vec![]);
            all[0].events = vec![event];
            is_hopeless(&[workload("api")], &all, Duration::from_secs(60))
        };
        assert!(!said("2026-01-01T00:00:00Z".to_owned()));
        assert!(said(Timestamp::now().to_string()));
    }

    #[tokio::test]
    async fn a_claim_that_is_being_made_is_trouble_only_if_it_lasts() {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "pod has unbound immediate PersistentVolumeClaims"});
        let pod = object(
            json!({"metadata": {"name": "db-1", "labels": {"app": "db"}},
            "status": {"phase": "Pending", "conditions": [condition]}}),
        );
        let workloads = [workload("db")];
        let snapshots = snapshot(vec![deployment("db", 0)], vec![pod]);
        let assessments = assess(&workloads, &snapshots);
        let failure = &assessments[0].failures[0];
        let mut conditions = Conditions::new();
        let now = Instant::now();
        conditions.remember(&assessments, now);
        let is_trouble =
            |seconds| conditions.is_trouble("db", failure, now + Duration::from_secs(seconds));
        assert!(!is_trouble(3));
        assert!(is_trouble(5));
    }
}
