//! From builds and the references of the charts to the images of devk.yaml.

use std::collections::BTreeSet;

use super::bases;
use super::build_access;
use super::builds::{DevelopmentStage, FoundBuild};
use super::clue::{plain, shown};
use super::draft::{Confidence, DraftImage, DraftSync, InitDraft};
use super::library;
use super::pair::{self, Pair, Pairing};
use super::references::SeenReference;
use super::scan::RepositoryTree;
use crate::compose::Compose;
use crate::config::label;

/// The longest name of an image.
const MAX_NAME_CHARS: usize = 63;

/// What the charts' images come from.
pub(super) struct ChosenImages {
    /// In the order in which they are built from each other; those that no chart uses commented out.
    pub(super) images: Vec<DraftImage>,
    /// The references that nothing builds.
    pub(super) pulled: Vec<String>,
    /// Of those the ones that no registry is likely to have, in sentences.
    pub(super) open: Vec<String>,
}

/// Pairs the builds with the references of the charts.
pub(super) fn choose(
    tree: &RepositoryTree,
    builds: &[FoundBuild],
    references: &[SeenReference],
    stack: Option<&Compose>,
    draft: &InitDraft,
) -> ChosenImages {
    let mut own = vec![draft.name.clone()];
    for release in &draft.releases {
        own.push(release.name.clone());
        let folder = release.source.chart().and_then(|chart| chart.file_name());
        own.extend(folder.map(|name| name.to_string_lossy().into_owned()));
    }
    let Pairing { pairs, open } = pair::assign(builds, references, &own);
    let mut names = BTreeSet::new();
    let mut images: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let build = &builds[pair.build];
            let own = pair.references.first().map(|at| &references[*at]);
            let mut image = image(build, own, &mut names);
            give(&mut image, pair, references);
            stage(build, pair, references, &mut image);
            watched(tree, build, stack, &mut image);
            build_access::given(tree, build, stack, &mut image);
            image
        })
        .collect();
    let paired: BTreeSet<_> = pairs.iter().map(|pair| pair.build).collect();
    for (at, build) in builds
        .iter()
        .enumerate()
        .filter(|(at, _)| !paired.contains(at))
    {
        let mut image = image(build, None, &mut names);
        let fits = open.iter().find(|(open, _)| *open == at);
        image.confidence = Confidence::Guess;
        image.off = Some(match fits {
            Some((_, fits)) => {
                let fits: Vec<_> = fits
                    .iter()
                    .map(|fit| format!("`{}`", references[*fit].written))
                    .collect();
                format!(
                    "not decided: {} could replace {}; remove the comment signs and add `replaces:`",
                    image.name,
                    fits.join(" or ")
                )
            }
            None => format!(
                "nothing that is installed uses an image that {} could be",
                shown(&build.dockerfile)
            ),
        });
        images.push(image);
    }
    bases::build(builds, &mut images);
    let built = pairs
        .iter()
        .filter(|pair| builds[pair.build].missing.is_none());
    let used: BTreeSet<_> = built.flat_map(|pair| &pair.references).collect();
    let pulled = references.iter().enumerate();
    let pulled: Vec<_> = pulled
        .filter(|(at, _)| !used.contains(at))
        .map(|(_, reference)| reference)
        .collect();
    let unbuilt = pulled
        .iter()
        .filter(|reference| library::is_unbuilt(reference, &own));
    ChosenImages {
        open: unbuilt
            .map(|reference| {
                format!(
                    "nothing here builds `{}`, and no registry is in its name: if no node has it, its pods do not start; name its Dockerfile under `images:`",
                    reference.written
                )
            })
            .collect(),
        pulled: pulled
            .iter()
            .map(|reference| reference.written.clone())
            .collect(),
        images,
    }
}

/// Of several Compose services that share a Dockerfile the one whose name ends the reference gives the image its name.
fn image(
    build: &FoundBuild,
    own: Option<&SeenReference>,
    names: &mut BTreeSet<String>,
) -> DraftImage {
    let is_other = |name: &&String| {
        build.services > 1 && !own.is_some_and(|own| plain(&own.last_part).ends_with(&plain(name)))
    };
    let mut ordered: Vec<_> = build.names.iter().collect();
    ordered.sort_by_key(is_other);
    let mut candidates = ordered.into_iter().filter_map(|name| label(name));
    let free = candidates.find(|name| !names.contains(name));
    let name = free.unwrap_or_else(|| {
        let base = build
            .names
            .first()
            .and_then(|name| label(name))
            .unwrap_or_else(|| "app".to_owned());
        let mut numbers = 1..;
        let mut numbered = numbers.by_ref().map(|number| match number {
            1 => base.clone(),
            number => format!("{base}-{number}"),
        });
        numbered
            .find(|name| !names.contains(name))
            .unwrap_or_default()
    });
    let mut name = name;
    name.truncate(MAX_NAME_CHARS);
    names.insert(name.clone());
    DraftImage {
        name,
        context: build.context.clone(),
        dockerfile: build.dockerfile.clone(),
        target: build.target.clone(),
        args: build.args.clone().into_iter().collect(),
        replaces: vec![],
        references: vec![],
        sync: vec![],
        secrets: vec![],
        ssh: vec![],
        confidence: build.confidence,
        evidence: build.evidence.clone(),
        alternatives: build.alternatives.clone(),
        off: build
            .missing
            .as_ref()
            .map(|missing| format!("{missing}, then remove the comment signs")),
    }
}

