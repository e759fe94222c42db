//! The folder of command-line tools for PATH, and the Compose plugin.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::cache::{self, Cache, Key};
use super::programs::{COMPOSE, CONTAINERD, HELM, KIND, KUBERNETES};
use super::progress::Progress;
use crate::command;

/// Name on PATH, program, its binary. Not containerd: dockerd would start whichever it finds first.
const TOOLS: [(&str, &super::go::Program, &str); 4] = [
    ("kind", &KIND, "kind"),
    ("helm", &HELM, "helm"),
    ("kubectl", &KUBERNETES, "kubernetes"),
    ("ctr", &CONTAINERD, "ctr"),
];

fn key() -> Key {
    let keys: Vec<Key> = TOOLS.iter().map(|(_, program, _)| program.key()).collect();
    Key::of(keys.iter().map(Key::as_str))
}

pub(super) fn folder(cache: &Cache) -> PathBuf {
    cache.path("bin", &key())
}

/// For scripts that fetch the same versions as releases.
pub(super) fn versions() -> String {
    let programs = [&KIND, &KUBERNETES, &HELM, &COMPOSE];
    let lines =
        programs.map(|program| format!("{}={}\n", program.name.replace('-', "_"), program.version));
    lines.concat()
}

pub(super) fn ensure(cache: &Cache, progress: &Progress) -> Result<()> {
    let folder = cache.get("bin", &key(), progress, |folder| {
        for (name, program, binary) in TOOLS {
            let target = program.path(cache).join(binary);
            symlink(&target, folder.join(name)).with_context(|| format!("cannot link {name}"))?;
        }
        Ok(())
    })?;
    // Links of a cache that somebody moved would point nowhere.
    folder
        .join(TOOLS[0].0)
        .canonicalize()
        .map(drop)
        .context("the tools' folder is broken; remove it and run again")
}

/// A machine's own plugin stays.
pub(super) fn has_compose() -> bool {
    command::succeeds(Command::new("docker").args(["compose", "version"]))
}

pub(super) fn install_compose(cache: &Cache) -> Result<()> {
    let built = COMPOSE.path(cache).join(COMPOSE.name);
    let plugins = cache::home()?.join(".docker/cli-plugins");
    fs::create_dir_all(&plugins).with_context(|| format!("cannot create {}", plugins.display()))?;
    let fresh = plugins.join(".docker-compose.new");
    fs::copy(&built, &fresh).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, plugins.join("docker-compose")).context("cannot install the Compose plugin")
}
