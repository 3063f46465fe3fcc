# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --object of what a real kube-apiserver wrote: in a snapshot, a running etcd and kine.
What must come out is said by etcd's own answers, and by a reader in Python."""

import base64
import json
import subprocess

import pytest
from parts import places, stored
from parts.daemon import key_id_hash
from parts.etcd import Etcd
from parts.process import wait_until
from parts.tool import Tool
from test_audit import MARKER, Cluster
import test_audit_kine as kine

NAME = "db"


def object_of(ran, code=0):
    assert ran.code == code, f"{ran.code}\n{ran.err}\n{ran.out[:3000]}"
    assert MARKER not in ran.out + ran.err
    return json.loads(ran.out)


def asked(source, key, *words, code=0):
    """The object with the etcd key /registry/secrets/NAMESPACE/NAME."""
    name = key.removeprefix("/registry/")
    return object_of(Tool().run("audit", *source, "--object", name, *words, "-o", "json"), code)


def at(etcd, key, revision=0):
    """The key as etcd's gateway gives it."""
    rows = etcd._call("/v3/kv/range", {"key": base64.b64encode(key.encode()).decode(),
                                       "revision": revision}).get("kvs", [])
    return rows[0] if rows else None


def check(row, kv):
    """A version as it is told, against etcd and another reader of values."""
    value = base64.b64decode(kv["value"])
    assert [row["revision"], row["create_revision"], row["version"]] == [
        int(kv[name]) for name in ("mod_revision", "create_revision", "version")]
    assert row["size"] == len(value)
    if not value.startswith(b"k8s:enc:kms:v2:"):
        assert row["class"] == "plaintext" and row["key_id"] is None
        return
    one = stored.parse(value)
    assert row["class"] == "kmsv2" and row["provider"] == stored.PROVIDER
    assert value.startswith(row["prefix"].encode()) and row["prefix"].endswith(":")
    assert row["key_id"] == one.key_id and row["key_id_hash"] == key_id_hash(one.key_id)
    assert row["source_type"] == "HKDF_SHA256_XNONCE_AES_GCM_SEED" and one.source_type == 1
    assert sorted(row["annotations"]) == sorted(one.annotations)


def test_one_object(workspace):
    """Plaintext, encrypted, under a second key, changed once more: the same from a snapshot and from a
    running etcd, until etcd compacts."""
    cluster = Cluster(workspace)
    cluster.serve("identity", "kms")
    cluster.api.create_secret(NAME, MARKER)
    cluster.api.create_secret("other", MARKER)
    (key,) = [k for k in cluster.etcd.values("/registry/secrets/") if k.endswith("/" + NAME)]
    config = cluster.serve("kms", "identity")
    cluster.api.rewrite_secret(NAME)
    first = cluster.daemon.tool.primary()
    cluster.daemon.tool.rotate()
    second = cluster.daemon.tool.primary()
    def is_under_second():
        cluster.api.put_secret(NAME, MARKER + "-changed")
        cluster.api.put_secret(NAME, MARKER)
        return stored.parse(cluster.etcd.value(key)).key_id == second
    wait_until("kube-apiserver writes with the second key", is_under_second, 60, every=1)
    cluster.api.stop()
    words = ("--encryption-config", config, "--prove")
    live = ("--endpoints", cluster.etcd.url)
    file = ("--snapshot", cluster.snapshot())
    of_live, of_file = asked(live, key, *words), asked(file, key, *words)

    newest = at(cluster.etcd, key)
    check(of_live["stored"], newest)
    assert of_live["stored"]["key_id"] == second and of_live["expected"] == "kmsv2:etcdseal"
    assert of_live["stale"] is False and of_live["stored"]["opens"] == "yes"
    past = of_live["history"]
    assert len(past) == int(newest["version"]) - 1 >= 3
    assert [row["version"] for row in past] == list(range(len(past), 0, -1))
    for row in past:
        check(row, at(cluster.etcd, key, row["revision"]))
        assert row["what"] == "older"
    assert past[-1]["class"] == "plaintext" and past[-1]["opens"] is None
    assert first in [row["key_id"] for row in past]
    assert {row["opens"] for row in past[:-1]} == {"yes"}
    # A snapshot of the same says the same; its free pages are its own.
    for name in ("stored", "history", "etcd_key", "expected", "stale", "verdict", "state"):
        assert of_live[name] == of_file[name], name
    assert of_live["residue"]["old_revisions"] == of_file["residue"]["old_revisions"] == {
        "values": len(past), "plaintext": 1}
    assert of_live["residue"]["free_pages"] is None and of_file["residue"]["free_pages"] is not None
    # So does a member that sends its database.
    of_member = asked((*live, "--member-snapshot"), key, *words)
    for name in ("stored", "history", "etcd_key", "expected", "stale", "verdict", "state"):
        assert of_member[name] == of_file[name], name
    other = asked(live, key.removesuffix(NAME) + "other", *words, code=1)
    assert other["stored"]["class"] == "plaintext" and other["history"] == []

    # What is stale under --current-key, and what nobody can unwrap.
    assert asked(file, key, "--current-key", first)["stale"] is True
    cluster.daemon.stop()
    down = asked(live, key, *words, code=3)
    assert down["stored"]["opens"] == "unknown" and down["stored"]["why"]

    # After compaction the past is gone for a running etcd, and for new snapshots.
    cluster.etcd.compact()
    assert asked(live, key)["history"] == []
    assert asked(("--snapshot", cluster.snapshot()), key)["history"] == []


