//! Looks at everything the plan depends on: Docker, the cluster, the charts, the ports. Writes nothing
//! outside devk's own folders, and finds every problem before anything is touched.
//!
//! The charts are rendered twice: once with stand-ins, to see their Services, and once with the ports
//! and image references that follow. Both come from the cache while nothing has changed.

mod bridged;
pub mod requests;
pub mod table;
mod taken;

pub use taken::{Stack, compose, numbers};

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::bridge::{Bridge, Bridging};
use crate::cluster::{Access, Handle, Node, State, namespace};
use crate::compose::Compose;
use crate::config::Variables;
use crate::config::{self, ImageConfig, Project, ReleaseConfig};
use crate::docker::{self, Engine};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Problems, Result, on_cluster};
use crate::image::{self, ImageRef};
use crate::owner::Owner;
use crate::paths::Paths;
use crate::plan::{ClusterFact, Facts, ImageFact, LeftOut, ReleaseFact};
use crate::ports::{Forward, Taken};
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use crate::release::secrets::Secrets;
use crate::release::{Given, Prepared, by_hand, check, installed, prepare, render};
use crate::sync::rules::Scope;
use crate::sync::watch::Baseline;

/// Host ports that the project's own session listens on: no obstacle to itself.
#[derive(Debug, Clone, Default)]
pub struct Own(pub BTreeSet<u16>);

/// An image that devk builds, its arguments resolved.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    pub config: ImageConfig,
    pub args: BTreeMap<String, String>,
    pub target: ImageRef,
    /// What was in the build context before its content was hashed: a later change is not in the image.
    pub seen: Arc<Baseline>,
}

/// A release, ready to install.
#[derive(Debug, Clone)]
pub struct PreparedRelease {
    pub prepared: Prepared,
    pub rendered: Rendered,
}

/// What the plan is made of, and what its execution needs besides.
#[derive(Debug)]
pub struct Observed {
    pub engine: Engine,
    pub helm: Helm,
    pub cluster: Handle,
    /// None if the cluster has to be created, started or adopted first.
    pub access: Option<Access>,
    /// As what is the project's is marked on the cluster.
    pub owner: Owner,
    /// The stack beside it. None: there is no Compose file.
    pub compose: Option<Compose>,
    pub images: Vec<BuiltImage>,
    /// In the order of devk.yaml.
    pub releases: Vec<PreparedRelease>,
    /// To Compose's database, if the cluster is to use it.
    pub bridge: Option<Bridge>,
    pub facts: Facts,
}

/// Looks at everything, in the environment of whoever asked for it; at the Compose files as they were read with the
/// project.
///
/// # Errors
/// All problems that would keep `up` from its end, as far as they can be seen without changing
/// anything.
pub async fn observe(
    project: &Project,
    compose: Stack,
    paths: &Paths,
    own: &Own,
    environment: &Environment,
    bridging: Bridging,
) -> Result<Observed, Errors> {
    let mut problems = Problems::default();
    let compose = problems.keep(compose);
    let Some((engine, helm)) = problems.keep(tools(project, paths, environment).await) else {
        return Err(problems.into());
    };
    let handle = Handle::of(&engine, &project.cluster, paths);
    let owner = Owner::of(&project.root, paths).await;
    let charts = Charts::new(project, paths, &helm)?;
    let taken = taken::taken(
        project,
        paths,
        compose.iter().flatten().next(),
        Some(&engine),
    );
    let draft = bridged::draft(charts, compose.as_ref(), &engine, bridging);
    let (taken, cluster, draft) = tokio::join!(taken, cluster(&handle, project, &owner), draft);
    let taken = problems.keep(taken);
    let cluster = problems.keep(cluster);
    let draft = problems.keep(draft);
    let (Some(taken), Some((cluster, access, nodes)), Some((charts, draft)), []) =
        (taken, cluster, draft, &problems.0[..])
    else {
        // What is wrong with the images is seen without the ports, too.
        problems.keep(images(project, &stand_in_forwards(project)).await);
        return Err(problems.into());
    };
    let seen = Seen {
        engine: &engine,
        charts: &charts,
        own,
        draft,
        taken,
        cluster,
        access: access.as_ref(),
        nodes,
    };
    let (images, releases, facts) = seen.facts().await?;
    let compose = compose.flatten();
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

/// What was looked at first, and what the rest follows from.
struct Seen<'a> {
    engine: &'a Engine,
    charts: &'a Charts<'a>,
    own: &'a Own,
    draft: Vec<(String, Rendered)>,
    taken: Taken,
    cluster: ClusterFact,
    access: Option<&'a Access>,
    nodes: Nodes,
}

/// None if Docker cannot bring images to the cluster.
type Nodes = Option<Vec<Node>>;

