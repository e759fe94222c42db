//! One batch: what is lacking is brought into the container, and what came of it is told.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;

use super::Worker;
use super::reading::{Batch, Read};
use crate::sync::batch::Item;
use crate::sync::served_by::ServedBy;
use crate::sync::status::ContainerStatus;
use crate::sync::stream::{Applied, Failure, Stream, Trouble};
use crate::sync::trace::Clock;

impl Worker {
    /// Whether all of it is in place.
    pub(super) async fn apply(
        &mut self,
        stream: &mut Stream,
        batch: Batch,
    ) -> Result<bool, Trouble> {
        let (serving, unserved) = self.unserved(stream, &batch).await?;
        let is_sent = |read: &&Read| !unserved.contains(&read.path);
        let sent: Vec<_> = batch.items.iter().filter(is_sent).collect();
        let items: Vec<Item> = sent.iter().map(|read| read.item.clone()).collect();
        let writing = serving.map_or_else(Default::default, ServedBy::writing);
        let mut applied = if items.is_empty() {
            Applied::default()
        } else {
            stream.apply(&items, writing).await?
        };
        let mut left = self.take_covered(&sent, &mut applied);
        left.extend(self.take_unwritable(&sent, &mut applied));
        let at = Instant::now();
        let is_derived_file = |read: &&&Read| {
            read.is_file() && read.item.rule.is_none() && !left.contains(&read.path)
        };
        let derived = sent.iter().filter(is_derived_file).copied();
        self.follow_reload(serving, derived, applied.at);
        let is_failed = |read: &&Read| {
            applied
                .failures
                .iter()
                .any(|failure| failure.target == read.item.target)
        };
        let (failed, done): (Vec<_>, Vec<_>) = sent
            .into_iter()
            .filter(|read| !left.contains(&read.path))
            .partition(is_failed);
        let unread = batch
            .unread
            .first()
            .map(|(path, why)| format!("cannot read `{}`: {why}", path.display()));
        let trouble = applied
            .failures
            .first()
            .map(|failure| self.failure(failure))
            .or(unread);
        let rules = &self.shared.settings.rules;
        let taken: BTreeSet<_> = done.iter().filter_map(|read| read.item.rule).collect();
        let commands = taken.into_iter().map(|rule| rules.run(rule).to_vec());
        let is_lost = match done.is_empty() {
            true => false,
            false => self.run_all(stream, commands.collect()).await?,
        };
        let wrong = self.commands.told();
        let failed = failed
            .into_iter()
            .map(|read| &read.path)
            .chain(batch.unread.iter().map(|(path, _)| path));
        self.failed = failed.cloned().collect();
        done.iter()
            .for_each(|read| self.verify_sent(read, &batch, &applied));
        self.record(&batch, done.len(), at, trouble.or(wrong.clone()));
        if is_lost {
            return Err(Trouble::Lost(wrong.unwrap_or_default()));
        }
        Ok(self.is_settled())
    }

    /// Tells how far the container is, and how long that took.
    fn record(&self, batch: &Batch, done: usize, applied: Instant, trouble: Option<String>) {
        let clock = self
            .shared
            .began(batch.after, batch.reached)
            .map(|(event, noted)| Clock {
                event,
                noted,
                taken: batch.taken.max(noted),
                read: batch.read.max(noted),
                applied,
                done: Instant::now(),
            });
        let mut state = self.shared.state();
        // A container that comes late is no save.
        let late = state
            .containers
            .get(&self.id)
            .is_none_or(ContainerStatus::is_behind);
        if let Some(clock) = clock.filter(|_| !late && done > 0) {
            state.traces.add(clock.trace(batch.reached, done));
        }
        if let Some(status) = state.containers.get_mut(&self.id) {
            (status.generation, status.trouble) = (batch.reached, trouble);
            status.unverified = !self.unverified.is_empty();
            status.since = Some(Timestamp::now());
        }
        drop(state);
        self.shared.progress.send_replace(());
    }

    fn failure(&self, failure: &Failure) -> String {
        let place = self.place(&failure.target);
        format!("`{}`: {}", place.display(), failure.why)
    }
}
