//! Two users of one machine: they share its Engine, its ports and its clusters, and none of devk's state.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::copy::copy;
use crate::support::left_out::left_out;
use crate::support::machine::{CLUSTER, cluster, images_of, machine};
use crate::support::project::{Project, port_of};
use crate::support::run::{Ran, Running};
use crate::support::wire::get;

/// Nobody's user id.
const OTHER: u32 = 54_242;

const SOCKET: &str = "/var/run/docker.sock";

/// A user who may use Docker as members of its group do, and who sees nothing of the one that runs the tests.
struct User {
    root: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self {
            root: machine().new_folder(),
        };
        let root = user.root.path();
        // The way to it leads through a folder of the first user's.
        for folder in [root.parent().unwrap(), root] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).unwrap();
        }
        std::fs::create_dir(root.join("bin")).unwrap();
        let programs =
            ["docker", "kind", "helm"].map(|program| (program, which::which(program).unwrap()));
        for (name, program) in programs
            .into_iter()
            .chain([("devk", PathBuf::from(env!("CARGO_BIN_EXE_devk")))])
        {
            let from = program.canonicalize().unwrap();
            let to = root.join("bin").join(name);
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .unwrap();
        }
        chown(root, Some(OTHER), None).unwrap();
        user
    }

    /// A project of this user's, from a fixture.
    fn project(&self, fixture: &str, name: &str, cluster: &str) -> PathBuf {
        let dir = self.root.path().join(name);
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/e2e/fixtures")
                .join(fixture),
            &dir,
        );
        let file = dir.join("devk.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let renamed = text.replace(
            &format!("name: {fixture}\ncluster"),
            &format!("name: {name}\ncluster"),
        );
        assert_ne!(renamed, text);
        std::fs::write(
            &file,
            renamed.replace(&format!("name: {CLUSTER}}}"), &format!("name: {cluster}}}")),
        )
        .unwrap();
        dir
    }

    fn devk(&self, dir: &Path, words: &[&str]) -> Ran {
        let root = self.root.path();
        let own = |(name, value): (String, OsString)| match name.as_str() {
            "HOME" | "DOCKER_CONFIG" => (name, root.join("home").into_os_string()),
            "XDG_STATE_HOME" | "XDG_CACHE_HOME" | "XDG_DATA_HOME" => {
                (name.clone(), root.join(name).into_os_string())
            }
            "PATH" => (
                name,
                format!(
                    "{}:/usr/local/bin:/usr/bin:/bin",
                    root.join("bin").display()
                )
                .into(),
            ),
            _ => (name, value),
        };
        let group = std::fs::metadata(SOCKET).unwrap().gid();
        let mut command = Command::new(root.join("bin/devk"));
        command
            .args(words)
            .args(["--format", "json"])
            .current_dir(dir)
            .env_clear();
        command.envs(
            machine()
                .environment()
                .into_iter()
                .map(own)
                .filter(|(name, _)| name != "XDG_RUNTIME_DIR"),
        );
        Running::start(command.uid(OTHER).gid(group)).ended()
    }
}

fn page(port: u16) -> String {
    get(port, "/index.html").unwrap().well()
}

#[test]
fn two_users_collide_nowhere_and_neither_removes_what_is_the_others() {
    if !rustix::process::getuid().is_root() || !Path::new(SOCKET).exists() {
        left_out(&format!(
            "only root can be two users, and both need {SOCKET}"
        ));
        return;
    }
    cluster();
    let own = Project::pair("users");
    own.devk(&["up", "-d"]).well();
    let port = own.port("left");
    let images = images_of("users");
    let is_whole = || {
        assert_eq!(page(port), "this is left\n");
        assert_eq!(images_of("users"), images);
        assert_eq!(own.port("left"), port);
    };
    let other = User::new();

    // A project of another name gets other ports, and is told whose the usual ones are; it takes itself away alone.
    let dir = other.project("pair", "users-other", CLUSTER);
    let up = other.devk(&dir, &["up", "-d"]).well();
    let forwards = up.settled()["forwards"].as_array().unwrap().clone();
    let theirs = port_of(&forwards, "left");
    assert!(
        forwards.iter().all(|f| f["moved"]
            .as_str()
            .unwrap()
            .contains("a process of user id 0")),
        "{forwards:?}"
    );
    assert_eq!(page(theirs), "this is left\n");
    is_whole();
    let down = other.devk(&dir, &["down", "--delete"]).well().document();
    assert!(
        down["ending"]["delete-namespace"].is_object(),
        "the cluster is not theirs: {down}"
    );
    assert!(!cluster().has_namespace("users-other") && images_of("users-other").is_empty());
    is_whole();

    // One of the same name is refused, and so is its removal: the namespace is the first user's, who does not let
    // the second one see the folder.
    let dir = other.project("pair", "users", CLUSTER);
    assert_eq!(
        other.devk(&dir, &["up", "-d"]).exits(2).error()["code"],
        "cluster.namespace"
    );
    assert_eq!(
        other.devk(&dir, &["down", "--delete"]).error()["code"],
        "cluster.namespace"
    );
    is_whole();

    // On a cluster that is not there only images of that name are left, and those are the first user's.
    std::fs::remove_dir_all(&dir).unwrap();
    let dir = other.project("pair", "users", "devk-e2e-nobodys");
    other.devk(&dir, &["down", "--delete"]).well();
    is_whole();
}
