//! Events: of an object and its pods, or of the namespaces.

use super::super::answer::{AskAnswer, places};
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text};
use super::super::question::Question;
use super::super::relation::related;
use super::super::snapshot::{ClusterSnapshot, seen_last};
use super::super::unclear::Unclear;
use crate::shell::quote;

/// So many of the last events, unless the question says.
const EVENTS: usize = 30;

pub(in super::super) fn events(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let mut answer = AskAnswer::new(question, snapshot);
    let mut found: Vec<SeenObject<'_>> = vec![];
    if question.names.is_empty() {
        found = question.of_kind(AskedKind::Event, snapshot);
        let kinds: Vec<_> = question.kinds.iter().map(|kind| kind.name()).collect();
        found.retain(|event| {
            kinds.is_empty()
                || event.value["involvedObject"]["kind"]
                    .as_str()
                    .is_some_and(|kind| kinds.contains(&kind))
        });
        for place in places(question, AskedKind::Event, snapshot) {
            answer.kubectl(format!("get events --sort-by .lastTimestamp{place}"));
        }
    }
    for meant in question.meant(snapshot)? {
        for object in &meant.objects {
            found.extend(snapshot.events_of(*object));
            let made = snapshot
                .pods_of(*object)
                .into_iter()
                .filter(|pod| !pod.same(object));
            found.extend(made.flat_map(|pod| snapshot.events_of(pod)));
            if object.kind == AskedKind::Deployment {
                let sets = snapshot.made_by(AskedKind::ReplicaSet, *object);
                found.extend(sets.flat_map(|set| snapshot.events_of(set)));
            }
        }
        let claims = related(AskedKind::Claim, &meant, snapshot).unwrap_or_default();
        found.extend(
            claims
                .into_iter()
                .flat_map(|claim| snapshot.events_of(claim)),
        );
        if let Some(first) = meant.first() {
            answer.kubectl(format!(
                "events --for {}/{} --namespace {}",
                first.kind.name().to_lowercase(),
                quote(first.name()),
                quote(first.namespace())
            ));
        }
    }
    let since = question
        .cut
        .since
        .as_ref()
        .and_then(|moment| moment.window(snapshot.now, &snapshot.zone));
    found.retain(|event| {
        since.is_none_or(|since| seen_last(*event).is_some_and(|last| since.has(last)))
    });
    found.retain(|event| !question.cut.errors || event.value["type"] == "Warning");
    found.sort_by_key(|event| (seen_last(*event), event.name()));
    found.dedup_by_key(|event| event.name());
    let total = found.len();
    let shown = &found[total.saturating_sub(question.cut.first.unwrap_or(EVENTS))..];
    let noun = match (question.cut.errors, total) {
        (true, 1) => "warning",
        (true, _) => "warnings",
        (false, 1) => "event",
        (false, _) => "events",
    };
    answer.text = match total {
        0 => format!("There are no {noun}; Kubernetes keeps them for an hour."),
        _ if shown.len() < total => format!(
            "{total} {noun}, of which the last {} are shown.",
            shown.len()
        ),
        _ => format!("{total} {noun}."),
    };
    answer.count = Some(total);
    let rows = shown.iter().map(|event| row(*event, snapshot)).collect();
    answer.table(
        &["LAST SEEN", "TYPE", "REASON", "OBJECT", "TIMES", "MESSAGE"],
        rows,
    );
    Ok(answer)
}

fn row(event: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<String> {
    let value = event.value;
    let about = &value["involvedObject"];
    let times = value["series"]["count"]
        .as_i64()
        .or(value["count"].as_i64())
        .unwrap_or(1);
    vec![
        snapshot.age(seen_last(event)),
        text(&value["type"]),
        text(&value["reason"]),
        format!("{} {}", text(&about["kind"]), text(&about["name"])),
        times.to_string(),
        event.message().trim().to_owned(),
    ]
}
