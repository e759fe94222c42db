//! `devk projects`: every project and worktree of this machine that has ports: what runs of it, who holds it, how much
//! memory it takes, when somebody edited it last.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Context;
use crate::config;
use crate::daemon::client;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit};
use crate::inventory::{
    PATIENCE, PlacedProject, PodsOfProject, ProjectLook, Workloads, last_edit, look_at_clusters,
    placed,
};
use crate::memory;
use crate::paths::is_gone;
use crate::ports::{Leased, Lessee};
use crate::session::status::{SessionHolders, SessionStatus};
use crate::ui::{self, Format};

mod text;

use text::text;

/// The contract of `devk projects --format json`.
#[derive(Debug, Serialize)]
struct ProjectsDocument {
    version: u32,
    projects: Vec<ProjectSummary>,
}

#[derive(Debug, Serialize)]
struct ProjectSummary {
    id: String,
    /// The project's own, on its cluster.
    namespace: String,
    root: PathBuf,
    /// The system says that there is no such folder any more.
    gone: bool,
    /// What git has checked out there: a branch, or the beginning of a commit; null outside of git.
    branch: Option<String>,
    /// The cluster that devk.yaml names, or the one that has the namespace; null if neither is known.
    cluster: Option<String>,
    workloads: Workloads,
    /// Null if there are no workloads, or if the cluster did not say it in time.
    pods: Option<PodsOfProject>,
    session: Option<SessionSummary>,
    /// Why something is not known.
    error: Option<Error>,
    /// When a file was last changed that git does not ignore; null if looking takes too long.
    last_edit: Option<Timestamp>,
    ports: Vec<PortSummary>,
}

#[derive(Debug, Serialize)]
struct SessionSummary {
    pid: u32,
    busy: bool,
    /// Nothing of the last `up` has failed; null before it has settled.
    ready: Option<bool>,
    /// The resident memory of the session's process; null where the system does not tell it.
    memory_bytes: Option<u64>,
    held_by: SessionHolders,
}

#[derive(Debug, Serialize)]
struct PortSummary {
    name: String,
    local: u16,
}

/// Prints the projects, in the order of their ids and folders.
///
/// # Errors
/// [`crate::error::Code::StateIo`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let environment = Environment::of_process();
    let projects = placed(&context.paths, &environment)?;
    let clusters = look_at_clusters(&projects, &context.paths, &environment, PATIENCE);
    let sessions = join_all(projects.iter().map(|one| session(context, &one.lessee)));
    let edits = join_all(projects.iter().map(edit));
    let (clusters, sessions, edits) = tokio::join!(clusters, sessions, edits);
    let looks = ProjectLook::of_all(&projects, &clusters, &context.paths, PATIENCE).await;
    let parts = projects.into_iter().zip(looks).zip(sessions).zip(edits);
    let document = ProjectsDocument {
        version: 1,
        projects: parts
            .map(|(((project, look), session), edit)| summary(project, look, session, edit))
            .collect(),
    };
    match context.format {
        Format::Json => ui::json(&document)?,
        Format::Table => ui::out(&text(&document.projects, Timestamp::now()))?,
    }
    Ok(Exit::Ok)
}

/// The session of a project. One that does not answer in time is told as such.
async fn session(context: &Context, lessee: &Lessee) -> Result<Option<SessionStatus>, Error> {
    let asked = timeout(PATIENCE, client::status(&context.paths, &lessee.project)).await;
    let session = asked.unwrap_or_else(|_| Err(silent(lessee)))?;
    Ok(session.filter(|session| is_of(session, lessee)))
}

/// A session serves one folder, and two clones may have one id.
fn is_of(session: &SessionStatus, lessee: &Lessee) -> bool {
    session
        .root
        .as_ref()
        .is_none_or(|root| *root == lessee.root)
}

fn silent(lessee: &Lessee) -> Error {
    let message = format!("the session of `{}` does not answer", lessee.project);
    Error::new(Code::SessionLost, message).hint("devk up --restart")
}

async fn edit(project: &PlacedProject) -> Option<Timestamp> {
    let root = project.lessee.root.clone();
    let until = Instant::now() + PATIENCE;
    let look = spawn_blocking(move || last_edit(&root, until));
    // A file system may not answer at all.
    let looked = timeout(PATIENCE + Duration::from_millis(100), look).await;
    looked.ok()?.ok()?
}

fn summary(
    PlacedProject { lessee, ports, .. }: PlacedProject,
    look: ProjectLook,
    session: Result<Option<SessionStatus>, Error>,
    last_edit: Option<Timestamp>,
) -> ProjectSummary {
    let (session, error) = match session {
        Ok(session) => (session, None),
        Err(error) => (None, Some(error)),
    };
    let outcome = session
        .as_ref()
        .and_then(|session| session.outcome.as_ref());
    let gone = is_gone(&lessee.root);
    let port = |(name, local): (String, u16)| PortSummary { name, local };
    let leased = ports
        .into_iter()
        .map(|Leased { name, local, .. }| (name, local));
    // What a session holds is not free, although its folder keeps no ports any more.
    let held = session.iter().filter(|_| gone);
    let held = held.flat_map(|session| &session.forwards);
    let held = held.map(|held| (held.forward.name.clone(), held.forward.local));
    let ports = leased.chain(held).map(port).collect();
    let cluster = look.cluster.map(|config| config.name);
    ProjectSummary {
        gone,
        branch: config::checked_out(&lessee.root),
        cluster: cluster.or_else(|| outcome.map(|outcome| outcome.cluster.clone())),
        workloads: look.workloads,
        pods: look.pods,
        session: session.as_ref().map(of_session),
        error: error.or(look.error),
        last_edit,
        ports,
        namespace: lessee.project.clone(),
        id: lessee.project,
        root: lessee.root,
    }
}

fn of_session(session: &SessionStatus) -> SessionSummary {
    SessionSummary {
        pid: session.pid,
        busy: session.busy,
        ready: session.outcome.as_ref().map(|outcome| outcome.ready),
        memory_bytes: memory::resident(session.pid),
        held_by: session.holders.clone(),
    }
}
