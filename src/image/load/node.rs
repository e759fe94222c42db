//! What containerd in a node has, asked through its own `ctr`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bollard::Docker;
use bytes::Bytes;
use futures::Stream;

use super::layer_cache::Layer;
use crate::docker::Exec;
use crate::error::{Code, Error, Result};

/// containerd's default, and that of kind, k3d and minikube.
const DEFAULT_SNAPSHOTTER: &str = "overlayfs";

/// By this label the kubelet's side of containerd marks the images that it has noticed.
const NOTICED: &str = "io.cri-containerd.image=managed";

/// How long the CRI plugin may take to notice an image. It gets an event, which takes milliseconds.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(10);
const NOTICE_INTERVAL: Duration = Duration::from_millis(100);

/// Imports, sees to it that the uppermost layer is unpacked, and tells what image there is then: to start
/// a process in a container costs as much as the import of a small layer. A layer that is missing after all
/// makes some versions of `ctr` fail and leave the image's record nevertheless, on which a pod would fail in
/// its turn. The node cleans up itself, for devk may be gone.
const IMPORT: &str = r#"ctr="ctr --namespace=k8s.io"
$ctr images import --all-platforms --snapshotter="$0" - >&2 && $ctr snapshots --snapshotter="$0" info "$2" >/dev/null ||
{ $ctr images rm "$1" >&2; exit 1; }
$ctr images ls "name==$1""#;

/// Prints containerd's configuration. k3s keeps its own where `containerd` does not look for it.
const CONFIG: &str = "cat /var/lib/rancher/k3s/agent/etc/containerd/config.toml 2>/dev/null || containerd config dump";

/// An image in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Of the manifest or index.
    pub digest: String,
    /// Whether the kubelet can use the image.
    pub noticed: bool,
}

/// Full reference, as containerd names it -> what it stands for.
pub(super) type Images = BTreeMap<String, Listed>;

/// A node container, and the requests to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeContainer<'a> {
    pub docker: &'a Docker,
    /// The name or ID of the container.
    pub container: &'a str,
}

impl NodeContainer<'_> {
    pub(super) fn ctr<const N: usize>(&self, args: [&str; N]) -> Exec {
        Exec::new(
            self.container,
            ["ctr", "--namespace=k8s.io"].into_iter().chain(args),
        )
    }

    /// # Errors
    /// [`Code::CommandFailed`] if `ctr` fails in the node.
    pub(super) async fn images(&self) -> Result<Images> {
        Ok(parse_images(
            &self.ctr(["images", "ls"]).run(self.docker).await?.text(),
        ))
    }

    /// The chain IDs of everything unpacked.
    ///
    /// # Errors
    /// As [`NodeContainer::images`].
    pub(super) async fn snapshots(&self, snapshotter: &str) -> Result<BTreeSet<String>> {
        let listed = self
            .ctr(["snapshots", "--snapshotter", snapshotter, "ls"])
            .run(self.docker)
            .await?;
        Ok(parse_snapshots(&listed.text()))
    }

    /// The sizes of layers on the node, by diffID and chain ID.
    ///
    /// # Errors
    /// As [`NodeContainer::images`]; also if one of the chains is not there.
    pub(super) async fn usage(
        &self,
        snapshotter: &str,
        layers: &[(&String, &String)],
    ) -> Result<Vec<Layer>> {
        let usage = [
            "ctr",
            "--namespace=k8s.io",
            "snapshots",
            "--snapshotter",
            snapshotter,
            "usage",
            "-b",
        ];
        let chains = layers.iter().map(|(_, chain)| chain.as_str());
        let listed = Exec::new(self.container, usage.into_iter().chain(chains))
            .run(self.docker)
            .await?;
        let sizes = parse_usage(&listed.text());
        let layer = |(diff_id, chain): &(&String, &String)| Layer {
            diff_id: (*diff_id).clone(),
            blobs: BTreeMap::new(),
            unpacked: sizes.get(*chain).copied(),
        };
        Ok(layers.iter().map(layer).collect())
    }

    /// The snapshotter that the node's container runtime uses; another one would unpack in vain.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] if containerd does not tell its configuration.
    pub(super) async fn snapshotter(&self) -> Result<String> {
        let dump = Exec::new(self.container, ["sh", "-c", CONFIG])
            .run(self.docker)
            .await?;
        Ok(parse_snapshotter(&dump.text()).unwrap_or_else(|| DEFAULT_SNAPSHOTTER.to_owned()))
    }

    /// Imports an OCI layout that may lack the blobs of unpacked layers, and whose uppermost chain is `top`;
    /// returns the image that there is then.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] if the import fails; then there is no image `name`.
    pub(super) async fn import(
        &self,
        snapshotter: &str,
        name: &str,
        top: &str,
        layout: impl Stream<Item = Result<Bytes>> + Send,
    ) -> Result<Images> {
        let import = Exec::new(self.container, ["sh", "-c", IMPORT, snapshotter, name, top]);
        Ok(parse_images(
            &import.run_with_input(self.docker, layout).await?.text(),
        ))
    }

    /// Takes these names away, and waits until what only they kept is gone: the next load asks what is there.
    ///
    /// # Errors
    /// As [`NodeContainer::images`].
    pub(super) async fn remove(&self, names: &[String]) -> Result<()> {
        let rm = ["ctr", "--namespace=k8s.io", "images", "rm", "--sync"].map(str::to_owned);
        Exec::new(self.container, rm.into_iter().chain(names.iter().cloned()))
            .run(self.docker)
            .await
            .map(drop)
    }

    /// Waits until the kubelet's side of containerd has noticed an image.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] if there is none of that name, or it stays unnoticed.
    pub(super) async fn noticed(&self, name: &str, mut images: Images) -> Result<Listed> {
        let deadline = Instant::now() + NOTICE_TIMEOUT;
        loop {
            let hint = || self.ctr(["images", "ls"]).pasteable();
            match images.remove(name) {
                Some(image) if image.noticed => return Ok(image),
                Some(_) if Instant::now() < deadline => {}
                Some(_) => {
                    let message = "containerd has the image, and its CRI plugin, which the kubelet asks, does not list it";
                    return Err(Error::new(Code::ImageLoad, message).hint(hint()));
                }
                None => {
                    let message = format!("`ctr` imported it, and lists no `{name}`");
                    return Err(Error::new(Code::ImageLoad, message).hint(hint()));
                }
            }
            tokio::time::sleep(NOTICE_INTERVAL).await;
            images = self.images().await?;
        }
    }
}

