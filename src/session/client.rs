//! The client's side: finding the supervisor of a project, or starting it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use super::control::{Connection, Reply, Request, socket};
use super::status::SessionStatus;
use crate::error::{Code, Error, Result};
use crate::paths::{Lock, Paths, refused};
use crate::process::last_lines;

/// How long a new supervisor may take to listen.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of earlier sessions' log that the next one goes on with.
const LONGEST_LOG: u64 = 1 << 20;

/// A connection to the running supervisor; None if none runs.
pub async fn running(paths: &Paths, id: &str) -> Option<Connection> {
    UnixStream::connect(socket(paths, id)).await.ok().map(Connection::from)
}

/// A connection to the supervisor, which is started if none runs.
///
/// # Errors
/// [`Code::SessionLost`] with the end of its log if it does not come up.
pub async fn running_or_started(paths: &Paths, id: &str) -> Result<Connection> {
    if let Some(connection) = running(paths, id).await {
        return Ok(connection);
    }
    let log = paths.project(id).join("supervisor.log");
    let mut child = start(id, &log)?;
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some(connection) = running(paths, id).await {
            return Ok(connection);
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > deadline {
            return Err(not_started(&log));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(id: &str, log: &Path) -> Result<Child> {
    let log = opened(log).map_err(|e| refused("write", log, &e))?;
    spawn(id, log).map_err(|e| Error::new(Code::SessionLost, format!("cannot start the session: {e}")).hint("devk up"))
}

/// The log, for this user alone: an error may quote what a program printed.
fn opened(log: &Path) -> std::io::Result<File> {
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > LONGEST_LOG) {
        std::fs::remove_file(log)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}

fn spawn(id: &str, log: File) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // It may outlive the folder that it is started from.
    command.args(["supervise", id]).current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C in the client's terminal is the client's; it tells the supervisor itself.
        command.process_group(0);
    }
    command.spawn()
}

fn not_started(log: &Path) -> Error {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    Error::new(Code::SessionLost, "the session does not start")
        .evidence(last_lines(&text, 20))
        .hint(format!("less {}", log.display()))
}

/// What the running session tells of itself; None if none runs.
///
/// # Errors
/// [`Code::SessionLost`] if it ends instead of answering.
pub async fn status(paths: &Paths, id: &str) -> Result<Option<SessionStatus>> {
    let Some(mut connection) = running(paths, id).await else { return Ok(None) };
    connection.write.send(&Request::Status).await?;
    Ok(match connection.read.next().await? {
        Some(Reply::Status { status }) => Some(status),
        _ => None,
    })
}

/// Ends the session of a project, if one runs, and waits for that.
///
/// # Errors
/// [`Code::StateIo`].
pub async fn end(paths: &Paths, id: &str) -> Result<()> {
    if let Some(mut connection) = running(paths, id).await {
        // A session that is ending by itself does not listen any more, and that is fine.
        let _ = connection.write.send(&Request::Stop).await;
        while let Ok(Some(_)) = connection.read.next::<Reply>().await {}
    }
    ended(paths, id).await
}

/// Waits until the supervisor of a project has ended and its lock is free.
///
/// # Errors
/// [`Code::StateIo`].
pub async fn ended(paths: &Paths, id: &str) -> Result<()> {
    let lock = paths.project(id).join("supervisor.lock");
    if !lock.exists() {
        return Ok(());
    }
    let taken = Lock::take(&lock, || {}).await;
    taken.map(drop).map_err(|e| refused("lock", &lock, &e))
}
