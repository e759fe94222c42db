//! The build context: which entries are sent, and their tar as a stream in bounded memory.
//!
//! The tar holds exactly what `COPY` can see: for an uploaded context BuildKit reads no ignore file
//! itself. The Dockerfile is always in it, for BuildKit takes it from there.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use super::dockerignore::{Ignore, ignore_file};
use super::hash::{FileDigest, HashingReader, Recipe};
use crate::config::ImageConfig;
use crate::error::{Code, Error, Result};

/// Bytes that travel from the tar writer to the socket at once.
const BLOCK: usize = 128 * 1024;
/// Blocks that may wait for the socket.
const BLOCKS_AHEAD: usize = 4;

/// Where a Dockerfile from outside of the context stands in the tar.
const OUTSIDE_DOCKERFILE: &str = ".devk.Dockerfile";

/// One entry of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the context.
    pub path: PathBuf,
    /// Where it is read from.
    pub disk: PathBuf,
    pub kind: Kind,
    /// The permission bits, 0o7777.
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File,
    /// A symbolic link is sent as one; where it points to is for the image to say.
    Link(PathBuf),
}

/// The Dockerfile's path in the tar, as the `dockerfile` parameter of the build wants it.
pub(super) fn dockerfile_in_tar(image: &ImageConfig) -> PathBuf {
    image.dockerfile.strip_prefix(&image.context).map_or_else(|_| OUTSIDE_DOCKERFILE.into(), Path::to_owned)
}

/// Hands on everything that is sent, sorted by folder and name. Sockets, pipes and devices are left out. A context
/// may have a hundred thousand files: they are never all in memory.
///
/// # Errors
/// [`Code::ImageContext`] naming the file that cannot be read, or pointing at devk.yaml if the
/// context or the Dockerfile is not there; what `each` says.
pub fn walk(image: &ImageConfig, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
    if !image.context.is_dir() {
        return Err(missing(image, "build context", &image.context));
    }
    if !image.dockerfile.is_file() {
        return Err(missing(image, "Dockerfile", &image.dockerfile));
    }
    let (ignore, dockerfile) = (read_ignore(image)?, dockerfile_in_tar(image));
    let mut walk = Walk { image, ignore, dockerfile, waiting: vec![], each: &mut each };
    walk.folder(Path::new(""), false)?;
    if walk.dockerfile == Path::new(OUTSIDE_DOCKERFILE)
        && let Some(entry) = entry(walk.dockerfile.clone(), image.dockerfile.clone())?
    {
        walk.send(entry)?;
    }
    Ok(())
}

fn missing(image: &ImageConfig, what: &str, path: &Path) -> Error {
    Error::new(
        Code::ImageContext,
        format!("the {what} of image `{}`, `{}`, does not exist", image.name, path.display()),
    )
    .at(&image.origin.file, image.origin.line)
    .hint("correct the path; it is relative to the file that names it")
}

/// The Dockerfile's text, invalid UTF-8 replaced.
pub(crate) fn read_dockerfile(image: &ImageConfig) -> Result<String> {
    let text = std::fs::read(&image.dockerfile).map_err(|e| unreadable(&image.dockerfile, &e))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The ignore file that applies to a context.
pub(crate) fn read_ignore(image: &ImageConfig) -> Result<Ignore> {
    let Some(file) = ignore_file(&image.context, &image.dockerfile) else { return Ok(Ignore::default()) };
    let text = std::fs::read(&file).map_err(|e| unreadable(&file, &e))?;
    Ignore::parse(&String::from_utf8_lossy(&text), &file)
}

fn unreadable(file: &Path, cause: &io::Error) -> Error {
    Error::new(Code::ImageContext, format!("cannot read `{}`: {cause}", file.display()))
        .hint("make it readable, or name it in .dockerignore")
}

/// A file that was there a moment ago, or is not as long as it was.
pub(super) fn changed(file: &Path) -> Error {
    Error::new(Code::ImageChanged, format!("`{}` changed while it was read", file.display()))
        .hint("run `devk up` again")
}

/// What was listed a moment ago is gone, or is no folder or link any more; else it cannot be read.
fn vanished(file: &Path, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => changed(file),
        _ => unreadable(file, cause),
    }
}

