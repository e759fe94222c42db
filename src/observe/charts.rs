//! The charts of a project, rendered with what is known so far: first with stand-ins, to see their Services, then with
//! the ports and image references that follow.

mod rendering;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::capabilities::ClusterCapabilities;
use crate::bridge::Bridge;
use crate::compose::{self, Compose};
use crate::config::{self, ImageConfig, Project, is_base};
use crate::docker::Engine;
use crate::error::{Error, Errors, Problems, Result};
use crate::image::{self, ImageRef};
use crate::paths::Paths;
use crate::ports::Forward;
use crate::release::assignment::{self, Assignment, MatchedBy, assign};
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use crate::release::rewrite::{Changed, ManifestChange, Rewrite};
use crate::release::secrets::Secrets;
use crate::release::values::Resolve;
use crate::release::{Prepared, check, requirements};
use crate::variables::Variables;
use rendering::ChartRendering;

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
            capabilities: Arc::new(ClusterCapabilities::kept(project, paths)),
        })
    }

    /// Rendered with stand-ins for ports and image tags: good for finding Services.
    pub(super) async fn draft(
        &self,
        bridge: Option<&Bridge>,
    ) -> Result<Vec<(String, Rendered)>, Errors> {
        Ok(manifests(self.drafts(bridge).await?))
    }

    pub(super) async fn drafts(
        &self,
        bridge: Option<&Bridge>,
    ) -> Result<Vec<PreparedRelease>, Errors> {
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
                let mut changes = in_words(&changes, &evidence);
                changes.extend(own_namespace(&release));
                prepared.push(PreparedRelease {
                    prepared: release,
                    rendered,
                    changes,
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

/// The rendered text of each release, by its name.
pub(super) fn manifests(releases: Vec<PreparedRelease>) -> Vec<(String, Rendered)> {
    let releases = releases.into_iter();
    releases
        .map(|release| (release.prepared.name, release.rendered))
        .collect()
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

/// That the project's own namespace is left out of its manifests.
fn own_namespace(release: &Prepared) -> Option<String> {
    let wrapped = release.chart.wrapped.as_ref()?;
    let is_own = wrapped.namespaces.contains(&release.namespace);
    is_own.then(|| {
        format!(
            "no Namespace `{}`: devk makes the project's own",
            release.namespace
        )
    })
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

/// A port that schemas of values take for one, and that hardly a Compose service or a forward has: what is rendered with
/// it is searched for theirs.
const STAND_IN_PORT: u16 = u16::MAX;

fn stand_in_forward(name: &str) -> Forward {
    Forward {
        name: name.to_owned(),
        namespace: String::new(),
        service: String::new(),
        remote: STAND_IN_PORT,
        local: STAND_IN_PORT,
        url: format!("http://127.0.0.1:{STAND_IN_PORT}"),
        moved: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_a_port_that_every_user_may_have() {
        let forward = stand_in_forward("web");
        // Below are the ports of root.
        assert!(forward.local >= 1024);
        assert!(forward.url.ends_with(&format!(":{}", forward.local)));
    }
}
