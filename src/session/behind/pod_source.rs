//! What makes the pods of a namespace, and what of it asks for pods now.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{NO_REPLICAS, NamespaceLists};
use crate::error::chain;
use crate::release::labels::PodLabels;

/// A workload.
#[derive(Debug)]
pub(super) struct PodSource {
    /// ``Deployment `api` ``.
    pub(super) name: String,
    /// The labels of its pods.
    pub(super) labels: PodLabels,
    pub(super) asks: Asks,
}

/// Whether it asks for pods.
#[derive(Debug)]
pub(super) enum Asks {
    /// For one at least.
    Always,
    /// For none now, with the words that follow the workload's name.
    Not(String),
}

/// Every workload of the kinds that Kubernetes has, except the ReplicaSets of Deployments.
pub(super) fn all(lists: NamespaceLists) -> Vec<PodSource> {
    let workloads = lists.deployments.into_iter().filter_map(of_deployment);
    let workloads = workloads
        .chain(lists.stateful_sets.into_iter().filter_map(of_stateful_set))
        .chain(lists.daemon_sets.into_iter().filter_map(of_daemon_set))
        .chain(lists.replica_sets.into_iter().filter_map(of_replica_set))
        .chain(lists.jobs.into_iter().filter_map(of_job))
        .chain(lists.cron_jobs.into_iter().filter_map(of_cron_job));
    workloads.collect()
}

pub(super) async fn list<K>(client: &Client, namespace: &str) -> Result<Vec<K>, String>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let objects = Api::<K>::namespaced(client.clone(), namespace);
    let listed = objects.list(&ListParams::default()).await;
    listed.map(|list| list.items).map_err(|e| chain(&e))
}

pub(super) fn controller(references: &[OwnerReference]) -> Option<&OwnerReference> {
    references
        .iter()
        .find(|owner| owner.controller == Some(true))
}

fn replicated(name: String, pods: Option<ObjectMeta>, replicas: Option<i32>) -> PodSource {
    // The API server's default is 1.
    let asks = match replicas {
        Some(0) => Asks::Not(NO_REPLICAS.to_owned()),
        _ => Asks::Always,
    };
    source(name, pods, asks)
}

fn source(name: String, pods: Option<ObjectMeta>, asks: Asks) -> PodSource {
    PodSource {
        name,
        labels: pods.and_then(|pods| pods.labels).unwrap_or_default(),
        asks,
    }
}

fn named<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} `{}`", K::kind(&()), object.name_any())
}

fn of_deployment(object: Deployment) -> Option<PodSource> {
    let name = named(&object);
    let spec = object.spec?;
    Some(replicated(name, spec.template.metadata, spec.replicas))
}

fn of_stateful_set(object: StatefulSet) -> Option<PodSource> {
    let name = named(&object);
    let spec = object.spec?;
    Some(replicated(name, spec.template.metadata, spec.replicas))
}

/// One that no Deployment owns: another controller does, such as an Argo Rollout, or none.
fn of_replica_set(object: ReplicaSet) -> Option<PodSource> {
    let name = match controller(object.owner_references()) {
        Some(owner) if owner.kind == "Deployment" => return None,
        Some(owner) => format!("{} `{}`", owner.kind, owner.name),
        None => named(&object),
    };
    let spec = object.spec?;
    Some(replicated(name, spec.template?.metadata, spec.replicas))
}

fn of_daemon_set(object: DaemonSet) -> Option<PodSource> {
    let name = named(&object);
    let asks = match object.status.map(|s| s.desired_number_scheduled) {
        Some(0) => Asks::Not("fits no node of the cluster".to_owned()),
        _ => Asks::Always,
    };
    Some(source(name, object.spec?.template.metadata, asks))
}

fn of_job(object: Job) -> Option<PodSource> {
    let name = named(&object);
    let spec = object.spec?;
    let conditions = object.status.and_then(|status| status.conditions);
    let is = |kind: &str| {
        let mut conditions = conditions.iter().flatten();
        conditions.any(|c| c.type_ == kind && c.status == "True")
    };
    let why = if is("Complete") {
        "has ended"
    } else if is("Failed") {
        "has failed"
    } else if spec.suspend == Some(true) {
        "is suspended"
    } else {
        "has no pod that runs"
    };
    Some(source(
        name,
        spec.template.metadata,
        Asks::Not(why.to_owned()),
    ))
}

fn of_cron_job(object: CronJob) -> Option<PodSource> {
    let name = named(&object);
    let spec = object.spec?;
    let why = match spec.suspend {
        Some(true) => "is suspended".to_owned(),
        _ => format!("runs by its schedule only, `{}`", spec.schedule),
    };
    Some(source(
        name,
        spec.job_template.spec?.template.metadata,
        Asks::Not(why),
    ))
}
