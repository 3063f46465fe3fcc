# SPDX-License-Identifier: Apache-2.0
"""Every way to log in, with a real OpenBao: where credentials come from, what happens when they change
under a running daemon, namespaces, and several servers."""

import time

import grpc
import pytest

from parts.kms import Kms
from parts.openbao import OpenBaoCluster, Proxy
from parts.process import wait_until
from parts.vaulted import KEY, MOUNT, VaultedDaemon, make_server, prepare

MODES = ("hierarchy", "direct")
# So short that a login comes soon, and so long that there is time to look.
SHORT = {"token_ttl": "4s", "token_max_ttl": "4s"}


@pytest.fixture
def bao(workspace):
    return make_server(workspace)


def check_serves(daemon):
    with Kms(daemon.socket) as kms:
        assert kms.status().healthz == "ok"
        assert kms.unwrap(kms.encrypt(b"s" * 32)) == b"s" * 32
    service = daemon.service()
    assert (service["state"], service["login_cause"]) == ("serving", "none"), service


def wait_login(daemon, more=1):
    before = daemon.service()["logins"]
    wait_until("it logs in again", lambda: daemon.service()["logins"] >= before + more, 15,
               alive=daemon.process)


# --- AppRole --------------------------------------------------------------------------------------------


@pytest.mark.sanitizer
def test_approle_from_files(workspace, bao):
    """A new secret id is taken up at the next login, or at once when the old one is refused."""
    daemon = VaultedDaemon(workspace, bao, knobs=SHORT).start()
    check_serves(daemon)
    wait_login(daemon)
    old = daemon.secret_id
    daemon.write_secret_id(bao.secret_id(daemon.role))
    bao.revoke_secret_id(daemon.role, old)
    wait_login(daemon)
    check_serves(daemon)
    assert not daemon.events("keys-failed")
    daemon.stop()


def test_approle_from_credentials_of_systemd(workspace, bao):
    role_id, secret_id = bao.approle("node", "etcdseal", token_ttl="1h")
    folder = workspace.folder("credentials")
    workspace.write("credentials/role", role_id, 0o400)
    workspace.write("credentials/secret", secret_id, 0o400)
    auth = {"approle": {"role_id_file": "credential:role", "secret_id_file": "credential:secret"}}
    daemon = VaultedDaemon(workspace, bao, auth=auth)
    daemon.refuses_to_start(2, "credential role was not passed", "LoadCredential=role")
    daemon.start(env={"CREDENTIALS_DIRECTORY": folder})
    check_serves(daemon)


