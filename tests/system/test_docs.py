# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of README.md and docs/: all sh blocks of a page, in order, in one shell.

The shell runs as root in namespaces of its own: /etc/etcdseal, /var/lib/etcdseal and /run/etcdseal
are empty folders, there is a user etcdseal and a daemon of his that waits for a keystore, sudo does
nothing, etcdseal and etcdseald are in PATH, and the working folder shows what lies at the top of the
tree. Processes that a page leaves behind end with it. Which blocks are not run is marked in the
page: see tools/check-docs.
"""

import os
import subprocess
import sys

import pytest

from parts import places

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

SANDBOX = """
set -eu
for folder in /etc/etcdseal /var/lib/etcdseal /run/etcdseal; do
    mkdir -p "$folder"
    mount -t tmpfs -o mode=0755 tmpfs "$folder"
done
for file in passwd group; do
    cp "/etc/$file" "$SCRATCH/$file"
    mount --bind "$SCRATCH/$file" "/etc/$file"
done
echo 'etcdseal:x:4999:4999::/var/lib/etcdseal:/usr/sbin/nologin' >> /etc/passwd
echo 'etcdseal:x:4999:' >> /etc/group
chown etcdseal:etcdseal /var/lib/etcdseal
chmod 0700 /var/lib/etcdseal
chown etcdseal /run/etcdseal
setpriv --reuid etcdseal --regid etcdseal --clear-groups etcdseald --config "$SCRATCH/daemon.yaml" \
    >"$SCRATCH/logs/etcdseald.log" 2>&1 &
until [ -S /run/etcdseal/status.sock ]; do
    kill -0 $!
    sleep 0.05
done
cd "$SCRATCH/tree"
exec sh -eux "$SCRATCH/commands"
"""

# Nobody types as fast as a shell reads: between two blocks the daemon takes up what has changed.
SETTLE = """
settle() {
    for _ in $(seq 100); do
        [ -e /var/lib/etcdseal/keystore ] && ! etcdseal status >/dev/null 2>&1 || return 0
        sleep 0.05
    done
} 2>/dev/null
"""

PAGES = [page for page in markdown.pages(places.ROOT) if markdown.commands_to_run(page)]


def test_there_are_pages_with_commands():
    assert places.ROOT / "README.md" in markdown.pages(places.ROOT)
    assert PAGES, "no page has a command that is run"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(places.ROOT)))
def test_commands(workspace, page):
    tree = workspace.folder("tree", 0o755)
    for path in places.ROOT.iterdir():
        if path.name != ".git":
            (tree / path.name).symlink_to(path)
    workspace.write("bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    workspace.write("sandbox", SANDBOX)
    workspace.write("daemon.yaml", "socket: { owner: etcdseal, group: etcdseal }\n", 0o644)
    commands = markdown.commands_to_run(page)
    workspace.write("commands", SETTLE + "\nsettle\n".join(commands))
    folders = [workspace.path("bin"), places.our_program("etcdseal").parent, "/usr/sbin",
               "/usr/bin", "/sbin", "/bin"]
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
         workspace.path("sandbox")],
        env={"SCRATCH": str(workspace.root), "PATH": ":".join(map(str, folders)),
             "HOME": str(workspace.root), "LANG": "C.UTF-8",
             "ETCDSEAL_CACHE": os.environ.get("ETCDSEAL_CACHE", "")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120)
    assert done.returncode == 0, f"{page}:\n{done.stdout}"
