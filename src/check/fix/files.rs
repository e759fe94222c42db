//! The changed files: as a diff, and written all or none.

use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use super::super::gates::secrets::is_secret_name;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::paths::{mode_of, refused, remove_file, write_atomic, write_beside};
use crate::process::Cmd;
use crate::shell::quote;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// A file with its text before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedText {
    pub file: PathBuf,
    /// None: there is no such file.
    pub before: Option<String>,
    pub after: String,
}

impl ChangedText {
    /// A unified diff; `name` is what it calls the file. Unchanged lines do not show what is called a secret.
    pub fn diff(&self, name: &str) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        let diff = TextDiff::from_lines(before, &self.after);
        let from = match &self.before {
            Some(_) => format!("a/{name}"),
            None => "/dev/null".to_owned(),
        };
        let mut text = format!("--- {from}\n+++ b/{name}\n");
        for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
            text += &format!("{}\n", hunk.header());
            for change in hunk.iter_changes() {
                let line = change.value().trim_end_matches(['\n', '\r']);
                text += &match change.tag() {
                    ChangeTag::Equal => format!(" {}\n", shown(line)),
                    ChangeTag::Delete => format!("-{line}\n"),
                    ChangeTag::Insert => format!("+{line}\n"),
                };
            }
        }
        text
    }
}

/// A line whose value is not shown if its key is a secret's.
fn shown(line: &str) -> String {
    let parts = line.split_once(':').filter(|(key, value)| {
        is_secret_name(key.trim_matches([' ', '-', '"', '\''])) && !value.trim().is_empty()
    });
    parts.map_or_else(|| line.to_owned(), |(key, _)| format!("{key}: …"))
}

/// Replaces all files, or none: each new text is written beside its file before the first file is replaced, and if one cannot
/// be replaced, those before it get their old texts back.
///
/// # Errors
/// [`Code::ChartChanged`] if a file has not the text that the change was made from; [`Code::StateIo`].
pub fn write_all(changes: &[ChangedText]) -> Result<()> {
    let mut ready = vec![];
    for change in changes {
        // What a link leads to is replaced, not the link.
        let file = change
            .file
            .canonicalize()
            .unwrap_or_else(|_| change.file.clone());
        let now = std::fs::read_to_string(&file).ok();
        if now != change.before {
            let message = format!(
                "`{}` was changed meanwhile; nothing is written",
                change.file.display()
            );
            return Err(Error::new(Code::ChartChanged, message).hint("run the command again"));
        }
        let temp = write_beside(&file, change.after.as_bytes(), mode_of(&file));
        let temp = temp.map_err(|e| refused("write", &file, &e))?;
        ready.push((temp, file, change));
    }
    let mut done: Vec<(PathBuf, &ChangedText)> = vec![];
    for (temp, file, change) in ready {
        if let Err(error) = temp.persist(&file) {
            for (file, change) in done {
                // The text was there a moment ago; if it cannot come back, git has it, and the error names the file.
                restore(&file, change)?;
            }
            return Err(refused("write", &file, &error.error));
        }
        done.push((file, change));
    }
    Ok(())
}

fn restore(file: &Path, change: &ChangedText) -> Result<()> {
    match &change.before {
        None => remove_file(file),
        Some(text) => write_atomic(file, text.as_bytes(), mode_of(file)),
    }
}

