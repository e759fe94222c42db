//! Rules that the Dockerfile says: what its last stage copies, and whether the program in it reloads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Destination, Rules, Usage, Verdict, Ways, number};
use crate::config::ImageConfig;
use crate::error::Result;
use crate::image::dockerignore::Ignore;
use crate::sync::copied::Copied;
use crate::sync::dockerfile::{Copy, CopyStep, Dockerfile, Stage, Unset};
use crate::sync::links::resolve;
use crate::sync::reloader::reloader;

/// What the Dockerfile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Auto {
    pub(super) context: PathBuf,
    /// COPY by COPY in their order, those of other stages first; with why files of it need a rebuild.
    pub(super) copies: Vec<(Copied, Option<String>)>,
    /// How many of `copies` other stages have.
    pub(super) elsewhere: usize,
    /// Folders and files that a RUN mounts, with its line.
    pub(super) mounted: Vec<(PathBuf, u32)>,
    /// What the command starts that is known to notice changed files.
    pub(super) reloader: Option<&'static str>,
    /// The root of each of `copies`.
    pub(super) roots: Vec<Option<usize>>,
    /// The images that its stages begin with.
    pub(super) bases: BTreeSet<String>,
}

pub(super) fn auto(
    image: &ImageConfig,
    args: &BTreeMap<String, String>,
    usage: &Usage,
) -> Result<(Ways, Vec<String>)> {
    let text = crate::image::context::read_dockerfile(image)?;
    let file = Dockerfile::parse(&text, args);
    let Some(stage) = file.stage(image.target.as_deref()) else {
        return Ok((
            Ways::None("the Dockerfile has no such stage".to_owned()),
            vec![],
        ));
    };
    let behind = file.behind(stage);
    let stages = || behind.iter().copied().chain([stage]);
    if let Some(Unset { name, line }) = stages().find_map(|stage| stage.unset.as_ref()) {
        let why =
            format!("line {line} of the Dockerfile uses `${name}`, which is set outside of it");
        return Ok((Ways::None(why), vec![]));
    }
    let bases = stages().map(|stage| stage.base.clone()).collect();
    let context = image.context.clone();
    let reloader = found_reloader(image, stage, usage);
    let mut auto = Auto {
        context,
        copies: vec![],
        elsewhere: 0,
        mounted: vec![],
        reloader,
        roots: vec![],
        bases,
    };
    for behind in &behind {
        auto.behind(&behind.steps, &image.context)?;
    }
    auto.elsewhere = auto.copies.len();
    auto.steps(&stage.steps, &image.context)?;
    let mut roots = Vec::new();
    let root = |(copied, why): &(Copied, Option<String>)| match (why, copied.root()) {
        (None, Some(root)) => Some(number(&mut roots, &root)),
        _ => None,
    };
    auto.roots = auto.copies.iter().map(root).collect();
    Ok((Ways::Auto(auto), roots))
}

fn found_reloader(image: &ImageConfig, stage: &Stage, usage: &Usage) -> Option<&'static str> {
    let command = if usage.command.is_empty() {
        stage.command()
    } else {
        usage.command.clone()
    };
    let scripts = std::fs::read(image.context.join("package.json")).ok();
    let scripts = scripts.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let script = |name: &str| {
        Some(
            scripts
                .as_ref()?
                .get("scripts")?
                .get(name)?
                .as_str()?
                .to_owned(),
        )
    };
    let variable = |name: &str| {
        usage
            .environment
            .get(name)
            .cloned()
            .or_else(|| stage.variable(name).map(str::to_owned))
    };
    reloader(&command, &script, &variable)
}

impl Auto {
    /// What another stage copies or mounts it builds with.
    fn behind(&mut self, steps: &[CopyStep], context: &Path) -> Result<()> {
        for step in steps {
            match step {
                CopyStep::Copy(copy) => {
                    let why = format!(
                        "another stage of the Dockerfile builds with it (line {})",
                        copy.line
                    );
                    self.copies.push((Copied::new(copy, context)?, Some(why)));
                }
                CopyStep::Run { mounts, line, .. } => self.mount(mounts, *line, context),
            }
        }
        Ok(())
    }

    fn mount(&mut self, mounts: &[String], line: u32, context: &Path) {
        for mount in mounts {
            let (path, links) = resolve(context, Path::new(mount));
            let all = links.into_iter().chain([path]);
            self.mounted.extend(all.map(|path| (path, line)));
        }
    }

