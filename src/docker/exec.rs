//! Commands in containers, through the Engine's exec API.
//!
//! Invariant: nothing here waits for a process that is gone. A process that dies before it has read
//! its input leaves the writer hanging for ever, so the writer always runs beside the output.

use std::pin::{Pin, pin};
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::request_failed;
use crate::error::{Code, Error, Result};
use crate::log_lines::last_lines;
use crate::process::Cmd;

/// Evidence keeps this many of the last lines a failing command printed.
const MAX_EVIDENCE_LINES: usize = 30;

/// The Engine marks an exec as ended a moment after its output closes.
const EXIT_CODE_INTERVAL: Duration = Duration::from_millis(20);
const EXIT_CODE_TIMEOUT: Duration = Duration::from_secs(10);

/// A command to be run in a container.
#[derive(Debug, Clone)]
pub struct Exec {
    container: String,
    command: Vec<String>,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: i64,
}

impl ExecOutput {
    /// Standard output as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Exec {
    pub fn new<S: Into<String>>(container: &str, command: impl IntoIterator<Item = S>) -> Self {
        Self {
            container: container.to_owned(),
            command: command.into_iter().map(Into::into).collect(),
        }
    }

    /// Runs to the end; any exit code but 0 is an error.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] with the pasteable `docker exec` line and the last lines of its output,
    /// [`Code::DockerRequest`] if the Engine refuses.
    pub async fn run(&self, docker: &Docker) -> Result<ExecOutput> {
        let output = self.output(docker).await?;
        self.succeeded(output)
    }

    /// Runs to the end, whatever the exit code.
    ///
    /// # Errors
    /// [`Code::DockerRequest`] if the Engine refuses.
    pub async fn output(&self, docker: &Docker) -> Result<ExecOutput> {
        self.converse(docker, None::<futures::stream::Empty<Result<Bytes>>>)
            .await
    }

    /// Like [`Exec::run`], with `input` as standard input, closed at its end.
    ///
    /// # Errors
    /// As [`Exec::run`]; an error of `input` itself comes back as it is, whatever the command made of the part
    /// it got.
    pub async fn run_with_input(
        &self,
        docker: &Docker,
        input: impl Stream<Item = Result<Bytes>> + Send,
    ) -> Result<ExecOutput> {
        let output = self.converse(docker, Some(input)).await?;
        self.succeeded(output)
    }

    /// The command as it can be pasted into a shell.
    pub fn pasteable(&self) -> String {
        Cmd::new("docker")
            .arg("exec")
            .arg(&self.container)
            .args(&self.command)
            .pasteable()
    }

    fn succeeded(&self, output: ExecOutput) -> Result<ExecOutput> {
        match output.code {
            0 => Ok(output),
            code => Err(self.failed(format!("ended with exit code {code}"), &output)),
        }
    }

    fn failed(&self, how: String, output: &ExecOutput) -> Error {
        let program = self.command.first().map_or("", String::as_str);
        Error::new(
            Code::CommandFailed,
            format!("`{program}` in container `{}` {how}", self.container),
        )
        .evidence(format!("$ {}", self.pasteable()))
        .evidence(last_lines(
            &String::from_utf8_lossy(&output.stdout),
            MAX_EVIDENCE_LINES,
        ))
        .evidence(last_lines(
            &String::from_utf8_lossy(&output.stderr),
            MAX_EVIDENCE_LINES,
        ))
    }

    async fn converse<S>(&self, docker: &Docker, input: Option<S>) -> Result<ExecOutput>
    where
        S: Stream<Item = Result<Bytes>> + Send,
    {
        let refused = |e| self.refused(&e);
        let Attached { id, output, stdin } = self.start(docker, input.is_some()).await?;
        let mut collected = ExecOutput {
            stdout: Vec::new(),
            stderr: Vec::new(),
            code: 0,
        };
        exchange(input, stdin, collect(output, &mut collected))
            .await?
            .map_err(refused)?;
        collected.code = self.exit_code(docker, &id).await?;
        Ok(collected)
    }

    /// Starts the command; the caller handles input and output. Its standard input closes when the answer's
    /// `stdin` is dropped or shut down.
    ///
    /// # Errors
    /// [`Code::DockerRequest`] if the Engine refuses.
    pub async fn attach(&self, docker: &Docker) -> Result<Attached> {
        self.start(docker, true).await
    }

    async fn start(&self, docker: &Docker, with_input: bool) -> Result<Attached> {
        let refused = |e| self.refused(&e);
        let id = docker
            .create_exec(&self.container, self.config(with_input))
            .await
            .map_err(refused)?
            .id;
        let options = StartExecOptions {
            output_capacity: Some(64 * 1024),
            ..Default::default()
        };
        match docker
            .start_exec(&id, Some(options))
            .await
            .map_err(refused)?
        {
            StartExecResults::Attached {
                output,
                input: stdin,
            } => Ok(Attached { id, output, stdin }),
            StartExecResults::Detached => Err(Error::new(
                Code::DockerRequest,
                format!("the Engine detached from `{}`", self.pasteable()),
            )),
        }
    }

