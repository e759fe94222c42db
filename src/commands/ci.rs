//! `devk ci`: brings the stack up, runs the commands of `test:` against it, and leaves what shows why something failed.
//!
//! The session is this command's, as that of `devk up` in the foreground: it ends with the command, however that ends.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::up::{UpHeard, UpOptions, ask, leave, lost};
use super::{Context, down};
use crate::bridge::Switch;
use crate::ci::junit::JunitSource;
use crate::ci::{CiSetting, TestReport, TestStatus, annotations, ends, first_failure, run_test};
use crate::config::{Project, TestCommand, did_you_mean};
use crate::daemon::control::Lifetime;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::paths::write_atomic;
use crate::session::outcome::Outcome;
use crate::ui::event::{Event, Status};
use crate::ui::{self, Format, View};

mod evidence;
mod mask;

use evidence::CiEvidence;
use mask::CiMask;

/// The options of `devk ci`.
#[derive(Debug)]
pub struct CiOptions {
    /// The names of tests; none for all.
    pub tests: Vec<String>,
    pub fail_fast: bool,
    pub artifacts: Option<PathBuf>,
    pub junit: Option<PathBuf>,
    pub end: CiEnd,
}

/// What becomes of the stack at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CiEnd {
    /// The session ends; the stack stays as it is.
    Session,
    /// The session stays, too.
    Keep,
    /// Everything is removed.
    Delete,
}

/// What is known of a run, however far it got.
#[derive(Debug, Default)]
struct CiRun {
    events: Vec<Event>,
    outcome: Option<Outcome>,
    tests: Vec<TestReport>,
}

/// Brings the stack up and runs the tests.
///
/// # Errors
/// Every problem because of which `up` did not start, and of the reports; a test that fails is no error but its exit
/// code.
pub async fn run(context: &Context, options: &CiOptions) -> Result<Exit, Errors> {
    let project = context.project()?;
    let tests = chosen(&project, &options.tests)?;
    let environment = Environment::of_process();
    let mask = CiMask::of(context, &project, &environment);
    let artifacts = options.artifacts.as_ref();
    let artifacts = artifacts.map(|folder| context.source.dir.join(folder));
    let evidence = CiEvidence::begin(artifacts, &mask)?;
    let annotate = Annotator::of(&environment, context.format);
    let mut run = CiRun::default();
    let worked = {
        let work = work(
            context, &project, &tests, options, &evidence, &annotate, &mut run,
        );
        let mut terminated = stream(SignalKind::terminate())?;
        let mut interrupted = stream(SignalKind::interrupt())?;
        tokio::select! {
            worked = work => worked,
            _ = interrupted.recv() => Ok(Ended::Interrupted),
            _ = terminated.recv() => Ok(Ended::Interrupted),
        }
    };
    mask.renew();
    let refused = worked.as_ref().err();
    annotate.up(&run.events, refused, &mask);
    let report = JunitSource {
        project: &project.id,
        events: &run.events,
        refused,
        tests: &run.tests,
    };
    if let Some(file) = &options.junit {
        let text = report.text(|text| mask.text(text))?;
        // As all paths of the command line.
        let file = context.source.dir.join(file);
        write_atomic(&file, text.as_bytes(), 0o644)?;
    }
    let ended = worked?;
    print(context.format, &project, options, &run, ended)?;
    Ok(exit(ended, &run))
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Through,
    /// Ctrl-C, SIGTERM, or the session was ended by `devk down`.
    Interrupted,
}

fn exit(ended: Ended, run: &CiRun) -> Exit {
    let is_ready = run.outcome.as_ref().is_some_and(|outcome| outcome.ready);
    match (ended, first_failure(&run.tests)) {
        (Ended::Interrupted, _) => Exit::Interrupted,
        (_, Some(code)) => Exit::OfCommand(code),
        (_, None) if is_ready => Exit::Ok,
        _ => Exit::Failed,
    }
}

fn stream(kind: SignalKind) -> Result<Signal> {
    signal(kind)
        .map_err(|e| Error::new(Code::Internal, format!("signals cannot be waited for: {e}")))
}

/// The tests that are named, in the order of devk.yaml; without a name all.
fn chosen<'a>(project: &'a Project, names: &[String]) -> Result<Vec<&'a TestCommand>, Errors> {
    let known = || project.tests.iter().map(|test| test.name.as_str());
    if project.tests.is_empty() {
        let error = Error::new(
            Code::ConfigMissingKey,
            "there is no `test`, so nothing to run",
        );
        return Err(error
            .at(&project.file, None)
            .hint("add `test: [{name: e2e, run: [npm, test]}]`")
            .into());
    }
    let unknown = names
        .iter()
        .filter(|name| known().all(|test| test != *name));
    let problems = unknown.map(|name| {
        let message = format!("devk.yaml has no test `{name}`");
        Error::new(Code::Usage, message).hint(did_you_mean(name, known(), "tests"))
    });
    let is_chosen = |test: &&TestCommand| names.is_empty() || names.contains(&test.name);
    let chosen = project.tests.iter().filter(is_chosen).collect();
    Errors::unless_empty(problems.collect(), chosen)
}

