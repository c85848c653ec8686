{{/* All enabled coordinators, checked, as {items: [...]}: each with its role, its name, and each value that it does not set itself. */}}
{{- define "coordha.coordinators" -}}
{{- $milvus := list (list "rootCoordinator" "rootcoord") (list "queryCoordinator" "querycoord") (list "dataCoordinator" "datacoord") (list "mixCoordinator" "mixcoord") -}}
{{- $shared := list "image" "resources" "extraEnv" "extraEnvFrom" "extraVolumes" "extraVolumeMounts" "podAnnotations" "podLabels" "nodeSelector" "tolerations" "topologySpreadConstraints" "priorityClassName" "podAntiAffinity" "affinity" "strategy" "terminationGracePeriodSeconds" "readinessProbe" "livenessProbe" "podDisruptionBudget" "activeService" -}}
{{- $found := list -}}
{{- range $milvus -}}
{{- $own := get $.Values (index . 0) -}}
{{- if $own.enabled -}}
{{- $found = append $found (merge (dict "key" (index . 0) "role" (index . 1)) (omit $own "role")) -}}
{{- end -}}
{{- end -}}
{{- range $at, $own := .Values.coordinators -}}
{{- if not (and (hasKey $own "enabled") (not $own.enabled)) -}}
{{- $found = append $found (merge (dict "key" (printf "coordinators[%d]" $at)) $own) -}}
{{- end -}}
{{- end -}}
{{- $items := list -}}
{{- $roles := dict -}}
{{- $names := dict -}}
{{- range $found -}}
{{- $one := . -}}
{{- range $key := $shared -}}
{{- if not (hasKey $one $key) -}}
{{- $_ := set $one $key (get $.Values $key) -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey $one "activeStandby") -}}
{{- $_ := set $one "activeStandby" (dict "enabled" false) -}}
{{- end -}}
{{- if not (hasKey $one "replicas") -}}
{{- $_ := set $one "replicas" (ternary 2 1 $one.activeStandby.enabled) -}}
{{- end -}}
{{- $_ := set $one "name" (printf "%s-%s" (include "coordha.fullname" $) ($one.role | replace "_" "-") | trunc 54 | trimSuffix "-") -}}
{{- include "coordha.check" (dict "root" $ "one" $one) -}}
{{- if hasKey $roles $one.role -}}
{{- fail (printf "%s and %s are both of the role %s: they would stand in one election with different commands; give one of them another role" (get $roles $one.role) $one.key $one.role) -}}
{{- end -}}
{{- if hasKey $names $one.name -}}
{{- fail (printf "%s and %s both get the name %s: shorten fullnameOverride, or change one of the roles" (get $names $one.name) $one.key $one.name) -}}
{{- end -}}
{{- $_ := set $roles $one.role $one.key -}}
{{- $_ := set $names $one.name $one.key -}}
{{- $items = append $items $one -}}
{{- end -}}
{{- include "coordha.checkAll" (dict "root" . "roles" $roles) -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}

{{/* One coordinator (dict "root" "one"). */}}
{{- define "coordha.check" -}}
{{- $one := .one -}}
{{- $values := .root.Values -}}
{{- if and (gt (int $one.replicas) 1) (not $one.activeStandby.enabled) -}}
{{- fail (printf "%s.replicas is %d, but %s.activeStandby.enabled is false: without a standby the role is exclusive, and a second replica can do nothing but fail; set %s.activeStandby.enabled=true, or %s.replicas=1" $one.key (int $one.replicas) $one.key $one.key $one.key) -}}
{{- end -}}
{{- if and $one.strategy (not $one.activeStandby.enabled) (ne $one.strategy.type "Recreate") -}}
{{- fail (printf "%s.strategy is %s, but %s.activeStandby.enabled is false: a new pod would wait for the old one, which waits for the new one to be ready; leave it out, or set Recreate" $one.key $one.strategy.type $one.key) -}}
{{- end -}}
{{- if not $one.command -}}
{{- fail (printf "%s.command is empty: it is what the active pod runs, such as [/app/coordinator, --port, \"%d\"]" $one.key (int $one.port)) -}}
{{- end -}}
{{- if not $one.image.repository -}}
{{- fail (printf "image.repository is empty: it is the image of the program that %s runs" $one.key) -}}
{{- end -}}
{{- if not (or $one.image.tag $one.image.digest) -}}
{{- fail (printf "image.tag is empty, and so is image.digest: one of them says which %s %s runs" $one.image.repository $one.key) -}}
{{- end -}}
{{- if eq (int $one.port) (int $values.coordha.port) -}}
{{- fail (printf "%s.port is %d, on which the command itself serves (coordha.port): change one of them" $one.key (int $one.port)) -}}
{{- end -}}
{{- with $one.terminationGracePeriodSeconds -}}
{{- if lt (mul 1000 (int64 .)) (include "coordha.stopMs" $.root | int64) -}}
{{- fail (printf "%s: terminationGracePeriodSeconds is %d, but an orderly stop may take timing.deactivationMs + timing.releaseMs = %s ms" $one.key (int .) (include "coordha.stopMs" $.root)) -}}
{{- end -}}
{{- end -}}
{{- $role := $one.role -}}
{{- range list "rootcoord" "querycoord" "datacoord" "indexcoord" "mixcoord" -}}
{{- if and (hasPrefix . $role) (ne . $role) -}}
{{- fail (printf "%s.role is %s: a name that begins with Milvus's role %s is taken for it by Milvus's clients; choose another" $one.key $role .) -}}
{{- end -}}
{{- end -}}
{{- if has $role (list "proxy" "datanode" "querynode" "indexnode" "streamingnode" "id" "version") -}}
{{- fail (printf "%s.role is %s, which is no coordinator but a name that Milvus uses for something else; choose another" $one.key $role) -}}
{{- end -}}
{{- end -}}

{{/* All together (dict "root" "roles"). */}}
{{- define "coordha.checkAll" -}}
{{- $values := .root.Values -}}
{{- $roles := .roles -}}
{{- if not $roles -}}
{{- fail "no coordinator is enabled: set rootCoordinator.enabled=true, another one, or coordinators" -}}
{{- end -}}
{{- if hasKey $roles "mixcoord" -}}
{{- range list "rootcoord" "querycoord" "datacoord" -}}
{{- if hasKey $roles . -}}
{{- fail (printf "%s and %s are both enabled: a key of the role %s keeps each mixcoord of Milvus 2.6 from starting; enable one of them" (get $roles "mixcoord") (get $roles .) .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $values.timing -}}
{{- if lt (int64 .ttlMs) (mul 2 (int64 .holdMs)) -}}
{{- fail (printf "timing.ttlMs is %d: it must be at least twice timing.holdMs, %d" (int64 .ttlMs) (mul 2 (int64 .holdMs))) -}}
{{- end -}}
{{- if lt (int64 .deactivationMs) (add 500 (int64 .graceMs)) -}}
{{- fail (printf "timing.graceMs is %d, but timing.deactivationMs is %d: the role must be kept for at least 500 ms more than the command may take to stop, or less is left to it" (int64 .graceMs) (int64 .deactivationMs)) -}}
{{- end -}}
{{- end -}}
{{- with $values.etcd -}}
{{- if and .tls.enabled (not .tls.secretName) -}}
{{- fail "etcd.tls.enabled is true, but etcd.tls.secretName is empty: name the Secret with the authority's certificate" -}}
{{- end -}}
{{- if and .tls.mutual (not .tls.enabled) -}}
{{- fail "etcd.tls.mutual is true, but etcd.tls.enabled is false" -}}
{{- end -}}
{{- if and .auth.enabled (not .auth.secretName) -}}
{{- fail "etcd.auth.enabled is true, but etcd.auth.secretName is empty: name the Secret with user and password" -}}
{{- end -}}
{{- end -}}
{{- $own := dict "role" "the name of the coordinator" "address" "port and ipFamily" "store.url" "etcd.endpoints" "root" "etcd.rootPath" "active_standby.enabled" "activeStandby.enabled" "election.hold_ms" "timing.holdMs" "lease.ttl_ms" "timing.ttlMs" "deactivation.timeout_ms" "timing.deactivationMs" "release.timeout_ms" "timing.releaseMs" "store.etcd.user" "etcd.auth" "store.etcd.password" "etcd.auth" -}}
{{- range $key, $_ := $values.coordha.settings -}}
{{- if hasKey $own $key -}}
{{- fail (printf "coordha.settings has %s, which has a value of its own: %s" $key (get $own $key)) -}}
{{- end -}}
{{- if hasPrefix "store.etcd.tls." $key -}}
{{- fail (printf "coordha.settings has %s, which has a value of its own: etcd.tls" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
