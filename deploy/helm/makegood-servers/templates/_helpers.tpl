{{/* Labels of every object. */}}
{{- define "servers.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: makegood
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Uninstalling the chart deletes no data. */}}
{{- define "servers.kept" -}}
helm.sh/resource-policy: keep
{{- end }}

{{- define "servers.volume" -}}
type: persistent-claim
size: {{ .size }}
{{- with .class }}
class: {{ . }}
{{- end }}
deleteClaim: false
{{- end }}
