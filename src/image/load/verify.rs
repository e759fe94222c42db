//! Whether what a node has is what Docker has. Importers have reported success for images that never came
//! or came changed.

use bollard::models::ImageInspect;
use serde::Deserialize;

use super::layers::diff_ids;
use super::node::{Images, Node};
use crate::error::{Code, Error, Result};

/// A manifest, an index or an image configuration: the fields that tell which image it is.
#[derive(Debug, Default, Deserialize)]
struct Blob {
    config: Option<serde_json::Value>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    rootfs: Option<RootFs>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl Blob {
    /// The digest of the configuration that a manifest names.
    fn config_digest(&self) -> Option<&str> {
        self.config.as_ref()?.get("digest")?.as_str()
    }
}

/// The node has the image under its name, with Docker's content, and the kubelet can use it. `images` is
/// what the node has listed after the import.
///
/// # Errors
/// [`Code::ImageLoad`] saying which of that is not so.
pub(super) async fn arrived(node: Node<'_>, name: &str, images: Images, image: &ImageInspect) -> Result<()> {
    let listed = node.noticed(name, images).await?;
    if is_same(node, &listed.digest, image).await? { Ok(()) } else { Err(changed(node, name, &listed.digest, image)) }
}

/// The node has something else under that name than Docker has.
pub(super) fn changed(node: Node<'_>, name: &str, digest: &str, image: &ImageInspect) -> Error {
    let id = image.id.as_deref().unwrap_or_default();
    Error::new(Code::ImageLoad, "what arrived is not what Docker has")
        .evidence(format!("Docker: {id}\nnode: {digest}"))
        .hint(node.ctr(["images", "rm", name]).pasteable())
}

/// Docker's image ID is the digest of the configuration (graph drivers), or of the manifest or index
/// (containerd store). An import may keep only one manifest of an index, and then the layers tell.
async fn is_same(node: Node<'_>, target: &str, image: &ImageInspect) -> Result<bool> {
    let id = image.id.as_deref().unwrap_or_default();
    if target == id {
        return Ok(true);
    }
    let top = blob(node, target).await?.unwrap_or_default();
    let mut manifests = vec![];
    for descriptor in &top.manifests {
        if descriptor.digest == id {
            return Ok(true);
        }
        // Platforms that were not pulled are named in an index and not there.
        manifests.extend(blob(node, &descriptor.digest).await?);
    }
    manifests.push(top);
    if manifests.iter().any(|manifest| manifest.config_digest() == Some(id)) {
        return Ok(true);
    }
    let containerd_store = image.descriptor.is_some();
    Ok(containerd_store && any_has_layers(node, &manifests, image).await?)
}

async fn any_has_layers(node: Node<'_>, manifests: &[Blob], image: &ImageInspect) -> Result<bool> {
    let expected = diff_ids(image);
    for digest in manifests.iter().filter_map(Blob::config_digest) {
        let config = blob(node, digest).await?.unwrap_or_default();
        if config.rootfs.is_some_and(|fs| !expected.is_empty() && fs.diff_ids == expected) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// None if the node has no such blob.
async fn blob(node: Node<'_>, digest: &str) -> Result<Option<Blob>> {
    let output = node.ctr(["content", "get", digest]).output(node.docker).await?;
    Ok(if output.code == 0 { serde_json::from_slice(&output.stdout).ok() } else { None })
}
