//! The private copy of a chart, content-addressed, with its dependencies in place.
//!
//! Invariant: the user's folders are only read. `file://` dependencies are taken from the user's
//! folder every time, so an edit there counts like an edit in the chart itself; all others are
//! fetched by helm if they are not vendored (`dependencies.rs`).

mod dependencies;
mod local;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::capabilities;
use super::files;
use super::hasher::PartsHasher;
use super::helm::Helm;
use super::wrapper::{self, Wrapped};
use super::yaml;
use crate::config::{Origin, ReleaseConfig, ReleaseSource};
use crate::error::{Code, Error, Errors, Result};
use crate::paths::forget_old;
pub use dependencies::share_dependencies;
use dependencies::{complete, vendor};
pub use local::folders;
use local::{Local, at_release, collect, missing_chart};

/// Copies that were not used for this long are removed.
pub(super) const MAX_UNUSED_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A chart that is ready to render.
#[derive(Debug, Clone)]
pub struct Chart {
    /// `name` of Chart.yaml.
    pub name: String,
    /// The user's folder; of a chart of devk's own that of devk.yaml.
    pub source: PathBuf,
    /// The private copy.
    pub dir: PathBuf,
    /// Over the files of the chart and of its `file://` dependencies.
    pub hash: String,
    /// values.yaml, with the defaults of unpacked subcharts under their names.
    pub defaults: Value,
    /// The chart may render differently on another cluster.
    pub asks_capabilities: bool,
    /// `charts/common` → the user's folder of that dependency.
    sources: Vec<(PathBuf, PathBuf)>,
    /// What is in a chart of devk's own; None for the user's.
    pub wrapped: Option<Wrapped>,
}

impl Chart {
    /// Copies the chart below `<cache>/charts/`, or makes one of manifests or of a kustomization, unless one of the same
    /// content is there.
    ///
    /// # Errors
    /// Of manifests and kustomizations those of [`wrapper`]. [`Code::ChartMissing`] at the release's line if the folder has no Chart.yaml,
    /// [`Code::ConfigSyntax`] if that is not YAML, [`Code::ChartDependency`] if a dependency is
    /// missing or helm cannot fetch it, [`Code::StateIo`] if the cache cannot be written.
    pub async fn open(release: &ReleaseConfig, helm: &Helm, cache: &Path) -> Result<Self, Errors> {
        match &release.source {
            ReleaseSource::Chart(folder) => {
                Ok(Self::copy(folder, &release.origin, helm, cache).await?)
            }
            ReleaseSource::Manifests(patterns) => wrapper::of_manifests(release, patterns, cache),
            ReleaseSource::Kustomize(folder) => {
                wrapper::of_kustomization(release, folder, helm.environment(), cache).await
            }
        }
    }

    async fn copy(folder: &Path, origin: &Origin, helm: &Helm, cache: &Path) -> Result<Self> {
        let charts = collect(&normalize(folder), origin)?;
        let root = charts.last().ok_or_else(|| missing(folder, origin))?;
        let ancestor = common_ancestor(&charts);
        let hash = hash(&charts, &ancestor);
        let home = home(cache, &hash);
        if home.is_dir() {
            files::touch(&home);
        } else {
            build(&charts, &ancestor, helm, cache, &home).await?;
            forget_old(&cache.join("charts"), MAX_UNUSED_AGE);
        }
        let dir = mirrored(root, &ancestor, &home);
        let sources = sources(root, &charts, Path::new(""));
        // What is wrong with the copy is wrong with the user's file, and is to be mended there.
        let of_user = |error: Error| match error.file.as_deref().map(|file| file.strip_prefix(&dir))
        {
            Some(Ok(path)) => Error {
                file: Some(users(path, &root.source, &sources)),
                ..error
            },
            _ => error,
        };
        let defaults = defaults(&dir).map_err(of_user)?;
        let asks_capabilities = capabilities::are_asked_by(&dir).map_err(of_user)?;
        Ok(Self {
            name: root.name.clone(),
            source: root.source.clone(),
            dir,
            hash,
            defaults,
            asks_capabilities,
            sources,
            wrapped: None,
        })
    }

    /// Whether the private copy of a release's chart is there as the chart is now: then opening it fetches nothing. devk's own
    /// charts are made without helm.
    pub fn is_copied(release: &ReleaseConfig, cache: &Path) -> bool {
        let Some(folder) = release.source.chart() else {
            return true;
        };
        collect(&normalize(folder), &release.origin)
            .is_ok_and(|charts| home(cache, &hash(&charts, &common_ancestor(&charts))).is_dir())
    }

