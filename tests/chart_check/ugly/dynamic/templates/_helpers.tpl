{{/* a comment with }} and {{ in it is none */}}
{{- define "dynamic.name" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "dynamic.app" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $app := index . 2 -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "dynamic.name" $root }}-{{ $name | replace "." "-" }}
spec:
  selector: {matchLabels: {app: {{ $name | quote }}}}
  template:
    metadata: {labels: {app: {{ $name | quote }}}}
    spec:
      containers:
        - name: app
          image: registry.example/app:{{ $root.Chart.AppVersion }}
          ports:
            - containerPort: {{ $app.port }}
          {{- with $app.env }}
          env:
            {{- range $k, $v := . }}
            - {name: {{ $k }}, value: {{ tpl (toString $v) $root | quote }}}
            {{- end }}
          {{- end }}
{{- end -}}
