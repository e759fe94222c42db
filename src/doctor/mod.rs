//! Checks of this machine and this project, with stable ids, each with evidence and one hint that can be pasted. One
//! file a family of checks.
//!
//! [`DoctorFacts::gather`] gathers all facts first; [`check`] runs the checks, pure functions of the facts; only
//! [`fix`] changes anything.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Code, Error, Errors};

mod bridge;
pub mod charts;
pub mod cluster;
pub mod compose;
pub mod databases;
pub mod docker;
mod facts;
pub mod fix;
pub mod host_names;
mod id;
pub mod leftovers;
mod localhost;
pub mod machine;
mod missing;
pub mod network;
mod pod_databases;
pub mod ports;
mod requirements;
pub mod score;
pub mod stranded;
pub mod tools;

pub use facts::DoctorFacts;
pub use id::Id;
pub use missing::{Looked, Missing};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
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

/// One finding (the contract of `devk doctor --format json`). A check that finds several things of a
/// kind tells each by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub id: Id,
    pub status: CheckStatus,
    /// Of the error that is the finding (docs/errors.md); None: the finding is of doctor's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    pub summary: String,
    pub hint: Option<String>,
    pub evidence: Vec<Evidence>,
}

impl Check {
    pub fn new(id: Id, status: CheckStatus, summary: impl Into<String>) -> Self {
        Self {
            id,
            status,
            code: None,
            summary: summary.into(),
            hint: None,
            evidence: vec![],
        }
    }

    pub fn ok(id: Id, summary: impl Into<String>) -> Self {
        Self::new(id, CheckStatus::Ok, summary)
    }

    pub fn warning(id: Id, summary: impl Into<String>) -> Self {
        Self::new(id, CheckStatus::Warning, summary)
    }

    pub fn error(id: Id, summary: impl Into<String>) -> Self {
        Self::new(id, CheckStatus::Error, summary)
    }

    /// It could not be looked at.
    pub fn skipped(id: Id, why: impl Into<String>) -> Self {
        Self::new(id, CheckStatus::Skipped, why)
    }

    /// An error met on the way is the finding.
    pub fn failed(id: Id, error: &Error) -> Self {
        let check = Self::error(id, error.message.clone());
        // The place of the error is that of its first line of evidence.
        let texts = if error.evidence.is_empty() {
            vec![String::new()]
        } else {
            error.evidence.clone()
        };
        let place = |at: usize| {
            if at == 0 {
                (error.file.clone(), error.line)
            } else {
                (None, None)
            }
        };
        let evidence = texts.into_iter().enumerate().map(|(at, text)| {
            let (file, line) = place(at);
            Evidence { file, line, text }
        });
        let evidence = evidence
            .filter(|e| e.file.is_some() || !e.text.is_empty())
            .collect();
        Self {
            code: Some(error.code),
            hint: error.hint.clone(),
            evidence,
            ..check
        }
    }

    /// Every error is a finding.
    pub fn all_failed(id: Id, errors: &Errors) -> Vec<Self> {
        errors
            .0
            .iter()
            .map(|error| Self::failed(id, error))
            .collect()
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence {
            file: None,
            line: None,
            text: text.into(),
        });
        self
    }

    /// Evidence with a file; equal evidence is reported once.
    #[must_use]
    pub fn at(
        mut self,
        file: impl Into<PathBuf>,
        line: impl Into<Option<u32>>,
        text: impl Into<String>,
    ) -> Self {
        let evidence = Evidence {
            file: Some(file.into()),
            line: line.into(),
            text: text.into(),
        };
        if !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
        self
    }
}

/// What was found, or that nothing was.
fn findings(id: Id, found: Vec<Check>, fine: impl Into<String>) -> Vec<Check> {
    if found.is_empty() {
        vec![Check::ok(id, fine)]
    } else {
        found
    }
}

/// Checks of something that could not be looked at are skipped, with the reason.
fn skipped(ids: &[Id], why: &Missing) -> Vec<Check> {
    ids.iter()
        .map(|id| Check::skipped(*id, why.to_string()))
        .collect()
}

/// All checks, in the order of [`Id::ALL`]. Pure.
pub fn check(facts: &DoctorFacts) -> Vec<Check> {
    let mut checks = facts::checks(facts);
    checks.extend(compose::checks(facts));
    checks.extend(ports::checks(facts));
    checks.extend(charts::checks(facts));
    checks.extend(host_names::checks(facts));
    checks.extend(requirements::checks(&facts.requirements));
    checks.extend(score::checks(&facts.scores));
    checks.extend(databases::checks(facts));
    checks.extend(bridge::checks(facts));
    checks.extend(docker::checks(&facts.docker));
    checks.extend(tools::checks(facts));
    checks.extend(cluster::checks(&facts.cluster));
    checks.extend(network::checks(facts));
    checks.extend(machine::checks(facts));
    checks.extend(stranded::checks(facts));
    checks.extend(leftovers::checks(facts));
    checks.sort_by_key(|check| check.id);
    checks
}
