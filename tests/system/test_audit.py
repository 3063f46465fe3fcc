# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit on what a real kube-apiserver wrote into a real etcd, with every provider. What must
come out is said by an independent reader in Python over etcd's own API, and by a search for bytes."""

import base64
import collections
import json
import os
import subprocess
import time

import pytest
from parts import places, stored
from parts.apiserver import ApiServer
from parts.daemon import Daemon, key_id_hash
from parts.etcd import Etcd
from parts.process import wait_until
from parts.tool import Tool

MARKER = "plaintext-to-be-found"
PREFIXES = {b"k8s:enc:kms:v2:": "kmsv2", b"k8s:enc:kms:v1:": "kmsv1", b"k8s:enc:aescbc:": "aescbc",
            b"k8s:enc:aesgcm:": "aesgcm", b"k8s:enc:secretbox:": "secretbox",
            b"k8s\0": "plaintext", b"{": "plaintext"}
CLASSES = ["kmsv2", "kmsv1", "aescbc", "aesgcm", "secretbox", "plaintext", "other"]


def class_of(value):
    return next((name for prefix, name in PREFIXES.items() if value.startswith(prefix)), "other")


class Cluster:
    """etcdseald, etcd and kube-apiserver; the EncryptionConfiguration can be changed."""

    def __init__(self, workspace, etcd="etcd", version="1.36", flags=(), **providers):
        self.workspace = workspace
        self.daemon = Daemon(workspace).start()
        self.etcd = Etcd(workspace, part=etcd)
        self.version = version
        self.flags = flags
        self.tool = Tool()
        self.providers = providers | {
            "identity": {}, "kms": {"apiVersion": "v2", "name": "etcdseal",
                                    "endpoint": f"unix://{self.daemon.socket}"}}
        self.api = None
        self.snapshots = 0

    def config(self, *names, resources=("secrets",), file="enc.yaml"):
        """An EncryptionConfiguration with these providers in this order; JSON is YAML too. Of a kind
        with several, NAME-WHICH."""
        providers = [{name.partition("-")[0]: self.providers[name]} for name in names]
        entry = {"resources": list(resources), "providers": providers}
        return self.workspace.write(file, json.dumps({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [entry]}))

    def serve(self, *names, **options):
        """kube-apiserver with a new configuration: its file is read at once only at a start."""
        path = self.config(*names, **options)
        if self.api is None:
            self.api = ApiServer(self.workspace, self.etcd, path, version=self.version,
                                 flags=self.flags)
        else:
            self.api.stop()
            self.api.start()
        return path

    def wait_for_its_own(self):
        """kube-apiserver goes on making objects of its own, of a dozen resources, while it is ready."""
        wait_until("it has made its own objects", lambda: len(
            {key.split("/")[2] for key in self.etcd.values("/registry/")}) > 11, 60)

    def etcdctl(self, *words):
        return subprocess.run([places.real_part("etcdctl"), "--endpoints", self.etcd.url,
                               *map(str, words)], check=True, capture_output=True, text=True).stdout

    def snapshot(self):
        self.snapshots += 1
        path = self.workspace.path(f"snapshot-{self.snapshots}")
        self.etcdctl("snapshot", "save", path)
        return path

    def audit_code(self, path, *words):
        return self.tool.run("audit", "--snapshot", path, *words, "-o", "json").code

    def audit(self, path, *words, code=0):
        """The report. No value of any Secret is in what was printed."""
        ran = self.tool.run("audit", "--snapshot", path, *words, "-o", "json")
        assert ran.code == code, f"{ran.code}\n{ran.err}\n{ran.out[-3000:]}"
        assert MARKER not in ran.out + ran.err
        return json.loads(ran.out)


def row_of(report, name):
    (row,) = [row for row in report["resources"] if row["resource"] == name]
    return row


def classes(row):
    return {name: row[name] for name in CLASSES if row[name]}


def check_against_etcd(cluster, path, report):
    """Everything that can be said without our reader says the same."""
    revision = report["source"]["revision"]
    live = cluster.etcd.values(revision=revision)
    status = json.loads(cluster.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]
    count = cluster.etcdctl("get", "--prefix", "", "--count-only", "-w", "fields", "--rev", revision)
    assert f'"Count" : {len(live)}\n' in count and report["totals"]["keys"] == len(live)
    assert revision <= status["header"]["revision"] < revision + 50  # what it wrote meanwhile
    assert report["source"]["kind"] == "snapshot"
    assert report["source"]["files"][0]["size"] == path.stat().st_size
    assert classes(report["totals"]) == collections.Counter(map(class_of, live.values()))
    secrets = {k: v for k, v in live.items() if k.startswith("/registry/secrets/")}
    assert classes(row_of(report, "secrets")) == collections.Counter(map(class_of, secrets.values()))
    objects, seeds = collections.Counter(), collections.defaultdict(set)
    for value in live.values():
        if class_of(value) == "kmsv2":
            one = stored.parse(value)
            objects[one.key_id] += 1
            seeds[one.key_id].add(one.wrapped_seed)
    rows = {row["key_id"]: row for row in report["key_ids"] if row["class"] == "kmsv2" and row["objects"]}
    assert {key_id: row["objects"] for key_id, row in rows.items()} == objects
    assert {key_id: row["seeds"] for key_id, row in rows.items()} == {
        key_id: len(found) for key_id, found in seeds.items()}
    written = cluster.etcd.mod_revisions(revision)
    for key_id, row in rows.items():
        under = [written[key] for key, value in live.items()
                 if class_of(value) == "kmsv2" and stored.parse(value).key_id == key_id]
        assert (row["oldest_revision"], row["newest_revision"]) == (min(under), max(under))
        assert row["key_id_hash"] == key_id_hash(key_id) and row["provider"] == stored.PROVIDER
    return rows


