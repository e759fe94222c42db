//! Values: those that templates use and values.yaml does not have, and the other way round.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartView, list};
use crate::release::lined::LinedYaml;

rules! { Functional;
    "values.undefined" Low, Foundation 1, On, Chart(undefined):
        "a template prints a value that values.yaml does not have: nothing stands there in its place, and nobody learns that the value exists",
        "add the value to values.yaml, or `required` or `default` to the template",
        "helm, \"Best Practices\": Values";
    "values.unused" Low, Foundation 0, Off, Chart(unused):
        "no template uses the value, so a change of it does nothing",
        "remove the value, or use it",
        "helm, \"Best Practices\": Values";
    "values.name" Low, Upkeep 0, Off, Chart(names):
        "names of values begin in lowercase and have no dashes: `--set` and templates cannot take others as they are",
        "rename the value in camel case",
        "helm, \"Best Practices\": Values, Naming Conventions";
    "values.comments" Low, Upkeep 1, Off, Chart(comments):
        "a value of values.yaml has no comment that says what it is for",
        "write a line above it that begins with the value's name",
        "helm, \"Best Practices\": Values, Document values.yaml";
    "values.schema" Low, Upkeep 0, Off, Chart(schema):
        "without values.schema.json a misspelt value is taken without a word",
        "add a values.schema.json",
        "helm, \"Charts\": Schema Files";
}

/// Words in an action after which a missing value is meant to be possible, or the action is a comment.
const GUARDS: [&str; 19] = [
    "/*", "if ", "with ", "default", "required", "hasKey", "coalesce", "empty", "dig ", "ternary",
    "and ", "or ", "not ", "range ", "get ", "kindIs", "typeIs", "toYaml", "omit ",
];

/// A use of a value in a template.
struct ValueUse {
    path: Vec<String>,
    line: u32,
    is_guarded: bool,
}

/// The uses of values in a template; None if values are used as a whole, so that nobody knows which.
fn uses(text: &str) -> Option<Vec<ValueUse>> {
    const WORD: &str = ".Values";
    let mut found = vec![];
    for (at, line) in text.lines().enumerate() {
        for (begin, _) in line.match_indices(WORD) {
            let rest = &line[begin + WORD.len()..];
            let path: Vec<String> = rest
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
                .next()
                .unwrap_or_default()
                .split('.')
                .skip(1)
                .filter(|key| !key.is_empty())
                .map(str::to_owned)
                .collect();
            let is_name = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if path.is_empty() && !is_name {
                return None;
            }
            let action = line[..begin].rfind("{{").map_or(line, |open| &line[open..]);
            let action = action.find("}}").map_or(action, |close| &action[..close]);
            found.push(ValueUse {
                path,
                line: u32::try_from(at + 1).unwrap_or(u32::MAX),
                is_guarded: GUARDS.iter().any(|word| action.contains(word)),
            });
        }
    }
    Some(found)
}

fn undefined(view: &ChartView<'_>, seen: &mut Sightings) {
    let facts = view.facts;
    let Some(defaults) = facts.text("values.yaml") else {
        return;
    };
    let Ok(defaults) = LinedYaml::parse(defaults) else {
        return;
    };
    let dependencies: BTreeSet<_> = dependency_names(view).collect();
    let all: Vec<_> = facts
        .own_templates()
        .map(|(path, text)| (path, uses(text).unwrap_or_default()))
        .collect();
    let guarded: BTreeSet<_> = all
        .iter()
        .flat_map(|(_, uses)| uses)
        .filter(|used| used.is_guarded)
        .map(|used| &used.path)
        .collect();
    for (path, used) in all
        .iter()
        .flat_map(|(path, uses)| uses.iter().map(move |u| (path, u)))
    {
        let first = used.path.first().map(String::as_str).unwrap_or_default();
        let is_of_others = first == "global" || dependencies.contains(first);
        // A test of it, or of what it stands in, anywhere: the author thought of its absence.
        let is_guarded = (1..=used.path.len()).any(|n| guarded.contains(&used.path[..n].to_vec()));
        let is_there = defaults
            .line(&used.path)
            .is_some_and(|(_, steps)| steps == used.path.len());
        if !(is_of_others || is_guarded || is_there || used.path.is_empty()) {
            let message = format!("values.yaml has no `{}`", used.path.join("."));
            seen.file(path.to_string_lossy(), used.line, message);
        }
    }
}

