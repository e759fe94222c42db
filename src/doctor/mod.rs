//! What is wrong with this machine and this project: checks with stable ids, each with evidence and
//! one hint that can be pasted. One file a family.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::Project;
use crate::environment::Environment;
use crate::error::Error;
use crate::paths::Paths;

pub mod cluster;
pub mod docker;
pub mod machine;
pub mod tools;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Warning,
    Error,
    /// Could not be looked at; the summary says why.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub file: Option<PathBuf>,
    /// 1-based.
    pub line: Option<u32>,
    pub text: String,
}

/// One finding (the contract of `devk doctor --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub id: &'static str,
    pub status: Status,
    pub summary: String,
    pub hint: Option<String>,
    pub evidence: Vec<Evidence>,
}

impl Check {
    pub fn new(id: &'static str, status: Status, summary: impl Into<String>) -> Self {
        Self { id, status, summary: summary.into(), hint: None, evidence: vec![] }
    }

    /// An error met on the way is the finding.
    pub fn failed(id: &'static str, error: &Error) -> Self {
        let evidence = |text: &String| Evidence { file: error.file.clone(), line: error.line, text: text.clone() };
        let check = Self::new(id, Status::Error, error.message.clone());
        Self { hint: error.hint.clone(), evidence: error.evidence.iter().map(evidence).collect(), ..check }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { file: None, line: None, text: text.into() });
        self
    }
}

/// All checks, in a stable order. Without a project those that need one are left out.
pub async fn examine(project: Option<&Project>, paths: &Paths) -> Vec<Check> {
    let engine = crate::docker::connect(&Environment::of_process()).await;
    let mut checks = docker::checks(&engine).await;
    let (tools, machine) = tokio::join!(tools::checks(), machine::checks(engine.as_ref().ok()));
    checks.extend(tools);
    checks.extend(machine);
    if let (Some(project), Ok(engine)) = (project, &engine) {
        checks.extend(cluster::checks(engine, project, paths).await);
    }
    checks
}
