//! What a path of the working tree means for an image: it can be synced, the image must be rebuilt, or
//! nothing. Pure, but for reading the files that say it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::copied::Copied;
use super::dockerfile::{Copy, Dockerfile, Stage, Step};
use super::reloader::reloader;
use crate::config::{ImageConfig, Sync, SyncRule};
use crate::error::Result;
use crate::image::Instructions;
use crate::image::dockerignore::Ignore;

/// What a changed path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Sync(Destination),
    /// Why, in words for the user.
    Rebuild(String),
    Ignore(&'static str),
}

/// Where a path goes in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The target folder, an index into [`Rules::roots`].
    pub root: usize,
    /// The way from there.
    pub path: PathBuf,
    /// `user:group`.
    pub owner: Option<String>,
    /// Permission bits that stand for those of the file.
    pub mode: Option<u32>,
    /// The rule of devk.yaml that says so, an index into [`Rules::run`]'s.
    pub rule: Option<usize>,
}

/// What of a build context can mean anything at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    ignore: Ignore,
    /// The Dockerfile and the ignore file, or where one may come, relative to the context, where they are in it.
    recipe: Vec<PathBuf>,
}

/// The rules of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    scope: Scope,
    roots: Vec<String>,
    ways: Ways,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ways {
    /// Nothing is synced.
    None(String),
    Written(Vec<Written>),
    Auto(Auto),
}

/// A rule of devk.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    from: PathBuf,
    root: usize,
    /// What the source is called there, if it is a file.
    name: Option<PathBuf>,
    run: Vec<String>,
    exclude: Ignore,
}

/// What the Dockerfile says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Auto {
    context: PathBuf,
    /// COPY by COPY in their order, those of other stages first; with why files of it need a rebuild.
    copies: Vec<(Copied, Option<String>)>,
    /// How many of `copies` other stages have.
    elsewhere: usize,
    /// Folders and files that a RUN mounts, with its line.
    mounted: Vec<(PathBuf, u32)>,
    /// None: nothing would notice a changed file.
    reloader: Option<&'static str>,
    /// The root of each of `copies`.
    roots: Vec<Option<usize>>,
}

/// How the image is used: what the chart overrides.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// The container's `command` and `args` as rendered; empty where the image's own count.
    pub command: Vec<String>,
    /// The container's environment as rendered.
    pub environment: BTreeMap<String, String>,
}

impl Scope {
    /// Reads the ignore file.
    ///
    /// # Errors
    /// [`crate::error::Code::ImageContext`] if it cannot be read.
    pub fn read(image: &ImageConfig) -> Result<Self> {
        let ignore = crate::image::context::read_ignore(image)?;
        Ok(Self {
            ignore,
            recipe: Instructions::of(image).within,
        })
    }

    /// Whether anything below a folder of the context can mean something.
    pub fn enters(&self, folder: &Path) -> bool {
        let text = folder.to_string_lossy();
        !is_git(folder)
            && (!self.ignore.ignores(&text)
                || self.ignore.may_except_below(&text)
                || self.recipe.iter().any(|file| file.starts_with(folder)))
    }
}

impl Rules {
    /// Reads the rules of an image, with its build arguments resolved.
    ///
    /// # Errors
    /// [`crate::error::Code::ImageContext`] if the Dockerfile or the ignore file cannot be read.
    pub fn read(
        image: &ImageConfig,
        args: &BTreeMap<String, String>,
        usage: &Usage,
    ) -> Result<Self> {
        let (ways, roots) = match &image.sync {
            Sync::Rules(rules) => written(rules, &image.context)?,
            Sync::Auto => auto(image, args, usage)?,
        };
        Ok(Self {
            scope: Scope::read(image)?,
            roots,
            ways,
        })
    }

