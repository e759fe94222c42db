{{/* The release's name, with the chart's where it is not in there. */}}
{{- define "todo-chatbot.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The name of a component's objects: (list $ "page"). */}}
{{- define "todo-chatbot.component" -}}
{{ printf "%s-%s" (include "todo-chatbot.fullname" (index . 0)) (index . 1) }}
{{- end }}

{{/* What tells one component's pods from all others. */}}
{{- define "todo-chatbot.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "todo-chatbot.labels" -}}
{{- $root := index . 0 -}}
{{ include "todo-chatbot.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* The reference of an image block: (list $ .Values.page.image). */}}
{{- define "todo-chatbot.image" -}}
{{- $image := index . 1 -}}
{{ printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) }}
{{- end }}

{{/* What every pod has in common: (list $ USER). */}}
{{- define "todo-chatbot.podDefaults" -}}
{{- $root := index . 0 -}}
{{- $user := index . 1 -}}
serviceAccountName: {{ include "todo-chatbot.fullname" $root }}
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

{{/* Replicas of a component on different nodes, where there are such: (list $ "page"). */}}
{{- define "todo-chatbot.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "todo-chatbot.selectorLabels" . | nindent 8 }}
{{- end }}

{{/* The argument: whether the root file system is read-only. */}}
{{- define "todo-chatbot.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* The name of the Secret with all secrets. */}}
{{- define "todo-chatbot.secretName" -}}
{{ .Values.secrets.existingSecret | default (include "todo-chatbot.component" (list . "secrets")) }}
{{- end }}

{{/* The settings, the variables that libpq reads among them; passwords come from the Secret. */}}
{{- define "todo-chatbot.databaseEnv" -}}
envFrom:
  - configMapRef:
      name: {{ include "todo-chatbot.component" (list . "database") }}
  - configMapRef:
      name: {{ include "todo-chatbot.component" (list . "backend") }}
env:
  - name: PGPASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ include "todo-chatbot.databaseSecret" . }}
        key: postgresql-password
  - name: JWT_SECRET
    valueFrom:
      secretKeyRef:
        name: {{ include "todo-chatbot.secretName" . }}
        key: jwt-secret
{{- end }}

{{/* An external database may have its password in the values, also beside existingSecret. */}}
{{- define "todo-chatbot.databaseSecret" -}}
{{- if and (not .Values.postgresql.enabled) .Values.externalPostgresql.password -}}
{{ include "todo-chatbot.component" (list . "secrets") }}
{{- else -}}
{{ include "todo-chatbot.secretName" . }}
{{- end -}}
{{- end }}

{{/* Variables are read at the start only: other settings mean new pods. */}}
{{- define "todo-chatbot.checksums" -}}
checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
checksum/secrets: {{ include (print .Template.BasePath "/secrets.yaml") . | sha256sum }}
{{- end }}
