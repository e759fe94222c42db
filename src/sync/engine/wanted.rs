//! What is to be in the containers, read from the working tree by the rules.

use std::path::Path;

use super::Shared;
use crate::paths::is_gone;
use crate::sync::batch::{ContainerPath, Item, Wanted, look};
use crate::sync::rules::Verdict;

impl Shared {
    /// What is to be at a path of the container now, and what it was made from; None if it does not go there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::sync) fn read(&self, path: &Path) -> std::io::Result<Option<(Item, Wanted)>> {
        let Some(Verdict::Sync(to)) = self.verdict(path) else {
            return Ok(None);
        };
        let Some(target) = ContainerPath::below(to.root, &to.path) else {
            return Ok(None);
        };
        let found = self.look(path)?;
        let mut wanted = found.clone();
        match (&mut wanted, to.mode) {
            (Wanted::File(source), Some(mode)) => source.mode = mode,
            (Wanted::Folder(folder), Some(mode)) => *folder = mode,
            _ => {}
        }
        Ok(Some((
            Item {
                target,
                wanted,
                owner: to.owner,
                rule: to.rule,
            },
            found,
        )))
    }

    /// What is at a path of the build context.
    ///
    /// # Errors
    /// If it cannot be read. Of a context that is gone, renamed or deleted, nothing is known: no file of a container goes
    /// with it.
    fn look(&self, path: &Path) -> std::io::Result<Wanted> {
        let found = look(&self.settings.context.join(path))?;
        if found == Wanted::Gone && self.is_away() {
            return Err(std::io::Error::other("the build context is gone"));
        }
        Ok(found)
    }

    /// The build context is gone.
    pub(in crate::sync) fn is_away(&self) -> bool {
        is_gone(&self.settings.context)
    }

    /// What is to be at a path of the container now; None if it does not go there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::sync) fn item(&self, path: &Path) -> std::io::Result<Option<Item>> {
        Ok(self.read(path)?.map(|(item, _)| item))
    }

    /// Whether a rule of devk.yaml says where a path goes.
    pub(in crate::sync) fn has_rule(&self, path: &Path) -> bool {
        matches!(self.settings.rules.verdict(path), Verdict::Sync(to) if to.rule.is_some())
    }
}
