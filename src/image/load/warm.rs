//! Warming the layer cache: devk notes which blobs carry the layers of an image, so that the next load of a similar
//! image can be a delta.
//!
//! Docker pushes the image to devk once more, and devk answers that every layer is there. Of a layer that Docker
//! pushed before, Docker only asks. A layer that was never pushed Docker compresses and sends, which takes long; devk
//! drops the bytes. Docker remembers the layer from then on, so a warming that is cut off is not lost.

use bollard::models::ImageInspect;
use tokio::sync::{mpsc, watch};

use super::endpoint::PushListener;
use super::engine;
use super::layer_cache::{Layer, LayerCache};
use super::layers::{chain_ids, diff_ids, spared};
use super::layout::layers_of;
use super::node::NodeContainer;
use super::push::{Offer, Received};
use crate::error::Result;

/// The warming of the layer cache by one image that the node has.
pub(super) struct CacheWarming<'a> {
    pub endpoint: &'a PushListener,
    pub cache: &'a LayerCache,
    pub node: NodeContainer<'a>,
    pub snapshotter: &'a str,
    pub reference: &'a str,
    pub image: &'a ImageInspect,
}

impl CacheWarming<'_> {
    /// Adds what the cache lacks of the layers of the image.
    ///
    /// # Errors
    /// The error of Docker or the node.
    pub(super) async fn run(&self) -> Result<()> {
        let known = self.cache.layers();
        let diff_ids = diff_ids(self.image);
        let of = |id: &String| known.iter().find(|layer| layer.diff_id == *id);
        if !diff_ids
            .iter()
            .all(|id| of(id).is_some_and(|layer| !layer.blobs.is_empty()))
        {
            self.cache.add(self.push(&known).await?)?;
        }
        let chains = chain_ids(diff_ids);
        let unmeasured = diff_ids.iter().zip(&chains);
        let unmeasured: Vec<_> = unmeasured
            .filter(|(id, _)| of(id).is_none_or(|layer| layer.unpacked.is_none()))
            .collect();
        if !unmeasured.is_empty() {
            self.cache
                .add(self.node.usage(self.snapshotter, &unmeasured).await?)?;
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

    /// The layers of the image's manifest; none if several manifests may be the image's.
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