    /// A chart that devk made.
    pub(super) fn of_wrapped(
        name: &str,
        root: &Path,
        dir: PathBuf,
        hash: String,
        wrapped: Wrapped,
    ) -> Self {
        Self {
            name: name.to_owned(),
            source: root.to_owned(),
            dir,
            hash,
            defaults: Value::Object(serde_json::Map::new()),
            // Nothing in it is a template.
            asks_capabilities: false,
            sources: vec![],
            wrapped: Some(wrapped),
        }
    }

    /// The user's file behind a name in helm's output: `shop/charts/common/templates/x.yaml`, or behind one of [`Self::shown`].
    pub fn user_file(&self, template: &str) -> Option<PathBuf> {
        let own = Path::new(template).strip_prefix(&self.name);
        if let Some(wrapped) = &self.wrapped {
            let shown = || wrapped.has(self.source.join(template));
            let file = own.ok().and_then(|path| wrapped.user_file(path));
            return file.map(Path::to_owned).or_else(shown);
        }
        let file = users(own.ok()?, &self.source, &self.sources);
        file.is_file().then_some(file)
    }

    /// What sentences say in place of a template of devk's own: the user's file, from the folder of devk.yaml. None for the
    /// user's own templates.
    pub(super) fn shown(&self, template: &str) -> Option<String> {
        self.wrapped.as_ref()?;
        let file = self.user_file(template)?;
        let shown = file.strip_prefix(&self.source).unwrap_or(&file);
        Some(shown.to_string_lossy().into_owned())
    }

    /// Names the user's files instead of devk's copies of them.
    pub(super) fn in_users_words(&self, text: &str) -> String {
        let Some(wrapped) = &self.wrapped else {
            return text.replace(&*self.dir.to_string_lossy(), &self.source.to_string_lossy());
        };
        wrapped
            .files()
            .fold(text.to_owned(), |text, (ours, theirs)| {
                let theirs = theirs.to_string_lossy();
                let names = [self.dir.join(ours), Path::new(&self.name).join(ours)];
                names.iter().fold(text, |text, name| {
                    text.replace(&*name.to_string_lossy(), &theirs)
                })
            })
    }

    #[cfg(test)]
    pub(super) fn fixture(name: &str, dir: &Path) -> Self {
        let source = dir.to_owned();
        let dir = dir.to_owned();
        Self {
            name: name.into(),
            source,
            dir,
            hash: String::new(),
            defaults: Value::Null,
            asks_capabilities: false,
            sources: Vec::new(),
            wrapped: None,
        }
    }
}

/// The user's file behind one of the copy, by its path there: in the chart's folder, or in that of the nearest dependency.
fn users(path: &Path, source: &Path, sources: &[(PathBuf, PathBuf)]) -> PathBuf {
    let nearest = sources
        .iter()
        .filter_map(|(prefix, from)| Some((prefix, from.join(path.strip_prefix(prefix).ok()?))));
    let nearest = nearest.max_by_key(|(prefix, _)| prefix.components().count());
    nearest.map_or_else(|| source.join(path), |(_, file)| file)
}

/// Where the copies of a content are kept.
fn home(cache: &Path, hash: &str) -> PathBuf {
    cache.join("charts").join(hash)
}

fn missing(chart: &Path, origin: &Origin) -> Error {
    at_release(missing_chart(chart), origin)
}

fn hash(charts: &[Local], ancestor: &Path) -> String {
    let mut hasher = PartsHasher::default();
    for local in charts {
        hasher = hasher.part(
            relative(&local.source, ancestor)
                .as_os_str()
                .as_encoded_bytes(),
        );
        hasher = hasher.part(local.entries.len().to_string());
        for entry in &local.entries {
            hasher = hasher
                .part(entry.path.as_os_str().as_encoded_bytes())
                .part(&entry.content);
        }
    }
    hasher.hex()
}

/// Writes the copy beside its place, completes it there and renames it: what stands under its hash
/// is whole.
async fn build(
    charts: &[Local],
    ancestor: &Path,
    helm: &Helm,
    cache: &Path,
    home: &Path,
) -> Result<()> {
    let temp = files::begin(home)?;
    for local in charts {
        files::write(&local.entries, &mirrored(local, ancestor, temp.path()))?;
    }
    for local in charts {
        let dir = mirrored(local, ancestor, temp.path());
        complete(local, &dir, helm, cache).await?;
        for dependency in &local.dependencies {
            let mut others = charts.iter();
            if let Some(from) =
                others.find(|other| Some(&other.source) == dependency.local.as_ref())
            {
                let from = mirrored(from, ancestor, temp.path());
                vendor(&from, &dir.join("charts"), &dependency.name)?;
            }
        }
    }
    files::finish(&temp, home)
}

