//! What holds for every batch on any tree with any mounts: nothing at, below or above a mount changes, and all else does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tests::{Container, file, item};
use super::*;

/// A short path of a small tree, so that paths meet.
fn path() -> impl Strategy<Value = PathBuf> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|parts| parts.iter().collect())
}

#[derive(Debug, Clone)]
struct Case {
    /// Files of the container.
    there: Vec<PathBuf>,
    /// Files or folders that are mounted; the bool says which.
    mounts: Vec<(PathBuf, bool)>,
    /// What is to be where, by a number for its kind.
    wanted: Vec<(PathBuf, u8)>,
    in_place: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let paths = |most| proptest::collection::vec(path(), 0..most);
    let mounts = proptest::collection::vec((path(), any::<bool>()), 1..3);
    let wanted = proptest::collection::vec((path(), 0..4_u8), 1..6);
    (paths(6), mounts, wanted, any::<bool>()).prop_map(|(there, mounts, wanted, in_place)| Case {
        there,
        mounts,
        wanted,
        in_place,
    })
}

fn related(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Without the paths that are, lead to or lie in another one.
fn apart<T: Clone>(paths: &[(PathBuf, T)]) -> Vec<(PathBuf, T)> {
    let mut kept: Vec<(PathBuf, T)> = vec![];
    for (path, value) in paths {
        if !kept.iter().any(|(known, _)| related(known, path)) {
            kept.push((path.clone(), value.clone()));
        }
    }
    kept
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut next = vec![folder.to_owned()];
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match fs::symlink_metadata(&path).unwrap().is_dir() {
                true => next.push(path),
                false => {
                    let content = fs::read_to_string(&path).unwrap_or_default();
                    found.insert(path, content);
                }
            }
        }
    }
    found
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn holds(case: &Case) {
    let container = Container::new();
    let app = container.path("app");
    let mounts = apart(&case.mounts);
    let is_mounted = |path: &Path| mounts.iter().any(|(mount, _)| related(mount, path));
    for path in case.there.iter().filter(|path| !is_mounted(path)) {
        // Another one may be in its way.
        if fs::create_dir_all(app.join(path).parent().unwrap()).is_ok() && !app.join(path).exists()
        {
            fs::write(app.join(path), "old").unwrap();
        }
    }
    for (mount, is_folder) in &mounts {
        let inside = if *is_folder {
            app.join(mount).join("a")
        } else {
            app.join(mount)
        };
        for above in mount.ancestors().skip(1) {
            // Only where a file is in its way.
            let _ = fs::remove_file(app.join(above));
        }
        write(&inside, "mounted");
    }
    let under_mounts = |all: BTreeMap<PathBuf, String>| -> BTreeMap<PathBuf, String> {
        let is_under = |path: &Path| {
            mounts
                .iter()
                .any(|(mount, _)| path.starts_with(app.join(mount)))
        };
        all.into_iter().filter(|(path, _)| is_under(path)).collect()
    };
    let before = under_mounts(files(&app));
    let wanted = apart(&case.wanted);
    let items: Vec<_> = wanted
        .iter()
        .map(|(path, kind)| match kind {
            0 => file(path, "new"),
            1 => item(path, Wanted::Gone),
            2 => item(path, Wanted::Folder(0o755)),
            _ => item(path, Wanted::Link("nowhere".into())),
        })
        .collect();
    let writing = if case.in_place {
        Writing::InPlace
    } else {
        Writing::Rename
    };
    let manner = Manner {
        writing,
        ..Manner::default()
    };
    let commands = |folders: &mut [usize]| {
        let points = mounts
            .iter()
            .map(|(mount, _)| format!("$R0/{}$L", mount.display()));
        let mut text = format!("K=\"{}\"\n", points.collect::<String>()).into_bytes();
        for (number, item) in items.iter().enumerate() {
            let one = [item.clone()];
            text.extend(apply(number as u64, &groups(&one), manner, folders));
        }
        text
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let said = runtime.block_on(container.says(commands));
    assert_eq!(under_mounts(files(&app)), before, "{said}");
    for (path, kind) in wanted.iter().filter(|(path, _)| !is_mounted(path)) {
        let found = fs::symlink_metadata(app.join(path));
        let is_as_wanted = match kind {
            0 => fs::read_to_string(app.join(path)).is_ok_and(|text| text == "new"),
            1 => found.is_err(),
            2 => found.is_ok_and(|found| found.is_dir()),
            _ => found.is_ok_and(|found| found.is_symlink()),
        };
        assert!(is_as_wanted, "{} is not as wanted: {said}", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_in_a_mount_changes_and_all_else_is_as_wanted(case in case()) {
        holds(&case);
    }
}
