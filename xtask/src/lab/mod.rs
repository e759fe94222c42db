//! A real kind cluster on a machine without a container registry, from package registries only.
//!
//! Everything is built once and kept in the user's cache, each piece under the hash of its own inputs; a second call
//! only looks whether Docker still has the images. Where a registry answers, none of this is needed.

use anyhow::{Context, Result, anyhow, bail};

mod apt;
mod base_images;
mod builds;
mod cache;
mod debian;
mod docker;
mod frontend;
mod go;
mod image;
mod node_image;
mod npm;
mod programs;
mod progress;
mod tools;

use builds::{Builds, Compilers};
use cache::Cache;
use go::{Go, Program};
use image::Store;
use programs::{COMPOSE, DOCKERFILE_FRONTEND, HELM, KIND};
use progress::Progress;

const HELP: &str = "\
cargo xtask lab                kind, helm, kubectl, docker compose, a node image and base images, built where missing
cargo xtask lab docker         only make sure that a Docker daemon runs
cargo xtask lab source         `lab` if this machine needs the lab (it has one, or no container registry answers);
                               `releases` if tools and images can be had in the ordinary way
cargo xtask lab --print-path   the folder of the tools, for PATH
cargo xtask lab versions       the tools' versions, as a shell's assignments";

pub(crate) fn main(args: &[String]) -> Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let cache = Cache::open()?;
    let progress = Progress::new();
    match args[..] {
        [] => all(&cache, &progress)?,
        ["docker"] => docker::ensure(&cache, &progress)?,
        ["source"] => println!(
            "{}",
            if is_needed(&cache)? {
                "lab"
            } else {
                "releases"
            }
        ),
        ["env" | "--print-path"] => println!("{}", tools::folder(&cache).display()),
        ["versions"] => print!("{}", tools::versions()),
        ["help" | "--help"] => println!("{HELP}"),
        _ => bail!("unknown arguments\n{HELP}"),
    }
    Ok(())
}

/// A lab that was built here settles it without asking anybody.
fn is_needed(cache: &Cache) -> Result<bool> {
    if tools::folder(cache).exists() {
        return Ok(true);
    }
    if !docker::answers() {
        bail!("no Docker daemon answers; start one with `cargo xtask lab docker`");
    }
    Ok(!docker::registry_answers())
}

fn all(cache: &Cache, progress: &Progress) -> Result<()> {
    let _lock = cache.lock()?;
    docker::ensure(cache, progress)?;
    let store = Store::open(cache, progress)?;
    build(cache, progress, &store)?;
    let table = progress.table();
    if !table.is_empty() {
        eprint!("lab: what took how long\n{table}");
    }
    eprintln!(
        "lab: ready in {:.1} s; tools in {}",
        progress.elapsed(),
        tools::folder(cache).display()
    );
    Ok(())
}

/// Everything at once: modules and Debian packages wait for the network, compilers for a processor.
fn build(cache: &Cache, progress: &Progress, store: &Store) -> Result<()> {
    base_images::ensure_tools()?;
    let go = Go::ensure(cache)?;
    let needs_compose = !tools::has_compose();
    let others = [&COMPOSE, &HELM, &KIND, &DOCKERFILE_FRONTEND];
    let others = others
        .into_iter()
        .filter(|program| needs_compose || program.name != COMPOSE.name);
    let wanted: Vec<&Program> = node_image::PROGRAMS.into_iter().chain(others).collect();
    let compilers = Compilers::new();
    std::thread::scope(|scope| {
        let bookworm = scope.spawn(|| base_images::ensure_bookworm(cache, progress, store));
        let trixie = scope.spawn(|| base_images::ensure_trixie(store));
        let context = (cache, &go, progress);
        let mut builds = Builds::start(scope, context, &compilers, wanted.iter().copied());
        builds.wait(&node_image::PROGRAMS)?;
        node_image::ensure(cache, store, &joined(bookworm.join())?)?;
        builds.wait(&wanted)?;
        tools::ensure(cache, progress)?;
        if needs_compose {
            tools::install_compose(cache)?;
        }
        frontend::ensure(cache, store)?;
        joined(trixie.join())
    })
}

fn joined<T>(outcome: std::thread::Result<Result<T>>) -> Result<T> {
    outcome
        .map_err(|_| anyhow!("a lane of the build panicked"))
        .flatten()
        .context("the lab is not complete")
}
