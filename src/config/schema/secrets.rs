//! The keys of an entry of `images.NAME.secrets`.

use super::super::format::ValueFormat;
use super::super::shape::key;
use super::{Key, OneOf, Shape};

const SOURCES: &[&str] = &["file", "environment"];

pub(super) const SECRET: &[Key] = &[
    key(
        "file",
        OneOf(SOURCES, "`environment` is there"),
        Shape::Text(ValueFormat::Text),
        "~/.npmrc",
        "The file with the secret, of at most 512000 bytes, relative to the folder of this file; `~/` is your home folder. The file usually lies outside of the build context, so that no `COPY` takes it.",
    ),
    key(
        "environment",
        OneOf(SOURCES, "`file` is there"),
        Shape::Text(ValueFormat::Variable),
        "NPM_TOKEN",
        "The environment variable with the secret, of the shell that runs `devk up`.",
    ),
];
