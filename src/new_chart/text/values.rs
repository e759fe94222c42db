//! values.yaml, and the values of this machine.

use serde_json::{Map, Value, json};

use super::lines::{ChartLines, scalar};
use crate::new_chart::model::{ChartModel, Component, ComponentImage, ComponentKind};

/// values.yaml with its comments.
pub(super) fn text(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    out.comment(
        0,
        &format!(
            "Values of the chart {}. values.schema.json says what each may be.",
            model.name
        ),
    );
    out.line(0, "");
    out.comment(
        0,
        "In place of the chart's name, and of release and chart together, in the names of objects.",
    );
    out.line(0, "nameOverride: \"\"");
    out.line(0, "fullnameOverride: \"\"");
    out.comment(0, "Labels on every object.");
    out.line(0, "commonLabels: {}");
    out.comment(
        0,
        "Names of Secrets for the registries: [{name: registry}].",
    );
    out.line(0, "imagePullSecrets: []");
    out.line(0, "serviceAccount:");
    out.line(2, "create: true");
    out.comment(2, "Empty: the name of the release's objects.");
    out.line(2, "name: \"\"");
    out.line(2, "annotations: {}");
    out.comment(0, network_comment(model));
    out.line(0, "networkPolicy:");
    out.line(2, format!("enabled: {}", model.for_production));
    secrets(&mut out, model);
    claims(&mut out, model);
    if model
        .components
        .iter()
        .any(|component| !component.waits.is_empty())
    {
        out.line(0, "");
        out.comment(0, "Of the containers that wait before a program starts.");
        out.value(
            0,
            "waitResources",
            &json!({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}),
        );
    }
    for component in &model.components {
        out.line(0, "");
        one(&mut out, model, component);
    }
    out.0
}

fn network_comment(model: &ChartModel) -> &'static str {
    match model.for_production {
        true => "Only pods of this release, and those that `from` names, reach the ports.",
        false => {
            "Only pods of one Compose network reach each other, and everybody the ports that Compose publishes."
        }
    }
}

fn secrets(out: &mut ChartLines, model: &ChartModel) {
    if model.secrets.is_empty() {
        return;
    }
    out.line(0, "");
    out.comment(
        0,
        "A Secret of yours with the keys below, in place of the chart's own.",
    );
    out.line(0, "existingSecret: \"\"");
    out.comment(0, "No secret belongs in this file: give the values at the install. Each is named by the variables and files that are it.");
    out.line(0, "secrets:");
    for secret in &model.secrets {
        out.comment(2, &secret.comment);
        out.line(2, format!("{}: \"\"", secret.key));
    }
}

fn claims(out: &mut ChartLines, model: &ChartModel) {
    if model.claims.is_empty() {
        return;
    }
    out.line(0, "");
    out.comment(
        0,
        "Volumes that several pods mount. With ReadWriteOnce all of them run on one node.",
    );
    out.line(0, "volumes:");
    for claim in &model.claims {
        out.comment(2, &claim.comment);
        out.value(
            2,
            &claim.key,
            &json!({"size": claim.size, "accessMode": "ReadWriteOnce", "storageClassName": ""}),
        );
    }
}

fn one(out: &mut ChartLines, model: &ChartModel, component: &Component) {
    let is_job = component.kind == ComponentKind::Job;
    out.comment(0, &component.comment);
    out.line(0, format!("{}:", component.key));
    if !model.for_production {
        out.line(2, format!("enabled: {}", component.enabled));
    }
    out.value(2, "image", &image(&component.image));
    if is_job {
        out.comment(2, "So often the Job is tried again.");
        out.line(2, "backoffLimit: 6");
    } else {
        out.line(2, format!("replicas: {}", component.replicas));
    }
    out.comment(2, "In place of the image's entry point and command, if they are not empty. $(NAME) is a variable below.");
    out.value(
        2,
        "command",
        &json!(component.command.clone().unwrap_or_default()),
    );
    out.value(
        2,
        "args",
        &json!(component.args.clone().unwrap_or_default()),
    );
    out.comment(
        2,
        "Variables. Those of secretEnv are keys of the Secret; a value may name them as $(NAME).",
    );
    out.value(2, "env", &json!(component.env));
    if !component.env_file.is_empty() {
        out.comment(2, "Of Compose's env files; in a ConfigMap.");
        out.value(2, "envFile", &json!(component.env_file));
    }
    if !component.secret_env.is_empty() {
        out.value(2, "secretEnv", &json!(component.secret_env));
    }
    if !is_job {
        ports(out, component);
        probes(out, component);
    }
    out.comment(
        2,
        "No limit of the processor: it would only slow the program down.",
    );
    out.value(2, "resources", &component.resources);
    persistence(out, component);
    if !component.security_comment.is_empty() {
        out.comment(2, &component.security_comment);
    }
    out.value(2, "podSecurityContext", &component.pod_security);
    out.value(2, "securityContext", &component.security);
    out.line(
        2,
        format!("terminationGracePeriodSeconds: {}", component.grace),
    );
    if model.for_production {
        for_production(out, component);
    } else if component.may_have_metrics() {
        out.comment(2, "Annotations for a Prometheus that looks for them, at the first port. Off: Compose does not say whether the program has metrics.");
        out.value(2, "metrics", &json!({"enabled": false, "path": "/metrics"}));
    }
    annotations(out, component);
    for key in ["podLabels", "nodeSelector", "affinity"] {
        out.line(2, format!("{key}: {{}}"));
    }
    out.line(2, "tolerations: []");
}

