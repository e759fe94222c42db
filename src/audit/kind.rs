//! The kinds of acts that the log has.

use serde::{Deserialize, Serialize};

/// What is done. The words are a contract: they are in logs that outlive the devk that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    Up,
    Down,
    Restart,
    Sh,
    Ci,
    /// `devk doctor --fix`.
    DoctorFix,
    Init,
    ChartNew,
    /// `devk chart teach`.
    ChartTeach,
    /// `devk chart guide`.
    ChartGuide,
    /// `devk chart check --fix`.
    ChartFix,
    /// `devk chart check --baseline FILE --write-baseline`.
    ChartBaseline,
    /// `devk mcp --print CLIENT --write`.
    McpConfigure,
    /// What an agent asked for and devk did not begin, since a person decides about it.
    McpAsk,
    /// A question that went to a model.
    AskModel,
    Approve,
    /// A plan that changes objects of the cluster.
    Change,
    /// A note: the last line of a file was cut, and is kept aside.
    LogTorn,
    /// A note: the oldest file was removed.
    LogRemoved,
    /// A kind that a later devk records.
    #[serde(other)]
    Later,
}

impl AuditKind {
    /// All that a person may filter by.
    pub const ALL: [Self; 19] = [
        Self::Up,
        Self::Down,
        Self::Restart,
        Self::Sh,
        Self::Ci,
        Self::DoctorFix,
        Self::Init,
        Self::ChartNew,
        Self::ChartTeach,
        Self::ChartGuide,
        Self::ChartFix,
        Self::ChartBaseline,
        Self::McpConfigure,
        Self::McpAsk,
        Self::AskModel,
        Self::Approve,
        Self::Change,
        Self::LogTorn,
        Self::LogRemoved,
    ];

    /// Its word in a record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Restart => "restart",
            Self::Sh => "sh",
            Self::Ci => "ci",
            Self::DoctorFix => "doctor-fix",
            Self::Init => "init",
            Self::ChartNew => "chart-new",
            Self::ChartTeach => "chart-teach",
            Self::ChartGuide => "chart-guide",
            Self::ChartFix => "chart-fix",
            Self::ChartBaseline => "chart-baseline",
            Self::McpConfigure => "mcp-configure",
            Self::McpAsk => "mcp-ask",
            Self::AskModel => "ask-model",
            Self::Approve => "approve",
            Self::Change => "change",
            Self::LogTorn => "log-torn",
            Self::LogRemoved => "log-removed",
            Self::Later => "later",
        }
    }
}
