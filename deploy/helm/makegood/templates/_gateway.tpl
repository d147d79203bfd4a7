{{- define "makegood.gatewayMounts" -}}
{{- if .Values.gateway.tls.secret }}
- { name: tls, mountPath: /etc/makegood/tls, readOnly: true }
{{- end }}
{{- if .Values.files }}
- { name: files, mountPath: {{ include "makegood.filesFolder" . }}, readOnly: true }
{{- end }}
{{- end -}}

{{/* The command that renders Envoy's configuration (deploy/gateway/README.md). */}}
{{- define "makegood.gatewayCommand" -}}
{{- $settings := .Values.settings -}}
{{- $gateway := .Values.gateway -}}
{{- $name := include "makegood.fullname" . -}}
- python
- deploy/gateway/render.py
- --out=/gateway/envoy.yaml
- --listen=0.0.0.0
- --gateway-port=8080
- --probe-listen=0.0.0.0
- --probe-port=9902
- --drainable
- --public-url={{ get $settings "PUBLIC_BASE_URL" }}
{{- range $service, $ports := include "makegood.ports" . | fromYaml }}
- --{{ $service }}={{ $name }}-{{ $service }}:{{ $ports.http }}/{{ $ports.probes }}
{{- end }}
- --identity={{ get $settings "JWKS_URL" }}
{{- with get $settings "JWKS_CA_FILE" }}
- --identity-ca={{ . }}
{{- end }}
{{- with get $settings "TOKEN_ISSUER" }}
- --issuer={{ . }}
{{- end }}
{{- with get $settings "TOKEN_AUDIENCE" }}
- --audience={{ . }}
{{- end }}
{{- with get $settings "OTEL_EXPORTER_OTLP_ENDPOINT" }}
- --otlp={{ . }}
{{- end }}
{{- with $gateway.collectorCa }}
- --otlp-ca={{ . }}
{{- end }}
{{- if $gateway.tls.secret }}
- --tls-certificate=/etc/makegood/tls/tls.crt
- --tls-key=/etc/makegood/tls/tls.key
{{- end }}
{{- range $gateway.corsOrigins }}
- --cors-origin={{ . }}
{{- end }}
{{- range $option, $value := $gateway.options }}
- --{{ $option }}={{ include "makegood.text" $value }}
{{- end }}
{{- end -}}
