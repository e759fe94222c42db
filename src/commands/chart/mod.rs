//! `devk chart`.

mod constraint_file;
mod fix;
mod guide;
mod history;
mod markdown;
mod teach;
mod text;

pub use guide::{GuideOptions, guide};
pub use history::history;
pub use teach::{TeachOptions, teach};

use std::path::{Path, PathBuf};

use console::style;
use serde_json::json;
use tempfile::TempDir;

use super::Context;
use crate::check::{
    self, ChangedText, ChartGatherer, ChartHistory, CheckBaseline, CheckedChart, Judgement,
};
use crate::config::{self, CheckConfig, Origin, Project};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::paths::Paths;
use crate::release::chart::normalize;
use crate::ui;

/// How `devk chart check` prints its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartFormat {
    Text,
    Json,
    Markdown,
    Sarif,
}

/// What the command line asks of `devk chart check`.
#[derive(Debug, Default)]
pub struct CheckOptions {
    /// Names of releases, or folders. None: all charts of devk.yaml.
    pub charts: Vec<String>,
    /// From the folder in which devk was started.
    pub baseline: Option<PathBuf>,
    pub write_baseline: bool,
    /// Remedy what can be remedied.
    pub fix: Option<FixOptions>,
}

/// How `--fix` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixOptions {
    /// Show what would be written.
    pub dry_run: bool,
    /// Also over changes that are in no commit.
    pub allow_dirty: bool,
}

/// Judges charts.
///
/// # Errors
/// What keeps the charts from being looked at; what is wrong with them is a finding.
pub async fn check(
    context: &Context,
    options: &CheckOptions,
    format: ChartFormat,
) -> Result<Exit, Errors> {
    let project = project(context, &options.charts)?;
    let config = constraints(context, project.as_ref())?;
    check::usable(&config)?;
    let baseline = match (&options.baseline, options.write_baseline) {
        (Some(file), false) => Some(CheckBaseline::read(&context.source.dir.join(file))?),
        _ => None,
    };
    let charts = chosen(context, project.as_ref(), &options.charts)?;
    let environment = Environment::of_process();
    let (paths, _scratch) = looking(context, project.as_ref())?;
    let gatherer = ChartGatherer::new(project.as_ref(), &paths, &environment).await?;
    let judgement = Judgement {
        baseline: baseline.as_ref(),
        ..Judgement::new(&config, jiff::Zoned::now().date())
    };
    if let Some(fix) = options.fix {
        let project = project.as_ref();
        return fix::run(context, project, &charts, &gatherer, judgement, fix, format).await;
    }
    let (mut reports, mut falls) = (vec![], vec![]);
    for chart in &charts {
        let facts = gatherer.facts(chart).await?;
        let report = check::judge(&facts, judgement);
        let mut history = history::of(context, chart);
        let added = history.add(&report, jiff::Timestamp::now());
        // A home that cannot be written is told, and hides no finding.
        let is_new = added.unwrap_or_else(|error| {
            ui::err(&ui::plain::error(&error));
            true
        });
        falls.push(history.fall().filter(|_| is_new));
        reports.push(report);
    }
    if let (Some(file), true) = (&options.baseline, options.write_baseline) {
        let file = context.source.dir.join(file);
        CheckBaseline::of(&reports).write(&file)?;
        context.changes.wrote(&file);
    }
    let dir = &context.source.dir;
    ui::even_unread(match format {
        ChartFormat::Text => {
            let last = ChartHistory::last_of_all(&context.paths);
            let offers = check::offers(&reports, &config, &last);
            ui::out(&(text::reports(&reports, &falls, dir) + &text::offers(&offers)))
        }
        ChartFormat::Json => ui::json(&json!({"version": 1, "charts": reports})),
        ChartFormat::Markdown => ui::out(&markdown::reports(&reports, dir)),
        ChartFormat::Sarif => ui::json(&check::sarif(&reports, dir)),
    })?;
    let is_known = options.write_baseline;
    Ok(
        match is_known || reports.iter().all(|report| report.passed) {
            true => Exit::Ok,
            false => Exit::Found,
        },
    )
}

/// The project; none if there is no devk.yaml and folders of charts are named.
fn project(context: &Context, charts: &[String]) -> Result<Option<Project>, Errors> {
    match charts {
        [] => context.project().map(Some),
        _ => optional_project(context),
    }
}

