#!/bin/sh
# Moves the label coordha.dev/active to the pod that is active, so that a Service can follow it.
#
# `coordha observe --exec` runs it at each change, in each pod of the role; all of them want the same, so it does not matter
# whose comes first or is missing. With the label go the term's fencing token, as an annotation, and what the pod costs to delete: a
# rolling update then ends the standbys first, and the role moves once. Where a pod has a greater token, this is late news, or the
# store was restored, or is another one now, and the pods are older than it: so the store is asked who is active.
#
# Needs HA_ROLE, HA_ADDRESS and HA_TOKEN of `coordha observe`, POD_NAMESPACE and POD_SELECTOR of the chart, coordha, curl and jq.
set -eu

account=${SERVICE_ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount}
tries=${LABEL_TRIES:-0}       # 0: until it is ended
absences=${LABEL_ABSENCES:-5} # how often no pod may be at the address, which comes to the API only after the start of its pod
pause=${LABEL_PAUSE:-1}       # s, doubled each time up to 30
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

# Leaves in $is_active whether the store names this address with this token; fails where it cannot be asked.
ask_store() {
    code=0
    now=$(coordha observe --once --json --role="$HA_ROLE") || code=$?
    case $code in
        0 | 4) ;; # 4: nobody is active
        *)
            say "cannot ask the store who is active: exit code $code"
            return 1
            ;;
    esac
    # shellcheck disable=SC2016 # the variables are jq's
    is_active=$(printf '%s' "$now" | jq --arg address "$HA_ADDRESS" --argjson token "$HA_TOKEN" \
        '.address == $address and .token == $token')
}

# Whether a pod has a greater token, and whether one lives at the address; then one line for each pod to be changed: its name, and
# the patch. The patch holds only for the version of the pod that was read.
# shellcheck disable=SC2016 # the variables are jq's
plan='
  def token: .metadata.annotations["coordha.dev/token"] // "0" | tonumber;
  def is_at($address): [.status.podIP, .status.podIPs[]?.ip] | any(
      . != null and (. as $ip | $address | startswith($ip + ":") or startswith("[" + $ip + "]:")));
  def ended: .status.phase == "Failed" or .status.phase == "Succeeded";
  def lives_there: (ended | not) and is_at($address);
  def patch($active; $cost): {metadata: {
      resourceVersion: .metadata.resourceVersion,
      labels: {"coordha.dev/active": $active},
      annotations: {"coordha.dev/token": ($token | tostring), "controller.kubernetes.io/pod-deletion-cost": $cost}}};
  "\(any(.items[]; token > $token)) \(any(.items[]; lives_there))",
  (.items[] | select(lives_there)
      | select(.metadata.labels["coordha.dev/active"] != "true" or token != $token)
      | "\(.metadata.name) \(patch("true"; "100") | tojson)"),
  (.items[] | select(lives_there | not)
      | select(.metadata.labels["coordha.dev/active"] != null or token > $token)
      | "\(.metadata.name) \(patch(null; null) | tojson)")'

# Does all that there is to do; fails where something must be tried again.
move() {
    call --get --data-urlencode "labelSelector=$POD_SELECTOR" "$pods" || return 1
    if [ "$status" != 200 ]; then
        say "cannot list the pods: status $status"
        return 1
    fi
    changes=$(printf '%s' "$body" | jq --raw-output --arg address "$HA_ADDRESS" --argjson token "$HA_TOKEN" "$plan") || return 1
    head=${changes%%
*}
    if [ "$head" != "false true" ]; then
        # After the pods were read: who becomes active later finds what is patched here, or changes it first.
        ask_store || return 1
        if [ "$is_active" != true ]; then
            say "late news: the store does not name $HA_ADDRESS with the token $HA_TOKEN any more"
            exit 0
        fi
    fi
    case $head in
        true*) say "a pod has a greater token than $HA_TOKEN, but the store names $HA_ADDRESS with this one, which counts" ;;
    esac
    again=0
    while read -r pod patch; do
        [ "$pod $patch" != "$head" ] || continue
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
    case $head in
        *false)
            absences=$((absences - 1))
            [ "$absences" -le 0 ] || return 1
            say "no pod is at $HA_ADDRESS: the Service has no endpoint"
            ;;
    esac
    return "$again"
}

# Nobody is active. Who was has ended its command; a late word of it must not take the label from who comes next.
if [ -z "${HA_ADDRESS:-}" ] || [ -z "${HA_TOKEN:-}" ]; then
    exit 0
fi
while ! move; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        say "gives up: the label is not where it should be until this is run again"
        exit 1
    fi
    sleep "$pause"
    pause=$((pause * 2 < 30 ? pause * 2 : 30))
done
