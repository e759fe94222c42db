//! The client's side: finding the supervisor of a project, or starting it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::control::{Connection, RESTART, Reply, Request};
use super::{memory, socket};
use crate::error::{Code, Error, Result};
use crate::log_lines::last_lines;
use crate::paths::{Lock, Paths, refused};
use crate::session::status::SessionStatus;
use crate::shell::quote;

/// How long a new supervisor may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client tries to connect.
const CONNECT_INTERVAL: Duration = Duration::from_millis(5);
/// A client that waits for an ending session prints nothing for this long.
const ENDING_NOTICE_DELAY: Duration = Duration::from_secs(1);
/// How many bytes of log of earlier sessions a new session keeps.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// A connection to the running supervisor; None if none runs.
///
/// # Errors
/// [`Code::StateForeign`] if it may be somebody else who listens, [`Code::StateIo`].
pub async fn running(paths: &Paths, id: &str) -> Result<Option<Connection>> {
    Ok(socket::connect(paths, id).await?.map(Connection::from))
}

/// A connection to the supervisor, which is started if none runs. If a `devk down` of the project is at work, the call
/// waits for its end and calls `waiting`. Dropping the future ends a supervisor that the call has started.
///
/// # Errors
/// [`Code::SessionLost`] with the end of its log if it does not come up, or as [`running`].
pub async fn running_or_started(paths: &Paths, id: &str, waiting: impl Fn()) -> Result<Connection> {
    loop {
        if let Some(connection) = running_or_free(paths, id, &waiting).await? {
            return Ok(connection);
        }
        let log = paths.project(id).join("supervisor.log");
        let begun = Begun(Some(start(id, &log)?));
        match until_it_listens(paths, id, begun).await? {
            Start::Listens(connection) => return Ok(connection),
            Start::GaveWay => {}
            Start::Failed => return Err(not_started(&log)),
        }
    }
}

/// The connection, or None when no process has the project's lock.
async fn running_or_free(
    paths: &Paths,
    id: &str,
    waiting: impl Fn(),
) -> Result<Option<Connection>> {
    let since = Instant::now();
    let mut told = false;
    loop {
        if let Some(connection) = running(paths, id).await? {
            return Ok(Some(connection));
        }
        if is_free(paths, id)? {
            return Ok(None);
        }
        if !told && since.elapsed() > ENDING_NOTICE_DELAY {
            waiting();
            told = true;
        }
        tokio::time::sleep(CONNECT_INTERVAL).await;
    }
}

/// How the start of a supervisor ended.
enum Start {
    Listens(Connection),
    /// Another process holds the lock of the project.
    GaveWay,
    Failed,
}

/// A supervisor that has no client yet. Dropping the value ends the supervisor, which would otherwise wait for a
/// client.
struct Begun(Option<Child>);

impl Begun {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.as_mut()?.try_wait().ok().flatten()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // The supervisor may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn until_it_listens(paths: &Paths, id: &str, mut begun: Begun) -> Result<Start> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(connection) = running(paths, id).await? {
            begun.0 = None;
            return Ok(Start::Listens(connection));
        }
        match begun.ended() {
            Some(status) if status.success() => return Ok(Start::GaveWay),
            Some(_) => return Ok(Start::Failed),
            None if Instant::now() > deadline => return Ok(Start::Failed),
            None => {}
        }
        tokio::time::sleep(CONNECT_INTERVAL).await;
    }
}

fn lock_of(paths: &Paths, id: &str) -> PathBuf {
    paths.project(id).join("supervisor.lock")
}

fn is_free(paths: &Paths, id: &str) -> Result<bool> {
    let lock = lock_of(paths, id);
    if !lock.exists() {
        return Ok(true);
    }
    Lock::try_take(&lock)
        .map(|taken| taken.is_some())
        .map_err(|e| refused("lock", &lock, &e))
}

fn start(id: &str, log: &Path) -> Result<Child> {
    let log = opened(log).map_err(|e| refused("write", log, &e))?;
    spawn(id, log).map_err(|e| {
        Error::new(Code::SessionLost, format!("cannot start the session: {e}")).hint("devk up")
    })
}

/// The log, for this user alone: an error may quote what a program printed.
fn opened(log: &Path) -> std::io::Result<File> {
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
        std::fs::remove_file(log)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
}

fn spawn(id: &str, log: File) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // The supervisor may outlive the folder that it is started from.
    command
        .args(["supervise", id])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.envs([memory::ENVIRONMENT]);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C in the client's terminal reaches the client only; the client tells the supervisor.
        command.process_group(0);
    }
    command.spawn()
}

fn not_started(log: &Path) -> Error {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    Error::new(Code::SessionLost, "the session does not start")
        .evidence(last_lines(&text, 20))
        .hint(format!("less {}", quote(log)))
}

