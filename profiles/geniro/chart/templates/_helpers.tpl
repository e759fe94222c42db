{{- define "geniro.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's where it is not in there. */}}
{{- define "geniro.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "geniro.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "geniro.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The name of a component's objects: (list $ "api"). */}}
{{- define "geniro.component" -}}
{{ printf "%s-%s" (include "geniro.fullname" (index . 0)) (index . 1) }}
{{- end }}

{{/* What tells one component's pods from all others. */}}
{{- define "geniro.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "geniro.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "geniro.labels" -}}
{{- $root := index . 0 -}}
{{ include "geniro.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: geniro
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* The reference of an image block: (list $ .Values.api.image). */}}
{{- define "geniro.image" -}}
{{- $image := index . 1 -}}
{{ printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) }}
{{- end }}

{{/* What every pod has in common: (list $ USER). */}}
{{- define "geniro.podDefaults" -}}
{{- $root := index . 0 -}}
{{- $user := index . 1 -}}
serviceAccountName: {{ include "geniro.fullname" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The argument: whether the root file system is read-only. */}}
{{- define "geniro.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* Probes over HTTP on the port `http`: (list LIVE READY). */}}
{{- define "geniro.httpProbes" -}}
startupProbe:
  httpGet: {path: {{ index . 0 }}, port: http}
  periodSeconds: 1
  failureThreshold: 90
# What the program depends on is not asked: a restart would not bring it back.
livenessProbe:
  httpGet: {path: {{ index . 0 }}, port: http}
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: {{ index . 1 }}, port: http}
  periodSeconds: 3
  timeoutSeconds: 3
{{- end }}

{{/* Variables of a component's `env`, as items of a container's env. */}}
{{- define "geniro.env" -}}
{{- range $variable, $value := . }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* One variable out of the Secret with all secrets: (list $ "REDIS_URL" "redis-url"). */}}
{{- define "geniro.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "geniro.secretName" (index . 0) }}
      key: {{ index . 2 }}
{{- end }}

{{- define "geniro.secretName" -}}
{{ .Values.secrets.existingSecret | default (include "geniro.component" (list . "secrets")) }}
{{- end }}

{{/* Variables are read at the start only: other secrets or settings mean new pods. */}}
{{- define "geniro.checksums" -}}
checksum/secrets: {{ include (print .Template.BasePath "/secrets.yaml") . | sha256sum }}
checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
{{- end }}

{{/* Where PostgreSQL is, the chart's own or the external one: a map as YAML. */}}
{{- define "geniro.postgresql" -}}
{{- if .Values.postgresql.enabled }}
host: {{ include "geniro.component" (list . "postgresql") }}
port: 5432
database: {{ .Values.postgresql.auth.database | quote }}
username: {{ .Values.postgresql.auth.username | quote }}
password: {{ .Values.secrets.postgresqlPassword | quote }}
{{- else }}
{{- with .Values.externalPostgresql }}
host: {{ required "externalPostgresql.host is required when postgresql.enabled is false" .host | quote }}
port: {{ .port }}
database: {{ .database | quote }}
username: {{ .username | quote }}
password: {{ .password | quote }}
{{- end }}
{{- end }}
{{- end }}
