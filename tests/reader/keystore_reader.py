#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens an etcdseal keystore. Written from docs/keystore-format.md alone, over Python's hmac, the
cryptography package and PyNaCl (Argon2id); it shares no code with the C program.

    keystore_reader.py KEYSTORE --seal SLOT=file:/PATH
                                       SLOT=passphrase:/PATH   (a file that holds the passphrase)
                                       SLOT=credential:/PATH   (a file with its decrypted content)
                       [--accepted PATH] [--unwrap KEY_ID=HEX] [--show-material]

Prints JSON. Exit code 4 when something does not authenticate, 3 when it cannot be read, 1 when it
is not acceptable after keystore.accepted.
"""

import argparse
import json
import sys
import uuid
from pathlib import Path

import nacl.pwhash
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import envelope
import parse
from parse import Damaged, Unsupported, need
from primitives import Refused, gcm_open, hkdf, hmac_sha256, lv16, sha256, xaes_open


class Unacceptable(Exception):
    """The keystore is not one that may follow the accepted one."""


def _raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def verify(sign_key, label, message, signature):
    digest = sha256(label + b"\0" + sha256(message))
    try:
        Ed25519PublicKey.from_public_bytes(sign_key).verify(signature, digest)
    except InvalidSignature:
        raise Refused("a signature does not fit") from None


# --- seals ------------------------------------------------------------------------------------------


def _passphrase_key(params, content):
    need(len(params) == 26 and params[0] == 1, "passphrase parameters")
    if params[1] != 1:
        raise Unsupported(f"passphrase algorithm {params[1]}")
    passes, memory_kib = int.from_bytes(params[2:6], "big"), int.from_bytes(params[6:10], "big")
    need(1 <= passes <= 10 and 65536 <= memory_kib <= 1048576, "Argon2id cost")
    text = content[:-1] if content.endswith(b"\n") else content
    need(12 <= len(text) <= 1024, "length of the passphrase")
    return nacl.pwhash.argon2id.kdf(32, text, params[10:], passes, memory_kib * 1024)


def _content_key(params, content, label):
    need(len(params) == 17 and params[0] == 1, "seal parameters")
    need(32 <= len(content) <= 65536, "length of the key file or credential")
    return hkdf(content, params[1:], label)


def slot_secret(store_id, slot, kind, content):
    """`content`: of the file that holds passphrase, key or decrypted credential."""
    need(parse.SEAL_KINDS.get(slot.kind) == kind, f"slot {slot.name} has another kind of seal")
    if kind == "passphrase":
        key = _passphrase_key(slot.params, content)
    else:
        key = _content_key(slot.params, content, f"etcdseal/v1/seal/{kind}".encode())
    aad = (b"etcdseal/v1/seal" + lv16(store_id + slot.id) + bytes([slot.kind])
           + lv16(slot.params))
    if len(slot.blob) != 72:
        raise Refused("size of the seal's blob")
    return xaes_open(key, slot.blob[:24], aad, slot.blob[24:])


# --- opening ----------------------------------------------------------------------------------------


class Opened:
    """A keystore that was opened by one slot: MAC, signature and table are verified."""

    def __init__(self, data, slot_name, kind, content):
        self.keystore = ks = parse.read_keystore(data)
        self.slot = ks.slot_named(slot_name)
        self._derive_slot_keys(slot_secret(ks.store_id, self.slot, kind, content))
        root = self._unbox_root()
        mac_key = hkdf(root, ks.salt, b"etcdseal/v1/keystore/mac")
        if hmac_sha256(mac_key, ks.clear, ks.table) != ks.mac:
            raise Refused("the MAC does not fit")
        table_key = hkdf(root, ks.salt, b"etcdseal/v1/keystore/table")
        need(len(ks.table) > 24 + 16, "size of the table")
        self.keys = parse.read_table(xaes_open(table_key, ks.table[:24], ks.clear, ks.table[24:]))
        self.check_signature(ks.slot_with(ks.writer).sign_key)

    def _derive_slot_keys(self, secret):
        salt = self.keystore.store_id + self.slot.id
        self._box = X25519PrivateKey.from_private_bytes(hkdf(secret, salt, b"etcdseal/v1/slot/box"))
        sign = Ed25519PrivateKey.from_private_bytes(hkdf(secret, salt, b"etcdseal/v1/slot/sign"))
        self._copy_key = hkdf(secret, salt, b"etcdseal/v1/slot/accept")
        if (_raw(self._box.public_key()) != self.slot.box_key
                or _raw(sign.public_key()) != self.slot.sign_key):
            raise Refused("the slot's public keys are not those of its secret")

    def _unbox_root(self):
        ks, slot = self.keystore, self.slot
        binding = (b"etcdseal/v1/keystore/root" + ks.store_id + ks.root_epoch.to_bytes(4, "big")
                   + slot.id + lv16(slot.name.encode()) + bytes([slot.role]) + slot.sign_key
                   + bytes([slot.kind]) + lv16(slot.params))
        ephemeral = slot.boxed_root[:32]
        try:
            shared = self._box.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError:
            raise Refused("a point of low order") from None
        key = hkdf(shared, ephemeral + slot.box_key, b"etcdseal/v1/box" + binding, 44)
        return gcm_open(key[:32], key[32:], binding, slot.boxed_root[32:])

    def check_signature(self, sign_key):
        ks = self.keystore
        verify(sign_key, b"etcdseal/v1/keystore/signature",
               ks.clear + ks.table + ks.mac + ks.writer, ks.signature)

    # --- acceptance -----------------------------------------------------------------------------------

    def accepted_record(self, file):
        """The node's record in the bytes of keystore.accepted, read with this slot's copy."""
        accepted = parse.read_accepted(file)
        copy = accepted.copies.get(self.slot.id)
        if copy is None:
            raise Unacceptable("keystore.accepted has no copy for this slot")
        try:
            key = xaes_open(self._copy_key, copy[:24], b"etcdseal/v1/accepted/copy" + self.slot.id,
                            copy[24:])
        except Refused:
            raise Unacceptable("keystore.accepted is of another node, or altered") from None
        if hmac_sha256(key, b"etcdseal/v1/accepted/record", accepted.body) != accepted.mac:
            raise Unacceptable("keystore.accepted was altered")
        return parse.read_record(accepted.body, key)

    def check_accepted(self, record):
        """Rules 1 to 9 of "Acceptance"."""
        self._check_generation(record)
        self._check_roster(dict(record.roster), record.generation)
        self._check_keys(record)

    def _check_generation(self, record):
        ks = self.keystore
        if record.store_id != ks.store_id:
            raise Unacceptable("another store")
        if ks.generation < record.generation:
            raise Unacceptable("rolled back")
        if ks.generation == record.generation and sha256(ks.data) != record.hash:
            raise Unacceptable("fork of the same generation")
        if ks.generation == record.generation + 1 and ks.previous_hash != record.hash:
            raise Unacceptable("fork: it does not follow the accepted one")

    def _check_roster(self, roster, since):
        ks = self.keystore
        for change in ks.changes:
            if change.generation <= since:
                continue
            if change.by not in roster:
                raise Unacceptable("a roster change by a stranger")
            verify(roster[change.by][2], b"etcdseal/v1/keystore/roster-change",
                   ks.store_id + change.signed, change.signature)
            is_member = change.slot in roster
            if is_member != (change.kind == 2) or (change.kind == 1 and len(roster) >= 32):
                raise Unacceptable("a roster change that does not apply")
            if change.kind == 1:
                roster[change.slot] = (change.role, change.box_key, change.sign_key)
            else:
                del roster[change.slot]
        if roster != {slot.id: slot.as_member() for slot in ks.slots}:
            raise Unacceptable("the slots are not the accepted roster")
        if ks.writer not in roster:
            raise Unacceptable("the writer is not on the roster")
        self.check_signature(roster[ks.writer][2])

    def _check_keys(self, record):
        keys = {key.id: key for key in self.keys}
        for key_id, flags, commitment in record.keys:
            if key_id not in keys:
                raise Unacceptable("a key vanished")
            key = keys[key_id]
            if flags & 1 and key.material:
                raise Unacceptable("a destroyed key is back")
            if key.material and not self._has_its_past(key, flags):
                raise Unacceptable("fork: the past of a key is another one")
            found = hmac_sha256(record.accept_key, b"etcdseal/v1/accepted/key", key.id,
                                bytes([key.suite]), key.material)[:16]
            if key.material and found != commitment:
                raise Unacceptable("a key changed its material")

    @staticmethod
    def _has_its_past(key, flags):
        is_primary, is_compromised, was_promoted = flags & 2, flags & 8, flags & 16
        return not (was_promoted and not key.promoted_at
                    or was_promoted and not is_primary and key.state() == "primary"
                    or is_compromised and not key.compromised_at)

    # --- use ------------------------------------------------------------------------------------------

    def unwrap(self, key_id, wrapped, annotations=()):
        for key in self.keys:
            if key.text_id() == key_id:
                if not key.may_unwrap():
                    raise Refused(f"key {key_id} is {key.state()}")
                bound = envelope.aad(key.suite, self.keystore.store_id, key_id, annotations)
                return envelope.unwrap(key.suite, key.material, bound, wrapped)
        raise Refused(f"there is no key {key_id}")

    def describe(self, show_material=False):
        ks = self.keystore
        return {
            "store_id": str(uuid.UUID(bytes=ks.store_id)),
            "generation": ks.generation,
            "root_epoch": ks.root_epoch,
            "previous_hash": ks.previous_hash.hex(),
            "sha256": sha256(ks.data).hex(),
            "writer": ks.slot_with(ks.writer).name,
            "written_at": ks.written_at,
            "opened_by": self.slot.name,
            "slots": [self._describe_slot(slot) for slot in ks.slots],
            "changes": [self._describe_change(change) for change in ks.changes],
            "keys": [self._describe_key(key, show_material) for key in self.keys],
        }

    @staticmethod
    def _describe_slot(slot):
        return {"name": slot.name, "id": slot.id.hex(), "role": parse.ROLES[slot.role],
                "seal": parse.SEAL_KINDS.get(slot.kind, slot.kind), "created_at": slot.created_at,
                "tested_at": slot.tested_at, "box_key": slot.box_key.hex(),
                "sign_key": slot.sign_key.hex()}

    @staticmethod
    def _describe_change(change):
        return {"kind": {1: "added", 2: "removed"}[change.kind], "slot": change.slot.hex(),
                "role": parse.ROLES[change.role], "by": change.by.hex(),
                "generation": change.generation}

    @staticmethod
    def _describe_key(key, show_material):
        row = {"id": key.text_id(), "state": key.state(),
               "suite": envelope.SUITE_NAMES[key.suite], "birth_epoch": key.birth_epoch,
               "created_at": key.created_at, "promoted_at": key.promoted_at,
               "retired_at": key.retired_at, "disabled_at": key.disabled_at,
               "destroy_due": key.destroy_due, "destroyed_at": key.destroyed_at,
               "compromised_at": key.compromised_at, "note": key.note}
        return row | ({"material": key.material.hex()} if show_material else {})


def run(args):
    slot_name, seal = args.seal.split("=", 1)
    kind, path = seal.split(":", 1)
    opened = Opened(Path(args.keystore).read_bytes(), slot_name, kind, Path(path).read_bytes())
    out = opened.describe(args.show_material)
    if args.accepted:
        record = opened.accepted_record(Path(args.accepted).read_bytes())
        opened.check_accepted(record)
        out["accepted"] = {"generation": record.generation, "sha256": record.hash.hex(),
                           "slots": len(record.roster), "keys": len(record.keys)}
    if args.unwrap:
        key_id, wrapped = args.unwrap.split("=", 1)
        out["plaintext"] = opened.unwrap(key_id, bytes.fromhex(wrapped)).hex()
    return out


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("keystore")
    parser.add_argument("--seal", required=True)
    parser.add_argument("--accepted")
    parser.add_argument("--unwrap")
    parser.add_argument("--show-material", action="store_true")
    codes = {Refused: 4, Damaged: 3, Unsupported: 3, Unacceptable: 1}
    try:
        print(json.dumps(run(parser.parse_args()), indent=1))
        return 0
    except tuple(codes) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return codes[type(error)]


if __name__ == "__main__":
    sys.exit(main())
