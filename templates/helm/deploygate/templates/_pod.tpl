{{- define "deploygate.labels" -}}
app.kubernetes.io/name: deploygate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "deploygate.claim" -}}
{{ .Values.records.existingClaim | default (printf "%s-records" .Release.Name) }}
{{- end }}

{{- define "deploygate.podFailurePolicy" -}}
rules:
  # The node was drained or taken away: that says nothing about the platform.
  - action: Ignore
    onPodConditions:
      - type: DisruptionTarget
        status: "True"
{{- end }}

{{/* The pod of a job. `script` and `env` are texts; `mounts` is added to the volume mounts. */}}
{{- define "deploygate.pod" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ .root.Release.Name }}
automountServiceAccountToken: {{ $values.serviceAccount.token }}
restartPolicy: Never
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: deploygate
    image: {{ $values.image | quote }}
    command: [bash, -euc]
    args:
      - |
        {{- .script | trim | nindent 8 }}
    env:
      {{- .env | trim | nindent 6 }}
      - name: HOME
        value: /tmp
    envFrom:
      - secretRef:
          name: {{ $values.secretName }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts:
      - name: records
        mountPath: /repository/deploygate-out
        subPath: changes
      {{- with .mounts }}
      {{- . | trim | nindent 6 }}
      {{- end }}
      - name: tmp
        mountPath: /tmp
volumes:
  - name: records
    persistentVolumeClaim:
      claimName: {{ include "deploygate.claim" .root }}
  - name: tmp
    emptyDir: {}
{{- end }}
