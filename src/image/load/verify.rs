//! Compares the image in a node with the image in Docker. Importers have reported success for images that never arrived
//! or arrived changed, and whoever builds an image may give it the name of the one before.

use std::collections::BTreeMap;

use bollard::models::ImageInspect;
use serde::Deserialize;

use super::layers::diff_ids;
use super::node::{Images, NodeContainer};
use crate::error::{Code, Error, Result};

/// The label that Compose gives the images that it builds.
const BUILT_BY_COMPOSE: &str = "com.docker.compose.service";

/// What a node has under the name of an image that Docker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnNode {
    Nothing,
    Same,
    /// Another build, or another version of the registry's.
    Other,
}

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

/// Compares by content what a node has under `name`. `images` is what it lists: names and digests.
///
/// # Errors
/// [`Code::CommandFailed`] if `ctr` fails in the node.
pub(super) async fn compared(
    node: NodeContainer<'_>,
    name: &str,
    images: &BTreeMap<String, String>,
    image: &ImageInspect,
) -> Result<OnNode> {
    let Some(digest) = images.get(name) else {
        return Ok(OnNode::Nothing);
    };
    // The kubelet's side of containerd gives every image its ID as a name, too.
    let of_id = image.id.as_ref().and_then(|id| images.get(id));
    let is_same = of_id == Some(digest)
        || has_pulled(name, digest, images) && is_of_registry(image)
        || is_same(node, digest, image).await?;
    Ok(match is_same {
        true => OnNode::Same,
        false => OnNode::Other,
    })
}

/// Whether the node has the image from a registry: the kubelet keeps such a one by its digest as well.
fn has_pulled(name: &str, digest: &str, images: &BTreeMap<String, String>) -> bool {
    let repository = name.rsplit_once(':').map_or(name, |(before, _)| before);
    images.contains_key(&format!("{repository}@{digest}"))
}

/// Whether Docker has the image from a registry, or has brought it there. The registry decides then which is newer.
fn is_of_registry(image: &ImageInspect) -> bool {
    let labels = image
        .config
        .as_ref()
        .and_then(|config| config.labels.as_ref());
    let is_composes = labels.is_some_and(|labels| labels.contains_key(BUILT_BY_COMPOSE));
    let digests = image.repo_digests.as_ref();
    digests.is_some_and(|digests| !digests.is_empty()) && !is_composes
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

    /// What the node has under `docker.io/library/web:dev`, as it lists `images`, beside what Docker has of that ID.
    async fn compare(images: &[(&str, &str)], id: &str, repo_digests: &[&str]) -> OnNode {
        let node = Containers::start(|command| match command.ends_with("get sha256:m1") {
            true => (r#"{"config": {"digest": "sha256:c1"}}"#.to_owned(), 0),
            false => (String::new(), 1),
        });
        let node = node.await;
        let images = images
            .iter()
            .map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned()));
        let image = ImageInspect {
            id: Some(id.to_owned()),
            repo_digests: Some(repo_digests.iter().map(ToString::to_string).collect()),
            ..ImageInspect::default()
        };
        let node = NodeContainer {
            docker: &node.docker,
            container: "n",
        };
        let name = "docker.io/library/web:dev";
        compared(node, name, &images.collect(), &image)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_image_that_was_built_anew_under_its_name_is_another() {
        let name = "docker.io/library/web:dev";
        assert_eq!(compare(&[], "sha256:c1", &[]).await, OnNode::Nothing);
        let listed = [(name, "sha256:m1")];
        assert_eq!(compare(&listed, "sha256:m1", &[]).await, OnNode::Same);
        assert_eq!(compare(&listed, "sha256:c1", &[]).await, OnNode::Same);
        assert_eq!(compare(&listed, "sha256:c2", &[]).await, OnNode::Other);
        let with_id = [(name, "sha256:m3"), ("sha256:c3", "sha256:m3")];
        assert_eq!(compare(&with_id, "sha256:c3", &[]).await, OnNode::Same);
    }

    #[tokio::test]
    async fn what_both_have_from_the_registry_is_left_to_the_registry() {
        let pulled = [
            ("docker.io/library/web:dev", "sha256:m1"),
            ("docker.io/library/web@sha256:m1", "sha256:m1"),
        ];
        let digests = ["web@sha256:m2"];
        assert_eq!(compare(&pulled, "sha256:c2", &digests).await, OnNode::Same);
        assert_eq!(compare(&pulled, "sha256:c2", &[]).await, OnNode::Other);
        let brought = &pulled[..1];
        assert_eq!(compare(brought, "sha256:c2", &digests).await, OnNode::Other);
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
