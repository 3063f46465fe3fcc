# SPDX-License-Identifier: Apache-2.0
"""The daemon with its keys in a real OpenBao, and the main job that way."""

import time

from . import places
from .daemon import Daemon
from .openbao import OpenBao
from .process import wait_until
from .scenario import Scenario

MOUNT, KEY, CLUSTER = "transit", "kube", "test-1"

# What `etcdseal vault policy` prints, kept short; test_vault_policy.py tests the printed one.
POLICY = f"""
path "{MOUNT}/encrypt/{KEY}" {{ capabilities = ["update"] }}
path "{MOUNT}/decrypt/{KEY}" {{ capabilities = ["update"] }}
path "{MOUNT}/keys/{KEY}" {{ capabilities = ["read"] }}
"""

# Short times, so that tests need not wait; none of them is another behaviour.
QUICK = {"poll": "1s", "stability": "0s", "activation_delay": "0s"}


def make_server(workspace, name="openbao", **options):
    """OpenBao with a Transit key and our policy."""
    bao = OpenBao(workspace, name, **options)
    prepare(bao)
    return bao


def prepare(bao):
    bao.enable_transit(MOUNT)
    bao.make_key(MOUNT, KEY)
    bao.write_policy("etcdseal", POLICY)


class VaultedDaemon(Daemon):
    """`server`: what it talks to (OpenBao or something between); `bao`: who makes its role, when that
    is another. `vault`: keys of the section vault beside the usual ones. `auth`: instead of an AppRole
    of its own."""

    def __init__(self, workspace, server, bao=None, name="etcdseald", vault=None, auth=None,
                 config=None, knobs=None, keystore=False):
        self.server = server
        self.bao = bao or server
        self.role = f"role-{name}"
        self._knobs = {"token_ttl": "1h"} | (knobs or {})
        self._vault = vault or {}
        self._auth = auth
        workspace.folder(name, 0o711)
        self.state_file = workspace.folder(f"{name}/store") / "vault-keks"
        self._files = workspace
        self._config_more = config or {}
        self._file_name = name
        super().__init__(workspace, name, keystore=keystore)

    def _default_config(self):
        section = {"addresses": [self.server.url], "ca_file": str(self.server.ca_file), "mount": MOUNT,
                   "key": KEY, "cluster_id": CLUSTER, "state": str(self.state_file)}
        section |= QUICK | {"auth": self._auth or self.approle()} | self._vault
        return (super()._default_config() | {"provider": "vault", "vault": section}
                | self._config_more)

    def approle(self):
        role_id, secret_id = self.bao.approle(self.role, "etcdseal", **self._knobs)
        self.write_secret_id(secret_id)
        return {"approle": {
            "role_id_file": str(self._files.write(f"{self._file_name}/role-id", role_id + "\n")),
            "secret_id_file": str(self._files.path(self._file_name, "secret-id"))}}

    def write_secret_id(self, secret_id):
        self.secret_id = secret_id
        self._files.write(f"{self._file_name}/secret-id", secret_id + "\n")

    # --- what it tells ------------------------------------------------------------------------------

    def service(self):
        return self.status()["provider"]["key_service"]

    def wait_service(self, seconds=20, **values):
        def fits():
            service = self.service()
            return all(service[k] == v for k, v in values.items())
        wait_until(f"the key service shows {values}", fits, seconds, 0.05, self.process)
        return self.service()

    def wait_version(self, version, seconds=20):
        self.wait_service(seconds, key_version=version)
        return self.current_key()


class VaultScenario(Scenario):
    """The steps of the main job with Vault's keys: no keystore, a rotation in Transit."""

    def __init__(self, *words, vault=None, **options):
        super().__init__(*words, **options)
        self._vault = vault
        self.bao = None

    def steps(self):
        words = {"make a keystore": "start OpenBao with a Transit key",
                 "stage and promote a new key": "rotate the key in Transit"}
        return [(words.get(what, what), do) for what, do in super().steps()]

    def how_to_see_keys(self):
        token = self.workspace.write("openbao/root-token", self.bao.root_token)
        return (f"  OpenBao   BAO_ADDR={self.bao.url} BAO_CACERT={self.bao.ca_file} \\\n"
                f"            BAO_TOKEN=$(cat {token}) \\\n"
                f"            {places.real_part('openbao')} read {MOUNT}/keys/{KEY}")

    def make_keystore(self):
        began = time.monotonic()
        self.bao = make_server(self.workspace)
        self.daemon = VaultedDaemon(self.workspace, self.bao, vault=self._vault)
        return f"{self.bao.url}, {MOUNT}/{KEY}, after {time.monotonic() - began:.1f} s"

    def start_daemon(self):
        began = time.monotonic()
        self.daemon.start()
        took = (time.monotonic() - began) * 1000
        self.first_key = self.daemon.current_key()
        mode = self.daemon.service()["mode"]
        return f"ready after {took:.0f} ms in mode {mode}, key id {self.first_key}"

    def change_key(self):
        began = time.monotonic()
        version = self.bao.rotate(MOUNT, KEY)
        self.second_key = self.daemon.wait_version(version)
        assert self.second_key != self.first_key
        return (f"version {version} wraps after {time.monotonic() - began:.1f} s, key id "
                f"{self.second_key}")
