//! Plain lines, for a pipe or a log: what started, how it ended, and every failure in full.

use super::event::{Event, Status};
use crate::error::Error;

/// The lines of one event; empty for progress, which says nothing a log needs, unless it explains a
/// failure.
pub fn lines(event: &Event) -> String {
    let seconds = format!("{:>6.1}s", event.ms as f64 / 1000.0);
    let line = |mark: &str| {
        format!(
            "{seconds} {mark} {:<24} {}\n",
            event.step,
            escape_controls(&event.detail)
        )
    };
    let explained = || event.error.as_ref().map(failure).unwrap_or_default();
    match event.status {
        Status::Started => line("…"),
        Status::Progress if event.error.is_some() => line("!") + &explained(),
        Status::Progress => String::new(),
        Status::Done => line("✓"),
        Status::Skipped => line("-"),
        Status::Failed => line("✗") + &explained(),
    }
}

/// A failure: evidence and hint, indented below its line.
pub fn failure(error: &Error) -> String {
    let evidence = error
        .evidence
        .iter()
        .map(|line| format!("          | {}\n", escape_controls(line)));
    let hint = error
        .hint
        .iter()
        .map(|hint| format!("          hint: {}\n", escape_controls(hint)));
    evidence.chain(hint).collect()
}

/// An error that stands alone, as `main` prints it.
pub fn error(error: &Error) -> String {
    alone("error", error)
}

/// An error that was passed over: the command goes on.
pub fn warning(error: &Error) -> String {
    alone("warning", error)
}

fn alone(word: &str, error: &Error) -> String {
    format!(
        "{word}[{}]: {}\n{}",
        error.code,
        escape_controls(&error.to_string()),
        failure(error)
    )
}

/// The text on one line, without control characters that a terminal obeys: names and the output of programs are not
/// devk's own words.
pub fn escape_controls(text: &str) -> String {
    let escaped = |c: char| {
        if super::is_obeyed(c) && c != '\t' {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_terminal_obeys_nothing_that_is_shown() {
        let shown =
            error(&Error::new(Code::ConfigValue, "`a\nb` is no name").evidence("\u{1b}[2Jgone\r"));
        assert_eq!(
            shown,
            "error[config.value]: `a\\nb` is no name\n          | \\u{1b}[2Jgone\\r\n"
        );
    }

    #[test]
    fn an_error_shows_place_evidence_and_hint() {
        let shown = error(
            &Error::new(Code::ConfigUnknownKey, "unknown key `image`")
                .at("devk.yaml", 3)
                .evidence("image: x")
                .hint("did you mean `images`?"),
        );
        assert_eq!(
            shown,
            "error[config.unknown-key]: devk.yaml:3: unknown key `image`\n          | image: x\n          hint: did you mean `images`?\n"
        );
    }
}
