//! Whether containers have what was synced: by hash, permission bits and owner, not by what the journal says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use serde::{Deserialize, Serialize};

use super::batch::{Item, Wanted};
use super::containers::{Container, Containers};
use super::engine::{Shared, SyncEngine};
use super::script::Expected;
use super::status::Covered;
use super::stream::{Stream, Sum, Trouble, uid};
use crate::hex::hex;

/// What was compared, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// How many containers were asked.
    pub containers: usize,
    /// How many files were compared, in all of them together.
    pub files: usize,
    pub differences: Vec<Difference>,
    /// What is not the image's in a container, and was not compared.
    pub left_out: Vec<NotCompared>,
    /// What keeps the containers that were asked from being all that there should be.
    #[serde(default)]
    pub uncompared: Vec<Uncompared>,
}

/// A container that does not run, or a step that failed: what it would have brought is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncompared {
    /// `POD/CONTAINER`, or a step of `up`.
    pub what: String,
    /// In words for the user.
    pub why: String,
}

/// A path of the build context that is covered in a container by what the pod mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCompared {
    pub pod: String,
    pub container: String,
    #[serde(flatten)]
    pub covered: Covered,
}

impl Comparison {
    /// Everything was compared and is equal, and that is not nothing.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.uncompared.is_empty() && self.files > 0
    }
}

impl Extend<Self> for Comparison {
    fn extend<T: IntoIterator<Item = Self>>(&mut self, others: T) {
        for other in others {
            self.containers += other.containers;
            self.files += other.files;
            self.differences.extend(other.differences);
            self.left_out.extend(other.left_out);
            self.uncompared.extend(other.uncompared);
        }
    }
}

/// A path that is not in a container as it is in the working tree, or a container that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub pod: String,
    pub container: String,
    /// Relative to the build context; None if it is about the container.
    pub path: Option<PathBuf>,
    /// In words for the user.
    pub why: String,
}

impl SyncEngine {
    /// Compares every file that the image had when it was built and every one that was synced since, in every container
    /// that runs it.
    pub async fn verify(self: &Arc<Self>, client: &Client, containers: &Containers) -> Comparison {
        let settings = self.settings();
        let ours: Vec<_> = containers
            .values()
            .filter(|container| container.image == settings.reference)
            .collect();
        let engine = self.clone();
        let mut all = Comparison::default();
        // Files of any size are read for their hash.
        match tokio::task::spawn_blocking(move || engine.shared().here()).await {
            Ok(here) => {
                let compared = ours
                    .iter()
                    .map(|container| compare(client, settings.rules.roots(), container, &here));
                all.extend(futures::future::join_all(compared).await);
            }
            Err(why) => {
                let difference =
                    |container: &&Container| difference(container, None, why.to_string());
                all.differences = ours.iter().map(difference).collect();
            }
        }
        all
    }
}

/// What the working tree has of the files that go into the containers.
#[derive(Debug, Default)]
struct Here {
    expected: Vec<Expected>,
    /// With the reason.
    unreadable: Vec<(PathBuf, String)>,
    mount_places: BTreeMap<String, String>,
}

impl Shared {
    fn here(&self) -> Here {
        let mut paths: BTreeSet<_> = self.proved().into_iter().collect();
        let state = self.state();
        paths.extend(state.journal.all().map(Path::to_owned));
        let mut here = Here {
            mount_places: state.mount_places.clone(),
            ..Here::default()
        };
        drop(state);
        for path in paths {
            match self.expected(&path) {
                Ok(expected) => here.expected.extend(expected),
                Err(why) => here
                    .unreadable
                    .push((path, format!("cannot be read here: {why}"))),
            }
        }
        here
    }

    /// None for what is neither a file nor gone, or does not go into the container.
    fn expected(&self, path: &Path) -> std::io::Result<Option<Expected>> {
        let Some(Item {
            target,
            wanted,
            owner,
            ..
        }) = self.item(path)?
        else {
            return Ok(None);
        };
        let (sum, mode) = match wanted {
            Wanted::File(source) => (Some(hex(source.digest()?)), source.mode),
            Wanted::Gone => (None, 0),
            Wanted::Link(_) | Wanted::Folder(_) => return Ok(None),
        };
        Ok(Some(Expected {
            path: path.to_owned(),
            target,
            sum,
            mode,
            owner,
        }))
    }
}

