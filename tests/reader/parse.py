# SPDX-License-Identifier: Apache-2.0
"""Bytes of `keystore`, its key table and `keystore.accepted` to plain values. Written from
docs/keystore-format.md; nothing that is read here is verified yet."""

import base64
import re
from dataclasses import dataclass

from primitives import sha256

FILE_MIN, FILE_MAX = 292, 1 << 20
HEADER_SIZE = 148
TAIL_SIZE = 32 + 16 + 64 + 32
ROLES = {1: "node", 2: "operator", 3: "recovery"}
SEAL_KINDS = {1: "passphrase", 2: "file", 3: "credential", 6: "vault"}
KNOWN_ALGORITHMS = [1, 1, 1, 1]  # boxing, table, MAC, signature


class Damaged(Exception):
    """The bytes do not follow the format."""


class Unsupported(Exception):
    """A newer version, or something this reader does not know."""


def need(claim, words):
    if not claim:
        raise Damaged(words)


class Cursor:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def raw(self, size):
        need(size <= len(self.data) - self.at, f"cut off at byte {self.at}")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, size):
        return int.from_bytes(self.raw(size), "big")

    def u8(self):
        return self.number(1)

    def u16(self):
        return self.number(2)

    def u32(self):
        return self.number(4)

    def u64(self):
        return self.number(8)

    def lv16(self):
        return self.raw(self.u16())

    def is_at_end(self):
        return self.at == len(self.data)


@dataclass
class Slot:
    id: bytes
    name: str
    role: int
    created_at: int
    tested_at: int
    box_key: bytes
    sign_key: bytes
    kind: int
    params: bytes
    blob: bytes
    boxed_root: bytes

    def as_member(self):
        return (self.role, self.box_key, self.sign_key)


@dataclass
class Change:
    kind: int
    slot: bytes
    role: int
    box_key: bytes
    sign_key: bytes
    by: bytes
    generation: int
    signature: bytes
    signed: bytes  # the part of the record that the signature covers


@dataclass
class Keystore:
    data: bytes
    clear: bytes
    table: bytes
    mac: bytes
    signature: bytes
    store_id: bytes
    generation: int
    previous_hash: bytes
    root_epoch: int
    writer: bytes
    written_at: int
    salt: bytes
    slots: list
    changes: list

    def slot_named(self, name):
        for slot in self.slots:
            if slot.name == name:
                return slot
        raise Damaged(f"there is no slot {name}")

    def slot_with(self, slot_id):
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise Damaged("the writer is none of the slots")


@dataclass
class Key:
    id: bytes
    suite: int
    birth_epoch: int
    created_at: int
    promoted_at: int
    retired_at: int
    disabled_at: int
    destroy_due: int
    destroyed_at: int
    compromised_at: int
    note: str
    material: bytes

    def state(self):
        rows = [(self.destroyed_at, "destroyed"), (self.destroy_due, "destroy-scheduled"),
                (self.disabled_at, "disabled"), (self.retired_at, "retired"),
                (self.promoted_at, "primary")]
        return next((state for time, state in rows if time), "staged")

    def may_unwrap(self):
        return self.state() in ("retired", "primary", "staged")

    def text_id(self):
        return "es1-" + base64.b32encode(self.id).decode().rstrip("=").lower()


@dataclass
class Accepted:
    copies: dict  # slot id to its sealed copy of the accept key
    body: bytes
    mac: bytes


@dataclass
class Record:
    accept_key: bytes
    store_id: bytes
    generation: int
    hash: bytes
    roster: dict  # slot id to (role, boxing key, signing key)
    keys: list    # (key id, is destroyed, commitment)


def _read_slot(record):
    c = Cursor(record)
    slot_id, name = c.raw(16), c.lv16()
    need(re.fullmatch(rb"[a-z0-9][a-z0-9-]{0,30}", name), "a slot's name")
    slot = Slot(id=slot_id, name=name.decode(), role=c.u8(), created_at=c.u64(), tested_at=c.u64(),
                box_key=c.raw(32), sign_key=c.raw(32), kind=c.u8(), params=c.lv16(), blob=c.lv16(),
                boxed_root=c.raw(80))
    need(c.is_at_end() and slot.role in ROLES and len(slot.params) <= 256
         and len(slot.blob) <= 4096, f"fields of slot {slot.name}")
    return slot


def _read_change(c):
    start = c.at
    change = Change(kind=c.u8(), slot=c.raw(16), role=c.u8(), box_key=c.raw(32),
                    sign_key=c.raw(32), by=c.raw(16), generation=c.u64(), signed=b"", signature=b"")
    change.signed = c.data[start:c.at]
    change.signature = c.raw(64)
    need(change.kind in (1, 2) and change.role in ROLES, "a roster change")
    return change


