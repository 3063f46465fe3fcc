# SPDX-License-Identifier: Apache-2.0
"""The independent reader reads what the C programs write, and refuses what they refuse: so
docs/keystore-format.md says all of it, and says it right."""

import json
import shutil
import subprocess
import sys

import pytest

import envelope
import keystore_reader
import parse
from keystore_reader import Unacceptable
from parse import Damaged, Unsupported
from primitives import Refused, sha256
from store import PASSPHRASE, ROOT, Store

SEED = bytes(range(32))
GOLDEN = ROOT / "tests" / "data" / "keystore-v1"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path).init()


def check(store, opened=None):
    """The reader and the tool say the same; keystore.accepted fits."""
    opened = opened or store.open()
    read, listed = opened.describe(), store.listed()
    assert read["store_id"] == listed["store_id"]
    assert read["generation"] == listed["generation"]
    assert ([(key["id"], key["state"], key["suite"]) for key in read["keys"]]
            == [(key["id"], key["state"], key["suite"]) for key in listed["keys"]])
    record = opened.accepted_record(store.accepted.read_bytes())
    assert record.generation == read["generation"]
    assert record.hash.hex() == read["sha256"]
    opened.check_accepted(record)
    return {key["id"]: key for key in read["keys"]}


# --- what it reads ----------------------------------------------------------------------------------


def test_a_fresh_keystore(store):
    keys = check(store)
    read = store.open().describe(show_material=True)
    assert [key["state"] for key in keys.values()] == ["primary"]
    assert (read["generation"], read["root_epoch"]) == (1, 1)
    assert read["previous_hash"] == "00" * 32
    assert [(slot["name"], slot["role"], slot["seal"]) for slot in read["slots"]] == [
        ("boot", "node", "file")]
    assert read["changes"] == []
    assert len(bytes.fromhex(read["keys"][0]["material"])) == 32
    assert "material" not in next(iter(keys.values()))


def test_each_command_of_a_keys_life(store):
    first, second = store.primary(), store.add_key()
    assert check(store)[second]["state"] == "staged"
    store.promote(second)
    keys = check(store)
    assert (keys[first]["state"], keys[second]["state"]) == ("retired", "primary")
    store.gated("disable", first)
    assert check(store)[first]["state"] == "disabled"
    store.run("key", "enable", first)
    assert check(store)[first]["state"] == "retired"
    store.run("key", "compromise", first)
    assert check(store)[first]["compromised_at"] > 0
    store.gated("destroy", first, "--after", "7d")
    keys = check(store)
    assert keys[first]["state"] == "destroy-scheduled"
    assert keys[first]["destroy_due"] > keys[second]["created_at"]
    store.run("key", "cancel-destroy", first)
    assert check(store)[first]["state"] == "disabled"


def destroy(store, key_id, note):
    """The grace time is at least a second."""
    store.gated("destroy", key_id, "--after", "1s")
    subprocess.run(["sleep", "1.1"], check=True)
    store.gated("destroy", key_id, "--backups", note)


def test_a_destroyed_key(store):
    first = store.primary()
    store.rotate()
    destroy(store, first, "no backups – none at all")
    keys = check(store)
    opened = store.open()
    assert keys[first]["state"] == "destroyed"
    assert keys[first]["note"] == "no backups – none at all"
    assert [key.material for key in opened.keys if key.text_id() == first] == [b""]
    assert opened.describe()["root_epoch"] == 2


def test_each_generation_names_the_one_before(store):
    before = store.keystore.read_bytes()
    store.add_key()
    assert store.open().keystore.previous_hash == sha256(before)
    assert store.keystore.with_name("keystore.prev").read_bytes() == before


def test_every_kind_of_seal_opens_its_slot(tmp_path):
    store = Store(tmp_path)
    passphrase, credentials = tmp_path / "pass", tmp_path / "credentials"
    passphrase.write_bytes(PASSPHRASE + b"\n")
    passphrase.chmod(0o600)
    credentials.mkdir()
    (credentials / "cred").write_bytes(b"thirty-two bytes or more of a credential")
    (tmp_path / "encrypted").write_bytes(b"stands for the encrypted credential")
    store.init("--seal", f"ops=passphrase:file={passphrase}", "--passphrase-cost", "min",
               "--seal", f"unit=credential:cred,file={tmp_path}/encrypted",
               "--role", "ops=recovery", "--role", "unit=operator",
               env={"CREDENTIALS_DIRECTORY": str(credentials)})
    opened = [store.open(), store.open("ops", "passphrase", passphrase),
              store.open("unit", "credential", credentials / "cred")]
    assert [(slot.name, parse.ROLES[slot.role]) for slot in opened[0].keystore.slots] == [
        ("boot", "node"), ("ops", "recovery"), ("unit", "operator")]
    for one in opened:
        check(store, one)
        assert [key.material for key in one.keys] == [key.material for key in opened[0].keys]