async fn compare(
    client: &Client,
    roots: &[String],
    container: &Container,
    here: &Here,
) -> Comparison {
    let looked = async {
        let mut stream = Stream::open_to_ask(client, container, roots).await?;
        let with_group = stream.is_root();
        Ok((stream.sums(&here.expected).await?, with_group))
    };
    match looked.await {
        Ok((sums, with_group)) => compared(container, here, sums, with_group),
        Err(Trouble::Lost(why) | Trouble::NeedsRebuild(why)) => Comparison {
            differences: vec![difference(container, None, why)],
            ..Comparison::default()
        },
    }
}

/// `sums` are what the container has of the expected files, in their order. Of their owners the group counts only
/// `with_group`: who is not root makes files of the own group, whichever they had.
fn compared(container: &Container, here: &Here, sums: Vec<Sum>, with_group: bool) -> Comparison {
    let mut found = Comparison {
        containers: 1,
        ..Comparison::default()
    };
    for (expected, sum) in here.expected.iter().zip(sums) {
        let why = match sum {
            Sum::Mounted(mount) => {
                found.left_out.push(NotCompared {
                    pod: container.place.pod.clone(),
                    container: container.place.container.clone(),
                    covered: container.covered(&expected.path, &mount, &here.mount_places),
                });
                continue;
            }
            Sum::NoFile if expected.sum.is_none() => continue,
            Sum::NoFile => Some("it is not there".to_owned()),
            Sum::Of { .. } if expected.sum.is_none() => {
                Some("it is there, and was deleted here".to_owned())
            }
            Sum::Of { sum, mode, owner } if Some(&sum) == expected.sum.as_ref() => {
                other_rights(expected, mode, &owner, with_group)
            }
            Sum::Of { .. } => Some("its content differs".to_owned()),
        };
        found.files += 1;
        let path = || Some(expected.path.clone());
        found
            .differences
            .extend(why.map(|why| difference(container, path(), why)));
    }
    let unreadable = here.unreadable.iter().cloned();
    let unreadable = unreadable.map(|(path, why)| difference(container, Some(path), why));
    found.differences.extend(unreadable);
    found
}

