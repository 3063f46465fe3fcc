# SPDX-License-Identifier: Apache-2.0
"""The guides in docs/, followed on one host from a bare system to encryption and back: systemd as the
first process, a real etcd and a real kube-apiserver with Secrets that were there before."""

import json
import re
import sys

from parts import places
from parts.booted import Booted
from parts.controlplane import ENCRYPTION, FLAGS, HERE_ONLY, PKI, ControlPlane
from parts.process import wait_until

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

HERE = "tests/system/test_guides.py"
SECRETS = "/registry/secrets/default/"
OLD_FLAGS = [flag for flag in FLAGS if not flag.startswith("--encryption-provider-config")]
ENVIRONMENT = ("export KUBECONFIG=/etc/kubernetes/admin.conf "
               "ETCDCTL_ENDPOINTS=http://127.0.0.1:2379")
KUBECONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "here",
    "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:6443",
                                              "certificate-authority": f"{PKI}/ca.crt"}}],
    "users": [{"name": "admin", "user": {
        "client-certificate": f"{PKI}/apiserver-kubelet-client.crt",
        "client-key": f"{PKI}/apiserver-kubelet-client.key"}}],
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
}


class Host(ControlPlane):
    """A control plane that nobody has told of etcdseal yet."""

    def __init__(self, workspace):
        self._workspace = workspace
        self.booted = Booted(workspace, workspace.folder("nothing", 0o755))
        self.run, self.path = self.booted.run, self.booted.path
        self._set_up_kubernetes()
        self.run("rm", "-r", "/etc/kubernetes/encryption")
        self.write("/etc/kubernetes/admin.conf", json.dumps(KUBECONFIG), 0o600)
        for name in ("etcd", "kube-apiserver-1.36", "kubectl", "etcdctl"):
            self.run("ln", "-s", places.real_part(name),
                     f"/usr/local/bin/{name.removesuffix('-1.36')}")
        self.start("etcd", "etcd", "--data-dir", "/var/lib/etcd", "--log-level", "warn")
        self.apiserver = None
        self.passphrase = ""
        self.start_apiserver(OLD_FLAGS)

    def start_apiserver(self, flags=tuple(FLAGS)):
        """Anew, as kubelet does when the manifest has changed."""
        if self.apiserver is not None:
            self.run("pkill", "--exact", "kube-apiserver")
            self.apiserver.wait(30)
        self.apiserver = self.start("kube-apiserver", "unshare", "--mount", "--",
                                    "kube-apiserver", *flags, *HERE_ONLY)
        self.wait_ready()

    def stored(self):
        """Values of the Secrets, as they lie in etcd."""
        keys = self.shell(f"etcdctl get --prefix --keys-only {SECRETS}").split()
        return {key: self.shell(f"etcdctl get --print-value-only {key} | base64") for key in keys}

    def shell(self, text, check=True):
        return self.run("bash", "-c", f"{ENVIRONMENT}; {text}", check=check)

    def follow(self, page, count, code=0):
        """The next blocks of a page, as many as `count`, typed in; what they showed."""
        shown = ""
        for block in self._next(page, count):
            words = block.text if code == 0 else f"{block.text.rstrip()} || [ $? = {code} ]\n"
            shown += self.booted.person(f"{ENVIRONMENT}\n{words}", answer=self.passphrase)
        return shown

    def _next(self, page, count):
        blocks = [b for b in markdown.blocks(places.ROOT / "docs" / page)
                  if b.mark == "run-by" and b.reason == HERE]
        at = self._followed.get(page, 0)
        self._followed[page] = at + count
        assert at + count <= len(blocks), f"{page} has {len(blocks)} blocks"
        return blocks[at:at + count]

    _followed = {}

    def unfollowed(self):
        """Pages whose blocks were not all run."""
        found = {}
        for page in markdown.pages(places.ROOT):
            blocks = [b for b in markdown.blocks(page) if b.mark == "run-by" and b.reason == HERE]
            if len(blocks) != self._followed.get(page.name, 0):
                found[page.name] = (self._followed.get(page.name, 0), len(blocks))
        return found

    def is_encrypted(self):
        values = self.stored().values()
        return len(values) > 0 and all(v.startswith("azhzOmVuYzprbXM6djI6ZXRjZHNlYWw6")
                                       for v in values)  # k8s:enc:kms:v2:etcdseal:


def test_from_a_bare_host_to_encryption_and_back(workspace):
    host = Host(workspace)
    host.shell("for n in 1 2 3; do kubectl create secret generic old-$n --from-literal=a=b$n; done")
    assert not host.is_encrypted()

    # --- install ---
    host.follow("install.md", 1)
    shown = host.follow("install.md", 1)
    made = re.search(r"^ +((?:[a-z2-7]+-){3,}[a-z2-7]+)\s*$", shown, re.M)
    host.passphrase = workspace.secret(made.group(1).encode()).decode()
    host.follow("install.md", 2)
    assert "serving" in host.follow("install.md", 1)

    # --- the pages that only make a file ---
    for page, count in (("k3s.md", 1), ("systemd.md", 1), ("rke2.md", 1)):
        host.follow(page, count)
        host.run("rm", "-r", "/etc/kubernetes/encryption")

    # --- kubeadm, with Secrets that were there before ---
    host.follow("kubeadm.md", 1)
    host.start_apiserver()
    host.follow("kubeadm.md", 1, code=1)
    assert {row["severity"] for row in host.doctor().report()["findings"]} <= {"warning", "note"}

    # --- first encryption ---
    host.follow("first-encryption.md", 2)
    host.follow("first-encryption.md", 1)
    assert host.is_encrypted()
    shown = host.follow("first-encryption.md", 1)
    assert not re.search(r"^/registry/", shown, re.M), "a value that is not encrypted"
    host.follow("first-encryption.md", 1)
    host.start_apiserver()
    host.follow("first-encryption.md", 1, code=1)
    found = {row["id"] for row in host.doctor().report()["findings"] if row["severity"] != "note"}
    assert found == {"seal-beside"}, "there is no TPM here"
    assert host.shell("kubectl get secret old-2 -o jsonpath={.data.a} | base64 -d") == "b2"

    # --- the node's own secret is lost ---
    host.run("systemctl", "stop", "etcdseald.service")
    host.run("rm", "/etc/credstore.encrypted/etcdseal-boot")
    host.run("rm", "-r", "/etc/systemd/system/etcdseald.service.d")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "etcdseald.service")
    assert "SEALED" in host.follow("sealed.md", 1)
    assert "etcdseald" in host.follow("sealed.md", 1)
    assert "serving" in host.follow("sealed.md", 1)
    host.start_apiserver()
    assert host.shell("kubectl get secret old-3 -o jsonpath={.data.a} | base64 -d") == "b3"

    # --- and back ---
    host.follow("uninstall.md", 1)
    host.start_apiserver()
    host.follow("uninstall.md", 1)
    assert re.search(r"^0\s*$", host.follow("uninstall.md", 1), re.M)
    host.run("mkdir", "-p", "/etc/systemd/system/etcdseald.service.d")
    host.start_apiserver(OLD_FLAGS)
    host.follow("uninstall.md", 1)
    assert host.shell("kubectl get secret old-1 -o jsonpath={.data.a} | base64 -d") == "b1"
    assert host.run("systemctl", "is-active", "etcdseald.socket", check=False).strip() == "inactive"
    assert host.unfollowed() == {}
