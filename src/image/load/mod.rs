//! Loads images into nodes: only the missing layers of an image that devk builds, and all layers of other images. In
//! both cases devk asks the node afterwards what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ImageInspect;

use self::delta::{Attempt, Delta};
use self::endpoint::PushListener;
use self::layer_cache::LayerCache;
use self::node::NodeContainer;
use self::progress::total;
use self::warm::CacheWarming;
use crate::docker::{is_not_found, request_failed};
use crate::error::{Code, Error, Result};
use crate::shell::quote;
use crate::ui::event::Step;

mod delta;
mod endpoint;
mod engine;
#[cfg(test)]
mod fake_docker;
mod layer_cache;
mod layers;
mod layout;
mod node;
mod progress;
mod push;
mod reference;
mod stream;
mod verify;
mod warm;

pub(super) use engine::sweep;
pub use reference::normalise;
pub use verify::OnNode;

/// The images a node has: full reference, as containerd names it -> digest of the manifest or index.
///
/// # Errors
/// [`Code::CommandFailed`] if `ctr` fails in the node.
pub async fn on_node(docker: &Docker, node: &str) -> Result<BTreeMap<String, String>> {
    let images = NodeContainer {
        docker,
        container: node,
    }
    .images()
    .await?;
    Ok(images
        .into_iter()
        .map(|(name, image)| (name, image.digest))
        .collect())
}

/// What a node has of an image, which Docker has as `image`; `images` is what [`on_node`] tells. The names of devk's own
/// images, and those with a digest, say what their content is.
///
/// # Errors
/// As [`on_node`].
pub async fn compared(
    docker: &Docker,
    node: &str,
    images: &BTreeMap<String, String>,
    reference: &str,
    image: Option<&ImageInspect>,
) -> Result<OnNode> {
    let name = normalise(reference);
    let image = image.filter(|_| !crate::image::is_built(reference) && !reference.contains('@'));
    let container = NodeContainer {
        docker,
        container: node,
    };
    match image {
        Some(image) => verify::compared(container, &name, images, image).await,
        None if images.contains_key(&name) => Ok(OnNode::Same),
        None => Ok(OnNode::Nothing),
    }
}

/// Removes images from a node by their full references, and what only they kept there.
///
/// # Errors
/// As [`on_node`].
pub(super) async fn remove(
    docker: &Docker,
    node: &str,
    is_gone: impl Fn(&str) -> bool,
) -> Result<()> {
    let node = NodeContainer {
        docker,
        container: node,
    };
    let names = node::names_of(&node.images().await?, is_gone);
    if names.is_empty() {
        Ok(())
    } else {
        node.remove(&names).await
    }
}

/// Loads images into the nodes of one Engine, for as long as a session lasts.
#[derive(Debug)]
pub struct Loader {
    docker: Docker,
    route: Route,
    cache: LayerCache,
    /// Node container -> its snapshotter.
    snapshotters: Mutex<BTreeMap<String, String>>,
    /// Images that were loaded since [`Loader::warm_cache`], each with a node that has it.
    not_warmed: Mutex<BTreeSet<(String, String)>>,
}

/// How images come to the nodes.
#[derive(Debug)]
enum Route {
    /// A delta where it is worth while.
    Delta(PushListener),
    /// The whole image always, and why.
    Stream(&'static str),
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Why all of the image was sent; None for a delta.
    pub in_full: Option<String>,
    /// In bytes.
    pub sent: u64,
    /// The size of the image in bytes, as Docker tells it.
    pub total: u64,
    pub took: Duration,
}

impl fmt::Display for Loaded {
    /// `delta: 5.2 MB of 913 MB in 0.3 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let sent = megabytes(self.sent);
        let total = megabytes(self.total);
        let seconds = self.took.as_secs_f64();
        match &self.in_full {
            None => write!(f, "delta: {sent} of {total} in {seconds:.1} s"),
            Some(why) => write!(f, "stream: {sent} in {seconds:.1} s ({why})"),
        }
    }
}

impl Loader {
    /// A loader for an Engine; `cache` is devk's cache folder.
    ///
    /// # Errors
    /// [`Code::DockerRequest`] if the Engine does not tell where it runs, [`Code::ImageLoad`] if devk cannot
    /// listen.
    pub async fn new(docker: &Docker, cache: &Path) -> Result<Self> {
        let route = match engine::shares_loopback(docker).await? {
            Ok(()) => Route::Delta(PushListener::open().await?),
            Err(why) => Route::Stream(why),
        };
        Ok(Self {
            docker: docker.clone(),
            route,
            cache: LayerCache::in_cache(cache),
            snapshotters: Mutex::default(),
            not_warmed: Mutex::default(),
        })
    }

