//! `devk audit`: what was done through devk, found again, exported and verified.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Context;
use crate::audit::{
    AuditBreak, AuditEntry, AuditKind, AuditLog, AuditQuery, AuditRecord, AuditState, AuditText,
    AuditVerdict, audit_csv,
};
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::shell::quote;
use crate::ui::plain::escape_controls;
use crate::ui::{self, Format};

/// So many digits of an id are shown; `devk audit show` takes them.
const SHORT_ID: usize = 8;
/// So many acts a table has, unless it is asked for more.
const ROWS: usize = 50;

/// So many places are told where the chain does not hold; JSON has all.
const BREAKS: usize = 20;

/// How acts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    Table,
    Json,
    Csv,
}

/// Prints the acts that match.
///
/// # Errors
/// [`Code::AuditUnreadable`].
pub fn search(
    context: &Context,
    mut query: AuditQuery,
    format: AuditFormat,
) -> Result<Exit, Errors> {
    let log = AuditLog::of(&context.paths);
    if format == AuditFormat::Table {
        query.limit = query.limit.or(Some(ROWS));
    }
    let found = log.search(&query)?;
    if found.damaged > 0 {
        let what = format!("{} line(s) of the audit log are no records", found.damaged);
        let error = Error::new(Code::AuditBroken, what).hint("devk audit verify");
        ui::warning(&error, context.format);
    }
    match format {
        AuditFormat::Table if found.entries.is_empty() => {
            ui::err("the audit log has nothing that matches\n");
        }
        AuditFormat::Table => ui::out(&table(&found.entries, &TimeZone::system()))?,
        AuditFormat::Json => found
            .entries
            .iter()
            .try_for_each(|entry| ui::json(&document(entry)))?,
        AuditFormat::Csv => ui::out(&audit_csv(&found.entries))?,
    }
    Ok(Exit::Ok)
}

/// Prints all that is recorded of one act.
///
/// # Errors
/// [`Code::AuditUnknown`], [`Code::AuditUnreadable`].
pub fn show(context: &Context, id: &str) -> Result<Exit, Errors> {
    let query = AuditQuery {
        id: Some(id.to_owned()),
        ..AuditQuery::default()
    };
    let found = AuditLog::of(&context.paths).search(&query)?;
    let entry = match &found.entries[..] {
        [entry] => entry,
        [] => {
            let error = Error::new(
                Code::AuditUnknown,
                format!("the audit log has no act `{id}`"),
            );
            return Err(error.hint("devk audit").into());
        }
        several => {
            let ids: Vec<_> = several
                .iter()
                .map(|entry| entry.begin.id.as_str())
                .collect();
            let what = format!("{} acts begin with `{id}`", several.len());
            let error = Error::new(Code::AuditUnknown, what).evidence(ids.join("\n"));
            return Err(error.hint(format!("devk audit show {}", ids[0])).into());
        }
    };
    match context.format {
        Format::Json => ui::json(&document(entry))?,
        Format::Table => ui::out(&whole(entry, &TimeZone::system()))?,
    }
    Ok(Exit::Ok)
}

/// Says whether each record is as it was written, and none is missing.
///
/// # Errors
/// [`Code::AuditBroken`] for each that is not; [`Code::AuditUnreadable`].
pub fn verify(context: &Context) -> Result<Exit, Errors> {
    let log = AuditLog::of(&context.paths);
    let verdict = log.verify()?;
    let is_whole = verdict.breaks.is_empty();
    match context.format {
        Format::Json => ui::json(&verdict_document(&verdict))?,
        Format::Table if is_whole => ui::out(&verdict_text(&verdict, &log))?,
        Format::Table => {
            ui::err(&torn_text(&verdict));
            return Err(all_broken(&verdict));
        }
    }
    Ok(if is_whole { Exit::Ok } else { Exit::Found })
}

fn all_broken(verdict: &AuditVerdict) -> Errors {
    let mut errors: Vec<_> = verdict.breaks.iter().take(BREAKS).map(broken).collect();
    let more = verdict.breaks.len() - errors.len();
    if let Some(last) = errors.last_mut().filter(|_| more > 0) {
        last.evidence
            .push(format!("{more} more: devk audit verify --format json"));
    }
    Errors(errors)
}

fn broken(found: &AuditBreak) -> Error {
    let error = Error::new(Code::AuditBroken, &found.what).at(&found.file, found.line);
    let file = quote(&found.file);
    error.hint(match found.line {
        Some(line) => format!("sed -n {line}p {file}"),
        None => format!(
            "ls -l {}",
            quote(found.file.parent().unwrap_or(&found.file))
        ),
    })
}

fn verdict_document(verdict: &AuditVerdict) -> Value {
    let place =
        |found: &AuditBreak| json!({"file": found.file, "line": found.line, "what": found.what});
    let breaks: Vec<_> = verdict.breaks.iter().map(place).collect();
    json!({
        "version": 1,
        "whole": verdict.breaks.is_empty(),
        "files": verdict.files,
        "records": verdict.records,
        "begins": verdict.begins,
        "breaks": breaks,
        "torn": verdict.torn,
    })
}

