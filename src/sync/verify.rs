//! Whether containers have what was synced: by hash, not by what the journal says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use serde::{Deserialize, Serialize};

use super::batch::{Item, Wanted};
use super::containers::{Container, Containers};
use super::engine::{Settings, Shared, SyncEngine};
use super::script::Expected;
use super::stream::{Stream, Trouble};
use crate::hex::hex;

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
    /// Compares every file that was synced since the image was built, in every container that runs it.
    pub async fn verify(
        self: &Arc<Self>,
        client: &Client,
        containers: &Containers,
    ) -> Vec<Difference> {
        let Settings {
            reference, rules, ..
        } = self.settings();
        let ours = containers
            .values()
            .filter(|container| container.image == *reference);
        let engine = self.clone();
        // Files of any size are read for their hash.
        let here = match tokio::task::spawn_blocking(move || engine.shared().here()).await {
            Ok(here) => here,
            Err(why) => {
                return ours
                    .map(|container| difference(container, None, why.to_string()))
                    .collect();
            }
        };
        let verified = ours.map(|container| verify(client, rules.roots(), container, &here));
        futures::future::join_all(verified).await.concat()
    }
}

/// What the working tree has of the journal's files.
#[derive(Debug, Default)]
struct Here {
    expected: Vec<Expected>,
    /// With the reason.
    unreadable: Vec<(PathBuf, String)>,
}

impl Shared {
    fn here(&self) -> Here {
        let paths: Vec<_> = self.state().journal.present().map(Path::to_owned).collect();
        let mut here = Here::default();
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

    /// None for what is no file, or does not go into the container.
    fn expected(&self, path: &Path) -> std::io::Result<Option<Expected>> {
        let Some(Item {
            target,
            wanted: Wanted::File(source),
            ..
        }) = self.item(path)?
        else {
            return Ok(None);
        };
        Ok(Some(Expected {
            path: path.to_owned(),
            target,
            sum: hex(source.digest()?),
        }))
    }
}

async fn verify(
    client: &Client,
    roots: &[String],
    container: &Container,
    here: &Here,
) -> Vec<Difference> {
    let sums = async {
        Stream::open(client, &container.place, roots)
            .await?
            .sums(&here.expected)
            .await
    };
    match sums.await {
        Ok(sums) => differences(container, here, sums),
        Err(Trouble::Lost(why) | Trouble::NeedsRebuild(why)) => {
            vec![difference(container, None, why)]
        }
    }
}

/// `sums` are what the container has of the expected files, in their order.
fn differences(container: &Container, here: &Here, sums: Vec<Option<String>>) -> Vec<Difference> {
    let wrong = here
        .expected
        .iter()
        .zip(sums)
        .filter_map(|(expected, sum)| match sum {
            Some(sum) if sum == expected.sum => None,
            Some(_) => Some((expected, "its content differs")),
            None => Some((expected, "it is not there")),
        });
    let wrong = wrong.map(|(expected, why)| (expected.path.clone(), why.to_owned()));
    wrong
        .chain(here.unreadable.clone())
        .map(|(path, why)| difference(container, Some(path), why))
        .collect()
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
    use std::collections::BTreeMap;

    use tokio::sync::{mpsc, watch};

    use super::super::engine::Surroundings;
    use super::super::exec::ContainerRef;
    use super::super::journal::Seen;
    use super::super::rules::{Rules, Usage};
    use super::super::watch::Baseline;
    use super::*;
    use crate::config::{ImageConfig, Origin, Sync, SyncRule};
    use crate::image::context::tests::{image, write};

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
        let namespace = text("shop");
        let reference = text("devk.local/shop/api:1");
        let settings = Settings {
            image,
            namespace,
            reference,
            context: dir.to_owned(),
            rules,
        };
        let around = Surroundings {
            clients: watch::channel(None).1,
            containers: watch::channel(Containers::new()).1,
            rebuilds: mpsc::unbounded_channel().0,
            progress: watch::Sender::default(),
        };
        SyncEngine::start(settings, Baseline::look(dir, |_| true).into(), around)
            .await
            .unwrap()
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
        let place = ContainerRef {
            namespace: "shop".to_owned(),
            pod: "api-1".to_owned(),
            container: "api".to_owned(),
        };
        let container = Container {
            place,
            image: engine.settings().reference.clone(),
        };
        let found = differences(
            &container,
            &here,
            vec![Some(here.expected[0].sum.clone()), None],
        );
        let found: Vec<_> = found
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
