//! What the API server says of a namespace at one moment, and what that means for each workload.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::CRASH_LOOP_RESTARTS;
use super::refused_pods;
use super::stuck::StuckPod;
use crate::release::crash::{self, PodFailure, Reason};
use crate::release::manifest::{Workload, WorkloadKind};
use crate::release::workload::{self, WorkloadState};

/// The live view of one namespace.
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) deployments: Store<Deployment>,
    pub(super) stateful_sets: Store<StatefulSet>,
    pub(super) daemon_sets: Store<DaemonSet>,
    pub(super) jobs: Store<Job>,
    pub(super) pods: Store<Pod>,
    pub(super) events: Store<Event>,
}

pub(in crate::release) type Heard = Result<(), watcher::Error>;

pub(in crate::release) type Streams = SelectAll<BoxStream<'static, Heard>>;

impl Watched {
    /// The namespaces of the workloads, and `also`.
    pub(super) fn all(
        client: &Client,
        workloads: &[Workload],
        also: Option<&str>,
    ) -> (Vec<Self>, Streams) {
        let of_workloads = workloads.iter().map(|w| w.namespace.as_str());
        let namespaces: BTreeSet<&str> = of_workloads.chain(also).collect();
        let mut streams = SelectAll::new();
        let namespaces = namespaces.into_iter();
        let watched = namespaces.map(|name| Self::start(client, name, &mut streams));
        (watched.collect(), streams)
    }

    fn start(client: &Client, namespace: &str, streams: &mut Streams) -> Self {
        Self {
            name: namespace.to_owned(),
            deployments: watch(client, namespace, streams),
            stateful_sets: watch(client, namespace, streams),
            daemon_sets: watch(client, namespace, streams),
            jobs: watch(client, namespace, streams),
            pods: watch(client, namespace, streams),
            events: watch(client, namespace, streams),
        }
    }

    /// True once every first list is in: before that, an object that is not there means nothing.
    pub(super) fn is_synced(&self) -> bool {
        self.deployments.wait_until_ready().now_or_never().is_some()
            && self
                .stateful_sets
                .wait_until_ready()
                .now_or_never()
                .is_some()
            && self.daemon_sets.wait_until_ready().now_or_never().is_some()
            && self.jobs.wait_until_ready().now_or_never().is_some()
            && self.pods.wait_until_ready().now_or_never().is_some()
            && self.events.wait_until_ready().now_or_never().is_some()
    }

    pub(super) fn snapshot(&self) -> NamespaceSnapshot {
        NamespaceSnapshot {
            namespace: self.name.clone(),
            deployments: self.deployments.state(),
            stateful_sets: self.stateful_sets.state(),
            daemon_sets: self.daemon_sets.state(),
            jobs: self.jobs.state(),
            pods: self.pods.state(),
            events: self.events.state(),
        }
    }
}

/// A watch that lists again after every error, with a growing pause.
pub(in crate::release) fn watch<K>(
    client: &Client,
    namespace: &str,
    streams: &mut Streams,
) -> Store<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + fmt::Debug + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let objects = watcher(
        Api::<K>::namespaced(client.clone(), namespace),
        watcher::Config::default(),
    );
    streams.push(
        objects
            .default_backoff()
            .reflect(writer)
            .map(|event| event.map(drop))
            .boxed(),
    );
    reader
}

/// One namespace at one moment.
#[derive(Debug, Default)]
pub(super) struct NamespaceSnapshot {
    pub(super) namespace: String,
    pub(super) deployments: Vec<Arc<Deployment>>,
    pub(super) stateful_sets: Vec<Arc<StatefulSet>>,
    pub(super) daemon_sets: Vec<Arc<DaemonSet>>,
    pub(super) jobs: Vec<Arc<Job>>,
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) events: Vec<Arc<Event>>,
}

/// Finds the pods that speak for a workload.
type PodsOf<K> = fn(&K, &[Arc<Pod>]) -> Vec<Arc<Pod>>;

/// The state of a workload.
#[derive(Debug)]
pub(super) struct Assessment<'a> {
    pub(super) workload: &'a Workload,
    pub(super) state: WorkloadState,
    pub(super) failures: Vec<PodFailure>,
    /// Its pods, unless it is ready.
    pub(super) pods: Vec<Arc<Pod>>,
    /// A broken pod that its StatefulSet will not replace.
    pub(super) stuck: Option<StuckPod>,
    /// Container runs that are too young to be trusted, and how long they still have to last.
    pub(super) unproven: Vec<(String, Duration)>,
}

