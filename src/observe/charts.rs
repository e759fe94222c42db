//! The charts of a project, rendered with what is known so far: first with stand-ins, to see their Services, then with
//! the ports and image references that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::SetOnce;

use super::capabilities::{ClusterAnswer, ClusterCapabilities};
use crate::bridge::Bridge;
use crate::compose::{self, Compose};
use crate::config::{self, ImageConfig, Project, ReleaseConfig, is_base};
use crate::docker::Engine;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Problems, Result};
use crate::image::{self, ImageRef};
use crate::paths::Paths;
use crate::ports::Forward;
use crate::release::assignment::{self, Assignment, MatchedBy, assign};
use crate::release::capabilities::{self, Capabilities};
use crate::release::chart::Chart;
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use crate::release::render::Rendering;
use crate::release::rewrite::{Changed, ManifestChange, Rewrite};
use crate::release::secrets::Secrets;
use crate::release::values::{self, MappedImage, Resolve};
use crate::release::{Prepared, ValuesContext, check, prepare, render, requirements};
use crate::variables::Variables;

/// A release, ready to install.
#[derive(Debug, Clone)]
pub struct PreparedRelease {
    pub prepared: Prepared,
    pub rendered: Rendered,
    /// What devk changed in the rendered text, in words.
    pub changes: Vec<String>,
}

/// What the other releases of a project render.
pub fn other_renderings<'a>(releases: &'a [PreparedRelease], name: &str) -> Vec<&'a Rendered> {
    let others = releases
        .iter()
        .filter(|release| release.prepared.name != name);
    others.map(|release| &release.rendered).collect()
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
    let compose = compose::of_project(project, environment).ok().flatten();
    let charts = Charts::new(project, paths, &helm, compose.as_ref())?;
    charts
        .capabilities
        .found(ClusterAnswer::None { kube_version: None });
    charts.drafts(None).await
}

/// The charts of a project, prepared and rendered with what is known so far.
pub(super) struct Charts<'a> {
    pub(super) project: &'a Project,
    pub(super) paths: &'a Paths,
    pub(super) helm: &'a Helm,
    secrets: tokio::sync::Mutex<Secrets>,
    /// By image: the names under which Compose builds the image.
    compose_names: BTreeMap<String, Vec<String>>,
    /// To Compose's database, if the cluster is to use it.
    pub(super) bridge: Option<Bridge>,
    pub(super) capabilities: Arc<ClusterCapabilities>,
}

impl<'a> Charts<'a> {
    pub(super) fn new(
        project: &'a Project,
        paths: &'a Paths,
        helm: &'a Helm,
        compose: Option<&Compose>,
    ) -> Result<Self> {
        let secrets = Secrets::load(&paths.project(&project.id).join("secrets.json"))?;
        Ok(Self {
            project,
            paths,
            helm,
            secrets: tokio::sync::Mutex::new(secrets),
            compose_names: compose_names(project, compose),
            bridge: None,
            capabilities: Arc::new(ClusterCapabilities::new(project, paths)),
        })
    }

    /// Rendered with stand-ins for ports and image tags: good for finding Services.
    pub(super) async fn draft(
        &self,
        bridge: Option<&Bridge>,
    ) -> Result<Vec<(String, Rendered)>, Errors> {
        let releases = self.drafts(bridge).await?;
        Ok(releases
            .into_iter()
            .map(|release| (release.prepared.name, release.rendered))
            .collect())
    }

    async fn drafts(&self, bridge: Option<&Bridge>) -> Result<Vec<PreparedRelease>, Errors> {
        let images = self.stand_ins();
        let resolve = |text: &str, file: &Path| self.resolve_draft(text, file, &images);
        self.render(bridge, &images, &resolve, BTreeSet::new())
            .await
    }

    pub(super) fn stand_ins(&self) -> Vec<ImageRef> {
        let stand_in =
            |image: &ImageConfig| image::image_ref(&self.project.id, &image.name, &"0".repeat(64));
        self.project.images.iter().map(stand_in).collect()
    }

