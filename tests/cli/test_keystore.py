# SPDX-License-Identifier: Apache-2.0
"""keystore info, verify, backup and restore; damage and forgeries as the tool tells them."""

import hashlib
import os
import shutil
import time

import pytest

from conftest import PASSPHRASE, Tool, needs_root

OPS = "ops=passphrase:fd=9"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def backup(tool, name="copy"):
    """The copy's path and the printed fingerprint."""
    path = tool.folder / name
    out = tool.run("keystore", "backup", path).ok().out
    assert out.strip() + "\n" == out
    return path, out.strip()


def destroy(tool, key_id):
    sure = ["--confirm", key_id, "--without-daemon"]
    tool.run("key", "destroy", key_id, "--after", "1s", *sure).ok()
    time.sleep(1.5)
    tool.run("key", "destroy", key_id, "--backups", "one copy", *sure).ok()


# --- info and verify ------------------------------------------------------------------------------------


def test_info_needs_no_seal_and_says_that_nothing_is_verified(two):
    two.key_file.unlink()
    ran = two.unchanged("keystore", "info").ok()
    assert ran.out.startswith("UNVERIFIED") and "ops" in ran.out
    shown = two.run("keystore", "info", "-o", "json").json()
    assert shown["verified"] is False and shown["fingerprint"] == sha256(two.keystore)
    assert shown["written_by"] == "boot" and shown["root_epoch"] == 1
    assert "opened_by" not in shown and "keys_by_state" not in shown


def test_info_of_a_file(two):
    path, fingerprint = backup(two)
    two.rotate()
    shown = two.run("keystore", "info", path, "-o", "json").json()
    assert (shown["path"], shown["generation"]) == (str(path), 1)
    assert shown["fingerprint"] == fingerprint
    two.unchanged("keystore", "info", "/nowhere/x").refused(3, "/nowhere/x")
    two.unchanged("keystore", "info", two.folder).refused(2, "regular")
    two.unchanged("keystore", "info", two.key_file).refused(4, str(two.key_file))


def test_verify(two):
    two.rotate()
    ran = two.unchanged("keystore", "verify").ok()
    assert ran.out.startswith("ok: ") and sha256(two.keystore) in ran.out
    shown = two.run("keystore", "verify", "-o", "json", "--unseal", OPS, secret=PASSPHRASE).json()
    assert shown["verified"] is True and shown["opened_by"] == "ops"
    assert shown["generation"] == 3
    assert shown["keys_by_state"] == {"staged": 0, "primary": 1, "retired": 1, "disabled": 0,
                                      "destroy-scheduled": 0, "destroyed": 0}


# --- damage, forgery, rollback --------------------------------------------------------------------------


def test_every_truncation_is_told_as_damage(store):
    content = store.keystore.read_bytes()
    for length in [*range(0, 120, 7), *range(120, len(content), 97), len(content) - 1]:
        store.keystore.write_bytes(content[:length])
        ran = store.run("key", "list").refused(4)
        assert "damaged" in ran.err or "wrong secret" not in ran.err, ran.told()


def test_flipped_bytes(store):
    content = store.keystore.read_bytes()
    for at in range(0, len(content), 41):
        store.keystore.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        for words in (["key", "list"], ["keystore", "info"]):
            ran = store.run(*words)
            assert ran.code in (3, 4), f"byte {at}: {ran.told()}"
            ran.refused(ran.code, str(store.keystore))


def test_an_older_file_is_refused(store):
    old = store.keystore.read_bytes()
    store.rotate()
    store.keystore.write_bytes(old)
    for words in (["key", "list"], ["key", "stage"], ["keystore", "verify"],
                  ["keystore", "backup", store.folder / "copy"]):
        store.unchanged(*words).refused(4, "refused", "generation")


def test_a_fork_is_refused(store):
    """Two different files of one generation."""
    shutil.copytree(store.store, store.folder / "twin")
    store.stage()
    store.run("key", "stage", "--keystore", store.folder / "twin" / "keystore").ok()
    shutil.copy(store.folder / "twin" / "keystore", store.keystore)
    store.unchanged("key", "list").refused(4, "refused")


def test_a_strangers_keystore_is_refused(store):
    """Sealed with the same key file, by a thief who has it."""
    (store.folder / "thief").mkdir()
    thief = Tool(store.folder / "thief")
    thief.run("init", "--seal", f"boot=file:{store.key_file}").ok()
    shutil.copy(thief.keystore, store.keystore)
    store.unchanged("key", "list").refused(4, "refused")
    (store.store / "keystore.accepted").unlink()
    store.unchanged("key", "list").refused(4, "keystore.accepted is missing", "--fingerprint")


