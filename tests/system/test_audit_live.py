# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit of a running etcd: the same report as of a snapshot of the same revision, over TLS,
as a user, through compaction, interruption and loss; and each refusal in words."""

import json
import os
import pty
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from parts import places
from parts.certs import Ca
from parts.etcd import Etcd
from parts.kine import Kine
from parts.process import wait_until
from parts.tool import Tool
from test_audit import MARKER, Cluster, local_keys, row_of

SAME = ["verdict", "totals", "resources", "key_ids", "findings_count", "findings", "demands"]


def comparable(report):
    """What must not depend on where the keys were read: rows have no order, and a file shows residue
    beside them, some of it of what has no live key."""
    made = {name: report[name] for name in SAME}
    for name in ("resources", "key_ids", "findings"):
        rows = [row for row in made[name] if not row.get("rule", "").startswith("residue")]
        rows = [row for row in rows if row.get("keys", row.get("objects")) != 0]
        made[name] = sorted(rows, key=json.dumps)
    made["findings_count"] = len(made["findings"])
    return made


def etcdctl(*words, **options):
    return subprocess.run([places.real_part("etcdctl"), *map(str, words)], check=True,
                          capture_output=True, text=True, **options).stdout


def report_of(ran, code=0):
    assert ran.code == code, f"{ran.code}\n{ran.err}\n{ran.out[:3000]}"
    assert MARKER not in ran.out + ran.err
    return json.loads(ran.out)


def live(etcd, *words, code=0, **options):
    ran = Tool().run("audit", "--endpoints", etcd.url, *words, "-o", "json", **options)
    return report_of(ran, code)


def snapshot_of(workspace, etcd, *words, code=0):
    path = workspace.path("live.snapshot")
    etcdctl("--endpoints", etcd.url, "snapshot", "save", path)
    return report_of(Tool().run("audit", "--snapshot", path, *words, "-o", "json"), code)


def filled(etcd, count):
    """Keys of a cluster: sizes that jump, folders that end, and some outside."""
    values = {"/registry/namespaces/default": b"k8s\0", "compact_rev_key": b"7",
              "/registry/namespaces/kube-system": b"k8s\0", "/zz/after": b"x"}
    for i in range(count):
        size = 20 if i % 50 else 20000
        values[f"/registry/secrets/ns-{i % 7}/s-{i:05}"] = b"k8s\0" + MARKER.encode() + bytes(size)
        values[f"/registry/widgets.example.com/w/ns-{i % 3}/x{i * 7919 % 99991:x}"] = b"{}"
    etcd.put_many(values)
    return len(values)


def test_the_same_as_of_a_snapshot(workspace):
    """What a real kube-apiserver wrote with several providers, judged with its file."""
    everybody = ["identity", "aescbc", "secretbox", "kms"]
    cluster = Cluster(workspace, aescbc=local_keys("cbc-1"), secretbox=local_keys("box-1"))
    for first in everybody:
        path = cluster.serve(first, *[name for name in everybody if name != first])
        for n in range(4):
            cluster.api.create_secret(f"{first}-{n}", MARKER)
    cluster.api.stop()  # nothing writes any more
    wrong = cluster.config("secretbox", file="wrong.yaml")
    for words, code in (([], 1), (["--current-key", cluster.daemon.tool.primary()], 1),
                        (["--encryption-config", path], 1), (["--encryption-config", wrong], 4),
                        (["--encryption-config", path, "--prove"], 1)):
        file = snapshot_of(workspace, cluster.etcd, *words, code=code)
        for how in ([], ["--linearizable"]):
            report = live(cluster.etcd, *words, *how, code=code)
            assert comparable(report) == comparable(file)
            assert report["source"]["revision"] == file["source"]["revision"]
            assert report["source"]["revisions"] == [report["source"]["revision"]]
            assert report["source"]["prefixes"] == ["/registry/"]
    assert report["totals"]["proved"] == 12
    # The gate before a key is retired asks the cluster itself.
    primary = cluster.daemon.tool.primary()
    Tool().run("audit", "keys", "--endpoints", cluster.etcd.url, "--linearizable", "--unneeded",
               primary).refused(1, primary)
    Tool().run("audit", "keys", "--endpoints", cluster.etcd.url, "--unneeded", "es1-other").ok()
    assert report["source"]["kind"] == "etcd" and set(report["residue"].values()) == {None}
    status = json.loads(cluster.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]
    source = report["source"]
    assert source["cluster_id"] == f"{status['header']['cluster_id']:x}"
    assert source["member_id"] == f"{status['header']['member_id']:x}"
    assert source["db_size"] == status["dbSize"] and source["etcd_version"] == status["version"]
    assert 0 < source["db_size_in_use"] <= source["db_size"]
    assert source["endpoints"] == [cluster.etcd.url] and source["endpoint"] == cluster.etcd.url


def test_many_pages_and_prefixes(workspace):
    etcd = Etcd(workspace)
    count = filled(etcd, 3000)
    file = snapshot_of(workspace, etcd, code=1)
    report = live(etcd, code=1)
    assert report["totals"]["keys"] == count and comparable(report) == comparable(file)
    assert row_of(report, "secrets")["plaintext"] == report["findings_count"] == 3000

    # Only what is named is read, once although two name it.
    report = live(etcd, "--prefix", "/registry/", "--prefix", "/registry/secrets/", "--prefix",
                  "/registry/", code=1)
    assert report["totals"]["keys"] == count - 2
    assert live(etcd, "--prefix", "/zz/")["totals"]["keys"] == 1

    # A prefix is no filter, and one without keys is told; a part of another one is read with it.
    def warned(*prefixes):
        words = [word for prefix in prefixes for word in ("--prefix", prefix)]
        ran = Tool().run("audit", "--endpoints", etcd.url, *words, "-q", "-o", "json")
        return [line for line in ran.err.splitlines() if "--prefix" in line]
    assert warned("/registry/") == warned("/zz/", "/registry/") == []
    (line,) = warned("/registry/secrets/")
    assert "say --prefix /registry/," in line
    (line,) = warned("/registry/", "/none/")
    assert "/none/: no key begins with it" in line

    # Another prefix is found behind and before /registry/, at some depth.
    etcd.put_many({"/a/deep/one/namespaces/default": b"k8s\0", "/zy/b/namespaces/kube-system": b"x"})
    report = live(etcd, code=1)
    assert sorted(report["source"]["prefixes"]) == ["/a/deep/one/", "/registry/", "/zy/b/"]


def test_pages_that_are_too_large(workspace):
    """The first page would have 84 MB: it is asked for again with fewer keys, and memory stays small."""
    etcd = Etcd(workspace, flags=["--max-request-bytes", "3000000"])
    etcd.put("/registry/namespaces/default", "{}")
    for i in range(60):
        etcd.put(f"/registry/secrets/a/s-{i:02}", "k8s:enc:aesgcm:v1:k:" + "x" * 1_400_000)
    argv = [places.our_program("etcdseal"), "audit", "--endpoints", etcd.url, "-o", "json"]
    for more, most in ([], 300_000), (["--max-memory", "128MiB"], 128_000):
        ran = subprocess.run(["/usr/bin/time", "-f", "%M", *argv, *more], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["totals"]["aesgcm"] == 60
        print("kB", ran.stderr.split()[-1])
        assert int(ran.stderr.split()[-1]) < most


def calls(etcd, method):
    """How many it has answered well."""
    with urllib.request.urlopen(etcd.url + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("grpc_server_handled_total{grpc_code=\"OK\"")
               and f'grpc_method="{method}",' in line]
    return int(float(line.rsplit(" ", 1)[1]))


def test_a_stream(workspace):
    """Since 3.7 etcd sends a range as a stream: one call, and the same report."""
    etcd = Etcd(workspace, part="etcd-3.7")
    count = filled(etcd, 3000)
    report = live(etcd, code=1)
    assert report["source"]["etcd_version"].startswith("3.7.")
    assert calls(etcd, "RangeStream") == 1 and report["totals"]["keys"] == count
    pages = live(etcd, "--qps", "1000", code=1)
    assert calls(etcd, "RangeStream") == 1
    assert comparable(report) == comparable(pages) == comparable(snapshot_of(workspace, etcd, code=1))
    report = live(etcd, "--prefix", "/registry/", "--prefix", "/zz/", "--linearizable", code=1)
    assert calls(etcd, "RangeStream") == 3 and report["totals"]["keys"] == count - 1


def test_nothing_of_kubernetes(workspace):
    etcd = Etcd(workspace)
    tool = Tool()
    tool.run("audit", "--endpoints", etcd.url).refused(3, "no key of Kubernetes in it")
    etcd.put("/other/key", "x")
    tool.run("audit", "--endpoints", etcd.url).refused(3, "no key of Kubernetes in it")
    etcd.put("/registry/secrets/a/b", "k8s:enc:")
    assert live(etcd, code=4)["source"]["prefixes"] == ["/registry/"]


def start_slowly(etcd, *words):
    return subprocess.Popen([places.our_program("etcdseal"), "audit", "--endpoints", etcd.url, "-o",
                             "json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def test_compaction_under_the_scan(workspace):
    """The revision that is read goes away: the rest is read at a newer one, and the report says so."""
    etcd = Etcd(workspace)
    count = filled(etcd, 1500)
    running = start_slowly(etcd, "--qps", "5")
    time.sleep(1.5)
    etcd.put("/zz/later", "x")
    revision = etcd.compact()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    source = json.loads(out)["source"]
    assert source["revisions"] == [revision - 1, revision] and source["revision"] == revision
    assert json.loads(out)["totals"]["keys"] == count + 1
    assert "of several revisions" in err


def test_interrupted(workspace):
    """Ctrl-C: a report of what was read that says so, and the end of a program that Ctrl-C ends."""
    etcd = Etcd(workspace)
    filled(etcd, 1500)
    folder = workspace.path("interrupted")
    running = start_slowly(etcd, "--qps", "1", "--prefix", "/registry/", "--report-dir", folder)
    time.sleep(2.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    report = json.loads(out)
    assert running.returncode == -signal.SIGINT and "interrupted" in err
    assert report["source"]["is_partial"] is True and report["as_demanded"] is False
    assert 0 < report["totals"]["keys"] < 3000
    assert "The audit was interrupted" in (folder / "report.html").read_text()
    assert '<failure message="interrupted"/>' in (folder / "report.junit.xml").read_text()
    assert "\netcdseal_audit_partial 1\n" in (folder / "report.prom").read_text()
    (run,) = json.loads((folder / "report.sarif").read_text())["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False


def test_progress(workspace):
    """On a terminal: how much, how fast, how long still; gone before the report comes."""
    etcd = Etcd(workspace)
    filled(etcd, 1500)
    master, slave = pty.openpty()
    with subprocess.Popen([places.our_program("etcdseal"), "audit", "--endpoints", etcd.url, "--qps",
                           "1", "--prefix", "/registry/", "-o", "json"], stdout=subprocess.DEVNULL,
                          stderr=slave) as running:
        os.close(slave)
        shown = b""
        while running.poll() is None or shown.count(b"\r") == 0:
            try:
                shown += os.read(master, 4096)
            except OSError:
                break
    os.close(master)
    found = re.findall(rb"\r(\d+) % read, (\d+) keys/s, (\d+) s left", shown)
    assert found, shown
    assert [int(row[0]) for row in found] == sorted(int(row[0]) for row in found)
    assert all(0 < int(row[1]) < 3100 and int(row[2]) < 60 for row in found), found
    assert b"\r" + b" " * 60 + b"\r" in shown


def test_qps_is_kept(workspace):
    etcd = Etcd(workspace)
    filled(etcd, 300)
    start = time.monotonic()
    live(etcd, "--qps", "2", "--prefix", "/registry/", code=1)
    assert time.monotonic() - start >= 1  # three requests at the least


class SecureEtcd:
    """TLS with client certificates, users: root, and `auditor`, who may read /registry/. `port`: of
    clients, else any."""

    def __init__(self, workspace, port=None):
        self.workspace = workspace
        self.ca, self.stranger = Ca("etcd-ca"), Ca("other-ca")
        self.ca_file = workspace.write("ca.crt", self.ca.pem)
        self.other_ca = workspace.write("other.crt", self.stranger.pem)
        self.server = self.pair("server", self.ca.issue("server"))
        self.client = self.pair("client", self.ca.issue("auditor"))
        self.wrong = self.pair("wrong", self.stranger.issue("auditor"))
        port, peer = port or workspace.free_port(), workspace.free_port()
        self.url = f"https://127.0.0.1:{port}"
        self.process = workspace.start("secure-etcd", [
            places.real_part("etcd"), "--data-dir", workspace.folder("secure-etcd"),
            "--listen-client-urls", f"{self.url},https://127.0.0.2:{port}",
            "--advertise-client-urls", self.url,
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls",
            f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}",
            "--client-cert-auth", "--trusted-ca-file", self.ca_file, "--cert-file", self.server[0],
            "--key-file", self.server[1], "--auth-token-ttl", "2", "--log-level", "error"])
        wait_until("etcd answers", self._is_healthy, 30, alive=self.process)

    def pair(self, name, made):
        key = self.workspace.write(f"{name}.key", made[1])
        os.chmod(key, 0o600)
        return self.workspace.write(f"{name}.crt", made[0]), key

    def ctl(self, *words):
        return etcdctl("--endpoints", self.url, "--cacert", self.ca_file, "--cert", self.client[0],
                       "--key", self.client[1], *words)

    def _is_healthy(self):
        try:
            self.ctl("endpoint", "health")
        except subprocess.CalledProcessError:
            return False
        return True

    def audit(self, *words, ca=None, pair=(), url=None, **options):
        argv = ["audit", "--endpoints", url or self.url, *words, "-o", "json"]
        argv += ["--cacert", ca or self.ca_file] if ca != "" else []
        argv += ["--cert", pair[0], "--key", pair[1]] if pair else []
        return Tool().run(*argv, **options)


def test_tls(workspace):
    etcd = SecureEtcd(workspace)
    etcd.ctl("put", "/registry/secrets/a/b", "k8s:enc:aesgcm:v1:k:" + "x" * 40)
    report = report_of(etcd.audit(pair=etcd.client))
    assert report["verdict"] == "ENCRYPTED" and report["totals"]["keys"] == 1
    # By name, and as etcdctl's environment says it.
    name = etcd.url.replace("127.0.0.1", "localhost")
    assert report_of(etcd.audit(pair=etcd.client, url=name))["totals"]["keys"] == 1
    env = {"ETCDCTL_ENDPOINTS": etcd.url, "ETCDCTL_CACERT": str(etcd.ca_file),
           "ETCDCTL_CERT": str(etcd.client[0]), "ETCDCTL_KEY": str(etcd.client[1])}
    assert report_of(Tool().run("audit", "-o", "json", env=env))["totals"]["keys"] == 1
    # A dead endpoint before the living one.
    dead = f"https://127.0.0.1:{workspace.free_port()}"
    report = report_of(etcd.audit(pair=etcd.client, url=f"{dead},{etcd.url}"))
    assert report["source"]["endpoint"] == etcd.url
    assert report["source"]["endpoints"] == [dead, etcd.url]

    etcd.audit().refused(3, etcd.url, "--cert and --key")
    etcd.audit(pair=etcd.wrong).refused(3, etcd.url, "of another CA")
    etcd.audit(ca=etcd.other_ca, pair=etcd.client).refused(3, etcd.url, "not from the CA in --cacert")
    unnamed = etcd.url.replace("127.0.0.1", "127.0.0.2")
    etcd.audit(pair=etcd.client, url=unnamed).refused(3, unnamed, "is not in peer certificate")
    etcd.audit(ca="", url=etcd.url.replace("https", "http")).refused(3, "one side speak TLS")
    plain = Etcd(workspace)
    etcd.audit(pair=etcd.client, url=plain.url.replace("http", "https")).refused(
        3, "one side speak TLS")
    etcd.audit(ca="").refused(2, "--cacert")
    etcd.audit(url=etcd.url.replace("https", "http")).refused(2, "write https://")
    etcd.audit(pair=(etcd.client[0], etcd.other_ca)).refused(3, "certificates and the key of one")
    etcd.audit(pair=(etcd.server[0], etcd.client[1])).refused(3, "certificates and the key of one")
    etcd.audit(ca=workspace.write("none", "no PEM"), pair=etcd.client).refused(3, "holds no PEM")
    os.chmod(etcd.client[1], 0o644)
    etcd.audit(pair=etcd.client).refused(3, "client.key")


def test_users(workspace):
    """A role that may read what is below /registry/ is all that is needed, with --prefix."""
    etcd = SecureEtcd(workspace)
    etcd.ctl("put", "/registry/secrets/a/b", "k8s:enc:aesgcm:v1:k:" + "x" * 40)
    for words in (["user", "add", "root:rootpw"], ["user", "grant-role", "root", "root"],
                  ["user", "add", "auditor:sesame open"], ["role", "add", "audit"],
                  ["role", "grant-permission", "audit", "--prefix=true", "read", "/registry/"],
                  ["user", "grant-role", "auditor", "audit"], ["user", "add", "nobody:x"],
                  ["auth", "enable"]):
        etcd.ctl(*words)
    password = workspace.write("password", "sesame open\n")
    os.chmod(password, 0o600)
    login = ["--user", "auditor", "--password-file", password]
    here = ["--prefix", "/registry/"]

    report = report_of(etcd.audit(*login, *here, pair=etcd.client))
    assert report["totals"]["keys"] == 1 and report["verdict"] == "ENCRYPTED"
    # The certificate's common name is a user too.
    assert report_of(etcd.audit(*here, pair=etcd.client))["totals"]["keys"] == 1
    # A token that is old is asked for anew: one request in three seconds.
    etcd.ctl("--user", "root:rootpw", "put", "/registry/secrets/a/c", "k8s:enc:aesgcm:v1:k:" + "x" * 40)

    etcd.audit(*login, pair=etcd.client).refused(3, "permission denied", "--prefix", "grant-permission")
    wrong = workspace.write("wrong-password", "open sesame")
    os.chmod(wrong, 0o600)
    ran = etcd.audit("--user", "auditor", "--password-file", wrong, *here, pair=etcd.client)
    ran.refused(3, "the user or its password is wrong")
    assert "open sesame" not in ran.err
    os.chmod(password, 0o644)
    etcd.audit(*login, *here, pair=etcd.client).refused(3, "password")
    os.chmod(password, 0o600)
    ran = etcd.audit("--user", "auditor:sesame open", *here, pair=etcd.client)
    ran.refused(2, "--password-file")
    ran = etcd.audit(*here, pair=etcd.client, env={"ETCDCTL_USER": "auditor:sesame open"})
    ran.refused(2, "no password", "ETCDCTL_PASSWORD", "--password-file")
    etcd.audit(*login[2:], *here, pair=etcd.client).refused(2, "--user")
    nobody = etcd.pair("nobody", etcd.ca.issue("nobody"))
    etcd.audit(*here, pair=nobody).refused(3, "permission denied")
    stranger = etcd.pair("stranger", etcd.ca.issue("stranger"))
    etcd.audit(*here, pair=stranger).refused(3)


def test_an_etcd_that_asks_for_a_user(workspace):
    etcd = Etcd(workspace)
    etcd.put("/registry/secrets/a/b", "{}")
    for words in (["user", "add", "root:pw"], ["user", "grant-role", "root", "root"], ["auth", "enable"]):
        etcdctl("--endpoints", etcd.url, *words)
    Tool().run("audit", "--endpoints", etcd.url).refused(3, "--user")
    password = workspace.write("password", "pw")
    os.chmod(password, 0o600)
    report = live(etcd, "--user", "root", "--password-file", password, code=1)
    assert report["totals"]["keys"] == 1


def test_an_etcd_that_is_not_well(workspace):
    """Nobody there; no leader; full."""
    Tool().run("audit", "--endpoints", f"http://127.0.0.1:{workspace.free_port()}").refused(
        3, "http://127.0.0.1:")
    Tool().run("audit", "--endpoints", "http://no-such-host.invalid").refused(3, "does not resolve")
    Tool().run("audit", "--endpoints", Kine(workspace).url).refused(3, "--prefix")  # it is empty

    full = Etcd(workspace, "full", flags=["--quota-backend-bytes", "200000"])
    full.put("/registry/secrets/a/b", "k8s:enc:aesgcm:v1:k:" + "x" * 40)
    with pytest.raises(Exception):
        for _ in range(200):
            full.put("/registry/events/a/b", "x" * 4000)
    ran = Tool().run("audit", "--endpoints", full.url, "-o", "json")
    assert report_of(ran)["verdict"] == "ENCRYPTED" and "NOSPACE" in ran.err


def test_without_a_leader(workspace):
    ports = [workspace.free_port() for _ in range(4)]
    peers = ",".join(f"m{i}=http://127.0.0.1:{ports[2 + i]}" for i in range(2))
    members = [workspace.start(f"m{i}", [
        places.real_part("etcd"), "--name", f"m{i}", "--data-dir", workspace.folder(f"m{i}"),
        "--listen-client-urls", f"http://127.0.0.1:{ports[i]}", "--advertise-client-urls",
        f"http://127.0.0.1:{ports[i]}", "--listen-peer-urls", f"http://127.0.0.1:{ports[2 + i]}",
        "--initial-advertise-peer-urls", f"http://127.0.0.1:{ports[2 + i]}", "--initial-cluster",
        peers, "--log-level", "error"]) for i in range(2)]
    urls = [f"http://127.0.0.1:{port}" for port in ports[:2]]

    def is_healthy():
        return subprocess.run([places.real_part("etcdctl"), "--endpoints", urls[0], "put",
                               "/registry/secrets/a/b", "{}"], capture_output=True).returncode == 0

    wait_until("the cluster takes writes", is_healthy, 60, alive=members[0])
    both = ",".join(urls)
    report = report_of(Tool().run("audit", "--endpoints", both, "-o", "json"), 1)
    assert report["source"]["endpoint"] == urls[0]
    # A member that goes under the scan: the other one goes on at the same revision.
    first = Etcd.__new__(Etcd)  # only the client's side of it
    first.url = urls[0]
    filled(first, 1500)
    running = subprocess.Popen([places.our_program("etcdseal"), "audit", "--endpoints", f"{urls[1]},{urls[0]}",
                                "-o", "json", "--qps", "1", "--prefix", "/registry/"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    members[1].stop(signal.SIGKILL)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    report = json.loads(out)
    assert report["source"]["endpoint"] == urls[0] and len(report["source"]["revisions"]) == 1
    assert report["totals"]["keys"] == 3003
    wait_until("its leader is gone", lambda: Tool().run("audit", "--endpoints", urls[0]).code == 3, 30)
    Tool().run("audit", "--endpoints", both).refused(3, "no leader")
