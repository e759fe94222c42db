//! Whether containers have what was synced: by hash, not by what the journal says.

use std::path::{Path, PathBuf};

use kube::Client;
use serde::{Deserialize, Serialize};

use super::batch::{Item, Wanted};
use super::containers::{Container, Containers};
use super::engine::{Engine, Shared};
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

impl Engine {
    /// Compares every file that was synced since the image was built, in every container that runs it.
    pub async fn verify(&self, client: &Client, containers: &Containers) -> Vec<Difference> {
        let shared = self.shared();
        let ours = containers.values().filter(|container| container.image == shared.settings.reference);
        let expected = match shared.expected() {
            Ok(expected) => expected,
            Err(why) => return ours.map(|container| difference(container, None, why.to_string())).collect(),
        };
        let verified = ours.map(|container| verify(client, shared.settings.rules.roots(), container, &expected));
        futures::future::join_all(verified).await.concat()
    }
}

impl Shared {
    /// The files of the journal.
    fn expected(&self) -> std::io::Result<Vec<Expected>> {
        let paths: Vec<_> = self.state().journal.present().map(Path::to_owned).collect();
        let mut expected = Vec::new();
        for path in paths {
            let Some(Item { target, wanted: Wanted::File(source), .. }) = self.item(&path)? else { continue };
            expected.push(Expected { path, target, sum: hex(source.digest()?) });
        }
        Ok(expected)
    }
}

async fn verify(client: &Client, roots: &[String], container: &Container, expected: &[Expected]) -> Vec<Difference> {
    let sums = async { Stream::open(client, &container.place, roots).await?.sums(expected).await };
    let sums = match sums.await {
        Ok(sums) => sums,
        Err(Trouble::Lost(why) | Trouble::NeedsRebuild(why)) => return vec![difference(container, None, why)],
    };
    let wrong = expected.iter().zip(sums).filter_map(|(expected, sum)| match sum {
        Some(sum) if sum == expected.sum => None,
        Some(_) => Some((expected, "its content differs")),
        None => Some((expected, "it is not there")),
    });
    wrong.map(|(expected, why)| difference(container, Some(expected.path.clone()), why.to_owned())).collect()
}

fn difference(container: &Container, path: Option<PathBuf>, why: String) -> Difference {
    let place = &container.place;
    Difference { pod: place.pod.clone(), container: place.container.clone(), path, why }
}