impl Seen<'_> {
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
        let images = images(project, &rows).await?;
        let releases = charts.rendered(&rows, &images).await?;
        let (image_facts, release_facts, left_over) = tokio::try_join!(
            image_facts(
                engine,
                self.nodes.as_deref().unwrap_or_default(),
                &images,
                &releases
            ),
            release_facts(access, project, &releases),
            left_over(access, project)
        )?;
        let image_facts = if self.nodes.is_some() {
            image_facts
        } else {
            out_of_reach(charts, &images)?
        };
        let facts = Facts {
            cluster_name: project.cluster.name.clone(),
            cluster: self.cluster,
            images: image_facts,
            releases: release_facts,
            left_over,
            left_out: bridged::left_out(charts, &absent),
            bridge: bridged::fact(charts, access).await?,
            forwards,
        };
        Ok((images, releases, facts))
    }
}

/// The charts as they render with stand-ins for ports and image tags, unchecked: for looking at what they
/// would install. Needs neither Docker nor a cluster, and writes devk's cache alone.
///
/// # Errors
/// A missing helm, and all that keeps a chart from rendering.
pub async fn drafts(
    project: &Project,
    paths: &Paths,
    environment: &Environment,
) -> Result<Vec<PreparedRelease>, Errors> {
    let helm = Helm::find(environment)?;
    Charts::new(project, paths, &helm)?.drafts(None).await
}

/// Docker and the programs, all that is missing reported together.
async fn tools(
    project: &Project,
    paths: &Paths,
    environment: &Environment,
) -> Result<(Engine, Helm), Errors> {
    let mut problems = Problems::default();
    let engine = problems.keep(docker::connect(environment).await);
    let helm = problems.keep(Helm::find(environment));
    match (engine, helm) {
        (Some(engine), Some(helm)) => Ok((engine, helm)),
        (Some(engine), None) => {
            // Where helm is missing, so may be what makes the cluster.
            let owner = Owner::of(&project.root, paths).await;
            let handle = Handle::of(&engine, &project.cluster, paths);
            problems.keep(cluster(&handle, project, &owner).await);
            Err(problems.into())
        }
        (None, _) => Err(problems.into()),
    }
}

type Found = (ClusterFact, Option<Access>, Nodes);

async fn cluster(handle: &Handle, project: &Project, owner: &Owner) -> Result<Found, Errors> {
    let fact = match handle.state().await? {
        State::Running(nodes) => match handle.pinned(&nodes).await {
            Ok(Some(access)) => {
                let home = namespace::find_own(&access.client, &project.id, owner).await?;
                let (fact, access) = lived_in(home.as_ref(), access);
                return Ok((fact, access, handle.within_reach(nodes).await?));
            }
            // The user named it: it is looked at before it is pinned.
            Ok(None) if handle.is_brought() => {
                namespace::find_own(&handle.reader().await?, &project.id, owner).await?;
                return Ok((
                    ClusterFact::Foreign,
                    None,
                    handle.within_reach(nodes).await?,
                ));
            }
            Ok(None) => ClusterFact::Foreign,
            // Its nodes may have been started a moment ago: the step waits for it.
            Err(e) if e.code == Code::ClusterUnreachable => ClusterFact::Silent,
            Err(e) => return Err(e.into()),
        },
        State::Stopped(nodes) if handle.is_pinned(&nodes)? => ClusterFact::Stopped,
        State::Stopped(_) => ClusterFact::Foreign,
        State::Absent => ClusterFact::Absent,
        State::HalfMade => ClusterFact::HalfMade,
    };
    if !matches!(fact, ClusterFact::Stopped | ClusterFact::Silent) {
        // It is needed to create or adopt a cluster, and its absence is better said now.
        handle.provided().await?;
    }
    Ok((fact, None, Some(vec![])))
}

/// What a cluster that answers is to the project. What is in a namespace that is being removed counts for nothing.
fn lived_in(home: Option<&ObjectMeta>, access: Access) -> (ClusterFact, Option<Access>) {
    match home {
        Some(home) if namespace::is_lived_in(home) => (ClusterFact::Ready, Some(access)),
        Some(home) if home.deletion_timestamp.is_some() => (ClusterFact::Vacant, None),
        _ => (ClusterFact::Vacant, Some(access)),
    }
}

