# SPDX-License-Identifier: Apache-2.0
"""Writes files as etcd's database (bbolt), page by page, so that a test knows where everything lies
and can damage it. Shares nothing with the C reader."""

import hashlib
import struct

HEADER = 16
ELEMENT = 16
BRANCH, LEAF, META, FREELIST = 1, 2, 4, 16
MAGIC = 0xED0CDAED
NO_FREELIST = 2 ** 64 - 1


def fnv1a(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 % 2 ** 64
    return h


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def key_value(key, value, revision, created=None, version=1):
    return (field(1, key) + field(2, created or revision) + field(3, revision) + field(4, version)
            + field(5, value))


def revision_key(main, sub=0, tombstone=False):
    return struct.pack(">Q", main) + b"_" + struct.pack(">Q", sub) + (b"t" if tombstone else b"")


class Db:
    """`put` and `delete` as etcd would; `data()` is the file."""

    def __init__(self, page_size=4096, per_leaf=8, snapshot=False):
        self.page_size = page_size
        self.per_leaf = per_leaf
        self.snapshot = snapshot
        self.revision = 1
        self.records = []
        self.lives = {}  # of each live key the revision that made it, and its version
        self.meta = {b"consistent_index": struct.pack(">Q", 77), b"term": struct.pack(">Q", 2)}
        self.free = []  # contents of pages that nothing leads to
        self.pages = {}

    def put(self, key, value):
        self.revision += 1
        created, version = self.lives.get(key, (self.revision, 0))
        self.lives[key] = created, version + 1
        self.records.append((revision_key(self.revision), key_value(
            key, value, self.revision, created, version + 1)))
        return self

    def delete(self, key):
        self.revision += 1
        self.lives.pop(key, None)
        self.records.append((revision_key(self.revision, 0, True), field(1, key)))
        return self

    def compact(self):
        """All that is superseded or deleted goes; what is put later stays."""
        latest = {}
        for name, record in self.records:
            key = record[2:2 + record[1]]  # of less than 128 bytes
            latest[key] = name, record
        self.records = sorted(row for row in latest.values() if not row[0].endswith(b"t"))
        for name in (b"scheduledCompactRev", b"finishedCompactRev"):
            self.meta[name] = revision_key(self.revision)
        return self

    # --- pages ------------------------------------------------------------------------------------

    def leaf(self, page, items):
        """`items`: (flags, key, value)."""
        table, data = b"", b""
        for i, (flags, key, value) in enumerate(items):
            pos = (len(items) - i) * ELEMENT + len(data)
            table += struct.pack("<IIII", flags, pos, len(key), len(value))
            data += key + value
        return self.page(page, LEAF, len(items), table + data)

    def branch(self, page, children):
        table, data = b"", b""
        for i, (key, child) in enumerate(children):
            pos = (len(children) - i) * ELEMENT + len(data)
            table += struct.pack("<IIQ", pos, len(key), child)
            data += key
        return self.page(page, BRANCH, len(children), table + data)

    def page(self, page, flags, count, content):
        size = HEADER + len(content)
        overflow = (size - 1) // self.page_size
        data = struct.pack("<QHHI", page, flags, count, overflow) + content
        return data.ljust((overflow + 1) * self.page_size, b"\0")

    def meta_page(self, page, root, high_water, txid):
        meta = struct.pack("<IIIIQQQQQ", MAGIC, 2, self.page_size, 0, root, 0, NO_FREELIST,
                           high_water, txid)
        return self.page(page, META, 0, meta + struct.pack("<Q", fnv1a(meta)))

    def add(self, name, data):
        """Puts a page behind the others and remembers its number by a name."""
        self.pages[name] = len(self._data) // self.page_size
        self._data += data

    def next_page(self):
        return len(self._data) // self.page_size

    def data(self):
        self._data, children = bytearray(2 * self.page_size), []
        for content in self.free:
            self.add(f"free-{len(self.pages)}", content)
        records = [(0, key, value) for key, value in self.records]
        for i in range(0, max(len(records), 1), self.per_leaf):
            part = records[i:i + self.per_leaf]
            children.append((part[0][1] if part else b"", self.next_page()))
            self.add(f"leaf-{len(children) - 1}", self.leaf(self.next_page(), part))
        root = children[0][1]
        if len(children) > 1:
            root = self.next_page()
            self.add("branch", self.branch(root, children))
        inline = self.leaf(0, [(0, *row) for row in sorted(self.meta.items())]).rstrip(b"\0")
        buckets = [(1, b"key", struct.pack("<QQ", root, 0)),
                   (1, b"meta", struct.pack("<QQ", 0, 0) + inline)]
        self.add("root", self.leaf(self.next_page(), buckets))
        metas = [self.meta_page(i, self.pages["root"], self.next_page(), 10 + i) for i in (0, 1)]
        data = b"".join(metas) + self._data[2 * self.page_size:]
        return data + hashlib.sha256(data).digest() if self.snapshot else data


# --- what kube-apiserver stores ----------------------------------------------------------------------

def plaintext(kind="Secret", api_version="v1", body=b"\x0a\x10" + b"m" * 16, name=None, namespace=""):
    if name is not None:
        body = field(1, field(1, name) + field(3, namespace))
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, body)


def kms_v2(provider="etcdseal", key_id="es1-a", seed=b"s" * 74, data=b"d" * 80, source_type=1,
           annotations=None, more=b""):
    body = field(1, data) + field(2, key_id) + field(3, seed)
    for name, content in (annotations or {}).items():
        body += field(4, field(1, name) + field(2, content))
    if source_type:
        body += field(5, source_type)
    return f"k8s:enc:kms:v2:{provider}:".encode() + body + more


def kms_v1(provider="old", dek=b"k" * 48, body=b"b" * 60):
    return f"k8s:enc:kms:v1:{provider}:".encode() + struct.pack(">H", len(dek)) + dek + body


def local(kind, name, length):
    return f"k8s:enc:{kind}:v1:{name}:".encode() + b"x" * length


# --- the write-ahead log -------------------------------------------------------------------------------

def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def put_request(key, value):
    return field(4, field(1, key) + field(2, value))


def txn_request(*operations, failure=()):
    """As kube-apiserver writes: `operations` are messages of RequestOp."""
    inner = b"".join(field(2, op) for op in operations) + b"".join(field(3, op) for op in failure)
    return field(6, field(1, field(3, "compared")) + inner)


def put_operation(key, value):
    return field(2, field(1, key) + field(2, value))


class Wal:
    """Files of a log; their CRCs go on from one to the next."""

    def __init__(self):
        self.crc = 0
        self.files = []
        self.index = 0
        self.new_file()

    def new_file(self):
        self.files.append(b"")
        self.record(4, None)
        self.record(1, b"metadata")
        return self

    def record(self, kind, data):
        self.crc = crc32c(data or b"", self.crc) if kind != 4 else self.crc
        message = field(1, kind) + field(2, self.crc) + (b"" if data is None else field(3, data))
        padding = -len(message) % 8
        length = len(message) | (0x80 | padding) << 56 if padding else len(message)
        self.files[-1] += struct.pack("<Q", length) + message + b"\0" * padding
        return self

    def entry(self, request, kind=0):
        self.index += 1
        return self.record(2, field(1, kind) + field(2, 1) + field(3, self.index)
                           + field(4, request))

    def write(self, folder, preallocated=8192):
        folder.mkdir(parents=True)
        for i, data in enumerate(self.files):
            name = f"{i:016x}-{i * 10:016x}.wal"
            (folder / name).write_bytes(data + b"\0" * preallocated)
