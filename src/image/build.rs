//! Builds with the Engine's own BuildKit, through its API. Dropping the future aborts the build: the
//! Engine cancels when the connection closes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{BuildInfo, BuildInfoAux, ImageInspect};
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::context::{dockerfile_in_tar, read_dockerfile};
use super::trace::{BuildTrace, line_of};
use super::upload::{UploadState, upload};
use super::{ImageRef, PROJECT_LABEL, USER_LABEL, own_user};
use crate::config::ImageConfig;
use crate::docker::{Credentials, Engine, credentials, is_not_found, request_failed};
use crate::error::{Code, Error, Result};
use crate::hex;
use crate::log_lines::last_lines;
use crate::ui::event::Step;

/// Progress is shown at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Messages that may wait to be looked at.
const MAX_QUEUED_MESSAGES: usize = 64;

/// Evidence keeps this many of the last lines of a builder that is not BuildKit.
const MAX_EVIDENCE_LINES: usize = 30;

/// Builds `image` and tags it as `target`; returns the ID that the Engine gave it.
///
/// Base images are pulled with what `docker login` has kept. `args` are the build arguments with every `${…}` resolved,
/// the same that `target` was hashed with.
///
/// # Errors
/// [`Code::ImageBuild`] naming the failing instruction, with its last lines and its place in the
/// Dockerfile; [`Code::ImageContext`] or [`Code::ImageChanged`] if the context broke off while it
/// was sent, in which case nothing is tagged.
pub async fn build(
    engine: &Engine,
    project_id: &str,
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    target: &ImageRef,
    step: &Step,
) -> Result<String> {
    let (body, state) = upload(image, args, &target.tag).split();
    let options = options(project_id, image, args, target)?;
    let credentials = logins(engine, image, args, step).await;
    let messages = messages(engine.docker.clone(), options, credentials, body)?;
    let mut run = Run {
        image,
        state,
        step,
        trace: BuildTrace::default(),
        classic: String::new(),
        unshown: None,
    };
    run.follow(messages).await?;
    let id = present(&engine.docker, &target.reference()).await?;
    id.ok_or_else(|| {
        Error::new(
            Code::ImageBuild,
            format!(
                "`{}` was built and the Engine does not have it",
                target.reference()
            ),
        )
        .hint(format!("docker image inspect {}", target.reference()))
    })
}

/// The credentials for the registries that the Dockerfile or an argument names.
async fn logins(
    engine: &Engine,
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    step: &Step,
) -> Credentials {
    // One that cannot be read ends the build by itself.
    let dockerfile = read_dockerfile(image).unwrap_or_default();
    let text = args
        .values()
        .fold(dockerfile, |text, value| text + "\n" + value);
    let (credentials, problems) = credentials(&engine.environment, &text).await;
    problems
        .into_iter()
        .for_each(|problem| step.trouble(problem));
    credentials
}

/// The ID of an image that the Engine has.
///
/// # Errors
/// [`Code::DockerRequest`] if the Engine refuses.
pub async fn present(docker: &Docker, reference: &str) -> Result<Option<String>> {
    let image = inspect(docker, reference).await?;
    Ok(image.and_then(|image| image.id))
}

/// An image that the Engine has.
pub(super) async fn inspect(docker: &Docker, reference: &str) -> Result<Option<ImageInspect>> {
    match docker.inspect_image(reference).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(request_failed(
            &format!("cannot inspect the image `{reference}`"),
            &error,
        )),
    }
}

fn options(
    project_id: &str,
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    target: &ImageRef,
) -> Result<BuildImageOptions> {
    let user = own_user();
    let labels = [
        (PROJECT_LABEL, project_id),
        ("dev.devk.image", image.name.as_str()),
        (USER_LABEL, &user),
    ];
    let labels = HashMap::from(labels);
    let args: HashMap<&str, &str> = args.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let options = BuildImageOptionsBuilder::default()
        .dockerfile(&dockerfile_in_tar(image).to_string_lossy())
        .t(&target.reference())
        .buildargs(&args)
        .labels(&labels)
        .rm(true)
        .version(BuilderVersion::BuilderBuildKit)
        .session(&session_id()?);
    let options = match &image.target {
        Some(stage) => options.target(stage),
        None => options,
    };
    Ok(match &image.platform {
        Some(platform) => options.platform(platform),
        None => options,
    }
    .build())
}

/// The Engine's messages, until the build ends or the stream is dropped.
///
/// bollard leaves its side of the build's session, a task and a connection, running for ever. On a
/// runtime of its own it ends with that.
fn messages(
    docker: Docker,
    options: BuildImageOptions,
    credentials: Credentials,
    body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<impl Stream<Item = Result<BuildInfo, bollard::errors::Error>>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|e| Error::new(Code::ImageBuild, format!("cannot start a build: {e}")))?;
    let (to, mut from) = mpsc::channel(MAX_QUEUED_MESSAGES);
    tokio::task::spawn_blocking(move || {
        let forward = async {
            let body = bollard::body_try_stream(body);
            let mut messages = pin!(docker.build_image(options, Some(credentials), Some(body)));
            while let Some(message) = messages.next().await {
                if to.send(message).await.is_err() {
                    break;
                }
            }
        };
        runtime.block_on(async {
            tokio::select! { () = forward => {}, () = to.closed() => {} }
        });
    });
    Ok(futures::stream::poll_fn(move |context| {
        from.poll_recv(context)
    }))
}

/// BuildKit tells builds apart by this ID.
fn session_id() -> Result<String> {
    hex::random::<16>().map_err(|e| {
        Error::new(
            Code::ImageBuild,
            format!("the system gives no random bytes: {e}"),
        )
    })
}

