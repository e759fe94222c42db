//! The options of the commands that have many.

use std::path::{Path, PathBuf};

use clap::Args;

use super::start::folder;
use super::values::AskModeArg;
use crate::bridge::Switch;
use crate::commands::ask::AskOptions;
use crate::commands::change::ChangeOptions;
use crate::commands::ci::{CiEnd, CiOptions};
use crate::commands::init::InitOptions;
use crate::commands::up::UpOptions;
use crate::compose;
use crate::daemon::control::Lifetime;
use crate::environment::Environment;
use crate::error::Errors;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Print the file and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// A chart to install, where there are several; repeatable. Without DIR: write one to chart/ from the Compose files
    #[arg(long = "chart", value_name = "DIR", num_args = 0..=1, default_missing_value = "chart")]
    pub(super) charts: Vec<PathBuf>,
    /// Put ten lines for coding agents into AGENTS.md, which tell them how to work with devk here; devk.yaml is not
    /// looked for
    #[arg(long, conflicts_with = "charts")]
    pub(super) agents: bool,
    /// Ask nothing, on a terminal neither
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The question, or a change that is asked for; without one, on a terminal, a dialogue. `memory` shows what is remembered
    question: Vec<String>,
    /// For a change: carry out the preview with this hash, which was approved
    #[arg(long, value_name = "HASH")]
    approve: Option<String>,
    /// For a change: ask nothing up to the risk that `ask.yes` of the user's configuration names
    #[arg(long)]
    yes: bool,
    /// A model for what devk does not understand: ollama/NAME, openai/NAME, anthropic/NAME; repeated, the next stands in for
    /// the one before. What is looked at goes to it, without secrets
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Give models other names for the objects of the project
    #[arg(long)]
    hide_names: bool,
    /// How much is said, instead of what the user's configuration says
    #[arg(long, value_name = "MODE")]
    mode: Option<AskModeArg>,
}

