//! The chart renders, with every set of values that was found.

use super::super::facts::{RenderFailure, RenderingUse};
use super::super::rule::rules;
use super::super::seen::{Sightings, Subject};
use super::super::view::ChartView;
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
        // The schema's own words stand below helm's.
        let words = match error.message.ends_with(':') {
            true => error
                .evidence
                .iter()
                .find_map(|line| line.strip_prefix("- ")),
            false => None,
        };
        let words = words.map(|words| format!(" {words}")).unwrap_or_default();
        let message = format!("with {}: {}{words}", failure.label, error.message);
        let place = failure.error.file.clone().map(|file| Origin {
            file,
            line: failure.error.line.unwrap_or(1),
        });
        let subject = place.map_or(Subject::Chart, Subject::Place);
        seen.push(message, subject, &[]);
    }
}
