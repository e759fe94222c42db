//! The runs of devk's own program that calls wait for.
//!
//! A call runs `devk COMMAND --format json` and reads the documents that are the contract of docs/errors.md: stdout
//! belongs to the protocol, a command that is cancelled ends with its process, and whatever goes wrong in it cannot take
//! the server along. Calls of `up`, `down`, `restart`, `ask` and `apply_plan` with the same arguments share a run: a
//! client that gave up waiting joins the work that it began.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditOrigin, ORIGIN};
use crate::error::{Result, internal};
use crate::process::Cmd;

/// So long the end of a run waits for the call that left it.
const UNREAD: Duration = Duration::from_secs(300);
/// So many commands run at once; further ones wait for their turn.
const MAX_RUNS: usize = 8;
/// Of what a command prints so much is kept.
const MAX_OUTPUT_BYTES: usize = 8 << 20;

/// How devk's own program is started.
#[derive(Debug)]
pub(super) struct Program {
    pub path: PathBuf,
    /// The folder of the project.
    pub folder: PathBuf,
    /// The options that name the project.
    pub options: Vec<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub(super) struct RunProgress {
    /// How many steps it has told.
    pub steps: u64,
    /// What it does.
    pub message: String,
    pub ended: Option<Arc<Result<RunEnd>>>,
    ended_at: Option<Instant>,
}

/// What a command has printed, and how it ended.
#[derive(Debug)]
pub(super) struct RunEnd {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct JobCommand {
    /// The words after `devk`.
    pub args: Vec<String>,
    /// What the command reads from stdin.
    pub input: Option<String>,
}

/// A run that calls wait for.
#[derive(Debug)]
pub(super) struct Job {
    pub seen: watch::Receiver<RunProgress>,
    waiting: AtomicUsize,
    stop: CancellationToken,
    /// A call left before the end, and none has read it: the same call reads it, and begins nothing.
    is_unread: AtomicBool,
}

/// All runs.
#[derive(Debug)]
pub(super) struct Jobs {
    program: Arc<Program>,
    shared: Mutex<HashMap<JobCommand, Arc<Job>>>,
    turns: Arc<Semaphore>,
}

impl Jobs {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program: Arc::new(program),
            shared: Mutex::default(),
            turns: Arc::new(Semaphore::new(MAX_RUNS)),
        }
    }

    /// A run of its own.
    pub(super) fn start(&self, command: JobCommand, origin: AuditOrigin) -> Arc<Job> {
        let stop = CancellationToken::new();
        let (sender, seen) = watch::channel(RunProgress::default());
        let job = Arc::new(Job {
            seen,
            waiting: AtomicUsize::new(1),
            stop: stop.clone(),
            is_unread: AtomicBool::default(),
        });
        let (program, turns) = (self.program.clone(), self.turns.clone());
        tokio::spawn(async move {
            let run = async {
                let _turn = turns.acquire().await.map_err(|e| internal(&e))?;
                program.run(&command, &origin, &sender).await
            };
            let ended = tokio::select! {
                ended = run => Some(Arc::new(ended)),
                // The command ends with the future that waits for it.
                () = stop.cancelled() => None,
            };
            sender.send_modify(|seen| {
                seen.ended_at = ended.is_some().then(Instant::now);
                seen.ended = ended;
            });
        });
        job
    }

    /// Whether a run of this command is on that a call would join.
    pub(super) fn has(&self, command: &JobCommand) -> bool {
        let shared = self.shared.lock();
        shared.is_ok_and(|shared| shared.get(command).is_some_and(|job| job.is_joined()))
    }

    /// The run of this command that is on, or a new one.
    pub(super) fn join(&self, command: JobCommand, origin: AuditOrigin) -> Arc<Job> {
        let Ok(mut shared) = self.shared.lock() else {
            return self.start(command, origin);
        };
        shared.retain(|_, job| job.is_joined());
        if let Some(job) = shared.get(&command) {
            job.waiting.fetch_add(1, Ordering::SeqCst);
            return job.clone();
        }
        let job = self.start(command.clone(), origin);
        shared.insert(command, job.clone());
        job
    }
}

impl Job {
    /// The same call joins it: it runs, or somebody still waits for how it has just ended.
    fn is_joined(&self) -> bool {
        let ended = self.seen.borrow().ended_at;
        let is_recent = ended.is_some_and(|ended| ended.elapsed() < UNREAD);
        !self.has_ended() || self.is_unread.load(Ordering::SeqCst) && is_recent
    }

    fn has_ended(&self) -> bool {
        // A run that was stopped sends nothing more.
        self.seen.borrow().ended.is_some()
            || self.stop.is_cancelled()
            || self.seen.has_changed().is_err()
    }

