//! What `devk init` writes for a repository that it has never seen comes up as it is.

use std::process::Command;
use std::time::Duration;

use crate::archive::unpack;
use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::Project;
use crate::support::wire::get;

const SOON: Duration = Duration::from_secs(30);

/// A repository of `tests/init/shapes` with the devk.yaml that `devk init` writes, as a project on the tests' cluster.
fn initialised(shape: &str, init: &[&str], name: &str) -> Project {
    let folder = machine().new_folder();
    unpack(shape, folder.path());
    let init = Command::new(env!("CARGO_BIN_EXE_devk"))
        .args(init)
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
    // The project is a copy of the folder.
    Project::new(folder.path().to_str().unwrap(), name, CLUSTER)
}

/// One context for all images, one string for each image, demanded secrets: a `devk up` of the written file answers, with
/// the secrets where the chart wants them. Only the cluster's name is added, which is that of this run.
#[test]
fn what_init_writes_comes_up_untouched() {
    cluster();
    let project = initialised("shared-context", &["init", "--yes"], "init-shared");
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

/// A stack of Compose alone: its chart answers as Compose does, beside it; a generated password reaches the database, the
/// migration and the API; and data stays over `down` and `up`.
#[test]
fn a_chart_out_of_compose_files_answers_beside_its_compose_stack() {
    cluster();
    let project = initialised("compose-whole", &["init", "--chart", "--yes"], "init-chart");
    let compose = ComposeTwin::up(&project);
    project.devk(&["up", "-d"]).well();
    let answer = |port: u16, path: &str| get(port, path).unwrap().well();
    let of_compose = answer(ComposeTwin::WEB, "/add");
    assert!(
        of_compose.contains(r#""notes": "1", "redis": "+OK", "greeting": "hello ${name} $(x)""#),
        "{of_compose}"
    );
    assert_eq!(page(&project, "/add"), of_compose);
    assert_eq!(
        answer(project.port("shop-api"), "/add"),
        of_compose.replace(r#""1""#, r#""2""#)
    );
    drop(compose);

    project.devk(&["down"]).well();
    project.devk(&["up", "-d"]).well();
    let kept = page(&project, "/");
    assert!(kept.contains(r#""notes": "2""#), "{kept}");
}

/// What the page's server has from the API. It asks the API by its Service, which kube-proxy follows only some seconds after
/// the pod is Ready.
fn page(project: &Project, path: &str) -> String {
    let port = project.port("web");
    let mut body = String::new();
    eventually("the page does not reach the API", SOON, || {
        let answered = get(port, path).unwrap();
        let is_well = answered.status == 200;
        body = answered.body;
        is_well
    });
    body
}

/// The project's own Compose stack; removed when dropped.
struct ComposeTwin(std::path::PathBuf);

impl ComposeTwin {
    const WEB: u16 = 28580;

    fn up(project: &Project) -> Self {
        let twin = Self(project.path("compose.yaml"));
        twin.run(&["up", "--detach", "--build"]);
        let since = std::time::Instant::now();
        while !get(Self::WEB, "/").is_ok_and(|answer| answer.status == 200) {
            assert!(
                since.elapsed() < std::time::Duration::from_secs(60),
                "Compose does not answer"
            );
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        twin
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--project-name", "devk-e2e-chart", "--file"])
            .arg(&self.0);
        let ran = command.args(arguments).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
}

impl Drop for ComposeTwin {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--rmi", "local", "--timeout", "1"]);
    }
}
