//! Several devks at the same time: on one project, and each on its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::killed::{At, comes_up, half_on};
use crate::support::leftovers::Snapshot;
use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::{Project, port_of};
use crate::support::run::kill;
use crate::support::sample::sample;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// Longer than a slow machine needs to end what was cut off.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn two_ups_of_one_project_at_once_share_a_session_and_install_once() {
    cluster();
    let project = half_on(CLUSTER, "both-up");
    let ups = [project.start(&["up", "-d"]), project.start(&["up", "-d"])]
        .map(|up| up.ended().well().settled());
    // Each says by itself who holds the port of the first choice, and that may be another project by then.
    let ports = ups
        .each_ref()
        .map(|up| port_of(up["forwards"].as_array().unwrap(), "left"));
    assert_eq!(ports[0], ports[1]);
    comes_up(&project, "two `up` at once");
    let revisions = [
        "-n",
        "both-up",
        "get",
        "secrets",
        "-l",
        "owner=helm",
        "-o",
        "name",
    ];
    assert_eq!(machine().kubectl(CLUSTER, &revisions).lines().count(), 1);
}

/// When `down` is started, and how.
const DOWNS: [(At, &[&str]); 6] = [
    (At::Begun, &["down", "--delete"]),
    (At::Told("image.build/left", "started"), &["down"]),
    (
        At::Told("image.load/left", "started"),
        &["down", "--delete"],
    ),
    (
        At::Told("release.apply/pair", "started"),
        &["down", "--delete"],
    ),
    (At::Told("release.apply/pair", "done"), &["down"]),
    (At::Settled, &["down", "--delete"]),
];

#[test]
fn a_down_during_an_up_ends_it_and_both_say_so() {
    cluster();
    for (number, (at, down)) in sample(&DOWNS, 3) {
        let name = format!("up-down-{number}");
        let before = Snapshot::of(&[&name]);
        let project = half_on(CLUSTER, &name);
        let mut up = project.start(&["up", "-d"]);
        at.reached(&project, &mut up);
        let ended = project.devk(down).well();
        tell(&format!("`{}` at `{at}`", down.join(" ")), ended.took);
        assert!(
            ended.document()["ending"].is_string() || ended.document()["ending"].is_object(),
            "{ended:?}"
        );
        // Ended by `down`, or settled before it; or it has begun anew after `down`, which it waited for.
        let ran = up.ended();
        assert!(
            matches!(ran.code, Some(0 | 130)),
            "`up` while `{down:?}` at `{at}`: {ran:?}"
        );
        comes_up(&project, &format!("`{}` at `{at}`", down.join(" ")));
        project.devk(&["down", "--delete"]).well();
        before.leaves_nothing(&name);
    }
}

/// What `down` has begun when `up` is started.
const UPS: [(&[&str], At); 4] = [
    (&["down"], At::Told("workloads.sleep", "started")),
    (
        &["down", "--delete"],
        At::Told("release.uninstall/pair", "started"),
    ),
    (
        &["down", "--delete"],
        At::Told("namespace.delete", "started"),
    ),
    (&["down", "--delete"], At::Told("image.remove", "started")),
];

#[test]
fn an_up_during_a_down_waits_for_it_and_brings_everything_back() {
    cluster();
    for (number, (words, at)) in sample(&UPS, 2) {
        let name = format!("down-up-{number}");
        let before = Snapshot::of(&[&name]);
        let project = half_on(CLUSTER, &name);
        project.devk(&["up", "-d"]).well();
        let mut down = project.start(words);
        at.reached(&project, &mut down);
        comes_up(
            &project,
            &format!("`up` during `{}` at `{at}`", words.join(" ")),
        );
        down.ended().well();
        project.devk(&["down", "--delete"]).well();
        before.leaves_nothing(&name);
    }
}

/// How long the build would sleep: so odd that no other program does.
const ASLEEP: &str = "86413";

#[test]
fn a_down_during_a_build_ends_the_build() {
    cluster();
    let before = Snapshot::of(&["down-build"]);
    let project = half_on(CLUSTER, "down-build");
    let dockerfile = std::fs::read_to_string(project.path("left/Dockerfile")).unwrap();
    project.write(
        "left/Dockerfile",
        &format!("{dockerfile}RUN sleep {ASLEEP}\n"),
    );
    let up = project.start(&["up", "-d"]);
    let builds = || {
        let lines = std::fs::read_dir("/proc").unwrap().flatten();
        let mut lines =
            lines.map(|process| std::fs::read(process.path().join("cmdline")).unwrap_or_default());
        lines.any(|line| line == format!("sleep\0{ASLEEP}\0").as_bytes())
    };
    eventually("the build does not begin", SOON, builds);
    let down = project.devk(&["down", "--delete"]).well();
    tell("down --delete during a build", down.took);
    up.ended().exits(130);
    eventually("the build goes on after `down`", SOON, || !builds());
    before.leaves_nothing("a `down --delete` during a build");
    project.write("left/Dockerfile", &dockerfile);
    comes_up(&project, "`down` during a build");
}