def test_newer_format(store):
    content = bytearray(store.keystore.read_bytes())
    content[8:10] = b"\0\2"  # docs/keystore-format.md: version behind the magic
    store.keystore.write_bytes(content[:-32] + hashlib.sha256(content[:-32]).digest())
    for words in (["key", "list"], ["keystore", "info"], ["key", "stage"]):
        store.unchanged(*words).refused(3, "version 2")


@pytest.mark.parametrize("name", ["keystore", "keystore.accepted", "keystore.unseal"])
def test_files_that_others_can_read_or_that_are_links(store, name):
    path = store.store / name
    path.chmod(0o644)
    store.unchanged("key", "list").refused(1, name, "chmod")
    path.rename(store.store / "real")
    path.symlink_to("real")
    store.unchanged("key", "list").refused(1, name, "link")


def test_folder_that_others_can_enter(store):
    store.store.chmod(0o750)
    store.unchanged("key", "list").refused(1, "chmod 0700")


def test_folder_that_is_a_link(store):
    store.store.rename(store.folder / "real")
    store.store.symlink_to("real")
    store.unchanged("key", "list").refused(2, "link")


@needs_root
def test_file_of_another_owner(store):
    os.chown(store.keystore, 4321, 4321)
    ran = store.unchanged("key", "list")
    assert ran.code == 1 and "chown" in ran.err, ran.told()


