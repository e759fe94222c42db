//! Long content: brought into the container by a process of its own, through a stream of its own, into the
//! folder from which the shell then puts the files in place. `tar` carries any number of files; where the
//! image has none, `head` carries one.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use kube::Client;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use super::batch::{ContainerPath, Item, SourceFile};
use super::exec::{ContainerExec, ContainerRef, ProcessOutput, Said};
use super::script::{Group, UPLOAD_DIR, Uploaded, upload_dir};
use super::stream::Failure;

/// Bytes in a frame.
const FRAME_BYTES: usize = 256 * 1024;
/// How long a container may take for a frame, or to end after the last one.
const FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// A tar is made of blocks of this many bytes, and ends with two that are empty.
const TAR_BLOCK_BYTES: u64 = 512;

/// `$1` bytes of a tar, unpacked below `$2`. `head` ends it: not every server can close an input, and some
/// `tar` read on to the end.
const TAR: &str = r#"mkdir -p "$2" && head -c "$1" | tar -xopf - -C "$2""#;
/// `$1` bytes into the file `$3` in the folder `$2`.
const HEAD: &str = r#"mkdir -p "$2" && head -c "$1" >"$2/$3""#;

/// A file to be uploaded.
#[derive(Debug)]
pub(super) struct UploadPiece<'a> {
    pub(super) root: usize,
    group: usize,
    item: &'a Item,
    source: &'a SourceFile,
}

impl UploadPiece<'_> {
    /// It is read while it is sent.
    fn is_long(&self) -> bool {
        self.source.content.is_none()
    }
}

/// The files of a batch that are to be uploaded.
pub(super) fn pieces<'a>(groups: &[Group<'a>], uploaded: Uploaded) -> Vec<UploadPiece<'a>> {
    let pieces = groups.iter().enumerate().flat_map(|(group, content)| {
        content.items.iter().filter_map(move |item| {
            let source = item.source()?;
            Some(UploadPiece {
                root: item.target.root,
                group,
                item,
                source,
            })
        })
    });
    pieces
        .filter(|piece| uploaded == Uploaded::All || piece.is_long())
        .collect()
}

/// What was sent of a file that was read meanwhile: the SHA-256 of its content, or None if it became shorter.
pub(super) type Sent = Option<[u8; 32]>;

/// Uploads the pieces that belong below one target folder. The answer is what was sent of the long ones, and what
/// failed.
pub(super) async fn upload(
    client: &Client,
    place: &ContainerRef,
    stage: &Path,
    pieces: &[&UploadPiece<'_>],
    tar: bool,
) -> (Vec<(ContainerPath, Sent)>, Vec<Failure>) {
    let mut uploaded = vec![];
    let mut failures = vec![];
    let parts: Vec<_> = if tar {
        vec![pieces]
    } else {
        pieces.chunks(1).collect()
    };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let sent = match part {
            [piece] if !tar => upload_one(client, place, stage, piece)
                .await
                .map(|sent| vec![sent]),
            part => upload_tar(client, place, stage, part).await,
        };
        let target = |piece: &&UploadPiece<'_>| piece.item.target.clone();
        match sent {
            Ok(sent) => uploaded.extend(
                part.iter()
                    .filter(|piece| piece.is_long())
                    .map(target)
                    .zip(sent),
            ),
            Err(why) => {
                let failed = part.iter().map(target);
                failures.extend(failed.map(|target| Failure::new(target, why.clone())));
            }
        }
    }
    (uploaded, failures)
}

async fn upload_tar(
    client: &Client,
    place: &ContainerRef,
    stage: &Path,
    pieces: &[&UploadPiece<'_>],
) -> Result<Vec<Sent>, String> {
    let headers = pieces
        .iter()
        .map(|piece| header(piece))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|e| e.to_string())?;
    let padded = |len: u64| len.next_multiple_of(TAR_BLOCK_BYTES);
    let content: u64 = pieces.iter().map(|piece| padded(piece.source.len)).sum();
    let total = content
        + headers
            .iter()
            .map(|header| header.len() as u64)
            .sum::<u64>()
        + 2 * TAR_BLOCK_BYTES;
    let stage = stage.join(UPLOAD_DIR);
    let mut sending = Sending::start(
        client,
        place,
        TAR,
        &[&total.to_string(), text(stage.as_os_str())?],
    )
    .await?;
    let mut sent = Vec::with_capacity(pieces.len());
    for (piece, header) in pieces.iter().zip(headers) {
        sending.bytes(&header).await?;
        let content = sending
            .content(piece.source, padded(piece.source.len))
            .await?;
        sent.extend(piece.is_long().then_some(content));
    }
    sending.bytes(&[0; 2 * TAR_BLOCK_BYTES as usize]).await?;
    sending.finish().await?;
    Ok(sent)
}