struct Walk<'a> {
    image: &'a ImageConfig,
    ignore: Ignore,
    dockerfile: PathBuf,
    /// The folders on the way that are ignored themselves: sent with what an exception kept of their content.
    waiting: Vec<Entry>,
    each: &'a mut dyn FnMut(Entry) -> Result<()>,
}

impl Walk<'_> {
    /// The entries below a folder of the context.
    fn folder(&mut self, folder: &Path, ignored: bool) -> Result<()> {
        let disk = self.image.context.join(folder);
        let mut names = match std::fs::read_dir(&disk).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(listed) => listed.into_iter().map(|entry| entry.file_name()).collect::<Vec<_>>(),
            // Only what is asked for has to be readable.
            Err(_) if ignored => Vec::new(),
            Err(cause) => return Err(vanished(&disk, &cause)),
        };
        names.sort();
        names.into_iter().try_for_each(|name| self.below(folder.join(&name)))
    }

    /// One entry and, if it is a folder, what is in it.
    fn below(&mut self, path: PathBuf) -> Result<()> {
        let text = slashes(&path);
        let ignored = path != self.dockerfile && self.ignore.ignores(&text);
        if ignored && !self.dockerfile.starts_with(&path) && !self.ignore.may_except_below(&text) {
            return Ok(());
        }
        let disk = self.image.context.join(&path);
        let Some(entry) = entry(path.clone(), disk)? else { return Ok(()) };
        let (is_folder, depth) = (entry.kind == Kind::Folder, self.waiting.len());
        if ignored {
            self.waiting.push(entry);
        } else {
            self.send(entry)?;
        }
        if is_folder {
            self.folder(&path, ignored)?;
        }
        self.waiting.truncate(depth);
        Ok(())
    }

    fn send(&mut self, entry: Entry) -> Result<()> {
        self.waiting.drain(..).chain([entry]).try_for_each(&mut self.each)
    }
}

/// None for what is neither file, folder nor link, and for what has just vanished.
fn entry(path: PathBuf, disk: PathBuf) -> Result<Option<Entry>> {
    let metadata = match std::fs::symlink_metadata(&disk) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unreadable(&disk, &cause)),
    };
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Link(std::fs::read_link(&disk).map_err(|e| vanished(&disk, &e))?),
        _ => return Ok(None),
    };
    Ok(Some(Entry { path, disk, kind, mode: mode(&metadata) }))
}

fn slashes(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

/// Windows has no such bits; the docker CLI marks everything as executable there.
#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o755
}

/// Opens a file of the context; one that is gone has changed.
pub(super) fn open(file: &Path) -> Result<File> {
    File::open(file).map_err(|e| vanished(file, &e))
}

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
pub(super) fn upload(image: &ImageConfig, args: &BTreeMap<String, String>, expected_tag: &str) -> Upload {
    let (blocks, received) = mpsc::channel(BLOCKS_AHEAD);
    let (failed, failure) = oneshot::channel();
    let sent = Arc::new(AtomicU64::new(0));
    let (image, args, expected) = (image.clone(), args.clone(), expected_tag.to_owned());
    let writer = BlockWriter { blocks: blocks.clone(), buffer: BytesMut::with_capacity(BLOCK), sent: sent.clone() };
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_tar(&image, &args, &expected, writer) {
            // The Engine hung up, or the build was dropped: that has its own error, or needs none.
            if blocks.is_closed() {
                return;
            }
            let message = error.message.clone();
            // The cause is left first, so that whoever sees the broken stream finds it.
            let _ = failed.send(error);
            let _ = blocks.blocking_send(Err(io::Error::other(message)));
        }
    });
    Upload { blocks: received, failure, sent }
}

impl Upload {
    pub(super) fn split(self) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, UploadState) {
        let blocks = self.blocks;
        let stream = futures::stream::unfold(blocks, |mut blocks| async { blocks.recv().await.map(|b| (b, blocks)) });
        (stream, UploadState { failure: self.failure, sent: self.sent })
    }
}

