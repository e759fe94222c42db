//! What the user sees: a live view on a terminal, plain lines in a pipe, JSON events with `--format json`.

use std::io::{IsTerminal, Write};

use crate::error::{Errors, Exit};
use event::Event;
use terminal::Terminal;

pub mod event;
pub mod plain;
pub mod terminal;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Table,
    Json,
}

/// Where progress goes.
#[derive(Debug)]
pub enum View {
    Live(Terminal),
    Plain,
    Json,
}

impl View {
    /// JSON if asked for, a live view if stderr is a terminal, plain lines otherwise.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Table if std::io::stderr().is_terminal() => Self::Live(Terminal::default()),
            Format::Table => Self::Plain,
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match self {
            Self::Live(terminal) => terminal.event(event),
            Self::Plain => err(&plain::lines(event)),
            Self::Json => json(event),
        }
    }
}

/// Prints a document on one line of stdout.
pub fn json(document: &impl serde::Serialize) {
    if let Ok(line) = serde_json::to_string(document) {
        out(&format!("{line}\n"));
    }
}

/// Prints to stdout. A reader that has gone away ends the program quietly, as it ends `cat`; a result
/// that is lost for another reason, such as a full disk, is a failure.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        Err(e) => {
            err(&format!("devk: cannot write the result: {e}\n"));
            std::process::exit(Exit::Failed as i32);
        }
    }
}

/// Prints to stderr. A reader that has gone away changes nothing.
pub fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// A line for the session's log. Unlike `eprintln!`, which panics, it puts up with a full disk.
pub fn log(line: std::fmt::Arguments<'_>) {
    err(&format!("{} {line}\n", jiff::Timestamp::now()));
}

/// A table with aligned columns and two spaces between them.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| {
        rows.iter()
            .filter_map(|row| row.get(at))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The same as a Markdown table (GitHub's); the first row is its head.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let line = |row: &[String]| {
        let cells = row
            .iter()
            .map(|cell| cell.replace('|', r"\|").replace('\n', " "));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let Some((head, rows)) = rows.split_first() else {
        return String::new();
    };
    let rule = format!("|{}\n", " --- |".repeat(head.len()));
    line(head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// Prints errors to stderr, as text or as one JSON document.
pub fn errors(errors: &Errors, format: Format) {
    match format {
        Format::Json => {
            let document = serde_json::json!({"version": 1, "errors": errors.0});
            err(&format!("{document}\n"));
        }
        Format::Table => errors.0.iter().for_each(|error| err(&plain::error(error))),
    }
}
