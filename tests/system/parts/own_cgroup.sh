#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# own_cgroup.sh FOLDER COMMAND...: COMMAND in a cgroup (v2) of its own, in which nothing is left alive
# when it or this script ends, and which is removed then; exit code 0: it is. Run it in new mount and
# cgroup namespaces; FOLDER becomes a mount point. Without it two systemds would use the same cgroups,
# and of the BPF programs that each attaches to /system.slice/* (IPAddressDeny=, DeviceAllow=) every one
# must agree, up to 64, also those of a systemd that was killed. What needs controllers of cgroup v2
# (TasksMax=) is not in force there.
set -eu
hierarchy=$1
shift
mount -t cgroup2 cgroup2 "$hierarchy"
own=$(mktemp --directory "$hierarchy/etcdseal-test-XXXXXX")

remove() {
    [[ ! -e $own/cgroup.kill ]] || echo 1 >"$own/cgroup.kill"
    for _ in {1..100}; do
        if find "$own" -depth -type d -exec rmdir {} + 2>/dev/null; then
            exit 0
        fi
        sleep 0.05
    done
    echo "not removed: $own" >&2
    exit 1
}
trap remove EXIT
trap 'exit 143' TERM INT

# shellcheck disable=SC2016 # expanded by the inner shell
setpriv --pdeathsig KILL -- sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$own" "$@" &
wait "$!" || true
