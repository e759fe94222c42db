//! The one door for subprocesses.
//!
//! Invariants: a child sees an allow-listed environment only (one stray `HELM_KUBEAPISERVER` sends
//! helm to another server in spite of `--kubeconfig`), unless it is devk itself; a failure carries the command in a form that
//! can be pasted into a shell, and its output; secrets are handed over in files, never in arguments.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;

use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::log_lines::last_lines;
use crate::shell::quote;

use lines::read_lines;

mod command_lines;
mod guarded;
mod lines;

pub use command_lines::command_lines;
pub use guarded::guard;

/// Environment variables a child may inherit. Everything else is dropped, `KUBECONFIG`, `KUBE*` and
/// `HELM_*` above all.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "DOCKER_CONFIG",
    "SYSTEMROOT",
    "APPDATA",
    "LOCALAPPDATA",
    "USERPROFILE",
];

/// Evidence keeps this many of the last lines a failing program printed.
const MAX_EVIDENCE_LINES: usize = 30;

/// How many bytes a program may print into a pipe that is not read any more before the program blocks: as many as
/// Linux lets anybody have (pipe(7)).
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// The output of a program.
#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

/// How a program ended, well or not.
#[derive(Debug)]
pub struct Answer {
    pub status: ExitStatus,
    pub output: Output,
}

/// A subprocess to be.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: PathBuf,
    /// The source of the allowed variables; None: this process's environment.
    inherited: Option<Environment>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Option<String>,
    outlives: bool,
    /// The child sees all variables of this process.
    unfiltered: bool,
    /// Of each output stream so many bytes are kept.
    kept_bytes: usize,
}

impl Cmd {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let args = Vec::new();
        let env = Vec::new();
        Self {
            program: program.into(),
            inherited: None,
            args,
            env,
            dir: None,
            input: None,
            outlives: false,
            unfiltered: false,
            kept_bytes: usize::MAX,
        }
    }

    /// devk's own program, with the whole environment of this process: it reads Compose's variables there, and filters
    /// by itself what its children see. No error shows these variables.
    pub fn devk(program: impl Into<PathBuf>) -> Self {
        Self {
            unfiltered: true,
            ..Self::new(program)
        }
    }

    /// Keeps only so many bytes of stdout and of stderr, from their beginning; what follows is read and dropped. A line
    /// is handed over in pieces of at most that size.
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.kept_bytes = bytes;
        self
    }

    /// The allowed variables are those of `environment`, not this process's.
    #[must_use]
    pub fn inherit(mut self, environment: &Environment) -> Self {
        self.inherited = Some(environment.clone());
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        pairs
            .into_iter()
            .fold(self, |cmd, (key, value)| cmd.env(key, value))
    }

    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What the program reads from its standard input: a line or two, which a pipe holds.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// If this process is killed, the program runs on to its own end. Otherwise the next line that it prints would end
    /// the program, perhaps while its own child processes still run.
    #[must_use]
    pub fn outlives(mut self) -> Self {
        self.outlives = true;
        self
    }

    /// The command as it can be pasted into a shell.
    pub fn pasteable(&self) -> String {
        let env = self
            .env
            .iter()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), quote(v)));
        let words =
            std::iter::once(quote(self.program.as_os_str())).chain(self.args.iter().map(quote));
        env.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs to the end. Dropping the future kills the child.
    ///
    /// # Errors
    /// [`Code::ToolMissing`] if the program is not there, [`Code::CommandNotRun`] with the pasteable command if the
    /// system does not run it to its end, [`Code::CommandFailed`] with that and the last lines of its output if it
    /// ends with anything but 0, [`Code::CommandKilled`] with the same if a signal ends it.
    pub async fn run(&self) -> Result<Output> {
        self.run_watched(|_| {}).await
    }

    /// Like [`Cmd::run`], and hands every line of stderr to `line` as it comes.
    ///
    /// # Errors
    /// As [`Cmd::run`].
    pub async fn run_watched(&self, line: impl FnMut(&str)) -> Result<Output> {
        let answer = self.converse(|_| {}, line).await?;
        if answer.status.success() {
            Ok(answer.output)
        } else {
            Err(self.failed(&answer))
        }
    }

    /// Runs to the end, whatever that is, and hands every line of stdout to `line` as it comes.
    ///
    /// # Errors
    /// [`Code::ToolMissing`] and [`Code::CommandNotRun`] as [`Cmd::run`].
    pub async fn answer(&self, line: impl FnMut(&str)) -> Result<Answer> {
        self.converse(line, |_| {}).await
    }

    async fn converse(
        &self,
        mut out: impl FnMut(&str),
        mut err: impl FnMut(&str),
    ) -> Result<Answer> {
        let not_started = |e: std::io::Error| self.not_started(&e);
        let mut command = self.command();
        let kept = if self.outlives {
            kept_pipes(&mut command).map_err(not_started)?
        } else {
            None
        };
        let mut child = command.spawn().map_err(not_started)?;
        // The command holds the writing ends too, so reading would never end.
        drop(command);
        if let (Some(input), Some(mut stdin)) = (&self.input, child.stdin.take()) {
            // A program that does not read its input fails by itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let (stdout, stderr, status) = match kept {
            Some((stdout, stderr)) => {
                tokio::join!(
                    read_lines(Some(stdout), self.kept_bytes, &mut out),
                    read_lines(Some(stderr), self.kept_bytes, &mut err),
                    child.wait()
                )
            }
            None => {
                let stdout = child.stdout.take();
                let stderr = child.stderr.take();
                tokio::join!(
                    read_lines(stdout, self.kept_bytes, &mut out),
                    read_lines(stderr, self.kept_bytes, &mut err),
                    child.wait()
                )
            }
        };
        let status = status.map_err(|e| self.not_run("wait for", &e))?;
        Ok(Answer {
            status,
            output: Output { stdout, stderr },
        })
    }

    /// The error of a program that ended like this: [`Code::CommandKilled`] if it was not by itself.
    pub fn failed(&self, Answer { status, output }: &Answer) -> Error {
        let name = self
            .program
            .file_name()
            .unwrap_or(self.program.as_os_str())
            .to_string_lossy();
        let error = match status.code() {
            Some(_) => Error::new(Code::CommandFailed, format!("`{name}` failed: {status}")),
            None => Error::new(
                Code::CommandKilled,
                format!("`{name}` was killed: {status}"),
            )
            .hint("run the command again"),
        };
        error
            .evidence(format!("$ {}", self.pasteable()))
            .evidence(last_lines(&output.stdout, MAX_EVIDENCE_LINES))
            .evidence(last_lines(&output.stderr, MAX_EVIDENCE_LINES))
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).kill_on_drop(true);
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let inherited = |key: &&str| match &self.inherited {
            Some(environment) => environment.get(key).map(OsString::from),
            None => std::env::var_os(key),
        };
        if !self.unfiltered {
            let allowed = ALLOWED
                .iter()
                .filter_map(|key| inherited(key).map(|value| (*key, value)));
            command.env_clear().envs(allowed);
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn not_started(&self, cause: &std::io::Error) -> Error {
        match &self.dir {
            // The system does not say which of the two was not found.
            Some(dir) if !dir.is_dir() => self.not_run("start", cause).hint(format!(
                "it is to run in `{}`, which is no folder",
                dir.display()
            )),
            _ if cause.kind() == ErrorKind::NotFound => {
                Error::new(Code::ToolMissing, self.cannot("start", cause)).hint(format!(
                    "install `{}` and run the command again",
                    self.program.display()
                ))
            }
            _ => self.not_run("start", cause),
        }
    }

    fn not_run(&self, what: &str, cause: &std::io::Error) -> Error {
        Error::new(Code::CommandNotRun, self.cannot(what, cause))
            .evidence(format!("$ {}", self.pasteable()))
    }

    fn cannot(&self, what: &str, cause: &std::io::Error) -> String {
        format!("cannot {what} `{}`: {cause}", self.program.display())
    }
}

