# SPDX-License-Identifier: Apache-2.0
"""What a fault of the key service means for the API server: the behaviour table, row by row, with a
real OpenBao. Whatever a real server can be made to do is done to it; the rest is done on the way."""

import concurrent.futures
import contextlib
import functools
import json
from dataclasses import dataclass

import grpc
import pytest

from parts.certs import Ca
from parts.faults import FaultProxy
from parts.kms import Kms, check_refused
from parts.process import wait_until
from parts.openbao import OpenBao
from parts.vaulted import KEY, MOUNT, POLICY, VaultedDaemon, prepare

MODES = ("hierarchy", "direct")
IN_GRACE = {"hierarchy": "ok", "direct": "the key service cannot be used"}  # what Status says

# Keys of the server that are of no use, and how they are made.
UNFIT = {"rsa": {"type": "rsa-2048"}, "ed": {"type": "ed25519"}, "derived": {"derived": True}}
POLICIES = "".join(POLICY.replace(KEY, key) for key in (KEY, *UNFIT))

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DENIED = grpc.StatusCode.PERMISSION_DENIED
LATE = grpc.StatusCode.DEADLINE_EXCEEDED
STATE = grpc.StatusCode.FAILED_PRECONDITION


class Node:
    """A daemon with a connection to it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.mode = daemon.config["vault"]["mode"]
        self.kms = Kms(daemon.socket)
        self.key_id = self.known = self.unknown = self.failures = None

    def failed(self):
        return [event["cause"] for event in self.daemon.events("keys-failed")]

    def wait(self, **values):
        return self.daemon.wait_service(**values)


class World:
    """Of each mode: a `patient` node that refusals stop and an outage does not, a `brief` one with two
    seconds of grace for both, all through `proxy`; and another node, whose KEK changes."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.bao = OpenBao(workspace)
        prepare(self.bao)
        self.bao.write_policy("etcdseal", POLICIES)
        self.proxy = FaultProxy(workspace, self.bao)
        self.patient = [self.node("patient", mode, offline_grace="1h") for mode in MODES]
        self.brief = [self.node("brief", mode, offline_grace="2s", on_refused="grace")
                      for mode in MODES]
        self.others = {mode: self.node("other", mode, server=self.bao) for mode in MODES}
        self.pool = concurrent.futures.ThreadPoolExecutor(16)

    def node(self, name, mode, server=None, wait="ready", **vault):
        daemon = VaultedDaemon(self.workspace, server or self.proxy, self.bao, f"{name}-{mode}",
                               {"mode": mode} | vault)
        return Node(daemon.start(wait))

    @property
    def nodes(self):
        return self.patient + self.brief

    def all(self, *calls):
        """Side by side: some take their whole three seconds."""
        for done in [self.pool.submit(call) for call in calls]:
            done.result(30)

    def begin(self):
        """Every node serves, has unwrapped one value of another node, and does not know the KEK of a
        second one."""
        for other in self.others.values():
            other.wait(state="serving", cause="none")
        known = {mode: other.kms.encrypt() for mode, other in self.others.items()}
        other = self.others["hierarchy"].daemon
        other.stop()
        other.state_file.unlink()
        other.start()
        for node in self.nodes:
            node.wait(state="serving", cause="none")
            node.key_id = node.kms.status().key_id
            node.known = known[node.mode]
            node.kms.unwrap(node.known)
            node.unknown = self.others[node.mode].kms.encrypt()
            node.failures = len(node.failed())


@pytest.fixture(scope="module")
def world(module_workspace):
    return World(module_workspace)


# --- faults ---------------------------------------------------------------------------------------------


def rewritten(status, body=b"", headers=None, length=None):
    """All answers are these, or their bodies end after `length` bytes."""
    @contextlib.contextmanager
    def fault(world):
        if length is None:
            world.proxy.rewrite(lambda *_: (status, body, headers or {}))
        else:
            world.proxy.cut(length)
        yield
        world.proxy.heal()
    return fault


def errors(text):
    return json.dumps({"errors": [text]}).encode()


@contextlib.contextmanager
def gone(world):
    world.proxy.refuse()
    yield
    world.proxy.heal()


