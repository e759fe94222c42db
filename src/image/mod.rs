//! Images: content hash → reference, build through the Docker API, load into every node.

mod agent;
mod build;
mod build_session;
pub mod context;
pub mod dockerignore;
mod explain;
mod facts;
mod hash;
mod instructions;
mod load;
mod look;
mod messages;
mod reference;
mod registry;
mod remove;
mod same;
mod secrets;
mod trace;
mod upload;

pub use build::{build, inspect, present};
pub use facts::{ImageFacts, ImageHealthcheck, KNOWN_PROGRAMS, exposed_ports, facts};
pub use hash::{Content, ContextManifest, Hashed, ManifestEntry, content_hash, image_ref};
pub use instructions::Instructions;
pub use load::{Loaded, Loader, OnNode, compared, normalise, on_node};
pub use look::{FoundPath, ImageLook, Places, look, remove_looks, triggers};
pub use reference::ReferenceParts;
pub use registry::nowhere;
pub use remove::{
    built, project_images, remove_from_node, remove_project_images, remove_tags, staying,
};
pub use same::SameImages;
pub use secrets::missing_secrets;

/// The registry part of every reference: it does not exist, so nothing can be pulled by mistake.
const REGISTRY: &str = "devk.local";

/// Whether a reference is of an image that devk builds. Such a one is loaded again with small differences; others are
/// loaded once.
pub fn is_built(reference: &str) -> bool {
    reference
        .strip_prefix(REGISTRY)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Says for which project devk made something in Docker.
const PROJECT_LABEL: &str = "dev.devk.project";

/// Says whose devk built an image.
const USER_LABEL: &str = "dev.devk.user";

/// This user, as the value of [`USER_LABEL`].
fn own_user() -> String {
    rustix::process::getuid().as_raw().to_string()
}

/// An image that devk builds: unique by content, so a changed image is a changed reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// The name in devk.yaml.
    pub name: String,
    /// `devk.local/<project>/<name>`.
    pub repository: String,
    /// `h` and the first 16 hexadecimal digits of the content hash.
    pub tag: String,
}

impl ImageRef {
    /// `repository:tag`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

fn repository(project_id: &str, image: &str) -> String {
    format!("{REGISTRY}/{project_id}/{image}")
}
