//! `devk chart` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::FormatArg;
use crate::check::TEACH_FORMS;
use crate::commands::Context;
use crate::commands::chart::{
    self, ChartFormat, CheckOptions, FixOptions, GuideOptions, TeachOptions,
};
use crate::commands::chart_new::{self, NewChartOptions};
use crate::error::{Errors, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum ChartCommand {
    /// Judge charts by six gates and one score; exit code 3 below the bar
    Check(CheckArgs),
    /// Write one constraint from a sentence, after showing what it finds: devk chart teach label team required
    Teach(TeachArgs),
    /// Ask what a chart leaves open, and write the answers as constraints and remedies
    Guide(GuideArgs),
    /// Write a chart: a bare one for production, or one from Compose files
    New(NewArgs),
    /// The scores of charts over time, and what changed from check to check
    History {
        /// Releases of devk.yaml, or folders of charts; without one: the charts of devk.yaml
        charts: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The chart's name, and the folder that it is written to
    pub(super) name: String,
    /// The Compose file that says what the chart installs
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// A StatefulSet with a claim, instead of a Deployment
    #[arg(long, conflicts_with = "from")]
    pub(super) stateful: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct TeachArgs {
    /// The constraint, in one of the forms of --list
    #[arg(required_unless_present = "list")]
    pub(super) sentence: Vec<String>,
    /// Look at this release or folder; without it: the charts of devk.yaml
    #[arg(long = "chart", value_name = "CHART")]
    charts: Vec<String>,
    /// Write it to `check:` of devk.yaml, instead of .devk/constraints.yaml
    #[arg(long)]
    pub(super) project: bool,
    /// Show what it finds and the diff, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The forms of sentences
    #[arg(long)]
    pub(super) list: bool,
}

#[derive(Debug, Args)]
pub(super) struct GuideArgs {
    /// A release of devk.yaml, or the folder of a chart; without it: the first chart of devk.yaml
    pub(super) chart: Option<String>,
    /// Take the answers from this file, a line `ID: ANSWER` each, and ask nothing
    #[arg(long, value_name = "FILE")]
    pub(super) answers: Option<PathBuf>,
    /// Show the diff, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also change files of the chart that git could not bring back as they are now
    #[arg(long)]
    pub(super) allow_dirty: bool,
}

/// The command with the forms of sentences as what `teach` takes, for the completions of shells.
pub(super) fn completed(command: clap::Command) -> clap::Command {
    let forms = TEACH_FORMS.iter().map(|form| form.pattern);
    let parser = clap::builder::PossibleValuesParser::new(forms);
    command.mut_subcommand("chart", |chart| {
        chart.mut_subcommand("teach", |teach| {
            teach.mut_arg("sentence", |sentence| sentence.value_parser(parser))
        })
    })
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Releases of devk.yaml, or folders of charts; without one: the charts of devk.yaml, with devk's values
    pub(super) charts: Vec<String>,
    /// Findings that this file has do not fail
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings of now to the file of --baseline
    #[arg(long, requires = "baseline")]
    pub(super) write_baseline: bool,
    /// Remedy what has a remedy that is safe: values first, then templates. Each change is rendered and judged before
    /// it is kept; the diff is shown
    #[arg(long, conflicts_with = "baseline")]
    pub(super) fix: bool,
    /// With --fix: show the diff, and write nothing
    #[arg(long, requires = "fix")]
    pub(super) dry_run: bool,
    /// With --fix: also where git could not bring the files back as they are now
    #[arg(long, requires = "fix")]
    pub(super) allow_dirty: bool,
}

/// Runs one of the commands.
pub(super) async fn run(
    context: &Context,
    command: ChartCommand,
    format: FormatArg,
) -> Result<Exit, Errors> {
    match command {
        ChartCommand::Check(args) => {
            let options = CheckOptions {
                charts: args.charts,
                baseline: args.baseline,
                write_baseline: args.write_baseline,
                fix: args.fix.then_some(FixOptions {
                    dry_run: args.dry_run,
                    allow_dirty: args.allow_dirty,
                }),
            };
            chart::check(context, &options, format.into()).await
        }
        ChartCommand::Teach(args) => {
            let options = TeachOptions {
                sentence: args.sentence.join(" "),
                charts: args.charts,
                project: args.project,
                dry_run: args.dry_run,
                list: args.list,
            };
            chart::teach(context, &options, format.into()).await
        }
        ChartCommand::Guide(args) => {
            let options = GuideOptions {
                chart: args.chart,
                answers: args.answers,
                dry_run: args.dry_run,
                allow_dirty: args.allow_dirty,
            };
            chart::guide(context, &options, format.into()).await
        }
        ChartCommand::New(args) => {
            let options = NewChartOptions {
                name: args.name,
                from: args.from,
                stateful: args.stateful,
                dry_run: args.dry_run,
            };
            chart_new::run(context, &options).await
        }
        ChartCommand::History { charts } => chart::history(context, &charts, format.into()).await,
    }
}

impl From<FormatArg> for ChartFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table | FormatArg::Csv => Self::Text,
            FormatArg::Json => Self::Json,
            FormatArg::Markdown => Self::Markdown,
            FormatArg::Sarif => Self::Sarif,
        }
    }
}
