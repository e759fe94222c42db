//! The images of a project: the content hashes of those that devk builds, and for every image that the charts use
//! whether Docker and the nodes have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bollard::models::ImageInspect;

use super::charts::{Charts, PreparedRelease};
use crate::cluster::Node;
use crate::config::{ImageConfig, Project, Sync, SyncRule, build_waves, is_base};
use crate::docker::Engine;
use crate::error::{Code, Error, Errors, Problems};
use crate::image::{self, ContextManifest, ImageRef, OnNode, SameImages};
use crate::plan::{ImageFact, is_built};
use crate::ports::Forward;
use crate::sync::dockerfile::Dockerfile;
use crate::sync::rules::Scope;
use crate::sync::watch::Baseline;
use crate::variables::Variables;

/// An image that devk builds, its arguments resolved.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    pub config: ImageConfig,
    pub args: BTreeMap<String, String>,
    pub target: ImageRef,
    /// What was in the build context before its content was hashed: a later change is not in the image.
    pub seen: Arc<Baseline>,
    /// What was in the build context when it was hashed.
    pub manifest: Arc<ContextManifest>,
}

/// The project's images before their contents are hashed.
pub(super) struct Known<'a> {
    pub engine: &'a Engine,
    pub nodes: &'a [Node],
    /// Images that have not changed since they were looked at.
    pub unchanged: &'a [BuiltImage],
    pub same: SameImages,
}

impl Known<'_> {
    /// Resolves the arguments and hashes the contents, each image on its own thread, and images that are built from
    /// others after those: the reference of a base image is one of their arguments.
    pub(super) async fn images(
        &self,
        project: &Project,
        forwards: &[Forward],
    ) -> Result<Vec<BuiltImage>, Errors> {
        let mut images = BTreeMap::<&str, BuiltImage>::new();
        let mut problems = Problems::default();
        let all = project.images.iter().collect();
        let (waves, _) = build_waves(
            all,
            |config: &&ImageConfig| &config.name,
            |config| config.bases(),
        );
        for wave in waves {
            let targets: Vec<_> = images.values().map(|image| image.target.clone()).collect();
            let variables = Variables::new(project, &project.id, forwards, &targets);
            let looked_at = wave
                .iter()
                .map(|config| self.image(&project.id, config, &variables));
            let looked_at = futures::future::join_all(looked_at).await;
            for (config, image) in wave.iter().zip(looked_at) {
                images.extend(problems.collect(image).map(|image| (&*config.name, image)));
            }
            // The arguments of the others cannot be resolved without these.
            if !problems.0.is_empty() {
                break;
            }
        }
        let in_order = project
            .images
            .iter()
            .filter_map(|config| images.remove(&*config.name));
        let in_order = in_order.collect();
        Errors::unless_empty(problems.0, in_order)
    }

    async fn image(
        &self,
        project: &str,
        config: &ImageConfig,
        variables: &Variables,
    ) -> Result<BuiltImage, Errors> {
        let args = resolve_args(config, variables)?;
        let mut unchanged = self.unchanged.iter();
        if let Some(known) = unchanged.find(|known| known.is_of(config, &args))
            && self.is_there(&known.target, None).await?
        {
            let config = config.clone();
            return Ok(BuiltImage {
                config,
                ..known.clone()
            });
        }
        let mut image = hashed(project, config, args).await?;
        if let Some((before, id)) = self.same.before(&image.target)
            && self.is_there(&before, Some(&id)).await?
        {
            image.target = before;
        }
        Ok(image)
    }

    /// Whether the image need not be built: Docker has it, by this ID, or every node has it.
    async fn is_there(&self, target: &ImageRef, id: Option<&str>) -> Result<bool, Error> {
        let docker = &self.engine.docker;
        let reference = target.reference();
        if let Some(found) = image::present(docker, &reference).await? {
            return Ok(id.is_none_or(|id| id == found));
        }
        for node in self.nodes {
            if !image::on_node(docker, &node.name)
                .await?
                .contains_key(&image::normalise(&reference))
            {
                return Ok(false);
            }
        }
        Ok(!self.nodes.is_empty())
    }
}

