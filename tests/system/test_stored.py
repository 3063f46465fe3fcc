# SPDX-License-Identifier: Apache-2.0
"""parts/stored.py reads what kube-apiserver writes, by values that Kubernetes keeps for its own tests:
the other system tests judge etcd's content by it."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from parts import places, stored

VECTORS = {row["name"]: row for row in json.loads(
    (places.ROOT / "tests" / "data" / "kubernetes-stored-values.json").read_text())}
VALUES = ["kms-v2-type0", "kms-v2-type1"]
PREFIX = b"k8s:enc:kms:v2:kms-provider:"
INFO = 32   # bytes in front of the nonce that make a key for one value
NONCE = 12


def open_gcm(key, data, aad):
    return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], aad)


def open_extended(seed, data, aad):
    key = HKDFExpand(SHA256(), 32, data[:INFO]).derive(seed)
    return open_gcm(key, data[INFO:], aad)


OPEN = [open_gcm, open_extended]  # by the type of the source


@pytest.mark.parametrize("name", VALUES)
def test_stored_value(name):
    row = VECTORS[name]
    read = stored.parse(bytes.fromhex(row["value_hex"]), PREFIX)
    assert read.source_type == VALUES.index(name)
    assert read.key_id == "1"
    assert read.annotations == {"local-kek.kms.kubernetes.io": b"encrypted-local-kek"}
    source = base64.b64decode(read.wrapped_seed, validate=True)
    assert len(source) == 32
    plaintext = OPEN[read.source_type](source, read.encrypted_data, row["etcd_key"].encode())
    assert plaintext == bytes.fromhex(row["plaintext_hex"])


@pytest.mark.parametrize("name", VALUES)
def test_stored_value_is_bound_to_its_place(name):
    row = VECTORS[name]
    read = stored.parse(bytes.fromhex(row["value_hex"]), PREFIX)
    with pytest.raises(InvalidTag):
        OPEN[read.source_type](base64.b64decode(read.wrapped_seed), read.encrypted_data,
                               row["etcd_key"].encode() + b"x")


@pytest.mark.parametrize("name, opening", [("aes-gcm-legacy", open_gcm),
                                           ("hkdf-xnonce-aes-gcm", open_extended)])
def test_aead(name, opening):
    row = VECTORS[name]
    assert opening(bytes.fromhex(row["key_hex"]), bytes.fromhex(row["ciphertext_hex"]),
                   row["aad"].encode()) == row["plaintext"].encode()


def test_every_vector_is_used():
    assert set(VECTORS) == {*VALUES, "aes-gcm-legacy", "hkdf-xnonce-aes-gcm"}


@pytest.mark.parametrize("value", [b"", b"k8s\0plain", b"k8s:enc:kms:v2:other:\x0a\x00"])
def test_values_of_others_are_refused(value):
    with pytest.raises(ValueError):
        stored.parse(value, PREFIX)
