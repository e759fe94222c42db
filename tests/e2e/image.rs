//! Docker and images: connect, exec, published ports, build, load into a node, remove.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use devk::config::{ImageConfig, Origin};
use devk::docker::{Engine, Exec, published_ports};
use devk::error::{Code, Error};
use devk::image::{self, ImageRef, Loader};
use devk::process::Cmd;
use devk::ui::event::{Event, Reporter, Status};

use crate::engine;

/// A container that is removed with the test, however it ends.
pub(crate) struct Container(pub(crate) String);

impl Container {
    pub(crate) async fn run(args: &[&str]) -> Self {
        let output = Cmd::new("docker")
            .args(["run", "-d"])
            .args(args)
            .run()
            .await
            .unwrap();
        Self(output.stdout.trim().to_owned())
    }

    /// A node as kind starts it, without Kubernetes in it: containerd is what the tests need.
    pub(crate) async fn node(engine: &Engine) -> Self {
        Self::labelled_node(engine, &[]).await
    }

    /// A node that `kind load` finds.
    pub(crate) async fn kind_node(engine: &Engine, cluster: &str) -> Self {
        let label = format!("io.x-k8s.kind.cluster={cluster}");
        Self::labelled_node(
            engine,
            &[
                "--label",
                &label,
                "--label",
                "io.x-k8s.kind.role=control-plane",
            ],
        )
        .await
    }

