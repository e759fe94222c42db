//! One open shell in one container, and the conversation with it.
//!
//! Opened once and kept: a line through an open stream takes 2 ms, a new one more than ten times that.

mod applying;
mod asking;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use tokio::time::timeout;

use super::batch::ContainerPath;
use super::containers::Container;
use super::exec::{ContainerExec, ContainerRef, Said};
use super::processes::since_start;
use super::script::{self, ShellPurpose};
use super::upload;
use crate::{hex, shell};

pub(super) use asking::Sum;

/// How long a shell may take to answer, beyond what the bytes it was sent explain.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A slow disk still takes this many bytes in a second.
const MIN_BYTES_PER_SECOND: u64 = 2_000_000;
/// How long a `run:` command may take.
pub(super) const RUN_TIMEOUT: Duration = Duration::from_secs(300);
/// What a program says of a failure comes on a channel of its own, a moment before or after the verdict.
const STDERR_TIMEOUT: Duration = Duration::from_millis(50);
/// Bytes kept of what is said.
const MAX_OUTPUT_BYTES: usize = 16 * 1024;
/// A batch of which something fails is sent in at most this many parts; what is left fails, and is tried again.
const MAX_PARTS: usize = 64;
/// Batches with more content than this, in bytes, are uploaded by a process of their own: the shell reads
/// 7 MB a second, `tar` as much as the API server moves.
const MAX_INLINE_BYTES: u64 = 128 * 1024;

/// Why a stream cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection or the process is gone; a new stream may work.
    Lost(String),
    /// This container cannot be synced into, in words for the user.
    NeedsRebuild(String),
}

/// A path that could not be brought to what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub target: ContainerPath,
    pub why: String,
    /// The mount of the pod that covers the path, an absolute path in the container. Trying again is of no use.
    pub mount: Option<String>,
    /// Only a build brings it there: this container's user may not. Trying again is of no use.
    pub needs_build: bool,
}

impl Failure {
    pub(super) fn new(target: ContainerPath, why: impl Into<String>) -> Self {
        Self {
            target,
            why: why.into(),
            mount: None,
            needs_build: false,
        }
    }

    pub(super) fn needs_build(target: ContainerPath, why: impl Into<String>) -> Self {
        Self {
            needs_build: true,
            ..Self::new(target, why)
        }
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    pub failures: Vec<Failure>,
    /// Of files that were read while they were sent: the SHA-256 of what was sent, None if that is not whole.
    pub streamed: BTreeMap<ContainerPath, Option<[u8; 32]>>,
    /// When the last of it was in place, since the start of the container's machine; None if the container does not tell.
    pub(in crate::sync) at: Option<Duration>,
}

/// A group of paths that failed together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FailedGroup {
    number: usize,
    status: i32,
    /// The mount that covers it; empty for none.
    mount: String,
}

impl FailedGroup {
    /// Reads `no NUMBER STATUS MOUNT`. A program may have printed something before it in the same line.
    fn read(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("no ")?;
        let mut words = rest.splitn(3, ' ');
        Some(Self {
            number: words.next()?.parse().ok()?,
            status: words.next()?.parse().ok()?,
            mount: words.next().unwrap_or_default().to_owned(),
        })
    }
}

/// What the shell says at the end of a batch.
#[derive(Debug, Default)]
struct BatchEnd {
    failed: Vec<FailedGroup>,
    /// As of [`Applied`].
    at: Option<Duration>,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    /// Standard output and error, the last of it.
    pub output: String,
}

/// What the container has to work with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tools {
    tar: bool,
    head: bool,
    sha256sum: bool,
    stat: bool,
}

/// An open shell in a container.
pub struct Stream {
    client: Client,
    place: ContainerRef,
    exec: ContainerExec,
    /// The target folders.
    roots: Vec<String>,
    /// By target folder, where files are made.
    stages: Vec<PathBuf>,
    /// Target folders that are in a mount of the pod, with that.
    mounted: BTreeMap<usize, String>,
    /// Target folders below which nothing can be written, with the reason.
    unwritable: BTreeMap<usize, String>,
    /// By target folder, how many folders for files in the making there are.
    folders: Vec<usize>,
    tools: Tools,
    /// Whose the files are that the shell makes, `uid:gid`.
    user: String,
    number: u64,
    /// What came after the last whole line.
    partial: Vec<u8>,
    errors: Vec<u8>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("place", &self.place)
            .field("tools", &self.tools)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Opens a shell in a container, for files below the target folders `roots` (absolute paths there). Nothing is ever
    /// written where the pod mounts something.
    ///
    /// # Errors
    /// [`Trouble::NeedsRebuild`] if there is no shell or nothing can be written.
    pub async fn open(
        client: &Client,
        container: &Container,
        roots: &[String],
    ) -> Result<Self, Trouble> {
        Self::open_for(client, container, roots, ShellPurpose::Writing).await
    }

