//! The audit log: what was done through devk on this machine, by whom, where, and how it ended. One log a user and
//! machine, JSON lines in files that only the user can read.
//!
//! [`AuditLog::intent`] writes what is about to be done and returns when the disk has it; [`AuditAct::outcome`] writes
//! how it ended. Each record carries the hash of the one before, so `devk audit verify` finds what was changed or taken
//! away afterwards. This shows an accident and a careless hand; it is no wall against the user, who owns the files and
//! could compute all hashes anew.
//!
//! Nothing here knows a secret: every text comes as an [`AuditText`].

use std::path::Path;

use crate::error::{Code, Error, Result};
use crate::hex;
use crate::paths::Paths;

mod act;
mod csv;
mod folder;
mod kind;
mod line;
mod read;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod user;
mod verify;
mod write;

pub use act::AuditAct;
pub use csv::audit_csv;
pub use kind::AuditKind;
pub use record::{
    AuditChannel, AuditCluster, AuditIntent, AuditNote, AuditOrigin, AuditOutcome, AuditPhase,
    AuditProject, AuditRecord, AuditResult, AuditedPlan, ORIGIN,
};
pub use search::{AuditEntry, AuditFound, AuditQuery, AuditState};
pub use text::AuditText;
pub use verify::{AuditBreak, AuditVerdict};
pub use write::AuditLimits;

use folder::AuditFolder;

/// The log of this user on this machine.
#[derive(Debug, Clone)]
pub struct AuditLog {
    folder: AuditFolder,
    limits: AuditLimits,
}

impl AuditLog {
    pub fn of(paths: &Paths) -> Self {
        Self::with(paths, AuditLimits::default())
    }

    /// A log that grows to another size.
    pub fn with(paths: &Paths, limits: AuditLimits) -> Self {
        Self {
            folder: AuditFolder::new(paths.state.join("audit")),
            limits,
        }
    }

    /// Records what is about to be done. When this returns the disk has it.
    ///
    /// # Errors
    /// [`Code::AuditUnwritable`].
    pub fn intent(&self, intent: AuditIntent) -> Result<AuditAct> {
        AuditAct::begin(&self.folder, self.limits, intent)
    }

    /// The acts that a query names, the oldest first.
    ///
    /// # Errors
    /// [`Code::AuditUnreadable`].
    pub fn search(&self, query: &AuditQuery) -> Result<AuditFound> {
        search::search(&self.folder, query)
    }

    /// Looks at every record of the log.
    ///
    /// # Errors
    /// [`Code::AuditUnreadable`].
    pub fn verify(&self) -> Result<AuditVerdict> {
        verify::verify(&self.folder)
    }

    /// Where the log is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A new id: 20 digits of no meaning.
fn new_id() -> Result<String> {
    hex::random::<10>().map_err(|e| {
        Error::new(
            Code::AuditUnwritable,
            format!("the audit log cannot be written: {e}"),
        )
    })
}
