# SPDX-License-Identifier: Apache-2.0
"""What etcdseal doctor finds of a real OpenBao: nothing while all is well, and of each fault, made for
real, exactly its finding. Rows of the rest of the host are those of test_doctor.py."""

import contextlib
import copy
import json

import pytest

from parts.daemon import Daemon, to_yaml
from parts.faults import FaultProxy
from parts.kms import Kms
from parts.process import wait_until
from parts.tool import Tool
from parts.vaulted import KEY, MOUNT, POLICY, VaultedDaemon, make_server

ROWS = {"vault-credential", "vault-plain-http", "vault-answers", "vault-address", "vault-clock",
        "vault-login", "vault-policy", "vault-policy-wide", "vault-key", "vault-key-guard",
        "vault-key-age", "vault-state", "vault-key-changed", "vault-service", "vault-grace",
        "vault-key-id", "vault-key-pending", "vault-min-decryption"}
OF_THE_SERVER = {"vault-answers", "vault-login"}
UNFIT = {"rsa": {"type": "rsa-2048"}, "derived": {"derived": True}, "open": {"exportable": True},
         "backup": {"allow_plaintext_backup": True}}


class Host:
    """A daemon that is well, and configurations for the doctor that differ from its own."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.bao = make_server(workspace, audit=True)
        self.proxy = FaultProxy(workspace, self.bao)
        for name, more in UNFIT.items():
            self.bao.make_key(MOUNT, name, **more)
        self.bao.write_policy("etcdseal", POLICY + "".join(POLICY.replace(KEY, key) for key in UNFIT))
        self.daemon = VaultedDaemon(workspace, self.bao).start()

    def doctor(self, change=lambda config, vault: None, daemon=None):
        """The rows and findings of Vault. `change(config, config["vault"])` of what the doctor reads."""
        config = copy.deepcopy((daemon or self.daemon).config)
        change(config, config["vault"])
        path = self.workspace.write("doctor.yaml", to_yaml(config), 0o644)
        done = Tool().run("doctor", "--config", path, "-o", "json")
        report = json.loads(done.out)
        rows = {row["id"]: row for row in report["checks"] if row["id"].startswith("vault-")}
        found = {row["id"]: row for row in report["findings"] if row["id"].startswith("vault-")}
        for row in found.values():
            assert row["cure"] and row["docs"] == f"docs/doctor.md#{row['id']}", row
        return rows, found

    def finds(self, name, *words, change=lambda config, vault: None, daemon=None):
        """This alone, and its text."""
        rows, found = self.doctor(change, daemon)
        assert set(found) == {name}, found
        assert not [row for row in rows.values() if row["result"] == "unknown"], rows
        for word in words:
            assert word in found[name]["what"], found[name]
        return rows

    def elsewhere(self, config, vault):
        """As on a node that has not begun: no daemon, no state."""
        config["socket"]["path"] = str(self.workspace.folder("elsewhere") / "kms.sock")
        vault["state"] = str(self.workspace.path("elsewhere", "vault-keks"))

    def through_proxy(self, config, vault):
        vault["addresses"] = [self.proxy.url]

    def auth(self, role, policy, **knobs):
        """A change to an AppRole of its own."""
        role_id, secret_id = self.bao.approle(role, policy, **knobs)
        files = {"role_id_file": str(self.workspace.write(f"{role}.role", role_id)),
                 "secret_id_file": str(self.workspace.write(f"{role}.secret", secret_id))}
        return lambda config, vault: vault.update(auth={"approle": files})


@pytest.fixture(scope="module")
def host(module_workspace):
    return Host(module_workspace)


def test_healthy(host):
    rows, found = host.doctor()
    assert found == {} and set(rows) == ROWS
    assert {row["result"] for row in rows.values()} == {"ok"}, rows
    assert host.bao.url in rows["vault-answers"]["about"]
    assert rows["vault-key-id"]["about"] == host.daemon.current_key()


def test_the_token_is_given_back(host):
    before = host.bao.calls()
    host.doctor()
    new = host.bao.calls() - before
    assert new["auth/approle/login"] == new["auth/token/revoke-self"] == 1, new
    assert not [path for path in new if "/encrypt/" in path], new  # the daemon's looks decrypt


def test_without_vault(workspace):
    daemon = Daemon(workspace).start()
    report = json.loads(Tool().run("doctor", "--config", daemon.config_path, "-o", "json").out)
    assert not [row for row in report["checks"] if row["id"].startswith("vault-")]
    assert [row for row in report["checks"] if row["id"] == "keystore-opens"]


def test_no_rows_of_a_keystore(host):
    done = Tool().run("doctor", "--config", host.daemon.config_path, "-o", "json")
    ids = {row["id"] for row in json.loads(done.out)["checks"]}
    assert not ids & {"keystore-there", "keystore-opens", "slots-one", "daemon-keystore"}


# --- servers --------------------------------------------------------------------------------------------


def test_sealed(host):
    host.bao.seal()
    try:
        rows = host.finds("vault-answers", host.bao.url, "sealed")
        assert rows["vault-login"]["see"] == "vault-answers"
    finally:
        host.bao.unseal()
        host.daemon.wait_service(state="serving", cause="none")


def test_nobody_there(host):
    def change(config, vault):
        vault["addresses"] = [f"https://127.0.0.1:{host.workspace.free_port()}"]
    host.finds("vault-answers", "127.0.0.1", change=change)


def test_hangs(host):
    host.proxy.hang()
    try:
        host.finds("vault-answers", host.proxy.url, change=host.through_proxy)
    finally:
        host.proxy.heal()


def test_one_of_two(host):
    def change(config, vault):
        vault["addresses"].append(f"https://127.0.0.1:{host.workspace.free_port()}")
    rows = host.finds("vault-address", "127.0.0.1", change=change)
    assert rows["vault-key"]["result"] == "ok"


def test_another_ca(host):
    other = host.workspace.write("other-ca.crt", host.bao.ca.__class__().pem)
    host.finds("vault-answers", "certificate",
               change=lambda config, vault: vault.update(ca_file=str(other)))


def test_no_ca(host):
    bad = host.workspace.write("bad-ca.crt", "no certificate")
    rows, found = host.doctor(lambda config, vault: vault.update(ca_file=str(bad)))
    assert len(found) == 1 and "bad-ca.crt" in next(iter(found.values()))["what"], found


def test_plain_http(host):
    def change(config, vault):
        vault["addresses"].append("http://192.0.2.1:1")
        vault["allow_plain_http"] = True
    _, found = host.doctor(change)
    assert set(found) == {"vault-plain-http", "vault-address"}, found


def test_clock(host):
    def change(path, status, body):
        answer = json.loads(body)
        answer["server_time_utc"] -= 100
        return status, json.dumps(answer).encode()
    host.proxy.rewrite(change, "sys/health")
    try:
        host.finds("vault-clock", "behind", change=host.through_proxy)
    finally:
        host.proxy.heal()


# --- login and policy -----------------------------------------------------------------------------------


def test_credential_files(host):
    path = host.workspace.path(host.daemon.name, "secret-id")
    path.chmod(0o640)
    host.finds("vault-credential", str(path), "0640")
    path.chmod(0o600)
    content = path.read_text()
    path.unlink()
    host.finds("vault-credential", "there is no file")
    host.daemon.write_secret_id(content.strip())
    assert host.doctor()[1] == {}


def test_login(host):
    def change(config, vault):
        vault["auth"]["approle"]["secret_id_file"] = str(host.workspace.write("wrong", "wrong\n"))
    rows = host.finds("vault-login", "invalid", change=change)
    assert rows["vault-service"]["see"] == "vault-login"


def test_a_wrapped_secret_id_is_left_alone(host):
    def change(config, vault):
        vault["auth"]["approle"]["secret_id_wrapped"] = True
    before = host.bao.calls()
    rows, found = host.doctor(change)
    assert found == {} and rows["vault-login"]["result"] == "skipped"
    assert rows["vault-service"]["result"] == "ok"
    made = host.bao.calls() - before
    assert not {path for path in made if not path.startswith("transit/")}, made  # the daemon's looks


@pytest.mark.parametrize("lacks", ["encrypt", "decrypt", "keys"])
def test_policy_lacks(host, lacks):
    rows = [row for row in POLICY.splitlines() if f"/{lacks}/" not in row]
    host.bao.write_policy(f"no-{lacks}", "\n".join(rows))
    host.finds("vault-policy", f"{MOUNT}/{lacks}/{KEY}", change=host.auth(f"no-{lacks}", f"no-{lacks}"))


def test_policy_that_does_not_let_the_token_look(host):
    change = host.auth("blind", "etcdseal", token_no_default_policy=True)
    host.finds("vault-policy", "sys/capabilities-self", change=change)


@pytest.mark.parametrize("path, right, words", [
    ("encrypt/{}", "create", "mistyped"), ("decrypt/{}", "sudo", "sudo"), ("keys/{}", "delete", "delete"),
    ("keys/{}/config", "update", "config"), ("keys/{}/rotate", "update", "rotate"),
    ("keys/{}/trim", "update", "trim"), ("export/encryption-key/{}", "read", "export"),
    ("backup/{}", "read", "backup"), ("restore/{}", "update", "restore")])
def test_policy_allows_too_much(host, path, right, words):
    role = f"wide-{words}"
    allowed = f"{MOUNT}/{path.format(KEY)}"
    kept = [row for row in POLICY.splitlines() if f'"{allowed}"' not in row]
    also = [] if len(kept) == len(POLICY.splitlines()) else ["update" if "crypt" in path else "read"]
    kept.append(f'path "{allowed}" {{ capabilities = {json.dumps([right, *also])} }}')
    host.bao.write_policy(role, "\n".join(kept))
    host.finds("vault-policy-wide", words, right, change=host.auth(role, role))


def test_root(host):
    token = host.workspace.write("root-token", host.bao.root_token)
    host.finds("vault-policy-wide", "root token",
               change=lambda config, vault: vault.update(auth={"token": {"file": str(token)}}))
    assert host.bao.api("GET", "auth/token/lookup-self"), "a token that is not ours is kept"


# --- the key --------------------------------------------------------------------------------------------


def key_elsewhere(host, name):
    def change(config, vault):
        host.elsewhere(config, vault)
        vault["key"] = name
    return change


def test_no_key(host):
    host.bao.write_policy("etcdseal-all", POLICY.replace(KEY, "absent"))
    auth = host.auth("absent", "etcdseal-all")

    def change(config, vault):
        key_elsewhere(host, "absent")(config, vault)
        auth(config, vault)
    host.finds("vault-key", "does not exist", change=change)


@pytest.mark.parametrize("name", ["rsa", "derived"])
def test_unfit_key(host, name):
    host.finds("vault-key", name, "AEAD", change=key_elsewhere(host, name))


@pytest.mark.parametrize("name, words", [("open", "exportable"), ("backup", "allow_plaintext_backup")])
def test_unguarded_key(host, name, words):
    host.finds("vault-key-guard", words, change=key_elsewhere(host, name))


def test_deletable_key(host):
    host.bao.set_config(MOUNT, KEY, deletion_allowed=True)
    host.finds("vault-key-guard", "deletion_allowed")
    host.bao.set_config(MOUNT, KEY, deletion_allowed=False)


@contextlib.contextmanager
def key_made(host, seconds):
    """Another time of making of all versions, as far as the doctor sees it."""
    def change(path, status, body):
        answer = json.loads(body)
        keys = answer["data"]["keys"]
        answer["data"]["keys"] = {number: at + seconds for number, at in keys.items()}
        return status, json.dumps(answer).encode()
    host.proxy.rewrite(change, f"{MOUNT}/keys/")
    try:
        yield
    finally:
        host.proxy.heal()


def test_old_key(host):
    def change(config, vault):
        host.elsewhere(config, vault)
        host.through_proxy(config, vault)
    with key_made(host, -91 * 24 * 3600):
        host.finds("vault-key-age", "90 days", change=change)


# --- the daemon and its state ---------------------------------------------------------------------------


def test_key_made_anew(host):
    with key_made(host, 5):
        host.finds("vault-key-changed", "another one of that number", change=host.through_proxy)


def test_state(host):
    path = host.daemon.state_file
    path.chmod(0o640)
    host.finds("vault-state", "0640")
    path.chmod(0o600)
    content = path.read_bytes()
    path.write_bytes(b"damaged" + content)
    host.finds("vault-state", "damaged")
    path.unlink()
    host.finds("vault-state", "is gone")
    path.write_bytes(content)
    path.chmod(0o600)
    host.finds("vault-state", "cluster_id", change=lambda config, vault: vault.update(cluster_id="other"))


def test_another_epoch(host):
    host.finds("vault-key-id", host.daemon.current_key(),
               change=lambda config, vault: vault.update(epoch=1))


def test_a_daemon_that_never_came_to_serve(host):
    """It alone has a wrong credential."""
    daemon = VaultedDaemon(host.workspace, host.bao, name="starting")
    secret_id = daemon.secret_id
    daemon.write_secret_id("wrong")
    daemon.start("socket")
    daemon.wait_service(cause="login")
    good = host.workspace.write("good-secret-id", secret_id)
    def change(config, vault):
        vault["auth"]["approle"]["secret_id_file"] = str(good)
    host.finds("vault-service", "starting", change=change, daemon=daemon)
    daemon.stop()


def test_grace(host):
    """The way of the daemon alone is broken."""
    daemon = VaultedDaemon(host.workspace, host.proxy, host.bao, name="grace").start()
    host.proxy.refuse()
    try:
        daemon.wait_service(state="grace")
        host.finds("vault-grace", "nobody answers", "until", daemon=daemon,
                   change=lambda config, vault: vault.update(addresses=[host.bao.url]))
    finally:
        daemon.stop()
        host.proxy.heal()


def test_revoked_secret_id(host):
    """Its token still serves; the doctor cannot log in with what is in the file."""
    daemon = VaultedDaemon(host.workspace, host.bao, name="revoked").start()
    host.bao.revoke_secret_id(daemon.role, daemon.secret_id)
    host.finds("vault-login", "invalid", daemon=daemon)
    daemon.stop()


def test_versions(host):
    """A version that waits, then one that is needed and was given up."""
    slow = VaultedDaemon(host.workspace, host.bao, name="slow",
                         vault={"activation_delay": "1h"}).start()
    with Kms(host.daemon.socket) as kms:
        old = kms.encrypt()
        version = host.bao.rotate(MOUNT, KEY)
        host.daemon.wait_version(version)
        slow.wait_service(pending_version=version)
        host.finds("vault-key-pending", f"version {version}", daemon=slow)
        slow.stop()
        kms.unwrap(old)
        host.bao.set_config(MOUNT, KEY, min_decryption_version=version)
        host.daemon.wait_service(min_decryption_version=version)
        host.finds("vault-min-decryption", "decrypted 1 value", old.key_id)
        host.bao.set_config(MOUNT, KEY, min_decryption_version=1)
        host.daemon.wait_service(min_decryption_version=1)
        wait_until("all is well", lambda: host.doctor()[1] == {}, 10)


def test_seal(host):
    """A keystore that a Transit key opens: its rows, without those of the provider."""
    section = host.workspace.write("seal.yaml", to_yaml({"vault": {
        k: v for k, v in host.daemon.config["vault"].items() if k not in ("state", "cluster_id")}}))
    daemon = Daemon(host.workspace, "sealed", seals=[f"boot=vault:{section}"])

    def doctor():
        report = json.loads(Tool().run("doctor", "--config", daemon.config_path, "-o", "json").out)
        return ({row["id"]: row["result"] for row in report["checks"]},
                {row["id"] for row in report["findings"]})
    rows, found = doctor()
    vault = {name for name in rows if name.startswith("vault-")}
    assert {"vault-login", "vault-policy", "vault-key"} <= vault and "vault-state" not in vault
    assert not [name for name in found if name.startswith("vault-")], found
    assert rows["keystore-opens"] == "ok"
    host.bao.seal()
    try:
        rows, found = doctor()
        assert "vault-answers" in found and rows["keystore-opens"] == "skipped", found
    finally:
        host.bao.unseal()
