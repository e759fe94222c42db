//! Paths as Go's standard library compares them: by their text alone. Docker and Compose are written in Go, so devk has
//! to agree with Go on which paths are the same.

/// Go's `path.Clean`: no `.` and `//`, `..` resolved where it can be, no trailing `/`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => _ = parts.pop(),
            ("..", None) if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".to_owned(),
        (false, joined) => joined,
    }
}

/// Go's `filepath.Join` of two paths.
pub(crate) fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", "") => String::new(),
        ("", path) => clean(path),
        (base, path) => clean(&format!("{base}/{path}")),
    }
}

/// Go's `filepath.Dir`: all but the last part.
pub(crate) fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |end| &path[..=end]))
}

/// Go's `filepath.Rel`; None if the text does not tell.
pub(crate) fn relative(base: &str, target: &str) -> Option<String> {
    let base = clean(base);
    let target = clean(target);
    if base.starts_with('/') != target.starts_with('/') {
        return None;
    }
    let parts = |path: &str| {
        path.split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let base = parts(&base);
    let target = parts(&target);
    let common = base
        .iter()
        .zip(&target)
        .take_while(|(one, other)| one == other)
        .count();
    if base[common..].iter().any(|part| part == "..") {
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), base.len() - common);
    Some(clean(
        &up.chain(target[common..].iter().cloned())
            .collect::<Vec<_>>()
            .join("/"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_and_splits_by_the_text() {
        assert_eq!(join("/a/b", "../c//d/."), "/a/c/d");
        assert_eq!(join("", "./x"), "x");
        assert_eq!(join("a", "../../x"), "../x");
        assert_eq!(dir("/a/b/"), "/a/b");
        assert_eq!(dir("a"), ".");
    }

    #[test]
    fn finds_the_way_from_one_folder_to_another() {
        assert_eq!(relative("/a/b", "/a/c").as_deref(), Some("../c"));
        assert_eq!(relative("/a", "/a").as_deref(), Some("."));
        assert_eq!(relative("a", "a/b/c").as_deref(), Some("b/c"));
        assert_eq!(relative("/a", "b"), None);
        assert_eq!(relative("../a", "b"), None);
    }
}