    fn refused(&self, error: &bollard::errors::Error) -> Error {
        request_failed(&format!("cannot run `{}`", self.pasteable()), error)
    }

    fn config(&self, stdin: bool) -> ExecConfig {
        ExecConfig {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(self.command.clone()),
            ..Default::default()
        }
    }

    async fn exit_code(&self, docker: &Docker, id: &str) -> Result<i64> {
        let ended = async {
            loop {
                let state = docker.inspect_exec(id).await;
                let state = state
                    .map_err(|e| request_failed(&format!("lost `{}`", self.pasteable()), &e))?;
                match state.exit_code {
                    Some(code) if state.running != Some(true) => return Ok(code),
                    _ => tokio::time::sleep(EXIT_CODE_INTERVAL).await,
                }
            }
        };
        tokio::time::timeout(EXIT_CODE_TIMEOUT, ended)
            .await
            .unwrap_or_else(|_| {
                let message = format!("`{}` closed its output and did not end", self.pasteable());
                Err(Error::new(Code::CommandFailed, message))
            })
    }
}

/// A running command.
pub struct Attached {
    id: String,
    /// The output of the command, as it is printed; ends with the command.
    pub output: Pin<Box<dyn Stream<Item = EngineResult<LogOutput>> + Send>>,
    pub stdin: Stdin,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Standard input of a command in a container.
pub(super) type Stdin = Pin<Box<dyn AsyncWrite + Send>>;
type EngineResult<T> = Result<T, bollard::errors::Error>;

/// Feeds and drains at once. The output decides when it is over: a command may end without reading
/// all of its input, and its exit code says whether that was well.
async fn exchange<S>(
    input: Option<S>,
    stdin: Stdin,
    draining: impl Future<Output = EngineResult<()>>,
) -> Result<EngineResult<()>>
where
    S: Stream<Item = Result<Bytes>> + Send,
{
    let feeding = async move {
        match input {
            Some(input) => feed(input, stdin).await,
            None => {
                let _held_open = stdin;
                futures::future::pending().await
            }
        }
    };
    let mut feeding = pin!(feeding);
    let mut draining = pin!(draining);
    tokio::select! {
        drained = &mut draining => Ok(drained),
        fed = &mut feeding => {
            fed?;
            Ok(draining.await)
        }
    }
}

/// Writes all of `input`, then closes the command's standard input. An `Err` is the input's own; a
/// pipe that broke is no error here, for the exit code tells why.
async fn feed(input: impl Stream<Item = Result<Bytes>>, mut stdin: Stdin) -> Result<()> {
    let mut input = pin!(input);
    while let Some(chunk) = input.next().await {
        if stdin.write_all(&chunk?).await.is_err() {
            return Ok(());
        }
    }
    let _ = stdin.shutdown().await;
    Ok(())
}

async fn collect(
    mut output: impl Stream<Item = EngineResult<LogOutput>> + Unpin,
    into: &mut ExecOutput,
) -> EngineResult<()> {
    while let Some(chunk) = output.next().await {
        match chunk? {
            LogOutput::StdErr { message } => into.stderr.extend_from_slice(&message),
            other => into.stdout.extend_from_slice(&other.into_bytes()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(count: usize) -> impl Stream<Item = Result<Bytes>> + Send {
        futures::stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[7; 4096]))))
    }

    fn failing() -> impl Stream<Item = Result<Bytes>> + Send {
        futures::stream::iter([
            Ok(Bytes::from_static(b"half")),
            Err(Error::new(Code::ImageLoad, "the source broke")),
        ])
    }

    #[tokio::test]
    async fn a_process_that_dies_early_does_not_leave_the_writer_hanging() {
        // Nobody ever reads the other end: a pipe of 64 bytes takes no 4 KiB chunk.
        let (stdin, _unread) = tokio::io::duplex(64);
        let dies = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(())
        };
        exchange(Some(chunks(1000)), Box::pin(stdin), dies)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_input_that_fails_ends_the_exchange_with_its_own_error() {
        let (stdin, _other) = tokio::io::duplex(64);
        let waits_for_ever = futures::future::pending();
        let error = exchange(Some(failing()), Box::pin(stdin), waits_for_ever)
            .await
            .unwrap_err();
        assert_eq!(error.message, "the source broke");
    }

    #[tokio::test]
    async fn the_whole_input_arrives_and_is_then_closed() {
        use tokio::io::AsyncReadExt;
        let (stdin, mut other) = tokio::io::duplex(64);
        let mut seen = Vec::new();
        let reads_to_the_end = async {
            other.read_to_end(&mut seen).await.unwrap();
            Ok(())
        };
        exchange(Some(chunks(10)), Box::pin(stdin), reads_to_the_end)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen, [7; 40960]);
    }

    #[test]
    fn a_command_can_be_pasted() {
        let exec = Exec::new("devk-control-plane", ["sh", "-c", "echo a b"]);
        assert_eq!(
            exec.pasteable(),
            "docker exec devk-control-plane sh -c 'echo a b'"
        );
    }
}
