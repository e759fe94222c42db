//! The pipeline that the files go through, in Compose's order: for each document variables, `extends`, `!reset`,
//! `include`; then the merge over the documents read before, the checks and the long form.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::options::ComposeVariables;
use super::resolve::{self, RelativePaths};
use super::yaml::{self, Document, YamlData, YamlNode};
use super::{canonical, checks, extends, include, interpolate, merge, reset, schema, unique};
use crate::error::{Code, Error, Errors, Result};
use crate::go_path;
use crate::place::Place;

/// More files than this, counted each time one is read, are refused: `include` and `extends` can name the
/// same ones over and over.
const MAX_FILES: usize = 10_000;

/// More values than this in what is kept, copies by `extends` included, are refused. It bounds the memory.
const MAX_VALUES: usize = 400_000;

/// More values than this to look at, all files and documents together, are refused. It bounds the time.
const MAX_VISITED_VALUES: usize = 3_000_000;

/// Reads files, and remembers them.
#[derive(Debug)]
pub(super) struct Reader {
    /// Where paths that are relative to nothing else start.
    cwd: String,
    home: Option<String>,
    /// The files that were read; absolute.
    pub(super) files: BTreeSet<PathBuf>,
    /// Unknown keys, where they are no errors.
    pub(super) passed_over: Option<Vec<Error>>,
    /// Required variables that are not set, where they are no errors.
    pub(super) unset: Option<Vec<Error>>,
    count: usize,
    values: usize,
    work: usize,
}

/// Files that are read as one: the project's, or what one `include` names.
#[derive(Debug, Clone)]
pub(super) struct FileSet<'a> {
    pub(super) files: &'a [String],
    /// The folder that paths in them are relative to. Compose makes it relative itself where it can.
    pub(super) dir: &'a str,
    /// The folder in which files that they include or extend are found.
    pub(super) root: &'a str,
    pub(super) environment: &'a ComposeVariables,
    /// What names the files; None: the options do.
    pub(super) from: Option<&'a Place>,
    /// The files on the way here, for cycles of `include`.
    pub(super) including: &'a [String],
}

impl Reader {
    pub(super) fn new(cwd: &str, environment: &ComposeVariables) -> Self {
        let home = environment
            .get("HOME")
            .filter(|home| !home.is_empty())
            .cloned();
        Self {
            cwd: cwd.to_owned(),
            home,
            files: BTreeSet::new(),
            passed_over: None,
            unset: None,
            count: 0,
            values: 0,
            work: 0,
        }
    }

