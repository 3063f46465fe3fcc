# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --cluster: what is taken from where a distribution keeps it, what wins over it, and
what is said when it is not there. With real parts: tests/system/test_audit_cluster.py."""

import json
import subprocess

import pytest
import test_audit_kine as sqlite
from conftest import ROOT, Ran, needs_root, program
from test_audit_prove import KEY, config

pytestmark = needs_root

OVER = ROOT / "tests" / "lib" / "over.sh"  # the files of a folder over those of the machine
NOBODY = "https://127.0.0.1:1"
PKI = "/etc/kubernetes/pki"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
K3S, RKE2 = "/var/lib/rancher/k3s", "/var/lib/rancher/rke2"
KUBEADM = {"etcd-servers": NOBODY, "etcd-cafile": f"{PKI}/etcd/ca.crt",
           "etcd-certfile": f"{PKI}/apiserver-etcd-client.crt",
           "etcd-keyfile": f"{PKI}/apiserver-etcd-client.key",
           "encryption-provider-config": "/enc/config.yaml"}


class Host:
    def __init__(self, tool):
        self.files = tool.folder / "files"
        self.over = tool.folder / "over"
        for folder in (self.files, self.over):
            folder.mkdir()

    def write(self, path, content="", mode=0o600):
        to = self.files / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content.encode() if isinstance(content, str) else content)
        to.chmod(mode)
        return to

    def kubeadm(self, **flags):
        """A pod with kubeadm's flags, and others of Python's form: `etcd_prefix`."""
        wanted = KUBEADM | {name.replace("_", "-"): value for name, value in flags.items()}
        words = [f"--{name}={value}" for name, value in wanted.items() if value is not None]
        folders = {"pki": (PKI, PKI), "enc": ("/etc/kubernetes/encryption", "/enc")}
        self.write(MANIFEST, json.dumps({"kind": "Pod", "spec": {
            "containers": [{"command": ["kube-apiserver", *words], "volumeMounts": [
                {"name": name, "mountPath": inside} for name, (_, inside) in folders.items()]}],
            "volumes": [{"name": name, "hostPath": {"path": host}}
                        for name, (host, _) in folders.items()]}}))
        self.write("/etc/kubernetes/encryption/config.yaml", config("aescbc", ("key1", KEY)))

    def kine(self, base=K3S):
        path = self.write(f"{base}/server/db/state.db")
        sqlite.Db(path, wal=False).put("/registry/secrets/default/a", sqlite.ENCRYPTED).close()
        self.write(f"{base}/server/cred/encryption-config.json", config("aescbc", ("key1", KEY)))

    def audit(self, *words):
        argv = [program(), "audit", *map(str, words)]
        made = subprocess.run(["unshare", "--mount", "bash", OVER, self.over, self.files, *argv], capture_output=True, text=True)
        return Ran(argv, made.returncode, made.stdout, made.stderr)

    def taken(self, *words):
        """What it says that it took, of an audit that fails because nobody is there."""
        ran = self.audit(*words)
        assert ran.code == 3, ran.told()
        (line,) = [line for line in ran.err.splitlines() if "cluster " in line and ": --" in line]
        return line[line.index("cluster "):]


@pytest.fixture
def host(tool):
    return Host(tool)


def test_kubeadm(host):
    """Paths of the pod become those of the host."""
    host.kubeadm()
    for name in ("kubeadm", "auto"):
        assert host.taken("--cluster", name) == (
            f"cluster kubeadm: --endpoints {NOBODY} --cacert {PKI}/etcd/ca.crt "
            f"--cert {PKI}/apiserver-etcd-client.crt --key {PKI}/apiserver-etcd-client.key "
            "--encryption-config /etc/kubernetes/encryption/config.yaml")
    ran = host.audit("--cluster", "kubeadm", "-q")
    assert "cluster kubeadm" not in ran.err and f"{PKI}/etcd/ca.crt" in ran.err


@pytest.mark.parametrize("given, taken", [
    (["--endpoints", "https://127.0.0.1:2"], ["--cacert", "--cert", "--key", "--encryption-config"]),
    (["--cert", "/c", "--key", "/k"], ["--endpoints", "--cacert", "--encryption-config"]),
    (["--cacert", "/none"], ["--endpoints", "--cert", "--key", "--encryption-config"]),
    (["--prefix", "/mine/"], ["--endpoints", "--cacert", "--cert", "--key", "--encryption-config"]),
    (["--snapshot", "/none"], ["--prefix", "--encryption-config"]),
    (["--data-dir", "/none"], ["--prefix", "--encryption-config"]),
    (["--kine", "/none"], ["--prefix", "--encryption-config"]),
])
def test_what_is_given_wins(host, given, taken):
    host.kubeadm(etcd_prefix="/other" if given[0] in ("--snapshot", "--data-dir", "--kine", "--prefix")
                 else None)
    said = host.taken("--cluster", "kubeadm", *given)
    assert [word for word in said.split() if word.startswith("--")] == taken


def test_a_certificate_without_its_key(host):
    """The layout's key is not that of another certificate."""
    host.kubeadm()
    host.write(f"{K3S}/server/db/etcd/name")
    for name in ("kubeadm", "k3s"):
        for given in ("--cert", "--key"):
            host.audit("--cluster", name, given, "/mine").refused(2, "--cert and --key together")


