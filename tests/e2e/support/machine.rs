//! The machine that the tests share: devk's folders apart from the user's, one cluster, and what Docker,
//! Kubernetes and the kernel say of them.
//!
//! Invariant: when the run of the tests ends, however it ends, a process that outlives it removes the
//! clusters, the sessions and the folders.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::eventually;
use super::leftovers::Everything;
pub(crate) use super::listeners::listens;
use super::project::Project;

/// The cluster that most tests share. Other clusters of the tests begin with this name.
pub(crate) const CLUSTER: &str = "devk-e2e";
/// Its node.
pub(crate) const NODE: &str = "devk-e2e-control-plane";
/// The cluster of the tests that stop its node, its API server or its etcd, or fill its disk: they run one after
/// another, beside those on the other cluster.
pub(crate) const FRAIL: &str = "devk-e2e-frail";
/// The project that holds it.
const FRAIL_ANCHOR: &str = "frail-anchor";

pub(crate) struct Machine {
    root: PathBuf,
}

/// The machine, set up by the first test of the run that asks.
pub(crate) fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(Machine::of_this_run)
}

/// The shared cluster, made by the first test of the run that asks. A project of its own stands on
/// it, so that the end of a test's project does not end the cluster.
pub(crate) fn cluster() -> &'static Machine {
    static CLUSTER_MADE: OnceLock<()> = OnceLock::new();
    let machine = machine();
    CLUSTER_MADE.get_or_init(|| {
        once(&machine.root.join("cluster-made"), || {
            let anchor = Project::new("tests/e2e/fixtures/anchor", "anchor", CLUSTER);
            anchor.devk(&["up", "--once"]).well();
            anchor.leave();
            Everything::of(machine).write(&machine.baseline());
        });
    });
    machine
}

/// The cluster [`FRAIL`], made by the first test of the run that asks.
pub(crate) fn frail() -> &'static Machine {
    // What is there before it is what has to be left in the end.
    let machine = cluster();
    once(&machine.root.join("frail-made"), || {
        let anchor = Project::new("tests/e2e/fixtures/anchor", FRAIL_ANCHOR, FRAIL);
        anchor.devk(&["up", "--once"]).well();
        let folder = anchor.path("").into_os_string().into_encoded_bytes();
        std::fs::write(machine.root.join("frail-folder"), folder).unwrap();
        anchor.leave();
    });
    machine
}

/// Has devk remove the cluster [`FRAIL`], if a test has made it.
pub(crate) fn remove_frail() {
    let root = &machine().root;
    if root.join("frail-made").exists() {
        // The project is its folder's.
        let folder = std::fs::read_to_string(root.join("frail-folder")).unwrap();
        run(Command::new(env!("CARGO_BIN_EXE_devk"))
            .args(["down", "--delete"])
            .current_dir(folder)
            .env_clear()
            .envs(machine().environment()));
        std::fs::remove_file(root.join("frail-made")).unwrap();
    }
}

