# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver on the loopback, spoken to in plain HTTPS with a token."""

import base64
import concurrent.futures
import http.client
import json
import signal
import ssl
import subprocess
import threading

from . import places
from .process import wait_until

TOKEN = "admin-token"
NAMESPACE = "default"


class ApiError(AssertionError):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status
        self.body = body


class ApiServer:
    """`encryption_config`: path of the EncryptionConfiguration, or None. `node`: a host name of its
    own, for the second API server on this machine (its identity comes from the host name). `flags`:
    more of its own."""

    def __init__(self, workspace, etcd, encryption_config, version="1.36", name="kube-apiserver",
                 node=None, wait=True, flags=(), **options):
        self.version = version
        self.name = name
        self._workspace = workspace
        self._node = node
        self._options = options
        self.port = workspace.free_port()
        self._certs = workspace.folder(name)
        self._argv = [*self._command_line(workspace, etcd, encryption_config), *flags]
        self._local = threading.local()
        self.process = None
        self.start(wait)

    def _command_line(self, workspace, etcd, encryption_config):
        key = workspace.path("sa.key")
        if not key.exists():
            subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True,
                           stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tokens = workspace.write("tokens.csv", f"{TOKEN},admin,1,system:masters\n")
        encryption = [f"--encryption-provider-config={encryption_config}",
                      "--encryption-provider-config-automatic-reload=true"]
        return [
            places.real_part(f"kube-apiserver-{self.version}"),
            f"--etcd-servers={etcd.url}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            f"--cert-dir={self._certs}", "--authorization-mode=AlwaysAllow",
            "--anonymous-auth=false", f"--token-auth-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none",
            "--watch-cache=true", *(encryption if encryption_config else []),
        ]

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self):
        return self._certs / "apiserver.crt"

    def start(self, wait=True):
        self.process = self._workspace.start(self.name, self._argv, uts_name=self._node,
                                             **self._options)
        if wait:
            self.wait_ready()

    def stop(self, number=signal.SIGTERM):
        self._local = threading.local()
        return self.process.stop(number, seconds=30)

    def wait_ready(self, seconds=60):
        wait_until("kube-apiserver is ready and has its namespace",
                   lambda: self.is_ready() and self.get(f"/api/v1/namespaces/{NAMESPACE}"),
                   seconds, every=0.2, alive=self.process)

    # --- HTTP -----------------------------------------------------------------------------------

    def _connection(self):
        if getattr(self._local, "connection", None) is None:
            context = ssl.create_default_context(cafile=self.ca_file)
            self._local.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60,
                                                                 context=context)
        return self._local.connection

    def call(self, method, path, body=None, content_type="application/json"):
        """Status and text of one answer."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
            body = json.dumps(body)
        try:
            connection = self._connection()
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except BaseException:
            self._local.connection = None
            raise

    def _json(self, method, path, body=None, content_type="application/json"):
        status, text = self.call(method, path, body, content_type)
        if status >= 300:
            raise ApiError(status, text)
        return json.loads(text)

    def get(self, path):
        return self._json("GET", path)

    def is_ready(self):
        return self.call("GET", "/readyz")[0] == 200

    def health(self, path):
        """Status and text of /readyz, /readyz/kms-providers, /livez, …"""
        return self.call("GET", path)

    def metrics(self):
        """Values by (name, label text), as /metrics shows them."""
        status, text = self.call("GET", "/metrics")
        if status != 200:
            raise ApiError(status, text)
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                sample, _, value = line.rpartition(" ")
                name, _, labels = sample.partition("{")
                values[name, labels.rstrip("}")] = float(value)
        return values

    # --- Secrets --------------------------------------------------------------------------------

    @staticmethod
    def secret_path(name="", namespace=NAMESPACE):
        return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")

    @staticmethod
    def _secret(name, value):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                "data": {"value": base64.b64encode(value.encode()).decode()}}

    def create_secret(self, name, value):
        return self._json("POST", self.secret_path(), self._secret(name, value))

    def put_secret(self, name, value):
        """Replaces it, whatever it was."""
        return self._json("PUT", self.secret_path(name), self._secret(name, value))

    def secret_value(self, name):
        return base64.b64decode(self.get(self.secret_path(name))["data"]["value"]).decode()

    def delete_secret(self, name):
        self._json("DELETE", self.secret_path(name))

    def rewrite_secret(self, name):
        """A no-op PUT. Returns the resource versions before and after: they differ when something
        was written, which is when the stored value was stale."""
        before = self.get(self.secret_path(name))
        after = self._json("PUT", self.secret_path(name), before)
        return before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]

    def secrets(self, query=""):
        """Values by name."""
        items = self.get(self.secret_path() + query)["items"]
        return {item["metadata"]["name"]: base64.b64decode(item["data"]["value"]).decode()
                for item in items}

    def in_parallel(self, call, items, workers=16):
        """The results of call(item), in order; each worker thread has a connection of its own."""
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(call, items))

    # --- KMS ------------------------------------------------------------------------------------

    def _envelope(self, family, label):
        name = f"apiserver_envelope_encryption_{family}"
        return {labels: value for (n, labels), value in self.metrics().items()
                if n == name and label in labels}

    def has_seen_key(self, key_id_hash):
        """Status has told this server of the key."""
        return bool(self._envelope("key_id_hash_status_last_timestamp_seconds",
                                   f'key_id_hash="{key_id_hash}"'))

    def writes_with_key(self, key_id_hash):
        """Values that this server has encrypted under the key."""
        rows = self._envelope("key_id_hash_total", f'key_id_hash="{key_id_hash}"')
        return sum(value for labels, value in rows.items()
                   if 'transformation_type="to_storage"' in labels)

    def is_kms_healthy(self):
        return self.health("/readyz/kms-providers")[0] == 200
