//! Compares the image in a node with the image in Docker. Importers have reported success for images that never arrived
//! or arrived changed.

use bollard::models::ImageInspect;
use serde::Deserialize;

use super::layers::diff_ids;
use super::node::{Images, NodeContainer};
use crate::error::{Code, Error, Result};

/// The fields of a manifest, an index or an image configuration that identify the image.
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
/// [`Code::ImageLoad`] saying which of that is not so; then the node has no image of that name.
pub(super) async fn arrived(
    node: NodeContainer<'_>,
    name: &str,
    images: Images,
    image: &ImageInspect,
) -> Result<()> {
    trusted(node, name, same(node, name, images, image).await).await
}

async fn same(
    node: NodeContainer<'_>,
    name: &str,
    images: Images,
    image: &ImageInspect,
) -> Result<()> {
    let listed = node.noticed(name, images).await?;
    if is_same(node, &listed.digest, image).await? {
        return Ok(());
    }
    Err(changed(&listed.digest, image).hint("devk up    # loads it again"))
}

/// Takes the name of what was not found to be right from the node: the next `up` only asks whether the name is there.
///
/// # Errors
/// That of `verified`.
pub(super) async fn trusted(
    node: NodeContainer<'_>,
    name: &str,
    verified: Result<()>,
) -> Result<()> {
    let Err(error) = verified else { return Ok(()) };
    let remove = node.ctr(["images", "rm", name]);
    Err(match remove.run(node.docker).await {
        Ok(_) => error,
        Err(cause) => error
            .evidence(format!("it stays in the node: {}", cause.message))
            .hint(remove.pasteable()),
    })
}

/// The node has something else under that name than Docker has.
pub(super) fn changed(digest: &str, image: &ImageInspect) -> Error {
    let id = image.id.as_deref().unwrap_or_default();
    Error::new(Code::ImageLoad, "what arrived is not what Docker has")
        .evidence(format!("Docker: {id}\nnode: {digest}"))
}

/// Docker's image ID is the digest of the configuration (graph drivers), or of the manifest or index
/// (containerd store). An import may keep only one manifest of an index, and then the layers tell.
async fn is_same(node: NodeContainer<'_>, target: &str, image: &ImageInspect) -> Result<bool> {
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
    if manifests
        .iter()
        .any(|manifest| manifest.config_digest() == Some(id))
    {
        return Ok(true);
    }
    let containerd_store = image.descriptor.is_some();
    Ok(containerd_store && any_has_layers(node, &manifests, image).await?)
}

async fn any_has_layers(
    node: NodeContainer<'_>,
    manifests: &[Blob],
    image: &ImageInspect,
) -> Result<bool> {
    let expected = diff_ids(image);
    for digest in manifests.iter().filter_map(Blob::config_digest) {
        let config = blob(node, digest).await?.unwrap_or_default();
        if config
            .rootfs
            .is_some_and(|fs| !expected.is_empty() && fs.diff_ids == expected)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// None if the node has no such blob.
async fn blob(node: NodeContainer<'_>, digest: &str) -> Result<Option<Blob>> {
    let output = node
        .ctr(["content", "get", digest])
        .output(node.docker)
        .await?;
    Ok(if output.code == 0 {
        serde_json::from_slice(&output.stdout).ok()
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::node::Listed;
    use super::*;
    use crate::docker::fake::Containers;

    /// What becomes of an image that arrived as `sha256:b`, and the commands that the node ran last.
    async fn arrive(docker_has: &str, rm: i64) -> (Result<()>, Vec<String>) {
        let node = Containers::start(move |command| match command.contains(" images rm ") {
            true => (String::new(), rm),
            false => ("{}".to_owned(), 0),
        });
        let node = node.await;
        let image = ImageInspect {
            id: Some(docker_has.to_owned()),
            ..ImageInspect::default()
        };
        let listed = BTreeMap::from([(
            "x:1".to_owned(),
            Listed {
                digest: "sha256:b".to_owned(),
                noticed: true,
            },
        )]);
        let result = arrived(
            NodeContainer {
                docker: &node.docker,
                container: "n",
            },
            "x:1",
            listed,
            &image,
        )
        .await;
        (
            result,
            node.ran()
                .into_iter()
                .filter(|command| !command.contains(" content get "))
                .collect(),
        )
    }

    #[tokio::test]
    async fn what_arrived_changed_loses_its_name_in_the_node() {
        let (result, ran) = arrive("sha256:a", 0).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::ImageLoad, "what arrived is not what Docker has")
        );
        assert_eq!(
            ran,
            ["ctr --namespace=k8s.io images rm x:1"],
            "else the next `up` would find it and be content"
        );
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_removed_is_left_to_the_user() {
        let (result, _) = arrive("sha256:a", 1).await;
        assert_eq!(
            result.unwrap_err().hint.as_deref(),
            Some("docker exec n ctr --namespace=k8s.io images rm x:1")
        );
    }

    #[tokio::test]
    async fn what_arrived_as_it_was_keeps_its_name() {
        let (result, ran) = arrive("sha256:b", 0).await;
        assert!(result.is_ok() && ran.is_empty(), "{ran:?}");
    }
}
