//! Lists and counts.

use super::super::answer::{AskAnswer, listed, places};
use super::super::kind::AskedKind;
use super::super::mention::mentions;
use super::super::object::SeenObject;
use super::super::question::{AskedState, Condition, Question, Referring};
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use super::{capitalized, select, table, why_next};

/// The objects of all kinds that are asked for.
pub(super) fn selected<'a>(
    question: &Question,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    let mut objects = vec![];
    for kind in &question.kinds {
        objects.extend(select(question, *kind, snapshot)?);
    }
    Ok(objects)
}

/// `3 pods`, `no pods`, `2 objects` of several kinds.
pub(super) fn counted(question: &Question, count: usize) -> String {
    match &question.kinds[..] {
        [kind] => kind.counted(count),
        kinds => {
            let nouns: Vec<_> = kinds.iter().map(|kind| kind.several()).collect();
            let count = if count == 0 {
                "none".to_owned()
            } else {
                count.to_string()
            };
            format!("{count} of {}", nouns.join(" and "))
        }
    }
}

pub(super) fn conditions(question: &Question, snapshot: &ClusterSnapshot) -> String {
    let words: Vec<_> = question
        .conditions
        .iter()
        .map(|condition| condition.words(snapshot))
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(" {}", words.join(", "))
    }
}

fn of_names(question: &Question, count: usize) -> String {
    let names: Vec<_> = question
        .names
        .iter()
        .map(|name| format!("`{}`", name.text))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        let names = names.join(" and ");
        match question.refers {
            None => format!(" of {names}"),
            Some(Referring::To) if count == 1 => format!(" that refers to {names}"),
            Some(Referring::To) => format!(" that refer to {names}"),
            Some(Referring::From) => format!(" to which {names} refers"),
        }
    }
}

pub(super) fn commands(answer: &mut AskAnswer, question: &Question, snapshot: &ClusterSnapshot) {
    for kind in &question.kinds {
        for place in places(question, *kind, snapshot) {
            let selectors = question
                .conditions
                .iter()
                .filter_map(|condition| match condition {
                    Condition::Label(key, value) => Some(format!(
                        " --selector {}",
                        crate::shell::quote(format!("{key}={value}"))
                    )),
                    Condition::Is(AskedState::Pending) if *kind == AskedKind::Pod => {
                        Some(" --field-selector status.phase=Pending".to_owned())
                    }
                    Condition::Is(AskedState::Failed) if *kind == AskedKind::Pod => {
                        Some(" --field-selector status.phase=Failed".to_owned())
                    }
                    Condition::Is(AskedState::Succeeded) if *kind == AskedKind::Pod => {
                        Some(" --field-selector status.phase=Succeeded".to_owned())
                    }
                    Condition::OnNode(node) => Some(format!(
                        " --field-selector spec.nodeName={}",
                        crate::shell::quote(node)
                    )),
                    _ => None,
                });
            let selectors: String = selectors.collect();
            answer.kubectl(format!("get {}{selectors}{place}", kind.plural()));
        }
    }
}

/// What somebody does next about a pod or workload that is not as it should be.
pub(super) fn next(answer: &mut AskAnswer, question: &Question, objects: &[SeenObject<'_>]) {
    let mut states = question.conditions.iter().flat_map(Condition::states);
    let about = states.any(|state| {
        matches!(
            state,
            AskedState::NotReady
                | AskedState::Crashing
                | AskedState::Pending
                | AskedState::Failed
                | AskedState::NotRunning
                | AskedState::Trouble
                | AskedState::NoImage
                | AskedState::OutOfMemory
                | AskedState::WithoutEndpoints
                | AskedState::Unbound
                | AskedState::Unschedulable
        )
    });
    if let Some(first) = objects.first().filter(|_| about) {
        why_next(answer, *first);
    }
}

pub(in super::super) fn list(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let mut objects = selected(question, snapshot)?;
    if let Some(newest) = question.cut.newest {
        objects.sort_by_key(SeenObject::created);
        if newest {
            objects.reverse();
        }
        objects.truncate(question.cut.first.unwrap_or(1));
    }
    let mut answer = AskAnswer::new(question, snapshot);
    answer.text = format!(
        "{}{}{}.",
        capitalized(&counted(question, objects.len())),
        of_names(question, objects.len()),
        conditions(question, snapshot)
    );
    answer.count = Some(objects.len());
    if question.kinds.contains(&AskedKind::StorageClass) {
        // The class that a claim names need not be there.
        for claim in question
            .meant(snapshot)?
            .iter()
            .flat_map(|meant| &meant.objects)
            .filter(|seen| seen.kind == AskedKind::Claim)
        {
            answer.shows(
                *claim,
                "spec.storageClassName",
                super::super::object::text(&claim.spec()["storageClassName"]),
            );
        }
    }
    let (columns, rows) = table(&objects, snapshot);
    answer.table(&columns, rows);
    commands(&mut answer, question, snapshot);
    next(&mut answer, question, &objects);
    if question.refers.is_some() {
        shows_references(&mut answer, question, &objects, snapshot)?;
    }
    if question.wants_yes {
        answer.yes = Some(!objects.is_empty());
    }
    Ok(answer)
}

/// Names of objects for a sentence.
pub(super) fn names(objects: &[SeenObject<'_>]) -> String {
    listed(
        &objects
            .iter()
            .map(|seen| seen.name().to_owned())
            .collect::<Vec<_>>(),
    )
}

/// Where the objects refer to what was meant, or that to them.
fn shows_references(
    answer: &mut AskAnswer,
    question: &Question,
    objects: &[SeenObject<'_>],
    snapshot: &ClusterSnapshot,
) -> Result<(), Unclear> {
    let meant = question.meant(snapshot)?;
    let named: Vec<_> = meant.iter().flat_map(|meant| &meant.objects).collect();
    for one in objects {
        for other in &named {
            let (user, used) = match question.refers {
                Some(Referring::From) => (**other, *one),
                _ => (*one, **other),
            };
            if used.kind == AskedKind::Service {
                for (field, value) in mentions(user, used, snapshot) {
                    answer.shows(user, field, value);
                }
            }
        }
    }
    // What is used is read from the objects themselves.
    let is_named = |kind: AskedKind| kind.has_pods() || kind == AskedKind::Service;
    let is_of_manifests = |kind: &AskedKind| is_named(*kind) || *kind == AskedKind::Ingress;
    if !named.iter().any(|seen| is_named(seen.kind)) || !question.kinds.iter().any(is_of_manifests)
    {
        return Ok(());
    }
    let users: Vec<_> = match question.refers {
        Some(Referring::From) => named.into_iter().copied().collect(),
        _ => question
            .kinds
            .iter()
            .flat_map(|kind| question.of_kind(*kind, snapshot))
            .collect(),
    };
    answer.read_from_manifests(&users);
    Ok(())
}
