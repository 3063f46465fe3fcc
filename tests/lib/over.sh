# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# over.sh FOLDER FILES COMMAND...: runs the command on this machine, with /etc and /var/lib as they are,
# but without any Kubernetes, and with the tree FILES laid over them. In a mount namespace of its own;
# FOLDER is empty and holds what the command changes.
set -eu
folder=$1 files=$2
shift 2
mount -t tmpfs tmpfs "$folder"
for name in etc var/lib; do
    mkdir -p "$folder/upper/$name" "$folder/work/$name"
    mount -t overlay overlay \
        -o "lowerdir=/$name,upperdir=$folder/upper/$name,workdir=$folder/work/$name" "/$name"
done
rm -rf /etc/kubernetes /etc/rancher /var/lib/rancher
cp -a "$files/." /
exec "$@"
