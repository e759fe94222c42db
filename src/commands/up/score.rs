//! Whether the score of a chart fell with what `up` has just installed: one line, after the session has done its work.
//!
//! Only a release that was installed, upgraded or edited since it was judged is judged, by the rendering that `up` made, which
//! comes from the cache. An `up` with nothing to do judges nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::check::{self, ChartGatherer, ChartHistory, HistoryEntry, Judgement};
use crate::commands::Context;
use crate::config::{self, Project, ReleaseConfig, ReleaseSource};
use crate::environment::Environment;
use crate::error::Errors;
use crate::inventory::last_edit;
use crate::ui::event::{Event, Status};
use crate::ui::{self, Format};

/// How the ids of steps begin that install a release.
const APPLY: &str = "release.apply/";

/// So long a chart's folder is looked through for edits.
const PATIENCE: Duration = Duration::from_millis(50);

/// The releases that were installed since they were last judged.
#[derive(Debug, Default)]
pub(super) struct InstalledReleases(BTreeSet<String>);

impl InstalledReleases {
    pub(super) fn see(&mut self, event: &Event) {
        let name = event.step.strip_prefix(APPLY);
        if let Some(name) = name.filter(|_| event.status == Status::Done) {
            self.0.insert(name.to_owned());
        }
    }

    /// Also those whose files were edited since they were judged: the session brings what is saved live by itself, with no
    /// client that sees it.
    pub(super) fn see_edits(&mut self, context: &Context, project: &Project) {
        for release in &project.releases {
            let history = ChartHistory::of_installed(&context.paths, project, release);
            if let Some(judged) = history.checked_at()
                && edited(project, release).is_some_and(|edited| edited > judged)
            {
                self.0.insert(release.name.clone());
            }
        }
    }

    /// Judges what is installed from now on, as long as there are events.
    pub(super) async fn follow(
        mut self,
        mut events: UnboundedReceiver<Event>,
        context: &Context,
        project: &Project,
    ) {
        while let Some(event) = events.recv().await {
            self.see(&event);
            self.judge(context, project).await;
        }
    }

    /// Judges them, and tells people of each whose score fell; programs ask `devk doctor`. What keeps a chart from being judged is told by
    /// `devk chart check`, and changes nothing for an `up`.
    pub(super) async fn judge(&mut self, context: &Context, project: &Project) {
        for name in std::mem::take(&mut self.0) {
            let mut releases = project.releases.iter();
            if let Some(release) = releases.find(|release| release.name == name)
                && let Ok(Some(line)) = judged(context, project, release).await
                && context.format == Format::Table
            {
                ui::err(&line);
            }
        }
    }
}

/// When the chart, its values or devk.yaml were edited last.
fn edited(project: &Project, release: &ReleaseConfig) -> Option<Timestamp> {
    let chart = match &release.source {
        ReleaseSource::Chart(folder) => last_edit(folder, Instant::now() + PATIENCE),
        ReleaseSource::Manifests(_) | ReleaseSource::Kustomize(_) => None,
    };
    let files = release.values.iter().chain([&project.file]);
    let modified = |file: &PathBuf| std::fs::metadata(file).ok()?.modified().ok();
    let files = files.filter_map(|file| Timestamp::try_from(modified(file)?).ok());
    chart.into_iter().chain(files).max()
}

/// The line, if the score fell since `up` installed the release before.
async fn judged(
    context: &Context,
    project: &Project,
    release: &ReleaseConfig,
) -> Result<Option<String>, Errors> {
    let team = config::team_constraints(&project.root)?;
    let config = project.check.clone().over(team);
    let environment = Environment::of_process();
    let gatherer = ChartGatherer::new(None, &context.paths, &environment).await?;
    let facts = gatherer.as_installed(project, release).await?;
    let judgement = Judgement {
        config: &config,
        today: jiff::Zoned::now().date(),
        baseline: None,
    };
    let report = check::judge(&facts, judgement);
    let mut history = ChartHistory::of_installed(&context.paths, project, release);
    let is_new = history.add(&report, jiff::Timestamp::now())?;
    Ok(told(&release.name, &history.entries).filter(|_| is_new))
}

fn told(release: &str, entries: &[HistoryEntry]) -> Option<String> {
    let [.., before, last] = entries else {
        return None;
    };
    let new: BTreeSet<_> = last
        .findings
        .iter()
        .filter(|(found, _)| !before.findings.contains_key(*found))
        .map(|(_, rule)| rule.as_str())
        .collect();
    let new: Vec<_> = new.into_iter().collect();
    (last.score < before.score).then(|| {
        format!(
            "the score of the chart of `{release}` fell from {} to {} with this change ({}): devk chart check {release}\n",
            before.score,
            last.score,
            new.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ui::event::Reporter;

    fn entry(score: u8, rules: &[&str]) -> HistoryEntry {
        HistoryEntry {
            time: jiff::Timestamp::UNIX_EPOCH,
            score,
            passed: true,
            counts: [0; 4],
            findings: rules
                .iter()
                .map(|rule| ((*rule).to_owned(), (*rule).to_owned()))
                .collect(),
            ignored: BTreeMap::new(),
            chart: "shop".to_owned(),
            traits: BTreeMap::new(),
        }
    }

    #[test]
    fn a_fall_is_one_line_with_the_rules_that_are_new() {
        let line = told(
            "shop",
            &[
                entry(95, &["docs.notes"]),
                entry(88, &["docs.notes", "resources.memory-limit"]),
            ],
        );
        assert_eq!(
            line.unwrap(),
            "the score of the chart of `shop` fell from 95 to 88 with this change (resources.memory-limit): devk chart check shop\n"
        );
        assert_eq!(told("shop", &[entry(88, &[]), entry(95, &[])]), None);
        assert_eq!(told("shop", &[entry(88, &[])]), None);
    }

    #[test]
    fn only_what_was_installed_is_judged() {
        let reporter = Reporter::default();
        let mut events = reporter.subscribe();
        reporter.skipped("release.apply/cache", "unchanged");
        reporter.start("release.apply/shop", "").done("revision 2");
        reporter.start("image.build/api", "").done("built");
        drop(reporter);
        let mut installed = InstalledReleases::default();
        while let Ok(event) = events.try_recv() {
            installed.see(&event);
        }
        assert_eq!(installed.0, BTreeSet::from(["shop".to_owned()]));
    }
}
