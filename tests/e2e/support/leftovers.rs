//! What is on the machine before a test and after it: nothing may be left that was not there before.
//!
//! Tests run beside each other. A test looks at what carries the names of its own projects; what
//! carries no name, such as a volume or a relay, is compared for the whole run, when all other tests
//! have ended.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::listeners::held_by;
use super::machine::{
    CLUSTER, Machine, NODE, command_line, docker_list, images_of, machine, nodes_of, relays,
};

/// What ends by itself once its session is gone, such as a relay in the node, ends within this time.
const GRACE: Duration = Duration::from_secs(10);

/// What devk keeps for all projects together.
const MACHINES: [&str; 6] = [
    "devk/leases.json",
    "devk/leases.lock",
    "devk/listeners.lock",
    "devk/projects",
    "devk/clusters",
    // What the API server of the shared cluster has, if a chart asked.
    "devk/clusters/devk-e2e/capabilities.json",
];

/// What devk made for some projects, at a moment.
pub(crate) struct Snapshot {
    projects: Vec<String>,
    things: BTreeSet<String>,
}

impl Snapshot {
    /// What there is now of these projects, and of the clusters `devk-e2e-PROJECT`.
    pub(crate) fn of(projects: &[&str]) -> Self {
        let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
        let things = things_of(&projects);
        Self { projects, things }
    }

    /// Ends the test if there is anything that was not there before.
    pub(crate) fn leaves_nothing(&self, what: &str) {
        nothing_new(&self.things, || things_of(&self.projects), what);
    }
}

/// All that devk makes, whosever it is, at a moment.
pub(crate) struct Everything(BTreeSet<String>);

impl Everything {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self(all_things(machine))
    }

    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, serde_json::to_vec(&self.0).unwrap()).unwrap();
    }

    pub(crate) fn read(file: &Path) -> Self {
        Self(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
    }

    /// Ends the test if there is anything that was not there then.
    pub(crate) fn leaves_nothing(&self, what: &str) {
        nothing_new(&self.0, || all_things(machine()), what);
    }
}

fn nothing_new(before: &BTreeSet<String>, now: impl Fn() -> BTreeSet<String>, what: &str) {
    let since = Instant::now();
    loop {
        let now = now();
        let left: Vec<_> = now.difference(before).collect();
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < GRACE, "{what} has left {left:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn add(things: &mut BTreeSet<String>, kind: &str, names: impl IntoIterator<Item = String>) {
    let named = names.into_iter().map(|name| format!("{kind} {name}"));
    things.extend(named);
}

fn things_of(projects: &[String]) -> BTreeSet<String> {
    let mut things = BTreeSet::new();
    let processes: Vec<_> = machine()
        .processes("")
        .into_iter()
        .map(|pid| (pid, command_line(pid)))
        .filter(|(_, line)| projects.iter().any(|project| line.contains(project)))
        .collect();
    for project in projects {
        let cluster = format!("{CLUSTER}-{project}");
        add(&mut things, "container", nodes_of(&cluster));
        add(&mut things, "image", images_of(project));
        add(&mut things, "state", machine().state_of(project));
        let of_project = |path: &String| {
            let mut parts = Path::new(path).iter();
            parts.any(|part| part == project.as_str() || part == cluster.as_str())
        };
        let files = files_below(&machine().state());
        add(&mut things, "state", files.into_iter().filter(of_project));
    }
    let listeners = processes.iter().flat_map(|(pid, _)| held_by(*pid));
    add(
        &mut things,
        "listener",
        listeners.map(|port| port.to_string()),
    );
    let shown = processes.iter().map(|(pid, line)| format!("{pid}: {line}"));
    add(&mut things, "process", shown);
    add(
        &mut things,
        "in the cluster",
        in_cluster(machine(), |namespace| {
            projects.iter().any(|project| project == namespace)
        }),
    );
    things
}

fn all_things(machine: &Machine) -> BTreeSet<String> {
    let mut things = BTreeSet::new();
    add(&mut things, "container", containers());
    let dangling = ["volume", "ls", "--quiet", "--filter", "dangling=true"];
    add(&mut things, "volume", docker_list(&dangling));
    let networks = docker_list(&["network", "ls", "--format", "{{.Name}}"]);
    add(&mut things, "network", networks);
    add(&mut things, "image", images_of("*"));
    add(&mut things, "image", pushed());
    let processes = machine.processes("");
    let listeners = processes.iter().flat_map(|pid| held_by(*pid));
    add(
        &mut things,
        "listener",
        listeners.map(|port| port.to_string()),
    );
    let shown = processes
        .iter()
        .map(|pid| format!("{pid}: {}", command_line(*pid)));
    add(&mut things, "process", shown);
    // What checks have found of a chart, and what devk did, is kept whatever becomes of a project.
    let is_kept = |file: &String| file.contains("/devk/charts") || file.contains("/devk/audit");
    let state = files_below(&machine.state()).into_iter();
    add(&mut things, "state", state.filter(|file| !is_kept(file)));
    add(&mut things, "in the cluster", in_cluster(machine, |_| true));
    let relays = (0..relays()).map(|number| format!("relay {number}"));
    add(&mut things, "in the node", relays);
    let files = docker_list(&["exec", NODE, "find", "/usr/local", "-name", ".devk*"]);
    add(&mut things, "in the node", files);
    things
}

/// Namespaces of the shared cluster, and volumes that were claimed in one.
fn in_cluster(machine: &Machine, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    if nodes_of(CLUSTER).is_empty() || !machine.kubeconfig(CLUSTER).exists() {
        return BTreeSet::new();
    }
    let columns = "custom-columns=:kind,:metadata.name,:spec.claimRef.namespace";
    let list = [
        "get",
        "namespaces,persistentvolumes",
        "--no-headers",
        "-o",
        columns,
    ];
    let shown = machine.kubectl(CLUSTER, &list);
    let rows = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let wanted = rows.filter(|row| match row[..] {
        ["Namespace", name, _] | [_, _, name] => is_wanted(name),
        _ => panic!("{shown}"),
    });
    wanted.map(|row| row.join(" ")).collect()
}

/// All but the nodes of other people's kind clusters, which come and go.
fn containers() -> BTreeSet<String> {
    let format = "{{.Label \"io.x-k8s.kind.cluster\"}} {{.Names}}";
    let all = docker_list(&["ps", "-a", "--format", format]);
    all.into_iter()
        .filter(|line| line.starts_with(' ') || line.starts_with(CLUSTER))
        .collect()
}

/// Names that an image has for the time of a push to a devk that is gone.
fn pushed() -> BTreeSet<String> {
    let all = docker_list(&["images", "--format", "{{.Repository}}"]);
    let is_dead = |address: &str| std::net::TcpStream::connect(address).is_err();
    let is_left = |name: &String| {
        let address = name.split_once("/devk-push-").map(|(address, _)| address);
        address.is_some_and(is_dead)
    };
    all.into_iter().filter(is_left).collect()
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
