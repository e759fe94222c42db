//! The private copy of a chart, content-addressed, with its dependencies in place.
//!
//! Invariant: the user's folders are only read. `file://` dependencies are taken from the user's
//! folder every time, so an edit there counts like an edit in the chart itself; all others are
//! fetched by `helm dependency build` in the copy, once per content, if they are not vendored.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::digest::Digest;
use super::helm::Helm;
use super::tree::{self, Entry};
use super::yaml;
use crate::config::{Origin, ReleaseConfig};
use crate::error::{Code, Error, Result};
use crate::paths::refused;
use crate::process::quote;

/// Copies that were not used for this long are removed.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A chart that is ready to render.
#[derive(Debug, Clone)]
pub struct Chart {
    /// `name` of Chart.yaml.
    pub name: String,
    /// The user's folder.
    pub source: PathBuf,
    /// The private copy.
    pub dir: PathBuf,
    /// Over the files of the chart and of its `file://` dependencies.
    pub hash: String,
    /// values.yaml, with the defaults of unpacked subcharts under their names.
    pub defaults: Value,
    /// `charts/common` → the user's folder of that dependency.
    sources: Vec<(PathBuf, PathBuf)>,
}

impl Chart {
    /// Copies the chart below `<cache>/charts/`, unless a copy with the same content is there.
    ///
    /// # Errors
    /// [`Code::ChartMissing`] at the release's line if the folder has no Chart.yaml,
    /// [`Code::ConfigSyntax`] if that is not YAML, [`Code::ChartDependency`] if a dependency is
    /// missing or helm cannot fetch it, [`Code::StateIo`] if the cache cannot be written.
    pub async fn open(release: &ReleaseConfig, helm: &Helm, cache: &Path) -> Result<Self> {
        let charts = collect(&normalize(&release.chart), &release.origin)?;
        let root = charts
            .last()
            .ok_or_else(|| missing(&release.chart, &release.origin))?;
        let ancestor = common_ancestor(&charts);
        let hash = hash(&charts, &ancestor);
        let home = cache.join("charts").join(&hash);
        if home.is_dir() {
            tree::touch(&home);
        } else {
            build(&charts, &ancestor, helm, &home).await?;
            tree::forget_old(&cache.join("charts"), KEPT);
        }
        let dir = mirrored(root, &ancestor, &home);
        let defaults = defaults(&dir)?;
        let sources = sources(root, &charts, Path::new(""));
        Ok(Self {
            name: root.name.clone(),
            source: root.source.clone(),
            dir,
            hash,
            defaults,
            sources,
        })
    }

    /// The user's file behind a name in helm's output: `shop/charts/common/templates/x.yaml`.
    pub fn user_file(&self, template: &str) -> Option<PathBuf> {
        let path = Path::new(template).strip_prefix(&self.name).ok()?;
        let nearest = self
            .sources
            .iter()
            .filter(|(prefix, _)| path.starts_with(prefix));
        let file = match nearest.max_by_key(|(prefix, _)| prefix.components().count()) {
            Some((prefix, source)) => source.join(path.strip_prefix(prefix).ok()?),
            None => self.source.join(path),
        };
        file.is_file().then_some(file)
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
            sources: Vec::new(),
        }
    }
}

/// A chart folder of the user's: the release's own, or a `file://` dependency.
#[derive(Debug)]
struct Local {
    name: String,
    source: PathBuf,
    entries: Vec<Entry>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    alias: Option<String>,
    repository: String,
    /// The version that Chart.lock pins.
    locked: Option<String>,
    /// The user's folder, for `file://`.
    local: Option<PathBuf>,
}

/// The chart and all it reaches through `file://`, dependencies first, the chart itself last.
fn collect(chart: &Path, origin: &Origin) -> Result<Vec<Local>> {
    let mut done = Vec::new();
    visit(chart, origin, &mut Vec::new(), &mut done)?;
    Ok(done)
}

fn visit(
    source: &Path,
    origin: &Origin,
    open: &mut Vec<PathBuf>,
    done: &mut Vec<Local>,
) -> Result<()> {
    if done.iter().any(|local| local.source == source) {
        return Ok(());
    }
    if open.iter().any(|path| path == source) {
        let message = format!("chart `{}` depends on itself", source.display());
        return Err(Error::new(Code::ChartDependency, message).at(source.join("Chart.yaml"), None));
    }
    let local = Local::read(source).map_err(|e| {
        if open.is_empty() {
            at_release(e, origin)
        } else {
            e
        }
    })?;
    open.push(source.to_owned());
    for dependency in local.dependencies.iter().filter_map(|d| d.local.as_ref()) {
        visit(dependency, origin, open, done)?;
    }
    open.pop();
    done.push(local);
    Ok(())
}