/// The names that are to go, and those that the kubelet's side of containerd gave the same images (`sha256:…`) unless
/// another name needs them.
pub(super) fn names_of(images: &Images, is_gone: impl Fn(&str) -> bool) -> Vec<String> {
    let is_id = |name: &str| name.starts_with("sha256:");
    let (gone, others): (Vec<_>, Vec<_>) = images.iter().partition(|(name, _)| is_gone(name));
    let digests = |of: &[(&String, &Listed)]| -> BTreeSet<String> {
        of.iter()
            .filter(|(name, _)| !is_id(name))
            .map(|(_, image)| image.digest.clone())
            .collect()
    };
    let lost = digests(&gone);
    let kept = digests(&others);
    let ids = others.iter().filter(|(name, image)| {
        is_id(name) && lost.contains(&image.digest) && !kept.contains(&image.digest)
    });
    gone.iter()
        .chain(ids)
        .map(|(name, _)| (*name).clone())
        .collect()
}

/// Columns: REF TYPE DIGEST SIZE PLATFORMS LABELS; only the size has a space in it.
fn parse_images(text: &str) -> Images {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?.to_owned();
        let digest = columns.nth(1)?.to_owned();
        let noticed = columns
            .last()
            .is_some_and(|labels| labels.split(',').any(|label| label == NOTICED));
        Some((name, Listed { digest, noticed }))
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// Columns: KEY PARENT KIND; what a container is writing to is `Active`.
fn parse_snapshots(text: &str) -> BTreeSet<String> {
    let committed = text
        .lines()
        .filter(|line| line.trim_end().ends_with(" Committed"));
    committed
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Columns: KEY SIZE INODES.
fn parse_usage(text: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        Some((columns.next()?.to_owned(), columns.next()?.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

/// `snapshotter` stands in `io.containerd.cri.v1.images` since config version 3, before that in
/// `io.containerd.grpc.v1.cri` under `containerd`.
fn parse_snapshotter(config: &str) -> Option<String> {
    let mut section = String::new();
    for line in config.lines().map(str::trim) {
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = header.replace(['\'', '"'], "");
        }
        let ours = [
            "plugins.io.containerd.cri.v1.images",
            "plugins.io.containerd.grpc.v1.cri.containerd",
        ];
        if let Some((key, value)) = line.split_once('=')
            && key.trim() == "snapshotter"
            && ours.contains(&section.as_str())
        {
            return Some(value.trim().trim_matches(['\'', '"']).to_owned())
                .filter(|name| !name.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_images_is_read_by_its_columns() {
        let text = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            docker.io/library/busybox:1  application/vnd.oci.image.manifest.v1+json sha256:aa 2.0 MiB linux/amd64 x=y\n\
            sha256:bb  application/vnd.oci.image.index.v1+json sha256:cc 2.0 MiB linux/amd64,linux/arm64 \
            io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned\n";
        let listed = |digest: &str, noticed| Listed {
            digest: digest.to_owned(),
            noticed,
        };
        let expected = [
            ("docker.io/library/busybox:1", listed("sha256:aa", false)),
            ("sha256:bb", listed("sha256:cc", true)),
        ];
        assert_eq!(
            parse_images(text),
            expected
                .map(|(name, image)| (name.to_owned(), image))
                .into()
        );
    }

    #[test]
    fn only_what_is_unpacked_to_the_end_counts_as_a_snapshot() {
        let text = "KEY       PARENT    KIND      \nsha256:aa           Committed \nsha256:bb sha256:aa Committed \n\
            extract-1 sha256:bb Active    \n";
        assert_eq!(
            parse_snapshots(text),
            ["sha256:aa", "sha256:bb"].map(str::to_owned).into()
        );
    }

    #[test]
    fn usage_is_read_in_bytes() {
        let text = "KEY       SIZE    INODES \nsha256:aa 1290240 405    \n";
        assert_eq!(
            parse_usage(text),
            [("sha256:aa".to_owned(), 1_290_240)].into()
        );
    }

    #[test]
    fn the_snapshotter_is_that_of_the_image_service() {
        let version_4 = "version = 4\n[plugins]\n  [plugins.'io.containerd.cri.v1.images']\n    snapshotter = 'stargz'\n\
            [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n  snapshotter = ''\n";
        let version_2 = "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  default_runtime_name = \"runc\"\n  \
            snapshotter = \"fuse-overlayfs\"\n";
        assert_eq!(parse_snapshotter(version_4).as_deref(), Some("stargz"));
        assert_eq!(
            parse_snapshotter(version_2).as_deref(),
            Some("fuse-overlayfs")
        );
        assert_eq!(
            parse_snapshotter("[plugins.x]\nsnapshotter = 'native'"),
            None
        );
    }
}
