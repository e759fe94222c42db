//! What the user sees: a live view on a terminal, plain lines in a pipe, JSON events with `--format json`.

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use crate::error::{Code, Error, Errors, Result, internal};
use console::Alignment;
use event::Event;
use rustix::termios::QueueSelector;
use terminal::Terminal;
use tokio::sync::broadcast;

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

    /// Shows the events of some work until they end: with the work, which owns their reporter. The work goes on even if
    /// nobody reads the events.
    ///
    /// # Errors
    /// Beside the result of the work, as [`out`].
    pub async fn during<T>(
        &mut self,
        mut events: broadcast::Receiver<Event>,
        work: impl Future<Output = T>,
    ) -> (T, Result<()>) {
        let show = async {
            let mut shown = Ok(());
            while let Ok(event) = events.recv().await {
                shown = shown.and(self.event(&event));
            }
            shown
        };
        tokio::join!(work, show)
    }

    /// Shows one event.
    ///
    /// # Errors
    /// As [`out`].
    pub fn event(&mut self, event: &Event) -> Result<()> {
        match self {
            Self::Live(terminal) => terminal.event(event),
            Self::Plain => err(&plain::lines(event)),
            Self::Json => return json(event),
        }
        Ok(())
    }
}

/// Prints a document on one line of stdout.
///
/// # Errors
/// As [`out`].
pub fn json(document: &impl serde::Serialize) -> Result<()> {
    let line = serde_json::to_string(document).map_err(|e| internal(&e))?;
    out(&format!("{line}\n"))
}

/// Prints to stdout.
///
/// # Errors
/// [`Code::OutputClosed`] if its reader has gone away, [`Code::OutputIo`] if it is lost for another reason, such as a
/// full disk.
pub fn out(text: &str) -> Result<()> {
    write(&mut std::io::stdout().lock(), text)
}

fn write(to: &mut impl Write, text: &str) -> Result<()> {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    written.map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Error::new(Code::OutputClosed, "nobody reads the output"),
        _ => Error::new(Code::OutputIo, format!("cannot write the output: {e}")),
    })
}

/// For what goes on whether or not somebody reads of it: a reader that has gone away is no error.
///
/// # Errors
/// All others.
pub fn even_unread(printed: Result<()>) -> Result<()> {
    match printed {
        Err(error) if error.code == Code::OutputClosed => Ok(()),
        printed => printed,
    }
}

