# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit keys: which key ids are needed, by what."""

import json

import pytest

from audits import SECRET, cluster
from etcd_db import kms_v1, kms_v2, local, plaintext
from kine_db import Db as KineDb


@pytest.fixture
def files(tool):
    """Live data under new (and one old value left over), a backup under old, one under both."""
    live = cluster(a=kms_v2(key_id="new"), b=kms_v2(key_id="new", seed=b"t" * 74))
    live.put(SECRET + "c", kms_v2(key_id="old")).put(SECRET + "c", kms_v2(key_id="new"))
    made = {"live": live, "first": cluster(a=kms_v2(key_id="old")),
            "second": cluster(a=kms_v2(key_id="old"), b=kms_v2(key_id="new"), c=kms_v1(),
                              d=local("aescbc", "key1", 32), e=plaintext())}
    for name, db in made.items():
        (tool.folder / name).write_bytes(db.data())
    return {name: tool.folder / name for name in made}


def rows(ran):
    report = json.loads(ran.ok().out)
    assert report["schema"] == "etcdseal.audit-keys/1"
    return report["sources"], {(r["class"], r["key_id"]): r for r in report["keys"]}


def test_live_and_backups(tool, files):
    sources, keys = rows(tool.run("audit", "keys", "--snapshot", files["live"], files["first"],
                                  files["second"], "-o", "json"))
    assert [(s["name"], s["is_backup"]) for s in sources] == [
        (str(files["live"]), False), (str(files["first"]), True), (str(files["second"]), True)]
    assert keys["kmsv2", "new"]["objects"] == [3, 0, 1] and keys["kmsv2", "new"]["needed"]
    assert keys["kmsv2", "old"]["objects"] == [0, 1, 1]
    assert keys["kmsv2", "old"]["left_over"] == [1, 0, 0]
    assert keys["kmsv1", None]["objects"] == [0, 0, 1] and keys["kmsv1", None]["key_id_hash"] is None
    assert keys["aescbc", "key1"]["provider"] == "" and len(keys) == 4


def test_live_alone_and_backups_alone(tool, files):
    _, keys = rows(tool.run("audit", "keys", "--snapshot", files["live"], "-o", "json"))
    assert keys["kmsv2", "old"]["objects"] == [0] and keys["kmsv2", "old"]["needed"] is False
    sources, keys = rows(tool.run("audit", "keys", files["first"], "-o", "json"))
    assert sources[0]["is_backup"] and list(keys) == [("kmsv2", "old")]
    out = tool.run("audit", "keys", "--snapshot", files["live"], files["first"]).ok().out.splitlines()
    assert out[0].split() == ["KEY", "PROVIDER", "CLASS", "LIVE", "LEFT-OVER", "IN-BACKUPS", "BACKUPS"]
    assert [line.split() for line in out[1:]] == [["new", "etcdseal", "kmsv2", "3", "0", "0", "0"],
                                                 ["old", "etcdseal", "kmsv2", "0", "1", "1", "1"]]


def test_gate(tool, files):
    tool.run("audit", "keys", "--snapshot", files["live"], "--unneeded", "old").ok()
    tool.run("audit", "keys", "--snapshot", files["live"], "--unneeded", "new").refused(
        1, "key new is still needed: 3 live objects, 0 in backups")
    tool.run("audit", "keys", "--snapshot", files["live"], files["first"], "--unneeded", "old").refused(
        1, "key old is still needed: 0 live objects, 1 in backups")


def test_backups_of_kine(tool, files):
    """A copy of k3s's database, made while it was stopped or by .backup, beside one of etcd's."""
    copy = tool.folder / "state.db"
    kine = KineDb(copy, wal=False)
    for name, key_id in (("a", "old"), ("b", "older"), ("b", "new")):
        kine.put(SECRET + name, kms_v2(key_id=key_id))
    kine.close()
    sources, keys = rows(tool.run("audit", "keys", "--snapshot", files["live"], files["first"], copy,
                                  "-o", "json"))
    assert [s["is_backup"] for s in sources] == [False, True, True] and sources[2]["name"] == str(copy)
    assert keys["kmsv2", "old"]["objects"] == [0, 1, 1] and keys["kmsv2", "new"]["objects"] == [3, 0, 1]
    assert keys["kmsv2", "older"]["objects"] == [0, 0, 0] and keys["kmsv2", "older"]["left_over"][2] > 0
    tool.run("audit", "keys", "--kine", copy, files["first"], "--unneeded", "old").refused(
        1, "1 live objects, 1 in backups")
    tool.run("audit", "keys", "--snapshot", files["live"], copy, "--unneeded", "old").refused(1, "in backups")
    copy.write_bytes(copy.read_bytes()[:5000])
    tool.run("audit", "keys", copy).refused(3, "state.db")
    copy.write_bytes(b"SQLite format 3")
    tool.run("audit", "keys", copy).refused(3, "state.db")


def test_refusals(tool, files):
    tool.run("audit", "keys").refused(2, "name one thing to audit")
    tool.run("audit", "keys", tool.folder / "none").refused(3, "none")
    (tool.folder / "bad").write_bytes(b"x" * 8192)
    tool.run("audit", "keys", files["first"], tool.folder / "bad").refused(3, "bad")
    tool.run("audit", "keys", *[files["first"]] * 17).refused(2)
    tool.run("audit", "keys", "--prove", files["first"]).refused(2, "can't be used")


def test_names_that_cannot_be_told_for_certain(tool):
    """A NUL in a key id is UTF-8; and a stored value does not say where a local key's name ends."""
    path = tool.folder / "odd"
    path.write_bytes(cluster(a=kms_v2(key_id="es1-a\0x"), b=local("aesgcm", "a:b", 40)).data())
    _, keys = rows(tool.run("audit", "keys", path, "-o", "json"))
    assert ("kmsv2", "es1-a\0x") in keys
    tool.run("audit", "keys", path, "--unneeded", "es1-a").ok()
    tool.run("audit", "keys", path, "--unneeded", "a:b").refused(1, "still needed")
    tool.run("audit", "keys", path, "--unneeded", "ab").ok()
