#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# boot.sh FOLDER INSTALLED SOURCE: systemd as the first process of a system of its own. Run it in new
# pid, mount, uts, ipc, net and cgroup namespaces. Its root is this machine's, with changes in memory
# and the tree INSTALLED laid over it; SOURCE is shown at its place, wherever that is, and what is
# built there stays in memory as well. Of devices, /sys and /proc/sys it sees what a container sees.
set -eu
folder=$1 installed=$2 source=$3
root=$folder/root

mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/source" "$folder/source-work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for name in dev run tmp var/lib/etcdseal etc/etcdseal; do
    mkdir -p "$root/$name"
    mount -t tmpfs -o mode=0755 tmpfs "$root/$name"
done
chmod 1777 "$root/tmp"
mkdir -p "$root$source"
mount -t overlay overlay \
    -o "lowerdir=$source,upperdir=$folder/source,workdir=$folder/source-work" "$root$source"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs tmpfs "$root/dev/shm"
mount --make-rshared /

rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/credstore.encrypted "$root"/var/log/journal
: >"$root/etc/machine-id"
cp -a "$installed/." "$root/"
export container=namespace
exec chroot "$root" /lib/systemd/systemd --system --unit=basic.target --log-target=journal
