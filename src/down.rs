//! Ends a project's stack: stops it with its data kept, or removes it with all that devk made.
//!
//! `down` works after any crash, since Docker and the cluster say what there is to end. Of devk's own files `down`
//! needs only the pin: a cluster that devk never pinned is not changed.

mod anothers;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cluster::{Access, ClusterLock, ManagedCluster, Node, State, namespace, sleep};
use crate::config::Project;
use crate::daemon::socket;
use crate::docker::Engine;
use crate::error::{Code, Error, Errors, Result};
use crate::image;
use crate::owner::Owner;
use crate::paths::{Paths, remove_dir};
use crate::ports::{Leases, Lessee};
use crate::release::helm::Helm;
use crate::release::install::InstallTarget;
use crate::release::namespaces::OtherNamespaces;
use crate::release::{installed, render};
use crate::ui::event::{Reporter, Step};
pub use anothers::{refuse_anothers, refuse_anothers_session};

/// What `down` will do, said before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Nothing runs.
    Nothing,
    /// Stop the node containers; no other project is on the cluster.
    StopCluster,
    /// Scale the project's workloads to zero; another project is on the cluster.
    Sleep { because: String },
    /// Remove the whole cluster; devk created it and no other project is on it.
    DeleteCluster,
    /// Uninstall the releases and remove the namespace.
    DeleteNamespace { because: String },
}

/// The part of a cluster that `down` can reach.
#[derive(Debug)]
enum Reach {
    Nothing,
    /// Nodes of a cluster that devk made, whose API server answers no more: nothing of what lives there can be told,
    /// and nothing of it is lost when they stop.
    Silent,
    Answers(Box<Access>),
}

impl Reach {
    fn answers(access: Access) -> Self {
        Self::Answers(Box::new(access))
    }

    fn access(&self) -> Option<&Access> {
        match self {
            Self::Answers(access) => Some(access),
            Self::Nothing | Self::Silent => None,
        }
    }
}

/// Decides how a stack ends.
pub fn ending(delete: bool, access: Option<&Access>, project: &str, others: &[String]) -> Ending {
    let Some(access) = access else {
        return Ending::Nothing;
    };
    let because = match others.first() {
        Some(other) => Some(format!("project `{other}` lives on the cluster")),
        None if !access.pin.created => Some("devk did not create the cluster".to_owned()),
        None => None,
    };
    match (delete, because) {
        (false, None) => Ending::StopCluster,
        (false, Some(because)) => Ending::Sleep { because },
        (true, None) => Ending::DeleteCluster,
        (true, Some(because)) => Ending::DeleteNamespace {
            because: format!("{because}; namespace `{project}` goes"),
        },
    }
}

/// The end of one project's stack.
#[derive(Debug)]
pub struct Down<'a> {
    pub project: &'a Project,
    pub paths: &'a Paths,
    pub engine: &'a Engine,
    pub cluster: ManagedCluster,
    pub reporter: Reporter,
}

