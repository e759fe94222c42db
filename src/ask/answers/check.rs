//! Questions of yes or no: of all objects of a kind, of any, of named ones, and whether there is something at all.

use super::super::answer::{AskAnswer, places};
use super::super::columns::{ready_of, status_word};
use super::super::kind::{AskedKind, WORKLOADS};
use super::super::object::SeenObject;
use super::super::question::{AskedState, Condition, Question};
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use super::list::{commands, conditions, counted, list, next, selected};
use super::{fitting, table, why_next};

/// `are all pods ready`, `is api running`, `are there failed jobs`, `is there a service called redis`.
pub(in super::super) fn check(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    match (question.names.is_empty(), question.kinds.is_empty()) {
        (true, _) => of_kinds(question, snapshot),
        (false, false) if question.refers.is_none() && !question.conditions.is_empty() => {
            of_kinds(question, snapshot)
        }
        (false, false) => {
            // Whether there is one is asked, so that none is an answer.
            let mut answer = list(question, snapshot)?;
            let yes = answer.count.unwrap_or_default() > 0;
            answer.text = format!("{}: {}", yes_or_no(yes), uncapitalized(&answer.text));
            answer.yes = Some(yes);
            Ok(answer)
        }
        (false, true) => of_names_asked(question, snapshot),
    }
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "Yes" } else { "No" }
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map(|first| first.to_lowercase().collect())
        .unwrap_or_default();
    // `HPA` stays.
    if letters.clone().next().is_some_and(char::is_uppercase) {
        text.to_owned()
    } else {
        first + letters.as_str()
    }
}

fn of_kinds(question: &Question, snapshot: &ClusterSnapshot) -> Result<AskAnswer, Unclear> {
    let fitting = selected(question, snapshot)?;
    let all = Question {
        conditions: vec![],
        ..question.clone()
    };
    let all = selected(&all, snapshot)?;
    // `are there any failed pods`; `are all pods ready`, of which those that have done their work need not be.
    let mut answer = AskAnswer::new(question, snapshot);
    commands(&mut answer, question, snapshot);
    if question.any {
        let yes = !fitting.is_empty();
        answer.text = format!(
            "{}: {}{}.",
            yes_or_no(yes),
            counted(question, fitting.len()),
            conditions(question, snapshot)
        );
        answer.yes = Some(yes);
        answer.count = Some(fitting.len());
        let (columns, rows) = table(&fitting, snapshot);
        answer.table(&columns, rows);
        next(&mut answer, question, &fitting);
        return Ok(answer);
    }
    let others: Vec<_> = all
        .iter()
        .filter(|seen| !fitting.iter().any(|one| one.same(seen)) && !is_excused(**seen, question))
        .copied()
        .collect();
    let yes = others.is_empty() && !fitting.is_empty();
    answer.yes = Some(yes);
    answer.count = Some(fitting.len());
    answer.text = match others.len() {
        _ if all.is_empty() => format!("There are {}.", counted(question, 0)),
        0 if fitting.is_empty() => {
            format!(
                "There are {}{}.",
                counted(question, 0),
                conditions(question, snapshot)
            )
        }
        0 => format!(
            "Yes: {}{}, and no other.",
            counted(question, fitting.len()),
            conditions(question, snapshot)
        ),
        count => format!(
            "No: {} not so:{}.",
            is_are(question, count),
            conditions(question, snapshot)
        ),
    };
    let shown = if yes { &fitting } else { &others };
    let (columns, rows) = table(shown, snapshot);
    answer.table(&columns, rows);
    if let Some(first) = others.first() {
        why_next(&mut answer, *first);
    }
    Ok(answer)
}

fn is_are(question: &Question, count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(question, count))
}

/// A pod that has done its work and a workload that nobody wants are not expected to be ready or running.
fn is_excused(seen: SeenObject<'_>, question: &Question) -> bool {
    let about = question.conditions.iter().any(|condition| {
        matches!(
            condition,
            Condition::Is(AskedState::Ready | AskedState::Running)
        )
    });
    let is_done = seen.kind == AskedKind::Pod && seen.status()["phase"] == "Succeeded";
    let is_unwanted = WORKLOADS.contains(&seen.kind) && ready_of(seen).1 == 0;
    about && (is_done || is_unwanted)
}

/// `is api ready`: of the workload, or of whatever runs first under that name.
fn of_names_asked(question: &Question, snapshot: &ClusterSnapshot) -> Result<AskAnswer, Unclear> {
    if question.any && question.conditions.is_empty() {
        return exist(question, snapshot);
    }
    let mut answer = AskAnswer::new(question, snapshot);
    let mut yes = true;
    let mut rows = vec![];
    let mut said = vec![];
    for meant in question.meant(snapshot)? {
        let judged = meant.objects.iter().find_map(|seen| {
            let held: Option<Vec<bool>> = question
                .conditions
                .iter()
                .map(|condition| condition.holds(*seen, snapshot))
                .collect();
            held.map(|held| (*seen, held.into_iter().all(|held| held)))
        });
        // What says nothing about the workload may say something about its pods.
        let (seen, held) = match judged {
            Some(judged) => judged,
            None => {
                let mut pods = meant.pods(snapshot);
                let first = pods
                    .first()
                    .copied()
                    .or(meant.first())
                    .ok_or_else(Unclear::empty)?;
                fitting(question, first.kind, &mut pods, snapshot)?;
                (first, !pods.is_empty())
            }
        };
        yes &= held;
        let state = status_word(seen, snapshot);
        said.push(format!("{} is {state}", seen.called()));
        answer.shows(seen, "status", state);
        rows.push(seen);
        answer.kubectl(format!(
            "get {} {}{}",
            seen.kind.plural(),
            crate::shell::quote(seen.name()),
            super::super::answer::place(seen)
        ));
        if !held {
            answer.next(format!("devk ask \"why is {} not ready\"", meant.name));
        }
    }
    answer.text = format!(
        "{}:{}: {}.",
        yes_or_no(yes),
        conditions(question, snapshot),
        said.join(", ")
    );
    answer.yes = Some(yes);
    let (columns, rows) = table(&rows, snapshot);
    answer.table(&columns, rows);
    Ok(answer)
}

/// `is there a service called search`: that there is none is an answer.
fn exist(question: &Question, snapshot: &ClusterSnapshot) -> Result<AskAnswer, Unclear> {
    let mut answer = AskAnswer::new(question, snapshot);
    let mut found = vec![];
    let mut missing = vec![];
    for name in &question.names {
        match question.resolve(name, snapshot)? {
            Some(meant) => found.extend(meant.objects),
            // Without a kind before it the word may be no name at all.
            None if name.kind.is_none() => return question.meant(snapshot).map(|_| answer),
            None => missing.push(format!(
                "{} `{}`",
                name.kind.map_or("object", AskedKind::name),
                name.text
            )),
        }
    }
    let place = question.scope.words(snapshot);
    answer.yes = Some(missing.is_empty());
    answer.text = match &missing[..] {
        [] => format!(
            "Yes: {}.",
            found
                .iter()
                .map(|seen| format!("{} is there", seen.called()))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        missing => format!("No: there is no {} in {place}.", missing.join(" and no ")),
    };
    answer.count = Some(found.len());
    let (columns, rows) = table(&found, snapshot);
    answer.table(&columns, rows);
    for kind in question.names.iter().filter_map(|name| name.kind) {
        for place in places(question, kind, snapshot) {
            answer.kubectl(format!("get {}{place}", kind.plural()));
        }
    }
    Ok(answer)
}
