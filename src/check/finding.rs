//! A finding as it is printed: what, where, why, what to do.

use serde::Serialize;
use serde::ser::SerializeStruct;
use sha2::{Digest as _, Sha256};

use super::rule::ChartRule;
use super::seen::Subject;
use crate::place::Origin;

/// A finding of a rule. The members of its JSON form are a contract (docs/errors.md).
#[derive(Debug, Clone)]
pub struct ChartFinding {
    pub rule: &'static ChartRule,
    /// `name` of Chart.yaml.
    pub chart: String,
    /// The dependency that brings the object; None for the chart itself.
    pub dependency: Option<String>,
    /// `Deployment/api`.
    pub object: Option<String>,
    /// `spec.replicas`.
    pub path: Option<String>,
    /// The chart's file that it is about, if it is about no object.
    pub file: Option<String>,
    pub message: String,
    /// The line of the template, or of the chart's file.
    pub place: Option<Origin>,
    /// The line of the value that governs it.
    pub value: Option<Origin>,
    /// The values with which it is there, unless it is there with all.
    pub with: Vec<String>,
    pub counts: Counts,
    /// Where it was seen first.
    pub(super) subject: Subject,
    /// The paths of values that may govern it, the likeliest first.
    pub(super) governing: Vec<Vec<String>>,
}

/// Whether a finding counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    Yes,
    /// The baseline has it.
    Known,
    /// With the reason.
    Ignored(String),
}

impl ChartFinding {
    /// What tells the finding from all others, whatever lines move: of rule, chart, and object with path, or file.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        let dependency = self.dependency.as_deref().unwrap_or_default();
        let object = self.object.as_deref().unwrap_or_default();
        let path = self.path.as_deref().or(self.file.as_deref());
        let path = path.unwrap_or_default();
        // What is found in a file has no object, and its message is the same wherever the line moves.
        let message = if object.is_empty() { &self.message } else { "" };
        for part in [self.rule.id, &self.chart, dependency, object, path, message] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        crate::hex::hex(&hasher.finalize()[..12])
    }

    /// It costs points: it is not ignored, whether the baseline has it or not.
    pub fn is_charged(&self) -> bool {
        !matches!(self.counts, Counts::Ignored(_))
    }

    /// It may keep the chart from passing.
    pub fn is_counted(&self) -> bool {
        self.counts == Counts::Yes
    }
}

impl Serialize for ChartFinding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut state = serializer.serialize_struct("ChartFinding", 16)?;
        let (known, ignored) = match &self.counts {
            Counts::Yes => (false, None),
            Counts::Known => (true, None),
            Counts::Ignored(reason) => (false, Some(reason)),
        };
        let place = |origin: &Option<Origin>| {
            origin
                .as_ref()
                .map(|origin| serde_json::json!({"file": origin.file, "line": origin.line}))
        };
        state.serialize_field("rule", self.rule.id)?;
        state.serialize_field("severity", &self.rule.severity)?;
        state.serialize_field("gate", &self.rule.gate)?;
        state.serialize_field("points", &self.rule.points)?;
        state.serialize_field("object", &self.object)?;
        state.serialize_field("path", &self.path)?;
        state.serialize_field("message", &self.message)?;
        state.serialize_field("place", &place(&self.place))?;
        state.serialize_field("value", &place(&self.value))?;
        state.serialize_field("with", &self.with)?;
        state.serialize_field("why", self.rule.why)?;
        state.serialize_field("remedy", self.rule.remedy)?;
        state.serialize_field("source", self.rule.source)?;
        state.serialize_field("fingerprint", &self.fingerprint())?;
        state.serialize_field("known", &known)?;
        state.serialize_field("ignored", &ignored)?;
        state.end()
    }
}
