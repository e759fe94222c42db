//! One entry of `manifests:`: a file, a folder (its .yaml, .yml and .json files), or a pattern with `*`, `?`, `[…]` and
//! `**`. Hidden files and folders match no wildcard, as in a shell.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::Origin;
use crate::error::{Code, Error, Result};
use crate::place::Place;

/// What a folder stands for: the files that `kubectl apply -f FOLDER` takes.
const EXTENSIONS: &[&str] = &["yaml", "yml", "json"];

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Which files are manifests of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestPattern {
    /// As devk.yaml has it.
    pub text: String,
    pub origin: Origin,
}

impl ManifestPattern {
    pub(super) fn new(text: &str, place: &Place) -> Self {
        Self {
            text: text.to_owned(),
            origin: Origin::from(place),
        }
    }

    /// The files that there are, sorted; one at least.
    ///
    /// # Errors
    /// [`Code::ConfigPath`] at the line of devk.yaml if there is none or a folder cannot be read,
    /// [`Code::ConfigValue`] if the pattern is malformed.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let path = self.path();
        let mut files = match (self.has_wildcard(), path.is_dir()) {
            (false, false) if path.is_file() => vec![path],
            (false, false) => return Err(self.nothing("there is no file or folder")),
            (false, true) => self.files_of(&path)?,
            (true, _) => self.matching()?,
        };
        files.sort();
        match files.is_empty() {
            false => Ok(files),
            true if self.has_wildcard() => Err(self.nothing("no file matches")),
            true => Err(self.nothing("there is no .yaml, .yml or .json file in the folder")),
        }
    }

    /// The folder below which all files of the pattern are: its path up to the first wildcard.
    pub fn base(&self) -> PathBuf {
        let path = self.path();
        if self.has_wildcard() {
            let is_literal = |part: &Component| !is_wild(&part.as_os_str().to_string_lossy());
            // The root of the project may have such a sign in its name.
            let root = self.root().components().count();
            let literal = path.components().enumerate();
            let literal = literal.take_while(|(at, part)| *at < root || is_literal(part));
            return literal.map(|(_, part)| part).collect();
        }
        match path.is_dir() {
            true => path,
            false => path.parent().unwrap_or(&path).to_owned(),
        }
    }

    /// Whether a path would be one of the files, if it were there.
    pub fn matches(&self, path: &Path) -> bool {
        let own = self.path();
        if self.has_wildcard() {
            return self
                .pattern()
                .is_ok_and(|pattern| pattern.matches_path_with(path, OPTIONS));
        }
        path == own || (path.parent() == Some(&own) && is_manifest(path))
    }

    /// Whether files may match in a folder, given relative to [`Self::base`].
    pub fn may_be_below(&self, folder: &Path) -> bool {
        let own = self.path();
        let rest: Vec<_> = own
            .strip_prefix(self.base())
            .into_iter()
            .flat_map(Path::components)
            .collect();
        let is_deep = rest.iter().any(|part| part.as_os_str() == "**");
        let is_hidden = |part: Component| part.as_os_str().to_string_lossy().starts_with('.');
        match is_deep {
            true => !folder.components().any(is_hidden),
            // The last part of the pattern is the name of a file.
            false => folder.components().count() < rest.len(),
        }
    }

    fn root(&self) -> &Path {
        self.origin.file.parent().unwrap_or(Path::new("/"))
    }

    fn path(&self) -> PathBuf {
        // `components` drops the `.` of `./k8s`.
        self.root().join(&self.text).components().collect()
    }

    fn has_wildcard(&self) -> bool {
        is_wild(&self.text)
    }

    /// The pattern from the root of the file system, in which the folder of devk.yaml stands for itself.
    fn pattern(&self) -> Result<Pattern> {
        let text: PathBuf = Path::new(&self.text).components().collect();
        let root = Pattern::escape(&self.root().to_string_lossy());
        let whole = Path::new(&root).join(text);
        Pattern::new(&whole.to_string_lossy()).map_err(|e| {
            self.error(
                Code::ConfigValue,
                format!("`{}` is no pattern: {}", self.text, e.msg),
            )
            .hint("write, for example, `k8s/*.yaml` or `k8s/**/*.yaml`")
        })
    }

    fn matching(&self) -> Result<Vec<PathBuf>> {
        let pattern = self.pattern()?;
        let found = glob::glob_with(pattern.as_str(), OPTIONS);
        let found = found.map_err(|e| self.error(Code::ConfigValue, e.msg.to_owned()))?;
        let paths: Result<Vec<PathBuf>, _> = found.collect();
        let paths = paths
            .map_err(|e| self.error(Code::ConfigPath, format!("cannot read a folder: {e}")))?;
        Ok(paths.into_iter().filter(|path| path.is_file()).collect())
    }

    fn files_of(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let unreadable = |e| {
            self.error(
                Code::ConfigPath,
                format!("cannot read `{}`: {e}", self.text),
            )
        };
        let mut files = vec![];
        for item in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = item.map_err(unreadable)?.path();
            if path.is_file() && is_manifest(&path) {
                files.push(path);
            }
        }
        Ok(files)
    }

    fn nothing(&self, what: &str) -> Error {
        let hint = format!(
            "name files of Kubernetes objects, a folder of them or a pattern such as `k8s/*.yaml`; paths start at `{}`",
            self.root().display()
        );
        self.error(Code::ConfigPath, format!("{what} `{}`", self.text))
            .hint(hint)
    }

    fn error(&self, code: Code, message: String) -> Error {
        Error::new(code, message).at(&self.origin.file, self.origin.line)
    }
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// One of the files that a folder stands for.
fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && extension.is_some_and(|found| EXTENSIONS.contains(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        /// Its name has signs of a pattern.
        fn new(files: &[&str]) -> Self {
            let folder = Self(tempfile::Builder::new().prefix("[a]*").tempdir().unwrap());
            for file in files {
                let path = folder.0.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "").unwrap();
            }
            folder
        }

        fn pattern(&self, text: &str) -> ManifestPattern {
            ManifestPattern {
                text: text.to_owned(),
                origin: Origin {
                    file: self.0.path().join("devk.yaml"),
                    line: 3,
                },
            }
        }

        fn files(&self, text: &str) -> Vec<String> {
            let files = self.pattern(text).files().unwrap();
            let relative = files.iter().map(|file| file.strip_prefix(self.0.path()));
            relative
                .map(|file| file.unwrap().to_string_lossy().into_owned())
                .collect()
        }
    }

    #[test]
    fn files_folders_and_patterns_name_files_in_order() {
        let folder = Folder::new(&[
            "k8s/b.yaml",
            "k8s/a.yml",
            "k8s/c.json",
            "k8s/.hidden.yaml",
            "k8s/README.md",
            "k8s/deep/d.yaml",
        ]);
        assert_eq!(
            folder.files("./k8s"),
            ["k8s/a.yml", "k8s/b.yaml", "k8s/c.json"]
        );
        assert_eq!(folder.files("k8s/*.yaml"), ["k8s/b.yaml"]);
        assert_eq!(
            folder.files("k8s/**/*.yaml"),
            ["k8s/b.yaml", "k8s/deep/d.yaml"]
        );
        assert_eq!(folder.files("k8s/README.md"), ["k8s/README.md"]);
    }

    #[test]
    fn a_pattern_without_a_file_is_told_at_its_line() {
        let folder = Folder::new(&["k8s/README.md"]);
        for text in ["k8s", "k8s/*.yaml", "nowhere", "nowhere/**"] {
            let error = folder.pattern(text).files().unwrap_err();
            assert_eq!(
                (error.code, error.line),
                (Code::ConfigPath, Some(3)),
                "{text}"
            );
        }
        let error = folder.pattern("k8s/[").files().unwrap_err();
        assert_eq!(error.code, Code::ConfigValue);
    }

    #[test]
    fn what_may_become_a_file_of_the_pattern_is_known_before_it_is_there() {
        let folder = Folder::new(&["k8s/a.yaml"]);
        let root = folder.0.path();
        let cases = [
            ("k8s", "k8s", "k8s/new.yaml", "k8s/new.txt"),
            ("k8s/*.yaml", "k8s", "k8s/new.yaml", "k8s/deep/new.yaml"),
            ("**/k8s/*.yaml", "", "app/k8s/new.yaml", "app/new.yaml"),
            ("k8s/a.yaml", "k8s", "k8s/a.yaml", "k8s/b.yaml"),
        ];
        for (text, base, yes, no) in cases {
            let pattern = folder.pattern(text);
            assert_eq!(
                pattern.base(),
                root.join(base).components().collect::<PathBuf>(),
                "{text}"
            );
            assert!(pattern.matches(&root.join(yes)), "{text}");
            assert!(!pattern.matches(&root.join(no)), "{text}");
        }
        assert!(
            folder
                .pattern("**/k8s/*.yaml")
                .may_be_below(Path::new("a/b/c"))
        );
        assert!(
            !folder
                .pattern("**/k8s/*.yaml")
                .may_be_below(Path::new("a/.git"))
        );
        assert!(
            folder
                .pattern("*/k8s/*.yaml")
                .may_be_below(Path::new("a/k8s"))
        );
        assert!(
            !folder
                .pattern("*/k8s/*.yaml")
                .may_be_below(Path::new("a/k8s/c"))
        );
    }
}
