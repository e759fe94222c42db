//! The objects of one component: its workload, its Services, its ConfigMaps.

use super::lines::{ChartLines, literal};
use super::pod::{PodText, has_config, job_name, object_name};
use crate::new_chart::model::{ChartModel, Component, ComponentKind};

/// The name of the file, and its text.
pub(super) fn text(model: &ChartModel, component: &Component) -> (&'static str, String) {
    let mut out = ChartLines::default();
    if component.kind == ComponentKind::Job {
        job_helpers(&mut out, model, component);
    }
    begin(&mut out, model, component);
    let (file, api, kind) = match component.kind {
        ComponentKind::Job => ("job", "batch/v1", "Job"),
        ComponentKind::StatefulSet => ("statefulset", "apps/v1", "StatefulSet"),
        _ => ("deployment", "apps/v1", "Deployment"),
    };
    let name = match component.kind {
        ComponentKind::Job => job_name(model, &component.name),
        _ => object_name(model, component),
    };
    head(&mut out, model, component, api, kind, &name);
    out.line(0, "spec:");
    match component.kind {
        ComponentKind::Job => out.line(
            2,
            format!(
                "backoffLimit: {{{{ .Values.{}.backoffLimit }}}}",
                component.key
            ),
        ),
        _ => long_lived(&mut out, model, component),
    }
    out.line(2, "template:");
    match component.kind {
        ComponentKind::Job => out.line(
            4,
            format!(
                "{{{{- include \"{}.job.{}.pod\" . | nindent 4 }}}}",
                model.name, component.name
            ),
        ),
        _ => PodText { model, component }.put(&mut out, 4),
    }
    claim_templates(&mut out, component);
    end(&mut out, model);
    (file, out.0)
}

/// The API server changes no Job: another pod is another Job, by its name, and the same pod is not run again.
fn job_helpers(out: &mut ChartLines, model: &ChartModel, component: &Component) {
    let (chart, name) = (&model.name, &component.name);
    out.line(0, format!("{{{{- define \"{chart}.job.{name}.pod\" -}}}}"));
    PodText { model, component }.put(out, 0);
    out.line(0, "{{- end }}");
    out.line(0, format!("{{{{- define \"{chart}.job.{name}.name\" -}}}}"));
    let begin = format!(
        "printf \"%s-{name}\" (include \"{chart}.fullname\" .) | trunc 54 | trimSuffix \"-\""
    );
    out.line(
        0,
        format!(
            "{{{{ {begin} }}}}-{{{{ include \"{chart}.job.{name}.pod\" . | sha256sum | trunc 8 }}}}"
        ),
    );
    out.line(0, "{{- end }}");
}

/// A component of several can be switched off.
fn begin(out: &mut ChartLines, model: &ChartModel, component: &Component) {
    if !model.for_production {
        out.line(
            0,
            format!("{{{{- if .Values.{}.enabled }}}}", component.key),
        );
    }
}

fn end(out: &mut ChartLines, model: &ChartModel) {
    if !model.for_production {
        out.line(0, "{{- end }}");
    }
}

/// `apiVersion`, `kind` and `metadata`.
pub(super) fn head(
    out: &mut ChartLines,
    model: &ChartModel,
    component: &Component,
    api: &str,
    kind: &str,
    name: &str,
) {
    out.line(0, format!("apiVersion: {api}"));
    out.line(0, format!("kind: {kind}"));
    out.line(0, "metadata:");
    out.line(2, format!("name: {name}"));
    out.line(2, "labels:");
    out.line(
        4,
        format!("{{{{- include \"{}.labels\" . | nindent 4 }}}}", model.name),
    );
    out.line(
        4,
        format!("app.kubernetes.io/component: {}", component.name),
    );
}

/// The labels by which a component's pods are found.
pub(super) fn selector(out: &mut ChartLines, at: usize, model: &ChartModel, component: &Component) {
    out.line(
        at,
        format!(
            "{{{{- include \"{}.selectorLabels\" . | nindent {at} }}}}",
            model.name
        ),
    );
    out.line(
        at,
        format!("app.kubernetes.io/component: {}", component.name),
    );
}

fn long_lived(out: &mut ChartLines, model: &ChartModel, component: &Component) {
    let key = &component.key;
    match (model.for_production, component.kind) {
        (true, ComponentKind::Deployment) => {
            out.line(
                2,
                format!("{{{{- if not .Values.{key}.autoscaling.enabled }}}}"),
            );
            out.line(2, format!("replicas: {{{{ .Values.{key}.replicas }}}}"));
            out.line(2, "{{- end }}");
        }
        _ => out.line(2, format!("replicas: {{{{ .Values.{key}.replicas }}}}")),
    }
    match component.kind {
        ComponentKind::StatefulSet => {
            let service = component.services.first().cloned().unwrap_or_default();
            out.line(2, format!("serviceName: {}", service_name(model, &service)));
        }
        ComponentKind::RecreatedDeployment => {
            // The old pod leaves the volume before the new one comes.
            out.line(2, "strategy:");
            out.line(4, "type: Recreate");
        }
        _ if model.for_production => {
            out.line(2, "strategy:");
            out.line(4, "type: RollingUpdate");
            out.line(4, "rollingUpdate:");
            out.line(6, "maxUnavailable: 0");
            out.line(6, "maxSurge: 1");
        }
        _ => {}
    }
    out.line(2, "selector:");
    out.line(4, "matchLabels:");
    selector(out, 6, model, component);
}

