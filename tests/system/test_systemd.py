# SPDX-License-Identifier: Apache-2.0
"""The units under a real systemd: sandbox, socket activation, credentials, restarts; and the way to
get there that README.md shows."""

import json
import os
import sys

import grpc
import pytest

from parts import places
from parts.booted import Booted, install
from parts.bridge import Doorway
from parts.daemon import UnixHTTP, to_yaml
from parts.kms import Kms
from parts.process import wait_until
from parts.vaulted import CLUSTER, KEY, MOUNT, make_server

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

SERVICE = "etcdseald.service"
SOCKETS = ("etcdseald.socket", "etcdseald-status.socket")


@pytest.fixture
def system(workspace):
    """As after an installation, before there is a keystore."""
    installed = workspace.folder("installed", 0o755)
    install(places.our_program("etcdseald").parents[1], installed)
    booted = Booted(workspace, installed)
    booted.run("systemd-sysusers", "etcdseal.conf")
    booted.run("systemd-tmpfiles", "--create", "etcdseal.conf")
    booted.run("cp", "/usr/share/doc/etcdseal/etcdseald.yaml", "/etc/etcdseal/etcdseald.yaml")
    return booted


@pytest.fixture
def served(workspace, system):
    """With a keystore, and the service started."""
    system.run("etcdseal", "init", "--seal", "boot=file:/var/lib/etcdseal/boot.key")
    workspace.secret(system.path("/var/lib/etcdseal/boot.key").read_bytes())
    system.run("systemctl", "start", *SOCKETS, SERVICE)
    return system


def client(system):
    """From outside of its namespaces; root is root there too."""
    return Kms(system.path("/run/etcdseal/kms.sock"), timeout=10)


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_readme(workspace):
    """From the sources to a daemon that serves, by the commands of README.md on a bare host."""
    system = Booted(workspace, workspace.folder("nothing", 0o755))
    blocks = [b.text for b in markdown.blocks(places.ROOT / "README.md")
              if b.reason == "tests/system/test_systemd.py"]
    shown = [system.person(block) for block in blocks]
    assert len(shown) == 3
    assert "serving" in shown[-1]
    assert system.path("/root/keystore.backup").is_file()
    with client(system) as kms:
        assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    for unit in (SERVICE, *SOCKETS):
        assert system.show(unit, "UnitFileState") == "enabled"


def test_service(served):
    """Ready, under its own user, with every sandbox setting in force; a change by root is seen."""
    pid = int(served.show(SERVICE, "MainPID"))
    status = served.path(f"/proc/{pid}/status").read_text()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and "CapEff:\t00000000" in status
    assert served.show(SERVICE, "StatusText").startswith("unsealed")
    uid = int(served.run("id", "--user", "etcdseal"))
    assert served.path(f"/proc/{pid}").stat().st_uid in (uid, 0)
    with client(served) as kms:
        old = kms.encrypt(b"x" * 32)
        key_id = served.run("etcdseal", "key", "stage").strip()
        served.run("etcdseal", "key", "promote", key_id)
        wait_until("the new key is served", lambda: kms.status().key_id == key_id, 2)
        assert kms.unwrap(old) == kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    assert "serving" in served.run("etcdseal", "status")
    for path in served.path("/var/lib/etcdseal").iterdir():
        assert path.stat().st_uid == uid, path
    assert "denied" not in served.journal().lower()


def test_sockets_stay_over_restarts(served):
    """A connection that comes while the daemon is away waits in the socket."""
    inode = os.stat(served.path("/run/etcdseal/kms.sock")).st_ino
    for restart in (["restart", SERVICE], ["kill", "--kill-whom=main", "--signal=KILL", SERVICE], ["stop", SERVICE]):
        served.run("systemctl", *restart)
        with client(served) as kms:
            wait_until("it serves", lambda: kms.status().healthz == "ok", 15, every=0.1)
            assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    assert os.stat(served.path("/run/etcdseal/kms.sock")).st_ino == inode
    assert served.show(SERVICE, "Result") == "success"


def test_reload(served):
    served.run("sed", "-i", "$a log: { requests: false }", "/etc/etcdseal/etcdseald.yaml")
    served.run("systemctl", "reload", SERVICE)
    wait_until("it has been read", lambda: "config-reloaded" in served.journal())
    assert served.show(SERVICE, "ActiveState") == "active"


def test_a_failed_reload_shows_until_it_is_cured(served):
    """systemctl status tells what a broken file is and that the old state serves on."""
    def shows(*words):
        wait_until(f"it shows {words}", lambda: all(
            word in served.show(SERVICE, "StatusText") for word in words), 15, every=0.1)

    failed = "reload failed, generation 1 keeps serving: "
    for path, damage, words, reload in (
            ("/etc/etcdseal/etcdseald.yaml", "nonsense: 1", "unknown key 'nonsense'", True),
            ("/var/lib/etcdseal/keystore", "garbage", "damaged", False)):
        file = served.path(path)
        good = file.read_bytes()
        for content, shown in ((damage.encode(), [failed, words]), (good, ["unsealed, "])):
            file.write_bytes(content)
            if reload:
                served.run("systemctl", "reload", SERVICE)
            shows(*shown)
            with client(served) as kms:
                assert kms.status().healthz == "ok"


def test_a_daemon_that_hangs_is_replaced(served):
    """The watchdog (30 s, set to 2 here) ends it and Restart= brings a new one."""
    drop_in = served.path("/run/systemd/system/etcdseald.service.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=2s\nWatchdogSignal=SIGKILL\n")
    served.run("systemctl", "daemon-reload")
    served.run("systemctl", "restart", SERVICE)
    pid = served.show(SERVICE, "MainPID")
    served.run("kill", "-STOP", pid)
    wait_until("there is another", lambda: served.show(SERVICE, "MainPID") not in (pid, "0"), 20, 0.2)
    with client(served) as kms:
        wait_until("it serves", lambda: kms.status().healthz == "ok", 15, every=0.1)


