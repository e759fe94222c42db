//! What runs of each project: one look at each cluster, all at once, none longer than a moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::place::PlacedProject;
use super::usage::UseOfMemory;
use crate::cluster::namespace::{self, ProjectNamespace};
use crate::cluster::pod::is_ready;
use crate::cluster::{ManagedCluster, State};
use crate::config::ClusterConfig;
use crate::docker::{self, Engine};
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::owner::Owner;
use crate::paths::Paths;
use crate::ports::Lessee;
use crate::release::project_pods::ProjectPods;

/// What the workloads of a project do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Workloads {
    Awake,
    /// Scaled to zero.
    Asleep,
    /// Their cluster is stopped.
    Stopped,
    /// There are none: the project has no namespace.
    None,
    /// The cluster did not say it in time.
    Unknown,
}

/// The pods of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodsOfProject {
    pub total: usize,
    pub ready: usize,
    /// As the kubelet measured it; null if it was not told in time.
    pub memory_bytes: Option<u64>,
}

/// What is seen of one project.
#[derive(Debug, Clone)]
pub struct ProjectLook {
    /// The cluster that it is on; None if that is not known.
    pub cluster: Option<ClusterConfig>,
    pub workloads: Workloads,
    /// None if there are no workloads, or if the cluster did not say it in time.
    pub pods: Option<PodsOfProject>,
    /// Why something is unknown.
    pub error: Option<Error>,
}

/// A cluster that was looked at.
#[derive(Debug)]
pub struct ClusterLook {
    pub config: ClusterConfig,
    seen: Result<Seen>,
}

#[derive(Debug)]
enum Seen {
    /// It is absent, or none of devk's.
    Nothing,
    Stopped,
    Answers(Box<Answering>),
}

struct Answering {
    client: kube::Client,
    projects: Vec<ProjectNamespace>,
    /// None if the kubelets did not tell it in time.
    memory: Option<UseOfMemory>,
}

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answering")
            .field("projects", &self.projects)
            .finish_non_exhaustive()
    }
}

/// The clusters of these projects, and all others that devk keeps notes of, by the names of their folders.
fn clusters(projects: &[PlacedProject], paths: &Paths) -> BTreeMap<String, ClusterConfig> {
    let folders = std::fs::read_dir(paths.state.join("clusters"));
    let noted = folders
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|folder| folder.file_name().into_string().ok())
        .filter_map(|name| Some((name.clone(), ClusterConfig::of_folder(&name)?)));
    let named = projects.iter().filter_map(PlacedProject::cluster);
    // What devk.yaml says of a cluster is more than its name.
    noted
        .chain(named.map(|config| (config.folder(), config.clone())))
        .collect()
}

/// Looks at all clusters for as long as `patience` at most.
pub async fn look_at_clusters(
    projects: &[PlacedProject],
    paths: &Paths,
    environment: &Environment,
    patience: Duration,
) -> Vec<ClusterLook> {
    let all = clusters(projects, paths).into_values();
    look_at(all, paths, environment, patience).await
}

/// Looks at these clusters for as long as `patience` at most.
pub async fn look_at(
    clusters: impl Iterator<Item = ClusterConfig>,
    paths: &Paths,
    environment: &Environment,
    patience: Duration,
) -> Vec<ClusterLook> {
    let until = Instant::now() + patience;
    let engine = timeout_at(until, docker::connect(environment)).await;
    let engine = engine.unwrap_or_else(|_| Err(silent("the Docker Engine")));
    let looks = clusters.map(|config| {
        let (engine, paths) = (engine.clone(), paths.clone());
        async move {
            let what = format!("cluster `{}`", config.name);
            let seen = async {
                // A task of its own: what blocks in there, such as a program that fetches credentials, blocks nobody.
                let look = tokio::spawn(look(engine?, config.clone(), paths, until));
                match timeout_at(until, look).await {
                    Ok(Ok(seen)) => seen,
                    _ => Err(silent(&what)),
                }
            };
            let seen = seen.await;
            ClusterLook { config, seen }
        }
    });
    join_all(looks).await
}

fn silent(what: &str) -> Error {
    Error::new(
        Code::ClusterUnreachable,
        format!("{what} did not answer in time"),
    )
    .hint("devk doctor")
}

async fn look(engine: Engine, config: ClusterConfig, paths: Paths, until: Instant) -> Result<Seen> {
    let cluster = ManagedCluster::of(&engine, &config, &paths);
    if cluster.is_untouched()? {
        return Ok(Seen::Nothing);
    }
    let nodes = match cluster.state().await? {
        State::Running(nodes) => nodes,
        State::Stopped(_) => return Ok(Seen::Stopped),
        State::Absent | State::HalfMade => return Ok(Seen::Nothing),
    };
    let Some(access) = cluster.pinned(&nodes).await? else {
        return Ok(Seen::Nothing);
    };
    let client = access.client;
    let (projects, memory) = tokio::join!(
        namespace::projects(&client),
        timeout_at(before(until), UseOfMemory::of(&client))
    );
    Ok(Seen::Answers(Box::new(Answering {
        projects: projects?,
        memory: memory.ok().and_then(|measured| measured.ok()),
        client,
    })))
}

/// What is not told by then is left out of an answer that is given in time.
fn before(until: Instant) -> Instant {
    const MARGIN: Duration = Duration::from_millis(200);
    until.checked_sub(MARGIN).unwrap_or(until)
}

