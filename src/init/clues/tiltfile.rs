//! The calls of a Tiltfile that are written out: `docker_build`, `helm`, `k8s_yaml`, `kustomize`.

use std::path::{Path, PathBuf};

use super::super::clue::{ApplyClue, BuildClue, Clues, InstallClue, SourceLine, Speaker, inside};
use super::super::scan::RepositoryTree;

pub(super) fn read(tree: &RepositoryTree, file: &Path, text: &str, clues: &mut Clues) {
    let folder = file.parent().unwrap_or(Path::new(""));
    let beside = |path: &str| inside(&folder.join(path));
    for call in calls(text, "docker_build") {
        clues.builds.extend(build(tree, file, &call, &beside));
    }
    for call in calls(text, "helm") {
        let chart = call.positional(0).and_then(|path| beside(&path));
        let Some(chart) = chart.filter(|chart| tree.is_file(&chart.join("Chart.yaml"))) else {
            continue;
        };
        let values = call.list("values").into_iter();
        clues.installs.push(InstallClue {
            speaker: Speaker::Tiltfile,
            at: SourceLine::new(file, call.line),
            chart,
            release: call.named("name"),
            values: values
                .filter_map(|path| beside(&path))
                .filter(|path| tree.is_file(path))
                .collect(),
        });
    }
    for call in ["k8s_yaml", "kustomize"]
        .iter()
        .flat_map(|name| calls(text, name))
    {
        let path = call.positional(0).and_then(|path| beside(&path));
        let path = path.filter(|path| tree.is_file(path) || tree.is_dir(path));
        clues.applies.extend(path.map(|path| ApplyClue {
            at: SourceLine::new(file, call.line),
            path,
        }));
    }
}

fn build(
    tree: &RepositoryTree,
    file: &Path,
    call: &Call,
    beside: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<BuildClue> {
    let image = call.positional(0).or_else(|| call.named("ref"))?;
    let context = call.positional(1).or_else(|| call.named("context"))?;
    let context = beside(&context)?;
    let dockerfile = match call.named("dockerfile") {
        Some(path) => beside(&path)?,
        None => context.join("Dockerfile"),
    };
    tree.is_file(&dockerfile).then(|| BuildClue {
        speaker: Speaker::Tiltfile,
        at: SourceLine::new(file, call.line),
        context,
        dockerfile,
        target: call.named("target"),
        args: Default::default(),
        withheld: vec![],
        tags: vec![image],
        name: None,
    })
}

/// The arguments of a call.
struct Call {
    line: usize,
    arguments: Vec<String>,
}

impl Call {
    fn positional(&self, at: usize) -> Option<String> {
        let plain = self
            .arguments
            .iter()
            .filter(|text| text.starts_with(['"', '\'']));
        unquoted(plain.clone().nth(at)?)
    }

    fn given(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .arguments
            .iter()
            .filter_map(|text| text.split_once('='));
        pairs
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    }

    fn named(&self, name: &str) -> Option<String> {
        unquoted(self.given(name)?)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self
            .given(name)
            .unwrap_or_default()
            .trim_matches(['[', ']']);
        text.split(',')
            .filter_map(|item| unquoted(item.trim()))
            .collect()
    }
}

fn unquoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inside = text[1..].split(quote).next()?;
    Some(inside.to_owned())
}

fn calls(text: &str, name: &str) -> Vec<Call> {
    let mut found = vec![];
    for (at, _) in text.match_indices(&format!("{name}(")) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            continue;
        }
        found.push(Call {
            line: text[..at].matches('\n').count() + 1,
            arguments: arguments(&text[at + name.len() + 1..]),
        });
    }
    found
}

/// What stands between commas up to the closing parenthesis, lists and calls whole.
fn arguments(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    let mut quote = None;
    for c in text.chars() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('(' | '[' | '{', None) => depth += 1,
            (')', None) if depth == 0 => break,
            (')' | ']' | '}', None) => depth -= 1,
            (',', None) if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(c);
        }
    }
    found
        .iter()
        .map(|argument| argument.trim().to_owned())
        .collect()
}
