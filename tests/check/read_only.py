# SPDX-License-Identifier: Apache-2.0
"""An audit can do nothing but read, seen from its object files: read_only.py FOLDER, of a build. Follows
the symbols from `etcdseal audit` through all that they need. None of it is of the rooms that hold or
change keys, none writes to etcd or SQLite, and the methods of etcd's API that it names are those that
read."""

import collections
import re
import subprocess
import sys
from pathlib import Path

STARTS = ["cmd_audit.c.o", "cmd_audit_keys.c.o"]
ROOMS_NEVER = {"keystore", "seal", "provider", "vault", "plugin", "doctor"}
# What the readers may not call even of libc; reports are written by base, for the cli.
READERS = ["audit", "etcd", "stored", "kms"]
NEVER = re.compile(r"^(file_write|file_replace|outfile_|p?writev?(64)?|fwrite|fopen(64)?|open(at)?(64)?|creat|"
                   r"renameat2?|rename|unlink(at)?|truncate|ftruncate|mkdir|link|symlink|system|popen|"
                   r"exec\w*|fork|vfork|posix_spawn\w*|sqlite3_(exec_write|backup_\w+|deserialize|"
                   r"wal_checkpoint\w*|load_extension))$")
METHODS = {"/etcdserverpb.KV/Range", "/etcdserverpb.KV/RangeStream",
           "/etcdserverpb.Maintenance/Status", "/etcdserverpb.Maintenance/Snapshot",
           "/etcdserverpb.Auth/Authenticate"}
MESSAGES_NEVER = re.compile(r"(put|txn|delete_range|compaction|lease\w*|defragment|move_leader|"
                            r"downgrade|member_(add|remove|update|promote))_?request", re.I)


def symbols(archive):
    """For each object what it defines and what it needs."""
    objects, current = collections.defaultdict(lambda: (set(), set())), archive.name
    text = subprocess.run(["nm", archive], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        if line.endswith(".o:"):
            current = line[:-1]
        elif match := re.match(r"[0-9a-f ]{16} (\w) (\S+)$", line):
            kind, name = match.groups()
            objects[current][kind in "Uw"].add(name)
    return objects


def read(folder):
    rooms = {}
    for archive in sorted(Path(folder).glob("*/lib*.a")):
        rooms[archive.parent.name] = symbols(archive)
    if not {"cli", "etcd", "audit", "stored", "keystore", "seal", "provider"} <= set(rooms):
        sys.exit(f"read_only: {folder} is no build: {sorted(rooms)}")
    return rooms


def reach(rooms):
    """Each object that the audit needs, and by which one it is needed first."""
    where = {name: (room, obj) for room, objects in rooms.items() for obj, (defined, _) in objects.items()
             for name in defined}
    found = {("cli", start): None for start in STARTS}
    queue = list(found)
    for one in queue:
        for name in rooms[one[0]][one[1]][1]:
            to = where.get(name)
            if to is not None and to not in found:
                found[to] = (one, name)
                queue.append(to)
    return found


def methods(folder):
    text = subprocess.run(["strings", "-a", Path(folder) / "etcd" / "libetcd.a"], check=True,
                          capture_output=True, text=True).stdout
    return set(re.findall(r"/[a-z0-9]+pb\.\w+/\w+", text))


def findings(folder):
    rooms = read(folder)
    for (room, obj), why in reach(rooms).items():
        if room in ROOMS_NEVER:
            yield f"audit needs {room}/{obj}, for {why[1]} in {why[0][0]}/{why[0][1]}"
    for room in READERS:
        for obj, (defined, needed) in rooms[room].items():
            for name in sorted(needed):
                if NEVER.match(name):
                    yield f"{room}/{obj} calls {name}, which does not read"
    for name in sorted(methods(folder) - METHODS):
        yield f"etcd names {name}, which does not read"
    for obj, (defined, _) in rooms["proto"].items():
        for name in sorted(defined):
            if "etcd" in obj and MESSAGES_NEVER.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)):
                yield f"proto/{obj} has {name}, a message that does not read"


def main():
    found = list(findings(sys.argv[1]))
    for line in found:
        print(f"read_only: {line}")
    if found:
        sys.exit(1)
    rooms = read(sys.argv[1])
    objects = reach(rooms)
    needed = sorted({room for room, _ in objects})
    if not methods(sys.argv[1]) or len(objects) < 50 or "audit" not in needed:
        sys.exit("read_only: it has looked at nothing")
    print(f"{len(objects)} objects of {', '.join(needed)}: no findings")


if __name__ == "__main__":
    main()
