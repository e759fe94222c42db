//! A chart with other texts in some of its files, in a folder of devk's own: the user's is only read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::facts::ChartFacts;
use super::super::gather::{ChartGatherer, CheckedChart};
use crate::config::{Project, ReleaseConfig, ReleaseSource};
use crate::error::Errors;
use crate::paths::{refused, scratch};
use crate::release::chart::normalize;
use crate::release::variant::copy_chart;

/// How far above the chart a dependency may be (`file://../../common`).
const LEVELS: usize = 3;

/// Texts by the paths of their files in the chart.
pub(super) type ChartTexts = BTreeMap<PathBuf, String>;

/// The facts of a chart with these texts. What is rendered is kept in `cache`.
///
/// # Errors
/// What keeps the chart from being copied or read.
pub(super) async fn drafted(
    gatherer: &ChartGatherer<'_>,
    chart: &CheckedChart<'_>,
    texts: &ChartTexts,
    cache: &Path,
) -> Result<ChartFacts, Errors> {
    let Some(folder) = chart.folder() else {
        // Its files are no chart's: there is nothing to change.
        return gatherer.facts(chart).await;
    };
    let scratch = scratch()?;
    let copy = copied(&normalize(folder), &scratch)?;
    for (path, text) in texts {
        let file = copy.join(path);
        std::fs::write(&file, text).map_err(|e| refused("write", &file, &e))?;
    }
    let paths = gatherer.paths_with_cache(cache);
    let gatherer = gatherer.anew(&paths);
    let facts = match chart {
        CheckedChart::Folder(_) => gatherer.facts(&CheckedChart::Folder(copy.clone())).await,
        CheckedChart::Release(project, release) => {
            let (project, release) = moved(project, release, folder, &copy);
            let release = CheckedChart::Release(&project, &release);
            gatherer.facts(&release).await
        }
    };
    facts.map(|facts| in_users_words(facts, &copy, folder))
}

/// The facts with the user's folder in the place of the copy.
fn in_users_words(mut facts: ChartFacts, copy: &Path, folder: &Path) -> ChartFacts {
    let folder = normalize(folder);
    let back = |file: &Path| match file.strip_prefix(copy) {
        Ok(below) => folder.join(below),
        Err(_) => file.to_owned(),
    };
    facts.folder = folder.clone();
    facts.origin.file = back(&facts.origin.file);
    for (_, file) in &mut facts.templates {
        *file = back(file);
    }
    facts
}

/// A copy with the same folders beside it and above it, as links: dependencies may be there.
fn copied(folder: &Path, scratch: &TempDir) -> Result<PathBuf, Errors> {
    let needs_others = std::fs::read_to_string(folder.join("Chart.yaml"))
        .is_ok_and(|text| text.contains("file://"));
    let levels = if needs_others { LEVELS } else { 0 };
    let above: Vec<_> = folder
        .ancestors()
        .skip(1)
        .take(levels)
        .filter(|dir| dir.parent().is_some())
        .collect();
    let root = scratch
        .path()
        .canonicalize()
        .unwrap_or_else(|_| scratch.path().to_owned());
    let top = above
        .last()
        .copied()
        .unwrap_or(folder.parent().unwrap_or(folder));
    let copy = root.join(folder.strip_prefix(top).unwrap_or(folder));
    copy_chart(folder, &copy)?;
    for dir in above {
        let beside = root.join(dir.strip_prefix(top).unwrap_or(Path::new("")));
        for item in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let link = beside.join(item.file_name());
            if item.path().is_dir() && !link.exists() {
                symlink(&item.path(), &link).map_err(|e| refused("link", &link, &e))?;
            }
        }
    }
    Ok(copy)
}

#[cfg(unix)]
fn symlink(to: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The project with the copy in the chart's place.
fn moved(
    project: &Project,
    release: &ReleaseConfig,
    folder: &Path,
    copy: &Path,
) -> (Project, ReleaseConfig) {
    let mut project = project.clone();
    let releases = project.releases.iter_mut();
    for release in releases.filter(|release| release.source.chart() == Some(folder)) {
        release.source = ReleaseSource::Chart(copy.to_owned());
        for file in &mut release.values {
            if let Ok(below) = file.strip_prefix(folder) {
                *file = copy.join(below);
            }
        }
    }
    let found = project
        .releases
        .iter()
        .find(|moved| moved.name == release.name);
    let release = found.unwrap_or(release).clone();
    (project, release)
}
