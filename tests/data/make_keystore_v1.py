#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Made keystore-v1 once: a keystore of format version 1 with every kind of seal, every role, roster
changes, both suites and every state of a key, with what opens it and a list of what it holds.

That folder is kept for ever and opened by tests; this script says how it came to be, and refuses to
write over it. A new format version gets a script and a folder of its own. contents.json is what
tests/reader, not the C program, says of the keystore.

    ETCDSEAL_TEST_BIN=build/dev/bin tests/data/make_keystore_v1.py
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reader"))

from keystore_reader import Opened  # noqa: E402
from store import PASSPHRASE, Store  # noqa: E402

# keystore.unseal holds absolute paths, so the place is a fixed one.
PLACE = Path("/tmp/etcdseal-keystore-v1")
SUITES = ["kbkdf-aes-256-gcm", "xaes-256-gcm"]
SEALS = [("boot", "file", "boot.key"), ("ops", "passphrase", "ops.txt"),
         ("unit", "credential", "unit"), ("spare", "file", "spare.key")]


def make_secrets():
    (PLACE / "ops.txt").write_bytes(PASSPHRASE + b"\n")
    (PLACE / "ops.txt").chmod(0o600)
    # As a service manager hands it over; "unit.cred" stands for the encrypted credential.
    (PLACE / "unit").write_bytes(b"the content of the decrypted credential named unit")
    (PLACE / "unit.cred").write_bytes(b"stands for the encrypted credential")
    os.environ["CREDENTIALS_DIRECTORY"] = str(PLACE)


def make_slots(store):
    store.init("--seal", f"old=file:{PLACE}/old.key",
               "--seal", f"ops=passphrase:file={PLACE}/ops.txt", "--passphrase-cost", "min",
               "--seal", f"unit=credential:unit,file={PLACE}/unit.cred",
               "--role", "ops=recovery", "--role", "unit=operator")
    store.run("seal", "add", f"spare=file:{PLACE}/spare.key")
    store.run("seal", "remove", "old", "--confirm", "old")


def make_keys(store):
    """Returns what was wrapped under each key while it was primary."""
    wrapped, ids = [], [store.primary()]
    for i in range(6):
        seed = bytes([i]) * 32
        key_id, data = store.wrap(seed)
        assert key_id == ids[-1]
        wrapped.append({"key_id": key_id, "plaintext": seed.hex(), "wrapped": data.hex()})
        if i < 5:
            ids.append(store.rotate(SUITES[i % 2]))
    store.add_key(SUITES[1])
    store.gated("destroy", ids[0], "--after", "1s")
    store.gated("destroy", ids[1], "--after", "3650d")
    store.gated("disable", ids[2])
    store.run("key", "compromise", ids[3])
    time.sleep(1.1)
    store.gated("destroy", ids[0], "--backups", "none: made for a test")
    return wrapped


def main():
    target = HERE / "keystore-v1"
    if target.exists() or PLACE.exists():
        return f"{target} or {PLACE} exists; it is never written over"
    PLACE.mkdir(mode=0o700)
    try:
        make_secrets()
        store = Store(PLACE)
        make_slots(store)
        wrapped = make_keys(store)
        opened = store.open()
        opened.check_accepted(opened.accepted_record(store.accepted.read_bytes()))
        described = opened.describe(show_material=True)
        del described["opened_by"]
        target.mkdir()
        for name in ("keystore", "keystore.accepted", "keystore.unseal"):
            shutil.copyfile(PLACE / "store" / name, target / name)
        for _, _, name in SEALS:
            shutil.copyfile(PLACE / name, target / name)
        contents = {"about": "test keys: they protect nothing",
                    "seals": [{"slot": s, "kind": k, "file": f} for s, k, f in SEALS],
                    "keystore": described, "wrapped": wrapped}
        (target / "contents.json").write_text(json.dumps(contents, indent=1) + "\n")
        data = (target / "keystore").read_bytes()
        for slot, kind, name in SEALS:
            Opened(data, slot, kind, (target / name).read_bytes())
    finally:
        shutil.rmtree(PLACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
