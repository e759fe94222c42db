//! What a rule is: which gate it belongs to, how severe what it finds is, how many points that costs, and the look at
//! the facts, a pure function.

use std::fmt;

use serde::Serialize;

use super::seen::Sightings;
use super::view::{ChartView, RenderingView};

/// One of the six gates that a chart passes or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// The chart's own files.
    Structural,
    /// It renders, and its objects fit together and fit Kubernetes.
    Functional,
    Security,
    Performance,
    Operational,
    /// The score, and the constraints of the organisation.
    Readiness,
}

/// How much a finding matters, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

/// What a share of the score is for. A chart has all points of an aspect until rules take some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// The chart is whole, works, and does nothing dangerous.
    Foundation,
    Resources,
    /// The security context of pods and containers.
    Context,
    Probes,
    Monitoring,
    /// Documentation, backup, upgrades.
    Upkeep,
}

/// When a rule looks at a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Always.
    On,
    /// If `check.enable` names it.
    Off,
    /// If `check` has the constraint that it is about.
    Constraint,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// The files of the chart, and all renderings together.
    Chart(fn(&ChartView<'_>, &mut Sightings)),
    /// Each rendering that is judged as what is installed.
    Rendering(fn(&RenderingView<'_>, &mut Sightings)),
    /// Each rendering, also those that only have to work.
    Every(fn(&RenderingView<'_>, &mut Sightings)),
}

/// One rule. Rules of a gate stand in that gate's file, and `table.rs` has all of them.
pub struct ChartRule {
    /// `subject.problem`; stable.
    pub id: &'static str,
    pub gate: Gate,
    pub severity: Severity,
    pub aspect: Aspect,
    /// So many points of the aspect are lost with the first finding; 0 for advice.
    pub points: u8,
    pub start: Start,
    pub why: &'static str,
    pub remedy: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// The version of devk that first had it.
    pub since: &'static str,
    pub(super) look: Look,
}

impl fmt::Debug for ChartRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChartRule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Gate {
    pub const ALL: [Self; 6] = [
        Self::Structural,
        Self::Functional,
        Self::Security,
        Self::Performance,
        Self::Operational,
        Self::Readiness,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Structural => "structural",
            Self::Functional => "functional",
            Self::Security => "security",
            Self::Performance => "performance",
            Self::Operational => "operational",
            Self::Readiness => "readiness",
        }
    }

    /// What a chart that passes it is, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Structural => {
                "the files of the chart are whole: YAML without repeated keys, Chart.yaml, versions, dependencies"
            }
            Self::Functional => {
                "the chart renders with every values file and every `enabled` flipped, fits the schemas of Kubernetes, and what its objects refer to is there"
            }
            Self::Security => {
                "the Pod Security Standards, what accounts may do, images, secrets, TLS"
            }
            Self::Performance => "requests and limits, probes, scaling, storage",
            Self::Operational => {
                "labels, monitoring, disruption, backup, documentation, and upgrades of what is installed"
            }
            Self::Readiness => {
                "the score is 90 or more, no finding is critical or high, and the constraints are met"
            }
        }
    }
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl Aspect {
    pub const ALL: [Self; 6] = [
        Self::Foundation,
        Self::Resources,
        Self::Context,
        Self::Probes,
        Self::Monitoring,
        Self::Upkeep,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Foundation => "foundation",
            Self::Resources => "resources",
            Self::Context => "context",
            Self::Probes => "probes",
            Self::Monitoring => "monitoring",
            Self::Upkeep => "upkeep",
        }
    }

    /// What the aspect is for, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Foundation => "the chart is whole, works, and does nothing dangerous",
            Self::Resources => "requests and limits",
            Self::Context => "the security context of pods and containers",
            Self::Probes => "probes",
            Self::Monitoring => "monitoring",
            Self::Upkeep => "documentation, backup, upgrades",
        }
    }

    /// The points that a chart without findings has; together 100.
    pub const fn points(self) -> u8 {
        match self {
            Self::Foundation => 40,
            Self::Resources => 20,
            Self::Context => 15,
            Self::Probes | Self::Monitoring => 10,
            Self::Upkeep => 5,
        }
    }
}

impl Start {
    /// For people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Constraint => "constraint",
        }
    }
}

/// The rules of one gate:
/// `"id" Severity, Aspect points, Start, Kind(look): "why", "remedy", "source";`
macro_rules! rules {
    ($gate:ident; $($id:literal $severity:ident, $aspect:ident $points:literal, $start:ident, $kind:ident($look:path):
        $why:literal, $remedy:literal, $source:literal;)+) => {
        pub(in crate::check) const RULES: &[$crate::check::rule::ChartRule] = &[$(
            $crate::check::rule::ChartRule {
                id: $id,
                gate: $crate::check::rule::Gate::$gate,
                severity: $crate::check::rule::Severity::$severity,
                aspect: $crate::check::rule::Aspect::$aspect,
                points: $points,
                start: $crate::check::rule::Start::$start,
                why: $why,
                remedy: $remedy,
                source: $source,
                since: "0.1",
                look: $crate::check::rule::Look::$kind($look),
            },
        )+];
    };
}
pub(super) use rules;
