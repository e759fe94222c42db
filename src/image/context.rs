//! The build context: which entries are sent.
//!
//! These entries are exactly what `COPY` can see, since BuildKit reads no ignore file for an uploaded context. The
//! Dockerfile is always one of them: BuildKit reads it from the context.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::dockerignore::{Ignore, ignore_file};
use super::instructions::within;
use crate::config::ImageConfig;
use crate::error::{Code, Error, Result};

/// The path in the tar of a Dockerfile from outside of the context.
const OUTSIDE_DOCKERFILE: &str = ".devk.Dockerfile";

/// One entry of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// Relative to the context.
    pub path: PathBuf,
    /// The path that the entry is read from.
    pub disk: PathBuf,
    pub kind: EntryKind,
    /// The permission bits, 0o7777.
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    Folder,
    File,
    /// A symbolic link is sent as one; where it points to is for the image to say.
    Link(PathBuf),
}

/// The Dockerfile's path in the tar, as the `dockerfile` parameter of the build wants it.
pub(super) fn dockerfile_in_tar(image: &ImageConfig) -> PathBuf {
    within(image, &image.dockerfile).map_or_else(|| OUTSIDE_DOCKERFILE.into(), Path::to_owned)
}

/// Hands on everything that is sent, sorted by folder and name. Sockets, pipes and devices are left out. A context
/// may have a hundred thousand files: they are never all in memory.
///
/// # Errors
/// [`Code::ImageContext`] naming the file that cannot be read, or pointing at devk.yaml if the
/// context or the Dockerfile is not there; what `each` says.
pub fn walk(image: &ImageConfig, mut each: impl FnMut(ContextEntry) -> Result<()>) -> Result<()> {
    if !image.context.is_dir() {
        return Err(missing(image, "build context", &image.context));
    }
    if !image.dockerfile.is_file() {
        return Err(missing(image, "Dockerfile", &image.dockerfile));
    }
    let ignore = read_ignore(image)?;
    let dockerfile = dockerfile_in_tar(image);
    let mut walk = Walk {
        image,
        ignore,
        dockerfile,
        waiting: vec![],
        each: &mut each,
    };
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
        format!(
            "the {what} of image `{}`, `{}`, does not exist",
            image.name,
            path.display()
        ),
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
    let Some(file) = ignore_file(&image.context, &image.dockerfile) else {
        return Ok(Ignore::default());
    };
    let text = std::fs::read(&file).map_err(|e| unreadable(&file, &e))?;
    Ignore::parse(&String::from_utf8_lossy(&text), &file)
}

pub(super) fn unreadable(file: &Path, cause: &io::Error) -> Error {
    Error::new(
        Code::ImageContext,
        format!("cannot read `{}`: {cause}", file.display()),
    )
    .hint("make it readable, or name it in .dockerignore")
}

/// A file that was there a moment ago, or is not as long as it was.
pub(super) fn changed(file: &Path) -> Error {
    Error::new(
        Code::ImageChanged,
        format!("`{}` changed while it was read", file.display()),
    )
    .hint("run `devk up` again")
}

/// What was listed a moment ago is gone, or is no folder or link any more; else it cannot be read.
fn vanished(file: &Path, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            changed(file)
        }
        _ => unreadable(file, cause),
    }
}

struct Walk<'a> {
    image: &'a ImageConfig,
    ignore: Ignore,
    dockerfile: PathBuf,
    /// The folders on the way that are ignored themselves: sent with what an exception kept of their content.
    waiting: Vec<ContextEntry>,
    each: &'a mut dyn FnMut(ContextEntry) -> Result<()>,
}

impl Walk<'_> {
    /// The entries below a folder of the context.
    fn folder(&mut self, folder: &Path, ignored: bool) -> Result<()> {
        let disk = self.image.context.join(folder);
        let mut names =
            match std::fs::read_dir(&disk).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(listed) => listed
                    .into_iter()
                    .map(|entry| entry.file_name())
                    .collect::<Vec<_>>(),
                // Only entries that are sent have to be readable.
                Err(_) if ignored => Vec::new(),
                Err(cause) => return Err(vanished(&disk, &cause)),
            };
        names.sort();
        names
            .into_iter()
            .try_for_each(|name| self.below(folder.join(&name)))
    }

    /// One entry and, if it is a folder, what is in it.
    fn below(&mut self, path: PathBuf) -> Result<()> {
        let text = slashes(&path);
        let ignored = path != self.dockerfile && self.ignore.ignores(&text);
        if ignored && !self.dockerfile.starts_with(&path) && !self.ignore.may_except_below(&text) {
            return Ok(());
        }
        let disk = self.image.context.join(&path);
        let Some(entry) = entry(path.clone(), disk)? else {
            return Ok(());
        };
        let is_folder = entry.kind == EntryKind::Folder;
        let depth = self.waiting.len();
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

    fn send(&mut self, entry: ContextEntry) -> Result<()> {
        self.waiting
            .drain(..)
            .chain([entry])
            .try_for_each(&mut self.each)
    }
}

