//! Commands of the user's that must leave nothing behind: they end with devk, however devk ends, and with all that they
//! started. Between devk and such a command stands a guard, devk's own program: it holds the reading end of a pipe whose
//! writing end devk holds, and when that closes, it kills the command's process group.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use super::Cmd;
use super::lines::read_lines;
use crate::error::Result;

/// What a shell answers for a program that is not there, or that cannot be run (POSIX, "Exit Status for Commands").
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;
/// A shell answers this number and the signal's for a command that a signal has ended.
const SIGNALLED: i32 = 128;

/// How long the guard may take to end what it guards.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// What has left the command's process group may keep its output open; so long it is read on.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
/// A longer line is handed over in pieces.
const MAX_LINE_BYTES: usize = 64 << 10;

impl Cmd {
    /// Runs a guard ([`guard`]) for at most `patience`, and hands every line of its stdout and stderr to `line` in their
    /// order. None: the time was up, and the command was killed. Dropping the future kills the command, too. In the
    /// command's environment nothing leads helm to another cluster than KUBECONFIG does.
    ///
    /// # Errors
    /// As [`Cmd::answer`].
    pub async fn run_guarded(
        &self,
        patience: Duration,
        mut line: impl FnMut(&str),
    ) -> Result<Option<ExitStatus>> {
        let not_started = |e: std::io::Error| self.not_started(&e);
        let (reader, writer) = std::io::pipe().map_err(not_started)?;
        let mut command = self.command();
        command
            // The guard ends what it guards before it ends itself.
            .kill_on_drop(false)
            // Ctrl-C in a terminal reaches devk alone, which tells the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().map_err(not_started)?)
            .stderr(writer);
        let stray = std::env::vars_os().map(|(name, _)| name);
        stray
            .filter(|name| name.to_string_lossy().starts_with("HELM_KUBE"))
            .for_each(|name| {
                command.env_remove(name);
            });
        let mut child = command.spawn().map_err(not_started)?;
        drop(command);
        let hold = child.stdin.take();
        let output = Receiver::from_owned_fd(reader.into()).map_err(not_started)?;
        let output = read_lines(Some(output), MAX_LINE_BYTES, &mut line);
        tokio::pin!(output);
        let mut is_read = false;
        let ended = {
            let ended = timeout(patience, child.wait());
            tokio::pin!(ended);
            loop {
                tokio::select! {
                    ended = &mut ended => break ended,
                    _ = &mut output, if !is_read => is_read = true,
                }
            }
        };
        let status = match ended {
            Ok(status) => Some(status.map_err(|e| self.not_run("wait for", &e))?),
            Err(_) => {
                drop(hold);
                // What cannot be killed waits for the kernel, and nobody waits for that.
                let _ = timeout(END_TIMEOUT, child.wait()).await;
                None
            }
        };
        if !is_read {
            let _ = timeout(OUTPUT_TIMEOUT, output).await;
        }
        Ok(status)
    }
}

/// Runs a command in a process group of its own until it ends or until standard input closes, and then kills what is
/// left of the group. The answer is the command's exit code, as a shell tells it.
///
/// # Errors
/// Those of the system, when it does not tell of the command's end.
pub fn guard(words: &[String]) -> std::io::Result<u8> {
    let Some((program, args)) = words.split_first() else {
        return Ok(NOT_FOUND);
    };
    let mut command = std::process::Command::new(program);
    command.args(args).process_group(0).stdin(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            // Whoever does not read it has the exit code.
            let _ = writeln!(std::io::stderr(), "cannot start `{program}`: {e}");
            let is_missing = e.kind() == std::io::ErrorKind::NotFound;
            return Ok(if is_missing { NOT_FOUND } else { NOT_RUN });
        }
    };
    let group = Pid::from_child(&child);
    // As long as the child was not waited for, no other process gets its number.
    let is_there = Arc::new(Mutex::new(true));
    let watched = is_there.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let is_there = watched.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_there {
            let _ = kill_process_group(group, Signal::KILL);
        }
    });
    waitid(
        WaitId::Pid(group),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    let mut is_there = is_there.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = kill_process_group(group, Signal::KILL);
    *is_there = false;
    Ok(code(child.wait()?))
}

/// As a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let signalled = status.signal().map(|signal| SIGNALLED + signal);
    let code = status.code().or(signalled).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_by_a_signal_has_a_shells_number() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
