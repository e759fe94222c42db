//! The stages of a Dockerfile, as far as the choice of one goes: where it listens, and whether it holds the sources. A
//! stage for development often leaves them to a bind mount of Compose, which a cluster does not have.

use std::collections::BTreeSet;

use super::context;
use crate::dockerfile::Instruction;

/// One stage, with what it has from the stages that it begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StageFacts {
    name: Option<String>,
    pub(super) exposed: BTreeSet<u16>,
    /// It copies a folder of the context, or more than lists of dependencies.
    pub(super) has_sources: bool,
}

/// Names of files that list dependencies, as far as they are common.
const LISTS: [&str; 14] = [
    "cargo.lock",
    "cargo.toml",
    "composer.json",
    "gemfile",
    "go.mod",
    "go.sum",
    "package",
    "pipfile",
    "pnpm-lock",
    "poetry.lock",
    "pyproject.toml",
    "requirements",
    "uv.lock",
    "yarn.lock",
];

/// The stages in the order of the file.
pub(super) fn read(all: &[Instruction]) -> Vec<StageFacts> {
    let mut stages: Vec<StageFacts> = vec![];
    for (at, instruction) in all.iter().enumerate() {
        match instruction.keyword.as_str() {
            "FROM" => stages.push(begin(&stages, &instruction.text)),
            "EXPOSE" => {
                let words = instruction.text.split_whitespace();
                let ports = words.filter_map(|word| word.split('/').next()?.parse::<u16>().ok());
                if let Some(stage) = stages.last_mut() {
                    stage.exposed.extend(ports);
                }
            }
            "COPY" | "ADD" => {
                let own = &all[at..=at];
                let copied = context::copied(own);
                let has_sources = copied.iter().any(|(source, _)| is_of_sources(source));
                if let Some(stage) = stages.last_mut() {
                    stage.has_sources |= has_sources;
                }
            }
            _ => {}
        }
    }
    stages
}

/// `FROM base AS name`.
fn begin(stages: &[StageFacts], text: &str) -> StageFacts {
    let words: Vec<_> = text
        .split_whitespace()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let base = words.first().and_then(|base| named(stages, base));
    StageFacts {
        name: words.get(2).map(|name| (*name).to_owned()),
        ..base.cloned().unwrap_or_default()
    }
}

/// The stage of that name.
pub(super) fn named<'a>(stages: &'a [StageFacts], name: &str) -> Option<&'a StageFacts> {
    stages.iter().find(|stage| {
        let own = stage.name.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    })
}

fn is_of_sources(source: &str) -> bool {
    let file = source.rsplit('/').next().unwrap_or(source).to_lowercase();
    !LISTS.iter().any(|list| file.starts_with(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::instructions;

    #[test]
    fn a_stage_has_what_its_base_has_and_lists_of_dependencies_are_no_sources() {
        let text = "FROM node AS deps\nCOPY package*.json ./\nFROM deps AS dev\nEXPOSE 5173\nFROM deps AS build\nCOPY . .\nFROM nginx\nCOPY --from=build /app /www\nEXPOSE 80\n";
        let stages = read(&instructions(text));
        let has_sources: Vec<_> = stages.iter().map(|stage| stage.has_sources).collect();
        assert_eq!(has_sources, [false, false, true, false]);
        assert_eq!(named(&stages, "DEV").unwrap().exposed, [5173].into());
        assert_eq!(stages[3].exposed, [80].into());
    }
}
