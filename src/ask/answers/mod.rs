//! One file a sort of question: from the question and the snapshot to the answer.

pub(super) mod changed;
pub(super) mod check;
pub(super) mod cluster;
pub(super) mod describe;
pub(super) mod events;
pub(super) mod fact;
pub(super) mod list;
pub(super) mod logs;
pub(super) mod talks;
pub(super) mod usage;
pub(super) mod why;

use super::answer::AskAnswer;
use super::columns;
use super::kind::AskedKind;
use super::object::SeenObject;
use super::question::Question;
use super::relation::related;
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;

/// The objects of a kind that the question is about: in its scope, belonging to its names, under its conditions.
///
/// # Errors
/// A condition or name that says nothing about such objects.
pub(super) fn select<'a>(
    question: &Question,
    kind: AskedKind,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    let mut objects = if question.names.is_empty() {
        question.of_kind(kind, snapshot)
    } else {
        let mut objects: Vec<SeenObject<'a>> = vec![];
        for meant in question.meant(snapshot)? {
            let of = match question.refers {
                Some(way) => question.referring(way, kind, &meant, snapshot)?,
                None => related(kind, &meant, snapshot).ok_or_else(|| {
                    Unclear::unfitting(&format!("`{}`", meant.name), kind.several())
                })?,
            };
            for one in of {
                if !objects.iter().any(|seen| seen.same(&one)) {
                    objects.push(one);
                }
            }
        }
        // Of a node, or of what has no namespace, there is something elsewhere, too.
        objects.retain(|one| question.scope.has(one.namespace(), snapshot));
        objects
    };
    fitting(question, kind, &mut objects, snapshot)?;
    Ok(objects)
}

/// Keeps the objects that fit every condition.
///
/// # Errors
/// A condition that says nothing about them.
pub(super) fn fitting(
    question: &Question,
    kind: AskedKind,
    objects: &mut Vec<SeenObject<'_>>,
    snapshot: &ClusterSnapshot,
) -> Result<(), Unclear> {
    for condition in &question.conditions {
        if condition.needs_usage() && snapshot.usage.is_none() {
            return Err(Unclear::unmeasured());
        }
        let mut kept = vec![];
        for object in objects.drain(..) {
            match condition.holds(object, snapshot) {
                Some(true) => kept.push(object),
                Some(false) => {}
                None => {
                    return Err(Unclear::unfitting(
                        &format!("\"{}\"", condition.words(snapshot)),
                        kind.several(),
                    ));
                }
            }
        }
        *objects = kept;
    }
    Ok(())
}

/// Whether some objects are in a namespace that is not the project's own.
fn is_apart(objects: &[SeenObject<'_>], snapshot: &ClusterSnapshot) -> bool {
    let own = snapshot.project.namespace.as_str();
    objects
        .iter()
        .any(|seen| !seen.namespace().is_empty() && seen.namespace() != own)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Asks why an object is not as it should be.
fn why_next(answer: &mut AskAnswer, seen: SeenObject<'_>) {
    answer.next(format!(
        "devk ask \"why is {} {} not ready\"",
        seen.kind.name().to_lowercase(),
        seen.name()
    ));
}

/// A table of objects, with their namespaces if some are not in the project's own, and their kinds if there are several.
pub(super) fn table(
    objects: &[SeenObject<'_>],
    snapshot: &ClusterSnapshot,
) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let is_apart = is_apart(objects, snapshot);
    let first = objects.first().map(|seen| seen.kind);
    let is_one_kind = objects.iter().all(|seen| Some(seen.kind) == first);
    let mut columns = vec![];
    if is_apart {
        columns.push("NAMESPACE");
    }
    if !is_one_kind {
        columns.push("KIND");
    }
    columns.push("NAME");
    match first.filter(|_| is_one_kind) {
        Some(kind) => columns.extend(columns::head(kind)),
        None => columns.extend(["STATUS", "AGE"]),
    }
    let row = |seen: &SeenObject<'_>| {
        let mut row = vec![];
        if is_apart {
            row.push(seen.namespace().to_owned());
        }
        if !is_one_kind {
            row.push(seen.kind.name().to_owned());
        }
        row.push(seen.name().to_owned());
        if is_one_kind {
            row.extend(columns::cells(*seen, snapshot));
        } else {
            let age = snapshot.age(seen.created());
            row.extend([columns::status_word(*seen, snapshot), age]);
        }
        row
    };
    (columns, objects.iter().map(row).collect())
}
