//! An act: the intent is on the disk before anything is done, the outcome follows. In between the process holds a lock
//! of the act's own, which the system releases however the process ends: so an act without an outcome is either running
//! or ended unknown.

use std::fs::{DirEntry, File, TryLockError};
use std::time::{Duration, Instant};

use super::folder::{AuditFolder, unwritable};
use super::kind::AuditKind;
use super::record::{AuditIntent, AuditOutcome, AuditPhase, AuditRecord, AuditResult};
use super::text::limited;
use super::user;
use super::write::{AuditLimits, append};
use crate::error::Result;
use crate::paths::Lock;

/// A lock of this age is either held or left.
const YOUNG: Duration = Duration::from_secs(60);

/// An act whose intent is recorded. Dropped without an outcome it is recorded as interrupted: whoever did it waits no
/// longer.
#[derive(Debug)]
pub struct AuditAct {
    folder: AuditFolder,
    limits: AuditLimits,
    id: String,
    kind: AuditKind,
    since: Instant,
    is_over: bool,
    /// Held, and released with this.
    _lock: Option<Lock>,
}

impl AuditAct {
    pub(super) fn begin(
        folder: &AuditFolder,
        limits: AuditLimits,
        intent: AuditIntent,
    ) -> Result<Self> {
        folder.prepare()?;
        let id = super::new_id()?;
        let open = folder.open(&id);
        let lock = Lock::try_take(&open).map_err(|e| unwritable(&open, &e))?;
        let kind = intent.kind;
        let record = AuditRecord {
            project: intent.project,
            origin: Some(intent.origin),
            user: user::name(),
            uid: Some(user::id()),
            pid: Some(std::process::id()),
            devk: Some(env!("CARGO_PKG_VERSION").to_owned()),
            folder: Some(intent.folder),
            cluster: intent.cluster,
            arguments: limited(intent.arguments),
            plan: intent.plan.map(|mut plan| {
                plan.steps = limited(plan.steps);
                plan.diff = limited(plan.diff);
                plan
            }),
            ..AuditRecord::bare(&id, AuditPhase::Intent, kind)
        };
        let mut act = Self {
            folder: folder.clone(),
            limits,
            id,
            kind,
            since: Instant::now(),
            // Until the intent is written there is nothing to end.
            is_over: true,
            _lock: lock,
        };
        append(folder, limits, record)?;
        act.is_over = false;
        sweep(folder);
        Ok(act)
    }

    /// The id by which `devk audit show` finds the act.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Records how the act ended.
    ///
    /// # Errors
    /// [`crate::error::Code::AuditUnwritable`].
    pub fn outcome(mut self, outcome: AuditOutcome) -> Result<()> {
        self.end(outcome)
    }

    fn end(&mut self, outcome: AuditOutcome) -> Result<()> {
        self.is_over = true;
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let record = AuditRecord {
            result: Some(outcome.result),
            cluster: outcome.cluster,
            code: outcome.code.map(|code| code.as_str().to_owned()),
            exit: outcome.exit,
            message: outcome.message,
            diff: limited(outcome.diff),
            ms: Some(ms),
            ..AuditRecord::bare(&self.id, AuditPhase::Outcome, self.kind)
        };
        append(&self.folder, self.limits, record)
    }
}

impl Drop for AuditAct {
    fn drop(&mut self) {
        if !self.is_over {
            // There is nobody to tell.
            let _ = self.end(AuditOutcome::new(AuditResult::Interrupted));
        }
        let _ = std::fs::remove_file(self.folder.open(&self.id));
    }
}

/// Whether the process still lives that does this.
pub(super) fn is_running(folder: &AuditFolder, id: &str) -> bool {
    // Readers do not keep one another out.
    let file = File::open(folder.open(id));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Removes what killed processes left of their locks. A young one may be about to be taken.
fn sweep(folder: &AuditFolder) {
    let is_old = |entry: &DirEntry| {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let age = modified.ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > YOUNG)
    };
    let entries = std::fs::read_dir(folder.opens());
    for entry in entries.into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if is_old(&entry) && !is_running(folder, &id) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
