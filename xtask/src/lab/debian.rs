//! `debian:*-slim`: debootstrapped suites, one layer each that all other images share.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::slice;

use anyhow::{Context, Result};

use super::apt::{self, Mirror};
use super::cache::Key;
use super::image::{self, Content, Image, LABEL, Store};
use crate::command;

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const MAKE_ROOTFS: &str = include_str!("../../lab/debian/make-rootfs");
const DPKG: &str = include_str!("../../lab/debian/dpkg.cfg");
const APT: &str = include_str!("../../lab/debian/apt.conf");
const DOCKERFILE: &str = include_str!("../../lab/images/debian/Dockerfile");

/// A suite's slim image, to be named in `FROM`, and the key that what is built on it inherits.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) tag: String,
    pub(super) key: Key,
}

impl Base {
    pub(super) fn ensure(store: &Store, suite: &str) -> Result<Self> {
        let rootfs = format!("devk-lab/rootfs:{suite}");
        let rootfs_key = Key::of([suite, MAKE_ROOTFS, DPKG, APT, std::env::consts::ARCH]);
        store.ensure_made_by(slice::from_ref(&rootfs), &rootfs_key, |folder| {
            make_rootfs(suite, folder, &rootfs, &rootfs_key)
        })?;
        let certificates = host_certificates()?;
        let base = Self {
            tag: format!("debian:{suite}-slim"),
            key: Key::of([rootfs_key.as_str(), DOCKERFILE, &certificates]),
        };
        let tags = slice::from_ref(&base.tag);
        store.ensure_made_by(tags, &base.key, |context| {
            base.build(suite, rootfs.clone(), &certificates, context)
        })?;
        Ok(base)
    }

    fn build(&self, suite: &str, rootfs: String, certificates: &str, context: &Path) -> Result<()> {
        let sources = Mirror::of_this_machine()?.sources(suite);
        let pip = pip_config();
        let npm = npm_config()?;
        let image = Image {
            tags: vec![self.tag.clone()],
            key: self.key.clone(),
            dockerfile: DOCKERFILE.into(),
            args: vec![("ROOTFS", rootfs)],
            files: vec![
                ("ca.crt", Content::Text(certificates)),
                ("sources.list", Content::Text(&sources)),
                ("pip.conf", Content::Text(&pip)),
                ("npmrc", Content::Text(&npm)),
            ],
        };
        image::build(&image, context)
    }
}

fn make_rootfs(suite: &str, folder: &Path, tag: &str, key: &Key) -> Result<()> {
    let mirror = Mirror::of_this_machine()?.main;
    let label = format!("{LABEL}={}", key.as_str());
    let mut make = command::as_root("bash");
    make.args(["-euo", "pipefail", "-c", MAKE_ROOTFS, "lab", suite, &mirror])
        .arg(folder);
    command::run(make.args([tag, &label, DPKG, APT]))
}

/// What this machine trusts, its images trust: packages may reach it through a proxy with a certificate of its own.
fn host_certificates() -> Result<String> {
    if !fs::exists(CERTIFICATES).unwrap_or(false) {
        apt::install(&["ca-certificates"])?;
    }
    fs::read_to_string(CERTIFICATES).with_context(|| format!("cannot read {CERTIFICATES}"))
}

/// The machine's own choice of a package index, if it made one.
fn pip_config() -> String {
    let index = std::env::var("PIP_INDEX_URL").unwrap_or_default();
    if index.is_empty() {
        String::new()
    } else {
        format!("[global]\nindex-url = {index}\n")
    }
}

fn npm_config() -> Result<String> {
    let registry = command::output(Command::new("npm").args(["config", "get", "registry"]))?;
    Ok(format!(
        "registry={}\nupdate-notifier=false\nfund=false\n",
        registry.trim()
    ))
}
