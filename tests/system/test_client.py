# SPDX-License-Identifier: Apache-2.0
"""The API server's own KMS code (k8s.io/apiserver of three releases) against our socket."""

import json

import pytest

from parts import places
from parts.client import VERSIONS, Client, KeyChange, b64
from parts.daemon import Daemon
from parts.kms import Kms
from parts.process import wait_until

PATH = "/registry/secrets/default/x"


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


def test_ten_thousand_objects(version, daemon):
    """One seed for all of them: a handful of calls."""
    config = daemon.write_encryption_config()
    found = Client(version).ok("roundtrip", config=config, count=10000)
    assert found["key_ids"] == [daemon.tool.primary()]
    assert found["calls"]["Encrypt"] == {"OK": 2} and found["calls"]["Decrypt"] == {"OK": 1}


def test_second_suite(version, daemon):
    key_id = daemon.tool.stage("--suite", "kbkdf-aes-256-gcm")
    daemon.tool.promote(key_id)
    daemon.wait_key(key_id)
    config = daemon.write_encryption_config()
    found = Client(version).ok("roundtrip", config=config, count=100)
    assert found["key_ids"] == [key_id]


def test_hundred_at_once(version, idle_daemon):
    """A hundred API servers: each has a connection of its own."""
    idle_daemon.config["socket"]["connections_max"] = 256
    idle_daemon.write_config()
    daemon = idle_daemon.start()
    config = daemon.write_encryption_config()
    found = Client(version).ok("concurrent", config=config, workers=100, count=50)
    assert (found["count"], found["stale"]) == (5000, 0)


def test_key_change_and_staleness(version, workspace, daemon):
    """A change makes stored values stale, once; they can still be read; new ones are fresh."""
    config = daemon.write_encryption_config()
    out = workspace.path("values")
    client = Client(version)
    first = client.ok("write", config=config, count=100, out=out)["key_ids"]
    client.ok("read", config=config, **{"in": out, "expect-stale": "false"})
    staged = daemon.tool.stage()
    client.ok("read", config=config, **{"in": out, "expect-stale": "false"})
    daemon.tool.promote(staged)
    daemon.wait_key(staged)
    found = client.ok("read", config=config, **{"in": out, "expect-stale": "true"})
    assert found["stale"] == 100 and found["key_ids"] == first
    assert client.ok("write", config=config, count=100, out=out)["key_ids"] == [staged]
    client.ok("read", config=config, **{"in": out, "expect-stale": "false"})


def test_running_client_sees_a_key_change(version, daemon):
    """By its own probe, in at most its 20 s of memory; until then it goes on with the old seed."""
    with KeyChange(version, daemon.write_encryption_config()) as api:
        assert api.opened["ok"], api.opened
        first, value = api.write(PATH)
        second = daemon.tool.rotate()
        assert api.read(PATH, value) is False
        wait_until("its probe sees the new key",
                   lambda: api.is_healthy() and api.write(PATH)[0] == second, 30, every=0.5)
        assert api.read(PATH, value) is True
        assert api.write(PATH)[0] == second != first


def test_config_reload_sees_a_key_change(version, daemon):
    with KeyChange(version, daemon.write_encryption_config()) as api:
        _, value = api.write(PATH)
        second = daemon.tool.rotate()
        daemon.wait_key(second)
        api.ok("reload")
        assert api.write(PATH)[0] == second
        assert api.read(PATH, value) is True


def test_plugin_restart(version, daemon):
    with KeyChange(version, daemon.write_encryption_config()) as api:
        _, value = api.write(PATH)
        daemon.restart()
        api.ok("reload")  # empty caches: it must ask
        assert api.read(PATH, value) is False
        api.write(PATH)


def test_plugin_gone_for_a_while(version, daemon):
    """What is cached is read, and written for three minutes."""
    with KeyChange(version, daemon.write_encryption_config()) as api:
        _, value = api.write(PATH)
        daemon.kill()
        assert api.read(PATH, value) is False
        api.write(PATH)
        daemon.start()
        wait_until("its check is good", api.is_healthy, 40, every=0.5)
        assert api.read(PATH, value) is False


