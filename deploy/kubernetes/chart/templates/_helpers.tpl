{{- define "rimbalzo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rimbalzo.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rimbalzo.labels" -}}
{{ include "rimbalzo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "rimbalzo.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "rimbalzo.app" -}}
{{- default "rimbalzo" .Values.config.app -}}
{{- end -}}

{{/* A topic's name: by itself, or the prefix and its own part. Argument: list of root, key and part. */}}
{{- define "rimbalzo.topic" -}}
{{- $topics := (index . 0).Values.config.topics -}}
{{- $prefix := ternary $topics.prefix "rimbalzo." (hasKey $topics "prefix") -}}
{{- default (printf "%s%s" $prefix (index . 2)) (get $topics (index . 1)) -}}
{{- end -}}

{{/* A duration of the configuration in milliseconds. */}}
{{- define "rimbalzo.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if not (hasKey $units $unit) }}{{ fail (printf "%s is no duration" .) }}{{ end -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units $unit | int64) -}}
{{- end -}}

{{- define "rimbalzo.port" -}}
{{- .Values.config.http.listen | regexFind "[0-9]+$" -}}
{{- end -}}

{{/* The most pods that can have work: partitions by threads. */}}
{{- define "rimbalzo.replicasMax" -}}
{{- $threads := int (default 1 (dig "worker" "threads" 1 .Values.config)) -}}
{{- max 1 (div (int .Values.config.topics.partitions) $threads) -}}
{{- end -}}