impl From<AskArgs> for AskOptions {
    fn from(args: AskArgs) -> Self {
        Self {
            words: args.question,
            approve: args.approve,
            yes: args.yes,
            models: args.models,
            hide_names: args.hide_names,
            mode: args.mode.map(Into::into),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// Return when settled; the session stays until `devk down`
    #[arg(short, long, conflicts_with = "once")]
    pub(super) detach: bool,
    /// Return when settled and end the session, for CI
    #[arg(long)]
    pub(super) once: bool,
    /// End the running session first, as after an upgrade of devk: its forwards close for a moment
    #[arg(long)]
    pub(super) restart: bool,
    /// Print the plan and change nothing
    #[arg(long, conflicts_with_all = ["detach", "once", "restart"])]
    pub(super) dry_run: bool,
    /// Use the Postgres that Compose runs, with a separate database on it, instead of the chart's own
    #[arg(long, conflicts_with = "no_bridge")]
    pub(super) bridge: bool,
    /// Use the chart's own database, whatever devk.yaml says
    #[arg(long)]
    pub(super) no_bridge: bool,
    /// Put every other project of yours on this cluster to sleep first: its session ends and its workloads are scaled
    /// to zero, with its data kept; `devk up` there wakes it
    #[arg(long)]
    pub(super) sleep_others: bool,
}

#[derive(Debug, Args)]
pub(super) struct CiArgs {
    /// Names of `test:`; without one: all, in the order of devk.yaml
    pub(super) tests: Vec<String>,
    /// Run no further test after one that failed
    #[arg(long)]
    fail_fast: bool,
    /// Put the tests' output there, and if something failed logs, events and the state of the stack; known secrets are
    /// masked
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Write a JUnit report of the steps and the tests
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Remove everything at the end, as `devk down --delete`, whether or not something failed
    #[arg(long, conflicts_with = "keep")]
    pub(super) delete: bool,
    /// Leave the session running at the end, as `devk up -d`, to look into the stack
    #[arg(long)]
    pub(super) keep: bool,
}

impl From<CiArgs> for CiOptions {
    fn from(args: CiArgs) -> Self {
        Self {
            tests: args.tests,
            fail_fast: args.fail_fast,
            artifacts: args.artifacts,
            junit: args.junit,
            end: match (args.delete, args.keep) {
                (true, _) => CiEnd::Delete,
                (_, true) => CiEnd::Keep,
                _ => CiEnd::Session,
            },
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// The plan, as docs/change.md has it; `-` is stdin
    #[arg(value_name = "PLAN", required_unless_present = "explain")]
    plan: Option<PathBuf>,
    /// Show what it would do, and ask nothing; what it prints can be approved
    #[arg(long)]
    dry_run: bool,
    /// Carry out exactly the preview that has this hash, once, within 10 minutes of `devk approve HASH`
    #[arg(long, value_name = "HASH", conflicts_with_all = ["dry_run", "yes"])]
    approve: Option<String>,
    /// Ask nothing up to the risk that `ask.yes` of the user's configuration names
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what a file of YAML or a quoted command of kubectl would do, and do nothing
    #[arg(long, value_name = "FILE|COMMAND", conflicts_with_all = ["plan", "dry_run", "approve", "yes"])]
    explain: Option<String>,
}

impl From<ChangeArgs> for ChangeOptions {
    fn from(args: ChangeArgs) -> Self {
        Self {
            plan: args.plan,
            dry_run: args.dry_run,
            approve: args.approve,
            yes: args.yes,
            explain: args.explain,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct PortsArgs {
    /// Only what the Compose files publish; needs neither devk.yaml nor Docker nor a cluster
    #[arg(long)]
    pub(super) compose_only: bool,
    #[command(flatten)]
    pub(super) compose: ComposeArgs,
}

/// The options of `docker compose` of the same meaning. `--profile` is devk's own.
#[derive(Debug, Args)]
pub(super) struct ComposeArgs {
    /// With --compose-only: a Compose file, instead of the one here or above; repeatable
    #[arg(short = 'f', value_name = "FILE", requires = "compose_only")]
    pub(super) files: Vec<PathBuf>,
    /// With --compose-only: variables for the Compose files, instead of .env; repeatable
    #[arg(long = "env-file", value_name = "FILE", requires = "compose_only")]
    pub(super) env_files: Vec<PathBuf>,
    /// With --compose-only: activates a Compose profile; repeatable
    #[arg(
        long = "compose-profile",
        value_name = "PROFILE",
        requires = "compose_only"
    )]
    pub(super) profiles: Vec<String>,
}

impl ComposeArgs {
    pub(super) fn options(self, directory: Option<&Path>) -> Result<compose::Options, Errors> {
        let dir = folder(directory)?;
        // `docker compose` would be started there.
        let moved = directory.map(|_| ("PWD".to_owned(), dir.to_string_lossy().into_owned()));
        let mut environment = Environment::of_process().variables().clone();
        environment.extend(moved);
        Ok(compose::Options {
            dir,
            files: self.files,
            env_files: self.env_files,
            profiles: self.profiles,
            environment,
        })
    }
}

impl From<InitArgs> for InitOptions {
    fn from(args: InitArgs) -> Self {
        Self {
            dry_run: args.dry_run,
            charts: args.charts,
            agents: args.agents,
            yes: args.yes,
        }
    }
}

impl UpArgs {
    pub(super) fn options(&self) -> UpOptions {
        UpOptions {
            lifetime: self.lifetime(),
            bridge: self.bridge(),
            restart: self.restart,
            sleep_others: self.sleep_others,
        }
    }

    fn bridge(&self) -> Switch {
        match (self.bridge, self.no_bridge) {
            (true, _) => Switch::On,
            (_, true) => Switch::Off,
            _ => Switch::Configured,
        }
    }

    fn lifetime(&self) -> Lifetime {
        match (self.detach, self.once) {
            (true, _) => Lifetime::Detached,
            (_, true) => Lifetime::Once,
            _ => Lifetime::Attached,
        }
    }
}
