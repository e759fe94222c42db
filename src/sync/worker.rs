//! One worker a container: holds its stream and brings it what it lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::batch::Item;
use super::containers::{Container, Containers};
use super::engine::Shared;
use super::status::ContainerStatus;
use super::stream::{Failure, Stream, Trouble};
use super::trace::Clock;
use crate::error::internal;

/// Paths in a batch.
const MOST: usize = 2000;
/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        shared.state().containers.retain(|id, _| workers.contains_key(id));
        for (id, container) in now.into_iter().filter(|(_, container)| ours(container)) {
            workers.entry(id.clone()).or_insert_with(|| {
                shared.welcome(&id, &container);
                let worker = Worker { shared: shared.clone(), id, container, failed: BTreeSet::new() };
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
    /// What could not be applied, and is tried again.
    failed: BTreeSet<PathBuf>,
}

impl Worker {
    /// Until the container is gone.
    async fn work(mut self, mut clients: watch::Receiver<Option<Client>>) {
        let roots = self.shared.settings.rules.roots().to_vec();
        let mut pause = FIRST_PAUSE;
        loop {
            let Ok(client) = clients.wait_for(Option::is_some).await.map(|client| client.clone()) else { return };
            let Some(client) = client else { continue };
            let trouble = match Stream::open(&client, &self.container.place, &roots).await {
                Ok(stream) => {
                    pause = FIRST_PAUSE;
                    self.tell(|status| (status.open, status.trouble) = (true, None));
                    self.serve(stream).await
                }
                Err(trouble) => trouble,
            };
            self.tell(|status| status.open = false);
            match trouble {
                Trouble::Lost(why) => self.tell(|status| status.trouble = Some(why)),
                Trouble::NeedsRebuild(why) => {
                    self.tell(|status| status.refused = Some(why.clone()));
                    self.shared.progress.send_replace(());
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
            if !batch.paths.is_empty() {
                match self.apply(&mut stream, batch).await {
                    Err(trouble) => return trouble,
                    Ok(true) => pause = FIRST_PAUSE,
                    Ok(false) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
                if self.failed.is_empty() {
                    continue;
                }
            }
            tokio::select! {
                why = stream.gone() => return Trouble::Lost(why),
                changed = generation.changed() => if changed.is_err() {
                    return Trouble::Lost("the session ends".to_owned());
                },
                () = tokio::time::sleep(pause), if !self.failed.is_empty() => {}
            }
        }
    }

    /// What the container lacks, read from the disk.
    async fn batch(&self) -> Result<Batch, String> {
        let taken = Instant::now();
        let (shared, id, failed) = (self.shared.clone(), self.id.clone(), self.failed.clone());
        let read = move || {
            let state = shared.state();
            let after = state.containers.get(&id).map_or(0, |status| status.generation);
            let (paths, reached) = state.journal.since(after, MOST);
            drop(state);
            let paths: BTreeSet<_> = paths.into_iter().chain(failed).collect();
            let mut items = Vec::new();
            for path in &paths {
                // One that cannot be read was told by the intake, and comes again when it changes.
                items.extend(shared.item(path).ok().flatten().map(|item| (path.clone(), item)));
            }
            Batch { after, reached, paths, items, taken, read: Instant::now() }
        };
        tokio::task::spawn_blocking(read).await.map_err(|e| internal(&e).message)
    }

    /// Whether all of it is in place.
    async fn apply(&mut self, stream: &mut Stream, batch: Batch) -> Result<bool, Trouble> {
        let items: Vec<Item> = batch.items.iter().map(|(_, item)| item.clone()).collect();
        let failures = if items.is_empty() { vec![] } else { stream.apply(&items).await? };
        let applied = Instant::now();
        let is_failed = |item: &Item| failures.iter().any(|failure| failure.target == item.target);
        let (failed, done): (Vec<_>, Vec<_>) = batch.items.iter().partition(|(_, item)| is_failed(item));
        let mut trouble = failures.first().map(|failure| self.failure(failure));
        for command in
            done.iter().map(|(path, _)| self.shared.command(path)).filter(|c| !c.is_empty()).collect::<BTreeSet<_>>()
        {
            trouble = trouble.or(self.run(stream, command).await?);
        }
        self.failed = failed.into_iter().map(|(path, _)| path.clone()).collect();
        let clock = self.shared.began(batch.after, batch.reached).map(|(event, noted)| Clock {
            event,
            noted,
            taken: batch.taken.max(noted),
            read: batch.read.max(noted),
            applied,
            done: Instant::now(),
        });
        let mut state = self.shared.state();
        // A container that comes late is no save.
        let late = state.containers.get(&self.id).is_none_or(ContainerStatus::is_behind);
        if let Some(clock) = clock.filter(|_| !late && !done.is_empty()) {
            state.traces.add(clock.trace(batch.reached, done.len()));
        }
        if let Some(status) = state.containers.get_mut(&self.id) {
            (status.generation, status.trouble) = (batch.reached, trouble);
        }
        drop(state);
        self.shared.progress.send_replace(());
        Ok(self.failed.is_empty())
    }

    fn failure(&self, failure: &Failure) -> String {
        let root = self.shared.settings.rules.roots().get(failure.target.root).map_or("", String::as_str);
        let path = failure.target.folders.iter().chain([&failure.target.name]).collect::<PathBuf>();
        format!("`{root}/{}`: {}", path.display(), failure.why)
    }

    /// What went wrong with a rule's command.
    async fn run(&self, stream: &mut Stream, command: &[String]) -> Result<Option<String>, Trouble> {
        let ran = stream.run(command).await?;
        let last = ran.output.lines().next_back().unwrap_or_default();
        Ok((ran.code != 0).then(|| format!("`{}` ended with exit code {}: {last}", command.join(" "), ran.code)))
    }

    fn tell(&self, change: impl FnOnce(&mut ContainerStatus)) {
        if let Some(status) = self.shared.state().containers.get_mut(&self.id) {
            change(status);
        }
    }
}

/// What a container lacks.
struct Batch {
    after: u64,
    reached: u64,
    paths: BTreeSet<PathBuf>,
    items: Vec<(PathBuf, Item)>,
    taken: Instant,
    read: Instant,
}