    /// As [`Self::open`], for questions alone: whether a folder can be written does not matter.
    ///
    /// # Errors
    /// [`Trouble::NeedsRebuild`] if there is no shell.
    pub(super) async fn open_to_ask(
        client: &Client,
        container: &Container,
        roots: &[String],
    ) -> Result<Self, Trouble> {
        Self::open_for(client, container, roots, ShellPurpose::Asking).await
    }

    async fn open_for(
        client: &Client,
        container: &Container,
        roots: &[String],
        purpose: ShellPurpose,
    ) -> Result<Self, Trouble> {
        let Container { place, mounts, .. } = container;
        let exec = ContainerExec::start(client, place, &["sh"])
            .await
            .map_err(Trouble::Lost)?;
        let mut stream = Self {
            client: client.clone(),
            place: place.clone(),
            exec,
            roots: roots.to_vec(),
            stages: vec![PathBuf::new(); roots.len()],
            mounted: BTreeMap::new(),
            unwritable: BTreeMap::new(),
            folders: vec![1; roots.len()],
            tools: Tools::default(),
            user: String::new(),
            number: 0,
            partial: Vec::new(),
            errors: Vec::new(),
        };
        stream
            .send(&script::handshake(roots, mounts, &token()?, purpose))
            .await?;
        timeout(ANSWER_TIMEOUT, stream.greeting(roots))
            .await
            .map_err(|_| silent())??;
        Ok(stream)
    }

    async fn greeting(&mut self, roots: &[String]) -> Result<(), Trouble> {
        let mut words = Vec::new();
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("ready", "") => break,
                ("root" | "mounted" | "refused", rest) => {
                    let said = std::mem::take(&mut words).join(" ");
                    let word = line.split(' ').next().unwrap_or_default();
                    self.root(word, rest, said)
                        .ok_or_else(|| Trouble::Lost(format!("the shell said `{line}`")))?;
                }
                ("has", "tar") => self.tools.tar = true,
                ("has", "head") => self.tools.head = true,
                ("has", "sha256sum") => self.tools.sha256sum = true,
                ("has", "stat") => self.tools.stat = true,
                ("user", id) => self.user = id.to_owned(),
                _ => words.push(line),
            }
        }
        for (n, said) in std::mem::take(&mut self.unwritable) {
            let folder = roots.get(n).map_or("", String::as_str);
            self.unwritable
                .insert(n, unwritable(folder, &said, &self.user));
        }
        let unserved = self.unwritable.len() + self.mounted.len();
        match self.unwritable.values().next() {
            Some(why) if unserved == roots.len() => Err(Trouble::NeedsRebuild(why.clone())),
            _ => Ok(()),
        }
    }

    /// Reads what the shell says of a target folder, after these words of its programs.
    fn root(&mut self, word: &str, rest: &str, said: String) -> Option<()> {
        let (n, path) = rest.split_once(' ').unwrap_or((rest, ""));
        let n = n.parse::<usize>().ok()?;
        match word {
            "refused" => drop(self.unwritable.insert(n, said)),
            "mounted" => drop(self.mounted.insert(n, path.to_owned())),
            _ => *self.stages.get_mut(n)? = PathBuf::from(path),
        }
        Some(())
    }

    /// The groups that failed.
    async fn batch_end(&mut self, number: u64) -> Result<BatchEnd, Trouble> {
        let mut ended = BatchEnd::default();
        let end = format!("ok {number}");
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            match line.strip_prefix(&end) {
                Some(at) if at.is_empty() || at.starts_with(' ') => {
                    ended.at = since_start(at);
                    return Ok(ended);
                }
                _ => {}
            }
            ended.failed.extend(FailedGroup::read(&line));
        }
    }

    /// Waits until the shell is gone, and tells why. To be asked while there is nothing to send.
    pub async fn gone(&mut self) -> String {
        loop {
            match self.exec.output.next().await {
                Some(Said::Ended(why)) => {
                    return why.unwrap_or_else(|| "the shell ended".to_owned());
                }
                Some(Said::Stdout(_) | Said::Stderr(_)) => {}
                None => return "the connection was closed".to_owned(),
            }
        }
    }

    async fn send(&mut self, text: &[u8]) -> Result<(), Trouble> {
        timeout(patience(text), self.exec.input.send(text))
            .await
            .map_err(|_| silent())?
            .map_err(Trouble::Lost)
    }

    /// The next line of standard output.
    async fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            if let Some(at) = self.partial.iter().position(|byte| *byte == b'\n') {
                let rest = self.partial.split_off(at + 1);
                let mut line = std::mem::replace(&mut self.partial, rest);
                line.pop();
                return Ok(line);
            }
            match self.exec.output.next().await {
                Some(Said::Stdout(bytes)) => self.partial.extend_from_slice(&bytes),
                Some(Said::Stderr(bytes)) => keep(&mut self.errors, &bytes),
                Some(Said::Ended(why)) => return Err(ended(why)),
                None => return Err(Trouble::Lost("the connection was closed".to_owned())),
            }
        }
    }

    /// What the container's programs said of a failure.
    async fn last_words(&mut self) -> String {
        while let Ok(Some(said)) = timeout(STDERR_TIMEOUT, self.exec.output.next()).await {
            match said {
                Said::Stderr(bytes) => keep(&mut self.errors, &bytes),
                Said::Stdout(bytes) => self.partial.extend_from_slice(&bytes),
                Said::Ended(_) => break,
            }
        }
        upload::last_line(&self.errors).unwrap_or_else(|| "failed without a word".to_owned())
    }
}

