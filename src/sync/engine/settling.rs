//! Whether what was saved is in the containers of the image, for whoever waits for it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::{Shared, SyncEngine};
use crate::sync::containers::Containers;
use crate::sync::status::{ContainerStatus, ProgramState};

/// One container that does not run all that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    pub pod: String,
    pub container: String,
    /// In words for the user.
    pub why: String,
    /// It will not by itself.
    pub is_broken: bool,
}

/// Somebody waits for what was saved: while it lives, programs are looked at after each save.
#[derive(Debug)]
#[must_use]
pub struct Attention(Arc<Shared>);

impl Drop for Attention {
    fn drop(&mut self) {
        self.0.attention.send_modify(|waiting| *waiting -= 1);
    }
}

impl SyncEngine {
    /// Looks at programs after each save, until the answer is dropped.
    pub fn attend(&self) -> Attention {
        self.shared.attention.send_modify(|waiting| *waiting += 1);
        Attention(self.shared.clone())
    }

    /// Waits until all that was saved before the call is taken down: as a generation of the journal, or as a change that
    /// a build serves. The answer is the generation then. It pends for ever if the engine ends.
    pub async fn taken_down(&self) -> u64 {
        let (answer, answered) = oneshot::channel();
        if self.asked.send(answer).is_ok()
            && let Ok(generation) = answered.await
        {
            return generation;
        }
        std::future::pending().await
    }

    /// The running containers of the image that do not run all of a generation.
    pub fn lacking(&self, generation: u64, running: &Containers) -> Vec<Lacking> {
        let state = self.shared.state();
        let ours = running
            .iter()
            .filter(|(_, container)| container.image == self.shared.settings.reference);
        let lacking = ours.filter_map(|(id, container)| {
            let status = state.containers.get(id);
            let why = match status {
                Some(status) => lacks(status, generation)?,
                None => ("devk has not reached it yet".to_owned(), false),
            };
            Some(Lacking {
                pod: container.place.pod.clone(),
                container: container.place.container.clone(),
                why: why.0,
                is_broken: why.1,
            })
        });
        lacking.collect()
    }

    /// What keeps the tree from being taken down whole, in words for the user.
    pub fn open(&self) -> Vec<String> {
        let state = self.shared.state();
        let image = &self.shared.settings.image;
        let undecided = state.undecided.keys().next().map(|path| {
            let path = path.display();
            format!("`{path}` of image `{image}` waits until the image can be looked at")
        });
        undecided.into_iter().chain(state.trouble.clone()).collect()
    }

    /// What was saved and cannot be read, in words for the user.
    pub fn unreadable(&self) -> Vec<String> {
        let state = self.shared.state();
        let image = &self.shared.settings.image;
        let unreadable = state.unreadable.iter();
        unreadable
            .map(|(path, why)| {
                format!("cannot read `{}` of image `{image}`: {why}", path.display())
            })
            .collect()
    }

    /// The generation of the last change.
    pub fn generation(&self) -> u64 {
        self.shared.state().journal.generation()
    }

    /// When a file was changed last since the image was built; None if none was.
    pub fn last_change(&self) -> Option<Instant> {
        let state = self.shared.state();
        let (_, (event, _)) = state.times.last_key_value()?;
        Some(*event)
    }
}

/// What a container lacks, and whether it stays so.
fn lacks(status: &ContainerStatus, generation: u64) -> Option<(String, bool)> {
    if status.refused.is_some() {
        // A build serves it, and is waited for once it is asked for.
        let is_asked = generation == 0 || status.asked >= generation;
        return (!is_asked).then(|| ("a build is about to be asked for".to_owned(), false));
    }
    let trouble = status.trouble.clone();
    if status.generation < generation {
        let behind = || format!("has generation {} of {generation}", status.generation);
        return Some((trouble.unwrap_or_else(behind), false));
    }
    if trouble.is_some() || status.unverified {
        let why = trouble.unwrap_or_else(|| "a file changed while it was sent".to_owned());
        return Some((why, false));
    }
    match &status.program {
        ProgramState::Current => None,
        ProgramState::Behind(why) => Some((why.clone(), false)),
        ProgramState::Broken(why) => Some((why.clone(), true)),
    }
}

#[cfg(test)]
mod tests;
