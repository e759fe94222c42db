//! `devk init`: writes devk.yaml from what the repository has.

mod agents;
mod questions;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, chart_report};
use crate::config::FILE;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::init::draft::Confidence;
use crate::init::{
    ChartCandidate, ChartDraft, ChosenDraft, Survey, has_charts, survey, survey_with_chart,
};
use crate::new_chart::LOCAL_VALUES;
use crate::paths::write_atomic;
use crate::ui::{self, Format};

/// Where a new chart is written.
const NEW_CHART: &str = "chart";

/// The options of `devk init`.
#[derive(Debug, Default)]
pub struct InitOptions {
    pub dry_run: bool,
    /// Folders of charts, from the project's folder.
    pub charts: Vec<PathBuf>,
    /// AGENTS.md, in place of devk.yaml.
    pub agents: bool,
    /// Ask nothing, on a terminal neither.
    pub yes: bool,
}

/// Writes devk.yaml, unless there is one.
///
/// # Errors
/// [`Code::InitAmbiguous`] and [`Code::InitNothing`] if there is nothing to write, and the error of the system if it
/// cannot be written. With `--format json` the first two are part of the document.
pub async fn run(context: &Context, options: &InitOptions) -> Result<Exit, Errors> {
    let root = &context.source.dir;
    if context.source.file.is_some() || context.source.profile.is_some() {
        let error = Error::new(
            Code::Usage,
            "`devk init` writes the devk.yaml or the AGENTS.md of a folder",
        );
        return Err(error.hint("devk init -C DIR").into());
    }
    if options.agents {
        return agents::run(context, options.dry_run);
    }
    let file = root.join(FILE);
    if file.exists() && !options.dry_run {
        if options.charts == [PathBuf::from(NEW_CHART)] && lacks_local_values(root, &file) {
            return local_values(context, root).await;
        }
        return unchanged(context, &file);
    }
    let (found, chart) = surveyed(context, &options.charts).await?;
    let asks = !options.yes && context.format == Format::Table && ui::can_ask();
    let (found, chart) = match asks.then(|| questions::asked(&found)).flatten() {
        Some(charts) => surveyed(context, &charts).await?,
        None => (found, chart),
    };
    chosen(context, options, found, chart.as_ref())
}

/// What the repository has, with the chart that is to be written for it.
async fn surveyed(
    context: &Context,
    named: &[PathBuf],
) -> Result<(Survey, Option<ChartDraft>), Errors> {
    let root = &context.source.dir;
    let environment = Environment::of_process();
    if wants_new_chart(root, named) {
        let folder = Path::new(NEW_CHART);
        let (survey, chart) = survey_with_chart(root, folder, &environment, &context.paths).await?;
        return Ok((survey, Some(chart)));
    }
    let charts = charts(root, named)?;
    let survey = survey(root, &charts, &environment, &context.paths).await?;
    Ok((survey, None))
}

/// Writes what was chosen, the chart before the file that names it.
fn chosen(
    context: &Context,
    options: &InitOptions,
    survey: Survey,
    chart: Option<&ChartDraft>,
) -> Result<Exit, Errors> {
    let root = &context.source.dir;
    let file = root.join(FILE);
    match (survey, context.format) {
        (Survey::Chosen(chosen), format) => {
            if !options.dry_run {
                chart.map_or(Ok(()), |chart| write_chart(context, root, chart))?;
                write_atomic(&file, chosen.text.as_bytes(), 0o644)?;
                context.changes.wrote(&file);
            }
            let folder = root.join(NEW_CHART);
            match format {
                Format::Json => {
                    let mut document = document(&chosen, &file, options.dry_run);
                    if let Some(chart) = chart {
                        document["chart"] = chart_report::document(chart, &folder);
                    }
                    ui::json(&document)?;
                }
                Format::Table => {
                    let of_chart = chart.map(|chart| {
                        chart_report::text(chart, Path::new(NEW_CHART), options.dry_run)
                    });
                    let of_chart = of_chart.unwrap_or_default();
                    if options.dry_run {
                        ui::out(&(of_chart + &chosen.text))?;
                        ui::err(&report(&chosen, "would be written"));
                    } else {
                        ui::out(&(of_chart + &report(&chosen, "is written")))?;
                    }
                }
            }
            Ok(Exit::Ok)
        }
        (survey, Format::Json) => {
            let mut document = serde_json::to_value(&survey).unwrap_or_default();
            document["version"] = json!(1);
            ui::json(&document)?;
            Ok(Exit::Usage)
        }
        (Survey::Candidates { why, charts }, Format::Table) => Err(ambiguous(&why, &charts).into()),
        (Survey::Nothing { found }, Format::Table) => Err(nothing(root, &found).into()),
    }
}

