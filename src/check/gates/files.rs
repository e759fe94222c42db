//! The files of a chart: YAML, Chart.yaml, dependencies.

use std::path::Path;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartView, list};
use super::upkeep::missing_field;
use crate::release::lined::LinedYaml;
use crate::version_range::{self, VersionRange};

rules! { Structural;
    "chart.yaml" High, Foundation 20, On, Chart(yaml):
        "a file of the chart is not valid YAML or JSON, and helm refuses it or reads something else",
        "correct the line",
        "YAML 1.2, chapter 5";
    "chart.repeated-key" High, Foundation 10, On, Chart(repeated_keys):
        "a mapping has a key twice; the last one wins, and the other is lost without a word",
        "keep one of the two",
        "YAML 1.2, 3.2.1.3: keys are unique";
    "chart.metadata" High, Foundation 20, On, Chart(metadata):
        "Chart.yaml lacks `apiVersion`, `name` or `version`, or has a name that objects cannot have",
        "add the field",
        "helm, \"Charts\": The Chart.yaml File";
    "chart.version" Medium, Foundation 5, On, Chart(version):
        "the chart's version is no semantic version; helm refuses to package it",
        "write MAJOR.MINOR.PATCH",
        "helm, \"Charts\": Charts and Versioning; SemVer 2.0.0";
    "chart.lock" Medium, Foundation 5, On, Chart(lock):
        "Chart.lock does not fit the dependencies of Chart.yaml, so another machine gets other versions",
        "`helm dependency update`, and commit Chart.lock",
        "helm, \"helm dependency\"";
    "chart.api-version" Low, Upkeep 1, Off, Chart(api_version):
        "`apiVersion: v1` is that of Helm 2: dependencies stand in another file, libraries do not exist",
        "write `apiVersion: v2`",
        "helm, \"Charts\": The apiVersion Field";
    "chart.kube-version" Low, Upkeep 0, Off, Chart(kube_version):
        "Chart.yaml does not say which versions of Kubernetes the chart fits",
        "add `kubeVersion: \">=1.31.0-0\"`",
        "helm, \"Charts\": The kubeVersion Field";
    "chart.dependency-range" Low, Foundation 0, Off, Chart(dependency_range):
        "a dependency may be of any later version, also of one that breaks the chart",
        "give the range an upper end: `~1.2.3` or `^1.2.3`",
        "helm, \"Best Practices\": Dependencies";
    "chart.dependency-http" Medium, Foundation 3, Off, Chart(dependency_http):
        "a dependency is fetched without TLS, so anybody on the way may change it",
        "use the `https://` or `oci://` address of the repository",
        "helm, \"Best Practices\": Dependencies";
    "chart.helmignore" Low, Upkeep 0, Off, Chart(helmignore):
        "without .helmignore helm packs all that lies in the folder, editors' copies and secrets included",
        "add a .helmignore, as `helm create` writes it",
        "helm, \"The .helmignore file\"";
    "chart.template-name" Low, Upkeep 0, Off, Chart(template_names):
        "template files are named in lowercase with dashes, and partials begin with `_`",
        "rename the file",
        "helm, \"Best Practices\": Templates";
    "chart.define-prefix" Low, Foundation 0, Off, Chart(define_prefix):
        "named templates are global: one without the chart's name collides with that of another chart",
        "begin the name with the chart's: `{{ define \"CHART.labels\" }}`",
        "helm, \"Best Practices\": Templates";
    "chart.maintainers" Low, Upkeep 0, Off, Chart(maintainers):
        "Chart.yaml does not say who looks after the chart",
        "add `maintainers: [{name: …}]`",
        "helm, \"Charts\": The Chart.yaml File";
}

fn yaml(view: &ChartView<'_>, seen: &mut Sightings) {
    let facts = view.facts;
    for file in &facts.files {
        let (path, Some(text)) = (file.path.to_string_lossy(), &file.text) else {
            continue;
        };
        let is_data = file.path == Path::new("Chart.yaml")
            || file.path == Path::new("Chart.lock")
            || super::super::facts::is_values_file(&file.path);
        let is_definition =
            file.path.starts_with("crds") && (path.ends_with(".yaml") || path.ends_with(".yml"));
        if is_data || is_definition {
            for (first, document) in documents(text) {
                if let Err(why) = LinedYaml::parse(&document) {
                    let (line, why) = line_of(&why, first);
                    seen.file(path.clone(), line, format!("not valid YAML: {why}"));
                }
            }
        }
        if file.path == Path::new("values.schema.json")
            // helm leaves out the byte order mark of every file.
            && let Err(why) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}'))
        {
            let line = u32::try_from(why.line()).ok();
            seen.file(path, line, format!("not valid JSON: {why}"));
        }
    }
}

/// The documents of a file, each with the count of lines before it.
fn documents(text: &str) -> Vec<(u32, String)> {
    let mut found = vec![(0, String::new())];
    for (at, line) in text.lines().enumerate() {
        match found.last_mut() {
            Some((_, document)) if line.trim_end() != "---" => *document += &format!("{line}\n"),
            _ => found.push((u32::try_from(at + 1).unwrap_or(u32::MAX), String::new())),
        }
    }
    found
}

