//! Jobs that are replaced because Kubernetes cannot change them: where only images that devk built have changed, or where
//! devk.yaml allows it (`replaceJobs`).

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PropagationPolicy};
use kube::core::PartialObjectMeta;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::cluster::client::deletion_of;
use crate::error::{Code, Error, Result, on_cluster};
use crate::release::installed::{RELEASE_ANNOTATION, unreachable};
use crate::release::manifest::Rendered;
use crate::release::prepare::Prepared;
use crate::ui::event::Step;

/// The pods of the Job have their grace period.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Removes a refused Job, if it is one and this release has it; false if it stays. Its pods go first, so that the old
/// run and the new one never overlap.
///
/// # Errors
/// [`Code::ClusterUnreachable`], [`Code::ReleaseApply`] if it is not gone after a minute.
pub(super) async fn replace(
    refusal: &Refusal,
    client: &kube::Client,
    prepared: &Prepared,
    rendered: &Rendered,
    step: &Step,
) -> Result<bool> {
    if !refusal.is_job(rendered) {
        return Ok(false);
    }
    let name = refusal.name.as_str();
    let namespace = refusal.manifest(rendered).map_or_else(
        || prepared.namespace.clone(),
        |m| m.namespace(&prepared.namespace),
    );
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let look = || async {
        jobs.get_metadata_opt(name)
            .await
            .map_err(|e| unreachable(&e, "look at the Job that cannot be changed"))
    };
    let Some(job) = look().await? else {
        return Ok(true);
    };
    if job.annotations().get(RELEASE_ANNOTATION) != Some(&prepared.name) {
        return Ok(false);
    }
    step.progress(format!(
        "replacing Job `{name}`, which Kubernetes cannot change"
    ));
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..deletion_of(job.uid())
    };
    let removed = Api::<PartialObjectMeta<Job>>::namespaced(client.clone(), &namespace)
        .delete(name, &params)
        .await;
    match removed {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(unreachable(&error, "remove the Job that cannot be changed")),
    }
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    while look().await?.is_some_and(|left| left.uid() == job.uid()) {
        if Instant::now() > deadline {
            let text = format!(
                "Job `{name}` is not gone after {} s",
                REMOVAL_TIMEOUT.as_secs()
            );
            return Err(
                Error::new(Code::ReleaseApply, text).hint(on_cluster(format!(
                    "kubectl describe job.batch {name} --namespace {namespace}"
                ))),
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::fake::{client, step};
    use crate::release::install::refusal::refusals;
    use crate::release::prepare::fixture;

    const RENDERED: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: seed}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
";

    /// Whether it is replaced, and the methods of the requests.
    async fn replaced(said: &str, live: Value) -> (Result<bool>, Vec<String>) {
        let error = Error::new(Code::CommandFailed, "").evidence(said);
        let refusal = refusals(&error).remove(0);
        let (client, requests) = client(live);
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let rendered = Rendered::parse(RENDERED).unwrap();
        let result = replace(&refusal, &client, &prepared, &rendered, &step()).await;
        let methods = requests
            .lock()
            .unwrap()
            .iter()
            .map(|r| r.0.clone())
            .collect();
        (result, methods)
    }

    fn job(release: &str) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "seed", "uid": "u1", "annotations": {RELEASE_ANNOTATION: release}}})
    }

    #[tokio::test]
    async fn a_job_of_another_release_and_what_may_hold_data_stay() {
        let said =
            "Job.batch \"seed\" is invalid: spec.template: Invalid value: …: field is immutable";
        let (result, methods) = replaced(said, job("other")).await;
        assert_eq!((result, methods), (Ok(false), vec!["GET".to_owned()]));
        let said = "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other \
                    than 'replicas' are forbidden";
        let (result, methods) = replaced(said, job("shop")).await;
        assert_eq!((result, methods), (Ok(false), vec![]));
    }

    #[tokio::test]
    async fn the_releases_own_job_is_removed_and_waited_for() {
        let said =
            "Job.batch \"seed\" is invalid: spec.template: Invalid value: …: field is immutable";
        let replaced = replaced(said, job("shop"));
        // The stand-in keeps it for ever.
        let waited = tokio::time::timeout(Duration::from_millis(500), replaced).await;
        assert!(waited.is_err());
    }
}
