{{/* Everything of one role. Argument: dict of root and role. */}}
{{- define "rimbalzo.role" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := get $root.Values $role -}}
{{- $name := printf "%s-%s" (include "rimbalzo.fullname" $root) $role -}}
{{- $scaled := and (eq $role "worker") $root.Values.keda.enabled -}}
{{- $secret := default (ternary $name "" $root.Values.strimzi.enabled) $values.secretName -}}
{{- if $values.enabled }}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "rimbalzo.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "rimbalzo.selectorLabels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
  ports:
    - name: http
      port: {{ include "rimbalzo.port" $root }}
      targetPort: http
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels:
    {{- include "rimbalzo.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
spec:
  serviceName: {{ $name }}
  {{- if not $scaled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  # Pods do not need each other; each takes back its place in the group by its name.
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "rimbalzo.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $role }}
  template:
    metadata:
      labels:
        {{- include "rimbalzo.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $role }}
      annotations:
        checksum/config: {{ toYaml $root.Values.config | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "rimbalzo.fullname" $root }}
      automountServiceAccountToken: false
      # Kubernetes would set RIMBALZO_* for services of our name, which are no configuration.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      {{- if and (eq $role "worker") (ne $root.Values.topics.init "none") }}
      initContainers:
        - name: topics
          image: {{ include "rimbalzo.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            - topics
            - {{ $root.Values.topics.init }}
            {{- if eq $root.Values.topics.init "apply" }}
            - --yes
            {{- end }}
            - --config=/etc/rimbalzo/rimbalzo.yaml
          {{- include "rimbalzo.container" (dict "root" $root "values" $values "secret" $secret "user" $name) | nindent 10 }}
          volumeMounts:
            {{- include "rimbalzo.configMounts" $secret | nindent 12 }}
      {{- end }}
      containers:
        - name: {{ $role }}
          image: {{ include "rimbalzo.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ $role }}, --config=/etc/rimbalzo/rimbalzo.yaml]
          {{- include "rimbalzo.container" (dict "root" $root "values" $values "secret" $secret "user" $name) | nindent 10 }}
          ports:
            - name: http
              containerPort: {{ include "rimbalzo.port" $root }}
          # An engine thread without a turn for a minute is dead; waiting for the broker is being alive.
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            failureThreshold: 30
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
          volumeMounts:
            {{- include "rimbalzo.configMounts" $secret | nindent 12 }}
            - name: state
              mountPath: /var/lib/rimbalzo
      volumes:
        - name: config
          configMap:
            name: {{ include "rimbalzo.fullname" $root }}
        {{- if $secret }}
        - name: secrets
          secret:
            secretName: {{ $secret }}
            defaultMode: 0440
        {{- end }}
        {{- if not $values.storage.enabled }}
        - name: state
          emptyDir: {}
        {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "rimbalzo.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $role }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- if $values.storage.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: state
        labels:
          {{- include "rimbalzo.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $role }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $values.storage.size }}
  {{- end }}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels:
    {{- include "rimbalzo.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod with a partition that has stopped is not ready, and would hold up every drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rimbalzo.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $role }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rimbalzo.configMounts" -}}
- name: config
  mountPath: /etc/rimbalzo
  readOnly: true
{{- if . }}
- name: secrets
  mountPath: /run/secrets/rimbalzo
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rimbalzo.container" -}}
env:
  # The place in the group and the transactional ids; kept across restarts.
  - name: RIMBALZO_INSTANCE
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- if .root.Values.strimzi.enabled }}
  - name: RIMBALZO_KAFKA_SASL_USERNAME
    value: {{ .user }}
  - name: RIMBALZO_KAFKA_SASL_PASSWORD_FILE
    value: /run/secrets/rimbalzo/password
  {{- end }}
  {{- with .values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end -}}
