//! Jobs that failed, and CronJobs that do not run or never succeed.

use k8s_openapi::api::batch::v1;

use super::super::object::{SeenObject, text};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};
use crate::release::cron_jobs::failing;
use crate::shell::quote;

pub(super) fn job(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let name = seen.name();
    if seen.is("Failed") {
        let condition = seen
            .condition("Failed")
            .map(|one| (text(&one["reason"]), text(&one["message"])))
            .unwrap_or_default();
        let what = format!("Job `{name}` failed: {}", condition.1);
        let finding = Finding::new(seen, Weight::Broken, what)
            .shown_by("status.conditions[Failed]", condition.0);
        return vec![finding.next(format!("devk logs {}", quote(name)))];
    }
    if seen.spec()["suspend"] == true {
        return vec![
            Finding::new(seen, Weight::Told, format!("Job `{name}` is suspended"))
                .shown_by("spec.suspend", "true"),
        ];
    }
    let refused = seen.typed::<v1::Job>().and_then(|typed| {
        crate::release::readiness::refused_pods::of_job(&typed, snapshot.typed_events())
    });
    match refused.filter(|_| !seen.is("Complete")) {
        Some(failure) => vec![
            Finding::new(seen, Weight::Broken, format!("Job {}", failure.summary()))
                .shown_by("events", failure.detail),
        ],
        None => vec![],
    }
}

pub(super) fn cron_job(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let name = seen.name();
    if seen.spec()["suspend"] == true {
        let what = format!("CronJob `{name}` is suspended: it starts no Job");
        return vec![Finding::new(seen, Weight::Told, what).shown_by("spec.suspend", "true")];
    }
    let jobs = snapshot.jobs_of(seen);
    let jobs: Vec<v1::Job> = jobs.iter().filter_map(SeenObject::typed).collect();
    let failing = seen
        .typed::<v1::CronJob>()
        .and_then(|typed| failing(&typed, &jobs));
    let told = failing.map(|failing| {
        let what = format!(
            "CronJob `{name}` has never succeeded; its Job `{}` failed: {}",
            failing.job, failing.why
        );
        Finding::new(seen, Weight::Broken, what)
            .shown_by("status.lastSuccessfulTime", "is not set")
            .next(format!("devk ask \"why did job {} fail\"", failing.job))
    });
    told.into_iter().collect()
}
