//! What a rendering came to: a fact, or a failure that is one.

use std::collections::BTreeSet;

use super::facts::{ChartFacts, CheckRendering, RenderFailure, RenderingUse};
use crate::error::{Code, Error, Result};
use crate::release::Prepared;
use serde_json::Value;

/// Whether an error says something of the chart, and not of the machine.
pub(super) fn is_of_chart(error: &Error) -> bool {
    !matches!(
        error.code,
        Code::ToolMissing
            | Code::StateIo
            | Code::StateForeign
            | Code::CommandNotRun
            | Code::CommandKilled
            | Code::Internal
    )
}

pub(super) fn failure(label: &str, error: Error) -> RenderFailure {
    RenderFailure {
        label: label.to_owned(),
        usage: RenderingUse::Judged,
        asks_for_value: false,
        error,
    }
}

/// Whether helm's refusal is the chart's own, of a value: `required`, `fail`, the schema of the values.
pub(super) fn asks_for_value(error: &Error) -> bool {
    let said = |words: &str| {
        error.message.contains(words) || error.evidence.iter().any(|line| line.contains(words))
    };
    error.code == Code::ChartRender
        && (said("execution error at") || said("values don't meet the specifications"))
}

/// A rendering becomes a fact; what is no YAML in it is a failure.
pub(super) fn take(
    facts: &mut ChartFacts,
    prepared: &Prepared,
    label: &str,
    usage: RenderingUse,
    text: Result<String>,
    values: Value,
) {
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            facts.failures.push(RenderFailure {
                usage,
                ..failure(label, error)
            });
            return;
        }
    };
    match CheckRendering::new(label, usage, &text, values) {
        Ok(rendering) => {
            let sources = rendering.documents.iter().map(|document| &document.source);
            for source in sources.collect::<BTreeSet<_>>() {
                let is_known = facts.templates.iter().any(|(known, _)| known == source);
                if let Some(file) = prepared.chart.user_file(source).filter(|_| !is_known) {
                    facts.templates.push((source.clone(), file));
                }
            }
            facts.renderings.push(rendering);
        }
        Err((source, why)) => {
            let message = format!("`{source}` does not render to YAML: {why}");
            let error = Error::new(Code::ChartRender, message);
            let error = match prepared.chart.user_file(&source) {
                Some(file) => error.at(file, None),
                None => error,
            };
            facts.failures.push(RenderFailure {
                usage,
                ..failure(label, error)
            });
        }
    }
}
