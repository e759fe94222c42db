//! `devk chart check --fix`: what was remedied, as a diff, and what is left to people.

use std::path::Path;

use console::style;
use serde_json::{Value, json};

use super::{ChartFormat, FixOptions, history, placed, write_all};
use crate::check::{
    self, ChangedText, ChartFix, ChartFixer, ChartGatherer, CheckedChart, FixFigures, FixedChart,
    FrozenFiles, Judgement,
};
use crate::commands::Context;
use crate::config::Project;
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
    project: Option<&Project>,
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
    let folders = by_folder(charts);
    if !options.dry_run && !options.allow_dirty {
        all_committed(folders.iter().map(|charts| &charts[0])).await?;
    }
    let figures = FixFigures::default();
    let mut fixes = vec![];
    for charts in folders {
        let others = others(project, &charts);
        let fixer = ChartFixer {
            gatherer,
            charts: &charts,
            others: &others,
            judgement,
            figures: &figures,
            only: None,
            frozen: &frozen(&charts, options.allow_dirty).await?,
        };
        let fix = fixer.run().await?;
        fixes.push((charts, fix));
    }
    if !options.dry_run {
        let files: Vec<_> = fixes
            .iter()
            .flat_map(|(_, fix)| fix.files.clone())
            .collect();
        write_all(context, &files)?;
        let fixed = fixes
            .iter()
            .flat_map(|(charts, fix)| charts.iter().zip(&fix.charts));
        fixed.for_each(|(chart, fixed)| remember(context, chart, fixed));
    }
    let dir = &context.source.dir;
    let fixes: Vec<_> = fixes.into_iter().map(|(_, fix)| fix).collect();
    ui::even_unread(match format {
        ChartFormat::Json => ui::json(&document(&fixes, dir, options)),
        _ => ui::out(&text(&fixes, dir, options)),
    })?;
    let mut fixed = fixes.iter().flat_map(|fix| &fix.charts);
    Ok(match fixed.all(|fixed| fixed.after.passed) {
        true => Exit::Ok,
        false => Exit::Found,
    })
}

/// The files of a chart that are left as they are; none if it is made of other files.
pub(super) async fn frozen(
    charts: &[CheckedChart<'_>],
    allow_dirty: bool,
) -> Result<FrozenFiles, Errors> {
    let folder = charts.first().and_then(CheckedChart::folder);
    let environment = Environment::of_process();
    Ok(match folder {
        Some(folder) => check::frozen_files(folder, !allow_dirty, &environment).await?,
        None => FrozenFiles::new(),
    })
}

/// Those with the same folder together.
fn by_folder<'a>(charts: &[CheckedChart<'a>]) -> Vec<Vec<CheckedChart<'a>>> {
    let mut found: Vec<Vec<CheckedChart<'a>>> = vec![];
    for chart in charts {
        let known = found.iter_mut().find(|known| shares(&known[0], chart));
        match known {
            Some(known) => known.push(chart.clone()),
            None => found.push(vec![chart.clone()]),
        }
    }
    found
}

fn shares(one: &CheckedChart<'_>, other: &CheckedChart<'_>) -> bool {
    let real = |chart: &CheckedChart<'_>| {
        let folder = chart.folder()?;
        Some(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
    };
    real(one).is_some_and(|folder| real(other) == Some(folder))
}

/// The other releases of the project with the same chart: a change of it is one for them, too.
pub(super) fn others<'a>(
    project: Option<&'a Project>,
    charts: &[CheckedChart<'a>],
) -> Vec<CheckedChart<'a>> {
    let (Some(project), Some(first)) = (project, charts.first()) else {
        return vec![];
    };
    let is_named = |name: &str| {
        charts
            .iter()
            .any(|chart| matches!(chart, CheckedChart::Release(_, release) if release.name == name))
    };
    let releases = project.releases.iter();
    let others = releases.filter(|release| !is_named(&release.name));
    others
        .map(|release| CheckedChart::Release(project, release))
        .filter(|other| shares(first, other))
        .collect()
}

