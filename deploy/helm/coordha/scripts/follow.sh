#!/bin/sh
# Runs `coordha <arguments>` for as long as the pod lives. `coordha observe` ends where etcd is away at its start, or was restored; a
# container that ended with it would take its pod, which may be the active one, out of its Service, for up to 5 minutes.
#
# After a minute it is ended and started anew, which runs the command of --exec again: so what no change tells of is mended, too.
set -u

renewal=${FOLLOW_RENEWAL:-60} # s
pause=${FOLLOW_PAUSE:-2}      # s, after an end that was not asked for

child=
ending=
trap 'ending=1; [ -z "$child" ] || kill "$child"' TERM INT

# run <command>: until it has ended, with its exit code in $code. A signal is passed on to it.
run() {
    "$@" &
    child=$!
    [ -z "$ending" ] || kill "$child"
    wait "$child"
    code=$?
    # It may be that a signal alone has ended that.
    [ -z "$ending" ] || wait "$child"
    child=
}

while [ -z "$ending" ]; do
    run timeout --kill-after=30 "$renewal" coordha "$@"
    # 124: its time was over.
    if [ -z "$ending" ] && [ "$code" -ne 124 ]; then
        run sleep "$pause"
    fi
done
