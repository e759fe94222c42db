//! Loading an image into a node: `docker save` streamed into the node's own `ctr import`, then a look
//! at what arrived. Importers have reported success for images that never came or came changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ImageInspect;
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use serde::Deserialize;

use crate::docker::{Exec, is_not_found, request_failed};
use crate::error::{Code, Error, Result};
use crate::ui::event::Step;

/// Progress is shown at most this often.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// containerd's default, and that of kind, k3d and minikube.
const DEFAULT_SNAPSHOTTER: &str = "overlayfs";

/// The images a node has: full reference, as containerd names it -> digest of the manifest or index.
///
/// # Errors
/// [`Code::CommandFailed`] if `ctr` fails in the node.
pub async fn on_node(docker: &Docker, node: &str) -> Result<BTreeMap<String, String>> {
    let listed = ctr(node, ["images", "ls"]).run(docker).await?;
    Ok(parse_list(&listed.text()))
}

/// Loads an image that Docker has into one node and verifies that the node has it under its name,
/// and with the content that Docker has.
///
/// # Errors
/// [`Code::ImageLoad`] if Docker lacks the image, the import fails, or something else arrived.
pub async fn load(docker: &Docker, node: &str, reference: &str, step: &Step) -> Result<()> {
    let in_context = |cause: Error| Error {
        code: Code::ImageLoad,
        message: format!("image `{reference}` did not reach the node `{node}`: {}", cause.message),
        ..cause
    };
    let image = inspect(docker, reference).await?;
    import(docker, node, reference, &image, step).await.map_err(in_context)?;
    verify(docker, node, reference, &image).await.map_err(in_context)
}

/// A reference as containerd names it: `postgres:16` -> `docker.io/library/postgres:16`
/// (distribution/reference's ParseDockerRef: familiar names are Docker Hub's, no tag means `latest`,
/// and a digest displaces the tag).
pub fn normalise(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    let full = with_domain(name);
    digest.map_or_else(|| format!("{full}:{tag}"), |digest| format!("{full}@{digest}"))
}

fn with_domain(name: &str) -> String {
    let is_domain =
        |part: &str| part.contains(['.', ':']) || part == "localhost" || part.chars().any(|c| c.is_ascii_uppercase());
    match name.split_once('/') {
        Some(("docker.io" | "index.docker.io", path)) if !path.contains('/') => format!("docker.io/library/{path}"),
        Some(("index.docker.io", path)) => format!("docker.io/{path}"),
        Some((domain, _)) if is_domain(domain) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

fn ctr<const N: usize>(node: &str, args: [&str; N]) -> Exec {
    Exec::new(node, ["ctr", "--namespace=k8s.io"].into_iter().chain(args))
}

/// Columns: REF TYPE DIGEST SIZE PLATFORMS LABELS.
fn parse_list(text: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        Some((columns.next()?.to_owned(), columns.nth(1)?.to_owned()))
    };
    text.lines().skip(1).filter_map(row).collect()
}

async fn inspect(docker: &Docker, reference: &str) -> Result<ImageInspect> {
    docker.inspect_image(reference).await.map_err(|error| {
        if is_not_found(&error) {
            Error::new(Code::ImageLoad, format!("Docker has no image `{reference}` to load"))
                .hint(format!("docker image inspect {reference}"))
        } else {
            request_failed(&format!("cannot inspect the image `{reference}`"), &error)
        }
    })
}

async fn import(docker: &Docker, node: &str, reference: &str, image: &ImageInspect, step: &Step) -> Result<()> {
    let snapshotter = format!("--snapshotter={}", snapshotter(docker, node).await?);
    let all = ctr(node, ["images", "import", "--all-platforms", "--digests", &snapshotter, "-"]);
    match all.run_with_input(docker, archive(docker, reference, image, step)).await {
        // Docker's containerd store saves the index of a pulled image with the platforms that it
        // never pulled (kind#3795): what it has is the node's own platform.
        Err(error) if lacks_platforms(&error) => {
            let own = ctr(node, ["images", "import", "--digests", &snapshotter, "-"]);
            own.run_with_input(docker, archive(docker, reference, image, step)).await.map(drop)
        }
        result => result.map(drop),
    }
}

fn lacks_platforms(error: &Error) -> bool {
    error.evidence.iter().any(|line| line.contains("content digest") && line.contains("not found"))
}

/// The image as `docker save` writes it, reporting how far it is.
fn archive<'a>(
    docker: &'a Docker,
    reference: &'a str,
    image: &ImageInspect,
    step: &'a Step,
) -> impl Stream<Item = Result<Bytes>> + Send + 'a {
    let total = u64::try_from(image.size.unwrap_or_default()).unwrap_or_default();
    let (mut sent, mut shown) = (0, Instant::now());
    docker
        .export_image(reference)
        .map_err(move |e| request_failed(&format!("cannot read `{reference}` from Docker"), &e))
        .inspect_ok(move |chunk| {
            sent += chunk.len() as u64;
            if shown.elapsed() >= SHOW_EVERY {
                shown = Instant::now();
                step.progress(how_far(sent, total));
            }
        })
}

/// The archive is a little larger than the image: never more than all of it is shown.
fn how_far(sent: u64, total: u64) -> String {
    format!("{} MB of {} MB", sent.min(total) / 1_000_000, total.div_ceil(1_000_000))
}

/// The snapshotter that the node's container runtime uses; another one would unpack in vain.
async fn snapshotter(docker: &Docker, node: &str) -> Result<String> {
    let dump = Exec::new(node, ["containerd", "config", "dump"]).run(docker).await?;
    Ok(parse_snapshotter(&dump.text()).unwrap_or_else(|| DEFAULT_SNAPSHOTTER.to_owned()))
}