/// Lets the child write its standard output and error into pipes whose reading ends it holds itself, too: they
/// are never broken, whoever dies.
#[cfg(unix)]
fn kept_pipes(command: &mut tokio::process::Command) -> std::io::Result<Option<(Kept, Kept)>> {
    let kept = || {
        let (reader, writer) = std::io::pipe()?;
        rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty())?;
        // Smaller ones do the same until they are full, which few programs' output makes them.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&reader, PIPE_BYTES);
        Kept::from_owned_fd(reader.into()).map(|reader| (reader, writer))
    };
    let ((stdout, out), (stderr, err)) = (kept()?, kept()?);
    command.stdout(out).stderr(err);
    Ok(Some((stdout, stderr)))
}

#[cfg(unix)]
type Kept = tokio::net::unix::pipe::Receiver;

#[cfg(not(unix))]
fn kept_pipes(
    _: &mut tokio::process::Command,
) -> std::io::Result<Option<(tokio::io::Empty, tokio::io::Empty)>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let cmd = Cmd::new("helm")
            .arg("template")
            .arg("it's")
            .arg("")
            .env("A", "b c");
        assert_eq!(cmd.pasteable(), r#"A='b c' helm template "it's" ''"#);
    }

    #[tokio::test]
    async fn a_failure_carries_command_and_output() {
        let error = Cmd::new("sh")
            .args(["-c", "echo out; echo err >&2; exit 3"])
            .run()
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::CommandFailed);
        assert_eq!(
            error.evidence,
            ["$ sh -c 'echo out; echo err >&2; exit 3'", "out", "err"]
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_was_killed_has_not_failed() {
        let error = Cmd::new("sh")
            .args(["-c", "kill -9 $$"])
            .run()
            .await
            .unwrap_err();
        assert_eq!(
            (error.code, error.hint.as_deref()),
            (Code::CommandKilled, Some("run the command again"))
        );
        assert!(
            error.message.starts_with("`sh` was killed: signal: 9"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn only_a_program_that_is_not_there_is_to_be_installed() {
        let dir = tempfile::tempdir().unwrap();
        let code = |cmd: Cmd| async move { cmd.run().await.unwrap_err().code };
        assert_eq!(
            code(Cmd::new("/nowhere/helm").dir(dir.path())).await,
            Code::ToolMissing
        );
        assert_eq!(code(Cmd::new("no-such-program")).await, Code::ToolMissing);
        // A folder is there, and cannot be run.
        assert_eq!(code(Cmd::new(dir.path())).await, Code::CommandNotRun);
        let error = Cmd::new("sh")
            .args(["-c", "true"])
            .dir(dir.path().join("gone"))
            .run()
            .await
            .unwrap_err();
        assert_eq!(
            (error.code, error.evidence),
            (Code::CommandNotRun, vec!["$ sh -c true".to_owned()])
        );
        assert!(error.hint.unwrap().contains("gone"));
    }

    #[tokio::test]
    async fn a_program_that_fails_has_answered_all_the_same() {
        let mut lines = vec![];
        let cmd = Cmd::new("sh").args(["-c", "echo a; echo b; exit 7"]);
        let answer = cmd
            .answer(|line| lines.push(line.to_owned()))
            .await
            .unwrap();
        assert_eq!(
            (answer.status.code(), lines),
            (Some(7), vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[tokio::test]
    async fn a_program_reads_what_it_is_given_to_its_end() {
        assert_eq!(
            Cmd::new("cat").input("a\nb").run().await.unwrap().stdout,
            "a\nb"
        );
        assert_eq!(Cmd::new("cat").run().await.unwrap().stdout, "");
    }

    /// Runs a script to its end as if devk had been killed at once: nobody reads on, nobody waits.
    #[cfg(unix)]
    async fn ends_alone(script: &str) {
        let dir = tempfile::tempdir().unwrap();
        let end = dir.path().join("end");
        let cmd = Cmd::new("sh")
            .args(["-c", &format!("{script}; touch \"$0\"")])
            .arg(&end)
            .outlives();
        let mut command = cmd.command();
        command.kill_on_drop(false);
        let pipes = kept_pipes(&mut command).unwrap();
        let child = command.spawn().unwrap();
        drop((pipes, command, child));
        tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while !end.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_outlives_devk_prints_on() {
        ends_alone("echo first; echo first >&2; sleep 0.2; echo second; echo second >&2").await;
        let output = Cmd::new("sh")
            .args(["-c", "echo read; echo too >&2"])
            .outlives()
            .run()
            .await
            .unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("read\n", "too\n")
        );
    }

    /// As much as minikube prints while it downloads for an hour.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_program_that_outlives_devk_is_not_held_up_by_a_full_pipe() {
        ends_alone("head -c 900000 /dev/zero").await;
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_command_line() {
        let mut child = Cmd::new("sleep").arg("4711").command().spawn().unwrap();
        assert!(
            command_lines()
                .await
                .iter()
                .any(|line| line.trim_end() == "sleep 4711")
        );
        child.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_child_sees_only_the_allowed_environment() {
        let output = Cmd::new("env").env("EXTRA", "1").run().await.unwrap();
        let foreign = output
            .stdout
            .lines()
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| *k != "EXTRA" && !ALLOWED.contains(k));
        assert_eq!(foreign, None);
        assert!(output.stdout.contains("EXTRA=1"));
    }

    #[tokio::test]
    async fn devk_itself_sees_the_whole_environment_and_no_error_shows_it() {
        let cmd = Cmd::devk("/usr/bin/env");
        let output = cmd.run().await.unwrap();
        for (name, value) in std::env::vars() {
            assert!(output.stdout.contains(&format!("{name}={value}")), "{name}");
        }
        assert_eq!(cmd.pasteable(), "/usr/bin/env");
    }

    #[tokio::test]
    async fn output_without_end_takes_no_memory_without_end() {
        let script = "head -c 3000000 /dev/zero; echo; echo end";
        let mut longest = 0;
        let cmd = Cmd::new("sh").args(["-c", script]).keep(1000);
        let answer = cmd.answer(|line| longest = longest.max(line.len())).await;
        assert_eq!((answer.unwrap().output.stdout.len(), longest), (1000, 1000));
    }

    #[tokio::test]
    async fn a_child_works_in_the_environment_it_is_given() {
        let environment = [("HTTPS_PROXY", "proxy:1"), ("HELM_DRIVER", "sql")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let output = Cmd::new("/usr/bin/env")
            .inherit(&environment.into_iter().collect())
            .run()
            .await
            .unwrap();
        assert_eq!(output.stdout, "HTTPS_PROXY=proxy:1\n");
    }
}
