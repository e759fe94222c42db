//! The chart renders, with every set of values that was found.

use super::super::facts::{RenderFailure, RenderingUse};
use super::super::rule::rules;
use super::super::seen::{Sightings, Subject};
use super::super::view::ChartView;
use crate::error::{Code, Error};
use crate::place::Origin;

rules! { Functional;
    "render.default" Critical, Foundation 40, On, Chart(default):
        "the chart does not render with the values with which it is installed",
        "correct the named line",
        "helm, \"helm template\"";
    "render.values" High, Foundation 15, On, Chart(values):
        "the chart does not render with a values file of its own, or with one `enabled` flipped",
        "correct the named line",
        "helm, \"helm template\"";
    "render.value-required" Low, Foundation 0, Off, Chart(value_required):
        "the chart has no default for a value that it demands, so it cannot be tried out",
        "give a default, or a `ci/*-values.yaml` with the value",
        "helm, \"Chart Development Tips and Tricks\": required";
}

fn default(view: &ChartView<'_>, seen: &mut Sightings) {
    // A chart that demands values was rendered with stand-ins for them, or not at all.
    let is_judged = view.judged().next().is_some();
    failures(view, seen, |failure| {
        failure.usage == RenderingUse::Judged && !(failure.asks_for_value && is_judged)
    });
}

fn values(view: &ChartView<'_>, seen: &mut Sightings) {
    failures(view, seen, |failure| {
        failure.usage == RenderingUse::Working && !failure.asks_for_value
    });
}

fn value_required(view: &ChartView<'_>, seen: &mut Sightings) {
    failures(view, seen, |failure| failure.asks_for_value);
}

fn failures(view: &ChartView<'_>, seen: &mut Sightings, is_meant: impl Fn(&RenderFailure) -> bool) {
    let failures = view.facts.failures.iter();
    for failure in failures.filter(|failure| is_meant(failure)) {
        let error = &failure.error;
        let words = cause(error).map(|words| match error.message.ends_with(':') {
            true => format!(" {words}"),
            false => format!(": {words}"),
        });
        let words = words.unwrap_or_default();
        let message = format!("with {}: {}{words}", failure.label, error.message);
        let place = failure.error.file.clone().map(|file| Origin {
            file,
            line: failure.error.line.unwrap_or(1),
        });
        let subject = place.map_or(Subject::Chart, Subject::Place);
        seen.push(message, subject, &[]);
    }
}

/// The words that a message which ends with a colon, or says no more than that a fetch failed, leaves to helm.
fn cause(error: &Error) -> Option<&str> {
    let mut lines = error
        .evidence
        .iter()
        .flat_map(|text| text.lines().map(str::trim));
    let said = |line: &&str| !(line.is_empty() || line.starts_with('$') || line.ends_with(':'));
    match error.code {
        Code::ChartDependency => {
            let why = |line: &&str| line.starts_with("Get ") || line.starts_with("Error:");
            lines.find(why)
        }
        _ if !error.message.ends_with(':') => None,
        // Of the schema of values each problem is an item, below the name of its chart.
        _ => lines.find(said).map(|line| line.trim_start_matches("- ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_what_helm_says_below_a_message_that_names_none() {
        let cause_of = |code, message: &str, evidence: &str| {
            let error = Error::new(code, message).evidence(evidence);
            cause(&error).map(str::to_owned)
        };
        for (evidence, expected) in [
            (
                "$ helm template\nshop:\n- at '/a': got number",
                "at '/a': got number",
            ),
            (
                "shop:\njson-pointer in \"x\" not found",
                "json-pointer in \"x\" not found",
            ),
        ] {
            let found = cause_of(Code::ChartRender, "they do not fit:", evidence);
            assert_eq!(found.as_deref(), Some(expected));
        }
        assert_eq!(cause_of(Code::ChartRender, "it fails", "shop"), None);
        let fetch =
            "Getting updates\n\tGet \"https://charts.invalid\": no such host\nError: no repository";
        assert_eq!(
            cause_of(Code::ChartDependency, "cannot be fetched", fetch).as_deref(),
            Some("Get \"https://charts.invalid\": no such host")
        );
    }
}
