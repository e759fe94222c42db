//! When somebody last edited a project: the newest time of a file that git does not ignore.

use std::path::Path;
use std::time::Instant;

use ignore::WalkBuilder;
use jiff::Timestamp;

/// The newest modification time of the files below a folder, without what git ignores and without git's own. None if
/// there is no file, or if looking takes longer than `until`.
pub fn last_edit(root: &Path, until: Instant) -> Option<Timestamp> {
    let files = WalkBuilder::new(root)
        .hidden(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut newest = None;
    for entry in files {
        if Instant::now() > until {
            return None;
        }
        // What cannot be read was not edited by this user a moment ago.
        let Ok(entry) = entry else { continue };
        let metadata = entry.metadata().ok().filter(|metadata| metadata.is_file());
        newest = newest.max(metadata.and_then(|metadata| metadata.modified().ok()));
    }
    Timestamp::try_from(newest?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_newest_file_counts_and_none_that_git_ignores_or_keeps_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let edited = |name: &str, ago: u64| {
            let path = dir.path().join(name);
            let file = File::options().create(true).append(true).open(path);
            let file = file.unwrap();
            let time = SystemTime::now() - Duration::from_secs(ago);
            file.set_modified(time).unwrap();
            Timestamp::try_from(time).unwrap()
        };
        let soon = || Instant::now() + Duration::from_secs(60);
        assert_eq!(last_edit(dir.path(), soon()), None);
        create_dir(dir.path().join(".git")).unwrap();
        create_dir(dir.path().join("src")).unwrap();
        edited(".git/index", 1);
        edited("build.log", 2);
        std::fs::write(dir.path().join(".gitignore"), "*.log\n").unwrap();
        edited(".gitignore", 500);
        let newest = edited("src/main.py", 100);
        edited("devk.yaml", 300);
        assert_eq!(last_edit(dir.path(), soon()), Some(newest));
        assert_eq!(
            last_edit(dir.path(), Instant::now()),
            None,
            "no time to look"
        );
        assert_eq!(last_edit(&dir.path().join("gone"), soon()), None);
    }
}
