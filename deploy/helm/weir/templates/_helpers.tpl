{{- define "weir.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "weir.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weir.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "weir.name" .) }}
{{- end -}}

{{- define "weir.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "weir.name" .)) }}
{{- end -}}

{{/* A coordinator as the others reach it. */}}
{{- define "weir.coordinator" -}}
{{ .name }}-coordinator-{{ .id }}.{{ .name }}-coordinators.{{ .namespace }}.svc:7420
{{- end -}}

{{/* The founding members: 1=…,2=… */}}
{{- define "weir.members" -}}
{{- $members := list -}}
{{- range $id := untilStep 1 (int (add .Values.coordinators.replicas 1)) 1 -}}
{{- $members = append $members (printf "%d=%s" $id (include "weir.coordinator" (dict "name" (include "weir.name" $) "id" $id "namespace" $.Release.Namespace))) -}}
{{- end -}}
{{ join "," $members }}
{{- end -}}

{{/* Where workers and clients find the coordinators. */}}
{{- define "weir.coordinators" -}}
{{- $addresses := list -}}
{{- range $id := untilStep 1 (int (add .Values.coordinators.replicas 1)) 1 -}}
{{- $addresses = append $addresses (include "weir.coordinator" (dict "name" (include "weir.name" $) "id" $id "namespace" $.Release.Namespace)) -}}
{{- end -}}
{{ join "," $addresses }}
{{- end -}}

{{- define "weir.storage" -}}
{{ .Values.storage.url | default "file:///var/lib/weir/checkpoints" }}
{{- end -}}

{{- define "weir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "weir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Environment of every process; `role` is the one of its certificate. */}}
{{- define "weir.env" -}}
- {name: WEIR_COORDINATORS, value: {{ include "weir.coordinators" .root | quote }}}
- {name: RUST_LOG, value: {{ .root.Values.logFilter | quote }}}
{{- if .root.Values.tls.enabled }}
- {name: WEIR_TLS_CA, value: /etc/weir/tls/ca.pem}
- {name: WEIR_TLS_CERT, value: /etc/weir/tls/{{ .role }}.pem}
- {name: WEIR_TLS_KEY, value: /etc/weir/tls/{{ .role }}.key}
{{- end }}
{{- range $name, $value := .root.Values.storage.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "weir.envFrom" -}}
{{- with .Values.storage.envFromSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* What a process of that role reads of the certificates: its own key, and no other. */}}
{{- define "weir.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "weir.tlsSecret" .root }}
    defaultMode: 0440
    items:
      - {key: ca.pem, path: ca.pem}
      {{- range .roles }}
      - {key: {{ . }}.pem, path: {{ . }}.pem}
      - {key: {{ . }}.key, path: {{ . }}.key}
      {{- end }}
{{- end -}}

{{- define "weir.checkpointsVolume" -}}
- name: checkpoints
  persistentVolumeClaim: {claimName: {{ .Values.storage.volume.existingClaim | default (printf "%s-checkpoints" (include "weir.name" .)) }}}
{{- end -}}
