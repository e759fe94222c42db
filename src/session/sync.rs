//! The session's engines: one for every image that devk builds, and one for the previous image as long as
//! containers run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use kube::Client;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::mounts::mount_places;
use crate::config::is_base;
use crate::error::{Code, Error, Result};
use crate::image;
use crate::observe::{BuiltImage, PreparedRelease};
use crate::release::manifest::Rendered;
use crate::release::namespaces;
use crate::release::pods::{self, ConfigSources, list};
use crate::release::project_pods;
use crate::sync::containers::{self, Containers};
use crate::sync::engine::{Rebuild, Settings, Surroundings, SyncEngine};
use crate::sync::pods::Pods;
use crate::sync::readiness::{Engines, SyncReadiness};
use crate::sync::rules::{Rules, Usage};
use crate::sync::status::SyncStatus;
use crate::sync::verify::Comparison;
use crate::ui;
use crate::ui::event::Reporter;

/// How long `devk verify` waits for the check of an image that Docker has.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps the containers of a session current.
#[derive(Debug)]
pub struct Syncing {
    engines: watch::Sender<Engines>,
    containers: watch::Sender<Containers>,
    pods: watch::Sender<Pods>,
    around: Surroundings,
    cancel: CancellationToken,
    /// The namespaces whose containers are watched.
    watched: BTreeSet<String>,
}

impl Syncing {
    pub fn new(
        clients: watch::Receiver<Option<Client>>,
        rebuilds: mpsc::UnboundedSender<Rebuild>,
        reporter: Reporter,
        cancel: CancellationToken,
    ) -> Self {
        let containers = watch::Sender::default();
        let progress = watch::Sender::default();
        let around = Surroundings {
            clients,
            containers: containers.subscribe(),
            rebuilds,
            progress,
            reporter,
        };
        Self {
            engines: watch::Sender::default(),
            containers,
            pods: watch::Sender::default(),
            around,
            cancel,
            watched: BTreeSet::new(),
        }
    }

    pub fn readiness(&self) -> SyncReadiness {
        SyncReadiness::new(
            self.engines.subscribe(),
            self.containers.subscribe(),
            self.around.progress.subscribe(),
        )
    }

    /// The engines as they come and go.
    pub fn engines(&self) -> watch::Receiver<Engines> {
        self.engines.subscribe()
    }

    pub fn containers(&self) -> watch::Receiver<Containers> {
        self.containers.subscribe()
    }

    pub fn pods(&self) -> watch::Receiver<Pods> {
        self.pods.subscribe()
    }

    /// Changes whenever the status of an engine may have changed.
    pub fn progress(&self) -> watch::Receiver<()> {
        self.around.progress.subscribe()
    }

    /// Until the next [`Self::follow`] every engine reports rebuilds: the image of an earlier engine may become the
    /// current one again.
    pub fn tell_all(&self) {
        let engines = self.engines.borrow();
        let running = engines.iter().filter(|engine| !engine.is_over());
        running.for_each(|engine| engine.retire(false));
    }

