//! `devk logs`: the containers' output, named by pod.

use std::collections::BTreeSet;
use std::time::Duration;

use super::service::{near, selector};
use super::{Context, no_session};
use crate::cluster;
use crate::config::Project;
use crate::daemon::client;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::logs::{EditTimes, Printed, Tail};
use crate::release::project_pods::{PodSelector, ProjectPods};
use crate::sync::status::ContainerStatus;

/// Whose logs, and which part of them.
#[derive(Debug)]
pub struct LogOptions {
    pub service: Option<String>,
    pub container: Option<String>,
    pub follow: bool,
    pub lines: i64,
    pub since: Option<Duration>,
    pub previous: bool,
    pub since_edit: bool,
}

/// Prints the logs of all pods, or of the pods that a name selects.
///
/// # Errors
/// [`Code::ServiceUnknown`], [`Code::ClusterUnreachable`]; [`Code::LogsNone`] if no container has a previous run.
pub async fn run(context: &Context, options: LogOptions) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let client = connect(context, &project).await?;
    let selector = match &options.service {
        Some(name) => Some(selector(&client, &project, name).await?),
        None => None,
    };
    check(&client, &project, selector.as_ref(), &options).await?;
    let edits = match options.since_edit {
        true => Some(edits(context, &project).await?),
        false => None,
    };
    let tail = Tail {
        client,
        project: project.id,
        selector,
        container: options.container,
        lines: options.lines,
        since: options.since,
        previous: options.previous,
        edits,
        printed: Printed::of(context.format),
    };
    tokio::select! {
        shown = tail.show(options.follow) => shown?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Ok)
}

/// The containers that have all that was saved, by what the session knows.
async fn edits(context: &Context, project: &Project) -> Result<EditTimes> {
    let session = client::status(&context.paths, &project.id).await?;
    let session = session.ok_or_else(|| no_session(&project.name))?;
    let references = session.outcome.iter().flat_map(|outcome| &outcome.images);
    let mut edits = EditTimes::new();
    for image in references {
        let current = session
            .sync
            .iter()
            .filter(|sync| sync.image == image.name && sync.reference == image.reference);
        for sync in current {
            let has_all = |container: &&ContainerStatus| container.generation == sync.generation;
            edits.extend(sync.containers.iter().filter(has_all).map(|container| {
                let key = (container.pod.clone(), container.container.clone());
                (key, container.since)
            }));
        }
    }
    Ok(edits)
}

/// Looks whether the pods have the container that is asked for, and a previous run of it.
async fn check(
    client: &kube::Client,
    project: &Project,
    selector: Option<&PodSelector>,
    options: &LogOptions,
) -> Result<()> {
    if options.container.is_none() && !options.previous {
        return Ok(());
    }
    let of_project = ProjectPods::of(client, &project.id).await?;
    let pods = of_project.list(client, selector).await?;
    if let Some(wanted) = &options.container {
        let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
        let containers = specs.flat_map(|spec| {
            let init = spec.init_containers.iter().flatten();
            init.chain(&spec.containers)
        });
        let names: BTreeSet<_> = containers
            .map(|container| container.name.as_str())
            .collect();
        if !names.contains(wanted.as_str()) {
            let message = format!("no pod here has a container `{wanted}`");
            return Err(Error::new(Code::ServiceUnknown, message).hint(near(wanted, &names)));
        }
    }
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref());
    let mut containers = statuses.flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    let is_restarted = containers.any(|container| {
        let is_wanted = options
            .container
            .as_ref()
            .is_none_or(|name| *name == container.name);
        is_wanted
            && container
                .last_state
                .as_ref()
                .is_some_and(|last| last.terminated.is_some())
    });
    if options.previous && !is_restarted {
        let message = "no container here was restarted, so there is no previous log".to_owned();
        return Err(Error::new(Code::LogsNone, message).hint("devk logs"));
    }
    Ok(())
}

/// Follows everything, from now on; for a foreground `up`. Without end: where a cluster could not be
/// made there are no logs yet, and that is no reason to end the session. The answer is why they cannot be printed.
pub async fn follow_all(context: &Context, project: &Project) -> Error {
    loop {
        if let Ok(client) = connect(context, project).await {
            let printed = Printed::of(context.format);
            let tail = Tail {
                client,
                project: project.id.clone(),
                selector: None,
                container: None,
                lines: 0,
                since: None,
                previous: false,
                edits: None,
                printed,
            };
            // Otherwise it returns only if the first look failed.
            match tail.show(true).await {
                Err(error) if matches!(error.code, Code::OutputClosed | Code::OutputIo) => {
                    return error;
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn connect(context: &Context, project: &Project) -> Result<kube::Client> {
    let kubeconfig = context
        .paths
        .cluster(&project.cluster.folder())
        .join("kubeconfig");
    cluster::client::client(&kubeconfig)
        .await
        .map_err(|error| error.hint("devk up -d"))
}
