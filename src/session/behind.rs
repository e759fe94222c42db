//! What is behind a Service that has no Ready pod, and whether a pod is to be expected there: read from the Service, its
//! EndpointSlices, its pods, and the workloads whose pods it selects, as the cluster has them now.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Client, ResourceExt};
use tokio::time::timeout;

use super::target::{Slice, Snapshot, Target, choose};
use crate::cluster::pod::is_ready;
use crate::release::labels::{has_all, words};

mod pod_source;
mod ports;

use pod_source::{Asks, PodSource, controller, list};

/// How long the API server may take to list the objects of a namespace.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How a reason says that a pod is there and not Ready.
pub(crate) const NOT_READY: &str = "is not Ready";
/// How a reason says that a workload is scaled to zero.
pub(crate) const NO_REPLICAS: &str = "has 0 replicas";

/// What a forward finds behind its Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// A Ready pod.
    Ready,
    /// Something asks for a pod there, and none is Ready: the text says why, as far as it shows.
    Expected(String),
    /// Nothing asks for a pod there now: the text says why. A pod may come later.
    Nothing(String),
    /// The pods are there, and none has the port to which the Service leads: the text says which they have.
    NoPort(String),
}

impl Behind {
    /// Why a connection waits; None if a pod is Ready.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Expected(why) => Some(format!("no Ready pod: {why}")),
            Self::Nothing(why) => Some(format!("no pod: {why}")),
            Self::NoPort(why) => Some(format!("no port: {why}")),
        }
    }
}

/// The objects of a namespace that say what is behind its Services.
#[derive(Debug, Default)]
pub struct NamespaceObjects {
    namespace: String,
    services: Vec<Service>,
    slices: Vec<EndpointSlice>,
    pods: Vec<Pod>,
    workloads: Vec<PodSource>,
}

/// The lists that [`NamespaceObjects`] are made of.
#[derive(Debug, Default)]
pub struct NamespaceLists {
    pub services: Vec<Service>,
    pub slices: Vec<EndpointSlice>,
    pub pods: Vec<Pod>,
    pub deployments: Vec<Deployment>,
    pub stateful_sets: Vec<StatefulSet>,
    pub daemon_sets: Vec<DaemonSet>,
    pub replica_sets: Vec<ReplicaSet>,
    pub jobs: Vec<Job>,
    pub cron_jobs: Vec<CronJob>,
}

/// Looks what a forward leads to. What cannot be read counts as a pod that is expected.
pub async fn look(client: &Client, target: &Target) -> Behind {
    match NamespaceObjects::read(client, &target.namespace).await {
        Ok(objects) => objects.behind(target),
        Err(why) => Behind::Expected(why),
    }
}

impl NamespaceObjects {
    /// Reads a namespace.
    ///
    /// # Errors
    /// A text: why the API server did not tell all.
    pub async fn read(client: &Client, namespace: &str) -> Result<Self, String> {
        timeout(READ_TIMEOUT, Self::read_all(client, namespace))
            .await
            .unwrap_or_else(|_| {
                let waited = READ_TIMEOUT.as_secs();
                Err(format!("no answer of the API server within {waited} s"))
            })
    }

    async fn read_all(client: &Client, namespace: &str) -> Result<Self, String> {
        let (services, slices, pods) = tokio::try_join!(
            list::<Service>(client, namespace),
            list::<EndpointSlice>(client, namespace),
            list::<Pod>(client, namespace),
        )?;
        let (deployments, stateful_sets, daemon_sets, replica_sets, jobs, cron_jobs) = tokio::try_join!(
            list::<Deployment>(client, namespace),
            list::<StatefulSet>(client, namespace),
            list::<DaemonSet>(client, namespace),
            list::<ReplicaSet>(client, namespace),
            list::<Job>(client, namespace),
            list::<CronJob>(client, namespace),
        )?;
        let lists = NamespaceLists {
            services,
            slices,
            pods,
            deployments,
            stateful_sets,
            daemon_sets,
            replica_sets,
            jobs,
            cron_jobs,
        };
        Ok(Self::of(namespace, lists))
    }

    /// What somebody has read of the namespace already.
    pub fn of(namespace: &str, mut lists: NamespaceLists) -> Self {
        Self {
            namespace: namespace.to_owned(),
            services: std::mem::take(&mut lists.services),
            slices: std::mem::take(&mut lists.slices),
            pods: std::mem::take(&mut lists.pods),
            workloads: pod_source::all(lists),
        }
    }

