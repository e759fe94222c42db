//! Whoever is killed, at whatever step of `up`: the next `up` succeeds, and `down --delete` leaves nothing.
//! The moment is when the event of the step is read; what is killed may be a step further by then, and it
//! has to hold all the same.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::leftovers::Snapshot;
use crate::support::listeners::held_by;
use crate::support::machine::{CLUSTER, children, cluster, command_line, listens, machine};
use crate::support::programs::slowed;
use crate::support::project::{Project, port_of};
use crate::support::run::{Running, kill};
use crate::support::sample::sample;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// Longer than a program takes to start on a slow machine.
const SOON: Duration = Duration::from_secs(60);

/// How many projects are killed and brought up at once.
const AT_ONCE: usize = 3;

/// How many moments one run tries; two waves of them.
const SAMPLE: usize = 2 * AT_ONCE;

/// A moment of `up`.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// The session has started and told nothing yet.
    Begun,
    /// A step has told this.
    Told(&'static str, &'static str),
    Settled,
}

/// Every step of a first `up` on a cluster that runs, in the order of a run; those of the cluster's creation stand in
/// `killed_creation.rs`.
const STEPS: [At; 13] = [
    At::Begun,
    At::Told("cluster.create", "done"),
    At::Told("image.build/left", "started"),
    At::Told("image.build/left", "done"),
    At::Told("image.load/left", "started"),
    At::Told("image.load/left", "done"),
    At::Told("release.apply/pair", "started"),
    At::Told("release.apply/pair", "done"),
    At::Told("release.ready/pair", "started"),
    At::Told("forward.open/left", "started"),
    At::Told("forward.open/left", "done"),
    At::Told("release.ready/pair", "done"),
    At::Settled,
];

/// The left half of `pair`, which has every kind of step.
pub(super) fn half_on(cluster: &str, name: &str) -> Project {
    let project = Project::pair_on(cluster, name);
    for line in [
        "  right: {context: ./right}\n",
        "      right: {repository: right.image.repository, tag: right.image.tag}\n",
        "  right: 2481\n",
    ] {
        project.edit("devk.yaml", line, "");
    }
    project.edit(
        "chart/templates/pair.yaml",
        "list \"left\" \"right\"",
        "list \"left\"",
    );
    project
}

impl At {
    pub(super) fn reached(self, project: &Project, up: &mut Running) {
        match self {
            Self::Begun => {
                let begun = || !machine().supervisors(&project.name).is_empty();
                eventually("no session starts", SOON, begun);
            }
            Self::Told(step, status) => {
                up.wait_for(&[
                    &format!("\"step\":\"{step}\""),
                    &format!("\"status\":\"{status}\""),
                ]);
            }
            Self::Settled => {
                up.wait_for(&["\"settled\""]);
            }
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begun => write!(f, "before the first step"),
            Self::Told(step, status) => write!(f, "{step} {status}"),
            Self::Settled => write!(f, "settled"),
        }
    }
}

/// Brings a project up and says what answers: the right page, through the only session, on listeners that are
/// there once.
pub(super) fn comes_up(project: &Project, what: &str) {
    let since = Instant::now();
    let up = project.devk(&["up", "-d"]).well();
    tell(
        &format!("{what}, until the next `up` is settled"),
        since.elapsed(),
    );
    let forwards = up.settled()["forwards"].as_array().unwrap().clone();
    assert_eq!(
        get(port_of(&forwards, "left"), "/index.html")
            .unwrap()
            .well(),
        "this is left\n"
    );
    // A session that was just ending may take a moment.
    let supervisors = || machine().supervisors(&project.name);
    eventually("there are two sessions", SOON, || supervisors().len() == 1);
    let held = held_by(supervisors()[0]);
    // On IPv4, and on IPv6 where there is any.
    let sockets = |forward: &Value| {
        held.iter()
            .filter(|port| u64::from(**port) == forward["local"])
            .count()
    };
    assert!(
        forwards
            .iter()
            .all(|forward| (1..=2).contains(&sockets(forward))),
        "{forwards:?} {held:?}"
    );
}

