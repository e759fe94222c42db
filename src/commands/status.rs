//! `devk status`: cluster, releases, pods, forwards.

use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::Context;
use crate::bridge::record::{self, Record};
use crate::cluster::{Access, ManagedCluster, State, namespace};
use crate::config::Project;
use crate::daemon::client;
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result, internal};
use crate::program::Build;
use crate::release::cron_jobs::{FailingCronJob, failing_cron_jobs};
use crate::release::installed;
use crate::release::project_pods::ProjectPods;
use crate::session::outcome::Built;
use crate::session::status::{ReconcileStatus, RelayStatus, SessionStatus};
use crate::sync::status::SyncStatus;
use crate::ui::{self, Format};

mod forwards;
mod recovered;
mod rows;

use forwards::HeldForward;
use recovered::recover;
use rows::{bridge_row, cron_job_row, pod_row, release_row, sync_rows, work};

/// The contract of `devk status --format json`.
#[derive(Debug, Serialize)]
pub(super) struct StatusDocument {
    version: u32,
    project: String,
    worktree: Option<String>,
    /// The project's own namespace.
    namespace: String,
    cluster: ClusterStatus,
    /// As the session's last `up` built them; none without a session.
    images: Vec<Built>,
    releases: Vec<ReleaseStatus>,
    pods: Vec<PodStatus>,
    /// CronJobs whose every run has failed.
    failing_cron_jobs: Vec<FailingCronJob>,
    /// The forwards that the session holds.
    forwards: Vec<HeldForward>,
    /// Compose's database that the cluster uses.
    bridge: Option<Record>,
    /// One for every image that the session follows.
    sync: Vec<SyncStatus>,
    session: Option<Live>,
}

#[derive(Debug, Serialize)]
struct Live {
    pid: u32,
    /// The session runs another build of devk: `devk up --restart` replaces it.
    outdated: bool,
    /// A reconcile is at work.
    busy: bool,
    /// Nothing of the last `up` has failed; null before it has settled.
    ready: Option<bool>,
    /// The steps of the last `up` that failed, without waits for a release that is ready since.
    failed: Vec<String>,
    /// The way of new connections into pods.
    relay: RelayStatus,
    /// The reconcile that is at work; null while none is.
    reconcile: Option<ReconcileStatus>,
}

#[derive(Debug, Serialize)]
struct ClusterStatus {
    name: String,
    state: &'static str,
    pinned: bool,
    created_by_devk: bool,
    /// Why releases and pods are missing, if the cluster runs and does not answer.
    error: Option<Error>,
}

/// The state of a cluster that answers.
struct ClusterView {
    client: kube::Client,
    created_by_devk: bool,
    releases: Vec<ReleaseStatus>,
    pods: Vec<PodStatus>,
    failing_cron_jobs: Vec<FailingCronJob>,
    /// Why the namespace, which is being removed, is still there.
    removal: Option<Error>,
}

#[derive(Debug, Serialize)]
struct ReleaseStatus {
    name: String,
    revision: Option<u32>,
    status: Option<String>,
}

#[derive(Debug, Serialize)]
struct PodStatus {
    namespace: String,
    name: String,
    ready: bool,
    phase: String,
    restarts: i32,
    /// The generation of the working tree that the pod has; null without a session, or if nothing is synced there.
    generation: Option<u64>,
}

/// Prints the status.
///
/// # Errors
/// [`crate::error::Code::DockerUnavailable`], [`crate::error::Code::ClusterPin`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    now(context, &project).await?.print(context.format)?;
    Ok(Exit::Ok)
}

/// The status, with the current status of the session.
pub(super) async fn now(context: &Context, project: &Project) -> Result<StatusDocument, Errors> {
    let session = client::status(&context.paths, &project.id);
    status(context, project, session).await
}

impl StatusDocument {
    /// The document as `--format json` prints it.
    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| internal(&e))
    }

    pub(super) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Json => ui::json(self),
            Format::Table => ui::out(&text(self)),
        }
    }
}