    /// What a port of a Service leads to; the port by its number.
    pub fn behind_port(&self, service: &str, port: u16) -> Behind {
        let ports = self
            .service(service)
            .and_then(|s| s.spec.as_ref()?.ports.as_ref());
        let port = ports
            .into_iter()
            .flatten()
            .find(|found| found.port == i32::from(port));
        self.behind(&Target {
            namespace: self.namespace.clone(),
            service: service.to_owned(),
            port_name: port.and_then(|port| port.name.clone()).unwrap_or_default(),
        })
    }

    /// What a forward into this namespace leads to.
    pub fn behind(&self, target: &Target) -> Behind {
        if self.has_ready_pod(target) {
            return Behind::Ready;
        }
        let Some(service) = self.service(&target.service) else {
            return Behind::Expected(format!("there is no Service `{}`", target.service));
        };
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
            return Behind::Nothing(self.without_selector(&target.service));
        };
        let selected: Vec<_> = self
            .pods
            .iter()
            .filter(|pod| has_all(pod.labels(), &selector))
            .collect();
        let (ended, alive): (Vec<_>, Vec<_>) = selected.into_iter().partition(|pod| is_ended(pod));
        let (of_jobs, lasting): (Vec<_>, Vec<_>) =
            alive.into_iter().partition(|pod| is_of_job(pod));
        if let Some(why) = ports::missing(&lasting, service, &target.port_name) {
            return Behind::NoPort(why);
        }
        if let Some(pod) = lasting.first() {
            return Behind::Expected(unready(pod));
        }
        let workloads = self
            .workloads
            .iter()
            .filter(|workload| has_all(&workload.labels, &selector));
        let (asking, others): (Vec<_>, Vec<_>) =
            workloads.partition(|workload| matches!(workload.asks, Asks::Always));
        if let Some(workload) = asking.first() {
            return Behind::Expected(format!("{} has no pod yet", workload.name));
        }
        let of_jobs = of_jobs
            .iter()
            .map(|pod| format!("pod `{}` of a Job {NOT_READY}", pod.name_any()));
        let others = others.iter().filter_map(|workload| match &workload.asks {
            Asks::Always => None,
            Asks::Not(why) => Some(format!("{} {why}", workload.name)),
        });
        let ended = ended
            .iter()
            .map(|pod| format!("pod `{}` has ended", pod.name_any()));
        let nothing = || {
            format!(
                "nothing in the namespace has the labels `{}`",
                words(&selector)
            )
        };
        Behind::Nothing(
            of_jobs
                .chain(others)
                .chain(ended)
                .next()
                .unwrap_or_else(nothing),
        )
    }

    fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name_any() == name)
    }

    fn has_ready_pod(&self, target: &Target) -> bool {
        let slices = self
            .slices
            .iter()
            .map(|slice| (slice.name_any(), Slice::from(slice.clone())));
        let snapshot = Snapshot {
            slices: slices.collect(),
            ..Snapshot::default()
        };
        choose(&snapshot, target, &Default::default(), |_| true).is_some()
    }

    /// A Service without a selector may have EndpointSlices that somebody else writes.
    fn without_selector(&self, service: &str) -> String {
        let slices = self
            .slices
            .iter()
            .filter(|slice| Slice::from((*slice).clone()).service == service);
        let endpoints = slices.flat_map(|slice| slice.endpoints.iter());
        let addresses: Vec<_> = endpoints
            .flat_map(|endpoint| endpoint.addresses.iter().map(String::as_str))
            .collect();
        match &addresses[..] {
            [] => "the Service has no selector".to_owned(),
            [..] => format!(
                "the Service has no selector, and forwards lead to pods, not to {}",
                addresses.join(", ")
            ),
        }
    }
}

/// No container of the pod runs any more, or soon none will.
fn is_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_of_job(pod: &Pod) -> bool {
    controller(pod.owner_references()).is_some_and(|owner| owner.kind == "Job")
}

/// Why a pod that runs serves no connection.
fn unready(pod: &Pod) -> String {
    let name = pod.name_any();
    if !is_ready(pod) {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        return format!("pod `{name}` {NOT_READY} ({})", phase.unwrap_or("Pending"));
    }
    format!("pod `{name}` is Ready, and no EndpointSlice has it yet")
}

#[cfg(test)]
mod tests;
