//! Which paths of a working tree changed, as soon as they have.
//!
//! Every folder that can matter is watched, no file is. An event is only a hint that a path is to be
//! looked at: what is there then counts. There is no rest period; whoever is busy finds all that has
//! come meanwhile at once. A file counts when it is closed after writing or renamed into place.

mod refusal;
mod thread;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use super::tree::Tree;
use crate::error::{Code, Error, Result};
use refusal::{refused, unwatched};
use thread::{RawEvent, WatchThread, tell};

/// Changed paths, relative to the tree's root. With the root itself (the empty path) among them anything may
/// have changed: events were lost, or another folder has its name.
pub type ChangedPaths = BTreeMap<PathBuf, PathChange>;

/// What is known of a changed path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathChange {
    /// The time of its first event.
    pub at: Instant,
    /// It is there, or was when its folder was last listed. Another one came and went between two looks.
    pub known: bool,
}

/// What a tree held at a moment.
#[derive(Debug)]
pub struct Baseline(Tree);

impl Baseline {
    /// Looks at the tree below `root`, as far as `enters` lets it. Blocks on the disk.
    pub fn look(root: &Path, enters: impl Fn(&Path) -> bool) -> Self {
        let Ok(tree) = Tree::scan::<Infallible>(root, Path::new(""), &enters, &mut |_| Ok(()));
        Self(tree)
    }
}

/// A watched tree. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    raw: Sender<RawEvent>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: ChangedPaths,
    trouble: Option<Error>,
}

impl Watch {
    /// Watches the tree below `root`, as far as `enters` lets it, and returns when it does. What changed `since`
    /// then comes first. Blocks on the disk.
    ///
    /// # Errors
    /// [`Code::SyncWatch`] if the system sets a limit, or the root cannot be read.
    pub fn start(
        root: &Path,
        enters: impl Fn(&Path) -> bool + Send + 'static,
        since: Option<&Baseline>,
    ) -> Result<Self> {
        let root = root.canonicalize().map_err(|e| unwatched(root, &e))?;
        let (raw, received) = channel();
        let events = raw.clone();
        let watcher = notify::recommended_watcher(move |event| tell(event, &events))
            .map_err(|e| refused(&root, &e))?;
        let shared = Arc::new(Shared::default());
        let thread = WatchThread::new(root, Box::new(enters), watcher, shared.clone(), since)?;
        let name = "watch".to_owned();
        let spawned = std::thread::Builder::new()
            .name(name)
            .spawn(move || thread.run(&received));
        spawned.map_err(|e| Error::new(Code::SyncWatch, format!("cannot start a thread: {e}")))?;
        Ok(Self { raw, shared })
    }

    /// Waits for changes and takes them all. An error says what is not watched any more; the rest is.
    pub async fn next(&self) -> Result<ChangedPaths> {
        loop {
            let news = self.shared.news.notified();
            let changes = self.take()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            news.await;
        }
    }

    /// Looks at the whole tree, whatever the kernel has told of it, and takes all that has changed until then.
    /// What cannot be watched is looked at nevertheless; that trouble is left for [`Self::next`].
    pub async fn look(&self) -> ChangedPaths {
        let (answer, looked) = oneshot::channel();
        // A thread that is gone has told why.
        let _ = self.raw.send(RawEvent::Look(answer));
        let _ = looked.await;
        std::mem::take(&mut self.waiting().changes)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.shared.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<ChangedPaths> {
        let mut waiting = self.waiting();
        match waiting.trouble.take() {
            Some(trouble) => Err(trouble),
            None => Ok(std::mem::take(&mut waiting.changes)),
        }
    }

    /// As if the kernel had said that it lost events.
    #[cfg(test)]
    fn rescan(&self) {
        // A thread that is gone has told why.
        let _ = self.raw.send(RawEvent::Rescan);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.raw.send(RawEvent::Stop);
    }
}

/// Adds paths that are there, or were when their folders were last listed.
pub(super) fn all_known(
    changes: &mut ChangedPaths,
    paths: impl IntoIterator<Item = PathBuf>,
    at: Instant,
) {
    paths
        .into_iter()
        .for_each(|path| merge(changes, path, PathChange { at, known: true }));
}

/// Adds a change. The first event of a path counts.
pub(super) fn merge(changes: &mut ChangedPaths, path: PathBuf, change: PathChange) {
    changes
        .entry(path)
        .and_modify(|before| before.known |= change.known)
        .or_insert(change);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    struct Trial {
        dir: tempfile::TempDir,
        watch: Watch,
    }

    impl Trial {
        fn new(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let file = dir.path().join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "old").unwrap();
            }
            let watch =
                Watch::start(dir.path(), |path| !path.ends_with("node_modules"), None).unwrap();
            Self { dir, watch }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        /// Gathers changes until all of `paths` are among them.
        async fn sees(&self, paths: &[&str]) -> BTreeSet<String> {
            let mut seen = BTreeSet::new();
            while !paths.iter().all(|path| seen.contains(*path)) {
                let next = timeout(Duration::from_secs(5), self.watch.next()).await;
                let changes = next
                    .unwrap_or_else(|_| panic!("no event for some of {paths:?}; seen: {seen:?}"))
                    .unwrap();
                seen.extend(changes.into_keys().map(|path| path.display().to_string()));
            }
            seen
        }

        /// All that comes until nothing has come for a while.
        async fn quiet(&self) -> BTreeSet<String> {
            let mut seen = BTreeSet::new();
            while let Ok(changes) = timeout(Duration::from_millis(200), self.watch.next()).await {
                seen.extend(
                    changes
                        .unwrap()
                        .into_keys()
                        .map(|path| path.display().to_string()),
                );
            }
            seen
        }
    }

