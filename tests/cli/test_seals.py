# SPDX-License-Identifier: Apache-2.0
"""init and the seals: what is made, what is warned of, what is refused."""

import json
import os
import shutil
import subprocess

import pytest

from conftest import PASSPHRASE, needs_root, program

OPS = "ops=passphrase:fd=9"
NAME = "--name=etcdseal-test"


# --- init ---------------------------------------------------------------------------------------------


def test_init(tool):
    ran = tool.init_two()
    assert "WARNING: slot boot: a key file" in ran.err and "only one" not in ran.err
    assert "keystore backup" in ran.err
    modes = {p.name: p.stat().st_mode & 0o7777 for p in tool.store.iterdir()}
    assert modes == {name: 0o600 for name in ("keystore", "keystore.accepted", "keystore.lock",
                                              "keystore.unseal")}
    assert tool.store.stat().st_mode & 0o7777 == 0o700
    assert tool.key_file.stat().st_mode & 0o7777 == 0o600 and tool.key_file.stat().st_size == 32
    unseal = (tool.store / "keystore.unseal").read_text()
    assert f"boot: file:{tool.key_file}\nops: passphrase:\n" in unseal and "fd" not in unseal
    assert str(tool.key_file).encode() not in tool.keystore.read_bytes()


def test_init_warns_of_a_single_slot(tool):
    ran = tool.init()
    assert "slot boot is the only one" in ran.err and "seal add" in ran.err


def test_init_warns_when_the_daemon_could_not_open_it(tool):
    ran = tool.run("init", "--seal", OPS, "--passphrase-cost", "min", secret=PASSPHRASE).ok()
    assert "the daemon stays sealed" in ran.err


def test_init_takes_an_existing_key_file(tool):
    tool.key_file.write_bytes(b"k" * 64)
    tool.key_file.chmod(0o600)
    tool.init()
    assert tool.key_file.read_bytes() == b"k" * 64


def test_second_init_is_refused(store):
    for seal in (f"file:{store.key_file}", f"file:{store.folder}/new.key"):
        store.unchanged("init", "--seal", seal).refused(1, str(store.keystore), "never overwritten")


def test_init_beside_what_is_left_of_a_keystore(store):
    """Somebody removed it; that is no new beginning."""
    store.rotate()
    store.keystore.unlink()
    words = ["init", "--seal", f"file:{store.key_file}"]
    store.unchanged(*words).refused(1, "keystore.prev")
    (store.store / "keystore.prev").unlink()
    store.unchanged(*words).refused(1, "keystore.accepted", "keystore restore")


def test_init_roles(tool):
    tool.run("init", "--seal", f"boot=file:{tool.key_file}", "--seal", f"b=file:{tool.folder}/b",
             "--seal", OPS, "--role", "b=recovery", "--role", "ops=operator", "--passphrase-cost",
             "min", secret=PASSPHRASE).ok()
    slots = tool.run("seal", "list", "-o", "json").json()["slots"]
    assert {s["name"]: s["role"] for s in slots} == {"boot": "node", "b": "recovery",
                                                     "ops": "operator"}


def test_init_suite(tool):
    tool.init("--suite", "kbkdf-aes-256-gcm")
    assert tool.keys()[tool.key_in("primary")]["suite"] == "kbkdf-aes-256-gcm"


def test_init_without_the_parent_folder(tool):
    tool.unchanged("init", "--seal", f"file:{tool.key_file}", "--keystore",
                   tool.folder / "a/b/keystore").refused(3, "a/b")


def test_init_in_a_folder_that_others_may_enter(tool):
    tool.store.mkdir()
    tool.store.chmod(0o755)
    tool.unchanged("init", "--seal", f"file:{tool.key_file}").refused(1, "chmod 0700")


def test_no_terminal_is_told_with_the_cure(tool):
    for words in (["init", "--seal", "passphrase:"],
                  ["init", "--seal", "ops=passphrase:", "--seal", f"file:{tool.key_file}"]):
        ran = tool.run(*words).refused(2, "no terminal", "passphrase:fd=N")
        assert not tool.keystore.exists(), ran.told()


