//! What a path of the working tree means for an image: it can be synced, the image must be rebuilt, or
//! nothing. Pure, but for reading the files that say it.

mod auto;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::{ImageConfig, Sync, SyncRule};
use crate::error::Result;
use crate::image::Instructions;
use crate::image::dockerignore::Ignore;
use auto::{Auto, auto};

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
    /// The COPY of the Dockerfile that says so, by its number; None for a rule of devk.yaml.
    pub copy: Option<usize>,
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

    /// Nothing is synced, for the reason that is given: every change is built.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn none(image: &ImageConfig, why: &str) -> Result<Self> {
        Ok(Self {
            scope: Scope::read(image)?,
            roots: vec![],
            ways: Ways::None(why.to_owned()),
        })
    }

    /// The target folders in the container, absolute.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// The absolute path in the container of what goes below a target folder.
    pub fn place(&self, root: usize, below: &Path) -> PathBuf {
        Path::new(self.roots.get(root).map_or("", String::as_str)).join(below)
    }

    /// What a rule of devk.yaml runs after a sync; empty for nothing.
    pub fn run(&self, rule: usize) -> &[String] {
        match &self.ways {
            Ways::Written(rules) => rules.get(rule).map_or(&[], |rule| &rule.run),
            _ => &[],
        }
    }

    /// Whether the command of the image, or of the chart, is known to notice changed files: for as long as no container
    /// runs that could tell.
    pub(super) fn expects_reloader(&self) -> bool {
        matches!(&self.ways, Ways::Auto(auto) if auto.reloader.is_some())
    }

    /// Why saves are builds as far as no container has shown anything else, in words for the user. None if rules or a
    /// known reloader bring them into containers.
    pub fn builds(&self) -> Option<String> {
        match &self.ways {
            Ways::None(why) => Some(format!("saves are builds: {why}")),
            Ways::Auto(auto) if auto.reloader.is_none() => Some(
                "saves are builds: the command starts no known reloader; `sync:` rules with `run:` in devk.yaml avoid it"
                    .to_owned(),
            ),
            Ways::Auto(_) | Ways::Written(_) => None,
        }
    }

    /// Whether they are read off the Dockerfile, and so have to be checked against the image.
    pub fn are_read(&self) -> bool {
        matches!(self.ways, Ways::Auto(_))
    }

    /// The images that the image is built on, as the Dockerfile names them.
    pub fn bases(&self) -> BTreeSet<String> {
        match &self.ways {
            Ways::Auto(auto) => auto.bases.clone(),
            Ways::None(_) | Ways::Written(_) => BTreeSet::new(),
        }
    }

    /// Whether a build fails without this path.
    pub(super) fn names(&self, path: &Path) -> bool {
        match &self.ways {
            Ways::Auto(auto) => auto.copies.iter().any(|(copied, _)| copied.names(path)),
            Ways::None(_) | Ways::Written(_) => false,
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
            copy: None,
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