/// Resolves the arguments and hashes the contents, each image on its own thread.
async fn images(project: &Project, forwards: &[Forward]) -> Result<Vec<BuiltImage>, Errors> {
    let variables = Variables::new(project, &project.id, forwards, &[]);
    let hashed = project.images.iter().map(|config| {
        let args = resolve_args(config, &variables);
        let config = config.clone();
        let project = project.id.clone();
        tokio::task::spawn_blocking(move || {
            let args = args?;
            let scope = Scope::read(&config)?;
            let seen = Arc::new(Baseline::look(&config.context, |folder| {
                scope.enters(folder)
            }));
            let hash = image::content_hash(&config, &args)?;
            let target = image::image_ref(&project, &config.name, &hash);
            Ok::<_, Errors>(BuiltImage {
                config,
                args,
                target,
                seen,
            })
        })
    });
    let mut images = vec![];
    let mut problems = vec![];
    for image in futures::future::join_all(hashed).await {
        match image.unwrap_or_else(|panic| Err(crate::error::internal(&panic).into())) {
            Ok(image) => images.push(image),
            Err(errors) => problems.extend(errors.0),
        }
    }
    Errors::unless_empty(problems, images)
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

/// The charts of a project, prepared and rendered with what is known so far.
struct Charts<'a> {
    project: &'a Project,
    paths: &'a Paths,
    helm: &'a Helm,
    secrets: tokio::sync::Mutex<Secrets>,
    /// To Compose's database, if the cluster is to use it.
    bridge: Option<Bridge>,
}

impl<'a> Charts<'a> {
    fn new(project: &'a Project, paths: &'a Paths, helm: &'a Helm) -> Result<Self> {
        let secrets = Secrets::load(&paths.project(&project.id).join("secrets.json"))?;
        Ok(Self {
            project,
            paths,
            helm,
            secrets: tokio::sync::Mutex::new(secrets),
            bridge: None,
        })
    }

    /// Rendered with stand-ins for ports and image tags: good for finding Services.
    async fn draft(&self, bridge: Option<&Bridge>) -> Result<Vec<(String, Rendered)>, Errors> {
        let releases = self.drafts(bridge).await?;
        Ok(releases
            .into_iter()
            .map(|release| (release.prepared.name, release.rendered))
            .collect())
    }

    async fn drafts(&self, bridge: Option<&Bridge>) -> Result<Vec<PreparedRelease>, Errors> {
        let images = self.stand_ins();
        let resolve = |text: &str, file: &Path| self.resolve_draft(text, file, &images);
        self.render(bridge, &images, &resolve, |_, _| vec![]).await
    }

    fn stand_ins(&self) -> Vec<ImageRef> {
        let stand_in =
            |image: &ImageConfig| image::image_ref(&self.project.id, &image.name, &"0".repeat(64));
        self.project.images.iter().map(stand_in).collect()
    }

    fn resolve_draft(
        &self,
        text: &str,
        file: &Path,
        images: &[ImageRef],
    ) -> Result<String, Errors> {
        let forwards: Vec<_> = config::forward_names(text)
            .iter()
            .map(|name| stand_in_forward(name))
            .collect();
        Variables::new(self.project, &self.project.id, &forwards, images).resolve(text, file)
    }

    /// Rendered as they will be installed, and checked.
    async fn rendered(
        &self,
        forwards: &[Forward],
        images: &[BuiltImage],
    ) -> Result<Vec<PreparedRelease>, Errors> {
        let images: Vec<_> = images.iter().map(|image| image.target.clone()).collect();
        let variables = Variables::new(self.project, &self.project.id, forwards, &images);
        let resolve = |text: &str, file: &Path| variables.resolve(text, file);
        let check = |prepared: &Prepared, rendered: &Rendered| {
            check::release(prepared, rendered, self.project.allow_node_port)
        };
        let releases = self
            .render(self.bridge.as_ref(), &images, &resolve, check)
            .await?;
        let all: Vec<_> = releases
            .iter()
            .map(|r| (&r.prepared, &r.rendered))
            .collect();
        let unused = check::unused_images(
            images
                .iter()
                .zip(self.project.images.iter().map(|i| &i.origin)),
            &all,
        );
        Errors::unless_empty(unused, releases)
    }

    async fn render(
        &self,
        bridge: Option<&Bridge>,
        images: &[ImageRef],
        resolve: &crate::release::values::Resolve<'_>,
        check: impl Fn(&Prepared, &Rendered) -> Vec<Error>,
    ) -> Result<Vec<PreparedRelease>, Errors> {
        let render = |release: &'a ReleaseConfig| async move {
            let bridge = bridge.filter(|bridge| bridge.release == release.name);
            let decided = bridge
                .map(|bridge| bridge.values(&self.project.id))
                .unwrap_or_default();
            let given = Given {
                images,
                resolve,
                decided: &decided,
            };
            let mut secrets = self.secrets.lock().await;
            let prepared = prepare(
                self.project,
                release,
                &given,
                &mut secrets,
                self.helm,
                self.paths,
            )
            .await?;
            drop(secrets);
            let rendered = render::render(&prepared, self.helm, None, &self.paths.cache).await?;
            Ok::<_, Errors>(PreparedRelease { prepared, rendered })
        };
        let mut releases = vec![];
        let mut problems = vec![];
        for result in futures::future::join_all(self.project.releases.iter().map(render)).await {
            match result {
                Ok(release) => {
                    problems.extend(check(&release.prepared, &release.rendered));
                    releases.push(release);
                }
                Err(errors) => problems.extend(errors.0),
            }
        }
        Errors::unless_empty(problems, releases)
    }
}

