//! The facts that the checks use, gathered once and concurrently. If one fact cannot be had, the others are gathered
//! all the same.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::charts::RenderedChart;
use super::cluster::ClusterFacts;
use super::docker::Docker;
use super::host_names::HostNames;
use super::leftovers::Leftovers;
use super::machine::Machine;
use super::missing::{Looked, Missing, of_project};
use super::network::Network;
use super::ports::Ports;
use super::score::ScoredChart;
use super::tools::Tools;
use super::{
    Check, Id, bridge, charts, cluster, docker, findings, host_names, leftovers, machine, network,
    ports, requirements, score, tools,
};
use crate::bridge::Bridge;
use crate::compose::{self, Compose};
use crate::config::Project;
use crate::docker::Engine;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::observe::{self, Drafts};
use crate::paths::Paths;

/// Everything that the checks go by.
#[derive(Debug)]
pub struct DoctorFacts {
    pub project: Looked<Project>,
    /// None: there is no Compose stack.
    pub compose: Looked<Option<Compose>>,
    pub charts: Looked<Vec<RenderedChart>>,
    /// To Compose's Postgres. None: devk.yaml wants none.
    pub bridge: Looked<Option<Bridge>>,
    pub host_names: Looked<HostNames>,
    /// What the charts ask of the cluster and it does not have.
    pub requirements: Looked<Vec<Error>>,
    /// What the checks of the charts have found so far.
    pub scores: Looked<Vec<ScoredChart>>,
    pub ports: Looked<Ports>,
    pub docker: Looked<Docker>,
    pub tools: Tools,
    pub cluster: Looked<ClusterFacts>,
    pub network: Network,
    pub machine: Machine,
    pub leftovers: Leftovers,
}

impl DoctorFacts {
    /// Looks at everything and writes nothing but devk's cache of rendered charts. Where there is no project, or its
    /// file has a problem, the Compose stack is that of the folder.
    pub async fn gather(
        folder: &Path,
        project: Result<Project, Errors>,
        paths: &Paths,
        environment: &Environment,
    ) -> Self {
        let project = project.map_err(no_project);
        // A folder that cannot be made is reported where it is needed.
        let looking = project
            .as_ref()
            .ok()
            .and_then(|project| paths.for_looking(&project.id).ok());
        let rendering = looking.as_ref().map_or(paths, |(paths, _)| paths);
        let engine = crate::docker::connect(environment).await;
        let compose = compose(folder, project.as_ref(), environment);
        let charts = async {
            let drafts = drafts(project.as_ref(), &compose, &engine, rendering, environment).await;
            let project = project.as_ref();
            let missing = requirements::inspect(&engine, project, &drafts, rendering, environment);
            let missing = missing.await;
            let bridge = bridge::looked_at(project, &compose, &engine, &drafts);
            (charts::looked_at(project, drafts), missing, bridge)
        };
        let (docker, tools, cluster, (charts, requirements, bridge)) = tokio::join!(
            docker::inspect(&engine, environment),
            tools::inspect(environment),
            cluster::inspect(&engine, project.as_ref(), paths),
            charts,
        );
        let listed = compose.as_ref().ok().and_then(Option::as_ref);
        let containers = docker
            .as_ref()
            .ok()
            .map(|docker| docker.containers.as_slice());
        let ports = ports::inspect(project.as_ref(), paths, listed, containers).await;
        let networks = docker.iter().flat_map(|docker| docker.networks.clone());
        let networks: Vec<_> = networks.collect();
        let host_names =
            host_names::inspect(&engine, project.as_ref(), paths, &charts, &networks).await;
        let machine = machine::inspect(docker.as_ref().ok());
        let (engine, own) = (engine.as_ref().ok(), project.as_ref().ok());
        let leftovers = leftovers::inspect(paths, engine, cluster.as_ref().ok(), own).await;
        Self {
            network: network::inspect(),
            scores: score::inspect(project.as_ref(), paths),
            project,
            compose,
            charts,
            bridge,
            host_names,
            requirements,
            ports,
            docker,
            tools,
            cluster,
            machine,
            leftovers,
        }
    }

    /// The addresses by which pods reach this machine: its own, and the gateways of Docker's networks.
    pub fn here(&self) -> BTreeSet<IpAddr> {
        let gateways = self
            .docker
            .iter()
            .flat_map(|docker| &docker.networks)
            .flat_map(|network| &network.gateways);
        gateways
            .copied()
            .chain(self.network.addresses.iter().copied())
            .collect()
    }
}

/// The charts as `up` renders them, once for all that look at them.
async fn drafts(
    project: Result<&Project, &Missing>,
    compose: &Looked<Option<Compose>>,
    engine: &Result<Engine, Error>,
    paths: &Paths,
    environment: &Environment,
) -> Looked<Drafts> {
    let project = of_project(project)?;
    let (compose, engine) = (compose.as_ref().ok(), engine.as_ref().ok());
    match observe::drafts(project, compose, engine, paths, environment).await {
        Ok(drafts) => Ok(drafts),
        Err(errors) if errors.0.iter().all(|e| e.code == Code::ToolMissing) => {
            Err(Missing::Skipped("helm is missing".to_owned()))
        }
        Err(errors) => Err(errors.into()),
    }
}

fn no_project(errors: Errors) -> Missing {
    if errors
        .0
        .iter()
        .all(|error| error.code == Code::ConfigMissing)
    {
        Missing::Skipped("there is no devk.yaml here or above".to_owned())
    } else {
        Missing::Failed(errors)
    }
}

fn compose(
    folder: &Path,
    project: Result<&Project, &Missing>,
    environment: &Environment,
) -> Looked<Option<Compose>> {
    Ok(match project {
        Ok(project) => compose::of_project(project, environment)?,
        Err(_) => compose::of_folder(folder, environment)?,
    })
}

/// The check of the project file itself.
pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    match &facts.project {
        Ok(project) => findings(
            Id::ProjectConfig,
            vec![],
            format!("project `{}`, {}", project.id, project.file.display()),
        ),
        Err(Missing::Failed(errors)) => Check::all_failed(Id::ProjectConfig, errors),
        Err(missing) => super::skipped(&[Id::ProjectConfig], missing),
    }
}
