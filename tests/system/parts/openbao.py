# SPDX-License-Identifier: Apache-2.0
"""A real OpenBao on the loopback: one node or a raft cluster, TLS, initialised and unsealed here; and
its proxy on a unix socket.

Calls are made as root unless a token is given. Every token, secret id and unseal key that is handed
out is remembered by the workspace as a secret.
"""

import base64
import collections
import http.client
import json
import signal
import ssl
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from . import places
from .certs import Ca, private_pem, public_pem
from .daemon import UnixHTTP
from .process import wait_until


class BaoError(AssertionError):
    def __init__(self, method, path, status, answer):
        super().__init__(f"{method} {path}: HTTP {status}: {answer}")
        self.status = status
        self.answer = answer


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class Api:
    """Whatever speaks the API at `port`, with a certificate of `ca_file`. Names of mounts, keys and
    roles go into paths as they are."""

    port = ca_file = root_token = None
    namespace = None  # that all calls are made in; None: the root one

    def connection(self, timeout, client=None):
        """`client`: file with the certificate and the key to show."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if client:
            context.load_cert_chain(client)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def call(self, method, path, body=None, token=None, headers=None, timeout=30, client=None):
        """Status and JSON object (or text, if it is none) of one answer, over a new connection.
        `token`: None for root's, "" for none. `client`: as above."""
        headers = dict(headers or {})
        token = self.root_token if token is None else token
        if token:
            headers["X-Vault-Token"] = token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        connection = self.connection(timeout, client)
        try:
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body),
                               headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text

    def api(self, method, path, body=None, **options):
        """The object that a good answer holds. Raises BaoError for others."""
        status, answer = self.call(method, path, body, **options)
        if status >= 300:
            raise BaoError(method, path, status, answer)
        return answer

    # --- transit ------------------------------------------------------------------------------------

    def enable_transit(self, mount="transit"):
        self.api("POST", f"sys/mounts/{mount}", {"type": "transit"})

    def make_key(self, mount, name, type="aes256-gcm96", **more):
        self.api("POST", f"{mount}/keys/{name}", {"type": type, **more})

    def read_key(self, mount, name):
        return self.api("GET", f"{mount}/keys/{name}")["data"]

    def rotate(self, mount, name):
        """The version that is newest now."""
        self.api("POST", f"{mount}/keys/{name}/rotate", {})
        return self.read_key(mount, name)["latest_version"]

    def set_config(self, mount, name, **values):
        """min_decryption_version=…, min_encryption_version=…, deletion_allowed=…"""
        self.api("POST", f"{mount}/keys/{name}/config", values)

    def encrypt(self, mount, name, plaintext, associated_data=b"", **more):
        body = {"plaintext": b64(plaintext), "associated_data": b64(associated_data)}
        token = more.pop("token", None)
        return self.api("POST", f"{mount}/encrypt/{name}", body | more, token=token)["data"]

    def decrypt(self, mount, name, ciphertext, associated_data=b"", **more):
        body = {"ciphertext": ciphertext, "associated_data": b64(associated_data)}
        token = more.pop("token", None)
        answer = self.api("POST", f"{mount}/decrypt/{name}", body | more, token=token)
        return base64.b64decode(answer["data"]["plaintext"])


