//! The steps of GitHub's pipelines that build with docker/build-push-action, once for every entry of their matrix.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::super::clue::{BuildClue, Clues, SourceLine, Speaker, inside};
use super::super::scan::RepositoryTree;
use crate::release::yaml;

pub(super) fn read(tree: &RepositoryTree, file: &Path, text: &str, clues: &mut Clues) {
    for document in yaml::documents(text) {
        for job in document["jobs"].as_object().into_iter().flatten() {
            let steps = job.1["steps"].as_array().into_iter().flatten();
            let builds = steps.filter(|step| {
                let uses = step["uses"].as_str().unwrap_or_default();
                uses.starts_with("docker/build-push-action")
            });
            for step in builds {
                for row in rows(&job.1["strategy"]["matrix"]) {
                    clues
                        .builds
                        .extend(clue(tree, file, text, &step["with"], &row));
                }
            }
        }
    }
}

/// The rows of a matrix: each `include`, each value of each list; one empty row without a matrix.
fn rows(matrix: &Value) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut rows = vec![];
    for (key, values) in matrix.as_object().into_iter().flatten() {
        for value in values.as_array().into_iter().flatten() {
            let row: BTreeMap<_, _> = match value.as_object() {
                Some(row) => {
                    let prefix = if key == "include" {
                        String::new()
                    } else {
                        format!("{key}.")
                    };
                    let cells = row.iter();
                    cells
                        .filter_map(|(name, value)| Some((format!("{prefix}{name}"), text(value)?)))
                        .collect()
                }
                None => text(value)
                    .map(|value| (key.clone(), value))
                    .into_iter()
                    .collect(),
            };
            rows.push(row);
        }
    }
    if rows.is_empty() {
        rows.push(BTreeMap::new());
    }
    rows
}

fn clue(
    tree: &RepositoryTree,
    file: &Path,
    text: &str,
    with: &Value,
    row: &BTreeMap<String, String>,
) -> Option<BuildClue> {
    let given = |key: &str| with[key].as_str().map(|text| filled(text, row));
    let context = given("context").unwrap_or_else(|| ".".to_owned());
    let context = inside(Path::new(&context))?;
    let dockerfile = match given("file") {
        Some(file) => inside(Path::new(&file))?,
        None => context.join("Dockerfile"),
    };
    let lines = |key: &str| {
        let text = given(key).unwrap_or_default();
        let lines = text.lines().flat_map(|line| line.split(','));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let args = lines("build-args");
    let args = args.iter().filter_map(|arg| arg.split_once('='));
    tree.is_file(&dockerfile).then(|| BuildClue {
        speaker: Speaker::Pipeline,
        at: SourceLine::find(file, text, "docker/build-push-action"),
        context,
        dockerfile,
        target: given("target"),
        args: args
            .filter(|(_, value)| !value.contains('$'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        withheld: vec![],
        tags: lines("tags")
            .into_iter()
            .filter(|tag| !tag.is_empty())
            .collect(),
        name: None,
    })
}

/// A text with the cells of a matrix in place.
fn filled(text: &str, row: &BTreeMap<String, String>) -> String {
    let cells = row.iter();
    cells.fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{{ matrix.{name} }}}}"), value)
            .replace(&format!("${{{{matrix.{name}}}}}"), value)
    })
}
