//! Searching: an act is its intent with its outcome. The newest are looked at first, and a line is read whole only if its
//! bytes may be what is looked for: a log holds a hundred thousand records, and a question takes a moment.

use std::collections::HashMap;

use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::act::is_running;
use super::folder::AuditFolder;
use super::kind::AuditKind;
use super::line::{LineHead, LineParts};
use super::read::LogFile;
use super::record::{AuditCluster, AuditRecord, AuditResult, time};
use crate::error::{Result, internal};

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditState {
    Ended(AuditResult),
    /// The process that does it lives.
    Running,
    /// The process that did it ended without a word.
    Unknown,
    /// A note about the log.
    Noted,
}

impl AuditState {
    /// What a person may filter by.
    pub const WORDS: [&str; 6] = [
        "done",
        "failed",
        "interrupted",
        "refused",
        "running",
        "unknown",
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Ended(AuditResult::Done) => "done",
            Self::Ended(AuditResult::Failed) => "failed",
            Self::Ended(AuditResult::Interrupted) => "interrupted",
            Self::Ended(AuditResult::Refused) => "refused",
            Self::Ended(AuditResult::Later) => "later",
            Self::Running => "running",
            Self::Unknown => "unknown",
            Self::Noted => "noted",
        }
    }
}

/// An act, or a note about the log.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    pub begin: AuditRecord,
    pub outcome: Option<AuditRecord>,
    pub state: AuditState,
}

impl AuditEntry {
    /// The cluster as it was in the end.
    pub fn cluster(&self) -> Option<&AuditCluster> {
        let ended = self.outcome.as_ref().and_then(|end| end.cluster.as_ref());
        ended.or(self.begin.cluster.as_ref())
    }
}

/// Which acts are looked for. What is empty or None leaves nothing out.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// A name or an id.
    pub project: Option<String>,
    pub kind: Option<AuditKind>,
    /// One of [`AuditState::WORDS`].
    pub result: Option<String>,
    /// The act's own, or how it begins.
    pub id: Option<String>,
    /// All of them are in the act, in large or small letters.
    pub texts: Vec<String>,
    /// The newest so many.
    pub limit: Option<usize>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct AuditFound {
    /// The oldest first.
    pub entries: Vec<AuditEntry>,
    /// So many of the lines that were looked at are no records.
    pub damaged: usize,
}

/// Looks for the acts that match.
///
/// # Errors
/// [`crate::error::Code::AuditUnreadable`].
pub(super) fn search(folder: &AuditFolder, query: &AuditQuery) -> Result<AuditFound> {
    let prepared = Prepared::of(query)?;
    let watch = Watch::begin(folder);
    let mut found = AuditFound::default();
    let mut outcomes = HashMap::new();
    for number in folder.numbers()?.into_iter().rev() {
        // A file that another devk has removed since holds nothing any more.
        let Some(file) = LogFile::read(folder, number)? else {
            continue;
        };
        let lines: Vec<_> = file.lines().collect();
        for line in lines.into_iter().rev() {
            let Some(parts) = line.text.and_then(LineParts::of) else {
                found.damaged += 1;
                continue;
            };
            let id = parts.head.id;
            if parts.head.phase == "outcome" {
                outcomes.insert(id.to_owned(), line.text.unwrap_or_default().to_owned());
                continue;
            }
            let outcome = outcomes.remove(id);
            let outcome = outcome.as_deref().and_then(LineParts::of);
            found
                .entries
                .extend(prepared.entry(&parts, outcome.as_ref(), &watch));
            if query
                .limit
                .is_some_and(|limit| found.entries.len() >= limit)
            {
                found.entries.reverse();
                return Ok(found);
            }
        }
    }
    found.entries.reverse();
    Ok(found)
}

/// Which acts are on, while a log is read that others write to.
struct Watch<'a> {
    folder: &'a AuditFolder,
    begun: String,
    running: Vec<String>,
}

impl<'a> Watch<'a> {
    fn begin(folder: &'a AuditFolder) -> Self {
        let begun = time(Timestamp::now());
        let open = std::fs::read_dir(folder.opens());
        let ids = open.into_iter().flatten().flatten();
        let ids = ids.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Self {
            folder,
            begun,
            running: ids.filter(|id| is_running(folder, id)).collect(),
        }
    }