/// Refuses folders whose files nobody could get back.
pub(super) async fn all_committed<'a, 'b: 'a>(
    charts: impl Iterator<Item = &'a CheckedChart<'b>>,
) -> Result<(), Errors> {
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

/// A home that cannot be written is told, and undoes no change.
fn remember(context: &Context, chart: &CheckedChart<'_>, fixed: &FixedChart) {
    let now = jiff::Timestamp::now();
    let mut history = history::of(context, chart);
    for report in [&fixed.before, &fixed.after] {
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
    let chart = |fix: &ChartFix, fixed: &FixedChart| {
        let kept = fix
            .kept
            .iter()
            .map(|kept| json!({"rules": kept.rules, "object": kept.object, "file": kept.file}));
        let left = fixed.by_hand.iter().map(|left| {
            let place = left.place.as_ref().map(|place| json!({"file": place.file, "line": place.line}));
            json!({
                "rule": left.rule, "object": left.object, "message": left.message, "place": place, "why": left.why,
            })
        });
        json!({
            "chart": fixed.after.chart,
            "release": fixed.after.release,
            "before": fixed.before.score,
            "after": fixed.after.score,
            "passed": fixed.after.passed,
            "fixed": kept.collect::<Vec<_>>(),
            "by_hand": left.collect::<Vec<_>>(),
            "files": fix.files.iter().map(|change| &change.file).collect::<Vec<_>>(),
            "diff": diff(fix, dir),
            "proven": releases(fix),
        })
    };
    let charts = fixes
        .iter()
        .flat_map(|fix| fix.charts.iter().map(move |fixed| chart(fix, fixed)));
    let charts: Vec<_> = charts.collect();
    json!({"version": 1, "written": !options.dry_run, "charts": charts})
}

/// The releases for which the changes of a chart are proven.
fn releases(fix: &ChartFix) -> Vec<&str> {
    let own = fix.charts.iter().map(|fixed| fixed.after.release.as_str());
    own.chain(fix.proven.iter().map(String::as_str)).collect()
}

fn text(fixes: &[ChartFix], dir: &Path, options: FixOptions) -> String {
    let one = |fix: &ChartFix| {
        let mut text = colored(&diff(fix, dir));
        for fixed in &fix.charts {
            text += &score(fix, fixed, options);
        }
        for kept in &fix.kept {
            let (rules, file) = (kept.rules.join(", "), kept.file.display());
            text += &format!(
                "{} {} in {file}: {rules}\n",
                style("✓").green(),
                kept.object
            );
        }
        let releases = releases(fix);
        if releases.len() > 1 && !fix.kept.is_empty() {
            let names = releases.join("`, `");
            text += &format!(
                "these releases have the chart, and each change is proven for all of them: `{names}`\n"
            );
        }
        let left = fix.charts.iter().filter(|fixed| !fixed.by_hand.is_empty());
        text + &left
            .map(|fixed| by_hand(fix, fixed, dir, options))
            .collect::<String>()
    };
    let texts: Vec<_> = fixes.iter().map(one).collect();
    texts.join("\n")
}

/// The line with what a chart was worth and is worth; with its release, if several have it.
fn score(fix: &ChartFix, fixed: &FixedChart, options: FixOptions) -> String {
    let (before, after) = (fixed.before.score, fixed.after.score);
    let said = match (fix.kept.is_empty(), options.dry_run) {
        (true, _) if fixed.by_hand.is_empty() => "there is nothing to remedy",
        (true, _) => "nothing can be remedied without you",
        (false, true) => "would be written",
        (false, false) => "written",
    };
    let chart = style(&fixed.after.chart).bold();
    let of = match fix.charts.len() {
        1 => String::new(),
        _ => format!(" of the release `{}`", fixed.after.release),
    };
    format!("{chart}{of}: {before} → {after} of 100, {said}\n")
}

/// What is left to people.
fn by_hand(fix: &ChartFix, fixed: &FixedChart, dir: &Path, options: FixOptions) -> String {
    let mut text = match fix.charts.len() {
        1 => "by hand:\n".to_owned(),
        _ => format!("by hand, for the release `{}`:\n", fixed.after.release),
    };
    for left in &fixed.by_hand {
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
}

pub(super) fn colored(diff: &str) -> String {
    let line = |line: &str| match line.chars().next() {
        Some('+') => format!("{}\n", style(line).green()),
        Some('-') => format!("{}\n", style(line).red()),
        _ => format!("{line}\n"),
    };
    diff.lines().map(line).collect()
}
