//! Names: DNS labels, the worktree a folder lies in, and a project's id.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The longest DNS label (RFC 1123).
const MAX_LABEL_BYTES: usize = 63;

/// Whether a text is a DNS label as Kubernetes takes it: lowercase letters, digits and inner hyphens,
/// at most 63 characters.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty()
        && text.len() <= MAX_LABEL_BYTES
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..4])
}

/// A text made a name for a file, another one for every text: a label stays as it is.
pub(super) fn file_name(text: &str) -> String {
    if is_label(text) {
        return text.to_owned();
    }
    format!("{}.{}", label(text).unwrap_or_default(), short_hash(text))
}

/// A text made a DNS label: lowercase, every run of other characters a hyphen, a label that is too
/// long cut and ended with a hash of the whole. A label stays as it is. None if no letter or digit is left.
pub fn label(text: &str) -> Option<String> {
    if is_label(text) {
        return Some(text.to_owned());
    }
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let label = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    match label.len() {
        0 => None,
        1..=MAX_LABEL_BYTES => Some(label),
        _ => {
            let suffix = short_hash(text);
            Some(format!(
                "{}-{suffix}",
                label[..MAX_LABEL_BYTES - 9].trim_end_matches('-')
            ))
        }
    }
}

/// Whether Kubernetes itself has, or may get, a namespace of this name: `down --delete` must never come
/// near it.
pub fn is_reserved(id: &str) -> bool {
    id == "default" || id.starts_with("kube-")
}

/// The id of a project: `<name>`, or `<name>-<worktree>`.
pub(super) fn project_id(name: &str, worktree: Option<&str>) -> String {
    let Some(worktree) = worktree else {
        return name.to_owned();
    };
    label(&format!("{name}-{worktree}")).unwrap_or_else(|| name.to_owned())
}

/// The name of the linked git worktree that a folder lies in; None in a main worktree or outside git.
///
/// A linked worktree has a file `.git` with `gitdir: <repository>/worktrees/<name>`
/// (gitrepository-layout(5)); a submodule's points into `modules/`, and then its superproject decides.
pub(super) fn worktree(root: &Path) -> Option<String> {
    for dir in root.ancestors() {
        let git = dir.join(".git");
        if git.is_dir() {
            return None;
        }
        if let Some(name) = gitdir(&git).as_deref().and_then(linked) {
            return Some(name);
        }
    }
    None
}

/// The folder with HEAD and the index of the worktree that a folder is in (gitrepository-layout(5)); None outside git.
pub fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|git| git.exists())?;
    match git.is_dir() {
        true => Some(git),
        false => Some(git.parent()?.join(gitdir(&git)?)),
    }
}

/// What git has checked out where a folder lies: the name of a branch, or the first seven digits of a commit. None outside
/// git.
pub fn checked_out(root: &Path) -> Option<String> {
    let head = std::fs::read_to_string(git_folder(root)?.join("HEAD")).ok()?;
    let head = head.trim();
    let branch = head.strip_prefix("ref: refs/heads/");
    Some(branch.map_or_else(|| head.chars().take(7).collect(), str::to_owned))
}

fn gitdir(git: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(git).ok()?;
    text.lines()
        .next()?
        .strip_prefix("gitdir:")
        .map(|path| PathBuf::from(path.trim()))
}

fn linked(gitdir: &Path) -> Option<String> {
    let parent = gitdir
        .parent()
        .filter(|parent| parent.file_name().is_some_and(|name| name == "worktrees"))?;
    let submodule = parent
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "modules");
    if submodule {
        None
    } else {
        gitdir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_worktree_names_its_git_folder_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join(".git"), "gitdir: /main/.git/worktrees/x\n").unwrap();
        assert_eq!(
            git_folder(&dir.path().join("sub")).unwrap(),
            Path::new("/main/.git/worktrees/x")
        );
    }

    #[test]
    fn a_branch_is_told_in_both_kinds_of_worktree_and_a_commit_by_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["main/.git/worktrees/fix", "fix/sub"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::fs::write(path("main/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        let head = path("main/.git/worktrees/fix/HEAD");
        std::fs::write(&head, "ref: refs/heads/agents/fix\n").unwrap();
        let link = format!("gitdir: {}\n", path("main/.git/worktrees/fix").display());
        std::fs::write(path("fix/.git"), link).unwrap();
        assert_eq!(checked_out(&path("main")).as_deref(), Some("main"));
        assert_eq!(checked_out(&path("fix/sub")).as_deref(), Some("agents/fix"));
        std::fs::write(head, "0123456789abcdef\n").unwrap();
        assert_eq!(checked_out(&path("fix")).as_deref(), Some("0123456"));
    }

    #[test]
    fn any_text_with_a_letter_becomes_a_label() {
        assert_eq!(label("My Shop_2").as_deref(), Some("my-shop-2"));
        assert_eq!(label("--größe.").as_deref(), Some("gr-e"));
        assert_eq!(label("…"), None);
        assert!(
            !is_label("a.b")
                && !is_label("-a")
                && !is_label("a-")
                && !is_label("")
                && is_label("0")
        );
    }

    #[test]
    fn long_labels_are_cut_and_stay_different() {
        let one = label(&"x".repeat(70)).unwrap();
        let two = label(&"x".repeat(71)).unwrap();
        assert!(is_label(&one) && is_label(&two), "{one} {two}");
        assert_ne!(one, two);
    }

    #[test]
    fn a_long_worktree_keeps_the_id_a_label() {
        let id = project_id(&"p".repeat(60), Some("feature-login"));
        assert!(is_label(&id) && id.starts_with("ppp"), "{id}");
    }

    fn with_git_file(content: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".git"), content).unwrap();
        let inner = dir.path().join("services/shop");
        std::fs::create_dir_all(&inner).unwrap();
        worktree(&inner)
    }

    #[test]
    fn a_folder_in_a_linked_worktree_has_its_name() {
        assert_eq!(
            with_git_file("gitdir: /src/shop/.git/worktrees/login\n").as_deref(),
            Some("login")
        );
        assert_eq!(
            with_git_file("gitdir: ../shop.git/worktrees/login\n").as_deref(),
            Some("login")
        );
    }

    #[test]
    fn a_submodule_is_no_worktree() {
        assert_eq!(with_git_file("gitdir: ../.git/modules/api\n"), None);
        assert_eq!(
            with_git_file("gitdir: ../.git/modules/worktrees/api\n"),
            None
        );
        assert_eq!(with_git_file("not a git file"), None);
    }

    #[test]
    fn a_submodule_of_a_worktree_lies_in_that_worktree() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("api");
        std::fs::create_dir(&module).unwrap();
        std::fs::write(
            dir.path().join(".git"),
            "gitdir: /src/shop/.git/worktrees/login\n",
        )
        .unwrap();
        std::fs::write(
            module.join(".git"),
            "gitdir: /src/shop/.git/worktrees/login/modules/api\n",
        )
        .unwrap();
        assert_eq!(worktree(&module).as_deref(), Some("login"));
    }

    #[test]
    fn the_main_worktree_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(worktree(dir.path()), None);
    }
}
