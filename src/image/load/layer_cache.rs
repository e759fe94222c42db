//! The layer cache: which compressed blob carries which layer, noted from earlier pushes.
//!
//! The cache only saves time: it may be deleted or wrong at any time. devk asks the node whether the node has a
//! layer, and compares what was pushed with Docker's own list of layers before it counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::paths::{Lock, refused, write_atomic};

/// The layers that the file holds, the newest ones: those of a few hundred images.
const MAX_LAYERS: usize = 2000;

/// The entry of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    pub diff_id: String,
    /// The blobs that carry it: digest -> size in bytes, 0 if unknown.
    #[serde(default)]
    pub blobs: BTreeMap<String, u64>,
    /// The size of the unpacked layer on a node, in bytes.
    #[serde(default)]
    pub unpacked: Option<u64>,
}

/// One file for all clusters and Engines: the same content has the same names everywhere.
#[derive(Debug, Clone)]
pub(super) struct LayerCache {
    file: PathBuf,
}

impl LayerCache {
    pub(super) fn in_cache(cache: &Path) -> Self {
        Self {
            file: cache.join("layers.json"),
        }
    }

    /// All layers of the file; none if the file is missing or broken.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let text = std::fs::read(&self.file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Adds layers to the file, or completes the ones that the file has.
    ///
    /// # Errors
    /// [`crate::error::Code::StateIo`] naming the file.
    pub(super) fn add(&self, news: impl IntoIterator<Item = Layer>) -> Result<()> {
        let _lock = Lock::block(&self.file.with_extension("lock"))
            .map_err(|e| refused("lock", &self.file, &e))?;
        let mut layers = self.layers();
        for new in news {
            let old = layers
                .iter()
                .position(|layer| layer.diff_id == new.diff_id)
                .map(|at| layers.remove(at));
            layers.push(merged(old.unwrap_or_default(), new));
        }
        let forgotten = layers.len().saturating_sub(MAX_LAYERS);
        let text =
            serde_json::to_vec(&layers[forgotten..]).map_err(|e| crate::error::internal(&e))?;
        write_atomic(&self.file, &text, 0o644)
    }
}

fn merged(old: Layer, new: Layer) -> Layer {
    let mut blobs = old.blobs;
    for (digest, size) in new.blobs {
        let known = blobs.entry(digest).or_default();
        *known = size.max(*known);
    }
    Layer {
        diff_id: new.diff_id,
        blobs,
        unpacked: new.unpacked.or(old.unpacked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(diff_id: &str, blobs: &[(&str, u64)], unpacked: Option<u64>) -> Layer {
        let blobs = blobs
            .iter()
            .map(|(digest, size)| ((*digest).to_owned(), *size))
            .collect();
        Layer {
            diff_id: diff_id.to_owned(),
            blobs,
            unpacked,
        }
    }

    #[test]
    fn what_is_learnt_adds_up_and_survives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let cache = LayerCache::in_cache(dir.path());
        cache.add([layer("a", &[("A1", 5)], None)]).unwrap();
        cache
            .add([
                layer("a", &[("A1", 0), ("A2", 6)], Some(9)),
                layer("b", &[], Some(1)),
            ])
            .unwrap();
        let expected = [
            layer("a", &[("A1", 5), ("A2", 6)], Some(9)),
            layer("b", &[], Some(1)),
        ];
        assert_eq!(LayerCache::in_cache(dir.path()).layers(), expected);
    }

    #[test]
    fn a_broken_file_is_no_knowledge_and_heals() {
        let dir = tempfile::tempdir().unwrap();
        let cache = LayerCache::in_cache(dir.path());
        std::fs::write(dir.path().join("layers.json"), "[{\"diff_id\"").unwrap();
        assert_eq!(cache.layers(), []);
        cache.add([layer("a", &[], None)]).unwrap();
        assert_eq!(cache.layers().len(), 1);
    }

    #[test]
    fn what_was_learnt_first_is_forgotten_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = LayerCache::in_cache(dir.path());
        let all: Vec<_> = (0..MAX_LAYERS)
            .map(|n| layer(&n.to_string(), &[], None))
            .collect();
        cache.add(all).unwrap();
        cache
            .add([layer("0", &[], None), layer("new", &[], None)])
            .unwrap();
        let layers = cache.layers();
        assert_eq!(layers.len(), MAX_LAYERS);
        assert!(
            layers.iter().any(|layer| layer.diff_id == "0"),
            "learnt again just now"
        );
        assert!(!layers.iter().any(|layer| layer.diff_id == "1"));
    }
}
