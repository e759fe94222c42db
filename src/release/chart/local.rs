//! Charts in folders of the user: a release's own chart, and the charts that it depends on through `file://`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{normalize, read_file};
use crate::config::Origin;
use crate::error::{Code, Error, Result};
use crate::release::files::{self, FileEntry};
use crate::release::yaml;

/// A chart folder of the user's: the release's own, or a `file://` dependency.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) source: PathBuf,
    pub(super) entries: Vec<FileEntry>,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) alias: Option<String>,
    pub(super) repository: String,
    /// The version that Chart.lock pins.
    pub(super) locked: Option<String>,
    /// The user's folder, for `file://`.
    pub(super) local: Option<PathBuf>,
}

/// The chart and all it reaches through `file://`, dependencies first, the chart itself last.
pub(super) fn collect(chart: &Path, origin: &Origin) -> Result<Vec<Local>> {
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
pub(super) fn at_release(error: Error, origin: &Origin) -> Error {
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
        let entries = files::read(source)?;
        let meta = read_yaml(&entries, source, "Chart.yaml")?;
        let Some(name) = yaml::text(&meta["name"]) else {
            return Err(Error::new(Code::ConfigSyntax, "the chart has no `name`").at(file, None));
        };
        let dependencies = dependencies(&meta, &entries, source)?;
        Ok(Self {
            name,
            source: source.to_owned(),
            dependencies,
            entries,
        })
    }

    /// True if helm has to fetch something that is not in `charts/`.
    pub(super) fn lacks_a_dependency(&self) -> bool {
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
pub(super) fn archive_version<'a>(file: &'a str, chart: &str) -> Option<&'a str> {
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
fn dependencies(meta: &Value, entries: &[FileEntry], source: &Path) -> Result<Vec<Dependency>> {
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
    let name = yaml::text(&item["name"])?;
    let repository = item["repository"].as_str().unwrap_or_default().to_owned();
    let locked = lock["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|locked| yaml::text(&locked["name"]).as_ref() == Some(&name));
    Some(Dependency {
        locked: locked.and_then(|locked| yaml::text(&locked["version"])),
        local: repository
            .strip_prefix("file://")
            .map(|path| normalize(&source.join(path)))
            .filter(|folder| !is_only_vendored(source, &name, folder)),
        alias: yaml::text(&item["alias"]),
        name,
        repository,
    })
}

/// A `file://` that leads nowhere, for a part that is unpacked in `charts/`: helm takes the latter and never follows
/// the former.
fn is_only_vendored(source: &Path, name: &str, folder: &Path) -> bool {
    let is_chart = |folder: &Path| folder.join("Chart.yaml").is_file();
    !is_chart(folder) && is_chart(&source.join("charts").join(name))
}

/// Null if the chart has no such file.
fn read_yaml(entries: &[FileEntry], source: &Path, file: &str) -> Result<Value> {
    let Some(entry) = entries.iter().find(|e| e.path == Path::new(file)) else {
        return Ok(Value::Null);
    };
    yaml::parse(&String::from_utf8_lossy(&entry.content)).map_err(|(message, line)| {
        Error::new(Code::ConfigSyntax, message).at(source.join(file), line)
    })
}

pub(super) fn missing_chart(chart: &Path) -> Error {
    Error::new(
        Code::ChartMissing,
        format!("there is no Chart.yaml in `{}`", chart.display()),
    )
    .hint(
        "point `chart:` (or the chart's `file://` dependency) at the folder that holds Chart.yaml",
    )
}
