//! What `devk init` found in a repository; the contract of its JSON.

use serde::Serialize;

use super::draft::InitDraft;

/// What was found in a repository.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Survey {
    /// A whole devk.yaml.
    Chosen(Box<ChosenDraft>),
    /// Several charts, and nothing that says which of them make up the stack.
    Candidates {
        why: String,
        charts: Vec<ChartCandidate>,
    },
    /// Nothing to install.
    Nothing { found: Vec<String> },
}

/// A devk.yaml, and what to know of it.
#[derive(Debug, Serialize)]
pub struct ChosenDraft {
    pub draft: InitDraft,
    pub text: String,
    /// How many files were looked through.
    pub files: usize,
    /// What was not found, not decided, or does not work yet.
    pub open: Vec<String>,
    /// References that nothing in the repository builds.
    pub pulled: Vec<String>,
}

/// A chart that may be meant.
#[derive(Debug, Serialize)]
pub struct ChartCandidate {
    pub name: String,
    pub chart: String,
    pub at: String,
    pub description: Option<String>,
}
