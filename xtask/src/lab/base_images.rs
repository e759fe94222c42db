//! The images that Dockerfiles and charts name, under their ordinary names.

use anyhow::Result;

use super::apt;
use super::cache::{Cache, Key};
use super::debian::Base;
use super::image::{Content, Image, Store};
use super::npm;
use super::progress::Progress;

const PYTHON: &str = include_str!("../../lab/images/python/Dockerfile");
const NODE: &str = include_str!("../../lab/images/node/Dockerfile");
const POSTGRES: [&str; 2] = [
    include_str!("../../lab/images/postgres/Dockerfile"),
    include_str!("../../lab/images/postgres/entrypoint"),
];
const REDIS: [&str; 2] = [
    include_str!("../../lab/images/redis/Dockerfile"),
    include_str!("../../lab/images/redis/entrypoint"),
];
const BUSYBOX: &str = include_str!("../../lab/images/busybox/Dockerfile");

pub(super) const BUSYBOX_TAGS: [&str; 3] = ["busybox:latest", "busybox:1", "busybox:1.36"];

/// What the node image is built from.
#[derive(Debug)]
pub(super) struct Bookworm {
    pub(super) base: Base,
    pub(super) busybox: Key,
}

/// What both suites need of this machine: apt works for one at a time.
pub(super) fn ensure_tools() -> Result<()> {
    apt::ensure("debootstrap", &["debootstrap"])?;
    apt::ensure("npm", &["nodejs", "npm"])
}

pub(super) fn ensure_bookworm(
    cache: &Cache,
    progress: &Progress,
    store: &Store,
) -> Result<Bookworm> {
    let base = Base::ensure(store, "bookworm")?;
    let busybox = on(&base, &BUSYBOX_TAGS, &[BUSYBOX]);
    store.ensure(&busybox)?;
    store.ensure(&python(
        &base,
        "3.11",
        &["python:3.11-slim", "python:3.11-slim-bookworm"],
    ))?;
    ensure_node(cache, progress, store, &base)?;
    store.ensure(&with_entrypoint(&base, &["redis:7"], REDIS))?;
    Ok(Bookworm {
        base,
        busybox: busybox.key,
    })
}

pub(super) fn ensure_trixie(store: &Store) -> Result<()> {
    let base = Base::ensure(store, "trixie")?;
    store.ensure(&python(
        &base,
        "3.13",
        &["python:3.13-slim", "python:3.13-slim-trixie"],
    ))?;
    store.ensure(&with_entrypoint(
        &base,
        &["postgres:17", "pgvector/pgvector:pg17"],
        POSTGRES,
    ))
}

fn on<'a>(base: &Base, tags: &[&str], inputs: &[&'a str]) -> Image<'a> {
    Image {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        key: Key::of(
            [base.key.as_str()]
                .into_iter()
                .chain(inputs.iter().copied()),
        ),
        dockerfile: inputs[0].to_owned(),
        args: vec![("BASE", base.tag.clone())],
        files: Vec::new(),
    }
}

fn with_entrypoint<'a>(
    base: &Base,
    tags: &[&str],
    [dockerfile, entrypoint]: [&'a str; 2],
) -> Image<'a> {
    let mut image = on(base, tags, &[dockerfile, entrypoint]);
    image
        .files
        .push(("entrypoint", Content::Executable(entrypoint)));
    image
}

fn python<'a>(base: &Base, version: &'a str, tags: &[&str]) -> Image<'a> {
    let mut image = on(base, tags, &[PYTHON, version]);
    image.args.push(("VERSION", version.to_owned()));
    image
}

fn ensure_node(cache: &Cache, progress: &Progress, store: &Store, base: &Base) -> Result<()> {
    let folder = npm::get(cache, progress)?;
    let key = npm::key();
    let mut image = on(
        base,
        &["node:20-slim", "node:20-bookworm-slim"],
        &[NODE, key.as_str()],
    );
    image
        .files
        .push(("node", Content::Path(folder.join("node"))));
    image.files.push(("npm", Content::Path(folder.join("npm"))));
    store.ensure(&image)
}
