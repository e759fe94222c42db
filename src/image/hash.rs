//! The content hash that names an image: what goes into the build, and nothing else.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::ImageRef;
use super::context::{self, ContextEntry, EntryKind, dockerfile_in_tar, walk};
use crate::config::ImageConfig;
use crate::error::{Code, Error, Result};
use crate::hex::hex;

/// Part of every hash: to be raised whenever the same inputs would give another image.
const FORMAT: &str = "devk-image-1";

/// Hexadecimal digits of the hash that make the tag.
const TAG_DIGITS: usize = 16;

/// How often a context is walked again when a file vanished between listing and reading.
const MAX_WALKS: usize = 3;

/// Entries that are read by the readers together.
const MAX_BATCH_ENTRIES: usize = 2000;

/// More readers than this wait for the disk.
const MAX_THREADS: usize = 8;

/// The SHA-256 of a file's content.
pub(super) type FileDigest = [u8; 32];

/// The entry at a path of a build context or of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Folder,
    File(FileDigest),
    /// A symbolic link, and its target.
    Link(PathBuf),
}

/// One entry of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    pub content: Content,
    /// The permission bits, 0o7777.
    pub mode: u32,
}

/// All that a build context held when it was hashed, by the path relative to it.
pub type ContextManifest = BTreeMap<PathBuf, ManifestEntry>;

/// The result of hashing a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The tag of the image.
    pub tag: String,
    pub manifest: ContextManifest,
}

/// The tag of an image: `h` and the first 16 hexadecimal digits of the SHA-256 over the Dockerfile, every
/// entry of the context that is sent, the build arguments (resolved) and the target. Blocks on the disk.
///
/// # Errors
/// [`Code::ImageContext`] if the context cannot be read, [`Code::ImageChanged`] if files keep vanishing.
pub fn content_hash(image: &ImageConfig, args: &BTreeMap<String, String>) -> Result<Hashed> {
    let mut last = walk_and_hash(image, args);
    for _ in 1..MAX_WALKS {
        match &last {
            Err(error) if error.code == Code::ImageChanged => last = walk_and_hash(image, args),
            _ => break,
        }
    }
    last
}

/// The reference of an image: `devk.local/<project>/<name>:<hash>`.
pub fn image_ref(project_id: &str, image: &str, hash: &str) -> ImageRef {
    ImageRef {
        name: image.to_owned(),
        repository: super::repository(project_id, image),
        tag: hash.to_owned(),
    }
}

fn walk_and_hash(image: &ImageConfig, args: &BTreeMap<String, String>) -> Result<Hashed> {
    let mut recipe = Recipe::new(image, args);
    let mut manifest = ContextManifest::new();
    let mut entries = Vec::with_capacity(MAX_BATCH_ENTRIES);
    let mut add_all = |entries: &mut Vec<ContextEntry>| {
        let digests = digests(entries)?;
        for (entry, digest) in entries.drain(..).zip(digests) {
            recipe.add(&entry, digest);
            manifest.insert(entry.path.clone(), listed(entry, digest));
        }
        Ok(())
    };
    walk(image, |entry| {
        entries.push(entry);
        if entries.len() == MAX_BATCH_ENTRIES {
            add_all(&mut entries)
        } else {
            Ok(())
        }
    })?;
    add_all(&mut entries)?;
    Ok(Hashed {
        tag: recipe.tag(),
        manifest,
    })
}

fn listed(entry: ContextEntry, digest: Option<FileDigest>) -> ManifestEntry {
    let content = match entry.kind {
        EntryKind::Folder => Content::Folder,
        EntryKind::Link(target) => Content::Link(target),
        EntryKind::File => Content::File(digest.unwrap_or_default()),
    };
    ManifestEntry {
        content,
        mode: entry.mode,
    }
}

/// The digests of all files, in the order of the entries, read by a few threads.
fn digests(entries: &[ContextEntry]) -> Result<Vec<Option<FileDigest>>> {
    let next = AtomicUsize::new(0);
    let take_work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(entry) = entries.get(index) else {
                return Ok(done);
            };
            done.push((index, digest(entry)?));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take_work)).collect();
        workers.into_iter().map(joined).collect::<Result<Vec<_>>>()
    })?;
    let mut indexed: Vec<_> = parts.into_iter().flatten().collect();
    indexed.sort_unstable_by_key(|(index, _)| *index);
    Ok(indexed.into_iter().map(|(_, digest)| digest).collect())
}

