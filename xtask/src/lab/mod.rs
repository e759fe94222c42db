//! A real kind cluster on a machine without a container registry, from package registries only.
//!
//! Everything is built once and kept in the user's cache, each piece under the hash of its own inputs; a second call
//! only looks whether Docker still has the images. Where a registry answers, none of this is needed.

use anyhow::{Context, Result, anyhow, bail};

mod apt;
mod base_images;
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

use cache::Cache;
use image::Store;
use programs::{
    CNI, CONTAINERD, COREDNS, DOCKERFILE_FRONTEND, ETCD, HELM, KIND, KUBERNETES, LOCAL_PATH, PAUSE,
};
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

/// Two lanes: compilers keep the processors busy, while Debian packages wait for the network and the disk. The node
/// needs both; the tools that nothing else waits for are compiled last, beside it.
fn build(cache: &Cache, progress: &Progress, store: &Store) -> Result<()> {
    std::thread::scope(|scope| {
        let images = scope.spawn(|| {
            let bookworm = base_images::ensure_bookworm(cache, progress, store)?;
            base_images::ensure_trixie(store)?;
            anyhow::Ok(bookworm)
        });
        for program in [
            &KUBERNETES,
            &KIND,
            &CONTAINERD,
            &CNI,
            &ETCD,
            &COREDNS,
            &LOCAL_PATH,
            &PAUSE,
        ] {
            program.get(cache, progress)?;
        }
        let rest = scope.spawn(|| {
            HELM.get(cache, progress)?;
            tools::ensure(cache, progress)?;
            tools::ensure_compose(cache, progress)?;
            DOCKERFILE_FRONTEND.get(cache, progress)?;
            frontend::ensure(cache, store)
        });
        let bookworm = joined(images.join())?;
        node_image::ensure(cache, store, &bookworm)?;
        joined(rest.join())
    })
}

fn joined<T>(outcome: std::thread::Result<Result<T>>) -> Result<T> {
    outcome
        .map_err(|_| anyhow!("a lane of the build panicked"))
        .flatten()
        .context("the lab is not complete")
}