@contextlib.contextmanager
def sealed(world):
    world.bao.seal()
    yield
    world.bao.unseal()


@contextlib.contextmanager
def standby(world):
    """Following it would lead to a server that works."""
    to = {"Location": f"{world.bao.url}/v1/{MOUNT}/keys/{KEY}"}
    with rewritten(307, b"", to)(world):
        yield


@contextlib.contextmanager
def over_quota(world):
    quota = "sys/quotas/rate-limit/transit"
    world.bao.api("POST", quota, {"path": f"{MOUNT}/", "rate": 0.001})
    yield
    world.bao.api("DELETE", quota)


@contextlib.contextmanager
def slow(world):
    world.proxy.delay(5)
    yield
    world.proxy.heal()


def shown(make):
    @contextlib.contextmanager
    def fault(world):
        world.proxy.present(make(world.bao.ca))
        yield
        world.proxy.present()
    return fault


@contextlib.contextmanager
def credential_revoked(world):
    for node in world.nodes:
        world.bao.revoke_secret_id(node.daemon.role, node.daemon.secret_id)
    revoke_tokens(world)
    yield
    for node in world.nodes:
        node.daemon.write_secret_id(world.bao.secret_id(node.daemon.role))


def revoke_tokens(world):
    world.bao.api("POST", "sys/leases/revoke-prefix/auth/approle/login", {"sync": True})


@contextlib.contextmanager
def policy_removed(world):
    world.bao.api("DELETE", "sys/policies/acl/etcdseal")
    yield
    world.bao.write_policy("etcdseal", POLICIES)


def remount(world, old, new):
    moved = world.bao.api("POST", "sys/remount", {"from": old, "to": new})["data"]["migration_id"]
    wait_until("the engine has moved", lambda: world.bao.api("GET", f"sys/remount/status/{moved}")[
        "data"]["migration_info"]["status"] == "success")


@contextlib.contextmanager
def mount_moved(world):
    remount(world, MOUNT, "elsewhere")
    yield
    remount(world, "elsewhere", MOUNT)


@contextlib.contextmanager
def key_deleted(world):
    """For good; it comes back from a backup, as on a server that was restored."""
    bao = world.bao
    bao.set_config(MOUNT, KEY, exportable=True, allow_plaintext_backup=True, deletion_allowed=True)
    backup = bao.api("GET", f"{MOUNT}/backup/{KEY}")["data"]["backup"]
    bao.api("DELETE", f"{MOUNT}/keys/{KEY}")
    yield
    bao.api("POST", f"{MOUNT}/restore/{KEY}", {"backup": backup})


@contextlib.contextmanager
def soft_deleted(world):
    world.bao.api("DELETE", f"{MOUNT}/keys/{KEY}/soft-delete")
    yield
    world.bao.api("POST", f"{MOUNT}/keys/{KEY}/soft-delete-restore", {})


# --- the table ------------------------------------------------------------------------------------------


@dataclass
class Row:
    """`code`: of calls that ask the service."""
    name: str
    fault: callable
    cause: str
    code: grpc.StatusCode = UNAVAILABLE

    @property
    def is_refused(self):
        return self.code == DENIED

    @property
    def stopped_code(self):
        """Of all calls, once nothing is served any more."""
        return DENIED if self.is_refused else UNAVAILABLE


ROWS = (
    Row("gone", gone, "connect"),
    Row("sealed", sealed, "sealed"),
    Row("standby-without-forwarding", standby, "standby"),
    Row("rate-limit", over_quota, "rate-limit"),
    Row("500", rewritten(500, errors("internal error")), "server-error"),
    Row("502-of-a-proxy", rewritten(502, b"<html>Bad Gateway</html>"), "server-error"),
    Row("slow", slow, "timeout", LATE),
    Row("unknown-ca", shown(lambda ca: Ca("other").issue("fault-proxy")), "tls"),
    Row("wrong-name", shown(lambda ca: ca.issue("x", hosts=["other.example"])), "tls"),
    Row("expired-certificate", shown(lambda ca: ca.issue("x", days=(-2, -1))), "tls"),
    Row("not-json", rewritten(200, b"<html>Welcome</html>"), "bad-answer"),
    Row("too-large", rewritten(200, b'{"data": "' + b"x" * (2 << 20) + b'"}'), "bad-answer"),
    Row("cut-off", rewritten(200, length=20), "bad-answer"),
    Row("403-of-a-proxy", rewritten(403, b"<html>Forbidden</html>"), "bad-answer"),
    Row("credential-revoked", credential_revoked, "login"),
    Row("policy-removed", policy_removed, "policy", DENIED),
    Row("no-mount", mount_moved, "no-mount", DENIED),
    Row("no-key", key_deleted, "no-key", DENIED),
    Row("soft-deleted", soft_deleted, "key-deleted", DENIED),
)


