# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --member-snapshot: the database of a running member, sent into memory, shows what a
snapshot of it shows; as a user of etcd, interrupted, too large, and sent by somebody who lies."""

import hashlib
import json
import os
import signal
import subprocess
import time

import grpc
import pytest
from parts import places
from parts.etcd import Etcd
from parts.fake_etcd import FakeEtcd, piece, pieces
from parts.process import wait_until
from parts.tool import Tool
from test_audit import MARKER
from test_audit_live import SecureEtcd, etcdctl, live, report_of

COUNT = 600


def member(etcd, *words, code=0, **options):
    return live(etcd, "--member-snapshot", *words, code=code, **options)


def saved(workspace, etcd):
    path = workspace.path("saved.snapshot")
    path.unlink(missing_ok=True)
    etcdctl("--endpoints", etcd.url, "snapshot", "save", path)
    return path


def comparable(report):
    """All but where it was read and when; the file names no members."""
    source = {name: report["source"][name] for name in
              ("revision", "compact_revision", "records", "tombstones", "prefixes", "is_partial")}
    return report | {"source": source, "started_at": None, "duration_ms": None}


def written(etcd):
    """Plaintext Secrets, written over encrypted ones, some deleted, some not compacted yet."""
    plain = {f"/registry/secrets/a/s-{i:04}": b"k8s\0" + MARKER.encode() + bytes(1500)
             for i in range(COUNT)}
    sealed = {key: b"k8s:enc:aesgcm:v1:k:" + bytes(1600) for key in plain}
    etcd.put("/registry/namespaces/default", b"k8s\0")
    etcd.put_many(plain)
    etcd.put_many(sealed)
    etcd.compact()
    for i in range(20):
        etcd.put(f"/registry/secrets/a/s-{i:04}", b"k8s\0" + MARKER.encode())
        etcd.put(f"/registry/secrets/a/s-{i:04}", b"k8s:enc:aesgcm:v1:k:" + bytes(1600))
    etcdctl("--endpoints", etcd.url, "del", "/registry/secrets/a/s-0599")


def both(workspace, etcd):
    """Each snapshot makes etcd write a page of its own bookkeeping, over one that was free: two of one
    state differ by that now and then, so some are compared."""
    for _ in range(20):
        path = saved(workspace, etcd)
        file = report_of(Tool().run("audit", "--snapshot", path, "-o", "json"))
        report = member(etcd)
        if comparable(report) == comparable(file):
            break
        time.sleep(0.3)
    assert comparable(report) == comparable(file)
    return path, report


@pytest.mark.parametrize("part", ["etcd", "etcd-3.7"])
def test_the_same_as_of_a_saved_snapshot(workspace, part):
    """Field by field, from residue to none."""
    etcd = Etcd(workspace, part=part)
    written(etcd)
    seen = []
    for step in ("written", "compacted", "defragmented"):
        if step == "compacted":
            etcd.compact()
        if step == "defragmented":
            etcdctl("--endpoints", etcd.url, "defrag")
        path, report = both(workspace, etcd)
        assert report["source"]["db_size"] == path.stat().st_size - 32
        seen.append((report["residue"]["old_revisions"]["plaintext"],
                     report["residue"]["free_pages"]["plaintext"]))
    assert seen[0][0] == 20 and seen[0][1] > COUNT / 2
    assert seen[1][0] == 0 and seen[1][1] > COUNT / 2
    assert seen[2] == (0, 0)
    Tool().run("audit", "--endpoints", etcd.url, "--member-snapshot", "--demand", "no-residue").ok()

    source = report["source"]
    status = json.loads(etcdctl("--endpoints", etcd.url, "endpoint", "status", "-w", "json"))[0]["Status"]
    assert source["kind"] == "member" and source["files"] == []
    assert source["endpoints"] == [etcd.url] and source["endpoint"] == etcd.url
    assert source["member_id"] == f"{status['header']['member_id']:x}"
    assert source["etcd_version"] == status["version"]
    assert source["revisions"] == [source["revision"]] and report["residue"]["wal"] is None
    # Two that the API shows: live keys alone are the same.
    assert live(etcd)["totals"] == report["totals"]
    out = Tool().run("audit", "keys", "--endpoints", etcd.url, "--member-snapshot", path).ok().out
    assert f"aesgcm  {COUNT - 1}" in " ".join(out.split()).replace("aesgcm ", "aesgcm  "), out


def test_one_of_several(workspace):
    """The first that is there is asked, and named."""
    etcd = Etcd(workspace)
    etcd.put("/registry/secrets/a/b", "{}")
    dead = f"http://127.0.0.1:{workspace.free_port()}"
    ran = Tool().run("audit", "--endpoints", f"{dead},{etcd.url}", "--member-snapshot", "-o", "json")
    report = report_of(ran, 1)
    assert report["source"]["endpoint"] == etcd.url
    assert f"this is the database of {etcd.url} alone" in ran.err
    out = Tool().run("audit", "--endpoints", f"{dead},{etcd.url}", "--member-snapshot").out
    assert f"of {etcd.url} (member, " in out


def test_least_right(workspace):
    """TLS and a certificate do; where there are users, it takes root."""
    etcd = SecureEtcd(workspace)
    etcd.ctl("put", "/registry/secrets/a/b", "k8s:enc:aesgcm:v1:k:" + "x" * 40)
    assert report_of(etcd.audit("--member-snapshot", pair=etcd.client))["totals"]["keys"] == 1
    for words in (["user", "add", "root:rootpw"], ["user", "grant-role", "root", "root"],
                  ["user", "add", "auditor:sesame"], ["role", "add", "audit"],
                  ["role", "grant-permission", "audit", "--prefix=true", "read", ""],
                  ["user", "grant-role", "auditor", "audit"], ["auth", "enable"]):
        etcd.ctl(*words)
    password = workspace.write("password", "sesame")
    etcd.audit("--member-snapshot", "--user", "auditor", "--password-file", password,
               pair=etcd.client).refused(3, "permission denied", "role root", "--member-snapshot")
    password.write_text("rootpw")
    report = report_of(etcd.audit("--member-snapshot", "--user", "root", "--password-file", password,
                                  pair=etcd.client))
    assert report["totals"]["keys"] == 1 and report["residue"]["free_pages"] is not None


def database(workspace):
    """A file as etcd saves it, of some pieces."""
    etcd = Etcd(workspace)
    etcd.put_many({f"/registry/secrets/a/s-{i}": b"k8s:enc:aesgcm:v1:k:" + bytes(2000)
                   for i in range(100)})
    return saved(workspace, etcd).read_bytes()


def test_what_is_sent_is_not_believed(workspace):
    data = database(workspace)
    good = pieces(data)
    assert len(good) > 4
    def refused(sends, *words, end=None):
        fake = FakeEtcd(workspace, sends, end)
        ran = Tool().run("audit", "--endpoints", fake.url, "--member-snapshot", "-o", "json")
        ran.refused(3, fake.url, *words)
        assert ran.out == "" and fake.asked == 1

    # The fake is one: the same bytes are the same report.
    file = report_of(Tool().run("audit", "--snapshot", workspace.write("data", data), "-o", "json"))
    assert comparable(member(FakeEtcd(workspace, good))) == comparable(file)
    assert file["totals"]["keys"] == 100
    refused(good[:3], f"broke off after {3 * 32768} of {len(data)} bytes")
    refused(good[:-1], f"broke off after {len(data) - 32} of {len(data)} bytes")
    refused(good[:2], f"broke off after {2 * 32768} of", end=grpc.StatusCode.UNAVAILABLE)
    refused(good[:2], "it was stopped", end=grpc.StatusCode.INTERNAL)
    refused([], "broke off after 0")
    refused(good[1:], "SHA-256")
    refused([*good, piece(0, bytes(32))], "bytes behind its hash")
    refused([*good[:-1], piece(0, hashlib.sha256(b"").digest())], "SHA-256")
    refused([good[0], good[0], *good[2:]], "more bytes than it had promised, or fewer")
    refused([*good[:-1], piece(0, bytes(33))], "no hash")
    altered = bytearray(data)
    altered[9000] ^= 1
    refused(pieces(bytes(altered)), "SHA-256")
    refused(pieces(bytes(5 * 4096) + hashlib.sha256(bytes(5 * 4096)).digest()), "no etcd database")
    refused([piece(2 ** 64 - 1, b"x")], "a size that no file can have")


def test_a_database_over_the_limit(workspace):
    """Refused by what the member says of itself before it is asked for it, else by its first piece."""
    data = database(workspace)
    for size, asked in ((2 ** 31, 0), (1000, 1)):
        fake = FakeEtcd(workspace, [piece(2 ** 31, bytes(32768))] if asked else pieces(data), db_size=size)
        ran = Tool().run("audit", "--endpoints", fake.url, "--member-snapshot")
        ran.refused(3, fake.url, "its database has 2049 MiB", "--max-memory", "etcdctl snapshot save")
        assert fake.asked == asked
    fake = FakeEtcd(workspace, pieces(data), db_size=2 ** 31)
    Tool().run("audit", "--endpoints", fake.url, "--member-snapshot", "--max-memory", "3GiB").ok()


def test_options_that_do_not_go_together(workspace):
    tool = Tool()
    tool.run("audit", "--member-snapshot").refused(2, "needs --endpoints")
    tool.run("audit", "--member-snapshot", "--snapshot", "x").refused(2, "name one thing to audit")
    for words in (["--qps", "2"], ["--linearizable"]):
        tool.run("audit", "--endpoints", "http://127.0.0.1:1", "--member-snapshot", *words).refused(
            2, "do not go with it")
    tool.run("audit", "--member-snapshot", env={"ETCDCTL_ENDPOINTS": "http://127.0.0.1:1"}).refused(
        3, "http://127.0.0.1:1")


def test_interrupted(workspace):
    """Ctrl-C: a report that says that nothing was read, and no file anywhere."""
    sent = []
    data = database(workspace)

    def slowly():
        for message in pieces(data):
            sent.append(message)
            yield message
            time.sleep(0.5)

    fake = FakeEtcd(workspace, slowly)
    folder = workspace.folder("empty")
    running = subprocess.Popen([places.our_program("etcdseal"), "audit", "--endpoints", fake.url,
                                "--member-snapshot", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=folder, env=os.environ | {"TMPDIR": str(folder)})
    wait_until("some of it came", lambda: len(sent) > 2, 30)
    files = {os.readlink(f"/proc/{running.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{running.pid}/fd")}
    assert not [path for path in files if path.startswith("/") and not path.startswith("/dev/")], files
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=20)
    report = json.loads(out)
    assert running.returncode == -signal.SIGINT and report["source"]["is_partial"] is True
    assert report["totals"]["keys"] == 0 and report["as_demanded"] is False
    assert os.listdir(folder) == []