    /// Follows these images from now on. An engine whose image and rules are unchanged keeps its journal; an engine
    /// whose rules have changed hands its journal to its successor. Returns the images that are followed, and the
    /// errors.
    pub async fn follow(
        &mut self,
        docker: &Docker,
        project: &str,
        images: &[BuiltImage],
        releases: &[PreparedRelease],
    ) -> Vec<(String, Result<()>)> {
        let namespaces = namespaces::of(project, releases.iter().map(|release| &release.rendered));
        let is_first = self.watched.is_empty();
        let rendered = releases.iter().map(|release| &release.rendered);
        self.limit_pods(project, &namespaces, rendered);
        for namespace in &namespaces {
            if self.watched.insert(namespace.clone()) {
                let clients = self.around.clients.clone();
                let (containers, pods) = (self.containers.clone(), self.pods.clone());
                let cancel = self.cancel.clone();
                containers::watch(namespace, clients, containers, pods, cancel);
            }
        }
        if is_first {
            // Before any image is looked at again.
            if let Err(error) = image::remove_looks(docker, project).await {
                ui::log(format_args!(
                    "removing what an earlier session left: {error}"
                ));
            }
        }
        let mut now = Engines::new();
        let mut answers = vec![];
        for image in images {
            let is_base = is_base(&image.config.name, images.iter().map(|other| &other.config));
            let usage = usage(&image.target.reference(), releases);
            let rules = rules(image, is_base, &usage);
            let engine = match rules {
                Ok(rules) => self.engine(project, &namespaces, image, rules).await,
                Err(error) => Err(error),
            };
            if let Ok(engine) = &engine {
                engine.keep_mount_places(mount_places(&image.target.reference(), releases));
                engine.check(docker, image.manifest.clone());
            }
            answers.push((
                image.target.name.clone(),
                engine.map(|engine| now.push(engine)),
            ));
        }
        let failed = answers
            .iter()
            .filter(|(_, answer)| answer.is_err())
            .map(|(name, _)| name.clone())
            .collect();
        now.extend(self.superseded(&now, &failed));
        self.engines.send_replace(now);
        answers
    }

    /// Other namespaces than the project's own have pods of others, too: kube-system for a release that has a RoleBinding
    /// there.
    fn limit_pods<'a>(
        &self,
        project: &str,
        namespaces: &BTreeSet<String>,
        rendered: impl Iterator<Item = &'a Rendered>,
    ) {
        let mut own = project_pods::elsewhere(rendered, project);
        let others = namespaces.union(&self.watched);
        let others = others.filter(|namespace| *namespace != project);
        let elsewhere = others.map(|namespace| {
            let labels = own.remove(namespace).unwrap_or_default();
            (namespace.clone(), labels)
        });
        let elsewhere = elsewhere.collect();
        self.pods.send_if_modified(|pods| pods.limit(elsewhere));
    }

    /// The engines that go on beside those of `now`; `failed` names the images that have none there.
    fn superseded(&self, now: &Engines, failed: &BTreeSet<String>) -> Engines {
        let mut before = self.engines.borrow().clone();
        before.retain(|old| !now.iter().any(|new| Arc::ptr_eq(old, new)));
        before.retain(|old| {
            let Settings {
                image, reference, ..
            } = old.settings();
            let is_failed = failed.contains(image);
            // Until there is a new one, it is the one to say what has to be rebuilt.
            old.retire(!is_failed);
            // Two of one image would serve the same containers, each by its own rules.
            let is_replaced = now.iter().any(|new| new.settings().reference == *reference);
            !is_replaced && (is_failed || self.is_run(reference))
        });
        before
    }

    async fn engine(
        &self,
        project: &str,
        namespaces: &BTreeSet<String>,
        image: &BuiltImage,
        rules: Rules,
    ) -> Result<Arc<SyncEngine>> {
        let settings = Settings {
            image: image.target.name.clone(),
            project: project.to_owned(),
            namespaces: namespaces.clone(),
            reference: image.target.reference(),
            context: image.config.context.clone(),
            rules,
        };
        let known = self
            .engines
            .borrow()
            .iter()
            .find(|engine| *engine.settings() == settings)
            .cloned();
        if let Some(engine) = known {
            engine.retire(false);
            return Ok(engine);
        }
        let is_replaced = |old: &&Arc<SyncEngine>| old.settings().reference == settings.reference;
        let replaced = self.engines.borrow().iter().find(is_replaced).cloned();
        let engine = SyncEngine::start(settings, image.seen.clone(), self.around.clone()).await?;
        if let Some(replaced) = replaced {
            engine.inherit(&replaced);
        }
        Ok(Arc::new(engine))
    }

    /// A build of this image has ended, well or not.
    pub fn built(&self, reference: &str) {
        let engines = self.engines.borrow();
        engines
            .iter()
            .filter(|engine| engine.settings().reference == reference)
            .for_each(|engine| engine.built());
    }

    fn is_run(&self, reference: &str) -> bool {
        self.containers
            .borrow()
            .values()
            .any(|container| container.image == reference)
    }

    /// What compares, whoever has the session meanwhile.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            clients: self.around.clients.clone(),
            engines: self.engines.subscribe(),
            containers: self.containers.subscribe(),
        }
    }
}