def marked(row):
    sanitized = row.name in ("gone", "not-json", "too-large", "credential-revoked")
    return pytest.param(row, id=row.name, marks=pytest.mark.sanitizer if sanitized else ())


def check_shown(node, state, row):
    """Status page, metric and log name the case."""
    service = node.wait(state=state, cause=row.cause)
    assert service["meaning"] and service["cure"]
    sample = f'etcdseal_key_service_state{{state="{state}",cause="{row.cause}"}}'
    assert node.daemon.metrics()[sample] == 1
    told = node.failed()[node.failures:]
    assert any(f"({row.cause}): {service['cure']}" in text for text in told), told


def check_in_grace(world, node, row):
    check_shown(node, "grace", row)
    assert node.daemon.service()["grace_ends_at"]
    status = node.kms.status()
    assert (status.key_id, status.healthz) == (node.key_id, IN_GRACE[node.mode])
    asks = [(node.kms.unwrap, node.unknown)]
    if node.mode == "hierarchy":
        assert node.kms.encrypt().key_id == node.key_id
        node.kms.unwrap(node.known)
    else:
        asks += [(node.kms.encrypt,), (node.kms.unwrap, node.known)]
    world.all(*(functools.partial(check_refused, row.code, *ask) for ask in asks))


def check_stopped(node, row):
    """Nothing is served: Status is an error, which is what stops writes."""
    check_shown(node, "stopped", row)
    service = node.daemon.service()
    assert service["keks_cached"] == 0 and service["kek_created_at"] is None
    check_serves_nothing(node, row.stopped_code)


def check_serves_nothing(node, code):
    for call in (node.kms.status, node.kms.encrypt, lambda: node.kms.unwrap(node.known),
                 lambda: node.kms.unwrap(node.unknown)):
        check_refused(code, call)
    assert node.daemon.http("/readyz")[0] == 503 and node.daemon.http("/livez")[0] == 200


def check_recovered(node):
    """By itself, with the same key id and all values."""
    node.wait(state="serving", cause="none")
    status = node.kms.status()
    assert (status.key_id, status.healthz) == (node.key_id, "ok")
    node.kms.unwrap(node.kms.encrypt())
    node.kms.unwrap(node.known)
    node.kms.unwrap(node.unknown)
    assert node.daemon.process.is_alive


@pytest.mark.parametrize("row", map(marked, ROWS))
def test_row(world, row):
    world.begin()
    with row.fault(world):
        for node in world.patient:
            check_in_grace(world, node, row)
        for node in world.brief:
            check_stopped(node, row)
        if row.is_refused:
            for node in world.patient:
                check_stopped(node, row)
    for node in world.nodes:
        check_recovered(node)


# --- rows of another form -------------------------------------------------------------------------------


def test_restarted_while_it_is_away(world):
    """No KEK is on disk in a form that opens without the service: no reads in either mode."""
    world.begin()
    world.proxy.refuse()
    for node in world.patient:
        node.daemon.stop()
        node.daemon.start(wait="socket")
        node.wait(state="starting", cause="connect")
        check_serves_nothing(node, UNAVAILABLE)
        sample = 'etcdseal_key_service_state{state="starting",cause="connect"}'
        assert node.daemon.metrics()[sample] == 1
        assert node.daemon.wait_event("keys-failed")["serving"] == "nothing"
    world.proxy.heal()
    for node in world.patient:
        check_recovered(node)


