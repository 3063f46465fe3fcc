# SPDX-License-Identifier: Apache-2.0
"""The primitives of docs/keystore-format.md, spelled out over Python's hmac and the cryptography
package, so that they share no code with the C rooms."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """Something does not authenticate."""


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(ikm, salt, info, length=32):
    """RFC 5869 with SHA-256."""
    key = hmac_sha256(salt or bytes(32), ikm)
    out = block = b""
    for i in range(1, -(-length // 32) + 1):
        block = hmac_sha256(key, block, info, bytes([i]))
        out += block
    return out[:length]


def kbkdf(key, label, context, length):
    """SP 800-108r1 4.1: counter mode, HMAC-SHA-256, 32-bit counter, zero byte, 32-bit length."""
    fixed = label + b"\0" + context + (8 * length).to_bytes(4, "big")
    blocks = -(-length // 32)
    out = b"".join(hmac_sha256(key, i.to_bytes(4, "big"), fixed) for i in range(1, blocks + 1))
    return out[:length]


def gcm_seal(key, nonce, aad, text):
    return AESGCM(key).encrypt(nonce, text, aad)


def gcm_open(key, nonce, aad, sealed):
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        raise Refused("authentication failed") from None


def _xaes_key(key, nonce):
    """C2SP XAES-256-GCM, "Detailed key derivation algorithm"."""
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    left = int.from_bytes(aes.update(bytes(16)), "big") << 1
    k1 = (left & (1 << 128) - 1) ^ (0x87 if left >> 128 else 0)
    derived = b""
    for i in (1, 2):
        block = bytes([0, i, 0x58, 0]) + nonce[:12]
        derived += aes.update((int.from_bytes(block, "big") ^ k1).to_bytes(16, "big"))
    return derived


def xaes_seal(key, nonce, aad, text):
    return gcm_seal(_xaes_key(key, nonce), nonce[12:], aad, text)


def xaes_open(key, nonce, aad, sealed):
    return gcm_open(_xaes_key(key, nonce), nonce[12:], aad, sealed)


def u16(number):
    return number.to_bytes(2, "big")


def lv16(data):
    """A byte string behind its length."""
    return u16(len(data)) + data
