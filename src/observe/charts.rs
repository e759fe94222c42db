//! The charts of a project, rendered with what is known so far: first with stand-ins, to see their Services, then with
//! the ports and image references that follow.

use std::path::Path;

use crate::bridge::Bridge;
use crate::config::{self, ImageConfig, Project, ReleaseConfig};
use crate::environment::Environment;
use crate::error::{Error, Errors, Result};
use crate::image::{self, ImageRef};
use crate::paths::Paths;
use crate::ports::Forward;
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use crate::release::secrets::Secrets;
use crate::release::{Prepared, ValuesContext, check, prepare, render};
use crate::variables::Variables;

/// A release, ready to install.
#[derive(Debug, Clone)]
pub struct PreparedRelease {
    pub prepared: Prepared,
    pub rendered: Rendered,
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

/// The charts of a project, prepared and rendered with what is known so far.
pub(super) struct Charts<'a> {
    pub(super) project: &'a Project,
    pub(super) paths: &'a Paths,
    pub(super) helm: &'a Helm,
    secrets: tokio::sync::Mutex<Secrets>,
    /// To Compose's database, if the cluster is to use it.
    pub(super) bridge: Option<Bridge>,
}

impl<'a> Charts<'a> {
    pub(super) fn new(project: &'a Project, paths: &'a Paths, helm: &'a Helm) -> Result<Self> {
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
        self.render(bridge, &images, &resolve, |_, _| vec![]).await
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
    ) -> Result<Vec<PreparedRelease>, Errors> {
        let variables = Variables::new(self.project, &self.project.id, forwards, images);
        let resolve = |text: &str, file: &Path| variables.resolve(text, file);
        let check = |prepared: &Prepared, rendered: &Rendered| {
            check::release(prepared, rendered, self.project.allow_node_port)
        };
        let releases = self
            .render(self.bridge.as_ref(), images, &resolve, check)
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
            let given = ValuesContext {
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
