//! `devk audit` and its commands.

use clap::{Args, Subcommand};
use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, ToSpan, Zoned};

use super::values::FormatArg;
use crate::audit::{AuditKind, AuditQuery, AuditState};
use crate::commands::Context;
use crate::commands::audit::{self, AuditFormat};
use crate::error::{Errors, Exit, suggest};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    /// Texts that an act has, in its arguments, its message or anywhere else; all of them
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// From then on: 2h, 3d, 10:00, 2026-12-01, 2026-12-01T10:00, or with a zone 2026-12-01T10:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Before then; a day counts whole
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// By its name or id
    #[arg(long = "project", value_name = "NAME")]
    project: Option<String>,
    /// What was done: up, down, restart, sh, ci, doctor-fix, init, chart-new, mcp-configure, mcp-ask, approve, change,
    /// log-torn, log-removed
    #[arg(long, value_parser = kind)]
    kind: Option<AuditKind>,
    /// done, failed, interrupted, refused, running or unknown
    #[arg(long, value_parser = AuditState::WORDS)]
    result: Option<String>,
    /// The newest so many; the table has 50 without it, json and csv have all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Say whether each record is as it was written and none is missing; exit code 3 if not, with file and line
    Verify,
    /// All that is recorded of one act
    Show {
        /// Its id, or how it begins
        id: String,
    },
}

/// Runs one of the commands.
pub(super) fn run(context: &Context, args: AuditArgs, format: FormatArg) -> Result<Exit, Errors> {
    match args.command {
        Some(AuditCommand::Verify) => audit::verify(context),
        Some(AuditCommand::Show { id }) => audit::show(context, &id),
        None => {
            let query = AuditQuery {
                since: args.since,
                until: args.until,
                project: args.project,
                kind: args.kind,
                result: args.result,
                id: None,
                texts: args.texts,
                limit: args.limit.and_then(|limit| usize::try_from(limit).ok()),
            };
            let format = match format {
                FormatArg::Json => AuditFormat::Json,
                FormatArg::Csv => AuditFormat::Csv,
                _ => AuditFormat::Table,
            };
            audit::search(context, query, format)
        }
    }
}

impl AuditArgs {
    /// Acts can be printed as CSV; the other answers are no tables.
    pub(super) fn is_search(&self) -> bool {
        self.command.is_none()
    }
}

fn kind(text: &str) -> Result<AuditKind, String> {
    let known = AuditKind::ALL.into_iter().find(|kind| kind.word() == text);
    known.ok_or_else(|| {
        let words = AuditKind::ALL.map(AuditKind::word);
        match suggest(text, words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it is one of {}", words.join(", ")),
        }
    })
}

fn since(text: &str) -> Result<Timestamp, String> {
    moment(text, &Zoned::now(), false)
}

fn until(text: &str) -> Result<Timestamp, String> {
    moment(text, &Zoned::now(), true)
}

/// A moment, as seen from now. Of a day alone it is the beginning or the end.
fn moment(text: &str, now: &Zoned, is_end: bool) -> Result<Timestamp, String> {
    let at = |time: DateTime| Some(time.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    let found = if let Ok(moment) = text.parse::<Timestamp>() {
        Some(moment)
    } else if let Ok(date) = text.parse::<Date>()
        && !text.contains(':')
    {
        let day = if is_end {
            date.checked_add(1.day()).ok()
        } else {
            Some(date)
        };
        day.and_then(|day| at(day.to_datetime(Time::midnight())))
    } else if let Ok(time) = text.parse::<DateTime>() {
        at(time)
    } else if let Ok(time) = text.parse::<Time>()
        && text.contains(':')
    {
        at(now.date().to_datetime(time))
    } else {
        ago(text, now)
    };
    found.ok_or_else(|| {
        "write a time as 2h, 3d, 10:00, 2026-12-01 or 2026-12-01T10:00, or with a zone as 2026-12-01T10:00Z".to_owned()
    })
}

fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let span = text.parse().ok().filter(|span: &Span| span.is_positive())?;
    Some(now.checked_sub(span).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Zoned = "2026-12-01T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let at = |text: &str, is_end| moment(text, &now, is_end).map(|time| time.to_string());
        for (text, expected) in [
            ("2h", "2026-12-01T09:00:00Z"),
            ("90m", "2026-12-01T09:30:00Z"),
            ("3d", "2026-11-28T11:00:00Z"),
            ("10:00", "2026-12-01T09:00:00Z"),
            ("2026-11-30", "2026-11-29T23:00:00Z"),
            ("2026-11-30T10:00", "2026-11-30T09:00:00Z"),
            ("2026-11-30T10:00Z", "2026-11-30T10:00:00Z"),
            ("2026-11-30 10:00:30", "2026-11-30T09:00:30Z"),
        ] {
            assert_eq!(at(text, false).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            at("2026-11-30", true).as_deref(),
            Ok("2026-11-30T23:00:00Z")
        );
        for text in [
            "",
            "x",
            "-2h",
            "2",
            "25:00",
            "2026-13-01",
            "99999999999999999h",
            "0s",
        ] {
            assert!(at(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_kind_has_its_neighbour_named() {
        assert_eq!(kind("restrat"), Err("did you mean `restart`?".to_owned()));
        assert_eq!(kind("chart-new"), Ok(AuditKind::ChartNew));
        assert!(
            kind("everything")
                .unwrap_err()
                .starts_with("it is one of up, ")
        );
    }
}
