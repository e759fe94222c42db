//! What an engine takes over from the one whose place it takes: the image is the same, its rules are others.
//!
//! The working tree then holds what the image has. A path that was changed and changed back is in no baseline that
//! is younger than that, and a container that the other engine has not reached since still has the change.

use super::engine::SyncEngine;
use super::rules::Verdict;

impl SyncEngine {
    /// Looks at each path that another engine has taken down, as far as the rules sync it.
    pub fn inherit(&self, other: &Self) {
        let mut paths = other.shared().all();
        let rules = &self.shared().settings.rules;
        paths.retain(|path| matches!(rules.verdict(path), Verdict::Sync(_)));
        self.shared().look_again(paths);
    }
}