fn joined<T>(worker: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn digest(entry: &ContextEntry) -> Result<Option<FileDigest>> {
    if entry.kind != EntryKind::File {
        return Ok(None);
    }
    let mut content = HashingReader::new(context::open(&entry.disk)?);
    io::copy(&mut content, &mut io::sink()).map_err(|e| {
        Error::new(
            Code::ImageContext,
            format!("cannot read `{}`: {e}", entry.disk.display()),
        )
    })?;
    Ok(Some(content.finish().0))
}

/// The hash in the making. Every field goes in with its length, so no two recipes run together.
pub(super) struct Recipe(Sha256);

impl Recipe {
    pub(super) fn new(image: &ImageConfig, args: &BTreeMap<String, String>) -> Self {
        let mut recipe = Self(Sha256::new());
        recipe.field(FORMAT);
        recipe.field(dockerfile_in_tar(image).as_os_str().as_encoded_bytes());
        recipe.field(image.target.as_deref().unwrap_or_default());
        // Without one the hash is that of an older devk.
        if let Some(platform) = &image.platform {
            recipe.field(platform);
        }
        recipe.field((args.len() as u64).to_le_bytes());
        for (key, value) in args {
            recipe.field(key);
            recipe.field(value);
        }
        recipe
    }

    /// Adds an entry; `digest` is that of a file's content.
    pub(super) fn add(&mut self, entry: &ContextEntry, digest: Option<FileDigest>) {
        self.field(entry.path.as_os_str().as_encoded_bytes());
        self.field(entry.mode.to_le_bytes());
        match (&entry.kind, digest) {
            (EntryKind::Folder, _) => self.field("folder"),
            (EntryKind::Link(target), _) => {
                self.field("link");
                self.field(target.as_os_str().as_encoded_bytes());
            }
            (EntryKind::File, digest) => {
                self.field("file");
                self.field(digest.unwrap_or_default());
            }
        }
    }

    pub(super) fn tag(self) -> String {
        let mut digits = hex(self.0.finalize());
        digits.truncate(TAG_DIGITS);
        // Some sixteen digits are a number to YAML (`1234567890123e10`), where a chart writes the tag without quotes.
        format!("h{digits}")
    }

    fn field(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// A reader that hashes the bytes that pass through it.
pub(super) struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    read: u64,
}

impl<R> HashingReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            read: 0,
        }
    }

    /// The digest of the bytes read, and their number.
    pub(super) fn finish(self) -> (FileDigest, u64) {
        (self.hash.finalize().into(), self.read)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::image::context::tests::{image, write};

    fn hash(image: &ImageConfig) -> String {
        content_hash(image, &BTreeMap::new()).unwrap().tag
    }

    #[test]
    fn the_same_content_has_the_same_tag_wherever_it_lies() {
        let tree = || {
            let dir = tempfile::tempdir().unwrap();
            write(
                dir.path(),
                &[
                    ("Dockerfile", "FROM x"),
                    ("src/main.py", "print()"),
                    (".dockerignore", ""),
                ],
            );
            dir
        };
        let one = tree();
        let other = tree();
        let tag = hash(&image(one.path()));
        assert_eq!(tag, hash(&image(other.path())));
        assert_eq!(tag.len(), 1 + TAG_DIGITS);
        assert!(tag.starts_with('h'), "no number to YAML: {tag}");
    }

    #[test]
    fn every_input_changes_the_tag() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", "FROM x"), ("a", "1")]);
        let mut config = image(dir.path());
        let mut seen = vec![hash(&config)];
        let mut change = |what: &str, config: &ImageConfig, args: &[(&str, &str)]| {
            let args = args
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let tag = content_hash(config, &args).unwrap().tag;
            assert!(!seen.contains(&tag), "{what} does not change the tag");
            seen.push(tag);
        };
        change("an argument", &config, &[("A", "1")]);
        change("an argument's value", &config, &[("A", "2")]);
        change("where name and value part", &config, &[("A2", "")]);
        config.target = Some("dev".to_owned());
        change("the target", &config, &[]);
        config.platform = Some("linux/amd64".to_owned());
        change("the platform", &config, &[]);
        write(dir.path(), &[("a", "2")]);
        change("a file's content", &config, &[]);
        write(dir.path(), &[("b", "")]);
        change("an empty file", &config, &[]);
        std::fs::create_dir(dir.path().join("c")).unwrap();
        change("an empty folder", &config, &[]);
        write(dir.path(), &[("Dockerfile", "FROM y")]);
        change("the Dockerfile", &config, &[]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{PermissionsExt, symlink};
            std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
            change("an executable bit", &config, &[]);
            symlink("a", dir.path().join("link")).unwrap();
            change("a link", &config, &[]);
            std::fs::remove_file(dir.path().join("link")).unwrap();
            symlink("b", dir.path().join("link")).unwrap();
            change("a link's target", &config, &[]);
        }
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_and_its_ignore_file_change_the_tag() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("api.Dockerfile", "FROM x"), ("app/a", "1")]);
        let mut config = image(&dir.path().join("app"));
        config.dockerfile = dir.path().join("app/../api.Dockerfile");
        let first = hash(&config);
        write(dir.path(), &[("api.Dockerfile", "FROM y")]);
        let second = hash(&config);
        write(dir.path(), &[("api.Dockerfile.dockerignore", "a")]);
        assert!(first != second && second != hash(&config));
    }

    #[test]
    fn what_is_ignored_and_when_it_was_written_do_not_change_the_tag() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("Dockerfile", "FROM x"),
                (".dockerignore", "*.log"),
                ("a", "1"),
            ],
        );
        let before = hash(&image(dir.path()));
        write(dir.path(), &[("x.log", "noise"), ("a", "1")]);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::File::options()
            .write(true)
            .open(dir.path().join("a"))
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(hash(&image(dir.path())), before);
    }

    #[test]
    fn a_missing_context_or_dockerfile_points_to_the_line_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = content_hash(&image(dir.path()), &BTreeMap::new()).unwrap_err();
        assert_eq!((error.code, error.line), (Code::ImageContext, Some(7)));
        assert!(
            error.message.contains("the Dockerfile of image `api`"),
            "{error}"
        );
        let error = content_hash(&image(Path::new("/nowhere")), &BTreeMap::new()).unwrap_err();
        assert!(
            error.message.contains("the build context of image `api`"),
            "{error}"
        );
    }

    #[test]
    fn a_reference_is_below_the_registry_that_does_not_exist() {
        assert_eq!(
            image_ref("shop", "api", "0123").reference(),
            "devk.local/shop/api:0123"
        );
    }
}
