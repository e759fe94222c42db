//! `devk chart` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::FormatArg;
use crate::commands::Context;
use crate::commands::chart::{self, ChartFormat, CheckOptions};
use crate::commands::chart_new::{self, NewChartOptions};
use crate::error::{Errors, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum ChartCommand {
    /// Judge charts by six gates and one score; exit code 3 below the bar
    Check(CheckArgs),
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
pub(super) struct CheckArgs {
    /// Releases of devk.yaml, or folders of charts; without one: the charts of devk.yaml, with devk's values
    charts: Vec<String>,
    /// Findings that this file has do not fail
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings of now to the file of --baseline
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
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
            };
            chart::check(context, &options, format.into()).await
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
