//! The objects that a chart has once: account, Secret, claims, the right to ask for Jobs.

use super::lines::ChartLines;
use super::pod::job_name;
use crate::new_chart::model::{ChartModel, WaitUntil};

pub(super) fn service_account(model: &ChartModel) -> String {
    let text = r#"{{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "CHART.serviceAccountName" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
"#;
    text.replace("CHART", &model.name)
}

/// One Secret with all keys. A key without a value is an error with its name.
pub(super) fn secret(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    out.line(0, "{{- if not .Values.existingSecret }}");
    out.line(0, "apiVersion: v1");
    out.line(0, "kind: Secret");
    out.line(0, "metadata:");
    out.line(
        2,
        format!("name: {{{{ include \"{}.secretName\" . }}}}", model.name),
    );
    out.line(2, "labels:");
    out.line(
        4,
        format!("{{{{- include \"{}.labels\" . | nindent 4 }}}}", model.name),
    );
    out.line(0, "type: Opaque");
    out.line(0, "stringData:");
    for secret in &model.secrets {
        let key = &secret.key;
        out.line(2, format!("{key}: {{{{ required \"secrets.{key} is needed\" .Values.secrets.{key} | toString | quote }}}}"));
    }
    out.line(0, "{{- end }}");
    out.0
}

pub(super) fn claims(model: &ChartModel) -> String {
    let mut out = ChartLines::default();
    for (at, claim) in model.claims.iter().enumerate() {
        if at > 0 {
            out.line(0, "---");
        }
        let path = format!(".Values.volumes.{}", claim.key);
        out.line(0, "apiVersion: v1");
        out.line(0, "kind: PersistentVolumeClaim");
        out.line(0, "metadata:");
        out.line(
            2,
            format!(
                "name: {{{{ include \"{}.fullname\" . }}}}-{}",
                model.name, claim.name
            ),
        );
        out.line(2, "labels:");
        out.line(
            4,
            format!("{{{{- include \"{}.labels\" . | nindent 4 }}}}", model.name),
        );
        out.line(2, "annotations:");
        // As `docker compose down` keeps a volume.
        out.line(4, "helm.sh/resource-policy: keep");
        out.line(0, "spec:");
        out.line(2, format!("accessModes: [{{{{ {path}.accessMode }}}}]"));
        out.line(2, format!("{{{{- with {path}.storageClassName }}}}"));
        out.line(2, "storageClassName: {{ . }}");
        out.line(2, "{{- end }}");
        out.line(2, "resources:");
        out.line(4, "requests:");
        out.line(6, format!("storage: {{{{ {path}.size }}}}"));
    }
    out.0
}

/// The right to read the Jobs that pods wait for, and nothing else.
pub(super) fn job_reader(model: &ChartModel) -> Option<String> {
    let waits = model
        .components
        .iter()
        .flat_map(|component| &component.waits);
    let mut jobs: Vec<_> = waits
        .filter(|wait| wait.until == WaitUntil::Completed)
        .map(|wait| wait.on.clone())
        .collect();
    jobs.sort();
    jobs.dedup();
    if jobs.is_empty() {
        return None;
    }
    let names: String = jobs
        .iter()
        .map(|job| format!("      - {}\n", job_name(model, job)))
        .collect();
    let text = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "CHART.fullname" . }}-job-reader
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
rules:
  - apiGroups: [batch]
    resources: [jobs]
    verbs: [get]
    resourceNames:
JOBS---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "CHART.fullname" . }}-job-reader
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "CHART.fullname" . }}-job-reader
subjects:
  - kind: ServiceAccount
    name: {{ include "CHART.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
"#;
    Some(text.replace("CHART", &model.name).replace("JOBS", &names))
}
