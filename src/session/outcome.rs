//! The outcome of an `up`: kept by the session, sent to clients.

use serde::{Deserialize, Serialize};

use crate::bridge::record::Record;
use crate::plan::{APPLY, LeftOut};
use crate::ports::Forward;

/// The outcome of an `up`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub ready: bool,
    pub project: String,
    pub cluster: String,
    /// The current references of the images that devk builds.
    pub images: Vec<Built>,
    pub forwards: Vec<Forward>,
    /// Forwards of devk.yaml that are not open.
    pub left_out: Vec<LeftOut>,
    /// Those of the forwards behind which nothing asks for a pod.
    #[serde(default)]
    pub waiting: Vec<Waiting>,
    /// Compose's database that the cluster uses.
    pub bridge: Option<Record>,
    /// Wall time.
    pub ms: u64,
    /// Sum of the times of the steps that ran: more than `ms` where they ran at once.
    pub steps_ms: u64,
    pub failed: Vec<String>,
    /// What there was to do and a failed step kept from being done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<String>,
}

impl Outcome {
    /// A change of a release was not installed, because of another step's failure.
    pub fn blocks_an_install(&self) -> bool {
        self.blocked.iter().any(|step| step.starts_with(APPLY))
    }
}

/// A forward that is held and waits for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub name: String,
    /// ``no pod: Deployment `worker` has 0 replicas``
    pub why: String,
}

/// An image that devk built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The name in devk.yaml.
    pub name: String,
    pub reference: String,
}
