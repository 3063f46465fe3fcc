# SPDX-License-Identifier: Apache-2.0
"""Wrapped DEK seeds, from docs/keystore-format.md, "Wrapped seeds"."""

from primitives import (Refused, gcm_open, gcm_seal, hkdf, hmac_sha256, kbkdf, lv16, u16, xaes_open,
                        xaes_seal)

XAES, KBKDF = 1, 2
SUITE_NAMES = {XAES: "xaes-256-gcm", KBKDF: "kbkdf-aes-256-gcm"}
NONCE_BYTES = {XAES: 24, KBKDF: 16}
FORMAT = 1


def aad(suite, store_id, key_id, annotations):
    """`annotations`: pairs of bytes, in any order."""
    rows = sorted(annotations)
    return (bytes([1]) + lv16(b"etcdseal kms v2 dek seed") + bytes([suite]) + lv16(store_id)
            + lv16(key_id.encode()) + u16(len(rows))
            + b"".join(lv16(name) + lv16(value) for name, value in rows))


def subkey(kek, suite, which):
    """`which` is "wrap" or "nonce"."""
    return hkdf(kek, b"", f"etcdseal/v1/kek/{which}".encode() + bytes([suite]))


def _message_key(wrap_key, salt):
    out = kbkdf(wrap_key, b"etcdseal/v1/kek/kbkdf-message", salt, 44)
    return out[:32], out[32:]


def wrap(suite, kek, bound, plaintext, fresh):
    """`fresh`: the 32 random bytes of the hedged nonce."""
    nonce = hmac_sha256(subkey(kek, suite, "nonce"), fresh, len(bound).to_bytes(8, "big"), bound,
                        plaintext)[:NONCE_BYTES[suite]]
    key = subkey(kek, suite, "wrap")
    if suite == XAES:
        sealed = xaes_seal(key, nonce, bound, plaintext)
    else:
        sealed = gcm_seal(*_message_key(key, nonce), bound, plaintext)
    return bytes([suite, FORMAT]) + nonce + sealed


def unwrap(suite, kek, bound, wrapped):
    head = 2 + NONCE_BYTES[suite]
    if len(wrapped) < head + 16 + 1 or wrapped[:2] != bytes([suite, FORMAT]):
        raise Refused("authentication failed")
    key, nonce, sealed = subkey(kek, suite, "wrap"), wrapped[2:head], wrapped[head:]
    if suite == XAES:
        return xaes_open(key, nonce, bound, sealed)
    return gcm_open(*_message_key(key, nonce), bound, sealed)
