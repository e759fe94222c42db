//! The stages of a Dockerfile, as far as the choice of one goes: where it listens, and whether it holds the sources. A
//! stage for development often leaves them to a bind mount of Compose, which a cluster does not have.

use std::collections::BTreeSet;
use std::path::Path;

use super::context;
use crate::dockerfile::Instruction;

/// One stage, with what it has from the stages that it begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StageFacts {
    name: Option<String>,
    pub(super) exposed: BTreeSet<u16>,
    /// What it copies out of the context, without lists of dependencies.
    copied: BTreeSet<String>,
}

impl StageFacts {
    /// Whether a folder of the context is copied, as the sources of most programs are. `context` is that folder.
    fn copies_folder(&self, context: &Path) -> bool {
        let mut copied = self.copied.iter();
        copied.any(|source| {
            let plain = source.find(['*', '?', '[']).map_or(&**source, |at| {
                source[..at].rsplit_once('/').map_or("", |(dir, _)| dir)
            });
            !plain.is_empty() && context.join(plain).is_dir()
        })
    }
}

/// Whether a stage holds the sources: a folder of them, or where no stage copies a folder, files.
pub(super) fn holds_sources(stage: &StageFacts, all: &[StageFacts], context: &Path) -> bool {
    let mut stages = all.iter();
    stage.copies_folder(context)
        || !(stage.copied.is_empty() || stages.any(|other| other.copies_folder(context)))
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
                let copied = context::copied(&all[at..=at]).into_iter();
                let copied = copied.map(|(source, _)| source);
                if let Some(stage) = stages.last_mut() {
                    stage
                        .copied
                        .extend(copied.filter(|source| is_of_sources(source)));
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
        let context = tempfile::tempdir().unwrap();
        let holds = |stage| holds_sources(stage, &stages, context.path());
        let held: Vec<_> = stages.iter().map(holds).collect();
        assert_eq!(held, [false, false, true, false]);
        assert_eq!(named(&stages, "DEV").unwrap().exposed, [5173].into());
        assert_eq!(stages[3].exposed, [80].into());
    }

    #[test]
    fn a_few_files_are_the_sources_only_where_no_stage_copies_a_folder() {
        let context = tempfile::tempdir().unwrap();
        std::fs::create_dir(context.path().join("src")).unwrap();
        for (text, expected) in [
            (
                "FROM node AS dev\nCOPY vite.config.js entry.sh ./\nFROM node\nCOPY src/*.js src/\n",
                [false, true],
            ),
            (
                "FROM python AS dev\nCOPY app.py .\nFROM python\nCOPY app.py .\n",
                [true, true],
            ),
            (
                "FROM python AS dev\nCOPY requirements.txt .\nFROM python\nCOPY app.py .\n",
                [false, true],
            ),
        ] {
            let stages = read(&instructions(text));
            let holds = |stage| holds_sources(stage, &stages, context.path());
            let held: Vec<_> = stages.iter().map(holds).collect();
            assert_eq!(held, expected, "{text}");
        }
    }
}
