//! What a container lacks, as it is read from the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sync::batch::{Item, Wanted, file};
use crate::sync::engine::Shared;
use crate::sync::journal::Seen;
use crate::sync::stream::Applied;

/// Between two looks at a path that is gone.
pub(super) const RECHECK_INTERVAL: Duration = Duration::from_millis(5);

/// What a container lacks.
pub(super) struct Batch {
    pub(super) after: u64,
    pub(super) reached: u64,
    /// The paths that changed between the two.
    pub(super) new: BTreeSet<PathBuf>,
    pub(super) items: Vec<Read>,
    /// What cannot be read, with the reason.
    pub(super) unread: Vec<(PathBuf, String)>,
    pub(super) taken: Instant,
    pub(super) read: Instant,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.items.is_empty() && self.unread.is_empty()
    }
}

/// A path as it was read.
pub(super) struct Read {
    pub(super) path: PathBuf,
    pub(super) item: Item,
    /// The permission bits of a file on the disk, whatever the rules make of them.
    pub(super) mode: u32,
    /// As the intake would see it; None for a long file, which is read while it is sent.
    pub(super) seen: Option<Seen>,
}

impl Read {
    pub(super) fn new(path: PathBuf, item: Item, found: &Wanted) -> Self {
        let (mode, is_long) = match found {
            Wanted::File(source) => (source.mode, source.content.is_none()),
            _ => (0, false),
        };
        let seen = if is_long { None } else { found.seen().ok() };
        Self {
            path,
            item,
            mode,
            seen,
        }
    }

    pub(super) fn is_file(&self) -> bool {
        !matches!(self.item.wanted, Wanted::Folder(_))
    }

    /// As the intake would see what was sent; None if that is nothing whole.
    pub(super) fn sent(&self, applied: &Applied) -> Option<Seen> {
        let streamed = || applied.streamed.get(&self.item.target).copied().flatten();
        self.seen
            .or_else(|| streamed().map(|digest| file(self.mode, digest)))
    }
}

impl Shared {
    /// What is to be at a path of the container now. One that is gone, and was there for the intake, is waited for:
    /// no program may see it missing while an editor puts the new file in its place.
    pub(super) fn read_whole(
        &self,
        path: &Path,
        until: Instant,
    ) -> std::io::Result<Option<(Item, Wanted)>> {
        loop {
            let read = self.read(path)?;
            let is_gone = read
                .as_ref()
                .is_some_and(|(_, found)| *found == Wanted::Gone);
            let is_known = self
                .state()
                .journal
                .seen(path)
                .is_none_or(|seen| seen == Seen::Gone);
            if !is_gone || is_known || Instant::now() >= until {
                return Ok(read);
            }
            std::thread::sleep(RECHECK_INTERVAL);
        }
    }
}
