//! Which charts make up the stack. An umbrella and its parts are one; libraries and charts inside of others are none;
//! of several, those count that the repository itself installs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::clue::{Clues, InstallClue, SourceLine, inside};
use super::draft::{Confidence, DraftRelease, InitSource};
use super::scan::{FileKind, RepositoryTree};
use crate::config::label;
use crate::release::yaml;

/// More charts than these, and none that the repository installs, are a collection.
const MAX_CHARTS_OF_A_STACK: usize = 8;

/// The longest name of a Helm release.
const MAX_RELEASE_CHARS: usize = 53;

/// A chart's folder.
#[derive(Debug, Clone)]
pub(super) struct ChartFolder {
    /// Relative to the root.
    pub(super) dir: PathBuf,
    pub(super) name: String,
    pub(super) at: SourceLine,
    is_library: bool,
    /// Folders of its `file://` dependencies.
    parts: Vec<PathBuf>,
    pub(super) description: Option<String>,
}

/// What was chosen of the charts.
#[derive(Debug)]
pub(super) enum ChosenCharts {
    /// In the order in which they are installed.
    Releases(Vec<DraftRelease>),
    /// Nobody says which of these.
    Candidates {
        charts: Vec<ChartFolder>,
        why: String,
    },
}

/// Every chart that is not a part of another one.
pub(super) fn find(tree: &RepositoryTree) -> Vec<ChartFolder> {
    let charts: Vec<_> = tree
        .of_kind(FileKind::Chart)
        .filter_map(|file| chart(tree, file))
        .collect();
    let folders: BTreeSet<_> = charts.iter().map(|chart| chart.dir.clone()).collect();
    let parts: BTreeSet<_> = charts
        .iter()
        .flat_map(|chart| chart.parts.clone())
        .collect();
    let is_within = |chart: &ChartFolder| {
        let above = chart.dir.ancestors().skip(1);
        { above }.any(|above| folders.contains(above))
    };
    charts
        .into_iter()
        .filter(|chart| !chart.is_library && !is_within(chart) && !parts.contains(&chart.dir))
        .collect()
}

fn chart(tree: &RepositoryTree, file: &Path) -> Option<ChartFolder> {
    let text = tree.read(file)?;
    let meta = yaml::parse(&text).ok()?;
    let dir = file.parent()?.to_owned();
    let older = tree.read(&dir.join("requirements.yaml"));
    let older = older
        .and_then(|text| yaml::parse(&text).ok())
        .unwrap_or_default();
    let declared = [&meta, &older].into_iter();
    let declared = declared.flat_map(|file| file["dependencies"].as_array().into_iter().flatten());
    let local = declared.filter_map(|item| item["repository"].as_str()?.strip_prefix("file://"));
    Some(ChartFolder {
        name: yaml::text(&meta["name"])?,
        at: SourceLine::find(file, &text, "name:"),
        is_library: meta["type"] == "library",
        parts: local.filter_map(|path| inside(&dir.join(path))).collect(),
        description: meta["description"].as_str().map(str::to_owned),
        dir,
    })
}

/// The releases of the stack.
pub(super) fn choose(tree: &RepositoryTree, charts: &[ChartFolder], clues: &Clues) -> ChosenCharts {
    let installed = installed(charts, clues);
    if let [only] = charts {
        let clue = installed.first().map(|(_, clue)| *clue);
        return ChosenCharts::Releases(vec![release(tree, only, clue, "the only chart")]);
    }
    if !installed.is_empty() {
        let why = match installed.len() {
            1 => "the chart that the repository installs",
            _ => "one of the charts that the repository installs",
        };
        let mut releases: Vec<_> = installed
            .iter()
            .map(|(chart, clue)| release(tree, chart, Some(clue), why))
            .collect();
        note_rivals(charts, &mut releases);
        return ChosenCharts::Releases(releases);
    }
    match reason_to_ask(tree, charts) {
        Some(why) => ChosenCharts::Candidates {
            charts: charts.to_vec(),
            why,
        },
        None => {
            let releases = definitions_first(tree, charts).into_iter().map(|chart| {
                let mut found = release(tree, chart, None, "one of the charts of this repository");
                found.confidence = Confidence::Likely;
                found
            });
            ChosenCharts::Releases(releases.collect())
        }
    }
}

/// Charts with CustomResourceDefinitions come before those that may ask for them.
fn definitions_first<'a>(tree: &RepositoryTree, charts: &'a [ChartFolder]) -> Vec<&'a ChartFolder> {
    let mut ordered: Vec<_> = charts.iter().collect();
    ordered.sort_by_key(|chart| !tree.is_dir(&chart.dir.join("crds")));
    ordered
}