def test_what_is_given_wins_in_k3s(host):
    host.kine()
    wrong = host.write("/etc/wrong.yaml", config("aesgcm", ("k", KEY)))
    ran = host.audit("--cluster", "k3s", "--encryption-config", f"/etc/{wrong.name}", "-o", "json")
    assert json.loads(ran.out)["resources"][0]["expected"] == "aesgcm:k" and ran.code == 4
    assert "--encryption-config" not in ran.err
    said = host.taken("--cluster", "k3s", "--endpoints", NOBODY, "--cacert", "/none")
    assert "--cacert" not in said and "server-client.crt" in said
    host.audit("--cluster", "k3s", "--endpoints", NOBODY, "--cacert", "/none").refused(3, "/none")


def test_its_prefix(host):
    host.kubeadm(etcd_prefix="/kubernetes.io")
    assert "--prefix /kubernetes.io/ " in host.taken("--cluster", "kubeadm")
    for text in ("/kubernetes.io/", "kubernetes.io", "//kubernetes.io//"):
        host.kubeadm(etcd_prefix=text)
        assert "--prefix /kubernetes.io/ " in host.taken("--cluster", "kubeadm")
    for text in ("/", "/a//b", "/a/../b"):
        host.kubeadm(etcd_prefix=text)
        host.audit("--cluster", "kubeadm").refused(2, "etcd-prefix", "--prefix")


def test_an_encryption_config_that_is_given(host):
    host.kubeadm()
    host.write("/etc/mine.yaml", config("aescbc", ("key1", KEY)))
    said = host.taken("--cluster", "kubeadm", "--encryption-config", "/etc/mine.yaml")
    assert "--encryption-config" not in said
    host.audit("--cluster", "kubeadm", "--encryption-config", "/none").refused(3, "/none")


def test_bad_manifests(host):
    host.kubeadm(encryption_provider_config="/elsewhere/config.yaml")
    host.audit("--cluster", "kubeadm").refused(2, MANIFEST, "/elsewhere/config.yaml", "hostPath")
    host.kubeadm(etcd_servers=None)
    host.audit("--cluster", "kubeadm").refused(2, "no --etcd-servers")
    host.kubeadm(etcd_servers_overrides="/events#https://127.0.0.1:2")
    assert "--etcd-servers-overrides keeps" in host.audit("--cluster", "kubeadm", "-q").err
    host.write(MANIFEST, "kind: ConfigMap\n")
    for name in ("kubeadm", "auto"):
        host.audit("--cluster", name).refused(2, MANIFEST, "not the manifest")