impl Down<'_> {
    /// Stops the stack, or with `delete` removes it. The session has ended before.
    ///
    /// # Errors
    /// Everything that could not be stopped or removed; all other work is done all the same.
    pub async fn run(&self, delete: bool) -> Result<Ending, Errors> {
        let lock = self.lock(delete).await?;
        let was_stopped = matches!(self.cluster.state().await?, State::Stopped(_));
        let reach = self.reach(delete, &lock).await?;
        let others = match reach.access() {
            Some(access) => self.others(access, delete).await?,
            None => vec![],
        };
        let ending = match &reach {
            Reach::Silent => Ending::StopCluster,
            _ => ending(delete, reach.access(), &self.project.id, &others),
        };
        let ended = match &reach {
            Reach::Nothing => Ok(()),
            Reach::Silent => self.stop(&lock).await,
            Reach::Answers(access) => self.end_stack(&ending, access, &lock).await,
        };
        let mut problems: Vec<_> = ended.err().into_iter().collect();
        if was_stopped && matches!(ending, Ending::DeleteNamespace { .. }) {
            // It was started only to look what lives on it.
            problems.extend(self.stop(&lock).await.err());
        }
        // Containers by which a killed session looked into images.
        let looks = image::remove_looks(&self.engine.docker, &self.project.id);
        problems.extend(looks.await.err());
        if delete {
            // Images in the nodes of a removed cluster are gone with it.
            let stays = reach
                .access()
                .filter(|_| matches!(ending, Ending::DeleteNamespace { .. }));
            let removal = self.remove_images(stays);
            problems.extend(
                self.step("image.remove", "devk-built images", removal)
                    .await
                    .err(),
            );
            // Kept if something is left, so that the next `down --delete` finds it.
            if problems.is_empty() {
                problems.extend(self.forget_all(&lock, &ending, others.is_empty()).await);
            }
        }
        Errors::unless_empty(problems, ending)
    }

    /// Removes devk's state of the project, and with the last project of a cluster that devk has not made the pin and
    /// devk's copy of the credentials. Returns the errors.
    async fn forget_all(&self, lock: &ClusterLock, ending: &Ending, is_last: bool) -> Vec<Error> {
        let mut problems = vec![];
        let stays = self.cluster.is_existing() || matches!(ending, Ending::DeleteNamespace { .. });
        if is_last && stays {
            problems.extend(self.cluster.forget(lock).await.err());
        }
        if matches!(ending, Ending::Nothing) {
            problems.extend(self.cluster.forget_untouched(lock).err());
        }
        problems.extend(self.forget().err());
        problems
    }

    /// While the lock is held, no other devk starts, adopts or ends the cluster.
    async fn lock(&self, delete: bool) -> Result<ClusterLock> {
        let mut step = None;
        let id = if delete {
            "cluster.delete"
        } else {
            "cluster.stop"
        };
        let wait = || {
            step = Some(
                self.reporter
                    .start(id, "waiting for another devk that works on this cluster"),
            )
        };
        let lock = self.cluster.lock(wait).await?;
        if let Some(step) = step {
            step.done("the other devk has ended");
        }
        Ok(lock)
    }

    /// What there is to end. A removal needs a stopped cluster started: only the cluster itself knows which other
    /// projects are on it.
    async fn reach(&self, delete: bool, lock: &ClusterLock) -> Result<Reach> {
        if self.cluster.is_untouched()? {
            return Ok(Reach::Nothing);
        }
        match self.cluster.state().await? {
            State::Running(nodes) => match self.cluster.pinned(&nodes).await {
                // The cluster may have been started a moment ago.
                Err(e) if e.code == Code::ClusterUnreachable => {
                    self.ensure(delete, &nodes, lock).await
                }
                // The kubeconfig was lost; with the pin devk fetches it again.
                Ok(None) if self.cluster.is_pinned(&nodes)? => {
                    self.ensure(delete, &nodes, lock).await
                }
                // None: never pinned, so devk has not written to it.
                found => Ok(found?.map_or(Reach::Nothing, Reach::answers)),
            },
            State::Stopped(nodes) if delete && self.cluster.is_pinned(&nodes)? => {
                self.ensure(delete, &nodes, lock).await
            }
            State::Stopped(nodes) if nodes.iter().any(|node| node.running) => {
                self.in_part(&nodes).await
            }
            // No project is on it, and it would keep running.
            State::HalfMade => {
                let delete = self.cluster.delete(lock);
                self.step("cluster.delete", "a half-made cluster", delete)
                    .await
                    .map(|()| Reach::Nothing)
            }
            State::Absent if delete => {
                let removed = self.cluster.delete_remains(lock).await;
                removed.map(|()| Reach::Nothing)
            }
            State::Stopped(_) | State::Absent => Ok(Reach::Nothing),
        }
    }

    /// Some nodes run and some do not; to stop the rest none has to be started.
    async fn in_part(&self, nodes: &[Node]) -> Result<Reach> {
        match self.cluster.pinned(nodes).await {
            Ok(Some(access)) => Ok(Reach::answers(access)),
            Err(e) if e.code != Code::ClusterUnreachable => Err(e),
            _ if self.cluster.is_made(nodes)? => Ok(Reach::Silent),
            found => found.map(|_| Reach::Nothing),
        }
    }

    async fn ensure(&self, delete: bool, nodes: &[Node], lock: &ClusterLock) -> Result<Reach> {
        let step = self
            .reporter
            .start("cluster.create", "to see what lives on it");
        match self.cluster.ensure_locked(lock, &step).await {
            Ok(access) => {
                step.done("it answers");
                Ok(Reach::answers(access))
            }
            Err(error)
                if !delete
                    && ManagedCluster::is_silence(&error)
                    && self.cluster.is_made(nodes)? =>
            {
                step.skip(format!("{error}; its nodes can be stopped all the same"));
                Ok(Reach::Silent)
            }
            Err(error) => {
                let error = self.cluster.lost(error, nodes);
                step.failed(error.clone());
                Err(error)
            }
        }
    }

    async fn stop(&self, lock: &ClusterLock) -> Result<()> {
        self.step("cluster.stop", "its data stays", self.cluster.stop(lock))
            .await
    }

    /// Other projects on the cluster; those that sleep count for removal only.
    ///
    /// # Errors
    /// Also true if the namespace is not devk's: then there is nothing to end.
    async fn others(&self, access: &Access, delete: bool) -> Result<Vec<String>> {
        let owner = Owner::of(&self.project.root, self.paths).await;
        namespace::find_own(&access.client, &self.project.id, &owner).await?;
        let projects = namespace::projects(&access.client).await?;
        let others = projects
            .into_iter()
            .filter(|p| p.name != self.project.id && (delete || !p.asleep));
        Ok(others.map(|p| p.name).collect())
    }

    async fn end_stack(&self, ending: &Ending, access: &Access, lock: &ClusterLock) -> Result<()> {
        let client = &access.client;
        let id = self.project.id.as_str();
        let owner = Owner::of(&self.project.root, self.paths).await;
        match ending {
            Ending::Nothing => Ok(()),
            Ending::StopCluster => {
                let marked = sleep::mark_asleep(client, id).await;
                self.stop(lock).await.and(marked)
            }
            Ending::Sleep { because } => {
                let falls_asleep = async {
                    let others = OtherNamespaces::of_project(client, id).await?;
                    sleep::sleep(client, id, Some(&owner), &others.used).await
                };
                self.step("workloads.sleep", because, falls_asleep).await
            }
            Ending::DeleteCluster => {
                self.step(
                    "cluster.delete",
                    "cluster, volumes and network",
                    self.cluster.delete(lock),
                )
                .await
            }
            Ending::DeleteNamespace { because } => {
                if namespace::find(client, id).await?.is_none() {
                    // Those that changes made outlive it if it was deleted by hand.
                    let step = self.reporter.start("namespace.delete", because);
                    let removed = namespace::delete_made_for(client, id, &owner, &step).await;
                    return end(step, removed);
                }
                let helm = Helm::find(&self.engine.environment)?;
                let kubeconfig = self.cluster.kubeconfig();
                let target = InstallTarget {
                    client,
                    kubeconfig: &kubeconfig,
                    state: &self.paths.project(id),
                };
                // What cannot be read has to be removed all the same.
                let others = OtherNamespaces::of_project(client, id).await;
                let mut uninstalled = others.as_ref().map(drop).map_err(Error::clone);
                for release in self.releases(client).await? {
                    let uninstall = helm.uninstall(&release, id, &target);
                    let step = format!("release.uninstall/{release}");
                    uninstalled =
                        uninstalled.and(self.step(&step, "with its hooks", uninstall).await);
                }
                // What a failing hook kept goes with the namespace.
                let step = self.reporter.start("namespace.delete", because);
                let removed = async {
                    namespace::delete(client, id, &step).await?;
                    namespace::delete_made_for(client, id, &owner, &step).await?;
                    // helm does not wait for the namespaces of a release, and the next `up` could not use them.
                    let made = others.unwrap_or_default().made;
                    namespace::wait_removed(client, &made, &step).await
                };
                let removed = removed.await;
                end(step, removed).and(uninstalled)
            }
        }
    }

    /// The orphaned releases, then those of devk.yaml, the last one first.
    async fn releases(&self, client: &kube::Client) -> Result<Vec<String>> {
        let named = self
            .project
            .releases
            .iter()
            .rev()
            .map(|release| release.name.clone());
        Ok(installed::orphaned_releases(client, self.project)
            .await?
            .into_iter()
            .chain(named)
            .collect())
    }

    /// Removes the project's images from Docker, and from the nodes of a cluster that stays.
    async fn remove_images(&self, stays: Option<&Access>) -> Result<()> {
        let docker = &self.engine.docker;
        let id = &self.project.id;
        let tags = image::remove_project_images(docker, id).await?;
        // If devk never built an image, the nodes may lack `ctr`.
        let is_built = !(tags.is_empty() && self.project.images.is_empty());
        for node in stays
            .into_iter()
            .filter(|_| is_built)
            .flat_map(|access| &access.nodes)
        {
            image::remove_from_node(docker, &node.name, id, &BTreeSet::new()).await?;
        }
        Ok(())
    }

    /// The lease, the generated secrets (renderings hold them, too), the supervisor's files.
    fn forget(&self) -> Result<()> {
        Leases::open(&self.paths.state).release(&Lessee::from(self.project))?;
        render::forget(&self.paths.cache, &self.project.id)?;
        // The socket is in another folder if the usual path is too long; a killed supervisor leaves it there.
        socket::remove(self.paths, &self.project.id);
        remove_dir(&self.paths.project(&self.project.id))
    }

    async fn step(
        &self,
        id: &str,
        detail: &str,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let step = self.reporter.start(id, detail);
        end(step, work.await)
    }
}

