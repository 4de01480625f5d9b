{{- define "model.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
org.mlops/name: {{ .Release.Name }}
{{- end -}}
{{- define "model.chosen" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
org.mlops/name: {{ .Release.Name }}
org.mlops/part: model
{{- end -}}
