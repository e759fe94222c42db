//! The offset table of a project, as far as it can be made without a cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::bridged;
use super::capabilities::ClusterCapabilities;
use super::charts::Charts;
use super::images::BuiltImage;
use super::occupied::taken;
use super::requests::{RequestedForward, services, skipped};
use crate::bridge::Switch;
use crate::cluster::ManagedCluster;
use crate::compose::{self, Compose};
use crate::config::Project;
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Problems};
use crate::paths::Paths;
use crate::plan::{ForwardFact, Skipped};
use crate::ports::{self, Forward, Leases, Lessee, OccupiedPorts};
use crate::release::helm::Helm;

/// The table and what it was made from.
#[derive(Debug, Default)]
pub struct Table {
    pub forwards: Vec<Forward>,
    pub compose: Option<Compose>,
    /// Service ports that cannot be forwarded.
    pub skipped: Vec<Skipped>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl Table {
    /// The table, unless it was made without Compose's ports.
    ///
    /// # Errors
    /// Why nothing of the Compose files is known.
    pub fn with_compose(self) -> Result<Self, Errors> {
        let unread = self.unseen.iter().filter(|unseen| unseen.what == COMPOSE);
        let unread = unread.map(|unseen| unseen.error.clone()).collect();
        Errors::unless_empty(unread, self)
    }
}

/// What the project's own session has.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Host ports that it listens on: no obstacle to itself.
    pub ports: BTreeSet<u16>,
    /// Images that have not changed since they were looked at.
    pub images: Vec<BuiltImage>,
}

/// [`Unseen::what`] where nothing of the Compose files is known.
const COMPOSE: &str = "the Compose files";

/// Something that the table does not take into account.
#[derive(Debug, Serialize)]
pub struct Unseen {
    /// `containers`, …
    pub what: &'static str,
    pub error: Error,
}

/// The table that `up` would make now. It needs no cluster; where Docker does not run, containers are left out, and
/// where ports of Compose depend on variables that are not set, its files: [`Table::unseen`] says so.
///
/// # Errors
/// Everything else that keeps the table from being made.
pub async fn table(
    project: &Project,
    paths: &Paths,
    own: &Own,
    environment: &Environment,
    switch: Switch,
) -> Result<Table, Errors> {
    let mut problems = Problems::default();
    let compose = compose::of_project(project, environment);
    let compose = compose::as_docker_takes_it(project, environment, compose).await;
    let mut unseen = vec![];
    let compose = match compose {
        Err(errors)
            if errors
                .0
                .iter()
                .all(|error| error.code == Code::ComposeVariable) =>
        {
            unseen.extend(errors.0.into_iter().map(|error| Unseen {
                what: COMPOSE,
                error,
            }));
            Some(None)
        }
        compose => problems.collect(compose),
    };
    let helm = problems.collect(Helm::find(environment));
    let (Some(compose), Some(helm)) = (compose, helm) else {
        return Err(problems.into());
    };
    let engine = match docker::connect(environment).await {
        Ok(engine) => Some(engine),
        Err(error) if error.code == Code::DockerUnavailable => {
            unseen.push(Unseen {
                what: "containers",
                error,
            });
            None
        }
        Err(error) => return Err(error.into()),
    };
    let passed_over = compose.iter().flat_map(|compose| &compose.passed_over);
    unseen.extend(passed_over.map(|error| Unseen {
        what: "all of the Compose files",
        error: error.clone(),
    }));
    let mut charts = Charts::new(project, paths, &helm, compose.as_ref())?;
    if let Some(engine) = &engine {
        let cluster = ManagedCluster::of(engine, &project.cluster, paths);
        charts.capabilities = Arc::new(ClusterCapabilities::of_cluster(project, paths, cluster));
    }
    let engine_for_bridge = engine.as_ref().filter(|_| switch.is_on(project));
    let mut of_compose = unseen.iter().map(|unseen| unseen.error.code.as_str());
    if engine_for_bridge.is_some() && of_compose.any(|code| code.starts_with("compose.")) {
        unseen.push(Unseen {
            what: "the bridge",
            error: Error::new(Code::BridgeServer, "it depends on all of the Compose files"),
        });
    } else if let Some(engine) = engine_for_bridge {
        match bridged::find(&charts, compose.as_ref(), engine, false).await {
            Ok(bridge) => charts.bridge = Some(bridge),
            Err(errors) => unseen.extend(errors.0.into_iter().map(|error| Unseen {
                what: "the bridge",
                error,
            })),
        }
    }
    let taken = taken(project, paths, compose.as_ref(), engine.as_ref()).await?;
    let draft = charts.draft(charts.bridge.as_ref()).await?;
    let (wanted, absent) = bridged::wanted(&charts, &draft).await?;
    let forwards = forwards(project, paths, &wanted, taken, own).await?;
    let forwards = forwards.into_iter().map(|fact| fact.forward).collect();
    let mut skipped = skipped(project, &services(project, &draft));
    skipped.extend(charts.bridge.iter().flat_map(|bridge| {
        absent
            .iter()
            .map(|forward| bridge.skipped(forward, &project.id))
    }));
    Ok(Table {
        forwards,
        compose,
        skipped,
        unseen,
    })
}

/// A row for every Service port that is to be forwarded.
pub(super) async fn forwards(
    project: &Project,
    paths: &Paths,
    wanted: &[RequestedForward],
    taken: OccupiedPorts,
    own: &Own,
) -> Result<Vec<ForwardFact>, Errors> {
    let requests: Vec<_> = wanted.iter().map(|w| w.request.clone()).collect();
    let lease = Leases::open(&paths.state).of(&Lessee::from(project))?;
    let forwards = ports::allocate(&requests, taken, &lease, &own.ports).await?;
    Ok(forwards
        .into_iter()
        .filter_map(|forward| fact(forward, wanted))
        .collect())
}

fn fact(forward: Forward, wanted: &[RequestedForward]) -> Option<ForwardFact> {
    let wanted = wanted.iter().find(|w| w.request.name == forward.name)?;
    Some(ForwardFact {
        forward,
        port_name: wanted.request.port_name.clone(),
        release: wanted.release.clone(),
    })
}
