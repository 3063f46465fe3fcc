# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --prove on what a real kube-apiserver wrote: what opens is proved, and each way not to
open has its own name."""

import json
import subprocess

from parts import places
from parts.apiserver import NAMESPACE
from parts.daemon import Daemon
from parts.process import wait_until
from test_audit import MARKER, Cluster, classes, local_keys, row_of

LOCAL = {"aescbc": local_keys("cbc:1", "cbc-0"), "aesgcm": local_keys("gcm-1"),
         "secretbox": local_keys("box-1")}
EVERYBODY = ["identity", "aescbc", "aesgcm", "secretbox", "kms"]


def rules(report):
    return sorted({f["rule"] for f in report["findings"]} - {"read-provider", "residue-old-revisions"})


def objects(report, rule):
    return sorted(f["object"] for f in report["findings"] if f["rule"] == rule)


class Store:
    """Writes to etcd behind kube-apiserver's back."""

    def __init__(self, cluster):
        self.cluster = cluster

    def key(self, name):
        """Of a Secret, or a whole key."""
        return name if name.startswith("/") else f"/registry/secrets/{NAMESPACE}/{name}"

    def read(self, name):
        (value,) = self.cluster.etcd.values(self.key(name)).values()
        return value

    def write(self, name, value):
        subprocess.run([places.real_part("etcdctl"), "--endpoints", self.cluster.etcd.url, "put",
                        self.key(name)], input=value, check=True, capture_output=True)


def written_by_all(workspace):
    """Two Secrets by each provider; the file in which KMS writes and all read."""
    cluster = Cluster(workspace, **LOCAL)
    for first in EVERYBODY:
        path = cluster.serve(first, *[name for name in EVERYBODY if name != first])
        for n in range(2):
            cluster.api.create_secret(f"{first}-{n}", f"{MARKER}-{first}-{n}")
    return cluster, path


def test_every_provider(workspace):
    cluster, path = written_by_all(workspace)
    snapshot = cluster.snapshot()
    known = ["--prove", "--encryption-config", path]

    # Plaintext is no proof's business; the plugin is found by the configuration's endpoint.
    report = cluster.audit(snapshot, *known, code=1)
    row = row_of(report, "secrets")
    assert row["proved"] == 8 and row["unproved"] == row["undecryptable"] == 0
    assert classes(row) == {"plaintext": 2, "aescbc": 2, "aesgcm": 2, "secretbox": 2, "kmsv2": 2}
    assert rules(report) == ["plaintext", "stale"]
    (plugin,) = report["kms"]
    assert plugin["provider"] == "etcdseal" and plugin["key_id"] == cluster.daemon.tool.primary()
    assert plugin["unwrapped"] == sum(row["seeds"] or 0 for row in report["key_ids"]) == 1
    assert report["totals"]["stale"] == 8  # Status says which key id writes, so it is known
    assert all(key["proved"] == key["objects"] for key in report["key_ids"])
    assert {d["demand"]: d["met"] for d in report["demands"]} == {
        "all-encrypted": False, "all-proved": True}

    # Of the running etcd the same.
    live = cluster.tool.run("audit", "--endpoints", cluster.etcd.url, *known, "-o", "json")
    assert live.code == 1 and MARKER not in live.out + live.err
    assert row_of(json.loads(live.out), "secrets") == row
    by_class = lambda rows: sorted(rows, key=lambda key: key["class"])  # noqa: E731
    assert by_class(json.loads(live.out)["key_ids"]) == by_class(report["key_ids"])

    # Without the keys nothing is refuted, and nothing proved.
    report = cluster.audit(snapshot, "--prove", code=1)
    row = row_of(report, "secrets")
    assert (row["proved"], row["unproved"], row["undecryptable"]) == (0, 8, 0)
    assert "unproved" in rules(report)
    report = cluster.audit(snapshot, "--prove", "--kms", f"unix:{cluster.daemon.socket}", code=1)
    assert row_of(report, "secrets")["proved"] == 2
    report = cluster.audit(snapshot, "--prove", "--kms", f"other=unix://{cluster.daemon.socket}", code=1)
    assert row_of(report, "secrets")["proved"] == 0

    # A plugin that is not there is no finding about a value.
    report = cluster.audit(snapshot, "--prove", "--kms", "unix:/nowhere.sock", code=3)
    row = row_of(report, "secrets")
    assert (row["proved"], row["undecryptable"]) == (0, 0) and report["kms"][0]["key_id"] is None
    assert "kms-unreachable" in rules(report) and "undecryptable" not in rules(report)

    # Other secrets under the same names.
    LOCAL_OTHER = {name: {"keys": [key | {"secret": key["secret"][::-1].lstrip("=") + "="}
                                   for key in keys["keys"]]} for name, keys in LOCAL.items()}
    cluster.providers |= LOCAL_OTHER
    wrong = cluster.config("kms", *[name for name in EVERYBODY if name != "kms"], file="wrong.yaml")
    report = cluster.audit(snapshot, "--prove", "--encryption-config", wrong, code=4)
    row = row_of(report, "secrets")
    assert (row["proved"], row["unproved"], row["undecryptable"]) == (2, 0, 6)
    space = NAMESPACE
    assert objects(report, "undecryptable") == [f"{space}/{name}-{n}" for name in
                                                ("aescbc", "aesgcm", "secretbox") for n in range(2)]
    assert report["verdict"] == "UNREADABLE"