/// `snapshotter` stands in `io.containerd.cri.v1.images` since config version 3, before that in
/// `io.containerd.grpc.v1.cri` under `containerd`.
fn parse_snapshotter(config: &str) -> Option<String> {
    let mut section = String::new();
    for line in config.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = header.replace(['\'', '"'], "");
        }
        let ours = ["plugins.io.containerd.cri.v1.images", "plugins.io.containerd.grpc.v1.cri.containerd"];
        if let Some((key, value)) = line.split_once('=')
            && key.trim() == "snapshotter"
            && ours.contains(&section.as_str())
        {
            return Some(value.trim().trim_matches(['\'', '"']).to_owned()).filter(|name| !name.is_empty());
        }
    }
    None
}

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

async fn verify(docker: &Docker, node: &str, reference: &str, image: &ImageInspect) -> Result<()> {
    let name = normalise(reference);
    let listed = on_node(docker, node).await?;
    let Some(target) = listed.get(&name) else {
        return Err(Error::new(Code::ImageLoad, format!("`ctr` imported it, and lists no `{name}`"))
            .hint(ctr(node, ["images", "ls"]).pasteable()));
    };
    if is_same(docker, node, target, image).await? {
        return Ok(());
    }
    let id = image.id.as_deref().unwrap_or_default();
    Err(Error::new(Code::ImageLoad, "what arrived is not what Docker has".to_owned())
        .evidence(format!("Docker: {id}\nnode: {target}"))
        .hint(ctr(node, ["images", "rm", &name]).pasteable()))
}

/// Docker's image ID is the digest of the configuration (graph drivers), or of the manifest or index
/// (containerd store). An import may keep only one manifest of an index, and then the layers tell.
async fn is_same(docker: &Docker, node: &str, target: &str, image: &ImageInspect) -> Result<bool> {
    let id = image.id.as_deref().unwrap_or_default();
    if target == id {
        return Ok(true);
    }
    let top = blob(docker, node, target).await?.unwrap_or_default();
    let mut manifests = vec![];
    for descriptor in &top.manifests {
        if descriptor.digest == id {
            return Ok(true);
        }
        // Platforms that were not pulled are named in an index and not there.
        manifests.extend(blob(docker, node, &descriptor.digest).await?);
    }
    manifests.push(top);
    if manifests.iter().any(|manifest| manifest.config_digest() == Some(id)) {
        return Ok(true);
    }
    let containerd_store = image.descriptor.is_some();
    Ok(containerd_store && any_has_layers(docker, node, &manifests, image).await?)
}

async fn any_has_layers(docker: &Docker, node: &str, manifests: &[Blob], image: &ImageInspect) -> Result<bool> {
    let expected = image.root_fs.as_ref().and_then(|fs| fs.layers.as_deref()).unwrap_or_default();
    for digest in manifests.iter().filter_map(Blob::config_digest) {
        let config = blob(docker, node, digest).await?.unwrap_or_default();
        if config.rootfs.is_some_and(|fs| !expected.is_empty() && fs.diff_ids == expected) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// None if the node has no such blob.
async fn blob(docker: &Docker, node: &str, digest: &str) -> Result<Option<Blob>> {
    let output = ctr(node, ["content", "get", digest]).output(docker).await?;
    Ok(if output.code == 0 { serde_json::from_slice(&output.stdout).ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_named_as_containerd_names_them() {
        let cases = [
            ("postgres", "docker.io/library/postgres:latest"),
            ("postgres:16", "docker.io/library/postgres:16"),
            ("docker.io/postgres:16", "docker.io/library/postgres:16"),
            ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
            ("index.docker.io/bitnami/redis:7", "docker.io/bitnami/redis:7"),
            ("devk.local/shop/api:0123", "devk.local/shop/api:0123"),
            ("localhost/api", "localhost/api:latest"),
            ("localhost:5000/api:1", "localhost:5000/api:1"),
            ("localhost:5000/api", "localhost:5000/api:latest"),
            ("ghcr.io/a/b@sha256:ff", "ghcr.io/a/b@sha256:ff"),
            ("ghcr.io/a/b:1@sha256:ff", "ghcr.io/a/b@sha256:ff"),
        ];
        let wrong: Vec<_> = cases.iter().filter(|(from, to)| normalise(from) != *to).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn the_list_of_images_is_read_by_its_columns() {
        let text = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            docker.io/library/busybox:1  application/vnd.oci.image.manifest.v1+json sha256:aa 2.0 MiB linux/amd64 x=y\n\
            sha256:bb  application/vnd.oci.image.index.v1+json sha256:cc 2.0 MiB linux/amd64,linux/arm64 -\n";
        let expected = [("docker.io/library/busybox:1", "sha256:aa"), ("sha256:bb", "sha256:cc")];
        assert_eq!(parse_list(text), expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn the_snapshotter_is_that_of_the_image_service() {
        let version_4 = "version = 4\n[plugins]\n  [plugins.'io.containerd.cri.v1.images']\n    snapshotter = 'stargz'\n\
            [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n  snapshotter = ''\n";
        let version_2 = "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  default_runtime_name = \"runc\"\n  \
            snapshotter = \"fuse-overlayfs\"\n";
        assert_eq!(parse_snapshotter(version_4).as_deref(), Some("stargz"));
        assert_eq!(parse_snapshotter(version_2).as_deref(), Some("fuse-overlayfs"));
        assert_eq!(parse_snapshotter("[plugins.x]\nsnapshotter = 'native'"), None);
    }

    #[test]
    fn progress_never_passes_the_whole() {
        assert_eq!(how_far(120_400_000, 300_000_000), "120 MB of 300 MB");
        assert_eq!(how_far(301_000_000, 300_000_000), "300 MB of 300 MB");
    }
}