/// Compares what was synced with what is in the containers.
#[derive(Clone)]
pub struct Verifier {
    clients: watch::Receiver<Option<Client>>,
    engines: watch::Receiver<Engines>,
    containers: watch::Receiver<Containers>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("containers", &self.containers)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Compares all of it as it is now.
    ///
    /// # Errors
    /// [`crate::error::Code::ClusterUnreachable`] while the cluster does not answer.
    pub async fn verify(&self) -> Result<Comparison> {
        let Some(client) = self.clients.borrow().clone() else {
            return Err(
                Error::new(Code::ClusterUnreachable, "the cluster does not answer").hint("devk up"),
            );
        };
        let engines = self.engines.borrow().clone();
        let containers = self.containers.borrow().clone();
        for engine in &engines {
            let settings = engine.settings();
            if containers
                .values()
                .any(|container| container.image == settings.reference)
            {
                let decided = timeout(CHECK_TIMEOUT, engine.decided()).await;
                decided.map_err(|_| unseen(settings))?;
            }
        }
        let verified = engines
            .iter()
            .map(|engine| engine.verify(&client, &containers));
        let mut all = Comparison::default();
        all.extend(futures::future::join_all(verified).await);
        Ok(all)
    }
}

fn unseen(Settings { image, .. }: &Settings) -> Error {
    Error::new(
        Code::SyncUnchecked,
        format!("the sync rules of image `{image}` are not checked yet"),
    )
    .evidence(
        "Docker does not have the image, so its files cannot be compared with the build context",
    )
    .hint("devk up -d")
}

/// The engines that `devk status` shows: those of earlier images only while containers run them.
pub fn status(engines: &Engines) -> Vec<SyncStatus> {
    engines
        .iter()
        .filter(|engine| !engine.is_over())
        .map(|engine| engine.status())
        .collect()
}

fn rules(image: &BuiltImage, is_base: bool, usage: &Usage) -> Result<Rules> {
    match is_base {
        // A save that came into containers would not be in the images that are built from it.
        true => Rules::none(&image.config, "other images are built from it"),
        false => Rules::read(&image.config, &image.args, usage),
    }
}

