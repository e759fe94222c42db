//! The objects of a watch as they are now, and the pauses between its reconnects.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};

use crate::error::chain;

/// Pauses between reconnects: a developer waits for the cluster to come back, kube's 30 s are too long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The objects of a watch by name. A new list replaces the old one when it is complete, so that a
/// reconnect does not make pods vanish for a moment.
#[derive(Debug)]
pub(crate) struct Mirror<T> {
    pub(crate) items: BTreeMap<String, T>,
    incoming: BTreeMap<String, T>,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            incoming: BTreeMap::new(),
        }
    }
}

impl<T> Mirror<T> {
    /// The answer is what went wrong; the watcher itself tries again.
    pub(crate) fn take<K: ResourceExt>(
        &mut self,
        event: Result<Event<K>, watcher::Error>,
        read: impl Fn(K) -> T,
    ) -> Option<String> {
        match event {
            Ok(Event::Init) => self.incoming.clear(),
            Ok(Event::InitApply(object)) => {
                drop(self.incoming.insert(object.name_any(), read(object)))
            }
            Ok(Event::InitDone) => self.items = std::mem::take(&mut self.incoming),
            Ok(Event::Apply(object)) => drop(self.items.insert(object.name_any(), read(object))),
            Ok(Event::Delete(object)) => drop(self.items.remove(&object.name_any())),
            Err(error) => return Some(chain(&error)),
        }
        None
    }
}

/// Doubling pauses without end.
#[derive(Debug)]
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