/// The folders keep their places relative to each other, so that helm finds `file://../common`.
fn mirrored(local: &Local, ancestor: &Path, home: &Path) -> PathBuf {
    home.join(relative(&local.source, ancestor))
}

/// values.yaml of a chart folder over the defaults of the subcharts that stand unpacked in it.
fn defaults(dir: &Path) -> Result<Value> {
    let mut values = Value::Object(serde_json::Map::new());
    for item in std::fs::read_dir(dir.join("charts"))
        .into_iter()
        .flatten()
        .flatten()
    {
        if item.path().join("Chart.yaml").is_file() {
            values[item.file_name().to_string_lossy().as_ref()] = defaults(&item.path())?;
        }
    }
    let aliases = read_file(&dir.join("Chart.yaml"))?["dependencies"].take();
    for item in aliases.as_array().into_iter().flatten() {
        if let (Some(name), Some(alias)) = (yaml::text(&item["name"]), yaml::text(&item["alias"])) {
            values[&alias] = values.get(&name).cloned().unwrap_or_default();
        }
    }
    let own = read_file(&dir.join("values.yaml"))?;
    if own.is_object() {
        yaml::merge(&mut values, own);
    }
    Ok(values)
}

fn read_file(file: &Path) -> Result<Value> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(Value::Null);
    };
    yaml::parse(&text)
        .map_err(|(message, line)| Error::new(Code::ConfigSyntax, message).at(file, line))
}

/// Where each `file://` dependency, at any depth, comes from. helm names a subchart by its alias.
fn sources(local: &Local, charts: &[Local], prefix: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for dependency in &local.dependencies {
        let Some(from) = charts
            .iter()
            .find(|c| Some(&c.source) == dependency.local.as_ref())
        else {
            continue;
        };
        for name in [Some(&dependency.name), dependency.alias.as_ref()]
            .into_iter()
            .flatten()
        {
            let place = prefix.join("charts").join(name);
            found.extend(sources(from, charts, &place));
            found.push((place, from.source.clone()));
        }
    }
    found
}

/// The nearest folder that holds all the charts, and is none of them.
fn common_ancestor(charts: &[Local]) -> PathBuf {
    let mut parents = charts
        .iter()
        .map(|c| c.source.parent().unwrap_or(&c.source));
    let mut common = parents.next().unwrap_or(Path::new("/")).to_owned();
    for parent in parents {
        while !parent.starts_with(&common) {
            common.pop();
        }
    }
    common
}

fn relative<'a>(path: &'a Path, ancestor: &Path) -> &'a Path {
    path.strip_prefix(ancestor).unwrap_or(path)
}

