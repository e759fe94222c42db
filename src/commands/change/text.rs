//! A preview and an outcome, for people.

use crate::change::FieldChange;
use crate::change::preview::{ChangePreview, StepPreview};
use crate::change::{ChangeOutcome, ExecutedStep, StepEnd};
use crate::ui::{self, harmless};

pub(super) fn preview(shown: &ChangePreview) -> String {
    let count = shown.steps.len();
    let steps = shown.steps.iter().enumerate();
    let steps = steps.map(|(at, step)| format!("{}/{count} {}", at + 1, self::step(step)));
    let mut text: Vec<_> = steps.collect();
    for what in &shown.beyond {
        text.push(format!("{what}\n"));
    }
    if shown.only_shown {
        text.push("the cluster is not devk's: the plan is shown and not carried out\n".to_owned());
    }
    text.push(format!(
        "as {}: {}; nothing was done yet\nhash {}\n",
        shown.user, shown.risk, shown.hash
    ));
    text.join("\n")
}

/// How a step ended, for the log: `done: delete deployment/web in shop`.
pub(super) fn end(step: &ExecutedStep) -> String {
    format!("{}: {}", word(step.end), step.object.deed(step.verb))
}

const fn word(end: StepEnd) -> &'static str {
    match end {
        StepEnd::Done => "done",
        StepEnd::Failed => "failed",
        StepEnd::Unknown => "unknown",
        StepEnd::NotBegun => "not begun",
    }
}

fn step(step: &StepPreview) -> String {
    let writes = match &step.writes {
        Some(object) => format!(", which makes {object}"),
        None => String::new(),
    };
    let mut text = format!("{}{writes}\n", step.object.deed(step.verb));
    let rows: Vec<_> = step.diff.iter().map(row).collect();
    let mut more = vec![];
    let mut add = |name: &str, what: &str| {
        more.push(vec![format!("  {name}"), harmless(what)]);
    };
    if let Some(reason) = &step.reason {
        add("reason", reason);
    }
    add("risk", &format!("{}: {}", step.risk, step.why));
    match &step.undo {
        Some(undo) => add("undo", undo),
        None if step.risk == crate::change::risk::ChangeRisk::Destructive => {
            add("undo", "nothing brings it back");
        }
        None if step.verb == "restart" => add("undo", "nothing is to be taken back"),
        None => add("undo", "no earlier revision is kept to go back to"),
    }
    if let Some(keep) = &step.keep {
        add("keep", &format!("{keep}    # a copy, before it goes"));
    }
    add("kubectl", &step.kubectl);
    if let Some(chart) = &step.chart {
        add("chart", &chart.advice());
    }
    for note in &step.notes {
        add("note", note);
    }
    if let Some(untried) = &step.untried {
        add("untried", untried);
    }
    text += &ui::table(&rows);
    text += &ui::table(&more);
    text
}

fn row(change: &FieldChange) -> Vec<String> {
    vec![
        format!("  {}", harmless(&change.path)),
        harmless(&change.sides()),
    ]
}

pub(super) fn outcome(outcome: &ChangeOutcome) -> String {
    let row = |step: &ExecutedStep| {
        let found = step.found.as_deref().unwrap_or_default();
        vec![
            word(step.end).to_owned(),
            harmless(&format!("{} {}", step.verb, step.object)),
            harmless(found),
        ]
    };
    let mut text = ui::table(&outcome.steps.iter().map(row).collect::<Vec<_>>());
    let done = outcome.steps.iter().rev();
    let undo: Vec<_> = done.filter_map(|step| step.undo.as_ref()).collect();
    if !undo.is_empty() {
        text += "to take it back:\n";
    }
    for command in undo {
        text += &format!("  {}\n", harmless(command));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::plan::ObjectName;
    use crate::ui::is_obeyed;

    #[test]
    fn nothing_that_was_found_is_obeyed_by_the_terminal() {
        let outcome = ChangeOutcome {
            hash: String::new(),
            steps: vec![ExecutedStep {
                verb: "scale",
                object: ObjectName {
                    kind: crate::change::kind::ObjectKind::Deployment,
                    namespace: None,
                    name: "web".to_owned(),
                },
                end: StepEnd::Unknown,
                error: None,
                undo: Some("kubectl\u{9b}2J\u{202e}".to_owned()),
                found: Some("a\u{1b}[2J\u{2066}\u{200b}".to_owned()),
            }],
            verified: false,
        };
        assert_eq!(end(&outcome.steps[0]), "unknown: scale deployment/web");
        let shown = self::outcome(&outcome);
        assert!(
            shown.starts_with("unknown  scale deployment/web"),
            "{shown:?}"
        );
        let is_bad = |c: char| c != '\n' && is_obeyed(c);
        assert!(!shown.contains(is_bad), "{shown:?}");
    }

    #[test]
    fn nothing_of_a_plan_is_obeyed_by_the_terminal() {
        let change = FieldChange {
            path: "data[a\u{1b}[2J]".to_owned(),
            before: None,
            after: Some("\u{1b}]0;x\u{7}".to_owned()),
        };
        let shown = row(&change).concat();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}
