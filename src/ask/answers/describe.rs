//! What there is to say about an object: its state, what belongs to it, what is wrong with it, its last events.

use super::super::analyse;
use super::super::answer::{AskAnswer, place};
use super::super::columns::{cells, head, status_word};
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text};
use super::super::question::{Fact, Question};
use super::super::relation::related;
use super::super::resolve::Meant;
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use crate::shell::quote;

/// So many events are shown.
const EVENTS: usize = 5;

/// Facts that a description has, where the object has them.
const TOLD: &[Fact] = &[
    Fact::Images,
    Fact::Ports,
    Fact::Resources,
    Fact::Probes,
    Fact::Volumes,
    Fact::Selector,
    Fact::Endpoints,
    Fact::Routes,
    Fact::Schedule,
    Fact::LastRun,
    Fact::Keys,
    Fact::Storage,
    Fact::Used,
    Fact::Target,
    Fact::Rules,
    Fact::UsedBy,
    Fact::Owner,
    Fact::Taints,
    Fact::Capacity,
    Fact::Version,
    Fact::Address,
];

/// What belongs to an object and is told with it.
const RELATED: &[AskedKind] = &[
    AskedKind::Pod,
    AskedKind::Service,
    AskedKind::Ingress,
    AskedKind::ConfigMap,
    AskedKind::Secret,
    AskedKind::Claim,
    AskedKind::Autoscaler,
    AskedKind::DisruptionBudget,
    AskedKind::NetworkPolicy,
];

pub(in super::super) fn describe(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    if question.names.is_empty() {
        return overview(question, snapshot);
    }
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows = vec![];
    let mut said = vec![];
    for meant in question.meant(snapshot)? {
        let first = meant.first().ok_or_else(Unclear::empty)?;
        said.push(format!(
            "{} in {}: {}",
            first.called(),
            whose(first),
            status_word(first, snapshot)
        ));
        rows.extend(described(&meant, first, snapshot));
        tell(&mut answer, &meant, first, snapshot);
    }
    answer.text = format!("{}.", said.join("; "));
    answer.count = Some(said.len());
    answer.table(&["WHAT", "VALUE"], rows);
    Ok(answer)
}

fn whose(seen: SeenObject<'_>) -> String {
    match seen.namespace() {
        "" => "the cluster".to_owned(),
        namespace => format!("namespace `{namespace}`"),
    }
}

fn described(
    meant: &Meant<'_>,
    first: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = head(first.kind)
        .iter()
        .map(|column| column.to_lowercase())
        .zip(cells(first, snapshot))
        .map(|(column, cell)| vec![column, cell])
        .collect();
    let labels: Vec<_> = first
        .labels()
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    rows.push(vec!["labels".to_owned(), labels.join(", ")]);
    for fact in TOLD {
        let Some(row) =
            super::super::facts::FactRow::of(*fact).filter(|row| row.kinds.contains(&first.kind))
        else {
            continue;
        };
        for cells in (row.rows)(first, snapshot) {
            rows.push(vec![
                fact.words(),
                cells
                    .into_iter()
                    .filter(|cell| !cell.is_empty())
                    .collect::<Vec<_>>()
                    .join(", "),
            ]);
        }
    }
    for kind in RELATED.iter().filter(|kind| **kind != first.kind) {
        let found = related(*kind, meant, snapshot).unwrap_or_default();
        if !found.is_empty() {
            let names: Vec<_> = found
                .iter()
                .map(|seen| format!("{} ({})", seen.name(), status_word(*seen, snapshot)))
                .collect();
            rows.push(vec![kind.several().to_owned(), names.join(", ")]);
        }
    }
    rows.retain(|row| row.get(1).is_some_and(|cell| !cell.is_empty()));
    rows
}

fn tell(
    answer: &mut AskAnswer,
    meant: &Meant<'_>,
    first: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
) {
    let findings = analyse::of_objects(&meant.objects, snapshot);
    for finding in &findings {
        answer.evidence.push(finding.as_evidence());
    }
    let mut events: Vec<_> = snapshot.events_of(first);
    for pod in snapshot
        .pods_of(first)
        .into_iter()
        .filter(|pod| !pod.same(&first))
    {
        events.extend(snapshot.events_of(pod));
    }
    events.sort_by_key(|event| super::super::snapshot::seen_last(*event));
    for event in events.iter().rev().take(EVENTS).rev() {
        answer.shows(
            first,
            format!("event {}", text(&event.value["reason"])),
            event.message(),
        );
    }
    answer.kubectl(format!(
        "describe {} {}{}",
        first.kind.name().to_lowercase(),
        quote(first.name()),
        place(first)
    ));
    if findings.is_empty() {
        if first.kind.has_pods() {
            answer.next(format!("devk logs {}", quote(&meant.name)));
        }
    } else {
        answer.next(format!("devk ask \"why is {} not ready\"", meant.name));
    }
}

/// Of a namespace: what there is, by kinds.
fn overview(question: &Question, snapshot: &ClusterSnapshot) -> Result<AskAnswer, Unclear> {
    let mut answer = AskAnswer::new(question, snapshot);
    let kinds = [
        AskedKind::Deployment,
        AskedKind::StatefulSet,
        AskedKind::DaemonSet,
        AskedKind::CronJob,
        AskedKind::Job,
        AskedKind::Pod,
        AskedKind::Service,
        AskedKind::Ingress,
        AskedKind::Claim,
        AskedKind::ConfigMap,
        AskedKind::Secret,
    ];
    let mut rows = vec![];
    for kind in kinds {
        let found = question.of_kind(kind, snapshot);
        if !found.is_empty() {
            let names: Vec<_> = found.iter().map(|seen| seen.name().to_owned()).collect();
            rows.push(vec![
                kind.several().to_owned(),
                found.len().to_string(),
                names.join(", "),
            ]);
        }
    }
    answer.text = format!(
        "There are {} kinds of objects in {}.",
        rows.len(),
        question.scope.words(snapshot)
    );
    answer.count = Some(rows.len());
    answer.table(&["KIND", "COUNT", "NAMES"], rows);
    answer.next("devk ask \"what is wrong\"");
    for place in super::super::answer::places(question, AskedKind::Pod, snapshot) {
        answer.kubectl(format!("get all{place}"));
    }
    Ok(answer)
}