/// Does something to a project for each of these, some at once, and removes the projects: nothing may be left.
fn in_waves<T: Copy + Sync + std::fmt::Debug>(
    name: &str,
    cases: &[T],
    case: impl Fn(&mut Project, T) + Sync,
) {
    let numbered: Vec<_> = sample(cases, SAMPLE)
        .into_iter()
        .map(|(at, case)| (format!("{name}-{at}"), case))
        .collect();
    for wave in numbered.chunks(AT_ONCE) {
        let names: Vec<_> = wave.iter().map(|(name, _)| name.as_str()).collect();
        let before = Snapshot::of(&names);
        let run = |(name, input): &(String, T)| {
            let mut project = half_on(CLUSTER, name);
            case(&mut project, *input);
            project.devk(&["down", "--delete"]).well();
            project
        };
        let projects: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = wave
                .iter()
                .map(|input| scope.spawn(|| run(input)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        before.leaves_nothing(&names.join(", "));
        drop(projects);
    }
}

#[test]
fn a_session_killed_at_any_step_is_replaced_and_leaves_nothing() {
    cluster();
    in_waves("kill-session", &STEPS, |project, at| {
        let mut up = project.start(&["up", "-d"]);
        at.reached(project, &mut up);
        let killed = machine().supervisors(&project.name);
        killed.iter().for_each(|pid| kill(*pid, Signal::KILL));
        assert_eq!(killed.len(), 1, "one session to kill at `{at}`");
        let code = up.ended().code;
        // Its client says so, unless all was done before, or nothing was: then it asks the next session.
        assert!(matches!(code, Some(0 | 1)), "{code:?} at `{at}`");
        comes_up(project, &format!("session killed at `{at}`"));
    });
}

#[test]
fn a_client_killed_at_any_step_is_no_obstacle_to_the_next_one_and_leaves_nothing() {
    cluster();
    in_waves("kill-client", &STEPS, |project, at| {
        let mut up = project.start(&["up"]);
        at.reached(project, &mut up);
        up.kill();
        assert_eq!(up.ended().code, None, "killed at `{at}`");
        // Its session ends, unless this comes in time to keep it.
        comes_up(project, &format!("client killed at `{at}`"));
    });
}

/// What a session has helm do: of each release twice to see its Services and ports, then to install it.
const HELMS: [&str; 3] = ["template", "version", "upgrade"];

/// Waits until a process has started a program with these words in its command line.
pub(super) fn started_by(parent: u32, words: &str) -> u32 {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if let Some(pid) = children(parent)
            .into_iter()
            .find(|pid| command_line(*pid).contains(words))
        {
            return pid;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("`{words}` is not started")
}

#[test]
fn a_helm_killed_at_any_step_fails_its_up_and_not_the_next_one() {
    cluster();
    in_waves("kill-helm", &HELMS, |project, verb| {
        // As slow as it must be to be met whatever else the machine does.
        let slow = slowed("helm");
        project.prefer(slow.path());
        let mut up = project.start(&["up", "-d"]);
        At::Begun.reached(project, &mut up);
        let session = machine().supervisors(&project.name)[0];
        let helm = started_by(session, &format!("helm {verb}"));
        kill(helm, Signal::KILL);
        let ran = up.ended();
        assert!(
            matches!(ran.code, Some(1 | 2)),
            "`helm {verb}` was killed; {ran:?}"
        );
        assert!(format!("{ran:?}").contains("signal: 9"), "{ran:?}");
        comes_up(project, &format!("helm {verb} killed"));
    });
}

/// As docs/lifecycle.md promises.
const CTRL_C: Duration = Duration::from_secs(2);

#[test]
fn ctrl_c_at_any_step_ends_the_session_within_2_seconds_and_leaves_nothing() {
    cluster();
    let named: Vec<_> = sample(&STEPS, SAMPLE)
        .into_iter()
        .map(|(at, step)| (format!("ctrl-c-{at}"), step))
        .collect();
    for wave in named.chunks(AT_ONCE) {
        let names: Vec<_> = wave.iter().map(|(name, _)| name.as_str()).collect();
        let before = Snapshot::of(&names);
        // One after the other, since their time is taken.
        let projects: Vec<_> = wave
            .iter()
            .map(|(name, at)| interrupted(name, *at))
            .collect();
        std::thread::scope(|scope| {
            for project in &projects {
                scope.spawn(|| project.devk(&["down", "--delete"]).well());
            }
        });
        before.leaves_nothing(&names.join(", "));
    }
}

fn interrupted(name: &str, at: At) -> Project {
    let project = half_on(CLUSTER, name);
    let mut up = project.start(&["up"]);
    at.reached(&project, &mut up);
    let since = Instant::now();
    let ports = machine()
        .supervisors(name)
        .into_iter()
        .flat_map(held_by)
        .collect::<Vec<_>>();
    up.interrupt();
    let ran = up.ended();
    let took = since.elapsed();
    tell(&format!("Ctrl-C at `{at}`, until `up` has ended"), took);
    let settled = ran.stdout.contains("\"settled\"");
    let ran = ran.exits(if settled { 0 } else { 130 });
    assert!(took < CTRL_C, "{took:?} at `{at}`; {ran:?}");
    // Its lock and its listeners are free by now; its process may have something to put away.
    eventually("the session goes on", SOON, || {
        machine().supervisors(name).is_empty()
    });
    assert!(
        !ports.iter().any(|port| listens(*port)),
        "{ports:?} at `{at}`"
    );
    project
}
