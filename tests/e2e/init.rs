//! What `devk init` writes for a repository that it has never seen comes up as it is.

use std::process::Command;

use crate::archive::unpack;
use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::Project;
use crate::support::wire::get;

/// One context for all images, one string for each image, demanded secrets: a `devk up` of the written file answers, with
/// the secrets where the chart wants them. Only the cluster's name is added, which is that of this run.
#[test]
fn what_init_writes_comes_up_untouched() {
    cluster();
    let folder = machine().new_folder();
    unpack("shared-context", folder.path());
    let init = Command::new(env!("CARGO_BIN_EXE_devk"))
        .args(["init", "--yes"])
        .current_dir(folder.path())
        .env_clear()
        .envs(machine().environment())
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let file = folder.path().join("devk.yaml");
    let written = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = written.split_once("\nname: ").unwrap();
    std::fs::write(&file, format!("{head}\ncluster:\nname: {rest}")).unwrap();

    let project = Project::new(folder.path().to_str().unwrap(), "init-shared", CLUSTER);
    let up = project.devk(&["up", "-d"]).well();
    let page = get(project.port("api"), "/").unwrap().well();
    assert_eq!(page, "api\n", "{up:?}");
    let secret = [
        "-n",
        "init-shared",
        "get",
        "secret",
        "stack-secrets",
        "-o",
        "json",
    ];
    let secret: serde_json::Value =
        serde_json::from_str(&cluster().kubectl(CLUSTER, &secret)).unwrap();
    let value = |key: &str| secret["data"][key].as_str().unwrap().to_owned();
    assert_eq!(value("password"), value("api"));
    assert!(value("key").len() > value("password").len());
}
