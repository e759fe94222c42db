//! From a draft to one that renders: helm refuses, the draft gets what is demanded, until nothing is.

use std::path::{Path, PathBuf};

use super::clue::shown;
use super::draft::{DraftRelease, InitDraft};
use super::empty_values;
use super::look::DraftLook;
use super::required::{demands, give};
use super::values_files;
use crate::error::{Code, Error, Errors};
use crate::observe::PreparedRelease;
use crate::release::effective_values;

/// helm names one demand at a time; a chart with more than these is no chart for a first try.
const MAX_ROUNDS: usize = 40;

/// Renders the draft, and gives it what its charts demand.
///
/// # Errors
/// What no value of a draft can mend.
pub(super) async fn settle(
    looking: &DraftLook<'_>,
    root: &Path,
    draft: &mut InitDraft,
) -> Result<Vec<PreparedRelease>, Errors> {
    let mut tried: Vec<PathBuf> = vec![];
    let mut last = None;
    for _ in 0..MAX_ROUNDS {
        let errors = match looking.at(draft).await {
            Ok(rendered) if !filled(root, &rendered, draft) => return Ok(rendered),
            Ok(_) => continue,
            Err(errors) => errors,
        };
        let mut helped = false;
        for error in &errors.0 {
            let Some(release) = of_release(&mut draft.releases, error) else {
                continue;
            };
            helped |= demanded(error, release, root)
                || without_file(error, release, root)
                || with_ci_values(release, root, &mut tried);
        }
        if !helped {
            return Err(last.unwrap_or(errors));
        }
        last = Some(errors);
    }
    let message = format!("the charts demand more than {MAX_ROUNDS} values");
    Err(Error::new(Code::ChartRender, message)
        .hint("name a values file for development in devk.yaml")
        .into())
}

/// Gives the charts the secrets that they render empty; false if there are none.
fn filled(root: &Path, rendered: &[PreparedRelease], draft: &mut InitDraft) -> bool {
    let mut given = false;
    for (found, release) in rendered.iter().zip(&mut draft.releases) {
        let values = effective_values(&found.prepared).unwrap_or_default();
        let demands = empty_values::secrets(root, found, &values);
        for demand in demands
            .iter()
            .filter(|demand| !release.gives(&demand.path))
            .collect::<Vec<_>>()
        {
            given |= give(release, demand);
        }
    }
    given
}

/// The release that an error is about: by its name in the message, or by its files.
fn of_release<'a>(releases: &'a mut [DraftRelease], error: &Error) -> Option<&'a mut DraftRelease> {
    let is_named = |release: &DraftRelease| {
        error
            .message
            .contains(&format!("release `{}`", release.name))
    };
    let has_file = |release: &DraftRelease| {
        let file = error.file.as_ref();
        file.is_some_and(|file| release.values.iter().any(|own| file.ends_with(own)))
    };
    let at = releases
        .iter()
        .position(|release| is_named(release) || has_file(release))?;
    releases.get_mut(at)
}

fn demanded(error: &Error, release: &mut DraftRelease, root: &Path) -> bool {
    if error.code != Code::ChartRender {
        return false;
    }
    let Some(folder) = release.source.chart() else {
        return false;
    };
    let chart = chart_name(&root.join(folder)).unwrap_or_default();
    let demands = demands(error, &chart, root);
    let mut helped = false;
    for demand in &demands {
        helped |= give(release, demand);
    }
    helped
}

fn chart_name(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("Chart.yaml")).ok()?;
    let meta = crate::release::yaml::parse(&text).ok()?;
    crate::release::yaml::text(&meta["name"])
}

/// A values file that devk cannot take, such as one with variables for another program, becomes a comment.
fn without_file(error: &Error, release: &mut DraftRelease, root: &Path) -> bool {
    if !matches!(
        error.code,
        Code::ConfigVariable | Code::ConfigSyntax | Code::ConfigPath
    ) {
        return false;
    }
    let Some(at) = error.file.as_ref().and_then(|file| {
        release
            .values
            .iter()
            .position(|own| root.join(own) == *file)
    }) else {
        return false;
    };
    let file = release.values.remove(at);
    release
        .alternatives
        .push(format!("left out: {} ({})", shown(&file), error.message));
    true
}

/// The values that the chart's own tests install it with, in place of what was given so far.
fn with_ci_values(release: &mut DraftRelease, root: &Path, tried: &mut Vec<PathBuf>) -> bool {
    let Some(chart) = release.source.chart() else {
        return false;
    };
    let found = values_files::of_ci(root, chart);
    let Some(file) = found.into_iter().find(|file| !tried.contains(file)) else {
        return false;
    };
    release.values.retain(|own| !tried.contains(own));
    tried.push(file.clone());
    release.set.clear();
    release.generate.clear();
    release.evidence.push(format!(
        "the chart does not render without values; its own tests use {}",
        shown(&file)
    ));
    release.values.push(file);
    true
}
