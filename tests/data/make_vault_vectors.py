#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes vault-vectors.json: what the provider vault writes down and sends, byte by byte.

It follows the description in provider/vault_wire.h with hashlib and base64 and uses none of our C
code. Random bytes are SHA-256 of a name, so the file is the same each time; --check says whether
it is.

    tests/data/make_vault_vectors.py [--check]
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# name, cluster id, epoch, mount, key, version, creation time, suite, bytes that Transit made
CASES = [
    ("a first version", "6b3a52f0-6c2e-4f4e-9a1d-0d7f3f6f2a11", 0, "transit", "etcdseal", 1,
     1764115200, 1, 60),
    ("a later one of the second epoch", "6b3a52f0-6c2e-4f4e-9a1d-0d7f3f6f2a11", 1, "transit",
     "etcdseal", 17, 1795651200, 2, 72),
    ("the shortest names, all numbers at their least", "c", 0, "m", "k", 1, 0, 1, 60),
    ("the longest names, all numbers at their most", "c" * 64, 255, "m" * 128, "k" * 128,
     2**32 - 1, 2**62, 2, 128),
    ("a mount of two segments", "prod-1", 2, "team/transit", "kube", 256, 2**32, 1, 61),
    ("mount and key: the boundary here", "prod-1", 0, "a", "bc", 1, 1, 1, 127),
    ("mount and key: the boundary there", "prod-1", 0, "ab", "c", 1, 1, 1, 127),
]


def number(value, size):
    return value.to_bytes(size, "big")


def lv16(data):
    data = data.encode() if isinstance(data, str) else data
    return number(len(data), 2) + data


def derive(*names):
    return hashlib.sha256("/".join(["etcdseal vault vector", *names]).encode()).digest()


def make_case(name, cluster_id, epoch, mount, key, version, created_at, suite, raw_size):
    named = (lv16("etcdseal/v1/vault/key-id") + lv16(cluster_id) + number(epoch, 1) + lv16(mount) +
             lv16(key) + number(version, 4) + number(created_at, 8))
    key_id = "esv1-" + base64.b32encode(
        hashlib.sha256(named).digest()[:16]).decode().lower().rstrip("=")
    kek_id = derive(name, "kek id")[:16]
    raw = (derive(name, "raw") * 4)[:raw_size]
    return {
        "name": name,
        "cluster_id": cluster_id,
        "epoch": epoch,
        "mount": mount,
        "key": key,
        "version": version,
        "created_at": created_at,
        "key_id": key_id,
        "suite": suite,
        "kek_id": kek_id.hex(),
        "kek_aad": (lv16("etcdseal/v1/vault/kek") + lv16(key_id) + kek_id +
                    number(suite, 1)).hex(),
        "seed_aad": (lv16("etcdseal/v1/vault/seed") + lv16(cluster_id) + lv16(key_id)).hex(),
        "raw": raw.hex(),
        "annotation": (number(1, 1) + number(suite, 1) + number(epoch, 1) + number(version, 4) +
                       kek_id + lv16(raw)).hex(),
        "direct": (number(0xD1, 1) + number(epoch, 1) + number(version, 4) + raw).hex(),
    }


def main():
    text = json.dumps([make_case(*case) for case in CASES], indent=1) + "\n"
    path = HERE / "vault-vectors.json"
    if sys.argv[1:] == ["--check"]:
        return 0 if path.read_text() == text else f"{path.name} is not what this script makes"
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