    async fn labelled_node(engine: &Engine, labels: &[&str]) -> Self {
        let image = std::env::var("DEVK_E2E_NODE_IMAGE")
            .unwrap_or_else(|_| "kindest/node:v1.36.3".to_owned());
        let options = [
            "--privileged",
            "--cgroupns=private",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp",
            "--volume",
            "/var",
        ];
        let node = Self::run(&[&options[..], labels, &[&image]].concat()).await;
        let containerd = Exec::new(&node.0, ["ctr", "version"]);
        let deadline = Instant::now() + Duration::from_secs(60);
        while containerd.output(&engine.docker).await.unwrap().code != 0 {
            assert!(
                Instant::now() < deadline,
                "containerd did not start in the node"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        node
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker")
            .args(["rm", "-fv", &self.0])
            .output();
    }
}

/// A project of its own for each test, so that they can run at once.
pub(crate) struct Project {
    pub(crate) id: &'static str,
    dir: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new(id: &'static str, files: &[(&str, &str)]) -> Self {
        let project = Self {
            id,
            dir: tempfile::tempdir().unwrap(),
        };
        files
            .iter()
            .for_each(|(path, content)| project.write(path, content));
        project
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn image(&self) -> ImageConfig {
        let context = self.dir.path().to_owned();
        ImageConfig {
            name: "api".to_owned(),
            dockerfile: context.join("Dockerfile"),
            context,
            target: None,
            platform: None,
            args: BTreeMap::new(),
            replaces: Vec::new(),
            secrets: vec![],
            ssh: vec![],
            sync: devk::config::Sync::Auto,
            origin: Origin {
                file: self.dir.path().join("devk.yaml"),
                line: 1,
            },
        }
    }

    fn target(&self, args: &BTreeMap<String, String>) -> ImageRef {
        image::image_ref(
            self.id,
            "api",
            &image::content_hash(&self.image(), args).unwrap().tag,
        )
    }

    pub(crate) fn file(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) async fn build(
        &self,
        engine: &Engine,
    ) -> (Result<String, Error>, ImageRef, Vec<Event>) {
        let args = BTreeMap::from([("GREETING".to_owned(), "hello there".to_owned())]);
        let target = self.target(&args);
        let (reporter, mut events) = reporter();
        let step = reporter.start("image.build/api", "");
        let built = image::build(engine, self.id, &self.image(), &args, &target, &step).await;
        step.done("");
        (built, target, drain(&mut events))
    }

    pub(crate) async fn remove(&self, engine: &Engine) -> Vec<String> {
        image::remove_project_images(&engine.docker, self.id)
            .await
            .unwrap()
    }
}

pub(crate) type Events = tokio::sync::broadcast::Receiver<Event>;

pub(crate) fn reporter() -> (Reporter, Events) {
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    (reporter, events)
}

pub(crate) fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

fn progress(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event.status == Status::Progress)
        .map(|event| event.detail.as_str())
        .collect()
}

const DOCKERFILE: &str = "FROM busybox:1\nARG GREETING\nCOPY . /app\n\
    RUN echo \"$GREETING\" > /greeting && ls -a /app > /list && sleep 1\nCMD [\"cat\", \"/greeting\"]\n";

#[tokio::test]
async fn an_image_is_built_from_what_the_ignore_file_leaves() {
    let engine = engine().await;
    // New content each time, or BuildKit would answer from its cache and run nothing.
    let now = format!("{:?}", std::time::SystemTime::now());
    let files = [
        ("Dockerfile", DOCKERFILE),
        (".dockerignore", "secret\n.dockerignore"),
        ("main", now.as_str()),
        ("secret", ""),
    ];
    let project = Project::new("e2e-build", &files);
    project.remove(&engine).await;
    let (built, target, events) = project.build(&engine).await;
    let id = built.unwrap();
    assert_eq!(
        image::present(&engine.docker, &target.reference())
            .await
            .unwrap(),
        Some(id.clone())
    );
    let shown = progress(&events);
    assert!(
        shown.iter().any(|detail| detail.contains("RUN echo")),
        "{shown:?}"
    );

    let container = Container::run(&[&target.reference(), "sleep", "60"]).await;
    let cat = Exec::new(&container.0, ["cat", "/greeting", "/list"])
        .run(&engine.docker)
        .await
        .unwrap();
    assert_eq!(cat.text(), "hello there\n.\n..\nDockerfile\nmain\n");
    drop(container);

    assert_eq!(
        project.build(&engine).await.0.unwrap(),
        id,
        "the same content gives the same image"
    );
    assert_eq!(project.remove(&engine).await, [target.reference()]);
    assert_eq!(
        image::present(&engine.docker, &target.reference())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_failing_instruction_is_named_with_its_line_and_last_output() {
    let engine = engine().await;
    let dockerfile =
        "FROM busybox:1\n\n# why\nRUN echo first && \\\n    echo the reason && \\\n    exit 7\n";
    let project = Project::new("e2e-failing", &[("Dockerfile", dockerfile)]);
    let (built, target, _) = project.build(&engine).await;
    let error = built.unwrap_err();
    assert_eq!(
        (error.code, error.line),
        (Code::ImageBuild, Some(4)),
        "{error:?}"
    );
    assert!(error.message.contains("RUN echo first"), "{error:?}");
    assert_eq!(error.evidence[..2], ["first", "the reason"], "{error:?}");
    assert!(
        error
            .evidence
            .iter()
            .any(|line| line.contains("exit code: 7")),
        "{error:?}"
    );
    assert_eq!(
        image::present(&engine.docker, &target.reference())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_dockerfile_that_does_not_parse_is_named_with_its_line() {
    let engine = engine().await;
    let project = Project::new("e2e-syntax", &[("Dockerfile", "FROM busybox:1\nRUM ls\n")]);
    let error = project.build(&engine).await.0.unwrap_err();
    assert_eq!(
        (error.code, error.line),
        (Code::ImageBuild, Some(2)),
        "{error:?}"
    );
    assert!(error.message.contains("RUM"), "{error:?}");
}

#[tokio::test]
async fn a_context_that_changes_after_hashing_makes_no_image() {
    let engine = engine().await;
    let project = Project::new(
        "e2e-changed",
        &[("Dockerfile", DOCKERFILE), ("main", "one")],
    );
    let args = BTreeMap::new();
    let target = project.target(&args);
    project.write("main", "two");
    let (reporter, _events) = reporter();
    let step = reporter.start("image.build/api", "");
    let built = image::build(&engine, project.id, &project.image(), &args, &target, &step).await;
    assert_eq!(built.unwrap_err().code, Code::ImageChanged);
    assert_eq!(
        image::present(&engine.docker, &target.reference())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_dropped_build_ends_in_the_engine_too() {
    let engine = engine().await;
    let dockerfile = "FROM busybox:1\nRUN echo begun; sleep 12345\n";
    let project = Project::new("e2e-dropped", &[("Dockerfile", dockerfile)]);
    tokio::select! {
        (built, ..) = project.build(&engine) => panic!("the build ended: {built:?}"),
        () = until(|sleeps| sleeps, "the build did not begin") => {}
    }
    until(|sleeps| !sleeps, "the build goes on").await;
}

/// Waits for the sleep of the dropped build to begin or to end.
async fn until(reached: impl Fn(bool) -> bool, otherwise: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached(sleeping("12345").await) {
        assert!(Instant::now() < deadline, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn builds_leave_no_connection_behind() {
    let engine = engine().await;
    let project = Project::new("e2e-leak", &[("Dockerfile", "FROM busybox:1\n")]);
    // The library keeps one thread of tests' sockets: only this process's growth counts.
    let sockets = || {
        let links = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    project.build(&engine).await.0.unwrap();
    let before = sockets();
    for _ in 0..10 {
        project.build(&engine).await.0.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        sockets() <= before + 2,
        "{before} sockets before, {} after",
        sockets()
    );
    project.remove(&engine).await;
}

/// Whether a `sleep` of that length runs anywhere on this machine.
async fn sleeping(seconds: &str) -> bool {
    Cmd::new("pgrep")
        .args(["-xf", &format!("sleep {seconds}")])
        .run()
        .await
        .is_ok()
}

/// A loader that has learnt nothing.
async fn loader(engine: &Engine) -> Loader {
    Loader::new(&engine.docker, tempfile::tempdir().unwrap().path())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_image_arrives_on_a_node_unchanged() {
    let engine = engine().await;
    let project = Project::new(
        "e2e-load",
        &[
            ("Dockerfile", DOCKERFILE),
            ("blob", &"x".repeat(50_000_000)),
        ],
    );
    let (built, target, _) = project.build(&engine).await;
    built.unwrap();
    let node = Container::node(&engine).await;
    let (reporter, mut events) = reporter();
    let step = reporter.start("image.load/api", "");
    loader(&engine)
        .await
        .load(&node.0, &target.reference(), &step)
        .await
        .unwrap();
    step.done("");
    let shown = drain(&mut events);
    assert!(
        progress(&shown)
            .iter()
            .any(|detail| detail.contains(" MB of ")),
        "{shown:?}"
    );
    let listed = image::on_node(&engine.docker, &node.0).await.unwrap();
    assert!(
        listed.contains_key(&image::normalise(&target.reference())),
        "{listed:?}"
    );
    project.remove(&engine).await;
}

#[tokio::test]
async fn a_third_party_image_is_found_under_its_full_name() {
    let engine = engine().await;
    let node = Container::node(&engine).await;
    let (reporter, _events) = reporter();
    let step = reporter.start("image.load/busybox", "");
    loader(&engine)
        .await
        .load(&node.0, "busybox:1", &step)
        .await
        .unwrap();
    let listed = image::on_node(&engine.docker, &node.0).await.unwrap();
    assert!(
        listed.contains_key("docker.io/library/busybox:1"),
        "{listed:?}"
    );
}

#[tokio::test]
async fn an_image_that_docker_lacks_and_an_import_that_fails_are_told_apart() {
    let engine = engine().await;
    let (reporter, _events) = reporter();
    let step = reporter.start("image.load/api", "");
    let loader = loader(&engine).await;
    let error = loader
        .load("any", "devk.local/e2e/none:1", &step)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            Code::ImageLoad,
            "Docker has no image `devk.local/e2e/none:1` to load"
        )
    );

    // A container without containerd: the pasteable command is what the reader needs.
    let no_node = Container::run(&["busybox:1", "sleep", "60"]).await;
    let error = loader
        .load(&no_node.0, "busybox:1", &step)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::ImageLoad, "{error:?}");
    assert!(
        error
            .evidence
            .iter()
            .any(|line| line.starts_with("$ docker exec")),
        "{error:?}"
    );
}

#[tokio::test]
async fn exec_passes_input_output_and_exit_code() {
    let engine = engine().await;
    let container = Container::run(&["busybox:1", "sleep", "60"]).await;
    let exec = |command: &str| Exec::new(&container.0, ["sh", "-c", command]);
    let chunks = |count: usize| {
        futures::stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[b'x'; 100_000]))))
    };

    let counted = exec("wc -c; echo note >&2")
        .run_with_input(&engine.docker, chunks(200))
        .await
        .unwrap();
    assert_eq!(
        (counted.text().trim(), counted.stderr.as_slice()),
        ("20000000", b"note\n".as_slice())
    );

    let large = exec("head -c 5000000 /dev/zero")
        .run(&engine.docker)
        .await
        .unwrap();
    assert_eq!(large.stdout.len(), 5_000_000);

    let error = exec("echo why >&2; exit 3")
        .run(&engine.docker)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::CommandFailed);
    assert_eq!(error.evidence[1], "why");

    // Dies without reading: ends at once, with the exit code, instead of waiting for the writer.
    let dies = exec("exit 4");
    let died = dies.run_with_input(&engine.docker, chunks(10_000));
    let error = tokio::time::timeout(Duration::from_secs(10), died)
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        error.message.ends_with("ended with exit code 4"),
        "{error:?}"
    );
}

#[tokio::test]
async fn ports_of_running_and_of_stopped_containers_are_claimed() {
    let engine = engine().await;
    let running = Container::run(&[
        "-p",
        "80",
        "-p",
        "127.0.0.1:28431:81",
        "busybox:1",
        "sleep",
        "60",
    ])
    .await;
    let stopped = Container::run(&[
        "-p",
        "28432-28433:90-91",
        "--label",
        "com.docker.compose.project=shop",
        "busybox:1",
        "true",
    ])
    .await;
    Cmd::new("docker")
        .args(["wait", &stopped.0])
        .run()
        .await
        .unwrap();
    let all = published_ports(&engine.docker).await.unwrap();
    let named = |id: &str| {
        let name = container_name(id);
        all.iter()
            .filter(|port| port.container == name)
            .collect::<Vec<_>>()
    };
    let of_running = named(&running.0);
    assert_eq!(of_running.len(), 2, "{of_running:?}");
    assert!(
        of_running
            .iter()
            .any(|p| p.port == 28431 && p.host_ip.as_deref() == Some("127.0.0.1") && p.running)
    );
    assert!(
        of_running
            .iter()
            .any(|p| p.port != 28431 && p.host_ip.is_none() && p.port > 1024)
    );
    let of_stopped: Vec<_> = named(&stopped.0)
        .iter()
        .map(|p| (p.port, p.running, p.compose_project.as_deref()))
        .collect();
    assert_eq!(
        of_stopped,
        [(28432, false, Some("shop")), (28433, false, Some("shop"))]
    );
}

fn container_name(id: &str) -> String {
    let output = std::process::Command::new("docker")
        .args(["inspect", "-f", "{{.Name}}", id])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .trim_start_matches('/')
        .to_owned()
}

#[tokio::test]
async fn the_engine_is_found_by_its_address() {
    let engine = engine().await;
    assert!(
        Path::new(engine.host.trim_start_matches("unix://")).exists()
            || engine.host.starts_with("tcp://")
    );
    assert!(
        engine
            .env()
            .iter()
            .any(|(key, value)| *key == "DOCKER_HOST" && *value == *engine.host)
    );
}
