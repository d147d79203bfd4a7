{{/* The command `makegood`: what runs it, and what each of these gets. */}}

{{/* The operations that are switched on: name → { schedule, suspend, command or args, tries, deadline, claims }. */}}
{{- define "makegood.operations" -}}
{{- $operations := .Values.operations -}}
{{- $all := dict -}}
{{- with $operations.audit }}{{ if .enabled -}}
{{- $_ := set $all "audit" (dict "schedule" .schedule "args" (list "audit") "tries" 0 "deadline" .deadlineSeconds) -}}
{{- end }}{{ end -}}
{{- $claims := dict -}}
{{- with $operations.backup }}{{ if .enabled -}}
{{- $_ := set $claims "backups" .claim -}}
{{- $words := "" -}}
{{- $prune := printf "find /backups -mindepth 1 -maxdepth 1 -name '20*' -mtime +%d -exec rm -rf {} +" (int .keepDays) -}}
{{- if .keys.claim -}}
{{- $_ := set $claims "keys" .keys.claim -}}
{{- $words = " --keys /keys/$now" -}}
{{- $prune = printf "%s\nfind /keys -mindepth 1 -maxdepth 1 -name '20*' -mtime +%d -exec rm -rf {} +" $prune (int .keys.keepDays) -}}
{{- end -}}
{{- $script := printf "set -e\nnow=$(date -u +%%Y-%%m-%%dT%%H%%M%%S)\nmakegood backup /backups/$now%s\n%s" $words $prune -}}
{{- $_ := set $all "backup" (dict "schedule" .schedule "command" (list "sh" "-c" $script) "tries" 2 "deadline" .deadlineSeconds "claims" $claims) -}}
{{- end }}{{ end -}}
{{- with $operations.console }}{{ if .enabled -}}
{{- $_ := set $all "console" (dict "schedule" "0 0 1 1 *" "suspend" true "command" (list "sleep" (toString (int .seconds))) "tries" 0 "deadline" (add (int .seconds) 60) "claims" $claims) -}}
{{- end }}{{ end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* The settings of an operation. Takes (root, operation). */}}
{{- define "makegood.operationSettings" -}}
{{- $shared := dict -}}
{{- range $name, $value := .root.Values.settings -}}
{{- if or (hasPrefix "KAFKA_" $name) (has $name (list "MAKEGOOD_ENVIRONMENT" "EVENT_KEYS_URL" "JWKS_CA_FILE")) -}}{{- $_ := set $shared $name $value -}}{{- end -}}
{{- end -}}
{{- $console := eq .operation "console" | ternary .root.Values.operations.console.settings dict -}}
{{- $settings := include "makegood.merged" (list $shared .root.Values.operations.settings $console) | fromYaml -}}
{{- if not (hasPrefix "SASL_" (get $settings "KAFKA_SECURITY_PROTOCOL" | default "PLAINTEXT")) -}}
{{- range $name := keys $settings -}}{{- if contains "_SASL_" $name -}}{{- $_ := unset $settings $name -}}{{- end -}}{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/*
The secrets of an operation: an audit reads databases, a backup needs their owners, and people at the console need every login, for
a restore. Takes (root, operation).
*/}}
{{- define "makegood.operationSecrets" -}}
{{- $settings := include "makegood.operationSettings" . | fromYaml -}}
{{- $operation := .operation -}}
{{- $console := eq $operation "console" | ternary .root.Values.operations.console.secrets dict -}}
{{- $databases := dict -}}
{{- range $service, $own := .root.Values.services -}}
{{- range $variable, $reference := $own.secrets -}}
{{- if and (hasSuffix "_DATABASE_URL" $variable) (not (hasSuffix "_DIRECT_DATABASE_URL" $variable)) -}}{{- $_ := set $databases $variable $reference -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $used := dict -}}
{{- range $variable, $reference := include "makegood.merged" (list $databases .root.Values.operations.secrets $console) | fromYaml -}}
{{- $wanted := true -}}
{{- if hasSuffix "_AUDITOR_DATABASE_URL" $variable -}}{{- $wanted = ne $operation "backup" -}}
{{- else if hasSuffix "_OWNER_DATABASE_URL" $variable -}}{{- $wanted = ne $operation "audit" -}}
{{- else if hasSuffix "_DATABASE_URL" $variable -}}{{- $wanted = eq $operation "console" -}}
{{- else if contains "_SASL_" $variable -}}{{- $wanted = hasPrefix "SASL_" (get $settings "KAFKA_SECURITY_PROTOCOL" | default "PLAINTEXT") -}}
{{- end -}}
{{- if $wanted -}}{{- $_ := set $used $variable $reference -}}{{- end -}}
{{- end -}}
{{- toYaml $used -}}
{{- end -}}
