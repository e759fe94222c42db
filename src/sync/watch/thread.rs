//! The thread that watches a tree: what the kernel tells, looked at on the disk.

use std::convert::Infallible;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::oneshot;

use super::refusal::{refused, unwatched};
use super::{Baseline, ChangedPaths, PathChange, Shared, all_known, merge};
use crate::error::{Error, Result};
use crate::sync::tree::Tree;

/// How often the root is looked at, and how often while it is gone: nothing tells of a folder above it that
/// was renamed.
const RESCAN_DELAY: Duration = Duration::from_secs(2);
const MISSING_ROOT_DELAY: Duration = Duration::from_millis(250);

/// What the watching thread is told.
#[derive(Debug)]
pub(super) enum RawEvent {
    Path {
        path: PathBuf,
        at: Instant,
        hint: Hint,
    },
    /// Events were lost.
    Rescan,
    /// Somebody asks for a look at the tree itself.
    Look(oneshot::Sender<()>),
    Trouble(Error),
    Stop,
}

/// What an event says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// A file was made. What is in it comes with the close.
    Made,
    Changed,
    /// What was watched here, if anything was, may be another folder now.
    Moved,
}

/// Hands on what may mean a change. Runs in notify's thread, for every file that anybody opens.
pub(super) fn tell(event: notify::Result<Event>, raw: &Sender<RawEvent>) {
    let event = match event {
        Ok(event) => event,
        Err(error) => return drop(raw.send(RawEvent::Trouble(refused(Path::new(""), &error)))),
    };
    if event.need_rescan() {
        return drop(raw.send(RawEvent::Rescan));
    }
    let Some(hint) = matters(&event.kind) else {
        return;
    };
    let at = Instant::now();
    for path in event.paths {
        // The receiver lives as long as the watch.
        let _ = raw.send(RawEvent::Path { path, at, hint });
    }
}

/// None for what changes nothing, or not yet.
fn matters(kind: &EventKind) -> Option<Hint> {
    match kind {
        EventKind::Create(CreateKind::Folder)
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_) => Some(Hint::Moved),
        // Only Linux tells of the close.
        EventKind::Create(_) if cfg!(target_os = "linux") => Some(Hint::Made),
        EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => None,
        EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Hint::Changed),
        _ => None,
    }
}

/// What tells a folder from another one of its name; None if there is none.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(folder).ok().filter(Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// The watching thread.
pub(super) struct WatchThread {
    root: PathBuf,
    /// Of the root that is watched.
    identity: Option<(u64, u64)>,
    /// The root was removed or renamed, whatever stands there now.
    may_be_another: bool,
    enters: Box<dyn Fn(&Path) -> bool + Send>,
    watcher: RecommendedWatcher,
    tree: Tree,
    shared: Arc<Shared>,
}

impl WatchThread {
    /// Watches the tree below `root`, as far as `enters` lets it. What changed since a baseline comes first.
    pub(super) fn new(
        root: PathBuf,
        enters: Box<dyn Fn(&Path) -> bool + Send>,
        watcher: RecommendedWatcher,
        shared: Arc<Shared>,
        since: Option<&Baseline>,
    ) -> Result<Self> {
        let mut thread = Self {
            identity: identity(&root),
            root,
            may_be_another: false,
            enters,
            watcher,
            tree: Tree::default(),
            shared,
        };
        let (tree, trouble) = thread.look(Path::new(""));
        trouble.map_or(Ok(()), Err)?;
        thread.tree = tree;
        let changed = since.map(|Baseline(before)| before.changed(&thread.tree));
        let mut changes = ChangedPaths::new();
        all_known(&mut changes, changed.unwrap_or_default(), Instant::now());
        thread.publish(changes, None);
        Ok(thread)
    }

    pub(super) fn run(mut self, received: &Receiver<RawEvent>) {
        loop {
            let first = match received.recv_timeout(if self.identity.is_some() {
                RESCAN_DELAY
            } else {
                MISSING_ROOT_DELAY
            }) {
                Err(RecvTimeoutError::Disconnected) => return,
                first => first.ok(),
            };
            let mut changes = ChangedPaths::new();
            let mut asked = vec![];
            // All that is there already: a checkout makes thousands.
            for raw in first
                .into_iter()
                .chain(std::iter::from_fn(|| received.try_recv().ok()))
            {
                let seen = match raw {
                    RawEvent::Path { path, at, hint } => self.see(&path, at, hint, &mut changes),
                    RawEvent::Rescan => self.look_again(&mut changes),
                    RawEvent::Look(answer) => {
                        asked.push(answer);
                        self.compare(&mut changes)
                    }
                    RawEvent::Trouble(error) => Err(error),
                    RawEvent::Stop => return,
                };
                if let Err(error) = seen {
                    self.publish(ChangedPaths::new(), Some(error));
                }
            }
            let trouble = self.keep_root(&mut changes).err();
            self.publish(changes, trouble);
            for answer in asked {
                // Who does not wait any more needs no answer.
                let _ = answer.send(());
            }
        }
    }

