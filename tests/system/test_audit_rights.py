# SPDX-License-Identifier: Apache-2.0
"""Who may audit what: what etcdseald logs of a peer that unwraps without being kube-apiserver, the least
rights of each way to audit, and a report that is made with rights and read without."""

import json
import os
import shutil
import sys
import time

import grpc
import pytest

from parts import places
from parts.controlplane import ControlPlane
from parts.daemon import key_id_hash
from parts.kms import Kms
from parts.process import wait_until
from parts.tool import Tool
from test_audit import MARKER, Cluster

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

AUDITOR = 65533  # any uid without a name that is not the daemon's, root's or 65534
COUNTED = 'etcdseal_auditor_decrypts_total{result="%s"}'


@pytest.fixture
def cluster(workspace):
    """Secrets under two keys, so that an audit unwraps two seeds; calls that go well aren't logged."""
    made = Cluster(workspace)
    made.daemon.config["log"] |= {"requests": False, "level": "warn"}
    made.daemon.write_config()
    made.daemon.reload()
    path = made.serve("kms", "identity")
    made.api.create_secret("one", MARKER)
    second = made.daemon.tool.rotate()
    made.daemon.wait_key(second)
    wait_until("kube-apiserver writes with it", lambda: [
        made.api.create_secret(f"two-{os.urandom(4).hex()}", MARKER),
        made.api.writes_with_key(key_id_hash(second))][1], 120, 1)
    made.path = path
    return made


def unwrap(kms, wrapped, uid):
    """With this uid and no other, not even for none."""
    return kms._call("Decrypt", uid=uid, ciphertext=wrapped.ciphertext, key_id=wrapped.key_id,
                     annotations=dict(wrapped.annotations)).plaintext


def auditor_events(daemon):
    return [e for e in daemon.events() if e["event"].startswith("decrypt-by-auditor")]


def test_a_proof_is_logged_and_kube_apiserver_is_not(cluster):
    daemon = cluster.daemon
    cluster.api.stop()
    cluster.api.start()  # asks for both seeds again
    assert auditor_events(daemon) == []
    before = daemon.metrics()
    assert before['etcdseal_requests_total{method="Decrypt",code="OK"}'] >= 2
    assert before[COUNTED % "unwrapped"] == before[COUNTED % "refused"] == 0

    report = cluster.audit(cluster.snapshot(), "--prove", "--encryption-config", cluster.path)
    seeds = sum(row["seeds"] or 0 for row in report["key_ids"])
    assert report["kms"][0]["unwrapped"] == seeds == 2
    end = daemon.wait_event("decrypt-by-auditor-end")
    begin, also_end = auditor_events(daemon)
    assert also_end == end
    assert (begin["event"], begin["level"], begin["reason"]) == ("decrypt-by-auditor", "warn", "uid")
    assert (begin["uid"], begin["peer_uid"], begin["row"]) == ("etcdseal-audit", os.getuid(), 0)
    assert (end["unwrapped"], end["refused"], end["row"]) == (seeds, 0, 0)
    assert end["peer_pid"] == begin["peer_pid"] not in (os.getpid(), daemon.process.pid)
    assert daemon.metrics()[COUNTED % "unwrapped"] == seeds
    assert [e for e in daemon.events("request") if e["method"] == "Decrypt"] == []

    # Without a proof nothing is unwrapped.
    cluster.audit(cluster.snapshot(), "--encryption-config", cluster.path)
    assert daemon.metrics()[COUNTED % "unwrapped"] == seeds and len(auditor_events(daemon)) == 2


def test_a_row_that_may_only_decrypt(idle_daemon):
    """Whatever uid it sends, also none; refused calls too; and one that says it is an audit in a row
    that may do everything."""
    daemon = idle_daemon
    daemon.config["peers"] = [{"uid": os.getuid(), "methods": ["decrypt"]}]
    daemon.config["log"]["requests"] = False
    whole = daemon.config | {"peers": [{"uid": os.getuid()}]}
    auditor, daemon.config = daemon.config, whole
    daemon.write_config()
    daemon.start()
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
        assert kms.unwrap(wrapped) == b"x" * 32
        unwrap(kms, wrapped, "etcdseal-audit")
    end = daemon.wait_event("decrypt-by-auditor-end", unwrapped=1)
    assert [e.get("reason") for e in auditor_events(daemon)] == ["uid", None] and end["refused"] == 0

    daemon.config = auditor
    daemon.write_config()
    daemon.reload()
    daemon.wait_event("config-reloaded")
    for uid in ("6d1a2ce4-0c8f-4bd0-8f5e-7f0f3c7d6a01", ""):
        with Kms(daemon.socket) as kms:
            unwrap(kms, wrapped, uid)
            for body in (b"\x0a\x01x", b"\xff"):
                with pytest.raises(grpc.RpcError):
                    kms.raw("Decrypt", body)
            begun = daemon.wait_event("decrypt-by-auditor", reason="row", row=0)
            assert begun.get("uid") == (uid or None)
        daemon.wait_event("decrypt-by-auditor-end", unwrapped=1, refused=2,
                          peer_pid=os.getpid())
    metrics = daemon.metrics()
    assert (metrics[COUNTED % "unwrapped"], metrics[COUNTED % "refused"]) == (3, 4)


