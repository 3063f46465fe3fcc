#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes envelope-vectors.json: wrapped DEK seeds, with every value on the way to them.

It uses tests/reader (Python's hmac, the cryptography package) and none of our C code. Keys and
random bytes are SHA-256 of a name, so the file is the same each time; --check says whether it is.

    tests/data/make_envelope_vectors.py [--check]
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reader"))

import envelope  # noqa: E402
from primitives import Refused, sha256  # noqa: E402

STORE_ID = bytes.fromhex("00112233445566778899aabbccddeeff")
KEY_ID = "es1-aaaqeayeaudaocajbifqydiob4"

# Annotations stand in the order in which they are given, not in that of the encoding.
CASES = [
    ("a seed as kube-apiserver sends it", 32, []),
    ("one byte", 1, []),
    ("the longest plaintext", 256, []),
    ("two annotations", 32, [("zone.example.org", b"eu-1"), ("kek.example.org", b"\x00\x01\xff")]),
    ("a name that begins another, an empty value", 32,
     [("ab.example.org", b""), ("a.example.org", b"1"), ("a.example.or", b"2")]),
]


def derive(*names):
    return sha256("/".join(["etcdseal envelope vector", *names]).encode())


def make_case(suite, name, size, annotations):
    kek = derive(name, envelope.SUITE_NAMES[suite], "kek")
    fresh = derive(name, envelope.SUITE_NAMES[suite], "random")
    plaintext = (derive(name, "plaintext") * 8)[:size]
    bound = envelope.aad(suite, STORE_ID, KEY_ID, [(n.encode(), v) for n, v in annotations])
    wrapped = envelope.wrap(suite, kek, bound, plaintext, fresh)
    assert envelope.unwrap(suite, kek, bound, wrapped) == plaintext
    try:
        envelope.unwrap(suite, kek, bound + b"x", wrapped)
        raise AssertionError("the associated data are not bound")
    except Refused:
        pass
    return {
        "name": name,
        "suite": suite,
        "suite_name": envelope.SUITE_NAMES[suite],
        "kek": kek.hex(),
        "wrap_subkey": envelope.subkey(kek, suite, "wrap").hex(),
        "nonce_subkey": envelope.subkey(kek, suite, "nonce").hex(),
        "store_id": STORE_ID.hex(),
        "key_id": KEY_ID,
        "annotations": [{"name": n, "value": v.hex()} for n, v in annotations],
        "aad": bound.hex(),
        "random": fresh.hex(),
        "plaintext": plaintext.hex(),
        "wrapped": wrapped.hex(),
    }


def main():
    suites = sorted(envelope.SUITE_NAMES)
    rows = [make_case(suite, *case) for suite in suites for case in CASES]
    text = json.dumps(rows, indent=1) + "\n"
    path = HERE / "envelope-vectors.json"
    if sys.argv[1:] == ["--check"]:
        return 0 if path.read_text() == text else f"{path.name} is not what this script makes"
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