    /// A RUN consumes whatever was copied before it, unless it is known to read no content.
    fn steps(&mut self, steps: &[CopyStep], context: &Path) -> Result<()> {
        let first = self.copies.len();
        for step in steps {
            match step {
                CopyStep::Copy(copy) => self
                    .copies
                    .push((Copied::new(copy, context)?, reads_archive(copy))),
                CopyStep::Run { text, line, mounts } => {
                    self.mount(mounts, *line, context);
                    let why =
                        || format!("the RUN in line {line} of the Dockerfile may build with it");
                    let is_harmless = is_harmless(text);
                    let makes_homes = makes_homes(text);
                    for (copied, consumed) in &mut self.copies[first..] {
                        if !is_harmless || (makes_homes && copied.may_be_at(Path::new(SKELETON))) {
                            consumed.get_or_insert_with(why);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn verdict(&self, path: &Path, rules: &Rules) -> Verdict {
        if let Some((_, line)) = self
            .mounted
            .iter()
            .find(|(mount, _)| path.starts_with(mount))
        {
            return Verdict::Rebuild(format!(
                "the RUN in line {line} of the Dockerfile mounts it"
            ));
        }
        match self.destination(path, rules) {
            Err(why) => Verdict::Rebuild(why),
            Ok(None) => Verdict::Rebuild(
                "no COPY of the Dockerfile takes it, as far as devk can tell".to_owned(),
            ),
            Ok(Some(to)) => Verdict::Sync(to),
        }
    }

    /// Where a path goes, None if no COPY takes it; or why only a build can put it there. The last COPY to a place
    /// says whose the file is.
    fn destination(&self, path: &Path, rules: &Rules) -> Result<Option<Destination>, String> {
        let mut last: Option<(PathBuf, Destination)> = None;
        for (copy, ((copied, consumed), root)) in self.copies.iter().zip(&self.roots).enumerate() {
            for below in copied.takes(path) {
                if let Some(why) = consumed {
                    return Err(why.clone());
                }
                let root = root.ok_or_else(|| copied.unknown().to_owned())?;
                let below = below.map_err(str::to_owned)?;
                let place = rules.place(root, &below);
                // Docker writes it to both, and a path is synced to one.
                if let Some((other, _)) = last.as_ref().filter(|(other, _)| *other != place) {
                    return Err(in_two_places(other, &place));
                }
                let owner = copied.owner();
                let mode = copied.mode();
                last = Some((
                    place,
                    Destination {
                        root,
                        path: below,
                        owner,
                        mode,
                        rule: None,
                        copy: Some(copy),
                    },
                ));
            }
        }
        let Some((place, to)) = last else {
            return Ok(None);
        };
        match self.other_at(&place, path, &rules.scope.ignore) {
            Some(other) => Err(format!(
                "the Dockerfile copies `{}` to `{}`, too",
                other.display(),
                place.display()
            )),
            None => Ok(Some(to)),
        }
    }

    /// Another file of the context that goes to the same place. Which of them is there is for the build to say.
    fn other_at(&self, place: &Path, path: &Path, ignore: &Ignore) -> Option<PathBuf> {
        let sources = self
            .copies
            .iter()
            .skip(self.elsewhere)
            .flat_map(|(copied, _)| copied.sources_of(place));
        let is_sent = |other: &PathBuf| {
            !ignore.ignores(&other.to_string_lossy()) && self.context.join(other).exists()
        };
        sources.filter(|other| other != path).find(is_sent)
    }
}

fn in_two_places(one: &Path, other: &Path) -> String {
    format!(
        "the Dockerfile copies it to both `{}` and `{}`",
        one.display(),
        other.display()
    )
}

fn reads_archive(copy: &Copy) -> Option<String> {
    let is_archive = |source: &String| {
        [
            ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz",
        ]
        .iter()
        .any(|end| source.ends_with(end))
    };
    (copy.unpacks && copy.sources.iter().any(is_archive))
        .then(|| format!("the ADD in line {} unpacks it", copy.line))
}

/// Commands that make users and folders, and look at no file's content.
const HARMLESS: [&str; 11] = [
    "chown", "chmod", "chgrp", "mkdir", "useradd", "adduser", "groupadd", "addgroup", "usermod",
    "set", "true",
];

/// Programs that fill a user's home from [`SKELETON`].
const HOME_MAKERS: [&str; 2] = ["useradd", "adduser"];

/// What stands here is copied into every home that is made.
const SKELETON: &str = "/etc/skel";

/// The first word of each command.
fn programs(run: &str) -> impl Iterator<Item = &str> {
    run.split(['\n', ';', '|', '&'])
        .filter_map(|command| command.split_whitespace().next())
}

fn makes_homes(run: &str) -> bool {
    programs(run).any(|program| HOME_MAKERS.contains(&program))
}

fn is_harmless(run: &str) -> bool {
    let is_skeleton = |word: &str| word.starts_with("-k") || word.starts_with("--skel");
    let has_skeleton = makes_homes(run) && run.split_whitespace().any(is_skeleton);
    !has_skeleton
        && !run.contains(['`', '<', '>'])
        && !run.contains("$(")
        && programs(run).all(|program| HARMLESS.contains(&program))
}
