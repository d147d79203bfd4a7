{{/* Settings and secrets of a process, as variables and files. */}}

{{- define "makegood.secretsFolder" -}}/etc/makegood/secrets{{- end -}}
{{- define "makegood.filesFolder" -}}/etc/makegood/files{{- end -}}

{{/* Several maps in one, as YAML. What comes later counts, and null takes away what came before. Takes a list. */}}
{{- define "makegood.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $name, $value := . -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $all $name -}}{{- else -}}{{- $_ := set $all $name $value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* All settings of a service in a role. Takes (root, service, role). */}}
{{- define "makegood.settings" -}}
{{- $service := get .root.Values.services .service -}}
{{- $role := get .root.Values .role | default dict -}}
{{- $own := get $service .role | default dict -}}
{{- $ports := get (include "makegood.ports" . | fromYaml) .service -}}
{{- $chart := dict "HTTP_HOST" "0.0.0.0" "HTTP_PORT" $ports.http "PROBE_PORT" $ports.probes -}}
{{- include "makegood.merged" (list .root.Values.settings $service.settings $role.settings $own.settings $chart) -}}
{{- end -}}

{{/*
The secrets of a service in a role: variable → { secret, key }. What the role does not use (`files/secrets.yaml`), or its settings
do not call for, is left out. Takes (root, service, role).
*/}}
{{- define "makegood.secrets" -}}
{{- $settings := include "makegood.settings" . | fromYaml -}}
{{- $role := .role -}}
{{- $roles := .root.Files.Get "files/secrets.yaml" | fromYaml -}}
{{- $used := dict -}}
{{- range $variable, $reference := include "makegood.merged" (list .root.Values.secrets (get .root.Values.services .service).secrets) | fromYaml -}}
{{- $wanted := true -}}
{{- if not (has $role (get $roles $variable)) -}}{{- $wanted = false -}}
{{- else if eq $variable "KAFKA_SASL_PASSWORD" -}}{{- $wanted = hasPrefix "SASL_" (get $settings "KAFKA_SECURITY_PROTOCOL" | default "PLAINTEXT") -}}
{{- else if hasPrefix "STRIPE_" $variable -}}{{- $wanted = eq (get $settings "PAYMENT_PROVIDER" | default "") "stripe" -}}
{{- else if eq $variable "SMTP_PASSWORD" -}}{{- $wanted = not (empty (get $settings "SMTP_USERNAME")) -}}
{{- else if eq $variable "WHATSAPP_TOKEN" -}}{{- $wanted = not (empty (get $settings "WHATSAPP_URL")) -}}
{{- end -}}
{{- if $wanted -}}{{- $_ := set $used $variable $reference -}}{{- end -}}
{{- end -}}
{{- toYaml $used -}}
{{- end -}}

{{/* The files of a service in a role. Takes (root, service, role). */}}
{{- define "makegood.files" -}}
{{- $service := get .root.Values.services .service -}}
{{- $role := get .root.Values .role | default dict -}}
{{- $own := get $service .role | default dict -}}
{{- include "makegood.merged" (list .root.Values.files $service.files ($role.files | default dict) ($own.files | default dict)) -}}
{{- end -}}

{{/* A setting's value as text. Whole numbers have no exponent. */}}
{{- define "makegood.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* `env` from settings and secrets. Takes (settings, secrets). */}}
{{- define "makegood.env" -}}
{{- range $name, $value := .settings }}
- name: {{ $name }}
  value: {{ include "makegood.text" $value | quote }}
{{- end }}
{{- range $name, $reference := .secrets }}
- name: {{ $name }}_FILE
  value: {{ include "makegood.secretsFolder" $ }}/{{ $name }}
{{- end }}
{{- end -}}

{{/* The volumes `secrets` and `files`. Takes (secrets, files). */}}
{{- define "makegood.volumes" -}}
{{- with .secrets }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
    {{- range $name, $reference := . }}
    - secret: { name: {{ $reference.secret }}, items: [{ key: {{ $reference.key }}, path: {{ $name }} }] }
    {{- end }}
{{- end }}
{{- with .files }}
- name: files
  projected:
    defaultMode: 0440
    sources:
    {{- range $path, $source := . }}
    {{- if $source.secret }}
    - secret: { name: {{ $source.secret }}, items: [{ key: {{ $source.key }}, path: {{ $path }} }] }
    {{- else }}
    - configMap: { name: {{ $source.configMap }}, items: [{ key: {{ $source.key }}, path: {{ $path }} }] }
    {{- end }}
    {{- end }}
{{- end }}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- end -}}

{{- define "makegood.mounts" -}}
{{- if .secrets }}
- { name: secrets, mountPath: {{ include "makegood.secretsFolder" . }}, readOnly: true }
{{- end }}
{{- if .files }}
- { name: files, mountPath: {{ include "makegood.filesFolder" . }}, readOnly: true }
{{- end }}
- { name: tmp, mountPath: /tmp }
{{- end -}}
