//! One worker a container: holds its stream and brings it what it lacks.

mod applying;
mod commands;
mod covered;
mod reading;
mod reload;
mod served;
mod served_folders;
mod unverified;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::batch::ContainerPath;
use super::containers::{Container, Containers};
use super::engine::{REMOVAL_DELAY, Shared};
use super::reload::{AtRest, ReloadCheck};
use super::served_by::ServedBy;
use super::served_folders::ServedFolders;
use super::status::ContainerStatus;
use super::stream::{Stream, Trouble};
use super::watching::Watching;
use crate::again::Pauses;
use crate::error::internal;
use commands::WrongCommands;
use reading::{Batch, Read};
pub(super) use served::NO_RELOADER;
use unverified::Unverified;

/// Paths in a batch.
const MAX_BATCH_PATHS: usize = 2000;
/// Pauses between attempts.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// Between two looks at the processes of a container that has just been started.
const PROCESS_CHECK_INTERVAL: Duration = Duration::from_secs(1);

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
        shared.forget(|id| workers.contains_key(id));
        for (id, container) in now.into_iter().filter(|(_, container)| ours(container)) {
            workers.entry(id.clone()).or_insert_with(|| {
                shared.register(&id, &container);
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
    /// Forgets the containers that are gone. What one of them lacked, and no other is known to notice, is built: a
    /// program that crashes may never run long enough for its worker to find that out.
    fn forget(&self, stays: impl Fn(&str) -> bool) {
        let mut state = self.state();
        let gone = state.containers.iter().filter(|(id, _)| !stays(id));
        let reached = gone.map(|(_, status)| status.generation).min();
        state.containers.retain(|id, _| stays(id));
        let is_noticed = !state.serving.is_empty() || self.settings.rules.expects_reloader();
        let Some(reached) = reached.filter(|_| !is_noticed) else {
            return;
        };
        let (lacking, _) = state.journal.since(reached, usize::MAX);
        drop(state);
        for path in lacking.into_iter().filter(|path| !self.has_rule(path)) {
            self.rebuild(Some(path), NO_RELOADER.to_owned());
        }
    }

    fn register(&self, id: &str, container: &Container) {
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
    unverified: BTreeMap<PathBuf, Unverified>,
    commands: WrongCommands,
    /// What was seen to notice saves in it.
    serving: Option<ServedBy>,
    /// What the reloader in it watches, once something was saved.
    watching: Option<Watching>,
    /// What the file servers in it serve.
    served: Option<ServedFolders>,
    /// The folders that those read, as a look has shown.
    read_folders: BTreeSet<PathBuf>,
    /// What its last look saw, while what its owner's pods run at rest is not known.
    at_rest: Option<AtRest>,
    looks_at_rest: u32,
    /// Since the last save, until it is known whether the program, under this reloader, runs that.
    reload: Option<(&'static str, ReloadCheck)>,
    /// The files that [`Self::reload`] is about, with their places in the container.
    open: BTreeMap<PathBuf, PathBuf>,
}

impl Worker {
    fn new(shared: Arc<Shared>, id: String, container: Container) -> Self {
        let failed = BTreeSet::new();
        let unverified = BTreeMap::new();
        Self {
            shared,
            id,
            container,
            failed,
            unverified,
            commands: WrongCommands::default(),
            serving: None,
            watching: None,
            served: None,
            read_folders: BTreeSet::new(),
            at_rest: None,
            looks_at_rest: 0,
            reload: None,
            open: BTreeMap::new(),
        }
    }

    /// Until the container is gone.
    async fn work(mut self, mut clients: watch::Receiver<Option<Client>>) {
        let roots = self.shared.settings.rules.roots().to_vec();
        let mut pauses = Pauses::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY);
        loop {
            let Ok(client) = clients
                .wait_for(Option::is_some)
                .await
                .map(|client| client.clone())
            else {
                return;
            };
            let Some(client) = client else { continue };
            let trouble = match Stream::open(&client, &self.container, &roots).await {
                Ok(stream) => {
                    pauses.reset();
                    let wrong = self.commands.told();
                    self.tell(|status| (status.open, status.trouble) = (true, wrong));
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
            pauses.rest().await;
        }
    }

    async fn refuse(&self, why: &str) {
        let mut generation = self.shared.generation.subscribe();
        loop {
            let now = *generation.borrow_and_update();
            if now > 0 {
                self.shared.rebuild(None, why.to_owned());
                self.tell(|status| status.asked = now);
            }
            if generation.changed().await.is_err() {
                return;
            }
        }
    }

    /// Brings what is lacking, again and again, until the stream cannot serve any more.
    async fn serve(&mut self, mut stream: Stream) -> Trouble {
        let mut generation = self.shared.generation.subscribe();
        let mut attention = self.shared.attention.subscribe();
        let mut pauses = Pauses::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY);
        if let Err(trouble) = self.look(&mut stream).await {
            return trouble;
        }
        if let Err(trouble) = self.run_again(&mut stream).await {
            return trouble;
        }
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
                        pauses.reset();
                        continue;
                    }
                    Ok(false) => pauses.grow(),
                }
            }
            self.tell_unverified();
            tokio::select! {
                why = stream.gone() => return Trouble::Lost(why),
                changed = generation.changed() => if changed.is_err() {
                    return Trouble::Lost("the session ends".to_owned());
                },
                () = tokio::time::sleep(pauses.now()), if !self.is_settled() => {}
                () = tokio::time::sleep(PROCESS_CHECK_INTERVAL), if self.is_to_be_looked_at() => {
                    if let Err(trouble) = self.look_at_rest(&mut stream).await {
                        return trouble;
                    }
                }
                () = self.reload_is_due(&mut attention) => {
                    if let Err(trouble) = self.check_reload(&mut stream).await {
                        return trouble;
                    }
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.failed.is_empty() && self.unverified.is_empty()
    }

    /// What the container lacks, read from the disk.
    async fn batch(&mut self) -> Result<Batch, String> {
        let taken = Instant::now();
        let shared = self.shared.clone();
        let id = self.id.clone();
        let mut again = self.failed.clone();
        again.extend(self.due_for_resending(taken));
        let read = move || {
            let state = shared.state();
            let after = state
                .containers
                .get(&id)
                .map_or(0, |status| status.generation);
            let (new, reached) = state.journal.since(after, MAX_BATCH_PATHS);
            drop(state);
            let new: BTreeSet<_> = new.into_iter().collect();
            let mut items = Vec::new();
            let mut unread = Vec::new();
            for path in new.union(&again) {
                match shared.read_whole(path, taken + REMOVAL_DELAY) {
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

    /// Where a path goes in the container.
    fn place(&self, target: &ContainerPath) -> PathBuf {
        let below: PathBuf = target.folders.iter().chain([&target.name]).collect();
        self.shared.settings.rules.place(target.root, &below)
    }

    fn tell(&self, change: impl FnOnce(&mut ContainerStatus)) {
        if let Some(status) = self.shared.state().containers.get_mut(&self.id) {
            change(status);
        }
        self.shared.progress.send_replace(());
    }
}

#[cfg(test)]
mod tests;
