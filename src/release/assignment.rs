//! Which references of the rendered charts belong to which image of devk.yaml. Pure: the references are those that
//! the charts really render to, wherever their values keep them.
//!
//! The first of these that says something counts: a variable `${image.NAME.…}` in the values; `images:` of a release;
//! `replaces:` of the image; the name under which Compose builds the same context; the last part of the repository; a
//! block of the chart's values that is named like the image. What fits twice is an error that names both.

mod problems;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use self::problems::{not_rendered, nowhere, several, several_blocks};
use super::manifest::{ImageUse, Rendered};
use super::prepare::Prepared;
use super::rewrite::Replacement;
use super::values::{self, MappedImage, plain};
use crate::config::{ImageConfig, Project, is_base};
use crate::error::{Error, Errors};
use crate::image::{ImageRef, ReferenceParts};

/// Where the references of a project's images go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    pub replacements: Vec<(Replacement, MatchedBy)>,
    /// Images that only values can take, by the name of the release.
    pub by_values: Vec<(String, MappedImage)>,
}

/// Why a reference belongs to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedBy {
    Replaces,
    Compose,
    LastPart,
    OnlyImage,
    Values,
    Word,
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaces => "devk.yaml says so",
            Self::Compose => "Compose builds the same context under that name",
            Self::LastPart => "by the last part of the name",
            Self::OnlyImage => {
                "the only image of devk.yaml, and called like the chart or the project"
            }
            Self::Values => "by the chart's values",
            Self::Word => "by a word in the last part of the name",
        })
    }
}

/// How well a repository's name fits to an image's; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// `acme/api` and `api`.
    Same,
    /// `acme/shop-api` and `api`, where `shop` or `acme` is the prefix.
    Prefixed,
    /// `acme/shop` and the only image of the project `shop`.
    OnlyImage,
}

/// What the assignment goes by.
#[derive(Debug, Clone, Copy)]
pub struct AssignmentInputs<'a> {
    pub project: &'a Project,
    pub images: &'a [ImageRef],
    /// By image: the names under which Compose builds it.
    pub compose: &'a BTreeMap<String, Vec<String>>,
    /// As they render without any change.
    pub releases: &'a [(&'a Prepared, &'a Rendered)],
}

/// Assigns the references.
///
/// # Errors
/// [`Code::ImageUnused`] for every image that fits to no reference, or to several.
pub fn assign(inputs: AssignmentInputs<'_>) -> Result<Assignment, Errors> {
    let mut assigning = Assigning {
        inputs,
        seen: seen(inputs),
        claimed: BTreeSet::new(),
        found: Assignment::default(),
        problems: Vec::new(),
    };
    assigning.run();
    Errors::unless_empty(assigning.problems, assigning.found)
}

/// A repository that the charts use.
#[derive(Debug)]
struct Seen {
    reference: ReferenceParts,
    uses: Vec<ImageUse>,
}

type SeenRepositories = BTreeMap<String, Seen>;

/// By repository. Those of devk's own images got there by values already.
fn seen(inputs: AssignmentInputs<'_>) -> SeenRepositories {
    let mut seen = BTreeMap::new();
    let own: BTreeSet<_> = inputs
        .images
        .iter()
        .map(|image| &image.repository)
        .collect();
    let releases = inputs.releases.iter();
    for used in releases.flat_map(|(_, rendered)| rendered.images()) {
        let reference = ReferenceParts::parse(&used.image);
        let Some(reference) = reference.filter(|found| !own.contains(&found.repository)) else {
            continue;
        };
        let repository = reference.repository.clone();
        let entry = seen.entry(repository).or_insert_with(|| Seen {
            reference,
            uses: Vec::new(),
        });
        entry.uses.push(used);
    }
    seen
}

struct Assigning<'a> {
    inputs: AssignmentInputs<'a>,
    seen: SeenRepositories,
    /// Repositories that belong to an image.
    claimed: BTreeSet<String>,
    found: Assignment,
    problems: Vec<Error>,
}

