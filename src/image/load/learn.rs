//! Learning which blobs carry the layers of an image, so that the next load of its like can be a delta.
//!
//! Docker pushes the image to devk once more and is told that everything is there: what it remembers from
//! earlier pushes it only asks about. Layers that were never pushed it compresses and sends, which takes
//! long and is dropped; it remembers them from then on, so a lesson that is cut off is not lost.

use bollard::models::ImageInspect;
use tokio::sync::{mpsc, watch};

use super::endpoint::PushListener;
use super::engine;
use super::layers::{chain_ids, diff_ids, spared};
use super::layout::layers_of;
use super::memory::{Layer, Memory};
use super::node::NodeContainer;
use super::push::{Offer, Received};
use crate::error::Result;

/// One lesson, about an image that the node has.
pub(super) struct Lesson<'a> {
    pub endpoint: &'a PushListener,
    pub memory: &'a Memory,
    pub node: NodeContainer<'a>,
    pub snapshotter: &'a str,
    pub reference: &'a str,
    pub image: &'a ImageInspect,
}

impl Lesson<'_> {
    /// Learns what is not known yet.
    ///
    /// # Errors
    /// What Docker or the node says.
    pub(super) async fn take(&self) -> Result<()> {
        let known = self.memory.layers();
        let diff_ids = diff_ids(self.image);
        let of = |id: &String| known.iter().find(|layer| layer.diff_id == *id);
        if !diff_ids
            .iter()
            .all(|id| of(id).is_some_and(|layer| !layer.blobs.is_empty()))
        {
            self.memory.learn(self.push(&known).await?)?;
        }
        let chains = chain_ids(diff_ids);
        let unmeasured = diff_ids.iter().zip(&chains);
        let unmeasured: Vec<_> = unmeasured
            .filter(|(id, _)| of(id).is_none_or(|layer| layer.unpacked.is_none()))
            .collect();
        if !unmeasured.is_empty() {
            self.memory
                .learn(self.node.usage(self.snapshotter, &unmeasured).await?)?;
        }
        Ok(())
    }

    async fn push(&self, known: &[Layer]) -> Result<Vec<Layer>> {
        let everything = Offer::Everything(spared(diff_ids(self.image), known, None));
        let (_offer, offered) = watch::channel(Some(everything));
        let (awaited, received) = self.endpoint.expect(offered)?;
        let pushing = async {
            let pushed = engine::push(self.node.docker, self.reference, &awaited.repository).await;
            awaited.push.end();
            pushed
        };
        let (pushed, layers) = tokio::join!(pushing, self.manifest(received));
        pushed.map(|()| layers)
    }

    /// What the image's manifest says; nothing if there are several that it may be.
    async fn manifest(&self, mut received: mpsc::Receiver<Received>) -> Vec<Layer> {
        let mut found = vec![];
        while let Some(received) = received.recv().await {
            if let Received::Manifest { content, .. } = received {
                found.extend(layers_of(&content, diff_ids(self.image)));
            }
        }
        if found.len() == 1 {
            found.remove(0)
        } else {
            vec![]
        }
    }
}
