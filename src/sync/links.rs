//! Symbolic links among the files of a build context. The builder follows those on the way to what a COPY names, and none
//! of them leads out of the context.

use std::path::{Component, Path, PathBuf};

use crate::error::Result;
use crate::image::dockerignore::Ignore;

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where a path of the context is without links, and the links on the way. What is not there counts as no link.
pub(super) fn resolve(context: &Path, path: &Path) -> (PathBuf, Vec<PathBuf>) {
    let mut resolved = PathBuf::new();
    let mut links = Vec::new();
    let parts = |path: &Path| {
        let parts = path.components().rev().map(|part| match part {
            Component::Normal(name) => PathBuf::from(name),
            other => PathBuf::from(other.as_os_str()),
        });
        parts.collect::<Vec<_>>()
    };
    let mut left = parts(path);
    while let Some(part) = left.pop() {
        match part.components().next() {
            Some(Component::Normal(name)) => resolved.push(name),
            Some(Component::ParentDir) => drop(resolved.pop()),
            Some(Component::RootDir) => resolved.clear(),
            _ => {}
        }
        let target = std::fs::read_link(context.join(&resolved)).ok();
        if let Some(target) =
            target.filter(|_| links.len() < MAX_LINKS && !resolved.as_os_str().is_empty())
        {
            links.push(resolved.clone());
            resolved.pop();
            left.extend(parts(&target));
        }
    }
    (resolved, links)
}

/// What of the context a path with wildcards names, links on the way included.
///
/// # Errors
/// [`crate::error::Code::ImageContext`] for a malformed pattern.
pub(super) fn matches(context: &Path, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let pattern = Ignore::parse(&text, Path::new("Dockerfile"))?;
        let below = |folder: &PathBuf| {
            let entries = std::fs::read_dir(context.join(folder));
            let names = entries.into_iter().flatten().flatten();
            let names = names.map(|entry| entry.file_name());
            let matching = names.filter(|name| pattern.ignores(&name.to_string_lossy()));
            matching.map(|name| folder.join(name)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(below).collect();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::image::context::tests::write;

    #[test]
    fn links_are_followed_inside_of_the_context() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("lib/a.js", ""), ("services/api/x", "")]);
        let link = |target: &str, at: &str| symlink(target, dir.path().join(at)).unwrap();
        link("../../lib", "services/api/lib");
        link("/services/api", "top");
        link("loop", "loop");
        let found = |path: &str| resolve(dir.path(), Path::new(path));
        assert_eq!(found("lib/a.js"), ("lib/a.js".into(), vec![]));
        assert_eq!(
            found("top/lib/a.js"),
            (
                "lib/a.js".into(),
                vec!["top".into(), "services/api/lib".into()]
            )
        );
        assert_eq!(found("none/x"), ("none/x".into(), vec![]));
        assert_eq!(found("../../lib").0, Path::new("lib"));
        assert_eq!(found("loop").1.len(), MAX_LINKS);
        assert_eq!(found("").0, Path::new(""));
        let mut matched = matches(dir.path(), Path::new("services/*/l*/*.js")).unwrap();
        matched.extend(matches(dir.path(), Path::new("[l]ib")).unwrap());
        assert_eq!(
            matched,
            [Path::new("services/api/lib/a.js"), Path::new("lib")]
        );
    }
}
