//! Which commands the audit log has, and what of their command lines.

use super::Command;
use super::arguments::{CiArgs, InitArgs, UpArgs};
use super::chart::{ChartCommand, NewArgs};
use crate::audit::AuditKind;
use crate::commands::recorded::RecordedCommand;

/// What is recorded of a command. None: it changes nothing that counts.
pub(super) fn act(command: &Command) -> Option<RecordedCommand> {
    Some(match command {
        Command::Up(args) if !args.dry_run => of(AuditKind::Up, up(args), vec![]),
        Command::Down { delete, all, yes } => RecordedCommand {
            of_project: !*all,
            ..of(
                AuditKind::Down,
                vec![
                    option(*delete, "--delete"),
                    option(*all, "--all"),
                    option(*yes, "--yes"),
                ],
                vec![],
            )
        },
        Command::Restart { services } => of(AuditKind::Restart, vec![], services.clone()),
        Command::Sh {
            service, command, ..
        } => of(AuditKind::Sh, vec![], sh(service, command)),
        Command::Ci(args) => of(AuditKind::Ci, ci(args), args.tests.clone()),
        Command::Doctor { fix: true, yes, .. } => of(
            AuditKind::DoctorFix,
            vec![Some("--fix"), option(*yes, "--yes")],
            vec![],
        ),
        Command::Init(args) if !args.dry_run => RecordedCommand {
            of_project: false,
            ..of(
                AuditKind::Init,
                vec![option(args.agents, "--agents")],
                init(args),
            )
        },
        Command::Chart { command } => return chart(command),
        Command::Mcp {
            print: Some(client),
            write: true,
        } => {
            let options = vec![Some("--write"), Some("--print")];
            of(AuditKind::McpConfigure, options, vec![client.word()])
        }
        Command::Approve { id: Some(id) } => of(AuditKind::Approve, vec![], vec![id.clone()]),
        _ => return None,
    })
}

fn of(kind: AuditKind, options: Vec<Option<&'static str>>, words: Vec<String>) -> RecordedCommand {
    RecordedCommand {
        kind,
        options: options.into_iter().flatten().collect(),
        words,
        of_project: true,
    }
}

fn option(is_given: bool, word: &'static str) -> Option<&'static str> {
    is_given.then_some(word)
}

fn up(args: &UpArgs) -> Vec<Option<&'static str>> {
    vec![
        option(args.detach, "-d"),
        option(args.once, "--once"),
        option(args.restart, "--restart"),
        option(args.bridge, "--bridge"),
        option(args.no_bridge, "--no-bridge"),
        option(args.sleep_others, "--sleep-others"),
    ]
}

/// Of a command only the program's name: its arguments may be anything.
fn sh(service: &str, command: &[String]) -> Vec<String> {
    let program = command.iter().take(1).cloned();
    std::iter::once(service.to_owned()).chain(program).collect()
}

fn ci(args: &CiArgs) -> Vec<Option<&'static str>> {
    vec![option(args.delete, "--delete"), option(args.keep, "--keep")]
}

fn init(args: &InitArgs) -> Vec<String> {
    let charts = args.charts.iter();
    charts.map(|chart| chart.display().to_string()).collect()
}

/// What is recorded of a command on charts.
fn chart(command: &ChartCommand) -> Option<RecordedCommand> {
    Some(match command {
        ChartCommand::New(args) if !args.dry_run => {
            let options = vec![option(args.stateful, "--stateful")];
            of(AuditKind::ChartNew, options, chart_new(args))
        }
        ChartCommand::Teach(args) if !args.dry_run && !args.list => {
            let options = vec![option(args.project, "--project")];
            of(AuditKind::ChartTeach, options, args.sentence.clone())
        }
        ChartCommand::Guide(args) if !args.dry_run => {
            let options = vec![
                option(args.answers.is_some(), "--answers"),
                option(args.allow_dirty, "--allow-dirty"),
            ];
            let chart = args.chart.iter().cloned();
            of(AuditKind::ChartGuide, options, chart.collect())
        }
        ChartCommand::Check(args) if args.fix && !args.dry_run => {
            let options = vec![Some("--fix"), option(args.allow_dirty, "--allow-dirty")];
            of(AuditKind::ChartFix, options, args.charts.clone())
        }
        ChartCommand::Check(args) if args.write_baseline => {
            let options = vec![Some("--write-baseline")];
            of(AuditKind::ChartBaseline, options, args.charts.clone())
        }
        _ => return None,
    })
}

fn chart_new(args: &NewArgs) -> Vec<String> {
    let from = args.from.iter();
    let from = from.map(|file| format!("--from={}", file.display()));
    std::iter::once(args.name.clone()).chain(from).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn recorded(line: &str) -> Option<(AuditKind, String)> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let act = act(&cli.command)?;
        let words = act.options.iter().map(|word| (*word).to_owned());
        let words: Vec<_> = words.chain(act.words).collect();
        Some((act.kind, words.join(" ")))
    }

    #[test]
    fn what_changes_something_is_recorded_and_what_looks_is_not() {
        for line in [
            "devk up --dry-run",
            "devk status",
            "devk doctor",
            "devk init --dry-run",
            "devk chart new a --dry-run",
            "devk chart check",
            "devk chart check --baseline b.json",
            "devk chart check --fix --dry-run",
            "devk chart teach --list",
            "devk chart teach --dry-run label team required",
            "devk chart guide --dry-run",
            "devk chart history",
            "devk mcp",
            "devk approve",
            "devk audit",
            "devk settle",
        ] {
            assert_eq!(recorded(line), None, "{line}");
        }
        for (line, kind, words) in [
            (
                "devk up -d --sleep-others",
                AuditKind::Up,
                "-d --sleep-others",
            ),
            ("devk down --delete", AuditKind::Down, "--delete"),
            ("devk restart api web", AuditKind::Restart, "api web"),
            ("devk sh api -- psql -c x", AuditKind::Sh, "api psql"),
            (
                "devk doctor --fix --yes",
                AuditKind::DoctorFix,
                "--fix --yes",
            ),
            (
                "devk chart new a --from c.yaml",
                AuditKind::ChartNew,
                "a --from=c.yaml",
            ),
            (
                "devk chart teach --project label team required",
                AuditKind::ChartTeach,
                "--project label team required",
            ),
            (
                "devk chart guide web --answers a.txt",
                AuditKind::ChartGuide,
                "--answers web",
            ),
            (
                "devk chart check --fix --allow-dirty web",
                AuditKind::ChartFix,
                "--fix --allow-dirty web",
            ),
            (
                "devk chart check --baseline b.json --write-baseline",
                AuditKind::ChartBaseline,
                "--write-baseline",
            ),
            (
                "devk mcp --print zed --write",
                AuditKind::McpConfigure,
                "--write --print zed",
            ),
            ("devk approve abcd2345", AuditKind::Approve, "abcd2345"),
            ("devk ci smoke --keep", AuditKind::Ci, "--keep smoke"),
        ] {
            assert_eq!(recorded(line), Some((kind, words.to_owned())), "{line}");
        }
    }
}
