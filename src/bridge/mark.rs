//! The mark that devk leaves on a database that it made.

use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// How a comment begins that devk wrote.
const MARK: &str = "devk ";

/// The owner of a database; stored as the comment of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub project: String,
    #[serde(flatten)]
    pub owner: Owner,
}

impl Mark {
    pub fn of(project: &str, owner: &Owner) -> Self {
        Self {
            project: project.to_owned(),
            owner: owner.clone(),
        }
    }

    /// As a comment.
    pub fn text(&self) -> String {
        format!("{MARK}{}", serde_json::json!(self))
    }

    pub(super) fn read(comment: &str) -> Option<Self> {
        serde_json::from_str(comment.strip_prefix(MARK)?).ok()
    }

    /// Both are the same project of the same owner ([`Owner::has`]).
    pub fn is_own(&self, other: &Self) -> bool {
        self.project == other.project && self.owner.has(&other.owner)
    }
}
