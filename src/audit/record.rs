//! What a record says. One shape serves the intent of an act, its outcome and devk's notes about the log itself, so that
//! a line is read without knowing what it is.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::AuditKind;
use super::text::AuditText;
use crate::environment::Environment;
use crate::error::{Code, Errors, Exit};

/// The version of the records' format.
pub(super) const AUDIT_FORMAT: u32 = 1;
/// The variable by which `devk mcp` tells the commands that it starts through what they were asked for.
pub const ORIGIN: &str = "DEVK_AUDIT_ORIGIN";

/// Through what an act was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditChannel {
    /// A person or a script that runs devk.
    Cli,
    /// A coding agent.
    Mcp,
    /// A program of a CI service: `CI` is set.
    Ci,
    Dashboard,
    /// One that a later devk has.
    #[serde(other)]
    Later,
}

impl AuditChannel {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Ci => "ci",
            Self::Dashboard => "dashboard",
            Self::Later => "later",
        }
    }
}

/// Through what, and for whom, as far as the one who asks says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOrigin {
    pub through: AuditChannel,
    /// The name that an agent's program gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<AuditText>,
    /// What a person approved: the id, or `answered` for a question that the client asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<AuditText>,
}

impl AuditOrigin {
    pub const fn new(through: AuditChannel) -> Self {
        Self {
            through,
            client: None,
            approval: None,
        }
    }

    /// What the environment of a process says. It is what the parent process claims, and no proof.
    pub fn of(environment: &Environment) -> Self {
        let told = environment
            .get(ORIGIN)
            .and_then(|text| serde_json::from_str(text).ok());
        let is_ci = environment
            .get("CI")
            .is_some_and(|ci| !["", "0", "false"].contains(&ci));
        told.unwrap_or_else(|| {
            Self::new(match is_ci {
                true => AuditChannel::Ci,
                false => AuditChannel::Cli,
            })
        })
    }
}

/// The project that an act is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProject {
    pub name: String,
    pub id: String,
    pub folder: PathBuf,
}

/// The cluster that an act is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCluster {
    pub name: String,
    pub provider: String,
    /// The pinned UID of `kube-system`; None: devk has pinned no cluster of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What a question led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedPlan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<AuditText>,
    /// What made the plan: `grammar`, or the name of a backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<AuditText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<AuditText>,
    /// The hash of the plan and of the versions of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<AuditText>,
    /// Its steps, one text a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<AuditText>,
    /// Who approved it, and how: `typed`, `--yes`, an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<AuditText>,
    /// What it changes, one text a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<AuditText>,
}

/// What is about to be done.
#[derive(Debug, Clone)]
pub struct AuditIntent {
    pub kind: AuditKind,
    pub origin: AuditOrigin,
    pub project: Option<AuditProject>,
    pub cluster: Option<AuditCluster>,
    /// The folder in which it was asked for.
    pub folder: PathBuf,
    pub arguments: Vec<AuditText>,
    pub plan: Option<AuditedPlan>,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    Done,
    Failed,
    /// It was begun and ended before it was done, by Ctrl-C or by whoever asked for it.
    Interrupted,
    /// Nothing was begun.
    Refused,
    /// One that a later devk has.
    #[serde(other)]
    Later,
}

/// The outcome of an act.
#[derive(Debug, Clone)]
pub struct AuditOutcome {
    pub result: AuditResult,
    /// Of the first error.
    pub code: Option<Code>,
    /// What the process ends with.
    pub exit: Option<u8>,
    pub message: Option<AuditText>,
    /// The cluster as it was at the end, if the act has made or pinned it.
    pub cluster: Option<AuditCluster>,
    /// What was changed in the end, one text a line.
    pub diff: Vec<AuditText>,
}

impl AuditOutcome {
    pub const fn new(result: AuditResult) -> Self {
        Self {
            result,
            code: None,
            exit: None,
            message: None,
            cluster: None,
            diff: vec![],
        }
    }

    /// The outcome of a command; its message loses by `mask` what must not be shown.
    pub fn of(ended: &Result<Exit, Errors>, mask: impl Fn(&str) -> String) -> Self {
        let (result, exit) = match ended {
            Ok(Exit::Interrupted) => (AuditResult::Interrupted, Exit::Interrupted),
            // What `doctor --fix` finds afterwards is no failure of its fixes.
            Ok(exit @ (Exit::Ok | Exit::Found | Exit::OfCommand(0))) => (AuditResult::Done, *exit),
            Ok(exit) => (AuditResult::Failed, *exit),
            Err(errors) if errors.is_unread() => (AuditResult::Done, errors.exit()),
            Err(errors) => match errors.0.first().map(|error| error.code) {
                Some(Code::Interrupted) => (AuditResult::Interrupted, errors.exit()),
                Some(
                    Code::ApprovalNeeded
                    | Code::ApprovalDeclined
                    | Code::DownUnconfirmed
                    | Code::ChangeInvalid
                    | Code::ChangeForbidden
                    | Code::ChangeRefused
                    | Code::ChangeUnapproved
                    | Code::ChangeMoved,
                ) => (AuditResult::Refused, errors.exit()),
                _ => (AuditResult::Failed, errors.exit()),
            },
        };
        let first = ended.as_ref().err().and_then(|errors| errors.0.first());
        Self {
            code: first.map(|error| error.code),
            exit: Some(exit.number()),
            message: first.map(|error| AuditText::masked(&error.message, mask)),
            ..Self::new(result)
        }
    }
}