/// `--chart` alone: there is no chart, and one is wanted.
fn wants_new_chart(root: &Path, named: &[PathBuf]) -> bool {
    named == [PathBuf::from(NEW_CHART)]
        && !root.join(NEW_CHART).join("Chart.yaml").is_file()
        && !has_charts(root)
}

fn write_chart(context: &Context, root: &Path, draft: &ChartDraft) -> Result<(), Errors> {
    let folder = root.join(NEW_CHART);
    draft.chart.write(&folder)?;
    context.changes.wrote(&folder);
    if let Some(local) = &draft.local {
        write_atomic(&folder.join(LOCAL_VALUES), local.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// devk.yaml names the values of this machine, and this machine does not have them, as after `git clone`.
fn lacks_local_values(root: &Path, file: &Path) -> bool {
    let local = Path::new(NEW_CHART).join(LOCAL_VALUES);
    let named =
        std::fs::read_to_string(file).is_ok_and(|text| text.contains(&local.display().to_string()));
    named && root.join(NEW_CHART).is_dir() && !root.join(local).exists()
}

/// Writes the values of this machine anew, and nothing else.
async fn local_values(context: &Context, root: &Path) -> Result<Exit, Errors> {
    let environment = Environment::of_process();
    let folder = Path::new(NEW_CHART);
    let (_, chart) = survey_with_chart(root, folder, &environment, &context.paths).await?;
    let file = root.join(folder).join(LOCAL_VALUES);
    write_atomic(&file, chart.local.unwrap_or_default().as_bytes(), 0o600)?;
    context.changes.wrote(&file);
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "result": "local-values", "file": file}))?,
        Format::Table => ui::out(&format!(
            "{} is written, with the secrets of this machine; the rest stays as it is\n",
            file.display()
        ))?,
    }
    Ok(Exit::Ok)
}

fn unchanged(context: &Context, file: &Path) -> Result<Exit, Errors> {
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "result": "unchanged", "file": file}))?,
        Format::Table => ui::out(&format!(
            "{} is there, and stays as it is; `devk init --dry-run` prints what devk would write\n",
            file.display()
        ))?,
    }
    Ok(Exit::Ok)
}

/// The named folders, relative to the root; a Chart.yaml stands for its folder.
fn charts(root: &Path, named: &[PathBuf]) -> Result<Vec<PathBuf>, Errors> {
    let mut found = vec![];
    let mut problems = vec![];
    for path in named {
        let folder = root.join(path);
        let folder = match folder.ends_with("Chart.yaml") {
            true => folder.parent().map(Path::to_owned).unwrap_or_default(),
            false => folder,
        };
        let inside = folder
            .canonicalize()
            .ok()
            .filter(|folder| folder.join("Chart.yaml").is_file());
        let inside = inside.and_then(|folder| folder.strip_prefix(root).ok().map(Path::to_owned));
        match inside {
            Some(folder) => found.push(folder),
            None => problems.push(
                Error::new(
                    Code::ChartMissing,
                    format!("`{}` is no chart of this repository", path.display()),
                )
                .hint("name a folder with a Chart.yaml below the folder where devk.yaml will be"),
            ),
        }
    }
    Errors::unless_empty(problems, found)
}

