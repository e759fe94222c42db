//! Facts → report. Pure: every rule looks at the facts, and what was seen becomes findings with places.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::baseline::CheckBaseline;
use super::facts::{ChartFacts, CheckRendering, RenderingUse};
use super::finding::{ChartFinding, Counts};
use super::ignore;
use super::locate::Locator;
use super::report::{ChartReport, Found};
use super::rule::{ChartRule, Look};
use super::seen::{Sighting, Sightings, Subject};
use super::table;
use super::traits::traits;
use super::view::{ChartView, RenderingView};
use crate::config::CheckConfig;
use crate::error::Errors;

/// The day from which ignores are counted, and what is known.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    pub config: &'a CheckConfig,
    pub today: Date,
    pub baseline: Option<&'a CheckBaseline>,
}

impl<'a> Judgement<'a> {
    /// Without a baseline.
    pub const fn new(config: &'a CheckConfig, today: Date) -> Self {
        Self {
            config,
            today,
            baseline: None,
        }
    }
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
    judge_renderings(facts, judgement, |usage| usage == RenderingUse::Judged)
}

/// Judges one chart as if every set of values were what is installed.
pub(super) fn judge_all(facts: &ChartFacts, judgement: Judgement<'_>) -> ChartReport {
    judge_renderings(facts, judgement, |_| true)
}

fn judge_renderings(
    facts: &ChartFacts,
    judgement: Judgement<'_>,
    is_judged: fn(RenderingUse) -> bool,
) -> ChartReport {
    let Judgement {
        config,
        today,
        baseline,
    } = judgement;
    let view = ChartView::new(facts, config, today);
    let mut findings = BTreeMap::new();
    let mut locator = Locator::new(facts);
    for rule in table::active(config) {
        for (at, sighting) in look(rule, &view, is_judged) {
            add(rule, at, sighting, facts, &mut locator, &mut findings);
        }
    }
    let mut findings: Vec<_> = findings
        .into_values()
        .map(|merged| merged.finding(facts))
        .collect();
    ignore::by_config(&mut findings, config, today);
    let known = baseline
        .map(CheckBaseline::fingerprints)
        .unwrap_or_default();
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
        traits: traits(facts),
        has_baseline: baseline.is_some(),
        is_rendered: facts.is_library() || view.judged().next().is_some(),
    })
}

