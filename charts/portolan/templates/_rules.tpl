{{/* What the operator sees where it looks after objects: its kinds, pods of gateways, what it wrote itself. No Secret. */}}
{{- define "portolan.rules.watch" -}}
- apiGroups: [portolan.dev]
  resources: [llmgateways, llmproviders, virtualkeys, routingpolicies, cachepolicies, budgets]
  verbs: [list, watch]
- apiGroups: [portolan.dev]
  resources: [llmgateways/status, llmproviders/status, virtualkeys/status, routingpolicies/status, cachepolicies/status, budgets/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods, services, serviceaccounts]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* What it may in a tenant's namespace: read what objects refer to, put minted keys into Secrets. */}}
{{- define "portolan.rules.tenant" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
{{- end -}}

{{/* What it may in a gateway's namespace beside that of a tenant: supply it, and run it. */}}
{{- define "portolan.rules.gateway" -}}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, update]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, create, patch]
{{- end -}}

{{/* A role and what binds it to the operator, in a namespace or in all: root, name, namespace, rules; bound: the kind of
     role that is bound, made here unless it is a ClusterRole in a namespace. */}}
{{- define "portolan.granted" -}}
{{- $root := .root -}}
{{- $scoped := ne .namespace "" -}}
{{- if or (not $scoped) (eq .bound "Role") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .bound }}
metadata:
  name: {{ .name }}
  {{- if $scoped }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "portolan.labels" $root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
{{- end }}
{{- if not .unbound }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" $scoped }}
metadata:
  name: {{ .name }}
  {{- if $scoped }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "portolan.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .bound }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "portolan.account" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end -}}
