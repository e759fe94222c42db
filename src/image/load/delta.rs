//! Loads only the layers that the node lacks: Docker pushes to devk, and devk pipes the layers into the node's
//! `ctr import`.
//!
//! Slow work overlaps: the node lists its layers and starts its importer while Docker begins to push, and devk sends
//! one layer to the node while Docker compresses the next one.

use std::future::ready;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::ImageInspect;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{mpsc, watch};

use super::endpoint::{Awaited, PushListener};
use super::layer_cache::{Layer, LayerCache};
use super::layers::{chain_ids, diff_ids, spared};
use super::layout::{ExpectedImage, Image, Layout};
use super::node::{Images, NodeContainer};
use super::progress::{Progress, total};
use super::push::{Offer, Push, Received};
use super::{engine, verify};
use crate::error::{Code, Error, Result};
use crate::ui::event::Step;

/// A Docker that can reach devk asks for the first thing within milliseconds.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The bytes that were sent.
    Loaded(u64),
    /// Why all of the image is sent faster.
    Declined(&'static str),
}

/// Why a push ends early.
enum Stop {
    Declined(&'static str),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// One load of one image into one node.
pub(super) struct Delta<'a> {
    pub endpoint: &'a PushListener,
    pub cache: &'a LayerCache,
    pub node: NodeContainer<'a>,
    pub snapshotter: &'a str,
    pub reference: &'a str,
    /// The reference in full.
    pub name: &'a str,
    pub image: &'a ImageInspect,
    pub step: &'a Step,
}

impl Delta<'_> {
    /// Loads and verifies, or finds that it is not worth while. After an error the node has no image of
    /// that name.
    ///
    /// # Errors
    /// [`Code::DockerRequest`] or [`Code::CommandFailed`] if Docker or the node fails, [`Code::ImageLoad`]
    /// if a layer is missing after all.
    pub(super) async fn load(&self) -> Result<Attempt> {
        let known = self.cache.layers();
        if !spared(diff_ids(self.image), &known, None).is_worthwhile(total(self.image)) {
            return Ok(Attempt::Declined(
                "its layers are not in the layer cache yet",
            ));
        }
        let (offer, offered) = watch::channel(None);
        let (awaited, received) = self.endpoint.expect(offered)?;
        let layout = Mutex::new(Layout::new(self.expected()));
        let progress = Progress::new(self.step, self.image);
        let top = chain_ids(diff_ids(self.image)).pop().unwrap_or_default();
        let tar = tar(&layout, received, &progress);
        let importing = self.node.import(self.snapshotter, self.name, &top, tar);
        let (sent, imported) = finish(
            self.send(&awaited, self.offer(&known, &layout, offer)),
            importing,
        )
        .await;
        let pushed = layout
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .finish();
        match sent {
            Err(Stop::Declined(why)) => return Ok(Attempt::Declined(why)),
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        // A layout that was given up explains why the importer failed.
        let (image, bytes) = pushed?;
        self.arrived(&image, imported?).await?;
        self.cache.add(image.layers)?;
        Ok(Attempt::Loaded(bytes))
    }

    fn expected(&self) -> ExpectedImage {
        let id = self.image.id.clone().unwrap_or_default();
        ExpectedImage {
            name: self.name.to_owned(),
            id,
            diff_ids: diff_ids(self.image).to_vec(),
        }
    }

    /// Finds the layers that the node does not need; Docker's first request waits for them.
    async fn offer(
        &self,
        known: &[Layer],
        layout: &Mutex<Layout>,
        offer: watch::Sender<Option<Offer>>,
    ) -> Result<(), Stop> {
        let snapshots = self.node.snapshots(self.snapshotter).await?;
        let spared = spared(diff_ids(self.image), known, Some(&snapshots));
        if !spared.is_worthwhile(total(self.image)) {
            return Err(Stop::Declined("the node has too little of it"));
        }
        lock(layout).spare(spared.clone());
        offer.send_replace(Some(Offer::Spared(spared)));
        Ok(())
    }

    async fn send(
        &self,
        awaited: &Awaited,
        offering: impl Future<Output = Result<(), Stop>>,
    ) -> Result<(), Stop> {
        let pushing = async {
            tokio::select! {
                pushed = engine::push(self.node.docker, self.reference, &awaited.repository) => pushed?,
                () = unreached(&awaited.push) => return Err(Stop::Failed(not_reached())),
            }
            Ok(())
        };
        let sent = futures::future::try_join(offering, pushing).await;
        // However the push ended: the importer waits for more.
        awaited.push.end();
        sent.map(drop)
    }

    async fn arrived(&self, image: &Image, images: Images) -> Result<()> {
        let noticed = self.node.noticed(self.name, images).await;
        let verified = noticed.and_then(|listed| {
            if listed.digest == image.digest {
                Ok(())
            } else {
                Err(verify::changed(&listed.digest, self.image))
            }
        });
        verify::trusted(self.node, self.name, verified).await
    }
}

/// Runs the two ends of a load. The importer is waited for even if the push fails, because what it
/// does last is to clean up; the push is given up if the importer fails.
async fn finish(
    sending: impl Future<Output = Result<(), Stop>>,
    importing: impl Future<Output = Result<Images>>,
) -> (Result<(), Stop>, Result<Images>) {
    let mut sending = pin!(sending);
    let mut importing = pin!(importing);
    tokio::select! {
        imported = &mut importing => match imported {
            Ok(images) => (sending.await, Ok(images)),
            Err(error) => (Ok(()), Err(error)),
        },
        sent = &mut sending => (sent, importing.await),
    }
}

/// What Docker pushes, as the importer wants it.
fn tar<'a>(
    layout: &'a Mutex<Layout>,
    mut received: mpsc::Receiver<Received>,
    progress: &'a Progress<'a>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'a {
    let received = futures::stream::poll_fn(move |context| received.poll_recv(context));
    let parts = received.scan((), |(), received| ready(lock(layout).part(received)));
    parts
        .flatten()
        .inspect_ok(|chunk| progress.add(chunk.len()))
}

fn lock(layout: &Mutex<Layout>) -> MutexGuard<'_, Layout> {
    layout.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends if Docker has asked for nothing in time.
async fn unreached(push: &Push) {
    if tokio::time::timeout(FIRST_REQUEST_TIMEOUT, push.reached())
        .await
        .is_ok()
    {
        std::future::pending().await
    }
}

fn not_reached() -> Error {
    Error::new(
        Code::ImageLoad,
        format!(
            "Docker has not reached devk on 127.0.0.1 within {} s",
            FIRST_REQUEST_TIMEOUT.as_secs()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn failure(text: &str) -> Error {
        Error::new(Code::ImageLoad, text)
    }

    #[tokio::test]
    async fn a_push_that_fails_waits_for_the_importer_to_clean_up() {
        let cleaned_up = AtomicBool::new(false);
        let importing = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cleaned_up.store(true, Ordering::SeqCst);
            Err(failure("no index"))
        };
        let (sent, imported) =
            finish(async { Err(Stop::Failed(failure("refused"))) }, importing).await;
        assert!(matches!(sent, Err(Stop::Failed(error)) if error.message == "refused"));
        assert_eq!(imported.unwrap_err().message, "no index");
        assert!(cleaned_up.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_push_ends_with_the_importer_that_failed() {
        let never = std::future::pending::<Result<(), Stop>>();
        let (sent, imported) = finish(never, async { Err(failure("the disk is full")) }).await;
        assert!(sent.is_ok());
        assert_eq!(imported.unwrap_err().message, "the disk is full");
    }
}