def test_credential(system):
    """A seal that only systemd can open, and the daemon finds in its own folder."""
    system.run("etcdseal", "init", "--seal", "boot=credential:boot")
    drop_in = system.path("/run/systemd/system/etcdseald.service.d/credential.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nLoadCredentialEncrypted=boot\n")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", *SOCKETS, SERVICE)
    with client(system) as kms:
        assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    assert "credential" in system.run("etcdseal", "status")
    system.run("etcdseal", "key", "stage")  # the tool opens it by systemd-creds


def test_boot_does_not_wait_for_a_person(system):
    """No keystore: the service is started all the same, says so, and nothing is made to wait."""
    system.run("systemctl", "start", *SOCKETS, SERVICE)
    assert system.show(SERVICE, "ActiveState") == "active"
    assert system.show(SERVICE, "StatusText").startswith("sealed")
    with client(system) as kms:
        with pytest.raises(grpc.RpcError) as refused:
            kms.status()
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    http = UnixHTTP(system.path("/run/etcdseal/status.sock"))
    http.request("GET", "/readyz")
    assert http.getresponse().status == 503
    http.close()


# --- provider vault ---------------------------------------------------------------------------------

VAULT_ADDRESS, VAULT_NAME, VAULT_PORT = "10.99.0.1", "vault.test", 8200


def drop_in(system, name, *lines):
    path = system.path(f"/run/systemd/system/etcdseald.service.d/{name}.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["[Service]", *lines, ""]))
    system.run("systemctl", "daemon-reload")


def configure_vault(workspace, system, bao):
    """As docs/vault.md says: the secret id by a credential of systemd, the role id in a file."""
    role_id, secret_id = bao.approle("node", "etcdseal", token_ttl="1h")
    folder = system.path("/etc/etcdseal")
    (folder / "role-id").write_text(role_id + "\n")
    (folder / "vault-ca.pem").write_bytes(bao.ca.pem)
    (folder / "secret-id").write_text(secret_id + "\n")
    (folder / "secret-id").chmod(0o600)  # root's: systemd hands it over
    (folder / "etcdseald.yaml").write_text(to_yaml({"provider": "vault", "vault": {
        "addresses": [f"https://{VAULT_NAME}:{VAULT_PORT}"], "ca_file": "/etc/etcdseal/vault-ca.pem",
        "mount": MOUNT, "key": KEY, "cluster_id": CLUSTER, "poll": "1s", "stability": "0s",
        "activation_delay": "5s", "auth": {"approle": {
            "role_id_file": "/etc/etcdseal/role-id",
            "secret_id_file": "credential:vault-secret-id"}}}}))
    drop_in(system, "secret", "LoadCredential=vault-secret-id:/etc/etcdseal/secret-id")


def key_service(system):
    text = system.run("etcdseal", "status", "-o", "json", check=False)  # exit code 3 while sealed
    return json.loads(text)["provider"]["key_service"]


def doctor_of_vault(system):
    """Rows that are not ok, and the results of all. The doctor is root, outside of the sandbox, with the unit's credential."""
    report = json.loads(system.run("etcdseal", "doctor", "-o", "json", check=False))
    rows = {row["id"]: row["result"] for row in report["checks"] if row["id"].startswith("vault-")}
    return {name for name, result in rows.items() if result != "ok"}, rows


def test_provider_vault(workspace, system):
    """Under the shipped unit: nobody waits for a server that the sandbox shuts off; let through as
    docs/vault.md says it serves by name, and after a restart too."""
    let_through, begin = [b.text for b in markdown.blocks(places.ROOT / "docs" / "vault.md")
                          if b.reason == "tests/system/test_systemd.py"]
    bao = make_server(workspace)
    bao.write_certificate(*bao.ca.issue("openbao", hosts=("127.0.0.1", VAULT_NAME)))
    bao.reload()
    system.run("ip", "address", "add", f"{VAULT_ADDRESS}/32", "dev", "lo")
    with open(system.path("/etc/hosts"), "a") as hosts:
        hosts.write(f"{VAULT_ADDRESS} {VAULT_NAME}\n")
    configure_vault(workspace, system, bao)
    with Doorway(system.pid, (VAULT_ADDRESS, VAULT_PORT), bao.port):
        system.run("systemctl", "start", *SOCKETS, SERVICE)
        assert system.show(SERVICE, "ActiveState") == "active"
        shown = key_service(system)
        assert (shown["state"], shown["cause"]) in (("starting", "connect"), ("starting", "timeout"))
        _, rows = doctor_of_vault(system)
        assert rows["vault-login"] == "ok" and rows["vault-service"] == "error", rows
        system.person(let_through)
        assert "serving" in system.person(begin)
        with client(system) as kms:
            wrapped = kms.encrypt(b"x" * 32)
            assert kms.unwrap(wrapped) == b"x" * 32
            other, rows = doctor_of_vault(system)
            assert rows["vault-key-id"] == "ok" and other == set(), rows
            system.run("systemctl", "restart", SERVICE)
            wait_until("it serves again", lambda: kms.unwrap(wrapped) == b"x" * 32, 20, every=0.1)
    uid = int(system.run("id", "--user", "etcdseal"))
    assert system.path("/var/lib/etcdseal/vault-keks").stat().st_uid == uid
    assert "denied" not in system.journal().lower()


def test_order(system):
    for unit in (SERVICE, "etcdseald.socket"):
        before = system.show(unit, "Before").split()
        assert {"kubelet.service", "k3s.service", "rke2-server.service"} <= set(before)
