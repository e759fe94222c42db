//! One open shell in one container, and the conversation with it.
//!
//! Opened once and kept: a line through an open stream takes 2 ms, a new one more than ten times that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use tokio::time::timeout;

use super::batch::{ContainerPath, Item};
use super::carry;
use super::containers::Container;
use super::exec::{ContainerExec, ContainerRef, Said};
use super::script::{self, Carried, Expected, Manner, Writing};
use crate::hex::hex;

/// How long a shell may take to answer, beyond what the bytes it was sent explain.
const ANSWER: Duration = Duration::from_secs(30);
/// A slow disk still takes this many bytes in a second.
const SLOWEST: u64 = 2_000_000;
/// How long a `run:` command may take.
pub(super) const RUN: Duration = Duration::from_secs(300);
/// What a program says of a failure comes on a channel of its own, a moment before or after the verdict.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Bytes kept of what is said.
const KEPT: usize = 16 * 1024;
/// A batch of which something fails is sent in at most this many parts; what is left fails, and is tried again.
const MOST_PARTS: usize = 64;
/// Batches with more content than this, in bytes, are carried by a process of their own: the shell reads
/// 7 MB a second, `tar` as much as the API server moves.
const INLINE: u64 = 128 * 1024;

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
}

impl Failure {
    pub(super) fn new(target: ContainerPath, why: impl Into<String>) -> Self {
        Self {
            target,
            why: why.into(),
            mount: None,
        }
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    pub failures: Vec<Failure>,
    /// Of files that were read while they were sent: the SHA-256 of what was sent, None if that is not whole.
    pub streamed: BTreeMap<ContainerPath, Option<[u8; 32]>>,
}

/// What stands at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sum {
    /// A file of this SHA-256, in hexadecimal digits.
    Of(String),
    NoFile,
    /// Whatever stands there, this mount of the pod has brought it.
    Mounted(String),
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
    /// Its user is root.
    root: bool,
}