impl BuiltImage {
    /// Whether the image is built and synced by these instructions, at whatever line of devk.yaml.
    fn is_of(&self, config: &ImageConfig, args: &BTreeMap<String, String>) -> bool {
        let moved = |sync: &Sync| match sync {
            Sync::Auto => Sync::Auto,
            Sync::Rules(rules) => Sync::Rules(
                rules
                    .iter()
                    .map(|rule| SyncRule {
                        origin: config.origin.clone(),
                        ..rule.clone()
                    })
                    .collect(),
            ),
        };
        let moved = |image: &ImageConfig| ImageConfig {
            sync: moved(&image.sync),
            origin: config.origin.clone(),
            args: BTreeMap::new(),
            secrets: vec![],
            ssh: vec![],
            ..image.clone()
        };
        self.args == *args && moved(&self.config) == moved(config)
    }
}

async fn hashed(
    project: &str,
    config: &ImageConfig,
    args: BTreeMap<String, String>,
) -> Result<BuiltImage, Errors> {
    let config = config.clone();
    let project = project.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        let scope = Scope::read(&config)?;
        let seen = Arc::new(Baseline::look(&config.context, |folder| {
            scope.enters(folder)
        }));
        let hashed = image::content_hash(&config, &args)?;
        let target = image::image_ref(&project, &config.name, &hashed.tag);
        Ok::<_, Errors>(BuiltImage {
            config,
            args,
            target,
            seen,
            manifest: Arc::new(hashed.manifest),
        })
    });
    hashed
        .await
        .unwrap_or_else(|panic| Err(crate::error::internal(&panic).into()))
}

fn resolve_args(
    config: &ImageConfig,
    variables: &Variables,
) -> Result<BTreeMap<String, String>, Errors> {
    let mut args = BTreeMap::new();
    let mut problems = vec![];
    for (key, value) in &config.args {
        match variables.resolve_at(value, &config.origin) {
            Ok(value) => drop(args.insert(key.clone(), value)),
            Err(errors) => problems.extend(errors.0),
        }
    }
    Errors::unless_empty(problems, args)
}

/// The images that the charts use and that devk has to load: those that devk builds, and those that Docker has and a
/// node lacks. The node pulls all other images.
pub(super) async fn image_facts(
    engine: &Engine,
    nodes: &[Node],
    built: &[BuiltImage],
    releases: &[PreparedRelease],
) -> Result<(Vec<ImageFact>, BTreeSet<String>), Errors> {
    let lists = nodes
        .iter()
        .map(|node| image::on_node(&engine.docker, &node.name));
    let mut references: Vec<_> = built
        .iter()
        .map(|b| (Some(b.target.name.clone()), b.target.reference()))
        .collect();
    let used: Vec<_> = releases
        .iter()
        .flat_map(|release| release.rendered.images())
        .map(|used| used.image)
        .collect();
    for image in &used {
        if !references.iter().any(|(_, reference)| reference == image) {
            references.push((None, image.clone()));
        }
    }
    let present = references
        .iter()
        .map(|(_, reference)| image::inspect(&engine.docker, reference));
    let (lists, present) = tokio::try_join!(
        futures::future::try_join_all(lists),
        futures::future::try_join_all(present)
    )?;
    let mut pulls = lacking_bases(engine, built, &references, &present).await?;
    let configs = || built.iter().map(|image| &image.config);
    let bases = |name: &str| {
        let mut configs = configs();
        let config = configs.find(|config| config.name == name);
        config.map_or_else(BTreeSet::new, ImageConfig::bases)
    };
    let mut facts = vec![];
    for ((built_as, reference), image) in references.into_iter().zip(present) {
        let mut found = BTreeSet::new();
        for (node, list) in nodes.iter().zip(&lists) {
            let docker = &engine.docker;
            let image = image.as_ref();
            found.insert(image::compared(docker, &node.name, list, &reference, image).await?);
        }
        facts.push(ImageFact {
            bases: built_as.as_deref().map(bases).unwrap_or_default(),
            is_base: built_as
                .as_deref()
                .is_some_and(|name| is_base(name, configs()))
                && !used.contains(&reference),
            pulls: pulls.remove(&reference).unwrap_or_default(),
            built_as,
            in_docker: image.is_some(),
            on_nodes: found == [OnNode::Same].into(),
            is_outdated: found.contains(&OnNode::Other),
            reference,
        });
    }
    // What Docker does not have devk cannot bring.
    let (here, others): (Vec<_>, Vec<_>) = facts
        .into_iter()
        .partition(|fact| fact.built_as.is_some() || fact.in_docker);
    let pulled = others.into_iter().filter(|fact| !fact.on_nodes);
    Ok((here, pulled.map(|fact| fact.reference).collect()))
}

