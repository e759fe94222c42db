//! Requests and limits. Nothing asks for a limit of CPU: a container at its limit is slowed down although the node idles.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, ContainerKind, ContainerView, RenderingView};
use crate::quantity::thousandths;

rules! { Performance;
    "resources.cpu-request" Medium, Resources 6, On, Rendering(cpu_request):
        "without a request the scheduler takes the container for one that needs no CPU, and puts too many on a node",
        "set `resources.requests.cpu` to what the container needs in ordinary use",
        "Kubernetes, \"Resource Management for Pods and Containers\"";
    "resources.memory-request" Medium, Resources 7, On, Rendering(memory_request):
        "a container without a request is among the first that a node short of memory ends",
        "set `resources.requests.memory`",
        "Kubernetes, \"Resource Management for Pods and Containers\"; \"Node-pressure Eviction\"";
    "resources.memory-limit" Medium, Resources 7, On, Rendering(memory_limit):
        "a leak in a container without a limit takes the memory of everything else on the node",
        "set `resources.limits.memory`",
        "Kubernetes, \"Resource Management for Pods and Containers\"";
    "resources.limit-below-request" High, Foundation 10, On, Rendering(limit_below_request):
        "the API server refuses a container whose limit is below its request",
        "raise the limit, or lower the request",
        "Kubernetes, \"Resource Management for Pods and Containers\"";
    "resources.large-request" Low, Resources 2, Off, Rendering(large_request):
        "a request of more than 4 CPUs or 8 GiB does not fit on a small cluster, and the pod stays Pending there",
        "request less by default, and more in the values of the cluster that has it",
        "devk: the nodes of a cluster on a developer's machine";
    "resources.wide-limit" Low, Resources 0, Off, Rendering(wide_limit):
        "a limit of memory of more than four times the request promises what the node may not have",
        "bring request and limit closer together",
        "Kubernetes, \"Pod Quality of Service Classes\"";
    "resources.init-container" Low, Resources 0, Off, Rendering(init_container):
        "an init container without a request is taken for one that needs nothing",
        "set `resources.requests` of the init container",
        "Kubernetes, \"Init Containers\": Resource sharing within containers";
    "resources.ephemeral-storage" Low, Resources 0, Off, Rendering(ephemeral_storage):
        "a container without a limit of ephemeral storage may fill the disk of the node",
        "set `resources.limits.ephemeral-storage`",
        "Kubernetes, \"Local ephemeral storage\"";
    "resources.hook" Low, Resources 0, Off, Rendering(hook):
        "a hook without a request is taken for one that needs nothing",
        "set `resources.requests` of the hook's container",
        "Kubernetes, \"Resource Management for Pods and Containers\"";
}

const VALUES: &[&str] = &["resources"];

/// A quantity of a container: `cpu` of `requests`.
pub(in crate::check) fn amount(container: &ContainerView<'_>, of: &str, what: &str) -> Option<f64> {
    match &container.json["resources"][of][what] {
        Value::String(text) => thousandths(text),
        Value::Number(number) => thousandths(&number.to_string()),
        _ => None,
    }
}

fn is_set(container: &ContainerView<'_>, of: &str, what: &str) -> bool {
    !container.json["resources"][of][what].is_null()
}

/// The containers of workloads that run beside each other. Of a bare Job only its own container counts: it is one, too.
fn running<'v, 'a>(
    view: &'v RenderingView<'a>,
) -> impl Iterator<Item = (&'v ChartObject<'a>, &'v ContainerView<'a>)> {
    view.workloads()
        .flat_map(|(object, pod)| pod.running().map(move |container| (object, container)))
}

/// Tells of the containers that say a resource in none of these places; it would stand in the first.
fn lacking(
    view: &RenderingView<'_>,
    seen: &mut Sightings,
    (places, what): (&[&str], &str),
    lack: &str,
) {
    for (object, container) in running(view) {
        if !places.iter().any(|of| is_set(container, of, what)) {
            let below = format!("/resources/{}/{what}", places[0]);
            let message = format!("container `{}` {lack}", container.name);
            seen.container(object, container, &below, VALUES, message);
        }
    }
}

/// A request that is left out is the limit.
const REQUEST: &[&str] = &["requests", "limits"];

fn cpu_request(view: &RenderingView<'_>, seen: &mut Sightings) {
    lacking(view, seen, (REQUEST, "cpu"), "requests no CPU");
}

fn memory_request(view: &RenderingView<'_>, seen: &mut Sightings) {
    lacking(view, seen, (REQUEST, "memory"), "requests no memory");
}

fn memory_limit(view: &RenderingView<'_>, seen: &mut Sightings) {
    lacking(
        view,
        seen,
        (&["limits"], "memory"),
        "has no limit of memory",
    );
}

fn limit_below_request(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        for container in &pod.containers {
            for what in ["cpu", "memory", "ephemeral-storage"] {
                let request = amount(container, "requests", what);
                let limit = amount(container, "limits", what);
                if request
                    .zip(limit)
                    .is_some_and(|(request, limit)| limit < request)
                {
                    let message = format!(
                        "container `{}` has a limit of {what} below its request",
                        container.name
                    );
                    let below = format!("/resources/limits/{what}");
                    seen.container(object, container, &below, VALUES, message);
                }
            }
        }
    }
}

/// 4 CPUs and 8 GiB, in thousandths.
const LARGE: [(&str, f64); 2] = [("cpu", 4e3), ("memory", 8.0 * 1_073_741_824e3)];

fn large_request(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in running(view) {
        for (what, most) in LARGE {
            if amount(container, "requests", what).is_some_and(|request| request > most) {
                let message = format!("container `{}` requests much {what}", container.name);
                let below = format!("/resources/requests/{what}");
                seen.container(object, container, &below, VALUES, message);
            }
        }
    }
}

fn wide_limit(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in running(view) {
        let request = amount(container, "requests", "memory");
        let limit = amount(container, "limits", "memory");
        if request
            .zip(limit)
            .is_some_and(|(request, limit)| limit > 4.0 * request)
        {
            let message = format!(
                "container `{}` has a limit of memory of more than four times its request",
                container.name
            );
            seen.container(
                object,
                container,
                "/resources/limits/memory",
                VALUES,
                message,
            );
        }
    }
}

fn init_container(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.workloads() {
        let inits = pod
            .containers
            .iter()
            .filter(|c| c.kind == ContainerKind::Init);
        for container in inits.filter(|c| c.json["resources"]["requests"].is_null()) {
            let message = format!("init container `{}` requests nothing", container.name);
            seen.container(object, container, "/resources", VALUES, message);
        }
    }
}

fn ephemeral_storage(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in running(view) {
        if !is_set(container, "limits", "ephemeral-storage") {
            let message = format!(
                "container `{}` has no limit of ephemeral storage",
                container.name
            );
            seen.container(object, container, "/resources/limits", VALUES, message);
        }
    }
}

fn hook(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods().filter(|(object, _)| !object.is_installed()) {
        let unset = |c: &&ContainerView<'_>| c.json["resources"]["requests"].is_null();
        for container in pod.containers.iter().filter(unset) {
            let message = format!(
                "container `{}` of the hook requests nothing",
                container.name
            );
            seen.container(object, container, "/resources", VALUES, message);
        }
    }
}
