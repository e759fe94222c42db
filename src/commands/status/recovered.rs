//! Releases that an `up` gave up waiting for, and that have become ready since.

use std::time::Duration;

use kube::Client;

use crate::config::Project;
use crate::plan::ready_id;
use crate::release::readiness::is_ready;
use crate::session::outcome::Outcome;

/// For the first lists of a namespace's objects.
const PATIENCE: Duration = Duration::from_secs(3);

/// Takes out of the failed steps of the last `up` those that wait for a release whose workloads are ready now. A
/// release that cannot be looked at counts as not ready.
pub(super) async fn recover(client: &Client, project: &Project, outcome: &mut Outcome) {
    for release in &project.releases {
        let step = ready_id(&release.name);
        let has_failed = outcome.failed.contains(&step);
        if !has_failed {
            continue;
        }
        let is_ready = is_ready(client, &project.id, &release.name, |_| true, PATIENCE).await;
        if matches!(is_ready, Ok(true)) {
            outcome.failed.retain(|id| *id != step);
            outcome.ready = outcome.failed.is_empty();
        }
    }
}