def test_deleted(workspace):
    """A snapshot shows what was; a running etcd says that it is not there."""
    cluster = Cluster(workspace)
    cluster.serve("kms", "identity")
    cluster.api.create_secret(NAME, MARKER)
    (key,) = [k for k in cluster.etcd.values("/registry/secrets/") if k.endswith("/" + NAME)]
    made = int(at(cluster.etcd, key)["mod_revision"])
    cluster.api.delete_secret(NAME)
    of_file = asked(("--snapshot", cluster.snapshot()), key, code=1)
    assert of_file["state"] == "deleted"
    assert [(row["what"], row["class"]) for row in of_file["history"]] == [
        ("deletion", None), ("older", "kmsv2")]
    assert of_file["history"][1]["revision"] == made < of_file["history"][0]["revision"]
    ran = Tool().run("audit", "--endpoints", cluster.etcd.url, "--object", f"secrets/default/{NAME}-no")
    ran.refused(1, "below /registry/", "--prefix")
    # Made anew, its history of before is a running etcd's secret.
    cluster.api.create_secret(NAME, MARKER)
    live = asked(("--endpoints", cluster.etcd.url), key)
    assert live["stored"]["version"] == 1 and live["history"] == []


def test_names_of_a_real_cluster(workspace):
    """Each key that a kube-apiserver makes at its start is found by the name that its object has."""
    cluster = Cluster(workspace)
    cluster.serve("kms", "identity")
    names = {"services/default/kubernetes": "services/specs/default/kubernetes",
             "priorityclasses/system-node-critical": "priorityclasses/system-node-critical",
             "priorityclasses.scheduling.k8s.io/system-node-critical":
                 "priorityclasses/system-node-critical",
             "apiservices.apiregistration.k8s.io/v1.apps": "apiregistration.k8s.io/apiservices/v1.apps",
             "flowschemas/probes": "flowschemas/probes",
             "namespaces/kube-system": "namespaces/kube-system"}
    for key in names.values():
        wait_until(key, lambda key=key: cluster.etcd.value("/registry/" + key) is not None, 30)
    live, snapshot = ("--endpoints", cluster.etcd.url), ("--snapshot", cluster.snapshot())
    for name, key in names.items():
        for source in (live, snapshot):
            made = object_of(Tool().run("audit", *source, "--object", name, "-o", "json"))
            assert made["etcd_key"] == "/registry/" + key and made["stored"]["class"] == "plaintext"


def test_the_right_to_one_key(workspace):
    """A running etcd is asked for the one key and nothing else."""
    etcd = Etcd(workspace)
    key, other = "/registry/secrets/a/b", "/registry/secrets/a/c"
    etcd.put_many({key: b"k8s:enc:aesgcm:v1:k:" + bytes(40), other: b"k8s\0"})
    etcd.put(key, "k8s:enc:aesgcm:v1:k:" + "y" * 50)
    def etcdctl(*words, user=()):
        return subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, *user,
                               *map(str, words)], check=True, capture_output=True, text=True).stdout
    etcdctl("user", "add", "root", "--new-user-password", "rootpass")
    etcdctl("role", "add", "root")
    etcdctl("user", "grant-role", "root", "root")
    etcdctl("user", "add", "reader", "--new-user-password", "readerpass")
    etcdctl("role", "add", "one")
    etcdctl("role", "grant-permission", "one", "read", key)
    etcdctl("user", "grant-role", "reader", "one")
    etcdctl("auth", "enable", user=("--user", "root:rootpass"))
    password = workspace.path("password")
    password.write_text("readerpass")
    password.chmod(0o600)
    live = ("--endpoints", etcd.url, "--user", "reader", "--password-file", password)
    made = asked(live, key)
    assert made["stored"]["version"] == 2 and [row["version"] for row in made["history"]] == [1]
    Tool().run("audit", *live, "--object", "secrets/a/c").refused(3, "permission denied")
    Tool().run("audit", *live).refused(3, "permission denied")


@pytest.mark.parametrize("linearizable", [[], ["--linearizable"]])
def test_another_prefix(workspace, linearizable):
    etcd = Etcd(workspace)
    etcd.put("/kubernetes.io/secrets/a/b", "k8s:enc:aesgcm:v1:k:" + "y" * 50)
    live = ("audit", "--endpoints", etcd.url, "--object", "secrets/a/b", *linearizable)
    assert Tool().run(*live).code == 1
    made = object_of(Tool().run(*live, "--prefix", "/openshift.io/", "--prefix", "/kubernetes.io/",
                                "-o", "json"))
    assert made["etcd_key"] == "/kubernetes.io/secrets/a/b"


def test_kine(workspace):
    """What a row keeps of the value of before is part of an object's past."""
    cluster = kine.Cluster(workspace)
    cluster.serve("identity", "kms")
    cluster.api.create_secret(NAME, MARKER)
    cluster.serve("kms", "identity")
    cluster.api.rewrite_secret(NAME)
    (key,) = [row["name"] for row in cluster.kine.rows()
              if row["name"].startswith("/registry/secrets/") and row["name"].endswith("/" + NAME)][-1:]
    made = asked(("--kine", cluster.kine.db), key)
    rows = [row for row in cluster.kine.rows() if row["name"] == key]
    assert made["stored"]["revision"] == rows[-1]["id"] and made["stored"]["class"] == "kmsv2"
    assert [(row["what"], row["revision"], row["class"], row["size"]) for row in made["history"]] == [
        ("old_value", rows[-1]["id"], "plaintext", len(rows[-1]["old_value"])),
        ("older", rows[-2]["id"], "plaintext", len(rows[-2]["value"]))]
    assert made["residue"]["kine_old_value"]["plaintext"] == 1
