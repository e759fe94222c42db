//! A build context as a tar on its way to the Engine, in bounded memory.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use super::context::{ContextEntry, EntryKind, changed, open, unreadable, walk};
use super::hash::{FileDigest, HashingReader, Recipe};
use crate::config::ImageConfig;
use crate::error::{Code, Error, Result};

/// Bytes that travel from the tar writer to the socket at once.
const BLOCK_BYTES: usize = 128 * 1024;
/// Blocks that may wait for the socket.
const MAX_QUEUED_BLOCKS: usize = 4;

/// A context on its way to the Engine.
#[derive(Debug)]
pub(super) struct Upload {
    blocks: mpsc::Receiver<io::Result<Bytes>>,
    failure: oneshot::Receiver<Error>,
    sent: Arc<AtomicU64>,
}

/// The ends of an [`Upload`] that stay with the caller.
#[derive(Debug)]
pub(super) struct UploadState {
    failure: oneshot::Receiver<Error>,
    sent: Arc<AtomicU64>,
}

impl UploadState {
    /// Bytes handed to the connection so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the context broke off, if it did. The Engine only sees a lost connection.
    pub(super) fn failure(&mut self) -> Option<Error> {
        self.failure.try_recv().ok()
    }
}

/// Starts to read the context. The stream ends with an error, and so never makes an image, if what
/// was read does not hash to `expected_tag`: a tag must not name content it was not made from.
pub(super) fn upload(
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    expected_tag: &str,
) -> Upload {
    let (blocks, received) = mpsc::channel(MAX_QUEUED_BLOCKS);
    let (failed, failure) = oneshot::channel();
    let sent = Arc::new(AtomicU64::new(0));
    let image = image.clone();
    let args = args.clone();
    let expected = expected_tag.to_owned();
    let writer = BlockWriter {
        blocks: blocks.clone(),
        buffer: BytesMut::with_capacity(BLOCK_BYTES),
        sent: sent.clone(),
    };
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_tar(&image, &args, &expected, writer) {
            // The Engine hung up, which has its own error, or the build was dropped, which needs none.
            if blocks.is_closed() {
                return;
            }
            let message = error.message.clone();
            // The cause is stored first, so that the reader of the broken stream finds it.
            let _ = failed.send(error);
            let _ = blocks.blocking_send(Err(io::Error::other(message)));
        }
    });
    Upload {
        blocks: received,
        failure,
        sent,
    }
}

impl Upload {
    pub(super) fn split(
        self,
    ) -> (
        impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        UploadState,
    ) {
        let blocks = self.blocks;
        let stream = futures::stream::unfold(blocks, |mut blocks| async {
            blocks.recv().await.map(|b| (b, blocks))
        });
        (
            stream,
            UploadState {
                failure: self.failure,
                sent: self.sent,
            },
        )
    }
}

fn write_tar(
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    expected: &str,
    writer: BlockWriter,
) -> Result<()> {
    let mut recipe = Recipe::new(image, args);
    let mut tar = tar::Builder::new(writer);
    walk(image, |entry| {
        let digest = append(&mut tar, &entry)?;
        recipe.add(&entry, digest);
        Ok(())
    })?;
    if recipe.tag() != expected {
        let message = format!(
            "the build context of `{}` changed since it was hashed",
            image.name
        );
        return Err(Error::new(Code::ImageChanged, message).hint("run `devk up` again"));
    }
    tar.into_inner()
        .and_then(BlockWriter::finish)
        .map_err(|e| interrupted(&e))
}

fn interrupted(cause: &io::Error) -> Error {
    Error::new(
        Code::ImageContext,
        format!("the build context could not be sent: {cause}"),
    )
}

/// Appends one entry with a header that depends on nothing but its path, kind, mode and content:
/// times and owners are zero, as from the docker CLI.
fn append(tar: &mut tar::Builder<BlockWriter>, entry: &ContextEntry) -> Result<Option<FileDigest>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(0);
    header.set_size(0);
    match &entry.kind {
        EntryKind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, &entry.path, io::empty())
                .map_err(|e| interrupted(&e))?;
            Ok(None)
        }
        EntryKind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target)
                .map_err(|e| interrupted(&e))?;
            Ok(None)
        }
        EntryKind::File => append_file(tar, header, entry).map(Some),
    }
}