@pytest.mark.parametrize("secret, told", [
    (b"sh0rt", "12"), (b"", "empty"), (b"\n", "12"), (b"elevenbytes", "12"),
    (b"elevenbytes\n", "12"), (b"x" * 1025, "1024"),
], ids=lambda s: str(s)[:20])
def test_bad_passphrases(tool, secret, told):
    ran = tool.run("init", "--seal", OPS, "--passphrase-cost", "min", secret=secret)
    ran.refused(2, "slot ops", told)
    assert not tool.keystore.exists()
    assert not secret.strip() or secret.decode().strip() not in ran.err


def test_a_descriptor_that_is_not_open(tool):
    tool.run("init", "--seal", "ops=passphrase:fd=77").refused(3, "slot ops")
    assert not tool.keystore.exists()


# --- passphrases ------------------------------------------------------------------------------------------


def test_passphrase_opens(two):
    """With or without the newline that an editor adds."""
    for secret in (PASSPHRASE, PASSPHRASE + b"\n"):
        two.run("key", "list", "--unseal", OPS, secret=secret).ok()


@pytest.mark.parametrize("secret, code", [
    (b"correct horse batterz", 4), (PASSPHRASE + b"\n\n", 4), (b" " + PASSPHRASE, 4),
    (b"sh0rt", 2), (b"", 2),
])
def test_wrong_passphrase(two, secret, code):
    for words in (["key", "list"], ["key", "stage"], ["keystore", "verify"], ["seal", "test", "ops"]):
        ran = two.unchanged(*words, "--unseal", OPS, secret=secret).refused(code, "slot ops")
        if code == 4:
            assert "wrong secret" in ran.err


def test_without_the_other_seals_a_passphrase_is_asked_for(two):
    """And where nobody can be asked, that is told."""
    two.key_file.unlink()
    ran = two.unchanged("key", "list").refused(3, "boot.key")
    assert "passphrase" not in ran.err  # the worse cause wins: a key file that is gone
    two.unchanged("key", "list", "--unseal", "ops=passphrase:").refused(3, "no terminal", "fd=N")


def test_passphrase_file_is_a_key_file(tool):
    file = tool.folder / "pass"
    file.write_bytes(PASSPHRASE)
    file.chmod(0o600)
    ran = tool.run("init", "--seal", f"passphrase:file={file}", "--passphrase-cost", "min").ok()
    assert "WARNING: slot passphrase" in ran.err
    tool.run("key", "list").ok()
    file.chmod(0o644)
    tool.unchanged("key", "list").refused(1, "chmod")


def test_unseal_with_another_kind_of_seal(two):
    two.unchanged("key", "list", "--unseal", f"ops=file:{two.key_file}").refused(2, "passphrase seal")
    two.unchanged("key", "list", "--unseal", f"nobody=file:{two.key_file}").refused(3, "nobody")


# --- key files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breakage, code, told", [
    ("short", 2, "32"), ("empty", 2, "empty"), ("huge", 2, "65536"), ("open", 1, "chmod"),
    ("group", 1, "chmod"), ("missing", 3, "boot.key"), ("wrong", 4, "wrong secret"),
    ("link", 1, "link"), ("folder", 2, "regular"), ("fifo", 2, "regular"),
])
def test_broken_key_file(store, breakage, code, told):
    file = store.key_file
    content = file.read_bytes()
    file.unlink()
    if breakage == "link":
        other = store.folder / "elsewhere"
        other.write_bytes(content)
        other.chmod(0o600)
        file.symlink_to(other)
    elif breakage == "folder":
        file.mkdir()
    elif breakage == "fifo":
        os.mkfifo(file, 0o600)
    elif breakage != "missing":
        file.write_bytes({"short": content[:31], "empty": b"", "wrong": b"y" * 32,
                          "huge": b"z" * 65537}.get(breakage, content))
        file.chmod({"open": 0o604, "group": 0o640}.get(breakage, 0o600))
    for words in (["key", "list"], ["key", "stage"], ["seal", "test", "boot"]):
        store.unchanged(*words).refused(code, "slot boot", told)


