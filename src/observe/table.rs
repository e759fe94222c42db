//! The offset table of a project, as far as it can be made without a cluster.

use serde::Serialize;

use super::requests::{Rendered as RenderedService, Skipped, Wanted, skipped, wanted};
use super::taken::{compose, taken};
use super::{Charts, Own, keep};
use crate::compose::Compose;
use crate::config::Project;
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors};
use crate::paths::Paths;
use crate::plan::ForwardFact;
use crate::ports::{self, Forward, Leases, Lessee, Taken};
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;

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

/// Something that the table does not take into account.
#[derive(Debug, Serialize)]
pub struct Unseen {
    /// `containers`, …
    pub what: &'static str,
    pub error: Error,
}

/// The table that `up` would make now. It needs no cluster; where Docker does not run, containers are
/// left out and [`Table::unseen`] says so.
///
/// # Errors
/// Everything else that keeps the table from being made.
pub async fn table(project: &Project, paths: &Paths, own: &Own, environment: &Environment) -> Result<Table, Errors> {
    let mut problems = vec![];
    let compose = keep(compose(project, environment), &mut problems);
    let helm = keep(Helm::find(environment).map_err(Errors::from), &mut problems);
    let draft = match &helm {
        Some(helm) => keep(Charts::new(project, paths, helm)?.draft().await, &mut problems),
        None => None,
    };
    let (Some(compose), Some(draft)) = (compose, draft) else { return Err(Errors(problems)) };
    let (engine, unseen) = match docker::connect(environment).await {
        Ok(engine) => (Some(engine), vec![]),
        Err(error) if error.code == Code::DockerUnavailable => (None, vec![Unseen { what: "containers", error }]),
        Err(error) => return Err(error.into()),
    };
    let taken = taken(project, paths, compose.as_ref(), engine.as_ref()).await?;
    let services = services(project, &draft);
    let forwards = forwards(project, paths, &services, taken, own).await?;
    let forwards = forwards.into_iter().map(|fact| fact.forward).collect();
    Ok(Table { forwards, compose, skipped: skipped(project, &services), unseen })
}

/// Every Service that the charts render.
pub(super) fn services(project: &Project, draft: &[(String, Rendered)]) -> Vec<RenderedService> {
    let of_release = |(release, rendered): &(String, Rendered)| {
        let with_release = |service| RenderedService { release: release.clone(), service };
        rendered.services(&project.id).into_iter().map(with_release).collect::<Vec<_>>()
    };
    draft.iter().flat_map(of_release).collect()
}

/// A row for every Service port that is to be forwarded.
pub(super) async fn forwards(
    project: &Project,
    paths: &Paths,
    services: &[RenderedService],
    taken: Taken,
    own: &Own,
) -> Result<Vec<ForwardFact>, Errors> {
    let wanted = wanted(project, services)?;
    let requests: Vec<_> = wanted.iter().map(|w| w.request.clone()).collect();
    let lease = Leases::open(&paths.state).of(&Lessee::from(project))?;
    let forwards = ports::place(&requests, taken, &lease, &own.0).await?;
    Ok(forwards.into_iter().filter_map(|forward| fact(forward, &wanted)).collect())
}

fn fact(forward: Forward, wanted: &[Wanted]) -> Option<ForwardFact> {
    let wanted = wanted.iter().find(|w| w.request.name == forward.name)?;
    Some(ForwardFact { forward, port_name: wanted.request.port_name.clone(), release: wanted.release.clone() })
}
