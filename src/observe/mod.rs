//! Looks at everything the plan depends on: Docker, the cluster, the charts, the ports. Writes nothing
//! outside devk's own folders, and finds every problem before anything is touched.
//!
//! The charts are rendered twice: once with stand-ins, to see their Services, and once with the ports
//! and image references that follow. Both come from the cache while nothing has changed.

mod bridged;
mod capabilities;
mod charts;
mod cluster;
mod contexts;
mod drafts;
mod images;
mod occupied;
mod releases;
pub mod requests;
pub mod table;

pub use charts::{PreparedRelease, other_renderings};
pub use drafts::{Drafts, drafts};
pub use images::BuiltImage;
pub use occupied::numbers;
pub use releases::{Standing, standing};
pub use table::Own;

use std::sync::Arc;

use crate::bridge::{Bridge, Bridging};
use crate::cluster::{Access, ManagedCluster};
use crate::compose::{Compose, Stack};
use crate::config::Project;
use crate::docker::{self, Engine};
use crate::environment::Environment;
use crate::error::{Error, Errors, Problems, Result};
use crate::image::SameImages;
use crate::owner::Owner;
use crate::paths::Paths;
use crate::plan::{ClusterFact, Facts};
use crate::ports::OccupiedPorts;
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use capabilities::{ClusterAnswer, ClusterCapabilities};
use charts::{Charts, stand_in_forwards};
use cluster::{Nodes, cluster};
use images::{Known, image_facts, missing_secrets, out_of_reach};
use releases::{missing_kinds, orphaned_releases, owned_by_others, release_facts};

/// The facts of the plan, and what its execution needs besides.
#[derive(Debug)]
pub struct Observed {
    pub engine: Engine,
    pub helm: Helm,
    pub cluster: ManagedCluster,
    /// None if the cluster has to be created, started or adopted first.
    pub access: Option<Access>,
    /// The ownership record that marks the project's objects on the cluster.
    pub owner: Owner,
    /// The Compose stack of the project. None: there is no Compose file.
    pub compose: Option<Compose>,
    pub images: Vec<BuiltImage>,
    /// In the order of devk.yaml.
    pub releases: Vec<PreparedRelease>,
    /// The bridge to Compose's database, if the cluster is to use that database.
    pub bridge: Option<Bridge>,
    pub facts: Facts,
}

/// Observes everything, with the environment of the client that asked; the Compose files were read with the project.
///
/// # Errors
/// All problems that would make `up` fail, as far as they can be seen without changing anything.
pub async fn observe(
    project: &Project,
    compose: Stack,
    paths: &Paths,
    own: &Own,
    environment: &Environment,
    bridging: Bridging,
) -> Result<Observed, Errors> {
    let mut problems = Problems::default();
    let compose = problems.collect(compose);
    let Some((engine, helm)) = problems.collect(tools(project, paths, environment).await) else {
        return Err(problems.into());
    };
    if let Some(compose) = compose.iter().flatten().next() {
        problems.0.extend(contexts::missing(project, compose));
    }
    let handle = ManagedCluster::of(&engine, &project.cluster, paths);
    let owner = Owner::of(&project.root, paths).await;
    let mut charts = Charts::new(project, paths, &helm, compose.iter().flatten().next())?;
    let capabilities = Arc::new(ClusterCapabilities::of_look(project, paths));
    charts.capabilities = Arc::clone(&capabilities);
    let taken = occupied::taken(
        project,
        paths,
        compose.iter().flatten().next(),
        Some(&engine),
    );
    let cluster = async {
        let found = cluster(&handle, project, &owner).await;
        let access = found
            .as_ref()
            .ok()
            .and_then(|(_, access, _)| access.clone());
        capabilities.found(ClusterAnswer::of(&handle, access).await);
        found
    };
    let draft = bridged::draft(charts, compose.as_ref(), &engine, bridging);
    let (taken, cluster, draft) = tokio::join!(taken, cluster, draft);
    let taken = problems.collect(taken);
    let cluster = problems.collect(cluster);
    let draft = problems.collect(draft);
    let (Some(taken), Some((cluster, access, nodes)), Some((charts, draft)), []) =
        (taken, cluster, draft, &problems.0[..])
    else {
        // Problems of images are found without the ports, too.
        let known = Known {
            engine: &engine,
            nodes: &[],
            unchanged: &[],
            same: SameImages::of(&paths.project(&project.id)),
        };
        problems.collect(known.images(project, &stand_in_forwards(project)).await);
        return Err(problems.into());
    };
    let seen = FirstLook {
        engine: &engine,
        charts: &charts,
        own,
        draft,
        taken,
        cluster,
        access: access.as_ref(),
        nodes,
    };
    let (images, releases, mut facts) = seen.facts().await?;
    let compose = compose.flatten();
    let passed_over = compose.iter().flat_map(|compose| &compose.passed_over);
    facts.compose = passed_over.map(Error::on_one_line).collect();
    let bridge = charts.bridge;
    Ok(Observed {
        engine,
        helm,
        cluster: handle,
        access,
        owner,
        compose,
        images,
        releases,
        bridge,
        facts,
    })
}

