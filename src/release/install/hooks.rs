//! The hooks of a release while helm runs them: why their pods do not run is told at once, and their last words are
//! kept. Afterwards it is too late: helm removes a failed hook with its pods if its delete policy says so.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, SelectAll};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::{Client, Resource, ResourceExt};

use crate::error::{Code, Error};
use crate::release::crash::{self, PodFailure, Report};
use crate::release::readiness::{Streams, refused_pods, watch};
use crate::ui::event::Step;

/// helm's note that an object is a hook.
const HOOK_ANNOTATION: &str = "helm.sh/hook";
/// So many lines of each container are kept.
const KEPT_LINES: usize = 10;
/// How long a log that is still being read is waited for when helm has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The last lines of one run of a container.
type Lines = Arc<Mutex<VecDeque<String>>>;

/// A container of a pod, by the pod's UID, its own name and the count of its restarts.
type Run = (String, String, i32);

/// A hook that failed: its own name, what happened, and its last lines.
pub(super) struct HookReport {
    pub(super) hook: String,
    pub(super) report: Report,
}

/// A pod of a hook, by its UID; of a Job that gets no pod, that of the Job.
struct FailedPod {
    uid: String,
    hook: String,
    failure: PodFailure,
}

/// What is in one namespace.
struct Watched {
    jobs: Store<Job>,
    pods: Store<Pod>,
    events: Store<Event>,
}

impl Watched {
    fn start(client: &Client, namespace: &str, streams: &mut Streams) -> Self {
        Self {
            jobs: watch(client, namespace, streams),
            pods: watch(client, namespace, streams),
            events: watch(client, namespace, streams),
        }
    }

    fn is_listed(&self) -> bool {
        self.pods.wait_until_ready().now_or_never().is_some()
    }
}

/// What is seen of a release's hooks.
pub(super) struct HookWatch<'a> {
    client: &'a Client,
    step: &'a Step,
    namespaces: Vec<Watched>,
    /// Pods that were there before; they are of an earlier run.
    earlier: Option<HashSet<String>>,
    /// The UIDs of Jobs that are hooks, kept when helm has removed the Job.
    hook_jobs: HashSet<String>,
    logs: HashMap<Run, Lines>,
    /// Runs whose logs are read to their end.
    ended: HashSet<Run>,
    /// The last failure of each pod, in the order of the first of each.
    failures: Vec<FailedPod>,
    told: HashSet<String>,
}

