//! devk's own program where a node runs it as a relay: in the folder that a node shares with this machine, once for each
//! build, because a copy through Docker takes seconds for a large program.
//!
//! Nothing but a relay runs that file, and only in the node, which could change it: this machine runs its own.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use crate::program::{Build, program};

/// How the names of the files begin.
const PREFIX: &str = "relay-";

/// Puts the running program into a folder, where it is not there yet, in place of those of other builds. Returns the
/// name of the file in it.
///
/// # Errors
/// There is no such folder, or it cannot be written.
pub(super) async fn place(folder: &Path) -> Result<String> {
    let folder = folder.to_owned();
    let placed = tokio::task::spawn_blocking(move || place_now(&folder));
    placed.await.map_err(Error::other)?
}

fn place_now(folder: &Path) -> Result<String> {
    let build = Build::own().ok_or(ErrorKind::NotFound)?;
    let name = format!("{PREFIX}{}", build.id());
    let file = folder.join(&name);
    // A machine that went down may have left a shorter one.
    if file
        .metadata()
        .is_ok_and(|found| found.len() == build.bytes())
    {
        return Ok(name);
    }
    let copy = folder.join(format!("{name}.{}", std::process::id()));
    let placed = std::fs::copy(program()?, &copy).and_then(|_| std::fs::rename(&copy, &file));
    if placed.is_err() {
        let _ = std::fs::remove_file(&copy);
    }
    placed?;
    remove_others(folder, &name);
    Ok(name)
}

/// Sessions of other builds keep what they run, and place theirs again when they need it.
fn remove_others(folder: &Path, name: &str) {
    let is_other = |file: &OsStr| {
        let file = file.to_string_lossy();
        file.starts_with(PREFIX) && !file.starts_with(name)
    };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.filter(|file| is_other(&file.file_name())) {
        let _ = std::fs::remove_file(file.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_program_is_placed_once_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for other in ["relay-0.0.9-1-1", "relay-0.0.9-1-1.77", "4711.sock"] {
            std::fs::write(path(other), "x").unwrap();
        }
        let name = place(folder.path()).await.unwrap();
        let own = std::fs::read(program().unwrap()).unwrap();
        assert!(std::fs::read(path(&name)).unwrap() == own);
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["4711.sock", &name]);

        let placed = || path(&name).metadata().unwrap().modified().unwrap();
        let first = placed();
        assert_eq!(place(folder.path()).await.unwrap(), name);
        assert_eq!(placed(), first, "the file that is there is kept");
        std::fs::write(path(&name), "cut off").unwrap();
        place(folder.path()).await.unwrap();
        assert!(std::fs::read(path(&name)).unwrap() == own);
    }

    #[tokio::test]
    async fn a_folder_that_is_nowhere_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere");
        assert!(place(&nowhere).await.is_err());
        assert!(!nowhere.exists());
    }
}
