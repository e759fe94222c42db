//! A pod of a generated image, with mounts above, below and at what the image copied, and the engine that syncs into it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devk::image::ContextManifest;
use devk::sync::containers::{self, Containers};
use devk::sync::engine::{Rebuild, Settings, Surroundings, SyncEngine};
use devk::sync::pods::Pods;
use devk::sync::rules::{Rules, Usage};
use devk::sync::status::SyncStatus;
use devk::sync::watch::Baseline;
use devk::ui::event::Reporter;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Case;
use super::dockerfile::Random;
use crate::support::machine::{CLUSTER, NODE, cluster, run};

pub(super) const NAMESPACE: &str = "generated-dockerfiles";
/// A pod, a save, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// What each mount holds before anything is saved.
const KEPT: &str = "kept";

/// The containers of a pod: one without mounts, and one for each kind of mount.
const CONTAINERS: [&str; 4] = ["plain", "above", "below", "file"];

/// Every file of a container or an image with a token, by token and path: owner and permission bits.
pub(super) type Holders = BTreeMap<String, BTreeMap<PathBuf, (String, u32)>>;

/// The way to the cluster.
pub(super) struct Ground {
    kubeconfig: PathBuf,
    /// The container of its only node.
    pub(super) node: String,
    client: kube::Client,
    /// For as long as it stands, the watches of `clients` go on.
    _client: watch::Sender<Option<kube::Client>>,
    clients: watch::Receiver<Option<kube::Client>>,
    containers: watch::Receiver<Containers>,
    cancel: CancellationToken,
}

impl Ground {
    pub(super) async fn new() -> Self {
        let variables = ["DEVK_E2E_KUBECONFIG", "DEVK_E2E_KUBE_NODE"].map(std::env::var);
        let (kubeconfig, node) = match variables {
            [Ok(kubeconfig), Ok(node)] => (kubeconfig.into(), node),
            _ => (cluster().kubeconfig(CLUSTER), NODE.to_owned()),
        };
        let client = devk::cluster::client::client(&kubeconfig).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = json!({"metadata": {"name": NAMESPACE}});
        let namespace = serde_json::from_value(namespace).unwrap();
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let map = json!({"metadata": {"name": "settings"}, "data": {"x": KEPT}});
        let map = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
        let (_client, clients) = watch::channel(Some(client.clone()));
        let (sender, containers) = watch::channel(Containers::new());
        let cancel = CancellationToken::new();
        let pods = watch::Sender::<Pods>::default();
        containers::watch(NAMESPACE, clients.clone(), sender, pods, cancel.clone());
        Self {
            kubeconfig,
            node,
            client,
            _client,
            clients,
            containers,
            cancel,
        }
    }

    pub(super) async fn end(self) {
        self.cancel.cancel();
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces
            .delete(NAMESPACE, &DeleteParams::default())
            .await
            .unwrap();
    }
}

/// Where the containers of a pod have mounts, by the container's name.
pub(super) type MountPoints = BTreeMap<&'static str, PathBuf>;

/// Mounts above, below and at what was copied; not at `/etc`, where the kubelet adds files of its own.
pub(super) fn mount_points(copied: &Holders, random: &mut Random) -> MountPoints {
    let places: BTreeSet<_> = copied.values().flat_map(BTreeMap::keys).collect();
    let places: Vec<_> = places.into_iter().collect();
    let folders = places.iter().flat_map(|place| place.ancestors().skip(1));
    let mut folders: Vec<_> = folders
        .filter(|folder| folder.parent().is_some() && *folder != Path::new("/etc"))
        .collect();
    folders.sort_by_key(|folder| folder.components().count());
    folders.dedup();
    let mut points = MountPoints::new();
    if let (Some(above), false) = (folders.first(), places.is_empty()) {
        let deep = folders[folders.len() / 2..][random.below(folders.len().div_ceil(2))];
        points.insert("above", above.to_path_buf());
        points.insert("below", deep.to_owned());
        points.insert("file", places[random.below(places.len())].clone());
    }
    points
}

/// A pod, and the engine of its image.
pub(super) struct Running<'a> {
    ground: &'a Ground,
    name: String,
    points: MountPoints,
    engine: Arc<SyncEngine>,
    rebuilds: mpsc::UnboundedReceiver<Rebuild>,
}

impl<'a> Running<'a> {
    pub(super) async fn start(
        ground: &'a Ground,
        docker: &bollard::Docker,
        case: &Case,
        built: (&str, ContextManifest, Arc<Baseline>),
        points: MountPoints,
    ) -> Self {
        let (reference, manifest, baseline) = built;
        let name = reference.rsplit(':').next().unwrap().to_owned();
        let pods: Api<Pod> = Api::namespaced(ground.client.clone(), NAMESPACE);
        let pod = serde_json::from_value(pod(&name, reference, &points)).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        let rules = Rules::read(&case.image, &case.image.args, &Usage::default()).unwrap();
        let settings = Settings {
            image: "api".to_owned(),
            project: super::PROJECT.to_owned(),
            namespaces: [NAMESPACE.to_owned()].into(),
            reference: reference.to_owned(),
            context: case.image.context.clone(),
            rules,
        };
        let (sender, rebuilds) = mpsc::unbounded_channel();
        let around = Surroundings {
            clients: ground.clients.clone(),
            containers: ground.containers.clone(),
            rebuilds: sender,
            progress: watch::Sender::default(),
            reporter: Reporter::default(),
        };
        let engine = Arc::new(SyncEngine::start(settings, baseline, around).await.unwrap());
        engine.check(docker, Arc::new(manifest));
        let running = Self {
            ground,
            name,
            points,
            engine,
            rebuilds,
        };
        running
            .until("the containers do not run", |status| {
                let is_known = |c: &devk::sync::status::ContainerStatus| {
                    c.refused.is_some() || c.serving.is_some()
                };
                status.containers.len() == CONTAINERS.len()
                    && status.containers.iter().all(is_known)
            })
            .await;
        for (container, point) in running
            .points
            .iter()
            .filter(|(container, _)| **container != "file")
        {
            let keep = format!("echo {KEPT} >'{}/kept'", point.display());
            running.exec(container, &keep).await;
        }
        running
    }