def test_a_locked_keystore(store):
    import fcntl
    with open(store.store / "keystore.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store.run("key", "list").ok()  # reading needs no lock
        store.unchanged("key", "stage").refused(3, "locked by another process")


@pytest.mark.parametrize("text, told", [
    ("boot\n", "line 1"), ("# x\nboot: rot13:/x\n", "line 2"), ("boot: file:relative\n", "absolute"),
    ("", "no slot is named"), ("boot: passphrase:\n", "passphrase"),
    ("".join(f"s{i}: file:/x\n" for i in range(33)), "32"),
])
def test_broken_unseal_file(store, text, told):
    path = store.store / "keystore.unseal"
    path.write_text(text)
    ran = store.unchanged("key", "list")
    assert ran.code in (2, 3, 4) and told in ran.err, ran.told()
    store.run("key", "list", "--unseal", f"boot=file:{store.key_file}").ok()


# --- backup and restore ---------------------------------------------------------------------------------


def test_backup(store):
    path, fingerprint = backup(store)
    assert path.read_bytes() == store.keystore.read_bytes() and fingerprint == sha256(path)
    assert path.stat().st_mode & 0o7777 == 0o600
    store.unchanged("keystore", "backup", path).refused(1, str(path))
    store.unchanged("keystore", "backup", store.folder / "no/where").refused(3, "no")
    link = store.folder / "link"
    link.symlink_to(store.folder / "target")
    store.unchanged("keystore", "backup", link).refused(1)
    store.unchanged("keystore", "backup", "/dev/full").refused(1)


def test_backup_is_recorded(store):
    """What was copied last stands beside the keystore, and is shown with what it lacks."""
    assert "last backup  NONE" in store.run("keystore", "info").ok().out
    shown = store.run("keystore", "verify", "-o", "json").json()
    assert (shown["backup"], shown["keys_without_backup"]) == (None, 1)
    _, fingerprint = backup(store)
    record = store.store / "keystore.backed-up"
    assert record.stat().st_mode & 0o7777 == 0o600
    assert f"sha256: {fingerprint}\n" in record.read_text()
    shown = store.run("keystore", "info", "-o", "json").json()
    assert (shown["backup"]["generation"], shown["backup"]["sha256"]) == (1, fingerprint)
    assert shown["backup"]["at"].endswith("Z") and "keys_without_backup" not in shown
    assert store.run("keystore", "verify", "-o", "json").json()["keys_without_backup"] == 0
    store.stage()
    assert "generation 1, " in store.run("keystore", "info").ok().out
    out = store.run("keystore", "verify").ok().out
    assert "last backup  generation 1, " in out and "NOT IN IT: 1 of the keys" in out
    backup(store, "second")
    out = store.run("keystore", "verify").ok().out
    assert "last backup  generation 2, " in out and "NOT IN IT" not in out


def test_backup_of_a_file_is_not_told(store):
    """The record is about this node's keystore, not about a file that somebody names."""
    path, _ = backup(store)
    assert "backup" not in store.run("keystore", "info", path, "-o", "json").json()
    assert "last backup" not in store.run("keystore", "info", path).ok().out


def test_backup_that_cannot_be_recorded(store):
    record = store.store / "keystore.backed-up"
    record.symlink_to("/nowhere")
    ran = store.run("keystore", "backup", store.folder / "copy")
    assert ran.code == 0 and ran.out.strip() == sha256(store.keystore), ran.told()
    assert "the copy is good" in ran.err and "keystore.backed-up" in ran.err
    record.unlink()
    ran = store.run("keystore", "backup", record)
    assert ran.code == 0 and "the copy is good" in ran.err, ran.told()
    assert sha256(record) == sha256(store.keystore), "the copy was written over"


@pytest.mark.parametrize("text", ["", "garbage", "\0" * 100, "store: 00\n", "#" * 70000])
def test_a_broken_record_is_only_told(store, text):
    backup(store)
    record = store.store / "keystore.backed-up"
    record.write_text(text)
    for command in ("info", "verify"):
        ran = store.unchanged("keystore", command)
        assert ran.code == 0 and "last backup  NONE" in ran.out, ran.told()
        assert "cannot be told" in ran.err and "keystore.backed-up" in ran.err, ran.told()
    store.rotate()


def test_the_record_of_another_keystore_is_not_shown(store):
    backup(store)
    record = store.store / "keystore.backed-up"
    line = [line for line in record.read_text().splitlines() if line.startswith("store: ")][0]
    record.write_text(record.read_text().replace(line, "store: " + "0" * 32))
    assert "last backup  NONE" in store.run("keystore", "info").ok().out


@needs_root
def test_backup_as_root_is_recorded_for_the_folders_owner(store):
    for path in [store.store, *store.store.iterdir()]:
        os.chown(path, 4321, 4321)
    path, _ = backup(store)
    assert path.stat().st_uid == 0, "the copy is for whoever made it"
    assert (store.store / "keystore.backed-up").stat().st_uid == 4321
    assert "last backup  generation 1" in store.run("keystore", "info").ok().out


def test_restore_brings_a_lost_keystore_back(store):
    path, _ = backup(store)
    before = store.listing()
    store.keystore.unlink()
    (store.store / "keystore.lock").unlink()
    ran = store.run("keystore", "restore", path).ok()
    assert "generation 3" in ran.err
    after = store.listing()
    assert after["keys"] == before["keys"] and after["generation"] == 3
    store.run("key", "stage").ok()


def test_restore_over_a_damaged_one(store):
    path, _ = backup(store)
    store.keystore.write_bytes(b"damaged")
    store.run("keystore", "restore", path).ok()
    store.run("keystore", "verify").ok()


def test_restore_wants_newer_keys_given_up_by_name(store):
    path, fingerprint = backup(store)
    old, new = store.rotate()
    other = store.stage()
    for words in ([], ["--lose", new], ["--lose", other], ["--fingerprint", fingerprint]):
        ran = store.unchanged("keystore", "restore", path, *words).refused(1, "--lose")
        assert new in ran.err or other in ran.err
    generation = store.generation()
    store.run("keystore", "restore", path, "--lose", new, "--lose", other).ok()
    # The id that the API servers saw last is gone, and an older one never comes back as primary.
    states = store.states()
    assert states.pop(old) == "retired" and list(states.values()) == ["primary"]
    assert new not in states and other not in states and store.generation() > generation
    store.run("keystore", "verify").ok()


def test_destroyed_stays_destroyed(store):
    old, new = store.rotate()
    path, _ = backup(store)
    assert store.states() == {old: "retired", new: "primary"}
    destroy(store, old)
    store.run("keystore", "restore", path).ok()
    assert store.states() == {old: "destroyed", new: "primary"}
    store.unchanged("key", "enable", old).refused(1, "destroyed")


def test_a_backup_whose_primary_was_destroyed(store):
    path, _ = backup(store)
    old, new = store.rotate()
    destroy(store, old)
    store.unchanged("keystore", "restore", path).refused(1, new, "--lose")
    store.run("keystore", "restore", path, "--lose", new).ok()
    states = store.states()
    assert states.pop(old) == "destroyed" and list(states.values()) == ["primary"]
    assert new not in states


def test_what_happened_since_is_not_undone(store):
    old, new = store.rotate()
    path, _ = backup(store)
    store.run("key", "disable", old, "--confirm", old, "--without-daemon").ok()
    store.run("key", "compromise", new).ok()
    store.run("keystore", "restore", path).ok()
    assert store.states() == {old: "disabled", new: "primary"}
    assert store.keys()[new]["compromised"]


def test_restore_wants_newer_slots_given_up(store):
    path, _ = backup(store)
    store.run("seal", "add", f"b=file:{store.folder}/b.key").ok()
    store.unchanged("keystore", "restore", path).refused(1, "--lose-slots")
    store.run("keystore", "restore", path, "--lose-slots").ok()
    slots = store.run("seal", "list", "-o", "json").json()["slots"]
    assert [slot["name"] for slot in slots] == ["boot"]


def test_a_damaged_file_is_kept(store):
    path, _ = backup(store)
    store.keystore.write_bytes(b"damaged")
    store.run("keystore", "restore", path).ok()
    assert (store.store / "keystore.damaged").read_bytes() == b"damaged"


def test_restore_on_a_new_node(two):
    path, fingerprint = backup(two)
    (two.folder / "new").mkdir()
    new = Tool(two.folder / "new")
    words = ["keystore", "restore", path]
    seal = ["--seal", f"boot=file:{two.key_file}"]
    new.run(*words, *seal).refused(4, "--fingerprint")
    new.run(*words, *seal, "--fingerprint", "0" * 64).refused(4, "fingerprint")
    new.run(*words, "--fingerprint", fingerprint).refused(3, "nothing says how to open")
    assert not new.keystore.exists() and not (new.store / "keystore.unseal").exists()
    new.run(*words, *seal, "--seal", "ops=passphrase:", "--fingerprint", fingerprint).ok()
    assert new.states() == two.states()
    unseal = (new.store / "keystore.unseal").read_text()
    assert unseal.endswith(f"boot: file:{two.key_file}\nops: passphrase:\n")
    new.rotate()


def test_restore_with_the_recovery_passphrase(two):
    """The node and its key file are gone; what is left is the copy, its fingerprint and a person."""
    path, fingerprint = backup(two)
    (two.folder / "new").mkdir()
    new = Tool(two.folder / "new")
    words = ["keystore", "restore", path, "--seal", OPS, "--fingerprint", fingerprint]
    new.run(*words, secret=b"not that passphrase").refused(4, "wrong secret")
    new.run(*words, secret=PASSPHRASE).ok()
    new.run("seal", "add", f"boot2=file:{new.key_file}", "--unseal", OPS, secret=PASSPHRASE).ok()
    assert new.run("key", "list", "--unseal", f"boot2=file:{new.key_file}").ok()


def test_restore_refuses_what_is_no_backup(store):
    junk = store.folder / "junk"
    junk.write_bytes(b"junk" * 200)
    store.unchanged("keystore", "restore", junk).refused(4)
    store.unchanged("keystore", "restore", store.folder / "nothing").refused(3, "nothing")
    junk.write_bytes(b"x" * (1 << 20) + b"x")
    store.unchanged("keystore", "restore", junk).refused(2, "larger")
    path, _ = backup(store)
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    content[-32:] = hashlib.sha256(content[:-32]).digest()
    path.write_bytes(content)
    for words in ([], ["--fingerprint", sha256(path)]):
        store.unchanged("keystore", "restore", path, *words).refused(4)
    link = store.folder / "link"
    link.symlink_to(path)
    store.unchanged("keystore", "restore", link).refused(1, "link")


def test_restore_of_a_strangers_keystore(store):
    """The thief's keystore under the same key file: nothing but its fingerprint could vouch."""
    (store.folder / "thief").mkdir()
    thief = Tool(store.folder / "thief")
    thief.run("init", "--seal", f"boot=file:{store.key_file}").ok()
    path, _ = backup(thief)
    store.unchanged("keystore", "restore", path).refused(4, "--fingerprint")


@needs_root
def test_restore_as_root_for_another_user(store):
    path, _ = backup(store)
    for part in store.store.iterdir():
        part.unlink()
    os.chown(store.store, 4321, 4321)
    store.run("keystore", "restore", path, "--fingerprint", sha256(path), "--seal",
              f"boot=file:{store.key_file}").ok()
    assert all(p.stat().st_uid == 4321 for p in store.store.iterdir())


def test_restore_names_the_file_that_does_not_open(store):
    """Not the keystore that is in place, which is in order."""
    bad = store.folder / "bad"
    bad.write_bytes(b"no keystore at all" * 30)
    ran = store.unchanged("keystore", "restore", bad).refused(4, str(bad))
    assert str(store.keystore) not in ran.err
