//! One worker a container: holds its stream and brings it what it lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Item, Wanted, file};
use super::containers::{Container, Containers};
use super::engine::{GONE_FOR, Shared};
use super::journal::Seen;
use super::status::ContainerStatus;
use super::stream::{Applied, Failure, RUN, Stream, Trouble};
use super::trace::Clock;
use crate::error::internal;

/// Paths in a batch.
const MOST: usize = 2000;
/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a path is sent again that is never as the intake saw it.
const DOUBTED_FOR: Duration = Duration::from_secs(20);
/// Between two looks at a path that is gone.
const LOOK: Duration = Duration::from_millis(5);

/// Keeps a worker for every container that runs the image.
pub(super) async fn keep(
    shared: Arc<Shared>,
    clients: watch::Receiver<Option<Client>>,
    mut containers: watch::Receiver<Containers>,
) {
    let mut workers = BTreeMap::<String, AbortOnDropHandle<()>>::new();
    loop {
        let now = containers.borrow_and_update().clone();
        let ours = |container: &Container| container.image == shared.settings.reference;
        workers.retain(|id, _| now.get(id).is_some_and(ours));
        shared
            .state()
            .containers
            .retain(|id, _| workers.contains_key(id));
        for (id, container) in now.into_iter().filter(|(_, container)| ours(container)) {
            workers.entry(id.clone()).or_insert_with(|| {
                shared.welcome(&id, &container);
                let worker = Worker::new(shared.clone(), id, container);
                AbortOnDropHandle::new(tokio::spawn(worker.work(clients.clone())))
            });
        }
        shared.progress.send_replace(());
        if containers.changed().await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn welcome(&self, id: &str, container: &Container) {
        let mut state = self.state();
        let status = ContainerStatus {
            pod: container.place.pod.clone(),
            container: container.place.container.clone(),
            needs: state.journal.generation(),
            ..ContainerStatus::default()
        };
        state.containers.insert(id.to_owned(), status);
    }
}

struct Worker {
    shared: Arc<Shared>,
    id: String,
    container: Container,
    /// What could not be read or applied, and is tried again.
    failed: BTreeSet<PathBuf>,
    /// What was not sent as the intake saw it.
    doubts: BTreeMap<PathBuf, Doubt>,
    /// Commands that did not end.
    hung: BTreeSet<Vec<String>>,
}

/// A path that the worker read at another moment than the intake, and that may have been as it was before ever
/// since: no new generation would bring it then.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// What the container has; None if nobody knows.
    sent: Option<Seen>,
    since: Instant,
    tried: Instant,
}

impl Worker {
    fn new(shared: Arc<Shared>, id: String, container: Container) -> Self {
        let failed = BTreeSet::new();
        let doubts = BTreeMap::new();
        let hung = BTreeSet::new();
        Self {
            shared,
            id,
            container,
            failed,
            doubts,
            hung,
        }
    }

