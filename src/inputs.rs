//! The files that the plan is made from: devk.yaml and its profile, values, charts, manifests, kustomizations, Compose
//! files and their variables, and Dockerfiles outside of their build contexts. A change of one of them is a new plan.
//!
//! Invariant: the content that is used was read after its watch began. devk.yaml and the files that it names say what
//! to watch, so devk reads these files again until they name no new file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::compose::Stack;
use crate::compose::{self, Compose, ENV_FILE, found_names};
use crate::config::{self, ManifestPattern, Project, ReleaseConfig, ReleaseSource, Source};
use crate::environment::Environment;
use crate::error::{Errors, Result, internal};
use crate::image::Instructions;
use crate::paths::Paths;
use crate::release::{KustomizationInputs, chart, link_targets};
use crate::sync::rules::is_temporary;
use crate::sync::watch::Watch;

/// The channel for changed paths.
type Teller = mpsc::UnboundedSender<PathBuf>;

/// The subject of one watch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum WatchTarget {
    /// Files of a folder, by their names.
    Files(PathBuf, BTreeSet<PathBuf>),
    /// All that is in a folder: of a chart, or of a kustomization of which devk cannot say which files it reads.
    Folder(PathBuf),
    /// The files of a pattern, those to come included.
    Manifests(ManifestPattern),
}

impl WatchTarget {
    async fn watch(&self, changes: &Teller) -> Result<Followed> {
        match self.clone() {
            Self::Files(folder, names) => {
                follow(
                    folder,
                    |_| false,
                    move |path| names.contains(path),
                    changes.clone(),
                )
                .await
            }
            Self::Folder(folder) => {
                follow(
                    folder,
                    |_| true,
                    |path| !is_temporary(path),
                    changes.clone(),
                )
                .await
            }
            Self::Manifests(pattern) => {
                let base = pattern.base();
                let root = base.clone();
                let enters = pattern.clone();
                follow(
                    base,
                    move |path| enters.may_be_below(path),
                    move |path| !is_temporary(path) && pattern.matches(&root.join(path)),
                    changes.clone(),
                )
                .await
            }
        }
    }
}

fn places(project: &Project, compose: Option<&Compose>) -> BTreeSet<WatchTarget> {
    let mut folders = BTreeMap::<PathBuf, BTreeSet<PathBuf>>::new();
    let releases: Vec<_> = project.releases.iter().map(ReleaseSources::of).collect();
    for file in files(project, compose, &releases) {
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
            continue;
        };
        folders
            .entry(folder.to_owned())
            .or_default()
            .insert(name.into());
    }
    let targets = releases.into_iter().flat_map(|release| {
        let folders = release.folders.into_iter().map(WatchTarget::Folder);
        folders.chain(release.patterns.into_iter().map(WatchTarget::Manifests))
    });
    folders
        .into_iter()
        .map(|(folder, names)| WatchTarget::Files(folder, names))
        .chain(targets)
        .collect()
}

/// What a release is made from, beside its values.
#[derive(Debug, Default)]
struct ReleaseSources {
    folders: BTreeSet<PathBuf>,
    /// Those that are named one by one.
    files: BTreeSet<PathBuf>,
    patterns: Vec<ManifestPattern>,
}

impl ReleaseSources {
    fn of(release: &ReleaseConfig) -> Self {
        let mut sources = match &release.source {
            ReleaseSource::Chart(folder) => Self {
                folders: chart::folders(folder),
                ..Self::default()
            },
            ReleaseSource::Kustomize(folder) => {
                let inputs = KustomizationInputs::of(folder);
                Self {
                    folders: inputs.folders,
                    files: inputs.files,
                    ..Self::default()
                }
            }
            // The pattern is watched. What a link leads to is not below it.
            ReleaseSource::Manifests(patterns) => {
                let files = patterns.iter().filter_map(|pattern| pattern.files().ok());
                Self {
                    files: files.flatten().filter(|file| file.is_symlink()).collect(),
                    patterns: patterns.clone(),
                    ..Self::default()
                }
            }
        };
        // A save changes what a link leads to, and no link.
        let folders = sources.folders.iter();
        let linked: Vec<_> = folders.flat_map(|folder| link_targets(folder)).collect();
        for target in linked {
            match target.is_dir() {
                true => sources.folders.insert(target),
                false => sources.files.insert(target),
            };
        }
        sources
    }
}

