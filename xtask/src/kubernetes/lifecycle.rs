//! When a kind of an API version came, is deprecated and goes, from the marks of the Go types.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

const FILE: &str = "zz_generated.prerelease-lifecycle.go";

/// What a file says of its kinds: `[introduced, deprecated, removed, replacement]`, the versions as minors of 1 or 0, the
/// replacement as `GROUP/VERSION/KIND` or empty. Kinds that stay are left out, and lists.
pub(super) fn of_package(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(parse(&text))
}

#[derive(Default)]
struct Life {
    introduced: u8,
    deprecated: u8,
    removed: u8,
    replacement: String,
}

fn parse(text: &str) -> BTreeMap<String, Value> {
    let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
    let mut open = None;
    for line in text.lines() {
        if let Some((kind, what)) = method(line) {
            open = Some((kind, what));
            continue;
        }
        let Some(((kind, what), answer)) = open.zip(line.trim().strip_prefix("return ")) else {
            continue;
        };
        let life = lives.entry(kind).or_default();
        let minor = answer
            .strip_prefix("1, ")
            .and_then(|minor| minor.parse().ok());
        match what {
            "Introduced" => life.introduced = minor.unwrap_or(0),
            "Deprecated" => life.deprecated = minor.unwrap_or(0),
            "Removed" => life.removed = minor.unwrap_or(0),
            _ => life.replacement = replacement(answer),
        }
        open = None;
    }
    let ends = lives
        .into_iter()
        .filter(|(kind, life)| life.deprecated > 0 && !kind.ends_with("List"));
    ends.map(|(kind, life)| {
        let Life {
            introduced,
            deprecated,
            removed,
            replacement,
        } = life;
        (
            kind.to_owned(),
            json!([introduced, deprecated, removed, replacement]),
        )
    })
    .collect()
}

/// `func (in *KIND) APILifecycleWHAT(…`.
fn method(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line
        .strip_prefix("func (in *")?
        .split_once(") APILifecycle")?;
    Some((kind, rest.split_once('(')?.0))
}

/// Of `schema.GroupVersionKind{Group: "a", Version: "b", Kind: "c"}`.
fn replacement(answer: &str) -> String {
    let mut texts = answer.split('"').skip(1).step_by(2);
    let mut next = || texts.next().unwrap_or_default();
    let (group, version, kind) = (next(), next(), next());
    match group {
        "" => format!("{version}/{kind}"),
        _ => format!("{group}/{version}/{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_kind_is_read_and_lists_are_left_out() {
        let text = "func (in *Pod) APILifecycleIntroduced() (major, minor int) {\n\treturn 1, 6\n}\n\
            func (in *Pod) APILifecycleDeprecated() (major, minor int) {\n\treturn 1, 8\n}\n\
            func (in *Pod) APILifecycleReplacement() schema.GroupVersionKind {\n\
            \treturn schema.GroupVersionKind{Group: \"apps\", Version: \"v1\", Kind: \"Pod\"}\n}\n\
            func (in *Pod) APILifecycleRemoved() (major, minor int) {\n\treturn 1, 16\n}\n\
            func (in *PodList) APILifecycleDeprecated() (major, minor int) {\n\treturn 1, 8\n}\n\
            func (in *New) APILifecycleIntroduced() (major, minor int) {\n\treturn 1, 30\n}\n";
        let found = parse(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found["Pod"], json!([6, 8, 16, "apps/v1/Pod"]));
    }
}
