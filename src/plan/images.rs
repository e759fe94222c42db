//! The steps of images: what is built, in which order, and what is loaded into nodes.

use super::facts::ImageFact;
use super::{Action, CLUSTER, PlannedStep, build_id, load_id, step};
use crate::config::build_waves;

/// The builds, base images before those that are built from them.
pub(super) fn builds(images: &[ImageFact]) -> Vec<PlannedStep> {
    let built = images
        .iter()
        .filter(|image| image.built_as.is_some())
        .collect();
    let (waves, _) = build_waves(
        built,
        |image: &&ImageFact| image.built_as.as_deref().unwrap_or_default(),
        |image| image.bases.clone(),
    );
    let in_order = waves.into_iter().flatten();
    in_order.filter_map(|image| build(image, images)).collect()
}

fn build(image: &ImageFact, all: &[ImageFact]) -> Option<PlannedStep> {
    let name = image.built_as.clone()?;
    let is_built = is_built(image, all);
    let why = match (image.in_docker, image.on_nodes, is_built) {
        (true, _, _) => "built from the same content before",
        (false, true, false) => "every node has it",
        (false, true, true) => "Docker lacks it, and another image is built from it",
        (false, false, true) => "its content is new",
        (false, false, false) => "nothing is built from it now",
    };
    let needs = image.bases.iter().map(|base| build_id(base)).collect();
    let action = Action::Build {
        image: name.clone(),
    };
    let step = step(build_id(&name), needs, why.to_owned(), !is_built, action);
    let pulls = image.pulls.iter().filter(|_| is_built);
    Some(PlannedStep {
        pulls: pulls.cloned().collect(),
        ..step
    })
}

/// Whether a plan builds the image. A base image that no chart uses is built only for another image.
pub fn is_built(image: &ImageFact, all: &[ImageFact]) -> bool {
    let is_wanted = || !image.on_nodes && !image.is_base;
    let is_needed = |name: &str| {
        let mut derived = all.iter().filter(|other| other.bases.contains(name));
        derived.any(|other| is_built(other, all))
    };
    !image.in_docker && (is_wanted() || image.built_as.as_deref().is_some_and(is_needed))
}

pub(super) fn load(image: &ImageFact) -> PlannedStep {
    let mut needs = vec![CLUSTER.to_owned()];
    needs.extend(image.built_as.as_deref().map(build_id));
    let (why, skip) = match (image.on_nodes, image.is_pinned()) {
        (true, _) => ("every node has it", true),
        (false, true) => ("it is pinned by its digest: the node pulls it", true),
        (false, false) if image.is_outdated => (
            "a node has other content under this name than Docker",
            false,
        ),
        (false, false) => ("a node lacks it", false),
    };
    let action = Action::Load {
        reference: image.reference.clone(),
    };
    step(load_id(image), needs, why.to_owned(), skip, action)
}
