//! The values files that a chart has for development.

use std::path::{Path, PathBuf};

use super::charts::{ChartFolder, values};
use super::clue::{InstallClue, shown};
use super::draft::DraftRelease;
use super::scan::{FileKind, RepositoryTree};

/// Words for a developer's machine, the best first.
const FOR_DEVELOPMENT: [&str; 5] = ["local", "dev", "development", "devel", "kind"];

/// Chooses the values files of a release: those of the command that installs it if they are for development, else the
/// file whose name says so. The others become comments.
pub(super) fn choose(
    tree: &RepositoryTree,
    chart: &ChartFolder,
    clue: Option<&InstallClue>,
    release: &mut DraftRelease,
) {
    let given = clue.map(|clue| (clue, readable(tree, &clue.values)));
    let found = candidates(tree, chart);
    if let Some((clue, files)) = given
        && !files.is_empty()
        && files
            .iter()
            .all(|file| rank(file).is_some() || found.is_empty())
    {
        let is_of_production = files.iter().any(|file| is_of_production(file));
        if !is_of_production {
            release
                .evidence
                .push(format!("with the values files of {}", clue.at));
            release.values = files;
            return;
        }
    }
    let mut found = found.into_iter();
    if let Some(best) = found.next() {
        release
            .evidence
            .push(format!("values for development: {}", best.display()));
        release.values.push(best);
    }
    let others = found.map(|other| format!("other values for development: {}", shown(&other)));
    release.alternatives.extend(others);
}

fn readable(tree: &RepositoryTree, files: &[PathBuf]) -> Vec<PathBuf> {
    let files = files.iter().filter(|file| values(tree, file).is_some());
    files.cloned().collect()
}

/// The files for development, the best first: by their name, then by how near they are.
fn candidates(tree: &RepositoryTree, chart: &ChartFolder) -> Vec<PathBuf> {
    let above = chart.dir.parent().unwrap_or(Path::new(""));
    let mut found: Vec<_> = tree
        .of_kind(FileKind::Yaml)
        .filter(|file| belongs_to(file, chart, above))
        .filter_map(|file| Some((rank(file)?, !file.starts_with(&chart.dir), file.to_owned())))
        .filter(|(_, _, file)| {
            values(tree, file)
                .is_some_and(|values| values.is_object() && values.get("kind").is_none())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, _, file)| file).collect()
}

/// Below the chart, or beside it under a name that says whose values these are.
fn belongs_to(file: &Path, chart: &ChartFolder, above: &Path) -> bool {
    let text = file.to_string_lossy().to_lowercase();
    if let Ok(below) = file.strip_prefix(&chart.dir) {
        let first = below.components().next();
        let first = first.map(|part| part.as_os_str().to_string_lossy().into_owned());
        return !["templates", "charts", "crds"].contains(&first.as_deref().unwrap_or_default());
    }
    let is_near = file
        .strip_prefix(above)
        .is_ok_and(|below| below.components().count() <= 3);
    let is_for_chart = text.contains(&chart.name.to_lowercase()) || text.contains("values");
    let is_alone = !above.as_os_str().is_empty() || file.components().count() <= 2;
    is_near && is_for_chart && is_alone
}

/// How well a name says that the file is for development: `values-dev.yaml`, `environments/dev.yaml`,
/// `env/local/values.yaml`.
fn rank(file: &Path) -> Option<usize> {
    let stem = file.file_stem()?.to_str()?.to_lowercase();
    let folder = file.parent().and_then(Path::file_name);
    let folder = folder
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let above = file
        .parent()
        .and_then(Path::parent)
        .and_then(Path::file_name);
    let above = above
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let is_word = |text: &str, word: &str| {
        let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
        parts.any(|part| part == word)
    };
    let is_of_values = |name: &str| {
        [
            "values",
            "environments",
            "envs",
            "env",
            "environment",
            "overrides",
            "config",
        ]
        .contains(&name)
    };
    let says_values = stem.contains("values") || is_of_values(&folder) || is_of_values(&above);
    let by_name = FOR_DEVELOPMENT.iter().position(|word| is_word(&stem, word));
    let by_folder = FOR_DEVELOPMENT.iter().position(|word| folder == *word);
    says_values.then(|| by_name.or(by_folder)).flatten()
}

fn is_of_production(file: &Path) -> bool {
    let text = file.to_string_lossy().to_lowercase();
    ["prod", "staging", "stage"]
        .iter()
        .any(|word| text.contains(word))
}

/// `ci/*.yaml` of a chart, as chart-testing has them, relative to the root.
pub(super) fn of_ci(root: &Path, chart: &Path) -> Vec<PathBuf> {
    let folder = chart.join("ci");
    let items = std::fs::read_dir(root.join(&folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = items
        .map(|item| folder.join(item.file_name()))
        .filter(|file| {
            file.extension()
                .is_some_and(|end| end == "yaml" || end == "yml")
        })
        .collect();
    found.sort();
    found
}
