//! The layers of an image, and which of them a load can leave out.
//!
//! A layer has three names: the digest of its content (`diffID`), the digest of the compressed blob that
//! carries it, and the name of the file system that it makes together with all the layers below it (chain
//! ID). A node that has unpacked a chain needs none of its blobs, and kind's nodes throw them away.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ImageInspect;
use sha2::{Digest, Sha256};

use super::layer_cache::Layer;
use crate::hex::hex;

/// A delta must spare this share of the image's bytes, in percent: Docker compresses what it pushes at a
/// little more than half of the speed at which a whole image streams (measured, 30 and 52 MB/s).
const WORTHWHILE: u64 = 40;

/// The layers of an image that need not be sent to a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spared {
    /// Digest of a compressed blob -> the layer that it carries.
    pub blobs: BTreeMap<String, Blob>,
    /// Unpacked, in bytes.
    pub bytes: u64,
}

/// A compressed layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub diff_id: String,
    /// Of the compressed blob, in bytes; 0 if unknown.
    pub size: u64,
}

/// The diffIDs of an image, the lowest layer first.
pub(super) fn diff_ids(image: &ImageInspect) -> &[String] {
    image
        .root_fs
        .as_ref()
        .and_then(|fs| fs.layers.as_deref())
        .unwrap_or_default()
}

/// The chain ID of each layer (OCI image specification, "Layer ChainID").
pub(super) fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = match chains.last() {
            None => diff_id.clone(),
            Some(parent) => format!(
                "sha256:{}",
                hex(Sha256::digest(format!("{parent} {diff_id}")))
            ),
        };
        chains.push(chain);
    }
    chains
}

/// What can be left out for a node that has these snapshots, as far as it is known by which blobs
/// Docker will ask for it. `snapshots: None` supposes that the node has all of it.
pub(super) fn spared(
    diff_ids: &[String],
    known: &[Layer],
    snapshots: Option<&BTreeSet<String>>,
) -> Spared {
    let chains = chain_ids(diff_ids);
    let present = chains
        .iter()
        .take_while(|chain| snapshots.is_none_or(|all| all.contains(*chain)))
        .count();
    let mut spared = Spared::default();
    for diff_id in &diff_ids[..present] {
        let Some(layer) = known.iter().find(|layer| layer.diff_id == *diff_id) else {
            continue;
        };
        let blob = |(digest, size): (&String, &u64)| {
            (
                digest.clone(),
                Blob {
                    diff_id: diff_id.clone(),
                    size: *size,
                },
            )
        };
        spared.blobs.extend(layer.blobs.iter().map(blob));
        if !layer.blobs.is_empty() {
            spared.bytes += layer.unpacked.unwrap_or_default();
        }
    }
    spared
}

impl Spared {
    /// Whether sending the rest is faster than streaming an image of `total` bytes.
    pub(super) fn is_worthwhile(&self, total: u64) -> bool {
        self.bytes > 0 && self.bytes.saturating_mul(100) >= total.saturating_mul(WORTHWHILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn layer(diff_id: &str, digest: &str, unpacked: Option<u64>) -> Layer {
        Layer {
            diff_id: diff_id.to_owned(),
            blobs: [(digest.to_owned(), 7)].into(),
            unpacked,
        }
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        // sha256("sha256:a sha256:b") and so on, computed with sha256sum.
        let chains = chain_ids(&ids(&["sha256:a", "sha256:b", "sha256:c"]));
        assert_eq!(chains[0], "sha256:a");
        assert_eq!(
            chains[1],
            "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8"
        );
        assert_eq!(
            chains[2],
            "sha256:dee159b33409cefa3f6eda71539f006014283e9d9130c18a1dea7bd8a33c9b1b"
        );
    }

    #[test]
    fn a_layer_is_spared_only_if_the_node_has_the_whole_chain_below_it() {
        let diffs = ids(&["a", "b", "c"]);
        let known = [
            layer("a", "A", Some(10)),
            layer("b", "B", Some(20)),
            layer("c", "C", Some(30)),
        ];
        let chains = chain_ids(&diffs);
        let without_the_middle = BTreeSet::from([chains[0].clone(), chains[2].clone()]);
        let spared = spared(&diffs, &known, Some(&without_the_middle));
        assert_eq!(
            (spared.blobs.into_keys().collect::<Vec<_>>(), spared.bytes),
            (vec!["A".to_owned()], 10)
        );
    }

    #[test]
    fn a_layer_whose_blob_nobody_knows_is_not_spared() {
        let unlearnt = Layer {
            diff_id: "b".to_owned(),
            blobs: BTreeMap::new(),
            unpacked: Some(90),
        };
        let spared = spared(
            &ids(&["a", "b"]),
            &[layer("a", "A", Some(10)), unlearnt],
            None,
        );
        assert_eq!((spared.blobs.len(), spared.bytes), (1, 10));
    }

    #[test]
    fn a_delta_that_spares_little_is_not_worth_its_compression() {
        let spares = |bytes| Spared {
            bytes,
            ..Spared::default()
        };
        assert!(spares(40).is_worthwhile(100));
        assert!(!spares(39).is_worthwhile(100));
        assert!(!spares(0).is_worthwhile(0));
    }
}