/// The user of `uid:gid`.
pub(super) fn uid(owner: &str) -> &str {
    owner.split(':').next().unwrap_or(owner)
}

const MOUNTED: &str = "the pod mounts something over it";
const LEADS_OUT: &str = "a symbolic link in the container leads out of the target folder";

/// What tells this stream's files in the making from another's.
fn token() -> Result<String, Trouble> {
    let random = hex::random::<6>().map_err(|e| Trouble::Lost(e.to_string()))?;
    Ok(format!(".devk-{random}"))
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let excess = kept.len().saturating_sub(MAX_OUTPUT_BYTES);
    kept.drain(..excess);
}

/// How long the shell may take for a text, or for an answer to it.
fn patience(text: &[u8]) -> Duration {
    ANSWER_TIMEOUT + Duration::from_secs(text.len() as u64 / MIN_BYTES_PER_SECOND)
}

fn silent() -> Trouble {
    Trouble::Lost("the shell in the container does not answer".to_owned())
}

/// The container's runtime tells of a program that is not there when it should start it.
fn ended(why: Option<String>) -> Trouble {
    let why = why.unwrap_or_else(|| "the shell ended".to_owned());
    if why.contains("executable file not found") || why.contains("no such file or directory") {
        return Trouble::NeedsRebuild("the image has no shell (`sh`)".to_owned());
    }
    Trouble::Lost(why)
}

/// Why nothing can be made in a folder of the container, by what its programs said.
fn unwritable(folder: &str, said: &str, user: &str) -> String {
    let why = if said.contains("Read-only") {
        "the container's file system is read-only".to_owned()
    } else if said.contains("ermission denied") || said.contains("not permitted") {
        let user = uid(user);
        format!(
            "the container's user {user} may make nothing in that folder (`RUN chown {user} {folder}` before the \
             Dockerfile's USER gives it the folder, as `COPY --chown` gives it the files)",
            folder = shell::quote(folder)
        )
    } else {
        said.to_owned()
    };
    format!("`{folder}` cannot be written: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_told_with_what_gives_it_to_the_user() {
        let told = unwritable(
            "/app",
            "mkdir: can't create directory './x': Permission denied",
            "1000:0",
        );
        assert!(
            told.starts_with("`/app` cannot be written: the container's user 1000 "),
            "{told}"
        );
        assert!(told.contains("`RUN chown 1000 /app`"), "{told}");
        let told = unwritable("/app", "mkdir: './x': Read-only file system", "0:0");
        assert!(told.ends_with("read-only"), "{told}");
    }
}
