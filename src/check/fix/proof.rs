//! Whether a change of a chart does what it is meant to do and nothing else, by what the chart renders to before and after.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::facts::{ChartFacts, CheckRendering};
use super::super::finding::ChartFinding;
use super::super::judge::{Judgement, judge, judge_all};
use super::super::report::ChartReport;
use super::super::seen::Subject;
use super::FixFigures;
use super::remedy::{Remedy, remedy};
use crate::config::CheckConfig;
use crate::release::lined::RenderedDocument;

/// What tells an object from all others of a rendering: template, kind, namespace, name.
type ObjectKey = [String; 4];

/// A value of an object, by the keys that lead to it.
type Leaves = BTreeMap<Vec<String>, Value>;

/// A chart with what it is worth.
pub(super) struct JudgedChart {
    pub(super) facts: ChartFacts,
    pub(super) report: ChartReport,
    /// As if every set of values were what is installed.
    all: ChartReport,
}

impl JudgedChart {
    pub(super) fn of(facts: ChartFacts, judgement: Judgement<'_>) -> Self {
        Self {
            report: judge(&facts, judgement),
            all: judge_all(&facts, judgement),
            facts,
        }
    }
}

/// Why a change is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// A field differs, which may do so by itself.
    Field(String),
    Otherwise(String),
}

impl Unproven {
    pub(super) fn why(self) -> String {
        match self {
            Self::Field(why) | Self::Otherwise(why) => why,
        }
    }
}

/// What may change, and what has to be gone.
pub(super) struct ChangeProof<'a> {
    pub(super) before: &'a JudgedChart,
    /// Rendered once more without a change; what differs between the two changes by itself.
    pub(super) again: Option<&'a ChartFacts>,
    pub(super) config: &'a CheckConfig,
    pub(super) figures: &'a FixFigures,
    /// The rules whose findings are remedied.
    pub(super) rules: &'a BTreeSet<&'static str>,
    /// The findings that have to be gone, by their fingerprints.
    pub(super) targets: &'a BTreeSet<String>,
}

impl ChangeProof<'_> {
    /// Proves the change by the changed chart; else why it is not kept.
    pub(super) fn of(&self, after: &JudgedChart) -> Result<(), Unproven> {
        self.renders(&after.facts).map_err(Unproven::Otherwise)?;
        let meant = self.meant();
        let renderings = self.before.facts.renderings.iter();
        for (before, now) in renderings.zip(&after.facts.renderings) {
            let again = self.again.and_then(|again| rendering(again, &before.label));
            changes(before, now, again, &meant)?;
        }
        self.remedies(after).map_err(Unproven::Otherwise)
    }

    /// Every target is gone, and nothing new is found.
    fn remedies(&self, after: &JudgedChart) -> Result<(), String> {
        let known = fingerprints(&self.before.all);
        let mut found = charged(&after.all);
        if let Some(new) = found.find(|finding| !known.contains(&finding.fingerprint())) {
            let object = new.object.as_deref().unwrap_or("the chart");
            return Err(format!(
                "then `{}` finds something in {object}: {}",
                new.rule.id, new.message
            ));
        }
        let left = fingerprints(&after.report);
        match self.targets.iter().any(|target| left.contains(target)) {
            true => Err("the finding is still there".to_owned()),
            false => Ok(()),
        }
    }

    fn renders(&self, after: &ChartFacts) -> Result<(), String> {
        let labels = |facts: &ChartFacts| {
            facts
                .failures
                .iter()
                .map(|failure| failure.label.clone())
                .collect::<BTreeSet<_>>()
        };
        let before = &self.before.facts;
        let known = labels(before);
        if let Some(failure) = after
            .failures
            .iter()
            .find(|failure| !known.contains(&failure.label))
        {
            return Err(format!(
                "the chart does not render with {}: {}",
                failure.label, failure.error.message
            ));
        }
        let same = before.renderings.iter().map(|rendering| &rendering.label);
        match same.eq(after.renderings.iter().map(|rendering| &rendering.label)) {
            true => Ok(()),
            false => Err("the chart has other sets of values".to_owned()),
        }
    }

    /// The fields that may change, by object (`Deployment/api`), and the workloads that may get a budget.
    fn meant(&self) -> MeantChanges {
        let mut meant = MeantChanges::default();
        let facts = &self.before.facts;
        let findings = charged(&self.before.all);
        let findings = findings.filter(|finding| self.rules.contains(finding.rule.id));
        for finding in findings {
            let Subject::Object { label, .. } = &finding.subject else {
                continue;
            };
            match remedy(finding, facts, self.config, self.figures) {
                Remedy::Fields(fields) => {
                    let fields = fields.into_iter().map(|field| (field.path, field.value));
                    meant
                        .fields
                        .entry(label.clone())
                        .or_default()
                        .extend(fields);
                }
                Remedy::Budget => {
                    let (_, name) = label.split_once('/').unwrap_or_default();
                    meant.budgets.insert(name.to_owned());
                }
                Remedy::ByHand(_) => {}
            }
        }
        meant
    }
}

