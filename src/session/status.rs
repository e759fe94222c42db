//! What the session tells of itself.

use serde::{Deserialize, Serialize};

use super::numbers::Stats;
use super::outcome::Outcome;
use crate::ports::Forward;
use crate::program::Build;
use crate::sync::status::SyncStatus;

/// The session as `devk status` shows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionStatus {
    pub pid: u32,
    /// The devk that it is.
    #[serde(default)]
    pub build: Option<Build>,
    /// An `up` is at work; the rest is as it was told last.
    pub busy: bool,
    /// What the last `up` came to.
    pub outcome: Option<Outcome>,
    pub forwards: Vec<ForwardStatus>,
    pub relay: RelayStatus,
    /// One for every image that is followed.
    pub sync: Vec<SyncStatus>,
}

/// Which way new connections take into pods: through a relay in the node, or over the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayStatus {
    pub serves: bool,
    /// Why it does not.
    pub why: Option<String>,
}

/// A forward and its live numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForwardStatus {
    #[serde(flatten)]
    pub forward: Forward,
    pub numbers: Stats,
}
