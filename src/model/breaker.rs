//! Backends that did not answer a moment ago are left out for a while: nobody waits twice for the same silence.
//!
//! Questions are asked by processes that live for one question, so what is known stands in a file per backend. A file that is
//! damaged, or that cannot be written, costs a wait and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// How long a backend is left out after its first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// How long at most, also if a backend asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The failures of backends, below a folder of devk's cache.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    folder: PathBuf,
}

/// A backend that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenCircuit {
    /// Failures since the last reply.
    failures: u32,
    pub(super) until: Timestamp,
    pub(super) why: String,
}

impl Breaker {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Why a backend is left out now.
    pub(super) fn open(&self, backend: &str, now: Timestamp) -> Option<OpenCircuit> {
        let circuit = self.read(backend)?;
        // A clock that was set back leaves out nobody for ever.
        let is_open =
            circuit.until > now && circuit.until < now.saturating_add(LONGEST_PAUSE * 2).ok()?;
        is_open.then_some(circuit)
    }

    /// Leaves a backend out, for twice as long as the time before; `pause` is what it asks for itself.
    pub(super) fn failed(&self, backend: &str, why: &str, pause: Option<Duration>, now: Timestamp) {
        // Failures of yesterday say nothing about today.
        let is_recent = |circuit: &OpenCircuit| {
            let counts_until = circuit.until.saturating_add(LONGEST_PAUSE);
            counts_until.is_ok_and(|until| until > now)
        };
        let before = self.read(backend).filter(is_recent);
        let failures = before
            .map_or(0, |circuit| circuit.failures)
            .saturating_add(1);
        let doubled = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10));
        let pause = pause.unwrap_or_default().max(doubled).min(LONGEST_PAUSE);
        let Ok(until) = now.saturating_add(pause) else {
            return;
        };
        let circuit = OpenCircuit {
            failures,
            until,
            why: why.to_owned(),
        };
        let text = serde_json::to_vec(&circuit).unwrap_or_default();
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(self.file(backend), text));
        // Without the file the next question waits for the backend again.
        drop(written);
    }

    /// Forgets the failures of a backend that has answered.
    pub(super) fn answered(&self, backend: &str) {
        // One that is not there was no failure.
        let _ = std::fs::remove_file(self.file(backend));
    }

    fn read(&self, backend: &str) -> Option<OpenCircuit> {
        let text = std::fs::read(self.file(backend)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Names have slashes and colons, and may be longer than a file's.
    fn file(&self, backend: &str) -> PathBuf {
        self.folder
            .join(format!("{}.json", hex(Sha256::digest(backend))))
    }
}