/// The keys under which values.yaml has the values of dependencies.
fn dependency_names<'a>(view: &ChartView<'a>) -> impl Iterator<Item = &'a str> {
    let declared = list(&view.facts.metadata["dependencies"]).iter();
    declared.filter_map(|item| item["alias"].as_str().or(item["name"].as_str()))
}

fn unused(view: &ChartView<'_>, seen: &mut Sightings) {
    let facts = view.facts;
    let Some(text) = facts.text("values.yaml") else {
        return;
    };
    let Ok(defaults) = LinedYaml::parse(text) else {
        return;
    };
    let mut used = vec![];
    for (_, text) in facts.own_templates() {
        match uses(text) {
            Some(uses) => used.extend(uses),
            None => return,
        }
    }
    let conditions = list(&facts.metadata["dependencies"]).iter();
    let conditions: Vec<_> = conditions
        .filter_map(|item| item["condition"].as_str())
        .flat_map(|text| text.split(','))
        .collect();
    let others: BTreeSet<_> = dependency_names(view).chain(["global"]).collect();
    for value in defaults.values() {
        let first = value.path.first().map(String::as_str).unwrap_or_default();
        let dotted = value.path.join(".");
        let is_used = used.iter().any(|used| {
            let count = used.path.len().min(value.path.len());
            used.path[..count] == value.path[..count]
        });
        if !(is_used || others.contains(first) || conditions.contains(&dotted.as_str())) {
            seen.file(
                "values.yaml",
                value.line,
                format!("no template uses `{dotted}`"),
            );
        }
    }
}

fn names(view: &ChartView<'_>, seen: &mut Sightings) {
    let Some(text) = view.facts.text("values.yaml") else {
        return;
    };
    let Ok(defaults) = LinedYaml::parse(text) else {
        return;
    };
    let dependencies: BTreeSet<_> = dependency_names(view).collect();
    for (key, line) in defaults.keys() {
        let is_usual = key.starts_with(|c: char| c.is_ascii_lowercase()) && !key.contains('-');
        if !is_usual && !dependencies.contains(key) {
            seen.file("values.yaml", line, format!("the value is called `{key}`"));
        }
    }
}

fn comments(view: &ChartView<'_>, seen: &mut Sightings) {
    let Some(text) = view.facts.text("values.yaml") else {
        return;
    };
    let Ok(defaults) = LinedYaml::parse(text) else {
        return;
    };
    let lines: Vec<_> = text.lines().collect();
    for (key, line) in defaults.keys() {
        let at = line as usize - 1;
        let above = at.checked_sub(1).and_then(|above| lines.get(above));
        let is_commented = above.is_some_and(|line| line.trim_start().starts_with('#'))
            || lines.get(at).is_some_and(|line| line.contains(" #"));
        if !is_commented {
            seen.file("values.yaml", line, format!("`{key}` has no comment"));
        }
    }
}

fn schema(view: &ChartView<'_>, seen: &mut Sightings) {
    let has = |path| {
        view.facts
            .files
            .iter()
            .any(|file| file.path == Path::new(path))
    };
    if has("values.yaml") && !has("values.schema.json") {
        seen.chart("the chart has no values.schema.json");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_knows_its_path_and_whether_its_absence_was_thought_of() {
        let text = "a: {{ .Values.a.b }}\n{{- if $.Values.c }}x{{ end }}\nd: {{ .Values.d | default 1 }}\n";
        let found = uses(text).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|used| (used.path.join("."), used.line, used.is_guarded))
            .collect();
        assert_eq!(
            found,
            [
                ("a.b".to_owned(), 1, false),
                ("c".to_owned(), 2, true),
                ("d".to_owned(), 3, true)
            ]
        );
        assert!(uses("{{ toYaml .Values }}").is_none());
        assert!(uses("{{ index .Values \"a-b\" }}").is_none());
    }
}
