#!/bin/sh
# Moves the label coordha.dev/active to the pod that is active, so that a Service can follow it.
#
# `coordha observe --exec` runs it at each change, in each pod of the role; all of them want the same, so it does not matter
# whose comes first or is missing. With the label go the term's fencing token, as an annotation, by which a late one sees that it
# is late, and what the pod costs to delete: a rolling update then ends the standbys first, and the role moves once.
#
# Needs HA_ADDRESS and HA_TOKEN of `coordha observe`, POD_NAMESPACE and POD_SELECTOR of the chart, curl and jq.
set -eu

account=${SERVICE_ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount}
tries=${LABEL_TRIES:-0} # 0: for ever, as nobody runs it again before the next change
pause=${LABEL_PAUSE:-1}
case $KUBERNETES_SERVICE_HOST in
    *:*) host="[$KUBERNETES_SERVICE_HOST]" ;;
    *) host=$KUBERNETES_SERVICE_HOST ;;
esac
pods=https://$host:${KUBERNETES_SERVICE_PORT:-443}/api/v1/namespaces/$POD_NAMESPACE/pods

say() { echo "label: $*" >&2; }

# call <arguments of curl>: leaves the answer in $body and its status in $status. The token is in no argument, which others may see.
call() {
    status=000
    body=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$account/token")" |
        curl --config - --silent --show-error --max-time 5 --cacert "$account/ca.crt" --write-out '\n%{http_code}' "$@") || return 1
    status=${body##*
}
    body=${body%
*}
}

# One line for each pod to be changed: its name, and the patch. The patch holds only for the version of the pod that was read.
# shellcheck disable=SC2016 # the variables are jq's
plan='
  def token: .metadata.annotations["coordha.dev/token"] // "0" | tonumber;
  def is_at($address): [.status.podIP, .status.podIPs[]?.ip] | any(
      . != null and (. as $ip | $address | startswith($ip + ":") or startswith("[" + $ip + "]:")));
  def ended: .status.phase == "Failed" or .status.phase == "Succeeded";
  def patch($active; $cost): {metadata: {
      resourceVersion: .metadata.resourceVersion,
      labels: {"coordha.dev/active": $active},
      annotations: {"coordha.dev/token": ($token | tostring), "controller.kubernetes.io/pod-deletion-cost": $cost}}};
  if any(.items[]; token > $token) then empty else
      (.items[] | select((ended | not) and is_at($address))
          | select(.metadata.labels["coordha.dev/active"] != "true" or token != $token)
          | "\(.metadata.name) \(patch("true"; "100") | tojson)"),
      (.items[] | select(ended or (is_at($address) | not))
          | select(.metadata.labels["coordha.dev/active"] != null)
          | "\(.metadata.name) \(patch(null; null) | tojson)")
  end'

# Does all that there is to do; fails where something must be tried again.
move() {
    call --get --data-urlencode "labelSelector=$POD_SELECTOR" "$pods" || return 1
    if [ "$status" != 200 ]; then
        say "cannot list the pods: status $status"
        return 1
    fi
    changes=$(printf '%s' "$body" | jq --raw-output --arg address "$HA_ADDRESS" --argjson token "$HA_TOKEN" "$plan") || return 1
    again=0
    while read -r pod patch; do
        [ -n "$pod" ] || continue
        call --request PATCH --header 'Content-Type: application/merge-patch+json' --data "$patch" "$pods/$pod" || status=000
        case $status in
            200) say "$pod: $patch" ;;
            404) ;; # gone, and its label with it
            409) again=1 ;; # changed meanwhile
            *)
                say "cannot patch $pod: status $status"
                again=1
                ;;
        esac
    done <<EOF
$changes
EOF
    return "$again"
}

# Nobody is active. Who was has ended its command; a late word of it must not take the label from who comes next.
if [ -z "${HA_ADDRESS:-}" ] || [ -z "${HA_TOKEN:-}" ]; then
    exit 0
fi
while ! move; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        say "gives up: the label is not where it should be until the next change"
        exit 1
    fi
    sleep "$pause"
    pause=$((pause * 2 < 30 ? pause * 2 : 30))
done
