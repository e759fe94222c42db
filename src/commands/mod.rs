//! One file a command: ask the layers below, print the answer.

use std::path::Path;

use crate::cluster::{self, Access, pinned_cluster};
use crate::config::{self, Project, RunningProject, Source};
use crate::daemon::control::{Connection, Reply, Request};
use crate::daemon::{client, supervisor};
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result, internal};
use crate::paths::Paths;
use crate::process;
use crate::relay;
use crate::release::post_renderer;
use crate::ui::{self, Format};
use recorded::RecordedChanges;

pub mod approve;
pub mod ask;
pub mod audit;
pub mod change;
pub mod chart;
pub mod chart_new;
mod chart_report;
pub mod ci;
pub mod compose_ports;
pub mod doctor;
pub mod down;
pub mod down_all;
pub mod env;
pub mod events;
pub mod init;
pub mod logs;
pub mod mcp;
pub mod open;
pub mod ports;
pub mod profiles;
pub mod projects;
pub mod recorded;
pub mod restart;
mod service;
pub mod settle;
pub mod sh;
pub mod status;
pub mod tour;
pub mod up;
pub mod verify;
pub mod watch;

/// The context of every command.
#[derive(Debug, Clone)]
pub struct Context {
    pub source: Source,
    pub format: Format,
    pub paths: Paths,
    /// What the command has changed, for the audit log.
    pub changes: RecordedChanges,
}

impl Context {
    /// # Errors
    /// [`crate::error::Code::StateIo`] without a home folder.
    pub fn new(source: Source, format: Format) -> Result<Self> {
        Ok(Self {
            source,
            format,
            paths: Paths::from_env()?,
            changes: RecordedChanges::default(),
        })
    }

    /// The project that the command is about.
    ///
    /// # Errors
    /// All problems of its configuration.
    pub fn project(&self) -> Result<Project, Errors> {
        config::load(&self.source, &self.paths).map(|project| self.settled(project))
    }

    /// The project, for a command that reads or ends a running stack: the files of the project may be gone, and a
    /// problem of devk.yaml that leaves no doubt which project is meant is only told.
    ///
    /// # Errors
    /// All other problems of its configuration.
    pub fn running_project(&self) -> Result<Project, Errors> {
        let RunningProject { project, problems } = config::load_running(&self.source, &self.paths)?;
        if self.format == Format::Table {
            problems
                .iter()
                .for_each(|problem| ui::err(&ui::plain::error(problem)));
        }
        Ok(self.settled(project))
    }

    fn settled(&self, mut project: Project) -> Project {
        cluster::resolve_provider(
            &mut project.cluster,
            &self.paths,
            &Environment::of_process(),
        );
        project
    }
}

/// Access to the cluster of a project that runs: the one that devk pinned.
async fn pinned(context: &Context, project: &Project) -> Result<Access> {
    let engine = docker::connect(&Environment::of_process()).await?;
    let (_, access) = pinned_cluster(&engine, &project.cluster, &context.paths).await?;
    Ok(access)
}

/// A connection to the session of a project.
///
/// # Errors
/// [`Code::SessionNone`] if none runs, or as [`client::running`].
async fn connected(context: &Context, project: &Project) -> Result<Connection> {
    let connection = client::running(&context.paths, &project.id).await?;
    connection.ok_or_else(|| no_session(&project.name))
}

/// Asks a session. None: it ended instead of answering.
///
/// # Errors
/// What it refuses the request for; [`Code::SessionLost`].
async fn ask(mut connection: Connection, request: &Request) -> Result<Option<Reply>, Errors> {
    connection.write.send(request).await?;
    match connection.read.next::<Reply>().await? {
        Some(Reply::Refused { errors }) => Err(errors),
        reply => Ok(reply),
    }
}

/// The error of a command that needs a session.
fn no_session(project: &str) -> Error {
    Error::new(
        Code::SessionNone,
        format!("no session of `{project}` is running"),
    )
    .hint("devk up -d")
}

/// The hidden command that a session starts in a node.
///
/// # Errors
/// If the relay got no orders, or cannot listen.
pub async fn relay() -> Result<Exit, Errors> {
    relay::node::run()
        .await
        .map_err(|e| Error::new(Code::StateIo, format!("the relay cannot serve: {e}")))?;
    Ok(Exit::Ok)
}

/// The hidden command between `devk ci` and a test.
///
/// # Errors
/// As [`process::guard`].
pub fn guard(words: &[String]) -> Result<Exit, Errors> {
    let code = process::guard(words).map_err(|e| internal(&e))?;
    Ok(Exit::OfCommand(code))
}

/// The hidden command that helm starts.
///
/// # Errors
/// As [`post_renderer::run`].
pub fn post_render(changes: &Path) -> Result<Exit, Errors> {
    post_renderer::run(changes)?;
    Ok(Exit::Ok)
}

/// The hidden command that the client starts.
///
/// # Errors
/// As [`supervisor::supervise`].
pub async fn supervise(context: Context, id: &str) -> Result<Exit, Errors> {
    supervisor::supervise(context.paths, id).await?;
    Ok(Exit::Ok)
}
