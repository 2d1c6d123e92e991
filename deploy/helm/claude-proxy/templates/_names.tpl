{{- define "claude-proxy.name" -}}
{{- printf "%s" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "claude-proxy.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "claude-proxy.labels" -}}
{{ include "claude-proxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "claude-proxy.secret" -}}
{{- .Values.existingSecret | default (include "claude-proxy.name" .) -}}
{{- end -}}

{{- define "claude-proxy.clientKeys" -}}
{{- .Values.clientKeys.existingSecret | default (printf "%s-client-keys" (include "claude-proxy.name" . | trunc 51 | trimSuffix "-")) -}}
{{- end -}}

{{- define "claude-proxy.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote -}}
{{- end -}}

{{- define "claude-proxy.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
