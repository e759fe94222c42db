//! Facts → report. Pure: every rule looks at the facts, and what was seen becomes findings with places.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::baseline::Baseline;
use super::facts::{ChartFacts, RenderingUse};
use super::finding::{ChartFinding, Counts};
use super::ignore;
use super::locate::Locator;
use super::report::{ChartReport, Found};
use super::rule::{Look, Rule};
use super::seen::{Seen, Sighting, Subject};
use super::table;
use super::view::{ChartView, RenderingView};
use crate::config::CheckConfig;
use crate::error::Errors;

/// The day from which ignores are counted, and what is known.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    pub config: &'a CheckConfig,
    pub today: Date,
    pub baseline: Option<&'a Baseline>,
}

/// What keeps charts from being judged: rules that there are not.
///
/// # Errors
/// All of them together.
pub fn usable(config: &CheckConfig) -> Result<(), Errors> {
    Errors::unless_empty(table::unknown(config), ())
}

/// Judges one chart.
pub fn judge(facts: &ChartFacts, judgement: Judgement<'_>) -> ChartReport {
    let Judgement {
        config,
        today,
        baseline,
    } = judgement;
    let view = ChartView::new(facts, config, today);
    let mut findings = BTreeMap::new();
    let mut locator = Locator::new(facts);
    for rule in table::active(config) {
        for (at, sighting) in look(rule, &view) {
            add(rule, at, sighting, facts, &mut locator, &mut findings);
        }
    }
    let everywhere = facts.renderings.len();
    let mut findings: Vec<_> = findings
        .into_values()
        .map(|merged| merged.finding(facts, everywhere))
        .collect();
    ignore::by_config(&mut findings, config, today);
    let known = baseline.map(Baseline::fingerprints).unwrap_or_default();
    for finding in findings.iter_mut().filter(|f| f.is_counted()) {
        if known.contains(finding.fingerprint().as_str()) {
            finding.counts = Counts::Known;
        }
    }
    ChartReport::new(Found {
        chart: facts.name.clone(),
        release: facts.release.clone(),
        findings,
        renderings: facts.renderings.iter().map(|r| r.label.clone()).collect(),
        notes: notes(facts, &view),
        has_baseline: baseline.is_some(),
    })
}

/// What a rule sees, with the position of the rendering in which it does.
fn look(rule: &Rule, view: &ChartView<'_>) -> Vec<(Option<usize>, Sighting)> {
    let each = |look: fn(&RenderingView<'_>, &mut Seen),
                is_meant: &dyn Fn(RenderingUse) -> bool| {
        let renderings = view.renderings.iter().enumerate();
        let meant = renderings.filter(|(_, rendering)| is_meant(rendering.usage));
        let seen = meant.flat_map(|(at, rendering)| {
            let mut seen = Seen::default();
            look(rendering, &mut seen);
            seen.0.into_iter().map(move |sighting| (Some(at), sighting))
        });
        seen.collect()
    };
    match rule.look {
        Look::Chart(look) => {
            let mut seen = Seen::default();
            look(view, &mut seen);
            seen.0
                .into_iter()
                .map(|sighting| (None, sighting))
                .collect()
        }
        Look::Rendering(look) => each(look, &|usage| usage == RenderingUse::Judged),
        Look::Every(look) => each(look, &|_| true),
    }
}

/// What is seen in several renderings is one finding.
struct Merged {
    finding: ChartFinding,
    renderings: BTreeSet<usize>,
}

impl Merged {
    fn finding(self, facts: &ChartFacts, everywhere: usize) -> ChartFinding {
        let with = match self.renderings.len() {
            count if count == everywhere => vec![],
            _ => {
                let labels = self.renderings.iter();
                labels
                    .map(|at| facts.renderings[*at].label.clone())
                    .collect()
            }
        };
        ChartFinding {
            with,
            ..self.finding
        }
    }
}

fn add<'a>(
    rule: &'static Rule,
    at: Option<usize>,
    sighting: Sighting,
    facts: &'a ChartFacts,
    locator: &mut Locator<'a>,
    findings: &mut BTreeMap<(&'static str, String, String, String), Merged>,
) {
    let (object, path) = match &sighting.subject {
        Subject::Object { path, label, .. } => (Some(label.clone()), Some(path.join("."))),
        _ => (None, None),
    };
    let part = match &sighting.subject {
        Subject::File { path, .. } => path.clone(),
        _ => path.clone().unwrap_or_default(),
    };
    let label = object.clone().unwrap_or_default();
    let key = (rule.id, label, part, sighting.message.clone());
    let merged = findings.entry(key).or_insert_with(|| {
        let places = locator.places(&sighting.subject, sighting.values);
        let finding = ChartFinding {
            rule,
            chart: facts.name.clone(),
            dependency: dependency(facts, &sighting.subject),
            object,
            path,
            message: sighting.message.clone(),
            place: places.template,
            value: places.value,
            with: vec![],
            counts: annotated(facts, &sighting.subject, rule),
        };
        Merged {
            finding,
            renderings: BTreeSet::new(),
        }
    });
    merged.renderings.extend(at);
}

/// The document of an object.
fn document<'a>(
    facts: &'a ChartFacts,
    subject: &Subject,
) -> Option<&'a crate::release::lined::RenderedDocument> {
    match subject {
        Subject::Object {
            rendering,
            document,
            ..
        } => facts.renderings.get(*rendering)?.documents.get(*document),
        _ => None,
    }
}

/// The dependency of a template: `shop/charts/postgresql/templates/…`.
fn dependency(facts: &ChartFacts, subject: &Subject) -> Option<String> {
    let source = &document(facts, subject)?.source;
    let (_, rest) = source.split_once("/charts/")?;
    rest.split('/').next().map(str::to_owned)
}

fn annotated(facts: &ChartFacts, subject: &Subject, rule: &Rule) -> Counts {
    let object = document(facts, subject).map(|document| &document.object);
    let reason = object.and_then(|object| ignore::by_annotation(object, rule.id));
    reason.map_or(Counts::Yes, Counts::Ignored)
}

fn notes(facts: &ChartFacts, view: &ChartView<'_>) -> Vec<String> {
    let mut notes = facts.notes.clone();
    let installs = view
        .renderings
        .iter()
        .any(|rendering| rendering.installed().next().is_some());
    if facts.is_library() {
        notes.push("a library chart renders nothing by itself".to_owned());
    } else if !installs && facts.failures.is_empty() {
        notes.push("the chart installs no object, so nothing but its files was judged".to_owned());
    } else if !view.renderings.iter().any(|r| r.pods().next().is_some())
        && facts.failures.is_empty()
    {
        notes.push("the chart runs no pod: what is asked of pods does not apply".to_owned());
    }
    notes
}
