# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit on what a real kube-apiserver wrote through a real kine into SQLite. What must come
out is said by Python's own SQLite, and by a search for bytes."""

import collections
import json
import signal

from parts import stored
from parts.apiserver import ApiServer
from parts.daemon import Daemon, key_id_hash
from parts.kine import Kine
from parts.process import wait_until
from parts.tool import Tool

from test_audit import CLASSES, MARKER, class_of, classes, row_of

COUNT = 200
# What a Secret in plaintext begins with. Deep in pages that are used again, of some values only the
# beginning is left, without the marker, and of others only the marker.
HEAD = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret"
COMPACT = "compact_rev_key"
BOOKKEEPING = {COMPACT}  # kine's own, no key of the cluster


class Cluster:
    """etcdseald, kine and kube-apiserver."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.daemon = Daemon(workspace).start()
        self.kine = Kine(workspace)
        self.tool = Tool()
        self.api = None

    def serve(self, *names):
        providers = {"identity": {"identity": {}}, "kms": {"kms": {
            "apiVersion": "v2", "name": "etcdseal", "endpoint": f"unix://{self.daemon.socket}"}}}
        path = self.workspace.write("enc.yaml", json.dumps({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": [providers[n] for n in names]}]}))
        if self.api is None:
            self.api = ApiServer(self.workspace, self.kine, path)
        else:
            self.api.stop()
            self.api.start()
        return path

    def audit(self, *words, code=0):
        """The report; the audit has changed nothing, and no value of any Secret is in it."""
        before = self.kine.marks()
        ran = self.tool.run("audit", "--kine", self.kine.db, *words, "-o", "json")
        assert self.kine.marks() == before, "the audit has changed a file"
        assert ran.code == code, f"{ran.code}\n{ran.err}\n{ran.out[:3000]}"
        assert MARKER not in ran.out + ran.err
        return json.loads(ran.out)


def check_against_sqlite(kine, report):
    """What SQL says of live rows, old ones and old values. Returns the number of plaintexts in
    live, old and old_value."""
    rows = kine.rows()
    latest = {row["name"]: row for row in rows}
    live = {name: row["value"] for name, row in latest.items()
            if not row["deleted"] and name not in BOOKKEEPING}
    source = report["source"]
    assert source["kind"] == "kine" and source["revision"] == rows[-1]["id"]
    assert source["compact_revision"] == latest[COMPACT]["prev_revision"]
    assert source["records"] == len(rows)
    assert source["tombstones"] == sum(1 for row in rows if row["deleted"])
    assert [(f["path"], f["size"]) for f in source["files"]] == [
        (str(path), path.stat().st_size) for path in kine.files()
        if not path.name.endswith("-shm") and path.stat().st_size > 0]
    assert report["totals"]["keys"] == len(live)
    assert classes(report["totals"]) == collections.Counter(map(class_of, live.values()))
    by_resource = collections.Counter(
        name.split("/")[2] for name in live if name.startswith("/registry/secrets/"))
    assert row_of(report, "secrets")["keys"] == by_resource["secrets"]

    objects, seeds = collections.Counter(), collections.defaultdict(set)
    for value in live.values():
        if class_of(value) == "kmsv2":
            one = stored.parse(value)
            objects[one.key_id] += 1
            seeds[one.key_id].add(one.wrapped_seed)
    found = {row["key_id"]: row for row in report["key_ids"] if row["objects"]}
    assert {key_id: row["objects"] for key_id, row in found.items()} == objects
    assert {key_id: row["seeds"] for key_id, row in found.items()} == {
        key_id: len(all_of) for key_id, all_of in seeds.items()}
    assert all(row["key_id_hash"] == key_id_hash(key_id) for key_id, row in found.items())

    values = {"old_revisions": [row["value"] for row in rows if row["value"] and not (
        latest[row["name"]] is row and not row["deleted"])],
        "kine_old_value": [row["old_value"] for row in rows if row["old_value"]]}
    for place, those in values.items():
        key_ids = collections.Counter(stored.parse(v).key_id for v in those
                                      if class_of(v) == "kmsv2")
        marked = sum(1 for v in those if MARKER.encode() in v)
        assert report["residue"][place] == {"values": len(those), "plaintext": marked,
                                            "key_ids": key_ids, "other_key_ids": 0}, place
    marked_live = sum(1 for v in live.values() if MARKER.encode() in v)
    assert row_of(report, "secrets")["plaintext"] == marked_live
    return marked_live, *(report["residue"][place]["plaintext"] for place in values)


def step(cluster, what, code=0):
    """All of it at one moment: each plaintext in the files is counted in one place."""
    with cluster.kine.frozen():
        report = cluster.audit(code=code)
        counted = check_against_sqlite(cluster.kine, report)
        raw, marked = (cluster.kine.count_bytes(what) for what in (HEAD, MARKER.encode()))
    left = {place: found["plaintext"] for place, found in report["residue"].items()}
    total = counted[0] + sum(left.values())
    print(f"{what}: live {counted[0]}, {left}: {total}; heads {raw}, markers {marked}")
    # A value is known by its row as well when it is cut off within its head.
    assert raw <= total <= raw + raw // 50
    assert report["has_residue"] is (sum(left.values()) > 0)
    return counted[0], left


def put_label(api, name, value):
    status, text = api.call("PATCH", api.secret_path(name), {"metadata": {"labels": {"x": value}}},
                            "application/merge-patch+json")
    assert status == 200, text


def test_what_kine_keeps(workspace):
    """What happens to a k3s whose Secrets were plaintext: after encryption, rewrite and compaction
    each plaintext is still there, in old_value; what removes it, and what does not."""
    cluster = Cluster(workspace)
    kine = cluster.kine
    cluster.serve("identity", "kms")
    api = cluster.api
    names = [f"s-{n:03}" for n in range(COUNT)]
    api.in_parallel(lambda name: api.create_secret(name, f"{MARKER}-{name}"), names)
    live, left = step(cluster, "written", code=1)
    assert live == COUNT and left["kine_old_value"] == left["old_revisions"] == 0

    cluster.serve("kms", "identity")
    api.in_parallel(api.rewrite_secret, names)
    live, left = step(cluster, "rewritten")
    assert live == 0 and left["old_revisions"] == left["kine_old_value"] == COUNT

    # Compaction takes the old rows; the rows that are live keep what was before.
    kine.stop()
    kine.start(compact=True)
    wait_until("superseded rows are gone", lambda: sum(
        1 for row in kine.rows() if MARKER.encode() in (row["value"] or b"")) == 0, 60)
    live, left = step(cluster, "compacted")
    assert live == 0 and left["old_revisions"] == 0 and left["kine_old_value"] == COUNT

    # Written again unchanged: kube-apiserver does nothing.
    wait_until("the API server is ready again", api.is_ready, 60)
    for name in names[:3]:
        before, after = api.rewrite_secret(name)
        assert before == after
    _, left = step(cluster, "written again unchanged")
    assert left["kine_old_value"] == COUNT

    # Changed for real.
    for value in ("1", None):
        api.in_parallel(lambda name, value=value: put_label(api, name, value), names)
    wait_until("kine has compacted again", lambda: sum(
        1 for row in kine.rows() if MARKER.encode() in (row["old_value"] or b"")) <= 1, 60)
    _, left = step(cluster, "changed and compacted")
    assert left["kine_old_value"] <= 1 and left["free_pages"] + left["page_slack"] + left["wal"] > 0

    # A restart makes the file anew, in the log; the next compaction moves it into the file.
    kine.stop()
    kine.start(compact=True)
    wait_until("the API server is ready again", api.is_ready, 60)
    api.in_parallel(lambda name: put_label(api, name, "2"), names)

    def plaintexts():
        ran = cluster.tool.run("audit", "--kine", kine.db, "-o", "json").ok()
        return sum(found["plaintext"] for found in json.loads(ran.out)["residue"].values())
    wait_until("nothing is left while kine runs", lambda: plaintexts() == 0, 60)
    assert kine.count_bytes(HEAD) == kine.count_bytes(MARKER.encode()) == 0

    # Stopped, it has no log.
    api.stop()
    kine.stop()
    assert [path.name for path in kine.files()] == ["state.db"]
    report = cluster.audit("--demand", "no-residue")
    assert check_against_sqlite(kine, report) == (0, 0, 0)
    print("restarted and stopped:", report["residue"])


def test_running_stopped_and_killed(workspace):
    """kine runs and is written to, is stopped, is killed: read each time as it is, and not a byte or
    a time of a file changes."""
    cluster = Cluster(workspace)
    kine = cluster.kine
    config = cluster.serve("kms", "identity")
    api = cluster.api
    names = [f"n-{n:02}" for n in range(40)]
    api.in_parallel(lambda name: api.create_secret(name, MARKER + name), names)

    # Written to meanwhile: each audit sees one moment, and none disturbs a writer.
    def write(n):
        api.put_secret(names[n % len(names)], f"{MARKER}-again-{n}")
        if n % 10 != 0:
            return None
        ran = cluster.tool.run("audit", "--kine", kine.db, "-o", "json", "--demand",
                               "all-encrypted").ok()
        return row_of(json.loads(ran.out), "secrets")["kmsv2"]
    seen = [count for count in api.in_parallel(write, range(400), workers=8) if count is not None]
    assert seen == [len(names)] * 40

    with kine.frozen():
        assert len(kine.files()) == 3
        assert check_against_sqlite(kine, cluster.audit()) == (0, 0, 0)
        proved = cluster.audit("--prove", "--encryption-config", config)
        assert row_of(proved, "secrets")["proved"] == len(names)
        assert proved["totals"]["unproved"] == proved["totals"]["undecryptable"] == 0
    api.stop()
    kine.stop(signal.SIGKILL)
    assert len(kine.files()) == 3
    report = cluster.audit()
    assert check_against_sqlite(kine, report) == (0, 0, 0)
    assert len(report["source"]["files"]) == 2
    for path in kine.files():  # read by anybody who may read, of a file system that is read-only
        path.chmod(0o444)
    report = cluster.audit()
    kine.start()
    kine.stop()
    after = cluster.audit()
    assert check_against_sqlite(kine, after) == (0, 0, 0)
    assert row_of(after, "secrets") == row_of(report, "secrets")
    assert set(after["totals"]) >= set(CLASSES)


def test_its_api(workspace):
    """Page by page the same live keys as the file has; and no residue, object or database."""
    cluster = Cluster(workspace)
    kine = cluster.kine
    config = cluster.serve("kms", "identity")
    api = cluster.api
    names = [f"n-{n:04}" for n in range(1500)]
    api.in_parallel(lambda name: api.create_secret(name, MARKER + name), names)
    cluster.daemon.wait_key(cluster.daemon.tool.rotate())
    api.in_parallel(lambda name: api.put_secret(name, MARKER + "again"), names[:100])
    api.stop()  # so that nothing is written between the two

    def seen(*words):
        ran = cluster.tool.run("audit", "--endpoints", kine.url, "-o", "json", *words).ok()
        assert MARKER not in ran.out + ran.err and "old_value" in ran.err
        return json.loads(ran.out)
    alike = ("totals", "verdict")

    def rows(report):
        """What is live of resources and keys: the file shows others, of which something is left."""
        return [{name: row[name] for name in row if name != "residue"}
                for row in report["resources"] + report["key_ids"]
                if row.get("keys", row.get("objects")) > 0]
    prove = ("--prove", "--encryption-config", config)
    for words in ((), prove, ("--qps", "100"), ("--linearizable",), ("--prefix", "/registry/")):
        report, of_file = seen(*words), cluster.audit(*(words if words == prove else ()))
        assert {name: report[name] for name in alike} == {name: of_file[name] for name in alike}
        assert rows(report) == rows(of_file)
        found = [sorted(one["findings"], key=lambda row: row["etcd_key"] or "") for one in (report, of_file)]
        assert found[0] == found[1]
        assert row_of(report, "secrets")["keys"] == len(names)
    source = report["source"]
    assert source["endpoint"] == kine.url and source["kind"] == "etcd" and not source["is_partial"]
    assert source["cluster_id"] is None and source["member_id"] is None
    assert len(source["revisions"]) == 1 and source["prefixes"] == ["/registry/"]
    assert all(place is None for place in report["residue"].values())
    page = cluster.tool.run("audit", "--endpoints", kine.url, "-o", "html").ok().out
    assert "kine, as etcd" in page and "Cluster and member" not in page

    only = seen("--prefix", "/registry/secrets/")
    assert only["totals"]["keys"] == len(names)
    cluster.tool.run("audit", "--endpoints", kine.url, "--object", "secrets/default/n-0001").refused(
        3, "past of an object", "--kine")
    cluster.tool.run("audit", "--endpoints", kine.url, "--member-snapshot").refused(
        3, "sends no database", "--kine")
    keys = json.loads(cluster.tool.run("audit", "keys", "--endpoints", kine.url, "-o", "json").ok().out)
    assert sum(row["objects"][0] for row in keys["keys"]) == len(names)
