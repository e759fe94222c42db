//! The files that the plan is made from: devk.yaml, values, charts, Compose files. A change of one of them is a
//! new plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::compose::Compose;
use crate::config::Project;
use crate::error::{Result, internal};
use crate::sync::rules::is_temporary;
use crate::sync::watch::Watch;

/// Files by their folder, and whole folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Places {
    files: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    charts: BTreeSet<PathBuf>,
}

impl Places {
    fn of(project: &Project, compose: Option<&Compose>) -> Self {
        let values = project.releases.iter().flat_map(|release| &release.values);
        let all = values.chain([&project.file]).chain(compose.iter().flat_map(|compose| &compose.files));
        let mut files = BTreeMap::<PathBuf, BTreeSet<PathBuf>>::new();
        for file in all {
            let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { continue };
            files.entry(folder.to_owned()).or_default().insert(name.into());
        }
        Self { files, charts: project.releases.iter().map(|release| release.chart.clone()).collect() }
    }
}

/// Watches them. Dropping it ends the watch.
#[derive(Debug, Default)]
pub struct Inputs {
    places: Places,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Inputs {
    /// Tells changed paths from now on; those of an earlier call that are among them are watched without a gap.
    ///
    /// # Errors
    /// [`crate::error::Code::SyncWatch`].
    pub async fn follow(
        &mut self,
        project: &Project,
        compose: Option<&Compose>,
        changes: &mpsc::UnboundedSender<PathBuf>,
    ) -> Result<()> {
        let places = Places::of(project, compose);
        if places == self.places {
            return Ok(());
        }
        let mut tasks = vec![];
        for (folder, names) in places.files.clone() {
            let counts = move |path: &Path| names.contains(path);
            tasks.push(follow(folder, |_| false, counts, changes.clone()).await?);
        }
        for chart in places.charts.clone() {
            tasks.push(follow(chart, |_| true, |path: &Path| !is_temporary(path), changes.clone()).await?);
        }
        *self = Self { places, _tasks: tasks };
        Ok(())
    }
}

async fn follow(
    folder: PathBuf,
    enters: fn(&Path) -> bool,
    counts: impl Fn(&Path) -> bool + Send + 'static,
    changes: mpsc::UnboundedSender<PathBuf>,
) -> Result<AbortOnDropHandle<()>> {
    let root = folder.clone();
    let watch = tokio::task::spawn_blocking(move || Watch::start(&root, enters, None)).await;
    let watch = watch.map_err(|e| internal(&e))??;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            // A limit that is reached later costs some new folders of the chart; the rest is watched.
            let Ok(changed) = watch.next().await else { continue };
            for path in changed.into_keys().filter(|path| counts(path)) {
                // A session that is ending makes no new plan.
                let _ = changes.send(folder.join(path));
            }
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_counts_is_told_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, mut told) = mpsc::unbounded_channel();
        let counts = |path: &Path| path == Path::new("values.yaml");
        let _watch = follow(dir.path().to_owned(), |_| false, counts, sender).await.unwrap();
        std::fs::write(dir.path().join("other"), "").unwrap();
        std::fs::write(dir.path().join("values.yaml.tmp"), "a: 1").unwrap();
        std::fs::rename(dir.path().join("values.yaml.tmp"), dir.path().join("values.yaml")).unwrap();
        assert_eq!(told.recv().await.unwrap(), dir.path().join("values.yaml"));
    }
}