fn write_tar(image: &ImageConfig, args: &BTreeMap<String, String>, expected: &str, writer: BlockWriter) -> Result<()> {
    let mut recipe = Recipe::new(image, args);
    let mut tar = tar::Builder::new(writer);
    walk(image, |entry| {
        let digest = append(&mut tar, &entry)?;
        recipe.add(&entry, digest);
        Ok(())
    })?;
    if recipe.tag() != expected {
        let message = format!("the build context of `{}` changed since it was hashed", image.name);
        return Err(Error::new(Code::ImageChanged, message).hint("run `devk up` again"));
    }
    tar.into_inner().and_then(BlockWriter::finish).map_err(|e| interrupted(&e))
}

fn interrupted(cause: &io::Error) -> Error {
    Error::new(Code::ImageContext, format!("the build context could not be sent: {cause}"))
}

/// Appends one entry with a header that depends on nothing but its path, kind, mode and content:
/// times and owners are zero, as from the docker CLI.
fn append(tar: &mut tar::Builder<BlockWriter>, entry: &Entry) -> Result<Option<FileDigest>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(0);
    header.set_size(0);
    match &entry.kind {
        Kind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, &entry.path, io::empty()).map_err(|e| interrupted(&e))?;
            Ok(None)
        }
        Kind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target).map_err(|e| interrupted(&e))?;
            Ok(None)
        }
        Kind::File => append_file(tar, header, entry).map(Some),
    }
}

fn append_file(tar: &mut tar::Builder<BlockWriter>, mut header: tar::Header, entry: &Entry) -> Result<FileDigest> {
    let file = open(&entry.disk)?;
    let length = file.metadata().map_err(|e| unreadable(&entry.disk, &e))?.len();
    header.set_size(length);
    // A file that grows meanwhile is cut at the length the header names; the hash tells.
    let mut content = HashingReader::new(file.take(length));
    tar.append_data(&mut header, &entry.path, &mut content).map_err(|e| interrupted(&e))?;
    let (digest, read) = content.finish();
    if read == length { Ok(digest) } else { Err(changed(&entry.disk)) }
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
        self.blocks.blocking_send(Ok(block)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        self.send()
    }
}