fn append_file(
    tar: &mut tar::Builder<BlockWriter>,
    mut header: tar::Header,
    entry: &ContextEntry,
) -> Result<FileDigest> {
    let file = open(&entry.disk)?;
    let length = file
        .metadata()
        .map_err(|e| unreadable(&entry.disk, &e))?
        .len();
    header.set_size(length);
    // A file that grows meanwhile is cut at the length the header names; the hash tells.
    let mut content = HashingReader::new(file.take(length));
    tar.append_data(&mut header, &entry.path, &mut content)
        .map_err(|e| interrupted(&e))?;
    let (digest, read) = content.finish();
    if read == length {
        Ok(digest)
    } else {
        Err(changed(&entry.disk))
    }
}

/// Collects what `tar` writes into blocks, and waits while too many are ahead of the socket.
struct BlockWriter {
    blocks: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
    sent: Arc<AtomicU64>,
}

impl BlockWriter {
    fn send(&mut self) -> io::Result<()> {
        let block = self.buffer.split().freeze();
        self.sent.fetch_add(block.len() as u64, Ordering::Relaxed);
        self.blocks
            .blocking_send(Ok(block))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        self.send()
    }
}

impl Write for BlockWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(BLOCK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&data[..taken]);
        if self.buffer.len() == BLOCK_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, TryStreamExt};

    use super::*;
    use crate::image::context::slashes;
    use crate::image::context::tests::{entries, image, write};
    use crate::image::hash::content_hash;

    async fn sent(image: &ImageConfig, tag: &str) -> (io::Result<Vec<u8>>, Option<Error>) {
        let (stream, mut state) = upload(image, &BTreeMap::new(), tag).split();
        let bytes = stream.try_fold(Vec::new(), |mut all, block| async move {
            all.extend_from_slice(&block);
            Ok(all)
        });
        (bytes.await, state.failure())
    }

    #[tokio::test]
    async fn the_tar_is_the_same_each_time_and_holds_what_was_listed() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
        let large = "x".repeat(3 * BLOCK_BYTES + 1);
        write(
            dir.path(),
            &[("Dockerfile", "FROM x"), (&long, "deep"), ("large", &large)],
        );
        #[cfg(unix)]
        std::os::unix::fs::symlink("large", dir.path().join("link")).unwrap();
        let config = image(dir.path());
        let tag = content_hash(&config, &BTreeMap::new()).unwrap().tag;
        let (bytes, failure) = sent(&config, &tag).await;
        assert_eq!(failure, None);
        let bytes = bytes.unwrap();
        assert_eq!(bytes, sent(&config, &tag).await.0.unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let unpacked: Vec<_> = archive
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| {
                (
                    slashes(&entry.path().unwrap()),
                    entry.size(),
                    entry.header().mtime().unwrap(),
                )
            })
            .collect();
        let listed: Vec<_> = entries(&config).unwrap();
        let size = |entry: &ContextEntry| {
            if entry.kind == EntryKind::File {
                entry.disk.metadata().unwrap().len()
            } else {
                0
            }
        };
        let expected: Vec<_> = listed
            .iter()
            .map(|entry| (slashes(&entry.path), size(entry), 0))
            .collect();
        assert_eq!(unpacked, expected);
    }

    #[tokio::test]
    async fn a_context_that_changed_since_it_was_hashed_breaks_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", "FROM x"), ("a", "1")]);
        let config = image(dir.path());
        let tag = content_hash(&config, &BTreeMap::new()).unwrap().tag;
        write(dir.path(), &[("a", "2")]);
        let (bytes, failure) = sent(&config, &tag).await;
        assert!(bytes.is_err());
        assert_eq!(failure.unwrap().code, Code::ImageChanged);
    }

    #[tokio::test]
    async fn a_context_that_cannot_be_read_breaks_the_stream_with_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let (bytes, failure) = sent(&image(dir.path()), "").await;
        assert!(bytes.is_err());
        assert_eq!(failure.unwrap().code, Code::ImageContext);
    }

    #[tokio::test]
    async fn a_build_that_is_dropped_stops_the_reader_without_an_error() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("Dockerfile", "FROM x"),
                ("large", &"x".repeat(20 * BLOCK_BYTES)),
            ],
        );
        let (stream, mut state) = upload(&image(dir.path()), &BTreeMap::new(), "any").split();
        let mut stream = Box::pin(stream);
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let reader_ended = async {
            while !matches!(
                state.failure.try_recv(),
                Err(oneshot::error::TryRecvError::Closed)
            ) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), reader_ended)
            .await
            .unwrap();
    }
}
