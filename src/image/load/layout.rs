//! The pushed blobs as the tar of an OCI image layout, without the blobs that the node does not need.
//!
//! The index that makes an image of the blobs comes last, and only if every layer is accounted for:
//! a layer counts if it was pushed just now, or if the node has unpacked it. An importer that gets no index creates no
//! image.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::layer_cache::Layer;
use super::layers::Spared;
use super::push::Received;
use crate::error::{Code, Error, Result};

/// Bytes that are read from a file at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// A tar is made of records of this size.
const TAR_BLOCK_BYTES: u64 = 512;

/// An image as Docker knows it, to compare what it pushes with.
#[derive(Debug, Clone)]
pub(super) struct ExpectedImage {
    /// The full reference, as containerd names it.
    pub name: String,
    /// Docker's image ID: the digest of the configuration (graph drivers), or of the manifest or index
    /// (containerd store).
    pub id: String,
    /// The lowest layer first.
    pub diff_ids: Vec<String>,
}

/// The layout in the making.
#[derive(Debug)]
pub(super) struct Layout {
    expected: ExpectedImage,
    spared: Spared,
    blobs: BTreeSet<String>,
    manifests: Vec<(String, Manifest)>,
    sent: u64,
    /// None until the tagged manifest has come.
    outcome: Option<Result<Image>>,
}

/// An image that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// The digest of its manifest or index.
    pub digest: String,
    /// The layers as the manifest lists them.
    pub layers: Vec<Layer>,
}

/// The fields of a manifest or an index that list its parts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Manifest {
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    size: u64,
}

type Part = BoxStream<'static, Result<Bytes>>;

impl Layout {
    pub(super) fn new(expected: ExpectedImage) -> Self {
        let spared = Spared::default();
        let blobs = BTreeSet::new();
        let manifests = vec![];
        Self {
            expected,
            spared,
            blobs,
            manifests,
            sent: 0,
            outcome: None,
        }
    }

    /// Sets the layers that the node does not need; must be called before anything is received.
    pub(super) fn spare(&mut self, spared: Spared) {
        self.spared = spared;
    }

    /// The part of the tar that something received becomes. None once the layout is given up: then it
    /// has no index, and [`Layout::finish`] says why.
    pub(super) fn part(&mut self, received: Received) -> Option<Part> {
        match self.try_part(received) {
            Ok(part) => Some(part),
            Err(error) => {
                self.outcome = Some(Err(error));
                None
            }
        }
    }

    /// The image, and the bytes of the blobs that were put into the layout.
    ///
    /// # Errors
    /// [`Code::ImageLoad`] for a manifest that is not the expected image's, one with a layer that
    /// neither came nor is on the node, or none at all.
    pub(super) fn finish(self) -> Result<(Image, u64)> {
        let none = || Err(Error::new(Code::ImageLoad, "Docker pushed no manifest"));
        self.outcome
            .unwrap_or_else(none)
            .map(|image| (image, self.sent))
    }

    fn try_part(&mut self, received: Received) -> Result<Part> {
        match received {
            Received::Blob {
                digest,
                size,
                content,
            } => {
                let part = self.entry(&digest, size)?;
                self.blobs.insert(digest);
                Ok(part.chain(file(content)).chain(once(padding(size))).boxed())
            }
            Received::Manifest {
                digest,
                media_type,
                content,
                tagged,
            } => {
                let manifest = serde_json::from_slice(&content).map_err(|e| {
                    Error::new(
                        Code::ImageLoad,
                        format!("Docker pushed an unreadable manifest: {e}"),
                    )
                })?;
                self.manifests.push((digest.clone(), manifest));
                let size = content.len() as u64;
                let part = self
                    .entry(&digest, size)?
                    .chain(stream::iter([Ok(content), Ok(padding(size))]));
                if !tagged {
                    return Ok(part.boxed());
                }
                let layers = self.accounted_for(&digest)?;
                let end = once(self.end(&digest, &media_type, size)?);
                self.outcome = Some(Ok(Image { digest, layers }));
                Ok(part.chain(end).boxed())
            }
        }
    }

    fn entry(&mut self, digest: &str, size: u64) -> Result<Part> {
        self.sent += size;
        let path = format!("blobs/{}", digest.replace(':', "/"));
        Ok(once(header(&path, size)?).boxed())
    }

    /// The layers of the image that the manifest or index `root` names.
    fn accounted_for(&self, root: &str) -> Result<Vec<Layer>> {
        let is_expected = |(digest, manifest): &&(String, Manifest)| {
            let config = manifest
                .config
                .as_ref()
                .is_some_and(|config| config.digest == self.expected.id);
            (config || *digest == self.expected.id || root == self.expected.id)
                && manifest.layers.len() == self.expected.diff_ids.len()
        };
        let Some((_, manifest)) = self.manifests.iter().find(is_expected) else {
            return Err(Error::new(
                Code::ImageLoad,
                format!("Docker pushed another image than `{}`", self.expected.id),
            ));
        };
        let layers = manifest.layers.iter().zip(&self.expected.diff_ids);
        layers
            .map(|(blob, diff_id)| self.layer(blob, diff_id))
            .collect()
    }