/// `line 3: why` as the line of the file and the reason.
fn line_of(why: &str, first: u32) -> (Option<u32>, &str) {
    let parts = why
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "));
    match parts.and_then(|(line, why)| Some((line.parse::<u32>().ok()?, why))) {
        Some((line, why)) => (Some(first + line), why),
        None => (None, why),
    }
}

fn repeated_keys(view: &ChartView<'_>, seen: &mut Sightings) {
    let files = view.facts.values_files();
    let metadata = view.facts.text("Chart.yaml");
    let metadata = metadata.map(|text| (Path::new("Chart.yaml"), text));
    for (path, text) in files.chain(metadata) {
        let Ok(yaml) = LinedYaml::parse(text) else {
            continue;
        };
        for repeated in yaml.repeated() {
            let (key, first) = (repeated.path.join("."), repeated.first);
            seen.file(
                path.to_string_lossy(),
                repeated.line,
                format!("`{key}` stands here a second time; the first is in line {first}"),
            );
        }
    }
    for rendering in view.judged() {
        let objects = rendering
            .objects
            .iter()
            .filter(|object| object.prefix.is_empty());
        for object in objects {
            let document = &view.facts.renderings[object.rendering].documents[object.document];
            // Reading every document twice would cost more than all other rules together.
            if !has_equal_lines(&document.text) {
                continue;
            }
            let Ok(yaml) = LinedYaml::parse(&document.text) else {
                continue;
            };
            for repeated in yaml.repeated() {
                let pointer: String = repeated
                    .path
                    .iter()
                    .map(|step| format!("/{}", super::super::seen::escaped(step)))
                    .collect();
                let key = repeated.path.join(".");
                seen.object(object, &pointer, format!("`{key}` stands there twice"));
            }
        }
    }
}

/// Whether a key may stand twice in a mapping of the text: on two lines of one indentation, with no line of a smaller one
/// between them, or inside of braces.
fn has_equal_lines(text: &str) -> bool {
    let mut open: Vec<(usize, Vec<&str>)> = vec![];
    for line in text.lines() {
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let mut indent = line.len() - body.len();
        let mut body = body;
        while let Some(item) = body.strip_prefix("- ") {
            open.retain(|(depth, _)| *depth <= indent);
            indent += body.len() - item.trim_start().len();
            body = item.trim_start();
            open.retain(|(depth, _)| *depth < indent);
        }
        open.retain(|(depth, _)| *depth <= indent);
        if body.contains('{') {
            return true;
        }
        let Some((key, _)) = body.split_once(':') else {
            continue;
        };
        match open.last_mut().filter(|(depth, _)| *depth == indent) {
            Some((_, keys)) if keys.contains(&key) => return true,
            Some((_, keys)) => keys.push(key),
            None => open.push((indent, vec![key])),
        }
    }
    false
}

fn metadata(view: &ChartView<'_>, seen: &mut Sightings) {
    let facts = view.facts;
    if !facts.has_files() {
        return;
    }
    for field in ["apiVersion", "name", "version"] {
        if facts.metadata[field].is_null() {
            seen.file("Chart.yaml", 1, format!("`{field}` is missing"));
        }
    }
    let name = facts.metadata["name"].as_str().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !name.chars().all(is_name) {
        let line = line(view, "name");
        let message = format!("`{name}` is no name of objects: lowercase letters, digits, `-`");
        seen.file("Chart.yaml", line, message);
    }
}

fn version(view: &ChartView<'_>, seen: &mut Sightings) {
    let text = match &view.facts.metadata["version"] {
        Value::String(text) => text.clone(),
        Value::Null => return,
        other => other.to_string(),
    };
    // helm takes a `v` before it.
    if !version_range::is_strict(text.strip_prefix('v').unwrap_or(&text)) {
        let message = format!("the version `{text}` is not MAJOR.MINOR.PATCH");
        seen.file("Chart.yaml", line(view, "version"), message);
    }
}

/// The line of a key of Chart.yaml.
pub(in crate::check) fn line(view: &ChartView<'_>, key: &str) -> Option<u32> {
    line_at(view, &[key])
}

fn line_at(view: &ChartView<'_>, path: &[&str]) -> Option<u32> {
    let yaml = LinedYaml::parse(view.facts.text("Chart.yaml")?).ok()?;
    yaml.line(path).map(|(line, _)| line)
}

/// The dependencies of Chart.yaml with their places.
fn dependencies<'a>(view: &ChartView<'a>) -> impl Iterator<Item = (usize, &'a str, &'a Value)> {
    let declared = list(&view.facts.metadata["dependencies"])
        .iter()
        .enumerate();
    declared.filter_map(|(at, item)| Some((at, item["name"].as_str()?, item)))
}

fn at_dependency(view: &ChartView<'_>, at: usize) -> Option<u32> {
    line_at(view, &["dependencies", &at.to_string()])
}

