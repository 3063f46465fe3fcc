# SPDX-License-Identifier: Apache-2.0
"""The local keystore with a slot that a real OpenBao opens: starts with it, without it and refused by it."""

import grpc
import pytest

from parts.daemon import Daemon
from parts.kms import Kms, check_refused
from parts.process import wait_until
from parts.vaulted import KEY, MOUNT, make_server


@pytest.fixture
def bao(workspace):
    return make_server(workspace, audit=True)


class SealedDaemon(Daemon):
    """Its keystore has one slot, boot, and only `bao` opens it."""

    def __init__(self, workspace, bao, name="etcdseald", **knobs):
        self.bao = bao
        self.role_id, self.secret_id = bao.approle("seal", "etcdseal", token_ttl="1h", **knobs)
        workspace.folder(name, 0o711)
        self.role_file = workspace.write(f"{name}/role-id", self.role_id + "\n")
        self.secret_file = workspace.write(f"{name}/secret-id", self.secret_id + "\n")
        self.spec = f"vault:{workspace.path(name, 'etcdseald.yaml')}"
        super().__init__(workspace, name, seals=[f"boot={self.spec}"])

    def _default_config(self):
        config = super()._default_config()
        config["keystore"]["poll"] = "1s"
        return config | {"vault": {
            "addresses": [self.bao.url], "ca_file": str(self.bao.ca_file), "mount": MOUNT, "key": KEY,
            "auth": {"approle": {"role_id_file": str(self.role_file),
                                 "secret_id_file": str(self.secret_file)}}}}

    def state(self):
        return self.status()["state"]


@pytest.fixture
def daemon(workspace, bao):
    return SealedDaemon(workspace, bao)


def works(daemon):
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt(b"k" * 32)
        assert kms.unwrap(wrapped) == b"k" * 32
        return wrapped


def test_start_and_restart(bao, daemon):
    daemon.start()
    assert daemon.status()["provider"]["opened_by"] == "boot (vault)"
    wrapped = works(daemon)
    daemon.restart()
    with Kms(daemon.socket) as kms:
        assert kms.unwrap(wrapped) == b"k" * 32
    # A rotation changes nothing for the slot; a slot made later uses the new version.
    bao.rotate(MOUNT, KEY)
    daemon.restart()
    works(daemon)
    calls = bao.calls()
    # init (which wraps and opens) and three starts: each gave its token back.
    assert set(calls) == {"auth/approle/login", "auth/token/revoke-self", f"{MOUNT}/keys/{KEY}",
                          f"{MOUNT}/encrypt/{KEY}", f"{MOUNT}/decrypt/{KEY}"}
    assert calls["auth/token/revoke-self"] == calls["auth/approle/login"] == 5
    assert calls[f"{MOUNT}/encrypt/{KEY}"] == 1


def test_warning_of_the_tool(bao, daemon):
    ran = daemon.tool.run("seal", "add", f"more={daemon.spec}").ok()
    assert "WARNING: slot more: etcdseald cannot unseal by this slot while" in ran.err
    daemon.tool.run("seal", "test", "more").ok()
    daemon.tool.run("seal", "remove", "more", "--confirm", "more").ok()
    assert "1" == str(len(daemon.tool.run("seal", "list", "-o", "json").json()["slots"]))


@pytest.mark.parametrize("how", ["stopped", "sealed", "hanging"])
def test_away_at_the_start(bao, daemon, how):
    """The daemon answers at once that it is not there yet, keeps trying, and serves when it can."""
    {"stopped": bao.stop, "sealed": bao.seal, "hanging": bao.pause}[how]()
    daemon.start(wait="socket")
    with Kms(daemon.socket) as kms:
        for _ in range(3):
            check_refused(grpc.StatusCode.UNAVAILABLE, kms.status)
    wait_until("an attempt has failed", lambda: "seal vault: " in daemon.process.log(), 20)
    with Kms(daemon.socket) as kms:
        check_refused(grpc.StatusCode.UNAVAILABLE, kms.status)
    if how == "stopped":
        bao.start()
    if how == "hanging":
        bao.resume()
    else:
        bao.unseal()
    daemon.wait_ready(20)
    works(daemon)


def test_away_later_changes_nothing(bao, daemon):
    daemon.start()
    bao.stop()
    old = daemon.current_key()
    new = daemon.tool.run("key", "stage")  # opens the keystore, which needs the server
    new.refused(3, "seal vault: ", "start the server")
    works(daemon)
    assert daemon.current_key() == old


def test_refused(bao, daemon):
    """A person must act; when he has, the daemon serves without a restart."""
    bao.write_policy("etcdseal", f'path "{MOUNT}/keys/{KEY}" {{ capabilities = ["read"] }}')
    daemon.start(wait="socket")
    wait_until("a person must act", lambda: "etcdseal vault policy" in daemon.process.log(), 20)
    with Kms(daemon.socket) as kms:
        check_refused(grpc.StatusCode.FAILED_PRECONDITION, kms.status)
    daemon.tool.run("key", "list").refused(1, "seal vault: ", "etcdseal vault policy")
    bao.write_policy("etcdseal", f'path "{MOUNT}/decrypt/{KEY}" {{ capabilities = ["update"] }}')
    daemon.wait_ready(90)
    works(daemon)


def test_another_key_does_not_open_it(workspace, bao, daemon):
    bao.api("POST", f"{MOUNT}/keys/{KEY}/config", {"deletion_allowed": True})
    bao.api("DELETE", f"{MOUNT}/keys/{KEY}")
    daemon.tool.run("keystore", "verify").refused(1, "seal vault: ")
    bao.make_key(MOUNT, KEY)
    daemon.tool.run("keystore", "verify").refused(4, "wrong secret, or the slot was altered")
