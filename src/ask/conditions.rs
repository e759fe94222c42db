//! Whether an object fits a condition of a question. For what a condition says nothing about, the answer is neither yes nor
//! no: such a question is not answered.

use super::columns::{pod_status, ready_of};
use super::facts::users_of;
use super::kind::AskedKind::{
    Autoscaler, Claim, ConfigMap, CronJob, DaemonSet, Deployment, Job, Namespace, Node, Pod,
    ReplicaSet, Secret, Service, StatefulSet, StorageClass, Volume,
};
use super::moment::Window;
use super::object::{SeenObject, items, moment, text};
use super::question::{AskedState, Condition, LackingSpec};
use super::snapshot::ClusterSnapshot;
use crate::image::ReferenceParts;
use crate::inventory::PodUse;
use crate::quantity::thousandths;

/// Of its limit a pod uses much from this share on.
pub(super) const HIGH_USE: f64 = 0.8;

impl Condition {
    /// None if the condition says nothing about such an object.
    pub(super) fn holds(&self, seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
        let lived = || {
            seen.created()
                .map(|created| snapshot.now.duration_since(created))
        };
        match self {
            Self::Is(state) => state.holds(seen, snapshot),
            Self::OlderThan(span) => lived().map(|age| age > *span),
            Self::YoungerThan(span) => lived().map(|age| age < *span),
            Self::Since(moment) => {
                let window = moment.window(snapshot.now, &snapshot.zone)?;
                seen.created().map(|created| window.has(created))
            }
            Self::EndedSince(moment) => {
                ended_in(seen, moment.window(snapshot.now, &snapshot.zone)?)
            }
            Self::Label(key, value) => Some(seen.labels().get(key) == Some(value)),
            Self::WithLabel(key) => Some(seen.labels().contains_key(key)),
            Self::WithoutLabel(key) => Some(!seen.labels().contains_key(key)),
            Self::OnNode(node) => {
                (seen.kind == Pod).then(|| seen.spec()["nodeName"] == node.as_str())
            }
            Self::Image(image) => seen.kind.has_pods().then(|| {
                seen.containers()
                    .any(|container| is_image(&text(&container["image"]), image))
            }),
            Self::RestartsOver(count) => (seen.kind == Pod).then(|| seen.restarts() > *count),
            Self::ReplicasOver(count) => {
                let wanted = || ready_of(seen).1;
                seen.kind.is_replicated().then(|| wanted() > *count)
            }
            Self::MemoryOver(limit) => used(seen, snapshot).map(|used| used.memory() > *limit),
            Self::CpuOver(limit) => used(seen, snapshot).map(|used| used.cpu() > *limit),
            Self::Either(several) => {
                let held = several.iter().map(|one| one.holds(seen, snapshot));
                let held: Vec<_> = held.collect::<Option<_>>()?;
                Some(held.contains(&true))
            }
        }
    }

    /// It needs what the kubelets measure.
    pub(super) fn needs_usage(&self) -> bool {
        match self {
            Self::Either(several) => several.iter().any(Self::needs_usage),
            Self::MemoryOver(_) | Self::CpuOver(_) => true,
            Self::Is(state) => matches!(state, AskedState::HighMemory | AskedState::HighCpu),
            _ => false,
        }
    }
}

/// Whether a container of a pod, or a Job, ended in a stretch of time.
fn ended_in(seen: SeenObject<'_>, window: Window) -> Option<bool> {
    let is_in = |time: &serde_json::Value| moment(time).is_some_and(|time| window.has(time));
    match seen.kind {
        Pod => Some(seen.container_statuses().any(|status| {
            let ends =
                ["state", "lastState"].map(|state| &status[state]["terminated"]["finishedAt"]);
            ends.into_iter().any(is_in)
        })),
        Job => {
            let end = seen.end();
            Some(end.is_some_and(|end| is_in(&end["lastTransitionTime"])))
        }
        _ => None,
    }
}

