//! What `devk status` tells of sync.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::trace::Latency;

/// One image's sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// The name in devk.yaml.
    pub image: String,
    /// The reference whose containers it is about: while a build is rolled out there are two of one image.
    #[serde(default)]
    pub reference: String,
    /// Counts the changes to the working tree since the image was built.
    pub generation: u64,
    /// Paths that differ from the image.
    pub paths: usize,
    /// Changed paths that wait until the image can be looked at: whether a sync or a build serves them is not known yet.
    pub undecided: usize,
    pub containers: Vec<ContainerStatus>,
    /// Why saves are builds, in words for the user; null if they are none, or if a container says how they reach it.
    #[serde(default)]
    pub builds: Option<String>,
    #[serde(flatten)]
    pub latency: Latency,
    /// What keeps it from being complete, in words for the user.
    pub troubles: Vec<String>,
}

/// One container of that image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    pub pod: String,
    pub container: String,
    /// The generation of the working tree that it runs.
    pub generation: u64,
    /// What it has to have before connections should go to it: the generation at its start.
    pub needs: u64,
    /// Its shell is open.
    pub open: bool,
    /// Why it cannot be synced into; then it is current only after a rebuild.
    pub refused: Option<String>,
    /// What failed last, and is tried again.
    pub trouble: Option<String>,
    /// How saves reach the program in it, in words for the user; null before that was looked at.
    pub serving: Option<String>,
    /// When it got that generation; null while it has only what is in the image.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Saved paths that something which the pod mounts covers: nothing is written there, and no build changes it.
    pub covered: Vec<Covered>,
    /// Some of what it was sent may not be what is on the disk, and is sent again.
    #[serde(skip)]
    pub unverified: bool,
    /// The last generation for which a build was asked, since it cannot be synced into.
    #[serde(skip)]
    pub asked: u64,
    /// What is known of its program since the last save.
    #[serde(skip)]
    pub program: ProgramState,
}

/// Whether a program runs what was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProgramState {
    /// As far as devk can see.
    #[default]
    Current,
    /// Not yet, in words for the user.
    Behind(String),
    /// It ended with it, in words for the user.
    Broken(String),
}

/// A saved path that is not the image's in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Relative to the build context.
    pub path: PathBuf,
    /// Where the mount is, an absolute path in the container.
    pub mount: String,
    /// What is mounted, in words for the user.
    pub volume: String,
    /// The template that mounts it, as `FILE:LINE`; null if it is in an archive.
    pub place: Option<String>,
}

impl std::fmt::Display for Covered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            mount,
            volume,
            place,
        } = self;
        write!(
            f,
            "`{}` stays here: {volume} is mounted at `{mount}`",
            path.display()
        )?;
        place.iter().try_for_each(|place| write!(f, " ({place})"))
    }
}

impl ContainerStatus {
    /// Whether it lacks what was synced before it started.
    pub fn is_behind(&self) -> bool {
        self.refused.is_none() && self.generation < self.needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_behind_until_it_has_what_was_synced_before_it_started() {
        let mut container = ContainerStatus {
            needs: 3,
            generation: 2,
            ..ContainerStatus::default()
        };
        assert!(container.is_behind());
        container.generation = 3;
        assert!(!container.is_behind());
        let refused = ContainerStatus {
            needs: 3,
            refused: Some("read-only".into()),
            ..ContainerStatus::default()
        };
        assert!(!refused.is_behind());
    }
}