    #[tokio::test]
    async fn a_look_finds_what_no_event_has_told_and_nothing_that_one_has() {
        let trial = Trial::new(&["a", "open", "sub/gone"]);
        let look = async || -> BTreeSet<String> {
            let changes = trial.watch.look().await;
            let shown = |path: PathBuf| path.display().to_string();
            changes.into_keys().map(shown).collect()
        };
        assert_eq!(look().await, BTreeSet::new());
        // An open file is told when it is closed.
        let mut open = fs::File::create(trial.path("open")).unwrap();
        open.write_all(b"half").unwrap();
        assert_eq!(look().await, BTreeSet::from(["open".to_owned()]));
        fs::write(trial.path("a"), "new").unwrap();
        fs::write(trial.path("sub/new"), "new").unwrap();
        fs::remove_file(trial.path("sub/gone")).unwrap();
        trial.sees(&["a", "sub/new", "sub/gone"]).await;
        trial.quiet().await;
        assert_eq!(look().await, BTreeSet::new());
    }

    #[tokio::test]
    async fn a_file_counts_when_it_is_closed_after_writing() {
        let trial = Trial::new(&["a"]);
        let mut old = fs::File::options()
            .write(true)
            .open(trial.path("a"))
            .unwrap();
        let mut new = fs::File::create(trial.path("b")).unwrap();
        old.write_all(b"new").unwrap();
        new.write_all(b"new").unwrap();
        assert_eq!(trial.quiet().await, BTreeSet::new());
        drop((old, new));
        trial.sees(&["a", "b"]).await;
    }

    #[tokio::test]
    async fn what_changed_before_the_watch_began_is_told_first() {
        let mut trial = Trial::new(&["a", "b"]);
        let before = Baseline::look(trial.dir.path(), |_| true);
        fs::write(trial.path("a"), "new").unwrap();
        trial.watch = Watch::start(trial.dir.path(), |_| true, Some(&before)).unwrap();
        assert_eq!(trial.quiet().await, BTreeSet::from(["a".to_owned()]));
    }

    #[tokio::test]
    async fn reading_is_no_change() {
        let trial = Trial::new(&["a", "b/c"]);
        fs::read(trial.path("a")).unwrap();
        fs::read_dir(trial.path("b")).unwrap().count();
        assert_eq!(trial.quiet().await, BTreeSet::new());
    }

