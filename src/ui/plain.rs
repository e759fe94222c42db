//! Plain lines, for a pipe or a log: what started, how it ended, and every failure in full.

use super::event::{Event, Status};
use crate::error::Error;

/// The lines of one event; empty for progress, which says nothing a log needs, unless it explains a
/// failure.
pub fn lines(event: &Event) -> String {
    let seconds = format!("{:>6.1}s", event.ms as f64 / 1000.0);
    let line = |mark: &str| format!("{seconds} {mark} {:<24} {}\n", event.step, event.detail);
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
    let evidence = error.evidence.iter().map(|line| format!("          | {line}\n"));
    let hint = error.hint.iter().map(|hint| format!("          hint: {hint}\n"));
    evidence.chain(hint).collect()
}

/// An error that stands alone, as `main` prints it.
pub fn error(error: &Error) -> String {
    format!("error[{}]: {error}\n{}", error.code, failure(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

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