#[derive(Default)]
struct MeantChanges {
    fields: BTreeMap<String, Vec<(Vec<String>, Value)>>,
    budgets: BTreeSet<String>,
}

impl MeantChanges {
    fn has(&self, label: &str, path: &[String], value: &Value) -> bool {
        let fields = self.fields.get(label).map_or(&[][..], Vec::as_slice);
        fields
            .iter()
            .any(|(field, meant)| match path.strip_prefix(field.as_slice()) {
                Some(below) => leaves(meant).get(below) == Some(value),
                None => false,
            })
    }

    /// A value that is gone is replaced.
    fn replaces(&self, label: &str, path: &[String]) -> bool {
        let fields = self.fields.get(label).map_or(&[][..], Vec::as_slice);
        fields.iter().any(|(field, _)| path.starts_with(field))
    }
}

fn charged(report: &ChartReport) -> impl Iterator<Item = &ChartFinding> {
    let dependencies = report
        .dependencies
        .iter()
        .flat_map(|dependency| &dependency.findings);
    report
        .findings
        .iter()
        .chain(dependencies)
        .filter(|finding| finding.is_charged())
}

fn fingerprints(report: &ChartReport) -> BTreeSet<String> {
    charged(report).map(ChartFinding::fingerprint).collect()
}

fn rendering<'a>(facts: &'a ChartFacts, label: &str) -> Option<&'a CheckRendering> {
    facts
        .renderings
        .iter()
        .find(|rendering| rendering.label == label)
}

fn key(document: &RenderedDocument) -> ObjectKey {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &document.object;
    let metadata = &object["metadata"];
    [
        document.source.clone(),
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
    ]
}

/// Objects of the same key are told apart by their order.
fn objects(rendering: &CheckRendering) -> BTreeMap<(ObjectKey, usize), Leaves> {
    let mut found: BTreeMap<(ObjectKey, usize), Leaves> = BTreeMap::new();
    for document in &rendering.documents {
        let key = key(document);
        let count = found.keys().filter(|(known, _)| *known == key).count();
        found.insert((key, count), leaves(&document.object));
    }
    found
}

/// What is not meant to change stays as it was.
fn changes(
    before: &CheckRendering,
    now: &CheckRendering,
    again: Option<&CheckRendering>,
    meant: &MeantChanges,
) -> Result<(), Unproven> {
    let otherwise = |why| Err(Unproven::Otherwise(why));
    let (old, new) = (objects(before), objects(now));
    let again = again.map(objects);
    let with = format!("with {}", before.label);
    for ((key, _), leaves) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        let [_, kind, _, name] = key;
        let has_name = leaves
            .get(&[String::from("metadata"), String::from("name")][..])
            .is_some();
        if kind != "PodDisruptionBudget" || !has_name || !meant.budgets.contains(name) {
            return otherwise(format!("it brings {kind}/{name} {with}"));
        }
    }
    for (key, was) in &old {
        let [_, kind, _, name] = &key.0;
        let label = format!("{kind}/{name}");
        let Some(is) = new.get(key) else {
            return otherwise(format!("{label} is gone {with}"));
        };
        // What another rendering of the same files changes, too, is none of this change.
        let restless = |path: &Vec<String>| {
            again.as_ref().is_some_and(|again| {
                again.get(key).and_then(|again| again.get(path)) != was.get(path)
            })
        };
        let paths: BTreeSet<_> = was.keys().chain(is.keys()).collect();
        for path in paths {
            let is_fine = match (was.get(path), is.get(path)) {
                (was, is) if was == is => true,
                (_, Some(value)) => meant.has(&label, path, value),
                (_, None) => meant.replaces(&label, path),
            };
            if !is_fine && !restless(path) {
                let path = path.join(".");
                let why = format!("it changes `{path}` of {label}, too, {with}");
                return Err(Unproven::Field(why));
            }
        }
    }
    Ok(())
}