fn end(step: Step, result: Result<()>) -> Result<()> {
    match &result {
        Ok(()) => step.done(""),
        Err(error) => step.failed(error.clone()),
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::fake::{ENGINE, Program, container};
    use crate::config::{ClusterConfig, Provider};

    #[test]
    fn nothing_runs_nothing_ends() {
        assert_eq!(ending(true, None, "shop", &[]), Ending::Nothing);
    }

    fn project(paths: &Paths) -> Project {
        Project {
            name: "shop".into(),
            id: "shop".into(),
            worktree: None,
            root: paths.state.clone(),
            file: paths.state.join("devk.yaml"),
            cluster: ClusterConfig::new(Provider::Kind, "devk"),
            compose: None,
            images: vec![],
            releases: vec![],
            forwards: None,
            allow: crate::config::Allow::default(),
            bridge: None,
            check: Default::default(),
            ask: Default::default(),
            tests: vec![],
        }
    }

    /// A cluster of devk's whose API server is gone for good.
    fn pinned(paths: &Paths, created: bool) {
        let dir = paths.cluster("devk");
        std::fs::create_dir_all(&dir).unwrap();
        let pin = json!({"version": 1, "uid": "u1", "endpoint": "", "node": "id-of-devk-control-plane",
            "created": created, "network_created": false, "engine": {"id": ENGINE, "host": ""}});
        std::fs::write(dir.join("pin.json"), pin.to_string()).unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let kubeconfig = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'http://{closed}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(dir.join("kubeconfig"), kubeconfig).unwrap();
    }

    /// An API server on which the project's namespace is gone and one is left that a change made; and what it deleted.
    fn left_behind() -> (kube::Client, Arc<Mutex<Vec<String>>>) {
        let deleted = Arc::new(Mutex::new(vec![]));
        let note = deleted.clone();
        let service = tower::service_fn(move |request: hyper::Request<kube::client::Body>| {
            let path = request.uri().path().to_owned();
            let made = json!({"metadata": {"name": "shop-made", "uid": "u"}});
            let (status, answer) = match (request.method().as_str(), path.as_str()) {
                ("DELETE", path) => {
                    note.lock().unwrap().push(path.to_owned());
                    (
                        200,
                        json!({"kind": "Status", "status": "Success", "metadata": {}}),
                    )
                }
                ("GET", "/api/v1/namespaces") => (200, json!({"metadata": {}, "items": [made]})),
                _ => (
                    404,
                    json!({"kind": "Status", "status": "Failure", "metadata": {}, "code": 404,
                    "reason": "NotFound", "message": "not found"}),
                ),
            };
            let body = kube::client::Body::from(answer.to_string().into_bytes());
            let response = hyper::Response::builder()
                .status(status)
                .body(body)
                .unwrap();
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        (kube::Client::new(service, "default"), deleted)
    }

    #[tokio::test]
    async fn what_changes_made_goes_even_if_the_namespace_of_the_project_is_gone() {
        let program = Program::new("kind", &[], "exit 1");
        let paths = Paths::all_at(&program.state());
        pinned(&paths, true);
        let engine = program.engine_that(|_, _| Value::Null).await;
        let project = project(&paths);
        let cluster = ManagedCluster::of(&engine, &project.cluster, &paths);
        let lock = cluster.lock(|| {}).await.unwrap();
        let (client, deleted) = left_behind();
        let access = Access {
            client,
            nodes: vec![],
            pin: crate::cluster::pin::load(&paths.cluster("devk"))
                .unwrap()
                .unwrap(),
        };
        let down = Down {
            project: &project,
            paths: &paths,
            engine: &engine,
            cluster,
            reporter: Reporter::default(),
        };
        let ending = Ending::DeleteNamespace {
            because: String::new(),
        };
        down.end_stack(&ending, &access, &lock).await.unwrap();
        assert_eq!(*deleted.lock().unwrap(), ["/api/v1/namespaces/shop-made"]);
    }

    /// What `down` comes to on a cluster of two nodes, of which the worker runs, and the nodes that it stops.
    async fn down(
        control_plane_runs: bool,
        created: bool,
        delete: bool,
    ) -> (Result<Ending, Errors>, Vec<String>) {
        let program = Program::new("kind", &[], "exit 1");
        let paths = Paths::all_at(&program.state());
        pinned(&paths, created);
        let node = |name: &str, role: &str, running: bool| {
            let labels = json!({"io.x-k8s.kind.cluster": "devk", "io.x-k8s.kind.role": role});
            container(name, running, "172.18.0.2", &labels)
        };
        let nodes: Value = [
            node("devk-control-plane", "control-plane", control_plane_runs),
            node("devk-worker", "worker", true),
        ]
        .into();
        let stopped = Arc::new(Mutex::new(vec![]));
        let note = stopped.clone();
        let engine = program.engine_that(move |request, _| {
            match request.strip_prefix("POST /containers/") {
                Some(stop) => {
                    note.lock().unwrap().push(stop.to_owned());
                    Value::Null
                }
                None => nodes.clone(),
            }
        });
        let engine = engine.await;
        let project = project(&paths);
        let cluster = ManagedCluster::of(&engine, &project.cluster, &paths);
        let project = &project;
        let reporter = Reporter::default();
        let down = Down {
            project,
            paths: &paths,
            engine: &engine,
            cluster,
            reporter,
        };
        let ended = down.run(delete).await;
        (ended, stopped.lock().unwrap().clone())
    }

    #[tokio::test]
    async fn a_cluster_of_devks_that_never_answers_again_is_stopped() {
        let (ended, stopped) = down(true, true, false).await;
        assert_eq!(ended, Ok(Ending::StopCluster));
        assert_eq!(stopped, ["devk-control-plane/stop", "devk-worker/stop"]);
    }

    #[tokio::test]
    async fn to_remove_it_is_left_to_the_user_and_one_that_devk_did_not_make_is_not_stopped() {
        let (ended, stopped) = down(true, true, true).await;
        let error = ended.unwrap_err().0.remove(0);
        assert_eq!(error.code, Code::ClusterUnreachable);
        assert!(
            error
                .hint
                .unwrap()
                .contains("kind delete cluster --name devk && devk down --delete")
        );
        assert!(stopped.is_empty());
        let (ended, stopped) = down(true, false, false).await;
        assert_eq!(
            (ended.unwrap_err().0[0].code, stopped),
            (Code::ClusterUnreachable, vec![])
        );
    }

    #[tokio::test]
    async fn a_cluster_of_which_a_part_runs_is_stopped() {
        let (ended, stopped) = down(false, true, false).await;
        assert_eq!(ended, Ok(Ending::StopCluster));
        assert_eq!(stopped, ["devk-worker/stop"]);
    }
}