    /// The target folders in the container, absolute.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// What a rule of devk.yaml runs after a sync; empty for nothing.
    pub fn run(&self, rule: usize) -> &[String] {
        match &self.ways {
            Ways::Written(rules) => rules.get(rule).map_or(&[], |rule| &rule.run),
            _ => &[],
        }
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What a path means, relative to the context.
    pub fn verdict(&self, path: &Path) -> Verdict {
        if self.scope.recipe.iter().any(|file| file == path) {
            return Verdict::Rebuild(format!("`{}` says how the image is built", path.display()));
        }
        if is_git(path) {
            return Verdict::Ignore("git's own");
        }
        if self.scope.ignore.ignores(&path.to_string_lossy()) {
            return Verdict::Ignore("named in .dockerignore");
        }
        if is_temporary(path) {
            return Verdict::Ignore("an editor's temporary file");
        }
        match &self.ways {
            Ways::None(why) => Verdict::Rebuild(why.clone()),
            Ways::Written(rules) => by_rules(rules, path),
            Ways::Auto(auto) => auto.verdict(path, self),
        }
    }
}

/// The first rule that takes a path decides.
fn by_rules(rules: &[Written], path: &Path) -> Verdict {
    for (number, rule) in rules.iter().enumerate() {
        let Ok(below) = path.strip_prefix(&rule.from) else {
            continue;
        };
        if rule.exclude.ignores(&below.to_string_lossy()) {
            return Verdict::Ignore("excluded by its sync rule");
        }
        let path = if below.as_os_str().is_empty() {
            rule.name.clone().unwrap_or_default()
        } else {
            below.to_owned()
        };
        let to = Destination {
            root: rule.root,
            path,
            owner: None,
            mode: None,
            rule: Some(number),
        };
        return Verdict::Sync(to);
    }
    Verdict::Rebuild(format!("no sync rule takes `{}`", path.display()))
}

fn written(rules: &[SyncRule], context: &Path) -> Result<(Ways, Vec<String>)> {
    let mut roots = Vec::new();
    let mut read = Vec::new();
    for rule in rules {
        let exclude = Ignore::parse(&rule.exclude.join("\n"), &rule.origin.file)?;
        let to = Path::new(&rule.to);
        let is_file = context.join(&rule.from).is_file();
        let (folder, name) = match (to.parent(), to.file_name()) {
            (Some(folder), Some(name)) if is_file => (folder, Some(name.into())),
            _ => (to, None),
        };
        let root = number(&mut roots, &folder.to_string_lossy());
        read.push(Written {
            from: rule.from.clone(),
            root,
            name,
            run: rule.run.clone(),
            exclude,
        });
    }
    Ok((Ways::Written(read), roots))
}

fn number(roots: &mut Vec<String>, root: &str) -> usize {
    roots
        .iter()
        .position(|known| known == root)
        .unwrap_or_else(|| {
            roots.push(root.to_owned());
            roots.len() - 1
        })
}

fn auto(
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
    let context = image.context.clone();
    let reloader = found_reloader(image, stage, usage);
    let mut auto = Auto {
        context,
        copies: vec![],
        elsewhere: 0,
        mounted: vec![],
        reloader,
        roots: vec![],
    };
    for behind in file.behind(stage) {
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
    fn behind(&mut self, steps: &[Step], context: &Path) -> Result<()> {
        for step in steps {
            match step {
                Step::Copy(copy) => {
                    let why = format!(
                        "another stage of the Dockerfile builds with it (line {})",
                        copy.line
                    );
                    self.copies.push((Copied::new(copy, context)?, Some(why)));
                }
                Step::Run { mounts, line, .. } => self.mount(mounts, *line),
            }
        }
        Ok(())
    }

    fn mount(&mut self, mounts: &[String], line: u32) {
        self.mounted
            .extend(mounts.iter().map(|mount| (PathBuf::from(mount), line)));
    }

    /// A RUN consumes whatever was copied before it, unless it is known to read no content.
    fn steps(&mut self, steps: &[Step], context: &Path) -> Result<()> {
        let first = self.copies.len();
        for step in steps {
            match step {
                Step::Copy(copy) => self
                    .copies
                    .push((Copied::new(copy, context)?, reads_archive(copy))),
                Step::Run { text, line, mounts } => {
                    self.mount(mounts, *line);
                    if !is_harmless(text) {
                        let why =
                            format!("the RUN in line {line} of the Dockerfile may build with it");
                        for (_, consumed) in &mut self.copies[first..] {
                            consumed.get_or_insert_with(|| why.clone());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, path: &Path, rules: &Rules) -> Verdict {
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
            Ok(None) => Verdict::Ignore("no COPY takes it"),
            Ok(Some(to)) if self.reloader.is_some() => Verdict::Sync(to),
            Ok(Some(_)) => Verdict::Rebuild(
                "no known reloader runs in the container; name what follows with `run:`".to_owned(),
            ),
        }
    }

    /// Where a path goes, None if no COPY takes it; or why only a build can put it there. The last COPY to a place
    /// says whose the file is.
    fn destination(&self, path: &Path, rules: &Rules) -> Result<Option<Destination>, String> {
        let mut last: Option<(PathBuf, Destination)> = None;
        for ((copied, consumed), root) in self.copies.iter().zip(&self.roots) {
            for below in copied.takes(path) {
                if let Some(why) = consumed {
                    return Err(why.clone());
                }
                let root = root.ok_or_else(|| copied.unknown().to_owned())?;
                let below = below.map_err(str::to_owned)?;
                let place =
                    Path::new(rules.roots.get(root).map_or("", String::as_str)).join(&below);
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

/// Commands that make users, packages and folders, and look at no file's content.
const HARMLESS: [&str; 14] = [
    "chown", "chmod", "chgrp", "mkdir", "useradd", "adduser", "groupadd", "addgroup", "usermod",
    "set", "true", "apk", "apt-get", "apt",
];

fn is_harmless(run: &str) -> bool {
    let commands = run
        .split(['\n', ';', '|', '&'])
        .map(str::trim)
        .filter(|command| !command.is_empty());
    let is_known = |command: &str| {
        command
            .split_whitespace()
            .next()
            .is_some_and(|word| HARMLESS.contains(&word))
    };
    !run.contains(['`', '<', '>']) && !run.contains("$(") && commands.into_iter().all(is_known)
}

fn is_git(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == ".git")
}

/// What vim, emacs, gedit and the JetBrains editors write beside a file while they save it.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let Some(name) = path.file_name().map(std::ffi::OsStr::to_string_lossy) else {
        return false;
    };
    let is_swap = name.starts_with('.')
        && name
            .rsplit('.')
            .next()
            .is_some_and(|end| matches!(end, "swp" | "swo" | "swx"));
    is_swap
        || name == "4913"
        || name.ends_with('~')
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || name.starts_with(".goutputstream-")
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___")
}

#[cfg(test)]
mod tests;