/// An open shell in a container.
pub struct Stream {
    client: Client,
    place: ContainerRef,
    exec: ContainerExec,
    /// By target folder, where files are made.
    stages: Vec<PathBuf>,
    /// Target folders that are in a mount of the pod, with that.
    mounted: BTreeMap<usize, String>,
    /// By target folder, how many folders for files in the making there are.
    folders: Vec<usize>,
    tools: Tools,
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
    /// [`Trouble::NeedsRebuild`] if there is no shell or a folder cannot be written.
    pub async fn open(
        client: &Client,
        container: &Container,
        roots: &[String],
    ) -> Result<Self, Trouble> {
        let Container { place, mounts, .. } = container;
        let exec = ContainerExec::start(client, place, &["sh"])
            .await
            .map_err(Trouble::Lost)?;
        let mut stream = Self {
            client: client.clone(),
            place: place.clone(),
            exec,
            stages: vec![PathBuf::new(); roots.len()],
            mounted: BTreeMap::new(),
            folders: vec![1; roots.len()],
            tools: Tools::default(),
            number: 0,
            partial: Vec::new(),
            errors: Vec::new(),
        };
        stream
            .send(&script::hello(roots, mounts, &token()?))
            .await?;
        timeout(ANSWER, stream.greeting(roots))
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
                ("ready", "") => return Ok(()),
                ("root" | "mounted", rest) => self
                    .root(line.starts_with("mounted"), rest)
                    .ok_or_else(|| Trouble::Lost(format!("the shell said `{line}`")))?,
                ("has", "tar") => self.tools.tar = true,
                ("has", "head") => self.tools.head = true,
                ("has", "sha256sum") => self.tools.sha256sum = true,
                ("user", id) => self.tools.root = id == "0",
                ("end", refused) => return Err(unwritable(refused, roots, &words)),
                _ => words.push(line),
            }
        }
    }

    fn root(&mut self, is_mounted: bool, rest: &str) -> Option<()> {
        let (n, path) = rest.split_once(' ')?;
        let n = n.parse::<usize>().ok()?;
        if is_mounted {
            self.mounted.insert(n, path.to_owned());
        } else {
            *self.stages.get_mut(n)? = PathBuf::from(path);
        }
        Some(())
    }

    /// Brings every path of a batch to what it should be, each of them at once or not at all. One that fails does not
    /// keep the others from it.
    ///
    /// # Errors
    /// [`Trouble::Lost`]: nothing is known of the batch.
    pub(super) async fn apply(
        &mut self,
        items: &[Item],
        writing: Writing,
    ) -> Result<Applied, Trouble> {
        let (mounted, items): (Vec<Item>, Vec<Item>) = items
            .iter()
            .cloned()
            .partition(|item| self.mounted.contains_key(&item.target.root));
        let mut applied = Applied::default();
        let mut parts = vec![items];
        for number in 0.. {
            let Some(part) = parts.pop() else { break };
            let mut of_part = self.apply_groups(&part, writing).await?;
            let failed: BTreeSet<_> = of_part.failures.iter().map(|f| f.target.clone()).collect();
            // Paths of one folder fail together: halving tells which of them it was.
            if failed.len() > 1 && number < MOST_PARTS {
                of_part.failures.clear();
                of_part
                    .streamed
                    .retain(|target, _| !failed.contains(target));
                let again = part
                    .into_iter()
                    .filter(|item| failed.contains(&item.target));
                let mut first: Vec<_> = again.collect();
                let second = first.split_off(first.len() / 2);
                parts.extend([first, second]);
            }
            applied.streamed.extend(of_part.streamed);
            applied.failures.extend(of_part.failures);
        }
        for item in mounted {
            applied.failures.push(Failure {
                mount: self.mounted.get(&item.target.root).cloned(),
                ..Failure::new(item.target, MOUNTED)
            });
        }
        Ok(applied)
    }

    async fn apply_groups(&mut self, items: &[Item], writing: Writing) -> Result<Applied, Trouble> {
        let mut applied = Applied::default();
        if items.is_empty() {
            return Ok(applied);
        }
        let groups = script::groups(items);
        let carried = self.carried(items);
        if carried != Carried::Nothing {
            let cargo = carry::cargo(&groups, carried);
            for (root, stage) in self.stages.iter().enumerate() {
                let part: Vec<_> = cargo.iter().filter(|piece| piece.root == root).collect();
                let (sent, failed) =
                    carry::carry(&self.client, &self.place, stage, &part, self.tools.tar).await;
                applied.streamed.extend(sent);
                applied.failures.extend(failed);
            }
        }
        self.number += 1;
        self.errors.clear();
        let manner = Manner {
            carried,
            writing,
            gives: self.tools.root,
        };
        let text = script::apply(self.number, &groups, manner, &mut self.folders);
        let patience = ANSWER + Duration::from_secs(text.len() as u64 / SLOWEST);
        self.send(&text).await?;
        let failed = timeout(patience, self.verdict(self.number))
            .await
            .map_err(|_| silent())??;
        if failed.is_empty() {
            return Ok(applied);
        }
        let said = self.last_words().await;
        for FailedGroup {
            number,
            status,
            mount,
        } in failed
        {
            let items = groups.get(number).map_or(&[][..], |group| &group.items);
            let why = match status {
                script::OUTSIDE => LEADS_OUT,
                script::MOUNTED => MOUNTED,
                _ => said.as_str(),
            };
            let failure = |item: &&Item| Failure {
                mount: (status == script::MOUNTED).then(|| mount.clone()),
                ..Failure::new(item.target.clone(), why)
            };
            applied.failures.extend(items.iter().map(failure));
        }
        Ok(applied)
    }

    fn carried(&self, items: &[Item]) -> Carried {
        let sources = || items.iter().filter_map(Item::source);
        let has_long = sources().any(|source| source.content.is_none());
        let total: u64 = sources().map(|source| source.len).sum();
        match (
            self.tools.head && self.tools.tar,
            has_long || total > INLINE,
        ) {
            (_, false) => Carried::Nothing,
            (true, true) => Carried::All,
            (false, true) if has_long => Carried::Long,
            (false, true) => Carried::Nothing,
        }
    }

    /// The groups that failed.
    async fn verdict(&mut self, number: u64) -> Result<Vec<FailedGroup>, Trouble> {
        let mut failed = Vec::new();
        let end = format!("ok {number}");
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == end {
                return Ok(failed);
            }
            failed.extend(FailedGroup::read(&line));
        }
    }

    /// The words of every process of the container, this shell's left out.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub(super) async fn processes(&mut self) -> Result<Vec<Vec<String>>, Trouble> {
        self.number += 1;
        let text = script::processes(self.number);
        self.send(&text).await?;
        let end = format!("ok {}", self.number);
        let mut processes = Vec::new();
        loop {
            let line = timeout(ANSWER, self.line()).await.map_err(|_| silent())??;
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == end {
                return Ok(processes);
            }
            if let Some(words) = line.strip_prefix("proc ") {
                let words = words.split(script::BETWEEN_WORDS);
                let words = words.filter(|word| !word.is_empty());
                processes.push(words.map(str::to_owned).collect());
            }
        }
    }

    /// Runs a program in the container, in its working folder. None if it has not ended within [`RUN`]: it goes on,
    /// and the shell waits for it and serves nothing more.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn run(&mut self, command: &[String]) -> Result<Option<Ran>, Trouble> {
        self.number += 1;
        let text = script::run(self.number, command);
        self.send(&text).await?;
        timeout(RUN, self.ran(self.number)).await.ok().transpose()
    }

    async fn ran(&mut self, number: u64) -> Result<Ran, Trouble> {
        let mut output = Vec::new();
        let end = format!("end {number} ");
        loop {
            let line = self.line().await?;
            if let Some(code) = line.strip_prefix(end.as_bytes()) {
                let code = String::from_utf8_lossy(code).parse().unwrap_or(-1);
                return Ok(Ran {
                    code,
                    output: String::from_utf8_lossy(&output).trim_end().to_owned(),
                });
            }
            keep(&mut output, &line);
            output.push(b'\n');
        }
    }

    /// The SHA-256 of files in the container, in their order.
    ///
    /// # Errors
    /// [`Trouble::NeedsRebuild`] if the image has no `sha256sum`.
    pub(super) async fn sums(&mut self, files: &[Expected]) -> Result<Vec<Sum>, Trouble> {
        if !self.tools.sha256sum {
            return Err(Trouble::NeedsRebuild(
                "the image has no `sha256sum`, so nothing can be compared".to_owned(),
            ));
        }
        self.number += 1;
        let asked = files
            .iter()
            .map(|file| &file.target)
            .filter(|target| !self.mounted.contains_key(&target.root));
        let text = script::sums(self.number, asked);
        self.send(&text).await?;
        let mut sums = Vec::new();
        for file in files {
            let sum = match self.mounted.get(&file.target.root) {
                Some(mount) => Sum::Mounted(mount.clone()),
                None => self.sum().await?,
            };
            sums.push(sum);
        }
        timeout(ANSWER, self.verdict(self.number))
            .await
            .map_err(|_| silent())??;
        Ok(sums)
    }

    async fn sum(&mut self) -> Result<Sum, Trouble> {
        loop {
            let line = timeout(RUN, self.line()).await.map_err(|_| silent())??;
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(mount) = line.strip_prefix("mounted ") {
                return Ok(Sum::Mounted(mount.to_owned()));
            }
            if let Some(sum) = line.strip_prefix("sum") {
                let sum = sum.split_whitespace().next();
                return Ok(sum.map_or(Sum::NoFile, |sum| Sum::Of(sum.to_owned())));
            }
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
        let patience = ANSWER + Duration::from_secs(text.len() as u64 / SLOWEST);
        timeout(patience, self.exec.input.send(text))
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
        while let Ok(Some(said)) = timeout(LAST_WORDS, self.exec.output.next()).await {
            match said {
                Said::Stderr(bytes) => keep(&mut self.errors, &bytes),
                Said::Stdout(bytes) => self.partial.extend_from_slice(&bytes),
                Said::Ended(_) => break,
            }
        }
        carry::last_line(&self.errors).unwrap_or_else(|| "failed without a word".to_owned())
    }
}

const MOUNTED: &str = "the pod mounts something over it";
const LEADS_OUT: &str = "a symbolic link in the container leads out of the target folder";

/// What tells this stream's files in the making from another's.
fn token() -> Result<String, Trouble> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|e| Trouble::Lost(e.to_string()))?;
    Ok(format!(".devk-{}", hex(bytes)))
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let excess = kept.len().saturating_sub(KEPT);
    kept.drain(..excess);
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

fn unwritable(refused: &str, roots: &[String], words: &[String]) -> Trouble {
    let number = refused.trim_start_matches("refused ").parse::<usize>();
    let root = number
        .ok()
        .and_then(|n| roots.get(n))
        .map_or("", String::as_str);
    let said = words.join(" ");
    let why = if said.contains("Read-only") {
        "the container's file system is read-only".to_owned()
    } else if said.contains("ermission denied") {
        "the container's user may not write there; `COPY --chown` gives it the files".to_owned()
    } else {
        said
    };
    Trouble::NeedsRebuild(format!("`{root}` cannot be written: {why}"))
}
