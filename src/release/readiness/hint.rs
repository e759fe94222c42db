//! What to type next about a workload that is not ready. `devk logs` is for pods that have run.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use kube::ResourceExt;

use super::snapshot::Assessment;
use crate::cluster::pod::is_sidecar;
use crate::error::on_cluster;
use crate::release::crash::Reason;
use crate::release::manifest::Workload;
use crate::release::workload::WorkloadState;
use crate::shell::quote;

/// An init container that runs, and what it seems to wait for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InitWait {
    pub(super) pod: String,
    pub(super) container: String,
    /// A Service or workload that its command or environment names.
    pub(super) awaited: Option<String>,
}

impl InitWait {
    /// The first of these pods whose init container runs. `known` are the names of Services and workloads.
    pub(super) fn of(pods: &[Arc<Pod>], known: &[String]) -> Option<Self> {
        pods.iter().find_map(|pod| {
            let statuses = pod.status.as_ref()?.init_container_statuses.as_ref()?;
            let running = statuses.iter().find(|status| is_running(status))?;
            let containers = pod.spec.as_ref()?.init_containers.as_ref()?;
            let container = containers
                .iter()
                .find(|container| container.name == running.name)?;
            (!is_sidecar(container)).then(|| Self {
                pod: pod.name_any(),
                container: running.name.clone(),
                awaited: awaited(container, known),
            })
        })
    }

    /// What the container printed last says more than its command.
    pub(super) fn text_with(&self, last_line: Option<&str>) -> String {
        match last_line {
            Some(line) => format!("{}: {line}", self.text()),
            None => self.text(),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self {
            pod,
            container,
            awaited,
        } = self;
        match awaited {
            Some(name) => {
                format!("init container `{container}` of pod `{pod}` waits for `{name}`")
            }
            None => format!("init container `{container}` of pod `{pod}` still runs"),
        }
    }

    fn command(&self, namespace: &str, workloads: &[Workload]) -> String {
        let Self {
            pod,
            container,
            awaited,
        } = self;
        match awaited {
            Some(name) => match workloads.iter().find(|workload| workload.name == *name) {
                Some(workload) => describe(workload.kind.noun(), name, namespace),
                None => describe("service", name, namespace),
            },
            None => on_cluster(format!(
                "kubectl logs {} --container {} --namespace {namespace}",
                quote(pod),
                quote(container)
            )),
        }
    }
}

fn is_running(status: &ContainerStatus) -> bool {
    status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

/// The first known name in the command, the arguments or the environment: `pg_isready -h db`, `nc -z db.shop 5432`.
fn awaited(container: &Container, known: &[String]) -> Option<String> {
    let variables = container.env.iter().flatten();
    let texts = container
        .command
        .iter()
        .chain(&container.args)
        .flatten()
        .chain(variables.filter_map(|variable| variable.value.as_ref()));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let words = texts.flat_map(|text| text.split(move |c| !is_part(c)));
    let hosts = words.map(|word| word.split('.').next().unwrap_or(word));
    let mut named = hosts.filter_map(|host| known.iter().find(|name| *name == host));
    named.next().cloned()
}

/// Which of the waiting workloads to look at first. A failure explains more than a workload that is only slow, and that
/// more than one that waits for another. A program that ends because its server does not answer is not the cause: the
/// server is, if it is not ready either. `known` are the names of Services and workloads.
pub(super) fn first<'a>(
    waiting: &[&'a Assessment<'a>],
    known: &[String],
) -> Option<&'a Assessment<'a>> {
    let failed = waiting.iter().find(|a| a.cause().is_some());
    let slow = || {
        waiting
            .iter()
            .find(|a| InitWait::of(&a.pods, known).is_none())
    };
    let mut first = *failed.or_else(slow).or(waiting.first())?;
    let mut passed = vec![];
    while let Some(server) = server(first, waiting) {
        // Two that name each other.
        if passed.contains(&server.workload) {
            break;
        }
        passed.push(first.workload);
        first = server;
    }
    Some(first)
}

/// The waiting workload that one that crashes names in its command or its environment.
fn server<'a>(
    crashing: &Assessment<'_>,
    waiting: &[&'a Assessment<'a>],
) -> Option<&'a Assessment<'a>> {
    let others = waiting.iter().filter(|a| a.workload != crashing.workload);
    let names: Vec<_> = others.clone().map(|a| a.workload.name.clone()).collect();
    crashing
        .failures
        .first()
        .filter(|failure| failure.has_logs())?;
    let specs = crashing.pods.iter().filter_map(|pod| pod.spec.as_ref());
    let name = specs
        .flat_map(|spec| &spec.containers)
        .find_map(|container| awaited(container, &names))?;
    others.copied().find(|a| a.workload.name == name)
}