/// What a rule sees, with the position of the rendering in which it does.
fn look(
    rule: &ChartRule,
    view: &ChartView<'_>,
    is_judged: fn(RenderingUse) -> bool,
) -> Vec<(Option<usize>, Sighting)> {
    let each = |look: fn(&RenderingView<'_>, &mut Sightings),
                is_meant: &dyn Fn(RenderingUse) -> bool| {
        let renderings = view.renderings.iter().enumerate();
        let meant = renderings.filter(|(_, rendering)| is_meant(rendering.usage));
        let seen = meant.flat_map(|(at, rendering)| {
            let mut seen = Sightings::default();
            look(rendering, &mut seen);
            seen.0.into_iter().map(move |sighting| (Some(at), sighting))
        });
        seen.collect()
    };
    match rule.look {
        Look::Chart(look) => {
            let mut seen = Sightings::default();
            look(view, &mut seen);
            seen.0
                .into_iter()
                .map(|sighting| (None, sighting))
                .collect()
        }
        Look::Rendering(look) => each(look, &is_judged),
        Look::Every(look) => each(look, &|_| true),
    }
}

/// What is seen in several renderings is one finding.
struct Merged {
    finding: ChartFinding,
    renderings: BTreeSet<usize>,
}

impl Merged {
    fn finding(self, facts: &ChartFacts) -> ChartFinding {
        let judged = |rendering: &&CheckRendering| rendering.usage == RenderingUse::Judged;
        let everywhere = match self.finding.rule.look {
            Look::Every(_) => facts.renderings.len(),
            _ => facts.renderings.iter().filter(judged).count(),
        };
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
    rule: &'static ChartRule,
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
    let file = match &sighting.subject {
        Subject::File { path, .. } => Some(path.clone()),
        _ => None,
    };
    let part = path.clone().or_else(|| file.clone()).unwrap_or_default();
    let label = object.clone().unwrap_or_default();
    let key = (rule.id, label, part, sighting.message.clone());
    let merged = findings.entry(key).or_insert_with(|| {
        let places = locator.places(&sighting.subject, sighting.values);
        let dependency = dependency(facts, &sighting.subject);
        let finding = ChartFinding {
            rule,
            chart: facts.name.clone(),
            dependency,
            object,
            path,
            file,
            message: sighting.message.clone(),
            place: places.template,
            value: places.value,
            with: vec![],
            counts: annotated(facts, &sighting.subject, rule),
            subject: sighting.subject,
            governing: places.governing,
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

fn annotated(facts: &ChartFacts, subject: &Subject, rule: &ChartRule) -> Counts {
    let object = document(facts, subject).map(|document| match subject {
        // The annotations of a List are those of its items.
        Subject::Object { path, .. } if document.object["kind"] == "List" => {
            let at = path.get(1).and_then(|at| at.parse::<usize>().ok());
            at.map_or(&document.object, |at| &document.object["items"][at])
        }
        _ => &document.object,
    });
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
    } else if view.judged().next().is_none() {
        notes.push(
            "the chart does not render: nothing but its files was judged, so it has no points"
                .to_owned(),
        );
    } else if !installs && facts.failures.is_empty() {
        notes.push("the chart installs no object, so nothing but its files was judged".to_owned());
    } else if !view.renderings.iter().any(|r| r.pods().next().is_some())
        && facts.failures.is_empty()
    {
        notes.push("the chart runs no pod: what is asked of pods does not apply".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::super::rule::Severity;
    use super::*;
    use crate::config::IgnoreConfig;
    use crate::place::Origin;
    use crate::release::variant::ChartFile;

    const TODAY: Date = jiff::civil::date(2027, 1, 15);

    const POD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n  selector: {matchLabels: {app: api}}\n  template:\n    metadata: {labels: {app: api}}\n    spec: {containers: [{name: api, image: \"nginx:latest\"}]}\n";

    fn facts(renderings: &[(&str, RenderingUse, String)]) -> ChartFacts {
        let file = ChartFile {
            path: "Chart.yaml".into(),
            text: Some("apiVersion: v2\nname: shop\nversion: 1.0.0\n".to_owned()),
        };
        let mut facts = ChartFacts::new("shop", "shop", Path::new("/c"), vec![file]);
        for (label, usage, text) in renderings {
            let rendering = CheckRendering::new(*label, *usage, text, Value::Null);
            facts.renderings.push(rendering.unwrap());
        }
        facts
    }

    fn report(
        facts: &ChartFacts,
        config: &CheckConfig,
        baseline: Option<&CheckBaseline>,
    ) -> ChartReport {
        let judgement = Judgement {
            config,
            today: TODAY,
            baseline,
        };
        judge(facts, judgement)
    }

    #[test]
    fn what_helm_reads_as_a_text_counts_although_yaml_has_a_number_there() {
        let file = |path: &str, text: &str| ChartFile {
            path: path.into(),
            text: Some(text.to_owned()),
        };
        let chart = "apiVersion: v2\nname: 123\nversion: 1.0\ndependencies:\n- {name: 7, version: 2, repository: 'https://charts.example'}\n";
        let files = vec![
            file("Chart.yaml", chart),
            file("Chart.lock", "dependencies: [{name: 7, version: 1.2.5}]\n"),
        ];
        let facts = ChartFacts::new("shop", "shop", Path::new("/c"), files);
        assert_eq!(facts.name, "123");
        let report = report(&facts, &CheckConfig::default(), None);
        let told = |rule: &str| -> Vec<_> {
            let found = of(&report, rule).into_iter();
            found.map(|finding| finding.message.clone()).collect()
        };
        assert!(told("chart.metadata").is_empty());
        assert_eq!(
            told("chart.version"),
            ["the version `1` is not MAJOR.MINOR.PATCH"]
        );
        assert_eq!(
            told("chart.lock"),
            ["Chart.lock has `7` 1.2.5, which is not `2`"]
        );
    }

    fn of<'a>(report: &'a ChartReport, rule: &str) -> Vec<&'a ChartFinding> {
        report
            .findings
            .iter()
            .filter(|f| f.rule.id == rule)
            .collect()
    }

    #[test]
    fn what_is_there_with_all_values_is_one_finding_and_else_says_with_which() {
        let other = POD.replace("nginx:latest", "nginx:1");
        let judged = RenderingUse::Judged;
        let both = facts(&[("a", judged, POD.to_owned()), ("b", judged, POD.to_owned())]);
        let report_of = |facts| report(facts, &CheckConfig::default(), None);
        let found = report_of(&both);
        assert_eq!(of(&found, "image.latest").len(), 1);
        assert!(of(&found, "image.latest")[0].with.is_empty());
        let one = facts(&[("a", judged, other), ("b", judged, POD.to_owned())]);
        assert_eq!(of(&report_of(&one), "image.latest")[0].with, ["b"]);
        let flipped = [
            ("a", judged, String::new()),
            ("b", RenderingUse::Working, POD.to_owned()),
        ];
        let flipped = report_of(&facts(&flipped));
        assert!(
            of(&flipped, "image.latest").is_empty(),
            "it only has to work"
        );
    }

    #[test]
    fn objects_of_a_dependency_count_for_the_dependency() {
        let text = format!("# Source: shop/charts/store/templates/a.yaml\n{POD}");
        let facts = facts(&[("a", RenderingUse::Judged, text)]);
        let found = report(&facts, &CheckConfig::default(), None);
        assert!(of(&found, "image.latest").is_empty());
        assert_eq!(found.dependencies[0].name, "store");
        assert!(
            found.dependencies[0].score < 60 && found.score > 80,
            "{}",
            found.score
        );
    }

    #[test]
    fn an_ignore_counts_until_its_day_and_by_its_object() {
        let facts = facts(&[("a", RenderingUse::Judged, POD.to_owned())]);
        let counted = |object: &str, until: Date| {
            let ignore = IgnoreConfig {
                rule: "image.latest".to_owned(),
                object: Some(object.to_owned()),
                chart: None,
                reason: "once".to_owned(),
                until: Some(until),
                origin: Origin {
                    file: "/c/devk.yaml".into(),
                    line: 1,
                },
            };
            let config = CheckConfig {
                ignore: vec![ignore],
                ..CheckConfig::default()
            };
            let found = report(&facts, &config, None);
            let is_expired = !of(&found, "constraint.expired-ignore").is_empty();
            (of(&found, "image.latest")[0].is_counted(), is_expired)
        };
        assert_eq!(counted("Deployment/*", TODAY), (false, false));
        assert_eq!(counted("Job/*", TODAY), (true, false));
        assert_eq!(
            counted("Deployment/*", TODAY.yesterday().unwrap()),
            (true, true)
        );
    }

    #[test]
    fn an_annotation_ignores_with_its_reason() {
        let annotated = POD.replace(
            "{name: api}\nspec",
            "{name: api, annotations: {ignore.devk/image.latest: pulled once}}\nspec",
        );
        let facts = facts(&[("a", RenderingUse::Judged, annotated)]);
        let found = report(&facts, &CheckConfig::default(), None);
        let ignored = Counts::Ignored("pulled once".to_owned());
        assert_eq!(of(&found, "image.latest")[0].counts, ignored);
    }

    #[test]
    fn with_a_baseline_only_new_findings_fail() {
        let before = facts(&[("a", RenderingUse::Judged, POD.to_owned())]);
        let config = CheckConfig::default();
        let baseline = CheckBaseline::of(&[report(&before, &config, None)]);
        let again = report(&before, &config, Some(&baseline));
        assert!(again.passed && again.count(Severity::Medium) == 0);
        let worse = POD.replace(
            "metadata: {labels: {app: api}}",
            "metadata: {labels: {app: web}}",
        );
        let worse = facts(&[("a", RenderingUse::Judged, worse)]);
        let found = report(&worse, &config, Some(&baseline));
        assert!(!found.passed);
        let new: Vec<_> = found
            .findings
            .iter()
            .filter(|f| f.is_counted())
            .map(|f| f.rule.id)
            .collect();
        assert_eq!(new, ["workload.selector"]);
    }

    #[test]
    fn charts_without_pods_pass_with_a_note() {
        let config = CheckConfig::default();
        let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: as.b.c}\nspec:\n  group: b.c\n  scope: Namespaced\n  names: {kind: A, plural: as}\n  versions:\n    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n";
        let texts = [
            ("", "no object"),
            (
                "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n",
                "no pod",
            ),
            (definition, "no pod"),
        ];
        for (text, note) in texts {
            let mut facts = facts(&[("a", RenderingUse::Judged, text.to_owned())]);
            let docs = ["README.md", "templates/NOTES.txt"];
            facts.files.extend(docs.map(|path| ChartFile {
                path: path.into(),
                text: Some(String::new()),
            }));
            let found = report(&facts, &config, None);
            let rules: Vec<_> = found.findings.iter().map(|f| f.rule.id).collect();
            assert!(found.passed, "{text}: {rules:?}");
            assert!(
                found.notes.iter().any(|known| known.contains(note)),
                "{:?}",
                found.notes
            );
        }
        let mut library = facts(&[]);
        library.metadata["type"] = "library".into();
        let found = report(&library, &config, None);
        assert!(found.passed && found.notes[0].contains("library"));
    }
}
