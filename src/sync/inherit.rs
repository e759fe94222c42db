//! What an engine takes over from the one whose place it takes: the image is the same, its rules are others.
//!
//! The working tree then holds what the image has. A path that was changed and changed back is in no baseline that
//! is younger than that, and a container that the other engine has not reached since still has the change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::batch::look;
use super::engine::SyncEngine;
use super::journal::Seen;
use super::rules::Verdict;
use crate::error::{Result, internal};

impl SyncEngine {
    /// Takes down what is now at each path that another engine has taken down, as far as the rules sync it.
    ///
    /// # Errors
    /// A bug.
    pub async fn inherit(&self, other: &Self) -> Result<()> {
        let shared = self.shared();
        let (mut paths, _) = other.shared().state().journal.since(0, usize::MAX);
        paths.retain(|path| matches!(shared.settings.rules.verdict(path), Verdict::Sync(_)));
        let context = shared.settings.context.clone();
        // Long files are read for their hash.
        let found = tokio::task::spawn_blocking(move || looked_at(&context, paths))
            .await
            .map_err(|e| internal(&e))?;
        let mut state = shared.state();
        // What the watch has seen meanwhile is newer.
        let newer: BTreeSet<_> = state.journal.since(0, usize::MAX).0.into_iter().collect();
        for (path, seen) in found.into_iter().filter(|(path, _)| !newer.contains(path)) {
            state.journal.note(&path, seen);
        }
        shared.generation.send_replace(state.journal.generation());
        drop(state);
        shared.progress.send_replace(());
        Ok(())
    }
}

/// What is at the paths. One that cannot be read stays as it is in the containers.
fn looked_at(context: &Path, paths: Vec<PathBuf>) -> Vec<(PathBuf, Seen)> {
    let seen = |path: &Path| look(&context.join(path))?.seen();
    paths
        .into_iter()
        .filter_map(|path| seen(&path).ok().map(|seen| (path, seen)))
        .collect()
}