impl Write for BlockWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(BLOCK - self.buffer.len());
        self.buffer.extend_from_slice(&data[..taken]);
        if self.buffer.len() == BLOCK {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use futures::{StreamExt, TryStreamExt};

    use super::*;
    use crate::image::hash::content_hash;

    /// The image `api` whose context is `dir`, named in line 7.
    pub(crate) fn image(dir: &Path) -> ImageConfig {
        ImageConfig {
            name: "api".to_owned(),
            context: dir.to_owned(),
            dockerfile: dir.join("Dockerfile"),
            target: None,
            args: BTreeMap::new(),
            sync: crate::config::Sync::Auto,
            origin: crate::config::Origin { file: "devk.yaml".into(), line: 7 },
        }
    }

    pub(crate) fn write(dir: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let file = dir.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
    }

    fn entries(image: &ImageConfig) -> Result<Vec<Entry>> {
        let mut entries = vec![];
        walk(image, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    fn paths(image: &ImageConfig) -> Vec<String> {
        entries(image).unwrap().iter().map(|entry| slashes(&entry.path)).collect()
    }

    async fn sent(image: &ImageConfig, tag: &str) -> (io::Result<Vec<u8>>, Option<Error>) {
        let (stream, mut state) = upload(image, &BTreeMap::new(), tag).split();
        let bytes = stream.try_fold(Vec::new(), |mut all, block| async move {
            all.extend_from_slice(&block);
            Ok(all)
        });
        (bytes.await, state.failure())
    }

    #[test]
    fn what_is_sent_is_sorted_and_obeys_the_ignore_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["Dockerfile", "b/x", "b-c", "a", "node_modules/m/README.md", "node_modules/m/index.js", "z.log"];
        write(dir.path(), &files.map(|file| (file, "")));
        write(
            dir.path(),
            &[(".dockerignore", "*.log\nnode_modules\n!node_modules/*/README.md\n.dockerignore\nDockerfile")],
        );
        let expected =
            ["Dockerfile", "a", "b", "b/x", "b-c", "node_modules", "node_modules/m", "node_modules/m/README.md"];
        assert_eq!(paths(&image(dir.path())), expected);
    }

    #[test]
    fn a_dockerfile_in_an_ignored_folder_or_outside_of_the_context_is_sent_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("app/docker/Dockerfile", ""), ("app/docker/other", ""), ("app/.dockerignore", "*")]);
        let mut config = image(&dir.path().join("app"));
        config.dockerfile = dir.path().join("app/docker/Dockerfile");
        assert_eq!(paths(&config), ["docker", "docker/Dockerfile"]);
        write(dir.path(), &[("Dockerfile", "")]);
        config.dockerfile = dir.path().join("Dockerfile");
        assert_eq!(paths(&config), [OUTSIDE_DOCKERFILE]);
        assert_eq!(dockerfile_in_tar(&config), Path::new(OUTSIDE_DOCKERFILE));
    }

    #[cfg(unix)]
    #[test]
    fn sockets_and_pipes_are_left_out_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", "")]);
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s.sock")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        let entries = entries(&image(dir.path())).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].kind, Kind::Link("/".into()));
    }

    #[test]
    fn what_vanishes_while_a_context_is_walked_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", ""), ("a/one", ""), ("b/two", ""), ("c", "")]);
        let config = image(dir.path());
        let during = |vanish: &dyn Fn()| {
            walk(&config, |entry| {
                if slashes(&entry.path) == "b" {
                    vanish();
                }
                Ok(())
            })
        };
        let gone = during(&|| std::fs::remove_dir_all(dir.path().join("b")).unwrap());
        assert_eq!(gone.unwrap_err().code, Code::ImageChanged, "a folder");
        write(dir.path(), &[("b/two", "")]);
        let replaced = during(&|| {
            std::fs::remove_dir_all(dir.path().join("b")).unwrap();
            std::fs::write(dir.path().join("b"), "").unwrap();
        });
        assert_eq!(replaced.unwrap_err().code, Code::ImageChanged, "a folder that is a file now");
        assert_eq!(vanished(dir.path(), &io::ErrorKind::PermissionDenied.into()).code, Code::ImageContext);
    }

    #[tokio::test]
    async fn the_tar_is_the_same_each_time_and_holds_what_was_listed() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
        let large = "x".repeat(3 * BLOCK + 1);
        write(dir.path(), &[("Dockerfile", "FROM x"), (&long, "deep"), ("large", &large)]);
        #[cfg(unix)]
        std::os::unix::fs::symlink("large", dir.path().join("link")).unwrap();
        let config = image(dir.path());
        let tag = content_hash(&config, &BTreeMap::new()).unwrap();
        let (bytes, failure) = sent(&config, &tag).await;
        assert_eq!(failure, None);
        let bytes = bytes.unwrap();
        assert_eq!(bytes, sent(&config, &tag).await.0.unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let unpacked: Vec<_> = archive
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| (slashes(&entry.path().unwrap()), entry.size(), entry.header().mtime().unwrap()))
            .collect();
        let listed: Vec<_> = entries(&config).unwrap();
        let size = |entry: &Entry| if entry.kind == Kind::File { entry.disk.metadata().unwrap().len() } else { 0 };
        let expected: Vec<_> = listed.iter().map(|entry| (slashes(&entry.path), size(entry), 0)).collect();
        assert_eq!(unpacked, expected);
    }

    #[tokio::test]
    async fn a_context_that_changed_since_it_was_hashed_breaks_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", "FROM x"), ("a", "1")]);
        let config = image(dir.path());
        let tag = content_hash(&config, &BTreeMap::new()).unwrap();
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
        write(dir.path(), &[("Dockerfile", "FROM x"), ("large", &"x".repeat(20 * BLOCK))]);
        let (stream, mut state) = upload(&image(dir.path()), &BTreeMap::new(), "any").split();
        let mut stream = Box::pin(stream);
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let reader_ended = async {
            while !matches!(state.failure.try_recv(), Err(oneshot::error::TryRecvError::Closed)) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), reader_ended).await.unwrap();
    }
}
