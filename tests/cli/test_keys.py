# SPDX-License-Identifier: Apache-2.0
"""Keys: every state × every command, and the gates before what could make data unreadable."""

import shutil
import time

import pytest

from conftest import Tool
from fake_daemon import FakeDaemon

STRANGER = "es1-" + "a" * 26

# state: how the listing names it. "scheduled" is in its grace time, in "due" it has passed.
STATES = {"staged": "staged", "primary": "primary", "retired": "retired", "disabled": "disabled",
          "scheduled": "destroy-scheduled", "due": "destroy-scheduled", "destroyed": "destroyed"}
SURE = ["--without-daemon", "--confirm", "ID"]
COMMANDS = {
    "promote": ["promote", "ID"],
    "disable": ["disable", "ID", *SURE],
    "enable": ["enable", "ID"],
    "destroy-after": ["destroy", "ID", "--after", "1d", *SURE],
    "destroy-now": ["destroy", "ID", "--backups", "none is left", *SURE],
    "cancel-destroy": ["cancel-destroy", "ID"],
    "compromise": ["compromise", "ID"],
}
# (command, state): the state that it leads to, or the exit code and words of the refusal. Everything
# that is not named is refused with 1, the state and where the command is allowed from.
TABLE = {
    ("promote", "staged"): "primary",
    ("disable", "staged"): "disabled",
    ("disable", "retired"): "disabled",
    ("enable", "disabled"): "BEFORE",
    ("destroy-after", "retired"): "destroy-scheduled",
    ("destroy-after", "disabled"): "destroy-scheduled",
    ("destroy-after", "scheduled"): (1, "grace time ends", "cancel-destroy"),
    ("destroy-after", "due"): (2, "--backups"),
    ("destroy-now", "retired"): (2, "grace time", "--after"),
    ("destroy-now", "disabled"): (2, "grace time", "--after"),
    ("destroy-now", "scheduled"): (1, "grace time ends", "cancel-destroy"),
    ("destroy-now", "due"): "destroyed",
    ("cancel-destroy", "scheduled"): "disabled",
    ("cancel-destroy", "due"): "disabled",
    ("compromise", "staged"): "staged",
    ("compromise", "primary"): "primary",
    ("compromise", "retired"): "retired",
    ("compromise", "disabled"): "disabled",
    ("compromise", "scheduled"): "destroy-scheduled",
    ("compromise", "due"): "destroy-scheduled",
}
ADVICE = {"promote": "twice", "disable": "promoting another", "enable": "cancel-destroy",
          "destroy": "promote another", "cancel-destroy": "nothing to cancel",
          "compromise": "nothing left"}


def words_of(command, key_id):
    return ["key", *(key_id if word == "ID" else word for word in COMMANDS[command])]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A keystore with one key in each state, and which one it is."""
    tool = Tool(tmp_path_factory.mktemp("gallery"))
    tool.init()
    ids = {}
    for state in ("retired", "disabled", "scheduled", "due", "destroyed"):
        ids[state], _ = tool.rotate()
    ids["primary"] = tool.key_in("primary")
    ids["staged"] = tool.stage()

    def run(command, state, *more):
        tool.run(*words_of(command, ids[state]), *more).ok()

    run("disable", "disabled")
    for state in ("scheduled", "due", "destroyed"):
        tool.run("key", "destroy", ids[state], "--after", "1h" if state == "scheduled" else "1s",
                 "--without-daemon", "--confirm", ids[state]).ok()
    time.sleep(2)
    run("destroy-now", "destroyed")
    listed = tool.states()
    assert {state: listed[key_id] for state, key_id in ids.items()} == STATES
    return tool, ids


@pytest.fixture
def copy(gallery, tmp_path):
    """One's own copy of the gallery."""
    original, ids = gallery
    shutil.copytree(original.folder, tmp_path, dirs_exist_ok=True)
    return Tool(tmp_path), ids


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", COMMANDS)
def test_state_table(copy, command, state):
    tool, ids = copy
    key_id, before, generation = ids[state], tool.states(), tool.generation()
    words = words_of(command, key_id)
    wanted = TABLE.get((command, state))
    if not isinstance(wanted, str):
        verb = words[1]
        code, *told = wanted or (1, STATES[state], f"{verb} is allowed from", ADVICE[verb])
        tool.unchanged(*words).refused(code, key_id, *told)
        return
    tool.run(*words).ok()
    after = tool.states()
    assert after[key_id] == ("retired" if wanted == "BEFORE" else wanted)
    others = {k: s for k, s in before.items() if k != key_id}
    if command == "promote":
        others[ids["primary"]] = "retired"
    assert {k: s for k, s in after.items() if k != key_id} == others
    assert tool.generation() == generation + 1
    assert tool.keys()[key_id]["compromised"] == (command == "compromise")
    tool.run("keystore", "verify").ok()


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_key(copy, command):
    tool, _ = copy
    tool.unchanged(*words_of(command, STRANGER)).refused(1, STRANGER, "key list")