    /// Until the container is gone.
    async fn work(mut self, mut clients: watch::Receiver<Option<Client>>) {
        let roots = self.shared.settings.rules.roots().to_vec();
        let mut pause = FIRST_PAUSE;
        loop {
            let Ok(client) = clients
                .wait_for(Option::is_some)
                .await
                .map(|client| client.clone())
            else {
                return;
            };
            let Some(client) = client else { continue };
            let trouble = match Stream::open(&client, &self.container.place, &roots).await {
                Ok(stream) => {
                    pause = FIRST_PAUSE;
                    let hung = self.hung.first().map(|command| endless(command));
                    self.tell(|status| (status.open, status.trouble) = (true, hung));
                    self.serve(stream).await
                }
                Err(trouble) => trouble,
            };
            self.tell(|status| status.open = false);
            match trouble {
                Trouble::Lost(why) => self.tell(|status| status.trouble = Some(why)),
                Trouble::NeedsRebuild(why) => {
                    self.tell(|status| status.refused = Some(why.clone()));
                    // Nothing will change for this container; every later change needs a build.
                    return self.refuse(&why).await;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn refuse(&self, why: &str) {
        let mut generation = self.shared.generation.subscribe();
        loop {
            if *generation.borrow_and_update() > 0 {
                self.shared.rebuild(None, why.to_owned());
            }
            if generation.changed().await.is_err() {
                return;
            }
        }
    }

    /// Brings what is lacking, again and again, until the stream cannot serve any more.
    async fn serve(&mut self, mut stream: Stream) -> Trouble {
        let mut generation = self.shared.generation.subscribe();
        let mut pause = FIRST_PAUSE;
        loop {
            generation.mark_unchanged();
            let batch = match self.batch().await {
                Ok(batch) => batch,
                Err(why) => return Trouble::Lost(why),
            };
            if !batch.is_empty() {
                match self.apply(&mut stream, batch).await {
                    Err(trouble) => return trouble,
                    Ok(true) => {
                        pause = FIRST_PAUSE;
                        continue;
                    }
                    Ok(false) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
            tokio::select! {
                why = stream.gone() => return Trouble::Lost(why),
                changed = generation.changed() => if changed.is_err() {
                    return Trouble::Lost("the session ends".to_owned());
                },
                () = tokio::time::sleep(pause), if !self.is_settled() => {}
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.failed.is_empty() && self.doubts.is_empty()
    }

    /// What the container lacks, read from the disk.
    async fn batch(&mut self) -> Result<Batch, String> {
        let taken = Instant::now();
        let shared = self.shared.clone();
        let id = self.id.clone();
        let mut again = self.failed.clone();
        again.extend(self.doubted(taken));
        let read = move || {
            let state = shared.state();
            let after = state
                .containers
                .get(&id)
                .map_or(0, |status| status.generation);
            let (new, reached) = state.journal.since(after, MOST);
            drop(state);
            let new: BTreeSet<_> = new.into_iter().collect();
            let mut items = Vec::new();
            let mut unread = Vec::new();
            for path in new.union(&again) {
                match shared.read_whole(path, taken + GONE_FOR) {
                    Ok(Some((item, found))) => items.push(Read::new(path.clone(), item, &found)),
                    Ok(None) => {}
                    Err(why) => unread.push((path.clone(), why.to_string())),
                }
            }
            Batch {
                after,
                reached,
                new,
                items,
                unread,
                taken,
                read: Instant::now(),
            }
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|e| internal(&e).message)
    }

    /// Whether all of it is in place.
    async fn apply(&mut self, stream: &mut Stream, batch: Batch) -> Result<bool, Trouble> {
        let items: Vec<Item> = batch.items.iter().map(|read| read.item.clone()).collect();
        let applied = if items.is_empty() {
            Applied::default()
        } else {
            stream.apply(&items).await?
        };
        let at = Instant::now();
        let is_failed = |read: &&Read| {
            applied
                .failures
                .iter()
                .any(|failure| failure.target == read.item.target)
        };
        let (failed, done): (Vec<_>, Vec<_>) = batch.items.iter().partition(is_failed);
        let unread = batch
            .unread
            .first()
            .map(|(path, why)| format!("cannot read `{}`: {why}", path.display()));
        let trouble = applied
            .failures
            .first()
            .map(|failure| self.failure(failure))
            .or(unread);
        let (wrong, is_lost) = self.run_all(stream, &done).await?;
        let failed = failed
            .into_iter()
            .map(|read| &read.path)
            .chain(batch.unread.iter().map(|(path, _)| path));
        self.failed = failed.cloned().collect();
        done.iter()
            .for_each(|read| self.doubt(read, &batch, &applied));
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
        }
        drop(state);
        self.shared.progress.send_replace(());
    }

    /// What is to be read once more. What the intake has seen meanwhile as it was sent is settled.
    fn doubted(&mut self, now: Instant) -> Vec<PathBuf> {
        let state = self.shared.state();
        self.doubts
            .retain(|path, doubt| doubt.sent.is_none() || doubt.sent != state.journal.seen(path));
        let due = self
            .doubts
            .iter()
            .filter(|(_, doubt)| now >= doubt.tried + FIRST_PAUSE);
        due.map(|(path, _)| path.clone()).collect()
    }

    /// Compares what was sent with what the intake saw.
    fn doubt(&mut self, read: &Read, batch: &Batch, applied: &Applied) {
        let now = Instant::now();
        let sent = read.sent(applied);
        if sent.is_some() && sent == self.shared.state().journal.seen(&read.path) {
            self.doubts.remove(&read.path);
            return;
        }
        let before = self
            .doubts
            .get(&read.path)
            .filter(|_| !batch.new.contains(&read.path));
        let since = before.map_or(now, |doubt| doubt.since);
        // A file that is written all the time, and never closed, is never the same twice.
        if now < since + DOUBTED_FOR {
            self.doubts.insert(
                read.path.clone(),
                Doubt {
                    sent,
                    since,
                    tried: now,
                },
            );
        } else {
            self.doubts.remove(&read.path);
        }
    }

    /// Runs the commands of all rules that a batch went by. The answer is what went wrong, and whether the stream
    /// is lost with it.
    async fn run_all(
        &mut self,
        stream: &mut Stream,
        done: &[&Read],
    ) -> Result<(Option<String>, bool), Trouble> {
        let shared = self.shared.clone();
        let commands: BTreeSet<_> = done.iter().map(|read| shared.command(&read.path)).collect();
        let mut wrong = None;
        for command in commands.into_iter().filter(|command| !command.is_empty()) {
            if self.hung.contains(command) {
                wrong = wrong.or(Some(endless(command)));
                continue;
            }
            let Some(ran) = stream.run(command).await? else {
                self.hung.insert(command.to_vec());
                return Ok((Some(endless(command)), true));
            };
            let last = ran.output.lines().next_back().unwrap_or_default();
            let failed = || {
                format!(
                    "`{}` ended with exit code {}: {last}",
                    command.join(" "),
                    ran.code
                )
            };
            wrong = wrong.or((ran.code != 0).then(failed));
        }
        Ok((wrong, false))
    }

    fn failure(&self, failure: &Failure) -> String {
        let root = self
            .shared
            .settings
            .rules
            .roots()
            .get(failure.target.root)
            .map_or("", String::as_str);
        let path = failure
            .target
            .folders
            .iter()
            .chain([&failure.target.name])
            .collect::<PathBuf>();
        format!("`{root}/{}`: {}", path.display(), failure.why)
    }

    fn tell(&self, change: impl FnOnce(&mut ContainerStatus)) {
        if let Some(status) = self.shared.state().containers.get_mut(&self.id) {
            change(status);
        }
        self.shared.progress.send_replace(());
    }
}

/// It goes on in the container: started again with every save it would be there many times.
fn endless(command: &[String]) -> String {
    let command = command.join(" ");
    let seconds = RUN.as_secs();
    format!("`{command}` has not ended within {seconds} s; it is not run again in this container")
}

/// What a container lacks.
struct Batch {
    after: u64,
    reached: u64,
    /// The paths that changed between the two.
    new: BTreeSet<PathBuf>,
    items: Vec<Read>,
    /// What cannot be read, with the reason.
    unread: Vec<(PathBuf, String)>,
    taken: Instant,
    read: Instant,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.items.is_empty() && self.unread.is_empty()
    }
}

/// A path as it was read.
struct Read {
    path: PathBuf,
    item: Item,
    /// The permission bits of a file on the disk, whatever the rules make of them.
    mode: u32,
    /// As the intake would see it; None for a long file, which is read while it is sent.
    seen: Option<Seen>,
}

impl Read {
    fn new(path: PathBuf, item: Item, found: &Wanted) -> Self {
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

    /// As the intake would see what was sent; None if that is nothing whole.
    fn sent(&self, applied: &Applied) -> Option<Seen> {
        let streamed = || applied.streamed.get(&self.item.target).copied().flatten();
        self.seen
            .or_else(|| streamed().map(|digest| file(self.mode, digest)))
    }
}

impl Shared {
    /// What is to be at a path of the container now. One that is gone, and was there for the intake, is waited for:
    /// no program may see it missing while an editor puts the new file in its place.
    fn read_whole(&self, path: &Path, until: Instant) -> std::io::Result<Option<(Item, Wanted)>> {
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
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests;
