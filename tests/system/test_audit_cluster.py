# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --cluster with real parts in the places of a distribution: what it finds there is what
an audit finds to which all is told."""

import json
import os
import shutil
import socket
import subprocess

import pytest
import test_audit_kine as kine
from parts import places
from parts.controlplane import MANIFEST, PKI, manifest
from parts.process import wait_until
from parts.tool import Ran
from test_audit import MARKER, Cluster
from test_audit_live import SecureEtcd, comparable, report_of

OVER = places.ROOT / "tests" / "lib" / "over.sh"
RANCHER = "/var/lib/rancher"
VALUE = "k8s:enc:aesgcm:v1:k:" + "x" * 40


class Node:
    """This machine with the files of a distribution in their places, for the run of an audit."""

    def __init__(self, workspace):
        self.files = workspace.folder("node")
        self.over = workspace.folder("over")

    def write(self, path, content, mode=0o600):
        to = self.files / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content.encode() if isinstance(content, str) else content)
        to.chmod(mode)

    def certificates(self, folder, etcd, ca, name):
        self.write(f"{folder}/{ca}", etcd.ca_file.read_bytes())
        for end, path in zip(("crt", "key"), etcd.client):
            self.write(f"{folder}/{name}.{end}", path.read_bytes())

    def run(self, *words):
        argv = [str(places.our_program("etcdseal")), "audit", *map(str, words)]
        done = subprocess.run(["unshare", "--mount", "bash", OVER, self.over, self.files, *argv],
                              capture_output=True, text=True, timeout=60)
        return Ran(argv, done.returncode, done.stdout, done.stderr)

    def audit(self, *words, code=0):
        return report_of(self.run(*words, "-o", "json"), code)


def pod(etcd, **flags):
    """kubeadm's manifest with these flags."""
    wanted = {"etcd-servers": etcd.url} | {name.replace("_", "-"): v for name, v in flags.items()}
    made = manifest([f"--{name}={value}" for name, value in wanted.items()])
    return json.dumps(made)


def test_kubeadm(workspace):
    """Nothing but the word is needed where kube-apiserver runs, with the EncryptionConfiguration through
    the pod's mount."""
    cluster, node = Cluster(workspace), Node(workspace)
    config = cluster.serve("identity", "kms")
    cluster.api.create_secret("plain", MARKER)
    config = cluster.serve("kms", "identity")
    cluster.api.create_secret("sealed", MARKER)
    cluster.api.stop()
    node.write("/etc/kubernetes/encryption/config.yaml", config.read_bytes())
    node.write(MANIFEST, pod(cluster.etcd, encryption_provider_config="/etc/kubernetes/encryption/config.yaml"))
    told = node.audit("--endpoints", cluster.etcd.url, "--encryption-config", config, "--prove", code=1)
    for word in ("kubeadm", "auto"):
        made = node.audit("--cluster", word, "--prove", code=1)
        assert comparable(made) == comparable(told) and made["totals"]["proved"] == 1
        assert made["source"]["endpoints"] == [cluster.etcd.url]
    whole = node.audit("--cluster", "kubeadm", "--member-snapshot", code=1)
    assert whole["source"]["kind"] != made["source"]["kind"] and whole["residue"]["free_pages"]
    assert whole["source"]["endpoints"] == [cluster.etcd.url]
    name = "secrets/default/sealed"
    assert node.audit("--cluster", "kubeadm", "--object", name)["expected"] == "kmsv2:etcdseal"
    node.run("keys", "--cluster", "kubeadm", "--unneeded", cluster.daemon.tool.primary()).refused(
        1, "still needed")
    # An option that is given wins; a snapshot is judged by the node's configuration.
    wrong = cluster.config("identity", file="wrong.yaml")
    assert node.audit("--cluster", "kubeadm", "--encryption-config", wrong, code=4)
    assert node.audit("--cluster", "kubeadm", "--snapshot", cluster.snapshot(), code=1)["source"][
        "kind"] == "snapshot"


def test_certificates_of_kubeadm(workspace):
    etcd, node = SecureEtcd(workspace), Node(workspace)
    etcd.ctl("put", "/kubernetes.io/secrets/a/b", VALUE)
    node.certificates(PKI, etcd, "etcd/ca.crt", "apiserver-etcd-client")
    node.write(MANIFEST, pod(etcd, etcd_cafile=f"{PKI}/etcd/ca.crt", etcd_prefix="/kubernetes.io",
                             etcd_certfile=f"{PKI}/apiserver-etcd-client.crt",
                             etcd_keyfile=f"{PKI}/apiserver-etcd-client.key"))
    made = node.audit("--cluster", "auto")
    assert made["totals"]["aesgcm"] == 1 and made["source"]["prefixes"] == ["/kubernetes.io/"]
    node.run("--cluster", "auto", "--cert", etcd.wrong[0], "--key", etcd.wrong[1]).refused(3, etcd.url)


@pytest.fixture
def port_of_etcd():
    """The one that k3s gives its etcd; one test at a time has it."""
    with socket.socket(socket.AF_UNIX) as claim:
        wait_until("nobody else tests on port 2379", lambda: try_bind(claim), 120)
        yield 2379


def try_bind(claim):
    try:
        claim.bind("\0etcdseal-test-port-2379")
        return True
    except OSError:
        return False


@pytest.mark.parametrize("word", ["k3s", "rke2"])
@pytest.mark.parametrize("client", ["client", "server-client"])
def test_etcd_of_k3s_and_rke2(port_of_etcd, workspace, word, client):
    etcd, node = SecureEtcd(workspace, port=port_of_etcd), Node(workspace)
    etcd.ctl("put", "/registry/secrets/a/b", VALUE)
    node.certificates(f"{RANCHER}/{word}/server/tls/etcd", etcd, "server-ca.crt", client)
    node.write(f"{RANCHER}/{word}/server/db/etcd/name", "node")
    for given in (word, "auto"):
        made = node.audit("--cluster", given)
        assert made["totals"]["aesgcm"] == 1 and made["source"]["endpoint"] == etcd.url


def test_kine_of_k3s(workspace):
    """What a real kine keeps, in a data folder of its own."""
    cluster, node = kine.Cluster(workspace), Node(workspace)
    config = cluster.serve("kms", "identity")
    cluster.api.create_secret("sealed", MARKER)
    cluster.api.stop()
    data = workspace.folder("k3s")
    (data / "server" / "cred").mkdir(parents=True)
    os.symlink(cluster.kine.db.parent, data / "server" / "db")
    shutil.copy(config, data / "server" / "cred" / "encryption-config.json")
    node.write("/etc/rancher/k3s/config.yaml", f"data-dir: {data}\ntoken: not-to-be-read\n")
    for word in ("k3s", "auto"):
        made = node.audit("--cluster", word, "--prove")
        assert made["source"]["kind"] == "kine" and made["totals"]["proved"] == 1
        assert made["source"]["files"][0]["path"] == str(data / "server" / "db" / "state.db")
        (row,) = [row for row in made["resources"] if row["resource"] == "secrets"]
        assert row["expected"] == "kmsv2:etcdseal" and row["verdict"] == "ENCRYPTED"
