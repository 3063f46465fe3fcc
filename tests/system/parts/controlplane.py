# SPDX-License-Identifier: Apache-2.0
"""A control-plane host as kubeadm and our README leave it: systemd as the first process, etcdseald
under its units, a real etcd and a real kube-apiserver, with the files that kubeadm writes."""

import contextlib
import json
import subprocess
from dataclasses import dataclass

import yaml

from . import places
from .booted import Booted, install
from .certs import Ca
from .process import wait_until

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ENCRYPTION = "/etc/kubernetes/encryption/config.yaml"
CONFIG = "/etc/etcdseal/etcdseald.yaml"
PKI = "/etc/kubernetes/pki"
KEY_FILE = "/media/key/boot.key"
PASSPHRASE = "correct horse battery"

ENCRYPTION_CONFIG = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: ["*.*"]
    providers:
      - kms:
          apiVersion: v2
          name: etcdseal
          endpoint: unix:///run/etcdseal/kms.sock
          timeout: 3s
"""


FLAGS = [
    "--advertise-address=127.0.0.1", "--allow-privileged=true", "--authorization-mode=Node,RBAC",
    f"--client-ca-file={PKI}/ca.crt", "--enable-bootstrap-token-auth=true",
    f"--encryption-provider-config={ENCRYPTION}",
    "--encryption-provider-config-automatic-reload=true",
    "--etcd-servers=http://127.0.0.1:2379",
    f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
    f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
    "--secure-port=6443", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    f"--service-account-key-file={PKI}/sa.pub", f"--service-account-signing-key-file={PKI}/sa.key",
    "--service-cluster-ip-range=10.96.0.0/12", f"--tls-cert-file={PKI}/apiserver.crt",
    f"--tls-private-key-file={PKI}/apiserver.key",
]
# What the namespace has not: other nodes, and controllers that make service accounts.
HERE_ONLY = ["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none",
             "--disable-admission-plugins=ServiceAccount"]


def manifest(flags=None):
    """What kubeadm 1.36 writes, with what our guide adds: both folders as hostPath mounts."""
    def probe(path, **more):
        return {"failureThreshold": 8, "httpGet": {"host": "127.0.0.1", "path": path, "port": 6443,
                                                   "scheme": "HTTPS"}, **more}
    folders = {"ca-certs": ("/etc/ssl/certs", True), "k8s-certs": (PKI, True),
               "encryption": ("/etc/kubernetes/encryption", True),
               "etcdseal": ("/run/etcdseal", False)}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "annotations": {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint":
                            "127.0.0.1:6443"},
            "creationTimestamp": None,
            "labels": {"component": "kube-apiserver", "tier": "control-plane"},
            "name": "kube-apiserver", "namespace": "kube-system"},
        "spec": {
            "containers": [{
                "command": ["kube-apiserver", *(FLAGS if flags is None else flags)],
                "image": "registry.k8s.io/kube-apiserver:v1.36.4",
                "imagePullPolicy": "IfNotPresent",
                "livenessProbe": probe("/livez", initialDelaySeconds=10, periodSeconds=10),
                "name": "kube-apiserver",
                "readinessProbe": probe("/readyz", periodSeconds=1),
                "resources": {"requests": {"cpu": "250m"}},
                "startupProbe": probe("/livez", periodSeconds=10),
                "volumeMounts": [{"mountPath": path, "name": name, "readOnly": is_read_only}
                                 for name, (path, is_read_only) in folders.items()]}],
            "hostNetwork": True, "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"hostPath": {"path": path, "type": "DirectoryOrCreate"}, "name": name}
                        for name, (path, _) in folders.items()]},
        "status": {}}


@dataclass
class Doctored:
    code: int
    out: str
    err: str

    def report(self):
        return json.loads(self.out)

    def found(self):
        return sorted({finding["id"] for finding in self.report()["findings"]})

    def unknown(self):
        return sorted(row["id"] for row in self.report()["checks"] if row["result"] == "unknown")


class ControlPlane:
    def __init__(self, workspace):
        self._workspace = workspace
        installed = workspace.folder("installed", 0o755)
        install(places.our_program("etcdseald").parents[1], installed)
        self.booted = Booted(workspace, installed)
        self.run, self.path = self.booted.run, self.booted.path
        self._set_up_etcdseal()
        self._set_up_kubernetes()
        self.run("systemctl", "enable", "--now", "etcdseald.service")
        self._start_kubernetes()
        self.wait_ready()

    def _set_up_etcdseal(self):
        self.run("systemd-sysusers", "etcdseal.conf")
        self.run("systemd-tmpfiles", "--create", "etcdseal.conf")
        self.run("cp", "/usr/share/doc/etcdseal/etcdseald.yaml", CONFIG)
        self.run("mkdir", "-p", "/media/key")
        self.run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/media/key")
        self.run("bash", "-c", f"etcdseal init --seal boot=file:{KEY_FILE} "
                 f"--seal recovery=passphrase:fd=9 --passphrase-cost min 9<<<'{PASSPHRASE}'")
        self._workspace.secret(self.path(KEY_FILE).read_bytes())
        self.test_recovery()

    def test_recovery(self):
        self.run("bash", "-c", f"etcdseal seal test recovery --unseal boot=file:{KEY_FILE} "
                 f"--unseal recovery=passphrase:fd=9 9<<<'{PASSPHRASE}'")

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    def _set_up_kubernetes(self):
        ca = Ca("kubernetes")
        self.write(f"{PKI}/ca.crt", ca.pem)
        for name, organization in (("apiserver", "kube-apiserver"),
                                   ("apiserver-kubelet-client", "system:masters")):
            pem, key = ca.issue(name, organization)
            self.write(f"{PKI}/{name}.crt", pem)
            self.write(f"{PKI}/{name}.key", self._workspace.secret(key), 0o600)
        self.run("openssl", "genrsa", "-out", f"{PKI}/sa.key", "2048")
        self.run("openssl", "rsa", "-in", f"{PKI}/sa.key", "-pubout", "-out", f"{PKI}/sa.pub")
        self.write(ENCRYPTION, ENCRYPTION_CONFIG, 0o600)
        self.write_manifest(manifest())
        self.write("/etc/systemd/system/kubelet.service",
                   "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        self.run("systemctl", "daemon-reload")

    def write_manifest(self, content, name=MANIFEST):
        self.write(name, yaml.safe_dump(content), 0o600)

    def start(self, name, *words):
        """A process of the system; its output comes into our logs."""
        return self._workspace.start(name, ["nsenter", "--target", self.booted.pid, "--all",
                                            "--root", "--wd", "--", *words])

    def _start_kubernetes(self):
        # A process is known by its program's name; the cache's names end with a hash.
        for name, part in (("etcd", "etcd"), ("kube-apiserver", "kube-apiserver-1.36")):
            self.run("ln", "-s", places.real_part(part), f"/usr/local/bin/{name}")
        self.start("etcd", "etcd", "--data-dir", "/var/lib/etcd", "--log-level", "warn")
        # In a mount namespace of its own, as in a container.
        self.apiserver = self.start("kube-apiserver", "unshare", "--mount", "--", "kube-apiserver",
                                    *FLAGS, *HERE_ONLY)

    def apiserver_pid(self):
        return int(self.run("pgrep", "--exact", "kube-apiserver").split()[0])

    def get(self, path):
        """Status and text of an answer of the API server."""
        text = self.run("curl", "--silent", "--max-time", "5", "--cacert", f"{PKI}/ca.crt",
                        "--cert", f"{PKI}/apiserver-kubelet-client.crt",
                        "--key", f"{PKI}/apiserver-kubelet-client.key",
                        "--write-out", "\n%{http_code}", f"https://127.0.0.1:6443{path}",
                        check=False)
        body, _, code = text.rpartition("\n")
        return int(code), body

    def wait_ready(self, seconds=90):
        wait_until("the API server is ready", lambda: self.get("/readyz")[0] == 200, seconds, 0.2,
                   alive=self.apiserver)

    def doctor(self, *words, prefix=()):
        done = subprocess.run(["nsenter", "--target", str(self.booted.pid), "--all", "--root",
                               "--wd", "--", *prefix, "etcdseal", "doctor", "-o", "json", "--quiet",
                               *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        return Doctored(done.returncode, done.stdout, done.stderr)

    # --- faults: each is undone at the end of its block --------------------------------------------

    @contextlib.contextmanager
    def file(self, name, content=None, change=None):
        """Other content in a file; owner and mode stay. `content` None: the file is away."""
        kept = "/run/kept-" + name.replace("/", "_")
        self.run("cp", "-a", name, kept)
        try:
            if change is not None:
                content = change(self.path(name).read_text())
                assert content != self.path(name).read_text(), f"{name}: nothing was changed"
            if content is None:
                self.run("rm", name)
            else:
                path = self.path(name)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            yield
        finally:
            self.run("cp", "-a", "--remove-destination", kept, name)
            self.run("rm", kept)

    @contextlib.contextmanager
    def moved(self, name):
        self.run("mv", name, name + ".away")
        try:
            yield
        finally:
            self.run("mv", "--force", name + ".away", name)

    @contextlib.contextmanager
    def mode(self, name, mode=None, owner=None):
        st = self.path(name).stat()
        try:
            if owner is not None:
                self.run("chown", owner, name)
            if mode is not None:
                self.run("chmod", mode, name)
            yield
        finally:
            self.run("chown", f"{st.st_uid}:{st.st_gid}", name)
            self.run("chmod", f"{st.st_mode & 0o7777:o}", name)

    @contextlib.contextmanager
    def drop_in(self, unit, text, *then):
        """`then`: a command of systemctl, also afterwards."""
        name = f"/run/systemd/system/{unit}.d/fault.conf"
        try:
            self.write(name, text)
            self.run("systemctl", "daemon-reload")
            if then:
                self.run("systemctl", *then)
            yield
        finally:
            self.run("rm", name)
            self.run("systemctl", "daemon-reload")
            if then:
                self.run("systemctl", *then)

    @contextlib.contextmanager
    def config(self, change, *then):
        """The daemon's configuration changed; `then`: a command of systemctl, also afterwards."""
        try:
            with self.file(CONFIG, change=change):
                if then:
                    self.run("systemctl", *then, check=False)
                yield
        finally:
            if then:
                self.run("systemctl", *then)

    def manifest_changed(self, change):
        content = manifest()
        change(content["spec"], content["spec"]["containers"][0])
        return self.file(MANIFEST, yaml.safe_dump(content))
