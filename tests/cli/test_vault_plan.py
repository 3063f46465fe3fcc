# SPDX-License-Identifier: Apache-2.0
"""etcdseal vault plan, over a daemon that is none. What a real one and a real etcd say is tested in
tests/system/test_vault_plan.py."""

import json
import time

import pytest
import yaml

from fake_daemon import FakeDaemon, utc

PLAN = ["vault", "plan"]
WORDS = {"primary": "primary", "staged": "pending", "retired": "retired", "disabled": "below minimum"}


def key_id(version):
    return f"esv1-{'abcdefgh'[version] * 26}"


@pytest.fixture
def fake(tool):
    """With versions 4 (pending), 3 (wraps), 2, and 1, which is below the minimum."""
    listing = {"store_id": "prod-1", "generation": 3, "keys": [
        {"id": key_id(n), "state": state, "created_at": utc(1795000000 + n)}
        for n, state in ((4, "staged"), (3, "primary"), (2, "retired"), (1, "disabled"))]}
    with FakeDaemon(tool.status_socket, listing) as fake:
        for n, row in zip((4, 3, 2, 1), fake.answer["provider"]["keys"]):
            row["version"] = n
        fake.answer["provider"] |= {"name": "vault", "loaded_at": utc(time.time() - 3600), "key_service": {
            "mode": "hierarchy", "state": "serving", "cause": "none", "meaning": "nothing is wrong",
            "cure": None, "address": "https://bao:8200", "last_good_at": utc(time.time()),
            "grace_ends_at": None, "key_version": 3, "pending_version": 4,
            "pending_at": utc(time.time() + 60), "min_decryption_version": 2, "token_ends_at": None,
            "login_cause": "none", "requests": 1, "failures": 0, "logins": 1, "renewals": 0,
            "keks_cached": 1, "kek_created_at": None, "kek_uses": 0, "annotations_refused": 0}}
        yield fake


def test_table(tool, fake):
    fake.saw_decrypt(key_id(2), 3600, 7)
    out = tool.unchanged(*PLAN).ok().out
    lines = out.splitlines()
    assert lines[0].split() == ["VERSION", "STATE", "CREATED", "DECRYPTS", "LAST", "DECRYPT", "VALUES",
                                "NEEDED", "KEY", "ID"]
    rows = [line.split() for line in lines[1:5]]
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]
    assert rows[2][3] == "7" and rows[2][-2:] == ["yes", key_id(2)]
    assert rows[3][1:3] == ["below", "minimum"] and rows[3][-2] == "unknown"
    assert "min_decryption_version is 2; may it rise: not known without a snapshot of etcd\n" in out
    for words in ("none proves nothing", "other nodes", "--snapshot FILE", "rewrite every resource"):
        assert words in out
    assert all(len(line) <= 100 for line in lines[5:])


@pytest.mark.parametrize("form, read", [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents(tool, fake, form, read):
    fake.saw_decrypt(key_id(2), 8 * 24 * 3600, 7)
    fake.saw_decrypt(key_id(1), 60)
    found = read(tool.unchanged(*PLAN, "-o", form).ok().out)
    versions = found.pop("versions")
    assert found == {"cluster_id": "prod-1", "decrypts_since": utc(fake.started), "snapshot": None,
                     "min_decryption_version": 2, "may_rise_to": None, "strange_values": 0,
                     "why": "not known without a snapshot of etcd"}
    assert [row["version"] for row in versions] == [4, 3, 2, 1]
    assert [row["state"] for row in versions] == ["pending", "primary", "retired", "below minimum"]
    assert [row["needed"] for row in versions] == ["yes", "yes", "unknown", "yes"]
    assert versions[2]["decrypts"] == 7 and versions[2]["values"] is None
    assert versions[0] | {"why": 0} == {
        "version": 4, "state": "pending", "key_id": key_id(4), "created_at": utc(1795000004),
        "decrypts": 0, "last_decrypt_at": None, "values": None, "needed": "yes", "why": 0}


def test_keys_of_a_keystore_are_left_out(tool, fake):
    fake.answer["provider"]["keys"].append({"id": "es1-" + "a" * 26, "state": "retired", "version": 0,
                                            "created_at": None, "decrypts": 9, "last_decrypt_at": None})
    assert "es1-" not in tool.unchanged(*PLAN).ok().out


def test_what_cannot_be_shown(tool, fake):
    fake.answer["provider"]["keys"] = []
    fake.answer["provider"]["key_service"] |= {"state": "stopped", "cause": "policy"}
    tool.unchanged(*PLAN).refused(3, "stopped", "policy", "etcdseal doctor")
    fake.answer["provider"]["key_service"] = None
    tool.unchanged(*PLAN).refused(2, "uses no key service", "also_unwrap")
    fake.raw = b"{}"
    tool.unchanged(*PLAN).refused(3, "does not answer as etcdseald")


def test_no_daemon(tool):
    tool.unchanged(*PLAN).refused(3, "status.sock")


@pytest.mark.parametrize("content", [b"", b"x" * 100000], ids=["empty", "no database"])
def test_bad_snapshots(tool, fake, content):
    path = tool.folder / "snapshot"
    path.write_bytes(content)
    tool.unchanged(*PLAN, "--snapshot", path).refused(3, "snapshot")
    tool.unchanged(*PLAN, "--snapshot", tool.folder / "absent").refused(3, "absent")


def test_wrong_command_lines(tool, fake):
    tool.unchanged(*PLAN, "x").refused(2, "unexpected argument 'x'")
    tool.unchanged(*PLAN, "-o", "sarif").refused(2, "sarif")
    tool.unchanged(*PLAN, "--transit-key", "kube").refused(2, "--transit-key")
