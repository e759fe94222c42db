//! Which paths a COPY takes, and where it puts them.

use std::path::{Path, PathBuf};

use super::archive::is_archive;
use super::dockerfile::Copy;
use super::links::{matches, resolve};
use crate::error::Result;
use crate::image::dockerignore::Ignore;

/// A COPY, made ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    copy: Copy,
    sources: Vec<CopySource>,
    exclude: Ignore,
    context: PathBuf,
    /// The symbolic links that it goes through, and what those lead to that a wildcard names.
    linked: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CopySource {
    /// Without symbolic links, but for a path with wildcards.
    path: PathBuf,
    /// What it is called in the target, if it is a file.
    name: Option<PathBuf>,
    /// For a path with wildcards.
    pattern: Option<Ignore>,
    is_folder: bool,
}

const UNKNOWN: &str =
    "whether its COPY means a file or a folder is not plain; end the target with a `/`";
/// docker's documentation says that it leaves such a file out, and BuildKit copied it (moby/buildkit#5489).
const UNKNOWN_EXCLUDE: &str =
    "whether `--exclude` of its COPY means a file that is named is not plain";

const UNPACKED: &str = "the ADD of the Dockerfile unpacks it";

const LINK: &str = "its COPY goes through a symbolic link";

/// The way of a path from the target folder, or why it cannot be told.
pub(super) type PathInTarget = Result<PathBuf, &'static str>;

impl Copied {
    /// Looks into the context which sources are folders.
    ///
    /// # Errors
    /// [`crate::error::Code::ImageContext`] for a malformed pattern.
    pub(super) fn new(copy: &Copy, context: &Path) -> Result<Self> {
        let file = Path::new("Dockerfile");
        let mut linked = Vec::new();
        let mut sources = Vec::new();
        for source in &copy.sources {
            let wild = source.contains(['*', '?', '[']);
            let pattern = wild.then(|| Ignore::parse(source, file)).transpose()?;
            let written = Path::new(source);
            let path = if wild {
                for found in matches(context, written)? {
                    let (_, links) = resolve(context, &found);
                    linked.extend(links.iter().map(|link| resolve(context, link).0));
                    linked.extend(links);
                }
                written.to_owned()
            } else {
                let (path, links) = resolve(context, written);
                linked.extend(links);
                path
            };
            sources.push(CopySource {
                is_folder: !wild && context.join(&path).is_dir(),
                path,
                name: written.file_name().map(PathBuf::from),
                pattern,
            });
        }
        Ok(Self {
            copy: copy.clone(),
            sources,
            exclude: Ignore::parse(&copy.exclude.join("\n"), file)?,
            context: context.to_owned(),
            linked,
        })
    }

    /// The ways of a path from [`Copied::root`], one for each source of this COPY that takes it: Docker writes it to
    /// all of them.
    pub(super) fn takes(&self, path: &Path) -> Vec<PathInTarget> {
        if self.goes_through(path) {
            return vec![Err(LINK)];
        }
        let taking = self
            .sources
            .iter()
            .filter_map(|source| Some((source, source.below(path)?)));
        taking
            .filter_map(|(source, below)| self.unless_excluded(source, path, below))
            .collect()
    }

    /// A link that is a source itself, or on the way to one, is followed; what it says does not get into the image.
    fn goes_through(&self, path: &Path) -> bool {
        let on_the_way = |source: &CopySource| {
            source.path.starts_with(path) || source.below(path) == Some(PathBuf::new())
        };
        self.linked.iter().any(|link| path.starts_with(link))
            || (self.sources.iter().any(on_the_way) && self.context.join(path).is_symlink())
    }

    /// What is excluded is told by its way from the source, and a source that is a file has none. `--parents` copies
    /// out of the context as a whole.
    fn unless_excluded(
        &self,
        source: &CopySource,
        path: &Path,
        below: PathBuf,
    ) -> Option<PathInTarget> {
        let excludes = |path: &Path| self.exclude.ignores(&path.to_string_lossy());
        if self.copy.parents {
            return (!excludes(path)).then(|| self.place(source, path, below));
        }
        if below.as_os_str().is_empty() && excludes(path.file_name().map_or(path, Path::new)) {
            return Some(Err(UNKNOWN_EXCLUDE));
        }
        (!excludes(&below)).then(|| self.place(source, path, below))
    }

