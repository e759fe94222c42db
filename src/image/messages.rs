//! The Engine's messages of a build, and the session that the build has beside its request.
//!
//! A build that may use neither secrets nor agents has the session of bollard's. Any other build has devk's own
//! ([`BuildSession`]), and its request leaves out bollard's.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bollard::BollardRequest;
use bollard::errors::Error as DockerError;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::Uri;
use tokio::sync::mpsc;

use super::build_session::BuildSession;
use super::secrets::BuildAccess;
use crate::docker::{Credentials, Engine};
use crate::error::{Code, Error, Result};
use crate::hex;

/// Messages that may wait to be looked at.
const MAX_QUEUED_MESSAGES: usize = 64;

type Message = Result<BuildInfo, DockerError>;

/// A build's request, and what is answered while it runs.
pub(super) struct BuildCall {
    pub(super) engine: Engine,
    /// Without a session.
    pub(super) options: BuildImageOptions,
    pub(super) credentials: Credentials,
    pub(super) access: Arc<BuildAccess>,
}

impl BuildCall {
    /// The messages, until the build ends or the stream is dropped.
    ///
    /// bollard leaves its side of the build's session, a task and a connection, running for ever. On a
    /// runtime of its own it ends with that.
    pub(super) fn messages(
        self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<impl Stream<Item = Message>> {
        let id = session_id()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|e| Error::new(Code::ImageBuild, format!("cannot start a build: {e}")))?;
        let (to, mut from) = mpsc::channel(MAX_QUEUED_MESSAGES);
        tokio::task::spawn_blocking(move || {
            let forward = async {
                match self.access.is_empty() {
                    true => self.with_bollards_session(id, body, &to).await,
                    false => self.with_own_session(id, body, &to).await,
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

    async fn with_bollards_session(
        self,
        id: String,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        to: &mpsc::Sender<Message>,
    ) {
        let options = BuildImageOptions {
            version: BuilderVersion::BuilderBuildKit,
            session: Some(id),
            ..self.options
        };
        let body = bollard::body_try_stream(body);
        let messages = self
            .engine
            .docker
            .build_image(options, Some(self.credentials), Some(body));
        pass_on(messages, to).await;
    }

    async fn with_own_session(
        self,
        id: String,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        to: &mpsc::Sender<Message>,
    ) {
        let Self {
            engine,
            options,
            credentials,
            access,
        } = self;
        let session = match BuildSession::open(&engine, &id, access, credentials).await {
            Ok(session) => session,
            Err(error) => {
                let err = io::Error::other(error.to_string());
                // Nobody listens any more to a build that was given up.
                let _ = to.send(Err(DockerError::IOError { err })).await;
                return;
            }
        };
        let options = BuildImageOptions {
            version: BuilderVersion::BuilderV1,
            session: Some(id),
            ..options
        };
        let docker = engine.docker.with_request_modifier(for_buildkit);
        let body = bollard::body_try_stream(body);
        let build = pass_on(docker.build_image(options, None, Some(body)), to);
        // A build whose session ends before it says so itself.
        let serve = async {
            session.serve().await;
            std::future::pending().await
        };
        tokio::select! { () = build => {}, () = serve => {} }
    }
}

async fn pass_on(messages: impl Stream<Item = Message>, to: &mpsc::Sender<Message>) {
    let mut messages = pin!(messages);
    while let Some(message) = messages.next().await {
        if to.send(message).await.is_err() {
            break;
        }
    }
}

/// The request of a build, for BuildKit. Where bollard is asked for BuildKit it opens a session under the same ID beside
/// the request, and the Engine would take either; its other request has this one parameter different.
fn for_buildkit(mut request: BollardRequest) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let changed = parts.path_and_query.as_ref().and_then(|path| {
        let path = path.as_str().replace("&version=1", "&version=2");
        path.parse().ok()
    });
    parts.path_and_query = changed.or(parts.path_and_query);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_builder_of_a_request_changes() {
        let of = |uri: &str| {
            let body = bollard::body_full(Bytes::new());
            let mut request = BollardRequest::new(body);
            *request.uri_mut() = uri.parse().unwrap();
            for_buildkit(request).uri().to_string()
        };
        let build = "unix://2f76/v1.41/build?t=a&buildargs=%7B%22version%22%3A%221%22%7D&version=1&session=x";
        assert_eq!(of(build), build.replace("&version=1", "&version=2"));
        let other = "unix://2f76/v1.41/images/json?all=1";
        assert_eq!(of(other), other);
    }
}
