# SPDX-License-Identifier: Apache-2.0
"""OpenBao, its cluster, its proxy and the faults between do what tests against them take for granted."""

import http.client
import json
import ssl
import time

import pytest

from parts.faults import FaultProxy
from parts.openbao import BaoError, OpenBao, OpenBaoCluster, Proxy
from parts.process import wait_until

POLICY = 'path "transit/encrypt/kms" { capabilities = ["update"] }'
ENCRYPT = "transit/encrypt/kms"
TEXT = {"plaintext": "eA=="}


def with_key(server):
    server.enable_transit()
    server.make_key("transit", "kms")
    return server


@pytest.fixture
def bao(workspace):
    made = with_key(OpenBao(workspace, audit=True))
    made.write_policy("encrypts", POLICY)
    return made


def check_raises(status, words, call, *args, **options):
    with pytest.raises(BaoError) as caught:
        call(*args, **options)
    assert caught.value.status == status and words in str(caught.value.answer), caught.value


# --- one node -----------------------------------------------------------------------------------------


def test_transit(bao):
    assert not bao.calls()
    made = bao.encrypt("transit", "kms", b"seed", b"context")
    assert made["key_version"] == 1 and made["ciphertext"].startswith("vault:v1:")
    assert bao.decrypt("transit", "kms", made["ciphertext"], b"context") == b"seed"
    check_raises(400, "message authentication failed", bao.decrypt, "transit", "kms",
                 made["ciphertext"], b"other context")

    assert bao.rotate("transit", "kms") == 2
    assert bao.encrypt("transit", "kms", b"seed")["key_version"] == 2
    assert bao.encrypt("transit", "kms", b"seed", key_version=1)["key_version"] == 1
    bao.set_config("transit", "kms", min_decryption_version=2)
    check_raises(400, "too old", bao.decrypt, "transit", "kms", made["ciphertext"], b"context")

    # Refused calls count, ours as root do not.
    token = bao.token("encrypts")
    for _ in range(3):
        bao.encrypt("transit", "kms", b"seed", token=token)
    bao.call("GET", "transit/keys/kms", token=token)
    bao.call("POST", ENCRYPT, TEXT, token="s.unknown")
    assert bao.calls() == {ENCRYPT: 4, "transit/keys/kms": 1}


def test_seal_and_restart(bao):
    made = bao.encrypt("transit", "kms", b"seed")["ciphertext"]
    bao.seal()
    assert bao.health() == 503
    assert bao.call("POST", ENCRYPT, TEXT) == (503, {"errors": ["Vault is sealed"]})
    bao.unseal()
    bao.kill()
    with pytest.raises(ConnectionRefusedError):
        bao.call("GET", "sys/health")
    bao.start()
    assert bao.health() == 503
    bao.unseal()
    assert bao.decrypt("transit", "kms", made) == b"seed"

    bao.pause()
    with pytest.raises(TimeoutError):
        bao.call("POST", ENCRYPT, TEXT, timeout=0.3)
    bao.resume()
    assert bao.health() == 200

    expired = bao.ca.issue("openbao", days=(-2, -1))
    bao.write_certificate(*expired)
    bao.reload()
    wait_until("the certificate has changed", lambda: shows_expired(bao), 10)


def shows_expired(server):
    try:
        server.health()
    except ssl.SSLCertVerificationError as error:
        return "expired" in str(error)
    return False


def test_logins(workspace, bao):
    role_id, secret_id = bao.approle("node", "encrypts", token_ttl="30s")
    jwt = bao.jwt_role("node", "encrypts").jwt()
    bao.cert_role("node", "encrypts")
    client = workspace.write("client.pem", b"".join(bao.ca.issue("etcdseald")))
    tokens = [bao.login("approle", role_id=role_id, secret_id=secret_id),
              bao.login("jwt", role="node", jwt=jwt), bao.login("cert", client=client, name="node"),
              bao.token("encrypts", "30s")]
    for token in tokens:
        bao.encrypt("transit", "kms", b"seed", token=token)
        check_raises(403, "permission denied", bao.api, "GET", "transit/keys/kms", token=token)

    check_raises(400, "", bao.login, "cert", name="node")
    check_raises(400, "", bao.login, "jwt", role="node", jwt=jwt[:-4] + "AAAA")
    bao.revoke_token(tokens[0])
    check_raises(403, "permission denied", bao.encrypt, "transit", "kms", b"seed", token=tokens[0])
    bao.revoke_secret_id("node", secret_id)
    check_raises(400, "invalid role or secret ID", bao.login, "approle", role_id=role_id,
                 secret_id=secret_id)

    wrapped = bao.secret_id("node", wrap_ttl="60s")
    secret_id = bao.api("POST", "sys/wrapping/unwrap", {}, token=wrapped)["data"]["secret_id"]
    workspace.secret(secret_id.encode())
    assert bao.login("approle", role_id=role_id, secret_id=secret_id)
    check_raises(400, "wrapping token is not valid", bao.api, "POST", "sys/wrapping/unwrap", {},
                 token=wrapped)

    proxy = Proxy(workspace, bao, role_id, secret_id)
    before = bao.calls()
    assert proxy.encrypt("transit", "kms", b"seed")["key_version"] == 1
    check_raises(403, "permission denied", proxy.api, "GET", "transit/keys/kms")
    assert bao.calls() - before == {ENCRYPT: 1, "transit/keys/kms": 1}


