//! `devk sh`: a shell, or a command, in a running container.

use std::io::{IsTerminal, Read};

use futures::{Sink, SinkExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess, TerminalSize};
use kube::{Client, ResourceExt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::service::{near, selector};
use super::{Context, pinned};
use crate::error::{Code, Error, Errors, Exit, Result, internal};
use crate::release::project_pods::ProjectPods;

/// The annotation that names the container to use (Kubernetes, "Well-Known Labels, Annotations and Taints").
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// So many bytes are carried at once.
const BUFFER_BYTES: usize = 16 << 10;
/// The shell that people like, if the image has it.
const SHELL: [&str; 3] = [
    "sh",
    "-c",
    "command -v bash >/dev/null && exec bash; exec sh",
];

/// Runs a command, or a shell, in the newest running pod that the name selects. On a terminal the command has a
/// terminal. Its exit code is devk's.
///
/// # Errors
/// [`Code::ServiceUnknown`], [`Code::ClusterUnreachable`].
pub async fn run(
    context: &Context,
    service: &str,
    container: Option<&str>,
    command: &[String],
) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let access = pinned(context, &project).await?;
    let client = &access.client;
    let selected = selector(client, &project, service).await?;
    let of_project = ProjectPods::of(client, &project.id).await?;
    let pods = of_project.list(client, Some(&selected)).await?;
    let pod = newest_running(&pods).ok_or_else(|| not_running(service))?;
    let container = match container {
        Some(name) => named(pod, name)?,
        None => usual(pod),
    };
    let command: Vec<&str> = match command {
        [] => SHELL.to_vec(),
        words => words.iter().map(String::as_str).collect(),
    };
    Ok(exec(client, pod, &container, &command).await?)
}

fn newest_running(pods: &[Pod]) -> Option<&Pod> {
    let is_running = |pod: &&Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    };
    let running = pods.iter().filter(is_running);
    running.max_by_key(|pod| pod.creation_timestamp().map(|time| time.0))
}

fn not_running(service: &str) -> Error {
    Error::new(
        Code::ServiceUnknown,
        format!("no pod of `{service}` is running"),
    )
    .hint("devk status")
}

fn names(pod: &Pod) -> impl Iterator<Item = &str> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.map(|container| container.name.as_str())
}

fn named(pod: &Pod, name: &str) -> Result<String> {
    if names(pod).any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let message = format!("pod `{}` has no container `{name}`", pod.name_any());
    Err(Error::new(Code::ServiceUnknown, message).hint(near(name, &names(pod).collect())))
}

/// The container that the pod names for this, else its first.
fn usual(pod: &Pod) -> String {
    let chosen = pod.annotations().get(DEFAULT_CONTAINER).cloned();
    chosen
        .or_else(|| names(pod).next().map(str::to_owned))
        .unwrap_or_default()
}

async fn exec(client: &Client, pod: &Pod, container: &str, command: &[&str]) -> Result<Exit> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let attach = match is_terminal {
        true => AttachParams::interactive_tty(),
        false => AttachParams::default().stdin(true),
    };
    let started = api
        .exec(
            &pod.name_any(),
            command.iter().copied(),
            &attach.container(container),
        )
        .await;
    let mut process = started.map_err(|e| not_started(&e.to_string()))?;
    let _raw = match is_terminal {
        true => Some(RawTerminal::enter()?),
        false => None,
    };
    converse(&mut process, is_terminal).await
}

fn not_started(why: &str) -> Error {
    Error::new(
        Code::ClusterUnreachable,
        format!("the command was not started: {why}"),
    )
    .hint("devk status")
}

/// Carries bytes both ways until the command ends.
async fn converse(process: &mut AttachedProcess, is_terminal: bool) -> Result<Exit> {
    let status = process.take_status();
    let input = carry_input(process.stdin());
    let resizing = resize(process.terminal_size().filter(|_| is_terminal));
    let output = carry(process.stdout(), tokio::io::stdout());
    let errors = carry(process.stderr(), tokio::io::stderr());
    let ended = async {
        tokio::join!(output, errors);
        match status {
            Some(status) => status.await,
            None => None,
        }
    };
    // The command may end before its input does.
    let to_it = async {
        tokio::join!(input, resizing);
        std::future::pending().await
    };
    let status = tokio::select! {
        status = ended => status,
        status = to_it => status,
    };
    exit(status.unwrap_or_default())
}

/// The API server's word for how the command ended.
fn exit(status: Status) -> Result<Exit> {
    if status.status.as_deref() == Some("Success") {
        return Ok(Exit::Ok);
    }
    let details = status.details.unwrap_or_default();
    let mut causes = details.causes.into_iter().flatten();
    let code = causes.find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    match code.and_then(|cause| cause.message?.parse().ok()) {
        Some(code) => Ok(Exit::OfCommand(code)),
        None => Err(not_started(&status.message.unwrap_or_default())),
    }
}

async fn carry(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    let mut bytes = vec![0; BUFFER_BYTES];
    // The end of either side is the end.
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..count]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Reads in a thread of its own: what waits for a key must not keep devk from ending.
async fn carry_input(to: Option<impl AsyncWrite + Unpin>) {
    let Some(mut to) = to else { return };
    let (sender, mut read) = mpsc::channel::<Vec<u8>>(1);
    std::thread::spawn(move || {
        let mut bytes = vec![0; BUFFER_BYTES];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut bytes) {
            if sender.blocking_send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    while let Some(bytes) = read.recv().await {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // A command that has ended takes no end of its input.
    let _ = to.shutdown().await;
}

/// Tells the size of this terminal, and each change of it.
async fn resize(to: Option<impl Sink<TerminalSize> + Unpin>) {
    let (Some(mut to), Ok(mut changes)) = (to, signal(SignalKind::window_change())) else {
        return;
    };
    loop {
        let (height, width) = console::Term::stdout().size();
        if to.send(TerminalSize { width, height }).await.is_err() || changes.recv().await.is_none()
        {
            return;
        }
    }
}

/// The terminal hands every key on as it is, until this is dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Result<Self> {
        let failed = |e: rustix::io::Errno| internal(&std::io::Error::from(e));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_command() {
        let status = |status| exit(serde_json::from_value(status).unwrap());
        assert_eq!(status(json!({"status": "Success"})).unwrap(), Exit::Ok);
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(status(failed).unwrap().number(), 3);
        let missing =
            json!({"status": "Failure", "message": "exec: \"zsh\": executable file not found"});
        assert!(status(missing).unwrap_err().message.contains("zsh"));
    }

    #[test]
    fn the_container_is_the_one_that_the_pod_names() {
        let pod = |annotations| -> Pod {
            let pod = json!({"metadata": {"name": "p", "annotations": annotations},
                "spec": {"containers": [{"name": "web"}, {"name": "proxy"}]}});
            serde_json::from_value(pod).unwrap()
        };
        assert_eq!(usual(&pod(json!({}))), "web");
        assert_eq!(usual(&pod(json!({DEFAULT_CONTAINER: "proxy"}))), "proxy");
        let error = named(&pod(json!({})), "prox").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `proxy`?"));
    }
}
