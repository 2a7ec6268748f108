{{/*
An object of the kustomize base or of a component, by its file, with this release's namespace and labels:
include "backupjobwatch.object" (list $ "base/deployment.yaml")
*/}}
{{- define "backupjobwatch.object" -}}
{{- $root := index . 0 -}}
{{- $file := printf "files/%s" (index . 1) -}}
{{- $object := required (printf "the chart lacks %s" $file) ($root.Files.Get $file) | fromYaml -}}
{{- if not (regexMatch "^(Cluster|Custom|Validating)" $object.kind) -}}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- $_ := mergeOverwrite $object.metadata.labels (include "backupjobwatch.labels" $root | fromYaml) -}}
{{- range $object.subjects -}}
{{- $_ := set . "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- toYaml $object -}}
{{- end -}}

{{/* What Helm's objects say of themselves beyond what kustomize's do. */}}
{{- define "backupjobwatch.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What more than one pod need of the Deployment: the spec of overlays/ha. */}}
{{- define "backupjobwatch.ha" -}}
{{- (required "the chart lacks files/ha" (.Files.Get "files/ha/deployment.yaml") | fromYaml).spec | toYaml -}}
{{- end -}}

{{/* The operator's variables. A name that several values set is there once: the later value wins. */}}
{{- define "backupjobwatch.env" -}}
{{- $own := dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")) -}}
{{- $env := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $value = int64 $value -}}{{/* a large whole number of a file is a float, and would be 1e+06 */}}
{{- end -}}
{{- $_ := set $env $name (dict "value" (toString $value)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.namespaced -}}
{{- range list "BACKUPJOBWATCH_NAMESPACES" "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" -}}
{{- if index $.Values.settings . -}}
{{- fail (printf "with namespaced: true the operator is for the release's namespace only: leave settings.%s out" .) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $env "BACKUPJOBWATCH_NAMESPACES" $own -}}
{{- $_ := set $env "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" $own -}}
{{- end -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- range (first (include "backupjobwatch.ha" . | fromYaml).template.spec.containers).env -}}
{{- $_ := set $env .name (omit . "name") -}}
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