/// The name of a Service: that of Compose, which the programs look for; of a chart's only component that of its objects.
pub(super) fn service_name(model: &ChartModel, service: &str) -> String {
    match model.for_production {
        true => format!("{{{{ include \"{}.fullname\" . }}}}", model.name),
        false => service.to_owned(),
    }
}

fn claim_templates(out: &mut ChartLines, component: &Component) {
    if component.claims().next().is_none() {
        return;
    }
    out.line(2, "volumeClaimTemplates:");
    for (mount, _) in component.claims() {
        let path = format!(
            "(index .Values.{}.persistence {:?})",
            component.key, mount.name
        );
        out.line(4, "- metadata:");
        out.line(8, format!("name: {}", mount.name));
        out.line(6, "spec:");
        out.line(8, "accessModes: [ReadWriteOnce]");
        out.line(8, format!("{{{{- with {path}.storageClassName }}}}"));
        out.line(8, "storageClassName: {{ . }}");
        out.line(8, "{{- end }}");
        out.line(8, "resources:");
        out.line(10, "requests:");
        out.line(12, format!("storage: {{{{ {path}.size }}}}"));
    }
}

/// The Services of a component; a Job has none.
pub(super) fn services(model: &ChartModel, component: &Component) -> Option<String> {
    if component.kind == ComponentKind::Job {
        return None;
    }
    let mut out = ChartLines::default();
    begin(&mut out, model, component);
    for (at, service) in component.services.iter().enumerate() {
        if at > 0 {
            out.line(0, "---");
        }
        head(
            &mut out,
            model,
            component,
            "v1",
            "Service",
            &service_name(model, service),
        );
        out.line(0, "spec:");
        out.line(2, "type: ClusterIP");
        if component.is_headless() {
            // The name leads to the pods themselves.
            out.line(2, "clusterIP: None");
        }
        out.line(2, "selector:");
        selector(&mut out, 4, model, component);
        out.line(
            2,
            format!("{{{{- with .Values.{}.service.ports }}}}", component.key),
        );
        out.line(2, "ports:");
        out.line(4, "{{- range . }}");
        out.line(4, "- name: {{ .name }}");
        out.line(6, "port: {{ .port }}");
        out.line(6, "targetPort: {{ .name }}");
        out.line(6, "protocol: {{ .protocol | default \"TCP\" }}");
        out.line(4, "{{- end }}");
        out.line(2, "{{- end }}");
    }
    end(&mut out, model);
    Some(out.0)
}

/// The ConfigMaps of a component: files, and the variables of env files.
pub(super) fn config_map(model: &ChartModel, component: &Component) -> Option<String> {
    if !has_config(component) {
        return None;
    }
    let mut out = ChartLines::default();
    begin(&mut out, model, component);
    let files: Vec<_> = component.config_items().collect();
    let name = object_name(model, component);
    if !files.is_empty() {
        head(
            &mut out,
            model,
            component,
            "v1",
            "ConfigMap",
            &format!("{name}-files"),
        );
        for (section, binary) in [("data", false), ("binaryData", true)] {
            let own: Vec<_> = files.iter().filter(|item| item.binary == binary).collect();
            if own.is_empty() {
                continue;
            }
            out.line(0, format!("{section}:"));
            for item in own {
                out.line(
                    2,
                    match binary {
                        true => format!(
                            "{}: {{{{ .Files.Get {:?} | b64enc | quote }}}}",
                            literal(&item.key),
                            item.file
                        ),
                        false => format!(
                            "{}: {{{{ .Files.Get {:?} | quote }}}}",
                            literal(&item.key),
                            item.file
                        ),
                    },
                );
            }
        }
    }
    if !component.env_file.is_empty() {
        if !files.is_empty() {
            out.line(0, "---");
        }
        head(
            &mut out,
            model,
            component,
            "v1",
            "ConfigMap",
            &format!("{name}-env"),
        );
        out.line(0, "data:");
        out.line(
            2,
            format!(
                "{{{{- range $name, $value := .Values.{}.envFile }}}}",
                component.key
            ),
        );
        out.line(2, "{{ $name }}: {{ $value | toString | quote }}");
        out.line(2, "{{- end }}");
    }
    end(&mut out, model);
    Some(out.0)
}
