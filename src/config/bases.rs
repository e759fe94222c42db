//! Images that are built from other images of devk.yaml: their build arguments name them.

use std::collections::BTreeSet;

use super::ImageConfig;
use super::variables::image_names;
use crate::error::{Code, Error};

impl ImageConfig {
    /// The images of devk.yaml that the build needs: those that its arguments name.
    pub fn bases(&self) -> BTreeSet<String> {
        self.args
            .values()
            .flat_map(|text| image_names(text))
            .collect()
    }
}

/// Whether one of these images is built from the one of this name.
pub fn is_base<'a>(name: &str, images: impl IntoIterator<Item = &'a ImageConfig>) -> bool {
    let mut images = images.into_iter();
    images.any(|other| other.bases().contains(name))
}

/// Puts images into waves: each needs no base but those of earlier waves. The second list holds what is in no wave,
/// for it waits for itself, by way of others or not.
pub fn build_waves<T>(
    images: Vec<T>,
    name: impl Fn(&T) -> &str,
    bases: impl Fn(&T) -> BTreeSet<String>,
) -> (Vec<Vec<T>>, Vec<T>) {
    let mut waves = vec![];
    let mut open = images;
    loop {
        let names: BTreeSet<_> = open.iter().map(|image| name(image).to_owned()).collect();
        let (next, later): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|image| bases(image).is_disjoint(&names));
        if next.is_empty() {
            return (waves, later);
        }
        waves.push(next);
        open = later;
    }
}

/// The images that are built from themselves, by way of others or not.
pub(super) fn cycle(images: &[ImageConfig]) -> Option<Error> {
    let images = images.iter().collect();
    let (_, open) = build_waves(
        images,
        |image: &&ImageConfig| &image.name,
        |image| image.bases(),
    );
    let first = open.first()?;
    let names: Vec<_> = open
        .iter()
        .map(|image| format!("`{}`", image.name))
        .collect();
    let message = format!(
        "images are built from themselves, by their build arguments: {}",
        names.join(", ")
    );
    Some(
        Error::new(Code::ConfigVariable, message)
            .hint("remove `${image.…}` from the arguments of one of them")
            .at(&first.origin.file, first.origin.line),
    )
}
