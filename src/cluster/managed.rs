//! The part of a cluster that is the same for every provider: one devk at a time changes the cluster, devk pins the
//! cluster before it writes to it, and uses a private kubeconfig.

mod create;
mod end;

use std::path::PathBuf;
use std::sync::Arc;

use super::creation::{self, Creation};
use super::nodes::{self, Node};
use super::pin::{self, Pin};
use super::provider::of_provider;
use super::tool::Tool;
use super::{Access, Cluster, End, State, client, kind, runtime};
use crate::config::{ClusterConfig, Provider};
use crate::docker::{Engine, Identity};
use crate::error::{Code, Error, Result};
use crate::paths::{Lock, Paths, refused, write_atomic};
use crate::shell::quote;
use crate::ui::event::Step;

/// The lock of a cluster: one devk at a time may change the cluster, together with the programs that this devk started.
#[derive(Debug)]
pub struct ClusterLock(#[expect(dead_code, reason = "held until the guard is dropped")] Lock);

/// The cluster of a project.
#[derive(Debug, Clone)]
pub struct ManagedCluster {
    pub engine: Engine,
    pub name: String,
    provider: Provider,
    /// The node image that devk.yaml names.
    image: Option<String>,
    /// `<state>/clusters/<folder>`.
    dir: PathBuf,
    cluster: Arc<dyn Cluster>,
}

impl ManagedCluster {
    /// The cluster that devk.yaml names.
    pub fn of(engine: &Engine, config: &ClusterConfig, paths: &Paths) -> Self {
        let engine = engine.clone();
        let dir = paths.cluster(&config.folder());
        let cluster = of_provider(engine.clone(), config.clone(), dir.clone());
        Self {
            engine,
            name: config.name.clone(),
            provider: config.provider,
            image: config.image.clone(),
            dir,
            cluster,
        }
    }

    /// It is an existing cluster of the user: devk neither creates nor removes it, and waits for no start of it.
    pub fn is_existing(&self) -> bool {
        self.provider == Provider::Existing
    }

    /// It is an existing cluster on which devk has never worked.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn is_untouched(&self) -> Result<bool> {
        Ok(self.is_existing() && pin::load(&self.dir)?.is_none())
    }

    /// Checks that the program or the context is there that creating or adopting the cluster takes.
    ///
    /// # Errors
    /// [`Code::ToolMissing`], [`Code::ClusterContext`].
    pub async fn provided(&self) -> Result<()> {
        match Tool::of(self.provider) {
            Some(tool) => tool.find(&self.engine).map(drop),
            None => self.cluster.kubeconfig().await.map(drop),
        }
    }

    /// A client for looking at a cluster before it is pinned; nothing may be written through it.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`], and as [`Cluster::kubeconfig`].
    pub async fn reader(&self) -> Result<kube::Client> {
        client::client_of(
            &self.cluster.kubeconfig().await?,
            &format!("cluster `{}`", self.name),
        )
        .await
    }

    /// The version of Kubernetes that a new cluster would have, `v1.36.3`, by the tag of its node image. None: the
    /// provider decides.
    ///
    /// # Errors
    /// [`Code::DockerRequest`].
    pub async fn version_to_be(&self) -> Result<Option<String>> {
        let image = match self.provider {
            Provider::Kind => kind::node_image(&self.engine, self.image.as_deref()).await?,
            Provider::K3d => self.image.clone(),
            // The image of minikube's node is that of its system, not of Kubernetes.
            Provider::Minikube | Provider::Existing => None,
        };
        Ok(image.as_deref().and_then(nodes::version_of))
    }

    /// The nodes to bring images to: none where they have Docker's own. None if Docker cannot bring them any.
    ///
    /// # Errors
    /// As [`Self::reader`]; [`Code::DockerRequest`].
    pub async fn within_reach(&self, nodes: Vec<Node>) -> Result<Option<Vec<Node>>> {
        let has_own = self.is_existing() && nodes.is_empty();
        let is_lost =
            has_own && !runtime::run_on(&self.engine.docker, &self.reader().await?).await?;
        Ok((!is_lost).then_some(nodes))
    }

    /// The private kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Waits until no other devk works on this cluster, nor a program that a killed one left running.
    /// `waiting` is called if the lock is not free at once.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn lock(&self, waiting: impl FnOnce()) -> Result<ClusterLock> {
        let file = self.dir.join("lock");
        let io = |e: std::io::Error| refused("lock", &file, &e);
        let lock = Lock::take(&file, waiting).await.map_err(io)?;
        lock.inherit().map_err(io)?;
        Ok(ClusterLock(lock))
    }

    /// The state of the cluster.
    ///
    /// # Errors
    /// [`Code::ClusterPin`] if devk knows a cluster of this name on another Engine; as [`Cluster::state`].
    pub async fn state(&self) -> Result<State> {
        let state = self.cluster.state().await?;
        if self.is_existing() {
            return Ok(state);
        }
        let creation = creation::load(&self.dir);
        let nodes = state.clone().nodes();
        self.on_its_engine(creation.as_ref(), &nodes).await?;
        let is_half_made = match creation {
            Some(creation) => creation.made(&nodes, &self.engine, &self.dir).await?,
            None => false,
        };
        Ok(if is_half_made { State::HalfMade } else { state })
    }

    /// The recorded state of a cluster does not apply to a cluster of the same name on another Engine. The pinned node
    /// is on one Engine alone, whatever ID that Engine reports; only where the node is missing is the Engine asked.
    async fn on_its_engine(&self, creation: Option<&Creation>, nodes: &[Node]) -> Result<()> {
        // A damaged pin is reported where the pin is needed.
        let pinned = || {
            pin::load(&self.dir)
                .ok()
                .flatten()
                .filter(|pin| pin.node != self.node(nodes))?
                .engine
        };
        let Some(kept) = creation.map_or_else(pinned, |creation| creation.engine.clone()) else {
            return Ok(());
        };
        if self.engine.is(&kept).await? {
            return Ok(());
        }
        Err(self.elsewhere(&kept, self.engine.id().await?))
    }

    fn elsewhere(&self, kept: &Identity, id: &str) -> Error {
        let message = format!(
            "cluster `{}` is on another Docker Engine than the one that answers",
            self.name
        );
        // Another Engine at the same address: Docker was installed again.
        let choose = match kept.host == self.engine.host {
            true => "name another cluster (`cluster: {name: …}` in devk.yaml)".to_owned(),
            false => format!(
                "choose that Engine: `docker context use NAME`, or export DOCKER_HOST={}; or name another cluster \
                 (`cluster: {{name: …}}` in devk.yaml)",
                quote(&kept.host)
            ),
        };
        let id = if id.is_empty() { "without an ID" } else { id };
        Error::new(Code::ClusterPin, message)
            .evidence(format!("devk's: Engine {} at {}", kept.id, kept.host))
            .evidence(format!("found:  Engine {id} at {}", self.engine.host))
            .hint(format!(
                "{choose}; if that Engine is gone for good: rm -r {}",
                quote(&self.dir)
            ))
    }

    /// The node containers, running or not, control plane first.
    ///
    /// # Errors
    /// As [`Cluster::state`].
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        self.cluster.state().await.map(State::nodes)
    }

    /// Access to a running cluster that is pinned already; None if it has to be adopted first, or if devk's copy of
    /// the kubeconfig was lost.
    /// Writes only the private copy of a kubeconfig that has changed, and fields that a pin of an older devk lacks.
    ///
    /// # Errors
    /// [`Code::ClusterPin`] if another cluster answers, [`Code::ClusterUnreachable`].
    pub async fn pinned(&self, nodes: &[Node]) -> Result<Option<Access>> {
        let Some(pin) = pin::load(&self.dir)?.filter(|pin| pin.node == self.node(nodes)) else {
            return Ok(None);
        };
        if self.is_existing() {
            return self.pinned_by(pin, nodes).await.map(Some);
        }
        if !client::is_whole(&self.kubeconfig()).await {
            return Ok(None);
        }
        let client = client::client(&self.kubeconfig()).await?;
        pin::check(&pin, &self.name, &self.dir, &pin::uid(&client).await?, None)?;
        if pin.engine.is_none() {
            // Nothing depends on it yet; a failure is tried again at the next use.
            let _ = self.complete(&pin).await;
        }
        Ok(Some(Access {
            client,
            nodes: nodes.to_vec(),
            pin,
        }))
    }

    /// Records the Engine in the pin, unless another devk works on the cluster and may pin it again.
    async fn complete(&self, pin: &Pin) -> Result<()> {
        let file = self.dir.join("lock");
        let Some(_turn) = Lock::try_take(&file).map_err(|e| refused("lock", &file, &e))? else {
            return Ok(());
        };
        let engine = Some(self.engine.identity().await?.0);
        match pin::load(&self.dir)? {
            Some(now) if now == *pin => pin::save(&self.dir, &Pin { engine, ..now }),
            _ => Ok(()),
        }
    }

    /// By the user's kubeconfig as it is now: credentials change. Only one that leads to the pinned cluster is kept.
    async fn pinned_by(&self, pin: Pin, nodes: &[Node]) -> Result<Access> {
        let kubeconfig = self.cluster.kubeconfig().await?;
        let what = format!("cluster `{}`", self.name);
        let client = client::client_of(&kubeconfig, &what).await?;
        let endpoint = client::endpoint_of(&kubeconfig, &what).await?;
        pin::check(
            &pin,
            &self.name,
            &self.dir,
            &pin::uid(&client).await?,
            Some(&endpoint),
        )?;
        if std::fs::read_to_string(self.kubeconfig()).ok().as_ref() != Some(&kubeconfig) {
            write_atomic(&self.kubeconfig(), kubeconfig.as_bytes(), 0o600)?;
        }
        Ok(Access {
            client,
            nodes: nodes.to_vec(),
            pin,
        })
    }

    /// The control-plane container as the pin records it; empty for an existing cluster.
    fn node(&self, nodes: &[Node]) -> String {
        if self.is_existing() {
            String::new()
        } else {
            nodes::control_plane(nodes)
        }
    }

    /// These nodes are those of the cluster that devk pinned, whether or not they run.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn is_pinned(&self, nodes: &[Node]) -> Result<bool> {
        Ok(pin::load(&self.dir)?.is_some_and(|pin| pin.node == self.node(nodes)))
    }

    /// These nodes are pinned, and devk has made them.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn is_made(&self, nodes: &[Node]) -> Result<bool> {
        Ok(pin::load(&self.dir)?.is_some_and(|pin| pin.created && pin.node == self.node(nodes)))
    }

    /// Whether the error says that the API server does not answer, and may never answer again.
    pub fn is_silence(error: &Error) -> bool {
        matches!(error.code, Code::ClusterUnreachable | Code::ClusterCreate)
    }

    /// An error of these nodes that also says how to go on if they will never answer again.
    pub fn lost(&self, error: Error, nodes: &[Node]) -> Error {
        // The cluster of the user's own says so itself.
        let Some(tool) = Tool::of(self.provider).filter(|_| Self::is_silence(&error)) else {
            return error;
        };
        let way = match self.is_made(nodes) {
            Ok(true) => format!(
                "{} && devk down --delete    # with everything in it",
                tool.removal(&self.name)
            ),
            // devk may not remove the cluster, so only devk's own state of it can go.
            _ => format!("rm -r {}", quote(&self.dir)),
        };
        error.hint(format!("if the cluster will never answer again: {way}"))
    }

    /// Creates, starts or adopts the cluster, whatever state it is in, and pins it. Two projects that
    /// do this at once wait for each other; until the lock is dropped no other devk ends the cluster.
    ///
    /// # Errors
    /// [`Code::ClusterCreate`], [`Code::ClusterPin`], [`Code::ClusterUnreachable`], [`Code::ToolMissing`].
    pub async fn ensure(&self, step: &Step) -> Result<(ClusterLock, Access)> {
        let lock = self
            .lock(|| step.progress("waiting for another devk that works on this cluster"))
            .await?;
        let access = self.ensure_locked(&lock, step).await?;
        Ok((lock, access))
    }

    /// [`Self::ensure`] under a lock that the caller holds.
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_locked(&self, _lock: &ClusterLock, step: &Step) -> Result<Access> {
        match self.state().await? {
            // An attempt that was cut off before its first node came may have left other things.
            State::Absent if creation::load(&self.dir).is_some() => {
                self.create(&State::HalfMade, step).await
            }
            State::Absent => self.create(&State::Absent, step).await,
            State::HalfMade => {
                step.progress("removing a half-made cluster");
                self.cluster.end(End::Delete).await?;
                self.create(&State::Absent, step).await
            }
            stopped @ State::Stopped(_) => {
                self.cluster.start(&stopped, step).await?;
                self.adopt(&self.nodes().await?, true, step).await
            }
            State::Running(nodes) => self.adopt(&nodes, false, step).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use crate::shell::pasted;
    use serde_json::json;

    use super::super::fake::{ENGINE, Program, api, container, told};
    use super::super::minikube::CREATED_LABEL;
    use super::*;

    fn paths(program: &Program) -> Paths {
        Paths::all_at(&program.state())
    }

    fn kubeconfig(server: &str, token: &str) -> String {
        format!(
            "current-context: other\ncontexts: [{{name: dev, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{token: {token}}}}}]\n"
        )
    }

    /// A cluster of the user's own, the user's kubeconfig, and the UID that answers.
    async fn existing() -> (Program, ManagedCluster, PathBuf, Arc<Mutex<String>>) {
        let mut program = Program::new("kubectl", &[], "exit 1");
        let uid = Arc::new(Mutex::new("u1".to_owned()));
        let answer = uid.clone();
        let server = api(move || answer.lock().unwrap().clone()).await;
        std::fs::create_dir(program.state()).unwrap();
        let file = program.state().join("users-own");
        std::fs::write(&file, kubeconfig(&server, "first")).unwrap();
        program.set("KUBECONFIG", file.to_str().unwrap());
        let config = ClusterConfig::new(Provider::Existing, "dev");
        let handle = ManagedCluster::of(&program.engine(vec![]).await, &config, &paths(&program));
        (program, handle, file, uid)
    }

    #[tokio::test]
    async fn a_cluster_of_the_users_is_pinned_and_no_other_is_written_to_in_its_place() {
        let (_program, handle, file, uid) = existing().await;
        let before = std::fs::read(&file).unwrap();
        assert!(handle.is_untouched().unwrap());
        let (access, _) = told(async |step| handle.ensure(step).await).await;
        let pin = access.unwrap().1.pin;
        assert_eq!(
            (pin.uid.as_str(), pin.node.as_str(), pin.created),
            ("u1", "", false)
        );
        assert!(handle.pinned(&[]).await.unwrap().is_some());
        let copy = std::fs::read(handle.kubeconfig()).unwrap();

        *uid.lock().unwrap() = "u2".to_owned();
        assert_eq!(handle.pinned(&[]).await.unwrap_err().code, Code::ClusterPin);
        let (refused, _) = told(async |step| handle.ensure(step).await).await;
        assert_eq!(refused.unwrap_err().code, Code::ClusterPin);
        assert_eq!(std::fs::read(handle.kubeconfig()).unwrap(), copy);
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[tokio::test]
    async fn new_credentials_are_taken_over_and_a_new_endpoint_is_not() {
        let (_program, handle, file, _) = existing().await;
        told(async |step| handle.ensure(step).await)
            .await
            .0
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("first", "second")).unwrap();
        assert!(handle.pinned(&[]).await.unwrap().is_some());
        let copy = || std::fs::read_to_string(handle.kubeconfig()).unwrap();
        assert!(copy().contains("second") && !copy().contains("first"));

        // The same cluster by its UID, as one restored from its backup would be.
        let twin = api(|| "u1".to_owned()).await;
        std::fs::write(&file, kubeconfig(&twin, "third")).unwrap();
        assert_eq!(handle.pinned(&[]).await.unwrap_err().code, Code::ClusterPin);
        assert!(copy().contains("second"));
    }

    /// As pinned on an Engine that calls itself this; None: by a devk that did not ask.
    fn pinned_on(engine: Option<&str>) -> Pin {
        let host = "unix:///old.sock".to_owned();
        Pin {
            version: 1,
            uid: "u1".into(),
            endpoint: String::new(),
            node: "id-of-p".into(),
            created: true,
            network_created: false,
            engine: engine.map(|id| Identity {
                id: id.to_owned(),
                host,
            }),
        }
    }

    /// The profile `p` on an Engine that lists these containers, and its state folder with this pin in it.
    async fn profile(
        program: &Program,
        containers: Vec<serde_json::Value>,
        pin: &Pin,
    ) -> (ManagedCluster, PathBuf) {
        let config = ClusterConfig::new(Provider::Minikube, "p");
        let paths = paths(program);
        let engine = program.engine(containers).await;
        let dir = paths.cluster(&config.folder());
        pin::save(&dir, pin).unwrap();
        (ManagedCluster::of(&engine, &config, &paths), dir)
    }

    fn node_of_p() -> Vec<serde_json::Value> {
        vec![container(
            "p",
            true,
            "192.168.49.2",
            &json!({CREATED_LABEL: "true"}),
        )]
    }

    #[tokio::test]
    async fn a_cluster_on_another_engine_is_not_taken_for_gone() {
        let program = Program::new("minikube", &[], "exit 1");
        let (handle, dir) = profile(&program, vec![], &pinned_on(Some("e0"))).await;
        let error = handle.state().await.unwrap_err();
        assert_eq!(error.code, Code::ClusterPin);
        assert_eq!(error.evidence[0], "devk's: Engine e0 at unix:///old.sock");
        assert!(
            error.evidence[1].starts_with(&format!("found:  Engine {ENGINE} at tcp://")),
            "{error:?}"
        );
        assert_eq!(PathBuf::from(pasted(&error.hint.unwrap(), "rm -r ")), dir);
        for same in [
            pinned_on(Some(ENGINE)),
            pinned_on(Some("")),
            pinned_on(None),
        ] {
            pin::save(&dir, &same).unwrap();
            assert_eq!(handle.state().await, Ok(State::Absent), "{same:?}");
        }
    }

    #[tokio::test]
    async fn the_pinned_node_is_believed_whatever_its_engine_calls_itself() {
        let program = Program::new("minikube", &[], "exit 1");
        let (handle, _) = profile(&program, node_of_p(), &pinned_on(Some("e0"))).await;
        assert!(matches!(handle.state().await, Ok(State::Running(_))));
    }

    #[tokio::test]
    async fn a_creation_on_another_engine_is_not_begun_anew_on_this_one() {
        let program = Program::new("minikube", &[], "exit 1");
        let (handle, dir) = profile(&program, node_of_p(), &pinned_on(None)).await;
        let engine = Some(Identity {
            id: "e0".into(),
            host: "unix:///old.sock".into(),
        });
        Creation {
            engine,
            ..Creation::default()
        }
        .save(&dir)
        .unwrap();
        assert_eq!(handle.state().await.unwrap_err().code, Code::ClusterPin);
    }

    #[tokio::test]
    async fn a_pin_of_an_older_devk_gets_its_engine_at_the_next_use() {
        let server = api(|| "u1".to_owned()).await;
        let program = Program::new("minikube", &[], "exit 1");
        let (handle, dir) = profile(&program, node_of_p(), &pinned_on(None)).await;
        let own =
            kubeconfig(&server, "t").replace("current-context: other", "current-context: dev");
        std::fs::write(handle.kubeconfig(), own).unwrap();
        let nodes = handle.nodes().await.unwrap();
        let lock = handle.lock(|| {}).await.unwrap();
        assert!(handle.pinned(&nodes).await.unwrap().is_some());
        assert_eq!(
            pin::load(&dir).unwrap().unwrap().engine,
            None,
            "whoever holds the lock may pin anew"
        );
        drop(lock);
        assert!(handle.pinned(&nodes).await.unwrap().is_some());
        assert_eq!(pin::load(&dir).unwrap().unwrap().engine.unwrap().id, ENGINE);
    }

    #[tokio::test]
    async fn a_cluster_made_by_hand_after_an_interrupted_creation_is_not_devks_half_made_one() {
        let program = Program::new("minikube", &[], "exit 1");
        let made = async |at: &'static str| {
            let answer = move |request: &str, _: &str| match request {
                "GET /containers/id-of-p/json" => json!({"Created": at}),
                "GET /info" => json!({"ID": ENGINE}),
                _ => node_of_p().into(),
            };
            let config = ClusterConfig::new(Provider::Minikube, "p");
            let handle = ManagedCluster::of(
                &program.engine_that(answer).await,
                &config,
                &paths(&program),
            );
            let since = Some("2026-01-31T09:30:00Z".parse().unwrap());
            Creation {
                since,
                ..Creation::default()
            }
            .save(&handle.dir)
            .unwrap();
            handle.state().await.unwrap()
        };
        assert_eq!(made("2026-01-31T09:31:00Z").await, State::HalfMade);
        assert!(matches!(
            made("2026-01-31T11:31:00Z").await,
            State::Running(_)
        ));
    }

    #[tokio::test]
    async fn a_cluster_that_never_answers_again_is_told_with_the_way_out() {
        let program = Program::new("minikube", &[], "exit 1");
        let (handle, dir) = profile(&program, node_of_p(), &pinned_on(Some(ENGINE))).await;
        let nodes = handle.nodes().await.unwrap();
        let hint = || {
            handle
                .lost(Error::new(Code::ClusterUnreachable, "silent"), &nodes)
                .hint
                .unwrap()
        };
        assert!(hint().ends_with(
            "minikube delete --profile p && devk down --delete    # with everything in it"
        ));
        pin::save(
            &dir,
            &Pin {
                created: false,
                ..pinned_on(Some(ENGINE))
            },
        )
        .unwrap();
        let forgotten = pasted(&hint(), "rm -r ");
        assert_eq!(PathBuf::from(forgotten), dir, "it is not devk's to remove");
    }

    #[tokio::test]
    async fn a_minikube_cluster_is_made_pinned_stopped_and_removed() {
        let server = api(|| "u1".to_owned()).await;
        let script = format!(
            "[ $1 = start ] || exit 0\necho '{}' >\"$KUBECONFIG\"",
            kubeconfig(&server, "t").replace('\'', "\"")
        );
        let program = Program::new(
            "minikube",
            &[],
            &script.replace("current-context: other", "current-context: dev"),
        );
        let private = program.state().join("clusters/minikube.p/kubeconfig");
        let labels = json!({CREATED_LABEL: "true"});
        let node = container("p", true, "192.168.49.2", &labels);
        let containers = move || {
            if private.exists() {
                vec![node.clone()]
            } else {
                vec![]
            }
        };
        let config = ClusterConfig::new(Provider::Minikube, "p");
        let handle = ManagedCluster::of(
            &program.engine_with(containers).await,
            &config,
            &paths(&program),
        );

        assert_eq!(handle.state().await.unwrap(), State::Absent);
        let (lock, access) = told(async |step| handle.ensure(step).await)
            .await
            .0
            .unwrap();
        assert_eq!(
            (
                access.pin.uid.as_str(),
                access.pin.node.as_str(),
                access.pin.created
            ),
            ("u1", "id-of-p", true)
        );
        let calls = program.calls().len();
        assert_eq!(
            handle.state().await.unwrap(),
            State::Running(access.nodes.clone())
        );
        assert!(handle.pinned(&access.nodes).await.unwrap().is_some());
        assert_eq!(
            program.calls().len(),
            calls,
            "an unchanged cluster starts no process"
        );

        handle.stop(&lock).await.unwrap();
        handle.delete(&lock).await.unwrap();
        let words: Vec<_> = program
            .calls()
            .iter()
            .map(|call| call.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(words, ["status", "start", "stop", "delete"]);
        assert!(!handle.kubeconfig().exists());
    }
}
