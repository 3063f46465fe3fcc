# SPDX-License-Identifier: Apache-2.0
"""Bad input to the tool: one clear message with the cure, the right exit code, nothing changed."""

import hashlib
import os
import struct
import subprocess

import pytest
import yaml

from parts import places
from parts.daemon import Daemon, to_yaml
from parts.kms import Kms
from parts.tool import Tool
from test_forged import put, with_checksum

PASSPHRASE = b"correct horse battery staple"
VERSION_AT = 8  # u16 behind the magic, docs/keystore-format.md


def fingerprint(folder):
    """Everything in a folder that could have been changed: names, modes, owners, contents."""
    rows = []
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        rows.append((str(path), found.st_mode, found.st_uid, found.st_gid,
                     hashlib.sha256(content).hexdigest()))
    return [row for row in rows if not row[0].endswith(".lock")]


@pytest.fixture
def store(workspace):
    """A keystore with a key file and a passphrase, and a second key."""
    daemon = Daemon(workspace, keystore=False)
    workspace.secret(PASSPHRASE)
    daemon.tool.run("init", "--seal", f"boot=file:{daemon.key_file}", "--seal",
                    "ops=passphrase:fd=9", secret_fd=PASSPHRASE).ok()
    daemon.tool.rotate()
    return daemon


class Unchanged:
    """Nothing in the daemon's folder may change while it is entered."""

    def __init__(self, daemon):
        self._folder = daemon.folder

    def __enter__(self):
        self._before = fingerprint(self._folder)

    def __exit__(self, kind, *_):
        assert kind is not None or fingerprint(self._folder) == self._before, "something changed"


# --- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, told", [
    ([], "needs a command"),
    (["kee"], "key"),
    (["key"], "list"),
    (["key", "lst"], "list"),
    (["key", "list", "--nonsense"], "--nonsense"),
    (["key", "list", "extra"], "extra"),
    (["key", "list", "-o", "xml"], "table"),
    (["key", "promote"], "ID"),
    (["key", "stage", "--suite", "rot13"], "xaes-256-gcm"),
    (["init", "--seal"], "--seal"),
    (["init", "--seal", "rot13:"], "rot13"),
    (["init", "--seal", "UPPER=file:/x"], "UPPER"),
    (["init", "--seal", "file:relative"], "absolute"),
    (["seal", "add"], "SPEC"),
    (["key", "destroy", "es1-" + "a" * 26, "--after", "soon"], "--after"),
    (["key", "promote", "not-an-id"], "not-an-id"),
])
def test_wrong_words(store, words, told):
    with Unchanged(store):
        ran = store.tool.run(*words)
        assert ran.code == 2, f"{ran.code}: {ran.out}{ran.err}"
        assert told.lower() in (ran.out + ran.err).lower()


@pytest.mark.parametrize("words", [["--help"], ["key", "--help"], ["key", "stage", "--help"],
                                   ["init", "--help"], ["--version"]])
def test_help_and_version(words):
    ran = Tool().run(*words).ok()
    assert ran.out and not ran.err
    assert max(map(len, ran.out.splitlines())) <= 80


# --- keys ---------------------------------------------------------------------------------------------


def test_gates(store):
    """What the state rules forbid is refused with 1 and changes nothing."""
    states = store.tool.key_states()
    primary, retired = (next(k for k, s in states.items() if s == want)
                        for want in ("primary", "retired"))
    sure = ["--without-daemon", "--confirm"]
    for words in [
        ["promote", retired], ["promote", primary], ["enable", primary], ["enable", retired],
        ["disable", primary, *sure, primary], ["destroy", primary, "--after", "1d", *sure, primary],
        ["cancel-destroy", retired], ["disable", "es1-" + "a" * 26, *sure, "es1-" + "a" * 26],
        ["promote", "es1-" + "a" * 26],
    ]:
        with Unchanged(store):
            store.tool.run("key", *words).refused(1)


def test_disable_wants_the_id_twice(store):
    (retired,) = [k for k, s in store.tool.key_states().items() if s == "retired"]
    for confirm in ([], ["--confirm", "yes"], ["--confirm", retired[:-1]]):
        with Unchanged(store):
            ran = store.tool.run("key", "disable", retired, "--without-daemon", *confirm)
            assert ran.code in (1, 2) and "--confirm" in ran.err, ran.err