    pub(super) fn resolve_draft(
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
    pub(super) async fn rendered(
        &self,
        forwards: &[Forward],
        images: &[ImageRef],
        loaded: BTreeSet<String>,
    ) -> Result<Vec<PreparedRelease>, Errors> {
        let variables = Variables::new(self.project, &self.project.id, forwards, images);
        let resolve = |text: &str, file: &Path| variables.resolve(text, file);
        let releases = self
            .render(self.bridge.as_ref(), images, &resolve, loaded)
            .await?;
        let all: Vec<_> = releases
            .iter()
            .map(|r| (&r.prepared, &r.rendered))
            .collect();
        let named = images
            .iter()
            .zip(self.project.images.iter().map(|i| &i.origin));
        let named = named.filter(|(image, _)| !is_base(&image.name, &self.project.images));
        let unused = check::unused_images(named, &all);
        Errors::unless_empty(unused, releases)
    }

    /// Renders the charts as they are, finds which references belong to which image, and makes devk's changes.
    async fn render(
        &self,
        bridge: Option<&Bridge>,
        images: &[ImageRef],
        resolve: &Resolve<'_>,
        loaded: BTreeSet<String>,
    ) -> Result<Vec<PreparedRelease>, Errors> {
        let rendering = ChartRendering {
            charts: self,
            bridge,
            images,
            resolve,
        };
        let as_they_are = rendering.all(&[]).await?;
        let seen: Vec<_> = as_they_are
            .iter()
            .map(|(prepared, rendering)| (prepared, &rendering.rendered))
            .collect();
        let Assignment {
            replacements,
            by_values,
        } = assign(assignment::AssignmentInputs {
            project: self.project,
            images,
            compose: &self.compose_names,
            releases: &seen,
        })?;
        let releases = match by_values.is_empty() {
            true => as_they_are,
            false => rendering.all(&by_values).await?,
        };
        let evidence: BTreeMap<_, _> = replacements
            .iter()
            .map(|(replacement, evidence)| (replacement.image.clone(), *evidence))
            .collect();
        let rewrite = Rewrite {
            replacements: replacements.into_iter().map(|(made, _)| made).collect(),
            loaded,
            cluster_ip: !self.project.allow.node_port,
        };
        let mut problems = Problems::default();
        let mut prepared = vec![];
        for (release, rendering) in releases {
            let release = release.rewritten(&rewrite, &rendering.rendered, self.paths)?;
            if let Some((rendered, changes)) = problems.collect(rendering.rewritten(&release)) {
                prepared.push(PreparedRelease {
                    prepared: release,
                    rendered,
                    changes: in_words(&changes, &evidence),
                });
            }
        }
        let all: Vec<_> = prepared
            .iter()
            .map(|release| (&release.prepared, &release.rendered))
            .collect();
        problems.0.extend(requirements::rendered_twice(&all));
        Errors::unless_empty(problems.0, prepared)
    }

    /// What devk loads although the kubelet would pull it: references that Docker has. `allow: {alwaysPull: true}`
    /// leaves all of them to the kubelet.
    pub(super) async fn loaded(
        &self,
        engine: &Engine,
        draft: &[(String, Rendered)],
    ) -> Result<BTreeSet<String>> {
        let uses = draft.iter().flat_map(|(_, rendered)| rendered.images());
        let pulled: BTreeSet<_> = uses
            .filter(|used| !self.project.allow.always_pull && used.is_always_pulled())
            .map(|used| used.image)
            .collect();
        let looks = pulled.into_iter().map(|reference| async move {
            let is_there = image::present(&engine.docker, &reference).await?;
            Ok::<_, Error>(is_there.map(|_| reference))
        });
        let found = futures::future::try_join_all(looks).await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// One rendering of all charts, with what is known so far.
struct ChartRendering<'a, 'r> {
    charts: &'a Charts<'a>,
    bridge: Option<&'r Bridge>,
    images: &'r [ImageRef],
    resolve: &'r Resolve<'r>,
}

impl ChartRendering<'_, '_> {
    /// All releases as their charts render, all problems together. `by_values`: images that values take beside those
    /// that devk.yaml names, by the name of the release.
    async fn all(
        &self,
        by_values: &[(String, MappedImage)],
    ) -> Result<Vec<(Prepared, Rendering)>, Errors> {
        let releases = &self.charts.project.releases;
        let brought: Vec<_> = releases.iter().map(|_| SetOnce::new()).collect();
        let all = releases.iter().enumerate().map(|(at, release)| {
            let (before, own) = (&brought[..at], &brought[at]);
            async move {
                let result = self.one(release, by_values, before).await;
                // Set once, here.
                let _ = own.set(result.as_ref().ok().map(BroughtApis::of));
                result
            }
        });
        let mut rendered = vec![];
        let mut problems = Problems::default();
        for result in futures::future::join_all(all).await {
            rendered.extend(problems.collect(result));
        }
        Errors::unless_empty(problems.0, rendered)
    }

    async fn one(
        &self,
        release: &ReleaseConfig,
        by_values: &[(String, MappedImage)],
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<(Prepared, Rendering), Errors> {
        let mut mapped = values::explicit(self.images, release);
        let own = by_values.iter().filter(|(name, _)| *name == release.name);
        mapped.extend(own.map(|(_, mapped)| mapped.clone()));
        let prepared = self.prepare(release, &mapped).await?;
        let refusal = match self.template(&prepared, before).await {
            Ok(rendering) => return Ok((prepared, rendering)),
            Err(refusal) => refusal,
        };
        // A chart may demand an image in its values.
        let named = self.named(&prepared, &mapped);
        if refusal.code != Code::ChartRender || named.is_empty() {
            return Err(refusal.into());
        }
        mapped.extend(named);
        let prepared = self.prepare(release, &mapped).await?;
        match self.template(&prepared, before).await {
            Ok(rendering) => Ok((prepared, rendering)),
            Err(_) => Err(refusal.into()),
        }
    }

    /// The images for which the values have one block by name, but those that are `mapped` already.
    fn named(&self, prepared: &Prepared, mapped: &[MappedImage]) -> Vec<MappedImage> {
        let only_image = self.images.len() == 1;
        let open = self
            .images
            .iter()
            .filter(|image| !mapped.iter().any(|mapped| mapped.image == **image));
        let block = |image: &ImageRef| match values::named_blocks(
            &image.name,
            &prepared.blocks,
            only_image,
        )[..]
        {
            [block] => Some(block.take(image)),
            _ => None,
        };
        open.filter_map(block).collect()
    }

    async fn prepare(
        &self,
        release: &ReleaseConfig,
        mapped: &[MappedImage],
    ) -> Result<Prepared, Errors> {
        let Charts {
            project,
            helm,
            paths,
            ..
        } = *self.charts;
        let bridge = self.bridge.filter(|bridge| bridge.release == release.name);
        let decided = bridge
            .map(|bridge| bridge.values(&project.id))
            .unwrap_or_default();
        let given = ValuesContext {
            images: mapped,
            resolve: self.resolve,
            decided: &decided,
        };
        let mut secrets = self.charts.secrets.lock().await;
        prepare(project, release, &given, &mut secrets, helm, paths).await
    }

    async fn template(
        &self,
        prepared: &Prepared,
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<Rendering> {
        let Charts { helm, paths, .. } = *self.charts;
        if !prepared.chart.asks_capabilities {
            return render::render(prepared, helm, &Capabilities::default(), &paths.cache).await;
        }
        let capabilities = self.capabilities(&prepared.chart, before).await?;
        let rendered = render::render(prepared, helm, &capabilities, &paths.cache).await;
        rendered.map_err(|refusal| match self.charts.capabilities.without_cluster() {
            Some(how) if refusal.code == Code::ChartRender => refusal.evidence(how),
            _ => refusal,
        })
    }

    /// What a chart finds in the cluster when helm installs it: what the releases before it bring, and what its own
    /// `crds` folders do.
    async fn capabilities(
        &self,
        chart: &Chart,
        before: &[SetOnce<Option<BroughtApis>>],
    ) -> Result<Capabilities> {
        let Charts { helm, paths, .. } = *self.charts;
        let mut found = self.charts.capabilities.get().await?.clone();
        let mut charts = vec![chart.clone()];
        for release in before {
            // One that does not render is reported, and brings nothing.
            let Some(BroughtApis { chart, rendered }) = release.wait().await else {
                continue;
            };
            found.api_versions.extend(rendered.iter().cloned());
            charts.push(chart.clone());
        }
        for chart in charts {
            let brought = capabilities::brought_by(&chart, helm, &paths.cache).await?;
            found.api_versions.extend(brought);
        }
        Ok(found)
    }
}

/// Where to find the API versions that a release brings.
#[derive(Debug)]
struct BroughtApis {
    chart: Chart,
    /// By definitions among its objects.
    rendered: BTreeSet<String>,
}

impl BroughtApis {
    fn of((prepared, rendering): &(Prepared, Rendering)) -> Self {
        Self {
            chart: prepared.chart.clone(),
            rendered: capabilities::defined(&rendering.rendered),
        }
    }
}

/// Changes of one kind together: `image `api` in place of `acme/api:1` (Deployment/api, Job/migrate; by …)`.
fn in_words(changes: &[ManifestChange], evidence: &BTreeMap<String, MatchedBy>) -> Vec<String> {
    let mut objects: BTreeMap<&Changed, Vec<&str>> = BTreeMap::new();
    for change in changes {
        objects
            .entry(&change.what)
            .or_default()
            .push(&change.object);
    }
    let words = objects.into_iter().map(|(what, objects)| {
        let objects = objects.join(", ");
        match what {
            Changed::Image { image, reference } => {
                let why = evidence
                    .get(image)
                    .map_or_else(String::new, |why| format!("; {why}"));
                format!("image `{image}` in place of `{reference}` ({objects}{why})")
            }
            Changed::PullPolicy { reference } => {
                format!("`{reference}` is never pulled, for devk loads it ({objects})")
            }
            Changed::ServiceType { was } => format!("ClusterIP in place of {was} ({objects})"),
        }
    });
    words.collect()
}

/// The names that Compose gives to the images that it builds as devk does: from the same context, Dockerfile and stage.
fn compose_names(project: &Project, compose: Option<&Compose>) -> BTreeMap<String, Vec<String>> {
    let services = || compose.iter().flat_map(|compose| compose.services.values());
    let names = |image: &ImageConfig| {
        let is_same = |build: &compose::ServiceBuild| {
            build.has_files_of(image) && build.target == image.target
        };
        let built = services().filter(|service| service.build.as_ref().is_some_and(is_same));
        built.filter_map(|service| service.image.clone()).collect()
    };
    let images = project.images.iter();
    images
        .map(|image| (image.name.clone(), names(image)))
        .collect()
}

/// One for every forward that a build argument names.
pub(super) fn stand_in_forwards(project: &Project) -> Vec<Forward> {
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