impl ClusterLook {
    /// The project that has a namespace on this cluster by that id and folder.
    fn has(&self, owner: &Owner, id: &str) -> Option<&ProjectNamespace> {
        let Ok(Seen::Answers(answering)) = &self.seen else {
            return None;
        };
        let is_of = |project: &&ProjectNamespace| {
            let other = project.owner.as_ref();
            project.name == id && other.is_none_or(|other| owner.has(other))
        };
        answering.projects.iter().find(is_of)
    }

    /// Why the cluster is unknown.
    pub fn error(&self) -> Option<&Error> {
        self.seen.as_ref().err()
    }

    /// What is seen of a project that is on this cluster.
    async fn project(&self, owner: &Owner, lessee: &Lessee, patience: Duration) -> ProjectLook {
        let mut look = ProjectLook {
            cluster: Some(self.config.clone()),
            workloads: Workloads::None,
            pods: None,
            error: None,
        };
        match &self.seen {
            Err(error) => {
                look.workloads = Workloads::Unknown;
                look.error = Some(error.clone());
            }
            Ok(Seen::Nothing) => {}
            Ok(Seen::Stopped) => look.workloads = Workloads::Stopped,
            Ok(Seen::Answers(answering)) => {
                if let Some(namespace) = self.has(owner, &lessee.project) {
                    look.workloads = match namespace.asleep {
                        true => Workloads::Asleep,
                        false => Workloads::Awake,
                    };
                    let pods = answering.pods(&lessee.project);
                    let pods = tokio::time::timeout(patience, pods).await;
                    match pods.unwrap_or_else(|_| Err(silent("the API server"))) {
                        Ok(pods) => look.pods = Some(pods),
                        Err(error) => look.error = Some(error),
                    }
                }
            }
        }
        look
    }
}

impl Answering {
    async fn pods(&self, id: &str) -> Result<PodsOfProject> {
        let of_project = ProjectPods::of(&self.client, id).await?;
        let pods = of_project.list(&self.client, None).await?;
        Ok(PodsOfProject {
            total: pods.len(),
            ready: pods.iter().filter(|pod| is_ready(pod)).count(),
            memory_bytes: self.memory.as_ref().map(|memory| memory.of_pods(&pods)),
        })
    }
}

impl ProjectLook {
    /// What is seen of each of these projects.
    pub async fn of_all(
        projects: &[PlacedProject],
        clusters: &[ClusterLook],
        paths: &Paths,
        patience: Duration,
    ) -> Vec<Self> {
        let own = Owner::of(Path::new(""), paths).await;
        let looks = projects.iter().map(|project| {
            let owner = Owner {
                root: project.lessee.root.clone(),
                ..own.clone()
            };
            async move {
                match Self::cluster_of(project, clusters, &owner) {
                    Some(cluster) => cluster.project(&owner, &project.lessee, patience).await,
                    None => Self::nowhere(clusters),
                }
            }
        });
        join_all(looks).await
    }

    /// The cluster of a project: the one that devk.yaml names, else the one that has its namespace.
    pub fn cluster_of<'a>(
        project: &PlacedProject,
        clusters: &'a [ClusterLook],
        owner: &Owner,
    ) -> Option<&'a ClusterLook> {
        let named = project.cluster().map(ClusterConfig::folder);
        let is_it = |cluster: &&ClusterLook| match &named {
            Some(folder) => cluster.config.folder() == *folder,
            None => cluster.has(owner, &project.lessee.project).is_some(),
        };
        clusters.iter().find(is_it)
    }

    /// No cluster is known to have it.
    fn nowhere(clusters: &[ClusterLook]) -> Self {
        let error = clusters.iter().find_map(ClusterLook::error).cloned();
        Self {
            cluster: None,
            workloads: match error {
                Some(_) => Workloads::Unknown,
                None => Workloads::None,
            },
            pods: None,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    fn placed(project: &str) -> PlacedProject {
        PlacedProject {
            lessee: Lessee {
                project: project.to_owned(),
                root: "/src/shop".into(),
            },
            ports: vec![],
            project: None,
        }
    }

    async fn seen(seen: Result<Seen>) -> ProjectLook {
        let config = ClusterConfig::new(Provider::Kind, "devk");
        let cluster = ClusterLook { config, seen };
        let owner = Owner {
            root: "/src/shop".into(),
            user: Some(7),
            machine: None,
        };
        let lessee = placed("shop").lessee;
        cluster.project(&owner, &lessee, Duration::ZERO).await
    }

    #[tokio::test]
    async fn a_cluster_that_says_nothing_is_unknown_and_one_that_is_stopped_is_stopped() {
        let look = seen(Err(silent("cluster `devk`"))).await;
        assert_eq!(look.workloads, Workloads::Unknown);
        assert_eq!(look.error.unwrap().code, Code::ClusterUnreachable);
        assert_eq!(seen(Ok(Seen::Stopped)).await.workloads, Workloads::Stopped);
        assert_eq!(seen(Ok(Seen::Nothing)).await.workloads, Workloads::None);
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_keeps_nobody_waiting() {
        // It accepts and says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let environment: Environment =
            serde_json::from_value(serde_json::json!({ "DOCKER_HOST": host })).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::all_at(dir.path());
        std::fs::create_dir_all(dir.path().join("clusters/devk")).unwrap();
        let since = Instant::now();
        let patience = Duration::from_millis(300);
        let projects = [placed("shop")];
        let clusters = look_at_clusters(&projects, &paths, &environment, patience).await;
        assert_eq!(clusters.len(), 1);
        let looks = ProjectLook::of_all(&projects, &clusters, &paths, patience).await;
        assert_eq!(looks[0].workloads, Workloads::Unknown);
        assert!(looks[0].error.is_some());
        assert!(
            since.elapsed() < Duration::from_secs(3),
            "{:?}",
            since.elapsed()
        );
    }
}
