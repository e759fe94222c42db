//! `ask:` of devk.yaml: with whose rights single objects are changed, and up to which risk nobody is asked.

/// `ask:` of devk.yaml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskConfig {
    /// None: as the cluster allows.
    pub role: Option<AskRole>,
    /// None: `--yes` is refused.
    pub yes: Option<AskYes>,
}

/// Whose rights a change has, from the fewest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AskRole {
    Viewer,
    Operator,
    Admin,
}

/// A risk up to which nobody need be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskYes {
    Reversible,
    Disruptive,
}

impl AskRole {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As devk.yaml spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == text)
    }
}

impl AskYes {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "reversible" => Some(Self::Reversible),
            "disruptive" => Some(Self::Disruptive),
            _ => None,
        }
    }
}
