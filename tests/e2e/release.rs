//! Releases against a real helm and a real cluster: upgrades, crashes, hooks, interruptions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devk::config::{
    ClusterConfig, GeneratedSecret, Generator, Origin, Project, Provider, ReleaseConfig,
    ReleaseSource,
};
use devk::environment::Environment;
use devk::error::{Code, Error};
use devk::image;
use devk::paths::Paths;
use devk::release::capabilities::Capabilities;
use devk::release::helm::Helm;
use devk::release::install::InstallTarget;
use devk::release::installed::installed;
use devk::release::manifest::Rendered;
use devk::release::secrets::Secrets;
use devk::release::{Prepared, ValuesContext, prepare, readiness, render};
use devk::ui::event::{Reporter, Step};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::broadcast::Receiver;

use super::support::machine::{CLUSTER, cluster};

/// What the chart runs.
const BUSYBOX: &str = "busybox:1.36";

const CHART: &str = include_str!("fixtures/release.yaml");

/// A project with one chart in a namespace of its own, removed with the test.
struct Bench {
    dir: tempfile::TempDir,
    project: Project,
    client: kube::Client,
    kubeconfig: PathBuf,
    events: Receiver<devk::ui::event::Event>,
    step: Step,
}

impl Bench {
    async fn new(name: &str) -> Self {
        let kubeconfig = cluster().kubeconfig(CLUSTER);
        let client = devk::cluster::client::client(&kubeconfig).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let reporter = Reporter::default();
        let events = reporter.subscribe();
        let step = reporter.start("release.ready/shop", "");
        bring_busybox(&step).await;
        let bench = Self {
            project: project(dir.path(), name),
            dir,
            client,
            kubeconfig,
            events,
            step,
        };
        bench.write(
            "chart/Chart.yaml",
            "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
        );
        bench.write(
            "chart/values.yaml",
            "script: sleep 3600\nport: 80\nmemory: 64Mi\n",
        );
        bench.write("chart/templates/all.yaml", CHART);
        bench.namespace(name).await;
        bench
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn set(&mut self, key: &str, value: impl Into<serde_json::Value>) {
        self.project.releases[0].set[key] = value.into();
    }

    /// A fresh namespace, even if a failed run left one of that name.
    async fn namespace(&self, name: &str) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if namespaces
            .delete(name, &DeleteParams::background())
            .await
            .is_ok()
        {
            while namespaces.get_opt(name).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn prepare(&self) -> Prepared {
        let paths = self.paths();
        let mut secrets =
            Secrets::load(&paths.project(&self.project.id).join("secrets.json")).unwrap();
        let release = &self.project.releases[0];
        let helm = Helm::find(&Environment::of_process()).unwrap();
        let given = ValuesContext {
            images: &[],
            resolve: &|t: &str, _: &Path| Ok(t.to_owned()),
            decided: &[],
        };
        prepare(&self.project, release, &given, &mut secrets, &helm, &paths)
            .await
            .unwrap()
    }

    fn paths(&self) -> Paths {
        let root = self.dir.path();
        Paths::below(root)
    }

    async fn render(&self) -> Result<Rendered, Error> {
        render::render(
            &self.prepare().await,
            &Helm::find(&Environment::of_process()).unwrap(),
            &Capabilities::default(),
            &self.paths().cache,
        )
        .await
        .map(|rendering| rendering.rendered)
    }

    async fn apply(&self) -> Result<u32, Error> {
        let state = self.paths().project(&self.project.id);
        let target = InstallTarget {
            client: &self.client,
            kubeconfig: &self.kubeconfig,
            state: &state,
        };
        Helm::find(&Environment::of_process())
            .unwrap()
            .apply(
                &self.prepare().await,
                &self.render().await.unwrap(),
                &target,
                &self.step,
            )
            .await
    }

    async fn wait(&self, seconds: u64) -> Result<(), Error> {
        let workloads = self.render().await.unwrap().workloads(&self.project.id);
        let timeout = Duration::from_secs(seconds);
        readiness::wait_ready(
            &self.client,
            &self.project.id,
            &workloads,
            timeout,
            &self.step,
        )
        .await
    }

    /// Drops an apply half-way, as Ctrl-C does: helm is killed and leaves its revision pending.
    async fn interrupt(&self) {
        let pending = async {
            while !installed(&self.client, &self.project.id, "shop")
                .await
                .unwrap()
                .is_some_and(|i| i.is_pending())
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            result = self.apply() => panic!("the hook should hold helm: {result:?}"),
            () = pending => {}
        }
    }

    async fn is_current(&self) -> bool {
        let found = installed(&self.client, &self.project.id, "shop")
            .await
            .unwrap();
        found.is_some_and(|found| {
            found.is_current(&futures::executor::block_on(self.prepare()).inputs)
        })
    }

    /// What was said so far.
    /// What the step's events showed: their texts, and the evidence of what went wrong on the way.
    fn said(&mut self) -> String {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        let lines = events.flat_map(|event| {
            let evidence = event.error.map(|error| error.evidence).unwrap_or_default();
            std::iter::once(event.detail).chain(evidence)
        });
        lines.map(|line| line + "\n").collect()
    }

    async fn end(self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces
            .delete(&self.project.id, &DeleteParams::background())
            .await
            .unwrap();
        self.step.done("");
    }
}

/// Where Docker has it, the node may have no registry to pull it from.
async fn bring_busybox(step: &Step) {
    let docker = super::engine().await.docker;
    let node = format!("{CLUSTER}-control-plane");
    let on_node = image::on_node(&docker, &node)
        .await
        .unwrap()
        .contains_key(&image::normalise(BUSYBOX));
    if !on_node && image::present(&docker, BUSYBOX).await.unwrap().is_some() {
        let cache = tempfile::tempdir().unwrap();
        let loader = image::Loader::new(&docker, cache.path()).await.unwrap();
        loader.load(&node, BUSYBOX, step).await.unwrap();
    }
}

fn project(root: &Path, name: &str) -> Project {
    let origin = Origin {
        file: root.join("devk.yaml"),
        line: 1,
    };
    let release = ReleaseConfig {
        name: "shop".into(),
        source: ReleaseSource::Chart(root.join("chart")),
        values: Vec::new(),
        set: json!({}),
        images: Default::default(),
        generate: [(
            "password".to_owned(),
            GeneratedSecret {
                generator: Generator::Hex(32),
                paths: vec!["password".to_owned()],
            },
        )]
        .into(),
        timeout: Duration::from_secs(60),
        replace_jobs: false,
        origin,
    };
    Project {
        name: name.into(),
        id: name.into(),
        worktree: None,
        root: root.to_owned(),
        file: root.join("devk.yaml"),
        cluster: ClusterConfig::new(Provider::Existing, "test"),
        compose: None,
        images: Vec::new(),
        releases: vec![release],
        forwards: None,
        allow: devk::config::Allow::default(),
        bridge: None,
        check: Default::default(),
        ask: Default::default(),
        tests: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_release_is_current_until_somebody_touches_it() {
    let mut bench = Bench::new("rel-current").await;
    assert_eq!(bench.apply().await.unwrap(), 1);
    bench.wait(60).await.unwrap();
    assert!(bench.is_current().await);

    bench.set("port", 81);
    assert!(!bench.is_current().await);
    assert_eq!(bench.apply().await.unwrap(), 2);
    assert!(bench.is_current().await);

    // By hand: labels are inherited, the revision counts on.
    let rollback = [
        "rollback",
        "shop",
        "1",
        "--namespace",
        "rel-current",
        "--kubeconfig",
    ];
    devk::process::Cmd::new("helm")
        .args(rollback)
        .arg(&bench.kubeconfig)
        .run()
        .await
        .unwrap();
    assert!(!bench.is_current().await);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_by_hand_does_not_block_the_next_upgrade() {
    let mut bench = Bench::new("rel-patch").await;
    bench.apply().await.unwrap();
    let services: Api<k8s_openapi::api::core::v1::Service> =
        Api::namespaced(bench.client.clone(), "rel-patch");
    let patch = Patch::Strategic(json!({"spec": {"ports": [{"port": 80, "targetPort": 1234}]}}));
    services
        .patch(
            "api",
            &PatchParams {
                field_manager: Some("kubectl-patch".into()),
                ..Default::default()
            },
            &patch,
        )
        .await
        .unwrap();
    bench.set("script", "sleep 3601");
    bench.apply().await.unwrap();
    let port = services
        .get("api")
        .await
        .unwrap()
        .spec
        .unwrap()
        .ports
        .unwrap()[0]
        .clone();
    assert_eq!(serde_json::to_value(port.target_port).unwrap(), json!(80));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_explained_and_forgiven_and_a_crash_loop_is_not() {
    let mut bench = Bench::new("rel-crash").await;
    bench.set("script", "echo no database; exit 3");
    bench.apply().await.unwrap();
    let error = bench.wait(120).await.unwrap_err();
    assert_eq!(error.code, Code::ReleaseNotReady);
    assert!(error.message.contains("exit code 3"), "{error}");
    assert!(
        error.evidence.iter().any(|line| line == "| no database"),
        "{:?}",
        error.evidence
    );
    assert_eq!(error.hint.as_deref(), Some("devk logs api"));
    assert_eq!(
        bench.said().matches("no database").count(),
        1,
        "explained once"
    );

    // The pods of the broken version still loop: they say nothing about the new one.
    bench.set(
        "script",
        "[ -e /data/x ] && sleep 3600; touch /data/x; echo first run; exit 4",
    );
    bench.apply().await.unwrap();
    bench.wait(120).await.unwrap();
    assert!(bench.said().contains("| first run"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_other_than_crashes_are_named() {
    let mut bench = Bench::new("rel-kinds").await;
    bench.set("image", "devk.local/rel/api:0");
    bench.apply().await.unwrap();
    let error = bench.wait(60).await.unwrap_err();
    assert!(
        error
            .message
            .contains("has no image `devk.local/rel/api:0`"),
        "{error}"
    );

    bench.set("image", "busybox:1.36");
    bench.set("secret", "nowhere");
    bench.apply().await.unwrap();
    let error = bench.wait(60).await.unwrap_err();
    assert!(
        error.message.contains("secret \"nowhere\" not found"),
        "{error}"
    );

    bench.set("secret", "");
    bench.set("script", "tail /dev/zero");
    bench.set("memory", "16Mi");
    bench.apply().await.unwrap();
    let error = bench.wait(120).await.unwrap_err();
    assert!(error.message.contains("out of memory"), "{error}");

    bench.set("memory", "900Gi");
    bench.apply().await.unwrap();
    let error = bench.wait(10).await.unwrap_err();
    assert!(error.message.contains("fits on no node"), "{error}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_hook_shows_its_log() {
    let mut bench = Bench::new("rel-hook").await;
    bench.set("hook", "echo migration broke; exit 1");
    let error = bench.apply().await.unwrap_err();
    assert_eq!(error.code, Code::ReleaseApply);
    assert!(
        error
            .evidence
            .iter()
            .any(|line| line.contains("| migration broke")),
        "{:?}",
        error.evidence
    );
    bench.set("hook", "true");
    bench.apply().await.unwrap();
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upgrade_is_cleaned_up_and_a_foreign_one_is_not() {
    let mut bench = Bench::new("rel-kill").await;
    bench.set("hook", "sleep 3600");
    bench.interrupt().await;
    let pending = installed(&bench.client, "rel-kill", "shop")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pending.status, "pending-install");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(bench.client.clone(), "rel-kill");
    let volumes = claims
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .len();

    bench.set("hook", "");
    bench.apply().await.unwrap();
    bench.wait(60).await.unwrap();
    assert!(
        claims
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
            >= volumes
    );
    assert!(bench.said().contains("cleaning up revision 1"));

    // Now a pending revision that devk did not begin.
    bench.set("hook", "sleep 3600");
    bench.interrupt().await;
    std::fs::remove_file(bench.paths().project("rel-kill").join("helm-shop.json")).unwrap();
    let error = bench.apply().await.unwrap_err();
    assert_eq!(error.code, Code::ReleaseBusy, "{error}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_on_no_command_line_and_uninstall_twice_is_fine() {
    let mut bench = Bench::new("rel-secret").await;
    bench.set("port", "not a number");
    let error = bench.apply().await.unwrap_err();
    bench.set("port", 80);
    bench.apply().await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), "rel-secret");
    let password = secrets
        .get("api")
        .await
        .unwrap()
        .data
        .unwrap()
        .remove("password")
        .unwrap()
        .0;
    let password = String::from_utf8(password).unwrap();
    assert_eq!(password.len(), 32);
    assert!(!format!("{error:?}").contains(&password));

    let state = bench.paths().project("rel-secret");
    let target = InstallTarget {
        client: &bench.client,
        kubeconfig: &bench.kubeconfig,
        state: &state,
    };
    for _ in 0..2 {
        Helm::find(&Environment::of_process())
            .unwrap()
            .uninstall("shop", "rel-secret", &target)
            .await
            .unwrap();
    }
    assert_eq!(
        installed(&bench.client, "rel-secret", "shop")
            .await
            .unwrap(),
        None
    );
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn render_errors_point_into_the_users_chart() {
    let bench = Bench::new("rel-render").await;
    bench.write(
        "chart/templates/bad.yaml",
        "a: 1\nb: {{ .Values.nothing.here }}\n",
    );
    let error = bench.render().await.unwrap_err();
    assert_eq!((error.code, error.line), (Code::ChartRender, Some(2)));
    assert_eq!(
        error.file,
        Some(bench.dir.path().join("chart/templates/bad.yaml"))
    );
    bench.end().await;
}