# --- add, test, remove ------------------------------------------------------------------------------------


def test_add(store):
    ran = store.run("seal", "add", OPS, "--passphrase-cost", "min", secret=PASSPHRASE).ok()
    assert "slot ops (recovery)" in ran.err and "seal test ops" in ran.err
    store.run("key", "list", "--unseal", OPS, secret=PASSPHRASE).ok()
    ran = store.run("seal", "add", f"b=file:{store.folder}/b.key", "--role", "operator").ok()
    assert "WARNING: slot b" in ran.err
    unseal = (store.store / "keystore.unseal").read_text()
    assert unseal.endswith(f"boot: file:{store.key_file}\nops: passphrase:\n"
                           f"b: file:{store.folder}/b.key\n")
    assert store.generation() == 3
    store.run("key", "list", "--unseal", f"b=file:{store.folder}/b.key").ok()


def test_add_tells_of_a_configuration_that_names_its_slots(store):
    store.configure(f"  unseal: {{ boot: 'file:{store.key_file}' }}\n")
    assert "keystore.unseal" in store.run("seal", "add", f"b=file:{store.folder}/b.key").ok().err


def test_add_refuses_a_name_that_is_taken(store):
    store.unchanged("seal", "add", f"boot=file:{store.folder}/b.key").refused(1, "boot", "NAME=")


def test_a_keystore_has_at_most_32_slots(store):
    for number in range(31):
        store.run("seal", "add", f"s{number}=file:{store.key_file}").ok()
    store.unchanged("seal", "add", f"more=file:{store.key_file}").refused(2, "32")


def test_test(two):
    def tested():
        slots = two.run("seal", "list", "-o", "json").json()["slots"]
        return {slot["name"]: slot["tested_at"] for slot in slots}

    assert tested()["ops"] is None
    both = ["--unseal", f"boot=file:{two.key_file}", "--unseal", OPS]
    two.run("seal", "test", "ops", *both, secret=PASSPHRASE).ok()
    assert tested()["ops"]
    # The slot that opens the keystore is tested by that: its passphrase is read once.
    two.run("seal", "test", "ops", "--unseal", OPS, secret=PASSPHRASE).ok()
    two.run("seal", "test", "boot").ok()
    two.unchanged("seal", "test", "nobody").refused(3, "nobody")
    two.unchanged("seal", "test", "ops", "--unseal", f"boot=file:{two.key_file}"
                  ).refused(3, "--unseal ops=SPEC")


def test_remove(two):
    other = two.folder / "b.key"
    two.run("seal", "add", f"b=file:{other}").ok()
    shutil.copytree(two.store, two.folder / "old")
    ran = two.run("seal", "remove", "b", "--confirm", "b").ok()
    assert "WARNING" in ran.err and "older copies" in ran.err
    assert "slot ops does not open now" in ran.err
    two.unchanged("key", "list", "--unseal", f"b=file:{other}").refused(3, "slot b")
    assert "b:" not in (two.store / "keystore.unseal").read_text()
    assert two.run("keystore", "verify", "-o", "json").json()["root_epoch"] == 2
    # What this node accepted is sealed anew too; nobody was there to enter the passphrase.
    ran = two.run("keystore", "verify", "-o", "json").ok()
    assert json.loads(ran.out)["slots_to_test"] == ["ops"] and "seal test ops" in ran.err
    two.unchanged("key", "list", "--unseal", OPS, secret=PASSPHRASE).refused(4, "seal test")
    two.run("seal", "test", "ops", "--unseal", f"boot=file:{two.key_file}", "--unseal", OPS,
            secret=PASSPHRASE).ok()
    two.run("key", "list", "--unseal", OPS, secret=PASSPHRASE).ok()
    assert two.run("keystore", "verify", "-o", "json").json()["slots_to_test"] == []
    two.run("key", "list", "--keystore", two.folder / "old" / "keystore", "--unseal", f"b=file:{other}").ok()