fn document(chosen: &ChosenDraft, file: &Path, dry_run: bool) -> serde_json::Value {
    json!({
        "version": 1,
        "result": if dry_run { "printed" } else { "written" },
        "file": file,
        "text": chosen.text,
        "choices": chosen.draft,
        "pulled": chosen.pulled,
        "open": chosen.open,
        "next": "devk up",
    })
}

/// What was chosen and what was not. `done` says what becomes of the file.
fn report(chosen: &ChosenDraft, done: &str) -> String {
    let draft = &chosen.draft;
    let sure = |confidence: Confidence| match confidence {
        Confidence::Certain => "",
        Confidence::Likely => "likely",
        Confidence::Guess => "a guess",
    };
    let row = |what: &str, name: &str, how: String, confidence| {
        vec![
            format!("  {what}"),
            name.to_owned(),
            how,
            sure(confidence).to_owned(),
        ]
    };
    let mut rows = vec![];
    for image in draft.images.iter().filter(|image| image.off.is_none()) {
        let what = match image.references.is_empty() {
            true => "others begin with it".to_owned(),
            false => format!("for {}", image.references.join(", ")),
        };
        let how = format!("{}, {what}", image.dockerfile.display());
        rows.push(row("image", &image.name, how, image.confidence));
    }
    for release in &draft.releases {
        let how = release.evidence.first().cloned().unwrap_or_default();
        rows.push(row("release", &release.name, how, release.confidence));
    }
    let names: Vec<_> = draft
        .forwards
        .iter()
        .map(|forward| forward.name.as_str())
        .collect();
    if !names.is_empty() {
        rows.push(row(
            "forwards",
            &names.len().to_string(),
            names.join(", "),
            Confidence::Certain,
        ));
    }
    let mut text = format!(
        "{FILE} {done}, from {} files\n{}",
        chosen.files,
        ui::table(&rows)
    );
    if !chosen.pulled.is_empty() {
        text += &format!(
            "\npulled, since nothing here builds them: {}\n",
            chosen.pulled.join(", ")
        );
    }
    if !chosen.open.is_empty() {
        text += "\nnot found, or not decided:\n";
        text.extend(
            chosen
                .open
                .iter()
                .map(|open| format!("  {}\n", ui::plain::escape_controls(open))),
        );
    }
    text + "\n`devk doctor` says what this machine lacks for it. Next: devk up\n"
}

fn ambiguous(why: &str, charts: &[ChartCandidate]) -> Error {
    let message = format!("{why}, and nothing says which of them make up the stack");
    let error = charts
        .iter()
        .fold(Error::new(Code::InitAmbiguous, message), |error, chart| {
            error.evidence(format!("{} ({})", chart.chart, chart.at))
        });
    let first = charts
        .first()
        .map(|chart| chart.chart.as_str())
        .unwrap_or_default();
    error.hint(format!(
        "devk init --chart {}",
        crate::shell::quote(Path::new(first))
    ))
}

/// What [`Survey::Nothing`] says of services that a chart can be written of.
fn compose_services(found: &[String]) -> Option<&str> {
    let mut found = found.iter().map(String::as_str);
    found.find(|found| found.starts_with("Compose services"))
}

fn nothing(root: &Path, found: &[String]) -> Error {
    let message = format!(
        "there is no chart and no Kubernetes manifest in `{}`",
        root.display()
    );
    let error = found
        .iter()
        .fold(Error::new(Code::InitNothing, message), |error, found| {
            error.evidence(found)
        });
    match compose_services(found) {
        Some(_) => error.hint("devk init --chart --yes && devk up"),
        None => error.hint("add a chart (devk chart new chart), or run devk init where one is; devk installs charts, manifests and overlays of kustomize"),
    }
}