def test_two_plugins(workspace):
    """Each opens what is its own; asked for the other's, it refuses."""
    other = Daemon(workspace, name="other").start()
    cluster = Cluster(workspace, **{"kms-other": {"apiVersion": "v2", "name": "other",
                                                  "endpoint": f"unix://{other.socket}"}})
    for names in (("kms", "kms-other"), ("kms-other", "kms")):
        path = cluster.serve(*names, "identity")
        for n in range(2):
            cluster.api.create_secret(f"{names[0]}-{n}", f"{MARKER}-{n}")
    snapshot = cluster.snapshot()
    sockets = {"etcdseal": cluster.daemon.socket, "other": other.socket}
    named = [word for name, socket in sockets.items() for word in ("--kms", f"{name}=unix:{socket}")]
    # Of the plugins alone nobody has said which of them writes.
    for words, stale, found in ((["--encryption-config", path], 2, ["stale"]), (named, None, [])):
        report = cluster.audit(snapshot, "--prove", *words)
        assert report["totals"]["stale"] == stale and rules(report) == found
        row = row_of(report, "secrets")
        assert (row["kmsv2"], row["proved"]) == (4, 4)
        assert {key["provider"]: (key["objects"], key["proved"]) for key in report["key_ids"]} == {
            "etcdseal": (2, 2), "other": (2, 2)}
        assert {kms["provider"]: kms["key_id"] for kms in report["kms"]} == {
            "etcdseal": cluster.daemon.tool.primary(), "other": other.tool.primary()}

    crossed = [f"{name}=unix:{sockets[of]}" for name, of in (("etcdseal", "other"), ("other", "etcdseal"))]
    report = cluster.audit(snapshot, "--prove", "--kms", crossed[0], "--kms", crossed[1], code=4)
    assert report["totals"]["undecryptable"] == 4
    other.stop()
    report = cluster.audit(snapshot, "--prove", *named, code=3)
    assert (report["totals"]["proved"], report["totals"]["unproved"]) == (2, 2)


def test_what_somebody_wrote_to_etcd(workspace):
    """Moved values, and altered ones."""
    cluster, path = written_by_all(workspace)
    store, space = Store(cluster), NAMESPACE
    for provider in EVERYBODY:
        store.write(f"{provider}-0", store.read(f"{provider}-1"))
    report = cluster.audit(cluster.snapshot(), "--prove", "--encryption-config", path, code=4)
    # These do not bind a value to its key: what they hold names its own.
    assert objects(report, "moved") == [f"{space}/aescbc-0", f"{space}/secretbox-0"]
    assert objects(report, "undecryptable") == [f"{space}/aesgcm-0", f"{space}/kms-0"]
    assert objects(report, "plaintext") == [f"{space}/identity-0", f"{space}/identity-1"]
    row = row_of(report, "secrets")
    assert (row["proved"], row["undecryptable"]) == (6, 2)
    # Without a proof only plaintext shows its name: in what need not be encrypted.
    store.write("/registry/namespaces/moved", store.read("/registry/namespaces/default"))
    report = cluster.audit(cluster.snapshot(), "--encryption-config", path, code=1)
    assert objects(report, "moved") == ["moved"]

    for provider in EVERYBODY[1:]:
        value = bytearray(store.read(f"{provider}-1"))
        value[len(value) // 2] ^= 1
        store.write(f"{provider}-1", bytes(value))
    report = cluster.audit(cluster.snapshot(), "--prove", "--encryption-config", path, code=4)
    bad = objects(report, "undecryptable")
    assert {f"{space}/{name}-1" for name in ("aesgcm", "secretbox", "kms")} <= set(bad)


def test_a_key_that_is_not_there(workspace):
    """Disabled: refused by a plugin that is well. Stopped: not asked. Two verdicts."""
    cluster = Cluster(workspace)
    path = cluster.serve("kms", "identity")
    cluster.api.create_secret("old", MARKER)
    first = cluster.daemon.tool.primary()
    second = cluster.daemon.tool.rotate()
    cluster.daemon.wait_key(second)
    known = ["--prove", "--encryption-config", path]
    snapshot = cluster.snapshot()
    report = cluster.audit(snapshot, *known)
    assert report["totals"]["proved"] == report["totals"]["stale"] == 1
    assert report["verdict"] == "PENDING" and rules(report) == ["stale"]

    cluster.api.stop()
    cluster.daemon.tool.run("key", "disable", first, "--confirm", first, "--without-daemon").ok()
    wait_until("the daemon has it", lambda: cluster.audit_code(snapshot, *known) == 4, 30)
    report = cluster.audit(snapshot, *known, code=4)
    assert report["totals"]["undecryptable"] == 1 and rules(report) == ["undecryptable"]
    assert report["kms"][0]["refused"] == 1 and report["kms"][0]["unasked"] == 0
    cluster.daemon.tool.run("key", "enable", first).ok()
    wait_until("it is back", lambda: cluster.audit_code(snapshot, *known) == 0, 30)
    cluster.daemon.stop()
    report = cluster.audit(snapshot, *known, code=3)
    assert report["totals"]["undecryptable"] == 0 and report["totals"]["unproved"] == 1


def test_everything_encrypted(workspace):
    """`*.*`: each object of each resource names itself as its key does."""
    cluster = Cluster(workspace)
    path = cluster.serve("kms", resources=["*.*"])
    cluster.api.create_secret("one", MARKER)
    cluster.wait_for_its_own()
    report = cluster.audit(cluster.snapshot(), "--prove", "--encryption-config", path)
    totals = report["totals"]
    assert totals["proved"] == totals["kmsv2"] > 30 and totals["unproved"] == 0
    assert rules(report) == [] and len(report["resources"]) > 10
