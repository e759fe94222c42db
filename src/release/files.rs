//! A folder read into memory, so that what is hashed is what is written.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::error::{Code, Error, Result};
use crate::paths::refused;

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

/// A folder beside the one that it becomes with [`finish`].
pub(super) fn begin(home: &Path) -> Result<TempDir> {
    let all = home.parent().unwrap_or(home);
    private_dir(all)?;
    let temp = tempfile::Builder::new().prefix(".new-").tempdir_in(all);
    temp.map_err(|e| refused("write", home, &e))
}

/// Gives a folder that is whole its name.
pub(super) fn finish(temp: &TempDir, home: &Path) -> Result<()> {
    match std::fs::rename(temp.path(), home) {
        // Another devk was faster, with the same content.
        Err(_) if home.is_dir() => Ok(()),
        other => other.map_err(|e| refused("write", home, &e)),
    }
}

/// Used now: the age of a file or folder counts from its last use.
pub(super) fn touch(path: &Path) {
    // Without it what is in use is only forgotten sooner, and made again.
    let _ = std::fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// The real paths of what the links below a folder lead to, and of what is linked there in turn. A link that leads back
/// to a folder above is left to [`read`], which refuses it.
pub fn link_targets(root: &Path) -> Vec<PathBuf> {
    let mut targets = vec![];
    let mut next = vec![root.to_owned()];
    while let Some(folder) = next.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_dir() && !path.ends_with(".git") {
                next.push(path);
            } else if meta.is_symlink()
                && let Ok(target) = path.canonicalize()
                && !path.starts_with(&target)
                && !targets.contains(&target)
            {
                next.extend(target.is_dir().then(|| target.clone()));
                targets.push(target);
            }
        }
    }
    targets
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
    fn a_link_to_its_own_folder_is_an_error_not_an_endless_walk() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("self")).unwrap();
        assert_eq!(read(dir.path()).unwrap_err().code, Code::ConfigPath);
    }
}
