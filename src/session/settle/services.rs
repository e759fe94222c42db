//! What a service runs, and how that came: found by what is another than it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::sync::pods::{PodState, Pods};
use crate::sync::readiness::Engines;

/// A workload and how it came to run what was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledService {
    pub namespace: String,
    /// The Deployment, StatefulSet or DaemonSet.
    pub name: String,
    /// Since the last call that settled.
    pub how: How,
    /// By name.
    pub pods: Vec<String>,
}

/// How a service came to run what it runs. What came later counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Unchanged,
    /// Files were brought into its containers.
    Synced,
    /// It has new pods of the images that it had.
    RolledOut,
    /// It has an image that was built.
    Rebuilt,
}

/// What the services run, by namespace and name.
pub(super) type ServiceStates = BTreeMap<(String, String), Runs>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// The generations of the images that devk builds, by reference.
    images: BTreeMap<String, u64>,
    /// UIDs by name.
    pods: BTreeMap<String, String>,
}

pub(super) fn seen(engines: &Engines, pods: &Pods) -> ServiceStates {
    let mut seen = ServiceStates::new();
    for pod in pods.iter().filter(|pod| !pod.is_job) {
        let key = (pod.namespace.clone(), pod.workload.clone());
        let runs: &mut Runs = seen.entry(key).or_default();
        runs.pods.insert(pod.name.clone(), pod.uid.clone());
        for container in &pod.containers {
            let engine = engines
                .iter()
                .find(|engine| engine.settings().reference == container.image);
            runs.images
                .extend(engine.map(|engine| (container.image.clone(), engine.generation())));
        }
    }
    seen
}

/// The services with a pod that `covers` is true of.
pub(super) fn settled_services(
    before: Option<&ServiceStates>,
    now: &ServiceStates,
    covers: impl Fn(&PodState) -> bool,
    pods: &Pods,
) -> Vec<SettledService> {
    let covered: BTreeSet<_> = pods
        .iter()
        .filter(|pod| covers(pod))
        .map(|pod| (pod.namespace.clone(), pod.workload.clone()))
        .collect();
    let services = now.iter().filter(|(key, _)| covered.contains(*key));
    let settled = services.map(|(key, runs)| SettledService {
        namespace: key.0.clone(),
        name: key.1.clone(),
        how: how(before.and_then(|before| before.get(key)), runs),
        pods: runs.pods.keys().cloned().collect(),
    });
    settled.collect()
}

fn how(before: Option<&Runs>, now: &Runs) -> How {
    let Some(before) = before else {
        return How::RolledOut;
    };
    if before.images.keys().ne(now.images.keys()) {
        return How::Rebuilt;
    }
    if before.pods != now.pods {
        return How::RolledOut;
    }
    match before.images == now.images {
        true => How::Unchanged,
        false => How::Synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(image: &str, generation: u64, uid: &str) -> Runs {
        Runs {
            images: BTreeMap::from([(image.to_owned(), generation)]),
            // A StatefulSet gives its pods the same names again.
            pods: BTreeMap::from([("db-0".to_owned(), uid.to_owned())]),
        }
    }

    #[test]
    fn how_a_save_came_is_told_by_what_is_another() {
        let before = runs("api:1", 3, "a");
        let cases = [
            (runs("api:1", 3, "a"), How::Unchanged),
            (runs("api:1", 4, "a"), How::Synced),
            (runs("api:1", 4, "b"), How::RolledOut),
            (runs("api:2", 0, "b"), How::Rebuilt),
        ];
        for (now, expected) in cases {
            assert_eq!(how(Some(&before), &now), expected, "{now:?}");
        }
        assert_eq!(how(None, &before), How::RolledOut);
    }
}