    /// One call has read how it ended.
    pub(super) fn read(&self) {
        self.is_unread.store(false, Ordering::SeqCst);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// One call waits no longer, and the work goes on.
    pub(super) fn leave(&self) {
        self.is_unread.store(true, Ordering::SeqCst);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// One call was cancelled: with the last of them the command ends.
    pub(super) fn give_up(&self) {
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.cancel();
        }
    }
}

impl Program {
    async fn run(
        &self,
        command: &JobCommand,
        origin: &AuditOrigin,
        seen: &watch::Sender<RunProgress>,
    ) -> Result<RunEnd> {
        // The command itself records what it does, and for whom.
        let origin = serde_json::to_string(origin).map_err(|e| internal(&e))?;
        let JobCommand { args, input } = command;
        let mut cmd = Cmd::devk(&self.path)
            .args(args.iter().take(1))
            .args(&self.options)
            .args(args.iter().skip(1))
            .dir(&self.folder)
            .env("PWD", &self.folder)
            .env(ORIGIN, origin)
            .keep(MAX_OUTPUT_BYTES);
        if let Some(input) = input {
            cmd = cmd.input(input);
        }
        let answer = cmd.answer(|line| tell(line, seen)).await?;
        Ok(RunEnd {
            code: answer.status.code(),
            stdout: answer.output.stdout,
            stderr: answer.output.stderr,
        })
    }
}

/// Takes an event for what the run does now.
fn tell(line: &str, seen: &watch::Sender<RunProgress>) {
    if let Some((step, status, detail)) = event(line) {
        seen.send_modify(|seen| {
            seen.steps += 1;
            seen.message = format!("{step} {status}: {detail}");
        });
    }
}

fn event(line: &str) -> Option<(String, String, String)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("step")?, text("status")?, text("detail")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditChannel;

    /// A program that does as its first argument says.
    fn jobs(script: &str) -> (tempfile::TempDir, Jobs) {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = dir.path().to_owned();
        let options = vec!["--profile=demo".to_owned()];
        (
            dir,
            Jobs::new(Program {
                path,
                folder,
                options,
            }),
        )
    }

    fn agent() -> AuditOrigin {
        AuditOrigin::new(AuditChannel::Mcp)
    }

    async fn ended(job: &Job) -> Arc<Result<RunEnd>> {
        let mut seen = job.seen.clone();
        let seen = seen.wait_for(|seen| seen.ended.is_some()).await.unwrap();
        seen.ended.clone().unwrap()
    }

    fn command(words: &[&str]) -> JobCommand {
        JobCommand {
            args: words.iter().map(|word| (*word).to_owned()).collect(),
            input: None,
        }
    }

    #[tokio::test]
    async fn options_of_the_project_stand_before_words_that_may_look_like_options() {
        let (_dir, jobs) = jobs("echo \"$@\"; pwd; exit 3");
        let ended = ended(&jobs.start(command(&["sh", "api", "--", "ls"]), agent())).await;
        let ended = ended.as_ref().as_ref().unwrap();
        let mut lines = ended.stdout.lines();
        assert_eq!(lines.next().unwrap(), "sh --profile=demo api -- ls");
        assert_eq!(ended.code, Some(3));
    }

    #[tokio::test]
    async fn a_cancelled_call_ends_its_program_and_a_second_one_keeps_it() {
        let (dir, jobs) = jobs("echo $$ >pid; echo x >>started; exec sleep 60");
        let (first, second) = (
            jobs.join(command(&["up"]), agent()),
            jobs.join(command(&["up"]), agent()),
        );
        let pid = || std::fs::read_to_string(dir.path().join("pid")).unwrap_or_default();
        let since = Instant::now();
        while pid().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let process = PathBuf::from(format!("/proc/{}", pid().trim()));
        first.give_up();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(process.exists());
        second.give_up();
        while process.exists() {
            assert!(since.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let started = std::fs::read_to_string(dir.path().join("started")).unwrap();
        assert_eq!(started, "x\n");
        // What was stopped is not joined.
        let third = jobs.join(command(&["up"]), agent());
        assert!(!Arc::ptr_eq(&second, &third));
        third.give_up();
    }

    #[tokio::test]
    async fn a_command_is_told_that_an_agent_asked_for_it() {
        let (_dir, jobs) = jobs("echo \"$DEVK_AUDIT_ORIGIN\"");
        let ended = ended(&jobs.start(command(&["up"]), agent())).await;
        let ended = ended.as_ref().as_ref().unwrap();
        assert_eq!(ended.stdout, "{\"through\":\"mcp\"}\n");
    }

    #[tokio::test]
    async fn events_tell_what_a_run_does() {
        let event = r#"{"step":"image.build/api","status":"started","detail":"d","ms":1}"#;
        let (_dir, jobs) = jobs(&format!("echo '{event}'; echo no event"));
        let job = jobs.start(command(&["up"]), agent());
        ended(&job).await;
        let seen = job.seen.borrow().clone();
        assert_eq!(
            (seen.steps, seen.message.as_str()),
            (1, "image.build/api started: d")
        );
    }
}