def test_many_connections_make_few_lines(idle_daemon):
    daemon = idle_daemon
    daemon.config["log"]["requests"] = False
    daemon.write_config()
    daemon.start()
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
    began = time.monotonic()
    for _ in range(60):
        with Kms(daemon.socket) as kms:
            unwrap(kms, wrapped, "etcdseal-audit")
    assert daemon.metrics()[COUNTED % "unwrapped"] == 60
    lines = len(auditor_events(daemon))
    assert 20 <= lines <= 20 + 2 * (time.monotonic() - began + 1) < 120
    time.sleep(3)  # now both lines of another one may be written, and say how many were not
    with Kms(daemon.socket) as kms:
        unwrap(kms, wrapped, "etcdseal-audit")

    def is_each_told():
        events = auditor_events(daemon)
        return len(events) + sum(e.get("suppressed", 0) for e in events) == 2 * 61
    wait_until("each line is written or counted", is_each_told, 10)


def test_without_a_proof_nobody_needs_rights(cluster, workspace):
    """Root's reports, made by a user who can read a copy or ask etcd and can do nothing else here: not
    open the keystore, not reach the plugin."""
    place = workspace.folder("open", 0o755)
    snapshot = shutil.copy(cluster.snapshot(), place / "snapshot")
    config = shutil.copy(cluster.path, place / "enc.yaml")
    nobody = Tool(user=(AUDITOR, AUDITOR))

    def both(*words):
        made = []
        for tool in (cluster.tool, nobody):
            report = tool.run("audit", *words, "-o", "json").json()
            made.append([report[name] for name in ("verdict", "totals", "resources", "key_ids", "findings",
                                                   "residue")])
        return made

    for path in (snapshot, config):
        os.chmod(path, 0o444)
    cluster.api.stop()
    mine, theirs = both("--snapshot", snapshot, "--encryption-config", config)
    assert mine == theirs and mine[1]["kmsv2"] > 1
    mine, theirs = both("--endpoints", cluster.etcd.url, "--encryption-config", config)
    assert mine == theirs
    ran = nobody.run("audit", "--snapshot", snapshot, "--prove", "--encryption-config", config, "-o", "json")
    assert ran.code == 3 and json.loads(ran.out)["totals"]["proved"] == 0
    nobody.run("audit", "--snapshot", cluster.snapshot()).refused(3, "may not be read by this user")
    cluster.etcd.process.stop()
    folder = shutil.copytree(workspace.path("etcd"), place / "etcd")
    for top, folders, files in os.walk(folder):
        os.chmod(top, 0o755)
        for name in files:
            os.chmod(os.path.join(top, name), 0o444)
    mine, theirs = both("--data-dir", folder, "--encryption-config", config)
    assert mine == theirs and mine[1]["kmsv2"] > 1


FOLDER = "/var/lib/etcdseal-audit"
METRICS = "/var/lib/prometheus/node-exporter/etcdseal-audit.prom"


@pytest.mark.timeout(400)
def test_the_usual_way(workspace):
    """The page's commands on a control plane under systemd: root's timer proves and signs, somebody
    without rights verifies."""
    host = ControlPlane(workspace)
    commands, verify = [b.text for b in markdown.blocks(places.ROOT / "docs" / "audit.md")
                        if b.reason == "tests/system/test_audit_rights.py"]
    host.run("mkdir", "-p", os.path.dirname(METRICS))
    host.run("bash", "-euc", commands)
    report = json.loads(host.path(f"{FOLDER}/report.json").read_text())
    totals = report["totals"]
    assert report["verdict"] == "ENCRYPTED" and totals["proved"] == totals["kmsv2"] > 30
    assert "etcdseal_audit_proved_objects{" in host.path(METRICS).read_text()
    assert host.booted.show("etcdseal-audit.timer", "ActiveState") == "active"
    assert host.booted.show("etcdseal-audit.timer", "UnitFileState") == "enabled"

    def told():
        lines = [line for line in host.booted.journal().splitlines() if "decrypt-by-auditor" in line]
        return lines if len(lines) > 1 else None
    begin, end = wait_until("the daemon has told both", told)[:2]
    assert "reason=uid" in begin and "peer_uid=0" in begin
    assert f" unwrapped={report['kms'][0]['unwrapped']} refused=0" in end

    # The group reads, others do not; who reads can neither ask the plugin nor read etcd's client key.
    group = host.run("getent", "group", "etcdseal-audit").split(":")[2]
    for path in host.path(FOLDER).iterdir():
        st = path.stat()
        wanted = 0o644 if ".prom" in path.name else 0o640
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (0, int(group), wanted), path
    assert host.path(METRICS).stat().st_mode & 0o777 == 0o644

    def as_auditor(words, its_group=group):
        return host.run("setpriv", "--reuid", AUDITOR, "--regid", its_group, "--clear-groups", "--", "bash",
                        "-c", f"{words.strip()} 2>&1; echo code $?")
    shown = as_auditor(verify)
    assert shown.endswith("code 0\n") and "ENCRYPTED" in shown
    assert as_auditor(verify, AUDITOR).endswith("code 3\n")
    prove = "etcdseal audit --cluster kubeadm --prove -o json"
    assert as_auditor(prove).endswith("code 3\n")
    with open(host.path(f"{FOLDER}/report.html"), "a") as page:
        page.write(" ")
    assert as_auditor(verify).endswith("code 4\n")

    # What is found fails the unit, and is reported.
    host.run("ln", "-sf", places.real_part("etcdctl"), "/usr/local/bin/etcdctl")
    host.run("etcdctl", "put", "/registry/secrets/default/planted",
             '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"planted","namespace":"default"}}')
    host.run("systemctl", "start", "etcdseal-audit.service", check=False)
    assert host.booted.show("etcdseal-audit.service", "ExecMainStatus") == "1"
    assert json.loads(host.path(f"{FOLDER}/report.json").read_text())["verdict"] == "PARTIAL"
    assert as_auditor(verify).endswith("code 0\n")
