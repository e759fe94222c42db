//! An answer as text.

use super::answer::{AnswerEvidence, AskAnswer};
use super::{AskReply, PlannedRequest};
use crate::config::AskMode;
use crate::ui;

impl AskReply {
    /// For a terminal or a pipe. What came from the cluster cannot control the terminal.
    pub fn text(&self) -> String {
        self.text_in(AskMode::Standard)
    }

    /// The same, as much of it as a mode says.
    pub fn text_in(&self, mode: AskMode) -> String {
        match self {
            Self::AskAnswer(answer) => answer.to_text(mode),
            Self::Change(change) => change.to_text(),
        }
    }
}

impl AskAnswer {
    fn to_text(&self, mode: AskMode) -> String {
        let mut text = format!("{}\n", ui::plain::escape_controls(&self.text));
        if !self.rows.is_empty() {
            let mut rows = vec![self.columns.clone()];
            rows.extend(self.rows.iter().map(|row| {
                row.iter()
                    .map(|cell| ui::plain::escape_controls(cell))
                    .collect()
            }));
            text += &format!("\n{}", ui::table(&rows));
        }
        let evidence: Vec<_> = self.evidence.iter().map(line).collect();
        if mode != AskMode::Expert {
            text += &section("evidence", &evidence);
            text += &section("next", &self.next);
        }
        text += &section("the same with kubectl", &self.kubectl);
        text += &section("note", &self.notes);
        if mode == AskMode::Beginner {
            text += &section("what the words mean", &self.terms());
        }
        match mode {
            AskMode::Expert => text,
            _ => text + &section("understood as", std::slice::from_ref(&self.understood)),
        }
    }
}

fn line(evidence: &AnswerEvidence) -> String {
    let AnswerEvidence {
        object,
        field,
        text,
    } = evidence;
    format!("{object}, {field}: {text}")
}

/// A part of an answer: a head, and a line for each text; nothing for none.
pub(crate) fn section(head: &str, lines: &[String]) -> String {
    let lines: String = lines
        .iter()
        .map(|line| format!("  {}\n", ui::plain::escape_controls(line)))
        .collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("\n{head}:\n{lines}")
    }
}

impl PlannedRequest {
    fn to_text(&self) -> String {
        let steps = self.plan.iter().flat_map(|plan| &plan.steps).map(|step| {
            let place = step
                .object
                .namespace
                .iter()
                .map(|name| format!(" in namespace `{name}`"))
                .collect::<String>();
            format!("{} {}{place}", step.action.verb(), step.object)
        });
        let steps: Vec<_> = steps.collect();
        section("this would be the plan", &steps)
            .trim_start()
            .to_owned()
    }
}