/// Prints to stderr. A reader that has gone away changes nothing.
pub fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether a terminal obeys a character instead of showing it, or shows others in another order or not at all because
/// of it: controls, those of directions, and what has no width.
pub const fn is_obeyed(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

/// A text without what a terminal would obey.
pub fn harmless(text: &str) -> String {
    let shown = |c: char| if is_obeyed(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// What was typed before a question is no answer to it.
fn forget_typed_ahead(terminal: impl AsFd) {
    // Where there is no terminal nothing is typed.
    let _ = rustix::termios::tcflush(terminal, QueueSelector::IFlush);
}

/// Whether somebody is there who can be asked: the question goes to a terminal, and the answer comes from one.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on a terminal; only a yes is one.
pub fn confirmed(question: &str) -> bool {
    let answer = answered(&format!("{question}? [y/N] "));
    answer.is_some_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Asks on a terminal for these very words.
pub fn confirmed_by_typing(words: &str) -> bool {
    let answer = answered(&format!("Type `{words}` to go on: "));
    answer.is_some_and(|answer| answer.trim() == words)
}

/// The line that is typed on a terminal after a question.
pub fn answered(prompt: &str) -> Option<String> {
    forget_typed_ahead(std::io::stdin());
    err(prompt);
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok().then_some(answer)
}

/// Asks a question on a terminal; where something is destroyed, its names are the answer.
pub fn agreed(question: &str, destroyed: &[impl AsRef<str>]) -> bool {
    match destroyed {
        [] => confirmed(question),
        names => names.iter().all(|name| confirmed_by_typing(name.as_ref())),
    }
}

/// A line for the session's log. Unlike `eprintln!`, which panics, it puts up with a full disk.
pub fn log(line: std::fmt::Arguments<'_>) {
    err(&format!("{} {line}\n", jiff::Timestamp::now()));
}

/// A table with aligned columns and two spaces between them. What ends its row, such as a long reason, widens no column.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let last = |row: &[String]| {
        row.iter()
            .rposition(|cell| !cell.is_empty())
            .unwrap_or_default()
    };
    let width = |at: usize| {
        rows.iter()
            .filter(|row| at < last(row))
            .filter_map(|row| row.get(at))
            .map(|cell| console::measure_text_width(cell))
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| console::pad_str(cell, *width, Alignment::Left, None));
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

/// Lists one below the other, each by `layout`; of those after the first, the ones that have rows.
pub fn lists(lists: &[Vec<Vec<String>>], layout: fn(&[Vec<String>]) -> String) -> String {
    let shown = lists
        .iter()
        .enumerate()
        .filter(|(at, list)| *at == 0 || list.len() > 1);
    let texts: Vec<_> = shown.map(|(_, list)| layout(list)).collect();
    texts.join("\n")
}

/// Prints errors to stderr, as text or as one JSON document.
pub fn errors(errors: &Errors, format: Format) {
    // Who has closed the output knows it.
    if errors.is_unread() {
        return;
    }
    match format {
        Format::Json => {
            let document = serde_json::json!({"version": 1, "errors": errors.0});
            err(&format!("{document}\n"));
        }
        Format::Table => errors.0.iter().for_each(|error| err(&plain::error(error))),
    }
}

/// Prints to stderr what keeps a command from nothing, as text or as one JSON document.
pub fn warning(error: &Error, format: Format) {
    match format {
        Format::Json => {
            let document = serde_json::json!({"version": 1, "warnings": [error]});
            err(&format!("{document}\n"));
        }
        Format::Table => err(&plain::warning(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reader_that_has_gone_away_is_told_from_a_full_disk() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert_eq!(write(&mut writer, "x"), Ok(()));
        drop(reader);
        let closed = write(&mut writer, "x");
        assert_eq!(closed.as_ref().unwrap_err().code, Code::OutputClosed);
        assert_eq!(even_unread(closed), Ok(()));
        let mut full: &mut [u8] = &mut [];
        let lost = write(&mut full, "x");
        assert_eq!(lost.as_ref().unwrap_err().code, Code::OutputIo);
        assert_eq!(even_unread(lost).unwrap_err().code, Code::OutputIo);
    }

    #[test]
    #[ignore = "what the next test runs on a terminal"]
    fn asks_after_a_while() {
        std::thread::sleep(Duration::from_millis(500));
        err(&format!("agreed: {}\n", confirmed("Do it")));
    }

    #[test]
    fn what_is_typed_ahead_of_a_question_is_no_answer() {
        let own = std::env::current_exe().unwrap();
        let child = "--ignored --exact ui::tests::asks_after_a_while --nocapture";
        let command = format!("'{}' {child}", own.display());
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = script.stdin.take().unwrap();
        let mut screen = script.stdout.take().unwrap();
        keyboard.write_all(b"y\n").unwrap();
        let (mut seen, mut part) = (String::new(), [0; 4096]);
        while !seen.contains("[y/N]") {
            let read = screen.read(&mut part).unwrap();
            assert!(read > 0, "{seen}");
            seen += &String::from_utf8_lossy(&part[..read]);
        }
        keyboard.write_all(b"n\n").unwrap();
        screen.read_to_string(&mut seen).unwrap();
        script.wait().unwrap();
        assert!(seen.contains("agreed: false"), "{seen}");
    }

    #[test]
    fn what_a_terminal_obeys_is_known() {
        for obeyed in [
            '\u{7}', '\u{9b}', '\u{200b}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{2069}',
        ] {
            assert!(is_obeyed(obeyed), "{obeyed:?}");
            let shown = plain::escape_controls(&format!("a{obeyed}b"));
            assert!(!shown.contains(obeyed), "{shown:?}");
        }
        assert!(!['a', ' ', 'ä', '日', '…', '→'].into_iter().any(is_obeyed));
    }

    #[test]
    fn columns_are_as_wide_as_a_terminal_shows_them() {
        let rows = [["é", "x"], ["日本", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "é     x\n日本  y\n");
    }
}
