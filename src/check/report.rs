//! What is printed of one chart: score, gates, findings, the changes that gain most.

use std::collections::BTreeSet;

use serde::Serialize;

use super::finding::ChartFinding;
use super::rule::{Gate, Severity};
use super::score::{self, AspectScore, Gain};
use super::traits::ChartTraits;

/// A chart is ready from this score on.
pub const READY: u8 = 90;

/// The report of one chart. Its JSON form is a contract (docs/errors.md).
#[derive(Debug, Clone, Serialize)]
pub struct ChartReport {
    /// `name` of Chart.yaml.
    pub chart: String,
    pub release: String,
    pub score: u8,
    pub aspects: Vec<AspectScore>,
    pub gates: Vec<GateResult>,
    /// Below the bar: exit code 3.
    pub passed: bool,
    pub gains: Vec<Gain>,
    /// Of the chart itself, the worst first.
    pub findings: Vec<ChartFinding>,
    pub dependencies: Vec<DependencyReport>,
    /// The values with which the chart was rendered.
    pub renderings: Vec<String>,
    /// What was not looked at, and why.
    pub notes: Vec<String>,
    /// What the chart does of its own accord.
    #[serde(skip)]
    pub(super) traits: ChartTraits,
}

/// Whether a chart passes a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateResult {
    pub gate: Gate,
    pub passed: bool,
    pub findings: usize,
}

/// What a dependency brings: it has a score of its own, and fails nothing.
#[derive(Debug, Clone, Serialize)]
pub struct DependencyReport {
    pub name: String,
    pub score: u8,
    pub findings: Vec<ChartFinding>,
}

/// A chart's findings, before they are judged.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) chart: String,
    pub(super) release: String,
    /// Of the chart and of its dependencies.
    pub(super) findings: Vec<ChartFinding>,
    pub(super) renderings: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) traits: ChartTraits,
    /// Whether only findings fail that the baseline does not have.
    pub(super) has_baseline: bool,
    /// Whether a rendering was there to judge; without one only the chart's files were.
    pub(super) is_rendered: bool,
}

impl ChartReport {
    pub(super) fn new(found: Found) -> Self {
        let Found {
            chart,
            release,
            mut findings,
            renderings,
            notes,
            traits,
            has_baseline,
            is_rendered,
        } = found;
        findings.sort_by(|a, b| {
            let key = |f: &ChartFinding| (f.rule.severity, f.rule.gate);
            let place = |f: &ChartFinding| (f.object.clone(), f.place.clone(), f.message.clone());
            key(a)
                .cmp(&key(b))
                .then_with(|| (a.rule.id, place(a)).cmp(&(b.rule.id, place(b))))
        });
        let (own, others): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| finding.dependency.is_none());
        let mut aspects = score::aspects(&own);
        if !is_rendered {
            // What nobody has looked at has earned nothing.
            aspects.iter_mut().for_each(|aspect| aspect.points = 0);
        }
        let score = score::total(&aspects);
        let passed = match has_baseline {
            true => !own.iter().any(ChartFinding::is_counted),
            false => is_ready(score, &own),
        };
        Self {
            gates: gates(passed, is_rendered, &own),
            gains: score::gains(&own),
            dependencies: dependencies(others),
            findings: own,
            chart,
            release,
            score,
            aspects,
            passed,
            renderings,
            notes,
            traits,
        }
    }

    /// How many findings of a severity count.
    pub fn count(&self, severity: Severity) -> usize {
        let counted = self.findings.iter().filter(|f| f.is_counted());
        counted.filter(|f| f.rule.severity == severity).count()
    }
}

fn is_ready(score: u8, findings: &[ChartFinding]) -> bool {
    let mut counted = findings.iter().filter(|finding| finding.is_counted());
    let fails = |finding: &ChartFinding| {
        finding.rule.severity <= Severity::High
            || finding.rule.start == super::rule::Start::Constraint
    };
    score >= READY && !counted.any(fails)
}

fn gates(is_ready: bool, is_rendered: bool, findings: &[ChartFinding]) -> Vec<GateResult> {
    let result = |gate: &Gate| {
        let of_gate = findings
            .iter()
            .filter(|f| f.is_counted() && f.rule.gate == *gate);
        let of_gate: Vec<_> = of_gate.collect();
        let passed = match gate {
            Gate::Readiness => is_ready,
            gate if !is_rendered && *gate != Gate::Structural => false,
            // Advice and small matters cost points, and open the gate all the same.
            _ => !of_gate.iter().any(|f| f.rule.severity <= Severity::Medium),
        };
        GateResult {
            gate: *gate,
            passed,
            findings: of_gate.len(),
        }
    };
    Gate::ALL.iter().map(result).collect()
}

fn dependencies(findings: Vec<ChartFinding>) -> Vec<DependencyReport> {
    let names: BTreeSet<_> = findings
        .iter()
        .filter_map(|f| f.dependency.clone())
        .collect();
    let mut left = findings;
    let mut reports = vec![];
    for name in names {
        let (own, others): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|f| f.dependency.as_deref() == Some(&name));
        left = others;
        let score = score::total(&score::aspects(&own));
        reports.push(DependencyReport {
            name,
            score,
            findings: own,
        });
    }
    reports
}