def test_both_suites_unwrap(store):
    wrapped = {suite: [store.wrap(SEED) for _ in (1, 2) if store.rotate(suite)]
               for suite in envelope.SUITE_NAMES.values()}
    opened = store.open()
    for rows in wrapped.values():
        for key_id, data in rows:
            assert opened.unwrap(key_id, data) == SEED
    one, other = wrapped["xaes-256-gcm"]
    with pytest.raises(Refused):
        opened.unwrap(one[0], other[1])
    with pytest.raises(Refused):
        opened.unwrap(one[0], one[1], [(b"name", b"value")])
    with pytest.raises(Refused):
        opened.unwrap("es1-" + 26 * "a", one[1])
    for at in range(len(one[1])):
        with pytest.raises(Refused):
            opened.unwrap(one[0], one[1][:at] + bytes([one[1][at] ^ 1]) + one[1][at + 1:])
    store.gated("disable", one[0])
    with pytest.raises(Refused):
        store.open().unwrap(*one)


def test_the_roster_is_followed_over_several_generations(store):
    slept = store.accepted.read_bytes()
    spare = store.folder / "spare.key"
    store.run("seal", "add", f"spare=file:{spare}")
    store.rotate()
    store.run("seal", "add", f"third=file:{store.folder}/third.key")
    store.run("seal", "remove", "spare", "--confirm", "spare")
    opened = store.open()
    check(store, opened)
    assert [(c.kind, c.generation) for c in opened.keystore.changes] == [(1, 2), (1, 5), (2, 6)]
    assert opened.keystore.root_epoch == 2
    old, new = (opened.accepted_record(file) for file in (slept, store.accepted.read_bytes()))
    opened.check_accepted(old)
    # The removed slot's holder knew the old accept key.
    assert old.accept_key != new.accept_key
    with pytest.raises(Damaged):
        store.open("spare", "file", spare)
    # Without one of the statements the chain is broken.
    for missing in range(3):
        cut = store.open()
        del cut.keystore.changes[missing]
        with pytest.raises(Unacceptable):
            cut.check_accepted(cut.accepted_record(slept))


# --- what it refuses --------------------------------------------------------------------------------


def test_every_flipped_byte_is_refused(store):
    store.run("seal", "add", f"spare=file:{store.folder}/spare.key")
    data = store.keystore.read_bytes()
    assert store.open(data=data)
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:]
        # As damage; and by somebody who knows that the checksum proves nothing.
        for changed in (flipped, flipped[:-32] + sha256(flipped[:-32])):
            if changed != data:
                with pytest.raises((Damaged, Unsupported, Refused)):
                    store.open(data=changed)


def test_every_shorter_or_longer_file_is_refused(store):
    data = store.keystore.read_bytes()
    for size in range(len(data)):
        with pytest.raises((Damaged, Unsupported)):
            store.open(data=data[:size])
    with pytest.raises(Damaged):
        store.open(data=data + b"\0")


def test_another_secret_is_refused(store):
    other = store.folder / "other.key"
    other.write_bytes(bytes(32))
    with pytest.raises(Refused):
        store.open(path=other)
    with pytest.raises(Damaged):
        store.open(kind="passphrase")
    with pytest.raises(Damaged):
        store.open(slot="none")


def test_an_older_file_and_a_fork_are_not_acceptable(store):
    past = store.keystore.read_bytes(), store.accepted.read_bytes()
    store.add_key()
    here = store.keystore.read_bytes(), store.accepted.read_bytes()
    store.keystore.write_bytes(past[0])
    store.accepted.write_bytes(past[1])
    store.add_key()
    there = store.keystore.read_bytes(), store.accepted.read_bytes()
    store.add_key()
    further = store.keystore.read_bytes()

    def judge(data, accepted):
        opened = store.open(data=data)
        opened.check_accepted(opened.accepted_record(accepted))

    judge(*here)
    judge(*there)
    judge(here[0], past[1])
    judge(further, past[1])  # two generations later hashes show nothing
    for data, accepted, words in [(past[0], here[1], "rolled back"),
                                  (there[0], here[1], "fork of the same generation"),
                                  (further, here[1], "fork: it does not follow")]:
        with pytest.raises(Unacceptable, match=words):
            judge(data, accepted)


def test_a_key_that_vanished_or_changed_is_not_acceptable(store):
    store.add_key()
    for spoil in (lambda keys: keys.pop(),
                  lambda keys: setattr(keys[1], "material", bytes(32)),
                  lambda keys: setattr(keys[1], "suite", 2)):
        opened = store.open()
        record = opened.accepted_record(store.accepted.read_bytes())
        spoil(opened.keys)
        with pytest.raises(Unacceptable, match="a key"):
            opened.check_accepted(record)