def _check_algorithms(used, c):
    count = c.u8()
    need(count <= 16, "more than 16 allowed algorithms")
    allowed = [(c.u8(), c.u8()) for _ in range(count)]
    for i, (algorithm, known) in enumerate(zip(used, KNOWN_ALGORITHMS)):
        if algorithm != known:
            raise Unsupported(f"algorithm {algorithm} of class {i + 1}")
        need((i + 1, algorithm) in allowed, f"algorithm {algorithm} is not allowed")


def read_keystore(data):
    """Steps 1 to 8 of "Order of checks"."""
    need(FILE_MIN <= len(data) <= FILE_MAX, f"{len(data)} bytes")
    c = Cursor(data)
    need(c.raw(8) == b"\x89ETCDKS\n", "it does not begin as a keystore")
    if c.u16() != 1:
        raise Unsupported("format version")
    header_size, features = c.u16(), c.u32()
    total, clear_size, table_size = c.u32(), c.u32(), c.u32()
    need(total == len(data) == clear_size + table_size + TAIL_SIZE and clear_size >= HEADER_SIZE,
         "the sizes do not agree")
    need(sha256(data[:-32]) == data[-32:], "the checksum does not fit")
    need(header_size == HEADER_SIZE, "header size")
    if features:
        raise Unsupported(f"features {features:#x}")
    c.data = clear = data[:clear_size]
    header = {"store_id": c.raw(16), "generation": c.u64(), "previous_hash": c.raw(32),
              "root_epoch": c.u32(), "writer": c.raw(16), "written_at": c.u64(), "salt": c.raw(32)}
    need(1 <= header["generation"] <= 1 << 62 and header["root_epoch"],
         "generation or root epoch out of range")
    algorithms = list(c.raw(4))
    need(c.at == HEADER_SIZE, "header size")
    _check_algorithms(algorithms, c)
    slot_count = c.u16()
    need(1 <= slot_count <= 32, f"{slot_count} slots")
    slots = [_read_slot(c.lv16()) for _ in range(slot_count)]
    need(len({s.id for s in slots}) == len({s.name for s in slots}) == slot_count,
         "a slot stands twice")
    change_count = c.u16()
    need(change_count <= 64, f"{change_count} roster changes")
    changes = [_read_change(c) for _ in range(change_count)]
    generations = [change.generation for change in changes]
    need(generations == sorted(generations)
         and all(g <= header["generation"] for g in generations), "order of roster changes")
    need(c.is_at_end(), "the clear part ends elsewhere")
    tail = Cursor(data[clear_size + table_size:])
    mac, writer, signature = tail.raw(32), tail.raw(16), tail.raw(64)
    need(writer == header["writer"], "two writers")
    return Keystore(data=data, clear=clear, table=data[clear_size:clear_size + table_size], mac=mac,
                    signature=signature, slots=slots, changes=changes, **header)


def _read_key(c):
    key = Key(id=c.raw(16), suite=c.u8(), birth_epoch=c.u32(), created_at=c.u64(),
              promoted_at=c.u64(), retired_at=c.u64(), disabled_at=c.u64(), destroy_due=c.u64(),
              destroyed_at=c.u64(), compromised_at=c.u64(), note="", material=b"")
    note = c.lv16()
    need(len(note) <= 256 and b"\0" not in note, "a key's note")
    key.note = note.decode()
    key.material = c.raw(c.u8())
    need(len(key.material) == (0 if key.destroyed_at else 32), "a key's material")
    if key.suite not in (1, 2):
        raise Unsupported(f"wrap suite {key.suite}")
    return key


def read_table(table):
    c = Cursor(table)
    count = c.u16()
    need(1 <= count <= 1024, f"{count} keys")
    keys = [_read_key(c) for _ in range(count)]
    need(c.is_at_end(), "bytes behind the last key")
    need(len({k.id for k in keys}) == count, "a key stands twice")
    need([k.state() for k in keys].count("primary") == 1, "not one primary key")
    need(sum(bool(k.material) for k in keys) <= 256, "too many keys with material")
    return keys


def read_accepted(data):
    c = Cursor(data)
    need(c.raw(8) == b"\x89ETCDKA\n" and c.u16() == 1, "it does not begin as keystore.accepted")
    count = c.u16()
    need(count <= 32, "number of copies")
    copies = {}
    for _ in range(count):
        slot_id = c.raw(16)
        copies[slot_id] = c.raw(72)
    accepted = Accepted(copies=copies, body=c.raw(c.u32()), mac=c.raw(32))
    need(c.is_at_end(), "bytes behind the MAC")
    return accepted


def read_record(body, accept_key):
    c = Cursor(body)
    record = Record(accept_key=accept_key, store_id=c.raw(16), generation=c.u64(), hash=c.raw(32),
                    roster={}, keys=[])
    count = c.u16()
    need(count <= 32, "a roster's size")
    for _ in range(count):
        slot_id = c.raw(16)
        record.roster[slot_id] = (c.u8(), c.raw(32), c.raw(32))
    count = c.u16()
    need(count <= 1024, "number of keys")
    record.keys = [(c.raw(16), c.u8(), c.raw(16)) for _ in range(count)]
    need(c.is_at_end(), "bytes behind the record")
    return record
