{{/* Annotations of a resource that exists while the hooks run. Takes its weight. */}}
{{- define "makegood.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* A job that runs once before an installation or upgrade. Takes (root, component, weight, image, command or args, settings, secrets, files). */}}
{{- define "makegood.job" }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "makegood.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "makegood.labels" . | nindent 4 }}
  annotations:
    {{- include "makegood.hook" .weight | nindent 4 }}
spec:
  backoffLimit: {{ .root.Values.jobs.tries }}
  activeDeadlineSeconds: {{ .root.Values.jobs.deadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "makegood.selector" . | nindent 8 }}
      {{- with .root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "makegood.jobPod" (merge (dict "account" "jobs" "resources" .root.Values.jobs.resources) .) | nindent 6 }}
{{- end -}}

{{/*
The spec of a job's pod. Takes (root, account, component, image, command or args, settings, secrets, files, resources) and, if it
writes volumes, claims: where each is mounted → the claim's name.
*/}}
{{- define "makegood.jobPod" -}}
{{ include "makegood.podStart" (dict "root" .root "account" (printf "%s-%s" (include "makegood.fullname" .root) .account)) }}
# A failed pod stays, so that its log can be read.
restartPolicy: Never
containers:
- name: {{ .component }}
  image: {{ include "makegood.image" (dict "root" .root "name" .image) }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  {{- with .command }}
  command: {{ toJson . }}
  {{- end }}
  {{- with .args }}
  args: {{ toJson . }}
  {{- end }}
  {{- with include "makegood.env" (dict "settings" .settings "secrets" .secrets) | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "makegood.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "makegood.mounts" . | trim | nindent 2 }}
  {{- range $folder, $_ := .claims }}
  - { name: {{ $folder }}, mountPath: /{{ $folder }} }
  {{- end }}
volumes:
  {{- include "makegood.volumes" . | trim | nindent 0 }}
{{- range $folder, $claim := .claims }}
- name: {{ $folder }}
  persistentVolumeClaim: { claimName: {{ $claim }} }
{{- end }}
{{- end -}}
