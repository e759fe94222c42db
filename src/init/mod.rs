//! A devk.yaml out of what a repository has: scan → clues → hypotheses → choices → text.
//!
//! Nothing of the repository is run. What its charts render is looked at with helm, as `devk up` does it, not guessed:
//! which images they use, which values they demand. What cannot be decided becomes a comment, or is left to the user.

mod addresses;
pub mod agents;
mod builds;
mod charts;
mod clue;
mod clues;
mod context;
pub mod draft;
mod empty_values;
mod forwards;
mod images;
mod look;
mod manifests;
mod pages;
mod pair;
mod references;
mod required;
mod scan;
mod settle;
mod stack;
mod stages;
mod static_look;
mod survey;
mod values_files;
mod write;

#[cfg(test)]
mod fixture;

use std::path::{Path, PathBuf};

use crate::compose::Compose;
use crate::config::{self, FILE, is_reserved, label};
use crate::environment::Environment;
use crate::error::{Code, Errors};
use crate::observe::PreparedRelease;
use crate::observe::requests::{RenderedService, wanted};
use crate::paths::Paths;
use crate::release::effective_values;
use builds::FoundBuild;
use charts::{ChartFolder, ChosenCharts};
use clue::shown;
use draft::{DraftRelease, InitDraft};
use look::DraftLook;
use references::ReleaseLook;
use scan::{FileKind, RepositoryTree};

pub use survey::{ChartCandidate, ChosenDraft, Survey};

/// Looks through a repository. `named` are charts that the user names, relative to the root; empty: devk finds them.
///
/// # Errors
/// A folder for temporary files that cannot be made.
pub async fn survey(
    root: &Path,
    named: &[PathBuf],
    environment: &Environment,
    paths: &Paths,
) -> Result<Survey, Errors> {
    let tree = RepositoryTree::scan(root);
    let found = stack::find(&tree, environment);
    let clues = clues::read(&tree, found.stack.as_ref());
    let mut charts = charts::find(&tree);
    if !named.is_empty() {
        charts.retain(|chart| named.contains(&chart.dir));
    }
    let builds = builds::find(&tree, &clues);
    let mut draft = InitDraft {
        name: name(root, &charts),
        compose: found.draft,
        ..InitDraft::default()
    };
    for (chart, at) in &clues.remote {
        draft.notes.push(format!(
            "{at} also installs the chart {chart}, which is in no folder here: `helm pull --untar {chart}`, then a release with its folder"
        ));
    }
    let surveying = Surveying {
        tree: &tree,
        stack: found.stack.as_ref().map(|stack| &stack.compose),
        builds: &builds,
        environment,
        paths,
    };
    if charts.is_empty() {
        let Some((release, rendered)) = manifests::choose(&tree, &clues, &draft.name) else {
            return Ok(Survey::Nothing {
                found: surveying.found(),
            });
        };
        draft.releases = vec![release];
        return Ok(surveying.of_manifests(draft, &rendered));
    }
    let chosen = match named.is_empty() {
        true => charts::choose(&tree, &charts, &clues),
        false => ChosenCharts::Releases(charts::all(&tree, &charts, &clues)),
    };
    match chosen {
        ChosenCharts::Candidates { charts, why } => Ok(candidates(&charts, why)),
        ChosenCharts::Releases(releases) => {
            draft.releases = distinct(releases);
            surveying.of_charts(draft).await
        }
    }
}

/// The folder's name, as devk takes it without `name:`; that of a chart where Kubernetes has a namespace of it.
fn name(root: &Path, charts: &[ChartFolder]) -> String {
    let folder = root
        .file_name()
        .and_then(|name| label(&name.to_string_lossy()));
    let charts = charts.iter().filter_map(|chart| label(&chart.name));
    let mut names = folder.into_iter().chain(charts);
    names
        .find(|name| !is_reserved(name))
        .unwrap_or_else(|| "app".to_owned())
}

fn candidates(charts: &[ChartFolder], why: String) -> Survey {
    let charts = charts.iter().map(|chart| ChartCandidate {
        name: chart.name.clone(),
        chart: shown(&chart.dir),
        at: chart.at.to_string(),
        description: chart.description.clone(),
    });
    Survey::Candidates {
        why,
        charts: charts.collect(),
    }
}