def test_plugin_starts_late(version, idle_daemon):
    config = idle_daemon.write_encryption_config()
    with KeyChange(version, config, wait="0s") as api:
        assert not api.opened["ok"]
        idle_daemon.start()
        wait_until("it has found the plugin", api.is_healthy, 60, every=0.5)
        _, value = api.write(PATH)
        assert api.read(PATH, value) is False


def test_writes_stop_when_the_keys_are_gone(version, workspace, daemon):
    """Fail closed: a sealed daemon answers Status with an error, so the client's write window of
    three minutes runs out. (The clock of its window is moved.)"""
    with KeyChange(version, daemon.write_encryption_config()) as api:
        _, value = api.write(PATH)
        daemon.stop()
        daemon.key_file.rename(workspace.path("hidden.key"))
        daemon.start(wait="socket")
        wait_until("its check is bad", lambda: not api.is_healthy(), 40, every=0.5)
        api.ok("clock", "4m")
        refused = api.tell("write", PATH)
        assert not refused["ok"], "it still writes"
        assert api.read(PATH, value) is False, "what is cached can be read"
        workspace.path("hidden.key").rename(daemon.key_file)
        daemon.reload()
        daemon.wait_ready(40)
        wait_until("its check is good", api.is_healthy, 40, every=0.5)
        api.ok("clock", "-4m")
        api.write(PATH)


def test_errors_as_the_client_sees_them(version, daemon):
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
    key_id, good = wrapped.key_id, b64(wrapped.ciphertext)
    forged = b64(bytes([*wrapped.ciphertext[:-1], wrapped.ciphertext[-1] ^ 1]))
    requests = [
        ({"method": "Status"}, "OK"),
        ({"method": "Encrypt", "plaintext": b64(b"x" * 32), "uid": "u"}, "OK"),
        ({"method": "Decrypt", "ciphertext": good, "key_id": key_id}, "OK"),
        ({"method": "Encrypt"}, "InvalidArgument"),
        ({"method": "Encrypt", "plaintext": b64(bytes(257))}, "InvalidArgument"),
        ({"method": "Decrypt", "ciphertext": forged, "key_id": key_id}, "InvalidArgument"),
        ({"method": "Decrypt", "ciphertext": good, "key_id": "nobody"}, "NotFound"),
        ({"method": "Decrypt", "ciphertext": good, "key_id": ""}, "InvalidArgument"),
        ({"method": "Decrypt", "ciphertext": good, "key_id": key_id,
          "annotations": {"x.example.com": ""}}, "InvalidArgument"),
        ({"method": "Encrypt", "raw": b64(b"\xff\xff")}, "InvalidArgument"),
        ({"method": "/v1beta1.KeyManagementService/Encrypt", "raw": ""}, "Unimplemented"),
        ({"method": "NoSuchMethod", "raw": ""}, "Unimplemented"),
    ]
    stdin = "\n".join(json.dumps(row | {"expect": code}) for row, code in requests)
    rows, is_ok = Client(version).run("errors", socket=daemon.socket, stdin=stdin)
    assert is_ok, [row for row in rows if not row["ok"]]
    assert max(row["ms"] for row in rows) < 1000


def test_undecryptable_value_is_an_error_and_not_a_guess(version, workspace, daemon):
    """Values of another keystore are refused, one by one."""
    other = Daemon(workspace, "other").start()
    out = workspace.path("values")
    Client(version).ok("write", config=other.write_encryption_config("other.yaml"), count=3,
                       out=out)
    rows, is_ok = Client(version).run("read", config=daemon.write_encryption_config(),
                                      **{"in": out})
    assert not is_ok and rows[-1]["errors"] == 3


def test_two_provider_entries_with_one_socket(workspace, daemon):
    """Two names may share our socket: two connections, two seeds."""
    one = (places.SAMPLES / "secrets-3.yaml").read_text()
    entry = one[one.index("  - resources:"):]
    second = entry.replace("- secrets", "- configmaps").replace("name: etcdseal", "name: second")
    config = workspace.write("two.yaml", (one + second).replace("/run/etcdseal/kms.sock",
                                                                str(daemon.socket)))
    for resource in ("secrets", "configmaps"):
        Client().ok("roundtrip", config=config, resource=resource, count=100)