/// One build under way.
struct Run<'a> {
    image: &'a ImageConfig,
    state: UploadState,
    step: &'a Step,
    trace: BuildTrace,
    /// The output of a builder that is not BuildKit (Podman's).
    classic: String,
    /// The messages since the last tick: the last one is shown at the next tick.
    unshown: Option<String>,
}

impl Run<'_> {
    async fn follow(
        &mut self,
        messages: impl Stream<Item = Result<BuildInfo, bollard::errors::Error>>,
    ) -> Result<()> {
        let mut messages = pin!(messages);
        let mut tick = tokio::time::interval(PROGRESS_INTERVAL);
        let mut sending = true;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => {
                        sending = false;
                        self.take(&message);
                    }
                    Some(Err(error)) => return Err(self.failure(&error)),
                    None => break,
                },
                _ = tick.tick() => self.show(sending),
            }
        }
        self.state.failure().map_or(Ok(()), Err)
    }

    fn take(&mut self, message: &BuildInfo) {
        let detail = match &message.aux {
            Some(BuildInfoAux::BuildKit(status)) => self.trace.absorb(status),
            _ => message.stream.clone(),
        };
        if let Some(text) = &message.stream {
            self.classic.push_str(text);
        }
        self.unshown = detail
            .filter(|detail| !detail.trim().is_empty())
            .or(self.unshown.take());
    }

    fn show(&mut self, sending: bool) {
        if sending {
            self.step.progress(format!(
                "sending the build context: {}",
                megabytes(self.state.sent())
            ));
        } else if let Some(detail) = self.unshown.take() {
            self.step.progress(detail.trim());
        }
    }

    fn failure(&mut self, cause: &bollard::errors::Error) -> Error {
        if let Some(error) = self.state.failure() {
            return error;
        }
        let dockerfile = std::fs::read_to_string(&self.image.dockerfile).unwrap_or_default();
        let said = match cause {
            bollard::errors::Error::DockerStreamError { error } => error.clone(),
            bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
            _ => {
                return request_failed(
                    &format!("the build of `{}` broke off", self.image.name),
                    cause,
                );
            }
        };
        explain(
            &self.image.name,
            &self.image.dockerfile,
            &dockerfile,
            &self.trace,
            &said,
        )
        .evidence(last_lines(&self.classic, MAX_EVIDENCE_LINES))
    }
}

/// The error for a build that BuildKit ended, `said` being its own words.
fn explain(image: &str, file: &Path, dockerfile: &str, trace: &BuildTrace, said: &str) -> Error {
    let short = said.rsplit("failed to solve: ").next().unwrap_or(said);
    let short = short
        .rsplit("failed to solve with frontend gateway.v0: ")
        .next()
        .unwrap_or(short);
    let (message, line) = match trace.failed() {
        Some(failed) => (
            format!("`{}` failed", failed.name),
            line_of(&failed.name, dockerfile),
        ),
        None => (short.to_owned(), parse_error_line(said)),
    };
    let printed = trace.last_lines().join("\n");
    let hint = hint(said, &printed);
    Error::new(
        Code::ImageBuild,
        format!("image `{image}` did not build: {message}"),
    )
    .evidence(printed)
    .evidence(short)
    .at(file, line)
    .hint(hint)
}

/// `dockerfile parse error line 3: …` or `… on line 3: …`.
fn parse_error_line(said: &str) -> Option<u32> {
    let after = said.split_once("parse error")?.1.split_once("line ")?.1;
    after
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// What programs print that ask for a name or an address in vain: of busybox, curl, pip and npm, apt, Go.
const NO_NETWORK: [&str; 6] = [
    "bad address",
    "could not resolve",
    "name resolution",
    "getaddrinfo",
    "network is unreachable",
    "no such host",
];

/// A registry's words for an image that is not for everybody, or not there: many say the same of both.
const REFUSED: [&str; 4] = [
    "401 Unauthorized",
    "403 Forbidden",
    "pull access denied",
    "authorization failed",
];

/// `said` is BuildKit's message, `printed` the last output of the failing instruction.
fn hint(said: &str, printed: &str) -> &'static str {
    let printed = printed.to_lowercase();
    if said.contains("no active session") || said.contains("buildkit not supported") {
        "devk needs an Engine with BuildKit (Docker 20.10 or newer, not Podman)"
    } else if REFUSED.iter().any(|words| said.contains(words)) {
        "`docker login` to the registry of the image that it names: it is refused, or there is no such image"
    } else if said.contains("failed to resolve source metadata")
        || said.contains("failed to do request")
    {
        "`docker pull` the image that it names: it is missing here, and its registry does not give it"
    } else if said.contains("context not found") {
        "the Dockerfile frontend is too new for this Engine: update Docker, or pin `# syntax=docker/dockerfile:1.12`"
    } else if said.contains("no space left on device")
        || printed.contains("no space left on device")
    {
        "docker system df, then docker builder prune"
    } else if said.contains("exit code: 137") {
        "it was killed (SIGKILL), as what needs more memory than there is: docker stats --no-stream shows who has it"
    } else if NO_NETWORK.iter().any(|words| printed.contains(words)) {
        "builds have no network, or no name server or proxy: docker run --rm busybox wget -O- http://example.com"
    } else {
        "correct the Dockerfile or what it copies, then run `devk up` again"
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_its_registry_refuses_wants_a_login() {
        let said = "failed to solve: ghcr.io/a/b:1: failed to resolve source metadata for ghcr.io/a/b:1: failed to \
                    authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
        assert!(hint(said, "").starts_with("`docker login`"));
        let missing = "failed to solve: a:1: failed to resolve source metadata for docker.io/library/a:1: not found";
        assert!(hint(missing, "").starts_with("`docker pull`"));
    }
}