def test_key_in_use_is_not_disabled(store):
    """The daemon saw a Decrypt with it a moment ago."""
    store.start()
    with Kms(store.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
        store.wait_key(store.tool.rotate())
        kms.unwrap(wrapped)
    old = wrapped.key_id
    with Unchanged(store):
        store.tool.run("key", "disable", old, "--confirm", old, "--socket", store.status_socket
                       ).refused(1, old)
    store.tool.run("key", "disable", old, "--confirm", old, "--without-daemon").ok()


def test_init_never_overwrites(store):
    with Unchanged(store):
        store.tool.run("init", "--seal", "file:/dev/null").refused(1, str(store.keystore))


def test_init_with_one_slot_warns(workspace):
    daemon = Daemon(workspace, keystore=False)
    ran = daemon.tool.init(f"boot=file:{daemon.key_file}")
    assert "slot" in ran.err and "key file" in ran.err


def test_short_passphrase_is_refused(workspace):
    daemon = Daemon(workspace, keystore=False)
    with Unchanged(daemon):
        ran = daemon.tool.run("init", "--seal", "ops=passphrase:fd=9", secret_fd=b"short")
        assert ran.code == 2 and "12" in ran.err, ran.err
    assert not daemon.keystore.exists()


def test_wrong_passphrase(store):
    store.config["keystore"]["unseal"] = {"ops": "passphrase:fd=9"}
    store.write_config()
    words = ["keystore", "verify", "--config", store.config_path]
    Tool().run(*words, secret_fd=PASSPHRASE).ok()
    with Unchanged(store):
        ran = Tool().run(*words, secret_fd=b"incorrect horse battery staple")
        ran.refused(4, "wrong")
        assert "incorrect" not in ran.err


def test_seal_removal_gates(store):
    for name in ("boot", "nobody"):
        with Unchanged(store):
            ran = store.tool.run("seal", "remove", name, "--confirm", name)
            assert ran.code in (1, 3) and name in ran.err, ran.err


# --- key files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breakage, code, told", [
    ("short", 2, "32"), ("open", 1, "chmod"), ("missing", 3, "boot.key"), ("wrong", 4, "wrong"),
    ("link", 1, "link"), ("folder", 2, "regular file"), ("empty", 2, "empty"), ("huge", 2, "65536"),
])
def test_key_file(workspace, store, breakage, code, told):
    """For the tool, and for the daemon, which stays sealed."""
    file = store.key_file
    content = file.read_bytes()
    file.unlink()
    if breakage == "link":
        file.symlink_to(workspace.write("elsewhere", content))
    elif breakage == "folder":
        file.mkdir()
    elif breakage != "missing":
        file.write_bytes({"short": content[:31], "wrong": b"y" * 32, "empty": b"",
                          "huge": content * 4000}.get(breakage, content))
        file.chmod(0o644 if breakage == "open" else 0o600)
    with Unchanged(store):
        store.tool.run("key", "list").refused(code, told)
    store.start(wait="socket")
    assert store.http("/readyz")[0] == 503
    assert told in store.wait_event("keys-failed")["cause"]


# --- the keystore ---------------------------------------------------------------------------------------


def test_newer_version(store):
    content = bytearray(store.keystore.read_bytes())
    assert struct.unpack_from(">H", content, VERSION_AT) == (1,)
    struct.pack_into(">H", content, VERSION_AT, 2)
    put(store.keystore, with_checksum(content))
    with Unchanged(store):
        store.tool.run("key", "list").refused(3, "version 2")
        store.tool.run("keystore", "info").refused(3, "version 2")
        store.tool.run("key", "stage").refused(3, "version 2")


def test_truncated_at_many_lengths(store):
    content = store.keystore.read_bytes()
    for length in [*range(0, 200, 13), *range(200, len(content), 101), len(content) - 1]:
        put(store.keystore, content[:length])
        with Unchanged(store):
            store.tool.run("key", "list").refused(4)


