{{/* The labels of a part: (list $ "api"). */}}
{{- define "whole.labels" -}}
{{ include "whole.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{/* The labels that do not change. */}}
{{- define "whole.selector" -}}
app.kubernetes.io/name: whole
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* What every pod has. */}}
{{- define "whole.pod" -}}
automountServiceAccountToken: false
serviceAccountName: {{ (index . 0).Release.Name }}
priorityClassName: shop
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  seccompProfile:
    type: RuntimeDefault
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "whole.selector" . | nindent 8 }}
{{- end }}

{{/* What every container has. */}}
{{- define "whole.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