impl<'a> Assigning<'a> {
    fn run(&mut self) {
        let AssignmentInputs {
            project, images, ..
        } = self.inputs;
        let mut open: Vec<_> = project
            .images
            .iter()
            .zip(images)
            .filter(|(config, image)| !self.is_placed(config, image))
            .collect();
        open.retain(|(config, image)| !self.by_replaces(config, image));
        open.retain(|(config, image)| !self.by_compose(config, image));
        let fits = self.fits(&open);
        open.retain(|(config, image)| !self.by_name(config, image, &fits));
        let only_image = images.len() == 1;
        open.retain(|(config, image)| !self.by_block(config, image, only_image));
        let is_used_by_charts = |config: &ImageConfig| !is_base(&config.name, &project.images);
        open.retain(|(config, _)| is_used_by_charts(config));
        let words = self.words(&open);
        open.retain(|(config, image)| !self.by_word(config, image, &words));
        for (config, _) in open {
            let free = self.seen.iter().filter(|(found, _)| self.is_free(found));
            let problem = nowhere(&self.seen, free.map(|(_, seen)| seen), config);
            self.problems.push(problem);
        }
    }

    /// A variable of the values names the image, or `images:` of a release does.
    fn is_placed(&self, config: &ImageConfig, image: &ImageRef) -> bool {
        let named =
            |release: &crate::config::ReleaseConfig| release.images.contains_key(&config.name);
        let mut rendered = self.inputs.releases.iter().map(|(_, rendered)| rendered);
        self.inputs.project.releases.iter().any(named)
            || rendered.any(|rendered| rendered.mentions(&image.reference()))
    }

    fn by_replaces(&mut self, config: &ImageConfig, image: &ImageRef) -> bool {
        for text in &config.replaces {
            let found = ReferenceParts::parse(text)
                .filter(|reference| self.seen.contains_key(&reference.repository));
            match found {
                Some(reference) => {
                    let tag = reference.tag.clone();
                    self.claim(image, &reference.repository, tag, MatchedBy::Replaces);
                }
                None => self.problems.push(not_rendered(&self.seen, config, text)),
            }
        }
        !config.replaces.is_empty()
    }

    fn by_compose(&mut self, config: &ImageConfig, image: &ImageRef) -> bool {
        let names = self.inputs.compose.get(&config.name).into_iter().flatten();
        let repositories: BTreeSet<_> = names
            .filter_map(|name| Some(ReferenceParts::parse(name)?.repository))
            .filter(|repository| self.is_free(repository))
            .collect();
        for repository in &repositories {
            self.claim(image, repository, None, MatchedBy::Compose);
        }
        !repositories.is_empty()
    }

    /// The names of images by repository, and how well they fit; only the best of each repository.
    fn fits(&self, open: &[(&ImageConfig, &ImageRef)]) -> BTreeMap<String, (Fit, Vec<String>)> {
        let only_image = self.inputs.images.len() == 1;
        let mut fits = BTreeMap::new();
        for (repository, seen) in &self.seen {
            let mut best: Option<(Fit, Vec<String>)> = None;
            for (config, _) in open.iter().filter(|_| self.is_free(repository)) {
                let Some(fit) = self.fit(&config.name, &seen.reference, only_image) else {
                    continue;
                };
                match &mut best {
                    Some((other, names)) if *other == fit => names.push(config.name.clone()),
                    Some((other, _)) if *other < fit => {}
                    _ => best = Some((fit, vec![config.name.clone()])),
                }
            }
            fits.extend(best.map(|best| (repository.clone(), best)));
        }
        fits
    }