/// The folder of a chart and those of its `file://` dependencies, as far as the charts can be read; none that lies in
/// another one.
pub fn folders(chart: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut next = vec![normalize(chart)];
    while let Some(folder) = next.pop() {
        if !found.insert(folder.clone()) {
            continue;
        }
        let read = |name: &str| read_file(&folder.join(name)).unwrap_or_default();
        let meta = read("Chart.yaml");
        let older = read("requirements.yaml");
        let declared = meta["dependencies"]
            .as_array()
            .or(older["dependencies"].as_array());
        let declared = declared
            .into_iter()
            .flatten()
            .filter_map(|item| dependency(item, &Value::Null, &folder));
        next.extend(
            declared
                .filter_map(|dependency| dependency.local)
                .filter(|folder| folder.is_dir()),
        );
    }
    let all = found.clone();
    found.retain(|folder| !folder.ancestors().skip(1).any(|above| all.contains(above)));
    found
}

/// A missing chart is devk.yaml's mistake, not the chart's.
fn at_release(error: Error, origin: &Origin) -> Error {
    if error.code == Code::ChartMissing {
        error.at(&origin.file, origin.line)
    } else {
        error
    }
}

impl Local {
    fn read(source: &Path) -> Result<Self> {
        let file = source.join("Chart.yaml");
        if !file.is_file() {
            return Err(missing_chart(source));
        }
        let entries = tree::read(source)?;
        let meta = read_yaml(&entries, source, "Chart.yaml")?;
        let Some(name) = meta["name"].as_str() else {
            return Err(Error::new(Code::ConfigSyntax, "the chart has no `name`").at(file, None));
        };
        let dependencies = dependencies(&meta, &entries, source)?;
        Ok(Self {
            name: name.to_owned(),
            source: source.to_owned(),
            dependencies,
            entries,
        })
    }

    /// True if helm has to fetch something that is not in `charts/`.
    fn lacks_a_dependency(&self) -> bool {
        self.dependencies
            .iter()
            .filter(|d| d.local.is_none() && !d.repository.is_empty())
            .any(|d| {
                !self
                    .entries
                    .iter()
                    .any(|entry| d.is_vendored_as(&entry.path))
            })
    }
}

impl Dependency {
    /// `charts/<name>/Chart.yaml`, or `charts/<name>-<version>.tgz` with the locked version.
    fn is_vendored_as(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix("charts") else {
            return false;
        };
        inside == Path::new(&self.name).join("Chart.yaml")
            || inside
                .to_str()
                .and_then(|file| archive_version(file, &self.name))
                .is_some_and(|version| {
                    // `v1.2.3` and `1.2.3` are the same version.
                    self.locked
                        .as_deref()
                        .is_none_or(|locked| locked.trim_start_matches('v') == version)
                })
    }
}

/// `common-1.2.3.tgz` → `1.2.3` for `common`; None for other charts' archives.
fn archive_version<'a>(file: &'a str, chart: &str) -> Option<&'a str> {
    let version = file
        .strip_prefix(chart)?
        .strip_prefix('-')?
        .strip_suffix(".tgz")?;
    let version = version.strip_prefix('v').unwrap_or(version);
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

/// From Chart.yaml, or requirements.yaml in a chart of API version v1.
fn dependencies(meta: &Value, entries: &[Entry], source: &Path) -> Result<Vec<Dependency>> {
    let older = read_yaml(entries, source, "requirements.yaml")?;
    let (declared, lock) = match meta["dependencies"].as_array() {
        Some(list) => (list, read_yaml(entries, source, "Chart.lock")?),
        None => match older["dependencies"].as_array() {
            Some(list) => (list, read_yaml(entries, source, "requirements.lock")?),
            None => return Ok(Vec::new()),
        },
    };
    Ok(declared
        .iter()
        .filter_map(|item| dependency(item, &lock, source))
        .collect())
}

