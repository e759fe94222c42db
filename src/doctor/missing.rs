//! Why a check could not run.

use std::fmt;

use crate::config::Project;
use crate::error::Errors;

/// Why something was not seen.
#[derive(Debug, Clone)]
pub enum Missing {
    /// What it needs is not there; the text says what.
    Skipped(String),
    /// It was looked at and found broken: that is a finding of the check about it.
    Failed(Errors),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(why) => f.write_str(why),
            // The check about it has the whole message.
            Self::Failed(errors) => match errors.0.first() {
                Some(first) => f.write_str(first.message.split(": ").next().unwrap_or_default()),
                None => f.write_str("it could not be looked at"),
            },
        }
    }
}

impl<E: Into<Errors>> From<E> for Missing {
    fn from(errors: E) -> Self {
        Self::Failed(errors.into())
    }
}

/// Something that was looked at.
pub type Looked<T> = Result<T, Missing>;

/// Checks that depend on the project are skipped without one; the problems of its file are reported once.
pub(super) fn of_project<'a>(project: Result<&'a Project, &Missing>) -> Looked<&'a Project> {
    project.map_err(|missing| match missing {
        Missing::Skipped(why) => Missing::Skipped(why.clone()),
        Missing::Failed(_) => Missing::Skipped("devk.yaml cannot be read".to_owned()),
    })
}