    fn publish(&self, changes: ChangedPaths, trouble: Option<Error>) {
        if changes.is_empty() && trouble.is_none() {
            return;
        }
        let mut waiting = self
            .shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        changes
            .into_iter()
            .for_each(|(path, change)| merge(&mut waiting.changes, path, change));
        waiting.trouble = trouble.or(waiting.trouble.take());
        drop(waiting);
        self.shared.news.notify_one();
    }

    fn see(
        &mut self,
        disk: &Path,
        at: Instant,
        hint: Hint,
        changes: &mut ChangedPaths,
    ) -> Result<()> {
        let path = disk.strip_prefix(&self.root).unwrap_or(Path::new(""));
        if path.as_os_str().is_empty() {
            self.may_be_another |= hint == Hint::Moved;
            return Ok(());
        }
        let metadata = std::fs::symlink_metadata(disk).ok();
        // A link has no content to wait for, a hard link has its content already.
        let is_open = |metadata: &Metadata| metadata.is_file() && metadata.nlink() == 1;
        if hint == Hint::Made && metadata.as_ref().is_some_and(is_open) {
            return Ok(());
        }
        let moved = hint == Hint::Moved;
        let is_folder = metadata.as_ref().is_some_and(Metadata::is_dir);
        let was_folder = self.tree.has_folder(path);
        let known = metadata.is_some() || was_folder || self.tree.lists(path);
        merge(changes, path.to_owned(), PathChange { at, known });
        self.tree.note(path, metadata.as_ref());
        if was_folder && (moved || !is_folder) {
            let gone = self.forget(path);
            all_known(changes, gone.paths(), at);
        }
        if is_folder && (moved || !was_folder) && (self.enters)(path) {
            let (new, trouble) = self.look(path);
            all_known(changes, new.paths(), at);
            self.tree.add(new);
            return trouble.map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Goes on with whatever folder has the root's name: a folder that is moved or removed takes its watches along.
    fn keep_root(&mut self, changes: &mut ChangedPaths) -> Result<()> {
        let now = identity(&self.root);
        let is_another = std::mem::take(&mut self.may_be_another) || self.identity != now;
        if !is_another {
            return Ok(());
        }
        let gone = self.forget(Path::new(""));
        all_known(changes, gone.paths(), Instant::now());
        match (std::mem::replace(&mut self.identity, now), now) {
            (_, Some(_)) => self.look_again(changes),
            (Some(_), None) => Err(unwatched(
                &self.root,
                &"it is gone; it is watched again when it is back",
            )),
            (None, None) => Ok(()),
        }
    }

    /// Watches and lists a folder and all below it. What cannot be watched is listed, too; the error is the first.
    fn look(&mut self, folder: &Path) -> (Tree, Option<Error>) {
        let Self {
            root,
            enters,
            watcher,
            ..
        } = self;
        let mut trouble = None;
        let mut watch = |disk: &Path| {
            let watched = watcher.watch(disk, RecursiveMode::NonRecursive);
            let failed = watched.err().filter(|error| match &error.kind {
                // It went, or is not ours to read: then there is nothing to see.
                ErrorKind::PathNotFound => false,
                ErrorKind::Io(e) => e.kind() != std::io::ErrorKind::PermissionDenied,
                _ => true,
            });
            if let (Some(error), None) = (failed, &trouble) {
                trouble = Some(refused(disk, &error));
            }
            Ok::<_, Infallible>(())
        };
        let Ok(tree) = Tree::scan(root, folder, enters, &mut watch);
        (tree, trouble)
    }

    /// Lets go of a folder and all below it: its watches follow it to wherever it went.
    fn forget(&mut self, folder: &Path) -> Tree {
        let taken = self.tree.take(folder);
        for folder in taken.folders() {
            // One that was removed has lost its watch already.
            let _ = self.watcher.unwatch(&self.root.join(folder));
        }
        taken
    }

    fn look_again(&mut self, changes: &mut ChangedPaths) -> Result<()> {
        let compared = self.compare(changes);
        all_known(changes, [PathBuf::new()], Instant::now());
        compared
    }

    /// Adds what is not as it was when it was last listed.
    fn compare(&mut self, changes: &mut ChangedPaths) -> Result<()> {
        let (now, trouble) = self.look(Path::new(""));
        all_known(changes, self.tree.changed(&now), Instant::now());
        self.tree = now;
        trouble.map_or(Ok(()), Err)
    }
}
