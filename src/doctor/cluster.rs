//! The project's cluster: does it run, is it the pinned one, whose namespaces are on it.

use std::path::PathBuf;

use super::missing::of_project;
use super::{Check, Id, Looked, Missing, skipped};
use crate::cluster::namespace::{self, ProjectNamespace};
use crate::cluster::{Access, ManagedCluster, State};
use crate::config::Project;
use crate::docker::Engine;
use crate::error::{Code, Result};
use crate::paths::Paths;

/// The cluster that the project names.
#[derive(Debug, Clone, Default)]
pub struct ClusterFacts {
    pub name: String,
    /// As devk.yaml spells it.
    pub provider: &'static str,
    /// [`State::word`].
    pub state: &'static str,
    pub pin: PinFacts,
    /// Of the API server: `v1.36.3`. None if it was not asked.
    pub version: Option<String>,
    /// The projects on it; None if it does not list them.
    pub projects: Option<Vec<ProjectNamespace>>,
    pub kubeconfig: PathBuf,
}

#[derive(Debug, Clone, Default)]
pub enum PinFacts {
    /// There is nothing to pin.
    #[default]
    None,
    /// The UID of kube-system.
    Pinned(String),
    /// It runs, and devk has not pinned it.
    Foreign,
    Broken(crate::error::Error),
}

pub(super) async fn inspect(
    engine: &Result<Engine>,
    project: Result<&Project, &Missing>,
    paths: &Paths,
) -> Looked<ClusterFacts> {
    let project = of_project(project)?;
    let Ok(engine) = engine else {
        return Err(Missing::Skipped(
            "the Docker Engine does not answer".to_owned(),
        ));
    };
    let handle = ManagedCluster::of(engine, &project.cluster, paths);
    let state = handle.state().await?;
    let mut cluster = ClusterFacts {
        name: project.cluster.name.clone(),
        provider: project.cluster.provider.word(),
        state: state.word(),
        kubeconfig: handle.kubeconfig(),
        ..ClusterFacts::default()
    };
    if let State::Running(nodes) = &state {
        cluster.pin = match handle.pinned(nodes).await {
            Ok(Some(access)) => {
                ask(&access, &mut cluster).await;
                PinFacts::Pinned(access.pin.uid)
            }
            Ok(None) => PinFacts::Foreign,
            Err(error) => PinFacts::Broken(error),
        };
    }
    Ok(cluster)
}

/// What is not answered is left out: that the cluster answers at all is said by its pin.
async fn ask(access: &Access, cluster: &mut ClusterFacts) {
    let (version, projects) = tokio::join!(
        access.client.apiserver_version(),
        namespace::projects(&access.client)
    );
    cluster.version = version.ok().map(|info| info.git_version);
    cluster.projects = projects.ok();
}

pub(super) fn checks(cluster: &Looked<ClusterFacts>) -> Vec<Check> {
    let ids = [Id::ClusterState, Id::ClusterPin];
    match cluster {
        Ok(cluster) => vec![state(cluster), pin(cluster)],
        Err(missing @ Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::ClusterState, errors);
            broken
                .into_iter()
                .chain(skipped(&ids[1..], missing))
                .collect()
        }
        Err(missing) => skipped(&ids, missing),
    }
}

fn state(cluster: &ClusterFacts) -> Check {
    let ClusterFacts {
        name,
        provider,
        state,
        version,
        ..
    } = cluster;
    if *state == State::HalfMade.word() {
        return Check::warning(
            Id::ClusterState,
            format!("creating {provider} cluster `{name}` was cut off"),
        )
        .hint("devk up    # creates it again; devk down --delete removes it");
    }
    let version = version
        .as_ref()
        .map(|version| format!(", Kubernetes {version}"))
        .unwrap_or_default();
    Check::ok(
        Id::ClusterState,
        format!("{provider} cluster `{name}` is {state}{version}"),
    )
}

fn pin(cluster: &ClusterFacts) -> Check {
    let id = Id::ClusterPin;
    match &cluster.pin {
        PinFacts::Pinned(uid) => Check::ok(id, format!("pinned: kube-system {uid}")),
        PinFacts::Foreign => Check::warning(
            id,
            format!("cluster `{}` runs and devk has not pinned it", cluster.name),
        )
        .evidence("devk writes to no cluster but the one it pinned")
        .hint("devk up    # adopts it; `cluster: {name: …}` in devk.yaml chooses another"),
        PinFacts::Broken(error) if error.code == Code::ClusterUnreachable => {
            Check::failed(id, error)
                .hint("devk down && devk up -d    # stops its nodes, and starts them again")
        }
        PinFacts::Broken(error) => Check::failed(id, error),
        PinFacts::None => Check::skipped(
            id,
            format!("cluster `{}` is {}", cluster.name, cluster.state),
        ),
    }
}
