# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit beside two readers that share nothing with it: parts/etcd_file.py, in Python, and
`etcdutl snapshot status`. What a real kube-apiserver wrote, with its past; the values that Kubernetes
keeps for its own tests; a file that `etcdutl snapshot restore` made; and the same files damaged."""

import collections
import json
import random
import subprocess
import time

from parts import places
from parts.etcd import Etcd
from parts.etcd_file import CLASSES, EtcdFile, count, judge
from parts.tool import Tool
from test_audit import MARKER, Cluster, local_keys, row_of

VECTORS = json.loads((places.ROOT / "tests" / "data" / "kubernetes-stored-values.json").read_text())


def etcdutl(*words):
    return subprocess.run([places.real_part("etcdutl"), *map(str, words)], check=True,
                          capture_output=True, text=True).stdout


def audit(*words, code=None):
    ran = Tool().run("audit", *words, "-o", "json")
    assert ran.code in ((0, 1, 4) if code is None else (code,)), f"{ran.code}\n{ran.err}"
    assert MARKER not in ran.out + ran.err
    return json.loads(ran.out)


def hold_against(path, report):
    """Field by field."""
    file = EtcdFile(path.read_bytes())
    records = list(file.records())
    live, older = file.split()
    status = json.loads(etcdutl("snapshot", "status", path, "-w", "json"))
    # The Python reader has seen all that etcd's own sees: it made the same hash of it.
    assert status["hash"] == file.crc()
    source, totals = report["source"], report["totals"]
    assert source["revision"] == status["revision"] == records[-1][0]
    assert source["records"] == len(records)
    assert source["tombstones"] == sum(row[1] for row in records)
    meta = dict(file.buckets["meta"])
    assert source["compact_revision"] == int.from_bytes(meta.get(b"finishedCompactRev", b"")[:8], "big")
    classes = collections.Counter(judge(value)[0] for value in live.values())
    assert totals["keys"] == status["totalKey"] == len(live), len({row[2] for row in records})
    assert {name: totals[name] for name in CLASSES} == {name: classes[name] for name in CLASSES}
    # Resources: each folder of keys is one row, with the same numbers.
    rows = [tuple(row[name] for name in ["keys", *CLASSES]) for row in report["resources"] if row["keys"]]
    folders = [(sum(found.values()), *(found[name] for name in CLASSES)) for found in count(live).values()]
    assert sorted(rows) == sorted(folders)
    for name in ("secrets", "configmaps", "namespaces"):
        if count(live).get(name):
            assert {c: row_of(report, name)[c] for c in CLASSES if row_of(report, name)[c]} == count(live)[name]
    # Keys, in live values and in older ones.
    keys = collections.Counter(judge(value) for value in live.values())
    told = {(row["class"], row["provider"] or None, row["key_id"] or None): row["objects"]
            for row in report["key_ids"] if row["objects"]}
    assert told == {key: n for key, n in keys.items() if key[0] not in ("plaintext", "other")}
    left = report["residue"]["old_revisions"]
    assert left["values"] == len(older)
    assert left["plaintext"] == sum(judge(value)[0] == "plaintext" for key, value in older
                                    if key.startswith("/registry/secrets/"))
    assert left["key_ids"] == collections.Counter(
        judge(value)[2] for _, value in older if judge(value)[0] == "kmsv2")
    # What is plaintext and should not be, name by name.
    if report["source"]["prefixes"] == ["/registry/"]:
        plain = {key for key, value in live.items()
                 if key.startswith("/registry/secrets/") and judge(value)[0] == "plaintext"}
        assert {f["etcd_key"] for f in report["findings"] if f["rule"] == "plaintext"} == plain


def test_what_a_real_apiserver_wrote(workspace):
    cluster = Cluster(workspace, aescbc=local_keys("cbc-1", "cbc-0"), aesgcm=local_keys("gcm-1"),
                      secretbox=local_keys("box-1"))
    everybody = ["identity", "aescbc", "aesgcm", "secretbox", "kms"]
    for i, first in enumerate(everybody):
        cluster.serve(first, *[name for name in everybody if name != first])
        for n in range(i + 2):
            cluster.api.create_secret(f"{first}-{n}", f"{MARKER}-{first}-{n}")
    for name in sorted(cluster.api.secrets())[::2]:
        cluster.api.rewrite_secret(name)
    snapshot = cluster.snapshot()
    hold_against(snapshot, audit("--snapshot", snapshot))
    cluster.etcd.compact()
    cluster.api.create_secret("after", MARKER)
    time.sleep(0.5)
    snapshot = cluster.snapshot()
    report = audit("--snapshot", snapshot)
    assert report["source"]["compact_revision"] > 10
    hold_against(snapshot, report)
    damage_some(workspace, snapshot, report)


def damage_some(workspace, snapshot, whole):
    """Bytes of pages in use of a real file, picked by a fixed seed: refused, or as many keys as before."""
    good = snapshot.read_bytes()
    spans = [span for span in EtcdFile(good).pages if span[1] <= 4 * 4096]
    picks = random.Random(6)
    path = workspace.path("damaged")
    refused = 0
    for _ in range(150):
        at, length = picks.choice(spans)
        at += picks.randrange(64 if picks.random() < 0.5 else length)
        data = bytearray(good)
        data[at] ^= 1 << picks.randrange(8)
        path.write_bytes(data)
        ran = Tool().run("audit", "--snapshot", path, "-o", "json")
        if ran.code == 3:
            assert ran.out == "" and "damaged" in ran.err and "byte" in ran.err, ran.err
            refused += 1
        else:
            made = json.loads(ran.out)
            assert made["totals"]["keys"] == whole["totals"]["keys"], at
            assert made["source"]["records"] == whole["source"]["records"], at
        assert Tool().run("audit", "--snapshot", path, "--digest").code == 3
    assert refused > 40


def test_recorded_values(workspace):
    """What Kubernetes recorded for its own tests, put into a real etcd as it is."""
    etcd = Etcd(workspace)
    stored = {row["name"]: row for row in VECTORS if "value_hex" in row}
    assert len(stored) == 2
    values = {"/registry/namespaces/default": b"k8s\0"}
    for i, row in enumerate(stored.values()):
        values[f"/registry/secrets/default/v{i}"] = bytes.fromhex(row["value_hex"])
    etcd.put_many(values)
    time.sleep(0.5)
    path = workspace.path("recorded")
    subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, "snapshot", "save", path],
                   check=True, capture_output=True)
    report = audit("--snapshot", path)
    hold_against(path, report)
    (key,) = report["key_ids"]
    assert (key["provider"], key["key_id"], key["objects"]) == ("kms-provider", "1", 2)


def test_restored_with_higher_revisions(workspace):
    """etcdutl puts a revision without a record there, and marks all before it as compacted."""
    etcd = Etcd(workspace)
    for i in range(3):
        etcd.put_many({"/registry/namespaces/default": b"k8s\0",
                       "/registry/secrets/default/a": b"k8s:enc:aesgcm:v1:k:" + bytes([i]) * 40,
                       f"/registry/secrets/default/b{i}": b"k8s:enc:aesgcm:v1:k:" + bytes(40)})
    time.sleep(0.5)
    path, folder = workspace.path("saved"), workspace.path("restored")
    subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, "snapshot", "save", path],
                   check=True, capture_output=True)
    etcdutl("snapshot", "restore", path, "--data-dir", folder, "--bump-revision", "1000",
            "--mark-compacted")
    before, after = audit("--snapshot", path), audit("--data-dir", folder)
    assert after["source"]["revision"] == before["source"]["revision"] + 1000
    assert after["totals"] == before["totals"] and after["totals"]["keys"] == 5


def field(number, data):
    """Of Protocol Buffers: bytes below 16 kB."""
    return bytes([number << 3 | 2, len(data) & 0x7f | 0x80, len(data) >> 7]) + data


def sealed(provider, seed, data):
    """What kube-apiserver writes under a seed: nothing but the data differs from value to value."""
    return (f"k8s:enc:kms:v2:{provider}:".encode() + field(1, data) + field(2, f"key-{seed % 3}".encode())
            + field(3, f"encrypted-seed-{seed:04}".encode() * 3) + b"\x28\x01")


def many_values(picks, prefix, names):
    """Of four resources, most under some seeds, a few in other forms."""
    values = {}
    for name in names:
        resource = ("secrets", "configmaps", "services/specs", "example.com/widgets")[name % 4]
        data = picks.randbytes(picks.randrange(60, 4000))
        value = sealed(*picks.choice([("first", picks.randrange(40)), ("second", 7)]), data)
        if picks.random() < 0.1:
            value = picks.choice([b"k8s\0" + data, b"k8s:enc:aesgcm:v1:k:" + data, data])
        values[f"{prefix}{resource}/ns-{name % 50}/name-{name}"] = value
    return values


def fill(workspace, prefix):
    """A real etcd whose tree has some thousand pages, with older versions and deleted keys in it."""
    etcd, picks = Etcd(workspace, name=f"etcd{prefix.strip('/')}"), random.Random(7)
    etcd.put_many({f"{prefix}namespaces/default": b"k8s\0"})
    for names in (range(5000), range(0, 5000, 3)):
        etcd.put_many(many_values(picks, prefix, names))
    etcd.delete_many(many_values(picks, prefix, range(0, 5000, 7)))
    etcd.put_many(many_values(picks, prefix, range(0, 5000, 21)))
    etcd.delete_many(many_values(picks, prefix, range(2, 5000, 4)))  # all of one resource
    path = workspace.path(f"many{prefix.strip('/')}")
    subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, "snapshot", "save", path],
                   check=True, capture_output=True)
    return path


def test_many_pages(workspace):
    """So many that they are read on several threads, and records of one seed counted together."""
    path = fill(workspace, "/registry/")
    report = audit("--snapshot", path)
    hold_against(path, report)
    assert "services" not in {row["resource"] for row in report["resources"]}
    assert report["source"]["tombstones"] > 1500 and report["residue"]["old_revisions"]["values"] > 2000
    seeds = {(row["provider"], row["key_id"]): row["seeds"] for row in report["key_ids"] if row["seeds"]}
    assert seeds == {("first", "key-0"): 14, ("first", "key-1"): 13, ("first", "key-2"): 13,
                     ("second", "key-1"): 1}
    # What is to be told of each key is told, in the same order as when each is looked at.
    stale = audit("--snapshot", path, "--current-key", "key-1")
    live, _ = EtcdFile(path.read_bytes()).split()
    old = {key for key, value in live.items() if key.startswith("/registry/secrets/")
           and judge(value)[0] in ("kmsv2", "aesgcm") and judge(value)[2] != "key-1"}
    found = [f["etcd_key"] for f in stale["findings"] if f["rule"] == "stale"]
    assert set(found) == old and len(found) == len(old) > 300
    revisions = [f["mod_revision"] for f in stale["findings"] if f.get("mod_revision")]
    assert revisions == sorted(revisions)
    # Nor does it matter for what is told of a key; a second prefix has each looked at.
    each = audit("--snapshot", path, "--prefix", "/registry/", "--prefix", "/none/")
    assert each["key_ids"] == report["key_ids"] and each["key_ids"][0]["oldest_revision"] > 0
    # Kubernetes' keys somewhere else: found behind the last page, and nothing else changes.
    moved = audit("--snapshot", fill(workspace, "/kubernetes.io/"))
    assert moved["source"]["prefixes"] == ["/kubernetes.io/"]
    for name in ("totals", "resources"):
        assert moved[name] == report[name], name
    assert moved["residue"]["old_revisions"] == report["residue"]["old_revisions"]
