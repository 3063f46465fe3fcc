# SPDX-License-Identifier: Apache-2.0
"""The thief who can replace every file of the keystore's folder, and knows no secret: whatever he
puts there is refused by name, and the daemon serves on with what it had."""

import hashlib
import shutil

import pytest

from parts.daemon import Daemon
from parts.kms import Kms
from parts.process import wait_until
from parts.tool import Tool

CHECKSUM_BYTES = 32


def with_checksum(content):
    """The file with its last field (plain SHA-256, which anybody can compute) made right again."""
    body = bytes(content[:-CHECKSUM_BYTES])
    return body + hashlib.sha256(body).digest()


def put(path, content):
    """As a thief would: in place at once, owner and mode right."""
    new = path.with_name("thief")
    new.write_bytes(content)
    new.chmod(0o600)
    new.rename(path)


class Attack:
    """A serving daemon, one value that it wrapped, and what must still be true afterwards."""

    def __init__(self, daemon, kms):
        self.daemon = daemon
        self._kms = kms
        self._wrapped = kms.encrypt(b"x" * 32)
        self._generation = daemon.generation()

    def check_refused(self, *words):
        """Says why in log, metric and status; goes on under the old key. `words`: any of them."""
        self.daemon.reload()
        wait_until("the refusal shows", lambda: not self.daemon.status()["last_reload"]["ok"], 10)
        message = self.daemon.status()["last_reload"]["message"]
        assert any(word in message for word in words), message
        assert self.daemon.metrics()["etcdseal_last_reload_success"] == 0
        assert self.daemon.events("keys-failed")
        assert self.daemon.http("/readyz")[0] == 200
        assert self.daemon.generation() == self._generation
        assert self._kms.unwrap(self._wrapped) == b"x" * 32
        assert self._kms.encrypt(b"x" * 32).key_id == self._wrapped.key_id

    def check_start_refused(self, *words):
        """A restart doesn't help the thief: sealed, and it says why."""
        self.daemon.stop()
        self.daemon.start(wait="socket")
        wait_until("the first attempt has ended",
                   lambda: self.daemon.status()["last_reload"]["message"])
        message = self.daemon.status()["last_reload"]["message"]
        assert any(word in message for word in words), message
        assert self.daemon.http("/readyz")[0] == 503
        self.daemon.tool.run("key", "list").refused(4)


@pytest.fixture
def attack(daemon, kms):
    daemon.tool.rotate()
    wait_until("it is served", lambda: daemon.generation() == daemon.tool.generation())
    return Attack(daemon, kms)


def test_older_generation(daemon, kms):
    old = daemon.keystore.read_bytes()
    daemon.wait_key(daemon.tool.rotate())
    attack = Attack(daemon, kms)
    put(daemon.keystore, old)
    attack.check_refused("older", "generation")
    attack.check_start_refused("older", "generation")


def test_fork_of_the_same_generation(workspace, daemon, kms):
    """Made on a copy of the folder, with the real secret: same generation, other content."""
    fork = workspace.path("fork")
    shutil.copytree(daemon.keystore.parent, fork)
    theirs = Tool(fork / "keystore")
    theirs.stage()
    daemon.tool.stage()
    daemon.wait_generation(daemon.tool.generation())
    assert theirs.generation() == daemon.tool.generation()
    attack = Attack(daemon, kms)
    put(daemon.keystore, (fork / "keystore").read_bytes())
    attack.check_refused("fork")
    attack.check_start_refused("fork")


def test_keystore_of_another_store(workspace, attack):
    """A whole keystore of the thief's own, boxed to his own slots."""
    thief = Daemon(workspace, "thief")
    put(attack.daemon.keystore, thief.keystore.read_bytes())
    attack.check_refused("slot", "store", "secret")
    attack.check_start_refused("slot", "store", "secret")


def test_another_store_that_opens_with_the_same_key_file(workspace, attack):
    """The thief could make his keystore open by our key file (an old copy of it, say): it is
    another store, and the node has accepted none of it."""
    thief = Daemon(workspace, "thief", seals=[f"boot=file:{attack.daemon.key_file}"])
    put(attack.daemon.keystore, thief.keystore.read_bytes())
    attack.check_refused("accept", "store", "secret", "slot")
    attack.check_start_refused("accept", "store", "secret", "slot")


def test_accepted_removed(attack):
    """Without it a starting node believes nothing; a running one remembers."""
    (attack.daemon.keystore.parent / "keystore.accepted").unlink()
    attack.check_start_refused("accepted")


def test_accepted_of_another_node(workspace, attack):
    other = Daemon(workspace, "other")
    put(attack.daemon.keystore.parent / "keystore.accepted",
        (other.keystore.parent / "keystore.accepted").read_bytes())
    attack.check_start_refused("accepted")


def test_accepted_of_an_earlier_time(daemon, kms):
    """Together with the older keystore: a running daemon is not taken back."""
    accepted = daemon.keystore.parent / "keystore.accepted"
    old = daemon.keystore.read_bytes(), accepted.read_bytes()
    daemon.wait_key(daemon.tool.rotate())
    attack = Attack(daemon, kms)
    put(daemon.keystore, old[0])
    put(accepted, old[1])
    attack.check_refused("older", "generation")


def test_every_clear_byte_is_bound(attack):
    """One bit of a byte changed and the checksum made right: slots and their parameters, sizes,
    ids, signatures, all of it. None is believed; each refusal has a name."""
    good = attack.daemon.keystore.read_bytes()
    tool = attack.daemon.tool
    codes = set()
    for at in range(0, len(good) - CHECKSUM_BYTES, 7):
        forged = bytearray(good)
        forged[at] ^= 0x10
        put(attack.daemon.keystore, with_checksum(forged))
        ran = tool.run("key", "list")
        assert ran.code in (3, 4), f"byte {at}: exit code {ran.code}\n{ran.out}{ran.err}"
        assert len(ran.err.strip().splitlines()) <= 3, ran.err
        codes.add(ran.code)
    put(attack.daemon.keystore, with_checksum(forged))
    attack.check_refused("altered", "damaged", "wrong", "signature", "fork")
    assert 4 in codes


def test_every_byte_without_the_checksum(attack):
    """What a bad disk does: told apart from what a thief does."""
    good = attack.daemon.keystore.read_bytes()
    for at in range(10, len(good), 97):  # behind the version, which decides how the rest is read
        damaged = bytearray(good)
        damaged[at] ^= 1
        put(attack.daemon.keystore, bytes(damaged))
        attack.daemon.tool.run("key", "list").refused(4, "damaged")
    attack.check_refused("damaged")


def test_unseal_file_that_points_elsewhere(workspace, attack):
    """The thief's key file opens nothing; a link instead of a key file is not followed."""
    unseal = attack.daemon.keystore.parent / "keystore.unseal"
    text = unseal.read_text()
    wrong = workspace.write("thief.key", b"y" * 32)
    put(unseal, text.replace(str(attack.daemon.key_file), str(wrong)).encode())
    attack.check_start_refused("wrong", "secret")
    link = workspace.path("link.key")
    link.symlink_to(attack.daemon.key_file)
    put(unseal, text.replace(str(attack.daemon.key_file), str(link)).encode())
    attack.daemon.tool.run("key", "list").refused(1, "link")


def test_link_in_place_of_the_keystore(workspace, attack):
    copy = workspace.write("copy", attack.daemon.keystore.read_bytes())
    attack.daemon.keystore.unlink()
    attack.daemon.keystore.symlink_to(copy)
    attack.check_refused("link")