/// One for every forward that a build argument names.
fn stand_in_forwards(project: &Project) -> Vec<Forward> {
    let args = project.images.iter().flat_map(|image| image.args.values());
    args.flat_map(|text| config::forward_names(text))
        .map(|name| stand_in_forward(&name))
        .collect()
}

fn stand_in_forward(name: &str) -> Forward {
    Forward {
        name: name.to_owned(),
        namespace: String::new(),
        service: String::new(),
        remote: 1,
        local: 1,
        url: "http://127.0.0.1:1".to_owned(),
        moved: None,
    }
}

/// The images that the charts use and that devk has to bring: those it builds, and those that Docker
/// has and a node lacks. Others are the node's to pull.
async fn image_facts(
    engine: &Engine,
    nodes: &[Node],
    built: &[BuiltImage],
    releases: &[PreparedRelease],
) -> Result<Vec<ImageFact>, Errors> {
    let lists = nodes
        .iter()
        .map(|node| image::on_node(&engine.docker, &node.name));
    let mut references: Vec<_> = built
        .iter()
        .map(|b| (Some(b.target.name.clone()), b.target.reference()))
        .collect();
    for used in releases
        .iter()
        .flat_map(|release| release.rendered.images())
    {
        if !references
            .iter()
            .any(|(_, reference)| *reference == used.image)
        {
            references.push((None, used.image));
        }
    }
    let present = references
        .iter()
        .map(|(_, reference)| image::present(&engine.docker, reference));
    let (lists, present) = tokio::try_join!(
        futures::future::try_join_all(lists),
        futures::future::try_join_all(present)
    )?;
    let fact = |((built_as, reference), id): ((Option<String>, String), Option<String>)| {
        let name = image::normalise(&reference);
        let on_nodes = !lists.is_empty() && lists.iter().all(|list| list.contains_key(&name));
        ImageFact {
            built_as,
            in_docker: id.is_some(),
            on_nodes,
            reference,
        }
    };
    let facts = references.into_iter().zip(present).map(fact);
    Ok(facts
        .filter(|fact| fact.built_as.is_some() || fact.in_docker)
        .collect())
}

/// Nodes that Docker cannot reach pull what they run, and nothing could pull what devk builds. Nor can devk look from
/// them to Compose's database.
fn out_of_reach(charts: &Charts<'_>, built: &[BuiltImage]) -> Result<Vec<ImageFact>, Errors> {
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

async fn release_facts(
    access: Option<&Access>,
    project: &Project,
    releases: &[PreparedRelease],
) -> Result<Vec<ReleaseFact>, Errors> {
    let standing = releases.iter().map(|release| async move {
        let uses = release
            .rendered
            .images()
            .into_iter()
            .map(|used| used.image)
            .collect();
        let (installed, by_hand) = match access {
            Some(access) => standing(access, project, release).await?,
            None => (false, vec![]),
        };
        Ok::<_, Errors>(ReleaseFact {
            name: release.prepared.name.clone(),
            uses,
            installed,
            by_hand,
        })
    });
    futures::future::try_join_all(standing).await
}

/// Whether the cluster holds exactly this release, put there by devk, and what of it somebody changed by hand.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn standing(
    access: &Access,
    project: &Project,
    release: &PreparedRelease,
) -> Result<(bool, Vec<String>)> {
    let client = &access.client;
    let prepared = &release.prepared;
    let found = installed::installed(client, &project.id, &prepared.name).await?;
    if !found.is_some_and(|found| found.is_current(&prepared.inputs)) {
        return Ok((false, vec![]));
    }
    let changed = by_hand::by_hand(client, &project.id, &release.rendered).await?;
    // An upgrade leaves alone what the chart says nothing of.
    let mends = changed.iter().any(|changed| changed.mends);
    Ok((
        !mends,
        changed
            .into_iter()
            .filter(|changed| changed.mends == mends)
            .map(|changed| changed.what)
            .collect(),
    ))
}

/// Releases that devk.yaml does not name any more. Their volumes may hold data: whether they go is for the user to say.
async fn left_over(access: Option<&Access>, project: &Project) -> Result<Vec<LeftOut>, Errors> {
    let Some(access) = access else {
        return Ok(vec![]);
    };
    let told = |name: String| {
        let remove = on_cluster(format!("helm uninstall {name} --namespace {}", project.id));
        LeftOut {
            name,
            why: format!(
                "devk.yaml does not name it any more, and it runs on; to remove it: {remove}"
            ),
        }
    };
    Ok(installed::left_over(&access.client, project)
        .await?
        .into_iter()
        .map(told)
        .collect())
}
