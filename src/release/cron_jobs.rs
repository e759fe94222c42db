//! CronJobs whose every run has failed: no release waits for them, and nobody else tells.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::{CronJob, Job, JobCondition};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde::Serialize;

use super::installed::unreachable;
use crate::error::Result;

/// A CronJob that has never succeeded, and whose last run has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingCronJob {
    pub namespace: String,
    pub name: String,
    /// The Job of its last run.
    pub job: String,
    /// Why that failed, in Kubernetes' words.
    pub why: String,
}

/// Finds them in these namespaces.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn failing_cron_jobs(
    client: &Client,
    namespaces: &BTreeSet<&str>,
) -> Result<Vec<FailingCronJob>> {
    let looks = namespaces.iter().map(|namespace| async move {
        let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), namespace);
        let cron_jobs = cron_jobs.list(&ListParams::default()).await?.items;
        if cron_jobs.is_empty() {
            return Ok(vec![]);
        }
        let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
        let jobs = jobs.list(&ListParams::default()).await?.items;
        Ok(cron_jobs
            .iter()
            .filter_map(|cron_job| failing(cron_job, &jobs))
            .collect())
    });
    let found: std::result::Result<Vec<Vec<_>>, kube::Error> = try_join_all(looks).await;
    let found = found.map_err(|e| unreachable(&e, "look at the CronJobs"))?;
    Ok(found.into_iter().flatten().collect())
}

/// The CronJob, if it fails. `jobs` are those of its namespace. Kubernetes keeps the last failed one unless the CronJob says otherwise.
pub(crate) fn failing(cron_job: &CronJob, jobs: &[Job]) -> Option<FailingCronJob> {
    let has_succeeded = cron_job
        .status
        .as_ref()
        .is_some_and(|status| status.last_successful_time.is_some());
    if has_succeeded {
        return None;
    }
    let is_own = |job: &&Job| {
        job.owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == cron_job.uid().as_ref())
    };
    let started = |job: &Job| {
        job.status
            .as_ref()
            .and_then(|status| status.start_time.clone())
    };
    let failed = jobs
        .iter()
        .filter(is_own)
        .filter_map(|job| Some((job, failure(job)?)));
    let (job, failure) = failed.max_by_key(|(job, _)| started(job).map(|time| time.0))?;
    Some(FailingCronJob {
        namespace: cron_job.namespace().unwrap_or_default(),
        name: cron_job.name_any(),
        job: job.name_any(),
        why: failure.message.clone().unwrap_or_default(),
    })
}

fn failure(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, owner: &str, second: u32, ended: &str) -> Job {
        let value = json!({
            "metadata": {"name": name, "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "n", "uid": owner}]},
            "status": {"startTime": format!("2026-01-01T00:00:{second:02}Z"),
                "conditions": [{"type": ended, "status": "True", "message": format!("{name} has ended")}]},
        });
        serde_json::from_value(value).unwrap()
    }

    fn nightly(status: Value) -> CronJob {
        serde_json::from_value(json!({"metadata": {"name": "nightly", "namespace": "shop", "uid": "u1"}, "status": status})).unwrap()
    }

    #[test]
    fn a_cron_job_that_has_never_succeeded_is_told_by_its_last_run() {
        let jobs = [
            job("nightly-1", "u1", 1, "Failed"),
            job("nightly-2", "u1", 2, "Failed"),
            job("other-3", "u2", 3, "Failed"),
        ];
        let found = failing(&nightly(json!({})), &jobs).unwrap();
        assert_eq!(
            (found.job.as_str(), found.why.as_str()),
            ("nightly-2", "nightly-2 has ended")
        );
        let succeeded = nightly(json!({"lastSuccessfulTime": "2026-01-01T00:00:00Z"}));
        assert_eq!(failing(&succeeded, &jobs), None);
        assert_eq!(
            failing(
                &nightly(json!({})),
                &[job("nightly-1", "u1", 1, "Complete")]
            ),
            None
        );
        assert_eq!(failing(&nightly(json!({})), &jobs[2..]), None);
    }
}
