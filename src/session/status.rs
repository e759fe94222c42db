//! What the session tells of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Shown;
use super::control::Outcome;
use super::numbers::{Numbers, Stats};
use crate::ports::Forward;

/// The session as `devk status` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStatus {
    pub pid: u32,
    /// An `up` is at work; its outcome is not told meanwhile, what it holds is.
    pub busy: bool,
    /// What the last `up` came to.
    pub outcome: Option<Outcome>,
    pub forwards: Vec<ForwardStatus>,
}

/// A forward and its live numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForwardStatus {
    #[serde(flatten)]
    pub forward: Forward,
    pub numbers: Stats,
}

impl SessionStatus {
    /// While an `up` works.
    pub fn busy(shown: &Shown) -> Self {
        let forward = |(forward, numbers): &(Forward, Arc<Numbers>)| ForwardStatus {
            forward: forward.clone(),
            numbers: numbers.stats(),
        };
        Self { pid: std::process::id(), busy: true, outcome: None, forwards: shown.iter().map(forward).collect() }
    }
}