/// Does something if the file that says so is not there yet. Tests are processes of their own, and
/// several of them may come here at once.
fn once(done: &Path, work: impl FnOnce()) {
    let lock = std::fs::File::create(done.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !done.exists() {
        work();
        std::fs::write(done, "").unwrap();
    }
}

/// The run that this test belongs to: its name, and the process whose end is the end of the run.
fn run_of_tests() -> (String, u32) {
    match std::env::var("NEXTEST_RUN_ID") {
        Ok(id) => (id, std::os::unix::process::parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    }
}

impl Machine {
    fn of_this_run() -> Self {
        let asked_for = std::env::var("DEVK_E2E").is_ok_and(|value| value == "1");
        assert!(
            asked_for,
            "the e2e tests create clusters, containers and images: run them through scripts/test"
        );
        let (run, owner) = run_of_tests();
        let machine = Self {
            root: std::env::temp_dir().join(format!("devk-e2e-{run}")),
        };
        std::fs::create_dir_all(&machine.root).unwrap();
        once(&machine.root.join("set-up"), || machine.set_up(owner));
        machine
    }

    fn set_up(&self, owner: u32) {
        for program in ["docker", "kind", "helm", "kubectl"] {
            assert!(
                which::which(program).is_ok(),
                "`{program}` is not on PATH; `cargo xtask lab` builds it"
            );
        }
        docker(&["version"]);
        docker(&["compose", "version"]);
        // An earlier run's cleaner may be at the same, and then one of the two is refused.
        eventually(
            "clusters of an earlier run stay",
            Duration::from_secs(120),
            || {
                for name in clusters() {
                    let _ = Command::new("kind")
                        .args(["delete", "cluster", "--name", &name])
                        .output();
                }
                clusters().is_empty()
            },
        );
        start_cleaner(&self.root, owner);
    }

    /// Where it stands what was there when the shared cluster had been made.
    pub(crate) fn baseline(&self) -> PathBuf {
        self.root.join("baseline")
    }

    /// What XDG_STATE_HOME is for every devk of the tests: the mark by which its processes are known.
    pub(crate) fn state_home(&self) -> PathBuf {
        self.root.join("state")
    }

    /// devk's own state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.state_home().join("devk")
    }

    /// A folder that goes with the machine at the latest.
    pub(crate) fn new_folder(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.root).unwrap()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The environment of every devk of the tests: nothing of the caller's but the way to Docker.
    pub(crate) fn environment(&self) -> Vec<(String, OsString)> {
        let docker_config = std::env::var_os("DOCKER_CONFIG").unwrap_or_else(|| {
            std::env::home_dir()
                .unwrap_or_default()
                .join(".docker")
                .into_os_string()
        });
        let mut variables = vec![
            ("HOME".to_owned(), self.home().into_os_string()),
            (
                "XDG_STATE_HOME".to_owned(),
                self.state_home().into_os_string(),
            ),
            (
                "XDG_CACHE_HOME".to_owned(),
                self.root.join("cache").into_os_string(),
            ),
            (
                "XDG_DATA_HOME".to_owned(),
                self.root.join("data").into_os_string(),
            ),
            ("DOCKER_CONFIG".to_owned(), docker_config),
        ];
        let passed = [
            "PATH",
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "XDG_RUNTIME_DIR",
            "HTTPS_PROXY",
            "https_proxy",
        ];
        variables.extend(
            passed
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?))),
        );
        variables
    }

    /// devk's private kubeconfig of a cluster.
    pub(crate) fn kubeconfig(&self, cluster: &str) -> PathBuf {
        self.state()
            .join("clusters")
            .join(cluster)
            .join("kubeconfig")
    }

    /// Runs kubectl on a cluster of the tests with devk's private kubeconfig.
    pub(crate) fn kubectl(&self, cluster: &str, args: &[&str]) -> String {
        let kubeconfig = self.kubeconfig(cluster);
        run(Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(args)
            .env("HOME", self.home()))
    }

    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        let names = self.kubectl(CLUSTER, &["get", "namespaces", "-o", "name"]);
        names
            .lines()
            .any(|line| line == format!("namespace/{name}"))
    }

    /// Everything below devk's state folder that names a project.
    pub(crate) fn state_of(&self, project: &str) -> Vec<String> {
        let mut found: Vec<_> = std::fs::read_dir(self.state().join("projects").join(project))
            .map(|files| {
                files
                    .map(|file| file.unwrap().path().display().to_string())
                    .collect()
            })
            .unwrap_or_default();
        let leases = std::fs::read_to_string(self.state().join("leases.json")).unwrap_or_default();
        found.extend(
            leases
                .contains(&format!("\"{project}\""))
                .then(|| "a lease".to_owned()),
        );
        found
    }

    /// Processes that devk started or is, by the state folder they work in; of one project's session only
    /// if `words` are in the command line.
    pub(crate) fn processes(&self, words: &str) -> Vec<u32> {
        let mark = format!("XDG_STATE_HOME={}\0", self.state_home().display());
        let environment = |pid: u32| {
            let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let ours = |pid: &u32| environment(*pid).contains(&mark);
        pids()
            .into_iter()
            .filter(ours)
            .filter(|pid| command_line(*pid).contains(words))
            .collect()
    }

    /// The supervisors of a project.
    pub(crate) fn supervisors(&self, project: &str) -> Vec<u32> {
        self.processes(&format!("supervise {project} "))
    }
}