def test_remove_keeps_the_daemons_way_in(two):
    """Opened with another slot for this one call; the daemon's stands in the configuration only."""
    other = two.folder / "b.key"
    two.run("seal", "add", f"b=file:{other}").ok()
    two.configure(f"  unseal: {{ boot: 'file:{two.key_file}' }}\n")
    (two.store / "keystore.unseal").unlink()
    ran = two.run("seal", "remove", "b", "--confirm", "b", "--unseal", OPS, secret=PASSPHRASE).ok()
    assert "accept key" not in ran.err
    two.run("keystore", "verify").ok()


def test_remove_while_the_daemons_key_file_is_away(two):
    other = two.folder / "b.key"
    two.run("seal", "add", f"b=file:{other}").ok()
    away = two.key_file.rename(two.folder / "away.key")
    ran = two.run("seal", "remove", "b", "--confirm", "b", "--unseal", OPS, secret=PASSPHRASE).ok()
    assert "accept key stays as it is" in ran.err and "seal test boot" in ran.err
    away.rename(two.key_file)
    verified = two.run("keystore", "verify", "-o", "json").ok()
    assert json.loads(verified.out)["accept_key_owed"] is True and "vouch" in verified.err
    two.run("seal", "test", "boot").ok()
    assert two.run("keystore", "verify", "-o", "json").json()["accept_key_owed"] is False


def test_remove_gates(two):
    two.unchanged("seal", "remove", "ops").refused(1, "--confirm ops")
    two.unchanged("seal", "remove", "ops", "--confirm", "boot").refused(1, "--confirm")
    two.unchanged("seal", "remove", "nobody", "--confirm", "nobody").refused(3, "nobody")
    two.unchanged("seal", "remove", "boot", "--confirm", "boot").refused(1, "opened", "--unseal")
    # Only ops would be left, and nobody ever saw it open.
    words = ["seal", "remove", "boot", "--confirm", "boot", "--unseal", OPS]
    two.unchanged(*words, secret=PASSPHRASE).refused(1, "never seen to open", "seal test")
    two.run("seal", "test", "ops", "--unseal", OPS, secret=PASSPHRASE).ok()
    two.run(*words, secret=PASSPHRASE).ok()
    two.unchanged("seal", "remove", "ops", "--confirm", "ops", "--unseal", OPS, secret=PASSPHRASE
                  ).refused(1, "last one")


# --- credentials ------------------------------------------------------------------------------------------


@pytest.fixture
def credential(tool):
    assert shutil.which("systemd-creds"), "systemd-creds is missing"
    return f"credential:etcdseal-test,file={tool.folder}/etcdseal-test.cred"


@needs_root
def test_credential(tool, credential):
    ran = tool.run("init", "--seal", f"boot={credential}").ok()
    cred = tool.folder / "etcdseal-test.cred"
    assert cred.stat().st_mode & 0o7777 == 0o600
    if "host" in cred_key(cred):
        assert "WARNING: slot boot: the credential is encrypted with this host's key" in ran.err
    tool.run("key", "list").ok()
    tool.run("seal", "test", "boot").ok()
    tool.rotate()
    # Its content is in no file of ours.
    secret = subprocess.run(["systemd-creds", "decrypt", NAME, cred, "-"], capture_output=True,
                            check=True).stdout
    assert len(secret) == 32
    for path in tool.store.iterdir():
        assert secret not in path.read_bytes()


def cred_key(path):
    """systemd.exec(5): the first bytes of a credential name the way that its key was made."""
    return "host" if path.read_text().startswith("Whxqht+dQJax1aZeCGLx") else "other"