/// The references of a pair. devk finds one by the image's name if that is its last part and nobody else's.
fn give(image: &mut DraftImage, pair: &Pair, references: &[SeenReference]) {
    let own: Vec<_> = pair.references.iter().map(|at| &references[*at]).collect();
    image.references = own
        .iter()
        .map(|reference| reference.written.clone())
        .collect();
    let is_found = |reference: &SeenReference| {
        let same = references
            .iter()
            .filter(|other| plain(&other.last_part) == plain(&reference.last_part));
        plain(&reference.last_part) == plain(&image.name)
            && reference.tag.is_none()
            && same.count() == 1
    };
    if !matches!(&own[..], [one] if is_found(one)) {
        image.replaces = image.references.clone();
    }
    image.confidence = image.confidence.min(pair.confidence);
    let mut evidence: Vec<_> = own
        .iter()
        .map(|reference| format!("{} runs {}", reference.used, reference.written))
        .collect();
    evidence.append(&mut image.evidence);
    evidence.extend(pair.evidence.iter().cloned());
    let mut seen = BTreeSet::new();
    evidence.retain(|why| seen.insert(why.clone()));
    image.evidence = evidence;
}

/// Compose's stage for development, if it can stand in for the chart's image: with its sources, on the same port.
fn stage(build: &FoundBuild, pair: &Pair, references: &[SeenReference], image: &mut DraftImage) {
    let Some(DevelopmentStage {
        name,
        at,
        exposed,
        holds_sources,
    }) = &build.development
    else {
        return;
    };
    let mut ports = pair.references.iter().flat_map(|at| &references[*at].ports);
    let listens = exposed.is_empty() || ports.clone().next().is_none();
    let is_elsewhere = !listens && !ports.any(|port| exposed.contains(port));
    let but = if !holds_sources {
        "copies no sources: Compose mounts them"
    } else if is_elsewhere {
        "exposes another port than the chart's container has"
    } else {
        image.target = Some(name.clone());
        image
            .evidence
            .push(format!("the stage that Compose builds ({at})"));
        return;
    };
    image.alternatives.push(format!(
        "`target: {name}`, as Compose has it ({at}); the stage {but}"
    ));
}

/// What Compose syncs with `develop.watch`, as rules; what devk cannot do the same way, as comments.
fn watched(
    tree: &RepositoryTree,
    build: &FoundBuild,
    stack: Option<&Compose>,
    image: &mut DraftImage,
) {
    let context = tree.root.join(&build.context);
    let services = stack.into_iter().flat_map(|stack| stack.services.values());
    let own = services.filter(|service| {
        let same = |found: &crate::compose::ServiceBuild| {
            found.dockerfile.as_deref() == Some(&tree.root.join(&build.dockerfile))
        };
        service.build.as_ref().is_some_and(same)
    });
    for service in own {
        for watch in &service.development.watches {
            let from = watch.path.strip_prefix(&context).ok();
            let at = format!(
                "{}:{}",
                watch
                    .origin
                    .file
                    .strip_prefix(&tree.root)
                    .unwrap_or(&watch.origin.file)
                    .display(),
                watch.origin.line
            );
            match (watch.action.as_str(), from, &watch.target) {
                ("sync", Some(from), Some(to)) if to.starts_with('/') => {
                    let from = match shown(from).as_str() {
                        "." => ".".to_owned(),
                        path => path.trim_start_matches("./").to_owned(),
                    };
                    let rule = DraftSync {
                        from,
                        to: to.trim_end_matches('/').to_owned(),
                        exclude: watch.ignore.iter().map(|path| path.trim_end_matches('/').to_owned()).collect(),
                    };
                    if !image.sync.contains(&rule) {
                        image.evidence.push(format!("sync as Compose does ({at})"));
                        image.sync.push(rule);
                    }
                }
                ("rebuild", ..) => {}
                (action, ..) => image.alternatives.push(format!(
                    "Compose has `{action}` for {} ({at}); devk rebuilds the image for what `sync` does not cover",
                    watch.path.strip_prefix(&tree.root).unwrap_or(&watch.path).display()
                )),
            }
        }
        if image.sync.is_empty() {
            for (source, target) in &service.development.binds {
                if let Ok(from) = source.strip_prefix(&context) {
                    image.alternatives.push(format!(
                        "Compose mounts {} to {target}; devk syncs what the Dockerfile copies, `sync: [{{from: {}, to: {target}}}]` would say it",
                        shown(source.strip_prefix(&tree.root).unwrap_or(source)),
                        shown(from).trim_start_matches("./"),
                    ));
                }
            }
        }
    }
}