fn dependency(item: &Value, lock: &Value, source: &Path) -> Option<Dependency> {
    let name = item["name"].as_str()?.to_owned();
    let repository = item["repository"].as_str().unwrap_or_default().to_owned();
    let locked = lock["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|l| l["name"] == name.as_str());
    Some(Dependency {
        locked: locked
            .and_then(|l| l["version"].as_str())
            .map(str::to_owned),
        local: repository
            .strip_prefix("file://")
            .map(|path| normalize(&source.join(path))),
        alias: item["alias"].as_str().map(str::to_owned),
        name,
        repository,
    })
}

/// Null if the chart has no such file.
fn read_yaml(entries: &[Entry], source: &Path, file: &str) -> Result<Value> {
    let Some(entry) = entries.iter().find(|e| e.path == Path::new(file)) else {
        return Ok(Value::Null);
    };
    yaml::parse(&String::from_utf8_lossy(&entry.content)).map_err(|(message, line)| {
        Error::new(Code::ConfigSyntax, message).at(source.join(file), line)
    })
}

fn missing(chart: &Path, origin: &Origin) -> Error {
    at_release(missing_chart(chart), origin)
}

fn missing_chart(chart: &Path) -> Error {
    Error::new(
        Code::ChartMissing,
        format!("there is no Chart.yaml in `{}`", chart.display()),
    )
    .hint(
        "point `chart:` (or the chart's `file://` dependency) at the folder that holds Chart.yaml",
    )
}

fn hash(charts: &[Local], ancestor: &Path) -> String {
    let mut digest = Digest::default();
    for local in charts {
        digest = digest.part(
            relative(&local.source, ancestor)
                .as_os_str()
                .as_encoded_bytes(),
        );
        digest = digest.part(local.entries.len().to_string());
        for entry in &local.entries {
            digest = digest
                .part(entry.path.as_os_str().as_encoded_bytes())
                .part(&entry.content);
        }
    }
    digest.hex()
}

/// Writes the copy beside its place, completes it there and renames it: what stands under its hash
/// is whole.
async fn build(charts: &[Local], ancestor: &Path, helm: &Helm, home: &Path) -> Result<()> {
    let parent = home.parent().unwrap_or(home);
    tree::private_dir(parent)?;
    let io = |e: std::io::Error| refused("write", home, &e);
    let temp = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(parent)
        .map_err(io)?;
    for local in charts {
        tree::write(&local.entries, &mirrored(local, ancestor, temp.path()))?;
    }
    for local in charts {
        complete(local, charts, ancestor, helm, temp.path()).await?;
    }
    match std::fs::rename(temp.path(), home) {
        // Another devk was faster, with the same content.
        Err(_) if home.is_dir() => Ok(()),
        other => other.map_err(io),
    }
}

/// The folders keep their places relative to each other, so that helm finds `file://../common`.
fn mirrored(local: &Local, ancestor: &Path, home: &Path) -> PathBuf {
    home.join(relative(&local.source, ancestor))
}

async fn complete(
    local: &Local,
    charts: &[Local],
    ancestor: &Path,
    helm: &Helm,
    home: &Path,
) -> Result<()> {
    let dir = mirrored(local, ancestor, home);
    if local.lacks_a_dependency() {
        helm.dependency_build(&dir)
            .await
            .map_err(|e| dependency_error(e, local))?;
    }
    for dependency in &local.dependencies {
        let Some(from) = charts
            .iter()
            .find(|c| Some(&c.source) == dependency.local.as_ref())
        else {
            continue;
        };
        vendor(
            &mirrored(from, ancestor, home),
            &dir.join("charts"),
            &dependency.name,
        )?;
    }
    Ok(())
}

/// Puts an unpacked dependency into `charts/` in place of whatever version of it is there.
fn vendor(from: &Path, charts: &Path, name: &str) -> Result<()> {
    let target = charts.join(name);
    if from == target {
        return Ok(());
    }
    let io = |e: std::io::Error| refused("write", charts, &e);
    for item in std::fs::read_dir(charts).into_iter().flatten() {
        let item = item.map_err(io)?;
        let file = item.file_name();
        if file
            .to_str()
            .is_some_and(|file| archive_version(file, name).is_some())
        {
            std::fs::remove_file(item.path()).map_err(io)?;
        }
    }
    if target.is_dir() {
        std::fs::remove_dir_all(&target).map_err(io)?;
    }
    tree::write(&tree::read(from)?, &target)
}

fn dependency_error(error: Error, local: &Local) -> Error {
    if error.code != Code::CommandFailed {
        return error;
    }
    let unknown_repository = error
        .evidence
        .iter()
        .any(|line| line.contains("helm repo add"));
    let remote = local
        .dependencies
        .iter()
        .find(|d| d.repository.starts_with("http"));
    let hint = match remote.filter(|_| unknown_repository) {
        Some(d) => format!("helm repo add {} {}", quote(&d.name), quote(&d.repository)),
        None => format!("helm dependency update {}", quote(&local.source)),
    };
    Error {
        code: Code::ChartDependency,
        message: format!(
            "the dependencies of chart `{}` cannot be fetched",
            local.name
        ),
        ..error
    }
    .hint(hint)
    .at(local.source.join("Chart.yaml"), None)
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
        if let (Some(name), Some(alias)) = (item["name"].as_str(), item["alias"].as_str()) {
            values[alias] = values.get(name).cloned().unwrap_or_default();
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
fn normalize(path: &Path) -> PathBuf {
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

    async fn open(root: &Path, chart: &str) -> Result<Chart> {
        let release = ReleaseConfig {
            chart: root.join(chart),
            ..fixture::release()
        };
        Chart::open(&release, &fixture::no_helm(), &root.join("cache")).await
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
        let long_ago = std::time::SystemTime::now() - KEPT * 2;
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