impl<'a> HookWatch<'a> {
    /// Runs `work`, and watches the hooks meanwhile. Returns the reports on those that failed beside its result.
    pub(super) async fn during<T>(
        client: &'a Client,
        namespaces: &BTreeSet<String>,
        step: &'a Step,
        work: impl Future<Output = T>,
    ) -> (T, Vec<HookReport>) {
        let mut streams: Streams = SelectAll::new();
        let mut watch = Self {
            client,
            step,
            namespaces: namespaces
                .iter()
                .map(|namespace| Watched::start(client, namespace, &mut streams))
                .collect(),
            earlier: None,
            hook_jobs: HashSet::new(),
            logs: HashMap::new(),
            ended: HashSet::new(),
            failures: vec![],
            told: HashSet::new(),
        };
        let mut reading = FuturesUnordered::new();
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                Some(_) = streams.next() => reading.extend(watch.look()),
                Some(run) = reading.next(), if !reading.is_empty() => watch.has_ended(run),
            }
        };
        let drained = async { while reading.next().await.is_some() {} };
        // What is not read by then is left out.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
        let reports = watch.failures.iter().map(|known| watch.report(known));
        (result, reports.collect())
    }

    /// Looks at the hooks as they are now; returns the logs that are to be read from now on.
    fn look(&mut self) -> Vec<impl Future<Output = Run> + use<>> {
        let pods = self.state(|watched| &watched.pods);
        let uid = |pod: &Pod| pod.uid().unwrap_or_default();
        let Some(earlier) = &self.earlier else {
            if self.namespaces.iter().all(Watched::is_listed) {
                self.earlier = Some(pods.iter().map(|pod| uid(pod)).collect());
            }
            return vec![];
        };
        let jobs = self.state(|watched| &watched.jobs);
        let hook_jobs = jobs.iter().filter(|job| has_hook_annotation(job.as_ref()));
        self.hook_jobs.extend(hook_jobs.filter_map(|job| job.uid()));
        let hooks: Vec<_> = pods
            .into_iter()
            .filter(|pod| !earlier.contains(&uid(pod)) && is_hook(pod, &self.hook_jobs))
            .collect();
        self.look_at_refused(&jobs);
        let events = self.events();
        let mut reading = vec![];
        for pod in &hooks {
            reading.extend(self.follow(pod));
            if let Some(failure) = crash::failure(pod, &events) {
                self.failed(pod.uid(), hook_of(pod), failure);
            }
        }
        self.tell_ended();
        reading
    }

    fn state<K>(&self, of: impl Fn(&Watched) -> &Store<K>) -> Vec<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let namespaces = self.namespaces.iter();
        namespaces.flat_map(|watched| of(watched).state()).collect()
    }

    fn events(&self) -> Vec<Arc<Event>> {
        self.state(|watched| &watched.events)
    }

    /// Starts to read the logs of the containers that have started since.
    fn follow(&mut self, pod: &Pod) -> Vec<impl Future<Output = Run> + use<>> {
        let status = pod.status.iter();
        let containers = status.flat_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
        });
        let mut reading = vec![];
        for container in containers {
            let has_run = container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some() || state.terminated.is_some());
            let run = (
                pod.uid().unwrap_or_default(),
                container.name.clone(),
                container.restart_count,
            );
            if !has_run || self.logs.contains_key(&run) {
                continue;
            }
            let lines = Lines::default();
            self.logs.insert(run.clone(), lines.clone());
            let pods: Api<Pod> =
                Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
            let (pod, container) = (pod.name_any(), container.name.clone());
            reading.push(async move {
                let keep = |line: String| {
                    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    if lines.len() == KEPT_LINES {
                        lines.pop_front();
                    }
                    lines.push_back(line);
                };
                crash::follow_log(&pods, &pod, &container, keep).await;
                run
            });
        }
        reading
    }

    /// A hook without a pod waits for as long as helm's time-out is.
    fn look_at_refused(&mut self, jobs: &[Arc<Job>]) {
        let events = self.events();
        for job in jobs.iter().filter(|job| has_hook_annotation(job.as_ref())) {
            if let Some(failure) = refused_pods::of_job(job, &events) {
                self.failed(job.uid(), job.name_any(), failure);
            }
        }
    }

    fn failed(&mut self, uid: Option<String>, hook: String, failure: PodFailure) {
        // What ended is told with its log, when all of that is read.
        if !failure.has_logs() {
            self.tell(format!("hook `{hook}`: {}", failure.summary()), "");
        }
        let uid = uid.unwrap_or_default();
        match self.failures.iter_mut().find(|known| known.uid == uid) {
            Some(known) => known.failure = failure,
            None => self.failures.push(FailedPod { uid, hook, failure }),
        }
    }

    fn has_ended(&mut self, run: Run) {
        self.ended.insert(run);
        self.tell_ended();
    }

    /// Tells of the containers that failed and whose logs are complete.
    fn tell_ended(&mut self) {
        let is_read = |known: &&FailedPod| {
            let container = known.failure.container.as_ref();
            let of_run = |run: &Run| run.0 == known.uid && container == Some(&run.1);
            known.failure.has_logs() && self.ended.iter().any(of_run)
        };
        let reports: Vec<_> = self
            .failures
            .iter()
            .filter(is_read)
            .map(|known| self.report(known))
            .collect();
        for HookReport { hook, report } in reports {
            let message = format!("hook `{hook}`: {}", report.summary);
            self.tell(message, &report.lines.join("\n"));
        }
    }

    /// Each trouble once.
    fn tell(&mut self, message: String, evidence: &str) {
        if self.told.insert(message.clone()) {
            let error = Error::new(Code::ReleaseApply, message);
            self.step.trouble(error.evidence(evidence));
        }
    }

    fn report(&self, known: &FailedPod) -> HookReport {
        let log = self.log(&known.uid, &known.failure);
        HookReport {
            hook: known.hook.clone(),
            report: crash::explain(&known.failure, &self.events(), &log),
        }
    }

    /// The last lines of the last run of the container that said something.
    fn log(&self, uid: &str, failure: &PodFailure) -> String {
        let of_container = |(pod, container, _): &Run| {
            pod == uid
                && failure
                    .container
                    .as_ref()
                    .is_none_or(|name| name == container)
        };
        let mut runs: Vec<_> = self
            .logs
            .iter()
            .filter(|(run, _)| of_container(run))
            .collect();
        runs.sort_by_key(|((_, _, restarts), _)| *restarts);
        let texts = runs.into_iter().rev().map(|(_, lines)| {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        });
        texts
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }
}

fn has_hook_annotation(object: &impl ResourceExt) -> bool {
    object.annotations().contains_key(HOOK_ANNOTATION)
}

/// The name of the hook that a pod is, or is of.
fn hook_of(pod: &Pod) -> String {
    let owners = pod.owner_references();
    owners
        .first()
        .map_or_else(|| pod.name_any(), |owner| owner.name.clone())
}

/// A hook itself, or made by a Job that is one.
fn is_hook(pod: &Pod, hook_jobs: &HashSet<String>) -> bool {
    let owners = pod.owner_references().iter();
    has_hook_annotation(pod)
        || owners
            .into_iter()
            .any(|owner| hook_jobs.contains(&owner.uid))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn pods_of_a_hooks_job_are_hooks_and_those_of_other_jobs_are_not() {
        let jobs = HashSet::from(["hook".to_owned()]);
        let pod =
            |meta: Value| -> Pod { serde_json::from_value(json!({"metadata": meta})).unwrap() };
        let owned = |uid: &str| {
            pod(json!({"name": "p", "ownerReferences":
                [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": uid}]}))
        };
        assert!(is_hook(&owned("hook"), &jobs));
        assert!(!is_hook(&owned("seed"), &jobs));
        assert!(is_hook(
            &pod(json!({"name": "p", "annotations": {HOOK_ANNOTATION: "test"}})),
            &jobs
        ));
        assert!(!is_hook(&pod(json!({"name": "p"})), &jobs));
    }
}