impl NamespaceSnapshot {
    pub(super) fn assess<'a>(&self, workload: &'a Workload) -> Assessment<'a> {
        let mut stuck = None;
        let mut refused = None;
        let (state, pods) = match workload.kind {
            WorkloadKind::Deployment => {
                let object = find(&self.deployments, workload);
                refused = object.and_then(|o| refused_pods::of_deployment(o, &self.events));
                self.assess_with(object, workload::deployment, workload::deployment_pods)
            }
            WorkloadKind::StatefulSet => {
                let set = find(&self.stateful_sets, workload);
                stuck = set.and_then(|set| self.stuck_pod(set));
                refused = set.and_then(|set| refused_pods::of_stateful_set(set, &self.events));
                self.assess_with(set, workload::stateful_set, workload::stateful_set_pods)
            }
            WorkloadKind::DaemonSet => {
                let object = find(&self.daemon_sets, workload);
                refused = object.and_then(|o| refused_pods::of_daemon_set(o, &self.events));
                self.assess_with(object, workload::daemon_set, workload::daemon_set_pods)
            }
            WorkloadKind::Job => match find(&self.jobs, workload) {
                None if workload.expires => (self.expired(workload), Vec::new()),
                job => {
                    refused = job.and_then(|job| refused_pods::of_job(job, &self.events));
                    self.assess_with(job, workload::job, workload::job_pods)
                }
            },
            WorkloadKind::Pod => {
                let pod = find(&self.pods, workload);
                (
                    pod.map_or(WorkloadState::Missing, |pod| workload::pod(pod)),
                    pod.cloned().into_iter().collect(),
                )
            }
        };
        let state = if workload.kind == WorkloadKind::Job {
            state
        } else {
            workload::confirmed(state, &pods)
        };
        if state == WorkloadState::Ready {
            let is_job = workload.kind == WorkloadKind::Job;
            let unproven = pods
                .iter()
                .filter(|_| !is_job)
                .flat_map(|pod| workload::unproven(pod, Timestamp::now()));
            return Assessment {
                workload,
                state,
                failures: Vec::new(),
                pods: Vec::new(),
                stuck: None,
                unproven: unproven.collect(),
            };
        }
        let of_pods = pods
            .iter()
            .filter_map(|pod| crash::failure(pod, &self.events));
        Assessment {
            workload,
            state,
            failures: refused.into_iter().chain(of_pods).collect(),
            pods,
            stuck,
            unproven: Vec::new(),
        }
    }

    fn assess_with<K>(
        &self,
        object: Option<&Arc<K>>,
        state: fn(&K) -> WorkloadState,
        pods: PodsOf<K>,
    ) -> (WorkloadState, Vec<Arc<Pod>>) {
        object.map_or((WorkloadState::Missing, Vec::new()), |object| {
            (state(object), pods(object, &self.pods))
        })
    }

    /// How a Job ended that Kubernetes has removed since, as its manifest asks. helm made it before anybody waited
    /// for it, so it did exist. Its last event tells; events are kept for an hour, and without one it counts as done.
    pub(super) fn expired(&self, workload: &Workload) -> WorkloadState {
        let about = |event: &&Event| {
            let object = &event.involved_object;
            object.kind.as_deref() == Some("Job") && object.name.as_ref() == Some(&workload.name)
        };
        workload::ended_job(self.events.iter().map(AsRef::as_ref).filter(about))
    }

    pub(super) fn stuck_pod(&self, set: &StatefulSet) -> Option<StuckPod> {
        let pods = workload::stateful_set_pods(set, &self.pods);
        let broken = |pod: &&Arc<Pod>| {
            workload::is_outdated(set, pod) && crash::failure(pod, &self.events).is_some()
        };
        pods.iter().find(broken).map(|pod| StuckPod::of(set, pod))
    }

    /// Warnings about anything that carries the workload's name: its pods, its ReplicaSets, itself.
    pub(super) fn warnings(&self, workload: &Workload) -> Vec<String> {
        let about = |event: &&Event| {
            let name = event.involved_object.name.as_deref().unwrap_or_default();
            name.strip_prefix(&workload.name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        crash::warnings(self.events.iter().map(AsRef::as_ref).filter(about))
    }
}

fn find<'a, K: ResourceExt>(objects: &'a [Arc<K>], workload: &Workload) -> Option<&'a Arc<K>> {
    objects
        .iter()
        .find(|object| object.name_any() == workload.name)
}

impl Assessment<'_> {
    pub(super) fn is_ready(&self) -> bool {
        self.state == WorkloadState::Ready
    }

    /// `api (0/1)`
    pub(super) fn short(&self) -> String {
        match &self.state {
            WorkloadState::Waiting { ready, wanted } => {
                format!("{} ({ready}/{wanted})", self.workload.name)
            }
            WorkloadState::Missing => format!("{} (does not exist)", self.workload.name),
            WorkloadState::Failed(_) => format!("{} (failed)", self.workload.name),
            WorkloadState::Ready => self.workload.name.clone(),
        }
    }

    pub(super) fn loops(&self) -> bool {
        let counts = |f: &PodFailure| {
            matches!(f.reason, Reason::CrashLoop | Reason::OutOfMemory)
                && f.restarts >= CRASH_LOOP_RESTARTS
        };
        self.failures.iter().any(counts)
    }

    /// Why it is not ready, in one line.
    pub(super) fn cause(&self) -> Option<String> {
        let kind = self.workload.kind.noun();
        match &self.state {
            WorkloadState::Failed(why) => {
                Some(format!("{kind} `{}` failed: {why}", self.workload.name))
            }
            WorkloadState::Missing => {
                Some(format!("{kind} `{}` does not exist", self.workload.name))
            }
            _ => self.failures.first().map(PodFailure::summary),
        }
    }
}
