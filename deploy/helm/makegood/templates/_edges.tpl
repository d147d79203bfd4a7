{{/*
Who talks to whom: component → { from, services, servers, job }. Servers are those of `networkPolicies.servers`. An edge exists
only if the settings use it.
*/}}
{{- define "makegood.edges" -}}
{{- $ports := include "makegood.ports" . | fromYaml -}}
{{- $prometheus := .Values.networkPolicies.prometheus -}}
{{- $edges := dict -}}
{{- $called := list -}}
{{- range $service, $_ := .Values.services -}}
{{- $port := get $ports $service -}}
{{- $gateway := dict "podSelector" (dict "matchLabels" (include "makegood.selector" (dict "root" $ "component" "gateway") | fromYaml)) -}}
{{- $scraped := dict "ports" (list $port.probes) "peers" $prometheus -}}
{{- $called = append $called (dict "component" (printf "%s-serve" $service) "http" $port.http "probes" $port.probes) -}}
{{- range $role := list "serve" "work" "migrate" -}}
{{- $this := dict "root" $ "service" $service "role" $role -}}
{{- $settings := include "makegood.settings" $this | fromYaml -}}
{{- $secrets := include "makegood.secrets" $this | fromYaml -}}
{{- $servers := list "postgresql" -}}
{{- if ne $role "migrate" -}}
{{- if hasKey $secrets "REDIS_URL" -}}{{- $servers = append $servers "redis" -}}{{- end -}}
{{- if get $settings "OTEL_EXPORTER_OTLP_ENDPOINT" -}}{{- $servers = append $servers "collector" -}}{{- end -}}
{{- if eq (get $settings "PAYMENT_PROVIDER" | default "") "stripe" -}}{{- $servers = append $servers "payments" -}}{{- end -}}
{{- end -}}
{{- if and (eq $role "serve") (hasPrefix "http" (get $settings "JWKS_URL" | default "")) -}}{{- $servers = append $servers "identity" -}}{{- end -}}
{{- if eq $role "work" -}}
{{- $servers = append $servers "kafka" -}}
{{- if hasPrefix "http" (get $settings "EVENT_KEYS_URL" | default "") -}}{{- $servers = append $servers "eventKeys" -}}{{- end -}}
{{- if eq $service "notifications" -}}
{{- $servers = append $servers "mail" -}}
{{- if get $settings "WHATSAPP_URL" -}}{{- $servers = append $servers "whatsapp" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $from := list -}}
{{- if eq $role "serve" -}}{{- $from = append $from (dict "ports" (list $port.http $port.probes) "peers" (list $gateway)) -}}{{- end -}}
{{- if and $prometheus (ne $role "migrate") -}}{{- $from = append $from $scraped -}}{{- end -}}
{{- $_ := set $edges (printf "%s-%s" $service $role) (dict "from" $from "servers" $servers "job" (eq $role "migrate")) -}}
{{- end -}}
{{- end -}}
{{- $from := list (dict "ports" (list 8080) "peers" .Values.networkPolicies.clients) -}}
{{- $test := dict "podSelector" (dict "matchLabels" (include "makegood.selector" (dict "root" $ "component" "test") | fromYaml)) -}}
{{- if .Values.networkPolicies.clients -}}{{- $from = append $from (dict "ports" (list 8080) "peers" (list $test)) -}}{{- end -}}
{{- if $prometheus -}}{{- $from = append $from (dict "ports" (list 9902) "peers" $prometheus) -}}{{- end -}}
{{- $servers := list "identity" -}}
{{- if get .Values.settings "OTEL_EXPORTER_OTLP_ENDPOINT" -}}{{- $servers = append $servers "collector" -}}{{- end -}}
{{- $_ := set $edges "gateway" (dict "from" $from "services" $called "servers" $servers) -}}
{{- $_ := set $edges "test" (dict "services" (list (dict "component" "gateway" "http" 8080))) -}}
{{- $signed := hasPrefix "http" (get .Values.settings "EVENT_KEYS_URL" | default "") -}}
{{- range $operation, $_ := include "makegood.operations" . | fromYaml -}}
{{- $servers := list "postgresql" "kafka" -}}
{{- if and $signed (ne $operation "backup") -}}{{- $servers = append $servers "eventKeys" -}}{{- end -}}
{{- $_ := set $edges $operation (dict "servers" $servers) -}}
{{- end -}}
{{- $servers := list "kafka" -}}
{{- if get .Values.topics.settings "SCHEMA_REGISTRY_URL" -}}{{- $servers = append $servers "schemaRegistry" -}}{{- end -}}
{{- if .Values.topics.enabled -}}{{- $_ := set $edges "topics" (dict "servers" $servers "job" true) -}}{{- end -}}
{{- if not .Values.migrations.enabled -}}{{- range $service, $_ := .Values.services -}}{{- $_ := unset $edges (printf "%s-migrate" $service) -}}{{- end -}}{{- end -}}
{{- toYaml $edges -}}
{{- end -}}
