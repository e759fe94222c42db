//! An answer: a sentence, a table, the evidence, the command of kubectl that shows the same, and what to type next.

use serde::Serialize;

use super::kind::AskedKind;
use super::object::SeenObject;
use super::question::{AskedFor, AskedScope, Question};
use super::snapshot::ClusterSnapshot;
use super::unclear::Unclear;
use crate::error::on_cluster;
use crate::shell::quote;

/// What shows that an answer is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerEvidence {
    /// `Deployment shop/api`.
    pub object: String,
    /// The field, the event or the log.
    pub field: String,
    pub text: String,
}

/// An answer as `devk ask --format json` prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AskAnswer {
    /// The question in devk's words.
    pub understood: String,
    /// The answer in a sentence or two.
    pub text: String,
    /// For questions of yes or no.
    pub yes: Option<bool>,
    /// How many objects, events or lines the answer is about.
    pub count: Option<usize>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub evidence: Vec<AnswerEvidence>,
    /// Commands that show the same; devk never runs them.
    pub kubectl: Vec<String>,
    /// Commands to type next.
    pub next: Vec<String>,
    /// What could not be read, or was left out.
    pub notes: Vec<String>,
}

impl AskAnswer {
    pub(super) fn new(question: &Question, snapshot: &ClusterSnapshot) -> Self {
        Self {
            understood: question.understood(snapshot),
            notes: snapshot.unread.iter().map(|(_, why)| why.clone()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn table(&mut self, columns: &[&str], rows: Vec<Vec<String>>) {
        self.columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.rows = rows;
    }

    pub(super) fn shows(
        &mut self,
        seen: SeenObject<'_>,
        field: impl Into<String>,
        text: impl Into<String>,
    ) {
        self.evidence.push(AnswerEvidence {
            object: seen.title(),
            field: field.into(),
            text: text.into(),
        });
    }

    pub(super) fn kubectl(&mut self, command: impl std::fmt::Display) {
        let command = on_cluster(format!("kubectl {command}"));
        if !self.kubectl.contains(&command) {
            self.kubectl.push(command);
        }
    }

    pub(super) fn next(&mut self, command: impl Into<String>) {
        let command = command.into();
        if !self.next.contains(&command) {
            self.next.push(command);
        }
    }
}

impl Question {
    /// The answer, from what was read.
    ///
    /// # Errors
    /// Names that mean nothing, and conditions that say nothing about the objects.
    pub(super) fn answer(&self, snapshot: &ClusterSnapshot) -> Result<AskAnswer, Unclear> {
        let needed = self.needs();
        let is_needed = |kind: &AskedKind| {
            let named = self.names.iter().any(|name| name.kind == Some(*kind));
            let is_asked = self.kinds.contains(kind) || named;
            is_asked || needed.as_ref().is_some_and(|kinds| kinds.contains(kind))
        };
        let mut unread = snapshot.unread.iter();
        if let Some((_, why)) = unread.find(|(kind, _)| is_needed(kind)) {
            return Err(Unclear::unread(why));
        }
        let zone = &snapshot.zone;
        if let Some(ahead) = self
            .moments()
            .into_iter()
            .find(|moment| moment.before(snapshot.now, zone).is_none())
        {
            return Err(Unclear::ahead(&ahead.typed()));
        }
        use super::answers::{
            changed, check, cluster, describe, events, fact, list, logs, talks, usage, why,
        };
        match self.asked {
            AskedFor::List | AskedFor::Count => list::list(self, snapshot),
            AskedFor::Check => check::check(self, snapshot),
            AskedFor::Fact(of) => fact::fact(self, of, snapshot),
            AskedFor::Describe => describe::describe(self, snapshot),
            AskedFor::Logs => logs::logs(self, snapshot),
            AskedFor::Events => events::events(self, snapshot),
            AskedFor::Usage(measured) => usage::usage(self, measured, snapshot),
            AskedFor::Why => why::why(self, snapshot),
            AskedFor::Changed => changed::changed(self, snapshot),
            AskedFor::Talks => talks::talks(self, snapshot),
            AskedFor::Cluster => Ok(cluster::cluster(self, snapshot)),
            AskedFor::Help => Ok(cluster::help(self, snapshot)),
        }
    }
}

/// `--namespace shop`, for each namespace that was looked at.
pub(super) fn places(
    question: &Question,
    kind: AskedKind,
    snapshot: &ClusterSnapshot,
) -> Vec<String> {
    match &question.scope {
        _ if !kind.is_namespaced() => vec![String::new()],
        AskedScope::Everywhere => vec![" --all-namespaces".to_owned()],
        AskedScope::Namespace(name) => vec![format!(" --namespace {}", quote(name))],
        AskedScope::Project => snapshot
            .project
            .namespaces
            .iter()
            .map(|name| format!(" --namespace {}", quote(name)))
            .collect(),
    }
}

/// `--namespace shop`, for one object.
pub(super) fn place(seen: SeenObject<'_>) -> String {
    match seen.namespace() {
        "" => String::new(),
        namespace => format!(" --namespace {}", quote(namespace)),
    }
}

/// Names for a sentence: all of a few, else how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", shown.join(", ")),
        None => shown.join(", "),
    }
}
