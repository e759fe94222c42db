//! A stack that is up and whose session follows the working tree, and what its containers have of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::eventually;
use super::machine::{CLUSTER, FRAIL, cluster, frail, machine, run};
use super::project::Project;
use super::run::Running;

/// Longer than a node needs to come back on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a node that has come back may tell of the containers that it had before.
const NODE_TOLD: Duration = Duration::from_secs(30);

/// `pair` with a sync rule for its left image.
const SYNCED: (&str, &str) = (
    "left: {context: ./left}",
    "left: {context: ./left, sync: [{from: www, to: /www, run: [touch, /tmp/synced]}]}",
);

/// The events of the session from now on.
pub(crate) fn events(followed: &Followed) -> Running {
    let events = followed.project.start(&["events"]);
    // It is subscribed when it has said hello to the socket.
    std::thread::sleep(Duration::from_millis(500));
    events
}

/// Waits for the end of the next change.
pub(crate) fn change(events: &mut Running) -> Value {
    loop {
        let event: Value = serde_json::from_str(&events.wait_for(&["\"change/"])).unwrap();
        if event["status"] != "started" && event["status"] != "progress" {
            return event;
        }
    }
}

pub(crate) struct Followed {
    pub(crate) project: Project,
    /// The followed image and its Deployment.
    pub(crate) image: &'static str,
    pub(crate) deployment: &'static str,
    pub(crate) cluster: &'static str,
    /// A folder of the project, and the same one in the containers.
    here: &'static str,
    there: &'static str,
}

impl Followed {
    /// `pair`, whose left image takes `left/www` by a rule. httpd reads the files anew for each request.
    pub(crate) fn pair(name: &str) -> Self {
        let followed = Self::pair_not_up(name);
        followed.up()
    }

    /// The same before its first `up`.
    pub(crate) fn pair_not_up(name: &str) -> Self {
        cluster();
        Self::pair_on(CLUSTER, name)
    }

    /// [`Self::pair`] on the cluster whose node may be stopped.
    pub(crate) fn frail(name: &str) -> Self {
        Self::frail_not_up(name).up()
    }

    pub(crate) fn frail_not_up(name: &str) -> Self {
        frail();
        Self::pair_on(FRAIL, name)
    }

    fn pair_on(cluster: &'static str, name: &str) -> Self {
        let project = Project::pair_on(cluster, name);
        project.edit("devk.yaml", SYNCED.0, SYNCED.1);
        Self {
            project,
            image: "left",
            deployment: "pair-left",
            cluster,
            here: "left/www",
            there: "/www",
        }
    }

    /// A project of one image, `app`, whose Dockerfile and files the test writes; its pods listen on port 8080. What is
    /// synced is read off the Dockerfile.
    pub(crate) fn copies(name: &str, files: &[(&str, &str)]) -> Self {
        cluster();
        let project = Project::new("tests/e2e/fixtures/copies", name, CLUSTER);
        for (file, text) in files {
            let path = project.path("app").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self {
            project,
            image: "app",
            deployment: "copies",
            cluster: CLUSTER,
            here: "app",
            there: "/www",
        }
    }

    /// The demo, whose API reloads itself: what is synced is read off its Dockerfile.
    pub(crate) fn demo(name: &str) -> Self {
        cluster();
        let project = Project::demo_on(CLUSTER, name);
        let demo = Self {
            project,
            image: "api",
            deployment: "demo-api",
            cluster: CLUSTER,
            here: "api/app",
            there: "/srv/app",
        };
        demo.up()
    }

    pub(crate) fn up(self) -> Self {
        self.project.devk(&["up", "-d"]).well();
        self.settled();
        self
    }

    /// A path in the followed folder.
    pub(crate) fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        self.project.path(self.here).join(path)
    }

    pub(crate) fn save(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        std::fs::write(self.file(path), text).unwrap();
    }

