//! What a model answers, as it is shown: the model's words, what it looked at, and that they are its own.

use serde::Serialize;

use crate::ask::section;
use crate::assistant::ConsultedTrail;
use crate::commands::Context;
use crate::error::{Error, Result};
use crate::ui::plain::escape_controls;
use crate::ui::{self, Format};

/// The contract of `devk ask --format json` for an answer of a model.
#[derive(Debug, Serialize)]
struct ModelDocument<'a> {
    version: u32,
    question: &'a str,
    /// Why devk itself gives no answer.
    unclear: String,
    model: ModelAnswer<'a>,
}

#[derive(Debug, Serialize)]
struct ModelAnswer<'a> {
    backend: &'a str,
    text: &'a str,
    /// The model looked at nothing.
    unverified: bool,
    looked: Vec<LookedAt<'a>>,
    passed: Vec<PassedBackend<'a>>,
}

#[derive(Debug, Serialize)]
struct LookedAt<'a> {
    at: &'a str,
    kubectl: &'a [String],
}

#[derive(Debug, Serialize)]
struct PassedBackend<'a> {
    backend: &'a str,
    why: &'a str,
}

/// Shows an answer of a model; `unclear` is why devk itself gives none.
///
/// # Errors
/// As [`ui::out`].
pub(super) fn show(
    context: &Context,
    text: &str,
    unclear: &Error,
    answer: &str,
    trail: &ConsultedTrail,
) -> Result<()> {
    match context.format {
        Format::Json => ui::json(&ModelDocument {
            version: 1,
            question: text,
            unclear: unclear.on_one_line(),
            model: ModelAnswer {
                backend: &trail.backend,
                text: answer,
                unverified: trail.is_unverified(),
                looked: trail
                    .looked
                    .iter()
                    .map(|looked| LookedAt {
                        at: &looked.at,
                        kubectl: &looked.kubectl,
                    })
                    .collect(),
                passed: trail
                    .passed
                    .iter()
                    .map(|passed| PassedBackend {
                        backend: &passed.backend,
                        why: &passed.why,
                    })
                    .collect(),
            },
        }),
        Format::Table => ui::out(&answered(answer, trail)),
    }
}

/// The answer as text: what a model says is said to be its own.
fn answered(answer: &str, trail: &ConsultedTrail) -> String {
    let lines = answer.lines().map(escape_controls);
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    let looked = trail.looked.iter().map(|looked| looked.at.clone());
    text += &section("looked at", &looked.collect::<Vec<_>>());
    let mut kubectl: Vec<_> = trail
        .looked
        .iter()
        .flat_map(|looked| looked.kubectl.clone())
        .collect();
    kubectl.sort();
    kubectl.dedup();
    text += &section("the same with kubectl", &kubectl);
    let mut notes = vec![match trail.is_unverified() {
        true => format!(
            "unverified: these are the words of {}, which has looked at nothing",
            trail.backend
        ),
        false => format!("these are the words of {}, and not devk's", trail.backend),
    }];
    notes.extend(trail.passed.iter().map(ToString::to_string));
    text + &section("note", &notes)
}