def local_keys(*names):
    return {"keys": [{"name": name, "secret": base64.b64encode(name.encode().ljust(32)).decode()}
                     for name in names]}


@pytest.mark.parametrize("etcd, version", [("etcd", "1.36"), ("etcd-3.7", "1.31")])
def test_every_provider(workspace, etcd, version):
    """Each writes some Secrets; then a key change, half a rewrite, a whole one, and wrong
    configurations."""
    cluster = Cluster(workspace, etcd, version, aescbc=local_keys("cbc:1", "cbc-0"), aesgcm=local_keys("gcm-1"),
                      secretbox=local_keys("box-1"))
    everybody = ["identity", "aescbc", "aesgcm", "secretbox", "kms"]
    wanted = {}
    for i, first in enumerate(everybody):
        path = cluster.serve(first, *[name for name in everybody if name != first])
        for n in range(i + 2):
            cluster.api.create_secret(f"{first}-{n}", f"{MARKER}-{first}-{n}")
        wanted["kmsv2" if first == "kms" else "plaintext" if first == "identity" else first] = i + 2
    snapshot = cluster.snapshot()
    report = cluster.audit(snapshot, "--encryption-config", path, code=1)
    check_against_etcd(cluster, snapshot, report)
    row = row_of(report, "secrets")
    assert classes(row) == wanted and row["expected"] == "kmsv2:etcdseal"
    assert row["verdict"] == report["verdict"] == "PARTIAL" and row["undecryptable"] == 0
    found = collections.Counter(f["rule"] for f in report["findings"])
    assert found == {"plaintext": 2, "stale": 12, "read-provider": 3}, found
    keys = {(r["class"], r["key_id"]): r["objects"] for r in report["key_ids"]}
    assert keys["aescbc", "cbc:1"] == 3 and keys["aesgcm", "gcm-1"] == 4 and keys["secretbox", "box-1"] == 5

    # All rewritten: encrypted, and every other provider can go.
    for name in cluster.api.secrets():
        cluster.api.rewrite_secret(name)
    first_key = cluster.daemon.tool.primary()
    snapshot = cluster.snapshot()
    report = cluster.audit(snapshot, "--encryption-config", path, "--current-key", first_key,
                           "--demand", "all-encrypted", "--demand", "no-stale", "--demand",
                           f"only-key={first_key}")
    check_against_etcd(cluster, snapshot, report)
    assert report["verdict"] == "ENCRYPTED" and report["totals"]["stale"] == 0
    assert row_of(report, "secrets")["kmsv2"] == sum(wanted.values())
    assert report["residue"]["old_revisions"]["plaintext"] == 2 and report["has_residue"]

    # Another key, half a rewrite.
    second_key = cluster.daemon.tool.rotate()
    cluster.daemon.wait_key(second_key)
    wait_until("kube-apiserver uses the new key", lambda: cluster.api.is_kms_healthy() and
               cluster.api.has_seen_key(key_id_hash(second_key)), 90, every=0.5)
    wait_until("its check is good", cluster.api.is_kms_healthy, 60, every=0.5)
    half = sorted(cluster.api.secrets())[:7]
    for name in half:
        before, after = cluster.api.rewrite_secret(name)
        assert before != after
    snapshot = cluster.snapshot()
    words = ["--encryption-config", path, "--current-key", second_key]
    report = cluster.audit(snapshot, *words)
    rows = check_against_etcd(cluster, snapshot, report)
    assert rows[second_key]["objects"] == 7 and rows[second_key]["seeds"] == 1
    assert report["totals"]["stale"] == sum(wanted.values()) - 7 and report["verdict"] == "PENDING"
    cluster.audit(snapshot, *words, "--demand", f"only-key={second_key}", code=1)
    cluster.audit(snapshot, *words, "--fail-on", "stale", code=1)

    # The wrong file.
    wrong = cluster.config("aesgcm", file="wrong.yaml")
    report = cluster.audit(snapshot, "--encryption-config", wrong, code=4)
    assert report["verdict"] == "UNREADABLE"
    assert report["totals"]["undecryptable"] == sum(wanted.values())
    assert {f["rule"] for f in report["findings"]} == {"wrong-provider", "residue-old-revisions"}


