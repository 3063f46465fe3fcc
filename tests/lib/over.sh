# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# over.sh FOLDER FILES COMMAND...: runs the command on this machine, with /etc and /var/lib as they are,
# but without any Kubernetes, and with the tree FILES laid over them. In a mount namespace of its own;
# FOLDER is empty and holds what the command changes.
set -eu
folder=$1 files=$2
shift 2
if [[ $(readlink /proc/self/ns/mnt) == "$(readlink /proc/1/ns/mnt)" ]]; then
    echo "over.sh: not in a mount namespace of its own" >&2
    exit 2
fi
mount -t tmpfs tmpfs "$folder"
for name in etc var/lib; do
    mkdir -p "$folder/upper/$name" "$folder/work/$name"
    mount -t overlay overlay \
        -o "lowerdir=/$name,upperdir=$folder/upper/$name,workdir=$folder/work/$name" "/$name"
done
rm -rf /etc/kubernetes /etc/rancher /var/lib/rancher
for name in etc var/lib; do # and nothing else: the rest is the machine's own
    [[ ! -d $files/$name ]] || cp -r --preserve=mode,timestamps "$files/$name/." "/$name/"
done
exec "$@"