fn files(
    project: &Project,
    compose: Option<&Compose>,
    releases: &[ReleaseSources],
) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from([project.file.clone()]);
    for release in &project.releases {
        // Values of a profile are in the profile's file.
        files.insert(release.origin.file.clone());
        files.extend(release.values.iter().cloned());
    }
    files.extend(releases.iter().flat_map(|release| &release.files).cloned());
    for image in &project.images {
        files.insert(image.origin.file.clone());
        // A sync engine watches the build context, and nothing else.
        files.extend(Instructions::of(image).outside);
    }
    files.extend(compose_files(project, compose));
    // A save changes the file that a symbolic link points to.
    let linked: Vec<_> = files
        .iter()
        .filter(|file| file.is_symlink())
        .filter_map(|f| f.canonicalize().ok())
        .collect();
    files.extend(linked);
    files
}

/// The files of the project's Compose stack, and the paths where one may be created.
fn compose_files(project: &Project, compose: Option<&Compose>) -> BTreeSet<PathBuf> {
    // Those that devk.yaml names, also while they cannot be read.
    let mut files: BTreeSet<_> = project.compose.iter().flatten().cloned().collect();
    let folders = std::iter::once(&project.root).chain(compose.map(|compose| &compose.dir));
    for folder in folders {
        if project.compose.is_none() {
            files.extend(found_names().map(|name| folder.join(name)));
        }
        files.extend(compose.map(|_| folder.join(ENV_FILE)));
    }
    if let Some(compose) = compose {
        files.extend(compose.files.iter().cloned());
        let variables = compose
            .services
            .values()
            .flat_map(|service| service.environment.values());
        files.extend(variables.map(|variable| variable.origin.file.clone()));
    }
    files
}

/// The watch of the input files. Dropping the value ends the watch.
#[derive(Debug, Default)]
pub struct Inputs {
    watched: BTreeMap<WatchTarget, Followed>,
    asking: watch::Sender<Vec<Asking>>,
}

/// Where a watch is asked to look at its files now; it answers once it has reported what has changed.
type Asking = mpsc::UnboundedSender<oneshot::Sender<()>>;

/// One watch.
#[derive(Debug)]
struct Followed {
    asking: Asking,
    _task: AbortOnDropHandle<()>,
}

/// Looks at the input files for whoever waits for what was saved.
#[derive(Debug, Clone)]
pub struct InputLooks(watch::Receiver<Vec<Asking>>);

impl InputLooks {
    /// Waits until every change that was saved before the call is reported.
    pub async fn look(&self) {
        let asking = self.0.borrow().clone();
        let looks = asking.into_iter().map(|asking| async move {
            let (answer, answered) = oneshot::channel();
            // A watch that has ended has nothing to report.
            if asking.send(answer).is_ok() {
                let _ = answered.await;
            }
        });
        futures::future::join_all(looks).await;
    }
}

impl Inputs {
    pub fn looks(&self) -> InputLooks {
        InputLooks(self.asking.subscribe())
    }

    /// Reads the project and its Compose files, and watches their files before it reads them. Changes are
    /// reported from then on.
    ///
    /// # Errors
    /// As [`config::load`].
    pub async fn read(
        &mut self,
        source: &Source,
        paths: &Paths,
        environment: &Environment,
        changes: &Teller,
    ) -> Result<(Project, Stack), Errors> {
        let read = || {
            let project = config::load(source, paths)?;
            // Problems of Compose files are reported when the plan is made.
            let compose = compose::of_project(&project, environment);
            Ok((project, compose))
        };
        let (project, compose) = self.read_watched(read, changes).await?;
        let compose = compose::as_docker_takes_it(&project, environment, compose).await;
        Ok((project, compose))
    }

    /// Reads again as long as the read files name a file that was not watched yet.
    async fn read_watched(
        &mut self,
        mut read: impl FnMut() -> Result<(Project, Stack), Errors>,
        changes: &Teller,
    ) -> Result<(Project, Stack), Errors> {
        loop {
            let (project, compose) = read()?;
            // A failed watch is tried again, and reported, when the plan is made.
            let found = compose.iter().flatten().next();
            let (is_more, _) = self.watch(&places(&project, found), changes).await;
            if !is_more {
                return Ok((project, compose));
            }
        }
    }

    /// Watches the files that a plan was made from, and ends the other watches.
    ///
    /// # Errors
    /// [`crate::error::Code::SyncWatch`]; then the earlier watches stay.
    pub async fn follow(
        &mut self,
        project: &Project,
        compose: Option<&Compose>,
        changes: &Teller,
    ) -> Result<()> {
        let places = places(project, compose);
        self.watch(&places, changes).await.1?;
        self.watched.retain(|place, _| places.contains(place));
        self.show();
        Ok(())
    }

