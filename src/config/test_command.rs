//! The commands of `test:`, which `devk ci` runs against the stack.

use std::path::PathBuf;
use std::time::Duration;

use super::Origin;

/// One command of `test:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCommand {
    pub name: String,
    pub run: TestRun,
    pub place: TestPlace,
    /// How long it may take.
    pub timeout: Duration,
    /// In the order of devk.yaml.
    pub env: Vec<(String, String)>,
    pub origin: Origin,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestRun {
    /// A text that `sh -c` reads.
    Shell(String),
    /// A program and its arguments; one at least.
    Words(Vec<String>),
}

/// Where it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestPlace {
    /// On this machine, in this folder or in that of devk.yaml.
    Machine { dir: Option<PathBuf> },
    /// In the newest running pod of a service, in this folder of the container or in that of the image.
    Pod {
        service: String,
        dir: Option<String>,
    },
}

impl TestRun {
    /// The words of a command line.
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Shell(text) => ["sh", "-c", text].map(str::to_owned).to_vec(),
            Self::Words(words) => words.clone(),
        }
    }
}
