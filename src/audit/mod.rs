//! The audit log: what was done through devk on this machine, by whom, where, and how it ended. One log a user and
//! machine, JSON lines in files that only the user can read.
//!
//! [`AuditLog::intent`] writes what is about to be done and returns when the disk has it; [`AuditAct::outcome`] writes
//! how it ended. Each record carries the hash of the one before, so `devk audit verify` finds what was changed or taken
//! away afterwards. This shows an accident and a careless hand; it is no wall against the user, who owns the files and
//! could compute all hashes anew.
//!
//! Nothing here knows a secret: every text comes as an [`AuditText`].

use crate::error::{Code, Error, Result};
use crate::hex::hex;
use crate::paths::Paths;

mod act;
mod folder;
mod line;
mod record;
mod text;
mod user;
mod write;

pub use act::AuditAct;
pub use record::{
    AuditChannel, AuditCluster, AuditIntent, AuditKind, AuditNote, AuditOrigin, AuditOutcome,
    AuditPhase, AuditProject, AuditRecord, AuditResult, AuditedPlan, ORIGIN,
};
pub use text::AuditText;
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
}

/// A new id: 20 digits of no meaning.
fn new_id() -> Result<String> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(
            Code::AuditUnwritable,
            format!("the audit log cannot be written: {e}"),
        )
    })?;
    Ok(hex(bytes))
}