/// Resolves `.` and `..` by the text alone, as helm does (`filepath.Join`).
pub fn normalize(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::super::prepare::fixture;
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }

    async fn open(root: &Path, chart: &str) -> Result<Chart, Error> {
        let release = ReleaseConfig {
            source: ReleaseSource::Chart(root.join(chart)),
            ..fixture::release()
        };
        let opened = Chart::open(&release, &fixture::no_helm(), &root.join("cache")).await;
        opened.map_err(|mut errors| errors.0.remove(0))
    }

    #[tokio::test]
    async fn a_folder_without_chart_yaml_is_reported_at_the_release() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(dir.path(), "chart").await.unwrap_err();
        assert_eq!(
            (error.code, error.line),
            (Code::ChartMissing, Some(fixture::release().origin.line))
        );
    }

    #[tokio::test]
    async fn the_copy_is_found_by_content_and_changes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("chart/Chart.yaml", "name: shop"),
                ("chart/values.yaml", "a: 1"),
            ],
        );
        let first = open(dir.path(), "chart").await.unwrap();
        assert_eq!(
            open(dir.path(), "chart/../chart").await.unwrap().dir,
            first.dir
        );
        assert_eq!(
            std::fs::read_to_string(first.dir.join("values.yaml")).unwrap(),
            "a: 1"
        );

        write(dir.path(), &[("chart/values.yaml", "a: 2")]);
        assert_ne!(open(dir.path(), "chart").await.unwrap().hash, first.hash);
    }

    #[tokio::test]
    async fn a_copy_that_nobody_used_for_long_goes_when_another_is_made() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("chart/Chart.yaml", "name: shop"),
                ("chart/values.yaml", "a: 1"),
            ],
        );
        let [unused, used, newest] = ["a: 1", "a: 2", "a: 3"].map(|values| (values, dir.path()));
        let open = async |(values, root): (&str, &Path)| {
            write(root, &[("chart/values.yaml", values)]);
            open(root, "chart")
                .await
                .unwrap()
                .dir
                .parent()
                .unwrap()
                .to_owned()
        };
        let long_ago = std::time::SystemTime::now() - MAX_UNUSED_AGE * 2;
        let mut homes = vec![];
        for chart in [unused, used] {
            let home = open(chart).await;
            std::fs::File::open(&home)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
            homes.push(home);
        }
        open(used).await;
        homes.push(open(newest).await);
        assert_eq!(
            homes.iter().map(|home| home.is_dir()).collect::<Vec<_>>(),
            [false, true, true]
        );
    }

    #[tokio::test]
    async fn local_dependencies_are_taken_from_the_users_folders_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                (
                    "deploy/shop/Chart.yaml",
                    "name: shop\ndependencies:\n- {name: common, alias: lib, repository: 'file://../../common'}\n",
                ),
                ("deploy/shop/charts/common-0.0.1.tgz", "stale"),
                (
                    "common/Chart.yaml",
                    "name: common\ndependencies:\n- {name: base, repository: 'file://../base'}\n",
                ),
                ("common/templates/x.yaml", "x"),
                ("base/Chart.yaml", "name: base"),
                ("base/values.yaml", "image: {repository: r, tag: t}"),
                ("base/templates/y.yaml", "y"),
            ],
        );
        let chart = open(dir.path(), "deploy/shop").await.unwrap();
        assert!(
            chart
                .dir
                .join("charts/common/charts/base/templates/y.yaml")
                .is_file()
        );
        assert!(!chart.dir.join("charts/common-0.0.1.tgz").exists());
        assert!(
            dir.path()
                .join("deploy/shop/charts/common-0.0.1.tgz")
                .is_file(),
            "the user's file stays"
        );
        assert_eq!(chart.defaults["lib"]["base"]["image"]["tag"], "t");
        assert_eq!(
            chart.user_file("shop/charts/lib/charts/base/templates/y.yaml"),
            Some(dir.path().join("base/templates/y.yaml"))
        );

        write(dir.path(), &[("base/templates/y.yaml", "edited")]);
        assert_ne!(
            open(dir.path(), "deploy/shop").await.unwrap().hash,
            chart.hash
        );
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_in_the_users_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = ("shop/values.yaml", "common/values.yaml");
        for (broken, whole) in [(own, other), (other, own)] {
            write(
                dir.path(),
                &[
                    (
                        "shop/Chart.yaml",
                        "name: shop\ndependencies: [{name: common, repository: 'file://../common'}]\n",
                    ),
                    ("common/Chart.yaml", "name: common"),
                    (whole, "a: 1"),
                    (broken, "a: 1\nb: [\n"),
                ],
            );
            let error = open(dir.path(), "shop").await.unwrap_err();
            assert_eq!(
                (error.code, error.file),
                (Code::ConfigSyntax, Some(dir.path().join(broken)))
            );
        }
    }

    #[tokio::test]
    async fn charts_that_depend_on_each_other_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                (
                    "a/Chart.yaml",
                    "name: a\ndependencies: [{name: b, repository: 'file://../b'}]",
                ),
                (
                    "b/Chart.yaml",
                    "name: b\ndependencies: [{name: a, repository: 'file://../a'}]",
                ),
            ],
        );
        assert_eq!(
            open(dir.path(), "a").await.unwrap_err().code,
            Code::ChartDependency
        );
    }

    #[tokio::test]
    async fn vendored_dependencies_need_no_helm_and_others_do() {
        let dir = tempfile::tempdir().unwrap();
        let chart = "name: a\ndependencies: [{name: redis, version: 1.x, repository: 'https://charts.invalid'}]";
        write(
            dir.path(),
            &[
                ("a/Chart.yaml", chart),
                ("a/charts/redis-cluster-1.0.0.tgz", "another chart"),
            ],
        );
        assert_eq!(
            open(dir.path(), "a").await.unwrap_err().code,
            Code::ToolMissing
        );

        write(dir.path(), &[("a/charts/redis-1.2.3.tgz", "")]);
        open(dir.path(), "a").await.unwrap();

        write(
            dir.path(),
            &[(
                "a/Chart.lock",
                "dependencies: [{name: redis, version: 1.3.0}]",
            )],
        );
        assert_eq!(
            open(dir.path(), "a").await.unwrap_err().code,
            Code::ToolMissing,
            "the archive is an older one"
        );
    }
}