    fn fit(&self, name: &str, reference: &ReferenceParts, only_image: bool) -> Option<Fit> {
        let last = plain(reference.last_part());
        let name = plain(name);
        let is_prefixed = |prefix: &str| {
            let prefix = plain(prefix);
            !prefix.is_empty()
                && (last == format!("{prefix}{name}") || name == format!("{prefix}{last}"))
        };
        let folders = reference.written.split('/').rev().skip(1);
        let mut own = self.own_names();
        if last.is_empty() {
            None
        } else if last == name {
            Some(Fit::Same)
        } else if own.clone().chain(folders).any(is_prefixed) {
            Some(Fit::Prefixed)
        } else if only_image && own.any(|own| plain(own) == last) {
            Some(Fit::OnlyImage)
        } else {
            None
        }
    }

    /// The project, its releases and their charts.
    fn own_names(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let releases = self.inputs.releases.iter();
        let names = releases.flat_map(|(prepared, _)| [&*prepared.name, &*prepared.chart.name]);
        std::iter::once(&*self.inputs.project.name).chain(names)
    }

    fn by_name(
        &mut self,
        config: &ImageConfig,
        image: &ImageRef,
        fits: &BTreeMap<String, (Fit, Vec<String>)>,
    ) -> bool {
        let candidates = fits
            .iter()
            .filter(|(_, (_, names))| names.contains(&config.name));
        let Some(best) = candidates.clone().map(|(_, (fit, _))| *fit).min() else {
            return false;
        };
        let best: Vec<_> = candidates.filter(|(_, (fit, _))| *fit == best).collect();
        match best[..] {
            [(repository, (fit, names))] if names.len() == 1 => {
                let why = match fit {
                    Fit::Same | Fit::Prefixed => MatchedBy::LastPart,
                    Fit::OnlyImage => MatchedBy::OnlyImage,
                };
                self.claim(image, repository, None, why);
            }
            _ => {
                let repositories: Vec<_> = best
                    .iter()
                    .map(|(repository, _)| repository.as_str())
                    .collect();
                let others = best.iter().flat_map(|(_, (_, names))| names);
                self.problems
                    .push(several(&self.seen, config, &repositories, others));
            }
        }
        true
    }

    /// The chart's values say which repository an image of that name has. If nothing renders to that repository, or
    /// other blocks have it, too, the values take the image.
    fn by_block(&mut self, config: &ImageConfig, image: &ImageRef, only_image: bool) -> bool {
        let mut places = Vec::new();
        for &(prepared, _) in self.inputs.releases {
            for block in values::named_blocks(&config.name, &prepared.blocks, only_image) {
                places.push((prepared, block));
            }
        }
        let [(prepared, block)] = places[..] else {
            if !places.is_empty() {
                self.problems.push(several_blocks(config, &places));
            }
            return !places.is_empty();
        };
        let repository = block.repository.as_deref().and_then(ReferenceParts::parse);
        let is_alone = |reference: &ReferenceParts| {
            let others = self
                .inputs
                .releases
                .iter()
                .flat_map(|(prepared, _)| &prepared.blocks);
            let same = others.filter(|other| other.repository == block.repository);
            same.count() == 1 && self.is_free(&reference.repository)
        };
        match repository.filter(is_alone) {
            Some(reference) => self.claim(image, &reference.repository, None, MatchedBy::Values),
            None => {
                let mapped = block.take(image);
                self.found.by_values.push((prepared.name.clone(), mapped));
            }
        }
        true
    }

    /// Some chart uses the repository, and it belongs to no image yet.
    fn is_free(&self, repository: &str) -> bool {
        self.seen.contains_key(repository) && !self.claimed.contains(repository)
    }

    fn claim(&mut self, image: &ImageRef, repository: &str, tag: Option<String>, why: MatchedBy) {
        self.claimed.insert(repository.to_owned());
        let replacement = Replacement {
            image: image.name.clone(),
            repository: repository.to_owned(),
            tag,
            with: image.reference(),
        };
        self.found.replacements.push((replacement, why));
    }
}

#[cfg(test)]
mod tests;
