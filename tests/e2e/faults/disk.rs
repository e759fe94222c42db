//! Disks without room: below devk's state, in a build, in the node.

use std::time::Duration;

use crate::support::followed::Followed;
use crate::support::machine::{cluster, command_line, docker, images_of};
use crate::support::project::Project;
use crate::support::small_disk::SmallDisk;
use crate::support::wire::get;
use crate::support::{eventually, run::Ran};

/// The error says this of the state folder, and what to do.
fn says(ran: &Ran, cause: &str, hint: &str) {
    let error = ran.error();
    assert_eq!(error["code"], "state.io", "{error}");
    assert!(
        error["message"].as_str().unwrap().contains(cause),
        "{error}"
    );
    assert!(
        error["hint"]
            .as_str()
            .is_some_and(|text| text.contains(hint)),
        "{error}"
    );
}

#[test]
fn a_full_disk_below_the_state_folder_is_told_and_nothing_is_half_applied() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    cluster();
    let mut project = Project::pair("full-state");
    project.set("XDG_STATE_HOME", disk.path());
    disk.fill();
    let up = project.devk(&["up", "-d"]).exits(1);
    says(&up, "No space left on device", "df -h");
    assert!(
        up.events().is_empty() && images_of("full-state").is_empty(),
        "a step began: {up:?}"
    );
    assert!(!cluster().has_namespace("full-state"));
    disk.make_room();
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let pid = project.session()["pid"].clone();

    disk.fill();
    project.write("values-dev.yaml", "left: {ready: /cgi-bin/pod}\n");
    says(
        &project.devk(&["up", "-d"]).exits(1),
        "No space left on device",
        "df -h",
    );
    assert_eq!(project.session()["pid"], pid);
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    disk.make_room();
    let up = project.devk(&["up", "-d"]).well();
    assert_eq!(
        (up.verdict("release.apply/pair"), project.port("left")),
        ("done".to_owned(), port)
    );

    project.devk(&["down", "--delete"]).well();
    assert!(!cluster().has_namespace("full-state"));
    assert!(!disk.path().join("devk/projects/full-state").exists());
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told_and_needs_no_repair_afterwards() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    cluster();
    let mut project = Project::pair("read-only-state");
    project.set("XDG_STATE_HOME", disk.path());
    project.devk(&["up", "-d"]).well();
    let session = u32::try_from(project.session()["pid"].as_u64().unwrap()).unwrap();
    assert!(command_line(session).contains("supervise read-only-state"));
    project.devk(&["down"]).well();
    // Its log is open as long as it is there.
    eventually("the session stays", Duration::from_secs(15), || {
        command_line(session).is_empty()
    });
    disk.remount("ro");
    for words in [
        &["up", "-d"][..],
        &["up", "--once"],
        &["down"],
        &["down", "--delete"],
    ] {
        says(
            &project.devk(words).exits(1),
            "Read-only file system",
            "XDG_STATE_HOME",
        );
    }
    // What only looks has nothing to write.
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["cluster"]["state"], "running", "{status}");
    disk.remount("rw");
    project.devk(&["up", "-d"]).well();
    assert_eq!(
        get(project.port("left"), "/index.html").unwrap().well(),
        "this is left\n"
    );
    project.devk(&["down", "--delete"]).well();
    assert!(!disk.path().join("devk/projects/read-only-state").exists());
}

/// Little room for what comes to containerd's content, beside what is there: a small disk above it (overlayfs).
struct SmallNode {
    node: String,
}

impl SmallNode {
    const ROOM: &str = "/mnt/devk-small";
    const CONTENT: &str = "/var/lib/containerd/io.containerd.content.v1.content";

    fn mount(node: String) -> Self {
        let room = Self::ROOM;
        let content = Self::CONTENT;
        let layers = format!("lowerdir={content},upperdir={room}/upper,workdir={room}/work");
        let above = format!(
            "mkdir {room}/upper {room}/work && mount -t overlay -o {layers} overlay {content}"
        );
        let script =
            format!("mkdir -p {room} && mount -t tmpfs -o size=64k tmpfs {room} && {above}");
        docker(&["exec", &node, "sh", "-c", &script]);
        Self { node }
    }

    /// Makes room, and keeps what is there: containerd remembers each blob that came in whole.
    fn make_room(&self) {
        let words = ["mount", "-o", "remount,size=64m", Self::ROOM];
        docker(&[&["exec", &self.node][..], &words].concat());
    }
}

/// To be dropped after the images whose blobs came here.
impl Drop for SmallNode {
    fn drop(&mut self) {
        docker(&["exec", &self.node, "umount", Self::CONTENT, Self::ROOM]);
    }
}

#[test]
fn a_full_disk_in_the_node_is_told_and_no_pod_runs_what_did_not_arrive() {
    let pair = Followed::frail_not_up("full-node");
    let node = pair.node();
    let mut noise = vec![0; 1 << 20];
    getrandom(&mut noise);
    pair.save("noise", &noise);
    let small = SmallNode::mount(node.clone());
    let up = pair.project.devk(&["up", "-d"]).exits(1);
    let error = up.end_of("image.load/left")["error"].clone();
    assert_eq!(error["code"], "image.load", "{error}");
    assert!(
        error["evidence"]
            .to_string()
            .contains("no space left on device"),
        "{error}"
    );
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains(&format!("docker exec {node} df -h")),
        "{error}"
    );
    assert_eq!(up.verdict("release.apply/pair"), "skipped");
    let reference = images_of("full-node")
        .into_iter()
        .find(|image| image.contains("/left:"))
        .unwrap();
    let listed = docker(&[
        "exec",
        &node,
        "ctr",
        "--namespace=k8s.io",
        "images",
        "ls",
        "-q",
    ]);
    assert!(
        !listed.contains(&reference),
        "the node has half of it: {listed}"
    );

    small.make_room();
    let up = pair.project.devk(&["up", "-d"]).well();
    assert_eq!(up.verdict("image.build/left"), "skipped");
    assert_eq!(
        get(pair.project.port("left"), "/index.html")
            .unwrap()
            .well(),
        "this is left\n"
    );
    pair.is_equal();
    pair.project.devk(&["down", "--delete"]).well();
    drop(small);
}

fn getrandom(bytes: &mut [u8]) {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(bytes)
        .unwrap();
}