    /// Where a path of Compose's stands on this machine.
    pub(super) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            go_path::clean(path)
        } else {
            go_path::join(&self.cwd, path)
        }
    }

    pub(super) fn paths<'a>(&'a self, dir: &'a str) -> RelativePaths<'a> {
        RelativePaths {
            dir,
            home: self.home.as_deref(),
        }
    }

    /// Reads a file's documents; `from` is the place that names it.
    ///
    /// # Errors
    /// A file that cannot be read, broken YAML.
    pub(super) fn documents(&mut self, file: &str, from: Option<&Place>) -> Result<Vec<Document>> {
        let path = PathBuf::from(self.absolute(file));
        let blame = |what: String| {
            let error = Error::new(
                Code::ComposeFile,
                format!("`{}` cannot be read: {what}", path.display()),
            );
            match from {
                Some(place) => error.at(&place.file, place.line),
                None => error.at(&path, None),
            }
        };
        let text = std::fs::read(&path).map_err(|e| blame(e.to_string()))?;
        self.count += 1;
        if self.count > MAX_FILES {
            return Err(blame("the project names too many files".to_owned()));
        }
        let documents = yaml::parse(&text, &path)?;
        self.files.insert(path);
        documents
            .iter()
            .try_for_each(|document| self.look_at(&document.root))?;
        Ok(documents)
    }

    /// Counts values that are about to be looked at.
    fn look_at(&mut self, node: &YamlNode) -> Result<()> {
        self.work += node.size();
        if self.work > MAX_VISITED_VALUES {
            Err(too_much(node, MAX_VISITED_VALUES))
        } else {
            Ok(())
        }
    }

    /// Counts the values of the result.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn count_kept(&mut self, node: &YamlNode) -> Result<()> {
        self.values += node.size();
        if self.values > MAX_VALUES {
            Err(too_much(node, MAX_VALUES))
        } else {
            Ok(())
        }
    }

    /// Reads a batch into one tree, every path in it relative to what the batch's folder is relative to.
    ///
    /// # Errors
    /// The first thing that Compose refuses; all problems of the shape.
    pub(super) fn batch(&mut self, batch: &FileSet<'_>) -> Result<YamlNode, Errors> {
        let mut root = None;
        for file in batch.files {
            let documents = self.documents(file, batch.from)?;
            root = self.file(documents, file, root, batch)?;
        }
        self.whole(root, batch)
    }

    /// The same for the project's own files, whose documents are there already: its name had to be found in them.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub(super) fn project(
        &mut self,
        files: Vec<Vec<Document>>,
        batch: &FileSet<'_>,
    ) -> Result<YamlNode, Errors> {
        let mut root = None;
        for (documents, file) in files.into_iter().zip(batch.files) {
            root = self.file(documents, file, root, batch)?;
        }
        self.whole(root, batch)
    }

    /// The documents of one file over what was read before.
    fn file(
        &mut self,
        documents: Vec<Document>,
        file: &str,
        mut root: Option<YamlNode>,
        batch: &FileSet<'_>,
    ) -> Result<Option<YamlNode>, Errors> {
        for document in documents {
            root = Some(self.document(document, file, root, batch)?);
        }
        Ok(root)
    }

    fn whole(&self, root: Option<YamlNode>, batch: &FileSet<'_>) -> Result<YamlNode, Errors> {
        let file = batch.files.first().map_or("", String::as_str);
        let mut root = root.unwrap_or_else(|| nothing(file));
        checks::parts(&mut root)?;
        self.paths(batch.dir).resolve(&mut root)?;
        resolve::variables(&mut root, batch.environment);
        Ok(root)
    }

    fn document(
        &mut self,
        document: Document,
        file: &str,
        base: Option<YamlNode>,
        batch: &FileSet<'_>,
    ) -> Result<YamlNode, Errors> {
        let Document { mut root, resets } = document;
        mapping(&root)?;
        self.count_kept(&root)?;
        let lookup = |name: &str| batch.environment.get(name).cloned();
        interpolate::document(&mut root, &lookup, self.unset.as_mut())?;
        extends::apply(self, &mut root, file, &resets, batch)?;
        let mut base =
            base.unwrap_or_else(|| YamlNode::new(&root.place, YamlData::Map(Vec::new())));
        reset::apply(&mut base, &resets);
        include::apply(self, &mut root, file, batch)?;
        merge::files(&mut base, root)?;
        self.look_at(&base)?;
        unique::enforce(&mut base)?;
        let problems = match self.passed_over.as_mut() {
            Some(passed_over) => {
                let (unknown, others) = schema::check(&base).unknown_and_others();
                passed_over.extend(unknown);
                others
            }
            None => schema::check(&base).all(),
        };
        Errors::unless_empty(problems, ())?;
        base.remove("version");
        long(&mut base)?;
        Ok(base)
    }

    /// Reads a file whose services are extended: neither its own `extends` nor its `include` are
    /// followed, and it is not checked.
    ///
    /// # Errors
    /// What Compose refuses nevertheless.
    pub(super) fn extended(
        &mut self,
        file: &str,
        from: &Place,
        environment: &ComposeVariables,
    ) -> Result<(YamlNode, Vec<yaml::Reset>)> {
        let mut base: Option<YamlNode> = None;
        let mut last = Vec::new();
        for Document { mut root, resets } in self.documents(file, Some(from))? {
            mapping(&root)?;
            let lookup = |name: &str| environment.get(name).cloned();
            interpolate::document(&mut root, &lookup, self.unset.as_mut())?;
            let mut tree = base
                .take()
                .unwrap_or_else(|| YamlNode::new(&root.place, YamlData::Map(Vec::new())));
            reset::apply(&mut tree, &resets);
            merge::files(&mut tree, root)?;
            self.look_at(&tree)?;
            unique::enforce(&mut tree)?;
            long(&mut tree)?;
            (base, last) = (Some(tree), resets);
        }
        Ok((base.unwrap_or_else(|| nothing(file)), last))
    }
}

/// Refuses what Compose would fetch from elsewhere: a git repository, an OCI artifact.
///
/// # Errors
/// A path that is none.
pub(super) fn local(path: &str, from: &Place) -> Result<()> {
    let git = ["http://", "https://"]
        .iter()
        .any(|scheme| path.starts_with(scheme))
        && path.contains(".git");
    let remote = ["oci://", "git://", "ssh://", "git@", "github.com/"]
        .iter()
        .any(|scheme| path.starts_with(scheme));
    if !git && !remote {
        return Ok(());
    }
    Err(from
        .error(
            Code::ComposeFile,
            format!("`{path}` is not on this machine, and devk does not fetch it"),
        )
        .hint("fetch it, and name the local copy"))
}

fn too_much(node: &YamlNode, most: usize) -> Error {
    let message = format!("the Compose files come to more than {most} values, copies included");
    node.place
        .error(Code::ComposeFile, message)
        .hint("split the project, or remove what is repeated")
}

/// What a file without documents holds.
fn nothing(file: &str) -> YamlNode {
    let place = Place {
        file: Path::new(file).into(),
        line: 1,
    };
    YamlNode::new(&place, YamlData::Map(Vec::new()))
}

/// Ranges can turn out to be the same ports only once they are expanded.
fn long(root: &mut YamlNode) -> Result<()> {
    canonical::form(root)?;
    unique::enforce(root)
}

fn mapping(root: &YamlNode) -> Result<()> {
    if root.is_map() {
        return Ok(());
    }
    let message = format!("a Compose file is a mapping, not {}", root.kind());
    Err(root.place.error(Code::ComposeValue, message))
}
