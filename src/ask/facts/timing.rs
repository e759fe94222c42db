//! Facts about state, age, runs and revisions.

use serde_json::Value;

use super::super::columns::status_word;
use super::super::kind::AskedKind;
use super::super::moment::short;
use super::super::object::{SeenObject, items, moment, text};
use super::super::snapshot::ClusterSnapshot;

pub(super) fn status(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    vec![vec![status_word(seen, snapshot)]]
}

pub(super) fn ages(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let Some(created) = seen.created() else {
        return vec![];
    };
    vec![vec![snapshot.age(Some(created)), snapshot.local(created)]]
}

pub(super) fn owner(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let release = seen.value["metadata"]["annotations"]["meta.helm.sh/release-name"].as_str();
    let controller = seen
        .controller()
        .map(|(kind, name)| format!("{kind} {name}"));
    let maker = snapshot
        .maker(seen)
        .map(|(kind, name)| format!("{} {name}", kind.name()));
    let mut owners: Vec<String> = controller.into_iter().collect();
    owners.extend(maker.filter(|maker| !owners.contains(maker)));
    owners.extend(release.map(|release| format!("release {release}")));
    let owners = if owners.is_empty() {
        "nothing".to_owned()
    } else {
        owners.join(", of ")
    };
    vec![vec![owners]]
}

pub(super) fn schedule(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let spec = seen.spec();
    let zone = spec["timeZone"]
        .as_str()
        .map(|zone| format!(" ({zone})"))
        .unwrap_or_default();
    let suspended = if spec["suspend"] == true { "yes" } else { "no" };
    let last = snapshot.ago(moment(&seen.status()["lastScheduleTime"]));
    vec![vec![
        format!("{}{zone}", text(&spec["schedule"])),
        suspended.to_owned(),
        last,
    ]]
}

pub(super) fn runs(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let jobs = match seen.kind {
        AskedKind::CronJob => {
            let mut jobs = snapshot.jobs_of(seen);
            jobs.sort_by_key(|job| std::cmp::Reverse(moment(&job.status()["startTime"])));
            jobs
        }
        _ => vec![seen],
    };
    let row = |job: SeenObject<'_>| {
        let began = moment(&job.status()["startTime"]);
        let ended = job.end().and_then(|end| moment(&end["lastTransitionTime"]));
        let took = began
            .zip(ended)
            .map(|(began, ended)| short(ended.duration_since(began)));
        vec![
            status_word(job, snapshot),
            snapshot.ago(began),
            snapshot.ago(ended),
            took.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = jobs.into_iter().map(row).collect();
    if rows.is_empty() {
        vec![vec!["has not run".to_owned()]]
    } else {
        rows
    }
}

/// The revisions that the ReplicaSets of a Deployment keep, the newest first.
pub(super) fn revisions(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let number = |one: SeenObject<'_>| {
        let note = &one.value["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        note.as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_default()
    };
    if seen.kind != AskedKind::Deployment {
        let revision = text(&seen.status()["updateRevision"]);
        let replicas = text(&seen.status()["replicas"]);
        let since = snapshot.age(seen.created());
        return vec![vec![revision, replicas, seen.images(), since]];
    }
    let mut sets: Vec<_> = snapshot.made_by(AskedKind::ReplicaSet, seen).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(number(*set)));
    let row = |set: SeenObject<'_>| {
        let since = snapshot.age(set.created());
        let replicas = set.status()["replicas"]
            .as_i64()
            .unwrap_or_default()
            .to_string();
        vec![number(set).to_string(), replicas, set.images(), since]
    };
    sets.into_iter().map(row).collect()
}

pub(super) fn last_exit(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Vec<String>> {
    let row = |status: &Value| {
        let of = |state: &str| Some(&status[state]["terminated"]).filter(|end| end.is_object());
        let Some(end) = of("state").or_else(|| of("lastState")) else {
            return vec![text(&status["name"]), "has not ended".to_owned()];
        };
        let ended = snapshot.ago(moment(&end["finishedAt"]));
        vec![
            text(&status["name"]),
            text(&end["reason"]),
            text(&end["exitCode"]),
            ended,
        ]
    };
    seen.container_statuses().map(row).collect()
}

pub(super) fn version(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let version = match seen.kind {
        AskedKind::Node => text(&seen.status()["nodeInfo"]["kubeletVersion"]),
        _ => seen.images(),
    };
    vec![vec![version]]
}

pub(super) fn taints(seen: SeenObject<'_>, _: &ClusterSnapshot) -> Vec<Vec<String>> {
    let row = |taint: &Value| {
        let value = taint["value"]
            .as_str()
            .map(|value| format!("={value}"))
            .unwrap_or_default();
        vec![format!(
            "{}{value}:{}",
            text(&taint["key"]),
            text(&taint["effect"])
        )]
    };
    let rows: Vec<_> = items(&seen.spec()["taints"]).map(row).collect();
    if rows.is_empty() {
        vec![vec!["none".to_owned()]]
    } else {
        rows
    }
}
