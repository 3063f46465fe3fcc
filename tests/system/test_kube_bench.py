# SPDX-License-Identifier: Apache-2.0
"""kube-bench's checks of encryption at rest beside etcdseal audit, on the ten configurations of
docs/kube-bench.md: a real kube-apiserver stores Secrets with each, a real kube-bench looks at the host,
and the audit at a snapshot of etcd."""

import base64
import json
import os
import re
import subprocess

import pytest

from parts import places
from parts.apiserver import ApiServer
from parts.daemon import Daemon
from parts.etcd import Etcd
from parts.kube_bench import Host
from parts.process import wait_until
from parts.tool import Tool

PAGE = (places.ROOT / "docs" / "kube-bench.md").read_text()
CHECKS = ("1.2.27", "1.2.28")
# Each configuration: what kube-bench says of the two checks; the audit's verdict on Secrets and its exit
# code; how many Secrets are plaintext, proved, undecryptable.
WANTED = {
    "kms": ("PASS", "PASS", "ENCRYPTED", 0, (0, 2, 0)),
    "no-file": ("WARN", "WARN", "PLAINTEXT", 1, (2, 0, 0)),
    "identity-first": ("PASS", "WARN", "PLAINTEXT", 1, (2, 0, 0)),
    "masked": ("PASS", "PASS", "PLAINTEXT", 1, (2, 0, 0)),
    "other-resource": ("PASS", "PASS", "PLAINTEXT", 1, (2, 0, 0)),
    "not-rewritten": ("PASS", "PASS", "PARTIAL", 1, (3, 2, 0)),
    "key-replaced": ("PASS", "PASS", "UNREADABLE", 4, (0, 0, 3)),
    "aesgcm": ("PASS", "WARN", "ENCRYPTED", 0, (0, 2, 0)),
    "json": ("PASS", "WARN", "ENCRYPTED", 0, (0, 2, 0)),
    "others-plain": ("PASS", "WARN", "ENCRYPTED", 0, (0, 2, 0)),
}
CODES_OF_CHECK = {"identity-first": 1, "masked": 1, "other-resource": 1}  # the others load and are good


def file_of(name):
    """The configuration as the page shows it; None where it shows none."""
    section = re.split(r"^#+ ", PAGE.partition(f"\n### {name}\n")[2], flags=re.M)[0]
    block = re.search(r"^```yaml\n(.*?)^```", section, re.M | re.S)
    return block and block[1]


class Cluster:
    """etcdseald, etcd and a kube-apiserver, on a host of their own."""

    def __init__(self, workspace, name):
        self.workspace, self.name = workspace, name
        self.host = Host(workspace)
        self.daemon = Daemon(workspace).start()
        self.etcd = Etcd(self.host)
        self.api = None

    def file(self):
        """The page's, with a key that is new each time."""
        text = file_of(self.name)
        if text is None:
            return None
        key = base64.b64encode(self.workspace.secret(os.urandom(32))).decode()
        return self.workspace.write("encryption.yaml", text.replace("KEY", key).replace(
            "/run/etcdseal/kms.sock", str(self.daemon.socket)))

    def serve(self, file, wait=True):
        if self.api is not None:
            self.api.stop()
        self.api = ApiServer(self.host, self.etcd, file, wait=wait)

    def store(self, *names):
        for name in names:
            self.api.create_secret(name, "a value")

    def audit(self, file):
        path = self.workspace.path("snapshot")
        subprocess.run([places.real_part("etcdctl"), "--endpoints", self.etcd.url, "snapshot", "save",
                        path], check=True, capture_output=True)
        known = ["--prove", "--encryption-config", file] if file else []
        return Tool().run("audit", "--snapshot", path, *known, "-o", "json")


def stored(cluster):
    """Secrets, as the story of the configuration goes. The file that kube-apiserver has at the end."""
    if cluster.name in ("not-rewritten", "key-replaced"):
        cluster.serve(cluster.file() if cluster.name == "key-replaced" else None)
        cluster.store("old-1", "old-2", "old-3")
    file = cluster.file()
    is_readable = cluster.name != "key-replaced"
    cluster.serve(file, wait=is_readable)
    if is_readable:
        cluster.store("new-1", "new-2")
    else:
        wait_until("it answers", lambda: cluster.api.health("/livez"), 60, alive=cluster.api.process)
    return file


@pytest.mark.parametrize("name", WANTED)
def test_configuration(workspace, name):
    cluster = Cluster(workspace, name)
    file = stored(cluster)
    found = cluster.host.kube_bench(*CHECKS)
    ran = cluster.audit(file)
    (row,) = [row for row in json.loads(ran.out)["resources"] if row["resource"] == "secrets"]
    counts = row["plaintext"], row["proved"], row["undecryptable"]
    assert (*(found[check]["status"] for check in CHECKS), row["verdict"], ran.code, counts) == WANTED[
        name], f"{found}\n{ran.err}\n{ran.out[-3000:]}"
    if file is not None:
        checked = Tool().run("encryption-config", "check", file)
        assert checked.code == CODES_OF_CHECK.get(name, 0), checked.out + checked.err


def test_the_page_says_the_same():
    rows = re.findall(r"^\| \[([a-z-]+)\]\(#\1\) \| (.*) \|$", PAGE, re.M)
    told = {name: tuple(row.split(" | ")[:4]) for name, row in rows}
    assert told == {name: tuple(map(str, wanted[:4])) for name, wanted in WANTED.items()}
    assert len(rows) == 10 and [name for name in WANTED if file_of(name) is None] == ["no-file"]


def test_a_host_shows_its_own_processes(workspace):
    """kube-bench judges the kube-apiserver of its host, whatever else runs on the machine."""
    file = workspace.write("other.yaml", "providers:\n  - kms:\n")
    found = []
    for flags in ([f"--encryption-provider-config={file}"], []):
        host = Host(workspace)
        host.start("kube-apiserver", ["/bin/sh", "-c", "sleep 600; true", "sh", *flags])
        found.append([result["status"] for result in host.kube_bench(*CHECKS).values()])
    assert found == [["PASS", "PASS"], ["WARN", "WARN"]]
