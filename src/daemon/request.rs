//! What the session goes by when it does something without a client: what the last `up` was asked for that it goes
//! on with.

use std::sync::{Mutex, PoisonError};

use crate::up::Asked;

/// Empty until an `up` has begun.
#[derive(Debug, Default)]
pub(super) struct GoesBy(Mutex<Option<Asked>>);

impl GoesBy {
    pub(super) fn now(&self) -> Option<Asked> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Goes by `asked` from now on. What it went by before comes back with the end of the trial, unless that is
    /// passed. Whoever tries has the session: there is no second trial at the same time.
    pub(super) fn try_out(&self, asked: Asked) -> Trial<'_> {
        Trial {
            of: self,
            before: self.replace(Some(asked)),
            passed: false,
        }
    }

    fn replace(&self, asked: Option<Asked>) -> Option<Asked> {
        std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            asked,
        )
    }
}

/// An `up` that may yet be refused or cut off.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    of: &'a GoesBy,
    before: Option<Asked>,
    passed: bool,
}

impl Trial<'_> {
    pub(super) fn pass(mut self) {
        self.passed = true;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.passed {
            self.of.replace(self.before.take());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::Source;

    /// An `up` from a folder.
    pub(crate) fn from(dir: impl AsRef<Path>) -> Asked {
        let source = Source {
            dir: dir.as_ref().to_owned(),
            file: None,
            profile: None,
        };
        Asked {
            id: "shop".to_owned(),
            source,
            bridging: Default::default(),
            environment: Default::default(),
        }
    }

    fn dir(goes_by: &GoesBy) -> Option<PathBuf> {
        goes_by.now().map(|asked| asked.source.dir)
    }

    #[test]
    fn an_up_that_does_not_end_well_changes_nothing_for_those_before_it() {
        let goes_by = GoesBy::default();
        drop(goes_by.try_out(from("/refused")));
        assert_eq!(dir(&goes_by), None);
        goes_by.try_out(from("/first")).pass();
        let trial = goes_by.try_out(from("/cut-off"));
        assert_eq!(dir(&goes_by), Some("/cut-off".into()));
        drop(trial);
        assert_eq!(dir(&goes_by), Some("/first".into()));
    }
}
