//! Images: content hash → reference, build through the Docker API, load into every node.

pub mod dockerignore;

/// An image that devk builds: unique by content, so a changed image is a changed reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// The name in devk.yaml.
    pub name: String,
    /// `devk.local/<project>/<name>`: a registry that does not exist, so nothing can be pulled by mistake.
    pub repository: String,
    /// The first 16 hexadecimal digits of the content hash.
    pub tag: String,
}

impl ImageRef {
    /// `repository:tag`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}
