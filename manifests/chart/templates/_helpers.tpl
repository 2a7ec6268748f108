{{/* The name of the application, as a label. */}}
{{- define "backupjobwatch.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
The name of the release's objects. 54 characters leave room for "-metrics", because a Service's name has 63 at most.
*/}}
{{- define "backupjobwatch.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $fullname := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $fullname | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{- define "backupjobwatch.serviceAccountName" -}}
{{- $default := ternary (include "backupjobwatch.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end -}}

{{/* What distinguishes this release's pods from those of other releases. */}}
{{- define "backupjobwatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "backupjobwatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "backupjobwatch.labels" -}}
{{ include "backupjobwatch.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
An object of the kustomize base, an overlay or a component, with the names, the namespace, the labels and the selectors
of this release: include "backupjobwatch.object" (list $ "base/deployment.yaml")
*/}}
{{- define "backupjobwatch.object" -}}
{{- $root := index . 0 -}}
{{- $file := printf "files/%s" (index . 1) -}}
{{- $object := required (printf "the chart lacks %s" $file) ($root.Files.Get $file) | fromYaml -}}
{{- $fullname := include "backupjobwatch.fullname" $root -}}
{{- $account := include "backupjobwatch.serviceAccountName" $root -}}
{{- $labels := include "backupjobwatch.labels" $root | fromYaml -}}
{{- $selector := include "backupjobwatch.selectorLabels" $root | fromYaml -}}
{{- $_ := set $object.metadata "name" (printf "%s%s" $fullname (trimPrefix "backupjobwatch" $object.metadata.name)) -}}
{{- if eq $object.kind "ServiceAccount" -}}
{{- $_ := set $object.metadata "name" $account -}}
{{- end -}}
{{- if not (regexMatch "^(Cluster|Validating)" $object.kind) -}}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- $common := deepCopy ($root.Values.commonLabels | default dict) -}}
{{- $_ := set $object.metadata "labels" (mergeOverwrite $common $object.metadata.labels $labels) -}}
{{- with $object.roleRef -}}
{{- $_ := set . "name" (printf "%s%s" $fullname (trimPrefix "backupjobwatch" .name)) -}}
{{- end -}}
{{- range $object.subjects -}}
{{- $_ := set . "name" $account -}}
{{- $_ := set . "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- range $object.rules -}}
{{- if .resourceNames -}}
{{- $_ := set . "resourceNames" (list $fullname) -}}{{/* the Lease */}}
{{- end -}}
{{- end -}}
{{- if eq $object.kind "ValidatingAdmissionPolicyBinding" -}}
{{- $_ := set $object.spec "policyName" (printf "%s%s" $fullname (trimPrefix "backupjobwatch" $object.spec.policyName)) -}}
{{- end -}}
{{- if eq $object.kind "Service" -}}
{{- $_ := mergeOverwrite $object.spec.selector $selector -}}
{{- else if has $object.kind (list "Deployment" "PodDisruptionBudget" "PodMonitor" "ServiceMonitor") -}}
{{- $_ := mergeOverwrite $object.spec.selector.matchLabels $selector -}}
{{- else if eq $object.kind "NetworkPolicy" -}}
{{- $_ := mergeOverwrite $object.spec.podSelector.matchLabels $selector -}}
{{- end -}}
{{- toYaml $object -}}
{{- end -}}

{{/* The spec that two or more replicas need: the patch of overlays/ha. */}}
{{- define "backupjobwatch.ha" -}}
{{- (required "the chart lacks files/ha" (.Files.Get "files/ha/deployment.yaml") | fromYaml).spec | toYaml -}}
{{- end -}}

{{/* A setting that is both a list of the values and one of `settings`. */}}
{{- define "backupjobwatch.namespaces" -}}
{{- $name := index . 1 -}}
{{- $key := index . 2 -}}
{{- with (index . 0).Values -}}
{{- if and (index . $key) (index .settings $name) -}}
{{- fail (printf "set %s or settings.%s, not both" $key $name) -}}
{{- end -}}
{{- if and .namespaced (or (index . $key) (index .settings $name)) -}}
{{- fail (printf "with namespaced: true the operator is for the release's namespace only: remove %s" (ternary $key (printf "settings.%s" $name) (not (empty (index . $key))))) -}}
{{- end -}}
{{- join "," (index . $key) -}}
{{- end -}}
{{- end -}}

{{/* The environment variables of the operator. If several values set the same variable, the later one below wins. */}}
{{- define "backupjobwatch.env" -}}
{{- $own := dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")) -}}
{{- $env := dict -}}
{{- $allowed := include "backupjobwatch.namespaces" (list . "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" "operatorIdentityNamespaces") -}}
{{- $_ := set $env "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" (dict "value" $allowed) -}}
{{- with include "backupjobwatch.namespaces" (list . "BACKUPJOBWATCH_NAMESPACES" "watchNamespaces") -}}
{{- $_ := set $env "BACKUPJOBWATCH_NAMESPACES" (dict "value" .) -}}
{{- end -}}
{{- if .Values.onDemandNamespaces -}}
{{- if index .Values.settings "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES" -}}
{{- fail "set onDemandNamespaces or settings.BACKUPJOBWATCH_ON_DEMAND_NAMESPACES, not both" -}}
{{- end -}}
{{- $_ := set $env "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES" (dict "value" (join "," .Values.onDemandNamespaces)) -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $value = int64 $value -}}{{/* Helm reads a large integer as a float, which would be written as 1e+06 */}}
{{- end -}}
{{- $_ := set $env $name (dict "value" (toString $value)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.namespaced -}}
{{- $_ := set $env "BACKUPJOBWATCH_NAMESPACES" $own -}}
{{- $_ := set $env "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" $own -}}
{{- end -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- range (first (include "backupjobwatch.ha" . | fromYaml).template.spec.containers).env -}}
{{- $_ := set $env .name (omit . "name") -}}
{{- end -}}
{{- $fullname := include "backupjobwatch.fullname" . -}}
{{- if ne $fullname "backupjobwatch" -}}{{/* the default of the setting */}}
{{- $_ := set $env "BACKUPJOBWATCH_LEASE_NAME" (dict "value" $fullname) -}}
{{- end -}}
{{- end -}}
{{- with .Values.azure.servicePrincipal.secretName -}}
{{- $secret := . -}}
{{- range list "AZURE_TENANT_ID" "AZURE_CLIENT_ID" "AZURE_CLIENT_SECRET" -}}
{{- $_ := set $env . (dict "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" .))) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- $_ := set $env .name (omit . "name") -}}
{{- end -}}
{{- range $name, $source := $env }}
- {{ mergeOverwrite (dict "name" $name) $source | toJson }}
{{- end -}}
{{- end -}}