/// Refuses to change files whose text of now nobody could get back: of a folder that git does not have, or that has changes
/// which are not committed.
///
/// # Errors
/// [`Code::ChartUncommitted`].
pub async fn is_committed(folder: &Path, environment: &Environment) -> Result<()> {
    let unsafe_for = |message: String| {
        let error = Error::new(Code::ChartUncommitted, message);
        error.hint("commit or stash them, or add --allow-dirty; --dry-run shows the diff and changes nothing")
    };
    let name = folder.display();
    let git = environment.find("git", "install git").map_err(|_| {
        unsafe_for(format!(
            "there is no git that could bring the files of `{name}` back"
        ))
    })?;
    let status = Cmd::new(&git)
        .inherit(environment)
        .arg("-C")
        .arg(folder)
        .args(["status", "--porcelain", "--untracked-files=all", "--", "."]);
    let answer = status.answer(|_| {}).await?;
    if !answer.status.success() {
        return Err(unsafe_for(format!(
            "`{name}` is in no git repository, which could bring its files back"
        )));
    }
    let tracked = Cmd::new(&git)
        .inherit(environment)
        .arg("-C")
        .arg(folder)
        .args(["ls-files", "--error-unmatch", "--", "Chart.yaml"]);
    if !tracked.answer(|_| {}).await?.status.success() {
        return Err(unsafe_for(format!(
            "git does not have the files of `{name}`"
        )));
    }
    let changed: Vec<_> = answer.output.stdout.lines().collect();
    match changed[..] {
        [] => Ok(()),
        _ => Err(
            unsafe_for(format!("`{name}` has changes that are not committed"))
                .evidence(format!("$ git -C {} status --short", quote(folder)))
                .evidence(changed.join("\n")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(dir: &Path, name: &str, before: Option<&str>, after: &str) -> ChangedText {
        let file = dir.join(name);
        if let Some(before) = before {
            std::fs::write(&file, before).unwrap();
        }
        ChangedText {
            file,
            before: before.map(str::to_owned),
            after: after.to_owned(),
        }
    }

    #[test]
    fn a_diff_shows_no_secret_that_is_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let found = change(
            dir.path(),
            "v",
            Some("a: 1\npassword: hunter2\nb: 2\n"),
            "a: 1\npassword: hunter2\nb: 3\n",
        );
        assert_eq!(
            found.diff("values.yaml"),
            "--- a/values.yaml\n+++ b/values.yaml\n@@ -1,3 +1,3 @@\n a: 1\n password: …\n-b: 2\n+b: 3\n"
        );
    }

    #[test]
    fn all_files_are_written_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let first = change(dir.path(), "a", Some("1"), "2");
        let new = change(dir.path(), "d/c", None, "new");
        write_all(&[first.clone(), new.clone()]).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((read("a").as_str(), read("d/c").as_str()), ("2", "new"));
        // The text is not the one that the change was made from.
        let second = change(dir.path(), "b", Some("1"), "2");
        assert_eq!(
            write_all(&[second, first.clone()]).unwrap_err().code,
            Code::ChartChanged
        );
        assert_eq!(read("b"), "1");
        // A folder stands where the file should be: what was replaced before comes back.
        std::fs::create_dir(dir.path().join("e")).unwrap();
        let third = change(dir.path(), "f", Some("1"), "2");
        let blocked = change(dir.path(), "e", None, "x");
        assert_eq!(
            write_all(&[third, blocked]).unwrap_err().code,
            Code::StateIo
        );
        assert_eq!(read("f"), "1");
    }

    #[tokio::test]
    async fn what_git_could_not_bring_back_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::of_process();
        let git = |args: &[&str]| {
            let all = [
                "-C",
                dir.path().to_str().unwrap(),
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b.example",
            ];
            let command = Cmd::new("git").args(all).args(args);
            async move { command.run().await.unwrap() }
        };
        let refusal = |error: Error| (error.code, error.message);
        let none = refusal(is_committed(dir.path(), &environment).await.unwrap_err());
        assert!(
            none.0 == Code::ChartUncommitted && none.1.contains("no git repository"),
            "{none:?}"
        );
        git(&["init", "-q"]).await;
        std::fs::write(dir.path().join("a"), "1").unwrap();
        std::fs::write(dir.path().join("Chart.yaml"), "name: a").unwrap();
        assert!(is_committed(dir.path(), &environment).await.is_err());
        // What is ignored is no change, and in no commit.
        std::fs::write(dir.path().join(".git/info/exclude"), "*\n").unwrap();
        let ignored = refusal(is_committed(dir.path(), &environment).await.unwrap_err());
        assert!(ignored.1.contains("does not have"), "{ignored:?}");
        std::fs::write(dir.path().join(".git/info/exclude"), "").unwrap();
        git(&["add", "."]).await;
        git(&["commit", "-qm", "a"]).await;
        is_committed(dir.path(), &environment).await.unwrap();
        std::fs::write(dir.path().join("a"), "2").unwrap();
        assert!(is_committed(dir.path(), &environment).await.is_err());
    }
}