def test_stage(store):
    old = store.key_in("primary")
    new = store.stage()
    assert store.states() == {old: "primary", new: "staged"}
    second = store.stage("--suite", "kbkdf-aes-256-gcm")
    assert store.keys()[second]["suite"] == "kbkdf-aes-256-gcm"
    assert store.generation() == 3


def test_times_of_a_life(store):
    old, new = store.rotate()
    keys = store.keys()
    assert keys[old]["retired_at"] == keys[new]["promoted_at"]
    store.run("key", "disable", old, "--confirm", old, "--without-daemon").ok()
    assert store.keys()[old]["disabled_at"]
    store.run("key", "enable", old).ok()
    assert store.keys()[old]["disabled_at"] is None
    assert store.states()[old] == "retired"


def test_destroying_leaves_a_tombstone_and_no_previous_file(store):
    old, _ = store.rotate()
    sure = ["--confirm", old, "--without-daemon"]
    ran = store.run("key", "destroy", old, "--after", "1s", *sure).ok()
    assert "--backups" in ran.err
    assert (store.store / "keystore.prev").exists()
    time.sleep(1.5)
    note = "etcd backups of 2026 kept, nothing in them is needed: \u00e4"
    ran = store.run("key", "destroy", old, "--backups", note, *sure).ok()
    assert "WARNING" in ran.err and "older copy" in ran.err
    key = store.keys()[old]
    assert key["state"] == "destroyed" and key["note"] == note and key["destroyed_at"]
    assert not (store.store / "keystore.prev").exists()
    assert store.run("keystore", "verify", "-o", "json").json()["root_epoch"] == 2
    assert old in store.run("key", "list").ok().out


def test_an_empty_or_long_answer_about_backups_is_refused(copy):
    tool, ids = copy
    for note in ("x" * 257, "\u00e4" * 129):
        words = ["key", "destroy", ids["due"], "--backups", note, "--without-daemon", "--confirm",
                 ids["due"]]
        tool.unchanged(*words).refused(2, "256")
    tool.unchanged("key", "destroy", ids["due"], "--backups=", "--confirm", ids["due"]).refused(2)


def test_the_table_shows_what_matters(copy):
    tool, ids = copy
    tool.run("key", "compromise", ids["retired"]).ok()
    rows = {line.split()[0]: line for line in tool.run("key", "list").ok().out.splitlines()}
    assert "COMPROMISED" in rows[ids["retired"]]
    assert "due 20" in rows[ids["scheduled"]]
    assert "none is left" in rows[ids["destroyed"]]


# --- gates ------------------------------------------------------------------------------------------


@pytest.fixture
def used(copy):
    """The gallery with a daemon that has loaded it."""
    tool, ids = copy
    with FakeDaemon(tool.status_socket, tool.listing()) as fake:
        yield tool, ids, fake


TAKING_AWAY = [["disable"], ["destroy", "--after", "1d"]]


@pytest.mark.parametrize("verb", TAKING_AWAY, ids=lambda verb: verb[0])
def test_the_id_must_be_repeated(used, verb):
    tool, ids, _ = used
    key_id = ids["retired"]
    words = ["key", verb[0], key_id, *verb[1:]]
    tool.unchanged(*words).refused(1, f"--confirm {key_id}")
    for wrong in ("yes", key_id[:-1], key_id.upper(), ids["disabled"]):
        tool.unchanged(*words, "--confirm", wrong).refused(1, "--confirm")
    tool.run(*words, "--confirm", key_id).ok()


@pytest.mark.parametrize("verb", TAKING_AWAY, ids=lambda verb: verb[0])
def test_a_key_in_use_is_kept(used, verb):
    tool, ids, fake = used
    key_id = ids["retired"]
    words = ["key", verb[0], key_id, *verb[1:], "--confirm", key_id]
    for ago, shown in ((0, "ago"), (3 * 3600 + 60, "3 hours ago"),
                       (7 * 24 * 3600 - 60, "6 days ago"), (-600, "0 seconds ago")):
        fake.saw_decrypt(key_id, ago)
        tool.unchanged(*words).refused(1, key_id, shown, "--without-daemon",
                                       fake.answer["provider"]["keys"][0]["id"][:4])
    fake.saw_decrypt(key_id, 7 * 24 * 3600 + 60)
    ran = tool.run(*words).ok()
    assert fake.answer["started_at"] in ran.err, "how far back the daemon's memory reaches"


