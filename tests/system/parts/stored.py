# SPDX-License-Identifier: Apache-2.0
"""What kube-apiserver stores for a KMS v2 provider: a prefix and a protobuf EncryptedObject."""

from dataclasses import dataclass, field

PROVIDER = "etcdseal"
PREFIX = f"k8s:enc:kms:v2:{PROVIDER}:".encode()


@dataclass
class Stored:
    encrypted_data: bytes = b""
    key_id: str = ""
    wrapped_seed: bytes = b""
    annotations: dict = field(default_factory=dict)
    source_type: int = 0


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value


def parse(value, prefix=PREFIX):
    """The stored object; ValueError when the value is not one of our provider."""
    if not value.startswith(prefix):
        raise ValueError(f"does not begin with {prefix.decode()}: {value[:40]!r}")
    stored = Stored()
    for number, content in fields(value[len(prefix):]):
        if number == 1:
            stored.encrypted_data = content
        elif number == 2:
            stored.key_id = content.decode()
        elif number == 3:
            stored.wrapped_seed = content
        elif number == 4:
            entry = dict(fields(content))
            stored.annotations[entry[1].decode()] = entry.get(2, b"")
        elif number == 5:
            stored.source_type = content
    return stored