fn annotations(out: &mut ChartLines, component: &Component) {
    let kept: Vec<_> = component.kept_volumes().collect();
    let mut all = component.annotations.clone();
    if !kept.is_empty() {
        out.comment(
            2,
            "Velero's file system backup takes these volumes; without Velero it means nothing.",
        );
        all.entry("backup.velero.io/backup-volumes".to_owned())
            .or_insert_with(|| kept.join(","));
    }
    out.value(2, "podAnnotations", &json!(all));
}

fn image(image: &ComponentImage) -> Value {
    json!({"repository": image.repository, "tag": image.tag, "digest": image.digest, "pullPolicy": image.pull_policy})
}

fn ports(out: &mut ChartLines, component: &Component) {
    match component.is_headless() {
        true => out.comment(
            2,
            "No TCP port is known: the name leads to the pods themselves, on all their ports.",
        ),
        false => out.comment(2, "Ports of the Service and of the container."),
    }
    let ports: Vec<_> = component
        .ports
        .iter()
        .map(|port| json!({"name": port.name, "port": port.number, "protocol": port.protocol}))
        .collect();
    out.value(2, "service", &json!({"ports": ports}));
}

fn probes(out: &mut ChartLines, component: &Component) {
    let all = [
        ("startupProbe", &component.probes.startup),
        ("readinessProbe", &component.probes.readiness),
        ("livenessProbe", &component.probes.liveness),
    ];
    if all.iter().all(|(_, probe)| probe.is_none()) {
        out.comment(
            2,
            "Compose has no healthcheck for it, so nothing says when it is ready.",
        );
    }
    for (key, probe) in all {
        out.value(2, key, probe.as_ref().unwrap_or(&json!({})));
    }
}

fn persistence(out: &mut ChartLines, component: &Component) {
    let claims: Map<String, Value> = component
        .claims()
        .map(|(mount, size)| {
            (
                mount.name.clone(),
                json!({"size": size, "storageClassName": ""}),
            )
        })
        .collect();
    if !claims.is_empty() {
        out.comment(
            2,
            "Claims, one for each pod. Kubernetes does not change them later.",
        );
        out.value(2, "persistence", &claims.into());
    }
}

fn for_production(out: &mut ChartLines, component: &Component) {
    if component.kind == ComponentKind::Deployment {
        out.comment(2, "Replicas by the load, in place of `replicas`.");
        out.value(2, "autoscaling", &json!({"enabled": false, "minReplicas": 2, "maxReplicas": 6, "targetCPUUtilizationPercentage": 75}));
    }
    out.comment(
        2,
        "How many pods may be missing when nodes are emptied. Only with several replicas.",
    );
    out.value(
        2,
        "podDisruptionBudget",
        &json!({"enabled": true, "maxUnavailable": 1}),
    );
    out.comment(2, "Who may connect besides the pods of this release, as `from` of a NetworkPolicy; empty: everybody.");
    out.value(2, "networkPolicyFrom", &json!([]));
    out.comment(
        2,
        "Annotations for a Prometheus that looks for them; `serviceMonitor` for its operator.",
    );
    out.value(2, "metrics", &json!({"enabled": true, "path": "/metrics", "port": "http", "serviceMonitor": {"enabled": false, "interval": "30s", "labels": {}}}));
}

/// The values of this machine, which nobody commits.
pub(in crate::new_chart) fn local_text(values: &Map<String, Value>) -> String {
    let mut out = ChartLines::default();
    out.comment(0, "The values of this machine: secrets, and what .env and the shell say. Git and helm leave this file out. `devk init --chart` writes it anew if it is gone.");
    for (key, value) in values {
        out.value(0, key, value);
    }
    debug_assert!(values.keys().all(|key| scalar(key) == *key));
    out.0
}
