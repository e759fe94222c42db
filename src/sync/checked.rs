//! The rules that are read off a Dockerfile, checked against the image that was built: only what the image has where
//! they say, byte by byte, is synced by them. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rules::{Destination, Rules, Verdict};
use crate::image::{Content, ContextManifest, FoundPath, ImageLook, ManifestEntry, Places};

/// What an image says to its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// For each path of the build context that the rules sync: how the image has it, or why not.
    paths: BTreeMap<PathBuf, Result<Made, String>>,
    /// What holds for paths that came later, by their COPY.
    copies: BTreeMap<usize, Result<Made, String>>,
}

/// How the build made a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    /// `uid:gid`.
    owner: String,
    /// The permission bits, where they are not those that the rules say.
    mode: Option<u32>,
}

/// Where the image has to be looked at.
pub fn places(rules: &Rules, manifest: &ContextManifest) -> Places {
    let mut places = Places::default();
    for path in manifest.keys() {
        if let Verdict::Sync(to) = rules.verdict(path) {
            places.roots.insert(rules.place(to.root, Path::new("")));
            places.paths.insert(rules.place(to.root, &to.path));
        }
    }
    places
}

/// Compares the image with what its build context held.
pub fn check(rules: &Rules, manifest: &ContextManifest, looked: &ImageLook) -> Checked {
    let mut checked = Checked::default();
    for (path, entry) in manifest {
        let Verdict::Sync(to) = rules.verdict(path) else {
            continue;
        };
        let place = rules.place(to.root, &to.path);
        let made = made(entry, looked.get(&place), &to, &place);
        if let Some(copy) = to.copy {
            let is_first = !checked.copies.contains_key(&copy);
            let known = checked.copies.entry(copy).or_insert_with(|| made.clone());
            match &made {
                Err(_) if is_first || known.is_ok() => {
                    *known = Err(format!(
                        "the image does not have all that its COPY takes: `{}` is not at `{}`",
                        path.display(),
                        place.display()
                    ));
                }
                Ok(made)
                    if known.as_ref().is_ok_and(|known| known != made) || made.mode.is_some() =>
                {
                    *known = Err(
                        "what its COPY made has various owners or permissions in the image"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
        checked.paths.insert(path.clone(), made);
    }
    checked
}

/// How the image has an entry of the context, or why it counts as not having it.
fn made(
    entry: &ManifestEntry,
    found: Option<&FoundPath>,
    to: &Destination,
    place: &Path,
) -> Result<Made, String> {
    let found = found.filter(|found| found.content == entry.content);
    let found = found.ok_or_else(|| {
        format!(
            "the image does not have it at `{}` as it was here",
            place.display()
        )
    })?;
    let is_file = matches!(found.content, Content::File(_));
    if is_file && found.mode & 0o7000 != 0 {
        return Err(format!(
            "the image has it at `{}` with the permission bits {:o}, of which sync keeps {:03o}",
            place.display(),
            found.mode & 0o7777,
            found.mode & 0o777
        ));
    }
    let mode = found.mode & 0o777;
    let expected = to.mode.unwrap_or(entry.mode) & 0o777;
    Ok(Made {
        owner: format!("{}:{}", found.uid, found.gid),
        mode: (is_file && mode != expected).then_some(mode),
    })
}

impl Made {
    /// A destination with this owner and these rights.
    fn of(&self, to: Destination) -> Destination {
        Destination {
            owner: Some(self.owner.clone()),
            mode: self.mode.or(to.mode),
            ..to
        }
    }
}

impl Checked {
    /// What a path means, by the rules as far as the image has proved them.
    pub fn verdict(&self, rules: &Rules, path: &Path) -> Verdict {
        let to = match rules.verdict(path) {
            Verdict::Sync(to) => to,
            other => return other,
        };
        let Some(copy) = to.copy else {
            // A rule of devk.yaml says where; whose it is and with which rights says the image, if that has it there.
            return Verdict::Sync(match self.paths.get(path) {
                Some(Ok(made)) => made.of(to),
                _ => to,
            });
        };
        let later = || self.copies.get(&copy);
        match self.paths.get(path).or_else(later) {
            Some(Ok(made)) => Verdict::Sync(made.of(to)),
            Some(Err(why)) => Verdict::Rebuild(why.clone()),
            None => Verdict::Rebuild(
                "its COPY took nothing yet, so the image does not show where it goes".to_owned(),
            ),
        }
    }

    /// The paths that the image has where they go.
    pub fn proved(&self) -> impl Iterator<Item = &Path> {
        let proved = self.paths.iter().filter(|(_, made)| made.is_ok());
        proved.map(|(path, _)| path.as_path())
    }

    /// An image that has all that `copies` COPYs took.
    #[cfg(test)]
    pub(super) fn all(copies: usize) -> Self {
        let owner = "0:0".to_owned();
        let made = |copy| {
            (
                copy,
                Ok(Made {
                    owner: owner.clone(),
                    mode: None,
                }),
            )
        };
        Self {
            paths: BTreeMap::new(),
            copies: (0..copies).map(made).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ImageConfig, Sync, SyncRule};
    use crate::image::content_hash;
    use crate::image::context::tests::{image, write};
    use crate::sync::rules::Usage;

    const FILES: [&str; 4] = ["app/a", "app/deep/b", "web/x", "web/y"];

    /// A context with these files under a Dockerfile that copies `app` and `web`, and an image that a builder could have
    /// made of it.
    struct Case {
        dir: tempfile::TempDir,
        rules: Rules,
        manifest: ContextManifest,
        looked: ImageLook,
    }

    impl Case {
        fn new() -> Self {
            Self::of(
                "FROM x\nCOPY app /srv/app\nCOPY --chmod=640 web /web\nCMD [\"uvicorn\", \"a:b\", \"--reload\"]\n",
            )
        }

        fn of(dockerfile: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &[("Dockerfile", dockerfile)]);
            FILES
                .iter()
                .for_each(|file| write(dir.path(), &[(file, file)]));
            let image = ImageConfig {
                sync: Sync::Auto,
                ..image(dir.path())
            };
            let rules = Rules::read(&image, &BTreeMap::new(), &Usage::default()).unwrap();
            let manifest = content_hash(&image, &BTreeMap::new()).unwrap().manifest;
            let mut looked = ImageLook::default();
            for (path, entry) in &manifest {
                if let Verdict::Sync(to) = rules.verdict(path) {
                    let found = FoundPath {
                        content: entry.content.clone(),
                        mode: to.mode.unwrap_or(entry.mode),
                        uid: 7,
                        gid: 0,
                    };
                    looked.insert(rules.place(to.root, &to.path), found);
                }
            }
            Self {
                dir,
                rules,
                manifest,
                looked,
            }
        }

        fn found(&mut self, place: &str) -> &mut FoundPath {
            self.looked.get_mut(Path::new(place)).unwrap()
        }

        /// Whose a path becomes and with which permission bits; or why it is built.
        fn of_path(&self, path: &str) -> Result<(String, Option<u32>), String> {
            let checked = check(&self.rules, &self.manifest, &self.looked);
            match checked.verdict(&self.rules, Path::new(path)) {
                Verdict::Sync(to) => Ok((to.owner.unwrap(), to.mode)),
                Verdict::Rebuild(why) => Err(why),
                Verdict::Ignore(why) => panic!("{why}"),
            }
        }
    }

    fn owned(mode: Option<u32>) -> Result<(String, Option<u32>), String> {
        Ok(("7:0".to_owned(), mode))
    }

    #[test]
    fn what_the_image_has_where_the_rules_say_is_synced_with_the_images_owner() {
        let case = Case::new();
        for path in ["app/a", "app/deep/b", "app/deep", "app/new", "app/deep/new"] {
            assert_eq!(case.of_path(path), owned(None), "{path}");
        }
        assert_eq!(case.of_path("web/x"), owned(Some(0o640)));
        assert_eq!(case.of_path("web/new"), owned(Some(0o640)));
        assert!(case.of_path("other").is_err());
        let places = places(&case.rules, &case.manifest);
        assert!(places.paths.contains(Path::new("/srv/app/deep/b")));
        assert!(places.roots.contains(Path::new("/srv/app")));
    }

    #[test]
    fn what_the_image_has_otherwise_is_built_and_so_is_all_that_its_copy_takes_anew() {
        let mut case = Case::new();
        case.found("/srv/app/a").content = Content::File([1; 32]);
        assert_eq!(
            case.of_path("app/a").unwrap_err(),
            "the image does not have it at `/srv/app/a` as it was here"
        );
        assert_eq!(
            case.of_path("app/new").unwrap_err(),
            "the image does not have all that its COPY takes: `app/a` is not at `/srv/app/a`"
        );
        assert_eq!(case.of_path("app/deep/b"), owned(None));
        assert_eq!(case.of_path("web/new"), owned(Some(0o640)));
        case.looked.remove(Path::new("/web/y"));
        assert!(case.of_path("web/y").is_err() && case.of_path("web/new").is_err());
        case.found("/srv/app/deep").content = Content::Link("/elsewhere".into());
        assert!(case.of_path("app/deep").is_err());
    }

    #[test]
    fn permissions_that_the_image_has_stay_and_what_comes_anew_beside_them_is_built() {
        let mut case = Case::new();
        case.found("/srv/app/deep/b").mode = 0o755;
        assert_eq!(case.of_path("app/deep/b"), owned(Some(0o755)));
        assert_eq!(case.of_path("app/a"), owned(None));
        assert!(case.of_path("app/new").unwrap_err().contains("permissions"));
        let mut case = Case::new();
        case.found("/web/x").uid = 8;
        assert_eq!(case.of_path("web/x").unwrap().0, "8:0");
        assert!(case.of_path("web/new").unwrap_err().contains("owners"));
    }

    #[test]
    fn a_file_whose_rights_sync_would_not_keep_is_built() {
        let mut case = Case::new();
        case.found("/srv/app/a").mode = 0o4755;
        assert_eq!(
            case.of_path("app/a").unwrap_err(),
            "the image has it at `/srv/app/a` with the permission bits 4755, of which sync keeps 755"
        );
        assert_eq!(case.of_path("app/deep/b"), owned(None));
        // New files of a folder get its group whatever its other bits are.
        case.found("/srv/app/deep").mode = 0o2755;
        assert_eq!(case.of_path("app/deep"), owned(None));
    }

    #[test]
    fn a_rule_of_devk_yaml_says_where_a_file_goes_and_the_image_whose_it_is() {
        let mut case = Case::new();
        let image = ImageConfig {
            sync: Sync::Rules(vec![SyncRule {
                from: "app".into(),
                to: "/srv/app".to_owned(),
                run: vec![],
                exclude: vec![],
                origin: image(case.dir.path()).origin,
            }]),
            ..image(case.dir.path())
        };
        case.rules = Rules::read(&image, &BTreeMap::new(), &Usage::default()).unwrap();
        case.found("/srv/app/a").mode = 0o755;
        assert_eq!(case.of_path("app/a"), owned(Some(0o755)));
        let checked = check(&case.rules, &case.manifest, &case.looked);
        let Verdict::Sync(to) = checked.verdict(&case.rules, Path::new("app/new")) else {
            panic!("the rule takes it");
        };
        assert_eq!((to.owner, to.mode), (None, None));
    }

    #[test]
    fn a_copy_that_took_nothing_shows_nothing() {
        let case = Case::of(
            "FROM x\nCOPY app /w/\nCOPY none* /none/\nCMD [\"uvicorn\", \"a:b\", \"--reload\"]\n",
        );
        assert!(
            case.of_path("none.txt")
                .unwrap_err()
                .contains("took nothing")
        );
        drop(case.dir);
    }
}
