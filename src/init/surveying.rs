//! From releases to a whole devk.yaml: what the releases render is looked at, and the images, forwards and addresses go
//! by it. Where nothing renders, they go by what the files say, and the file says so.

use super::builds::FoundBuild;
use super::draft::{self, InitDraft};
use super::look::DraftLook;
use super::manifests::{self, ManifestRelease};
use super::references::{self, ReleaseLook};
use super::scan::{FileKind, RepositoryTree};
use super::survey::{ChosenDraft, Survey};
use super::{
    addresses, bases, charts, empty_values, forwards, images, new_chart, pages, settle, stack,
    static_look, write,
};
use crate::compose::Compose;
use crate::config::{self, FILE};
use crate::environment::Environment;
use crate::error::{Code, Errors};
use crate::observe::PreparedRelease;
use crate::observe::requests::{RenderedService, wanted};
use crate::paths::Paths;
use crate::release::effective_values;
use crate::release::manifest::Rendered;

/// What the releases of a draft are completed from.
pub(super) struct Surveying<'a> {
    pub(super) tree: &'a RepositoryTree,
    pub(super) stack: Option<&'a Compose>,
    pub(super) builds: &'a [FoundBuild],
    /// Of a chart that devk writes, the components whose image a Job has.
    pub(super) jobs: &'a [(String, String)],
    pub(super) environment: &'a Environment,
    pub(super) paths: &'a Paths,
}

