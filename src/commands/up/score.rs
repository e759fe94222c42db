//! Whether the score of a chart fell with what `up` has just installed: one line, after the session has done its work.
//!
//! Only a release that was installed, upgraded or edited since it was judged is judged, by a rendering that the plan of `up` has
//! made, too, so that most often it comes from the cache. An `up` with nothing to do judges nothing, and so does one whose
//! charts are other ones by now than those that it has opened: nothing is fetched for a judgement.
//!
//! Nobody waits for a judgement: an `up` that ends gives it [`DELAY`], Ctrl-C ends it at once, and beside the logs it has
//! [`LIMIT`]. It works in a task of its own, so that no large chart keeps the terminal from being heard.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::check::{self, ChartGatherer, ChartHistory, ChartReport, Judgement};
use crate::commands::Context;
use crate::config::{self, Project, ReleaseConfig};
use crate::environment::Environment;
use crate::error::Result;
use crate::inventory::last_edit;
use crate::paths::Paths;
use crate::plan::APPLY;
use crate::release::chart::Chart;
use crate::ui::event::{Event, Status};
use crate::ui::{self, Format};

/// So long the charts' folders are looked through for edits.
const PATIENCE: Duration = Duration::from_millis(50);

/// So long an `up` that has its answer waits for the judgement.
const DELAY: Duration = Duration::from_secs(2);

/// So long a judgement may take while logs follow.
const LIMIT: Duration = Duration::from_secs(30);

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
        let until = Instant::now() + PATIENCE;
        for release in &project.releases {
            if let Some(judged) = ChartHistory::installed_at(&context.paths, project, release)
                && edited(project, release, until).is_some_and(|edited| edited > judged)
            {
                self.0.insert(release.name.clone());
            }
        }
    }

    /// Judges what was installed, and what is installed from now on, by the names of the releases, as long as they may come.
    pub(super) async fn follow(
        mut self,
        mut names: UnboundedReceiver<String>,
        context: &Context,
        project: &Project,
    ) {
        let environment = Environment::of_process();
        loop {
            // What takes longer is judged with the next change, or by `devk chart check`.
            let _ = timeout(LIMIT, self.judge(context, project, &environment)).await;
            match names.recv().await {
                Some(name) => self.0.insert(name),
                None => return,
            };
        }
    }

    /// Judges them before an `up` ends, unless that takes too long or is stopped.
    pub(super) async fn judge_in_passing(
        &mut self,
        context: &Context,
        project: &Project,
        environment: &Environment,
        stopped: impl Future<Output = Option<()>>,
    ) {
        tokio::select! {
            biased;
            _ = stopped => {}
            _ = timeout(DELAY, self.judge(context, project, environment)) => {}
        }
    }

    /// Judges them, and tells people of each whose score fell; programs ask `devk doctor`. What keeps a chart from being judged is told by
    /// `devk chart check`, and changes nothing for an `up`.
    async fn judge(&mut self, context: &Context, project: &Project, environment: &Environment) {
        let names = std::mem::take(&mut self.0);
        if names.is_empty() {
            return;
        }
        // It goes with this future.
        let (paths, project) = (context.paths.clone(), project.clone());
        let environment = environment.clone();
        let work = async move { lines(&names, &project, &paths, &environment).await };
        let work = AbortOnDropHandle::new(tokio::spawn(work));
        if let Ok(lines) = work.await
            && context.format == Format::Table
        {
            lines.iter().for_each(|line| ui::err(line));
        }
    }
}

/// Judges releases by what `up` has rendered, and adds that to their histories. A line for each whose score fell.
async fn lines(
    names: &BTreeSet<String>,
    project: &Project,
    paths: &Paths,
    environment: &Environment,
) -> Vec<String> {
    let mut lines = vec![];
    let mut all = project.releases.iter();
    if !all.all(|release| Chart::is_copied(release, &paths.cache)) {
        return lines;
    }
    let Ok(config) = config::project_constraints(project) else {
        return lines;
    };
    let Ok(gatherer) = ChartGatherer::new(None, paths, environment).await else {
        return lines;
    };
    let judgement = Judgement::new(&config, jiff::Zoned::now().date());
    let releases = project.releases.iter();
    for release in releases.filter(|release| names.contains(&release.name)) {
        let Ok(facts) = gatherer.as_installed(project, release).await else {
            continue;
        };
        let report = check::judge(&facts, judgement);
        let history = ChartHistory::of_installed(paths, project, release);
        let line = added(&release.name, &report, history);
        lines.extend(line.ok().flatten());
    }
    lines
}

