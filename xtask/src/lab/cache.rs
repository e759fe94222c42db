//! What was built, each thing under the hash of everything it was built from.
//!
//! An artefact is a folder `NAME-HASH`. It is made elsewhere and renamed once whole: a folder of that name is complete
//! by construction, so a killed build leaves nothing that could be believed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::command;

/// The hash of an artefact's inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// Lengths go into the hash too: `("ab", "c")` and `("a", "bc")` are different inputs.
    pub(super) fn of<'a>(inputs: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for input in inputs {
            hash.update((input.len() as u64).to_le_bytes());
            hash.update(input);
        }
        let digest = hash.finalize();
        Self(
            digest
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(super) fn open() -> Result<Self> {
        let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => home()?.join(".cache"),
        };
        let root = base.join("devk-lab");
        fs::create_dir_all(root.join("tmp"))
            .with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn path(&self, name: &str, key: &Key) -> PathBuf {
        self.root.join(format!("{name}-{}", key.as_str()))
    }

    /// One lab at a time on a machine; the lock dies with its process. What a killed one left in `tmp` is removed.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.root.join("lock");
        let lock =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if lock.try_lock().is_err() {
            eprintln!("lab: another `cargo xtask lab` is at work; waiting for it");
            lock.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        let leftovers = fs::read_dir(self.root.join("tmp")).context("cannot list the cache")?;
        for leftover in leftovers.flatten() {
            discard(&leftover.path())?;
        }
        Ok(lock)
    }

    /// The artefact's folder, built by `build` (which gets an empty folder to fill) if it is not there.
    pub(super) fn get(
        &self,
        name: &str,
        key: &Key,
        progress: &Progress,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.path(name, key);
        if path.exists() {
            return Ok(path);
        }
        progress.step(name, || {
            let unfinished = self
                .root
                .join("tmp")
                .join(format!("{name}-{}", key.as_str()));
            fs::create_dir_all(&unfinished)
                .with_context(|| format!("cannot create {}", unfinished.display()))?;
            build(&unfinished)?;
            // The data must be on disk before the name is: a machine that loses power keeps renames, not always bytes.
            command::run(Command::new("sync").arg("-f").arg(&unfinished))?;
            fs::rename(&unfinished, &path)
                .with_context(|| format!("cannot rename to {}", path.display()))
        })?;
        Ok(path)
    }
}

/// Root may have filled it (debootstrap) while we are somebody else.
fn discard(path: &Path) -> Result<()> {
    command::run(command::as_root("rm").arg("-rf").arg(path))
}

pub(super) fn home() -> Result<PathBuf> {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .context("HOME is not set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_inputs_have_the_same_key() {
        assert_eq!(Key::of(["kind", "v1"]), Key::of(["kind", "v1"]));
        assert_eq!(Key::of(["kind"]).as_str().len(), 12);
    }

    #[test]
    fn every_input_and_its_place_count() {
        assert_ne!(Key::of(["kind", "v1"]), Key::of(["kind", "v2"]));
        assert_ne!(Key::of(["a", "bc"]), Key::of(["ab", "c"]));
        assert_ne!(Key::of(["a", "b"]), Key::of(["b", "a"]));
        assert_ne!(Key::of(["a"]), Key::of(["a", ""]));
    }

    fn cache() -> Cache {
        let root = std::env::temp_dir().join(format!("devk-lab-test-{}", std::process::id()));
        fs::create_dir_all(root.join("tmp")).unwrap();
        Cache { root }
    }

    #[test]
    fn a_failed_build_leaves_no_artefact_and_a_good_one_is_built_once() {
        let cache = cache();
        let progress = Progress::new();
        let key = Key::of(["x"]);
        let failed = cache.get("thing", &key, &progress, |folder| {
            fs::write(folder.join("half"), "half")?;
            anyhow::bail!("killed")
        });
        assert!(failed.is_err() && !cache.path("thing", &key).exists());
        let made = cache
            .get("thing", &key, &progress, |folder| {
                Ok(fs::write(folder.join("whole"), "1")?)
            })
            .unwrap();
        let again = cache
            .get("thing", &key, &progress, |_| anyhow::bail!("built twice"))
            .unwrap();
        assert_eq!(made, again);
        assert!(made.join("whole").exists());
        fs::remove_dir_all(&cache.root).unwrap();
    }
}
