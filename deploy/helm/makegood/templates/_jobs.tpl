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
      {{- include "makegood.podStart" (dict "root" .root "account" (printf "%s-jobs" (include "makegood.fullname" .root))) | nindent 6 }}
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
        env:
          {{- include "makegood.env" (dict "settings" .settings "secrets" .secrets) | trim | nindent 10 }}
        resources:
          {{- toYaml .root.Values.jobs.resources | nindent 10 }}
        securityContext:
          {{- include "makegood.containerSecurity" . | nindent 10 }}
        volumeMounts:
          {{- include "makegood.mounts" . | trim | nindent 8 }}
      volumes:
        {{- include "makegood.volumes" . | trim | nindent 6 }}
{{- end -}}