/// What is missing of the secrets and agents of the images that the plan builds: an image that is there needs none.
pub(super) fn missing_secrets(
    engine: &Engine,
    built: &[BuiltImage],
    facts: &[ImageFact],
) -> Vec<Error> {
    let is_planned = |image: &&BuiltImage| {
        let name = Some(&image.target.name);
        let mut own = facts.iter().filter(|fact| fact.built_as.as_ref() == name);
        own.any(|fact| is_built(fact, facts))
    };
    let planned = built.iter().filter(is_planned).map(|image| &image.config);
    image::missing_secrets(planned, &engine.environment)
}

/// By reference of the images that Docker lacks and devk builds: the images that their Dockerfiles begin with and that
/// Docker lacks as well.
async fn lacking_bases(
    engine: &Engine,
    built: &[BuiltImage],
    references: &[(Option<String>, String)],
    present: &[Option<ImageInspect>],
) -> Result<BTreeMap<String, BTreeSet<String>>, Errors> {
    let is_there = |reference: &String| {
        let mut known = references.iter().zip(present);
        known.any(|((_, known), image)| known == reference && image.is_some())
    };
    let mut lacking = BTreeMap::new();
    for image in built {
        let reference = image.target.reference();
        if is_there(&reference) {
            continue;
        }
        // One that cannot be read is found by the build.
        let text = std::fs::read_to_string(&image.config.dockerfile).unwrap_or_default();
        let dockerfile = Dockerfile::parse(&text, &image.args);
        let mut pulls = BTreeSet::new();
        for base in dockerfile.base_images(image.config.target.as_deref()) {
            let is_devks = built.iter().any(|other| other.target.reference() == base);
            if !is_devks && image::present(&engine.docker, base).await?.is_none() {
                pulls.insert(base.to_owned());
            }
        }
        lacking.insert(reference, pulls);
    }
    Ok(lacking)
}

/// Nodes that are out of Docker's reach pull their images, and no registry has the images that devk builds. From such
/// nodes devk cannot test the connection to Compose's database either.
pub(super) fn out_of_reach(
    charts: &Charts<'_>,
    built: &[BuiltImage],
) -> Result<Vec<ImageFact>, Errors> {
    let cluster = &charts.project.cluster.name;
    let why = "its nodes are no containers of this Docker with containerd in them";
    let problem = |image: &BuiltImage| {
        let origin = &image.config.origin;
        let name = &image.target.name;
        Error::new(Code::ImageRegistry, format!("image `{name}` cannot be brought to cluster `{cluster}`"))
            .at(&origin.file, origin.line)
            .evidence(format!("{why}, and devk pushes to no registry"))
            .hint(format!(
                "push it to a registry that the cluster pulls from, name it in the chart's values and take `{name}` \
                 out of `images`; or: cluster: {{provider: kind}}"
            ))
    };
    let bridge = charts.bridge.as_ref().map(|_| {
        Error::new(
            Code::BridgeGateway,
            format!("how pods of cluster `{cluster}` reach this machine cannot be found"),
        )
        .evidence(why)
        .hint("devk up --no-bridge")
    });
    Errors::unless_empty(built.iter().map(problem).chain(bridge).collect(), vec![])
}