def test_everything_encrypted(workspace):
    """`*.*`: kube-apiserver leaves its own bookkeeping in plaintext, and nothing else."""
    cluster = Cluster(workspace)
    path = cluster.serve("kms", resources=["*.*"])
    cluster.api.stop()
    cluster.api._argv.append("--endpoint-reconciler-type=lease")
    cluster.api.start()
    cluster.api.create_secret("one", MARKER)
    wait_until("it has a lease", lambda: cluster.etcd.values("/registry/masterleases/"), 30)
    cluster.wait_for_its_own()
    snapshot = cluster.snapshot()
    report = cluster.audit(snapshot, "--encryption-config", path)
    check_against_etcd(cluster, snapshot, report)
    plain = {row["resource"]: row for row in report["resources"] if row["kmsv2"] != row["keys"]}
    assert {"masterleases", "ranges"} <= set(plain)
    assert set(plain) <= {"masterleases", "peerserverleases", "ranges", "(outside)"}
    assert not any(row["expected_encrypted"] for row in plain.values())
    assert report["verdict"] == "ENCRYPTED" and len(report["resources"]) > 10
    # Of what was deleted meanwhile only old revisions are left: a row without a live key.
    live = [row for row in report["resources"] if row["keys"] > 0 and row["resource"] not in plain]
    assert [] == [row for row in live if row["expected"] != "kmsv2:etcdseal" or
                  row["verdict"] != "ENCRYPTED"]


def test_what_is_left_over(workspace):
    """Plaintext written, encrypted over, compacted, defragmented: at each step the audit counts what a
    search for bytes counts, in the snapshot, and in database and log of the stopped etcd."""
    cluster = Cluster(workspace)
    cluster.serve("identity", "kms")
    for n in range(120):
        cluster.api.create_secret(f"s-{n:03}", f"{MARKER}-{n:03}")

    def step(code):
        time.sleep(0.3)  # etcd writes its batch every 100 ms
        snapshot = cluster.snapshot()
        report = cluster.audit(snapshot, code=code)
        places_of = report["residue"]
        left = {name: places_of[name]["plaintext"] for name in
                ("old_revisions", "free_pages", "page_slack")}
        live = row_of(report, "secrets")["plaintext"]
        raw = snapshot.read_bytes().count(MARKER.encode())
        print(left, "live", live, "raw", raw)
        assert live + sum(left.values()) == raw
        assert report["has_residue"] is (sum(left.values()) > 0)
        return live, left

    live, left = step(1)
    assert live == 120
    cluster.serve("kms", "identity")
    for name in cluster.api.secrets():
        cluster.api.rewrite_secret(name)
    live, left = step(0)
    assert live == 0 and left["old_revisions"] == 120
    status = json.loads(cluster.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]
    cluster.etcdctl("compact", status["header"]["revision"], "--physical")
    live, left = step(0)
    assert live == 0 and left["old_revisions"] == 0 and left["free_pages"] > 100
    cluster.etcdctl("defrag")
    live, left = step(0)
    assert live == 0 and sum(left.values()) == 0

    db = workspace.path("etcd") / "member" / "snap" / "db"
    cluster.tool.run("audit", "--snapshot", db).refused(3, "running etcd", "etcdctl snapshot save")
    cluster.api.stop()
    cluster.etcd.process.stop()
    report = cluster.audit(db)
    assert report["source"]["kind"] == "db" and report["has_residue"] is False
    assert row_of(report, "secrets")["kmsv2"] == 120
    assert report["residue"]["wal"] is None  # not looked at, and says so
    assert data_dir_step(cluster, 1) == 120
    roll_wal(workspace)
    assert data_dir_step(cluster, 0) == 0


def data_dir_step(cluster, code):
    """The plaintexts in the log of the stopped etcd, which are all that there are."""
    folder = cluster.workspace.path("etcd") / "member"
    ran = cluster.tool.run("audit", "--data-dir", folder.parent, "--demand", "no-residue", "-o", "json")
    assert ran.code == code, ran.told()
    found = {place: row["plaintext"] for place, row in json.loads(ran.out)["residue"].items() if row}
    files = [*(folder / "wal").glob("*.wal"), folder / "snap" / "db"]
    assert found["wal"] == sum(found.values()) == sum(f.read_bytes().count(MARKER.encode()) for f in files)
    return found["wal"]


def roll_wal(workspace):
    """As a busy cluster does in time: etcd begins a file of its log after 64 MB, and every half minute
    deletes those that are too many, once a snapshot of Raft stands behind them."""
    folder = workspace.path("etcd") / "member" / "wal"
    before = set(folder.glob("*.wal"))
    etcd = Etcd(workspace, flags=["--snapshot-count=10", "--max-wals=1"])
    for n in range(150):
        etcd.put("/junk", os.urandom(1 << 20))
    wait_until("the old log is gone", lambda: not before & set(folder.glob("*.wal")), 90, every=0.5)
    etcd.process.stop()
