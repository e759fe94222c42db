//! `devk restart`: the workloads of services get new pods.

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::service::selector;
use super::{Context, pinned};
use crate::config::Project;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::release::labels::{PodLabels, has_all};
use crate::release::manifest::{Workload, WorkloadKind};
use crate::release::project_pods::PodSelector;
use crate::release::readiness::wait_ready;
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};

/// The annotation by which `kubectl rollout restart` makes new pods, too.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Restarts the workloads that the names select, and waits until their new pods are ready.
///
/// # Errors
/// [`Code::ServiceUnknown`], [`Code::ReleaseNotReady`], [`Code::ClusterUnreachable`]. Nothing is restarted if one of
/// the names selects nothing.
pub async fn run(context: &Context, services: &[String]) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let access = pinned(context, &project).await?;
    let mut workloads = vec![];
    for name in services {
        let pods = selector(&access.client, &project, name).await?;
        let found = selected(&access.client, &pods).await?;
        if found.is_empty() {
            return Err(nothing_to_restart(name).into());
        }
        workloads.extend(found);
    }
    workloads.sort();
    workloads.dedup();
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let mut view = View::of(context.format);
    let work = restart(&access.client, &project, &workloads, reporter);
    let (restarted, shown) = view.during(events, work).await;
    restarted?;
    shown?;
    let names: Vec<_> = workloads.iter().map(Workload::to_string).collect();
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "restarted": names}))?,
        Format::Table => ui::out(&format!("restarted, and ready: {}\n", names.join(", ")))?,
    }
    Ok(Exit::Ok)
}

async fn restart(
    client: &Client,
    project: &Project,
    workloads: &[Workload],
    reporter: Reporter,
) -> Result<(), Errors> {
    let names: Vec<_> = workloads
        .iter()
        .map(|workload| workload.name.as_str())
        .collect();
    let step = reporter.start(
        format!("workloads.restart/{}", names.join("+")),
        "asked for",
    );
    let done = async {
        for workload in workloads {
            match workload.kind {
                WorkloadKind::StatefulSet => renew::<StatefulSet>(client, workload).await?,
                WorkloadKind::DaemonSet => renew::<DaemonSet>(client, workload).await?,
                _ => renew::<Deployment>(client, workload).await?,
            }
        }
        let timeout = project.releases.iter().map(|release| release.timeout).max();
        wait_ready(
            client,
            &project.id,
            workloads,
            timeout.unwrap_or_default(),
            &step,
        )
        .await
    };
    match done.await {
        Ok(()) => {
            step.done(format!("{} workload(s)", workloads.len()));
            Ok(())
        }
        Err(error) => {
            step.failed(error.clone());
            Err(error.into())
        }
    }
}

/// What the API calls an object whose pods can be replaced.
trait Restartable:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
{
    const KIND: WorkloadKind;

    fn template(&self) -> Option<&PodTemplateSpec>;
}

impl Restartable for Deployment {
    const KIND: WorkloadKind = WorkloadKind::Deployment;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Restartable for StatefulSet {
    const KIND: WorkloadKind = WorkloadKind::StatefulSet;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Restartable for DaemonSet {
    const KIND: WorkloadKind = WorkloadKind::DaemonSet;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

async fn selected(client: &Client, pods: &PodSelector) -> Result<Vec<Workload>> {
    let (deployments, sets, daemons) = tokio::try_join!(
        of_kind::<Deployment>(client, pods),
        of_kind::<StatefulSet>(client, pods),
        of_kind::<DaemonSet>(client, pods)
    )?;
    Ok([deployments, sets, daemons].concat())
}

/// The workloads whose pods have the labels.
async fn of_kind<K: Restartable>(client: &Client, pods: &PodSelector) -> Result<Vec<Workload>> {
    let api: Api<K> = Api::namespaced(client.clone(), &pods.namespace);
    let list = api.list(&ListParams::default()).await;
    let list = list.map_err(|e| refused(&e, "list the workloads"))?;
    let makes_them = |object: &K| {
        let metadata = object
            .template()
            .and_then(|template| template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
        has_all(labels.unwrap_or(&PodLabels::new()), &pods.labels)
    };
    let found = list.items.iter().filter(|object| makes_them(object));
    Ok(found
        .map(|object| Workload {
            kind: K::KIND,
            namespace: pods.namespace.clone(),
            name: object.name_any(),
            expires: false,
        })
        .collect())
}

async fn renew<K: Restartable>(client: &Client, workload: &Workload) -> Result<()> {
    let api: Api<K> = Api::namespaced(client.clone(), &workload.namespace);
    let notes = json!({RESTARTED_AT: Timestamp::now().to_string()});
    let template = json!({"metadata": {"annotations": notes}});
    let patch = Patch::Merge(json!({"spec": {"template": template}}));
    // The name of the manager sets this change apart from one by hand.
    let by = PatchParams {
        field_manager: Some("devk".to_owned()),
        ..PatchParams::default()
    };
    let patched = api.patch(&workload.name, &by, &patch).await;
    patched
        .map(drop)
        .map_err(|e| refused(&e, &format!("restart {workload}")))
}

fn refused(error: &kube::Error, what: &str) -> Error {
    Error::new(Code::ClusterUnreachable, format!("cannot {what}: {error}")).hint("devk doctor")
}

fn nothing_to_restart(name: &str) -> Error {
    let message = format!("the pods of `{name}` are of no Deployment, StatefulSet or DaemonSet");
    Error::new(Code::ServiceUnknown, message).hint("devk status")
}