/// The header of a file, with what long names need before it.
fn header(piece: &UploadPiece<'_>) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(piece.source.len);
    header.set_mode(piece.source.mode);
    let path = Path::new(&piece.group.to_string()).join(&piece.item.target.name);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, path, io::empty())?;
    // Not `into_inner`, which would end the archive.
    Ok(builder.get_ref().clone())
}

async fn upload_one(
    client: &Client,
    place: &ContainerRef,
    stage: &Path,
    piece: &UploadPiece<'_>,
) -> Result<Sent, String> {
    let folder = stage.join(upload_dir(piece.group));
    let name = text(&piece.item.target.name)?;
    let len = piece.source.len.to_string();
    let mut sending = Sending::start(
        client,
        place,
        HEAD,
        &[&len, text(folder.as_os_str())?, name],
    )
    .await?;
    let sent = sending.content(piece.source, piece.source.len).await?;
    sending.finish().await?;
    Ok(sent)
}

/// The API server takes arguments as text only.
fn text(word: &OsStr) -> Result<&str, String> {
    word.to_str().ok_or_else(|| {
        format!(
            "`{}` is no text, and without `tar` it cannot be sent",
            word.display()
        )
    })
}

/// A process on its way.
struct Sending {
    exec: ContainerExec,
    frame: Vec<u8>,
    said: Vec<u8>,
}

impl Sending {
    async fn start(
        client: &Client,
        place: &ContainerRef,
        script: &str,
        words: &[&str],
    ) -> Result<Self, String> {
        let command = [&["sh", "-c", script, "sh"], words].concat();
        let exec = ContainerExec::start(client, place, &command).await?;
        Ok(Self {
            exec,
            frame: Vec::with_capacity(FRAME_BYTES),
            said: Vec::new(),
        })
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.frame.extend_from_slice(bytes);
        if self.frame.len() >= FRAME_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Exactly `len` bytes; a file that has become shorter is filled with zeros.
    async fn content(&mut self, source: &SourceFile, len: u64) -> Result<Sent, String> {
        let mut left = usize::try_from(len).map_err(|_| "the file is too long".to_owned())?;
        let padding =
            usize::try_from(len - source.len).map_err(|_| "the file is too long".to_owned())?;
        let mut hash = Sha256::new();
        match &source.content {
            Some(content) => {
                self.bytes(content).await?;
                left -= content.len();
            }
            None => {
                let file = tokio::fs::File::open(&source.disk)
                    .await
                    .map_err(|e| e.to_string())?;
                let mut file = file.take(source.len);
                let mut buffer = vec![0; FRAME_BYTES];
                loop {
                    let count = file.read(&mut buffer).await.map_err(|e| e.to_string())?;
                    if count == 0 {
                        break;
                    }
                    hash.update(&buffer[..count]);
                    self.bytes(&buffer[..count]).await?;
                    left -= count;
                }
            }
        }
        let is_whole = left == padding;
        while left > 0 {
            let count = left.min(FRAME_BYTES);
            self.bytes(&vec![0; count]).await?;
            left -= count;
        }
        Ok(is_whole.then(|| hash.finalize().into()))
    }

    async fn flush(&mut self) -> Result<(), String> {
        let Self { exec, frame, said } = self;
        // A process that ended reads no more, and then nothing would ever take the frame.
        tokio::select! {
            sent = exec.input.send(frame) => sent?,
            ended = end(&mut exec.output, said) => return Err(ended.err().unwrap_or_else(|| "ended early".to_owned())),
            () = sleep(FRAME_TIMEOUT) => return Err(silent()),
        }
        self.frame.clear();
        Ok(())
    }

    async fn finish(mut self) -> Result<(), String> {
        self.flush().await?;
        self.exec.input.close().await;
        timeout(FRAME_TIMEOUT, end(&mut self.exec.output, &mut self.said))
            .await
            .map_err(|_| silent())?
    }
}

fn silent() -> String {
    format!(
        "the container took nothing for {} s",
        FRAME_TIMEOUT.as_secs()
    )
}

/// Waits for the end of a process. An error is the last it said.
async fn end(output: &mut ProcessOutput, said: &mut Vec<u8>) -> Result<(), String> {
    loop {
        match output.next().await {
            Some(Said::Ended(None)) => return Ok(()),
            Some(Said::Ended(Some(why))) => return Err(last_line(said).unwrap_or(why)),
            Some(Said::Stdout(_)) => {}
            Some(Said::Stderr(bytes)) => said.extend_from_slice(&bytes),
            None => return Err("the connection was closed".to_owned()),
        }
    }
}

/// The last line with anything on it.
pub(super) fn last_line(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    said.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .map(str::to_owned)
}