    fn layer(&self, blob: &Descriptor, diff_id: &str) -> Result<Layer> {
        let is_spared = self
            .spared
            .blobs
            .get(&blob.digest)
            .is_some_and(|spared| spared.diff_id == *diff_id);
        if !is_spared && !self.blobs.contains(&blob.digest) {
            let message = format!(
                "layer `{diff_id}` was not sent, and it is not certain that the node has it"
            );
            return Err(Error::new(Code::ImageLoad, message));
        }
        let blobs = [(blob.digest.clone(), blob.size)].into();
        Ok(Layer {
            diff_id: diff_id.to_owned(),
            blobs,
            unpacked: None,
        })
    }

    /// The files that make an image layout of the blobs, and the end of the tar.
    fn end(&self, root: &str, media_type: &str, size: u64) -> Result<Bytes> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": media_type, "digest": root, "size": size,
                "annotations": {"io.containerd.image.name": self.expected.name},
            }],
        });
        let mut tar = Vec::new();
        let version = json!({"imageLayoutVersion": "1.0.0"});
        for (path, content) in [
            ("index.json", index.to_string()),
            ("oci-layout", version.to_string()),
        ] {
            let size = content.len() as u64;
            tar.extend_from_slice(&header(path, size)?);
            tar.extend_from_slice(content.as_bytes());
            tar.extend_from_slice(&padding(size));
        }
        tar.extend_from_slice(&[0; 2 * TAR_BLOCK_BYTES as usize]);
        Ok(tar.into())
    }
}

/// The layers that a pushed manifest names, for an image with these diffIDs; None if it is no manifest of
/// such an image.
pub(super) fn layers_of(manifest: &[u8], diff_ids: &[String]) -> Option<Vec<Layer>> {
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let layer = |(blob, diff_id): (Descriptor, &String)| {
        let blobs = [(blob.digest, blob.size)].into();
        Layer {
            diff_id: diff_id.clone(),
            blobs,
            unpacked: None,
        }
    };
    (manifest.layers.len() == diff_ids.len()).then(|| {
        manifest
            .layers
            .into_iter()
            .zip(diff_ids)
            .map(layer)
            .collect()
    })
}

fn once(bytes: Bytes) -> Part {
    stream::iter([Ok(bytes)]).boxed()
}

fn file(content: File) -> Part {
    let broken = |e| {
        Error::new(
            Code::ImageLoad,
            format!("cannot read back what Docker pushed: {e}"),
        )
    };
    ReaderStream::with_capacity(content, BLOCK_BYTES)
        .map_err(broken)
        .boxed()
}

