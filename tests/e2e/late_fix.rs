//! A save that breaks what runs, and five seconds later its fix: the fix does not wait until devk gives the broken one up.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::followed::change;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::run::Running;
use crate::support::sample::{p95, times};
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// Longer than the release's own timeout.
const PATIENCE: Duration = Duration::from_secs(180);
/// From the broken save to its fix.
const LATER: Duration = Duration::from_secs(5);

const VALUES: &str = "values-dev.yaml";

/// A server in Python, which is served by builds.
struct Late {
    project: Project,
    events: Running,
    port: u16,
}

impl Late {
    fn up(name: &str) -> Self {
        let project = not_up(name);
        project.devk(&["up", "-d"]).well();
        Self::of(project)
    }

    /// A command of a test may run for 5 minutes.
    fn listen_anew(&mut self) {
        self.events = self.project.start(&["events"]);
        std::thread::sleep(Duration::from_millis(500));
    }

    fn of(project: Project) -> Self {
        let events = project.start(&["events"]);
        std::thread::sleep(Duration::from_millis(500));
        let port = project.port("app");
        Self {
            project,
            events,
            port,
        }
    }

    /// Saves a file and waits until the server answers by it; the answer is how long that took.
    fn live(&self, file: &str, text: &str, answer: &str) -> Duration {
        let since = Instant::now();
        self.project.write(file, text);
        eventually(&format!("`{answer}` is not live"), PATIENCE, || {
            get(self.port, "/").is_ok_and(|found| found.body.contains(answer))
        });
        since.elapsed()
    }

    /// The same for a fix of what was broken just before.
    fn fixed(&mut self, broken: (&str, &str), fix: &str, answer: &str) -> Duration {
        self.project.write(broken.0, broken.1);
        std::thread::sleep(LATER);
        let took = self.live(broken.0, fix, answer);
        let told = change(&mut self.events);
        assert_eq!(told["status"], "skipped", "{told}");
        assert_eq!(told["detail"], "newer changes came meanwhile", "{told}");
        self.settled();
        took
    }

    /// The newest change has come live. On a busy machine one save may be told as two changes, of which the second
    /// overtakes the first.
    fn settled(&mut self) {
        loop {
            let told = change(&mut self.events);
            if told["detail"] != "newer changes came meanwhile" {
                assert_eq!(told["status"], "done", "{told}");
                return;
            }
        }
    }
}

fn not_up(name: &str) -> Project {
    cluster();
    Project::new("tests/e2e/fixtures/late", name, CLUSTER)
}

/// The program with another answer.
fn program(text: &str) -> String {
    include_str!("fixtures/late/app/app.py").replace("\"first\"", &format!("\"{text}\""))
}

fn compare(what: &str, fix: Duration, alone: Duration) {
    tell("a save alone", alone);
    tell(&format!("a fix, 5 s after {what}"), fix);
    assert!(
        fix <= alone * 2 + Duration::from_secs(3),
        "after {what}: {fix:?}, and a save alone {alone:?}"
    );
}

#[test]
fn a_fix_does_not_wait_for_the_save_that_broke_the_image() {
    let mut late = Late::up("late-image");
    let file = "app/app.py";
    let (mut alone, mut fixes) = (vec![], vec![]);
    for number in 0..times(20) {
        late.listen_anew();
        let text = format!("alone-{number}");
        alone.push(late.live(file, &program(&text), &text));
        late.settled();
        let crashes = program("broken").replace("import os", "import os os");
        let text = format!("mended-{number}");
        fixes.push(late.fixed((file, &crashes), &program(&text), &text));
    }
    let alone = p95(&alone);
    compare("a syntax error", p95(&fixes), alone);

    let never_ready = program("broken").replace("STATUS = 200", "STATUS = 503");
    let fix = late.fixed((file, &never_ready), &program("again"), "again");
    compare("a program that is never ready", fix, alone);
}

#[test]
fn a_fix_does_not_wait_for_the_values_that_broke_the_release() {
    let mut late = Late::up("late-values");
    let alone = late.live(VALUES, "note: alone\n", "alone");
    late.settled();
    let fix = late.fixed(
        (VALUES, "note: broken\nprobe: 9999\n"),
        "note: mended\n",
        "mended",
    );
    compare("values with another probe", fix, alone);
}

#[test]
fn a_fix_of_a_stateful_set_does_not_wait_for_its_broken_pod() {
    let project = not_up("late-set");
    let chart = "chart/templates/all.yaml";
    project.edit(chart, "kind: Deployment", "kind: StatefulSet");
    project.devk(&["up", "-d"]).well();
    let mut late = Late::of(project);
    let file = "app/app.py";
    let alone = late.live(file, &program("alone"), "alone");
    late.settled();
    let crashes = program("broken").replace("import os", "import os os");
    let fix = late.fixed((file, &crashes), &program("mended"), "mended");
    compare("a syntax error in a StatefulSet", fix, alone);
}

#[test]
fn an_up_that_waits_for_what_is_broken_settles_on_the_fix() {
    let project = not_up("late-up");
    let file = "app/app.py";
    let crashes = program("broken").replace("import os", "import os os");
    project.write(file, &crashes);
    let mut up = project.start(&["up", "-d"]);
    up.wait_for(&["release.ready/app", "started"]);
    std::thread::sleep(LATER);
    let since = Instant::now();
    project.write(file, &program("mended"));
    let up = up.ended().well();
    let fix = since.elapsed();
    assert_eq!(up.settled()["ready"], Value::Bool(true));
    let events = up.events();
    let failed = events.iter().find(|event| event["status"] == "failed");
    assert_eq!(failed, None);
    let mut late = Late::of(project);
    assert!(get(late.port, "/").unwrap().well().contains("mended"));

    let alone = late.live(file, &program("alone"), "alone");
    late.settled();
    compare("an `up` with a syntax error", fix, alone);
}
