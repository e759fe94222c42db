//! The whole image: `docker save` streamed into the node's own `ctr import`, without a file in between.

use bollard::models::ImageInspect;
use bytes::Bytes;
use futures::{Stream, TryStreamExt};

use super::node::NodeContainer;
use super::progress::Progress;
use super::verify;
use crate::docker::request_failed;
use crate::error::{Error, Result};
use crate::ui::event::Step;

/// Loads an image that Docker has, whatever the node has of it already. Returns the bytes that were sent.
///
/// # Errors
/// [`crate::error::Code::CommandFailed`] if the import fails, [`crate::error::Code::ImageLoad`] if
/// something else arrived.
pub(super) async fn load(
    node: NodeContainer<'_>,
    snapshotter: &str,
    (reference, name): (&str, &str),
    image: &ImageInspect,
    step: &Step,
) -> Result<u64> {
    let progress = Progress::new(step, image);
    let snapshotter = format!("--snapshotter={snapshotter}");
    let all = node.ctr([
        "images",
        "import",
        "--all-platforms",
        "--digests",
        &snapshotter,
        "-",
    ]);
    match all
        .run_with_input(node.docker, archive(node, reference, &progress))
        .await
    {
        // Docker's containerd store saves the index of a pulled image with the platforms that it
        // never pulled (kind#3795): what it has is the node's own platform.
        Err(error) if lacks_platforms(&error) => {
            progress.restart();
            let own = node.ctr(["images", "import", "--digests", &snapshotter, "-"]);
            own.run_with_input(node.docker, archive(node, reference, &progress))
                .await?
        }
        result => result?,
    };
    verify::arrived(node, name, node.images().await?, image).await?;
    Ok(progress.sent())
}

fn lacks_platforms(error: &Error) -> bool {
    error
        .evidence
        .iter()
        .any(|line| line.contains("content digest") && line.contains("not found"))
}

/// The image as `docker save` writes it.
fn archive<'a>(
    node: NodeContainer<'a>,
    reference: &'a str,
    progress: &'a Progress<'a>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'a {
    let exported = node.docker.export_image(reference);
    exported
        .map_err(move |e| request_failed(&format!("cannot read `{reference}` from Docker"), &e))
        .inspect_ok(|chunk| progress.add(chunk.len()))
}
