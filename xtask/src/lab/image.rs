//! Docker images, each built once, kept as a tar in the cache and loaded again where Docker lost it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::cache::{Cache, Key};
use super::progress::Progress;
use crate::command;

/// Carries the key of an image's inputs, which tells in one question whether Docker's image is the one meant.
pub(super) const LABEL: &str = "devk.lab";

/// A file of a build context.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Executable(&'a str),
    /// A file or a folder.
    Path(PathBuf),
}

#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) tags: Vec<String>,
    pub(super) key: Key,
    pub(super) dockerfile: String,
    pub(super) args: Vec<(&'a str, String)>,
    pub(super) files: Vec<(&'a str, Content<'a>)>,
}

/// The images that Docker has: tag to key.
#[derive(Debug)]
pub(super) struct Store<'a> {
    cache: &'a Cache,
    progress: &'a Progress,
    present: Mutex<BTreeMap<String, String>>,
}

impl<'a> Store<'a> {
    pub(super) fn open(cache: &'a Cache, progress: &'a Progress) -> Result<Self> {
        let filter = format!("label={LABEL}");
        let ids = command::output(
            Command::new("docker").args(["image", "ls", "--quiet", "--filter", &filter]),
        )?;
        let mut present = BTreeMap::new();
        if !ids.trim().is_empty() {
            let format =
                format!("{{{{index .Config.Labels \"{LABEL}\"}}}} {{{{join .RepoTags \" \"}}}}");
            let mut inspect = Command::new("docker");
            inspect
                .args(["image", "inspect", "--format", &format])
                .args(ids.split_whitespace());
            present = parse_present(&command::output(&mut inspect)?);
        }
        Ok(Self {
            cache,
            progress,
            present: Mutex::new(present),
        })
    }

    fn has(&self, tags: &[String], key: &Key) -> bool {
        let Ok(present) = self.present.lock() else {
            return false;
        };
        tags.iter()
            .all(|tag| present.get(tag).is_some_and(|found| found == key.as_str()))
    }

    /// Builds or loads the image unless Docker has it under all its tags.
    pub(super) fn ensure(&self, image: &Image) -> Result<()> {
        self.ensure_made_by(&image.tags, &image.key, |context| build(image, context))
    }

    /// The same for an image that `make` leaves in Docker under `tags`, with the label; `make` gets an empty folder.
    pub(super) fn ensure_made_by(
        &self,
        tags: &[String],
        key: &Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        if self.has(tags, key) {
            return Ok(());
        }
        let mut made = false;
        let folder = self
            .cache
            .get(&artefact(&tags[0]), key, self.progress, |folder| {
                let context = folder.join("context");
                fs::create_dir(&context).context("cannot create the build context")?;
                make(&context)?;
                fs::remove_dir_all(&context).context("cannot remove the build context")?;
                made = true;
                command::run(
                    Command::new("docker")
                        .args(["save", "--output"])
                        .arg(folder.join("image.tar"))
                        .args(tags),
                )
            })?;
        if !made {
            self.progress.step(&format!("load {}", tags[0]), || {
                command::run(
                    Command::new("docker")
                        .args(["load", "--input"])
                        .arg(folder.join("image.tar")),
                )
            })?;
        }
        Ok(())
    }
}

/// `registry.k8s.io/pause:3` as a folder's name.
fn artefact(tag: &str) -> String {
    format!("image-{}", tag.replace(['/', ':'], "_"))
}

fn parse_present(lines: &str) -> BTreeMap<String, String> {
    let mut present = BTreeMap::new();
    for line in lines.lines() {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        present.extend(words.map(|tag| (tag.to_owned(), key.to_owned())));
    }
    present
}

pub(super) fn build(image: &Image, context: &Path) -> Result<()> {
    fs::write(context.join("Dockerfile"), &image.dockerfile)
        .context("cannot write the Dockerfile")?;
    for (name, content) in &image.files {
        place(content, &context.join(name))?;
    }
    // The classic builder: BuildKit's client is a plugin that Debian's docker.io does not bring.
    let mut docker = Command::new("docker");
    docker
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--label"]);
    docker.arg(format!("{LABEL}={}", image.key.as_str()));
    for tag in &image.tags {
        docker.args(["--tag", tag]);
    }
    for (name, value) in &image.args {
        docker.arg("--build-arg").arg(format!("{name}={value}"));
    }
    command::run(docker.arg(context))
}

fn place(content: &Content, target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    match content {
        Content::Text(text) => {
            fs::write(target, text).with_context(|| format!("cannot write {}", target.display()))
        }
        Content::Executable(text) => {
            fs::write(target, text)
                .with_context(|| format!("cannot write {}", target.display()))?;
            command::run(Command::new("chmod").arg("755").arg(target))
        }
        Content::Path(source) => {
            command::run(Command::new("cp").args(["-rL"]).arg(source).arg(target))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_of_an_image_has_its_key() {
        let present = parse_present("abc redis:7 redis:latest\n\ndef busybox:1\nghi\n");
        assert_eq!(present["redis:latest"], "abc");
        assert_eq!(present["busybox:1"], "def");
        assert_eq!(present.len(), 3);
    }

    #[test]
    fn a_tag_becomes_one_folder() {
        assert_eq!(
            artefact("registry.k8s.io/pause:3"),
            "image-registry.k8s.io_pause_3"
        );
    }
}
