//! The instructions of a Dockerfile, one after the other: what each makes of its stage, and the variables.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::words::{self, expand, flags, split};
use super::{Copy, CopyStep, Stage, Unset, clean};
use crate::dockerfile::{self, Instruction};

/// The state of a reader between two instructions.
pub(super) struct Reading<'a> {
    args: &'a BTreeMap<String, String>,
    escape: char,
    /// ARGs before the first FROM.
    global: BTreeMap<String, String>,
    stages: Vec<Stage>,
    /// The variable that was last asked for in vain.
    missing: Cell<Option<String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(args: &'a BTreeMap<String, String>, text: &str) -> Self {
        Self {
            args,
            escape: dockerfile::escape(text),
            global: BTreeMap::new(),
            stages: Vec::new(),
            missing: Cell::default(),
        }
    }

    /// The stages of a Dockerfile.
    pub(super) fn all(mut self, text: &str) -> Vec<Stage> {
        for instruction in dockerfile::instructions(text) {
            self.take(&instruction);
        }
        self.stages
    }

    fn take(&mut self, instruction: &Instruction) {
        let text = instruction.text.as_str();
        let line = instruction.line;
        match instruction.keyword.as_str() {
            "FROM" => self.from(text, line),
            "ARG" => self.arg(text),
            "ENV" => self.env(text),
            "ONBUILD" => self.on_build(text, line),
            "WORKDIR" => self.workdir(text),
            "COPY" | "ADD" => self.copy(text, line, instruction.keyword == "ADD"),
            "RUN" => self.run(text, line),
            "CMD" => self.command(text, |stage| &mut stage.cmd),
            "ENTRYPOINT" => {
                self.command(text, |stage| &mut stage.entrypoint);
                // It makes a CMD of the base void.
                if let Some(stage) = self.stages.last_mut() {
                    stage.cmd.clear();
                }
            }
            _ => {}
        }
    }

    fn from(&mut self, text: &str, line: u32) {
        let words: Vec<_> = split(text, self.escape)
            .into_iter()
            .filter(|word| !word.starts_with("--"))
            .collect();
        let base = words
            .first()
            .map(|base| self.expand_in(&self.global, base))
            .unwrap_or_default();
        let parent = self.stages.iter().rfind(|stage| stage.is(&base));
        let mut stage = parent.cloned().unwrap_or_else(|| Stage {
            base,
            ..Stage::default()
        });
        let triggers = std::mem::take(&mut stage.triggers);
        let named = words
            .get(1)
            .is_some_and(|word| word.eq_ignore_ascii_case("as"));
        stage.name = words.get(2).filter(|_| named).cloned();
        self.stages.push(stage);
        self.note_missing(line);
        triggers.iter().for_each(|trigger| self.take(trigger));
    }

    fn on_build(&mut self, text: &str, line: u32) {
        let (keyword, text) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let trigger = Instruction {
            keyword: keyword.to_ascii_uppercase(),
            text: text.trim().to_owned(),
            line,
        };
        if let Some(stage) = self.stages.last_mut() {
            stage.triggers.push(trigger);
        }
    }

    /// What was expanded last decides what the stage takes from where.
    fn note_missing(&mut self, line: u32) {
        let missing = self.missing.take();
        if let Some((name, stage)) = missing.zip(self.stages.last_mut()) {
            stage.unset.get_or_insert(Unset { name, line });
        }
    }

    fn arg(&mut self, text: &str) {
        for word in split(text, self.escape) {
            let (name, default) = word
                .split_once('=')
                .map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
            let given = self.args.get(name).cloned();
            let inherited = || self.global.get(name).cloned();
            let default = default.map(|text| self.expand(text));
            let default = default.filter(|_| self.missing.take().is_none());
            let value = given.or(default).or_else(inherited);
            let scope = self
                .stages
                .last_mut()
                .map_or(&mut self.global, |stage| &mut stage.variables);
            scope.extend(value.map(|value| (name.to_owned(), value)));
        }
    }

    fn env(&mut self, text: &str) {
        let words = split(text, self.escape);
        let is_pairs = words.first().is_some_and(|word| word.contains('='));
        let pairs: Vec<(String, String)> = if is_pairs {
            words
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect()
        } else {
            // The old form: one name, and the rest of the line.
            let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            vec![(name.to_owned(), value.trim().to_owned())]
        };
        // As they were before this line.
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| (name, self.expand_known(&value)))
            .collect();
        let Some(stage) = self.stages.last_mut() else {
            return;
        };
        for (name, value) in pairs {
            match value {
                Some(value) => stage.variables.insert(name, value),
                None => stage.variables.remove(&name),
            };
        }
    }

    fn workdir(&mut self, text: &str) {
        let folder = self.expand_known(text.trim().trim_matches(['"', '\'']));
        if let Some(stage) = self.stages.last_mut() {
            stage.workdir = folder.and_then(|folder| stage.absolute(&folder).ok());
        }
    }

    fn run(&mut self, text: &str, line: u32) {
        let (flags, rest) = flags(text);
        let mounts = flags
            .iter()
            .filter(|(name, _)| name == "mount")
            .map(|(_, value)| self.expand(value));
        let mut folders = Vec::new();
        let mut uses = Vec::new();
        for mount in mounts {
            let field = |names: &[&str]| {
                let pairs = mount.split(',').filter_map(|pair| pair.split_once('='));
                pairs
                    .into_iter()
                    .find(|(name, _)| names.contains(name))
                    .map(|(_, value)| value.to_owned())
            };
            match (field(&["type"]).as_deref(), field(&["from"])) {
                (None | Some("bind" | "cache"), Some(from)) => uses.extend(self.number(&from)),
                (None | Some("bind"), None) => {
                    folders.push(in_context(&field(&["source", "src"]).unwrap_or_default()))
                }
                _ => {}
            }
        }
        let text = words::json(rest).map_or_else(|| rest.to_owned(), |words| words.join(" "));
        if let Some(stage) = self.stages.last_mut() {
            stage.uses.extend(uses);
            stage.steps.push(CopyStep::Run {
                text,
                line,
                mounts: folders,
            });
        }
        self.note_missing(line);
    }

    fn copy(&mut self, text: &str, line: u32, unpacks: bool) {
        let (flags, rest) = flags(text);
        let flag = |name: &str| {
            flags
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| self.expand(value))
        };
        let parents = flag("parents").is_some_and(|value| value != "false");
        let owner = flag("chown");
        let mode = flag("chmod").and_then(|mode| u32::from_str_radix(&mode, 8).ok());
        // The image shows whose the files are.
        self.missing.take();
        let from = flag("from");
        if let Some(from) = from {
            let number = self.number(&from);
            if let Some(stage) = self.stages.last_mut() {
                stage.uses.extend(number);
            }
            return self.note_missing(line);
        }
        let mut words: Vec<_> = words::json(rest).unwrap_or_else(|| split(rest, self.escape));
        words.iter_mut().for_each(|word| *word = self.expand(word));
        let Some(to) = words.pop() else { return };
        let sources: Vec<_> = words
            .iter()
            .filter(|word| !is_elsewhere(word))
            .map(|word| in_context(word))
            .collect();
        let exclude = flags
            .iter()
            .filter(|(name, _)| name == "exclude")
            .map(|(_, value)| self.expand(value))
            .collect();
        self.note_missing(line);
        let Some(stage) = self.stages.last() else {
            return;
        };
        let copy = Copy {
            line,
            into_folder: sources.len() > 1 || is_folder(&to) || stage.has_folder(&to),
            sources,
            to: stage.absolute(&to),
            unpacks,
            parents,
            owner,
            mode,
            exclude,
        };
        if let Some(stage) = self.stages.last_mut() {
            stage.steps.push(CopyStep::Copy(copy));
        }
    }

    fn command(&mut self, text: &str, which: impl FnOnce(&mut Stage) -> &mut Vec<String>) {
        let words = words::json(text)
            .unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), text.to_owned()]);
        if let Some(stage) = self.stages.last_mut() {
            *which(stage) = words;
        }
    }

    /// The stage of that name or number; None for an image.
    fn number(&self, from: &str) -> Option<usize> {
        let named = self.stages.iter().rposition(|stage| stage.is(from));
        named.or_else(|| {
            from.parse()
                .ok()
                .filter(|number| *number < self.stages.len())
        })
    }

    fn expand(&self, text: &str) -> String {
        let scope = self
            .stages
            .last()
            .map_or(&self.global, |stage| &stage.variables);
        self.expand_in(scope, text)
    }

    /// None if a variable in it is not known.
    fn expand_known(&self, text: &str) -> Option<String> {
        self.missing.take();
        let expanded = self.expand(text);
        self.missing.take().is_none().then_some(expanded)
    }

    fn expand_in(&self, scope: &BTreeMap<String, String>, text: &str) -> String {
        let value = |name: &str| {
            let value = scope.get(name).cloned();
            if value.is_none() {
                self.missing.set(Some(name.to_owned()));
            }
            value
        };
        expand(text, self.escape, &value)
    }
}

/// A path as the build context has it: its root is the highest folder there is.
fn in_context(path: &str) -> String {
    clean(&format!("/{path}"))
        .trim_start_matches('/')
        .to_owned()
}

fn is_folder(to: &str) -> bool {
    to.ends_with('/') || matches!(to, "." | "..") || to.ends_with("/.") || to.ends_with("/..")
}

/// Here-documents, URLs and repositories are not of the context.
fn is_elsewhere(source: &str) -> bool {
    source.starts_with("<<") || source.contains("://") || source.starts_with("git@")
}