/// Which part of an act a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditPhase {
    Intent,
    Outcome,
    /// About the log itself.
    Note,
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// The file that it is about.
    pub file: String,
    /// Where the cut line is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The hash on which the first record of the oldest file that is left follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<String>,
    pub bytes: u64,
}

/// One record. The order of its members is that of its line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// [`AUDIT_FORMAT`].
    pub v: u32,
    /// Counts from 1 over all files.
    pub seq: u64,
    /// UTC, with three digits for milliseconds: as text it sorts by time.
    pub time: String,
    /// The act's; intent and outcome have the same.
    pub id: String,
    pub phase: AuditPhase,
    pub kind: AuditKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<AuditResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<AuditProject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<AuditOrigin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The version of the devk that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<AuditCluster>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<AuditText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<AuditedPlan>,
    /// The text of a [`Code`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<AuditText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<AuditText>,
    /// From the intent to the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<AuditNote>,
}

impl AuditRecord {
    /// A record with nothing in it but what every record has; it gets its number when it is written.
    pub(super) fn bare(id: &str, phase: AuditPhase, kind: AuditKind) -> Self {
        Self {
            v: AUDIT_FORMAT,
            seq: 0,
            time: time(Timestamp::now()),
            id: id.to_owned(),
            phase,
            kind,
            result: None,
            project: None,
            origin: None,
            user: None,
            uid: None,
            pid: None,
            devk: None,
            folder: None,
            cluster: None,
            arguments: vec![],
            plan: None,
            code: None,
            exit: None,
            message: None,
            diff: vec![],
            ms: None,
            note: None,
        }
    }
}

/// A time as records have it.
pub(super) fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_kind_has_the_word_that_its_record_has() {
        for kind in AuditKind::ALL {
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("\"{}\"", kind.word())
            );
        }
        let later: AuditKind = serde_json::from_str("\"teleport\"").unwrap();
        assert_eq!(later, AuditKind::Later);
    }

    #[test]
    fn the_parent_of_a_command_says_through_what_it_was_asked_for() {
        let of = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            AuditOrigin::of(&variables.collect())
        };
        assert_eq!(of(&[]).through, AuditChannel::Cli);
        assert_eq!(of(&[("CI", "true")]).through, AuditChannel::Ci);
        assert_eq!(of(&[("CI", "false")]).through, AuditChannel::Cli);
        let told = of(&[
            ("CI", "true"),
            (ORIGIN, r#"{"through":"mcp","client":"c"}"#),
        ]);
        assert_eq!(told.through, AuditChannel::Mcp);
        assert_eq!(told.client.unwrap().as_str(), "c");
        assert_eq!(of(&[(ORIGIN, "mcp")]).through, AuditChannel::Cli);
    }

    #[test]
    fn the_outcome_of_a_command_has_the_code_and_the_masked_message_of_its_first_error() {
        let failed = Error::new(Code::CommandFailed, "the password is hunter-22");
        let outcome = AuditOutcome::of(&Err(failed.into()), |text| text.replace("hunter-22", "x"));
        assert_eq!(
            (outcome.result, outcome.code, outcome.exit),
            (AuditResult::Failed, Some(Code::CommandFailed), Some(1))
        );
        assert_eq!(outcome.message.unwrap().as_str(), "the password is x");
        let result = |ended| AuditOutcome::of(&ended, str::to_owned).result;
        assert_eq!(result(Ok(Exit::Found)), AuditResult::Done);
        assert_eq!(result(Ok(Exit::OfCommand(7))), AuditResult::Failed);
        assert_eq!(result(Ok(Exit::Interrupted)), AuditResult::Interrupted);
        let asked = Error::new(Code::ApprovalNeeded, "a person decides");
        assert_eq!(result(Err(asked.into())), AuditResult::Refused);
    }

    #[test]
    fn times_sort_as_texts() {
        let early = time(Timestamp::UNIX_EPOCH);
        assert_eq!(early, "1970-01-01T00:00:00.000Z");
        let now = time(Timestamp::now());
        assert_eq!(now.len(), early.len());
        assert!(now > early);
    }
}
