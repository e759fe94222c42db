//! Who may connect; and what a chart for production has besides: replicas by load, a budget for disruptions, a monitor.

use super::lines::ChartLines;
use super::pod::network_label;
use super::pod::object_name;
use super::workload::{head, selector, service_name};
use crate::new_chart::model::{ChartModel, Component, ComponentKind};

/// A policy for each component, off unless the values say otherwise.
pub(super) fn network_policies(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    out.line(0, "{{- if .Values.networkPolicy.enabled }}");
    let mut all = model
        .components
        .iter()
        .filter(|component| component.kind != ComponentKind::Job)
        .peekable();
    while let Some(component) = all.next() {
        policy(&mut out, model, component);
        if all.peek().is_some() {
            out.line(0, "---");
        }
    }
    out.line(0, "{{- end }}");
    out.0
}

fn policy(out: &mut ChartLines, model: &ChartModel, component: &Component) {
    head(
        out,
        model,
        component,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        &object_name(model, component),
    );
    out.line(0, "spec:");
    out.line(2, "podSelector:");
    out.line(4, "matchLabels:");
    selector(out, 6, model, component);
    out.line(2, "policyTypes: [Ingress]");
    if model.for_production {
        let from = format!(".Values.{}.networkPolicyFrom", component.key);
        out.line(2, "ingress:");
        out.line(4, "- ports:");
        port_range(out, component);
        out.line(6, format!("{{{{- with {from} }}}}"));
        out.line(6, "from:");
        out.line(8, "- podSelector:");
        out.line(12, "matchLabels:");
        out.line(
            14,
            format!(
                "{{{{- include \"{}.selectorLabels\" $ | nindent 14 }}}}",
                model.name
            ),
        );
        out.line(8, "{{- toYaml . | nindent 8 }}");
        out.line(6, "{{- end }}");
        return;
    }
    if component.networks.is_empty() && component.published.is_empty() {
        out.line(2, "ingress: []");
        return;
    }
    out.line(2, "ingress:");
    if !component.networks.is_empty() {
        out.line(4, "- from:");
        for network in &component.networks {
            out.line(8, "- podSelector:");
            out.line(12, "matchLabels:");
            out.line(
                14,
                format!(
                    "{{{{- include \"{}.selectorLabels\" . | nindent 14 }}}}",
                    model.name
                ),
            );
            out.line(
                14,
                format!("network.compose/{}: \"true\"", network_label(network)),
            );
        }
    }
    if !component.published.is_empty() {
        out.line(4, "- ports:");
        let mut published = component.published.clone();
        published.sort_unstable();
        published.dedup();
        for port in published {
            let protocol = component
                .ports
                .iter()
                .find(|known| known.number == port)
                .map_or("TCP", |known| known.protocol.as_str());
            out.line(8, format!("- port: {port}"));
            out.line(10, format!("protocol: {protocol}"));
        }
    }
}

fn port_range(out: &mut ChartLines, component: &Component) {
    out.line(
        8,
        format!("{{{{- range .Values.{}.service.ports }}}}", component.key),
    );
    out.line(8, "- port: {{ .targetPort | default .port }}");
    out.line(10, "protocol: {{ .protocol | default \"TCP\" }}");
    out.line(8, "{{- end }}");
}

/// Files that only a chart for production has.
pub(super) fn for_production<'a>(
    model: &'a ChartModel,
    component: &'a Component,
) -> impl Iterator<Item = (&'static str, String)> + use<'a> {
    let files = [
        ("pdb.yaml", Some(budget(model, component))),
        (
            "hpa.yaml",
            (component.kind == ComponentKind::Deployment).then(|| autoscaler(model, component)),
        ),
        ("servicemonitor.yaml", Some(monitor(model, component))),
    ];
    files
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
}

fn budget(model: &ChartModel, component: &Component) -> String {
    let mut out = ChartLines::default();
    let values = format!(".Values.{}", component.key);
    let several = match component.kind {
        ComponentKind::Deployment => {
            format!("(or {values}.autoscaling.enabled (gt (int {values}.replicas) 1))")
        }
        _ => format!("(gt (int {values}.replicas) 1)"),
    };
    out.line(
        0,
        format!("{{{{- if and {values}.podDisruptionBudget.enabled {several} }}}}"),
    );
    head(
        &mut out,
        model,
        component,
        "policy/v1",
        "PodDisruptionBudget",
        &object_name(model, component),
    );
    out.line(0, "spec:");
    out.line(
        2,
        format!("maxUnavailable: {{{{ {values}.podDisruptionBudget.maxUnavailable }}}}"),
    );
    out.line(2, "selector:");
    out.line(4, "matchLabels:");
    selector(&mut out, 6, model, component);
    out.line(0, "{{- end }}");
    out.0
}

fn autoscaler(model: &ChartModel, component: &Component) -> String {
    let mut out = ChartLines::default();
    let values = format!(".Values.{}.autoscaling", component.key);
    out.line(0, format!("{{{{- if {values}.enabled }}}}"));
    head(
        &mut out,
        model,
        component,
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        &object_name(model, component),
    );
    out.line(0, "spec:");
    out.line(2, "scaleTargetRef:");
    out.line(4, "apiVersion: apps/v1");
    out.line(4, "kind: Deployment");
    out.line(4, format!("name: {}", object_name(model, component)));
    out.line(2, format!("minReplicas: {{{{ {values}.minReplicas }}}}"));
    out.line(2, format!("maxReplicas: {{{{ {values}.maxReplicas }}}}"));
    out.line(2, "metrics:");
    out.line(4, "- type: Resource");
    out.line(6, "resource:");
    out.line(8, "name: cpu");
    out.line(8, "target:");
    out.line(10, "type: Utilization");
    out.line(
        10,
        format!("averageUtilization: {{{{ {values}.targetCPUUtilizationPercentage }}}}"),
    );
    out.line(0, "{{- end }}");
    out.0
}

fn monitor(model: &ChartModel, component: &Component) -> String {
    let mut out = ChartLines::default();
    let values = format!(".Values.{}.metrics", component.key);
    out.line(
        0,
        format!("{{{{- if and {values}.enabled {values}.serviceMonitor.enabled }}}}"),
    );
    head(
        &mut out,
        model,
        component,
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        &service_name(model, ""),
    );
    out.line(4, format!("{{{{- with {values}.serviceMonitor.labels }}}}"));
    out.line(4, "{{- toYaml . | nindent 4 }}");
    out.line(4, "{{- end }}");
    out.line(0, "spec:");
    out.line(2, "selector:");
    out.line(4, "matchLabels:");
    selector(&mut out, 6, model, component);
    out.line(2, "endpoints:");
    out.line(4, format!("- port: {{{{ {values}.port }}}}"));
    out.line(6, format!("path: {{{{ {values}.path }}}}"));
    out.line(
        6,
        format!("interval: {{{{ {values}.serviceMonitor.interval }}}}"),
    );
    out.line(0, "{{- end }}");
    out.0
}
