//! Where in the user's files a finding stands: the line of the template, and of the value that governs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::align::TemplateLines;
use super::facts::ChartFacts;
use super::seen::Subject;
use crate::place::Origin;
use crate::release::lined::LinedYaml;
use crate::release::written::references;

/// Finds places; what was read and aligned once is kept.
#[derive(Debug)]
pub(super) struct Locator<'a> {
    facts: &'a ChartFacts,
    values: Option<(PathBuf, LinedYaml)>,
    /// The user's file of a template, with its text.
    templates: HashMap<&'a str, Option<Rc<TemplateText>>>,
    /// By rendering and document.
    documents: HashMap<(usize, usize), AlignedDocument>,
}

/// The user's file of a template, and what stands in it.
#[derive(Debug)]
struct TemplateText {
    file: PathBuf,
    text: String,
}

/// A rendered document: its keys, and for each line that of the template.
#[derive(Debug)]
struct AlignedDocument {
    /// None if it is no YAML that the parser takes.
    keys: Option<LinedYaml>,
    lines: Vec<Option<u32>>,
}

/// Where a finding stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FindingPlaces {
    pub(super) template: Option<Origin>,
    pub(super) value: Option<Origin>,
    /// The paths of values that may govern it, the likeliest first.
    pub(super) governing: Vec<Vec<String>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(facts: &'a ChartFacts) -> Self {
        let values = facts.text("values.yaml").and_then(|text| {
            let yaml = LinedYaml::parse(text).ok()?;
            Some((facts.folder.join("values.yaml"), yaml))
        });
        Self {
            facts,
            values,
            templates: HashMap::new(),
            documents: HashMap::new(),
        }
    }

    /// The places of what was seen in a subject; `values` are names of values that may govern it.
    pub(super) fn places(&mut self, subject: &Subject, values: &[&str]) -> FindingPlaces {
        match subject {
            Subject::Chart => FindingPlaces {
                template: Some(self.chart()),
                ..FindingPlaces::default()
            },
            Subject::Place(origin) => FindingPlaces {
                template: Some(origin.clone()),
                ..FindingPlaces::default()
            },
            Subject::File { path, line } => FindingPlaces {
                template: Some(Origin {
                    file: self.facts.folder.join(path),
                    line: line.unwrap_or(1),
                }),
                ..FindingPlaces::default()
            },
            Subject::Object {
                rendering,
                document,
                path,
                ..
            } => self.of_object(*rendering, *document, path, values),
        }
    }

    /// What stands for the chart as a whole.
    fn chart(&self) -> Origin {
        match self.facts.has_files() {
            true => Origin {
                file: self.facts.folder.join("Chart.yaml"),
                line: 1,
            },
            false => self.facts.origin.clone(),
        }
    }

    fn of_object(
        &mut self,
        rendering: usize,
        document: usize,
        path: &[String],
        values: &[&str],
    ) -> FindingPlaces {
        let facts = self.facts;
        let found = &facts.renderings[rendering].documents[document];
        let Some(template) = self.template(&found.source) else {
            return FindingPlaces {
                template: Some(facts.origin.clone()),
                ..FindingPlaces::default()
            };
        };
        let key = (rendering, document);
        let aligned = self
            .documents
            .entry(key)
            .or_insert_with(|| AlignedDocument {
                keys: LinedYaml::parse(&found.text).ok(),
                lines: TemplateLines::new(&template.text).align(&found.text),
            });
        let lines = &aligned.lines;
        let in_document = aligned.keys.as_ref().and_then(|keys| keys.line(path));
        let is_there = in_document.is_some_and(|(_, steps)| steps == path.len());
        let rendered = in_document.map_or(0, |(line, _)| line as usize - 1);
        let line = lines.get(rendered).copied().flatten().unwrap_or(1);
        let (first, last) = extent(&template.text, lines, rendered);
        let near = governing(&template.text, line, (first, last), values, is_there);
        let value = near.first().and_then(|path| self.value(path));
        // What concerns the pod stands above its containers.
        let above = governing(&template.text, line, (1, first), values, is_there);
        let further = above.into_iter().filter(|path| !near.contains(path));
        let further: Vec<_> = further.collect();
        FindingPlaces {
            template: Some(Origin {
                file: template.file.clone(),
                line,
            }),
            value,
            governing: near.into_iter().chain(further).collect(),
        }
    }

    fn template(&mut self, source: &'a str) -> Option<Rc<TemplateText>> {
        let facts = self.facts;
        let known = self.templates.entry(source).or_insert_with(|| {
            let (_, file) = facts.templates.iter().find(|(name, _)| name == source)?;
            let text = own_text(facts, file).or_else(|| std::fs::read_to_string(file).ok())?;
            let file = file.clone();
            Some(Rc::new(TemplateText { file, text }))
        });
        known.clone()
    }

    /// Where a value stands, or the mapping that it would be in.
    fn value(&self, path: &[String]) -> Option<Origin> {
        let (file, values) = self.values.as_ref()?;
        let (line, steps) = values.line(path)?;
        (steps == path.len() || steps + 1 == path.len()).then(|| Origin {
            file: file.clone(),
            line,
        })
    }
}

