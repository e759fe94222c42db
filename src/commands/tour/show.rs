//! What the tour says: plain lines, which a terminal colours, or one JSON document a line.

use std::path::PathBuf;

use console::style;
use serde::Serialize;

use super::edited::LineDifference;
use crate::commands::settle::failures_text;
use crate::error::Result;
use crate::session::settle::SettleFailure;
use crate::ui::plain::escape_controls;
use crate::ui::{self, Format};

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TourStep {
    Edit,
    Break,
    Mend,
    Note,
    Return,
}

/// The contract of `devk tour --format json`.
#[derive(Debug, Serialize)]
struct TourDocument<'a> {
    version: u32,
    #[serde(flatten)]
    event: &'a TourEvent,
}

/// One thing that the tour says.
#[derive(Debug, Serialize)]
#[serde(tag = "tour", rename_all = "snake_case")]
pub(super) enum TourEvent {
    /// What is to be done now.
    Asks(Task),
    /// Something was seen that is not all of what was asked for.
    Sees { step: TourStep, what: String },
    /// Why the save does not run, as `devk settle` tells it, and what the user changed.
    Explains {
        step: TourStep,
        failures: Vec<SettleFailure>,
        differences: Vec<LineDifference>,
    },
    /// What was asked for was seen; `ms` since the save, where the tour has seen it being made.
    Confirms {
        step: TourStep,
        what: String,
        ms: Option<u64>,
    },
    /// All steps were confirmed.
    Done { next: Vec<String> },
}

/// What the user is to do.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    pub(super) step: TourStep,
    pub(super) what: String,
    pub(super) file: Option<PathBuf>,
    pub(super) line: Option<TaskLine>,
    /// To be typed in another terminal.
    pub(super) commands: Vec<String>,
}

/// The line to change.
#[derive(Debug, Serialize)]
pub(super) struct TaskLine {
    /// From 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// Says one thing.
///
/// # Errors
/// As [`ui::out`].
pub(super) fn show(format: Format, event: &TourEvent) -> Result<()> {
    match format {
        Format::Json => ui::json(&TourDocument { version: 1, event }),
        Format::Table => ui::out(&text(event)),
    }
}

fn title(step: TourStep) -> &'static str {
    match step {
        TourStep::Edit => "1/3  a save is live",
        TourStep::Break => "2/3  a save that breaks the program",
        TourStep::Mend => "2/3  a save that mends it",
        TourStep::Note => "3/3  data stays: a note",
        TourStep::Return => "3/3  data stays: down and up",
    }
}

fn text(event: &TourEvent) -> String {
    match event {
        TourEvent::Asks(task) => asked(task),
        TourEvent::Sees { what, .. } => format!("   - {}\n", escape_controls(what)),
        TourEvent::Explains {
            failures,
            differences,
            ..
        } => failures_text(failures) + &changes(differences),
        TourEvent::Confirms { what, ms, .. } => {
            let after = ms.map(|ms| format!(" after {ms} ms"));
            let what = escape_controls(what);
            format!(
                "   {} {what}{}\n",
                style("✓").green(),
                after.unwrap_or_default()
            )
        }
        TourEvent::Done { next } => {
            let next = next.iter().map(|next| format!("     {next}\n"));
            format!("\nthat was the tour. Next:\n{}", next.collect::<String>())
        }
    }
}

fn asked(task: &Task) -> String {
    let file = task.file.iter().map(|file| {
        let place = task.line.as_ref().map(|line| format!(":{}", line.number));
        format!("{}{}", file.display(), place.unwrap_or_default())
    });
    let line = task.line.iter().map(|line| format!("  {}", line.text));
    let commands = task.commands.iter().map(|command| format!("  {command}"));
    let lines = [task.what.clone()]
        .into_iter()
        .chain(file)
        .chain(line)
        .chain(commands);
    let lines = lines.map(|line| format!("     {}\n", escape_controls(&line)));
    format!(
        "\n{}\n{}",
        style(title(task.step)).bold(),
        lines.collect::<String>()
    )
}

fn changes(differences: &[LineDifference]) -> String {
    let line = |mark: &str, text: &str| format!("     {mark} {}\n", escape_controls(text));
    let each = |difference: &LineDifference| {
        format!(
            "     line {} was, and is now:\n{}{}",
            difference.line,
            line("-", &difference.before),
            line("+", &difference.now)
        )
    };
    differences.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_file_line_and_commands() {
        let task = Task {
            step: TourStep::Edit,
            what: "Change the heading.".to_owned(),
            file: Some("/demo/index.html".into()),
            line: Some(TaskLine {
                number: 7,
                text: "<h1>Notes</h1>".to_owned(),
            }),
            commands: vec!["devk down".to_owned()],
        };
        let shown = console::strip_ansi_codes(&asked(&task)).into_owned();
        assert_eq!(
            shown,
            "\n1/3  a save is live\n     Change the heading.\n     /demo/index.html:7\n       <h1>Notes</h1>\n       devk down\n"
        );
    }

    #[test]
    fn a_confirmation_has_its_time_where_there_is_one() {
        let confirms = |ms| {
            let what = "seen live".to_owned();
            let step = TourStep::Edit;
            text(&TourEvent::Confirms { step, what, ms })
        };
        assert!(
            confirms(Some(14)).contains("✓")
                && confirms(Some(14)).ends_with("seen live after 14 ms\n")
        );
        assert!(confirms(None).ends_with("seen live\n"));
    }

    #[test]
    fn the_documents_of_the_tour_are_named() {
        let event = TourEvent::Done { next: vec![] };
        let document = TourDocument {
            version: 1,
            event: &event,
        };
        let document = serde_json::to_value(document).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"version": 1, "tour": "done", "next": []})
        );
    }
}
