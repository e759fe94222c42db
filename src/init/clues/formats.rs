//! skaffold.yaml, helmfile.yaml, and the files of `docker buildx bake`: what they build and install.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::clue::{ApplyClue, BuildClue, Clues, InstallClue, SourceLine, Speaker, inside};
use super::super::scan::RepositoryTree;
use crate::release::yaml;

/// A path that a file names, from that file's folder.
fn beside(file: &Path, path: &str) -> Option<PathBuf> {
    inside(&file.parent()?.join(path))
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `image: api` has a line of its own in all these files.
fn line_of(file: &Path, text: &str, what: &str) -> SourceLine {
    SourceLine::find(file, text, what)
}

/// Skaffold's artifacts, Helm releases, manifests and overlays.
pub(super) fn skaffold(tree: &RepositoryTree, file: &Path, text: &str, clues: &mut Clues) {
    for document in yaml::documents(text) {
        for artifact in list(&document, "/build/artifacts") {
            clues
                .builds
                .extend(artifact_clue(tree, file, text, artifact));
        }
        let releases = ["/deploy/helm/releases", "/manifests/helm/releases"];
        for release in releases.iter().flat_map(|at| list(&document, at)) {
            let chart = release["chartPath"].as_str();
            let chart = chart.and_then(|chart| beside(file, chart));
            let Some(chart) = chart.filter(|chart| tree.is_file(&chart.join("Chart.yaml"))) else {
                continue;
            };
            clues.installs.push(InstallClue {
                speaker: Speaker::Skaffold,
                at: line_of(
                    file,
                    text,
                    release["chartPath"].as_str().unwrap_or_default(),
                ),
                chart,
                release: release["name"].as_str().map(str::to_owned),
                values: values_files(tree, file, &release["valuesFiles"]),
            });
        }
        let manifests = ["/manifests/rawYaml", "/deploy/kubectl/manifests"];
        let overlays = ["/manifests/kustomize/paths", "/deploy/kustomize/paths"];
        let paths = manifests.iter().chain(&overlays);
        for path in paths
            .flat_map(|at| list(&document, at))
            .filter_map(Value::as_str)
        {
            let folder = path.split('*').next().unwrap_or_default();
            clues
                .applies
                .extend(beside(file, folder).map(|folder| ApplyClue {
                    at: line_of(file, text, path),
                    path: folder,
                }));
        }
    }
}

fn artifact_clue(
    tree: &RepositoryTree,
    file: &Path,
    text: &str,
    artifact: &Value,
) -> Option<BuildClue> {
    let image = artifact["image"].as_str()?;
    let context = beside(file, artifact["context"].as_str().unwrap_or("."))?;
    let docker = &artifact["docker"];
    let dockerfile = inside(&context.join(docker["dockerfile"].as_str().unwrap_or("Dockerfile")))?;
    let args = docker["buildArgs"].as_object().into_iter().flatten();
    let args = args.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    tree.is_file(&dockerfile).then(|| BuildClue {
        speaker: Speaker::Skaffold,
        at: line_of(file, text, image),
        context,
        dockerfile,
        target: docker["target"].as_str().map(str::to_owned),
        args: args.filter(|(_, value)| !value.contains("{{")).collect(),
        withheld: vec![],
        tags: vec![image.to_owned()],
        name: None,
    })
}

fn values_files(tree: &RepositoryTree, file: &Path, value: &Value) -> Vec<PathBuf> {
    let files = texts(value).into_iter();
    let found = files.filter_map(|path| beside(file, &path));
    found.filter(|path| tree.is_file(path)).collect()
}

/// Helmfile's releases of charts in folders.
pub(super) fn helmfile(tree: &RepositoryTree, file: &Path, text: &str, clues: &mut Clues) {
    for document in yaml::documents(text) {
        for release in list(&document, "/releases") {
            let chart = release["chart"]
                .as_str()
                .and_then(|path| beside(file, path));
            let Some(chart) = chart.filter(|chart| tree.is_file(&chart.join("Chart.yaml"))) else {
                continue;
            };
            clues.installs.push(InstallClue {
                speaker: Speaker::Helmfile,
                at: line_of(file, text, release["chart"].as_str().unwrap_or_default()),
                chart,
                release: release["name"].as_str().map(str::to_owned),
                values: values_files(tree, file, &release["values"]),
            });
        }
    }
}

/// The targets of a bake file, in HCL or JSON.
pub(super) fn bake(tree: &RepositoryTree, file: &Path, text: &str, clues: &mut Clues) {
    let targets = match serde_json::from_str::<Value>(text) {
        Ok(json) => json["target"].as_object().cloned().unwrap_or_default(),
        Err(_) => hcl_targets(text),
    };
    for (name, target) in targets {
        let context = inside(Path::new(target["context"].as_str().unwrap_or(".")));
        let Some(context) = context else { continue };
        let dockerfile = context.join(target["dockerfile"].as_str().unwrap_or("Dockerfile"));
        if !tree.is_file(&dockerfile) {
            continue;
        }
        let args = target["args"].as_object().into_iter().flatten();
        let args = args.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        clues.builds.push(BuildClue {
            speaker: Speaker::Bake,
            at: line_of(file, text, &format!("\"{name}\"")),
            context,
            dockerfile,
            target: target["target"].as_str().map(str::to_owned),
            args: args
                .filter(|(_, value)| !value.contains('$'))
                .collect::<BTreeMap<_, _>>(),
            withheld: vec![],
            tags: texts(&target["tags"]),
            name: Some(name),
        });
    }
}

/// The targets of a bake file in HCL, as far as they are written out: texts, lists of texts, and `args`.
fn hcl_targets(text: &str) -> serde_json::Map<String, Value> {
    let mut targets = serde_json::Map::new();
    let mut target: Option<String> = None;
    let mut block: Option<String> = None;
    let joined = joined_lists(text);
    for line in joined.lines().map(str::trim) {
        let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
        if line.starts_with("target ") && line.ends_with('{') {
            target = quoted(line);
        } else if line == "}" {
            if block.take().is_none() {
                target = None;
            }
        } else if let Some(name) = line.strip_suffix('{') {
            block = Some(name.trim().trim_end_matches('=').trim().to_owned());
        } else if let (Some(target), Some((key, value))) = (&target, line.split_once('=')) {
            let value = match serde_json::from_str(value.trim().trim_end_matches(',')) {
                Ok(value) => value,
                Err(_) => continue,
            };
            let entry = targets
                .entry(target.clone())
                .or_insert_with(|| Value::Object(Default::default()));
            match &block {
                Some(block) => entry[block.as_str()][key.trim()] = value,
                None => entry[key.trim()] = value,
            }
        }
    }
    targets
}

/// Lists over several lines on one, as JSON has them.
fn joined_lists(text: &str) -> String {
    let mut joined = String::new();
    let mut depth = 0usize;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default();
        depth = (depth + line.matches('[').count()).saturating_sub(line.matches(']').count());
        joined.push_str(line.trim_end());
        joined.push(if depth > 0 { ' ' } else { '\n' });
    }
    let closed = joined.replace(",]", "]");
    closed.lines().fold(String::new(), |text, line| {
        let line = match line.rsplit_once(']') {
            Some((list, rest)) => format!("{}]{rest}", list.trim_end().trim_end_matches(',')),
            None => line.to_owned(),
        };
        text + &line + "\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bake_file_gives_its_targets_with_arguments_and_lists_over_lines() {
        let text = "variable \"TAG\" {\n  default = \"1\"\n}\ntarget \"api\" {\n  context = \"./api\"\n  tags = [\n    \"acme/api:1\",\n  ]\n  args = {\n    A = \"b\"\n  }\n}\n";
        let targets = hcl_targets(text);
        let expected = serde_json::json!({"api": {"context": "./api", "tags": ["acme/api:1"], "args": {"A": "b"}}});
        assert_eq!(Value::Object(targets), expected);
    }
}
