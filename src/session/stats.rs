//! Live statistics of a forward, for `devk status`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Counts while connections run; [`ForwardCounters::stats`] is what is shown.
#[derive(Debug, Default)]
pub struct ForwardCounters {
    open: AtomicU64,
    total: AtomicU64,
    from_pod: AtomicU64,
    to_pod: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// A reading of [`ForwardCounters`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardStats {
    /// Connections now.
    pub open: u64,
    /// Connections since the session began.
    pub total: u64,
    /// Bytes that pods sent.
    pub bytes_in: u64,
    /// Bytes that went to pods.
    pub bytes_out: u64,
    /// Why the last connection failed; None once one has succeeded again.
    pub last_error: Option<String>,
}

impl ForwardCounters {
    pub fn stats(&self) -> ForwardStats {
        ForwardStats {
            open: self.open.load(Relaxed),
            total: self.total.load(Relaxed),
            bytes_in: self.from_pod.load(Relaxed),
            bytes_out: self.to_pod.load(Relaxed),
            last_error: self.error().clone(),
        }
    }

    /// Counts a connection as open until the answer is dropped.
    pub(crate) fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        self.total.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.from_pod.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.to_pod.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn succeeded(&self) {
        *self.error() = None;
    }

    /// Notes the error; true if it is not the one that was noted last.
    pub(crate) fn failed(&self, error: &str) -> bool {
        let mut last = self.error();
        let new = last.as_deref() != Some(error);
        *last = Some(error.to_owned());
        new
    }

    fn error(&self) -> MutexGuard<'_, Option<String>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection, for the count.
#[derive(Debug)]
pub(crate) struct Open(Arc<ForwardCounters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