def wrapped(workspace, bao, name="etcdseald"):
    """A daemon whose secret id's file holds a wrapping token."""
    bao.approle(name, "etcdseal", **SHORT)
    role_id = bao.api("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
    auth = {"approle": {"role_id_file": str(workspace.write(f"{name}/role-id", role_id)),
                        "secret_id_file": str(workspace.path(name, "secret-id")),
                        "secret_id_wrapped": True}}
    daemon = VaultedDaemon(workspace, bao, name=name, auth=auth)
    daemon.role = name
    daemon.write_secret_id(bao.secret_id(name, wrap_ttl="60s"))
    return daemon


def test_a_wrapped_secret_id(workspace, bao):
    """It opens once, and what was in it is kept: later logins and a restart need no other one."""
    daemon = wrapped(workspace, bao).start()
    check_serves(daemon)
    wait_login(daemon)
    daemon.restart()
    check_serves(daemon)
    kept = daemon.state_file.with_name(daemon.state_file.name + ".secret-id")
    assert kept.stat().st_mode & 0o777 == 0o600
    workspace.secret(kept.read_bytes().splitlines()[2])

    workspace.path("etcdseald", "secret-id").unlink()
    daemon.restart()
    check_serves(daemon)

    daemon.write_secret_id(bao.secret_id(daemon.role, wrap_ttl="60s"))
    before = kept.read_bytes()
    wait_login(daemon)
    assert kept.read_bytes() != before, "a new wrapping token is opened"
    workspace.secret(kept.read_bytes().splitlines()[2])
    check_serves(daemon)


def test_a_wrapped_secret_id_that_somebody_else_opened(workspace, bao):
    daemon = wrapped(workspace, bao)
    stolen = bao.api("POST", "sys/wrapping/unwrap", {}, token=daemon.secret_id)["data"]["secret_id"]
    workspace.secret(stolen.encode())
    daemon.start(wait="socket")
    daemon.wait_service(state="starting", cause="wrapping-used", login_cause="wrapping-used")
    told = daemon.wait_event("keys-failed")["cause"]
    assert "unwrapped before, maybe by a thief" in told and "revoke that secret id" in told
    assert daemon.metrics()['etcdseal_key_service_login{cause="wrapping-used"}'] == 1
    daemon.write_secret_id(bao.secret_id(daemon.role, wrap_ttl="60s"))
    daemon.wait_ready()
    check_serves(daemon)


# --- the others -----------------------------------------------------------------------------------------


def client_files(workspace, ca, name="client"):
    """Replaced as a renewal of certificates does it."""
    pem, key = ca.issue(name)
    workspace.secret(key)
    paths = [workspace.write(f"login/{what}.new", data) for what, data in
             (("client.crt", pem), ("client.key", key))]
    return [str(path.rename(path.with_suffix(""))) for path in paths]


@pytest.mark.sanitizer
def test_certificate(workspace, bao):
    bao.cert_role("node", "etcdseal", **SHORT)
    cert, key = client_files(workspace, bao.ca)
    auth = {"cert": {"cert_file": cert, "key_file": key, "role": "node"}}
    daemon = VaultedDaemon(workspace, bao, auth=auth).start()
    check_serves(daemon)
    wait_login(daemon)
    client_files(workspace, bao.ca, "renewed")
    wait_login(daemon)
    check_serves(daemon)
    assert not daemon.events("keys-failed")


@pytest.mark.sanitizer
def test_jwt(workspace, bao):
    """Read anew for each login: what puts it there replaces it before it ends."""
    issuer = bao.jwt_role("node", "etcdseal", **SHORT)
    path = workspace.write("login/jwt", issuer.jwt(seconds=5))
    auth = {"jwt": {"role": "node", "file": str(path)}}
    daemon = VaultedDaemon(workspace, bao, auth=auth).start()
    check_serves(daemon)
    workspace.write("login/jwt", issuer.jwt(seconds=600))
    wait_login(daemon, 3)
    check_serves(daemon)
    assert not daemon.events("keys-failed")

    workspace.write("login/jwt", issuer.jwt(seconds=-600))
    daemon.wait_service(state="grace", cause="login")
    workspace.write("login/jwt", issuer.jwt(seconds=600))
    daemon.wait_service(state="serving", cause="none")
    check_serves(daemon)


@pytest.mark.parametrize("mode", MODES)
def test_token_file(workspace, bao, mode):
    """One that is replaced is used from then on, before the old one ends."""
    path = workspace.write("login/token", bao.token("etcdseal", ttl="1h"))
    daemon = VaultedDaemon(workspace, bao, vault={"mode": mode},
                           auth={"token": {"file": str(path)}}).start()
    check_serves(daemon)
    old = path.read_text()
    workspace.write("login/token.new", bao.token("etcdseal", ttl="1h")).rename(path)
    wait_login(daemon)
    bao.revoke_token(old)
    check_serves(daemon)
    assert not daemon.events("keys-failed")

    bao.revoke_token(path.read_text())
    daemon.wait_service(state="grace")
    workspace.write("login/token.new", bao.token("etcdseal", ttl="1h")).rename(path)
    daemon.wait_service(state="serving")
    check_serves(daemon)
    token = path.read_text()
    daemon.stop()
    assert bao.api("GET", "auth/token/lookup-self", token=token), "it is not ours to end"


def test_a_token_file_that_others_may_read(workspace, bao):
    path = workspace.write("login/token", bao.token("etcdseal"), 0o644)
    daemon = VaultedDaemon(workspace, bao, auth={"token": {"file": str(path)}}).start(wait="socket")
    daemon.wait_service(state="starting", cause="credential-file")
    assert str(path) in daemon.wait_event("keys-failed")["cause"]
    path.chmod(0o600)
    daemon.wait_ready()
    check_serves(daemon)


@pytest.mark.parametrize("mode", MODES)
def test_a_proxy_on_a_unix_socket(workspace, bao, mode):
    """It logs in; the daemon has no credential at all."""
    proxy = Proxy(workspace, bao, *bao.approle("proxy", "etcdseal", token_ttl="1h"))
    daemon = VaultedDaemon(workspace, bao, auth={"none": {}},
                           vault={"addresses": [f"unix:{proxy.socket}"], "mode": mode}).start()
    check_serves(daemon)
    assert daemon.service()["logins"] == 0
    proxy.process.stop()
    daemon.wait_service(state="grace", cause="connect")


def test_a_namespace(workspace, bao):
    """Mount, key, policy and login of a namespace; the same names outside are others."""
    bao.api("PUT", "sys/namespaces/team", {})
    root = VaultedDaemon(workspace, bao, name="root").start()
    bao.namespace = "team"
    prepare(bao)
    daemon = VaultedDaemon(workspace, bao, name="team", vault={"namespace": "team"}).start()
    check_serves(daemon)
    with Kms(daemon.socket) as kms, Kms(root.socket) as other:
        assert bao.rotate(MOUNT, KEY) == 2
        daemon.wait_version(2)
        assert root.service()["key_version"] == 1
        assert kms.status().key_id != other.status().key_id
    daemon.stop()

    wrong = VaultedDaemon(workspace, bao, name="wrong", vault={"namespace": "nowhere"})
    wrong.start(wait="socket")
    wrong.wait_service(state="starting", login_cause="login")


# --- several servers ------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_the_leader_dies(workspace, mode):
    """All servers are listed: mode hierarchy serves on without one failed call; in mode direct calls
    fail while there is no leader, and no longer."""
    cluster = OpenBaoCluster(workspace)
    leader = cluster.leader
    prepare(leader)
    daemon = VaultedDaemon(workspace, leader, vault={
        "mode": mode, "addresses": [node.url for node in cluster.nodes]})
    wait_until("the standbys know the role", lambda: all(
        node.api("GET", f"auth/approle/role/{daemon.role}") for node in cluster.nodes))
    daemon.start()
    with Kms(daemon.socket) as kms:
        kept = kms.encrypt()
        leader.kill()
        began, elected, failed = time.monotonic(), None, []
        while elected is None or time.monotonic() - elected < 5:
            now = time.monotonic()
            if elected is None and any(node.health() == 200 for node in cluster.nodes
                                       if node is not leader):
                elected = now
            try:
                assert kms.status().key_id == kept.key_id
                kms.unwrap(kms.encrypt())
                kms.unwrap(kept)
            except grpc.RpcError:
                failed.append(time.monotonic())
            time.sleep(0.02)
    assert mode == "direct" or not failed
    assert all(at < elected + 1 for at in failed), [at - elected for at in failed]
    daemon.wait_service(state="serving", cause="none")
    check_serves(daemon)
    print(f"mode {mode}: a new leader after {elected - began:.1f} s; {len(failed)} rounds of calls failed, "
          f"the last one {max(failed, default=began) - began:.1f} s after the old one was killed")
