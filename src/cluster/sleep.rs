//! Puts a project's workloads to sleep on a shared cluster: scales them to zero and notes the old replicas as an
//! annotation, so that `up` restores the same numbers.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::client::refused;
use super::namespace::{self, ASLEEP_ANNOTATION, WAKING_ANNOTATION};
use crate::error::Result;
use crate::owner::Owner;

/// Replicas before the sleep.
pub const REPLICAS_ANNOTATION: &str = "devk.dev/replicas";

/// helm's note on each object of a release: the namespace of its record.
pub const RELEASE_NAMESPACE_ANNOTATION: &str = "meta.helm.sh/release-namespace";

/// Scales every Deployment and StatefulSet of the project's namespace to zero, and of the namespaces that its changes have
/// made, and those of its releases in `others`. Data stays. A project whose own namespace is gone sleeps in the others; what is
/// left there is `owner`'s, which without one is whom the project's own namespace records.
///
/// # Errors
/// [`NamespaceForeign`](crate::error::Code::NamespaceForeign) for a namespace that is not devk's,
/// [`ClusterUnreachable`](crate::error::Code::ClusterUnreachable).
pub async fn sleep(
    client: &kube::Client,
    project: &str,
    owner: Option<&Owner>,
    others: &BTreeSet<String>,
) -> Result<()> {
    let found = namespace::find(client, project).await?;
    if found.is_some() {
        mark(client, project, json!("true")).await?;
    }
    let recorded = found.as_ref().and_then(namespace::noted);
    let made = namespace::made_for(client, project, owner.or(recorded.as_ref())).await?;
    // Without the project's own namespace the next `up` finds the note on the others.
    for namespace in made.iter().filter(|_| found.is_none()) {
        mark(client, namespace, json!("true")).await?;
    }
    let all = namespaces(project, &made, others);
    for namespace in all.filter(|namespace| found.is_some() || *namespace != project) {
        let is_own = |object: &ObjectMeta| is_own(object, namespace, project, &made);
        let replicas =
            |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
        let deployments = Api::namespaced(client.clone(), namespace);
        scale_down(&deployments, is_own, replicas).await?;
        let replicas = |set: &StatefulSet| set.spec.as_ref().and_then(|spec| spec.replicas);
        let sets = Api::namespaced(client.clone(), namespace);
        scale_down(&sets, is_own, replicas).await?;
    }
    Ok(())
}

/// Marks a project as asleep whose cluster is about to stop: when another project starts the cluster, the workloads are
/// not to run again. A project that has no namespace sleeps already.
///
/// # Errors
/// As [`sleep`].
pub async fn mark_asleep(client: &kube::Client, project: &str) -> Result<()> {
    match namespace::find(client, project).await? {
        Some(_) => mark(client, project, json!("true")).await,
        None => Ok(()),
    }
}

fn namespaces<'a>(
    project: &'a str,
    made: &'a BTreeSet<String>,
    others: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a str> {
    let beside = made.union(others).map(String::as_str);
    std::iter::once(project).chain(beside)
}

/// In a namespace that is neither the project's own nor made by its changes, only what its releases have put there.
fn is_own(object: &ObjectMeta, namespace: &str, project: &str, made: &BTreeSet<String>) -> bool {
    let annotations = object.annotations.as_ref();
    let release = annotations.and_then(|notes| notes.get(RELEASE_NAMESPACE_ANNOTATION));
    namespace == project
        || made.contains(namespace)
        || release.is_some_and(|release| release == project)
}

/// Restores the replicas of the workloads that [`sleep`] scaled down.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn wake(client: &kube::Client, project: &str, others: &BTreeSet<String>) -> Result<()> {
    let found = namespace::find(client, project).await?;
    let owner = found.as_ref().and_then(namespace::noted);
    let made = namespace::made_for(client, project, owner.as_ref()).await?;
    for namespace in namespaces(project, &made, others) {
        let is_own = |object: &ObjectMeta| is_own(object, namespace, project, &made);
        let deployments = Api::namespaced(client.clone(), namespace);
        scale_up::<Deployment>(&deployments, is_own).await?;
        let sets = Api::namespaced(client.clone(), namespace);
        scale_up::<StatefulSet>(&sets, is_own).await?;
    }
    for namespace in &made {
        mark(client, namespace, Value::Null).await?;
    }
    // Last, so that a wake that was cut off is done again.
    mark(client, project, Value::Null).await
}

/// Scales workloads to zero. `replicas` returns the number that a workload asks for; None means one (apps/v1).
async fn scale_down<K: Workload>(
    api: &Api<K>,
    is_own: impl Fn(&ObjectMeta) -> bool,
    replicas: impl Fn(&K) -> Option<i32>,
) -> Result<()> {
    for workload in api
        .list(&ListParams::default())
        .await
        .map_err(|e| refused(&e))?
    {
        let replicas = replicas(&workload).unwrap_or(1);
        let falls_asleep = replicas > 0 && is_own(workload.meta());
        if let Some(name) = workload.meta().name.as_ref().filter(|_| falls_asleep) {
            patch(api, name, asleep(replicas)).await?;
        }
    }
    Ok(())
}

async fn scale_up<K: Workload>(api: &Api<K>, is_own: impl Fn(&ObjectMeta) -> bool) -> Result<()> {
    for workload in api
        .list_metadata(&ListParams::default())
        .await
        .map_err(|e| refused(&e))?
    {
        let noted = noted(&workload.metadata).filter(|_| is_own(&workload.metadata));
        if let Some((name, replicas)) = noted {
            patch(api, &name, awake(replicas)).await?;
        }
    }
    Ok(())
}

/// The bounds that kube requires of an object that is listed and patched.
trait Workload: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug {}

