//! The revisions of a workload that Kubernetes has kept: of a Deployment in its ReplicaSets, of others in
//! ControllerRevisions.

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::kind::ObjectKind;
use super::plan::ObjectName;

const REVISION: &str = "deployment.kubernetes.io/revision";
/// The label that the Deployment itself adds to each of its templates.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// One revision, as `kubectl rollout history` counts it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Revision {
    pub(super) number: u64,
    /// It is the one that the workload asks for now.
    pub(super) current: bool,
    /// The template, or for others than a Deployment the patch that leads to it.
    pub(super) content: Value,
}

/// The revisions of a workload, the oldest first; none of what keeps none.
///
/// # Errors
/// Those of the API server.
pub(super) async fn history(
    client: &Client,
    object: &ObjectName,
    live: &Value,
) -> kube::Result<Vec<Revision>> {
    let (resource, is_deployment) = match object.kind {
        ObjectKind::Deployment => (ObjectKind::ReplicaSet.resource(), true),
        ObjectKind::StatefulSet | ObjectKind::DaemonSet => (controller_revisions(), false),
        _ => return Ok(vec![]),
    };
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
    let all = api.list(&ListParams::default()).await?;
    let own = all.items.iter().filter(|found| {
        let owners = found.owner_references();
        owners.iter().any(|owner| owner.uid == uid)
    });
    let mut revisions: Vec<_> = own
        .filter_map(|found| match is_deployment {
            true => of_replica_set(found, live),
            false => of_controller(found, live),
        })
        .collect();
    revisions.sort_by_key(|revision| revision.number);
    if !is_deployment {
        mark_newest(&mut revisions);
    }
    Ok(revisions)
}

fn controller_revisions() -> ApiResource {
    let kind = GroupVersionKind::gvk("apps", "v1", "ControllerRevision");
    ApiResource::from_gvk_with_plural(&kind, "controllerrevisions")
}

fn of_replica_set(set: &DynamicObject, live: &Value) -> Option<Revision> {
    let number = set.annotations().get(REVISION)?;
    let mut template = set.data["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.shift_remove(TEMPLATE_HASH);
    }
    let current = live["metadata"]["annotations"][REVISION].as_str();
    Some(Revision {
        current: current == Some(number),
        number: number.parse().ok()?,
        content: template,
    })
}

fn of_controller(revision: &DynamicObject, live: &Value) -> Option<Revision> {
    let updated = live["status"]["updateRevision"].as_str();
    Some(Revision {
        number: revision.data["revision"].as_u64()?,
        current: updated == Some(revision.name_any().as_str()),
        content: revision.data["data"].clone(),
    })
}

/// A DaemonSet's status names no revision; the newest is the one that runs.
fn mark_newest(revisions: &mut [Revision]) {
    if revisions.iter().any(|revision| revision.current) {
        return;
    }
    if let Some(newest) = revisions.last_mut() {
        newest.current = true;
    }
}