    /// Watches those of the places that are not watched yet. The answer is whether that made more of them, and
    /// the last failure.
    async fn watch(
        &mut self,
        places: &BTreeSet<WatchTarget>,
        changes: &Teller,
    ) -> (bool, Result<()>) {
        let mut is_more = false;
        let mut ended = Ok(());
        for place in places {
            if self.watched.contains_key(place) {
                continue;
            }
            match place.watch(changes).await {
                Ok(task) => {
                    self.watched.insert(place.clone(), task);
                    is_more = true;
                }
                Err(error) => ended = Err(error),
            }
        }
        self.show();
        (is_more, ended)
    }

    fn show(&self) {
        let asking = self.watched.values().map(|watch| watch.asking.clone());
        self.asking.send_replace(asking.collect());
    }
}

async fn follow(
    folder: PathBuf,
    enters: impl Fn(&Path) -> bool + Send + 'static,
    counts: impl Fn(&Path) -> bool + Send + 'static,
    changes: Teller,
) -> Result<Followed> {
    let root = folder.clone();
    let watch = tokio::task::spawn_blocking(move || Watch::start(&root, enters, None)).await;
    let watch = watch.map_err(|e| internal(&e))??;
    let (asking, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let task = tokio::spawn(async move {
        loop {
            let (changed, answer) = tokio::select! {
                // If a limit is reached later, some new folders of the chart are not watched; the others are.
                changed = watch.next() => (changed.unwrap_or_default(), None),
                Some(answer) = asked.recv() => (watch.look().await, Some(answer)),
            };
            for path in changed.into_keys().filter(|path| counts(path)) {
                // A session that is ending makes no new plan.
                let _ = changes.send(folder.join(path));
            }
            // Who does not wait any more needs no answer.
            answer.map(|answer| answer.send(()));
        }
    });
    Ok(Followed {
        asking,
        _task: AbortOnDropHandle::new(task),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A project with a release, a values file and a chart.
    struct Trial {
        dir: tempfile::TempDir,
        inputs: Inputs,
        changes: Teller,
        told: mpsc::UnboundedReceiver<PathBuf>,
    }

    impl Trial {
        fn new() -> Self {
            let (changes, told) = mpsc::unbounded_channel();
            let trial = Self {
                dir: tempfile::tempdir().unwrap(),
                inputs: Inputs::default(),
                changes,
                told,
            };
            std::fs::create_dir(trial.path("chart")).unwrap();
            trial.write(
                "chart/Chart.yaml",
                "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
            );
            trial.write("values.yaml", "");
            trial.write("more.yaml", "");
            trial.write("devk.yaml", &devk_yaml("chart", "values.yaml"));
            trial
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            std::fs::write(self.path(path), text).unwrap();
        }

        fn load(&self) -> Result<Project, Errors> {
            config::load(&self.source(), &self.paths())
        }

        fn source(&self) -> Source {
            Source {
                dir: self.dir.path().to_owned(),
                file: None,
                profile: None,
            }
        }

        fn paths(&self) -> Paths {
            Paths::below(&self.path("devk"))
        }

        async fn read(&mut self) -> Project {
            self.read_all().await.0
        }

        async fn read_all(&mut self) -> (Project, Stack) {
            let source = self.source();
            let paths = self.paths();
            self.inputs
                .read(&source, &paths, &Environment::default(), &self.changes)
                .await
                .unwrap()
        }

        /// Writes to a file, and waits until it is reported.
        async fn is_told(&mut self, path: &str, text: &str) {
            self.write(path, text);
            let file = self.path(path);
            let told = async { while self.told.recv().await.unwrap() != file {} };
            assert!(
                tokio::time::timeout(Duration::from_secs(5), told)
                    .await
                    .is_ok(),
                "`{path}` is not told"
            );
        }

        async fn is_quiet(&mut self) {
            let told = tokio::time::timeout(Duration::from_millis(200), self.told.recv()).await;
            assert!(told.is_err(), "{told:?}");
        }
    }

    fn devk_yaml(chart: &str, values: &str) -> String {
        format!("name: shop\nreleases:\n  - {{name: shop, chart: ./{chart}, values: [{values}]}}\n")
    }

    #[tokio::test]
    async fn a_file_that_counts_is_told_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, mut told) = mpsc::unbounded_channel();
        let counts = |path: &Path| path == Path::new("values.yaml");
        let _watch = follow(dir.path().to_owned(), |_| false, counts, sender)
            .await
            .unwrap();
        std::fs::write(dir.path().join("other"), "").unwrap();
        std::fs::write(dir.path().join("values.yaml.tmp"), "a: 1").unwrap();
        std::fs::rename(
            dir.path().join("values.yaml.tmp"),
            dir.path().join("values.yaml"),
        )
        .unwrap();
        assert_eq!(told.recv().await.unwrap(), dir.path().join("values.yaml"));
    }

    #[tokio::test]
    async fn what_changes_while_the_plan_is_made_is_told() {
        let mut trial = Trial::new();
        let project = trial.read().await;
        for file in ["chart/Chart.yaml", "values.yaml", "devk.yaml"] {
            trial.is_told(file, "changed").await;
        }
        trial
            .inputs
            .follow(&project, None, &trial.changes)
            .await
            .unwrap();
        trial.is_told("values.yaml", "again").await;
    }

    #[tokio::test]
    async fn devk_yaml_is_read_again_if_it_changed_before_its_watch_began() {
        let mut trial = Trial::new();
        let mut inputs = Inputs::default();
        let mut readings = 0;
        let read = || {
            let project = trial.load()?;
            readings += 1;
            if readings == 1 {
                trial.write("devk.yaml", &devk_yaml("chart", "more.yaml"));
            }
            Ok((project, Ok(None)))
        };
        let (project, _) = inputs.read_watched(read, &trial.changes).await.unwrap();
        assert_eq!(project.releases[0].values, [trial.path("more.yaml")]);
        // The second reading led to more.yaml, which may have changed before its watch began.
        assert_eq!(readings, 3);
        trial.is_quiet().await;
        trial.is_told("more.yaml", "changed").await;
    }

    #[tokio::test]
    async fn what_is_watched_already_is_read_once_and_no_change_by_itself() {
        let mut trial = Trial::new();
        trial.read().await;
        let mut inputs = std::mem::take(&mut trial.inputs);
        let mut readings = 0;
        let read = || {
            readings += 1;
            Ok((trial.load()?, Ok(None)))
        };
        let _ = inputs.read_watched(read, &trial.changes).await.unwrap();
        assert_eq!(readings, 1);
        trial.is_quiet().await;
    }

    #[tokio::test]
    async fn what_cannot_be_watched_costs_no_watch_that_there_was() {
        let mut trial = Trial::new();
        let mut project = trial.read().await;
        project.releases[0].source = ReleaseSource::Chart(trial.path("nowhere"));
        trial
            .inputs
            .follow(&project, None, &trial.changes)
            .await
            .unwrap_err();
        trial.is_told("chart/Chart.yaml", "changed").await;
        trial.is_told("devk.yaml", "changed").await;
    }

    #[tokio::test]
    async fn a_compose_file_is_watched_before_it_is_read() {
        let mut trial = Trial::new();
        trial.write("compose.yaml", "services: {a: {image: x}}\n");
        trial.read().await;
        trial
            .is_told("compose.yaml", "services: {a: {image: y}}\n")
            .await;
    }

    #[tokio::test]
    async fn what_is_handed_on_of_compose_was_read_after_its_watch_began() {
        let mut trial = Trial::new();
        trial.write("compose.yaml", "services: {a: {image: x}}\n");
        let mut inputs = Inputs::default();
        let mut readings = 0;
        let read = || {
            let project = trial.load()?;
            let compose = compose::of_project(&project, &Environment::default());
            readings += 1;
            if readings == 1 {
                trial.write("compose.yaml", "services: {b: {image: x}}\n");
            }
            Ok((project, compose))
        };
        let (_, compose) = inputs.read_watched(read, &trial.changes).await.unwrap();
        let services: Vec<_> = compose.unwrap().unwrap().services.into_keys().collect();
        assert_eq!(services, ["b"]);
        trial.write("compose.yaml", "services: [\n");
        let (_, compose) = trial.read_all().await;
        assert!(compose.is_err(), "it is told when the plan is made");
    }

    #[tokio::test]
    async fn a_dockerfile_outside_of_its_context_is_watched_and_so_is_the_ignore_file_that_may_come()
     {
        let mut trial = Trial::new();
        std::fs::create_dir(trial.path("app")).unwrap();
        trial.write("api.Dockerfile", "FROM x\n");
        let image = "images: {api: {context: ./app, dockerfile: ./api.Dockerfile}}\n";
        trial.write("devk.yaml", &(devk_yaml("chart", "values.yaml") + image));
        trial.read().await;
        trial.is_told("api.Dockerfile", "FROM y\n").await;
        trial
            .is_told("api.Dockerfile.dockerignore", "*.log\n")
            .await;
    }

    #[tokio::test]
    async fn an_override_that_is_made_and_the_files_of_variables_are_told() {
        let mut trial = Trial::new();
        trial.write(
            "compose.yaml",
            "services: {a: {image: x, env_file: [a.env]}}\n",
        );
        trial.write("a.env", "A=1\n");
        trial.read().await;
        for file in [".env", "a.env", "compose.override.yaml"] {
            trial.is_told(file, "A=2\n").await;
        }
    }

    #[tokio::test]
    async fn a_chart_that_a_chart_takes_from_another_folder_is_watched() {
        let mut trial = Trial::new();
        std::fs::create_dir(trial.path("common")).unwrap();
        trial.write(
            "common/Chart.yaml",
            "apiVersion: v2\nname: common\nversion: 0.1.0\n",
        );
        let dependency =
            "dependencies: [{name: common, version: 0.1.0, repository: 'file://../common'}]\n";
        trial.write(
            "chart/Chart.yaml",
            &format!("apiVersion: v2\nname: shop\nversion: 0.1.0\n{dependency}"),
        );
        trial.read().await;
        trial.is_told("common/Chart.yaml", "changed").await;
    }

    #[tokio::test]
    async fn what_links_of_a_chart_lead_to_is_watched() {
        let mut trial = Trial::new();
        std::fs::create_dir_all(trial.path("common/parts")).unwrap();
        trial.write("common/_lib.tpl", "");
        trial.write("common/parts/api.yaml", "");
        let link = |target: &str, link: &str| {
            std::os::unix::fs::symlink(target, trial.path(link)).unwrap();
        };
        std::fs::create_dir(trial.path("chart/templates")).unwrap();
        link("../../common/_lib.tpl", "chart/templates/_lib.tpl");
        link("../../common/parts", "chart/templates/parts");
        link("..", "chart/above");
        trial.read().await;
        trial.is_told("common/_lib.tpl", "changed").await;
        trial.is_told("common/parts/api.yaml", "changed").await;
        trial.is_told("common/parts/new.yaml", "made").await;
    }

    #[tokio::test]
    async fn what_a_link_leads_to_is_watched() {
        let mut trial = Trial::new();
        std::fs::create_dir(trial.path("shared")).unwrap();
        trial.write("shared/values.yaml", "");
        std::fs::remove_file(trial.path("values.yaml")).unwrap();
        std::os::unix::fs::symlink("shared/values.yaml", trial.path("values.yaml")).unwrap();
        trial.read().await;
        trial.is_told("shared/values.yaml", "a: 1\n").await;
    }

    #[tokio::test]
    async fn the_file_of_the_profile_is_watched() {
        let mut trial = Trial::new();
        trial.write("devk.yaml", "name: shop\nprofile: demo\n");
        trial.read().await;
        trial
            .is_told("devk/data/profiles/demo/devk.yaml", "changed")
            .await;
    }

    #[tokio::test]
    async fn manifests_are_told_with_those_that_come_and_nothing_beside_them_is() {
        let mut trial = Trial::new();
        std::fs::create_dir(trial.path("k8s")).unwrap();
        trial.write("k8s/api.yaml", "");
        let yaml = "name: shop\nreleases:\n  - {name: shop, manifests: [k8s/*.yaml]}\n";
        trial.write("devk.yaml", yaml);
        trial.read().await;
        trial.is_told("k8s/api.yaml", "kind: A\n").await;
        trial.is_told("k8s/new.yaml", "kind: B\n").await;
        while trial.told.try_recv().is_ok() {}
        trial.write("k8s/notes.txt", "");
        trial.is_quiet().await;
    }

    #[tokio::test]
    async fn what_a_kustomization_reads_is_told_in_its_bases_too() {
        let mut trial = Trial::new();
        for folder in ["base", "overlay"] {
            std::fs::create_dir(trial.path(folder)).unwrap();
        }
        trial.write(
            "base/kustomization.yaml",
            "configMapGenerator: [{name: a, files: [a.txt]}]\n",
        );
        trial.write("base/a.txt", "one");
        trial.write("overlay/kustomization.yaml", "resources: [../base]\n");
        let yaml = "name: shop\nreleases:\n  - {name: shop, kustomize: overlay}\n";
        trial.write("devk.yaml", yaml);
        trial.read().await;
        trial.is_told("base/a.txt", "two").await;
        trial
            .is_told(
                "overlay/kustomization.yaml",
                "resources: [../base]\nnamePrefix: a-\n",
            )
            .await;
    }
}
