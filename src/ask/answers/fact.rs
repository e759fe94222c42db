//! One fact of objects: their images, ports, nodes and so on, as the table of facts has it.

use super::super::answer::{AskAnswer, place, places};
use super::super::facts::FactRow;
use super::super::kind::AskedKind;
use super::super::object::SeenObject;
use super::super::question::{Fact, Question};
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use super::{capitalized, fitting, is_apart, select};
use crate::shell::quote;

pub(in super::super) fn fact(
    question: &Question,
    fact: Fact,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let row = FactRow::of(fact).ok_or_else(Unclear::empty)?;
    // `who uses redis`: of what has a Service, who talks to it.
    if fact == Fact::UsedBy && !question.names.is_empty() {
        let meant = question.meant(snapshot)?;
        let is_used = |seen: &SeenObject<'_>| row.kinds.contains(&seen.kind);
        if !meant.iter().any(|meant| meant.objects.iter().any(is_used)) {
            return super::talks::talks(question, snapshot);
        }
    }
    let objects = if question.is_of_kinds() {
        of_kinds(question, row, snapshot)?
    } else {
        of_names(question, row, snapshot)?
    };
    let mut answer = AskAnswer::new(question, snapshot);
    let is_apart = is_apart(&objects, snapshot);
    let mut rows = vec![];
    for seen in &objects {
        let called = if is_apart {
            seen.title()
        } else {
            format!("{} {}", seen.kind.name(), seen.name())
        };
        let cells = (row.rows)(*seen, snapshot);
        if cells.is_empty() {
            rows.push(vec![called, "none".to_owned()]);
            continue;
        }
        rows.extend(
            cells
                .into_iter()
                .map(|cells| std::iter::once(called.clone()).chain(cells).collect()),
        );
    }
    let told = rows
        .iter()
        .filter(|row| row.len() > 2 || row.get(1).is_none_or(|cell| cell != "none"))
        .count();
    answer.count = Some(told);
    answer.text = sentence(fact, &objects, &rows);
    let columns: Vec<_> = std::iter::once("OBJECT")
        .chain(row.columns.iter().copied())
        .collect();
    answer.table(&columns, rows);
    if question.is_of_kinds() {
        for kind in &question.kinds {
            for place in places(question, *kind, snapshot) {
                answer.kubectl(format!("get {} --output yaml{place}", kind.plural()));
            }
        }
    } else {
        for seen in objects.iter().take(3) {
            answer.kubectl(format!(
                "describe {} {}{}",
                seen.kind.name().to_lowercase(),
                quote(seen.name()),
                place(*seen)
            ));
        }
    }
    Ok(answer)
}

/// One row is told as a sentence, many as a table.
fn sentence(fact: Fact, objects: &[SeenObject<'_>], rows: &[Vec<String>]) -> String {
    let words = fact.words();
    match (objects, rows) {
        ([], _) => format!("Nothing here has {words}."),
        ([one], [row]) => {
            let cells: Vec<_> = row[1..]
                .iter()
                .filter(|cell| !cell.is_empty())
                .cloned()
                .collect();
            format!("{}, {words}: {}.", one.called(), cells.join(", "))
        }
        _ => format!(
            "{} of {}:",
            capitalized(&words),
            super::list::names(objects)
        ),
    }
}

fn of_kinds<'a>(
    question: &Question,
    row: &FactRow,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    let mut objects = vec![];
    for kind in &question.kinds {
        let found = select(question, *kind, snapshot)?;
        if row.kinds.contains(kind) {
            objects.extend(found);
            continue;
        }
        // A fact of pods, asked of what makes them.
        if row.kinds != [AskedKind::Pod] || !kind.has_pods() {
            return Err(Unclear::unfitting(&row.fact.words(), kind.several()));
        }
        objects.extend(found.into_iter().flat_map(|seen| snapshot.pods_of(seen)));
    }
    Ok(objects)
}

/// Of the objects of each name the first that has the fact; its pods, if only pods have it.
fn of_names<'a>(
    question: &Question,
    row: &FactRow,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    let mut objects = vec![];
    for meant in question.meant(snapshot)? {
        let wanted = |seen: &SeenObject<'_>| {
            row.kinds.contains(&seen.kind)
                && (question.kinds.is_empty() || question.kinds.contains(&seen.kind))
        };
        let mut found: Vec<_> = meant
            .objects
            .iter()
            .filter(|seen| wanted(seen))
            .copied()
            .collect();
        // Ports are those of the Service and those of the containers; otherwise what runs speaks for all.
        if row.fact != Fact::Ports {
            found.truncate(1);
        }
        if found.is_empty() && row.kinds.contains(&AskedKind::Pod) {
            found = meant.pods(snapshot);
        }
        if found.is_empty() {
            let other = row.kinds.iter().find_map(|kind| {
                super::super::relation::related(*kind, &meant, snapshot)
                    .filter(|found| !found.is_empty())
            });
            found = other.unwrap_or_default();
        }
        let Some(first) = found.first().map(|seen| seen.kind) else {
            let what = meant
                .first()
                .map_or_else(|| meant.name.clone(), |seen| seen.called());
            if row.kinds == [AskedKind::Pod]
                && meant.first().is_some_and(|seen| seen.kind.has_pods())
            {
                // It has no pod at the moment: the fact has no row.
                continue;
            }
            return Err(Unclear::unfitting(&row.fact.words(), &what));
        };
        fitting(question, first, &mut found, snapshot)?;
        objects.extend(found);
    }
    Ok(objects)
}