/// The scalars of a value; nothing and empty collections say the same.
fn leaves(value: &Value) -> Leaves {
    fn collect(value: &Value, path: &mut Vec<String>, found: &mut Leaves) {
        let mut below = |key: String, value: &Value| {
            path.push(key);
            collect(value, path, found);
            path.pop();
        };
        match value {
            Value::Null => {}
            Value::Object(entries) => entries
                .iter()
                .for_each(|(key, value)| below(key.clone(), value)),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, value)| below(at.to_string(), value)),
            scalar => {
                found.insert(path.clone(), scalar.clone());
            }
        }
    }
    let mut found = Leaves::new();
    collect(value, &mut vec![], &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::facts::RenderingUse;
    use super::*;

    const TEXT: &str = "# Source: a/templates/a.yaml\nkind: Deployment\nmetadata: {name: api}\nspec: {replicas: 1, empty: {}}\n";

    fn rendered(text: &str) -> CheckRendering {
        CheckRendering::new("values.yaml", RenderingUse::Judged, text, Value::Null).unwrap()
    }

    fn meant(path: &[&str], value: Value) -> MeantChanges {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        MeantChanges {
            fields: BTreeMap::from([("Deployment/api".to_owned(), vec![(path, value)])]),
            budgets: BTreeSet::from(["api".to_owned()]),
        }
    }

    #[test]
    fn only_what_is_meant_may_change() {
        let grace = meant(&["spec", "grace"], json!({"a": 30}));
        let check = |new: &str, again: Option<&str>| {
            changes(
                &rendered(TEXT),
                &rendered(new),
                again.map(rendered).as_ref(),
                &grace,
            )
        };
        let with = |more: &str| TEXT.replace("empty: {}", more);
        assert_eq!(check(&with("grace: {a: 30}"), None), Ok(()));
        assert!(
            check(&with("grace: {a: 31}"), None)
                .unwrap_err()
                .why()
                .contains("spec.grace.a")
        );
        assert!(
            check(&with("grace: {a: 30}, b: 1"), None)
                .unwrap_err()
                .why()
                .contains("spec.b")
        );
        assert!(
            check(&TEXT.replace("replicas: 1, ", ""), None)
                .unwrap_err()
                .why()
                .contains("spec.replicas")
        );
        assert!(check(&TEXT.replace("name: api", "name: b"), None).is_err());
        // What is random changes by itself.
        let other = |count: u8| TEXT.replace("replicas: 1", &format!("replicas: {count}"));
        assert!(check(&other(2), None).is_err());
        assert_eq!(check(&other(2), Some(&other(3))), Ok(()));
    }

    #[test]
    fn a_budget_may_come_and_nothing_else() {
        let meant = meant(&[], Value::Null);
        let more = |kind: &str, name: &str| {
            format!(
                "{TEXT}---\n# Source: a/templates/a.yaml\nkind: {kind}\nmetadata: {{name: {name}}}\n"
            )
        };
        let check = |new: &str| changes(&rendered(TEXT), &rendered(new), None, &meant);
        assert_eq!(check(&more("PodDisruptionBudget", "api")), Ok(()));
        assert!(check(&more("PodDisruptionBudget", "web")).is_err());
        assert!(check(&more("ConfigMap", "api")).is_err());
    }
}