fn verdict_text(verdict: &AuditVerdict, log: &AuditLog) -> String {
    let begins = verdict.begins.map(|seq| {
        format!(
            "; it begins with record {seq}, as devk removed the files before, and recorded that"
        )
    });
    format!(
        "{} records in {} file(s) below {} are as they were written{}\n{}",
        verdict.records,
        verdict.files,
        log.folder().display(),
        begins.unwrap_or_default(),
        torn_text(verdict)
    )
}

fn torn_text(verdict: &AuditVerdict) -> String {
    let torn = verdict.torn.iter();
    torn.map(|torn| format!("a line was cut: {torn}\n"))
        .collect()
}

/// The words of the command that a kind stands for.
const fn command(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::DoctorFix => "doctor",
        AuditKind::ChartNew => "chart new",
        AuditKind::ChartTeach => "chart teach",
        AuditKind::ChartGuide => "chart guide",
        AuditKind::ChartFix | AuditKind::ChartBaseline => "chart check",
        AuditKind::McpConfigure => "mcp",
        kind => kind.word(),
    }
}

fn table(entries: &[AuditEntry], zone: &TimeZone) -> String {
    let head = ["TIME", "ID", "RESULT", "TOOK", "PROJECT", "THROUGH", "WHAT"];
    let rows = entries.iter().map(|entry| {
        let begin = &entry.begin;
        let project = begin.project.as_ref().map(|project| project.id.as_str());
        let through = begin.origin.as_ref().map(|origin| origin.through.word());
        vec![
            local(&begin.time, zone),
            begin.id.chars().take(SHORT_ID).collect(),
            entry.state.word().to_owned(),
            took(entry.outcome.as_ref()),
            escape_controls(project.unwrap_or_default()),
            through.unwrap_or_default().to_owned(),
            escape_controls(&what(entry)),
        ]
    });
    let head = head.map(str::to_owned).to_vec();
    ui::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// What was done, and why not.
fn what(entry: &AuditEntry) -> String {
    let begin = &entry.begin;
    let words = begin.arguments.iter().map(AuditText::as_str);
    let question = begin
        .plan
        .iter()
        .filter_map(|plan| plan.question.as_ref().map(AuditText::as_str));
    let note = begin.note.iter().map(|note| note.file.as_str());
    let words = std::iter::once(command(begin.kind))
        .chain(words)
        .chain(question)
        .chain(note);
    let words: Vec<_> = words.collect();
    let outcome = entry.outcome.as_ref();
    let message = outcome
        .and_then(|outcome| outcome.message.as_ref())
        .map(|message| format!(": {message}"))
        .or_else(|| match outcome?.exit? {
            0 => None,
            exit => Some(format!(": exit code {exit}")),
        });
    words.join(" ") + &message.unwrap_or_default()
}

fn took(outcome: Option<&AuditRecord>) -> String {
    let ms = outcome.and_then(|outcome| outcome.ms);
    ms.map(|ms| format!("{:.1} s", ms as f64 / 1000.0))
        .unwrap_or_default()
}

fn local(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(at) => at
            .to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => escape_controls(time),
    }
}

/// All of an act, one member a line.
fn whole(entry: &AuditEntry, zone: &TimeZone) -> String {
    let mut rows = vec![vec!["result".to_owned(), state_told(entry)]];
    let document = document(entry);
    let members = document.as_object().into_iter().flatten();
    for (key, value) in members {
        if ["version", "result"].contains(&key.as_str()) {
            continue;
        }
        let text = match (key.as_str(), value) {
            ("time", Value::String(time)) => format!("{time} ({} here)", local(time, zone)),
            (_, value) => lines(value),
        };
        let mut name = key.clone();
        for line in text.lines() {
            rows.push(vec![std::mem::take(&mut name), escape_controls(line)]);
        }
    }
    ui::table(&rows)
}

fn state_told(entry: &AuditEntry) -> String {
    match entry.state {
        AuditState::Unknown => "unknown: the devk that did it ended before it could say; the stack itself says what is \
             there: devk status"
            .to_owned(),
        AuditState::Running => "running: the devk that does it is at work".to_owned(),
        state => state.word().to_owned(),
    }
}

/// A value for people: texts as they are, one a line, and no member that says nothing.
fn lines(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(lines).collect::<Vec<_>>().join("\n"),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let text = lines(value);
                match text.contains('\n') {
                    true => format!("{key}:\n{text}"),
                    false => format!("{key}: {text}"),
                }
            };
            members.iter().map(member).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

/// The contract of `devk audit --format json`.
fn document(entry: &AuditEntry) -> Value {
    let begin = &entry.begin;
    let end = entry.outcome.as_ref();
    json!({
        "version": 1,
        "id": begin.id,
        "time": begin.time,
        "kind": begin.kind.word(),
        "result": entry.state.word(),
        "ms": end.and_then(|end| end.ms),
        "user": begin.user,
        "uid": begin.uid,
        "pid": begin.pid,
        "devk": begin.devk,
        "origin": begin.origin,
        "project": begin.project,
        "folder": begin.folder,
        "cluster": entry.cluster(),
        "arguments": begin.arguments,
        "plan": begin.plan,
        "exit": end.and_then(|end| end.exit),
        "code": end.and_then(|end| end.code.as_ref()),
        "message": end.and_then(|end| end.message.as_ref()),
        "diff": end.map(|end| &end.diff).filter(|diff| !diff.is_empty()),
        "note": begin.note,
    })
}
