{{/* What the operator's objects are called. */}}
{{- define "portolan.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains "portolan" .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-portolan" (.Release.Name | trunc 39 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "portolan.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "portolan.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The operator's name is a law: the NetworkPolicies of gateways let in the pods that carry it. */}}
{{- define "portolan.selector" -}}
app.kubernetes.io/name: portolan-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portolan.labels" -}}
{{ include "portolan.selector" . }}
app.kubernetes.io/part-of: portolan
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image of values: by digest, or by tag. */}}
{{- define "portolan.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{/* Namespaces of gateways, as a JSON list. */}}
{{- define "portolan.gatewayNamespaces" -}}
{{- $own := .Values.watchNamespaces | default (list .Release.Namespace) -}}
{{- $named := .Values.gatewayNamespaces | default $own -}}
{{- if .Values.gateway.create -}}
{{- $named = append $named (.Values.gateway.namespace | default .Release.Namespace) -}}
{{- end -}}
{{- $named | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Namespaces whose Secrets may be used, as a JSON list: tenants, and gateways for what they are supplied with. */}}
{{- define "portolan.tenantNamespaces" -}}
{{- concat .Values.tenantNamespaces .Values.watchNamespaces (include "portolan.gatewayNamespaces" . | fromJsonArray) | uniq | sortAlpha | toJson -}}
{{- end -}}
