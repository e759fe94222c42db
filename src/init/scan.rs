//! The files of a repository that say how it is built and installed. Folders that git ignores, dependencies, test data
//! and examples are left out; symbolic links are not followed, so no link leads round in a circle.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

/// Folders whose charts and Dockerfiles are not the repository's own stack.
const LEFT_OUT: [&str; 22] = [
    ".git",
    ".terraform",
    ".venv",
    "__fixtures__",
    "__tests__",
    "bower_components",
    "e2e",
    "example",
    "examples",
    "fixtures",
    "node_modules",
    "sample",
    "samples",
    "site-packages",
    "test",
    "test-data",
    "test-fixtures",
    "tests",
    "third-party",
    "third_party",
    "vendor",
    "venv",
];

/// A larger file says nothing of builds and installs, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What a file is for, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Chart,
    Dockerfile,
    Compose,
    Kustomization,
    Skaffold,
    Bake,
    Tiltfile,
    Helmfile,
    /// Makefiles and their kind, and scripts.
    Commands,
    /// Of GitHub, GitLab and others.
    Pipeline,
    Readme,
    /// Any other YAML file.
    Yaml,
}

/// The files of a repository that `init` may read.
#[derive(Debug, Default)]
pub(super) struct RepositoryTree {
    pub(super) root: PathBuf,
    /// Relative to the root, sorted.
    files: Vec<(FileKind, PathBuf)>,
    /// How many files there are, those of no interest included.
    pub(super) seen: usize,
}

impl RepositoryTree {
    /// Walks the repository. What cannot be read is left out.
    pub(super) fn scan(root: &Path) -> Self {
        let walk = WalkBuilder::new(root)
            .hidden(false)
            .require_git(false)
            .filter_entry(is_of_stack)
            .build();
        let mut files = vec![];
        let mut seen = 0;
        for entry in walk.flatten() {
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            seen += 1;
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            files.extend(kind(path).map(|kind| (kind, path.to_owned())));
        }
        // The nearer to the root, the earlier.
        files.sort_by(|(_, a), (_, b)| {
            (a.components().count(), a).cmp(&(b.components().count(), b))
        });
        Self {
            root: root.to_owned(),
            files,
            seen,
        }
    }

    /// The files of a kind, those nearest to the root first.
    pub(super) fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().filter(move |(other, _)| *other == kind);
        files.map(|(_, path)| path.as_path())
    }

    /// A file's text; None if it is no text, or too large to say anything.
    pub(super) fn read(&self, path: &Path) -> Option<String> {
        let file = self.root.join(path);
        let is_small = file.metadata().ok()?.len() <= MAX_FILE_BYTES;
        let text = is_small.then(|| std::fs::read_to_string(&file).ok())??;
        Some(text.trim_start_matches('\u{feff}').to_owned())
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }

    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.root.join(path).is_file()
    }
}

pub(super) fn is_of_stack(entry: &DirEntry) -> bool {
    let is_below = entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_dir());
    let name = entry.file_name().to_str();
    // `{{ cookiecutter.name }}`: a template of a repository.
    !is_below
        || !name.is_some_and(|name| {
            LEFT_OUT.contains(&name) || name.starts_with("testdata") || name.contains("{{")
        })
}

fn kind(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let is_yaml = [".yaml", ".yml"].iter().any(|end| lower.ends_with(end));
    let is_pipeline = || {
        let mut folders = path.parent().into_iter().flat_map(Path::components);
        let is_hidden = |folder: &OsStr| folder == ".github" || folder == ".circleci";
        is_yaml && folders.any(|folder| is_hidden(folder.as_os_str()))
    };
    Some(match lower.as_str() {
        "chart.yaml" => FileKind::Chart,
        "skaffold.yaml" | "skaffold.yml" => FileKind::Skaffold,
        "kustomization.yaml" | "kustomization.yml" | "kustomization" => FileKind::Kustomization,
        "docker-bake.hcl" | "docker-bake.json" => FileKind::Bake,
        "tiltfile" => FileKind::Tiltfile,
        "helmfile.yaml" | "helmfile.yml" => FileKind::Helmfile,
        "makefile" | "gnumakefile" | "justfile" | "taskfile.yml" | "taskfile.yaml" => {
            FileKind::Commands
        }
        ".gitlab-ci.yml"
        | "azure-pipelines.yml"
        | "bitbucket-pipelines.yml"
        | "jenkinsfile"
        | ".travis.yml"
        | "cloudbuild.yaml" => FileKind::Pipeline,
        "readme.md" | "readme.rst" | "readme" | "readme.txt" => FileKind::Readme,
        _ if is_dockerfile(&lower) => FileKind::Dockerfile,
        _ if is_compose(&lower) => FileKind::Compose,
        _ if is_pipeline() => FileKind::Pipeline,
        _ if lower.ends_with(".sh") || lower.ends_with(".mk") => FileKind::Commands,
        _ if is_yaml => FileKind::Yaml,
        _ => return None,
    })
}

/// `Dockerfile`, `Dockerfile.api`, `api.Dockerfile`, `Containerfile`; not `Dockerfile.dockerignore`.
fn is_dockerfile(name: &str) -> bool {
    let is_named = |base: &str| {
        name == base || name.starts_with(&format!("{base}.")) || name.ends_with(&format!(".{base}"))
    };
    (is_named("dockerfile") || is_named("containerfile"))
        && ![".dockerignore", ".md", ".j2", ".tmpl", ".erb"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn is_compose(name: &str) -> bool {
    let stem = name.strip_suffix(".yaml").or(name.strip_suffix(".yml"));
    stem.is_some_and(|stem| {
        ["compose", "docker-compose"]
            .iter()
            .any(|base| stem == *base || stem.starts_with(&format!("{base}.")))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::write;
    use super::*;

    #[test]
    fn dependencies_test_data_examples_and_ignored_folders_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                (".gitignore", "out/\n"),
                ("chart/Chart.yaml", "name: a"),
                ("node_modules/x/Chart.yaml", "name: b"),
                ("pkg/testdata/Chart.yaml", "name: c"),
                ("examples/Chart.yaml", "name: d"),
                ("out/Chart.yaml", "name: e"),
                (".github/workflows/ci.yml", ""),
                ("api/Dockerfile.dockerignore", ""),
                ("docker/api.Dockerfile", ""),
            ],
        );
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("round")).unwrap();
        let tree = RepositoryTree::scan(dir.path());
        let of = |kind| {
            tree.of_kind(kind)
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(FileKind::Chart), ["chart/Chart.yaml"]);
        assert_eq!(of(FileKind::Dockerfile), ["docker/api.Dockerfile"]);
        assert_eq!(of(FileKind::Pipeline), [".github/workflows/ci.yml"]);
    }
}
