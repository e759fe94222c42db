//! What stands on the machine before a test and after it: nothing may be left that was not there before.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::listeners::held_by;
use super::machine::{
    CLUSTER, NODE, command_line, docker_list, images_of, machine, nodes_of, relays,
};

/// What ends by itself once its session is gone, such as a relay in the node, ends within this time.
const GRACE: Duration = Duration::from_secs(10);

/// What devk keeps for all projects together.
const MACHINES: [&str; 5] = [
    "devk/leases.json",
    "devk/leases.lock",
    "devk/listeners.lock",
    "devk/projects",
    "devk/clusters",
];

/// Everything that devk makes, as it stands at a moment.
pub(crate) struct Snapshot {
    projects: Vec<String>,
    things: BTreeSet<String>,
}

impl Snapshot {
    /// The machine as it is now. Of images and state only what belongs to these projects has to go.
    pub(crate) fn of(projects: &[&str]) -> Self {
        let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
        let things = things(&projects);
        Self { projects, things }
    }

    /// Ends the test if there is anything that was not there before.
    pub(crate) fn leaves_nothing(&self, what: &str) {
        let since = Instant::now();
        loop {
            let now = things(&self.projects);
            let left: Vec<_> = now.difference(&self.things).collect();
            if left.is_empty() {
                return;
            }
            assert!(since.elapsed() < GRACE, "{what} has left {left:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn things(projects: &[String]) -> BTreeSet<String> {
    let mut things = BTreeSet::new();
    let mut add = |kind: &str, names: BTreeSet<String>| {
        things.extend(names.into_iter().map(|name| format!("{kind} {name}")));
    };
    add("container", containers());
    add(
        "volume",
        docker_list(&["volume", "ls", "--quiet", "--filter", "dangling=true"]),
    );
    add(
        "network",
        docker_list(&["network", "ls", "--format", "{{.Name}}"]),
    );
    add(
        "image",
        projects
            .iter()
            .flat_map(|project| images_of(project))
            .collect(),
    );
    add("image", pushed());
    add(
        "process",
        machine()
            .processes("")
            .into_iter()
            .map(|pid| format!("{pid}: {}", command_line(pid)))
            .collect(),
    );
    add(
        "listener",
        machine()
            .processes("")
            .into_iter()
            .flat_map(held_by)
            .map(|port| port.to_string())
            .collect(),
    );
    add("state", files_below(&machine().state()));
    add(
        "state",
        projects
            .iter()
            .flat_map(|project| machine().state_of(project))
            .collect(),
    );
    if !nodes_of(CLUSTER).is_empty() && machine().kubeconfig(CLUSTER).exists() {
        let shown = machine().kubectl(
            CLUSTER,
            &["get", "namespaces,persistentvolumes", "-o", "name"],
        );
        add("in the cluster", shown.lines().map(str::to_owned).collect());
        add(
            "in the node",
            (0..relays())
                .map(|number| format!("relay {number}"))
                .collect(),
        );
        add(
            "in the node",
            docker_list(&["exec", NODE, "find", "/usr/local", "-name", ".devk*"]),
        );
    }
    things
}

/// All but the nodes of other people's kind clusters, which come and go.
fn containers() -> BTreeSet<String> {
    let all = docker_list(&[
        "ps",
        "-a",
        "--format",
        "{{.Label \"io.x-k8s.kind.cluster\"}} {{.Names}}",
    ]);
    all.into_iter()
        .filter(|line| line.starts_with(' ') || line.starts_with(CLUSTER))
        .collect()
}

/// Names that an image has for the time of a push to a devk that is gone.
fn pushed() -> BTreeSet<String> {
    let all = docker_list(&["images", "--format", "{{.Repository}}"]);
    let is_dead = |address: &str| std::net::TcpStream::connect(address).is_err();
    all.into_iter()
        .filter(|name| {
            name.split_once("/devk-push-")
                .is_some_and(|(address, _)| is_dead(address))
        })
        .collect()
}

/// All files and folders but those that are the whole machine's.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = BTreeSet::new();
    for path in entries.map(|entry| entry.path()) {
        found.extend(files_below(&path));
        if !MACHINES.iter().any(|own| path.ends_with(own)) {
            found.insert(path.display().to_string());
        }
    }
    found
}