    async fn until(&self, what: &str, is_so: impl Fn(&SyncStatus) -> bool) {
        let began = Instant::now();
        while !is_so(&self.engine.status()) {
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {:?}",
                self.engine.status()
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until every save has come to where it goes. The answer is what is asked to be built; None is all.
    pub(super) async fn settled(&mut self) -> Option<BTreeSet<PathBuf>> {
        // What is gone is believed after a moment.
        tokio::time::sleep(Duration::from_millis(600)).await;
        self.until("the saves do not settle", |status| {
            let has_all = |c: &devk::sync::status::ContainerStatus| {
                c.refused.is_some() || (c.generation == status.generation && c.trouble.is_none())
            };
            status.undecided == 0 && status.containers.iter().all(has_all)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut built = BTreeSet::new();
        while let Ok(rebuild) = self.rebuilds.try_recv() {
            built.insert(rebuild.path?);
        }
        Some(built)
    }

    /// What a container has, mounts left out.
    pub(super) async fn holders(&self, container: &str) -> Holders {
        const LIST: &str = "find / -xdev -type f -size -100k -exec grep -lE '<7[0-9]{5}>' {} + | while read -r f; do \
            printf '%s %s %s\\n' \"$(stat -c '%u:%g %a' \"$f\")\" \"$(grep -aoE '<7[0-9]{5}>' \"$f\" | head -n 1)\" \"$f\"; done";
        let mut found = Holders::new();
        for line in self.exec(container, LIST).await.lines() {
            let mut fields = line.splitn(4, ' ');
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (owner, mode, token, path) = (next(), next(), next(), next());
            let made = (owner, u32::from_str_radix(&mode, 8).unwrap() & 0o777);
            found.entry(token).or_default().insert(path.into(), made);
        }
        found
    }

    /// What is mounted holds what it held.
    pub(super) async fn assert_kept(&self, told: &str) {
        for (container, point) in &self.points {
            let list = format!(
                "cd '{0}' 2>/dev/null && find . -type f && cat kept || cat '{0}'",
                point.display()
            );
            let listed = self.exec(container, &list).await;
            let expected = match *container {
                "file" => KEPT.to_owned(),
                _ => format!("./kept\n{KEPT}\n"),
            };
            assert_eq!(
                listed, expected,
                "a mount was written: {container} {point:?}\n{told}"
            );
        }
    }

    pub(super) fn mount(&self, container: &str) -> Option<&Path> {
        self.points.get(container).map(PathBuf::as_path)
    }

    pub(super) fn points(&self) -> &MountPoints {
        &self.points
    }

    pub(super) fn containers(&self) -> [&'static str; 4] {
        CONTAINERS
    }

    /// The paths that are told to be covered by a mount of the container.
    pub(super) fn covered(&self, container: &str) -> BTreeSet<PathBuf> {
        let status = self.engine.status();
        let of = status
            .containers
            .iter()
            .filter(|c| c.container == container);
        of.flat_map(|c| &c.covered)
            .map(|covered| covered.path.clone())
            .collect()
    }

    /// Why nothing can be synced into the container.
    pub(super) fn refused(&self, container: &str) -> Option<String> {
        let status = self.engine.status();
        let mut of = status
            .containers
            .iter()
            .filter(|c| c.container == container);
        of.find_map(|c| c.refused.clone())
    }

    async fn exec(&self, container: &str, script: &str) -> String {
        let words = [
            "-n", NAMESPACE, "exec", &self.name, "-c", container, "--", "sh", "-c", script,
        ];
        let words = words.map(str::to_owned);
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(&self.ground.kubeconfig)
            .args(words);
        let run = move || run(&mut kubectl);
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    pub(super) async fn end(self) {
        let pods: Api<Pod> = Api::namespaced(self.ground.client.clone(), NAMESPACE);
        let params = DeleteParams::default().grace_period(0);
        pods.delete(&self.name, &params).await.unwrap();
    }
}

fn pod(name: &str, reference: &str, points: &MountPoints) -> Value {
    let container = |container: &&'static str| {
        let mounts: Vec<_> = points
            .get(*container)
            .map(|point| match *container {
                "file" => json!({"name": "settings", "mountPath": point, "subPath": "x"}),
                _ => json!({"name": container, "mountPath": point}),
            })
            .into_iter()
            .collect();
        json!({"name": container, "image": reference, "imagePullPolicy": "Never", "volumeMounts": mounts})
    };
    let containers: Vec<_> = CONTAINERS.iter().map(container).collect();
    json!({
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": containers,
            "volumes": [
                {"name": "above", "emptyDir": {}},
                {"name": "below", "emptyDir": {}},
                {"name": "settings", "configMap": {"name": "settings"}},
            ],
        },
    })
}