    /// Loads an image that Docker has into one node and verifies that the node has it under its name,
    /// and with the content that Docker has.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] if Docker lacks the image, the import fails, or something else arrived.
    pub async fn load(&self, node: &str, reference: &str, step: &Step) -> Result<Loaded> {
        let image = self.inspect(reference).await?;
        let loaded = self
            .by_route(node, reference, &image, step)
            .await
            .map_err(|cause| {
                let is_full = cause
                    .evidence
                    .iter()
                    .any(|line| line.contains("no space left on device"));
                let hint = is_full.then(|| {
                    format!(
                        "make room: docker exec {} df -h /var/lib/containerd; docker system df",
                        quote(node)
                    )
                });
                Error {
                    code: Code::ImageLoad,
                    message: format!(
                        "image `{reference}` did not reach the node `{node}`: {}",
                        cause.message
                    ),
                    hint: hint.or(cause.hint),
                    ..cause
                }
            })?;
        if crate::image::is_built(reference) {
            lock(&self.not_warmed).insert((reference.to_owned(), node.to_owned()));
        }
        Ok(loaded)
    }

    async fn by_route(
        &self,
        node: &str,
        reference: &str,
        image: &ImageInspect,
        step: &Step,
    ) -> Result<Loaded> {
        let since = Instant::now();
        let name = normalise(reference);
        let node = NodeContainer {
            docker: &self.docker,
            container: node,
        };
        let snapshotter = self.snapshotter(node).await?;
        let loaded = |in_full, sent| Loaded {
            in_full,
            sent,
            total: total(image),
            took: since.elapsed(),
        };
        let why = match &self.route {
            Route::Stream(why) => (*why).to_owned(),
            Route::Delta(_) if !crate::image::is_built(reference) => {
                "devk did not build it".to_owned()
            }
            Route::Delta(endpoint) => {
                let cache = &self.cache;
                let snapshotter = snapshotter.as_str();
                let name = name.as_str();
                let delta = Delta {
                    endpoint,
                    cache,
                    node,
                    snapshotter,
                    reference,
                    name,
                    image,
                    step,
                };
                match delta.load().await {
                    Ok(Attempt::Loaded(sent)) => return Ok(loaded(None, sent)),
                    Ok(Attempt::Declined(why)) => why.to_owned(),
                    Err(error) => {
                        let why = format!("the delta failed: {}", error.message);
                        step.trouble(error);
                        why
                    }
                }
            }
        };
        let sent = stream::load(node, &snapshotter, (reference, &name), image, step).await?;
        Ok(loaded(Some(why), sent))
    }

    /// Adds the layers of loaded images to the layer cache, so that the next load of a similar image can be a delta;
    /// removes from Docker what an earlier devk left that was killed while it did the same. The call takes as long as
    /// Docker needs to compress the images, and may be dropped at any time.
    ///
    /// # Errors
    /// The first problem; nothing but speed is lost.
    pub async fn warm_cache(&self) -> Result<()> {
        let Route::Delta(endpoint) = &self.route else {
            return Ok(());
        };
        engine::sweep(&self.docker).await;
        let next = || lock(&self.not_warmed).pop_first();
        while let Some((reference, container)) = next() {
            let image = self.inspect(&reference).await?;
            let node = NodeContainer {
                docker: &self.docker,
                container: &container,
            };
            let snapshotter = self.snapshotter(node).await?;
            let cache = &self.cache;
            let snapshotter = snapshotter.as_str();
            let reference = reference.as_str();
            CacheWarming {
                endpoint,
                cache,
                node,
                snapshotter,
                reference,
                image: &image,
            }
            .run()
            .await?;
        }
        Ok(())
    }

    async fn snapshotter(&self, node: NodeContainer<'_>) -> Result<String> {
        if let Some(known) = lock(&self.snapshotters).get(node.container) {
            return Ok(known.clone());
        }
        let found = node.snapshotter().await?;
        lock(&self.snapshotters).insert(node.container.to_owned(), found.clone());
        Ok(found)
    }

    async fn inspect(&self, reference: &str) -> Result<ImageInspect> {
        self.docker.inspect_image(reference).await.map_err(|error| {
            if is_not_found(&error) {
                Error::new(
                    Code::ImageLoad,
                    format!("Docker has no image `{reference}` to load"),
                )
                .hint(format!("docker image inspect {reference}"))
            } else {
                request_failed(&format!("cannot inspect the image `{reference}`"), &error)
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_tells_how_it_was_done() {
        let delta = Loaded {
            in_full: None,
            sent: 5_210_000,
            total: 913_000_000,
            took: Duration::from_millis(312),
        };
        assert_eq!(delta.to_string(), "delta: 5.2 MB of 913.0 MB in 0.3 s");
        let whole = Loaded {
            in_full: Some("devk did not build it".to_owned()),
            sent: 913_000_000,
            ..delta
        };
        assert_eq!(
            whole.to_string(),
            "stream: 913.0 MB in 0.3 s (devk did not build it)"
        );
    }

    #[test]
    fn only_images_of_devks_own_will_change() {
        assert!(crate::image::is_built("devk.local/shop/api:0123"));
        assert!(!crate::image::is_built("devk.localhost/shop/api:0123"));
        assert!(!crate::image::is_built("postgres:16"));
    }
}