@needs_root
def test_credential_that_a_service_manager_passed(tool, credential):
    """As in the daemon's service: decrypted in a folder, without systemd-creds."""
    tool.run("init", "--seal", f"boot={credential}").ok()
    passed = tool.folder / "creds"
    passed.mkdir(0o700)
    subprocess.run(["systemd-creds", "decrypt", NAME, tool.folder / "etcdseal-test.cred",
                    passed / "etcdseal-test"], check=True)
    (tool.folder / "etcdseal-test.cred").rename(tool.folder / "gone")
    env = {"CREDENTIALS_DIRECTORY": str(passed)}
    tool.run("key", "list", env=env).ok()
    tool.unchanged("key", "list").refused(3, "etcdseal-test")


@needs_root
def test_broken_credentials(tool, credential):
    tool.run("init", "--seal", f"boot={credential}").ok()
    cred = tool.folder / "etcdseal-test.cred"
    content = cred.read_text()
    cred.write_text(content[:40] + ("A" if content[40] != "A" else "B") + content[41:])
    tool.unchanged("key", "list").refused(3, "etcdseal-test")
    cred.unlink()
    tool.unchanged("key", "list").refused(3, "etcdseal-test")
    fresh = subprocess.run(["systemd-creds", "encrypt", NAME, "-", "-"],
                           input=b"x" * 32, capture_output=True, check=True).stdout
    cred.write_bytes(fresh)
    tool.unchanged("key", "list").refused(4, "wrong secret")


# --- owners -----------------------------------------------------------------------------------------------


OTHER = 4321


@pytest.fixture
def foreign(tool):
    """A folder of another user, worked in by root, as after the package's installation."""
    tool.store.mkdir(0o700)
    os.chown(tool.store, OTHER, OTHER)
    tool.init()
    return tool


def owners(folder):
    return {(p.name, p.stat().st_uid, p.stat().st_gid) for p in folder.iterdir()}


@needs_root
def test_root_works_for_the_folders_owner(foreign):
    old, _ = foreign.rotate()
    foreign.run("seal", "add", f"b=file:{foreign.folder}/b.key").ok()
    foreign.run("key", "disable", old, "--confirm", old, "--without-daemon").ok()
    assert all(uid == gid == OTHER for _, uid, gid in owners(foreign.store)), owners(foreign.store)
    for key_file in (foreign.key_file, foreign.folder / "b.key"):
        assert key_file.stat().st_uid == OTHER and key_file.stat().st_mode & 0o777 == 0o600
    # The owner himself reads and writes what root made.
    foreign.prefix = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups",
                      "--"]
    foreign.rotate()
    assert all(uid == OTHER for _, uid, _ in owners(foreign.store))


@needs_root
def test_another_user_is_refused_with_the_cure(foreign):
    foreign.prefix = ["setpriv", "--reuid", "4322", "--regid", "4322", "--clear-groups", "--"]
    foreign.unchanged("key", "list").refused(1, f"uid {OTHER}", "owner or as root")
    foreign.store.chmod(0o755)
    foreign.unchanged("key", "list").refused(1, f"uid {OTHER}", "chown")


@needs_root
def test_backup_belongs_to_whom_makes_it(foreign):
    foreign.run("keystore", "backup", foreign.folder / "copy").ok()
    st = (foreign.folder / "copy").stat()
    assert st.st_uid == 0 and st.st_mode & 0o7777 == 0o600


def test_the_process_is_not_for_looking_at(store):
    """No core dump, no ptrace: /proc/PID of an undumpable process belongs to root."""
    held = subprocess.Popen([program(), "status", "--watch"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={"ETCDSEAL_CONFIG": str(store.config)})
    try:
        assert "WARNING" in held.stderr.readline()
        limits = open(f"/proc/{held.pid}/limits").read()
        assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == \
            [["0", "0"]]
        if os.geteuid() != 0:
            assert os.stat(f"/proc/{held.pid}/mem").st_uid == 0
    finally:
        held.terminate()
        held.wait()
