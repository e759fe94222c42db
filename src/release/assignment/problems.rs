//! What is told of an image that fits to no reference, or to several.

use std::collections::BTreeSet;

use super::{Seen, SeenRepositories};
use crate::config::{ImageConfig, did_you_mean};
use crate::error::{Code, Error};
use crate::release::prepare::Prepared;
use crate::release::values;

/// Lines to write, of which one is right.
const MAX_LINES: usize = 3;

/// `images` are the names of those that come into question.
pub(super) fn several<'a>(
    seen: &SeenRepositories,
    config: &ImageConfig,
    repositories: &[&str],
    images: impl Iterator<Item = &'a String>,
) -> Error {
    let found = repositories
        .iter()
        .filter_map(|repository| seen.get(*repository));
    let written: Vec<_> = found
        .clone()
        .map(|seen| seen.reference.written.as_str())
        .collect();
    let message = match repositories {
        [_] => format!(
            "image `{}` is not the only one that could replace `{}`",
            config.name,
            written.join("")
        ),
        _ => format!(
            "image `{}` could replace several references of the charts",
            config.name
        ),
    };
    let error = found.fold(Error::new(Code::ImageUnused, message), |error, seen| {
        error.evidence(seen.shown())
    });
    let others: BTreeSet<_> = images.filter(|name| **name != config.name).collect();
    let error = others.into_iter().fold(error, |error, name| {
        error.evidence(format!("image `{name}` could replace it, too"))
    });
    error
        .hint(format!(
            "say which one: images: {{{}: {{replaces: [{}]}}}}",
            config.name,
            written.first().copied().unwrap_or_default()
        ))
        .at(&config.origin.file, config.origin.line)
}

/// `free` are the references that belong to no image yet.
pub(super) fn nowhere<'a>(
    seen: &SeenRepositories,
    free: impl Iterator<Item = &'a Seen>,
    config: &ImageConfig,
) -> Error {
    let message = format!(
        "image `{}` replaces no reference of the charts",
        config.name
    );
    let all = seen.values();
    let error = all.fold(Error::new(Code::ImageUnused, message), |error, seen| {
        error.evidence(seen.shown())
    });
    let name = &config.name;
    let mut free: Vec<_> = free.map(|seen| &seen.reference).collect();
    // Docker's own images are nobody's build.
    free.sort_by_key(|reference| reference.repository.starts_with("docker.io/library/"));
    let lines = free
        .iter()
        .take(MAX_LINES)
        .map(|reference| format!("images: {{{name}: {{replaces: [{}]}}}}", reference.written));
    let lines = match free.is_empty() {
        true => String::new(),
        false => format!(
            "say which reference it replaces, {}; or ",
            lines.collect::<Vec<_>>().join(" or ")
        ),
    };
    error
        .hint(format!(
            "{lines}give its reference to a value, set: {{PATH: \"${{image.{name}.reference}}\"}}"
        ))
        .at(&config.origin.file, config.origin.line)
}

pub(super) fn not_rendered(seen: &SeenRepositories, config: &ImageConfig, text: &str) -> Error {
    let message = format!(
        "image `{}` replaces `{text}`, which no chart renders",
        config.name
    );
    let known = seen.values().map(|seen| seen.reference.written.as_str());
    Error::new(Code::ImageUnused, message)
        .hint(did_you_mean(text, known, "rendered repositories"))
        .at(&config.origin.file, config.origin.line)
}

impl Seen {
    /// `acme/api:1` in Deployment/api (shop/templates/api.yaml).
    fn shown(&self) -> String {
        let first = self.uses.first();
        let place = first.map_or_else(String::new, |first| {
            format!("`{}` in {} ({})", first.image, first.object, first.source)
        });
        match self.uses.len() {
            0 | 1 => place,
            more => format!("{place}, and in {} more", more - 1),
        }
    }
}

pub(super) fn several_blocks(
    config: &ImageConfig,
    places: &[(&Prepared, &values::ImageBlock)],
) -> Error {
    let message = format!(
        "image `{}` could be meant for several values of the charts",
        config.name
    );
    let all = places.iter();
    let error = all.fold(
        Error::new(Code::ImageUnused, message),
        |error, (prepared, block)| {
            error.evidence(format!("`{}` of release `{}`", block.path, prepared.name))
        },
    );
    let (prepared, block) = places[0];
    let paths = block.paths();
    error
        .hint(format!(
            "name the values in release `{}`: images: {{{}: {{repository: {}, tag: {}}}}}",
            prepared.name, config.name, paths.repository, paths.tag
        ))
        .at(&config.origin.file, config.origin.line)
}
