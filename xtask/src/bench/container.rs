//! Processes in containers: readers that tell when they have read something, and an exec stream that is held open.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::project::Project;

const PATIENCE: Duration = Duration::from_secs(60);

/// Told a token, it looks at files until each begins and ends with it. It looks every 0.3 ms, not always: there are
/// few cores, and somebody else has to bring what it waits for.
const READ: &str = "
import sys, time
def has(path, token):
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        return False
    return text.startswith(token) and text.endswith(token)
print('ready', flush=True)
for token in iter(lambda: sys.stdin.readline().strip(), ''):
    print('armed', flush=True)
    for path in reversed(sys.argv[1:]):
        while not has(path, token):
            time.sleep(0.0003)
    print(time.time_ns(), flush=True)
";

/// Writes each line that it is told into the file `$1`.
const WRITE: &str = r#"echo ready; while read -r line; do printf %s "$line" >"$1"; done"#;

/// Now, on the clock that the containers share.
pub(super) fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

/// From one moment of that clock to another.
pub(super) fn milliseconds(from: u128, to: u128) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

/// A process in a container that is spoken with line by line.
struct Talk {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Talk {
    fn start(project: &Project<'_>, pod: &str, command: &[&str]) -> Result<Self> {
        let mut exec = project.kubectl(&[&["exec", "-i", pod, "--"], command].concat());
        let mut child = exec
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|l| sender.send(l))
        });
        let talk = Self {
            child,
            input,
            lines,
        };
        talk.hears("ready")?;
        Ok(talk)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes())?)
    }

    fn line(&self) -> Result<String> {
        self.lines
            .recv_timeout(PATIENCE)
            .context("a process in a container does not answer")
    }

    fn hears(&self, word: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(
            line == word,
            "a process in a container said `{line}`, not `{word}`"
        );
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads files in a container.
pub(super) struct Reader(Talk);

impl Reader {
    pub(super) fn start(project: &Project<'_>, pod: &str, files: &[String]) -> Result<Self> {
        let files = files.iter().map(String::as_str);
        let command: Vec<_> = ["python3", "-c", READ].into_iter().chain(files).collect();
        Ok(Self(Talk::start(project, pod, &command)?))
    }

    /// One in each pod.
    pub(super) fn in_each(
        project: &Project<'_>,
        pods: &[String],
        files: &[String],
    ) -> Result<Vec<Self>> {
        pods.iter()
            .map(|pod| Self::start(project, pod, files))
            .collect()
    }

    fn arm(&mut self, token: &str) -> Result<()> {
        self.0.say(token)?;
        self.0.hears("armed")
    }

    fn saw(&self) -> Result<u128> {
        Ok(self.0.line()?.parse()?)
    }
}

/// Milliseconds from what `brings` tells until the last reader has read the token everywhere.
pub(super) fn until_read(
    readers: &mut [Reader],
    token: &str,
    brings: impl FnOnce() -> Result<u128>,
) -> Result<f64> {
    for reader in readers.iter_mut() {
        reader.arm(token)?;
    }
    let since = brings()?;
    let seen = readers
        .iter()
        .map(Reader::saw)
        .collect::<Result<Vec<_>>>()?;
    Ok(milliseconds(
        since,
        seen.into_iter().max().unwrap_or_default(),
    ))
}

/// An exec stream that stays open: what nothing that goes over the API server can be faster than.
pub(super) struct OpenExec(Talk);

impl OpenExec {
    pub(super) fn start(project: &Project<'_>, pod: &str, file: &str) -> Result<Self> {
        Ok(Self(Talk::start(
            project,
            pod,
            &["sh", "-c", WRITE, "sh", file],
        )?))
    }

    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        self.0.say(line)
    }
}

/// Runs a command with something to read.
pub(super) fn fed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(input.as_bytes())?;
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok(())
}