class JwtIssuer:
    """Signs what a jwt role accepts (ES256)."""

    def __init__(self, workspace, audience):
        self._workspace = workspace
        self._audience = audience
        self._key = ec.generate_private_key(ec.SECP256R1())
        workspace.secret(private_pem(self._key))
        self.public_pem = public_pem(self._key).decode()

    def jwt(self, seconds=600, **claims):
        now = int(time.time())
        claims = {"sub": "etcdseald", "aud": self._audience, "iat": now, "exp": now + seconds} | claims
        text = ".".join(self._b64(json.dumps(part).encode())
                        for part in ({"alg": "ES256", "typ": "JWT"}, claims))
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        made = f"{text}.{self._b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        self._workspace.secret(made.encode())
        return made

    @staticmethod
    def _b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class OpenBao(Api):
    """Started, initialised and unsealed when made; without `init` started only. `audit`: calls() can
    count."""

    def __init__(self, workspace, name="openbao", ca=None, audit=False, init=True, **options):
        self.name = name
        self._workspace = workspace
        self._options = options
        self.ca = ca or Ca()
        self.ca_file = workspace.write(f"{name}/ca.crt", self.ca.pem, 0o644)
        self.port = workspace.free_port()
        self.cluster_port = workspace.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.unseal_key = None
        self._audit_file = workspace.path(name, "audit.log") if audit else None
        self.process = None
        self.write_certificate(*self.ca.issue(name))
        self._config_file = workspace.write(f"{name}/config.json", json.dumps(self._config()))
        workspace.at_end(self.kill)  # nothing is kept, so it need not go slowly
        self.start()
        if init:
            self._initialise()

    def _config(self):
        folder = self._workspace.path(self.name)
        config = {
            # Raft with the short timeouts: a leader is missed after three seconds, not after fifteen.
            "storage": {"raft": {"path": str(self._workspace.folder(f"{self.name}/data")),
                                 "node_id": self.name, "performance_multiplier": "1",
                                 "autopilot_reconcile_interval": "500ms",
                                 "autopilot_update_interval": "500ms"}},
            "listener": [{"tcp": {"address": f"127.0.0.1:{self.port}",
                                  "cluster_address": f"127.0.0.1:{self.cluster_port}",
                                  "tls_cert_file": str(folder / "server.crt"),
                                  "tls_key_file": str(folder / "server.key")}}],
            "api_addr": self.url, "cluster_addr": f"https://127.0.0.1:{self.cluster_port}",
            "log_level": "warn",
        }
        if self._audit_file:
            # Declared here because the API refuses to add one. Relative to the node's folder, because
            # all nodes of a cluster must say the same.
            config["audit"] = [{"type": "file", "path": "calls",
                                "options": {"file_path": self._audit_file.name}}]
        return config

    def write_certificate(self, pem, key):
        """What the listener shows from its next start or reload() on."""
        self._workspace.write(f"{self.name}/server.crt", pem)
        self._workspace.write(f"{self.name}/server.key", self._workspace.secret(key))

    # --- process ------------------------------------------------------------------------------------

    def start(self):
        """Sealed, as every start leaves it."""
        self.process = self._workspace.start(
            self.name, [places.real_part("openbao"), "server", f"-config={self._config_file}"],
            cwd=self._workspace.path(self.name), **self._options)
        wait_until(f"{self.name} answers", lambda: self.call("GET", "sys/health", token=""), 30,
                   alive=self.process)

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()
        self.unseal()

    def pause(self):
        """It accepts connections (the kernel does) and says nothing until resume()."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # --- seal ---------------------------------------------------------------------------------------

    def _initialise(self):
        made = self.api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token="")
        self.unseal_key, self.root_token = made["keys_base64"][0], made["root_token"]
        self._workspace.secret(base64.b64decode(self.unseal_key))
        self._workspace.secret(self.root_token.encode())
        self.unseal()

    def health(self):
        """200 active, 429 standby, 503 sealed, 501 not initialised."""
        return self.call("GET", "sys/health", token="")[0]

    def seal(self):
        self.api("PUT", "sys/seal")

    def unseal(self, wait=True):
        """`wait`: until it serves, as active node or as standby of one."""
        self.api("PUT", "sys/unseal", {"key": self.unseal_key}, token="")
        if wait:
            self.wait_serves()

    def wait_serves(self, seconds=30):
        wait_until(f"{self.name} serves", lambda: self.health() in (200, 429) and
                   self.api("GET", "sys/leader", token="")["leader_address"] and
                   self.api("GET", "auth/token/lookup-self"), seconds, alive=self.process)

    # --- who may what -------------------------------------------------------------------------------

    def write_policy(self, name, hcl):
        self.api("PUT", f"sys/policies/acl/{name}", {"policy": hcl})

    def _enable_auth(self, kind):
        if f"{kind}/" not in self.api("GET", "sys/auth")["data"]:
            self.api("POST", f"sys/auth/{kind}", {"type": kind})

    def _remember(self, text):
        self._workspace.secret(text.encode())
        return text

    def approle(self, name, policy, **knobs):
        """Role id and secret id of a new role. `knobs`: token_ttl, token_period, secret_id_ttl, …"""
        self._enable_auth("approle")
        self.api("POST", f"auth/approle/role/{name}", {"token_policies": [policy]} | knobs)
        role_id = self.api("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        return role_id, self.secret_id(name)

    def secret_id(self, role, wrap_ttl=None):
        """One more. `wrap_ttl`: the token that it is wrapped in, instead."""
        headers = {"X-Vault-Wrap-TTL": wrap_ttl} if wrap_ttl else {}
        made = self.api("POST", f"auth/approle/role/{role}/secret-id", {}, headers=headers)
        return self._remember(made["wrap_info"]["token"] if wrap_ttl else made["data"]["secret_id"])

    def revoke_secret_id(self, role, secret_id):
        self.api("POST", f"auth/approle/role/{role}/secret-id/destroy", {"secret_id": secret_id})

    def cert_role(self, name, policy, ca=None, **knobs):
        """For clients with a certificate of `ca`, or of ours."""
        self._enable_auth("cert")
        certificate = (ca or self.ca).pem.decode()
        self.api("POST", f"auth/cert/certs/{name}",
                 {"certificate": certificate, "token_policies": [policy]} | knobs)

    def jwt_role(self, name, policy, audience="openbao", **knobs):
        """Who signs for it. One for the server: a second call changes the key."""
        self._enable_auth("jwt")
        issuer = JwtIssuer(self._workspace, audience)
        self.api("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [issuer.public_pem]})
        self.api("POST", f"auth/jwt/role/{name}", {
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": [audience],
            "token_policies": [policy]} | knobs)
        return issuer

    def token(self, policy, ttl="1h", **more):
        made = self.api("POST", "auth/token/create", {"policies": [policy], "ttl": ttl} | more)
        return self._remember(made["auth"]["client_token"])

    def revoke_token(self, token):
        self.api("POST", "auth/token/revoke", {"token": token})

    def login(self, kind, client=None, **fields):
        """The token of a login by its fields (role_id and secret_id, or role and jwt) or by the
        certificate in the file `client`."""
        made = self.api("POST", f"auth/{kind}/login", fields, token="", client=client)
        return self._remember(made["auth"]["client_token"])

    # --- counting -----------------------------------------------------------------------------------

    def calls(self):
        """How often each path was called, refused calls included, those of root (ours) not. What
        needs neither token nor login (sys/health, sys/seal-status) is not audited."""
        found = collections.Counter()
        for line in self._audit_file.read_text().splitlines():
            entry = json.loads(line)
            is_root = entry["auth"].get("display_name") == "root"
            is_its_own = "remote_address" not in entry["request"]
            if entry["type"] == "request" and not is_root and not is_its_own:
                found[entry["request"]["path"]] += 1
        return found


class OpenBaoCluster:
    """Nodes that share data by raft. Whatever can be asked of one can be asked of `leader`."""

    def __init__(self, workspace, count=3, ca=None, **options):
        self.ca = ca or Ca()
        first = OpenBao(workspace, "openbao-0", self.ca, **options)
        # A node votes from then on that it was seen healthy for so long.
        first.api("POST", "sys/storage/raft/autopilot/configuration",
                  {"server_stabilization_time": "500ms"})
        self.nodes = [first]
        for number in range(1, count):
            self.nodes.append(OpenBao(workspace, f"openbao-{number}", self.ca, init=False, **options))
            self._join(self.nodes[-1], first)
        self.ca_file = first.ca_file
        wait_until("all nodes vote", lambda: self._voters() == count, 30, every=0.2)

    @staticmethod
    def _join(node, first):
        node.unseal_key, node.root_token = first.unseal_key, first.root_token
        node.api("POST", "sys/storage/raft/join",
                 {"leader_api_addr": first.url, "leader_ca_cert": first.ca.pem.decode()}, token="")
        node.unseal()

    def _voters(self):
        servers = self.leader.api("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        return sum(server["voter"] for server in servers)

    def _leader(self):
        return next((node for node in self.nodes if node.process.is_alive and node.health() == 200),
                    None)

    @property
    def leader(self):
        """The active node; waits for the election of one."""
        return wait_until("the cluster has a leader", self._leader, 30)

    @property
    def standbys(self):
        leader = self.leader
        return [node for node in self.nodes if node is not leader and node.process.is_alive]

    def calls(self):
        return sum((node.calls() for node in self.nodes), collections.Counter())


class Proxy(Api):
    """`bao proxy` on a unix socket: logs in by AppRole, and puts its token into every call."""

    def __init__(self, workspace, server, role_id, secret_id, name="openbao-proxy", **options):
        folder = workspace.folder(name, 0o711)
        self.socket = folder / "proxy.sock"
        workspace.write(f"{name}/role-id", role_id)
        workspace.write(f"{name}/secret-id", secret_id)
        config = workspace.write(f"{name}/config.hcl", f"""\
vault {{
  address = "{server.url}"
  ca_cert = "{server.ca_file}"
}}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path = "{folder}/role-id"
      secret_id_file_path = "{folder}/secret-id"
      remove_secret_id_file_after_reading = false
    }}
  }}
}}
api_proxy {{
  use_auto_auth_token = true
}}
listener "unix" {{
  address = "{self.socket}"
  tls_disable = true
}}
""")
        self.process = workspace.start(name, [places.real_part("openbao"), "proxy",
                                              f"-config={config}", "-log-level=warn"], **options)
        wait_until("the proxy is logged in", lambda: self.api("GET", "auth/token/lookup-self"), 30,
                   alive=self.process)

    def connection(self, timeout, client=None):
        return UnixHTTP(self.socket, timeout)