fn header(path: &str, size: u64) -> Result<Bytes> {
    let mut header = tar::Header::new_gnu();
    header
        .set_path(path)
        .map_err(|e| crate::error::internal(&e))?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// The padding of the last block of an entry.
fn padding(size: u64) -> Bytes {
    Bytes::from_static(&[0; TAR_BLOCK_BYTES as usize])
        .split_to((size.next_multiple_of(TAR_BLOCK_BYTES) - size) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;
    use crate::image::load::fake_docker::digest;
    use crate::image::load::layers::Blob;

    const ID: &str = "sha256:config";

    fn layout() -> Layout {
        let diff_ids = vec!["sha256:base".to_owned(), "sha256:top".to_owned()];
        let mut layout = Layout::new(ExpectedImage {
            name: "devk.local/shop/api:1".to_owned(),
            id: ID.to_owned(),
            diff_ids,
        });
        let blob = Blob {
            diff_id: "sha256:base".to_owned(),
            size: 7,
        };
        layout.spare(Spared {
            blobs: [("sha256:BASE".to_owned(), blob)].into(),
            bytes: 70,
        });
        layout
    }

    async fn blob(content: &[u8]) -> Received {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, content).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        Received::Blob {
            digest: digest(content),
            size: content.len() as u64,
            content: File::from_std(file),
        }
    }

    fn manifest(content: &serde_json::Value, tagged: bool) -> Received {
        let content = Bytes::from(content.to_string());
        let media_type = "application/vnd.docker.distribution.manifest.v2+json".to_owned();
        Received::Manifest {
            digest: digest(&content),
            media_type,
            content,
            tagged,
        }
    }

    fn of(config: &str, layers: &[&str]) -> serde_json::Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|digest| json!({"digest": digest, "size": 7}))
            .collect();
        json!({"config": {"digest": config, "size": 1}, "layers": layers})
    }

    /// Every file of a tar.
    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tar);
        let file = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry: tar::Entry<'_, &[u8]> = entry.unwrap();
            let mut content = vec![];
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        };
        archive.entries().unwrap().map(file).collect()
    }

    async fn bytes(part: Option<Part>) -> Vec<u8> {
        let chunks: Vec<Bytes> = part.unwrap().try_collect().await.unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn the_layout_has_what_was_pushed_and_leaves_out_what_the_node_has() {
        let mut layout = layout();
        let top = digest(b"top layer");
        let image = of(ID, &["sha256:BASE", &top]);
        let mut tar = bytes(layout.part(blob(b"top layer").await)).await;
        tar.extend(bytes(layout.part(manifest(&image, true))).await);
        let files = files(&tar);
        let manifest_digest = digest(image.to_string().as_bytes());
        let path = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
        let mut names = [
            path(&top),
            path(&manifest_digest),
            "index.json".to_owned(),
            "oci-layout".to_owned(),
        ];
        names.sort();
        assert_eq!(files.keys().cloned().collect::<Vec<_>>(), names);
        assert_eq!(files[&path(&top)], b"top layer");
        let index: serde_json::Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let named = &index["manifests"][0];
        assert_eq!(named["digest"], manifest_digest.as_str());
        assert_eq!(
            named["annotations"]["io.containerd.image.name"],
            "devk.local/shop/api:1"
        );
        let (complete, sent) = layout.finish().unwrap();
        assert_eq!(
            (complete.digest, sent),
            (manifest_digest, 9 + image.to_string().len() as u64)
        );
        let learnt: Vec<_> = complete
            .layers
            .iter()
            .map(|layer| layer.diff_id.as_str())
            .collect();
        assert_eq!(learnt, ["sha256:base", "sha256:top"]);
    }

    #[tokio::test]
    async fn a_layer_that_neither_came_nor_is_on_the_node_gives_no_index() {
        let mut layout = layout();
        assert!(
            layout
                .part(manifest(&of(ID, &["sha256:BASE", "sha256:TOP"]), true))
                .is_none()
        );
        let error = layout.finish().unwrap_err();
        assert!(error.message.contains("sha256:top"), "{error}");
    }

    #[tokio::test]
    async fn a_blob_that_was_remembered_for_another_layer_gives_no_index() {
        let mut layout = layout();
        drop(layout.part(blob(b"x").await));
        assert!(
            layout
                .part(manifest(&of(ID, &[&digest(b"x"), "sha256:BASE"]), true))
                .is_none()
        );
        assert!(layout.finish().unwrap_err().message.contains("sha256:top"));
    }

    #[tokio::test]
    async fn another_image_than_the_expected_one_gives_no_index() {
        let mut layout = layout();
        assert!(
            layout
                .part(manifest(
                    &of("sha256:other", &["sha256:BASE", "sha256:BASE"]),
                    true
                ))
                .is_none()
        );
        assert!(
            layout
                .finish()
                .unwrap_err()
                .message
                .contains("another image")
        );
    }

    #[tokio::test]
    async fn an_index_of_manifests_is_known_by_its_own_digest() {
        let top = digest(b"top");
        let image = of("sha256:c", &["sha256:BASE", &top]);
        let attestation = of("sha256:e", &["sha256:F"]);
        let of_manifest = |manifest: &serde_json::Value| json!({"digest": digest(manifest.to_string().as_bytes())});
        let index = json!({"manifests": [of_manifest(&image), of_manifest(&attestation)]});
        let mut layout = layout();
        layout.expected.id = digest(index.to_string().as_bytes());
        let parts = [
            blob(b"top").await,
            manifest(&image, false),
            manifest(&attestation, false),
            manifest(&index, true),
        ];
        for part in parts {
            bytes(layout.part(part)).await;
        }
        assert_eq!(
            layout.finish().unwrap().0.digest,
            digest(index.to_string().as_bytes())
        );
    }

    #[test]
    fn a_push_without_a_manifest_is_no_image() {
        assert!(
            layout()
                .finish()
                .unwrap_err()
                .message
                .contains("no manifest")
        );
    }

    #[test]
    fn entries_end_at_full_records() {
        let sizes = [0, 1, 511, 512, 513].map(|size| padding(size).len());
        assert_eq!(sizes, [0, 511, 1, 0, 511]);
    }

    #[test]
    fn a_lesson_takes_the_manifest_with_as_many_layers() {
        let diff_ids = ["sha256:base".to_owned()];
        let learnt = layers_of(of(ID, &["sha256:B"]).to_string().as_bytes(), &diff_ids).unwrap();
        assert_eq!(learnt[0].blobs, [("sha256:B".to_owned(), 7)].into());
        assert!(layers_of(of(ID, &[]).to_string().as_bytes(), &diff_ids).is_none());
        assert!(layers_of(b"not JSON", &diff_ids).is_none());
    }
}