/// The hint for a workload that is not ready. `known` are the names of Services and workloads.
pub(super) fn hint(
    assessment: &Assessment<'_>,
    init: Option<&InitWait>,
    workloads: &[Workload],
) -> String {
    let workload = assessment.workload;
    let namespace = workload.namespace.as_str();
    if let Some(pod) = &assessment.stuck {
        return on_cluster(format!(
            "kubectl delete pod {} --namespace {namespace}",
            pod.name
        ));
    }
    if assessment.state == WorkloadState::Missing {
        return "devk up".to_owned();
    }
    let logs = || format!("devk logs {}", workload.name);
    let itself = || describe(workload.kind.noun(), &workload.name, namespace);
    match (assessment.failures.first(), init) {
        (Some(failure), _) if failure.has_logs() => logs(),
        (Some(failure), _) if failure.reason == Reason::NoPod => itself(),
        (Some(failure), _) => describe("pod", &failure.pod, namespace),
        (None, Some(init)) => init.command(namespace, workloads),
        (None, None) if assessment.pods.iter().any(|pod| has_run(pod)) => logs(),
        (None, None) => match assessment.pods.first() {
            Some(pod) => describe("pod", &pod.name_any(), namespace),
            None => itself(),
        },
    }
}

fn describe(kind: &str, name: &str, namespace: &str) -> String {
    on_cluster(format!(
        "kubectl describe {kind} {} --namespace {namespace}",
        quote(name)
    ))
}

fn has_run(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    statuses.into_iter().any(|status| {
        let state = status.state.as_ref();
        status.restart_count > 0
            || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::release::manifest::WorkloadKind;
    use crate::release::readiness::snapshot::NamespaceSnapshot;
    use k8s_openapi::api::apps::v1::Deployment;

    fn workload(kind: WorkloadKind, name: &str) -> Workload {
        Workload {
            kind,
            namespace: "shop".into(),
            name: name.into(),
            expires: false,
        }
    }

    fn pod(init: &Value, state: Value, reason: Option<&str>) -> Arc<Pod> {
        let status = |name: &str, state: Value| json!({"name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let condition = reason.map(|reason| {
            json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": "no room"})
        });
        let pod = json!({"metadata": {"name": "api-1", "namespace": "shop", "labels": {"app": "api"}},
            "spec": {"initContainers": [init], "containers": [{"name": "api"}]},
            "status": {"phase": "Pending", "conditions": condition.into_iter().collect::<Vec<_>>(),
                "initContainerStatuses": [status("wait", state)]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn hint_for(pods: Vec<Arc<Pod>>) -> String {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "api", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "api"}}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1},
        }))
        .unwrap();
        let snapshot = NamespaceSnapshot {
            namespace: "shop".into(),
            deployments: vec![Arc::new(deployment)],
            pods,
            ..NamespaceSnapshot::default()
        };
        let api = workload(WorkloadKind::Deployment, "api");
        let assessment = snapshot.assess(&api);
        let known = ["db".to_owned(), "cache".to_owned()];
        let init = InitWait::of(&assessment.pods, &known);
        let workloads = [workload(WorkloadKind::StatefulSet, "db")];
        hint(&assessment, init.as_ref(), &workloads)
    }

    const RUNNING: &str = "--namespace shop --kubeconfig \"$(devk kubeconfig)\"";

    #[test]
    fn a_pod_that_never_ran_has_no_logs_to_read() {
        let init = json!({"name": "wait"});
        let waiting = json!({"waiting": {"reason": "PodInitializing"}});
        assert_eq!(
            hint_for(vec![pod(&init, waiting.clone(), Some("Unschedulable"))]),
            format!("kubectl describe pod api-1 {RUNNING}")
        );
        assert_eq!(
            hint_for(vec![pod(&init, waiting, None)]),
            format!("kubectl describe pod api-1 {RUNNING}")
        );
        assert_eq!(
            hint_for(vec![]),
            format!("kubectl describe deployment api {RUNNING}")
        );
    }

    #[test]
    fn what_an_init_container_waits_for_is_named() {
        let running = json!({"running": {}});
        let of = |init: Value| hint_for(vec![pod(&init, running.clone(), None)]);
        assert_eq!(
            of(
                json!({"name": "wait", "command": ["sh", "-c", "until pg_isready -h db.shop -p 5432; do sleep 1; done"]})
            ),
            format!("kubectl describe statefulset db {RUNNING}")
        );
        assert_eq!(
            of(
                json!({"name": "wait", "args": ["x"], "env": [{"name": "URL", "value": "redis://cache:6379/0"}]})
            ),
            format!("kubectl describe service cache {RUNNING}")
        );
        assert_eq!(
            of(json!({"name": "wait", "command": ["migrate-dbs"]})),
            format!("kubectl logs api-1 --container wait {RUNNING}")
        );
        let ended = json!({"terminated": {"exitCode": 0}});
        assert_eq!(
            hint_for(vec![pod(&json!({"name": "wait"}), ended, None)]),
            "devk logs api"
        );
    }
}
