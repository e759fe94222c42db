//! The command line. clap's types stop here: commands get plain values.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{self, Context};
use crate::config::{self, Source};
use crate::error::{Code, Error, Errors, Exit};
use crate::session::control::Keep;
use crate::ui::{self, Format};

/// A team's Helm stack on a local Kubernetes cluster, beside its Docker Compose stack.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Debug, Args)]
struct ProjectArgs {
    /// Run as if started in this folder
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// The project file, instead of the devk.yaml here or above
    #[arg(long, value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    /// A built-in stack, from any folder
    #[arg(short, long, global = true, conflicts_with = "file")]
    profile: Option<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the cluster, build and load images, install charts, forward every service
    Up(UpArgs),
    /// End the session and stop the stack, keeping its data
    Down {
        /// Remove everything: releases, volumes, namespace, secrets, ports, images, and the cluster if devk
        /// made it and no other project lives there
        #[arg(long)]
        delete: bool,
    },
    /// What runs: cluster, releases, pods, forwards
    Status,
    /// The logs of all services, or of one
    Logs {
        /// A forward, a Service or a workload; `api` also stands for `shop-api`
        service: Option<String>,
        /// Go on with new lines
        #[arg(short, long)]
        follow: bool,
        /// Lines from the past, for each container
        #[arg(long, default_value_t = 100, value_name = "LINES", value_parser = clap::value_parser!(i64).range(0..))]
        tail: i64,
    },
    /// Which host port stands for which service, and why
    Ports,
    /// Addresses and private kubeconfig as shell exports: eval "$(devk env)"
    Env,
    /// The steps of the running session as they happen, until Ctrl-C
    Events,
    /// The path of the private kubeconfig, for kubectl and editors
    Kubeconfig,
    /// Find what is wrong with this machine and this project
    Doctor {
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
    },
    /// The JSON Schema of devk.yaml, for editors
    Schema,
    #[command(hide = true)]
    Supervise { id: String },
    #[command(hide = true)]
    Relay,
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Return when settled; the session stays until `devk down`
    #[arg(short, long, conflicts_with = "once")]
    detach: bool,
    /// Return when settled and end the session, for CI
    #[arg(long)]
    once: bool,
    /// Print the plan and change nothing
    #[arg(long, conflicts_with_all = ["detach", "once"])]
    dry_run: bool,
}

impl UpArgs {
    fn keep(&self) -> Keep {
        match (self.detach, self.once) {
            (true, _) => Keep::Detached,
            (_, true) => Keep::Once,
            _ => Keep::Attached,
        }
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// All problems that kept it from its work.
    pub fn run(self) -> Result<Exit, Errors> {
        let format = self.project.format;
        let context = Context::new(source(self.project)?, format)?;
        runtime()?.block_on(async {
            match self.command {
                Command::Up(args) if args.dry_run => commands::up::dry_run(&context).await,
                Command::Up(args) => commands::up::run(&context, args.keep()).await,
                Command::Down { delete } => commands::down::run(&context, delete).await,
                Command::Status => commands::status::run(&context).await,
                Command::Logs { service, follow, tail } => commands::logs::run(&context, service, follow, tail).await,
                Command::Ports => commands::ports::run(&context).await,
                Command::Env => commands::env::run(&context).await,
                Command::Events => commands::events::run(&context).await,
                Command::Kubeconfig => commands::env::kubeconfig(&context),
                Command::Doctor { strict } => commands::doctor::run(&context, strict).await,
                Command::Schema => {
                    ui::json(&config::json_schema());
                    Ok(Exit::Ok)
                }
                Command::Relay => commands::relay().await,
                Command::Supervise { id } => commands::supervise(context, &id).await,
            }
        })
    }

    /// How errors are printed.
    pub fn format(&self) -> Format {
        self.project.format
    }
}

fn source(args: ProjectArgs) -> Result<Source, Errors> {
    let here = std::env::current_dir().and_then(|here| match &args.directory {
        Some(dir) => here.join(dir).canonicalize(),
        None => Ok(here),
    });
    let dir = here.map_err(|e| Error::new(Code::ConfigPath, format!("cannot enter the folder: {e}")))?;
    let file = args.file.map(|file| dir.join(file));
    Ok(Source { dir, file, profile: args.profile })
}

fn runtime() -> Result<tokio::runtime::Runtime, Errors> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Error::new(Code::StateIo, format!("cannot start: {e}")).into())
}