def test_the_gate_can_be_left_out(used):
    tool, ids, fake = used
    key_id = ids["retired"]
    fake.saw_decrypt(key_id, 1)
    tool.run("key", "disable", key_id, "--confirm", key_id, "--without-daemon").ok()


def test_what_wraps_in_the_daemon_is_kept(used):
    """Also when the keystore says something else: the daemon may have missed a change."""
    tool, ids, fake = used
    for row in fake.answer["provider"]["keys"]:
        if row["id"] == ids["retired"]:
            row["state"] = "primary"
    tool.unchanged("key", "disable", ids["retired"], "--confirm", ids["retired"]
                   ).refused(1, "primary in the running daemon")


def test_no_daemon(copy):
    tool, ids = copy
    key_id = ids["retired"]
    words = ["key", "disable", key_id, "--confirm", key_id]
    tool.unchanged(*words).refused(1, str(tool.status_socket), "--without-daemon", "--socket")
    tool.status_socket.write_text("not a socket")
    tool.unchanged(*words).refused(1, "--without-daemon")
    tool.status_socket.unlink()


def test_a_daemon_with_another_keystore(used):
    tool, ids, fake = used
    key_id = ids["retired"]
    words = ["key", "disable", key_id, "--confirm", key_id]
    fake.answer["provider"]["store_id"] = "0" * 36
    tool.unchanged(*words).refused(1, "0" * 36, tool.listing()["store_id"])
    fake.seal(True, "wrong passphrase")
    tool.unchanged(*words).refused(1, "no keystore yet")


def test_a_daemon_that_does_not_know_the_key(used):
    tool, ids, fake = used
    key_id = tool.stage()
    tool.unchanged("key", "disable", key_id, "--confirm", key_id).refused(1, "does not know", key_id)


@pytest.mark.parametrize("break_it", [
    {"raw": b"hello"}, {"raw": b"[]"}, {"raw": b"{}"}, {"raw": b"x" * 300_000}, {"code": 500},
    {"raw": b"[" * 1000}, {"raw": b'{"a":1,"a":2}'}, {"raw": b""},
], ids=lambda b: str(b)[:30])
def test_nonsense_opens_no_gate(used, break_it):
    tool, ids, fake = used
    for name, value in break_it.items():
        setattr(fake, name, value)
    key_id = ids["retired"]
    tool.unchanged("key", "disable", key_id, "--confirm", key_id).refused(1, "--without-daemon")


@pytest.mark.parametrize("field, value", [
    ("state", None), ("last_decrypt_at", "yesterday"), ("last_decrypt_at", 5), ("decrypts", -1),
    ("decrypts", "many"), ("last_decrypt_at", "2026-11-24T02:31:40Zjunk"),
])
def test_a_key_row_that_cannot_be_read_opens_no_gate(used, field, value):
    tool, ids, fake = used
    for row in fake.answer["provider"]["keys"]:
        row[field] = value
    key_id = ids["retired"]
    tool.unchanged("key", "disable", key_id, "--confirm", key_id).refused(1, "--without-daemon")


def test_a_daemon_that_hangs(used):
    tool, ids, fake = used
    fake.delay = 10
    began = time.monotonic()
    key_id = ids["retired"]
    tool.unchanged("key", "disable", key_id, "--confirm", key_id).refused(1, "--without-daemon")
    assert time.monotonic() - began < 6


def test_the_socket_may_be_named(used):
    """The status socket itself, or the KMS socket beside it."""
    tool, ids, _ = used
    tool.configure()
    tool.config.write_text(f"keystore: {{ path: {tool.keystore} }}\n")
    key_id = ids["retired"]
    for name in ("status.sock", "kms.sock"):
        tool.run("key", "disable", key_id, "--confirm", key_id, "--socket", tool.folder / name).ok()
        tool.run("key", "enable", key_id).ok()
    tool.unchanged("key", "disable", key_id, "--confirm", key_id, "--socket", "/nowhere/kms.sock"
                   ).refused(1, "/nowhere/status.sock")


def test_promote_tells_what_to_look_for(daemon, store):
    key_id = store.stage()
    daemon.load(store.listing())
    ran = store.run("key", "promote", key_id).ok()
    assert key_id in ran.err and "etcdseal status" in ran.err and "WARNING" not in ran.err


def test_promote_warns_when_the_daemon_lags(daemon, store):
    key_id = store.stage()
    ran = store.run("key", "promote", key_id).ok()
    assert "WARNING" in ran.err and "had not loaded" in ran.err


def test_promote_warns_without_a_daemon(store):
    ran = store.run("key", "promote", store.stage()).ok()
    assert "WARNING" in ran.err and str(store.status_socket) in ran.err
