//! One run of devk: what it printed while it ran, how it ended.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything devk does here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A devk that runs.
pub(crate) struct Running {
    child: Child,
    since: Instant,
    stdout: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    seen: String,
}

/// A devk that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let out = child.stdout.take().unwrap();
        let mut err = child.stderr.take().unwrap();
        let (sender, stdout) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Self {
            child,
            since: Instant::now(),
            stdout,
            stderr: Some(stderr),
            seen: String::new(),
        }
    }

    /// Waits for a line of stdout that holds every one of these texts.
    pub(crate) fn wait_for(&mut self, texts: &[&str]) -> String {
        loop {
            let line = self
                .next_line()
                .unwrap_or_else(|| panic!("no line with {texts:?}; stdout:\n{}", self.seen));
            if texts.iter().all(|text| line.contains(text)) {
                return line;
            }
        }
    }

    fn next_line(&mut self) -> Option<String> {
        let left = PATIENCE.saturating_sub(self.since.elapsed());
        match self.stdout.recv_timeout(left) {
            Ok(line) => {
                self.seen += &format!("{line}\n");
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                // What hangs is told, and is not left running.
                let _ = self.child.kill();
                panic!("devk still runs after {PATIENCE:?}; stdout:\n{}", self.seen)
            }
        }
    }

    pub(crate) fn interrupt(&self) {
        kill(self.child.id(), Signal::INT);
    }

    pub(crate) fn kill(&self) {
        kill(self.child.id(), Signal::KILL);
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ran {
        while self.next_line().is_some() {}
        let code = self.child.wait().unwrap().code();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ran {
            code,
            stdout: std::mem::take(&mut self.seen),
            stderr,
            took: self.since.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

impl Ran {
    /// Ends the test unless devk ended well.
    pub(crate) fn well(self) -> Self {
        self.exits(0)
    }

    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code; {self:?}");
        self
    }

    /// Every JSON document of stdout, one a line.
    pub(crate) fn documents(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("not JSON ({e}): {line}; {self:?}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The last JSON document of stdout.
    pub(crate) fn document(&self) -> Value {
        self.documents()
            .pop()
            .unwrap_or_else(|| panic!("nothing on stdout; {self:?}"))
    }

    /// What an `up` came to.
    pub(crate) fn settled(&self) -> Value {
        let found = self
            .documents()
            .into_iter()
            .find_map(|document| document.get("settled").cloned());
        found.unwrap_or_else(|| panic!("not settled; {self:?}"))
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.documents()
            .into_iter()
            .filter(|document| document.get("step").is_some())
            .collect()
    }

    /// The event with which a step ended.
    pub(crate) fn end_of(&self, step: &str) -> Value {
        let is_end = |event: &Value| {
            ["done", "failed", "skipped"]
                .iter()
                .any(|status| event["status"] == *status)
        };
        let found = self
            .events()
            .into_iter()
            .rfind(|event| event["step"] == step && is_end(event));
        found.unwrap_or_else(|| panic!("`{step}` did not end; {self:?}"))
    }

    /// How long the steps took, in sum, whose ids begin with `prefix`.
    pub(crate) fn time_of(&self, prefix: &str) -> Duration {
        let steps = self
            .events()
            .into_iter()
            .filter(|event| event["status"] == "done");
        let of = steps.filter(|event| {
            event["step"]
                .as_str()
                .is_some_and(|step| step.starts_with(prefix))
        });
        of.map(|event| Duration::from_millis(event["ms"].as_u64().unwrap()))
            .sum()
    }

    /// How a step ended: `done`, `failed` or `skipped`.
    pub(crate) fn verdict(&self, step: &str) -> String {
        self.end_of(step)["status"].as_str().unwrap().to_owned()
    }

    /// The only error that it ended with; warnings come before it.
    pub(crate) fn error(&self) -> Value {
        let last = self.stderr.trim().lines().last().unwrap_or_default();
        let document: Value =
            serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}; {self:?}"));
        let errors = document["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "one error; {self:?}");
        errors[0].clone()
    }
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            f,
            "devk ended with {code:?} after {took:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }
}
