//! Rows of the text of `devk status`.

use std::collections::BTreeMap;

use super::{Live, PodStatus, ReleaseStatus};
use crate::bridge::record::Record;
use crate::error::on_cluster;
use crate::release::cron_jobs::FailingCronJob;
use crate::shell::quote;
use crate::sync::status::{Covered, SyncStatus};
use crate::sync::trace::Latency;

/// The reconcile that is at work in a session.
pub(super) fn work(session: &Live) -> String {
    let what = session.reconcile.as_ref().map(|work| work.what.as_str());
    match what {
        None | Some("up") => "an `up`".to_owned(),
        Some(change) => format!("`{change}`"),
    }
}

pub(super) fn bridge_row(bridge: &Record, session: bool) -> Vec<String> {
    let down = if bridge.relay && !session {
        "the relay ended with the session"
    } else {
        ""
    };
    vec![
        "bridge".to_owned(),
        bridge.what(),
        bridge.upstream(),
        down.to_owned(),
    ]
}

/// The image's row, and one for everything that keeps it from being live.
pub(super) fn sync_rows(sync: &SyncStatus) -> Vec<Vec<String>> {
    let Latency {
        saves,
        p50_ms,
        p95_ms,
        slowest,
        ..
    } = &sync.latency;
    let took = slowest.as_ref().filter(|_| *saves > 0);
    let took = took.map(|stage| format!("p50 {p50_ms:.1} ms, p95 {p95_ms:.1} ms, mostly {stage}"));
    let state = format!("generation {}, {} paths", sync.generation, sync.paths);
    let row = |words: [&str; 2]| {
        vec![
            "sync".to_owned(),
            sync.image.clone(),
            words[0].to_owned(),
            words[1].to_owned(),
        ]
    };
    let of_containers = sync.containers.iter().flat_map(|c| {
        let why = c.refused.iter().chain(&c.trouble).cloned();
        let covered = covered_lines(&c.covered);
        let lines = c.serving.iter().cloned().chain(why).chain(covered);
        lines.map(|line| format!("{}: {line}", c.pod))
    });
    let troubles = sync.builds.iter().chain(&sync.troubles).cloned();
    let troubles = troubles.chain(of_containers);
    std::iter::once(row([&state, &took.unwrap_or_default()]))
        .chain(troubles.map(|why| row([&why, ""])))
        .collect()
}

/// One line for each mount: a folder that it covers may have many files.
fn covered_lines(covered: &[Covered]) -> Vec<String> {
    let mut by_mount = BTreeMap::<&str, Vec<&Covered>>::new();
    for one in covered {
        by_mount.entry(&one.mount).or_default().push(one);
    }
    let line = |paths: &Vec<&Covered>| match &paths[..] {
        [] => String::new(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first}; so do {} more", others.len()),
    };
    by_mount.values().map(line).collect()
}

pub(super) fn release_row(release: &ReleaseStatus) -> Vec<String> {
    let revision = release
        .revision
        .map(|r| format!("revision {r}"))
        .unwrap_or_default();
    let status = release
        .status
        .clone()
        .unwrap_or_else(|| "not installed".to_owned());
    vec!["release".to_owned(), release.name.clone(), status, revision]
}

pub(super) fn cron_job_row(cron_job: &FailingCronJob) -> Vec<String> {
    let FailingCronJob {
        namespace,
        name,
        job,
        why,
    } = cron_job;
    let logs = on_cluster(format!(
        "kubectl logs {} --namespace {namespace}",
        quote(format!("job/{job}"))
    ));
    let how = format!("{why}; {logs}");
    vec![
        "cronjob".to_owned(),
        name.clone(),
        "every run has failed".to_owned(),
        how,
    ]
}

/// `home` is the project's own namespace.
pub(super) fn pod_row(pod: &PodStatus, home: &str) -> Vec<String> {
    let elsewhere = (pod.namespace != home).then(|| format!("in namespace {}", pod.namespace));
    let ready = match pod.phase.as_str() {
        _ if pod.ready => "ready".to_owned(),
        // A Job's, which has nothing more to do.
        "Succeeded" => "ended well".to_owned(),
        "Failed" => "failed".to_owned(),
        phase => format!("not ready ({phase})"),
    };
    let restarts = (pod.restarts > 0).then(|| format!("{} restarts", pod.restarts));
    let generation = pod
        .generation
        .map(|generation| format!("generation {generation}"));
    let more: Vec<_> = [generation, restarts, elsewhere]
        .into_iter()
        .flatten()
        .collect();
    vec!["pod".to_owned(), pod.name.clone(), ready, more.join(", ")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_whose_saves_are_builds_says_so_without_a_container() {
        let sync = SyncStatus {
            image: "api".to_owned(),
            builds: Some("saves are builds: other images are built from it".to_owned()),
            ..SyncStatus::default()
        };
        let rows = sync_rows(&sync);
        let why = "saves are builds: other images are built from it";
        assert_eq!(rows[1], ["sync", "api", why, ""]);
    }
}