/// The name of the release that an event says was installed.
pub(super) fn installed(event: &Event) -> Option<&str> {
    let name = event.step.strip_prefix(APPLY);
    name.filter(|_| event.status == Status::Done)
}

/// When the chart, its values or devk.yaml were edited last.
fn edited(project: &Project, release: &ReleaseConfig, until: Instant) -> Option<Timestamp> {
    let chart = release.source.chart();
    let chart = chart.and_then(|folder| last_edit(folder, until));
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::check::HistoryEntry;
    use crate::commands::RecordedChanges;
    use crate::config::{ClusterConfig, Provider, Source};
    use crate::release::helm::Helm;
    use crate::release::variant::chart_release;
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

    /// A project whose helm never answers, and says in a file that it was asked.
    struct Hanging {
        dir: tempfile::TempDir,
        context: Context,
        project: Project,
        environment: Environment,
    }

    impl Hanging {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let chart = dir.path().join("shop");
            std::fs::create_dir_all(chart.join("templates")).unwrap();
            std::fs::write(chart.join("Chart.yaml"), "name: shop\nversion: 1.0.0\n").unwrap();
            let script = format!(
                "#!/bin/sh\necho \"$1\" >> {}\nexec sleep 600\n",
                dir.path().join("asked").display()
            );
            let helm = dir.path().join("helm");
            std::fs::write(&helm, script).unwrap();
            std::fs::set_permissions(&helm, PermissionsExt::from_mode(0o755)).unwrap();
            let search = format!("{}:/usr/bin:/bin", dir.path().display());
            let cluster = ClusterConfig::new(Provider::Kind, "devk");
            let mut project = Project::without_file("shop", dir.path(), cluster);
            project.releases.push(chart_release(&chart, "shop"));
            let source = Source {
                dir: dir.path().to_owned(),
                file: None,
                profile: None,
            };
            Self {
                context: Context {
                    source,
                    format: Format::Table,
                    paths: Paths::below(dir.path()),
                    changes: RecordedChanges::default(),
                },
                project,
                environment: Environment::from_iter([("PATH".to_owned(), search)]),
                dir,
            }
        }

        /// As the plan of `up` has done.
        async fn open_charts(&self) {
            let helm = Helm::find(&self.environment).unwrap();
            let cache = &self.context.paths.cache;
            let opened = Chart::open(&self.project.releases[0], &helm, cache);
            opened.await.unwrap();
        }

        /// How long an `up` waits.
        async fn wait(&self, stopped: impl Future<Output = Option<()>>) -> Duration {
            let mut installed = InstalledReleases(BTreeSet::from(["shop".to_owned()]));
            let since = Instant::now();
            installed
                .judge_in_passing(&self.context, &self.project, &self.environment, stopped)
                .await;
            since.elapsed()
        }

        fn asked(&self) -> String {
            std::fs::read_to_string(self.dir.path().join("asked")).unwrap_or_default()
        }
    }

    /// As a judgement is worth, not as long as helm takes.
    const SLACK: Duration = Duration::from_secs(1);

    #[tokio::test(flavor = "multi_thread")]
    async fn an_up_does_not_wait_for_a_judgement_that_hangs() {
        let up = Hanging::new();
        up.open_charts().await;
        let waited = up.wait(std::future::pending()).await;
        assert!(waited >= DELAY && waited < DELAY + SLACK, "{waited:?}");
        assert!(!up.asked().is_empty(), "helm was not asked");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ctrl_c_ends_a_judgement_at_once() {
        let up = Hanging::new();
        up.open_charts().await;
        let asked = async {
            while up.asked().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Some(())
        };
        let waited = up.wait(asked).await;
        assert!(waited < DELAY, "{waited:?}");
    }

    /// What the plan has not opened would have to be fetched.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_chart_that_up_has_not_opened_is_not_judged() {
        let up = Hanging::new();
        let waited = up.wait(std::future::pending()).await;
        assert!(waited < SLACK, "{waited:?}");
        assert_eq!(up.asked(), "");
    }
}