@pytest.mark.parametrize("name, base", [("k3s", K3S), ("rke2", RKE2)])
@pytest.mark.parametrize("client", ["client", "server-client"])
def test_an_etcd_of_k3s_and_rke2(host, name, base, client):
    tls = f"{base}/server/tls/etcd"
    host.write(f"{base}/server/db/etcd/member/snap/db")
    host.write(f"{tls}/{client}.crt")
    host.write(f"{base}/server/cred/encryption-config.json", config("aescbc", ("key1", KEY)))
    for word in (name, "auto"):
        assert host.taken("--cluster", word) == (
            f"cluster {name}: --endpoints https://127.0.0.1:2379 --cacert {tls}/server-ca.crt "
            f"--cert {tls}/{client}.crt --key {tls}/{client}.key "
            f"--encryption-config {base}/server/cred/encryption-config.json")


def test_kine_of_k3s(host):
    host.kine()
    ran = host.audit("--cluster", "k3s", "-o", "json").ok()
    made = json.loads(ran.out)
    assert made["source"]["kind"] == "kine"
    assert made["source"]["files"][0]["path"] == f"{K3S}/server/db/state.db"
    assert made["resources"][0]["expected"] == "aescbc:key1" and made["verdict"] == "ENCRYPTED"
    assert f"cluster k3s: --kine {K3S}/server/db/state.db" in ran.err
    assert "audit --cluster k3s" in host.audit("--cluster", "k3s", "-o", "html").ok().out
    assert host.audit("--cluster", "auto", "--object", "secrets/default/a").ok()
    keys = host.audit("keys", "--cluster", "auto", "-o", "json").ok().json()
    assert [(row["class"], row["key_id"]) for row in keys["keys"]] == [("aescbc", "key1")]
    # An etcd beside it is what k3s uses.
    host.write(f"{K3S}/server/db/etcd/name")
    assert "--endpoints https://127.0.0.1:2379" in host.taken("--cluster", "k3s")


def test_options_of_k3s(host):
    """Its data folder, the file of a flag, and keys that are kept elsewhere, with a password that is
    not told."""
    host.kine("/var/lib/elsewhere")
    host.write("/etc/rancher/k3s/config.yaml", "data-dir: /var/lib/elsewhere\ntoken: secret\n"
               "kube-apiserver-arg: [encryption-provider-config=/etc/mine.yaml]\n")
    host.write("/etc/mine.yaml", config("aesgcm", ("k", KEY)))
    ran = host.audit("--cluster", "k3s", "-o", "json")
    assert ran.code == 4 and json.loads(ran.out)["resources"][0]["expected"] == "aesgcm:k", ran.told()
    assert "--kine /var/lib/elsewhere/server/db/state.db" in ran.err
    for bad in ("mysql://user:pass-word@tcp(db:3306)/k3s", "https://etcd.example.com:2379",
                "sqlite:///var/lib/example.com.db"):
        host.write("/etc/rancher/k3s/config.yaml.d/a.yaml", f"datastore-endpoint: {bad}\n")
        ran = host.audit("--cluster", "k3s").refused(2, "a.yaml:1: datastore-endpoint", "--endpoints")
        assert "pass-word" not in ran.err and "example.com" not in ran.err
        assert "--encryption-config" in host.taken("--cluster", "k3s", "--endpoints", NOBODY)
    host.write("/etc/rancher/k3s/config.yaml.d/a.yaml", "datastore-endpoint: ''\n")
    assert host.audit("--cluster", "k3s").code == 4


def test_not_here(host):
    for name, path in (("kubeadm", MANIFEST), ("k3s", f"{K3S}/server"), ("rke2", f"{RKE2}/server")):
        host.audit("--cluster", name).refused(3, f"--cluster {name}", path, "control-plane node")
        host.audit("--cluster", "auto").refused(3, path)
    host.write("/etc/rancher/k3s/config.yaml", "server: https://other:6443\n")
    host.write(f"{K3S}/agent/x")
    host.audit("--cluster", "auto").refused(3, "this node has no")
    host.write(f"{K3S}/server/token")
    host.audit("--cluster", "auto").refused(3, f"{K3S}/server/db/etcd", f"{K3S}/server/db/state.db")
    host.audit("--cluster", "openshift").refused(2, "kubeadm")


def test_two_of_them(host):
    host.kine()
    host.kubeadm()
    host.audit("--cluster", "auto").refused(2, "kubeadm and k3s", "name one")
    assert host.audit("--cluster", "k3s").code == 0