    /// What is in a folder goes into the target; a file goes into it under its own name, or becomes it.
    fn place(&self, source: &CopySource, path: &Path, below: PathBuf) -> PathInTarget {
        let in_folder = !below.as_os_str().is_empty();
        if !in_folder && self.copy.unpacks && is_archive(&self.context.join(path)) {
            return Err(UNPACKED);
        }
        let into_folder = self.copy.into_folder;
        match &source.pattern {
            _ if self.copy.parents && !self.linked.is_empty() => Err(LINK),
            _ if self.copy.parents => Ok(path.to_owned()),
            Some(_) if !into_folder => Err(UNKNOWN),
            Some(_) if in_folder => Ok(below),
            None if in_folder && source.is_folder => Ok(below),
            None if in_folder || source.is_folder => Err(UNKNOWN),
            None if !into_folder => self
                .to()
                .and_then(Path::file_name)
                .map(PathBuf::from)
                .ok_or(UNKNOWN),
            Some(_) => path.file_name().map(PathBuf::from).ok_or(UNKNOWN),
            None => source.name.clone().ok_or(UNKNOWN),
        }
    }

    /// The paths of the context that it would put at a place, whether they are there or not. Those that are in a
    /// folder which matches a wildcard are not among them.
    pub(super) fn sources_of(&self, place: &Path) -> Vec<PathBuf> {
        let Some((root, below)) = self
            .root()
            .zip(self.to().and_then(|to| place.strip_prefix(to).ok()))
        else {
            return vec![];
        };
        let path = |source: &CopySource| match &source.pattern {
            _ if self.copy.parents => Some(below.to_owned()),
            Some(_) => Some(source.path.parent()?.join(below)),
            None if source.is_folder => Some(source.path.join(below)),
            None => Some(source.path.clone()),
        };
        let is_there = |way: &PathInTarget| {
            way.as_ref()
                .is_ok_and(|way| Path::new(&root).join(way) == place)
        };
        self.sources
            .iter()
            .filter_map(path)
            .filter(|path| self.takes(path).iter().any(is_there))
            .collect()
    }

    fn to(&self) -> Option<&Path> {
        self.copy.to.as_ref().ok().map(Path::new)
    }

    /// Whether a build fails without this path: the COPY names it, and not only by a wildcard.
    pub(super) fn names(&self, path: &Path) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.pattern.is_none() && source.path == path)
    }

    /// Whether something that it copies may be at a path or below it; true if its target is not known.
    pub(super) fn may_be_at(&self, path: &Path) -> bool {
        self.to()
            .is_none_or(|to| to.starts_with(path) || path.starts_with(to))
    }

    /// The target folder: of a single file that becomes the target, the folder it is in.
    pub(super) fn root(&self) -> Option<String> {
        let to = self.to()?;
        let is_one_file = |source: &CopySource| source.pattern.is_none() && !source.is_folder;
        let becomes_file =
            !self.copy.into_folder && !self.copy.parents && self.sources.iter().all(is_one_file);
        let root = if becomes_file {
            to.parent().unwrap_or(to)
        } else {
            to
        };
        Some(root.to_string_lossy().into_owned())
    }

    /// Why its target folder is not known.
    pub(super) fn unknown(&self) -> &'static str {
        self.copy.to.as_ref().err().copied().unwrap_or(UNKNOWN)
    }

    pub(super) fn owner(&self) -> Option<String> {
        self.copy.owner.clone()
    }

    pub(super) fn mode(&self) -> Option<u32> {
        self.copy.mode
    }
}

impl CopySource {
    /// The way of a path from this source; empty if it is the source.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let Some(pattern) = &self.pattern else {
            return path.strip_prefix(&self.path).ok().map(Path::to_owned);
        };
        let depth = self.path.components().count();
        let head: PathBuf = path.components().take(depth).collect();
        let matches =
            head.components().count() == depth && pattern.ignores(&head.to_string_lossy());
        matches.then(|| path.components().skip(depth).collect())
    }
}