/// Runs docker and gives its output back; its failure ends the test.
pub(crate) fn docker(args: &[&str]) -> String {
    run(Command::new("docker").args(args))
}

/// Runs git in a folder, as nobody in particular.
pub(crate) fn git(folder: &Path, args: &[&str]) {
    let git = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "gc.auto=0",
    ];
    run(Command::new("git")
        .args(git)
        .args(args)
        .current_dir(folder)
        .env("HOME", machine().home()));
}

/// The lines that docker prints, as a set.
pub(crate) fn docker_list(args: &[&str]) -> BTreeSet<String> {
    docker(args).lines().map(str::to_owned).collect()
}

/// The tags of the images that devk built for a project.
pub(crate) fn images_of(project: &str) -> BTreeSet<String> {
    let reference = format!("reference=devk.local/{project}/*");
    docker_list(&[
        "images",
        "--filter",
        &reference,
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ])
}

/// The node containers of a cluster, running or not.
pub(crate) fn nodes_of(cluster: &str) -> BTreeSet<String> {
    let label = format!("label=io.x-k8s.kind.cluster={cluster}");
    docker_list(&["ps", "-a", "--filter", &label, "--format", "{{.Names}}"])
}

/// How many relays run in the node of the shared cluster.
pub(crate) fn relays() -> usize {
    let count = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done | grep -c '^/proc/self/fd/3 relay'";
    let output = Command::new("docker")
        .args(["exec", NODE, "sh", "-c", count])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// What a process has started and not yet waited for.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| {
        // proc_pid_stat(5): `pid (comm) state ppid …`
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok())
    };
    pids()
        .into_iter()
        .filter(|child| parent(*child) == Some(pid))
        .collect()
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// A process's command line, words parted by spaces; empty if it is gone.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Runs a program to its end; a failure ends the test with all it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{stdout}{stderr}",
        output.status
    );
    stdout.into_owned()
}

fn clusters() -> Vec<String> {
    let all = run(Command::new("kind").args(["get", "clusters"]));
    all.lines()
        .filter(|name| name.starts_with(CLUSTER))
        .map(str::to_owned)
        .collect()
}

/// Waits for the end of the run, and removes what is left.
const CLEANER: &str = r#"
tail --pid="$3" -f /dev/null
root=$1 prefix=$2
for file in $(grep -lsz "^XDG_STATE_HOME=$root/" /proc/[0-9]*/environ); do
    pid=${file#/proc/} && kill -9 "${pid%/environ}" 2>/dev/null
done
kind get clusters 2>/dev/null | grep "^$prefix" | while read -r name; do
    kind delete cluster --name "$name" --kubeconfig "$root/none" >/dev/null 2>&1
done
rm -rf "$root"
"#;

/// Starts it behind a shell that does not wait for it.
fn start_cleaner(root: &Path, owner: u32) {
    let start = "sh -c \"$0\" \"$@\" </dev/null >/dev/null 2>&1 &";
    let mut shell = Command::new("sh");
    shell.args(["-c", start, CLEANER, "cleaner"]);
    shell.args([root.as_os_str(), CLUSTER.as_ref()]);
    // Ctrl-C on the tests must not end it.
    run(shell.arg(owner.to_string()).process_group(0));
}
