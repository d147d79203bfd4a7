{{/* Names, labels, images and the table of services. */}}

{{- define "makegood.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The ports of each service. They differ, so that a pod that inherits another one's address never gets its requests. */}}
{{- define "makegood.ports" -}}
booking: { http: 8101, probes: 9101 }
availability: { http: 8102, probes: 9102 }
credits: { http: 8103, probes: 9103 }
notifications: { http: 8104, probes: 9104 }
{{- end -}}

{{/* Labels that select the pods of one component. Takes (root, component). */}}
{{- define "makegood.selector" -}}
app.kubernetes.io/name: makegood
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "makegood.labels" -}}
{{ include "makegood.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* The image of a service, or of the tools. Takes (root, name). */}}
{{- define "makegood.image" -}}
{{- $images := .root.Values.images -}}
{{- $name := printf "%smakegood-%s" (empty $images.registry | ternary "" (printf "%s/" (trimSuffix "/" $images.registry))) .name -}}
{{- with get ($images.digests | default dict) .name -}}
{{- printf "%s@%s" $name . -}}
{{- else -}}
{{- printf "%s:%s" $name ($images.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What a role of a service gets: the values for all services, then the service's own. Takes (root, service, role). */}}
{{- define "makegood.role" -}}
{{- $all := deepCopy (get .root.Values .role) -}}
{{- $own := deepCopy (get (get .root.Values.services .service) .role | default dict) -}}
{{- toYaml (mergeOverwrite $all $own) -}}
{{- end -}}

{{/* The Deployments of the services, separated by spaces. */}}
{{- define "makegood.components" -}}
{{- $names := list -}}
{{- range $service, $_ := .Values.services -}}{{- $names = concat $names (list (printf "%s-serve" $service) (printf "%s-work" $service)) -}}{{- end -}}
{{- join " " $names -}}
{{- end -}}
