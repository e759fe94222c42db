//! The command line. clap's types stop here: commands get plain values.

mod acts;
mod arguments;
mod audit;
mod chart;
mod start;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::commands::logs::LogOptions;
use crate::commands::recorded::Recording;
use crate::commands::{self, Context};
use crate::config;
use crate::error::{Code, Error, Errors, Exit, internal};
use crate::ui::{self, Format};
use arguments::{AskArgs, ChangeArgs, CiArgs, InitArgs, PortsArgs, UpArgs};
use audit::AuditArgs;
use chart::ChartCommand;
use start::{runtime, source};
use values::{ClientArg, FormatArg, time};

/// So long the threads of a server that is done may take to end.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// A team's Helm stack on a local Kubernetes cluster, beside its Docker Compose stack.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
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
    /// A built-in stack (demo, geniro, todo-chatbot), from any folder
    #[arg(short, long, global = true, conflicts_with = "file")]
    profile: Option<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t, global = true)]
    format: FormatArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a devk.yaml from the charts, Dockerfiles and Compose files of this folder, with the evidence of each choice
    Init(InitArgs),
    /// Start the cluster, build and load images, install charts, forward every service
    Up(UpArgs),
    /// End the session and stop the stack, keeping its data
    Down {
        /// Remove everything: releases, volumes, namespace, secrets, ports, images, and the cluster with all in
        /// it if devk made it and no other project lives there
        #[arg(long)]
        delete: bool,
        /// Every project of yours on this machine, from any folder
        #[arg(long, conflicts_with_all = ["file", "profile"])]
        all: bool,
        /// With --all --delete: do not ask
        #[arg(long, requires = "all")]
        yes: bool,
    },
    /// What runs: cluster, releases, pods, forwards
    Status {
        /// Print it again whenever the session changes, until Ctrl-C or the end of the session; with --format json one
        /// document a line
        #[arg(long)]
        watch: bool,
    },
    /// The logs of all services, or of one
    Logs {
        /// A forward, a Service or a workload; `api` also stands for `shop-api`
        service: Option<String>,
        /// Only this container of each pod
        #[arg(short, long, value_name = "NAME")]
        container: Option<String>,
        /// Go on with new lines
        #[arg(short, long)]
        follow: bool,
        /// Lines from the past, for each container
        #[arg(long, default_value_t = 100, value_name = "LINES", value_parser = clap::value_parser!(i64).range(0..))]
        tail: i64,
        /// Nothing older than this: 30s, 5m, 1h30m
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Duration>,
        /// What each container said before its last restart
        #[arg(long, conflicts_with = "follow")]
        previous: bool,
        /// Only containers that have the last save, from the moment they had it
        #[arg(long, conflicts_with_all = ["previous", "since"])]
        since_edit: bool,
    },
    /// Ask in plain words about what runs: why is api not ready, which pods restart, who talks to redis
    Ask(AskArgs),
    /// Give the workloads of services new pods, and wait until they are ready
    Restart {
        /// Forwards, Services or workloads
        #[arg(required = true)]
        services: Vec<String>,
    },
    /// A shell, or a command, in the newest running pod of a service
    Sh {
        /// A forward, a Service or a workload
        service: String,
        /// The container, instead of the pod's first
        #[arg(short, long, value_name = "NAME")]
        container: Option<String>,
        /// The command, instead of a shell
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Open a service in the browser
    Open {
        /// The name of a forward; the only one if there is one
        service: Option<String>,
    },
    /// Which host port stands for which service, and why
    Ports(PortsArgs),
    /// Every project and worktree of this machine: pods and their memory, session, last edit, branch, ports, folder
    Projects,
    /// The built-in stacks, and what each of them is; with a name: its README
    Profiles { name: Option<String> },
    /// Addresses and private kubeconfig as shell exports: eval "$(devk env)"
    Env,
    /// The steps of the running session as they happen, until Ctrl-C
    Events,
    /// Compare what was synced with what is in the containers, file by file
    Verify,
    /// For CI: bring the stack up, run the commands of `test:` against it, and end with the exit code of the first that
    /// fails
    Ci(CiArgs),
    /// Wait until what was saved is live: 0; if it will not be: 1, with the reason; 124 when the time is up
    Settle {
        /// Images of devk.yaml, forwards, Services or workloads; without one: all
        services: Vec<String>,
        /// How long to wait: 30s, 5m
        #[arg(long, default_value = "60s", value_name = "TIME", value_parser = time)]
        timeout: Duration,
    },
    /// Three steps on the running demo that you do and devk confirms: a save, a crash with its explanation, data that stays
    Tour {
        /// Begin with the first step; without it, the tour goes on where it was
        #[arg(long)]
        restart: bool,
    },
    /// The path of the private kubeconfig, for kubectl and editors
    Kubeconfig,
    /// Find what is wrong with this machine and this project
    Doctor {
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
        /// Remove what dead sessions and deleted folders left (not namespaces: they may hold data), and raise limits
        /// of the kernel after asking
        #[arg(long)]
        fix: bool,
        /// With --fix: do not ask
        #[arg(long, requires = "fix")]
        yes: bool,
    },
    /// Work on charts: judge and remedy them, teach what they are asked for, see their scores over time, write new ones
    Chart {
        #[command(subcommand)]
        command: ChartCommand,
    },
    /// Carry out a plan of changes of single objects: show what it does, ask, do it, verify it
    Change(ChangeArgs),
    /// Serve a coding agent over the Model Context Protocol, on stdin and stdout
    Mcp {
        /// Print how this client starts the server
        #[arg(long, value_enum, value_name = "CLIENT")]
        print: Option<ClientArg>,
        /// With --print: put it into the client's file of this folder, and leave all else there as it is
        #[arg(long, requires = "print")]
        write: bool,
    },
    /// Allow, on a terminal, what an agent asked for; without ID, list what waits
    Approve { id: Option<String> },
    /// What was done through devk on this machine, by whom, where, and how it ended; the newest last
    Audit(AuditArgs),
    /// The JSON Schema of devk.yaml, for editors
    Schema,
    /// The completions of a shell: source <(devk completions bash)
    Completions { shell: clap_complete::Shell },
    /// The manual page: devk man | man -l -
    Man,
    #[command(hide = true)]
    Supervise { id: String },
    #[command(hide = true)]
    Relay,
    #[command(hide = true)]
    Guard {
        #[arg(last = true)]
        words: Vec<String>,
    },
    #[command(hide = true)]
    PostRender { changes: PathBuf },
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// All problems because of which the command did not do its work.
    pub fn run(self) -> Result<Exit, Errors> {
        let markdown = self.project.format == FormatArg::Markdown;
        if let Some(error) = unfitting(self.project.format, &self.command) {
            return Err(error.into());
        }
        match self.command {
            Command::Ports(args) if args.compose_only => {
                let options = args.compose.options(self.project.directory.as_deref())?;
                let format = self.project.format.into();
                runtime()?.block_on(commands::compose_ports::run(&options, format, markdown))
            }
            Command::Guard { words } => commands::guard(&words),
            Command::Completions { shell } => {
                let mut text = vec![];
                let mut command = chart::completed(Self::command());
                clap_complete::generate(shell, &mut command, "devk", &mut text);
                generated(&text)
            }
            Command::Man => {
                let mut text = vec![];
                let page = clap_mangen::Man::new(Self::command());
                page.render(&mut text).map_err(|e| internal(&e))?;
                generated(&text)
            }
            command => run(command, self.project),
        }
    }

    /// How errors are printed.
    pub fn format(&self) -> Format {
        self.project.format.into()
    }
}

