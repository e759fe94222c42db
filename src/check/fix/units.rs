//! Findings that one change remedies together, and the ways to make that change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::super::facts::ChartFacts;
use super::super::finding::ChartFinding;
use super::super::seen::Subject;
use super::draft::ChartTexts;
use super::remedy::{Remedy, RemedyField, depth};
use super::template::TemplateText;
use super::{KeptFix, values};

/// So many values are tried for one field.
const MOST_VALUES: usize = 4;

/// One change: the fields of one mapping of an object, or a budget beside it.
#[derive(Debug)]
pub(super) struct FixUnit {
    /// The same as long as the object has the same name.
    pub(super) key: String,
    pub(super) rules: BTreeSet<&'static str>,
    /// The fingerprints of the findings.
    pub(super) targets: BTreeSet<String>,
    object: String,
    rendering: usize,
    document: usize,
    /// None: a budget.
    fields: Option<Vec<RemedyField>>,
    governing: Vec<Vec<String>>,
}

/// A file of the chart with its new text, or why there is none.
pub(super) type Way = Result<(PathBuf, String), String>;

pub(super) fn units<'f>(
    facts: &ChartFacts,
    remedied: impl IntoIterator<Item = (&'f ChartFinding, Remedy)>,
) -> Vec<FixUnit> {
    let mut found: Vec<FixUnit> = vec![];
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for (finding, remedy) in remedied {
        let Subject::Object {
            rendering,
            document,
            label,
            ..
        } = &finding.subject
        else {
            continue;
        };
        let fields = match remedy {
            Remedy::Fields(fields) => Some(fields),
            Remedy::Budget => None,
            Remedy::ByHand(_) => continue,
        };
        let object = &facts.renderings[*rendering].documents[*document].object;
        let place = fields
            .as_ref()
            .and_then(|fields| fields.first())
            .map_or_else(String::new, |field| place(object, &field.path));
        let key = format!("{label} {place}");
        let at = *positions.entry(key.clone()).or_insert_with(|| {
            found.push(FixUnit {
                key,
                rules: BTreeSet::new(),
                targets: BTreeSet::new(),
                object: label.clone(),
                rendering: *rendering,
                document: *document,
                fields: fields.as_ref().map(|_| vec![]),
                governing: finding
                    .governing
                    .iter()
                    .take(MOST_VALUES)
                    .cloned()
                    .collect(),
            });
            found.len() - 1
        });
        let unit = &mut found[at];
        unit.rules.insert(finding.rule.id);
        unit.targets.insert(finding.fingerprint());
        for field in fields.into_iter().flatten() {
            if let Some(known) = &mut unit.fields
                && !known.iter().any(|known| known.path == field.path)
            {
                known.push(field);
            }
        }
    }
    found
}

/// The mapping that a field is missing in, and the first key that is missing there.
fn place(object: &Value, path: &[String]) -> String {
    path[..(depth(object, path) + 1).min(path.len())].join("/")
}

impl FixUnit {
    pub(super) fn kept(&self, file: PathBuf) -> KeptFix {
        KeptFix {
            rules: self.rules.iter().copied().collect(),
            object: self.object.clone(),
            file,
        }
    }

    /// The ways to make the change, values first.
    pub(super) fn ways(&self, facts: &ChartFacts, texts: &ChartTexts) -> Vec<Way> {
        let by_values = self.by_values(facts, texts).into_iter().map(Ok);
        by_values.chain([self.by_template(facts, texts)]).collect()
    }

    fn by_values(&self, facts: &ChartFacts, texts: &ChartTexts) -> Vec<(PathBuf, String)> {
        let file = PathBuf::from("values.yaml");
        let text = texts
            .get(&file)
            .map(String::as_str)
            .or_else(|| facts.text("values.yaml"));
        let Some((text, fields)) = text.zip(self.fields.as_ref()) else {
            return vec![];
        };
        let tried = self
            .governing
            .iter()
            .filter_map(|governing| values::with_fields(text, governing, fields));
        let changed = tried.filter(|new| new != text);
        changed.map(|new| (file.clone(), new)).collect()
    }

    fn by_template(&self, facts: &ChartFacts, texts: &ChartTexts) -> Way {
        let document = &facts.renderings[self.rendering].documents[self.document];
        let own = facts
            .templates
            .iter()
            .find(|(source, _)| *source == document.source);
        let path = own.and_then(|(_, file)| file.strip_prefix(&facts.folder).ok());
        let path = path.ok_or("the object is not of a template of the chart")?;
        let text = match texts.get(path) {
            Some(text) => text,
            None => path
                .to_str()
                .and_then(|path| facts.text(path))
                .ok_or("the template cannot be read")?,
        };
        let template = TemplateText::new(text, document)?;
        let new = match &self.fields {
            Some(fields) => template.with_fields(fields)?,
            None => template.with_budget()?,
        };
        Ok((path.to_owned(), new))
    }
}
