//! What one message to a container holds: paths below its target folders, and what is to be there.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::journal::Seen;

/// Files up to this size, in bytes, are read into memory when a batch is made; longer ones are streamed.
pub(super) const MAX_IN_MEMORY_BYTES: u64 = 64 * 1024;

/// A path in a container, told by a target folder and the way from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPath {
    /// The target folder, an index into the list that the stream was opened with.
    pub root: usize,
    /// The folders on the way, none of them `..`.
    pub folders: Vec<OsString>,
    pub name: OsString,
}

impl ContainerPath {
    /// None for a path that is not simply below its root: absolute, empty, or with a `..` in it.
    pub fn below(root: usize, path: &Path) -> Option<Self> {
        let normal = |part: Component<'_>| match part {
            Component::Normal(name) => Some(name.to_owned()),
            _ => None,
        };
        let mut folders = path.components().map(normal).collect::<Option<Vec<_>>>()?;
        let name = folders.pop()?;
        Some(Self {
            root,
            folders,
            name,
        })
    }
}

/// What is to be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    File(SourceFile),
    /// A symbolic link, and what it says.
    Link(PathBuf),
    /// A folder, and the permission bits that it gets if it has to be made, 0o777.
    Folder(u32),
    Gone,
}

/// A file of the working tree, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    pub disk: PathBuf,
    /// The permission bits, 0o777.
    pub mode: u32,
    /// In bytes.
    pub len: u64,
    /// The content of a small file.
    pub content: Option<Bytes>,
}

/// What is at a path of the working tree now. Sockets, pipes and devices are not there.
///
/// # Errors
/// If it is there and cannot be read.
pub fn look(disk: &Path) -> io::Result<Wanted> {
    match found(disk) {
        // It went while we looked.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Wanted::Gone)
        }
        found => found,
    }
}

fn found(disk: &Path) -> io::Result<Wanted> {
    let metadata = std::fs::symlink_metadata(disk)?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return Ok(Wanted::Link(std::fs::read_link(disk)?));
    }
    if kind.is_dir() {
        return Ok(Wanted::Folder(metadata.permissions().mode() & 0o777));
    }
    if !kind.is_file() {
        return Ok(Wanted::Gone);
    }
    let mut file = File::open(disk)?;
    let mode = metadata.permissions().mode() & 0o777;
    let mut content = Vec::new();
    if metadata.len() <= MAX_IN_MEMORY_BYTES {
        (&mut file)
            .take(MAX_IN_MEMORY_BYTES + 1)
            .read_to_end(&mut content)?;
    }
    let is_whole =
        metadata.len() <= MAX_IN_MEMORY_BYTES && content.len() as u64 <= MAX_IN_MEMORY_BYTES;
    let len = if is_whole {
        content.len() as u64
    } else {
        metadata.len()
    };
    Ok(Wanted::File(SourceFile {
        disk: disk.to_owned(),
        mode,
        len,
        content: is_whole.then(|| content.into()),
    }))
}

/// A short name for a file or a link: two that differ differ in kind, mode, target or content.
pub type Print = [u8; 16];

impl Wanted {
    /// For the journal. Reads all of a long file.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn seen(&self) -> io::Result<Seen> {
        Ok(match self {
            Self::Gone => Seen::Gone,
            Self::Folder(_) => Seen::Folder,
            Self::Link(target) => {
                Seen::Leaf(print(&[b"link", target.as_os_str().as_encoded_bytes()]))
            }
            Self::File(source) => file(source.mode, source.digest()?),
        })
    }
}

/// A file of these permission bits with content of this SHA-256.
pub(super) fn file(mode: u32, digest: [u8; 32]) -> Seen {
    Seen::Leaf(print(&[b"file", &mode.to_le_bytes(), &digest]))
}

fn print(parts: &[&[u8]]) -> Print {
    let hash = parts
        .iter()
        .fold(Sha256::new(), |hash, part| hash.chain_update(part))
        .finalize();
    let mut print = Print::default();
    print.copy_from_slice(&hash[..16]);
    print
}

impl SourceFile {
    /// The SHA-256 of the content, as `sha256sum` prints it.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        match &self.content {
            Some(content) => hash.update(content),
            None => drop(io::copy(
                &mut File::open(&self.disk)?,
                &mut Sink(&mut hash),
            )?),
        }
        Ok(hash.finalize().into())
    }
}

struct Sink<'a>(&'a mut Sha256);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One path and what is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub target: ContainerPath,
    pub wanted: Wanted,
    /// `user:group` as in `COPY --chown`, where the container's user may give files away.
    pub owner: Option<String>,
    /// The rule of devk.yaml that says so, an index into [`super::rules::Rules::run`]'s.
    pub rule: Option<usize>,
}

impl Item {
    /// The file that is to be there, if it is one.
    pub(super) fn source(&self) -> Option<&SourceFile> {
        match &self.wanted {
            Wanted::File(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_below_its_root_or_none() {
        let target = ContainerPath::below(0, Path::new("a/./b/c.py")).unwrap();
        assert_eq!(
            (target.folders, target.name),
            (vec!["a".into(), "b".into()], "c.py".into())
        );
        for path in ["", ".", "/etc/passwd", "../x", "a/../../x", "a/.."] {
            assert_eq!(ContainerPath::below(0, Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn what_is_at_a_path_is_told_by_kind_mode_and_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut all = vec![look(&path).unwrap().seen().unwrap()];
        let mut seen = |path: &Path| {
            let another = look(path).unwrap().seen().unwrap();
            assert!(!all.contains(&another));
            all.push(another);
        };
        std::fs::write(&path, "one").unwrap();
        seen(&path);
        std::fs::write(&path, "two").unwrap();
        seen(&path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        seen(&path);
        std::fs::write(&path, vec![7; MAX_IN_MEMORY_BYTES as usize + 1]).unwrap();
        seen(&path);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        seen(&path);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        seen(&path);
    }

    #[test]
    fn a_long_file_has_the_same_digest_whether_it_is_kept_or_streamed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("x");
        std::fs::write(&disk, "text").unwrap();
        let Wanted::File(kept) = look(&disk).unwrap() else {
            panic!("a file")
        };
        let streamed = SourceFile {
            content: None,
            ..kept.clone()
        };
        assert_eq!(kept.digest().unwrap(), streamed.digest().unwrap());
    }

    #[test]
    fn what_is_below_a_file_and_what_is_no_file_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(look(&dir.path().join("file/below")).unwrap(), Wanted::Gone);
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert_eq!(look(&dir.path().join("socket")).unwrap(), Wanted::Gone);
    }
}