/// How the charts run an image. The first container that does counts.
fn usage(reference: &str, releases: &[PreparedRelease]) -> Usage {
    for release in releases {
        let namespace = &release.prepared.namespace;
        let stores = ConfigSources::of(&release.rendered, namespace);
        for pod in pods::pods(&release.rendered) {
            let Some(container) = pod
                .containers()
                .find(|container| container["image"] == reference)
            else {
                continue;
            };
            let words = |key: &str| {
                list(&container[key])
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            };
            let (mut command, args): (Vec<String>, Vec<String>) = (words("command"), words("args"));
            command.extend(args);
            return Usage {
                command,
                environment: stores.environment(container, &pod.manifest.namespace(namespace)),
            };
        }
    }
    Usage {
        command: vec![],
        environment: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::OnceLock;

    use bollard::API_DEFAULT_VERSION;

    use super::*;
    use crate::config::{ImageConfig, Sync, SyncRule};
    use crate::image::context::tests::{image, write};
    use crate::image::image_ref;
    use crate::sync::containers::Container;
    use crate::sync::exec::ContainerRef;
    use crate::sync::watch::Baseline;

    /// An image whose folder `app` is synced to a target.
    fn built(context: &Path, target: &str) -> BuiltImage {
        let config = image(context);
        let rule = SyncRule {
            from: "app".into(),
            to: target.to_owned(),
            run: vec![],
            exclude: vec![],
            origin: config.origin.clone(),
        };
        BuiltImage {
            config: ImageConfig {
                sync: Sync::Rules(vec![rule]),
                ..config
            },
            args: BTreeMap::new(),
            target: image_ref("shop", "api", &"0".repeat(64)),
            seen: Arc::new(Baseline::look(context, |_| true)),
            manifest: Arc::default(),
        }
    }

    /// The images of a project with one container that runs `built`.
    fn syncing(built: &BuiltImage) -> Syncing {
        let syncing = Syncing::new(
            watch::channel(None).1,
            mpsc::unbounded_channel().0,
            Reporter::default(),
            CancellationToken::new(),
        );
        let place = ContainerRef {
            namespace: "shop".into(),
            pod: "api-1".into(),
            container: "api".into(),
        };
        let container = Container {
            image: built.target.reference(),
            ..Container::of_test(place)
        };
        syncing
            .containers
            .send_replace([("containerd://a".to_owned(), container)].into());
        syncing
    }

    fn context() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("Dockerfile", "FROM x\n"), ("app/x", "old")]);
        dir
    }

    /// Waits until an engine has taken down one path.
    async fn noted(engine: &SyncEngine) {
        let noted = async {
            while engine.status().paths != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
        };
        timeout(Duration::from_secs(5), noted).await.unwrap();
    }

    /// Follows an image whose Engine takes connections and never answers, so that no rule is ever checked: what is saved is
    /// taken down, and waits.
    async fn follow(syncing: &mut Syncing, built: BuiltImage) -> Result<()> {
        static ENGINE: OnceLock<TcpListener> = OnceLock::new();
        let engine = ENGINE.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let host = format!("tcp://{}", engine.local_addr().unwrap());
        let docker = Docker::connect_with_http(&host, 60, API_DEFAULT_VERSION).unwrap();
        // Nothing of an earlier session is removed first.
        syncing.watched.insert("shop".to_owned());
        let mut followed = syncing.follow(&docker, "shop", &[built], &[]).await;
        followed.remove(0).1
    }

    #[tokio::test]
    async fn an_engine_with_other_rules_takes_the_place_of_the_one_before_and_all_that_it_had_synced()
     {
        let dir = context();
        let one = built(dir.path(), "/one");
        let mut syncing = syncing(&one);
        follow(&mut syncing, one).await.unwrap();
        let before = syncing.engines.borrow()[0].clone();
        write(dir.path(), &[("app/x", "new")]);
        noted(&before).await;
        // The tree has what the image has again, and the container may not.
        write(dir.path(), &[("app/x", "old")]);
        follow(&mut syncing, built(dir.path(), "/two"))
            .await
            .unwrap();
        let engines = syncing.engines.borrow().clone();
        let roots: Vec<_> = engines
            .iter()
            .map(|engine| engine.settings().rules.roots())
            .collect();
        assert_eq!(roots, [["/two"]]);
        noted(&engines[0]).await;
    }

    #[test]
    fn pods_of_a_namespace_where_a_release_has_but_a_role_binding_do_not_count() {
        let text = "kind: RoleBinding\nmetadata: {name: reader, namespace: kube-system}\n";
        let rendered = Rendered::parse(text).unwrap();
        let syncing = syncing(&built(Path::new("/nowhere"), "/one"));
        let namespaces = namespaces::of("shop", [&rendered]);
        syncing.limit_pods("shop", &namespaces, [&rendered].into_iter());
        let pod = |name: &str| {
            let metadata = serde_json::json!({"metadata": {"name": name}});
            Arc::new(serde_json::from_value(metadata).unwrap())
        };
        syncing.pods.send_modify(|pods| {
            pods.take("kube-system", &[pod("coredns")]);
            pods.take("shop", &[pod("api")]);
        });
        let pods = syncing.pods().borrow().clone();
        let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["api"]);
    }

    #[tokio::test]
    async fn the_engine_of_an_image_that_cannot_be_followed_anew_goes_on() {
        let dir = context();
        let one = built(dir.path(), "/one");
        let mut syncing = syncing(&one);
        follow(&mut syncing, one).await.unwrap();
        syncing.containers.send_replace(Containers::new());
        let mut broken = built(dir.path(), "/two");
        broken.config.context = dir.path().join("nowhere");
        follow(&mut syncing, broken).await.unwrap_err();
        assert_eq!(status(&syncing.engines.borrow()).len(), 1);
    }
}