/// What a pod uses; None if nobody measures, or for what is no pod.
fn used(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<PodUse> {
    let is_measured = seen.kind == Pod && snapshot.usage.is_some();
    // A pod that has ended or does not run yet uses nothing.
    is_measured.then(|| snapshot.use_of(seen).unwrap_or_default())
}

/// `redis` is meant by `docker.io/library/redis:7`, and so is `redis:7`.
fn is_image(image: &str, wanted: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    let without_tag = |text: &str| text.split(['@', ':']).next().unwrap_or_default().to_owned();
    image == wanted
        || name == wanted
        || without_tag(name) == wanted
        || image
            .rsplit_once(':')
            .is_some_and(|(rest, _)| rest == wanted)
}

impl LackingSpec {
    fn is_of(self, container: &serde_json::Value) -> bool {
        let resources = &container["resources"];
        let has_limit = |unit: &str| !resources["limits"][unit].is_null();
        // Where there is a limit and no request, the API server takes the limit as the request.
        let has_request = |unit: &str| !resources["requests"][unit].is_null() || has_limit(unit);
        let any = |has: &dyn Fn(&str) -> bool| has("memory") || has("cpu");
        let has_probe = |probe: &str| container[probe].is_object();
        !match self {
            Self::Limits => any(&has_limit),
            Self::MemoryLimit => has_limit("memory"),
            Self::CpuLimit => has_limit("cpu"),
            Self::Requests | Self::LimitsAndRequests => any(&has_request),
            Self::MemoryRequest => has_request("memory"),
            Self::CpuRequest => has_request("cpu"),
            Self::Probes => has_probe("readinessProbe") || has_probe("livenessProbe"),
            Self::ReadinessProbe => has_probe("readinessProbe"),
            Self::LivenessProbe => has_probe("livenessProbe"),
            Self::StartupProbe => has_probe("startupProbe"),
        }
    }
}

impl AskedState {
    fn holds(self, seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
        match self {
            Self::Ready => ready(seen, snapshot),
            Self::NotReady => unready(seen, snapshot),
            Self::Running => running(seen),
            Self::NotRunning => Some(!running(seen)? && phase(seen) != "Succeeded"),
            Self::Trouble => super::analyse::can_judge(seen.kind)
                .then(|| super::analyse::has_trouble(seen, snapshot)),
            Self::Terminating => Some(seen.is_terminating()),
            Self::Unused => matches!(seen.kind, ConfigMap | Secret | Claim)
                .then(|| users_of(seen, snapshot).is_empty()),
            Self::Unreachable => {
                (seen.kind == Service).then(|| snapshot.ready_endpoints(seen).is_empty())
            }
            _ => match seen.kind {
                Pod => self
                    .of_pod(seen, snapshot)
                    .or_else(|| self.of_template(seen)),
                Deployment | StatefulSet | DaemonSet | ReplicaSet => self
                    .of_workload(seen, snapshot)
                    .or_else(|| self.of_template(seen)),
                Job | CronJob => self.of_job(seen).or_else(|| self.of_template(seen)),
                Service => self.of_service(seen, snapshot),
                Claim | Volume => self.of_storage(seen),
                Node if self == Self::Unschedulable => Some(seen.spec()["unschedulable"] == true),
                Namespace if self == Self::Active => Some(phase(seen) == "Active"),
                StorageClass if self == Self::Default => Some(
                    seen.value["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"]
                        == "true",
                ),
                _ => None,
            },
        }
    }

    fn of_pod(self, pod: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
        let word = pod_status(pod);
        let ended = |reason: &str| {
            pod.container_statuses().any(|status| {
                status["state"]["terminated"]["reason"] == reason
                    || status["lastState"]["terminated"]["reason"] == reason
            })
        };
        Some(match self {
            Self::Pending => phase(pod) == "Pending",
            Self::Failed => phase(pod) == "Failed",
            Self::Succeeded => phase(pod) == "Succeeded",
            Self::Crashing => is_crashing(pod),
            Self::Restarted => pod.restarts() > 0,
            Self::OutOfMemory => ended("OOMKilled"),
            Self::NoImage => ["ImagePull", "ErrImage", "InvalidImage"]
                .iter()
                .any(|part| word.contains(part)),
            Self::Evicted => word == "Evicted",
            Self::Unschedulable => pod
                .condition("PodScheduled")
                .is_some_and(|one| one["reason"] == "Unschedulable"),
            Self::HighMemory => is_high(pod, snapshot, PodUse::memory, "memory")?,
            Self::HighCpu => is_high(pod, snapshot, PodUse::cpu, "cpu")?,
            _ => return None,
        })
    }

    /// What of a container's spec is missing.
    fn of_template(self, seen: SeenObject<'_>) -> Option<bool> {
        Some(match self {
            Self::Lacks(lacking) => {
                items(&seen.pod_spec()["containers"]).any(|one| lacking.is_of(one))
            }
            Self::LatestTag => seen.containers().any(|one| {
                let image = ReferenceParts::parse(&text(&one["image"]));
                image.is_some_and(|image| image.is_latest())
            }),
            _ => return None,
        })
    }

    fn of_workload(self, seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
        match self {
            Self::ScaledToZero => Some(ready_of(seen).1 == 0),
            Self::WithoutEndpoints => Some(snapshot.pods_of(seen).is_empty()),
            Self::Pending
            | Self::Failed
            | Self::Crashing
            | Self::Restarted
            | Self::OutOfMemory
            | Self::NoImage
            | Self::Unschedulable
            | Self::Evicted
            | Self::HighMemory
            | Self::HighCpu => {
                let pods = snapshot.pods_of(seen);
                let judged: Option<Vec<_>> = pods
                    .into_iter()
                    .map(|pod| self.of_pod(pod, snapshot))
                    .collect();
                judged.map(|judged| judged.contains(&true))
            }
            Self::Suspended if seen.kind == Deployment => Some(seen.spec()["paused"] == true),
            _ => None,
        }
    }

    fn of_job(self, seen: SeenObject<'_>) -> Option<bool> {
        let suspended = seen.spec()["suspend"] == true;
        Some(match (self, seen.kind) {
            (Self::Suspended, _) => suspended,
            (Self::Active, CronJob) => !suspended,
            (Self::Active, _) => seen.status()["active"].as_i64().unwrap_or_default() > 0,
            (Self::Failed, Job) => seen.is("Failed"),
            (Self::Succeeded, Job) => seen.is("Complete"),
            (Self::Pending, Job) => {
                !seen.is("Complete")
                    && !seen.is("Failed")
                    && seen.status()["active"].as_i64().unwrap_or_default() == 0
            }
            _ => return None,
        })
    }

    fn of_service(self, seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
        let of_type = |name: &str| seen.spec()["type"].as_str().unwrap_or("ClusterIP") == name;
        Some(match self {
            Self::WithoutEndpoints => snapshot.ready_endpoints(seen).is_empty(),
            Self::LoadBalancer => of_type("LoadBalancer"),
            Self::NodePort => of_type("NodePort"),
            Self::ClusterIp => of_type("ClusterIP"),
            Self::Headless => seen.spec()["clusterIP"] == "None",
            _ => return None,
        })
    }

    fn of_storage(self, seen: SeenObject<'_>) -> Option<bool> {
        Some(match self {
            Self::Pending => phase(seen) == "Pending",
            Self::Bound => phase(seen) == "Bound",
            Self::Unbound => phase(seen) != "Bound",
            _ => return None,
        })
    }
}

fn phase(seen: SeenObject<'_>) -> &str {
    seen.status()["phase"].as_str().unwrap_or_default()
}

/// A container ended badly and was started again, or waits for that.
pub(super) fn is_crashing(pod: SeenObject<'_>) -> bool {
    pod.container_statuses().any(|status| {
        let bad = |end: &serde_json::Value| end["exitCode"].as_i64().is_some_and(|code| code != 0);
        let (state, last) = (&status["state"], &status["lastState"]);
        let is_back = status["ready"] == true;
        state["waiting"]["reason"] == "CrashLoopBackOff"
            || (!is_back && bad(&last["terminated"]))
            || (bad(&state["terminated"]) && pod.restarts() > 0)
    })
}

/// Whether the object is ready; None if being ready means nothing for it.
fn ready(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
    Some(match seen.kind {
        Pod | Node => seen.is("Ready"),
        Deployment | StatefulSet | DaemonSet | ReplicaSet => {
            let (ready, wanted) = ready_of(seen);
            ready >= wanted && wanted > 0
        }
        Service => !snapshot.ready_endpoints(seen).is_empty(),
        Job => seen.is("Complete"),
        Claim => phase(seen) == "Bound",
        Autoscaler => seen.is("ScalingActive"),
        _ => return None,
    })
}

/// What is not ready and should be: neither a pod that has done its work nor a workload that nobody wants.
fn unready(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Option<bool> {
    let ready = ready(seen, snapshot)?;
    Some(match seen.kind {
        Pod => !ready && phase(seen) != "Succeeded",
        Deployment | StatefulSet | DaemonSet | ReplicaSet => !ready && ready_of(seen).1 > 0,
        _ => !ready,
    })
}

fn running(seen: SeenObject<'_>) -> Option<bool> {
    Some(match seen.kind {
        Pod => pod_status(seen) == "Running",
        Deployment | StatefulSet | DaemonSet | ReplicaSet => ready_of(seen).0 > 0,
        Job => seen.status()["active"].as_i64().unwrap_or_default() > 0,
        Node => seen.is("Ready"),
        CronJob => items(&seen.status()["active"]).next().is_some(),
        _ => return None,
    })
}

/// Whether a pod uses most of a limit; a pod without one cannot.
fn is_high(
    pod: SeenObject<'_>,
    snapshot: &ClusterSnapshot,
    take: fn(PodUse) -> f64,
    unit: &str,
) -> Option<bool> {
    let used = take(used(pod, snapshot)?);
    let limit = limit(pod, unit);
    Some(limit.is_some_and(|limit| used >= limit * HIGH_USE))
}

/// The sum of the limits, in thousandths; None if a container has none.
pub(super) fn limit(pod: SeenObject<'_>, unit: &str) -> Option<f64> {
    let containers = items(&pod.spec()["containers"]);
    containers
        .map(|one| thousandths(one["resources"]["limits"][unit].as_str()?))
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_container_that_is_missing_which_the_question_names() {
        use LackingSpec::{
            CpuLimit, CpuRequest, Limits, LimitsAndRequests, LivenessProbe, MemoryLimit,
            MemoryRequest, Probes, ReadinessProbe, Requests, StartupProbe,
        };
        let all = [
            Limits,
            MemoryLimit,
            CpuLimit,
            Requests,
            MemoryRequest,
            CpuRequest,
            LimitsAndRequests,
            Probes,
            ReadinessProbe,
            LivenessProbe,
            StartupProbe,
        ];
        let lacks = |container: serde_json::Value| -> Vec<LackingSpec> {
            let lacking = all.into_iter();
            lacking
                .filter(|lacking| lacking.is_of(&container))
                .collect()
        };
        assert_eq!(lacks(json!({})), all);
        let with_limit = json!({"resources": {"limits": {"memory": "1Gi"}}, "livenessProbe": {}});
        assert_eq!(
            lacks(with_limit),
            [CpuLimit, CpuRequest, ReadinessProbe, StartupProbe]
        );
        let with_request = json!({"resources": {"requests": {"cpu": "1"}}, "readinessProbe": {}});
        assert_eq!(
            lacks(with_request),
            [
                Limits,
                MemoryLimit,
                CpuLimit,
                MemoryRequest,
                LivenessProbe,
                StartupProbe
            ]
        );
    }

    #[test]
    fn an_image_is_meant_by_its_name_with_or_without_registry_and_tag() {
        for wanted in [
            "redis",
            "redis:7",
            "registry.example/acme/redis:7",
            "registry.example/acme/redis",
        ] {
            assert!(
                is_image("registry.example/acme/redis:7", wanted),
                "{wanted}"
            );
        }
        assert!(!is_image("acme/redis-exporter:1", "redis"));
    }
}
