//! What changed since a moment: objects made and deleted, new revisions, restarts, ends of Jobs.

use jiff::{SignedDuration, Timestamp};

use super::super::answer::AskAnswer;
use super::super::kind::AskedKind;
use super::super::moment::{Moment, Window};
use super::super::object::{SeenObject, moment, text};
use super::super::question::Question;
use super::super::snapshot::{ClusterSnapshot, seen_last};
use super::super::unclear::Unclear;

/// Without a time in the question.
const RECENTLY: SignedDuration = SignedDuration::from_hours(1);

/// Events that tell of a change of an object.
const TOLD: &[&str] = &[
    "ScalingReplicaSet",
    "SuccessfulRescale",
    "Killing",
    "SuccessfulDelete",
    "Preempted",
    "Evicted",
    "NodeNotReady",
    "NodeReady",
];

pub(in super::super) fn changed(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let asked = question.cut.since.clone().unwrap_or(Moment::Ago(RECENTLY));
    let Some(window) = asked.window(snapshot.now, &snapshot.zone) else {
        return Err(Unclear::ahead(&asked.typed()));
    };
    let meant = question.meant(snapshot)?;
    let names: Vec<_> = meant
        .iter()
        .flat_map(|meant| {
            meant
                .objects
                .iter()
                .flat_map(|seen| std::iter::once(*seen).chain(snapshot.pods_of(*seen)))
        })
        .map(|seen| seen.name().to_owned())
        .collect();
    let is_meant = |name: &str| meant.is_empty() || names.iter().any(|known| known == name);
    let mut changes = vec![];
    for kind in AskedKind::nameable() {
        if !question.kinds.is_empty() && !question.kinds.contains(&kind) {
            continue;
        }
        for seen in question
            .of_kind(kind, snapshot)
            .into_iter()
            .filter(|seen| is_meant(seen.name()))
        {
            changes.extend(of_object(seen, window));
        }
    }
    for event in question.of_kind(AskedKind::Event, snapshot) {
        let about = &event.value["involvedObject"];
        let name = about["name"].as_str().unwrap_or_default();
        let is_told = TOLD.contains(&event.value["reason"].as_str().unwrap_or_default());
        let is_kind = question.kinds.is_empty()
            || question
                .kinds
                .iter()
                .any(|kind| about["kind"] == kind.name());
        if let Some(last) = seen_last(event)
            .filter(|last| window.has(*last) && is_told && is_kind && is_meant(name))
        {
            changes.push((
                last,
                format!("{} {name}", text(&about["kind"])),
                event.message(),
            ));
        }
    }
    changes.sort();
    changes.dedup();
    let mut answer = AskAnswer::new(question, snapshot);
    let shown = match asked {
        Moment::Ago(_) => format!("since {}", snapshot.local(window.from)),
        other => other.words(snapshot),
    };
    let all = question.scope.words(snapshot);
    answer.text = match changes.len() {
        0 => format!("devk sees no change in {all} {shown}."),
        1 => format!("1 change in {all} {shown}."),
        count => format!("{count} changes in {all} {shown}."),
    };
    answer.count = Some(changes.len());
    let rows = changes
        .into_iter()
        .map(|(at, object, what)| vec![snapshot.ago(Some(at)), object, what])
        .collect();
    answer.table(&["WHEN", "OBJECT", "WHAT"], rows);
    answer.notes.push(
        "objects that were deleted leave only events, which Kubernetes keeps for an hour"
            .to_owned(),
    );
    for place in super::super::answer::places(question, AskedKind::Event, snapshot) {
        answer.kubectl(format!("get events --sort-by .lastTimestamp{place}"));
    }
    Ok(answer)
}

type Change = (Timestamp, String, String);

fn of_object(seen: SeenObject<'_>, window: Window) -> Vec<Change> {
    let title = format!("{} {}", seen.kind.name(), seen.name());
    let mut changes: Vec<Change> = vec![];
    let mut add = |at: Option<Timestamp>, what: String| {
        changes.extend(
            at.filter(|at| window.has(*at))
                .map(|at| (at, title.clone(), what)),
        )
    };
    let created = match seen.kind {
        AskedKind::ReplicaSet if seen.controller().is_some() => {
            format!("new revision, image {}", seen.images())
        }
        AskedKind::Pod => format!("made, image {}", seen.images()),
        _ => "made".to_owned(),
    };
    add(seen.created(), created);
    add(
        moment(&seen.value["metadata"]["deletionTimestamp"]),
        "is being deleted".to_owned(),
    );
    for status in seen.container_statuses() {
        let end = &status["lastState"]["terminated"];
        let what = format!(
            "container {} ended: {} (exit code {}), and was restarted",
            text(&status["name"]),
            text(&end["reason"]),
            text(&end["exitCode"])
        );
        add(moment(&end["finishedAt"]), what);
    }
    if let Some(end) = seen.end().filter(|_| seen.kind == AskedKind::Job) {
        add(
            moment(&end["lastTransitionTime"]),
            format!("ended: {}", text(&end["type"])),
        );
    }
    changes
}
