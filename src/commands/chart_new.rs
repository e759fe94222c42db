//! `devk chart new`: writes a chart.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, chart_report};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit};
use crate::init::{draft_chart, whole_of};
use crate::new_chart::{LOCAL_VALUES, NewChart, skeleton};
use crate::paths::write_atomic;
use crate::ui::{self, Format};

/// The options of `devk chart new`.
#[derive(Debug, Default)]
pub struct NewChartOptions {
    pub name: String,
    /// A Compose file, from the folder in which devk was started.
    pub from: Option<PathBuf>,
    pub stateful: bool,
    pub dry_run: bool,
}

/// Writes a chart to the folder of its name.
///
/// # Errors
/// [`Code::Usage`] for a name that no chart has, [`Code::ChartExists`] if there is something in its place, and what keeps
/// the Compose file from being read.
pub async fn run(context: &Context, options: &NewChartOptions) -> Result<Exit, Errors> {
    let bare = skeleton(&options.name, options.stateful)?;
    match &options.from {
        None => of_skeleton(context, options, &bare),
        Some(file) => of_compose(context, options, file.clone()).await,
    }
}

fn of_skeleton(
    context: &Context,
    options: &NewChartOptions,
    chart: &NewChart,
) -> Result<Exit, Errors> {
    let folder = context.source.dir.join(&options.name);
    if !options.dry_run {
        chart.write(&folder)?;
        context.changes.wrote(&folder);
    }
    let files: Vec<_> = chart
        .files
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    match context.format {
        Format::Json => ui::json(&json!({
            "version": 1,
            "result": if options.dry_run { "printed" } else { "written" },
            "chart": {"folder": folder, "files": files},
        }))?,
        Format::Table if options.dry_run => ui::out(&(files.join("\n") + "\n"))?,
        Format::Table => ui::out(&format!(
            "{}/ is written, {} files; values.yaml says which image it installs. Next: devk chart check {}\n",
            options.name,
            files.len(),
            options.name
        ))?,
    }
    Ok(Exit::Ok)
}

async fn of_compose(
    context: &Context,
    options: &NewChartOptions,
    from: PathBuf,
) -> Result<Exit, Errors> {
    let root = &context.source.dir;
    let file = root.join(from);
    let parent = file.parent().unwrap_or(root).to_owned();
    let environment = Environment::of_process();
    let Some(found) = whole_of(&parent, vec![file.clone()], &environment)? else {
        let message = format!("`{}` is no Compose file", file.display());
        return Err(Error::new(Code::ComposeMissing, message).into());
    };
    let draft = draft_chart(root, &options.name, &found, &environment).await;
    let folder = root.join(&options.name);
    if !options.dry_run {
        draft.chart.write(&folder)?;
        context.changes.wrote(&folder);
        if let Some(local) = &draft.local {
            write_atomic(&folder.join(LOCAL_VALUES), local.as_bytes(), 0o600)?;
        }
    }
    match context.format {
        Format::Json => ui::json(&json!({
            "version": 1,
            "result": if options.dry_run { "printed" } else { "written" },
            "chart": chart_report::document(&draft, &folder),
        }))?,
        Format::Table => ui::out(&chart_report::text(
            &draft,
            options.name.as_ref(),
            options.dry_run,
        ))?,
    }
    Ok(Exit::Ok)
}
