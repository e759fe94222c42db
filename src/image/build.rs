//! Builds with the Engine's own BuildKit, through its API. Dropping the future aborts the build: the
//! Engine cancels when the connection closes.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{BuildInfo, BuildInfoAux, ImageInspect};
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use futures::{Stream, StreamExt};

use super::context::{dockerfile_in_tar, read_dockerfile};
use super::explain::explain;
use super::messages::BuildCall;
use super::secrets::BuildAccess;
use super::trace::BuildTrace;
use super::upload::{UploadState, upload};
use super::{ImageRef, PROJECT_LABEL, USER_LABEL, own_user};
use crate::config::ImageConfig;
use crate::docker::{Credentials, Engine, credentials, is_not_found, request_failed};
use crate::environment::Environment;
use crate::error::{Code, Error, Result, internal};
use crate::log_lines::last_lines;
use crate::ui::event::Step;

/// Progress is shown at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

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
    let access = access(image, &engine.environment).await?;
    let request = BuildRequest {
        engine,
        project_id,
        image,
        args,
        target,
        step,
        access,
        credentials: logins(engine, image, args, step).await,
    };
    let built = match request.send().await {
        Err(BuildFailure::Cut(error)) => {
            step.progress(format!("{}; the build is asked for again", error.message));
            request.send().await
        }
        built => built,
    };
    if let Err(BuildFailure::Told(error) | BuildFailure::Cut(error)) = built {
        return Err(error);
    }
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

/// How a build did not end well.
enum BuildFailure {
    /// The builder or the Engine says why, or the context does.
    Told(Error),
    /// The answer broke off, so that nothing is known of the build.
    Cut(Error),
}

impl From<Error> for BuildFailure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// A build as the Engine is asked for it. One whose answer broke off is asked for once more: Engines 20.10 were seen to end
/// the answer in the midst of a message although the build went on, and what is built by then comes from the builder's cache.
struct BuildRequest<'a> {
    engine: &'a Engine,
    project_id: &'a str,
    image: &'a ImageConfig,
    args: &'a BTreeMap<String, String>,
    target: &'a ImageRef,
    step: &'a Step,
    access: Arc<BuildAccess>,
    credentials: Credentials,
}

impl BuildRequest<'_> {
    async fn send(&self) -> Result<(), BuildFailure> {
        let (image, args) = (self.image, self.args);
        let (body, state) = upload(image, args, &self.target.tag).split();
        let call = BuildCall {
            engine: self.engine.clone(),
            options: options(self.project_id, image, args, self.target),
            credentials: self.credentials.clone(),
            access: Arc::clone(&self.access),
        };
        let messages = call.messages(body)?;
        let mut run = Run {
            image,
            state,
            step: self.step,
            access: &self.access,
            trace: BuildTrace::default(),
            classic: String::new(),
            unshown: None,
        };
        run.follow(messages).await
    }
}

/// What the build may use beside its context, as it is now.
async fn access(image: &ImageConfig, environment: &Environment) -> Result<Arc<BuildAccess>> {
    let (image, environment) = (image.clone(), environment.clone());
    let read = tokio::task::spawn_blocking(move || BuildAccess::read(&image, &environment));
    let (access, problems) = read.await.map_err(|panic| internal(&panic))?;
    match problems.into_iter().next() {
        // The others were told with it before the build, unless it went just now.
        Some(problem) => Err(problem),
        None => Ok(Arc::new(access)),
    }
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
///
/// # Errors
/// As [`present`].
pub async fn inspect(docker: &Docker, reference: &str) -> Result<Option<ImageInspect>> {
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
) -> BuildImageOptions {
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
        .rm(true);
    let options = match &image.target {
        Some(stage) => options.target(stage),
        None => options,
    };
    match &image.platform {
        Some(platform) => options.platform(platform),
        None => options,
    }
    .build()
}

/// One build under way.
struct Run<'a> {
    image: &'a ImageConfig,
    state: UploadState,
    step: &'a Step,
    access: &'a BuildAccess,
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
    ) -> Result<(), BuildFailure> {
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
        self.state
            .failure()
            .map_or(Ok(()), |error| Err(error.into()))
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

    fn failure(&mut self, cause: &bollard::errors::Error) -> BuildFailure {
        if let Some(error) = self.state.failure() {
            return error.into();
        }
        let dockerfile = std::fs::read_to_string(&self.image.dockerfile).unwrap_or_default();
        let said = match cause {
            bollard::errors::Error::DockerStreamError { error } => error.clone(),
            bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
            _ => {
                let what = format!("the build of `{}` broke off", self.image.name);
                return BuildFailure::Cut(request_failed(&what, cause));
            }
        };
        let error = explain(self.image, &dockerfile, &self.trace, &said);
        let mut error = error.evidence(last_lines(&self.classic, MAX_EVIDENCE_LINES));
        for shown in &mut error.evidence {
            *shown = self.access.hide(shown);
        }
        error.into()
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::io;

    use bollard::errors::Error as DockerError;
    use futures::stream;

    use super::super::content_hash;
    use super::*;
    use crate::config::{Origin, Sync};
    use crate::ui::event::Reporter;

    #[tokio::test]
    async fn an_answer_that_breaks_off_says_nothing_of_the_build_and_words_of_the_builder_do() {
        let context = tempfile::tempdir().unwrap();
        let dockerfile = context.path().join("Dockerfile");
        std::fs::write(&dockerfile, "FROM scratch\n").unwrap();
        let image = ImageConfig {
            name: "api".to_owned(),
            context: context.path().to_owned(),
            dockerfile,
            target: None,
            platform: None,
            args: BTreeMap::new(),
            replaces: vec![],
            secrets: vec![],
            ssh: vec![],
            sync: Sync::Auto,
            origin: Origin {
                file: "devk.yaml".into(),
                line: 1,
            },
        };
        let step = Reporter::default().start("image.build/api", "");
        // The context itself is sent whole.
        let tag = content_hash(&image, &image.args).unwrap().tag;
        let end_of = async |error: DockerError| {
            let (_body, state) = upload(&image, &image.args, &tag).split();
            let mut run = Run {
                image: &image,
                state,
                step: &step,
                access: &BuildAccess::default(),
                trace: BuildTrace::default(),
                classic: String::new(),
                unshown: None,
            };
            let messages = [Ok(BuildInfo::default()), Err(error)];
            run.follow(stream::iter(messages)).await
        };
        let cut = io::Error::other("bytes remaining on stream");
        let cut = end_of(DockerError::IOError { err: cut }).await;
        assert!(
            matches!(&cut, Err(BuildFailure::Cut(error)) if error.message.contains("broke off")),
        );
        let error = "failed to solve: process \"false\" did not complete".to_owned();
        let told = end_of(DockerError::DockerStreamError { error }).await;
        assert!(matches!(told, Err(BuildFailure::Told(error)) if error.code == Code::ImageBuild));
    }
}