/// The status; `session` is read after the cluster.
pub(super) async fn status(
    context: &Context,
    project: &Project,
    session: impl Future<Output = Result<Option<SessionStatus>>>,
) -> Result<StatusDocument, Errors> {
    let engine = docker::connect(&Environment::of_process()).await?;
    let cluster = ManagedCluster::of(&engine, &project.cluster, &context.paths);
    // The session and its forwards are there whether or not the cluster answers.
    let (state, seen) = match cluster.state().await {
        Ok(state) => (state.word(), read_cluster(&cluster, &state, project).await),
        // Only its API server knows the state of an existing cluster.
        Err(error) => ("unknown", Err(error)),
    };
    let (seen, error) = match seen {
        Ok(seen) => (seen, None),
        Err(error) if error.code == Code::ClusterUnreachable => (None, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let cluster = ClusterStatus {
        name: project.cluster.name.clone(),
        state,
        pinned: seen.is_some(),
        created_by_devk: seen.as_ref().is_some_and(|seen| seen.created_by_devk),
        error: error.or_else(|| seen.as_ref()?.removal.clone()),
    };
    let client = seen.as_ref().map(|seen| seen.client.clone());
    let (releases, mut pods, failing_cron_jobs) = seen
        .map(|seen| (seen.releases, seen.pods, seen.failing_cron_jobs))
        .unwrap_or_default();
    let mut session = session.await?;
    let forwards = session.iter().flat_map(|session| session.forwards.clone());
    let forwards = forwards::held(client.as_ref(), forwards.collect()).await;
    let sync: Vec<_> = session
        .iter()
        .flat_map(|session| session.sync.clone())
        .collect();
    pods.iter_mut()
        .for_each(|pod| pod.generation = generation(&sync, &pod.name));
    let outcome = session
        .as_mut()
        .and_then(|session| session.outcome.as_mut());
    if let Some((client, outcome)) = client.as_ref().zip(outcome) {
        recover(client, project, outcome).await;
    }
    let images = session
        .iter()
        .flat_map(|s| &s.outcome)
        .flat_map(|outcome| outcome.images.clone())
        .collect();
    Ok(StatusDocument {
        version: 1,
        project: project.name.clone(),
        worktree: project.worktree.clone(),
        namespace: project.id.clone(),
        cluster,
        images,
        releases,
        pods,
        failing_cron_jobs,
        forwards,
        bridge: record::load(&context.paths.project(&project.id))?,
        sync,
        session: session.map(live),
    })
}

async fn read_cluster(
    cluster: &ManagedCluster,
    state: &State,
    project: &Project,
) -> Result<Option<ClusterView>> {
    let State::Running(nodes) = state else {
        return Ok(None);
    };
    let access = match cluster.pinned(nodes).await? {
        Some(access) => access,
        None if cluster.is_pinned(nodes)? => return Err(no_kubeconfig(cluster)),
        None => return Ok(None),
    };
    let of_project = ProjectPods::of(&access.client, &project.id).await?;
    let pods = of_project.list(&access.client, None).await?;
    let namespaces = of_project.namespaces();
    let (releases, failing_cron_jobs, removal) = tokio::join!(
        releases(&access, project),
        failing_cron_jobs(&access.client, &namespaces),
        namespace::removal(&access.client, &project.id)
    );
    Ok(Some(ClusterView {
        client: access.client.clone(),
        created_by_devk: access.pin.created,
        releases: releases?,
        pods: pods.iter().map(pod).collect(),
        // Rights that do not reach to CronJobs, or to namespaces, hide no pod.
        failing_cron_jobs: failing_cron_jobs.unwrap_or_default(),
        removal: removal.unwrap_or_default(),
    }))
}

fn no_kubeconfig(cluster: &ManagedCluster) -> Error {
    let kubeconfig = cluster.kubeconfig();
    Error::new(
        Code::ClusterUnreachable,
        format!(
            "devk's kubeconfig `{}` is missing or damaged",
            kubeconfig.display()
        ),
    )
    .hint("devk up")
}

/// Of a pod with several synced containers the oldest counts.
fn generation(sync: &[SyncStatus], pod: &str) -> Option<u64> {
    let containers = sync.iter().flat_map(|sync| &sync.containers);
    containers
        .filter(|container| container.pod == pod && container.refused.is_none())
        .map(|c| c.generation)
        .min()
}

fn live(session: SessionStatus) -> Live {
    let failed = session
        .outcome
        .iter()
        .flat_map(|outcome| outcome.failed.clone())
        .collect();
    Live {
        pid: session.pid,
        outdated: session.build != Build::own(),
        busy: session.busy,
        ready: session.outcome.map(|outcome| outcome.ready),
        failed,
        relay: session.relay,
        reconcile: session.reconcile,
    }
}

async fn releases(access: &Access, project: &Project) -> Result<Vec<ReleaseStatus>> {
    let mut releases = vec![];
    for release in &project.releases {
        let found = installed::installed(&access.client, &project.id, &release.name).await?;
        let (revision, status) = found.map(|f| (f.revision, f.status)).unzip();
        releases.push(ReleaseStatus {
            name: release.name.clone(),
            revision,
            status,
        });
    }
    Ok(releases)
}

fn pod(pod: &Pod) -> PodStatus {
    let status = pod.status.clone().unwrap_or_default();
    let is_ready =
        |c: &k8s_openapi::api::core::v1::PodCondition| c.type_ == "Ready" && c.status == "True";
    PodStatus {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        ready: status.conditions.iter().flatten().any(is_ready),
        phase: status.phase.unwrap_or_default(),
        restarts: status
            .container_statuses
            .iter()
            .flatten()
            .map(|c| c.restart_count)
            .sum(),
        generation: None,
    }
}

fn text(status: &StatusDocument) -> String {
    let session = match &status.session {
        None => "none; `devk up` starts one".to_owned(),
        Some(session) if session.busy => {
            format!("pid {}, {} is at work", session.pid, work(session))
        }
        Some(session) if !session.failed.is_empty() => {
            format!("pid {}, failed: {}", session.pid, session.failed.join(", "))
        }
        Some(session) => format!("pid {}", session.pid),
    };
    let outdated = status
        .session
        .as_ref()
        .is_some_and(|session| session.outdated);
    let outdated = if outdated {
        "runs another build of devk; `devk up --restart` replaces it"
    } else {
        ""
    };
    let upstream = status
        .session
        .as_ref()
        .map(|session| match &session.relay.why {
            None => "a relay in the node".to_owned(),
            Some(why) => format!("the API server; no relay in the node: {why}"),
        });
    let trouble = status
        .cluster
        .error
        .as_ref()
        .map(|error| format!(": {}", error.message))
        .unwrap_or_default();
    let cluster = format!(
        "{} ({}){trouble}",
        status.cluster.name, status.cluster.state
    );
    let mut rows = vec![
        vec!["project".to_owned(), status.project.clone()],
        vec!["cluster".to_owned(), cluster],
        vec!["session".to_owned(), session, outdated.to_owned()],
    ];
    rows.extend(upstream.map(|upstream| vec!["upstream".to_owned(), upstream]));
    rows.extend(
        status
            .images
            .iter()
            .map(|i| vec!["image".to_owned(), i.name.clone(), i.reference.clone()]),
    );
    rows.extend(status.releases.iter().map(release_row));
    rows.extend(
        status
            .pods
            .iter()
            .map(|pod| pod_row(pod, &status.namespace)),
    );
    rows.extend(status.failing_cron_jobs.iter().map(cron_job_row));
    rows.extend(status.forwards.iter().map(HeldForward::row));
    rows.extend(status.sync.iter().flat_map(sync_rows));
    rows.extend(
        status
            .bridge
            .iter()
            .map(|bridge| bridge_row(bridge, status.session.is_some())),
    );
    ui::table(&rows)
}