/// The project; none if there is no devk.yaml.
fn optional_project(context: &Context) -> Result<Option<Project>, Errors> {
    let is_missing = |error: &Error| error.code == Code::ConfigMissing;
    match context.project() {
        Err(errors) if errors.0.iter().all(is_missing) => Ok(None),
        found => found.map(Some),
    }
}

/// devk's folders; what a command that only looks must not leave behind goes with the second part of the answer.
fn looking(context: &Context, project: Option<&Project>) -> Result<(Paths, Option<TempDir>)> {
    match project {
        Some(project) => context.paths.for_looking(&project.id),
        None => Ok((context.paths.clone(), None)),
    }
}

/// `check:` of devk.yaml over the team's file; of that alone, in this folder or above it, if there is no project.
fn constraints(context: &Context, project: Option<&Project>) -> Result<CheckConfig, Errors> {
    if let Some(project) = project {
        return config::project_constraints(project);
    }
    match config::constraints_above(&context.source.dir) {
        Some(root) => config::team_constraints(root),
        None => Ok(CheckConfig::default()),
    }
}

/// The charts that are named, or all of the project.
fn chosen<'a>(
    context: &Context,
    project: Option<&'a Project>,
    named: &[String],
) -> Result<Vec<CheckedChart<'a>>, Errors> {
    let Some(project) = project else {
        let folders = named.iter().map(|name| folder(context, name, &[]));
        return all(folders);
    };
    let releases = &project.releases;
    let of = |release| CheckedChart::Release(project, release);
    if named.is_empty() {
        return Ok(releases.iter().map(of).collect());
    }
    let names: Vec<_> = releases
        .iter()
        .map(|release| release.name.as_str())
        .collect();
    all(named.iter().map(|name| {
        let path = absolute(context, name);
        let by_name = releases.iter().find(|release| release.name == *name);
        let by_folder = || {
            let mut releases = releases.iter();
            let is_there = |chart: &Path| normalize(chart) == path;
            releases.find(|release| release.source.chart().is_some_and(is_there))
        };
        let found = by_name.or_else(by_folder);
        found.map_or_else(|| folder(context, name, &names), |release| Ok(of(release)))
    }))
}

fn all<'a>(
    charts: impl Iterator<Item = Result<CheckedChart<'a>>>,
) -> Result<Vec<CheckedChart<'a>>, Errors> {
    let (found, failed): (Vec<_>, Vec<_>) = charts.partition(Result::is_ok);
    let errors = failed.into_iter().filter_map(Result::err).collect();
    Errors::unless_empty(errors, found.into_iter().flatten().collect())
}

/// Writes files, and records which.
fn write_all(context: &Context, changes: &[ChangedText]) -> Result<()> {
    check::write_all(changes)?;
    changes
        .iter()
        .for_each(|change| context.changes.wrote(&change.file));
    Ok(())
}

/// The absolute path of a folder, without `.`, `..` and a slash at its end.
fn absolute(context: &Context, name: &str) -> PathBuf {
    normalize(&context.source.dir.join(name))
}

fn folder<'a>(context: &Context, name: &str, releases: &[&str]) -> Result<CheckedChart<'a>> {
    let path = absolute(context, name);
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.join("Chart.yaml").is_file() {
        return Ok(CheckedChart::Folder(path));
    }
    let message = match (path.is_dir(), releases) {
        (true, _) => format!("the folder `{name}` has no Chart.yaml"),
        (false, []) => format!("there is no folder `{name}`"),
        (false, _) => format!("there is neither a release nor a folder `{name}`"),
    };
    let hint = match releases {
        [] => "name the folder that holds Chart.yaml".to_owned(),
        _ => config::did_you_mean(name, releases.iter().copied(), "releases"),
    };
    Err(Error::new(Code::ChartMissing, message).hint(hint))
}

/// `chart/values.yaml:3: Deployment/api: no limit`, from the folder.
fn placed(origin: Option<&Origin>, object: Option<&str>, message: &str, dir: &Path) -> String {
    let place = origin.map(|origin| place(origin, dir) + ": ");
    let object = object.map(|object| format!("{object}: "));
    let (place, object) = (place.unwrap_or_default(), object.unwrap_or_default());
    format!("{}{object}{message}", style(place).dim())
}

/// `chart/values.yaml:3`, from the folder.
fn place(origin: &Origin, dir: &Path) -> String {
    let file = origin.file.strip_prefix(dir).unwrap_or(&origin.file);
    format!("{}:{}", file.display(), origin.line)
}
