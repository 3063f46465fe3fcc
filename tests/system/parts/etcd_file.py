# SPDX-License-Identifier: Apache-2.0
"""A second reader of etcd's database and of the values in it: short, slow, and without a line of the C
one, so that the two can be held against each other. Reads good files only: where something is odd it
raises."""

import collections
import struct

PAGE_HEADER, ELEMENT = 16, 16
BRANCH, LEAF = 1, 2
CLASSES = ["kmsv2", "kmsv1", "aescbc", "aesgcm", "secretbox", "plaintext", "other"]


def _crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
        table.append(i)
    return table


CRC32C = _crc_table()


class EtcdFile:
    """`buckets`: of each name its items, in order. `pages`: those in use, each with its bytes' place."""

    def __init__(self, data):
        self.data = data
        self.pages = []
        metas = [struct.unpack_from("<IIIIQQQQQQ", data, PAGE_HEADER)]
        self.page_size = metas[0][2]
        metas.append(struct.unpack_from("<IIIIQQQQQQ", data, self.page_size + PAGE_HEADER))
        assert all(meta[:2] == (0xED0CDAED, 2) for meta in metas)
        newest = max(metas, key=lambda meta: meta[8])
        self.high_water = newest[7]
        self.buckets = {}
        for flags, name, value in self._tree(newest[4]):
            assert flags == 1
            root, _ = struct.unpack_from("<QQ", value)
            items = self._tree(root) if root else self._page(value[16:])[1]
            self.buckets[name.decode()] = [(key, content) for _, key, content in items]

    def _page(self, image):
        _, flags, count, _ = struct.unpack_from("<QHHI", image)
        rows = []
        for i in range(count):
            at = PAGE_HEADER + i * ELEMENT
            if flags == BRANCH:
                rows.append(struct.unpack_from("<IIQ", image, at)[2])
            else:
                assert flags == LEAF
                kind, pos, key, value = struct.unpack_from("<IIII", image, at)
                rows.append((kind, image[at + pos:at + pos + key],
                             image[at + pos + key:at + pos + key + value]))
        return flags, rows

    def _tree(self, page):
        at = page * self.page_size
        number, _, _, overflow = struct.unpack_from("<QHHI", self.data, at)
        assert number == page
        self.pages.append((at, (overflow + 1) * self.page_size))
        flags, rows = self._page(self.data[at:at + (overflow + 1) * self.page_size])
        return [row for child in rows for row in self._tree(child)] if flags == BRANCH else rows

    def crc(self):
        """What `etcdutl snapshot status` shows as hash: CRC-32C of all names, keys and values."""
        crc = 0xffffffff
        for name in sorted(self.buckets):
            for part in [name.encode(), *(part for item in self.buckets[name] for part in item)]:
                for byte in part:
                    crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xff]
        return crc ^ 0xffffffff

    def records(self):
        """(revision, is it a deletion, key, value), in order."""
        for name, message in self.buckets["key"]:
            fields = dict(fields_of(message))
            yield (struct.unpack(">Q", name[:8])[0], name.endswith(b"t") and len(name) == 18,
                   fields[1].decode(), fields.get(5, b""))

    def split(self):
        """Live values by key, and (key, value) of all that is older."""
        live, older = {}, []
        for _, is_deletion, key, value in self.records():
            if key in live:
                older.append((key, live.pop(key)))
            if not is_deletion:
                live[key] = value
        return live, older


def fields_of(data):
    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 0x7f) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 0x80:
                return value, at
    at = 0
    while at < len(data):
        tag, at = varint(at)
        value, at = varint(at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value


def judge(value):
    """Class, provider and key of one value."""
    for name, prefix in (("kmsv2", b"k8s:enc:kms:v2:"), ("kmsv1", b"k8s:enc:kms:v1:"),
                         ("aescbc", b"k8s:enc:aescbc:v1:"), ("aesgcm", b"k8s:enc:aesgcm:v1:"),
                         ("secretbox", b"k8s:enc:secretbox:v1:")):
        if value.startswith(prefix):
            word, _, rest = value[len(prefix):].partition(b":")
            if name == "kmsv2":
                return name, word.decode(), dict(fields_of(rest))[2].decode()
            return (name, word.decode(), None) if name == "kmsv1" else (name, name, word.decode())
    is_plain = value[:4] == b"k8s\0" or value[:1] == b"{" or value[:3] == b"\xd9\xd9\xf7"
    return ("plaintext" if is_plain else "other"), None, None


def folder_of(key):
    """What all keys of one resource begin with."""
    words = key.split("/")
    if len(words) < 4 or words[1] != "registry":
        return "(outside)"
    deep = "." in words[2] or words[2] == "services"
    return "/".join(words[2:4] if deep else words[2:3])


def count(values):
    """Numbers of each class, by folder."""
    folders = collections.defaultdict(collections.Counter)
    for key, value in values.items():
        folders[folder_of(key)][judge(value)[0]] += 1
    return folders
