//! A devk.yaml out of what a repository has: scan → clues → hypotheses → choices → text.
//!
//! Nothing of the repository is run. What its charts render is looked at with helm, as `devk up` does it, not guessed:
//! which images they use, which values they demand. What cannot be decided becomes a comment, or is left to the user.

mod addresses;
pub mod agents;
mod bases;
mod build_access;
mod builds;
mod charts;
mod clue;
mod clues;
mod context;
mod demanded;
pub mod draft;
mod empty_values;
mod forwards;
mod images;
mod library;
mod look;
mod manifests;
mod new_chart;
mod pages;
mod pair;
mod references;
mod required;
mod scan;
mod settle;
mod stack;
mod stages;
mod static_look;
mod survey;
mod surveying;
mod values_files;
mod write;

#[cfg(test)]
mod fixture;

use std::path::{Path, PathBuf};

use crate::config::{is_reserved, label};
use crate::environment::Environment;
use crate::error::Errors;
use crate::paths::Paths;
use charts::{ChartFolder, ChosenCharts};
use clue::shown;
use draft::{DraftRelease, InitDraft};
use scan::RepositoryTree;
use surveying::Surveying;

pub use demanded::DemandedValues;
pub use new_chart::{ChartDraft, ChartSecret, SecretSource, draft_chart, survey_with_chart};
pub use stack::{WholeStack, whole_of};
pub use survey::{ChartCandidate, ChosenDraft, Survey};

/// Looks through a repository. `named` are charts that the user names, relative to the root; empty: devk finds them.
///
/// # Errors
/// A folder for temporary files that cannot be made.
pub async fn survey(
    root: &Path,
    named: &[PathBuf],
    environment: &Environment,
    paths: &Paths,
) -> Result<Survey, Errors> {
    let tree = RepositoryTree::scan(root);
    let found = stack::find(&tree, environment);
    let clues = clues::read(&tree, found.stack.as_ref());
    let mut charts = charts::find(&tree);
    if !named.is_empty() {
        charts.retain(|chart| named.contains(&chart.dir));
    } else {
        let is_installed = |folder: &Path| clues.installs.iter().any(|clue| clue.chart == folder);
        charts.retain(|chart| {
            is_installed(&chart.dir) || !manifests::is_within_kustomization(&tree, &chart.dir)
        });
    }
    let builds = builds::find(&tree, &clues);
    let mut draft = InitDraft {
        name: name(root, &charts),
        compose: found.draft,
        ..InitDraft::default()
    };
    for (chart, at) in &clues.remote {
        draft.notes.push(format!(
            "{at} also installs the chart {chart}, which is in no folder here: `helm pull --untar {chart}`, then a release with its folder"
        ));
    }
    let surveying = Surveying {
        tree: &tree,
        stack: found.stack.as_ref().map(|stack| &stack.compose),
        builds: &builds,
        jobs: &[],
        environment,
        paths,
    };
    if charts.is_empty() {
        let candidates = manifests::candidates(&tree, &clues, &draft.name);
        return surveying.of_manifests(draft, candidates).await;
    }
    let chosen = match named.is_empty() {
        true => charts::choose(&tree, &charts, &clues),
        false => ChosenCharts::Releases(charts::all(&tree, &charts, &clues)),
    };
    match chosen {
        ChosenCharts::Candidates { charts, why } => Ok(candidates(&charts, why)),
        ChosenCharts::Releases(releases) => {
            draft.releases = distinct(releases);
            surveying.of_charts(draft).await
        }
    }
}

/// Whether a repository has a chart of its own.
pub fn has_charts(root: &Path) -> bool {
    !charts::find(&RepositoryTree::scan(root)).is_empty()
}

/// The folder's name, as devk takes it without `name:`; that of a chart where Kubernetes has a namespace of it.
fn name(root: &Path, charts: &[ChartFolder]) -> String {
    let folder = root
        .file_name()
        .and_then(|name| label(&name.to_string_lossy()));
    let charts = charts.iter().filter_map(|chart| label(&chart.name));
    let mut names = folder.into_iter().chain(charts);
    names
        .find(|name| !is_reserved(name))
        .unwrap_or_else(|| "app".to_owned())
}

fn candidates(charts: &[ChartFolder], why: String) -> Survey {
    let charts = charts.iter().map(|chart| ChartCandidate {
        name: chart.name.clone(),
        chart: shown(&chart.dir),
        at: chart.at.to_string(),
        description: chart.description.clone(),
    });
    Survey::Candidates {
        why,
        charts: charts.collect(),
    }
}

/// Releases of one name cannot be installed beside each other.
fn distinct(releases: Vec<DraftRelease>) -> Vec<DraftRelease> {
    let mut found: Vec<DraftRelease> = vec![];
    for mut release in releases {
        let base = release.name.clone();
        let mut number = 2;
        while found.iter().any(|other| other.name == release.name) {
            release.name = format!("{base}-{number}");
            number += 1;
        }
        found.push(release);
    }
    found
}
