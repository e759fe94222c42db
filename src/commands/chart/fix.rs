//! `devk chart check --fix`: what was remedied, as a diff, and what is left to people.

use std::path::Path;

use console::style;
use serde_json::{Value, json};

use super::{ChartFormat, FixOptions, history, placed};
use crate::check::{
    self, ChangedText, ChartFix, ChartFixer, ChartGatherer, CheckedChart, FixFigures, Judgement,
};
use crate::commands::Context;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit};
use crate::ui;

/// Remedies the charts one after the other, and writes all of their files at the end.
///
/// # Errors
/// [`Code::Usage`] for a format that there is not, [`Code::ChartUncommitted`] before anything is tried, and what keeps the
/// charts from being looked at or written.
pub(super) async fn run(
    context: &Context,
    charts: &[CheckedChart<'_>],
    gatherer: &ChartGatherer<'_>,
    judgement: Judgement<'_>,
    options: FixOptions,
    format: ChartFormat,
) -> Result<Exit, Errors> {
    if matches!(format, ChartFormat::Markdown | ChartFormat::Sarif) {
        let error = Error::new(Code::Usage, "`--fix` prints a table or JSON only");
        return Err(error.hint("--format table, or --format json").into());
    }
    if !options.dry_run && !options.allow_dirty {
        all_committed(charts).await?;
    }
    let figures = FixFigures::default();
    let mut fixes = vec![];
    for chart in charts {
        let fixer = ChartFixer {
            gatherer,
            chart,
            judgement,
            figures: &figures,
            only: None,
        };
        fixes.push(fixer.run().await?);
    }
    let files = files_of(charts, &fixes)?;
    if !options.dry_run {
        check::write_all(&files)?;
        for (chart, fix) in charts.iter().zip(&fixes) {
            remember(context, chart, fix);
        }
    }
    let dir = &context.source.dir;
    ui::even_unread(match format {
        ChartFormat::Json => ui::json(&document(&fixes, dir, options)),
        _ => ui::out(&text(&fixes, dir, options)),
    })?;
    Ok(match fixes.iter().all(|fix| fix.after.passed) {
        true => Exit::Ok,
        false => Exit::Found,
    })
}

/// Refuses folders whose files nobody could get back.
pub(super) async fn all_committed(charts: &[CheckedChart<'_>]) -> Result<(), Errors> {
    let environment = Environment::of_process();
    let mut errors = vec![];
    for chart in charts {
        if let Some(folder) = chart.folder()
            && let Err(error) = check::is_committed(folder, &environment).await
        {
            errors.push(error);
        }
    }
    Errors::unless_empty(errors, ())
}

/// The files of all charts; where two releases have the same chart, the changes of both have to be the same.
fn files_of(charts: &[CheckedChart<'_>], fixes: &[ChartFix]) -> Result<Vec<ChangedText>, Errors> {
    let mut of_folders: Vec<(&Path, &[ChangedText])> = vec![];
    for (chart, fix) in charts.iter().zip(fixes) {
        let Some(folder) = chart.folder() else {
            continue;
        };
        match of_folders.iter().find(|(known, _)| *known == folder) {
            None => of_folders.push((folder, &fix.files)),
            Some((_, files)) if *files == fix.files => {}
            Some(_) => {
                let message = "two releases have this chart, and need different changes of it";
                let error = Error::new(Code::Usage, message).at(folder, None);
                return Err(error
                    .hint("name one of the releases: devk chart check --fix RELEASE")
                    .into());
            }
        }
    }
    let files = of_folders.into_iter().flat_map(|(_, files)| files);
    Ok(files.cloned().collect())
}

/// A home that cannot be written is told, and undoes no change.
fn remember(context: &Context, chart: &CheckedChart<'_>, fix: &ChartFix) {
    let now = jiff::Timestamp::now();
    let mut history = history::of(context, chart);
    for report in [&fix.before, &fix.after] {
        if let Err(error) = history.add(report, now) {
            ui::err(&ui::plain::error(&error));
        }
    }
}

fn name(file: &Path, dir: &Path) -> String {
    file.strip_prefix(dir).unwrap_or(file).display().to_string()
}

/// The diff of one file, named from the folder in which devk was started.
pub(super) fn one_diff(change: &ChangedText, dir: &Path) -> String {
    change.diff(&name(&change.file, dir))
}

fn diff(fix: &ChartFix, dir: &Path) -> String {
    let files = fix.files.iter();
    files.map(|change| one_diff(change, dir)).collect()
}

fn document(fixes: &[ChartFix], dir: &Path, options: FixOptions) -> Value {
    let chart = |fix: &ChartFix| {
        let fixed = fix
            .kept
            .iter()
            .map(|kept| json!({"rules": kept.rules, "object": kept.object, "file": kept.file}));
        let left = fix.by_hand.iter().map(|left| {
            let place = left.place.as_ref().map(|place| json!({"file": place.file, "line": place.line}));
            json!({
                "rule": left.rule, "object": left.object, "message": left.message, "place": place, "why": left.why,
            })
        });
        json!({
            "chart": fix.after.chart,
            "release": fix.after.release,
            "before": fix.before.score,
            "after": fix.after.score,
            "passed": fix.after.passed,
            "fixed": fixed.collect::<Vec<_>>(),
            "by_hand": left.collect::<Vec<_>>(),
            "files": fix.files.iter().map(|change| &change.file).collect::<Vec<_>>(),
            "diff": diff(fix, dir),
        })
    };
    let charts: Vec<_> = fixes.iter().map(chart).collect();
    json!({"version": 1, "written": !options.dry_run, "charts": charts})
}

fn text(fixes: &[ChartFix], dir: &Path, options: FixOptions) -> String {
    let one = |fix: &ChartFix| {
        let mut text = colored(&diff(fix, dir));
        let (before, after) = (fix.before.score, fix.after.score);
        let score = format!("{before} → {after} of 100");
        let said = match (fix.kept.is_empty(), options.dry_run) {
            (true, _) if fix.by_hand.is_empty() => "there is nothing to remedy",
            (true, _) => "nothing can be remedied without you",
            (false, true) => "would be written",
            (false, false) => "written",
        };
        text += &format!("{}: {score}, {said}\n", style(&fix.after.chart).bold());
        for kept in &fix.kept {
            let (rules, file) = (kept.rules.join(", "), kept.file.display());
            text += &format!(
                "{} {} in {file}: {rules}\n",
                style("✓").green(),
                kept.object
            );
        }
        if !fix.by_hand.is_empty() {
            text += "by hand:\n";
        }
        for left in &fix.by_hand {
            let place = match options.dry_run {
                true => &left.place_before,
                false => &left.place,
            };
            let object = left.object.as_deref();
            let what = placed(place.as_ref(), object, &left.message, dir);
            let (rule, why, arrow) = (left.rule, &left.why, style("→").cyan());
            text += &format!("  {rule:<28}{what}\n    {arrow} {why}\n");
        }
        text
    };
    let texts: Vec<_> = fixes.iter().map(one).collect();
    texts.join("\n")
}

pub(super) fn colored(diff: &str) -> String {
    let line = |line: &str| match line.chars().next() {
        Some('+') => format!("{}\n", style(line).green()),
        Some('-') => format!("{}\n", style(line).red()),
        _ => format!("{line}\n"),
    };
    diff.lines().map(line).collect()
}
