{{/* The brokers, as KEDA finds them from its own namespace: a name without a dot is a service beside the release. Takes root. */}}
{{- define "makegood.brokersFromAfar" -}}
{{- $brokers := list -}}
{{- range $broker := splitList "," (get .Values.settings "KAFKA_BOOTSTRAP_SERVERS") -}}
{{- $host := regexReplaceAll ":[0-9]+$" (trim $broker) "" -}}
{{- $port := trimPrefix $host (trim $broker) -}}
{{- $brokers = append $brokers (contains "." $host | ternary (trim $broker) (printf "%s.%s.svc%s" $host $.Release.Namespace $port)) -}}
{{- end -}}
{{- join "," $brokers -}}
{{- end -}}

{{/* Scaling by processor time. Takes (root, component, autoscaling). */}}
{{- define "makegood.byProcessor" }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "makegood.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "makegood.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "makegood.fullname" .root }}-{{ .component }} }
  minReplicas: {{ .autoscaling.minReplicas }}
  maxReplicas: {{ .autoscaling.maxReplicas }}
  metrics:
  - type: Resource
    # Not a share of the request: a process uses one core at most, whatever it asks for.
    resource: { name: cpu, target: { type: AverageValue, averageValue: {{ .autoscaling.cpu }} } }
  behavior:
    scaleUp:
      policies: [{ type: Pods, value: 4, periodSeconds: 15 }]
    scaleDown:
      stabilizationWindowSeconds: 300
      policies: [{ type: Pods, value: 1, periodSeconds: 60 }]
{{- end -}}
