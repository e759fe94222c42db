//! Images that are built from other images of devk.yaml: their build arguments name them.

use std::collections::BTreeSet;

use super::variables::image_names;
use super::{ImageConfig, Project};
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

impl Project {
    /// Whether another image is built from this one.
    pub fn is_base(&self, image: &str) -> bool {
        self.images
            .iter()
            .any(|other| other.bases().contains(image))
    }
}

/// The images that are built from themselves, by way of others or not.
pub(super) fn cycle(images: &[ImageConfig]) -> Option<Error> {
    let mut open: Vec<_> = images.iter().collect();
    loop {
        let waits = |image: &&ImageConfig| {
            let bases = image.bases();
            open.iter().any(|other| bases.contains(&other.name))
        };
        let waiting: Vec<_> = open.iter().copied().filter(waits).collect();
        if waiting.len() == open.len() {
            break;
        }
        open = waiting;
    }
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
