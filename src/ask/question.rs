//! A question as devk understood it: what is asked, of which objects, under which conditions.

use jiff::SignedDuration;

use super::kind::AskedKind;
use super::moment::Moment;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedFor {
    List,
    Count,
    /// Yes or no.
    Check,
    Fact(Fact),
    Describe,
    Logs,
    Events,
    Usage(Measured),
    Why,
    Changed,
    Talks,
    Cluster,
    Help,
}

/// What the usage is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    Memory,
    Cpu,
}

/// What an object has, which people ask for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    Images,
    Ports,
    Node,
    Restarts,
    Environment,
    Labels,
    Annotations,
    Volumes,
    Resources,
    Replicas,
    Status,
    Age,
    Address,
    Owner,
    Selector,
    Endpoints,
    Probes,
    Command,
    Strategy,
    Schedule,
    LastRun,
    Routes,
    Keys,
    Storage,
    Containers,
    Revisions,
    LastExit,
    UsedBy,
    Used,
    Capacity,
    Version,
    Taints,
    Type,
    Target,
    Rules,
    Exposed,
}

/// What must be true of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Is(AskedState),
    OlderThan(SignedDuration),
    YoungerThan(SignedDuration),
    /// Made after this moment.
    Since(Moment),
    /// A container or Job of it ended after this moment.
    EndedSince(Moment),
    Label(String, String),
    WithLabel(String),
    WithoutLabel(String),
    OnNode(String),
    Image(String),
    RestartsOver(i64),
    /// In thousandths of a byte.
    MemoryOver(f64),
    /// In thousandths of a core.
    CpuOver(f64),
    ReplicasOver(i64),
    /// One of them is enough.
    Either(Vec<Condition>),
}

/// How the objects of the kinds and those of the names are connected, if neither belongs to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referring {
    /// `deployments that use redis`: the kinds refer to the names.
    To,
    /// `services that api uses`: the names refer to the kinds.
    From,
}

/// A state that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedState {
    Ready,
    NotReady,
    Running,
    NotRunning,
    Pending,
    Failed,
    Succeeded,
    Crashing,
    Restarted,
    OutOfMemory,
    NoImage,
    Terminating,
    Suspended,
    Active,
    Unschedulable,
    Evicted,
    Bound,
    Unbound,
    ScaledToZero,
    WithoutEndpoints,
    Lacks(LackingSpec),
    LatestTag,
    HighMemory,
    HighCpu,
    LoadBalancer,
    NodePort,
    ClusterIp,
    Headless,
    Unused,
    Default,
    Trouble,
    Unreachable,
}

/// What a container's spec does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LackingSpec {
    Limits,
    MemoryLimit,
    CpuLimit,
    Requests,
    MemoryRequest,
    CpuRequest,
    /// Neither of the two.
    LimitsAndRequests,
    /// Neither readiness nor liveness probe.
    Probes,
    ReadinessProbe,
    LivenessProbe,
    StartupProbe,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AskedScope {
    /// The namespaces of the project.
    Project,
    Namespace(String),
    Everywhere,
}

/// A name as it was typed, perhaps with the kind before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameAsked {
    pub(super) kind: Option<AskedKind>,
    pub(super) text: String,
}

/// How logs and events are cut.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cut {
    pub(super) lines: Option<i64>,
    pub(super) since: Option<Moment>,
    pub(super) previous: bool,
    /// Only lines that report errors, or warnings.
    pub(super) errors: bool,
    pub(super) container: Option<String>,
    pub(super) first: Option<usize>,
    /// By age: the newest first, or the oldest.
    pub(super) newest: Option<bool>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    /// As it was typed.
    pub(super) text: String,
    pub(super) asked: AskedFor,
    pub(super) kinds: Vec<AskedKind>,
    pub(super) names: Vec<NameAsked>,
    pub(super) scope: AskedScope,
    /// The names are those of what the kinds refer to, or the other way round; None: the kinds belong to the names.
    pub(super) refers: Option<Referring>,
    pub(super) conditions: Vec<Condition>,
    pub(super) cut: Cut,
    /// A yes is owed if one object fits; else all have to.
    pub(super) any: bool,
    /// It begins as yes-or-no questions do.
    pub(super) wants_yes: bool,
}

impl Question {
    /// Whether the objects are found by their kinds: no names are given, or names of others.
    pub(super) fn is_of_kinds(&self) -> bool {
        self.names.is_empty() || self.refers.is_some()
    }

    /// The times that it names.
    pub(super) fn moments(&self) -> Vec<&Moment> {
        let of_conditions = self.conditions.iter().flat_map(Condition::moments);
        self.cut.since.iter().chain(of_conditions).collect()
    }
}

impl Condition {
    fn moments(&self) -> Vec<&Moment> {
        match self {
            Self::Since(moment) | Self::EndedSince(moment) => vec![moment],
            Self::Either(several) => several.iter().flat_map(Self::moments).collect(),
            _ => vec![],
        }
    }

    /// The states in it, those of its alternatives too.
    pub(super) fn states(&self) -> Vec<AskedState> {
        match self {
            Self::Is(state) => vec![*state],
            Self::Either(several) => several.iter().flat_map(Self::states).collect(),
            _ => vec![],
        }
    }
}