fn lock(view: &ChartView<'_>, seen: &mut Sightings) {
    let mut fetched = dependencies(view)
        .filter(|(_, _, item)| {
            let from = item["repository"].as_str().unwrap_or_default();
            !from.is_empty() && !from.starts_with("file://")
        })
        .peekable();
    if fetched.peek().is_none() {
        return;
    }
    let Some(text) = view.facts.text("Chart.lock") else {
        let line = line(view, "dependencies");
        return seen.file("Chart.yaml", line, "the dependencies have no Chart.lock");
    };
    let lock = crate::release::yaml::chart(text);
    for (at, name, item) in fetched {
        let locked = list(&lock["dependencies"])
            .iter()
            .find(|l| l["name"] == name);
        let line = at_dependency(view, at);
        let Some(locked) = locked else {
            let message = format!("Chart.lock has no dependency `{name}`");
            seen.file("Chart.yaml", line, message);
            continue;
        };
        let (wanted, is) = (
            item["version"].as_str().unwrap_or("*"),
            locked["version"].as_str().unwrap_or_default(),
        );
        let fits = VersionRange::parse(wanted)
            .zip(version_range::version(is))
            .is_none_or(|(range, version)| range.has(&version));
        if !fits {
            let message = format!("Chart.lock has `{name}` {is}, which is not `{wanted}`");
            seen.file("Chart.yaml", line, message);
        }
    }
}

fn api_version(view: &ChartView<'_>, seen: &mut Sightings) {
    if view.facts.metadata["apiVersion"] == "v1" {
        seen.file(
            "Chart.yaml",
            line(view, "apiVersion"),
            "the chart has `apiVersion: v1`",
        );
    }
}

fn kube_version(view: &ChartView<'_>, seen: &mut Sightings) {
    missing_field(view, "kubeVersion", seen);
}

fn dependency_range(view: &ChartView<'_>, seen: &mut Sightings) {
    for (at, name, item) in dependencies(view) {
        let range = item["version"].as_str().unwrap_or("*");
        let far = semver::Version::new(u64::from(u32::MAX), 0, 0);
        if VersionRange::parse(range).is_some_and(|range| range.has(&far)) {
            let message = format!("the dependency `{name}` may be any of `{range}`");
            seen.file("Chart.yaml", at_dependency(view, at), message);
        }
    }
}

fn dependency_http(view: &ChartView<'_>, seen: &mut Sightings) {
    for (at, name, item) in dependencies(view) {
        let from = item["repository"].as_str().unwrap_or_default();
        if from.starts_with("http://") {
            let message = format!("the dependency `{name}` comes over `http://`");
            seen.file("Chart.yaml", at_dependency(view, at), message);
        }
    }
}

fn helmignore(view: &ChartView<'_>, seen: &mut Sightings) {
    if view.facts.has_files() && view.facts.text(".helmignore").is_none() {
        seen.chart("the chart has no .helmignore");
    }
}

fn template_names(view: &ChartView<'_>, seen: &mut Sightings) {
    for (path, _) in view.facts.own_templates() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if name != "NOTES.txt" && !name.chars().all(is_usual) {
            seen.file(
                path.to_string_lossy(),
                None,
                format!("the template is called `{name}`"),
            );
        }
    }
}

fn define_prefix(view: &ChartView<'_>, seen: &mut Sightings) {
    let chart = &view.facts.name;
    for (path, text) in view.facts.own_templates() {
        for (at, line) in text.lines().enumerate() {
            let defined = line.split_once("define \"").map(|(_, rest)| rest);
            let name = defined.and_then(|rest| rest.split('"').next());
            if let Some(name) = name.filter(|name| !name.starts_with(&format!("{chart}."))) {
                let message = format!("the named template `{name}` does not begin with `{chart}.`");
                seen.file(path.to_string_lossy(), u32::try_from(at + 1).ok(), message);
            }
        }
    }
}

fn maintainers(view: &ChartView<'_>, seen: &mut Sightings) {
    if view.facts.has_files() && list(&view.facts.metadata["maintainers"]).is_empty() {
        seen.file("Chart.yaml", 1, "`maintainers` is missing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_may_repeat_a_key_is_read_again() {
        assert!(!has_equal_lines(
            "a:\n  b: 1\nc:\n  b: 1\nd:\n- b: 1\n- b: 2\n"
        ));
        assert!(has_equal_lines("a:\n  b: 1\n  c:\n    b: 1\n  b: 2\n"));
        assert!(has_equal_lines("a:\n- b: 1\n  b: 2\n"));
        assert!(has_equal_lines("a: {b: 1, b: 2}\n"));
    }

    #[test]
    fn a_mistake_in_a_later_document_has_its_line_of_the_file() {
        let found = documents("a: 1\n---\nb: [\n");
        assert_eq!(found.len(), 2);
        let why = LinedYaml::parse(&found[1].1).unwrap_err();
        let (line, _) = line_of(&why, found[1].0);
        assert!(matches!(line, Some(3 | 4)), "{why}");
    }
}
