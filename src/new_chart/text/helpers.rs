//! `_helpers.tpl`: names, labels, images, variables, and the scripts that wait.

use super::scripts;
use crate::new_chart::model::{ChartModel, WaitUntil};

pub(super) fn text(model: &ChartModel) -> String {
    let mut text = BASE.to_owned();
    if !model.secrets.is_empty() {
        text += SECRET_NAME;
    }
    let waits = || {
        model
            .components
            .iter()
            .flat_map(|component| &component.waits)
    };
    let has = |is: fn(&WaitUntil) -> bool| waits().any(|wait| is(&wait.until));
    if has(|until| matches!(until, WaitUntil::Accepts { .. })) {
        text += &defined(
            "waitForPort",
            "Waits until a port of a Service accepts connections: NAME PORT SECONDS (0: as long as it takes).",
            scripts::PORT,
        );
    }
    if has(|until| matches!(until, WaitUntil::Resolves { .. })) {
        text += &defined(
            "waitForName",
            "Waits until a name leads to a pod that is ready: NAME.",
            scripts::NAME,
        );
    }
    if has(|until| *until == WaitUntil::Completed) {
        text += &defined(
            "waitForJob",
            "Waits until a Job has ended well: JOB NAMESPACE.",
            scripts::JOB,
        );
    }
    text.replace("CHART", &model.name)
}

fn defined(name: &str, what: &str, script: &str) -> String {
    format!(
        "\n{{{{/* {what} */}}}}\n{{{{- define \"CHART.{name}\" -}}}}\n{}\n{{{{- end }}}}\n",
        script.trim()
    )
}

const BASE: &str = r#"{{/* The chart's name. */}}
{{- define "CHART.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What the names of objects begin with. */}}
{{- define "CHART.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "CHART.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "CHART.labels" -}}
helm.sh/chart: {{ include "CHART.chart" . }}
{{ include "CHART.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which pods are found; they never change. */}}
{{- define "CHART.selectorLabels" -}}
app.kubernetes.io/name: {{ include "CHART.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "CHART.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "CHART.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The reference of an image: repository, tag, digest. */}}
{{- define "CHART.image" -}}
{{- .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The variables of a component: those of the Secret first, which the others may name. */}}
{{- define "CHART.env" -}}
{{- range $name, $key := .component.secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $.secret }}
      key: {{ $key }}
{{- end }}
{{- range $name, $value := .component.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
"#;

const SECRET_NAME: &str = r#"
{{- define "CHART.secretName" -}}
{{- default (include "CHART.fullname" .) .Values.existingSecret }}
{{- end }}
"#;