/// The values that the template's line prints, or those of these names that the object's part of the template uses.
fn governing(
    template: &str,
    line: u32,
    (first, last): (u32, u32),
    names: &[&str],
    is_there: bool,
) -> Vec<Vec<String>> {
    let lines: Vec<_> = template.lines().collect();
    let at = |line: u32| lines.get(line as usize - 1).copied().unwrap_or_default();
    let is_governed = |path: &Vec<String>| {
        names.is_empty() || path.iter().any(|key| names.contains(&key.as_str()))
    };
    let own = match is_there || names.is_empty() {
        true => paths(at(line)),
        false => vec![],
    };
    // Of what is not there the values that would write it are looked for in the object's lines: keys of one mapping stand
    // behind its first line.
    let before = (first..line).rev();
    let near = (line + 1..=last).chain(before).chain([line]);
    let around = near
        .filter(|_| !names.is_empty())
        .flat_map(|near| paths(at(near)))
        .filter(is_governed);
    let mut found: Vec<Vec<String>> = vec![];
    for path in own.into_iter().chain(around) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// The text of a file of the chart as it was read.
fn own_text(facts: &ChartFacts, file: &Path) -> Option<String> {
    let path = file.strip_prefix(&facts.folder).ok()?;
    facts.text(path.to_str()?).map(str::to_owned)
}

/// The first and last line of the template that wrote a document, from the line at `rendered` on.
fn extent(template: &str, lines: &[Option<u32>], rendered: usize) -> (u32, u32) {
    let from = lines.get(rendered).copied().flatten().unwrap_or(1);
    let last = lines
        .iter()
        .flatten()
        .max()
        .copied()
        .unwrap_or(from)
        .max(from);
    // What writes nothing now stands behind what is written, up to the next document.
    let behind = template.lines().enumerate().skip(last as usize);
    let end = behind
        .take_while(|(_, line)| !line.starts_with("---"))
        .last();
    let end = end.and_then(|(at, _)| u32::try_from(at + 1).ok());
    // A `with` or `if` stands above what it writes.
    (from.saturating_sub(2).max(1), end.unwrap_or(last))
}

/// The values that a line names, without `.Values`.
fn paths(line: &str) -> Vec<Vec<String>> {
    let found = references(line, "").into_iter();
    found
        .map(|path| path.split('.').map(str::to_owned).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::facts::{CheckRendering, RenderingUse};
    use super::*;
    use crate::release::variant::ChartFile;

    const TEMPLATE: &str = "kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicaCount }}
  containers:
    - name: a
      image: {{ .Values.image.repository }}
      {{- with .Values.livenessProbe }}
      livenessProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
";

    const RENDERED: &str = "# Source: shop/templates/a.yaml
kind: Deployment
metadata:
  name: r
spec:
  replicas: 1
  containers:
    - name: a
      image: nginx
";

    fn places(path: &[&str], values: &'static [&'static str]) -> (u32, Option<u32>) {
        let file = |path: &str, text: &str| ChartFile {
            path: path.into(),
            text: Some(text.to_owned()),
        };
        let files = vec![
            file("templates/a.yaml", TEMPLATE),
            file(
                "values.yaml",
                "replicaCount: 1\nimage:\n  repository: nginx\nlivenessProbe: {}\n",
            ),
        ];
        let mut facts = ChartFacts::new("shop", "shop", Path::new("/c"), files);
        let template = (
            "shop/templates/a.yaml".to_owned(),
            "/c/templates/a.yaml".into(),
        );
        facts.templates.push(template);
        let rendering = CheckRendering::new("d", RenderingUse::Judged, RENDERED, Value::Null);
        facts.renderings.push(rendering.unwrap());
        let subject = Subject::Object {
            rendering: 0,
            document: 0,
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            label: String::new(),
        };
        let found = Locator::new(&facts).places(&subject, values);
        assert_eq!(
            found.template.as_ref().unwrap().file,
            Path::new("/c/templates/a.yaml")
        );
        (
            found.template.unwrap().line,
            found.value.map(|value| value.line),
        )
    }

    #[test]
    fn a_finding_stands_at_the_line_of_the_template_and_of_its_value() {
        assert_eq!(
            places(&["spec", "replicas"], &["replicaCount"]),
            (5, Some(1))
        );
        assert_eq!(
            places(&["spec", "containers", "0", "image"], &[]),
            (8, Some(3))
        );
    }

    #[test]
    fn what_is_missing_stands_at_its_container_and_at_the_value_that_would_write_it() {
        let path = ["spec", "containers", "0", "livenessProbe"];
        assert_eq!(places(&path, &["livenessProbe"]), (7, Some(4)));
        assert_eq!(places(&path, &["resources"]), (7, None));
    }
}