/// What the rights of a file of the right content differ in, if they do.
fn other_rights(expected: &Expected, mode: u32, owner: &str, with_group: bool) -> Option<String> {
    let other_mode = (mode != expected.mode)
        .then(|| format!("its mode is {mode:03o} and should be {:03o}", expected.mode));
    let differs = |own: &str| match with_group {
        true => own != owner,
        false => uid(own) != uid(owner),
    };
    let should_be = expected.owner.as_deref().filter(|own| differs(own));
    let other_owner = should_be.map(|own| format!("its owner is {owner} and should be {own}"));
    let told: Vec<_> = other_mode.into_iter().chain(other_owner).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn difference(container: &Container, path: Option<PathBuf>, why: String) -> Difference {
    let place = &container.place;
    Difference {
        pod: place.pod.clone(),
        container: place.container.clone(),
        path,
        why,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::super::batch::ContainerPath;
    use super::super::containers::Mount;
    use super::super::engine::{Settings, Surroundings};
    use super::super::exec::ContainerRef;
    use super::super::journal::Seen;
    use super::super::rules::{Rules, Usage};
    use super::super::watch::Baseline;
    use super::*;
    use crate::config::{ImageConfig, Origin, Sync, SyncRule};
    use crate::image::context::tests::{image, write};
    use crate::ui::event::Reporter;

    /// An engine that syncs all of a folder to `/app`.
    async fn engine(dir: &Path) -> SyncEngine {
        let origin = Origin {
            file: "devk.yaml".into(),
            line: 1,
        };
        let rule = SyncRule {
            from: "".into(),
            to: "/app".into(),
            run: vec![],
            exclude: vec![],
            origin,
        };
        let image = ImageConfig {
            sync: Sync::Rules(vec![rule]),
            ..image(dir)
        };
        let rules = Rules::read(&image, &BTreeMap::new(), &Usage::default()).unwrap();
        let text = |text: &str| text.to_owned();
        let image = text("api");
        let (project, namespaces) = (text("shop"), [text("shop")].into());
        let reference = text("devk.local/shop/api:1");
        let settings = Settings {
            image,
            project,
            namespaces,
            reference,
            context: dir.to_owned(),
            rules,
        };
        let around = Surroundings {
            clients: watch::channel(None).1,
            containers: watch::channel(Containers::new()).1,
            rebuilds: mpsc::unbounded_channel().0,
            progress: watch::Sender::default(),
            reporter: Reporter::default(),
        };
        SyncEngine::start(settings, Baseline::look(dir, |_| true).into(), around)
            .await
            .unwrap()
    }

    fn found_file(sum: &str, mode: u32, owner: &str) -> Sum {
        Sum::Of {
            sum: sum.to_owned(),
            mode,
            owner: owner.to_owned(),
        }
    }

    fn place() -> ContainerRef {
        ContainerRef {
            namespace: "shop".to_owned(),
            pod: "api-1".to_owned(),
            container: "api".to_owned(),
        }
    }

    #[test]
    fn a_file_of_the_right_content_differs_by_its_mode_and_by_its_owner_where_one_is_known() {
        let file = |owner: Option<&str>| Expected {
            path: "run.sh".into(),
            target: ContainerPath::below(0, Path::new("run.sh")).unwrap(),
            sum: Some("1".to_owned()),
            mode: 0o755,
            owner: owner.map(str::to_owned),
        };
        let told = |owner, mode, found| other_rights(&file(owner), mode, found, true);
        assert_eq!(told(Some("7:8"), 0o755, "7:8"), None);
        assert_eq!(told(None, 0o755, "7:8"), None);
        assert_eq!(
            told(None, 0o644, "7:8").unwrap(),
            "its mode is 644 and should be 755"
        );
        assert_eq!(
            told(Some("7:8"), 0o4755, "0:8").unwrap(),
            "its mode is 4755 and should be 755; its owner is 0:8 and should be 7:8"
        );
        // In a container whose user is not root, the group is as it comes.
        assert_eq!(other_rights(&file(Some("7:8")), 0o755, "7:0", false), None);
        assert!(other_rights(&file(Some("7:8")), 0o755, "0:8", false).is_some());
    }

    #[test]
    fn what_a_mount_covers_is_left_out_and_nothing_compared_is_not_equal() {
        let container = Container {
            mounts: vec![Mount {
                path: "/app/data/".to_owned(),
                volume: "claim `data`".to_owned(),
            }],
            ..Container::of_test(place())
        };
        let expected = |path: &str| Expected {
            path: path.into(),
            target: ContainerPath::below(0, Path::new(path)).unwrap(),
            sum: Some("1".to_owned()),
            mode: 0o644,
            owner: None,
        };
        let here = Here {
            expected: vec![expected("data/x"), expected("y")],
            ..Here::default()
        };
        let sums = vec![
            Sum::Mounted("/app/data".to_owned()),
            found_file("1", 0o644, "0:0"),
        ];
        let found = compared(&container, &here, sums, true);
        assert!(found.is_equal());
        assert_eq!((found.files, found.left_out.len()), (1, 1));
        assert_eq!(found.left_out[0].covered.volume, "claim `data`");
        assert!(!Comparison::default().is_equal());
    }

    #[test]
    fn what_was_deleted_is_not_to_be_in_the_container() {
        let deleted = |path: &str| Expected {
            path: path.into(),
            target: ContainerPath::below(0, Path::new(path)).unwrap(),
            sum: None,
            mode: 0,
            owner: None,
        };
        let here = Here {
            expected: vec![deleted("gone"), deleted("still")],
            ..Here::default()
        };
        let sums = vec![Sum::NoFile, found_file("1", 0o644, "0:0")];
        let found = compared(&Container::of_test(place()), &here, sums, true);
        let [difference] = &found.differences[..] else {
            panic!("{found:?}");
        };
        assert_eq!(difference.path.as_deref(), Some(Path::new("still")));
        assert_eq!(difference.why, "it is there, and was deleted here");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[("Dockerfile", "FROM x"), ("equal", "1"), ("other", "2")],
        );
        // Whoever reads: its way has no end.
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let engine = engine(dir.path()).await;
        for path in ["equal", "loop/x", "other"] {
            engine
                .shared()
                .state()
                .journal
                .note(Path::new(path), Seen::Leaf([1; 16]));
        }
        let here = engine.shared().here();
        let container = Container {
            image: engine.settings().reference.clone(),
            ..Container::of_test(place())
        };
        let equal = &here.expected[0];
        let sums = vec![
            found_file(equal.sum.as_deref().unwrap(), equal.mode, "0:0"),
            Sum::NoFile,
        ];
        let comparison = compared(&container, &here, sums, true);
        assert_eq!((comparison.containers, comparison.files), (1, 2));
        let found: Vec<_> = comparison
            .differences
            .iter()
            .map(|one| (one.path.as_deref().unwrap(), one.why.as_str()))
            .collect();
        assert_eq!(found[0], (Path::new("other"), "it is not there"));
        assert_eq!(found[1].0, Path::new("loop/x"));
        assert!(
            found.len() == 2 && found[1].1.starts_with("cannot be read here: "),
            "{found:?}"
        );
    }
}
