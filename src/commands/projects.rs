//! `devk projects`: every project and worktree of this machine that has ports, and its session.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::timeout;

use super::Context;
use crate::config;
use crate::daemon::client;
use crate::error::{Code, Error, Errors, Exit};
use crate::paths::is_gone;
use crate::ports::{Leased, Leases, Lessee};
use crate::session::status::SessionStatus;
use crate::ui::{self, Format};

/// A session that does not answer within this time is told as such.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The contract of `devk projects --format json`.
#[derive(Debug, Serialize)]
struct ProjectsDocument {
    version: u32,
    projects: Vec<ProjectSummary>,
}

#[derive(Debug, Serialize)]
struct ProjectSummary {
    /// Also the name of its namespace.
    id: String,
    root: PathBuf,
    /// The system says that there is no such folder any more.
    gone: bool,
    /// What git has checked out there: a branch, or the beginning of a commit; null outside of git.
    branch: Option<String>,
    /// The cluster of the session's last `up`.
    cluster: Option<String>,
    session: Option<SessionSummary>,
    /// Why the session's state is not known.
    error: Option<Error>,
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
    let mut leases = Leases::open(&context.paths.state).all()?;
    leases.sort_by(|(a, _), (b, _)| a.cmp(b));
    let summaries = leases
        .into_iter()
        .map(|(lessee, ports)| summary(context, lessee, ports));
    let document = ProjectsDocument {
        version: 1,
        projects: join_all(summaries).await,
    };
    match context.format {
        Format::Json => ui::json(&document)?,
        Format::Table => ui::out(&text(&document))?,
    }
    Ok(Exit::Ok)
}

async fn summary(context: &Context, lessee: Lessee, ports: Vec<Leased>) -> ProjectSummary {
    let asked = timeout(
        ANSWER_TIMEOUT,
        client::status(&context.paths, &lessee.project),
    )
    .await;
    let (session, error) = match asked {
        Ok(Ok(session)) => (session, None),
        Ok(Err(error)) => (None, Some(error)),
        Err(_) => (None, Some(silent(&lessee))),
    };
    let outcome = session
        .as_ref()
        .and_then(|session| session.outcome.as_ref());
    let port = |leased: Leased| PortSummary {
        name: leased.name,
        local: leased.local,
    };
    ProjectSummary {
        gone: is_gone(&lessee.root),
        branch: config::checked_out(&lessee.root),
        cluster: outcome.map(|outcome| outcome.cluster.clone()),
        session: session.as_ref().map(of_session),
        error,
        ports: ports.into_iter().map(port).collect(),
        id: lessee.project,
        root: lessee.root,
    }
}

fn silent(lessee: &Lessee) -> Error {
    let message = format!("the session of `{}` does not answer", lessee.project);
    Error::new(Code::SessionLost, message).hint("devk up --restart")
}

fn of_session(session: &SessionStatus) -> SessionSummary {
    SessionSummary {
        pid: session.pid,
        busy: session.busy,
        ready: session.outcome.as_ref().map(|outcome| outcome.ready),
        memory_bytes: resident(session.pid),
    }
}

/// The line `VmRSS: N kB` of proc_pid_status(5).
fn resident(pid: u32) -> Option<u64> {
    let file = Path::new("/proc").join(pid.to_string()).join("status");
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn text(document: &ProjectsDocument) -> String {
    if document.projects.is_empty() {
        return "no project of this machine has ports; `devk up` begins one\n".to_owned();
    }
    let head = ["PROJECT", "SESSION", "CLUSTER", "BRANCH", "PORTS", "FOLDER"];
    let rows = document.projects.iter().map(|project| {
        let ports = project.ports.iter();
        let ports = ports.map(|port| format!("{}:{}", port.name, port.local));
        let folder = project.root.display();
        vec![
            project.id.clone(),
            session(project),
            project.cluster.clone().unwrap_or_default(),
            project.branch.clone().unwrap_or_default(),
            ports.collect::<Vec<_>>().join(" "),
            match project.gone {
                true => format!("{folder} (gone)"),
                false => folder.to_string(),
            },
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned).to_vec())
        .chain(rows)
        .collect();
    ui::table(&rows)
}

fn session(project: &ProjectSummary) -> String {
    let Some(session) = &project.session else {
        return project.error.as_ref().map_or("-", |_| "silent").to_owned();
    };
    let state = match (session.busy, session.ready) {
        (true, _) => "at work",
        (false, Some(true)) => "ready",
        (false, Some(false)) => "failed",
        (false, None) => "begun",
    };
    let memory = session.memory_bytes.map(|bytes| bytes / (1 << 20));
    match memory {
        Some(memory) => format!("{state}, {memory} MiB"),
        None => state.to_owned(),
    }
}
