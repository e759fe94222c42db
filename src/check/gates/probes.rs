//! Probes of containers that run on and serve something. A pod without ports and without a Service has nobody who waits
//! for it, and is asked for none.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{
    ChartObject, ContainerKind, ContainerView, PodView, RenderingView, selects, texts,
};

rules! { Performance;
    "probes.readiness" Medium, Probes 6, On, Rendering(readiness):
        "without a readiness probe a pod gets connections before its program listens, at each start and each upgrade",
        "add a `readinessProbe` that asks what a client would ask",
        "Kubernetes, \"Liveness, Readiness, and Startup Probes\"";
    "probes.liveness" Medium, Probes 4, On, Rendering(liveness):
        "nothing starts a program again that hangs and does not end",
        "add a `livenessProbe` that asks for the program itself, and for nothing that it depends on",
        "Kubernetes, \"Liveness, Readiness, and Startup Probes\"";
    "probes.same" Medium, Probes 2, On, Rendering(same):
        "both probes fail together, so a program that is only busy is started anew instead of being left alone",
        "give the liveness probe another path or a longer `failureThreshold`",
        "Kubernetes, \"Configure Liveness, Readiness and Startup Probes\"";
    "probes.port" High, Foundation 5, On, Rendering(port):
        "the probe asks a port that the container does not have: it never succeeds",
        "name a port of the container",
        "Kubernetes, \"Configure Liveness, Readiness and Startup Probes\"";
    "probes.startup" Low, Probes 0, Off, Rendering(startup):
        "a long `initialDelaySeconds` makes every start as slow as the slowest",
        "add a `startupProbe`, and remove the delay",
        "Kubernetes, \"Configure Liveness, Readiness and Startup Probes\"";
    "probes.hasty" Low, Probes 0, Off, Rendering(hasty):
        "a program that is busy for less than 10 s is started anew",
        "raise `periodSeconds` or `failureThreshold` of the liveness probe",
        "Kubernetes, \"Configure Liveness, Readiness and Startup Probes\"";
}

const KINDS: [&str; 3] = ["readinessProbe", "livenessProbe", "startupProbe"];

/// The containers that serve something: of workloads that run on, with a port, or alone in a pod that a Service selects.
fn serving<'v, 'a>(
    view: &'v RenderingView<'a>,
) -> Vec<(&'v ChartObject<'a>, &'v ContainerView<'a>)> {
    let services: Vec<_> = view
        .of_kind("Service")
        .map(|service| (service.namespace, texts(&service.spec()["selector"])))
        .collect();
    let is_selected = |object: &ChartObject<'_>, pod: &PodView<'_>| {
        let labels = pod.labels();
        let of_namespace = services.iter().filter(|(ns, _)| *ns == object.namespace);
        of_namespace
            .into_iter()
            .any(|(_, selector)| selects(selector, &labels))
    };
    let mut found = vec![];
    for (object, pod) in view.services() {
        let mains = pod
            .containers
            .iter()
            .filter(|c| c.kind == ContainerKind::Main);
        let mains: Vec<_> = mains.collect();
        let has_port = |container: &&&ContainerView<'_>| container.ports().next().is_some();
        let with_ports: Vec<_> = mains.iter().filter(has_port).copied().collect();
        let serving = match (with_ports.is_empty(), mains.first()) {
            (false, _) => with_ports,
            (true, Some(first)) if is_selected(object, pod) => vec![*first],
            _ => vec![],
        };
        found.extend(serving.into_iter().map(|container| (object, container)));
    }
    found
}

fn readiness(view: &RenderingView<'_>, seen: &mut Sightings) {
    lacking(
        view,
        seen,
        "/readinessProbe",
        &["readinessProbe", "probes"],
        "readiness",
    );
}

fn liveness(view: &RenderingView<'_>, seen: &mut Sightings) {
    lacking(
        view,
        seen,
        "/livenessProbe",
        &["livenessProbe", "probes"],
        "liveness",
    );
}

/// Tells of the containers without a probe, whose place is below the container.
fn lacking(
    view: &RenderingView<'_>,
    seen: &mut Sightings,
    below: &str,
    values: &'static [&'static str],
    word: &str,
) {
    for (object, container) in serving(view) {
        if container.json.pointer(below).is_none_or(Value::is_null) {
            let message = format!("container `{}` has no {word} probe", container.name);
            seen.container(object, container, below, values, message);
        }
    }
}

/// What a probe does, without its times.
fn action(probe: &Value) -> Vec<(&str, &Value)> {
    let keys = ["httpGet", "tcpSocket", "exec", "grpc"].into_iter();
    keys.filter_map(|key| Some((key, probe.get(key)?)))
        .collect()
}

fn times(probe: &Value) -> (u64, u64) {
    let number = |key: &str, default| probe[key].as_u64().unwrap_or(default);
    (number("periodSeconds", 10), number("failureThreshold", 3))
}

fn same(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in serving(view) {
        let (live, ready) = (
            &container.json["livenessProbe"],
            &container.json["readinessProbe"],
        );
        let is_same = !live.is_null() && action(live) == action(ready);
        // One that waits longer than the other is another one.
        let waits = |probe: &Value| times(probe).0.saturating_mul(times(probe).1);
        if is_same && waits(live) <= waits(ready) {
            let message = format!("the probes of container `{}` are the same", container.name);
            seen.container(
                object,
                container,
                "/livenessProbe",
                &["livenessProbe"],
                message,
            );
        }
    }
}

fn port(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        for container in &pod.containers {
            let names: BTreeSet<_> = container.ports().filter_map(|(name, _)| name).collect();
            let numbers: BTreeSet<_> = container.ports().map(|(_, number)| number).collect();
            for kind in KINDS {
                let probe = &container.json[kind];
                for action in ["httpGet", "tcpSocket"] {
                    let port = &probe[action]["port"];
                    let is_unknown = match port {
                        Value::String(name) if name.parse::<u16>().is_err() => {
                            !names.contains(name.as_str())
                        }
                        // Ports need not be declared; where some are, another number is a mistake.
                        Value::Number(number) => {
                            !numbers.is_empty()
                                && !number.as_u64().is_some_and(|n| numbers.contains(&n))
                                && probe[action]["host"].is_null()
                        }
                        _ => false,
                    };
                    if is_unknown {
                        let message = format!(
                            "container `{}` has no port {port} for its {kind}",
                            container.name
                        );
                        let below = format!("/{kind}/{action}/port");
                        seen.container(object, container, &below, &[], message);
                    }
                }
            }
        }
    }
}

fn startup(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in serving(view) {
        let delay = container.json["livenessProbe"]["initialDelaySeconds"].as_u64();
        if delay.unwrap_or_default() >= 60 && container.json["startupProbe"].is_null() {
            let message = format!(
                "container `{}` waits long for its liveness probe",
                container.name
            );
            let below = "/livenessProbe/initialDelaySeconds";
            seen.container(object, container, below, &["initialDelaySeconds"], message);
        }
    }
}

fn hasty(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, container) in serving(view) {
        let probe = &container.json["livenessProbe"];
        let (period, failures) = times(probe);
        if !probe.is_null() && period.saturating_mul(failures) < 10 {
            let message = format!(
                "the liveness probe of container `{}` gives up early",
                container.name
            );
            seen.container(
                object,
                container,
                "/livenessProbe",
                &["livenessProbe"],
                message,
            );
        }
    }
}
