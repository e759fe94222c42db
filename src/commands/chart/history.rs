//! `devk chart history`: the scores of a chart over time.

use console::style;
use serde_json::json;

use super::{ChartFormat, chosen, project};
use crate::check::{ChartHistory, CheckedChart, HistoryChange, HistoryEntry};
use crate::commands::Context;
use crate::error::{Code, Error, Errors, Exit};
use crate::ui;

/// The heights of a plot's columns.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// So many of the last checks are plotted.
const MOST_COLUMNS: usize = 60;

/// Prints what earlier checks found.
///
/// # Errors
/// Charts that there are not; [`Code::Usage`] for a format that there is not.
pub async fn history(
    context: &Context,
    charts: &[String],
    format: ChartFormat,
) -> Result<Exit, Errors> {
    let project = project(context, charts)?;
    let charts = chosen(context, project.as_ref(), charts)?;
    let histories: Vec<_> = charts
        .iter()
        .map(|chart| (name(chart), of(context, chart)))
        .collect();
    match format {
        ChartFormat::Json => {
            let charts: Vec<_> = histories
                .iter()
                .map(|(chart, history)| json!({"chart": chart, "checks": history.entries}))
                .collect();
            ui::json(&json!({"version": 1, "charts": charts}))?;
        }
        ChartFormat::Text => ui::out(&text(&histories, ui::table))?,
        ChartFormat::Markdown => ui::out(&text(&histories, ui::markdown))?,
        ChartFormat::Sarif => {
            let error = Error::new(Code::Usage, "a history has no `--format sarif`");
            return Err(error.hint("--format table, json or markdown").into());
        }
    }
    Ok(Exit::Ok)
}

/// What the history of a chart is kept by.
pub(super) fn of(context: &Context, chart: &CheckedChart<'_>) -> ChartHistory {
    let paths = &context.paths;
    match chart {
        CheckedChart::Release(project, release) => {
            ChartHistory::of_release(paths, project, release)
        }
        CheckedChart::Folder(folder) => ChartHistory::open(paths, folder, ""),
    }
}

pub(super) fn name(chart: &CheckedChart<'_>) -> String {
    match chart {
        CheckedChart::Release(_, release) => release.name.clone(),
        CheckedChart::Folder(folder) => {
            let name = folder.file_name().unwrap_or(folder.as_os_str());
            name.to_string_lossy().into_owned()
        }
    }
}

fn text(histories: &[(String, ChartHistory)], layout: fn(&[Vec<String>]) -> String) -> String {
    let one = |(chart, history): &(String, ChartHistory)| {
        if history.entries.is_empty() {
            return format!("{chart}: no check yet; `devk chart check` makes the first\n");
        }
        let scores: Vec<_> = history.entries.iter().map(|entry| entry.score).collect();
        let head = format!("{}  {}\n\n", style(chart).bold(), plot(&scores));
        let titles = [
            "Time", "Score", "Critical", "High", "Medium", "Low", "Change",
        ];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(
            history
                .changes()
                .into_iter()
                .map(|(entry, change)| row(entry, &change)),
        );
        head + &layout(&rows)
    };
    let texts: Vec<_> = histories.iter().map(one).collect();
    texts.join("\n")
}

/// Scores as columns, with the first and the last as numbers.
fn plot(scores: &[u8]) -> String {
    let shown = &scores[scores.len().saturating_sub(MOST_COLUMNS)..];
    let bar = |score: &u8| BARS[usize::from(*score).min(100) * (BARS.len() - 1) / 100];
    let bars: String = shown.iter().map(bar).collect();
    match (shown.first(), shown.last()) {
        (Some(first), Some(last)) => format!("{first} {bars} {last}"),
        _ => bars,
    }
}

fn row(entry: &HistoryEntry, change: &HistoryChange) -> Vec<String> {
    let time = entry.time.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let counts = entry.counts.map(|count| count.to_string());
    let mut cells = vec![time, entry.score.to_string()];
    cells.extend(counts);
    cells.push(words(change));
    cells
}

/// `gone: image.latest, probes.port (2); new: docs.readme`.
fn words(change: &HistoryChange) -> String {
    let list = |rules: &[String]| {
        let mut counted: Vec<(&str, usize)> = vec![];
        for rule in rules {
            match counted.iter_mut().find(|(known, _)| known == rule) {
                Some((_, count)) => *count += 1,
                None => counted.push((rule, 1)),
            }
        }
        let words = counted.iter().map(|(rule, count)| match count {
            1 => (*rule).to_owned(),
            count => format!("{rule} ({count})"),
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let parts = [("gone", &change.gone), ("new", &change.new)];
    let parts = parts.iter().filter(|(_, rules)| !rules.is_empty());
    let parts: Vec<_> = parts
        .map(|(what, rules)| format!("{what}: {}", list(rules)))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_columns_and_changes_are_words() {
        assert_eq!(plot(&[0, 50, 100]), "0 ▁▄█ 100");
        assert_eq!(plot(&[]), "");
        let rules = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let change = HistoryChange {
            gone: rules(&["a.b", "a.b", "c.d"]),
            new: rules(&["e.f"]),
        };
        assert_eq!(words(&change), "gone: a.b (2), c.d; new: e.f");
    }
}