/// Releases of one name cannot be installed beside each other.
fn distinct(releases: Vec<DraftRelease>) -> Vec<DraftRelease> {
    let mut found: Vec<DraftRelease> = vec![];
    for mut release in releases {
        let base = release.name.clone();
        let mut number = 2;
        while found.iter().any(|other| other.name == release.name) {
            release.name = format!("{base}-{number}");
            number += 1;
        }
        found.push(release);
    }
    found
}

struct Surveying<'a> {
    tree: &'a RepositoryTree,
    stack: Option<&'a Compose>,
    builds: &'a [FoundBuild],
    environment: &'a Environment,
    paths: &'a Paths,
}

impl Surveying<'_> {
    /// What there is of a repository that has nothing to install.
    fn found(&self) -> Vec<String> {
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

    async fn of_charts(&self, mut draft: InitDraft) -> Result<Survey, Errors> {
        let root = &self.tree.root;
        let looking = DraftLook::new(root, self.environment, self.paths)?;
        let mut open = vec![];
        let settled = settle::settle(&looking, root, &mut draft).await;
        let rendered = match settled {
            Ok(rendered) => rendered,
            Err(errors) => {
                open.extend(errors.0.iter().map(|error| error.on_one_line()));
                return Ok(self.unlooked(draft, open));
            }
        };
        let looks = looks(&rendered);
        let pulled = self.images(&mut draft, &looks);
        self.without_unused(&looking, &mut draft, &mut open).await;
        self.forwards(&mut draft, &rendered, &looks);
        let needs = forwards::needs(&looks, &services(&rendered));
        draft.releases = charts::in_order(std::mem::take(&mut draft.releases), &needs);
        addresses::put(&mut draft, self.builds, &looks, self.stack);
        let in_code = pages::find(self.tree, &draft);
        addresses::in_code(&mut draft, &in_code, &looks, self.stack);
        if let Err(errors) = looking.at(&draft).await {
            open.extend(errors.0.iter().map(|error| error.on_one_line()));
        }
        self.notes(&mut draft, &looks);
        let others = manifests::beside_charts(self.tree);
        if let Some(last) = draft.releases.last_mut() {
            last.alternatives.extend(others);
        }
        Ok(self.chosen(draft, open, pulled))
    }

    /// Without helm, or with charts that do not render: by what their values say.
    fn unlooked(&self, mut draft: InitDraft, open: Vec<String>) -> Survey {
        let releases = draft.releases.clone();
        let rendered: Vec<_> = releases
            .iter()
            .filter_map(|release| static_look::find(self.tree, release.source.chart()?))
            .collect();
        let looks: Vec<_> = releases
            .iter()
            .zip(&rendered)
            .map(|(release, (rendered, values))| ReleaseLook {
                release: &release.name,
                rendered,
                values: values.clone(),
                blocks: vec![],
            })
            .collect();
        let pulled = self.images(&mut draft, &looks);
        draft.notes.push(
            "The charts could not be rendered: the images are paired by the charts' values, unchecked.".to_owned(),
        );
        self.chosen(draft, open, pulled)
    }

    fn of_manifests(
        &self,
        mut draft: InitDraft,
        rendered: &crate::release::manifest::Rendered,
    ) -> Survey {
        let release = draft.releases[0].name.clone();
        let looks = [ReleaseLook {
            release: &release,
            rendered,
            values: serde_json::Value::Null,
            blocks: vec![],
        }];
        let pulled = self.images(&mut draft, &looks);
        self.notes(&mut draft, &looks);
        self.chosen(draft, vec![], pulled)
    }

    fn images(&self, draft: &mut InitDraft, looks: &[ReleaseLook<'_>]) -> Vec<String> {
        let references = references::find(looks);
        let (images, pulled) =
            images::choose(self.tree, self.builds, &references, self.stack, draft);
        draft.images = images;
        empty_values::images(draft, self.builds, looks);
        pulled
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
                open.extend(errors.0.iter().map(|error| error.on_one_line()));
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

    fn chosen(&self, draft: InitDraft, mut open: Vec<String>, pulled: Vec<String>) -> Survey {
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
        rendered: &release.rendered,
        // They were read to render, a moment ago.
        values: effective_values(&release.prepared).unwrap_or_default(),
        blocks: release.prepared.blocks.clone(),
    });
    looks.collect()
}