/// The status of a running session, as it changes.
#[derive(Debug)]
pub struct Following(Connection);

/// Follows the status of the running session; None if none runs.
///
/// # Errors
/// As [`running`].
pub async fn follow(paths: &Paths, id: &str) -> Result<Option<Following>> {
    let Some(mut connection) = running(paths, id).await? else {
        return Ok(None);
    };
    // If the request cannot be sent, the read below sees the end of the connection.
    let _ = connection
        .write
        .send(&Request::Status { follow: true })
        .await;
    Ok(Some(Following(connection)))
}

impl Following {
    /// The status now the first time, and then the next one; None when the session has ended.
    ///
    /// # Errors
    /// As [`status`].
    pub async fn next(&mut self) -> Result<Option<SessionStatus>> {
        request_status(&mut self.0).await
    }
}

/// The status of the running session; None if no session runs, or if it ends instead of answering.
///
/// # Errors
/// [`Code::SessionLost`] if it is another devk that does not know the question, or whose answer is not known here;
/// or as [`running`].
pub async fn status(paths: &Paths, id: &str) -> Result<Option<SessionStatus>> {
    match running(paths, id).await? {
        Some(connection) => status_of(connection).await,
        None => Ok(None),
    }
}

async fn status_of(mut connection: Connection) -> Result<Option<SessionStatus>> {
    // If the request cannot be sent, the read below sees the end of the connection.
    let _ = connection
        .write
        .send(&Request::Status { follow: false })
        .await;
    request_status(&mut connection).await
}

async fn request_status(connection: &mut Connection) -> Result<Option<SessionStatus>> {
    match connection.read.next().await? {
        Some(Reply::Status { status }) => Ok(Some(*status)),
        None => Ok(None),
        Some(_) => Err(
            Error::new(Code::SessionLost, "the session does not report its status").hint(RESTART),
        ),
    }
}

/// Ends the session of a project, if one runs. No other begins for as long as the lock lives.
///
/// # Errors
/// As [`running`], if one runs or may run; [`Code::StateIo`].
pub async fn end(paths: &Paths, id: &str) -> Result<Lock> {
    tokio::select! {
        // Without a session it does not matter who created the folder of the socket.
        biased;
        locked_out = locked_out(paths, id) => locked_out,
        error = stop(paths, id) => Err(error),
    }
}

/// Stops every session that listens, again and again, since a new session listens only after it has taken its lock.
/// Returns only an error.
async fn stop(paths: &Paths, id: &str) -> Error {
    loop {
        match running(paths, id).await {
            Ok(Some(mut connection)) => {
                // A session that is ending by itself does not listen any more, and that is fine.
                let _ = connection.write.send(&Request::Stop).await;
                while let Ok(Some(_)) = connection.read.next::<Reply>().await {}
            }
            Ok(None) => {}
            Err(error) => return error,
        }
        tokio::time::sleep(CONNECT_INTERVAL).await;
    }
}

/// Waits until the supervisor of a project has ended and its lock is free.
///
/// # Errors
/// [`Code::StateIo`].
pub async fn ended(paths: &Paths, id: &str) -> Result<()> {
    match lock_of(paths, id).exists() {
        true => locked_out(paths, id).await.map(drop),
        false => Ok(()),
    }
}

/// Keeps the project from having a supervisor for as long as the lock lives.
async fn locked_out(paths: &Paths, id: &str) -> Result<Lock> {
    let lock = lock_of(paths, id);
    Lock::take(&lock, || {})
        .await
        .map_err(|e| refused("lock", &lock, &e))
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    /// What a session is taken for that says this and ends.
    async fn status_by(answer: Option<Reply>) -> Result<Option<u32>, Code> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut theirs = Connection::from(theirs);
        if let Some(answer) = answer {
            theirs.write.send(&answer).await.unwrap();
        }
        drop(theirs);
        let status = status_of(ours.into()).await.map_err(|error| error.code)?;
        Ok(status.map(|status| status.pid))
    }

    #[test]
    fn the_log_of_a_session_that_does_not_start_is_named_for_a_shell() {
        let hint = not_started(Path::new("/it's a state/log")).hint.unwrap();
        assert_eq!(crate::shell::pasted(&hint, "less "), "/it's a state/log");
    }

    #[tokio::test]
    async fn a_session_that_ends_instead_of_answering_is_none_and_one_that_does_not_understand_is_no_silence()
     {
        let status = Box::new(SessionStatus {
            pid: 7,
            ..SessionStatus::default()
        });
        assert_eq!(status_by(Some(Reply::Status { status })).await, Ok(Some(7)));
        assert_eq!(status_by(None).await, Ok(None));
        let errors = Error::new(Code::SessionLost, "it speaks another version").into();
        assert_eq!(
            status_by(Some(Reply::Refused { errors })).await,
            Err(Code::SessionLost)
        );
    }
}
