//! Files of a chart that a fix leaves as they are: what a symbolic link leads to is not this chart's alone, and what git does
//! not have nobody could get back. Their findings are left to people, with this reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::Result;
use crate::process::Cmd;
use crate::release::variant::chart_files;

/// Why files are left as they are, by their paths in the chart's folder.
pub type FrozenFiles = BTreeMap<PathBuf, String>;

/// The files of a chart that must not be changed. `needs_git`: those that git does not have are among them, if the folder is
/// in a repository.
///
/// # Errors
/// What keeps the folder from being read.
pub async fn frozen_files(
    folder: &Path,
    needs_git: bool,
    environment: &Environment,
) -> Result<FrozenFiles> {
    let files = chart_files(folder)?;
    let paths: BTreeSet<_> = files.into_iter().map(|file| file.path).collect();
    let mut frozen = linked(folder, &paths);
    if needs_git && let Some(tracked) = tracked(folder, environment).await? {
        for path in paths.difference(&tracked) {
            let why = format!(
                "git does not have `{}`, and could not bring its text back: commit it, or add --allow-dirty",
                path.display()
            );
            frozen.entry(path.clone()).or_insert(why);
        }
    }
    Ok(frozen)
}

/// Files that stand behind a symbolic link of the chart, and those of the chart that such a link leads to: a change of one name
/// is a change of the other, too.
fn linked(folder: &Path, paths: &BTreeSet<PathBuf>) -> FrozenFiles {
    let Ok(root) = folder.canonicalize() else {
        return FrozenFiles::new();
    };
    let mut frozen = FrozenFiles::new();
    for path in paths {
        let Ok(real) = root.join(path).canonicalize() else {
            continue;
        };
        if real == root.join(path) {
            continue;
        }
        let (name, target) = (path.display(), real.display());
        let why = match real.strip_prefix(&root) {
            Err(_) => format!(
                "a symbolic link leads from `{name}` out of the chart, to `{target}`, which may not be this chart's alone"
            ),
            Ok(inside) => {
                let inside = inside.to_owned();
                let why = format!(
                    "`{}` is `{name}`, too, by a symbolic link",
                    inside.display()
                );
                frozen.entry(inside).or_insert(why.clone());
                why
            }
        };
        frozen.insert(path.clone(), why);
    }
    frozen
}

/// The files of a folder that git has; None if the folder is in no repository.
async fn tracked(folder: &Path, environment: &Environment) -> Result<Option<BTreeSet<PathBuf>>> {
    let Ok(git) = environment.find("git", "install git") else {
        return Ok(None);
    };
    let list = Cmd::new(&git)
        .inherit(environment)
        .arg("-C")
        .arg(folder)
        .args(["ls-files", "-z", "--", "."]);
    let answer = list.answer(|_| {}).await?;
    let names = answer.output.stdout.split('\0');
    let names = names.filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(answer.status.success().then(|| names.collect()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn what_is_linked_and_what_git_lacks_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::of_process();
        let chart = dir.path().join("repository/chart");
        let write = |path: &Path| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a: 1\n").unwrap();
        };
        for file in ["Chart.yaml", "values.yaml", "templates/a.yaml", "own.yaml"] {
            write(&chart.join(file));
        }
        write(&dir.path().join("shared/b.yaml"));
        symlink(dir.path().join("shared"), chart.join("templates/more")).unwrap();
        symlink("a.yaml", chart.join("templates/z.yaml")).unwrap();
        let frozen = async |needs_git| {
            let frozen = frozen_files(&chart, needs_git, &environment).await.unwrap();
            let frozen = frozen.into_iter();
            frozen
                .map(|(path, why)| (path.to_str().unwrap().to_owned(), why))
                .collect::<BTreeMap<_, _>>()
        };
        let linked = [
            "templates/a.yaml",
            "templates/more/b.yaml",
            "templates/z.yaml",
        ];
        let found = frozen(true).await;
        assert!(found.keys().eq(linked), "in no repository: {found:#?}");
        assert!(found[linked[1]].contains("out of the chart"), "{found:#?}");

        let git = |args: &[&str]| {
            let git = Cmd::new("git").arg("-C").arg(chart.parent().unwrap());
            let command = git.args(args);
            async move { command.run().await.unwrap() }
        };
        git(&["init", "-q"]).await;
        std::fs::write(chart.join(".gitignore"), "values.yaml\n").unwrap();
        git(&["add", "."]).await;
        let found = frozen(true).await;
        let lacking = [&linked[..], &["values.yaml"]].concat();
        assert!(found.keys().eq(lacking), "{found:#?}");
        assert!(found["values.yaml"].contains("git does not have"));
        assert!(frozen(false).await.keys().eq(linked));
    }
}