#[test]
fn a_down_leaves_the_cluster_to_another_project_that_is_still_building() {
    const SHARED: &str = "devk-e2e-together";
    let before = Snapshot::of(&["leaver", "builder", "together"]);
    let leaver = half_on(SHARED, "leaver");
    let builder = half_on(SHARED, "builder");
    leaver.devk(&["up", "-d"]).well();
    let dockerfile = std::fs::read_to_string(builder.path("left/Dockerfile")).unwrap();
    builder.write("left/Dockerfile", &format!("{dockerfile}RUN sleep 20\n"));
    let mut up = builder.start(&["up", "-d"]);
    At::Told("cluster.create", "done").reached(&builder, &mut up);
    let down = leaver.devk(&["down"]).well().document();
    assert!(down["ending"]["sleep"].is_object(), "{down}");
    up.ended().well();
    assert_eq!(page(builder.port("left")).as_deref(), Some("this is left"));
    // Asleep once, it counts as soon as it comes up again, too.
    leaver.devk(&["up", "-d"]).well();
    assert!(builder.devk(&["down"]).well().document()["ending"]["sleep"].is_object());
    builder.write("left/Dockerfile", &format!("{dockerfile}RUN sleep 21\n"));
    let mut up = builder.start(&["up", "-d"]);
    At::Told("cluster.create", "done").reached(&builder, &mut up);
    assert!(leaver.devk(&["down"]).well().document()["ending"]["sleep"].is_object());
    up.ended().well();
    // The cluster stops with its last project, and comes back for one of them alone.
    let down = builder.devk(&["down"]).well().document();
    assert_eq!(down["ending"], "stop-cluster");
    leaver.devk(&["up", "-d"]).well();
    let wanted = "jsonpath={.items[*].spec.replicas}";
    let list = ["-n", "builder", "get", "deployments", "-o", wanted];
    assert_eq!(machine().kubectl(SHARED, &list), "0");
    builder.devk(&["up", "-d"]).well();
    assert_eq!(page(builder.port("left")).as_deref(), Some("this is left"));
    leaver.devk(&["down", "--delete"]).well();
    assert_eq!(
        builder.devk(&["down", "--delete"]).well().document()["ending"],
        "delete-cluster"
    );
    before.leaves_nothing("a `down` beside a build");
}

/// Ten projects, the first half of which is killed.
const MANY: usize = 10;

fn page(port: u16) -> Option<String> {
    get(port, "/index.html")
        .ok()
        .map(|answer| answer.body.trim().to_owned())
}

/// The ports that the machine's store gives to each of these projects.
fn leased(names: &[String]) -> Vec<BTreeSet<u64>> {
    let text = std::fs::read_to_string(machine().state().join("leases.json")).unwrap();
    let store: Value = serde_json::from_str(&text).unwrap();
    let of = |name: &String| {
        let mut leases = store["leases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|lease| lease["project"] == **name);
        let ports = leases
            .next()
            .unwrap_or_else(|| panic!("no lease of {name} in {text}"))["ports"]
            .as_array()
            .unwrap();
        assert!(leases.next().is_none(), "two leases of {name} in {text}");
        ports
            .iter()
            .map(|port| port["local"].as_u64().unwrap())
            .collect()
    };
    names.iter().map(of).collect()
}

#[test]
fn ten_projects_at_once_are_apart_and_five_killed_ones_get_their_ports_back() {
    cluster();
    let names: Vec<_> = (0..MANY).map(|number| format!("many-{number}")).collect();
    let before = Snapshot::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let projects: Vec<_> = names
        .iter()
        .map(|name| Project::new("tests/e2e/fixtures/tiny", name, CLUSTER))
        .collect();
    let since = Instant::now();
    let up = |projects: &[Project]| -> Vec<u16> {
        let ups: Vec<_> = projects
            .iter()
            .map(|project| project.start(&["up", "-d"]))
            .collect();
        let settled = ups.into_iter().map(|up| up.ended().well().settled());
        settled
            .map(|settled| port_of(settled["forwards"].as_array().unwrap(), "page"))
            .collect()
    };
    let ports = up(&projects);
    tell("ten projects at once, until all are up", since.elapsed());
    assert_eq!(
        ports.iter().collect::<BTreeSet<_>>().len(),
        MANY,
        "{ports:?}"
    );
    let pages = |ports: &[u16]| {
        ports
            .iter()
            .map(|port| page(*port).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(pages(&ports), names, "each answers for itself");
    let leases = leased(&names);

    let (killed, live) = projects.split_at(MANY / 2);
    for project in killed {
        machine()
            .supervisors(&project.name)
            .into_iter()
            .for_each(|pid| kill(pid, Signal::KILL));
    }
    assert_eq!(leased(&names), leases, "the store of the machine");
    assert_eq!(
        pages(&ports[MANY / 2..]),
        names[MANY / 2..],
        "those that live go on"
    );
    let since = Instant::now();
    assert_eq!(
        up(killed),
        ports[..MANY / 2],
        "the killed ones get the same ports"
    );
    tell(
        "five killed sessions, until all are up again",
        since.elapsed(),
    );
    assert_eq!(pages(&ports), names);
    assert_eq!(leased(&names), leases);
    assert!(
        live.iter()
            .all(|project| machine().supervisors(&project.name).len() == 1)
    );

    std::thread::scope(|scope| {
        for project in &projects {
            scope.spawn(|| project.devk(&["down", "--delete"]).well());
        }
    });
    before.leaves_nothing("ten projects at once");
}
