//! When the rules of an engine are checked: as soon as Docker has the image, beside all else. What changes before waits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bollard::Docker;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::{Shared, SyncEngine};
use crate::error::{Result, internal};
use crate::image::{self, ContextManifest};
use crate::sync::checked::{self, Checked};
use crate::sync::rules::Verdict;
use crate::sync::watch::{ChangedPaths, PathChange, all_known};

/// What the image says to the rules, or why it says nothing.
pub(in crate::sync) type RulesCheck = Arc<Result<Checked, String>>;

/// The look at the image.
#[derive(Debug)]
pub(super) struct Looking {
    built: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl SyncEngine {
    /// Looks at the image as soon as Docker has it. `manifest` is what the build context held when it was hashed. What the
    /// rules of devk.yaml sync waits for nothing; of that the image only tells what can be compared later.
    pub fn check(&self, docker: &Docker, manifest: Arc<ContextManifest>) {
        self.looking.get_or_init(|| {
            let built = Arc::new(Notify::new());
            let task = checking(self.shared.clone(), docker.clone(), manifest, built.clone());
            Looking {
                built,
                _task: AbortOnDropHandle::new(tokio::spawn(task)),
            }
        });
    }

    /// A build of the image has ended, well or not.
    pub fn built(&self) {
        if let Some(looking) = self.looking.get() {
            looking.built.notify_one();
        }
    }

    /// Waits until it is known of all that has changed whether sync serves it.
    pub async fn decided(&self) {
        let mut check = self.shared.check.subscribe();
        // The engine has the other end.
        let _ = check.wait_for(Option::is_some).await;
    }
}

async fn checking(
    shared: Arc<Shared>,
    docker: Docker,
    manifest: Arc<ContextManifest>,
    built: Arc<Notify>,
) {
    let mut is_built = false;
    loop {
        let check = match look(&shared, &docker, &manifest).await {
            Ok(Some(check)) => Some(check),
            Ok(None) if !is_built => None,
            Ok(None) => Some(Err("Docker does not have the image".to_owned())),
            Err(error) => Some(Err(format!("the image cannot be looked at: {error}"))),
        };
        let is_over = matches!(check, Some(Ok(_)));
        if let Some(check) = check {
            shared.check.send_replace(Some(Arc::new(check)));
            shared.progress.send_replace(());
        }
        if is_over {
            return;
        }
        built.notified().await;
        is_built = true;
    }
}

/// None if Docker does not have the image.
async fn look(
    shared: &Arc<Shared>,
    docker: &Docker,
    manifest: &Arc<ContextManifest>,
) -> Result<Option<Result<Checked, String>>> {
    let settings = &shared.settings;
    let (engine, listed) = (shared.clone(), manifest.clone());
    // A context may have a hundred thousand files.
    let places =
        tokio::task::spawn_blocking(move || checked::places(&engine.settings.rules, &listed));
    let places = places.await.map_err(|e| internal(&e))?;
    let looked = image::look(docker, &settings.project, &settings.reference, places).await?;
    let Some(looked) = looked else {
        return Ok(None);
    };
    if let Some(base) = triggering(docker, settings.rules.bases()).await? {
        let why = format!("its base image `{base}` has steps of its own for each build (ONBUILD)");
        return Ok(Some(Err(why)));
    }
    let (engine, listed) = (shared.clone(), manifest.clone());
    let check = move || checked::check(&engine.settings.rules, &listed, &looked);
    let checked = tokio::task::spawn_blocking(check).await;
    Ok(Some(Ok(checked.map_err(|e| internal(&e))?)))
}

/// The first of the images that does something in the build of whatever begins with it: the Dockerfile does not show that.
async fn triggering(docker: &Docker, bases: BTreeSet<String>) -> Result<Option<String>> {
    for base in bases.into_iter().filter(|base| base != "scratch") {
        let triggers = image::triggers(docker, &base).await?;
        if triggers.is_some_and(|triggers| !triggers.is_empty()) {
            return Ok(Some(base));
        }
    }
    Ok(None)
}

impl Shared {
    /// What a path means. None if that is not known yet: it goes by rules that the image has not proved.
    pub(in crate::sync) fn verdict(&self, path: &Path) -> Option<Verdict> {
        let rules = &self.settings.rules;
        let check = self.check.borrow().clone();
        match check.as_deref() {
            Some(Ok(checked)) => Some(checked.verdict(rules, path)),
            unproved => match (rules.verdict(path), unproved) {
                (Verdict::Sync(_), None) => None,
                (Verdict::Sync(_), Some(Err(why))) => Some(Verdict::Rebuild(why.clone())),
                (verdict, _) => Some(verdict),
            },
        }
    }

    /// The paths that the image had where they go.
    pub(in crate::sync) fn proved(&self) -> Vec<PathBuf> {
        match self.check.borrow().as_deref() {
            Some(Ok(checked)) => checked.proved().map(Path::to_owned).collect(),
            _ => vec![],
        }
    }

    /// What waits for the check, once that is there.
    pub(super) fn decided(&self) -> ChangedPaths {
        match *self.check.borrow() {
            Some(_) => self.state().undecided.clone(),
            None => ChangedPaths::new(),
        }
    }

    /// All paths that were taken down, or wait for that.
    pub(in crate::sync) fn all(&self) -> Vec<PathBuf> {
        let state = self.state();
        let (mut paths, _) = state.journal.since(0, usize::MAX);
        paths.extend(state.undecided.keys().cloned());
        paths
    }

    /// As if these paths had changed now.
    pub(in crate::sync) fn look_again(&self, paths: Vec<PathBuf>) {
        all_known(&mut self.state().undecided, paths, Instant::now());
        self.check.send_modify(|_| {});
    }

    /// Nobody ever had it, as the name that an editor writes under.
    pub(super) fn came_and_went(&self, path: &Path, change: PathChange) -> bool {
        let is_gone = || std::fs::symlink_metadata(self.settings.context.join(path)).is_err();
        !change.known && self.state().journal.seen(path).is_none() && is_gone()
    }
}
