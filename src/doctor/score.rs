//! The scores of the charts, as the history of `devk chart check` has them: nothing is rendered for it.

use super::missing::of_project;
use super::{Check, Id, Looked, Missing, findings, skipped};
use crate::check::ChartHistory;
use crate::config::Project;
use crate::paths::Paths;

/// A release with the checks of its chart.
#[derive(Debug)]
pub struct ScoredChart {
    pub release: String,
    pub history: ChartHistory,
    /// What `devk up` has installed of it.
    pub installed: ChartHistory,
}

pub(super) fn inspect(
    project: Result<&Project, &Missing>,
    paths: &Paths,
) -> Looked<Vec<ScoredChart>> {
    let project = of_project(project)?;
    let releases = project.releases.iter();
    let scored = releases.map(|release| ScoredChart {
        release: release.name.clone(),
        history: ChartHistory::of_release(paths, project, release),
        installed: ChartHistory::of_installed(paths, project, release),
    });
    Ok(scored.collect())
}

pub(super) fn checks(charts: &Looked<Vec<ScoredChart>>) -> Vec<Check> {
    let id = Id::ChartsScore;
    match charts {
        Ok(charts) => {
            let fallen = charts.iter().flat_map(|chart| {
                let checked = fallen(chart, &chart.history, "its last check");
                checked.or_else(|| {
                    fallen(
                        chart,
                        &chart.installed,
                        "the last change that was installed",
                    )
                })
            });
            findings(
                id,
                fallen.collect(),
                "no score has fallen with the last check of its chart, or the last change of it that was installed",
            )
        }
        Err(missing) => skipped(&[id], missing),
    }
}

fn fallen(chart: &ScoredChart, history: &ChartHistory, with: &str) -> Option<Check> {
    let fall = history.fall()?;
    let (last, change) = history.changes().pop()?;
    let release = &chart.release;
    let summary = format!(
        "the score of the chart of `{release}` fell from {} to {} with {with}",
        last.score + fall,
        last.score
    );
    let check = Check::warning(Id::ChartsScore, summary);
    let check = check.hint(format!("devk chart check {release}"));
    let new = change.new.iter().map(|rule| format!("new: {rule}"));
    Some(new.fold(check, Check::evidence))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::HistoryEntry;
    use crate::doctor::CheckStatus;

    fn chart(scores: &[u8]) -> ScoredChart {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::all_at(dir.path());
        let mut history = ChartHistory::open(&paths, dir.path(), "shop");
        history.entries = scores
            .iter()
            .map(|score| HistoryEntry {
                time: jiff::Timestamp::UNIX_EPOCH,
                score: *score,
                passed: true,
                counts: [0; 4],
                findings: BTreeMap::from([(score.to_string(), "probes.port".to_owned())]),
                ignored: BTreeMap::new(),
                chart: "shop".to_owned(),
                traits: BTreeMap::new(),
            })
            .collect();
        ScoredChart {
            release: "shop".to_owned(),
            history,
            installed: ChartHistory::open(&paths, dir.path(), "none"),
        }
    }

    #[test]
    fn a_fallen_score_is_a_warning_with_what_is_new() {
        let found = checks(&Ok(vec![chart(&[95, 90])]));
        assert_eq!(found[0].status, CheckStatus::Warning);
        assert!(
            found[0]
                .summary
                .ends_with("fell from 95 to 90 with its last check")
        );
        assert_eq!(found[0].evidence[0].text, "new: probes.port");
        assert_eq!(found[0].hint.as_deref(), Some("devk chart check shop"));
    }

    #[test]
    fn a_score_that_fell_with_what_was_installed_is_a_warning_too() {
        let mut fallen = chart(&[90, 95]);
        fallen.installed = chart(&[95, 80]).history;
        let found = checks(&Ok(vec![fallen]));
        assert!(
            found[0]
                .summary
                .ends_with("fell from 95 to 80 with the last change that was installed")
        );
    }

    #[test]
    fn a_risen_score_and_a_chart_that_was_never_checked_are_fine() {
        let found = checks(&Ok(vec![chart(&[90, 95]), chart(&[])]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].status, CheckStatus::Ok);
    }
}
