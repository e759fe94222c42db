//! What a comparison of the running containers with the working tree cannot tell: containers that do not run, and what
//! a failed step keeps from them.

use super::view::SessionView;
use crate::error::Error;
use crate::plan::READY;
use crate::sync::containers::Containers;
use crate::sync::pods::{ContainerState, PodState};
use crate::sync::verify::Uncompared;

impl SessionView {
    /// All of it at this moment. `failure` tells why a step failed.
    pub fn uncompared(&self, failure: impl Fn(&str) -> Option<Error>) -> Vec<Uncompared> {
        let mut all = self.failed_steps(failure);
        let engines = self.engines.borrow().clone();
        let containers = self.containers.borrow().clone();
        let is_built = |container: &&ContainerState| {
            let mut references = engines.iter().map(|engine| engine.settings());
            references.any(|settings| settings.reference == container.image)
        };
        for pod in self.pods.borrow().iter().filter(|pod| !pod.is_job) {
            let built = pod.containers.iter().filter(is_built);
            all.extend(built.filter_map(|container| not_running(pod, container, &containers)));
        }
        all
    }

    /// Whether pods are ready is seen by the pods, and forwards bring no files.
    fn failed_steps(&self, failure: impl Fn(&str) -> Option<Error>) -> Vec<Uncompared> {
        let Some(outcome) = &self.outcome else {
            return vec![Uncompared {
                what: "up".to_owned(),
                why: "has not ended yet".to_owned(),
            }];
        };
        let counts =
            |step: &&String| !step.starts_with(READY) && !step.starts_with("forward.open/");
        let failed = outcome.failed.iter().filter(counts);
        let told = failed.map(|step| Uncompared {
            what: step.clone(),
            why: failure(step).map_or_else(|| "failed".to_owned(), |error| error.message),
        });
        told.collect()
    }
}

/// What keeps a container from running for good, or from running now.
fn not_running(
    pod: &PodState,
    container: &ContainerState,
    running: &Containers,
) -> Option<Uncompared> {
    let crash = container.crash.as_ref().filter(|_| !pod.is_ready);
    let is_running = || {
        running.values().map(|other| &other.place).any(|place| {
            (&*place.namespace, &*place.pod, &*place.container)
                == (&*pod.namespace, &*pod.name, &*container.name)
        })
    };
    let why = match (&container.stuck, crash) {
        (Some(stuck), _) => stuck.clone(),
        (None, Some(crash)) => format!("its last run ended with exit code {}", crash.code),
        (None, None) if is_running() => return None,
        (None, None) => "it does not run".to_owned(),
    };
    Some(Uncompared {
        what: format!("{}/{}", pod.name, container.name),
        why,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;
    use crate::sync::containers::Container;
    use crate::sync::exec::ContainerRef;
    use crate::sync::pods::Crash;

    fn pod(is_ready: bool, stuck: Option<&str>, crashed: bool) -> PodState {
        PodState {
            namespace: "shop".to_owned(),
            name: "api-0".to_owned(),
            uid: String::new(),
            workload: "api".to_owned(),
            labels: BTreeMap::new(),
            is_ready,
            is_job: false,
            containers: vec![ContainerState {
                name: "api".to_owned(),
                image: "api:1".to_owned(),
                restarts: 0,
                stuck: stuck.map(str::to_owned),
                crash: crashed.then(|| Crash {
                    code: 3,
                    reason: "Error".to_owned(),
                    at: Instant::now(),
                }),
            }],
        }
    }

    #[test]
    fn a_container_that_does_not_run_or_crashes_again_and_again_is_named() {
        let place = |name: &str| ContainerRef {
            namespace: "shop".to_owned(),
            pod: "api-0".to_owned(),
            container: name.to_owned(),
        };
        let of = |name: &str| Containers::from([("id".into(), Container::of_test(place(name)))]);
        let cases = [
            (pod(true, None, false), of("api"), None),
            // It crashed once, and is well again.
            (pod(true, None, true), of("api"), None),
            (pod(false, None, false), of("api"), None),
            (
                pod(false, None, true),
                of("api"),
                Some("its last run ended with exit code 3"),
            ),
            (
                pod(false, Some("CrashLoopBackOff"), true),
                of("other"),
                Some("CrashLoopBackOff"),
            ),
            (
                pod(false, None, false),
                of("other"),
                Some("it does not run"),
            ),
        ];
        for (pod, running, why) in cases {
            let found = not_running(&pod, &pod.containers[0], &running);
            let found = found.map(|found| (found.what, found.why));
            assert_eq!(
                found,
                why.map(|why| ("api-0/api".to_owned(), why.to_owned())),
                "{pod:?}"
            );
        }
    }
}