@pytest.mark.parametrize("mode", MODES)
def test_not_there_at_first_start(world, mode):
    world.proxy.refuse()
    node = world.node("first", mode, wait="socket")
    node.wait(state="starting", cause="connect")
    check_refused(UNAVAILABLE, node.kms.status)
    check_refused(UNAVAILABLE, node.kms.encrypt)
    assert not node.daemon.state_file.exists()
    world.proxy.heal()
    node.daemon.wait_ready()
    node.kms.unwrap(node.kms.encrypt())
    node.daemon.stop()


@pytest.mark.sanitizer
def test_a_token_that_ended_early(world):
    """403, and a fresh login helps: nobody notices."""
    world.begin()
    logins = [node.daemon.service()["logins"] for node in world.patient]
    for turn in range(3):
        revoke_tokens(world)
        for node, before in zip(world.patient, logins):
            assert node.kms.status().healthz == "ok"
            node.kms.unwrap(node.kms.encrypt())
            node.kms.unwrap(node.known)
            # Else the next turn may take the new token away before it was used, which is no expiry.
            wait_until("it has logged in", lambda: node.daemon.service()["logins"] > before + turn)
    for node, before in zip(world.patient, logins):
        assert len(node.failed()) == node.failures
        assert node.daemon.service()["state"] == "serving"
        assert node.daemon.service()["logins"] <= before + 3


def test_a_ciphertext_of_another_version(world):
    """What mode hierarchy asks to encrypt is a new KEK, so it notices at its next one; the key id
    that was told stays in force."""
    world.begin()
    hierarchy, direct = world.patient

    def other_version(path, status, body):
        answer = json.loads(body)
        answer["data"]["key_version"] += 1
        return status, json.dumps(answer).encode()

    world.proxy.rewrite(other_version, path="/encrypt/")
    direct.wait(state="grace", cause="bad-answer")
    check_refused(UNAVAILABLE, direct.kms.encrypt)
    direct.kms.unwrap(direct.known)
    version = hierarchy.daemon.service()["key_version"]
    assert world.bao.rotate(MOUNT, KEY) == version + 1
    hierarchy.wait(state="grace", cause="bad-answer", key_version=version)
    assert hierarchy.kms.encrypt().key_id == hierarchy.kms.status().key_id == hierarchy.key_id
    world.proxy.heal()
    for node in world.patient:
        node.wait(state="serving", key_version=version + 1)
        node.kms.unwrap(node.known)
        assert node.kms.status().key_id == node.kms.encrypt().key_id != node.key_id


def test_a_key_that_is_of_no_use(world):
    for name, how in UNFIT.items():
        world.bao.make_key(MOUNT, name, **how)
        node = world.node(name, "hierarchy", wait="socket", key=name)
        node.wait(state="starting", cause="key-type")
        check_refused(DENIED, node.kms.status)
        check_refused(DENIED, node.kms.encrypt)
        assert "aes256-gcm96" in node.daemon.wait_event("keys-failed")["cause"]
        node.daemon.stop()


def test_min_decryption_version_above_what_is_stored(world):
    """Only what is stored under older versions goes: a KEK of theirs too, once the server has said
    so three times."""
    world.begin()
    version = world.bao.rotate(MOUNT, KEY)
    for node in world.patient:
        node.wait(key_version=version)
    world.bao.set_config(MOUNT, KEY, min_decryption_version=version)
    for node in world.patient:
        node.wait(min_decryption_version=version, state="serving", cause="none")
        check_refused(STATE, node.kms.unwrap, node.unknown)
        wait_until("the known one is refused too", lambda: refuses(STATE, node, node.known), 10)
        assert node.kms.status().healthz == "ok"
        node.kms.unwrap(node.kms.encrypt())
        told = node.daemon.wait_event("request", code="FAILED_PRECONDITION")
        assert "lower min_decryption_version" in told["cause"]
        assert node.daemon.service()["state"] == "serving"
    world.bao.set_config(MOUNT, KEY, min_decryption_version=1)
    for node in world.patient:
        node.wait(min_decryption_version=1)
        node.kms.unwrap(node.known)
        node.kms.unwrap(node.unknown)


def refuses(code, node, wrapped):
    try:
        node.kms.unwrap(wrapped)
        return False
    except grpc.RpcError as error:
        return error.code() == code
