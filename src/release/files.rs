//! A folder read into memory, so that what is hashed is what is written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Code, Error, Result};

/// One file of a folder.
#[derive(Debug, Clone)]
pub(super) struct FileEntry {
    /// Relative to the folder.
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
}

/// Reads every file below `dir`, sorted by path. Symbolic links are followed, as helm does; `.git`
/// is left out. A file that vanishes between listing and reading (an editor's temporary file) was
/// never part of the chart.
///
/// # Errors
/// [`Code::ConfigPath`] if something cannot be read or a link leads back into its own folder.
pub(super) fn read(dir: &Path) -> Result<Vec<FileEntry>> {
    let mut entries = Vec::new();
    walk(dir, Path::new(""), &mut Vec::new(), &mut entries)?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Writes the files below `dir`, for this user's eyes only: a chart may carry secrets.
pub(super) fn write(entries: &[FileEntry], dir: &Path) -> Result<()> {
    private_dir(dir)?;
    for entry in entries {
        let file = dir.join(&entry.path);
        let parent = file.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&file, &entry.content))
            .map_err(|e| {
                Error::new(
                    Code::StateIo,
                    format!("cannot write `{}`: {e}", file.display()),
                )
            })?;
    }
    Ok(())
}

/// Creates a folder (and those above it) that only this user can enter.
pub(super) fn private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| {
        Error::new(
            Code::StateIo,
            format!("cannot create `{}`: {e}", dir.display()),
        )
    })
}

/// Removes the files and folders in `dir` that were not written for `kept`. What resists is forgotten
/// another time.
pub(super) fn forget_old(dir: &Path, kept: Duration) {
    for item in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = item.metadata() else { continue };
        let is_old = meta
            .modified()
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > kept));
        let _ = match is_old {
            true if meta.is_dir() => std::fs::remove_dir_all(item.path()),
            true => std::fs::remove_file(item.path()),
            false => Ok(()),
        };
    }
}

/// Used now: the age of a file or folder counts from its last use.
pub(super) fn touch(path: &Path) {
    // Without it what is in use is only forgotten sooner, and made again.
    let _ = std::fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

fn walk(
    root: &Path,
    below: &Path,
    above: &mut Vec<PathBuf>,
    entries: &mut Vec<FileEntry>,
) -> Result<()> {
    let dir = root.join(below);
    let unreadable = |path: &Path, e: std::io::Error| {
        Error::new(Code::ConfigPath, format!("cannot read the chart: {e}")).at(path, None)
    };
    let real = dir.canonicalize().map_err(|e| unreadable(&dir, e))?;
    if above.contains(&real) {
        return Err(Error::new(
            Code::ConfigPath,
            "a symbolic link leads back into its own folder",
        )
        .at(dir, None));
    }
    above.push(real);
    for item in std::fs::read_dir(&dir).map_err(|e| unreadable(&dir, e))? {
        let name = item.map_err(|e| unreadable(&dir, e))?.file_name();
        if name == ".git" {
            continue;
        }
        let path = below.join(name);
        match std::fs::metadata(root.join(&path)) {
            Ok(meta) if meta.is_dir() => walk(root, &path, above, entries)?,
            Ok(meta) if meta.is_file() => match std::fs::read(root.join(&path)) {
                Ok(content) => entries.push(FileEntry { path, content }),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(unreadable(&root.join(&path), e)),
            },
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(unreadable(&root.join(&path), e));
            }
            // Sockets and the like, dangling links, files that vanished.
            _ => {}
        }
    }
    above.pop();
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_and_git_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let chart = dir.path().join("chart");
        let shared = dir.path().join("shared");
        for folder in [&chart.join(".git"), &shared] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(chart.join("Chart.yaml"), "name: a").unwrap();
        std::fs::write(chart.join(".git/HEAD"), "ref").unwrap();
        std::fs::write(shared.join("x.tpl"), "x").unwrap();
        std::os::unix::fs::symlink(&shared, chart.join("templates")).unwrap();
        std::os::unix::fs::symlink("nowhere", chart.join("dangling")).unwrap();

        let paths: Vec<_> = read(&chart).unwrap().into_iter().map(|e| e.path).collect();
        assert_eq!(
            paths,
            [
                PathBuf::from("Chart.yaml"),
                PathBuf::from("templates/x.tpl")
            ]
        );
    }

    #[test]
    fn only_what_is_old_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), "").unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        forget_old(dir.path(), Duration::from_secs(60));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        std::thread::sleep(Duration::from_millis(20));
        forget_old(dir.path(), Duration::from_millis(1));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_to_its_own_folder_is_an_error_not_an_endless_walk() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("self")).unwrap();
        assert_eq!(read(dir.path()).unwrap_err().code, Code::ConfigPath);
    }
}
