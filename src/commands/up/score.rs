//! Whether the score of a chart fell with what `up` has just installed: one line, after the session has done its work.
//!
//! Only a release that was installed, upgraded or edited since it was judged is judged, by a rendering that the plan of `up` has
//! made, too, so that most often it comes from the cache. An `up` with nothing to do judges nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::check::{self, ChartGatherer, ChartHistory, ChartReport, Judgement};
use crate::commands::Context;
use crate::config::{self, Project, ReleaseConfig};
use crate::environment::Environment;
use crate::error::Result;
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
        self.0.extend(installed(event).map(str::to_owned));
    }

    /// Also those whose files were edited since they were judged: the session brings what is saved live by itself, with no
    /// client that sees it.
    pub(super) fn see_edits(&mut self, context: &Context, project: &Project) {
        for release in &project.releases {
            if let Some(judged) = ChartHistory::installed_at(&context.paths, project, release)
                && edited(project, release).is_some_and(|edited| edited > judged)
            {
                self.0.insert(release.name.clone());
            }
        }
    }

    /// Judges what is installed from now on, by the names of the releases, as long as they may come.
    pub(super) async fn follow(
        mut self,
        mut names: UnboundedReceiver<String>,
        context: &Context,
        project: &Project,
    ) {
        while let Some(name) = names.recv().await {
            self.0.insert(name);
            self.judge(context, project).await;
        }
    }

    /// Judges them, and tells people of each whose score fell; programs ask `devk doctor`. What keeps a chart from being judged is told by
    /// `devk chart check`, and changes nothing for an `up`.
    pub(super) async fn judge(&mut self, context: &Context, project: &Project) {
        let names = std::mem::take(&mut self.0);
        if names.is_empty() {
            return;
        }
        let environment = Environment::of_process();
        let Ok(config) = config::project_constraints(project) else {
            return;
        };
        let Ok(gatherer) = ChartGatherer::new(None, &context.paths, &environment).await else {
            return;
        };
        let judgement = Judgement::new(&config, jiff::Zoned::now().date());
        for name in names {
            let mut releases = project.releases.iter();
            if let Some(release) = releases.find(|release| release.name == name)
                && let Ok(facts) = gatherer.as_installed(project, release).await
            {
                let report = check::judge(&facts, judgement);
                let history = ChartHistory::of_installed(&context.paths, project, release);
                if let Ok(Some(line)) = added(&name, &report, history)
                    && context.format == Format::Table
                {
                    ui::err(&line);
                }
            }
        }
    }
}

/// The name of the release that an event says was installed.
pub(super) fn installed(event: &Event) -> Option<&str> {
    let name = event.step.strip_prefix(APPLY);
    name.filter(|_| event.status == Status::Done)
}

/// When the chart, its values or devk.yaml were edited last.
fn edited(project: &Project, release: &ReleaseConfig) -> Option<Timestamp> {
    let chart = release.source.chart();
    let chart = chart.and_then(|folder| last_edit(folder, Instant::now() + PATIENCE));
    let files = release.values.iter().chain([&project.file]);
    let modified = |file: &PathBuf| std::fs::metadata(file).ok()?.modified().ok();
    let files = files.filter_map(|file| Timestamp::try_from(modified(file)?).ok());
    chart.into_iter().chain(files).max()
}

/// Adds a check to the history of what `up` has installed. The line, if it is a new one and the score fell with it.
fn added(release: &str, report: &ChartReport, mut history: ChartHistory) -> Result<Option<String>> {
    let is_new = history.add(report, Timestamp::now())?;
    Ok(told(release, &history).filter(|_| is_new))
}

fn told(release: &str, history: &ChartHistory) -> Option<String> {
    let fall = history.fall()?;
    let (last, change) = history.changes().pop()?;
    let new: BTreeSet<_> = change.new.iter().map(String::as_str).collect();
    let new: Vec<_> = new.into_iter().collect();
    Some(format!(
        "the score of the chart of `{release}` fell from {} to {} with this change ({}): devk chart check {release}\n",
        last.score + fall,
        last.score,
        new.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::HistoryEntry;
    use crate::paths::Paths;
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

    fn line(entries: &[HistoryEntry]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut history = ChartHistory::open(&Paths::all_at(dir.path()), dir.path(), "shop");
        history.entries = entries.to_vec();
        told("shop", &history)
    }

    #[test]
    fn a_fall_is_one_line_with_the_rules_that_are_new() {
        let fallen = line(&[
            entry(95, &["docs.notes"]),
            entry(88, &["docs.notes", "resources.memory-limit"]),
        ]);
        assert_eq!(
            fallen.unwrap(),
            "the score of the chart of `shop` fell from 95 to 88 with this change (resources.memory-limit): devk chart check shop\n"
        );
        assert_eq!(line(&[entry(88, &[]), entry(95, &[])]), None);
        assert_eq!(line(&[entry(88, &[])]), None);
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