/// None for what is neither file, folder nor link, and for what has just vanished.
fn entry(path: PathBuf, disk: PathBuf) -> Result<Option<ContextEntry>> {
    let metadata = match std::fs::symlink_metadata(&disk) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unreadable(&disk, &cause)),
    };
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => EntryKind::Folder,
        kind if kind.is_file() => EntryKind::File,
        kind if kind.is_symlink() => {
            EntryKind::Link(std::fs::read_link(&disk).map_err(|e| vanished(&disk, &e))?)
        }
        _ => return Ok(None),
    };
    Ok(Some(ContextEntry {
        path,
        disk,
        kind,
        mode: mode(&metadata),
    }))
}

pub(super) fn slashes(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
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

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The image `api` whose context is `dir`, named in line 7.
    pub(crate) fn image(dir: &Path) -> ImageConfig {
        ImageConfig {
            name: "api".to_owned(),
            context: dir.to_owned(),
            dockerfile: dir.join("Dockerfile"),
            target: None,
            platform: None,
            args: BTreeMap::new(),
            replaces: Vec::new(),
            secrets: vec![],
            ssh: vec![],
            sync: crate::config::Sync::Auto,
            origin: crate::config::Origin {
                file: "devk.yaml".into(),
                line: 7,
            },
        }
    }

    pub(crate) fn write(dir: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let file = dir.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
    }

    pub(crate) fn entries(image: &ImageConfig) -> Result<Vec<ContextEntry>> {
        let mut entries = vec![];
        walk(image, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    fn paths(image: &ImageConfig) -> Vec<String> {
        entries(image)
            .unwrap()
            .iter()
            .map(|entry| slashes(&entry.path))
            .collect()
    }

    #[test]
    fn what_is_sent_is_sorted_and_obeys_the_ignore_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "Dockerfile",
            "b/x",
            "b-c",
            "a",
            "node_modules/m/README.md",
            "node_modules/m/index.js",
            "z.log",
        ];
        write(dir.path(), &files.map(|file| (file, "")));
        write(
            dir.path(),
            &[(
                ".dockerignore",
                "*.log\nnode_modules\n!node_modules/*/README.md\n.dockerignore\nDockerfile",
            )],
        );
        let expected = [
            "Dockerfile",
            "a",
            "b",
            "b/x",
            "b-c",
            "node_modules",
            "node_modules/m",
            "node_modules/m/README.md",
        ];
        assert_eq!(paths(&image(dir.path())), expected);
    }

    #[test]
    fn a_dockerfile_in_an_ignored_folder_or_outside_of_the_context_is_sent_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("app/docker/Dockerfile", ""),
                ("app/docker/other", ""),
                ("app/.dockerignore", "*"),
            ],
        );
        let mut config = image(&dir.path().join("app"));
        config.dockerfile = dir.path().join("app/docker/Dockerfile");
        assert_eq!(paths(&config), ["docker", "docker/Dockerfile"]);
        write(dir.path(), &[("Dockerfile", "")]);
        config.dockerfile = dir.path().join("Dockerfile");
        assert_eq!(paths(&config), [OUTSIDE_DOCKERFILE]);
        assert_eq!(dockerfile_in_tar(&config), Path::new(OUTSIDE_DOCKERFILE));
        config.dockerfile = dir.path().join("app/../Dockerfile");
        assert_eq!(paths(&config), [OUTSIDE_DOCKERFILE]);
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
        assert_eq!(entries[1].kind, EntryKind::Link("/".into()));
    }

    #[test]
    fn what_vanishes_while_a_context_is_walked_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[("Dockerfile", ""), ("a/one", ""), ("b/two", ""), ("c", "")],
        );
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
        assert_eq!(
            replaced.unwrap_err().code,
            Code::ImageChanged,
            "a folder that is a file now"
        );
        assert_eq!(
            vanished(dir.path(), &io::ErrorKind::PermissionDenied.into()).code,
            Code::ImageContext
        );
    }
}
