#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# own_cgroup.sh FOLDER COMMAND...: COMMAND in a cgroup (v2) of its own, which is removed with all below
# it when COMMAND has ended, however; exit code 0: it is removed. Run it in a new mount namespace, FOLDER
# becomes a mount point. Without it two systemds would use the same cgroups, and of the BPF programs that
# each attaches to /system.slice/* (IPAddressDeny=, DeviceAllow=) every one must agree, up to 64, also
# those of a systemd that was killed.
set -eu
hierarchy=$1
shift
mount -t cgroup2 cgroup2 "$hierarchy"
own=$hierarchy$(sed -n 's/^0:://p' /proc/self/cgroup)/etcdseal-test-$$
mkdir "$own"
# shellcheck disable=SC2016 # expanded by the inner shell
setpriv --pdeathsig KILL -- sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$own" "$@" || true
exec find "$own" -depth -type d -exec rmdir {} +
