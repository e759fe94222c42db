//! A Dockerfile, as far as sync has to know it: stages, folders, what is copied, what runs, what starts.
//!
//! After the Dockerfile reference: line continuations and the escape directive, here-documents, variables
//! and their scopes, JSON and shell forms. What devk does not know it leaves out; what it cannot know, as
//! a base image's WORKDIR, it says.

use std::collections::{BTreeMap, BTreeSet};

mod reading;
mod words;

use crate::dockerfile::Instruction;
use reading::Reading;

/// One stage with all it builds on inside of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    name: Option<String>,
    /// The image that it begins with, as the file names it.
    pub base: String,
    /// The first variable that only the builder knows and that decides where something comes from or goes to.
    pub unset: Option<Unset>,
    /// What a stage runs first that begins with this one (ONBUILD).
    triggers: Vec<Instruction>,
    /// In the order in which they take effect, those of its base first.
    pub steps: Vec<CopyStep>,
    /// The stages that it takes something from, by index.
    pub uses: Vec<usize>,
    /// None until a WORKDIR says it: the base image may have one.
    workdir: Option<String>,
    variables: BTreeMap<String, String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
}

/// A variable that is set nowhere in the file: a base image or the builder may set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unset {
    pub name: String,
    /// 1-based.
    pub line: u32,
}

/// What a stage does with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    Copy(Copy),
    /// The words of a RUN, and its 1-based line.
    Run {
        text: String,
        line: u32,
        /// Folders and files of the context that it mounts, relative to it.
        mounts: Vec<String>,
    },
}

/// COPY or ADD from the build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// 1-based.
    pub line: u32,
    /// Patterns, relative to the context.
    pub sources: Vec<String>,
    /// Absolute, or the error that says why it is not known.
    pub to: Result<String, &'static str>,
    /// `to` is a folder whatever the sources are.
    pub into_folder: bool,
    /// ADD unpacks archives.
    pub unpacks: bool,
    pub parents: bool,
    pub owner: Option<String>,
    pub mode: Option<u32>,
    pub exclude: Vec<String>,
}

/// A Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    pub stages: Vec<Stage>,
}

const NO_WORKDIR: &str = "the base image decides where it goes; say it with WORKDIR";

impl Dockerfile {
    /// Reads the text with these build arguments.
    pub fn parse(text: &str, args: &BTreeMap<String, String>) -> Self {
        let stages = Reading::new(args, text).all(text);
        Self { stages }
    }

    /// The stage that is built: `target`, or the last one.
    pub fn stage(&self, target: Option<&str>) -> Option<&Stage> {
        let Some(target) = target else {
            return self.stages.last();
        };
        let by_number = || self.stages.get(target.parse::<usize>().ok()?);
        self.stages
            .iter()
            .rfind(|stage| stage.is(target))
            .or_else(by_number)
    }

    /// The images that the build of a stage begins with; what a variable that is set nowhere decides is left out.
    pub fn base_images(&self, target: Option<&str>) -> BTreeSet<&str> {
        let Some(stage) = self.stage(target) else {
            return BTreeSet::new();
        };
        let stages = self.behind(stage).into_iter().chain([stage]);
        let known = stages.filter(|stage| stage.unset.is_none());
        let bases = known.map(|stage| stage.base.as_str());
        bases
            .filter(|base| !base.is_empty() && *base != "scratch")
            .collect()
    }

    /// The other stages that take part in building one.
    pub fn behind<'a>(&'a self, stage: &'a Stage) -> Vec<&'a Stage> {
        let mut found = BTreeSet::new();
        let mut next = stage.uses.clone();
        while let Some(index) = next.pop() {
            if found.insert(index) {
                next.extend(self.stages.get(index).iter().flat_map(|stage| &stage.uses));
            }
        }
        found
            .into_iter()
            .filter_map(|index| self.stages.get(index))
            .collect()
    }
}

impl Stage {
    fn is(&self, name: &str) -> bool {
        self.name
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// The words that a container of it starts with; empty if the base image says them.
    pub fn command(&self) -> Vec<String> {
        [&self.entrypoint[..], &self.cmd[..]].concat()
    }

    /// The value of an ENV or ARG.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    fn absolute(&self, path: &str) -> Result<String, &'static str> {
        let joined = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.workdir.as_deref().ok_or(NO_WORKDIR)?)
        };
        Ok(clean(&joined))
    }
}

/// An absolute path without `.`, `..` and repeated slashes.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

impl Stage {
    /// Whether this path is a folder of the image, as far as the file tells.
    fn has_folder(&self, path: &str) -> bool {
        let Ok(path) = self.absolute(path) else {
            return false;
        };
        let copied = |step: &CopyStep| matches!(step, CopyStep::Copy(copy) if copy.into_folder && copy.to.as_ref() == Ok(&path));
        self.workdir.as_ref() == Some(&path) || self.steps.iter().any(copied)
    }
}

#[cfg(test)]
mod tests;