# --- three nodes --------------------------------------------------------------------------------------


def test_cluster(workspace):
    cluster = OpenBaoCluster(workspace, audit=True)
    leader = with_key(cluster.leader)
    leader.write_policy("encrypts", POLICY)
    token = leader.token("encrypts")
    standby, other = cluster.standbys
    wait_until("the standby knows the key", lambda: standby.encrypt("transit", "kms", b"seed"), 10)
    assert standby.health() == 429
    made = standby.encrypt("transit", "kms", b"seed", token=token)["ciphertext"]
    assert cluster.calls()[ENCRYPT] == 1
    alone = standby.call("PUT", "sys/policies/acl/more", {"policy": POLICY},
                         headers={"X-Vault-No-Request-Forwarding": "1"})
    assert alone[0] == 307

    leader.kill()
    assert cluster.leader in (standby, other)
    assert cluster.leader.decrypt("transit", "kms", made) == b"seed"
    leader.start()
    leader.unseal()
    assert leader.health() == 429
    assert leader.decrypt("transit", "kms", made) == b"seed"


# --- faults between ------------------------------------------------------------------------------------


def kept(server):
    """A function that asks over one connection, kept by both sides."""
    connection = server.connection(timeout=5)

    def ask():
        connection.request("POST", f"/v1/{ENCRYPT}", json.dumps(TEXT),
                           {"X-Vault-Token": server.root_token})
        answer = connection.getresponse()
        return answer.status, answer.read()
    return ask


def test_faults_of_the_connection(workspace, bao):
    proxy = FaultProxy(workspace, bao)
    ask = kept(proxy)
    for _ in range(5):
        assert ask()[0] == 200
    assert proxy.connections == 1 and proxy.requests == [f"POST /v1/{ENCRYPT}"] * 5

    began = time.monotonic()
    proxy.delay(1, path="encrypt")
    assert proxy.call("GET", "sys/health")[0] == 200
    assert time.monotonic() - began < 0.9
    assert ask()[0] == 200
    assert time.monotonic() - began >= 1

    proxy.hang(path="encrypt")
    with pytest.raises(TimeoutError):
        proxy.call("POST", ENCRYPT, TEXT, timeout=0.3)
    proxy.hang()
    with pytest.raises(TimeoutError):
        proxy.call("GET", "sys/health", timeout=0.3)

    proxy.heal()
    proxy.refuse()
    with pytest.raises((ConnectionError, ssl.SSLError)):
        ask()
    with pytest.raises(ConnectionRefusedError):
        proxy.call("GET", "sys/health")
    proxy.heal()
    assert kept(proxy)()[0] == 200

    for more, word in (({"hosts": ["other.example"]}, "IP address mismatch"),
                       ({"days": (-2, -1)}, "expired")):
        wrong = FaultProxy(workspace, bao, bao.ca.issue("fault-proxy", **more))
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            wrong.call("GET", "sys/health")
        assert word in str(caught.value)


def test_faults_of_the_answer(workspace, bao):
    proxy = FaultProxy(workspace, bao)
    proxy.cut(20)
    with pytest.raises((http.client.IncompleteRead, ssl.SSLEOFError)):
        kept(proxy)()
    proxy.drop()
    with pytest.raises((http.client.RemoteDisconnected, ssl.SSLEOFError)):
        kept(proxy)()

    def newer(path, status, body):
        assert path == f"/v1/{ENCRYPT}" and status == 200
        answer = json.loads(body)
        answer["data"]["key_version"] = 7
        return 200, json.dumps(answer).encode()

    proxy.rewrite(newer, path="encrypt")
    assert proxy.encrypt("transit", "kms", b"seed")["key_version"] == 7
    ask = kept(proxy)
    for status, body in ((429, b'{"errors": []}'), (500, b""), (200, b"<html>"), (200, b"x" * 10**6)):
        proxy.rewrite(lambda *_: (status, body))
        assert ask() == (status, body)
    proxy.rewrite(lambda *_: (307, b"", {"Location": "https://127.0.0.1:1/"}))
    connection = proxy.connection(timeout=5)
    connection.request("GET", "/v1/sys/health")
    assert connection.getresponse().getheader("Location") == "https://127.0.0.1:1/"
    proxy.rewrite(lambda *_: None)
    assert ask()[0] == 200
    proxy.rewrite(lambda *_: b"SSH-2.0-x\r\n")
    with pytest.raises(http.client.BadStatusLine):
        ask()