    /// The same path in a container.
    pub(crate) fn inside(&self, path: &str) -> String {
        format!("{}/{path}", self.there)
    }

    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        machine().kubectl(self.cluster, &[&["-n", &self.project.name], words].concat())
    }

    /// The node of its cluster.
    pub(crate) fn node(&self) -> String {
        format!("{}-control-plane", self.cluster)
    }

    pub(crate) fn exec(&self, pod: &str, command: &[&str]) -> String {
        self.kubectl(&[&["exec", pod, "--"], command].concat())
    }

    /// What `devk status` says of the image's sync.
    pub(crate) fn sync(&self) -> Value {
        let status = self.project.devk(&["status"]).well().document();
        let images = status["sync"].as_array().unwrap();
        // Of an earlier image only its last containers are left, and they come after the current one.
        images
            .iter()
            .find(|sync| sync["image"] == self.image)
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// Waits until `devk status` says this of the image's sync.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sync = self.sync();
            if is_so(&sync) {
                return sync;
            }
            assert!(Instant::now() < deadline, "{what}: {sync}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until every replica has all of the working tree.
    pub(crate) fn settled(&self) -> Value {
        // A path that is gone is believed after a moment; then it is in the journal.
        std::thread::sleep(Duration::from_millis(400));
        self.kubectl(&[
            "rollout",
            "status",
            "deployment",
            self.deployment,
            "--timeout=180s",
        ]);
        self.until("a container lacks some of the working tree", |sync| {
            let containers = sync["containers"].as_array().into_iter().flatten();
            let current =
                containers.filter(|c| c["open"] == true && c["generation"] == sync["generation"]);
            let mut current: Vec<_> = current.filter_map(|c| c["pod"].as_str()).collect();
            current.sort_unstable();
            // A build that ends now brings others.
            sync["undecided"] == 0 && current == self.pods()
        })
    }

    /// The pods that run and are not about to end, in the order of their names.
    pub(crate) fn pods(&self) -> Vec<String> {
        let all: Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "-o", "json"])).unwrap();
        // An evicted pod stays as a record of itself: Failed.
        let stays = |pod: &&Value| {
            pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed"
        };
        let names = all["items"].as_array().unwrap().iter().filter(stays);
        let mut names: Vec<_> = names
            .filter_map(|pod| pod["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect();
        names.retain(|name| name.starts_with(self.deployment));
        names.sort();
        names
    }

    pub(crate) fn pod(&self) -> String {
        self.pods().remove(0)
    }

    /// Waits until every container has the folder as it is here: a node that has come back tells of the containers that
    /// it had before, for some seconds.
    pub(crate) fn becomes_equal(&self) {
        let is_same = |pod: &String| self.diff(pod).1.output().unwrap().status.success();
        eventually("a container lacks some of the tree", NODE_TOLD, || {
            self.settled();
            self.pods().iter().all(is_same)
        });
        self.is_equal();
    }

    /// Compares the folder here with that in a container, which is copied for it.
    fn diff(&self, pod: &str) -> (tempfile::TempDir, Command) {
        let there = tempfile::tempdir().unwrap();
        self.fetch(pod, there.path());
        let mut diff = Command::new("diff");
        diff.args(["-r", "--no-dereference", "-x", "__pycache__"])
            .arg(self.file(""))
            .arg(there.path());
        (there, diff)
    }

    /// Ends the test unless every container has the folder as it is here, by content and by `devk verify`.
    pub(crate) fn is_equal(&self) {
        self.settled();
        for pod in self.pods() {
            let (_there, mut diff) = self.diff(&pod);
            run(&mut diff);
        }
        let verified = self.project.devk(&["verify"]).well().document();
        assert_eq!(verified["equal"], true, "{verified}");
    }

    /// Copies the folder out of a container.
    fn fetch(&self, pod: &str, to: &Path) {
        let mut tar = Command::new("tar")
            .arg("-x")
            .current_dir(to)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = tar.stdin.take().unwrap();
        let kubeconfig = machine().kubeconfig(self.cluster);
        let mut fetch = Command::new("kubectl");
        fetch.arg("--kubeconfig").arg(kubeconfig).args([
            "-n",
            &self.project.name,
            "exec",
            pod,
            "--",
        ]);
        let fetched = fetch
            .args(["tar", "-C", self.there, "-c", "."])
            .stdout(pipe)
            .status()
            .unwrap();
        drop(fetch);
        assert!(tar.wait().unwrap().success() && fetched.success());
    }
}
