//! Why something does not work, and what is wrong at all: the findings of the analysers, the cause first.

use super::super::analyse::{self, Finding};
use super::super::answer::AskAnswer;
use super::super::columns::status_word;
use super::super::kind::AskedKind;
use super::super::object::SeenObject;
use super::super::question::{AskedState, Condition, Question};
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use super::select;

/// Of so many findings the commands are printed.
const LOOKED_AT: usize = 6;

/// The objects whose state is asked for; none: all of the scope.
fn subjects<'a>(
    question: &Question,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    if !question.is_of_kinds() {
        return Ok(question
            .meant(snapshot)?
            .into_iter()
            .flat_map(|meant| meant.objects)
            .collect());
    }
    let mut kinds = question.kinds.clone();
    if kinds.is_empty() && !question.conditions.is_empty() {
        kinds.push(AskedKind::Pod);
    }
    let mut subjects = vec![];
    for kind in kinds {
        subjects.extend(select(question, kind, snapshot)?);
    }
    Ok(subjects)
}

/// The findings that answer the question.
fn findings(
    question: &Question,
    subjects: &[SeenObject<'_>],
    snapshot: &ClusterSnapshot,
) -> Vec<Finding> {
    let is_all =
        question.names.is_empty() && question.kinds.is_empty() && question.conditions.is_empty();
    if is_all {
        let all = analyse::JUDGED
            .iter()
            .flat_map(|kind| question.of_kind(*kind, snapshot))
            .collect::<Vec<_>>();
        return analyse::of_objects(&all, snapshot);
    }
    analyse::of_objects(subjects, snapshot)
}

pub(in super::super) fn why(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let subjects = subjects(question, snapshot)?;
    let findings = findings(question, &subjects, snapshot);
    let mut answer = AskAnswer::new(question, snapshot);
    answer.count = Some(findings.len());
    let denied = denied(question, &subjects, snapshot);
    answer.text = match (&findings[..], denied) {
        ([], Some(denied)) => format!("{denied} devk finds nothing wrong."),
        ([], None) => fine(question, &subjects, snapshot),
        (others, Some(denied)) => {
            format!("{denied} Besides, devk finds {}:", things(others.len()))
        }
        ([one], None) => format!("{}.", one.what.trim_end_matches('.')),
        ([first, ..], None) => format!(
            "{}. {} findings in all:",
            first.what.trim_end_matches('.'),
            findings.len()
        ),
    };
    if question.wants_yes {
        // `are there problems`, or `is everything ok`.
        answer.yes = Some(findings.is_empty() != question.any);
    }
    let rows = findings
        .iter()
        .map(|finding| vec![finding.object.clone(), finding.what.clone()])
        .collect();
    if !findings.is_empty() {
        answer.table(&["OBJECT", "WHAT IS WRONG"], rows);
    }
    for finding in &findings {
        answer.evidence.push(finding.as_evidence());
        answer.evidence.extend(finding.lines());
    }
    // Of many findings the first ones are to be looked at first.
    for finding in findings.iter().take(LOOKED_AT) {
        finding
            .kubectl
            .iter()
            .for_each(|command| answer.kubectl(command));
        finding.next.iter().for_each(|command| answer.next(command));
    }
    if findings.is_empty() && subjects.is_empty() {
        answer.next("devk doctor");
    }
    if question.names.is_empty() {
        let (read, logs) = question.logs_that_explain(snapshot);
        if read.len() < logs {
            answer.notes.push(format!(
                "of {logs} containers that fail the logs of {} were read",
                read.len()
            ));
        }
    }
    Ok(answer)
}

fn things(count: usize) -> String {
    if count == 1 {
        "this".to_owned()
    } else {
        format!("{count} things")
    }
}

/// The question takes something for so that is not: `why is web not ready`, of a Deployment that is ready.
fn denied(
    question: &Question,
    subjects: &[SeenObject<'_>],
    snapshot: &ClusterSnapshot,
) -> Option<String> {
    let first = subjects.first().filter(|_| !question.names.is_empty())?;
    // Of what is not ready no premise is denied: another word for its state may be meant.
    if Condition::Is(AskedState::NotReady).holds(*first, snapshot) != Some(false) {
        return None;
    }
    let states = question.conditions.iter().filter(|condition| {
        !matches!(
            condition,
            Condition::Is(
                AskedState::Trouble
                    | AskedState::Unreachable
                    | AskedState::Ready
                    | AskedState::Running
            )
        )
    });
    let held: Option<Vec<bool>> = states
        .map(|condition| condition.holds(*first, snapshot))
        .collect();
    let is_denied = held.is_some_and(|held| !held.is_empty() && !held.contains(&true));
    is_denied.then(|| {
        format!(
            "That is not so: {} is {}.",
            first.called(),
            status_word(*first, snapshot)
        )
    })
}

/// Nothing is wrong: what was looked at, and in which state it is.
fn fine(question: &Question, subjects: &[SeenObject<'_>], snapshot: &ClusterSnapshot) -> String {
    let place = question.scope.words(snapshot);
    let states: Vec<_> = subjects
        .iter()
        .map(|seen| format!("{} is {}", seen.called(), status_word(*seen, snapshot)))
        .collect();
    let restarted = question
        .conditions
        .iter()
        .any(|condition| condition.states().contains(&AskedState::Restarted));
    let restarts: i64 = subjects
        .iter()
        .flat_map(|seen| snapshot.pods_of(*seen))
        .map(|pod| pod.restarts())
        .sum();
    match states.is_empty() {
        true if question.kinds.is_empty() && question.conditions.is_empty() => {
            format!("devk finds nothing wrong in {place}.")
        }
        true => format!("There is no such object in {place}, so nothing has that problem."),
        false if restarted && restarts == 0 => {
            format!("Nothing was restarted: {}.", states.join(", "))
        }
        false => format!("devk finds nothing wrong: {}.", states.join(", ")),
    }
}
