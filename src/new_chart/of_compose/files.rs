//! Files and folders of the repository that Compose mounts: which of them can be files of a chart.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::GitignoreBuilder;

use super::network::ComposeNames;

/// A ConfigMap holds a mebibyte; some of it is for the names.
const MAX_BYTES: u64 = 900 * 1024;

/// More files than this are data or sources.
const MAX_FILES: usize = 50;

/// The files of a repository.
#[derive(Debug)]
pub(super) struct BoundFiles {
    root: PathBuf,
}

/// A file that a chart may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// Below the mount; empty for a single file.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
    pub(super) is_executable: bool,
}

/// What stands at a mount's source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bound {
    File(FoundFile),
    Folder(Vec<FoundFile>),
    /// There is nothing, or nothing in it: a folder for data.
    Nothing,
    /// Git leaves it out: data, or secrets.
    Ignored {
        is_file: bool,
    },
    /// It stays out, and why.
    Not(String),
}

impl BoundFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether no commit has a file: git leaves it out, or it is outside of the repository.
    pub(super) fn is_private(&self, file: &Path) -> bool {
        !file.starts_with(&self.root) || self.is_ignored(file)
    }

    /// Whether git leaves a path, or a folder above it, out.
    fn is_ignored(&self, path: &Path) -> bool {
        let is_inside = |path: &&Path| path.starts_with(&self.root) && *path != self.root;
        let mut paths = path.ancestors().take_while(is_inside);
        paths.any(|path| self.leaves_out(path))
    }

    /// What the nearest file says that says anything of a path (gitignore(5)).
    fn leaves_out(&self, path: &Path) -> bool {
        let above = path.ancestors().skip(1);
        let above = above.take_while(|folder| folder.starts_with(&self.root));
        let exclude = (self.root.as_path(), self.root.join(".git/info/exclude"));
        let files = above.map(|folder| (folder, folder.join(".gitignore")));
        for (folder, file) in files.chain([exclude]) {
            let mut rules = GitignoreBuilder::new(folder);
            rules.add(file);
            match rules
                .build()
                .map(|rules| rules.matched(path, path.is_dir()).map(|_| ()))
            {
                Ok(Match::None) | Err(_) => {}
                Ok(said) => return said.is_ignore(),
            }
        }
        false
    }

    pub(super) fn at(&self, source: &Path) -> Bound {
        if source.ends_with("docker.sock") {
            return Bound::Not("the socket of Docker is not in a cluster".to_owned());
        }
        if !source.starts_with(&self.root) {
            return Bound::Not("it is outside of the repository".to_owned());
        }
        if source == self.root {
            return Bound::Not("the whole repository is not part of a chart".to_owned());
        }
        if source.is_file() {
            return match self.is_ignored(source) {
                true => Bound::Ignored { is_file: true },
                false => read(source, String::new()).map_or_else(Bound::Not, Bound::File),
            };
        }
        let Ok(files) = below(source) else {
            return Bound::Not(format!(
                "a chart takes no more than {MAX_FILES} files of a folder"
            ));
        };
        if files.is_empty() {
            return Bound::Nothing;
        }
        if self.is_ignored(source) {
            return Bound::Ignored { is_file: false };
        }
        let mut found = vec![];
        for file in files.iter().filter(|file| !self.is_ignored(file)) {
            let path = file.strip_prefix(source).unwrap_or(file);
            match read(file, path.to_string_lossy().into_owned()) {
                Ok(file) => found.push(file),
                Err(why) => return Bound::Not(why),
            }
        }
        let bytes: usize = found.iter().map(|file| file.content.len()).sum();
        match bytes as u64 > MAX_BYTES {
            true => Bound::Not(too_large(bytes as u64)),
            false => Bound::Folder(found),
        }
    }
}

fn too_large(bytes: u64) -> String {
    format!(
        "it has {} KiB, and a ConfigMap takes {}",
        bytes / 1024,
        MAX_BYTES / 1024
    )
}

fn read(file: &Path, path: String) -> Result<FoundFile, String> {
    let meta = std::fs::metadata(file).map_err(|e| e.to_string())?;
    if meta.len() > MAX_BYTES {
        return Err(too_large(meta.len()));
    }
    Ok(FoundFile {
        path,
        content: std::fs::read(file).map_err(|e| e.to_string())?,
        is_executable: std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0,
    })
}

/// All files below a folder; an error if there are too many.
fn below(folder: &Path) -> Result<Vec<PathBuf>, ()> {
    let mut found = vec![];
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
            if found.len() > MAX_FILES || open.len() > MAX_FILES {
                return Err(());
            }
        }
    }
    found.sort();
    Ok(found)
}

impl FoundFile {
    /// With the names that DNS takes; true if there were others.
    pub(super) fn renamed(&mut self, names: &ComposeNames) -> bool {
        let Ok(text) = std::str::from_utf8(&self.content) else {
            return false;
        };
        let renamed = names.in_text("", text);
        let changed = renamed != text;
        if changed {
            self.content = renamed.into_bytes();
        }
        changed
    }

    pub(super) fn is_text(&self) -> bool {
        !self.content.contains(&0) && std::str::from_utf8(&self.content).is_ok()
    }

    /// Whether it is the private half of something.
    pub(super) fn is_private_key(&self) -> bool {
        std::str::from_utf8(&self.content).is_ok_and(|text| text.contains("PRIVATE KEY-----"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_files_or_data_or_stays_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, text) in [
            ("conf/a.conf", "a"),
            ("conf/sub/b.conf", "b"),
            ("data/x", "x"),
            (".gitignore", "data\n*.key\n"),
            ("tls.key", "k"),
            ("api/.gitignore", "*.env\n!public.env\n"),
            ("api/deep/dev.env", "A=1"),
            ("api/public.env", "A=1"),
            (".git/info/exclude", "mine\n"),
            ("mine", "m"),
        ] {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let files = BoundFiles::new(root);
        let Bound::Folder(found) = files.at(&root.join("conf")) else {
            panic!("no folder");
        };
        let names: Vec<_> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["a.conf", "sub/b.conf"]);
        assert_eq!(
            files.at(&root.join("data")),
            Bound::Ignored { is_file: false }
        );
        assert_eq!(
            files.at(&root.join("tls.key")),
            Bound::Ignored { is_file: true }
        );
        assert_eq!(files.at(&root.join("none")), Bound::Nothing);
        let outside = root.with_extension("env");
        let private = ["api/deep/dev.env", "api/public.env", "mine"].map(|path| root.join(path));
        let private = private.map(|path| files.is_private(&path));
        assert_eq!(private, [true, false, true]);
        assert!(files.is_private(&outside));
        assert!(matches!(files.at(Path::new("/etc/hosts")), Bound::Not(_)));
        std::fs::write(root.join("large"), vec![b'x'; 1 << 20]).unwrap();
        assert!(
            matches!(files.at(&root.join("large")), Bound::Not(why) if why.contains("1024 KiB"))
        );
    }
}