fn generated(text: &[u8]) -> Result<Exit, Errors> {
    ui::out(&String::from_utf8_lossy(text))?;
    Ok(Exit::Ok)
}

/// The error if the command does not print in this format.
fn unfitting(format: FormatArg, command: &Command) -> Option<Error> {
    let (name, only) = match (format, command) {
        (FormatArg::Markdown, Command::Ports(_) | Command::Chart { .. }) => return None,
        (FormatArg::Sarif, Command::Chart { .. }) => return None,
        (FormatArg::Csv, Command::Audit(args)) if args.is_search() => return None,
        (FormatArg::Table | FormatArg::Json, _) => return None,
        (FormatArg::Markdown, _) => ("markdown", "`devk ports` and `devk chart check`"),
        (FormatArg::Sarif, _) => ("sarif", "`devk chart check`"),
        (FormatArg::Csv, _) => ("csv", "`devk audit`"),
    };
    let message = format!("`--format {name}` is for {only} only");
    Some(Error::new(Code::Usage, message).hint("--format table, or --format json"))
}

fn run(command: Command, project: ProjectArgs) -> Result<Exit, Errors> {
    let printed = project.format;
    let markdown = printed == FormatArg::Markdown;
    let format = printed.into();
    let context = Context::new(source(project)?, format)?;
    let serves = matches!(
        command,
        Command::Mcp { .. } | Command::Projects | Command::Ask(_)
    );
    let recording = Recording::begin(&context, acts::act(&command))?;
    let runtime = runtime()?;
    let exit = runtime.block_on(recording.around(async {
        match command {
            Command::Init(args) => commands::init::run(&context, &args.into()).await,
            Command::Up(args) if args.dry_run => {
                commands::up::dry_run(&context, args.options()).await
            }
            Command::Up(args) => commands::up::run(&context, args.options(), &recording).await,
            Command::Down {
                all: true,
                delete,
                yes,
            } => commands::down_all::run(&context, delete, yes).await,
            Command::Down { delete, .. } => commands::down::run(&context, delete).await,
            Command::Status { watch: false } => commands::status::run(&context).await,
            Command::Status { watch: true } => commands::watch::run(&context).await,
            Command::Logs {
                service,
                container,
                follow,
                tail,
                since,
                previous,
                since_edit,
            } => {
                let options = LogOptions {
                    service,
                    container,
                    follow,
                    lines: tail,
                    since,
                    previous,
                    since_edit,
                };
                commands::logs::run(&context, options).await
            }
            Command::Ask(args) => commands::ask::run(&context, args.into()).await,
            Command::Settle { services, timeout } => {
                commands::settle::run(&context, &services, timeout).await
            }
            Command::Ci(args) => commands::ci::run(&context, &args.into()).await,
            Command::Restart { services } => commands::restart::run(&context, &services).await,
            Command::Sh {
                service,
                container,
                command,
            } => commands::sh::run(&context, &service, container.as_deref(), &command).await,
            Command::Open { service } => commands::open::run(&context, service.as_deref()).await,
            Command::Ports(_) => commands::ports::run(&context, markdown).await,
            Command::Projects => commands::projects::run(&context).await,
            Command::Profiles { name } => commands::profiles::run(&context, name.as_deref()),
            Command::Env => commands::env::run(&context).await,
            Command::Events => commands::events::run(&context).await,
            Command::Verify => commands::verify::run(&context).await,
            Command::Tour { restart } => commands::tour::run(context, restart).await,
            Command::Kubeconfig => commands::env::kubeconfig(&context),
            Command::Doctor { strict, fix, yes } => {
                commands::doctor::run(
                    &context,
                    commands::doctor::DoctorOptions { strict, fix, yes },
                )
                .await
            }
            Command::Change(args) => commands::change::run(&context, &args.into()).await,
            Command::Chart { command } => chart::run(&context, command, printed).await,
            Command::Mcp { print: None, .. } => commands::mcp::serve(context).await,
            Command::Mcp {
                print: Some(client),
                write,
            } => commands::mcp::configure(&context, client.into(), write),
            Command::Approve { id } => commands::approve::run(&context, id.as_deref()),
            Command::Audit(args) => audit::run(&context, args, printed),
            // They need no project, and are done before.
            Command::Completions { .. } | Command::Man | Command::Guard { .. } => Ok(Exit::Ok),
            Command::Schema => {
                ui::json(&config::json_schema())?;
                Ok(Exit::Ok)
            }
            Command::Relay => commands::relay().await,
            Command::PostRender { changes } => commands::post_render(&changes),
            Command::Supervise { id } => commands::supervise(context, &id).await,
        }
    }));
    // A thread that still waits for a line of stdin, for a reader of stdout, or for a file system that does not answer,
    // must not keep the command from its end.
    if serves {
        runtime.shutdown_timeout(SHUTDOWN);
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::agents::AgentsEdit;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_ten_lines_for_agents_name_commands_that_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let lines = AgentsEdit::of(dir.path()).unwrap().block;
        let lines: Vec<_> = lines
            .lines()
            .filter(|line| line.starts_with("- "))
            .collect();
        assert_eq!(lines.len(), 10);
        let text = lines.join("\n").replace("$(devk ", "`devk ");
        let named = text.split("`devk ").skip(1);
        let named: Vec<_> = named
            .filter_map(|after| after.split(['`', ' ', ')']).next())
            .collect();
        assert!(named.len() > 12, "{named:?}");
        let cli = Cli::command();
        let unknown = named
            .iter()
            .filter(|name| cli.find_subcommand(name).is_none());
        assert_eq!(unknown.collect::<Vec<_>>(), [&""; 0]);
    }

    #[test]
    fn markdown_is_refused_where_there_is_none() {
        let cli = Cli::try_parse_from(["devk", "status", "--format", "markdown"]).unwrap();
        assert_eq!(cli.run().unwrap_err().0[0].code, Code::Usage);
        let cli = Cli::try_parse_from(["devk", "ports", "--format", "sarif"]).unwrap();
        assert_eq!(cli.run().unwrap_err().0[0].code, Code::Usage);
    }
}