impl<K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug> Workload for K {}

fn noted(metadata: &ObjectMeta) -> Option<(String, i32)> {
    let replicas = metadata
        .annotations
        .as_ref()?
        .get(REPLICAS_ANNOTATION)?
        .parse()
        .ok()?;
    Some((metadata.name.clone()?, replicas))
}

fn asleep(replicas: i32) -> Value {
    json!({"metadata": {"annotations": {REPLICAS_ANNOTATION: replicas.to_string()}}, "spec": {"replicas": 0}})
}

fn awake(replicas: i32) -> Value {
    json!({"metadata": {"annotations": {REPLICAS_ANNOTATION: null}}, "spec": {"replicas": replicas}})
}

async fn mark(client: &kube::Client, namespace: &str, value: Value) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    // Asleep or awake, it is not waking any more.
    let notes = json!({ASLEEP_ANNOTATION: value, WAKING_ANNOTATION: null});
    patch(
        &namespaces,
        namespace,
        json!({"metadata": {"annotations": notes}}),
    )
    .await
}

async fn patch<K: Workload>(api: &Api<K>, name: &str, patch: Value) -> Result<()> {
    // The name of the manager sets this change apart from one by hand.
    let by = PatchParams {
        field_manager: Some("devk".to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &by, &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(|e| refused(&e))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{client, client_that, request, step};
    use super::*;
    use crate::error::Code;

    /// The only namespace there is.
    fn shop(labels: &Value) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "shop", "labels": labels}})
    }

    #[tokio::test]
    async fn a_namespace_of_somebody_else_is_neither_put_to_sleep_nor_removed() {
        let (client, requests) = client(shop(&json!({"team": "theirs"})));
        assert_eq!(
            sleep(&client, "shop", None, &BTreeSet::new())
                .await
                .unwrap_err()
                .code,
            Code::NamespaceForeign
        );
        assert_eq!(
            namespace::delete(&client, "shop", &step())
                .await
                .unwrap_err()
                .code,
            Code::NamespaceForeign
        );
        let methods: Vec<_> = requests
            .lock()
            .unwrap()
            .iter()
            .map(|(method, _)| method.clone())
            .collect();
        assert_eq!(methods, ["GET", "GET"]);
    }

    #[test]
    fn in_another_namespace_only_what_the_projects_releases_own_falls_asleep() {
        let of_release = |namespace: &str| -> ObjectMeta {
            let notes = json!({RELEASE_NAMESPACE_ANNOTATION: namespace});
            serde_json::from_value(json!({"annotations": notes})).unwrap()
        };
        let made = BTreeSet::from(["shop-made".to_owned()]);
        let is_own =
            |object: &ObjectMeta, namespace: &str| is_own(object, namespace, "shop", &made);
        assert!(is_own(&ObjectMeta::default(), "shop"));
        assert!(is_own(&ObjectMeta::default(), "shop-made"));
        assert!(is_own(&of_release("shop"), "elsewhere"));
        assert!(!is_own(&of_release("shop-2"), "elsewhere"));
        assert!(!is_own(&ObjectMeta::default(), "elsewhere"));
    }

    #[tokio::test]
    async fn what_is_left_of_a_project_without_its_own_namespace_falls_asleep_and_is_woken() {
        let made = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "shop-dev",
            "labels": {"devk.dev/made-for": "shop"}, "annotations": {ASLEEP_ANNOTATION: "true"}}});
        let web = json!({"kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"name": "web", "namespace": "shop-dev"},
            "spec": {"replicas": 2, "selector": {}, "template": {}}});
        let list = |kind: &str, version: &str, items: Vec<Value>| json!({"kind": kind, "apiVersion": version, "metadata": {}, "items": items});
        let (client, requests) = client_that(move |asked| match asked {
            "GET /api/v1/namespaces/shop" => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "not found", "reason": "NotFound", "code": 404});
                (404, status)
            }
            "GET /api/v1/namespaces" => {
                let made = vec![made.clone()];
                (
                    200,
                    list("PartialObjectMetadataList", "meta.k8s.io/v1", made),
                )
            }
            "GET /apis/apps/v1/namespaces/shop-dev/deployments" => {
                (200, list("DeploymentList", "apps/v1", vec![web.clone()]))
            }
            _ if asked.starts_with("PATCH /apis/apps") => (200, web.clone()),
            _ if asked.starts_with("PATCH ") => (
                200,
                json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop-dev"}}),
            ),
            _ => (200, list("StatefulSetList", "apps/v1", vec![])),
        });
        let others = BTreeSet::new();
        sleep(&client, "shop", None, &others).await.unwrap();
        let sent = requests.lock().unwrap().clone();
        let patches: Vec<_> = sent
            .into_iter()
            .filter(|(method, _)| method == "PATCH")
            .map(|(_, patch)| patch)
            .collect();
        let note = json!({"metadata": {"annotations": {ASLEEP_ANNOTATION: "true", WAKING_ANNOTATION: null}}});
        assert_eq!(patches, [note, asleep(2)]);
        assert!(namespace::is_asleep(&client, "shop").await.unwrap());
    }

    #[tokio::test]
    async fn whoever_falls_asleep_while_waking_sleeps() {
        let (client, requests) = client(shop(&json!({namespace::PROJECT_LABEL: "shop"})));
        // The workloads are not what this server tells of.
        let _ = sleep(&client, "shop", None, &BTreeSet::new()).await;
        let notes = json!({ASLEEP_ANNOTATION: "true", WAKING_ANNOTATION: null});
        assert_eq!(
            request(&requests, 1),
            (
                "PATCH".to_owned(),
                json!({"metadata": {"annotations": notes}})
            )
        );
    }
}
