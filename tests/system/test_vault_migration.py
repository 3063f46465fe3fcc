# SPDX-License-Identifier: Apache-2.0
"""The ways to provider vault and back that docs/vault.md describes, with a real kube-apiserver: at each
step all can be read, and at the end nothing of what was left is needed."""

import grpc
import pytest

from parts import places, stored
from parts.apiserver import ApiServer
from parts.daemon import key_id_hash
from parts.etcd import Etcd
from parts.kms import Kms, check_refused
from parts.process import wait_until
from parts.vaulted import VaultedDaemon, make_server

SECRETS = "/registry/secrets/default/"
VALUES = {f"moved-{n}": f"value {n}" for n in range(10)}


class Move:
    """A daemon that has a keystore and a Transit key, and an API server whose configuration never
    changes."""

    def __init__(self, workspace):
        self.bao = make_server(workspace)
        self.daemon = VaultedDaemon(workspace, self.bao, keystore=True)
        self.daemon.config["keystore"]["poll"] = "1s"
        self.etcd = self.api = None
        self.workspace = workspace

    def configure(self, provider, *also):
        """Written, checked by the tool as the page says, and taken up by a restart."""
        self.daemon.config |= {"provider": provider, "also_unwrap": list(also)}
        self.daemon.config_path = self.daemon.write_config()
        if self.daemon.process is not None:
            self.daemon.stop()
        self.daemon.start()
        assert self.daemon.status()["provider"]["name"] == provider

    def start_cluster(self):
        self.etcd = Etcd(self.workspace)
        self.api = ApiServer(self.workspace, self.etcd, self.daemon.write_encryption_config())
        self.api.in_parallel(lambda row: self.api.create_secret(*row), VALUES.items())

    def prefixes(self):
        """Of the key ids that etcd names."""
        values = self.etcd.values(SECRETS).values()
        return {stored.parse(value).key_id.partition("-")[0] for value in values}

    def check_read(self):
        """With empty caches."""
        self.api.stop()
        self.api.start()
        assert self.api.secrets() == VALUES

    def take_over(self, prefix):
        """The API server takes up the new key id by itself; all is written again."""
        key_id = self.daemon.current_key()
        assert key_id.startswith(prefix)
        wait_until("the API server has seen the new key", lambda: self.api.is_kms_healthy() and
                   self.api.has_seen_key(key_id_hash(key_id)), 90, 0.5)
        changed = self.api.in_parallel(self.api.rewrite_secret, VALUES)
        assert all(before != after for before, after in changed)
        assert self.prefixes() == {prefix}


@pytest.mark.timeout(300)
def test_from_the_keystore_to_vault_and_back(workspace):
    move = Move(workspace)
    move.configure("local")
    move.start_cluster()
    assert move.prefixes() == {"es1"}

    move.configure("local", "vault")  # on every node before the first one writes with it
    move.check_read()
    move.configure("vault", "local")
    assert move.api.secrets() == VALUES
    move.check_read()
    assert move.prefixes() == {"es1"}, "nothing was written yet"
    move.take_over("esv1")
    move.configure("vault")
    move.check_read()

    move.configure("vault", "local")
    move.configure("local", "vault")
    assert move.api.secrets() == VALUES
    move.check_read()
    move.take_over("es1")
    move.configure("local")
    move.bao.kill()
    move.check_read()


def unwraps(kms, wrapped):
    try:
        return bool(kms.unwrap(wrapped))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def test_what_is_dropped_too_early_comes_back(workspace):
    """Each refusal names the key that is missing; the provider back in also_unwrap cures it."""
    move = Move(workspace)
    made = {}
    for provider in ("local", "vault"):
        move.configure(provider)
        with Kms(move.daemon.socket) as kms:
            made[provider] = kms.encrypt()
    for provider, other in (("vault", "local"), ("local", "vault")):
        move.configure(provider)
        with Kms(move.daemon.socket) as kms:
            check_refused(grpc.StatusCode.NOT_FOUND, kms.unwrap, made[other])
            kms.unwrap(made[provider])
        move.configure(provider, other)
        with Kms(move.daemon.socket) as kms:
            kms.unwrap(made[provider])
            # The one that wraps is served first; the other follows in the same look.
            wait_until("the other one unwraps too", lambda: unwraps(kms, made[other]), 5)


def test_an_outage_of_what_only_unwraps(workspace):
    """Writes and the reads of the rest go on; the daemon says what cannot be read."""
    move = Move(workspace)
    move.configure("vault")
    with Kms(move.daemon.socket) as kms:
        wrapped = kms.encrypt()
    move.bao.kill()
    move.configure("local", "vault")
    with Kms(move.daemon.socket) as kms:
        assert kms.status().healthz == "ok"
        kms.unwrap(kms.encrypt())
        check_refused(grpc.StatusCode.UNAVAILABLE, kms.unwrap, wrapped)
    assert "also_unwrap: vault" in move.daemon.wait_event("keys-warning")["cause"]
    move.bao.start()
    move.bao.unseal()
    move.daemon.wait_service(state="serving")
    with Kms(move.daemon.socket) as kms:
        kms.unwrap(wrapped)


def from_kms(stage, daemon, old_name, old_socket):
    """A file that `etcdseal encryption-config generate from-kms` prints, filled in as it says."""
    text = daemon.tool.run("encryption-config", "generate", "from-kms", "--stage", str(stage),
                           "--kms-socket", daemon.socket).ok().out
    return (text.replace("PASTE:THE:OLD:NAME", old_name)
            .replace("PASTE-THE-OLD-ENDPOINT", f"unix://{old_socket}"))


@pytest.mark.timeout(300)
def test_from_another_plugin(workspace):
    """Stage 2 and 3 of the generated files, with one API server; the old plugin then goes."""
    old_socket = workspace.folder("old", 0o711) / "old.sock"
    old = workspace.start("old-plugin", [places.real_part("bench-go-plugin"), old_socket])
    wait_until("the old plugin listens", old_socket.exists, 10, alive=old)
    daemon = VaultedDaemon(workspace, make_server(workspace)).start()
    etcd = Etcd(workspace)
    config = daemon.write_encryption_config("enc.yaml", provider="old-vault", socket_path=old_socket)
    api = ApiServer(workspace, etcd, config)

    def load(text):
        workspace.write("enc.yaml", text)
        api.stop()
        api.start()
        assert api.secrets() == VALUES

    def names():
        return {value.split(b":")[4].decode() for value in etcd.values(SECRETS).values()}

    api.in_parallel(lambda row: api.create_secret(*row), VALUES.items())
    assert names() == {"old-vault"}
    load(from_kms(2, daemon, "old-vault", old_socket))
    changed = api.in_parallel(api.rewrite_secret, VALUES)
    assert all(before != after for before, after in changed)
    assert names() == {"etcdseal"}
    load(from_kms(3, daemon, "old-vault", old_socket))
    old.stop()
    api.stop()
    api.start()
    assert api.secrets() == VALUES