    #[tokio::test]
    async fn renames_removals_links_and_modes_are_seen() {
        let trial = Trial::new(&["a", "b", "c"]);
        fs::rename(trial.path("a"), trial.path("a2")).unwrap();
        fs::remove_file(trial.path("b")).unwrap();
        fs::set_permissions(trial.path("c"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("nowhere", trial.path("link")).unwrap();
        fs::hard_link(trial.path("c"), trial.path("hard")).unwrap();
        trial.sees(&["a", "a2", "b", "c", "link", "hard"]).await;
    }

    #[tokio::test]
    async fn what_is_in_new_folders_is_seen_and_stays_watched() {
        let trial = Trial::new(&[]);
        fs::create_dir_all(trial.path("x/y/z")).unwrap();
        fs::write(trial.path("x/y/z/file"), "new").unwrap();
        trial.sees(&["x", "x/y", "x/y/z", "x/y/z/file"]).await;
        trial.quiet().await;
        fs::write(trial.path("x/y/z/later"), "new").unwrap();
        trial.sees(&["x/y/z/later"]).await;
    }

    #[tokio::test]
    async fn a_renamed_folder_is_watched_under_its_new_name() {
        let trial = Trial::new(&["a/sub/file", "a/other"]);
        fs::rename(trial.path("a"), trial.path("b")).unwrap();
        trial
            .sees(&[
                "a",
                "a/sub",
                "a/sub/file",
                "a/other",
                "b",
                "b/sub",
                "b/sub/file",
                "b/other",
            ])
            .await;
        trial.quiet().await;
        fs::write(trial.path("b/sub/file"), "new").unwrap();
        let seen = trial.sees(&["b/sub/file"]).await;
        assert!(!seen.iter().any(|path| path.starts_with("a")), "{seen:?}");
    }

    #[tokio::test]
    async fn a_folder_that_is_removed_and_made_again_is_watched() {
        let trial = Trial::new(&["a/gone"]);
        fs::remove_dir_all(trial.path("a")).unwrap();
        fs::create_dir(trial.path("a")).unwrap();
        trial.sees(&["a", "a/gone"]).await;
        trial.quiet().await;
        fs::write(trial.path("a/new"), "new").unwrap();
        trial.sees(&["a/new"]).await;
    }

    #[tokio::test]
    async fn folders_that_do_not_matter_are_not_watched() {
        let trial = Trial::new(&["node_modules/x/y", "a"]);
        fs::write(trial.path("node_modules/x/y"), "new").unwrap();
        fs::create_dir_all(trial.path("node_modules/new")).unwrap();
        assert_eq!(trial.quiet().await, BTreeSet::new());
    }

    #[tokio::test]
    async fn lost_events_are_found_by_looking_again() {
        let trial = Trial::new(&["a", "b/c"]);
        // Nothing tells of it while it is open.
        let mut open = fs::File::create(trial.path("a")).unwrap();
        open.write_all(b"changed").unwrap();
        assert_eq!(trial.quiet().await, BTreeSet::new());
        trial.watch.rescan();
        assert_eq!(
            trial.quiet().await,
            BTreeSet::from([String::new(), "a".to_owned()])
        );
        trial.watch.rescan();
        assert_eq!(trial.quiet().await, BTreeSet::from([String::new()]));
    }

    #[tokio::test]
    async fn a_root_that_is_removed_and_made_again_is_watched() {
        let trial = Trial::new(&["root/a", "root/b/c"]);
        let root = trial.path("root");
        let trial = Trial {
            watch: Watch::start(&root, |_| true, None).unwrap(),
            ..trial
        };
        fs::remove_dir_all(&root).unwrap();
        let gone = timeout(Duration::from_secs(5), async {
            loop {
                if let Err(error) = trial.watch.next().await {
                    return error.message;
                }
            }
        });
        assert!(
            gone.await
                .unwrap()
                .ends_with("it is gone; it is watched again when it is back")
        );
        trial.quiet().await;
        fs::create_dir_all(root.join("b")).unwrap();
        fs::write(root.join("b/new"), "new").unwrap();
        trial.sees(&["", "b", "b/new"]).await;
        fs::write(root.join("b/later"), "new").unwrap();
        trial.sees(&["b/later"]).await;
    }

    #[tokio::test]
    async fn a_root_above_which_a_folder_is_renamed_is_told_and_watched_when_it_is_back() {
        let trial = Trial::new(&["above/root/a"]);
        let trial = Trial {
            watch: Watch::start(&trial.path("above/root"), |_| true, None).unwrap(),
            ..trial
        };
        fs::rename(trial.path("above"), trial.path("away")).unwrap();
        let gone = timeout(Duration::from_secs(10), trial.watch.next())
            .await
            .unwrap();
        assert!(gone.is_err(), "{gone:?}");
        fs::rename(trial.path("away"), trial.path("above")).unwrap();
        trial.sees(&["", "a"]).await;
        fs::write(trial.path("above/root/later"), "new").unwrap();
        trial.sees(&["later"]).await;
    }

    #[tokio::test]
    async fn what_came_and_went_between_two_looks_is_not_known() {
        let trial = Trial::new(&["there"]);
        let mut changes = ChangedPaths::new();
        while changes.len() < 2 {
            for name in ["there", "fleeting"] {
                fs::write(trial.path("temporary"), "").unwrap();
                fs::rename(trial.path("temporary"), trial.path(name)).unwrap();
                fs::remove_file(trial.path(name)).unwrap();
            }
            let next = timeout(Duration::from_secs(5), trial.watch.next())
                .await
                .unwrap()
                .unwrap();
            let awaited = |(path, change): &(PathBuf, PathChange)| {
                path == Path::new("there") || !change.known
            };
            for (path, change) in next.into_iter().filter(awaited) {
                // Once it is gone, what comes under its name and goes is not known either.
                changes.entry(path).or_insert(change);
            }
        }
        assert!(changes[Path::new("there")].known);
    }

    #[tokio::test]
    async fn vims_way_of_saving_ends_with_the_file_in_place() {
        let trial = Trial::new(&["main.py"]);
        fs::rename(trial.path("main.py"), trial.path("main.py~")).unwrap();
        fs::write(trial.path("main.py"), "new").unwrap();
        fs::remove_file(trial.path("main.py~")).unwrap();
        trial.sees(&["main.py", "main.py~"]).await;
    }

    #[tokio::test]
    async fn a_thousand_files_at_once_are_all_seen() {
        let trial = Trial::new(&[]);
        let names: Vec<_> = (0..1000).map(|n| format!("d{}/f{n}", n / 20)).collect();
        for name in &names {
            fs::create_dir_all(trial.path(name).parent().unwrap()).unwrap();
            fs::write(trial.path(name), "new").unwrap();
        }
        trial
            .sees(&names.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
    }

    #[test]
    fn a_limit_of_the_system_is_told_with_the_way_to_raise_it() {
        let error = refused(
            Path::new("/x"),
            &notify::Error::new(notify::ErrorKind::MaxFilesWatch),
        );
        assert_eq!(
            error.hint.as_deref(),
            Some("sudo sysctl fs.inotify.max_user_watches=524288")
        );
    }
}