async fn work(
    context: &Context,
    project: &Project,
    tests: &[&TestCommand],
    options: &CiOptions,
    evidence: &CiEvidence<'_>,
    annotate: &Annotator,
    run: &mut CiRun,
) -> Result<Ended, Errors> {
    let mut view = View::of(context.format);
    let mut ctrl_c = stream(SignalKind::interrupt())?;
    let up = UpOptions {
        lifetime: match options.end {
            CiEnd::Keep => Lifetime::Detached,
            CiEnd::Session | CiEnd::Delete => Lifetime::Attached,
        },
        bridge: Switch::Configured,
        restart: false,
        sleep_others: false,
    };
    let mut show = |event: &Event| {
        run.events.push(event.clone());
        view.event(event)
    };
    let asked = ask(context, &project.id, up, &mut show, &mut ctrl_c).await?;
    evidence.mask.renew();
    let Some((connection, heard)) = asked else {
        return Ok(Ended::Interrupted);
    };
    let outcome = match heard {
        UpHeard::Settled { outcome, .. } => run.outcome.insert(*outcome),
        UpHeard::Stopped { .. } => return Ok(Ended::Interrupted),
        UpHeard::Lost => return Err(lost(context, &project.id).into()),
    };
    let is_ready = outcome.ready;
    let setting = CiSetting {
        root: project.root.clone(),
        file: project.file.clone(),
        options: CiSetting::options_of(&context.source),
        variables: super::env::variables(context, project, &outcome.forwards),
    };
    let worked = tested(
        context,
        project,
        (tests, &setting, is_ready),
        options,
        evidence,
        annotate,
        run,
    )
    .await;
    if up.lifetime == Lifetime::Attached {
        leave(context, &project.id, connection, &mut view, &mut ctrl_c).await?;
    }
    if options.end == CiEnd::Delete {
        down::end(context, project, true, &mut view).await?;
    }
    worked?;
    Ok(Ended::Through)
}

/// Runs the tests, and collects what shows why one failed.
async fn tested(
    context: &Context,
    project: &Project,
    (tests, setting, is_ready): (&[&TestCommand], &CiSetting, bool),
    options: &CiOptions,
    evidence: &CiEvidence<'_>,
    annotate: &Annotator,
    run: &mut CiRun,
) -> Result<()> {
    for test in tests {
        let is_over = options.fail_fast && run.tests.iter().any(TestReport::is_failure);
        let report = match (is_ready, is_over) {
            (false, _) => skipped(test, setting, "the stack is not ready"),
            (_, true) => skipped(test, setting, "a test before it failed (--fail-fast)"),
            (true, false) => one(context.format, test, setting, evidence, annotate).await?,
        };
        run.tests.push(report);
    }
    if !is_ready || run.tests.iter().any(TestReport::is_failure) {
        evidence.collect(context, project, &run.events).await?;
    }
    Ok(())
}

fn skipped(test: &TestCommand, setting: &CiSetting, why: &str) -> TestReport {
    TestReport {
        name: test.name.clone(),
        status: TestStatus::Skipped,
        exit: None,
        ms: 0,
        why: Some(why.to_owned()),
        file: setting.file.clone(),
        line: test.origin.line,
        output: String::new(),
    }
}

/// Runs a test and shows it. What it prints goes to stderr where stdout is for documents.
async fn one(
    format: Format,
    test: &TestCommand,
    setting: &CiSetting,
    evidence: &CiEvidence<'_>,
    annotate: &Annotator,
) -> Result<TestReport> {
    annotate.begin(&test.name);
    let mut log = String::new();
    let report = run_test(test, setting, |line| {
        log += line;
        log.push('\n');
        let text = format!("{line}\n");
        // A reader that has gone away ends no test.
        match format {
            Format::Table => drop(ui::out(&text)),
            Format::Json => ui::err(&text),
        }
    })
    .await?;
    evidence.mask.renew();
    annotate.end(&report, evidence.mask);
    evidence.test(&test.name, &log)?;
    if format == Format::Table {
        ui::err(&format!("{}\n", line_of(&report)));
    }
    Ok(report)
}

