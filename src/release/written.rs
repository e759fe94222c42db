//! Where the user wrote what a rendered object says: the template, its line, and the values that it asks.
//!
//! A template is read as text, so devk finds values that it names (`.Values.a.b`), and none that a helper template or
//! `with` hands on. What is not found is left out.

use serde_json::Value;

use super::effective::effective_values;
use super::manifest::{Manifest, Rendered};
use super::prepare::Prepared;
use super::user_template::UserTemplate;
use super::yaml;
use crate::error::Error;

/// One object of a release, and what it was made from.
pub(super) struct Written<'a> {
    prepared: &'a Prepared,
    rendered: &'a Rendered,
    manifest: &'a Manifest,
    /// The user's template; None if it is in an archive.
    template: Option<UserTemplate>,
    values: Value,
}

impl<'a> Written<'a> {
    pub(super) fn new(
        prepared: &'a Prepared,
        rendered: &'a Rendered,
        manifest: &'a Manifest,
    ) -> Self {
        Self {
            prepared,
            rendered,
            manifest,
            template: UserTemplate::read(&prepared.chart, &manifest.source),
            // It is only for finding more: without it less is said.
            values: effective_values(prepared).unwrap_or_default(),
        }
    }

    /// Puts an error to the first line of the object's template that holds one of these words, or to the release.
    pub(super) fn locate(&self, error: Error, words: &[&str]) -> Error {
        let Some(template) = &self.template else {
            let origin = &self.prepared.origin;
            return error
                .evidence(format!("rendered from {}", self.manifest.source))
                .at(&origin.file, origin.line);
        };
        error.at(&template.file, self.line(template, words))
    }

    fn line(&self, template: &UserTemplate, words: &[&str]) -> Option<u32> {
        let object = self.manifest.object_name();
        template.line(self.rendered, &self.manifest.source, &object, words)
    }

    /// The path of the value that says `text`: one that the template names, in a line with `key` if there is one, else
    /// the only value of that text whose own key is like `key`.
    pub(super) fn value(&self, text: &str, key: &str) -> Option<String> {
        let is_it = |path: &String| self.at(path).is_some_and(|value| says(value, text));
        let template = self.template.as_ref().map_or("", |template| &template.text);
        let (with_key, others): (Vec<_>, Vec<_>) =
            template.lines().partition(|line| line.contains(key));
        let mut named = with_key
            .into_iter()
            .chain(others)
            .flat_map(|line| references(line, &self.prefix()));
        named.find(is_it).or_else(|| self.alike(text, key))
    }

    fn alike(&self, text: &str, key: &str) -> Option<String> {
        let mut leaves = vec![];
        collect(&self.values, "", &mut leaves);
        let is_like = |path: &str| {
            let last = path.rsplit('.').next().unwrap_or(path).to_lowercase();
            key.to_lowercase().contains(&last) || last.contains(&key.to_lowercase())
        };
        let mut found = leaves
            .into_iter()
            .filter(|(path, value)| is_like(path) && says(value, text));
        let (path, _) = found.next()?;
        found.next().is_none().then_some(path)
    }

    /// The value that has the object rendered: of the innermost `if` around it, else the condition of its subchart.
    pub(super) fn switch(&self) -> Option<String> {
        let is_on = |path: &String| self.at(path) == Some(&Value::Bool(true));
        let is_set = |path: &String| {
            self.at(path)
                .is_some_and(|value| !value.is_null() && value != &Value::Bool(false))
        };
        let around = self.template.as_ref().map_or(vec![], |template| {
            let line = self.line(template, &["kind:"]).unwrap_or(1);
            conditions(&template.text, line, &self.prefix())
        });
        let innermost = || around.iter().rev();
        innermost()
            .find(|path| is_on(path))
            .or_else(|| innermost().find(|path| is_set(path)))
            .cloned()
            .or_else(|| self.conditions_of_subchart().into_iter().find(is_on))
    }

    fn conditions_of_subchart(&self) -> Vec<String> {
        let Some(name) = self.subcharts().first().copied() else {
            return vec![];
        };
        let file = self.prepared.chart.dir.join("Chart.yaml");
        let chart = std::fs::read_to_string(file).unwrap_or_default();
        let chart = yaml::chart(&chart);
        let dependencies = chart["dependencies"].as_array().into_iter().flatten();
        let own = dependencies.filter(|dependency| {
            let alias = dependency["alias"].as_str();
            alias.or(dependency["name"].as_str()) == Some(name)
        });
        own.filter_map(|dependency| dependency["condition"].as_str())
            .flat_map(|conditions| conditions.split(','))
            .map(|condition| condition.trim().to_owned())
            .collect()
    }

    /// The subcharts that the template is in, the outermost first.
    fn subcharts(&self) -> Vec<&str> {
        let parts: Vec<_> = self.manifest.source.split('/').collect();
        let below = parts.windows(2).filter(|pair| pair[0] == "charts");
        below.map(|pair| pair[1]).collect()
    }

    /// What stands before a path of the template's own values.
    fn prefix(&self) -> String {
        let names = self.subcharts();
        names.iter().map(|name| format!("{name}.")).collect()
    }

    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.')
            .try_fold(&self.values, |value, key| value.get(key))
    }
}

fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Number(number) => number.to_string() == text,
        _ => false,
    }
}

fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let separator = if path.is_empty() { "" } else { "." };
                collect(value, &format!("{path}{separator}{key}"), found);
            }
        }
        leaf => found.push((path.to_owned(), leaf)),
    }
}

/// The paths of the values that a text names, as the release's own values have them.
pub(crate) fn references(text: &str, prefix: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut found = vec![];
    for (at, start) in text.match_indices(".Values.") {
        let rest = &text[at + start.len()..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches('.');
        if path.is_empty() {
            continue;
        }
        let is_global = path.starts_with("global.");
        found.push(format!("{}{path}", if is_global { "" } else { prefix }));
    }
    found
}

/// The values that the blocks around a line ask, the outermost first.
fn conditions(template: &str, line: u32, prefix: &str) -> Vec<String> {
    let mut open: Vec<Vec<String>> = vec![];
    let mut rest = template;
    let mut at = 1;
    while let Some((before, after)) = rest.split_once("{{") {
        at += before.matches('\n').count();
        if u32::try_from(at).is_ok_and(|at| at > line) {
            break;
        }
        let (action, after) = after.split_once("}}").unwrap_or((after, ""));
        rest = after;
        at += action.matches('\n').count();
        let action = action.trim_matches(|c: char| c == '-' || c.is_whitespace());
        match action.split_whitespace().next().unwrap_or_default() {
            "if" | "with" => open.push(references(action, prefix)),
            "range" | "define" | "block" => open.push(vec![]),
            "else" => {
                if let Some(last) = open.last_mut() {
                    *last = references(action, prefix);
                }
            }
            "end" => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::prepare::fixture;
    use super::*;
    use crate::error::Code;

    const MONITOR: &str = "{{- if .Values.metrics.enabled }}
{{- if and .Values.other .Values.metrics.serviceMonitor.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: shop}
spec:
  storageClassName: {{ .Values.db.storageClass | quote }}
{{- end }}
{{- end }}
";

    fn prepared(dir: &Path, path: &str, template: &str) -> Prepared {
        let file = dir.join("chart").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, template).unwrap();
        let mut prepared = fixture::prepared(dir);
        prepared.chart.defaults = json!({
            "metrics": {"enabled": true, "serviceMonitor": {"enabled": true}},
            "other": "text",
            "db": {"storageClass": "gp3"},
            "cache": {"persistence": {"storageClass": "io2"}},
            "sub": {"storageClass": "gp3", "monitor": true},
        });
        prepared
    }

    fn rendered(source: &str) -> Rendered {
        let text = format!(
            "# Source: {source}\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {{name: shop}}\n"
        );
        Rendered::parse(&text).unwrap()
    }

    #[test]
    fn an_object_is_found_in_its_template_with_the_values_that_it_asks() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepared(dir.path(), "templates/m.yaml", MONITOR);
        let rendered = rendered("shop/templates/m.yaml");
        let written = Written::new(&prepared, &rendered, &rendered.manifests[0]);
        let error = written.locate(Error::new(Code::ChartKind, ""), &["kind:"]);
        assert_eq!(
            (error.file, error.line),
            (Some(dir.path().join("chart/templates/m.yaml")), Some(4))
        );
        assert_eq!(
            written.switch().as_deref(),
            Some("metrics.serviceMonitor.enabled")
        );
        assert_eq!(
            written.value("gp3", "storageClassName").as_deref(),
            Some("db.storageClass"),
            "the template names it, and not that of the subchart"
        );
        assert_eq!(
            written.value("io2", "storageClassName").as_deref(),
            Some("cache.persistence.storageClass"),
            "a helper hands it on"
        );
        assert_eq!(written.value("none", "storageClassName"), None);
    }

    #[test]
    fn a_subchart_has_its_values_below_its_name_and_a_condition_in_chart_yaml() {
        let dir = tempfile::tempdir().unwrap();
        let template = "kind: ServiceMonitor\nx: {{ .Values.storageClass }}\n";
        let prepared = prepared(dir.path(), "charts/sub/templates/m.yaml", template);
        let chart = "name: shop\ndependencies: [{name: other, alias: sub, condition: 'sub.none, sub.monitor'}]\n";
        std::fs::write(dir.path().join("chart/Chart.yaml"), chart).unwrap();
        let rendered = rendered("shop/charts/sub/templates/m.yaml");
        let written = Written::new(&prepared, &rendered, &rendered.manifests[0]);
        assert_eq!(
            written.value("gp3", "storageClassName").as_deref(),
            Some("sub.storageClass")
        );
        assert_eq!(written.switch().as_deref(), Some("sub.monitor"));
    }

    #[test]
    fn blocks_that_ended_before_the_line_are_no_conditions() {
        let template = "{{ if .Values.a }}x{{ end }}\n{{- if .Values.b }}\n{{- else if .Values.c }}\nkind: X\n{{- end }}\n{{ if .Values.d }}\n";
        assert_eq!(conditions(template, 4, ""), ["c"]);
        assert_eq!(conditions(template, 4, "sub."), ["sub.c"]);
        assert_eq!(
            references("{{ $.Values.global.x }}.Values.y.", "sub."),
            ["global.x", "sub.y"]
        );
    }
}
