//! The files around the templates: Chart.yaml, README.md, NOTES.txt, and what helm and git leave out.

use super::lines::{ChartLines, scalar};
use super::pod::uses_secrets;
use crate::new_chart::LOCAL_VALUES;
use crate::new_chart::model::{Carried, ChartModel, Component, ComponentKind, ComposeKeyNote};

pub(super) fn chart(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    out.line(0, "apiVersion: v2");
    out.line(0, format!("name: {}", scalar(&model.name)));
    out.line(0, format!("description: {}", scalar(&model.description)));
    out.line(0, "type: application");
    out.comment(0, "Of the chart: raise it with each change.");
    out.line(0, "version: 0.1.0");
    out.comment(0, "Of the program that it installs.");
    out.line(0, format!("appVersion: {}", scalar(&model.app_version)));
    out.line(0, "kubeVersion: \">=1.23.0-0\"");
    out.0
}

pub(super) fn helmignore() -> String {
    format!(
        "# What no package of the chart has.\n.git/\n.gitignore\n.DS_Store\n*.swp\n*.bak\n*.orig\n*~\n.idea/\n.vscode/\n{LOCAL_VALUES}\n"
    )
}

pub(super) fn gitignore() -> String {
    format!("# Secrets of this machine.\n{LOCAL_VALUES}\n")
}

pub(super) fn notes(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    out.line(0, format!("{{{{ include \"{}.fullname\" . }}}} is installed in the namespace {{{{ .Release.Namespace }}}}.", model.name));
    out.line(0, "");
    for component in model
        .components
        .iter()
        .filter(|component| !component.is_headless() && component.kind != ComponentKind::Job)
    {
        let service = super::workload::service_name(
            model,
            component.services.first().map_or("", String::as_str),
        );
        let begin =
            format!("kubectl -n {{{{ .Release.Namespace }}}} port-forward service/{service}");
        let ports = format!("(index .Values.{}.service.ports 0)", component.key);
        let is_on = if model.for_production {
            String::new()
        } else {
            format!("and .Values.{}.enabled ", component.key)
        };
        out.line(
            0,
            format!(
                "{{{{- if {is_on}.Values.{}.service.ports }}}}",
                component.key
            ),
        );
        out.line(
            2,
            format!("{}: {begin} {{{{ {ports}.port }}}}", component.name),
        );
        out.line(0, "{{- end }}");
    }
    out.0
}

pub(super) fn readme(model: &ChartModel, notes: &[ComposeKeyNote]) -> String {
    let mut out = ChartLines::default();
    out.line(0, format!("# {}", model.name));
    out.line(0, "");
    out.line(0, format!("{}.", model.description));
    out.line(0, "");
    out.line(0, "| Component | Workload | Names | Ports |");
    out.line(0, "|---|---|---|---|");
    for component in &model.components {
        out.line(0, row(component));
    }
    out.line(0, "");
    if !model.secrets.is_empty() {
        out.line(0, format!("Secrets are keys of one Secret. Give their values at the install (`--values {LOCAL_VALUES}`, a file that git and helm leave out), or name a Secret of yours with `existingSecret`. These components use it: {}.", users(model)));
        out.line(0, "");
    }
    if model.for_production {
        out.line(
            0,
            "`values.yaml` explains each value, and `values.schema.json` says what it may be.",
        );
        return out.0;
    }
    out.line(0, "The Services have the names that the programs look for, so a namespace takes one release of this chart. `values.yaml` explains each value, and `values.schema.json` says what it may be.");
    let written = |carried: Carried| notes.iter().filter(move |note| note.carried == carried);
    for (carried, title) in [
        (Carried::Changed, "What Compose has in another way"),
        (Carried::No, "What Compose has and the chart has not"),
    ] {
        if written(carried).next().is_none() {
            continue;
        }
        out.line(0, "");
        out.line(0, format!("## {title}"));
        out.line(0, "");
        for note in written(carried) {
            let service = note
                .service
                .as_deref()
                .map(|service| format!("{service}: "))
                .unwrap_or_default();
            let place = note
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            out.line(
                0,
                format!(
                    "- {service}`{}` ({place}:{}): {}.",
                    note.key,
                    note.line,
                    note.why.replace('\n', " ")
                ),
            );
        }
    }
    out.0
}

fn row(component: &Component) -> String {
    let kind = match component.kind {
        ComponentKind::Job => "Job, again when its pod changes",
        ComponentKind::StatefulSet => "StatefulSet",
        ComponentKind::RecreatedDeployment => "Deployment, one pod after the other",
        ComponentKind::Deployment => "Deployment",
    };
    let ports: Vec<_> = component
        .ports
        .iter()
        .map(|port| format!("{}/{}", port.number, port.protocol.to_lowercase()))
        .collect();
    let (names, ports) = match component.kind {
        ComponentKind::Job => (String::new(), String::new()),
        _ => (component.services.join(", "), ports.join(", ")),
    };
    format!("| {} | {kind} | {names} | {ports} |", component.name)
}

fn users(model: &ChartModel) -> String {
    let users = model
        .components
        .iter()
        .filter(|component| uses_secrets(component));
    users
        .map(|component| component.name.clone())
        .collect::<Vec<_>>()
        .join(", ")
}
