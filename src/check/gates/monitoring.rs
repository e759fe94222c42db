//! Whether somebody measures what runs: annotations of Prometheus, ServiceMonitors, PodMonitors.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, ChartView, PodView, RenderingView, list, selects, texts};
use super::objects::selected;

rules! { Operational;
    "monitoring.none" Medium, Monitoring 10, On, Chart(none):
        "nobody learns that a program which runs is slow or fails: nothing of the chart says where its metrics are",
        "annotate the pods (`prometheus.io/scrape: \"true\"`, `prometheus.io/port`), or add a ServiceMonitor behind `metrics.enabled`",
        "Prometheus, \"Configuration\": kubernetes_sd_config; Prometheus Operator, \"Design\"";
    "monitoring.port" Medium, Monitoring 3, Off, Rendering(port):
        "the annotation names a port that no container has, so no metric is read",
        "name the port of the container that serves metrics",
        "Prometheus, \"Configuration\": kubernetes_sd_config";
    "monitoring.selector" Medium, Monitoring 3, Off, Every(selector):
        "the monitor selects nothing of the chart, or a port that is not there, so no metric is read",
        "make the selector the labels of the Service, and `port` a port's name",
        "Prometheus Operator, \"Troubleshooting\": ServiceMonitor";
    "monitoring.workload" Medium, Foundation 0, Constraint, Rendering(each_workload):
        "`check.monitoring` asks that every workload with a port is monitored",
        "annotate the pods, or add a ServiceMonitor or PodMonitor",
        "`check.monitoring`";
}

fn is_annotated(annotations: &BTreeMap<&str, &str>) -> bool {
    // Others than Prometheus have keys of their own that end in the same way.
    annotations
        .iter()
        .any(|(key, value)| key.ends_with("/scrape") && *value == "true")
        || annotations
            .keys()
            .any(|key| key.starts_with("ad.datadoghq.com/"))
}

fn is_monitor(object: &ChartObject<'_>) -> bool {
    [
        "ServiceMonitor",
        "PodMonitor",
        "VMServiceScrape",
        "VMPodScrape",
        "PodMonitoring",
    ]
    .contains(&object.kind)
}

/// Whether anything says where the metrics of a pod are.
fn is_monitored(view: &RenderingView<'_>, object: &ChartObject<'_>, pod: &PodView<'_>) -> bool {
    let labels = pod.labels();
    let services = view.of_kind("Service").filter(|service| {
        service.namespace == object.namespace
            && selects(&texts(&service.spec()["selector"]), &labels)
    });
    let services: Vec<_> = services.collect();
    let of_service =
        |service: &&ChartObject<'_>| is_annotated(&texts(&service.json["metadata"]["annotations"]));
    let by_monitor = view
        .installed()
        .filter(|object| is_monitor(object))
        .any(|monitor| {
            let selector = texts(&monitor.spec()["selector"]["matchLabels"]);
            let is_of_pods = monitor.kind.contains("Pod");
            let of_service = |service: &&ChartObject<'_>| {
                selects(&selector, &texts(&service.json["metadata"]["labels"]))
            };
            match is_of_pods {
                true => selects(&selector, &labels),
                false => services.iter().any(of_service),
            }
        });
    is_annotated(&pod.annotations()) || services.iter().any(of_service) || by_monitor
}

/// One chart, one finding: a value that turns the monitoring on is enough.
fn none(view: &ChartView<'_>, seen: &mut Sightings) {
    let has_services = view
        .judged()
        .any(|rendering| rendering.services().next().is_some());
    let is_any = view.renderings.iter().any(|rendering| {
        rendering.installed().any(is_monitor)
            || rendering
                .services()
                .any(|(object, pod)| is_monitored(rendering, object, pod))
    });
    if has_services && !is_any {
        let first = view
            .judged()
            .find_map(|rendering| rendering.services().next());
        if let Some((object, pod)) = first {
            let path = format!("{}/metadata", pod.path);
            let values = &["podAnnotations", "metrics", "serviceMonitor"];
            let message = "nothing of the chart says where metrics are";
            seen.governed(object, &path, values, message);
        }
    }
}

fn each_workload(view: &RenderingView<'_>, seen: &mut Sightings) {
    if !view.constraints.monitoring {
        return;
    }
    for (object, pod) in view.services() {
        let has_port = !pod.ports().is_empty();
        if has_port && !is_monitored(view, object, pod) {
            let path = format!("{}/metadata", pod.path);
            let message = "nothing says where the metrics of the workload are";
            seen.governed(object, &path, &["podAnnotations", "metrics"], message);
        }
    }
}

fn port(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let annotations = pod.annotations();
        let Some(text) = annotations.get("prometheus.io/port") else {
            continue;
        };
        let ports = pod.ports();
        let is_known = ports
            .iter()
            .any(|(name, number)| *name == Some(*text) || number.to_string() == *text);
        if !ports.is_empty() && !is_known {
            let path = format!("{}/metadata/annotations/prometheus.io~1port", pod.path);
            let message = format!("no container has the port `{text}`");
            seen.object(object, &path, message);
        }
    }
}

fn selector(view: &RenderingView<'_>, seen: &mut Sightings) {
    for monitor in view.of_kind("ServiceMonitor") {
        let labels = texts(&monitor.spec()["selector"]["matchLabels"]);
        if labels.is_empty() {
            continue;
        }
        let services: Vec<_> = view
            .of_kind("Service")
            .filter(|service| selects(&labels, &texts(&service.json["metadata"]["labels"])))
            .collect();
        if services.is_empty() {
            seen.object(
                monitor,
                "/spec/selector",
                "the monitor selects no Service of the chart",
            );
            continue;
        }
        for (at, endpoint) in list(&monitor.spec()["endpoints"]).iter().enumerate() {
            let Some(name) = endpoint["port"].as_str() else {
                continue;
            };
            let has = |service: &&ChartObject<'_>| {
                list(&service.spec()["ports"])
                    .iter()
                    .any(|port| port["name"] == name)
            };
            if !services.iter().any(has) {
                let message = format!("no selected Service has a port `{name}`");
                seen.object(monitor, &format!("/spec/endpoints/{at}/port"), message);
            }
        }
    }
    for monitor in view.of_kind("PodMonitor") {
        let labels = texts(&monitor.spec()["selector"]["matchLabels"]);
        let is_none = selected(view, monitor.namespace, &labels).is_empty();
        if !labels.is_empty() && is_none && monitor.spec()["namespaceSelector"] == Value::Null {
            seen.object(
                monitor,
                "/spec/selector",
                "the monitor selects no pod of the chart",
            );
        }
    }
}