def test_a_destroyed_key_that_is_back_is_not_acceptable(store):
    first = store.primary()
    store.rotate()
    destroy(store, first, "none")
    opened = store.open()
    record = opened.accepted_record(store.accepted.read_bytes())
    (key,) = [key for key in opened.keys if key.text_id() == first]
    key.material, key.destroyed_at = bytes(32), 0
    with pytest.raises(Unacceptable, match="destroyed key is back"):
        opened.check_accepted(record)


def test_a_key_that_forgot_its_past_is_not_acceptable(store):
    first = store.primary()
    store.rotate()
    store.run("key", "compromise", first)
    for spoil in (lambda key: setattr(key, "promoted_at", 0),
                  lambda key: setattr(key, "retired_at", 0),
                  lambda key: setattr(key, "compromised_at", 0)):
        opened = store.open()
        record = opened.accepted_record(store.accepted.read_bytes())
        opened.check_accepted(record)
        spoil(next(key for key in opened.keys if key.text_id() == first))
        with pytest.raises(Unacceptable, match="fork: the past"):
            opened.check_accepted(record)


def test_an_altered_or_foreign_record_is_not_acceptable(store, tmp_path_factory):
    opened, file = store.open(), store.accepted.read_bytes()
    assert opened.accepted_record(file)
    for at in range(len(file)):
        with pytest.raises((Unacceptable, Damaged)):
            opened.accepted_record(file[:at] + bytes([file[at] ^ 1]) + file[at + 1:])
    for size in range(len(file)):
        with pytest.raises((Unacceptable, Damaged)):
            opened.accepted_record(file[:size])
    with pytest.raises(Damaged):
        opened.accepted_record(file + b"\0")
    foreign = Store(tmp_path_factory.mktemp("foreign")).init()
    with pytest.raises(Unacceptable):
        opened.accepted_record(foreign.accepted.read_bytes())


# --- as a program, and what is kept for ever --------------------------------------------------------


def run_reader(*words):
    return subprocess.run([sys.executable, "-B", keystore_reader.__file__, *map(str, words)],
                          capture_output=True, text=True, timeout=60)


def test_the_program(store):
    key_id, wrapped = store.wrap(SEED)
    seal = f"boot=file:{store.key_file}"
    done = run_reader(store.keystore, "--seal", seal, "--accepted", store.accepted, "--unwrap",
                      f"{key_id}={wrapped.hex()}")
    out = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert out["plaintext"] == SEED.hex()
    assert out["accepted"]["generation"] == 1
    other = store.folder / "other.key"
    other.write_bytes(bytes(32))
    assert run_reader(store.keystore, "--seal", f"boot=file:{other}").returncode == 4
    assert run_reader(store.key_file, "--seal", seal).returncode == 3
    older = store.folder / "older"
    shutil.copy(store.keystore, older)
    store.add_key()
    assert run_reader(older, "--seal", seal, "--accepted", store.accepted).returncode == 1


def test_our_published_vectors():
    rows = json.loads((ROOT / "tests" / "data" / "envelope-vectors.json").read_text())
    assert len(rows) == 10
    for row in rows:
        annotations = [(a["name"].encode(), bytes.fromhex(a["value"]))
                       for a in row["annotations"]]
        bound = envelope.aad(row["suite"], bytes.fromhex(row["store_id"]), row["key_id"],
                             annotations)
        assert bound.hex() == row["aad"]
        assert envelope.unwrap(row["suite"], bytes.fromhex(row["kek"]), bound,
                               bytes.fromhex(row["wrapped"])).hex() == row["plaintext"]


@pytest.mark.parametrize("kind", ["envelope", "vault"])
def test_the_vectors_are_what_their_script_makes(kind):
    script = ROOT / "tests" / "data" / f"make_{kind}_vectors.py"
    done = subprocess.run([sys.executable, "-B", script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_kept_keystore_of_version_1():
    contents = json.loads((GOLDEN / "contents.json").read_text())
    data = (GOLDEN / "keystore").read_bytes()
    assert len(contents["seals"]) == 4
    for seal in contents["seals"]:
        opened = keystore_reader.Opened(data, seal["slot"], seal["kind"],
                                        (GOLDEN / seal["file"]).read_bytes())
        read = opened.describe(show_material=True)
        assert read.pop("opened_by") == seal["slot"]
        assert read == contents["keystore"]
        opened.check_accepted(
            opened.accepted_record((GOLDEN / "keystore.accepted").read_bytes()))
        states = {key["id"]: key["state"] for key in read["keys"]}
        for row in contents["wrapped"]:
            if states[row["key_id"]] in ("staged", "primary", "retired"):
                assert opened.unwrap(row["key_id"],
                                     bytes.fromhex(row["wrapped"])).hex() == row["plaintext"]
            else:
                with pytest.raises(Refused):
                    opened.unwrap(row["key_id"], bytes.fromhex(row["wrapped"]))
