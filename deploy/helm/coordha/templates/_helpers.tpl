{{- define "coordha.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "coordha.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "coordha.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What selects all pods of a release, or with a role (dict "root" "role") those of one coordinator. */}}
{{- define "coordha.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
coordha.dev/role: {{ . }}
{{- end }}
{{- end -}}

{{- define "coordha.labels" -}}
{{ include "coordha.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image (dict "image" "tag"), by digest where there is one. */}}
{{- define "coordha.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The host of the pod, as an address has it. */}}
{{- define "coordha.podHost" -}}
{{- if eq .Values.ipFamily "IPv6" }}[$(POD_IP)]{{ else }}$(POD_IP){{ end -}}
{{- end -}}

{{- define "coordha.listen" -}}
{{- if eq .Values.ipFamily "IPv6" }}[::]{{ else }}0.0.0.0{{ end }}:{{ int .Values.coordha.port }}
{{- end -}}

{{/* The configuration that the command and the observer have in common: where the election is held. */}}
{{- define "coordha.storeEnv" -}}
- name: COORDHA_STORE_URL
  value: {{ printf "etcd://%s" (join "," .Values.etcd.endpoints) | quote }}
- name: COORDHA_ROOT
  value: {{ printf "%s/%s" .Values.etcd.rootPath .Values.etcd.metaSubPath | trimSuffix "/" | quote }}
{{- with .Values.etcd.auth }}
{{- if .enabled }}
- name: COORDHA_STORE_ETCD_USER
  valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .userKey | quote }}}}
- name: COORDHA_STORE_ETCD_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .passwordKey | quote }}}}
{{- end }}
{{- end }}
{{- with .Values.etcd.tls }}
{{- if .enabled }}
- name: COORDHA_STORE_ETCD_TLS_ENABLED
  value: "true"
- name: COORDHA_STORE_ETCD_TLS_CA
  value: /etc/coordha/tls/ca.crt
- name: COORDHA_STORE_ETCD_TLS_MIN_VERSION
  value: {{ .minVersion | quote }}
{{- if .mutual }}
- name: COORDHA_STORE_ETCD_TLS_CERT
  value: /etc/coordha/tls/tls.crt
- name: COORDHA_STORE_ETCD_TLS_KEY
  value: /etc/coordha/tls/tls.key
{{- end }}
{{- with .serverName }}
- name: COORDHA_STORE_ETCD_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.coordha.settings }}
- name: COORDHA_{{ $key | replace "." "_" | upper }}
  value: {{ if kindIs "float64" $value }}{{ int64 $value | quote }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
- name: COORDHA_LOG
  value: {{ .Values.coordha.log | quote }}
{{- end -}}

{{/* What an orderly stop may take, in ms: until the command is killed or the role given up, then the release. */}}
{{- define "coordha.stopMs" -}}
{{- add (int64 .Values.timing.deactivationMs) (int64 .Values.timing.releaseMs) -}}
{{- end -}}

{{- define "coordha.strategy" -}}
{{- if .strategy -}}
{{- toYaml .strategy -}}
{{- else if not .activeStandby.enabled -}}
{{- /* A second one beside it could do nothing but fail. */ -}}
type: Recreate
{{- else if eq .podAntiAffinity "hard" -}}
{{- /* One more pod might have no host to be on. */ -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
{{- else -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
{{- end -}}