fn line_of(report: &TestReport) -> String {
    let seconds = report.took().as_secs_f64();
    let why = report.why.iter().map(|why| format!(": {why}"));
    let why: String = why.collect();
    match report.status {
        TestStatus::Passed => format!("test {} passed ({seconds:.1} s)", report.name),
        TestStatus::Failed | TestStatus::TimedOut => {
            format!("test {} failed ({seconds:.1} s){why}", report.name)
        }
        TestStatus::Skipped => format!("test {} was not run{why}", report.name),
    }
}

fn print(
    format: Format,
    project: &Project,
    options: &CiOptions,
    run: &CiRun,
    ended: Ended,
) -> Result<()> {
    if format == Format::Json {
        return ui::json(&json!({
            "version": 1,
            "project": project.id,
            "ready": run.outcome.as_ref().map(|outcome| outcome.ready),
            "failed": run.outcome.as_ref().map(|outcome| &outcome.failed),
            "tests": run.tests,
            "end": options.end,
            "interrupted": ended == Ended::Interrupted,
        }));
    }
    let lines = run.tests.iter().map(|test| line_of(test) + "\n");
    let mut text = format!("\n{}", lines.collect::<String>());
    if let Some(outcome) = run.outcome.as_ref().filter(|outcome| !outcome.ready) {
        text += &format!("`up` failed: {}\n", outcome.failed.join(", "));
    }
    let has_failed = exit(ended, run) != Exit::Ok;
    if let Some(folder) = options.artifacts.as_ref().filter(|_| has_failed) {
        text += &format!("logs and events: {}\n", folder.display());
    }
    if options.end == CiEnd::Keep {
        text += "the session goes on; `devk down` ends it\n";
    }
    ui::out(&text)
}

/// Tells GitHub Actions, if it reads the output.
struct Annotator {
    is_on: bool,
    format: Format,
    workspace: Option<PathBuf>,
}

impl Annotator {
    fn of(environment: &Environment, format: Format) -> Self {
        Self {
            is_on: annotations::is_on(environment),
            format,
            workspace: environment.get("GITHUB_WORKSPACE").map(PathBuf::from),
        }
    }

    fn say(&self, text: &str) {
        // On the stream of the tests' output, so that the order stays.
        match self.format {
            _ if !self.is_on => {}
            Format::Table => drop(ui::out(text)),
            Format::Json => ui::err(text),
        }
    }

    fn begin(&self, test: &str) {
        self.say(&annotations::group(&format!("test {test}")));
    }

    fn end(&self, test: &TestReport, mask: &CiMask<'_>) {
        self.say(annotations::END_GROUP);
        if test.is_failure() {
            let mask = |text: &str| mask.text(text);
            self.say(&annotations::of_test(test, self.workspace(), mask));
        }
    }

    /// Each step by how it ended last.
    fn up(&self, events: &[Event], refused: Option<&Errors>, mask: &CiMask<'_>) {
        let failed = ends(events).into_iter().filter_map(|event| {
            let error = event.error.as_ref()?;
            (event.status == Status::Failed).then_some((event.step.as_str(), error))
        });
        let refused = refused.iter().flat_map(|errors| &errors.0);
        for (step, error) in failed.chain(refused.map(|error| ("up", error))) {
            let mask = |text: &str| mask.text(text);
            self.say(&annotations::of_error(step, error, self.workspace(), mask));
        }
    }

    fn workspace(&self) -> Option<&Path> {
        self.workspace.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_text;

    fn project(tests: &str) -> Project {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Chart.yaml"), "name: a\n").unwrap();
        let text = format!("name: shop\nreleases: [{{name: a, chart: .}}]\n{tests}");
        read_text(&text, &dir.path().join("devk.yaml")).unwrap()
    }

    #[test]
    fn tests_are_chosen_by_name_and_a_name_that_is_unknown_gets_its_neighbour() {
        let project = project("test:\n  - {name: unit, run: make}\n  - {name: e2e, run: [a]}\n");
        let names = |chosen: Vec<&TestCommand>| -> Vec<String> {
            chosen.into_iter().map(|test| test.name.clone()).collect()
        };
        assert_eq!(names(chosen(&project, &[]).unwrap()), ["unit", "e2e"]);
        assert_eq!(
            names(chosen(&project, &["e2e".to_owned()]).unwrap()),
            ["e2e"]
        );
        let wrong = ["unti".to_owned(), "e2e".to_owned(), "nothing".to_owned()];
        let errors = chosen(&project, &wrong).unwrap_err().0;
        assert_eq!(errors.len(), 2);
        assert!(errors[0].hint.as_ref().unwrap().contains("unit"));
    }

    #[test]
    fn without_a_test_the_error_says_what_to_add() {
        let error = chosen(&project(""), &[]).unwrap_err().0.remove(0);
        assert_eq!(error.code, Code::ConfigMissingKey);
        assert!(error.hint.unwrap().contains("test: [{name: e2e"));
    }
}
