//! The status of a session, as it is sent to clients.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::stats::ForwardStats;
use crate::ports::Forward;
use crate::program::Build;
use crate::sync::status::SyncStatus;

/// The session as `devk status` shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionStatus {
    pub pid: u32,
    /// The project's folder; None before the first plan.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The build of devk that the session runs.
    #[serde(default)]
    pub build: Option<Build>,
    /// A reconcile is at work.
    pub busy: bool,
    /// That reconcile.
    #[serde(default)]
    pub reconcile: Option<ReconcileStatus>,
    /// The outcome of the last `up`.
    pub outcome: Option<Outcome>,
    pub forwards: Vec<ForwardStatus>,
    pub relay: RelayStatus,
    /// One for every image that is followed.
    pub sync: Vec<SyncStatus>,
    /// Who keeps the session alive; a change of that alone is not told to who follows the status.
    #[serde(default)]
    pub holders: SessionHolders,
}

/// Who keeps a session alive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHolders {
    /// `up -d`: the session stays until `down`.
    pub detached: bool,
    /// The processes of the clients that are attached, where the system tells them.
    pub clients: Vec<i32>,
}

/// A reconcile that is at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileStatus {
    pub since: jiff::Timestamp,
    /// `up` for a client's request, or the `change/NAME` that is brought live.
    pub what: String,
}

/// The upstream of new connections: a relay in the node, or the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayStatus {
    pub serves: bool,
    /// Why no relay serves.
    pub why: Option<String>,
}

/// A forward and its live statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForwardStatus {
    #[serde(flatten)]
    pub forward: Forward,
    #[serde(rename = "numbers")]
    pub stats: ForwardStats,
}

impl SessionStatus {
    /// The status with the counters of traffic at zero.
    pub fn without_traffic(&self) -> Self {
        let quiet = |status: &ForwardStatus| ForwardStatus {
            forward: status.forward.clone(),
            stats: ForwardStats {
                last_error: status.stats.last_error.clone(),
                ..ForwardStats::default()
            },
        };
        Self {
            forwards: self.forwards.iter().map(quiet).collect(),
            ..self.clone()
        }
    }
}