def test_no_keystore(workspace):
    ran = Tool(workspace.folder("empty") / "keystore").run("key", "list")
    assert ran.code == 3 and "etcdseal init" in ran.err, ran.err


@pytest.mark.parametrize("breakage, told", [("mode", "chmod"), ("owner", "chown")])
def test_keystore_that_others_can_write(store, breakage, told):
    if breakage == "mode":
        store.keystore.chmod(0o666)
    else:
        os.chown(store.keystore, 4321, 4321)
    with Unchanged(store):
        store.tool.run("key", "list").refused(1, told)


def test_folder_that_others_can_write(store):
    store.keystore.parent.chmod(0o777)
    with Unchanged(store):
        store.tool.run("key", "list").refused(1, "chmod")


@pytest.fixture
def small_disk(workspace, store):
    """The keystore's folder on a file system of its own, of 256 KiB."""
    folder = store.keystore.parent
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", folder],
                   check=True)
    workspace.at_end(lambda: subprocess.run(["umount", folder], check=True))
    for name, data in content.items():
        put(folder / name, data)
    return folder


@pytest.mark.parametrize("what, told", [("full", "No space left"), ("read-only", "Read-only")])
def test_disk_that_takes_nothing(store, small_disk, what, told):
    """Nothing is lost, the daemon serves on, and it works again when there is room."""
    store.start()
    with Kms(store.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
        if what == "full":
            with pytest.raises(OSError), open(small_disk / "ballast", "wb", 0) as ballast:
                while True:
                    ballast.write(bytes(512))
        else:
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with Unchanged(store):
            for words in (["key", "stage"], ["seal", "test", "boot"],
                          ["key", "compromise", wrapped.key_id]):
                store.tool.run(*words).refused(3, told)
        assert kms.unwrap(wrapped) == b"x" * 32
        if what == "full":
            (small_disk / "ballast").unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        store.wait_key(store.tool.rotate())
        assert kms.unwrap(wrapped) == b"x" * 32


def test_backup_and_restore(workspace, store):
    copy = workspace.path("backup")
    printed = store.tool.run("keystore", "backup", copy).ok().out.strip()
    assert printed == hashlib.sha256(copy.read_bytes()).hexdigest()
    with Unchanged(store):
        store.tool.run("keystore", "backup", copy).refused(1, str(copy))
    newer = store.tool.stage()
    with Unchanged(store):
        store.tool.run("keystore", "restore", copy).refused(1, newer)
    before = store.tool.generation()
    store.tool.run("keystore", "restore", copy, "--lose", newer).ok()
    assert store.tool.generation() > before
    assert newer not in store.tool.key_states()
    with Unchanged(store):
        store.tool.run("keystore", "restore", workspace.write("junk", b"junk" * 200)).refused(4)


def test_restore_on_a_new_node_wants_the_fingerprint(workspace, store):
    copy = workspace.path("backup")
    printed = store.tool.run("keystore", "backup", copy).ok().out.strip()
    new = Daemon(workspace, "new", keystore=False)
    seal = ["--seal", f"boot=file:{store.key_file}"]
    with Unchanged(new):
        new.tool.run("keystore", "restore", copy, *seal).refused(4, "fingerprint")
        new.tool.run("keystore", "restore", copy, *seal, "--fingerprint", "0" * 64).refused(4)
    new.tool.run("keystore", "restore", copy, *seal, "--fingerprint", printed).ok()
    assert new.tool.key_states() == store.tool.key_states()
    new.start()
    assert new.current_key() == store.tool.primary()


# --- the configuration ---------------------------------------------------------------------------------


VAULT = "vault: { key: k, addresses: %s, auth: { %s } }\n"


@pytest.mark.parametrize("text, told", [
    ("nonsense: 1\n", ":1:1"),
    ("socket: { pth: /run/x }\n", "path"),
    ("log: { level: info }\nlog: { level: info }\n", ":2:"),
    ("log: { level: info, level: info }\n", "level"),
    ("log: { level: loud }\n", "error"),
    ("peers: 5\n", "peers"),
    ("peers: [ { uid: -1 } ]\n", "uid"),
    ("peers: [ { uid: root } ]\n", "uid"),
    ("peers: [ { uid: 0, gid: 0 } ]\n", "gid"),
    ("peers: [ { uid: 0, methods: [steal] } ]\n", "steal"),
    ("keystore: { path: relative }\n", "absolute"),
    ("keystore: { poll: soon }\n", "poll"),
    ("metrics: { listen: 0.0.0.0:9655 }\n", "loopback"),
    ("provider: remote\n", "local"),
    ("provider: vault\n", "section vault"),
    ("also_unwrap: [local]\n", "provider itself"),
    (VAULT % ("[ \"http://10.0.0.5:8200\" ]", "none: {}"), "https"),
    (VAULT % ("[ \"https://u:SECRET@a\" ]", "none: {}"), "vault.auth"),
    (VAULT % ("[ \"unix:/s\" ]", "none: {}, token: { file: /t }"), "has two"),
    (VAULT % ("[ \"unix:/s\" ]", "approle: { role_id: SECRET }"), "live in files"),
    (VAULT % ("[ \"unix:/s\" ]", "token: { file: SECRET }"), "credential:NAME"),
    ("socket: &x { mode: '0600' }\n", "anchor"),
    ("socket: !!map {}\n", "tag"),
    ("--- {}\n--- {}\n", "document"),
    ("socket: [\n", "etcdseald.yaml"),
    ("\t\n", "etcdseald.yaml"),
    ("\xff\xfe", "etcdseald.yaml"),
    ("log: { requests: maybe }\n", "requests"),
    ("# " + "x" * 70000, "65536"),
])
def test_bad_configuration(workspace, store, text, told):
    """The same for `config check` and for the daemon: exit code 2, place and cure."""
    path = workspace.write(f"{store.name}/etcdseald.yaml", text.encode("latin-1"), 0o644)
    with Unchanged(store):
        ran = store.tool.run("config", "check", path, keystore=False)
        assert ran.code == 2, f"{ran.code}\n{ran.out}{ran.err}"
        assert told.lower() in (ran.out + ran.err).lower(), ran.err
        log = store.refuses_to_start(2)
        assert told.lower() in log.lower(), log
        assert "SECRET" not in ran.out + ran.err + log


def test_good_configuration(workspace, store):
    store.tool.run("config", "check", store.config_path, keystore=False).ok()
    printed = store.tool.run("config", "print", "--config", store.config_path,
                             keystore=False).ok().out
    again = workspace.write("printed.yaml", printed, 0o644)
    store.tool.run("config", "check", again, keystore=False).ok()
    assert store.tool.run("config", "print", "--config", again, keystore=False).ok().out == printed
    assert str(store.keystore) in printed


@pytest.mark.parametrize("sample", ["everything-2.yaml", "everything-3.yaml", "leave-1.yaml",
                                    "secrets-2.yaml", "secrets-3.yaml"])
def test_samples_fit_the_configuration(workspace, store, sample):
    config = store.write_encryption_config(sample=sample)
    store.tool.run("config", "check", store.config_path, "--encryption-config", config,
                   keystore=False).ok()
    other = store.write_encryption_config("other.yaml", sample, socket_path="/run/other.sock")
    ran = store.tool.run("config", "check", store.config_path, "--encryption-config", other,
                         keystore=False)
    ran.refused(1, str(other), str(store.socket))


def test_tool_reads_the_daemons_configuration(store):
    """--config gives it keystore and socket."""
    tool = Tool()
    assert tool.run("key", "list", "--config", store.config_path, "-o", "json").json()["keys"]
    store.start()
    assert tool.run("status", "--config", store.config_path).ok()
    env = {"ETCDSEAL_CONFIG": str(store.config_path)}
    assert tool.run("key", "list", "-o", "json", env=env).json()["keys"]


def test_status_of_nobody(store):
    ran = Tool().run("status", "--config", store.config_path)
    assert ran.code == 3 and str(store.status_socket) in ran.err


def test_yaml_writer_of_these_tests():
    value = {"a": {"b": "0600", "c": [1, {"d": "x"}]}, "e": True, "f": "off", "g": {}}
    assert yaml.safe_load(to_yaml(value)) == value