    /// What became of an act of which no outcome was read.
    fn state(&self, intent: &LineParts<'_>) -> AuditState {
        let id = intent.head.id;
        // What began or ended since is taken as it was.
        let is_younger = intent.head.time >= self.begun.as_str();
        let was_running = self.running.iter().any(|running| running == id);
        match was_running || is_younger || is_running(self.folder, id) {
            true => AuditState::Running,
            false => AuditState::Unknown,
        }
    }
}

/// A query, made ready for lines.
struct Prepared<'a> {
    query: &'a AuditQuery,
    since: Option<String>,
    until: Option<String>,
    texts: Vec<Wanted>,
}

/// A text that is looked for, as a line writes it and as it is.
struct Wanted {
    written: Regex,
    itself: Regex,
}

impl Wanted {
    fn of(text: &str) -> Result<Self> {
        let regex = |text: &str| {
            let regex = RegexBuilder::new(&regex::escape(text))
                .case_insensitive(true)
                .build();
            regex.map_err(|e| internal(&e))
        };
        let written = serde_json::to_string(text).map_err(|e| internal(&e))?;
        Ok(Self {
            written: regex(&written[1..written.len() - 1])?,
            itself: regex(text)?,
        })
    }

    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Object(members) => members.values().any(|value| self.is_in(value)),
            Value::String(text) => self.itself.is_match(text),
            Value::Number(number) => self.itself.is_match(&number.to_string()),
            Value::Null | Value::Bool(_) => false,
        }
    }
}

impl<'a> Prepared<'a> {
    fn of(query: &'a AuditQuery) -> Result<Self> {
        let texts = query.texts.iter().map(|text| Wanted::of(text));
        Ok(Self {
            query,
            since: query.since.map(time),
            until: query.until.map(time),
            texts: texts.collect::<Result<_>>()?,
        })
    }

    /// The act of an intent, or the note, if it is looked for.
    fn entry(
        &self,
        begin: &LineParts<'_>,
        outcome: Option<&LineParts<'_>>,
        watch: &Watch<'_>,
    ) -> Option<AuditEntry> {
        if !self.may_be(begin, outcome) {
            return None;
        }
        let ended = outcome.and_then(LineParts::record);
        let state = match (begin.head.phase, outcome) {
            ("note", _) => AuditState::Noted,
            (_, None) => watch.state(begin),
            (_, Some(_)) => AuditState::Ended(ended.as_ref()?.result?),
        };
        let entry = AuditEntry {
            begin: begin.record()?,
            outcome: ended,
            state,
        };
        let is = self.is_of_project(&entry)
            && self
                .query
                .result
                .as_deref()
                .is_none_or(|result| result == state.word())
            && self.texts.iter().all(|text| {
                let is_in = |parts: &LineParts<'_>| parts.value().is_some_and(|v| text.is_in(&v));
                is_in(begin) || outcome.is_some_and(is_in)
            });
        is.then_some(entry)
    }

    /// By the bytes of the lines alone.
    fn may_be(&self, begin: &LineParts<'_>, outcome: Option<&LineParts<'_>>) -> bool {
        let query = self.query;
        let LineHead { time, id, kind, .. } = begin.head;
        let told = outcome.and_then(|outcome| outcome.head.result);
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
            && query
                .id
                .as_deref()
                .is_none_or(|wanted| id.starts_with(wanted))
            && query.kind.is_none_or(|wanted| kind == wanted.word())
            && match (&query.result, told) {
                (Some(wanted), Some(told)) => wanted == told,
                (Some(wanted), None) => ["running", "unknown"].contains(&wanted.as_str()),
                (None, _) => true,
            }
            && query
                .project
                .as_deref()
                .is_none_or(|project| begin.body.contains(project))
            && self.texts.iter().all(|text| {
                let is_in = |parts: &LineParts<'_>| text.written.is_match(parts.body);
                is_in(begin) || outcome.is_some_and(is_in)
            })
    }

    fn is_of_project(&self, entry: &AuditEntry) -> bool {
        let Some(wanted) = &self.query.project else {
            return true;
        };
        let project = entry.begin.project.as_ref();
        project.is_some_and(|project| [&project.name, &project.id].contains(&wanted))
    }
}