/// A release for each of the charts that the user has named.
pub(super) fn all(
    tree: &RepositoryTree,
    charts: &[ChartFolder],
    clues: &Clues,
) -> Vec<DraftRelease> {
    let each = definitions_first(tree, charts).into_iter().map(|chart| {
        let clue = clues.installs.iter().find(|clue| clue.chart == chart.dir);
        release(tree, chart, clue, "named by `--chart`")
    });
    each.collect()
}

/// The charts that the repository installs, by the speaker that counts most, in its order, each once.
fn installed<'a>(
    charts: &'a [ChartFolder],
    clues: &'a Clues,
) -> Vec<(&'a ChartFolder, &'a InstallClue)> {
    let of_stack = clues.installs.iter().filter_map(|clue| {
        let chart = charts.iter().find(|chart| chart.dir == clue.chart)?;
        Some((chart, clue))
    });
    let all: Vec<_> = of_stack.collect();
    let Some(first) = all.iter().map(|(_, clue)| clue.speaker).min() else {
        return vec![];
    };
    let mut seen = BTreeSet::new();
    all.into_iter()
        .filter(|(chart, clue)| clue.speaker == first && seen.insert(&chart.dir))
        .collect()
}

fn note_rivals(charts: &[ChartFolder], releases: &mut [DraftRelease]) {
    let chosen: Vec<_> = releases
        .iter()
        .filter_map(|release| release.source.chart())
        .collect();
    let rivals: Vec<_> = charts
        .iter()
        .filter(|chart| !chosen.contains(&chart.dir.as_path()))
        .map(|chart| {
            format!(
                "not installed by the repository's own commands: chart `{}` ({})",
                chart.name, chart.at
            )
        })
        .collect();
    if let Some(last) = releases.last_mut() {
        last.alternatives.extend(rivals);
    }
}

/// Why the charts may not all be parts of one stack.
fn reason_to_ask(tree: &RepositoryTree, charts: &[ChartFolder]) -> Option<String> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    charts
        .iter()
        .for_each(|chart| *names.entry(&chart.name).or_default() += 1);
    if let Some((name, count)) = names.iter().find(|(_, count)| **count > 1) {
        return Some(format!("{count} charts are called `{name}`"));
    }
    let has_dockerfile = tree.of_kind(FileKind::Dockerfile).next().is_some();
    let count = charts.len();
    match has_dockerfile {
        _ if count > MAX_CHARTS_OF_A_STACK => Some(format!("there are {count} charts")),
        false if count > 3 => Some(format!(
            "there are {count} charts, and nothing that builds an image for them"
        )),
        _ => None,
    }
}

fn release(
    tree: &RepositoryTree,
    chart: &ChartFolder,
    clue: Option<&InstallClue>,
    why: &str,
) -> DraftRelease {
    let named = clue.and_then(|clue| clue.release.as_deref());
    let name = named.unwrap_or(&chart.name);
    let mut name = label(name).unwrap_or_else(|| "app".to_owned());
    name.truncate(MAX_RELEASE_CHARS);
    let name = name.trim_end_matches('-').to_owned();
    let mut found = DraftRelease::new(name, InitSource::Chart(chart.dir.clone()));
    found
        .evidence
        .push(format!("{why}: `{}` ({})", chart.name, chart.at));
    found
        .evidence
        .extend(clue.map(|clue| format!("installed by {}", clue.at)));
    super::values_files::choose(tree, chart, clue, &mut found);
    found
}

/// Puts releases behind those whose Services they name.
pub(super) fn in_order(
    releases: Vec<DraftRelease>,
    needs: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<DraftRelease> {
    let mut left = releases;
    let mut ordered: Vec<DraftRelease> = vec![];
    while !left.is_empty() {
        let is_free = |release: &DraftRelease| {
            let needed = needs.get(&release.name);
            !left.iter().any(|other| {
                other.name != release.name
                    && needed.is_some_and(|needed| needed.contains(&other.name))
            })
        };
        // Those that need each other stay in the order in which they were found.
        let next = left.iter().position(is_free).unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

/// A folder's YAML file as a map; None if it is none, or encrypted.
pub(super) fn values(tree: &RepositoryTree, file: &Path) -> Option<Value> {
    let text = tree.read(file)?;
    let values = yaml::parse(&text).ok()?;
    let is_map = values.is_object() || values.is_null();
    (is_map && values.get("sops").is_none()).then_some(values)
}
