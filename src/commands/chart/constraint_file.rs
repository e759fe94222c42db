//! The file that a constraint is written to: the team's, or devk.yaml.

use std::path::PathBuf;

use crate::check::{ChangedText, TaughtConstraint};
use crate::commands::Context;
use crate::config::{self, CONSTRAINTS_FILE, CheckConfig, Project, parsed_constraints};
use crate::error::{Errors, internal};
use crate::paths::refused;

/// What a new file of a team begins with.
const HEAD: &str =
    "# What the charts of the team are asked for; devk chart teach --list shows how it is said.\n";

/// A file with constraints, as it is and as it will be.
#[derive(Debug)]
pub(super) struct ConstraintFile {
    file: PathBuf,
    /// The keys above those of `check:`.
    below: &'static [&'static str],
    before: Option<String>,
    after: String,
    /// What devk.yaml says; nothing if this is that file, or there is none.
    over: CheckConfig,
    /// What the team says, if this is devk.yaml.
    team: CheckConfig,
}

impl ConstraintFile {
    /// The team's file of the project, or of the nearest folder above that has one; devk.yaml if `of_project`.
    ///
    /// # Errors
    /// What keeps the files from being read.
    pub(super) fn open(
        context: &Context,
        project: Option<&Project>,
        of_project: bool,
    ) -> Result<Self, Errors> {
        if let (Some(project), true) = (project, of_project) {
            let text = std::fs::read_to_string(&project.file);
            let text = text.map_err(|e| refused("read", &project.file, &e))?;
            return Ok(Self {
                file: project.file.clone(),
                below: &["check"],
                after: text.clone(),
                before: Some(text),
                over: CheckConfig::default(),
                team: config::team_constraints(&project.root)?,
            });
        }
        let dir = &context.source.dir;
        let root = match project {
            Some(project) => &project.root,
            None => config::constraints_above(dir).unwrap_or(dir),
        };
        let file = root.join(CONSTRAINTS_FILE);
        let before = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(refused("read", &file, &e).into()),
        };
        Ok(Self {
            file,
            below: &[],
            after: before.clone().unwrap_or_else(|| HEAD.to_owned()),
            before,
            over: project
                .map(|project| project.check.clone())
                .unwrap_or_default(),
            team: CheckConfig::default(),
        })
    }

    /// devk.yaml says the key, so that this file would be overruled.
    pub(super) fn is_overruled(&self, constraint: &TaughtConstraint) -> bool {
        constraint.is_overruled(&self.over)
    }

    /// Adds a constraint to the text.
    ///
    /// # Errors
    /// As [`TaughtConstraint::written`].
    pub(super) fn teach(&mut self, constraint: &TaughtConstraint) -> Result<(), Errors> {
        self.after = constraint.written(&self.after, self.below, &self.file)?;
        Ok(())
    }

    /// What charts are asked for once the text is written.
    ///
    /// # Errors
    /// All problems of the text together.
    pub(super) fn config(&self) -> Result<CheckConfig, Errors> {
        let own = match self.below {
            [] => self.after.clone(),
            // The values alone; JSON is YAML.
            keys => {
                let parsed: serde_json::Value =
                    crate::release::yaml::parse(&self.after).map_err(|(why, _)| internal(&why))?;
                let found = keys.iter().try_fold(&parsed, |value, key| value.get(*key));
                found
                    .map(ToString::to_string)
                    .unwrap_or_else(|| "{}".to_owned())
            }
        };
        let own = parsed_constraints(&own, &self.file)?;
        Ok(match self.below {
            [] => self.over.clone().over(own),
            _ => own.over(self.team.clone()),
        })
    }

    /// None if nothing changes.
    pub(super) fn changed(&self) -> Option<ChangedText> {
        let before = self.before.as_deref().unwrap_or(HEAD);
        (before != self.after).then(|| ChangedText {
            file: self.file.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
        })
    }
}