/// The facts that are gathered first; the others depend on them.
struct FirstLook<'a> {
    engine: &'a Engine,
    charts: &'a Charts<'a>,
    own: &'a Own,
    draft: Vec<(String, Rendered)>,
    taken: OccupiedPorts,
    cluster: ClusterFact,
    access: Option<&'a Access>,
    nodes: Nodes,
}

impl FirstLook<'_> {
    async fn facts(self) -> Result<(Vec<BuiltImage>, Vec<PreparedRelease>, Facts), Errors> {
        let Self {
            engine,
            charts,
            access,
            ..
        } = self;
        let project = charts.project;
        let paths = charts.paths;
        let (wanted, absent) = bridged::wanted(charts, &self.draft).await?;
        let forwards = table::forwards(project, paths, &wanted, self.taken, self.own).await?;
        let rows = bridged::rows(charts, &forwards, &absent);
        let known = Known {
            engine,
            nodes: self.nodes.as_deref().unwrap_or_default(),
            unchanged: &self.own.images,
            same: SameImages::of(&paths.project(&project.id)),
        };
        let images = known.images(project, &rows).await?;
        let targets: Vec<_> = images.iter().map(|image| image.target.clone()).collect();
        let loaded = charts.loaded(engine, &self.draft).await?;
        let mut releases = charts.rendered(&rows, &targets, loaded).await?;
        let (image_facts, standing, orphaned_releases) = tokio::try_join!(
            image_facts(
                engine,
                self.nodes.as_deref().unwrap_or_default(),
                &images,
                &releases
            ),
            release_facts(access, project, &releases),
            orphaned_releases(access, project)
        )?;
        let (release_facts, installed): (Vec<_>, Vec<_>) = standing.into_iter().unzip();
        // What helm has installed is the truth; a chart may render something else each time.
        for (release, installed) in releases.iter_mut().zip(installed) {
            release.rendered = installed.unwrap_or_else(|| std::mem::take(&mut release.rendered));
        }
        missing_kinds(access, charts.helm, &releases, &release_facts).await?;
        owned_by_others(access, &releases, &release_facts).await?;
        let (image_facts, pulled) = image_facts;
        let image_facts = if self.nodes.is_some() {
            image_facts
        } else {
            out_of_reach(charts, &images)?
        };
        Errors::unless_empty(missing_secrets(engine, &images, &image_facts), ())?;
        let facts = Facts {
            cluster_name: project.cluster.name.clone(),
            cluster: self.cluster,
            images: image_facts,
            compose: vec![],
            pulled,
            releases: release_facts,
            orphaned_releases,
            left_out: bridged::left_out(charts, &absent),
            bridge: bridged::fact(charts, access).await?,
            forwards,
            // The request says it, not what is seen.
            sleep_others: false,
        };
        Ok((images, releases, facts))
    }
}

/// Docker and the programs, all that is missing reported together.
async fn tools(
    project: &Project,
    paths: &Paths,
    environment: &Environment,
) -> Result<(Engine, Helm), Errors> {
    let mut problems = Problems::default();
    let engine = problems.collect(docker::connect(environment).await);
    let helm = problems.collect(Helm::find(environment));
    match (engine, helm) {
        (Some(engine), Some(helm)) => Ok((engine, helm)),
        (Some(engine), None) => {
            // If helm is missing, the provider's program may be missing, too.
            let owner = Owner::of(&project.root, paths).await;
            let handle = ManagedCluster::of(&engine, &project.cluster, paths);
            problems.collect(cluster(&handle, project, &owner).await);
            Err(problems.into())
        }
        (None, _) => Err(problems.into()),
    }
}
