//! What BuildKit fetches for `# syntax=docker/dockerfile:1`.

use anyhow::Result;

use super::cache::{Cache, Key};
use super::image::{Content, Image, Store};
use super::programs::DOCKERFILE_FRONTEND;

const DOCKERFILE: &str = include_str!("../../lab/images/dockerfile/Dockerfile");

pub(super) fn ensure(cache: &Cache, store: &Store) -> Result<()> {
    let program = DOCKERFILE_FRONTEND
        .path(cache)
        .join(DOCKERFILE_FRONTEND.name);
    store.ensure(&Image {
        tags: vec![
            "docker/dockerfile:1".into(),
            "docker/dockerfile:latest".into(),
        ],
        key: Key::of([DOCKERFILE_FRONTEND.key().as_str(), DOCKERFILE]),
        dockerfile: DOCKERFILE.into(),
        args: Vec::new(),
        files: vec![(DOCKERFILE_FRONTEND.name, Content::Path(program))],
    })
}