impl Surveying<'_> {
    /// What there is of a repository that has nothing to install.
    pub(super) fn found(&self) -> Vec<String> {
        let mut found = vec![];
        if let Some(stack) = self.stack {
            let services: Vec<_> = stack.services.keys().map(String::as_str).collect();
            found.push(format!("Compose services: {}", services.join(", ")));
        }
        let files: Vec<_> = self
            .tree
            .of_kind(FileKind::Dockerfile)
            .map(|file| file.display().to_string())
            .collect();
        if !files.is_empty() {
            found.push(format!("Dockerfiles: {}", files.join(", ")));
        }
        found
    }

    /// Errors for a file that others read: its paths begin at the root.
    fn lines(&self, errors: &Errors) -> Vec<String> {
        let root = format!("{}/", self.tree.root.display());
        let lines = errors.0.iter().map(|error| error.on_one_line());
        lines.map(|line| line.replace(&root, "")).collect()
    }

    /// The charts, with the values that they demand.
    pub(super) async fn of_charts(&self, mut draft: InitDraft) -> Result<Survey, Errors> {
        let root = &self.tree.root;
        let looking = DraftLook::new(root, self.environment, self.paths)?;
        let rendered = match settle::settle(&looking, root, &mut draft).await {
            Ok(rendered) => rendered,
            Err(errors) => return Ok(self.unlooked(draft, self.lines(&errors))),
        };
        let others = manifests::beside_charts(self.tree);
        if let Some(last) = draft.releases.last_mut() {
            last.alternatives.extend(others);
        }
        Ok(self.of_rendered(&looking, draft, &rendered).await)
    }

    /// The first of the candidates that renders.
    pub(super) async fn of_manifests(
        &self,
        mut draft: InitDraft,
        candidates: Vec<ManifestRelease>,
    ) -> Result<Survey, Errors> {
        let looking = DraftLook::new(&self.tree.root, self.environment, self.paths)?;
        let mut refused = vec![];
        for candidate in &candidates {
            draft.releases = vec![candidate.release.clone()];
            match looking.at(&draft).await {
                Ok(rendered) => {
                    draft.releases[0].alternatives.extend(refused);
                    return Ok(self.of_rendered(&looking, draft, &rendered).await);
                }
                Err(errors) => {
                    let why = self.lines(&errors);
                    let what = candidate.release.source.to_string();
                    let why = why.into_iter();
                    refused.extend(why.map(|why| format!("left out: `{what}`: {why}")));
                }
            }
        }
        let Some(first) = candidates.into_iter().next() else {
            return Ok(Survey::Nothing {
                found: self.found(),
            });
        };
        draft.releases = vec![first.release];
        Ok(self.unrendered(draft, &[(first.written, serde_json::Value::Null)], refused))
    }

    /// Images, forwards and addresses by what the releases render.
    async fn of_rendered(
        &self,
        looking: &DraftLook<'_>,
        mut draft: InitDraft,
        rendered: &[PreparedRelease],
    ) -> Survey {
        let mut open = vec![];
        let looks = looks(rendered);
        let pulled = self.images(&mut draft, &looks, &mut open);
        self.without_unused(looking, &mut draft, &mut open).await;
        self.forwards(&mut draft, rendered, &looks);
        let needs = forwards::needs(&looks, &services(rendered));
        draft.releases = charts::in_order(std::mem::take(&mut draft.releases), &needs);
        addresses::put(&mut draft, self.builds, &looks, self.stack);
        let in_code = pages::find(self.tree, &draft);
        addresses::in_code(&mut draft, &in_code, &looks, self.stack);
        if let Err(errors) = looking.at(&draft).await {
            open.extend(self.lines(&errors));
        }
        let users = rendered.iter().zip(&looks).filter_map(|(release, look)| {
            empty_values::users_secrets(&self.tree.root, release, &look.values)
        });
        open.extend(users);
        self.notes(&mut draft, &looks);
        self.chosen(draft, open, pulled)
    }

    /// Without helm, or with charts that do not render: by what their values say.
    fn unlooked(&self, draft: InitDraft, open: Vec<String>) -> Survey {
        let found = draft.releases.iter().map(|release| {
            let chart = release.source.chart();
            chart
                .and_then(|chart| static_look::find(self.tree, chart))
                .unwrap_or_default()
        });
        let found: Vec<_> = found.collect();
        self.unrendered(draft, &found, open)
    }

    /// What could not be rendered, and why: the images are paired by what is written in the files.
    fn unrendered(
        &self,
        mut draft: InitDraft,
        written: &[(Rendered, serde_json::Value)],
        why: Vec<String>,
    ) -> Survey {
        let mut open = why.clone();
        let releases = draft.releases.clone();
        let looks: Vec<_> = releases
            .iter()
            .zip(written)
            .map(|(release, (rendered, values))| ReleaseLook {
                release: &release.name,
                chart: None,
                rendered,
                values: values.clone(),
                blocks: vec![],
            })
            .collect();
        let pulled = self.images(&mut draft, &looks, &mut open);
        draft.notes.push(
            "Nothing could be rendered, so the images are paired by what the files say, unchecked, and there are no forwards:".to_owned(),
        );
        draft.notes.extend(why);
        self.chosen(draft, open, pulled)
    }

    fn images(
        &self,
        draft: &mut InitDraft,
        looks: &[ReleaseLook<'_>],
        open: &mut Vec<String>,
    ) -> Vec<String> {
        let references = references::find(&self.tree.root, looks);
        let chosen = images::choose(self.tree, self.builds, &references, self.stack, draft);
        draft.images = chosen.images;
        open.extend(chosen.open);
        empty_values::images(draft, self.builds, looks);
        new_chart::give_jobs(draft, self.jobs);
        chosen.pulled
    }

    /// Comments out the images that devk itself would find no use for.
    async fn without_unused(
        &self,
        looking: &DraftLook<'_>,
        draft: &mut InitDraft,
        open: &mut Vec<String>,
    ) {
        for _ in 0..=draft.images.len() {
            let Err(errors) = looking.at(draft).await else {
                return;
            };
            let mut helped = false;
            for error in &errors.0 {
                let is_it = |image: &&mut draft::DraftImage| {
                    image.off.is_none()
                        && error.message.contains(&format!("image `{}`", image.name))
                };
                if error.code == Code::ImageUnused
                    && let Some(image) = draft.images.iter_mut().find(is_it)
                {
                    image.off = Some(format!("devk finds no use for it: {}", error.message));
                    helped = true;
                }
            }
            if !helped {
                open.extend(self.lines(&errors));
                return;
            }
        }
    }

    fn forwards(
        &self,
        draft: &mut InitDraft,
        rendered: &[PreparedRelease],
        looks: &[ReleaseLook<'_>],
    ) {
        debug_assert_eq!(rendered.len(), looks.len());
        let services = services(rendered);
        let project = config::read_text(&write::text(draft), &self.tree.root.join(FILE));
        let requested = project.and_then(|project| wanted(&project, &services, &[]));
        if let Ok((requested, _)) = requested {
            draft.forwards = forwards::choose(&services, requested, self.stack);
        }
    }

    fn notes(&self, draft: &mut InitDraft, looks: &[ReleaseLook<'_>]) {
        draft.notes.extend(stack::bridge_note(self.stack, looks));
    }

    fn chosen(&self, mut draft: InitDraft, mut open: Vec<String>, pulled: Vec<String>) -> Survey {
        open.extend(bases::ask(self.builds, &mut draft));
        if self.builds.is_empty() {
            open.push("no Dockerfile: every image is pulled".to_owned());
        }
        for image in &draft.images {
            open.extend(
                image
                    .off
                    .iter()
                    .map(|why| format!("image {} is commented out: {why}", image.name)),
            );
        }
        let values = draft.releases.iter().flat_map(|release| &release.set);
        for value in values.filter(|value| value.is_users) {
            open.push(format!(
                "only you know `{}`: devk.yaml has a stand-in for it",
                value.path
            ));
        }
        for release in draft
            .releases
            .iter()
            .filter(|release| release.confidence == draft::Confidence::Guess)
        {
            open.push(format!(
                "release {} is a guess; its alternatives are in devk.yaml",
                release.name
            ));
        }
        if self.stack.is_none() && draft.compose == draft::DraftCompose::Found {
            open.push("no Compose file".to_owned());
        }
        if let draft::DraftCompose::None(why) = &draft.compose {
            open.push(why.clone());
        }
        Survey::Chosen(Box::new(ChosenDraft {
            text: write::text(&draft),
            files: self.tree.seen,
            draft,
            open,
            pulled,
        }))
    }
}

fn services(rendered: &[PreparedRelease]) -> Vec<RenderedService> {
    let of_release = |release: &PreparedRelease| {
        let services = release.rendered.services(&release.prepared.namespace);
        let name = release.prepared.name.clone();
        services
            .into_iter()
            .map(move |service| RenderedService {
                release: name.clone(),
                service,
            })
            .collect::<Vec<_>>()
    };
    rendered.iter().flat_map(of_release).collect()
}

fn looks(rendered: &[PreparedRelease]) -> Vec<ReleaseLook<'_>> {
    let looks = rendered.iter().map(|release| ReleaseLook {
        release: &release.prepared.name,
        chart: Some(&release.prepared.chart),
        rendered: &release.rendered,
        // They were read to render, a moment ago.
        values: effective_values(&release.prepared).unwrap_or_default(),
        blocks: release.prepared.blocks.clone(),
    });
    looks.collect()
}
