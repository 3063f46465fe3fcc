# SPDX-License-Identifier: Apache-2.0
"""How often the key service is called, as its own audit log counts it."""

import os
import threading
import time

import grpc
import pytest

from parts.kms import MESSAGE, Kms, check_refused
from parts.process import wait_until
from parts.vaulted import KEY, MOUNT, VaultedDaemon, make_server

MODES = ("hierarchy", "direct")
READ, ENCRYPT, DECRYPT = (f"{MOUNT}/{what}/{KEY}" for what in ("keys", "encrypt", "decrypt"))
ANNOTATION = "kek.etcdseal.internal"
WRAPPED = 60  # bytes of the annotation's end: nonce, KEK and tag

# What one look at the server takes.
LOOK = {"hierarchy": {READ: 1, DECRYPT: 1}, "direct": {READ: 1, ENCRYPT: 1, DECRYPT: 1}}


@pytest.fixture
def bao(workspace):
    return make_server(workspace, audit=True)


@pytest.mark.parametrize("mode", MODES)
def test_calls_of_each_operation(workspace, bao, mode):
    """Status none; Encrypt and Decrypt none in mode hierarchy and one each in mode direct."""
    daemon = VaultedDaemon(workspace, bao, vault={"mode": mode, "poll": "1h"}).start()
    with Kms(daemon.socket) as kms:
        before = bao.calls()
        for _ in range(100):
            kms.status()
        assert bao.calls() - before == {}
        made = [kms.encrypt() for _ in range(20)]
        assert bao.calls() - before == ({} if mode == "hierarchy" else {ENCRYPT: 20})
        before = bao.calls()
        for wrapped in made:
            kms.unwrap(wrapped)
        assert bao.calls() - before == ({} if mode == "hierarchy" else {DECRYPT: 20})


@pytest.mark.parametrize("mode", MODES)
def test_calls_of_a_poll(workspace, bao, mode):
    daemon = VaultedDaemon(workspace, bao, vault={"mode": mode, "poll": "1s"}).start()
    before = bao.calls()
    wait_until("five looks", lambda: (bao.calls() - before)[READ] >= 5)
    time.sleep(0.3)  # the last look ends
    assert bao.calls() - before == {path: n * 5 for path, n in LOOK[mode].items()}


def test_only_its_own_poll_counts(workspace, bao):
    """keystore.poll is not for a daemon without keystore."""
    daemon = VaultedDaemon(workspace, bao, vault={"poll": "1h"}, config={"keystore": {"poll": "1s"}})
    daemon.start()
    before = bao.calls()
    time.sleep(3)
    assert bao.calls() - before == {}


# --- invented annotations -------------------------------------------------------------------------------


class Flood:
    """Decrypt calls with annotations that nobody made: their form and key id are right, the KEK in
    them is noise."""

    def __init__(self, wrapped):
        self._body = wrapped.annotations[ANNOTATION]
        self._fields = {"ciphertext": wrapped.ciphertext, "key_id": wrapped.key_id}
        self.codes = {}

    def request(self):
        head = self._body[:7] + os.urandom(16) + self._body[23:-WRAPPED]
        return MESSAGE["DecryptRequest"](
            uid="flood", annotations={ANNOTATION: head + os.urandom(WRAPPED)},
            **self._fields).SerializeToString()

    def run(self, kms, count, at_a_time=64):
        for _ in range(count // at_a_time + 1):
            for call in [kms.raw_future("Decrypt", self.request()) for _ in range(at_a_time)]:
                code = call.exception().code()
                self.codes[code] = self.codes.get(code, 0) + 1


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_a_flood_of_invented_annotations(workspace, bao):
    """They cost the server next to nothing, and known KEKs answer all the time."""
    daemon = VaultedDaemon(workspace, bao).start()
    other = VaultedDaemon(workspace, bao, name="other").start()
    with Kms(daemon.socket) as kms, Kms(other.socket) as others, Kms(daemon.socket) as sender:
        mine, theirs = kms.encrypt(), others.encrypt()
        kms.unwrap(theirs)
        before, began = bao.calls(), time.monotonic()
        flood = Flood(mine)
        sending = threading.Thread(target=flood.run, args=(sender, 100_000))
        sending.start()
        rounds, slowest = 0, 0
        while sending.is_alive():
            start = time.monotonic()
            assert kms.status().healthz == "ok"
            kms.encrypt()
            kms.unwrap(mine)
            kms.unwrap(theirs)
            rounds, slowest = rounds + 1, max(slowest, time.monotonic() - start)
            time.sleep(0.01)
        seconds = time.monotonic() - began
        asked = bao.calls() - before
        assert sum(flood.codes.values()) >= 100_000
        assert set(flood.codes) == {grpc.StatusCode.INVALID_ARGUMENT}, flood.codes
        looks = asked[READ]
        forged = asked[DECRYPT] - looks
        assert set(asked) == {READ, DECRYPT} and forged <= 50 + 2 * seconds + 2, asked
        service = daemon.service()
        assert service["annotations_refused"] >= 100_000 - forged
        assert service["keks_cached"] == 2

        # A true one that is not known yet is asked for as soon as the flood is over.
        other.stop()
        other.state_file.unlink()
        other.start()
        with Kms(other.socket) as fresh:
            wait_until("an unknown KEK is read", lambda: kms.unwrap(fresh.encrypt()), 2)
        repeated = flood.request()
        check_refused(grpc.StatusCode.INVALID_ARGUMENT, kms.raw, "Decrypt", repeated)
        before = bao.calls()
        for _ in range(100):
            check_refused(grpc.StatusCode.INVALID_ARGUMENT, kms.raw, "Decrypt", repeated)
        assert (bao.calls() - before)[DECRYPT] <= (bao.calls() - before)[READ] + 1
    print(f"{sum(flood.codes.values())} invented annotations in {seconds:.0f} s: {forged} were asked for; "
          f"{rounds} rounds of known calls meanwhile, none failed, the slowest took {slowest * 1000:.0f} ms")
