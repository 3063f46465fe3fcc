# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit over damaged, cut off, foreign and locked files: never a crash, never an endless loop,
never a silent skip, but exit code 3 with the place. Each damage is seen to be there."""

import os
import stat
import struct
import subprocess
import time

import pytest

from audits import NAMESPACE, SECRET, audit, cluster, report  # noqa: F401: fixtures
from conftest import program
from etcd_db import (BRANCH, FREELIST, HEADER, LEAF, MAGIC, META, Db, Wal, field, fnv1a, key_value, kms_v2,
                     plaintext, put_request, revision_key)


# --- damage ----------------------------------------------------------------------------------------------

class Damage:
    """Changes bytes of a good file; `proof` shows that they were changed from what they were."""

    def __init__(self):
        self.db = Db(per_leaf=4)
        self.db.put(NAMESPACE, plaintext("Namespace"))
        for i in range(20):
            self.db.put(f"{SECRET}s{i:02}", kms_v2())
        self.good = self.db.data()
        self.data = bytearray(self.good)

    def at(self, page, offset=0):
        number = self.db.pages[page] if isinstance(page, str) else page
        return number * self.db.page_size + offset

    def put(self, page, offset, form, *values):
        place = self.at(page, offset)
        before = struct.unpack_from(form, self.data, place)
        struct.pack_into(form, self.data, place, *values)
        assert struct.unpack_from(form, self.data, place) == values != before, "nothing was damaged"
        return place

    def swap(self, page, offset, length):
        """What stands there and what stands behind it."""
        one, other = self.at(page, offset), self.at(page, offset + length)
        a, b = self.data[one:one + length], self.data[other:other + length]
        assert a != b
        self.data[one:one + length], self.data[other:other + length] = b, a

    def record_bytes(self):
        """Of each record of a Secret here."""
        return len(self.db.records[4][1])

    def field_at(self, key, offset):
        """In leaf-1, the place of a byte behind the key of this object."""
        page = self.at("leaf-1")
        return self.data.index(key.encode(), page) + len(key) + offset - page

    def inline_at(self):
        return self.data.index(b"meta", self.at("root")) + 4 + 16 - self.at("root")

    def inline_bytes(self):
        return struct.unpack_from("<I", self.data, self.at("root", element(1, 12)))[0]

    def meta(self, offset, form, value):
        """In both meta pages, with a right checksum."""
        for page in (0, 1):
            self.put(page, HEADER + offset, form, value)
            body = self.data[self.at(page, HEADER):self.at(page, HEADER + 56)]
            struct.pack_into("<Q", self.data, self.at(page, HEADER + 56), fnv1a(body))


def element(i, offset=0):
    return HEADER + i * 16 + offset


DAMAGES = {
    # name: (what is done, words of the message)
    "page number": (lambda d: d.put("leaf-1", 0, "<Q", 99), ["says it is page 99"]),
    "flags": (lambda d: d.put("leaf-1", 8, "<H", 0), ["flags 0x0"]),
    "both flags": (lambda d: d.put("leaf-1", 8, "<H", BRANCH | LEAF), ["flags 0x3"]),
    "meta as leaf": (lambda d: d.put("leaf-1", 8, "<H", 4), ["flags 0x4"]),
    "count": (lambda d: d.put("leaf-1", 10, "<H", 65535), ["65535 elements"]),
    "no children": (lambda d: d.put("branch", 10, "<H", 0), ["0 elements"]),
    "overflow": (lambda d: d.put("leaf-1", 12, "<I", 2 ** 32 - 1), ["more pages"]),
    "overflow into the next page": (lambda d: d.put("leaf-1", 12, "<I", 1), ["which is in use elsewhere"]),
    "cycle": (lambda d: d.put("branch", element(2, 8), "<Q", d.db.pages["branch"]),
              ["in use elsewhere"]),
    "page twice": (lambda d: d.put("branch", element(2, 8), "<Q", d.db.pages["leaf-1"]),
                   ["in use elsewhere"]),
    "page 0": (lambda d: d.put("branch", element(2, 8), "<Q", 0), ["leads to page 0"]),
    "page beyond": (lambda d: d.put("branch", element(2, 8), "<Q", 2 ** 40), ["leads to page"]),
    "position": (lambda d: d.put("leaf-1", element(1, 4), "<I", 2 ** 31), ["element 1"]),
    "position in the table": (lambda d: d.put("leaf-1", element(1, 4), "<I", 0), ["element 1"]),
    "key size": (lambda d: d.put("leaf-1", element(1, 8), "<I", 2 ** 32 - 1), ["element 1"]),
    "value size": (lambda d: d.put("leaf-1", element(1, 12), "<I", 2 ** 32 - 1), ["element 1"]),
    "same data twice": (lambda d: d.put("leaf-1", element(1, 4), "<I", struct.unpack_from(
        "<I", d.data, d.at("leaf-1", element(0, 4)))[0] - 16), ["element 1"]),
    "element flags": (lambda d: d.put("leaf-1", element(1), "<I", 2), ["flags 0x2"]),
    "fewer elements": (lambda d: d.put("leaf-1", 10, "<H", 3), ["element 0", "expected at 64"]),
    "fewer branches": (lambda d: d.put("branch", 10, "<H", 5), ["element 0"]),
    "no elements": (lambda d: d.put("leaf-5", 10, "<H", 0), ["0 elements"]),
    "a shorter last value": (lambda d: d.put("leaf-1", element(3, 12), "<I", d.record_bytes() - 1),
                             ["no KeyValue"]),
    "empty key": (lambda d: d.put("leaf-1", element(0, 8), "<I", 0), ["a key below"]),
    "key order": (lambda d: d.swap("leaf-1", element(4), 17 + d.record_bytes()),
                  ["behind the one before"]),
    "key of the next page": (lambda d: d.put("leaf-1", element(4) + 3 * (17 + d.record_bytes()) + 6, "<B", 1),
                             ["before the next page's"]),
    "branch order": (lambda d: d.put("branch", element(6) + 17 * 3 + 7, "<B", 1),
                     ["behind the one before"]),
    "branch key above its page": (lambda d: d.put("branch", element(6) + 17 * 5 + 6, "<B", 1),
                                  ["below that of the page above"]),
    "revision": (lambda d: d.put("leaf-1", element(4) + 8, "<B", 0x60), ["expected a revision"]),
    "record": (lambda d: d.put("leaf-1", element(4) + 17, "<B", 0x0b), ["no KeyValue"]),
    "bucket is no bucket": (lambda d: d.put("root", element(0), "<I", 0), ["expected a bucket"]),
    "bucket in a bucket": (lambda d: d.put("leaf-1", element(1), "<I", 1), ["bucket inside"]),
    "inline bucket": (lambda d: d.put("root", element(1, 12), "<I", 20), ["a bucket of 20 bytes"]),
    "inline bucket too long": (lambda d: d.put("root", element(1, 12), "<I", d.inline_bytes() + 9),
                               ["too early"]),
    "inline bucket, count": (lambda d: d.put("root", d.inline_at() + 10, "<H", 1), ["element 0"]),
    "inline bucket, flags": (lambda d: d.put("root", d.inline_at() + 8, "<H", 4), ["flags 0x4"]),
    "inline bucket, position": (lambda d: d.put("root", d.inline_at() + 20, "<I", 1), ["element 0"]),
    "bucket root": (lambda d: d.put("root", element(2) + 3, "<Q", 2 ** 40), ["leads to page"]),
    "bucket name": (lambda d: d.put("root", element(2), "<B", ord("x")), ["behind the one before"]),
    "number of meta": (lambda d: d.put("root", d.inline_at() + 16 + 12, "<I", 7), ["7 bytes of a number"]),
    "revision of another": (lambda d: d.put("leaf-1", element(4) + 7, "<B", 200),
                            ["KeyValue of another revision"]),
    "mod_revision": (lambda d: d.put("leaf-1", d.field_at(SECRET + "s03", 3), "<B", 99),
                     ["KeyValue of another revision"]),
    "create_revision": (lambda d: d.put("leaf-1", d.field_at(SECRET + "s03", 1), "<B", 3),
                        ["version of its key before is missing"]),
    "version": (lambda d: d.put("leaf-1", d.field_at(SECRET + "s03", 5), "<B", 7),
                ["KeyValue of another revision"]),
    "root page": (lambda d: d.meta(16, "<Q", 2 ** 63), ["leads to page"]),
    "high-water mark": (lambda d: d.meta(40, "<Q", 2 ** 50), ["cut off"]),
    "high-water mark 0": (lambda d: d.meta(40, "<Q", 0), ["high-water mark"]),
    "page size 0": (lambda d: d.meta(8, "<I", 0), ["page size of 0"]),
    "page size odd": (lambda d: d.meta(8, "<I", 4095), ["page size of 4095"]),
    "page size huge": (lambda d: d.meta(8, "<I", 1 << 25), ["page size of 33554432"]),
    "page size wrong": (lambda d: d.meta(8, "<I", 8192), []),
    "version of bbolt": (lambda d: d.meta(4, "<I", 3), ["version 3", "known is 2"]),
    "freelist": (lambda d: d.meta(32, "<Q", d.db.pages["leaf-1"]), ["expected a freelist"]),
    "checksums": (lambda d: [d.put(page, HEADER + 16, "<Q", 1) for page in (0, 1)], ["checksum"]),
    "byte order": (lambda d: [d.put(page, HEADER, ">I", 0xED0CDAED) for page in (0, 1)],
                   ["other byte order"]),
    "checksum of one": (lambda d: d.put(1, HEADER + 56, "<Q", 1), ["checksum of a meta page"]),
    "magic of one": (lambda d: d.put(1, HEADER, "<I", 1), ["no meta page, of which it has two"]),
    "magic of the other": (lambda d: d.put(0, HEADER, "<I", 1), ["byte 16: no meta page"]),
    "no magic": (lambda d: [d.put(page, HEADER, "<I", 1) for page in (0, 1)], ["no etcd database"]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(audit, name):
    damage = Damage()
    assert audit(damage.good).code == 0
    done, words = DAMAGES[name]
    done(damage)
    assert bytes(damage.data) != damage.good
    ran = audit(bytes(damage.data))
    assert ran.code == 3 and ran.out == "", ran.told()
    assert ran.err.startswith("etcdseal: ") and ran.err.count("\n") == 1, ran.told()
    for word in words:
        assert word in ran.err, ran.told()


# Each field of the meta pages, with and without a right checksum; in one and in both.
META_FIELDS = {"magic": (0, "<I"), "version": (4, "<I"), "page size": (8, "<I"), "flags": (12, "<I"),
               "root": (16, "<Q"), "sequence": (24, "<Q"), "freelist": (32, "<Q"),
               "high-water mark": (40, "<Q"), "transaction": (48, "<Q"), "checksum": (56, "<Q")}


@pytest.mark.parametrize("pages", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("name", META_FIELDS)
def test_meta_field(audit, name, pages):
    damage = Damage()
    offset, form = META_FIELDS[name]
    for page in pages:
        (good,) = struct.unpack_from(form, damage.data, damage.at(page, HEADER + offset))
        damage.put(page, HEADER + offset, form, good ^ 0x10)
    ran = audit(bytes(damage.data))
    assert ran.code == 3 and ran.out == "" and ran.err.count("\n") == 1, ran.told()


@pytest.mark.parametrize("change, words", [
    ("count", "600 free pages in"), ("id", "in the list of free pages"), ("missing", "neither in use"),
    ("flags", "expected a freelist"), ("twice", "in the list of free pages"), ("in use", "free pages")])
def test_freelist(audit, change, words):
    """As etcd before 3.4 kept it: the pages that are free are in it, and no others."""
    class WithList(Db):
        def meta_page(self, page, root, high_water, txid):
            meta = struct.pack("<IIIIQQQQQ", MAGIC, 2, self.page_size, 0, root, 0,
                               self.pages["free-2"], high_water, txid)
            return self.page(page, META, 0, meta + struct.pack("<Q", fnv1a(meta)))
    db = WithList().put(NAMESPACE, plaintext("Namespace")).put(SECRET + "a", kms_v2())
    db.free = [b"\0" * db.page_size] * 2 + [db.page(4, FREELIST, 2, struct.pack("<QQ", 2, 3))]
    data = bytearray(db.data())
    assert audit(bytes(data)).code == 0
    at = 4 * db.page_size
    row = {"count": (at + 10, "<H", 600), "id": (at + 16, "<Q", 2 ** 40), "twice": (at + 24, "<Q", 2),
           "in use": (at + 24, "<Q", db.pages["leaf-0"]), "missing": (at + 10, "<H", 1),
           "flags": (at + 8, "<H", LEAF)}[change]
    struct.pack_into(row[1], data, row[0], row[2])
    ran = audit(bytes(data))
    assert ran.code == 3 and ran.out == "" and words in ran.err, ran.told()
    assert "damaged at page 4, byte " in ran.err or change == "in use"


def lost(change):
    """A database whose records are changed before its pages are written."""
    db = Db().put(NAMESPACE, plaintext("Namespace"))
    for i in range(6):
        db.put(SECRET + "a", kms_v2()).put(f"{SECRET}b{i}", kms_v2())
    db.delete(SECRET + "b0")
    change(db)
    return db


LOST = {
    "a revision": (lambda d: d.records.pop(6), "revisions before it are missing"),
    "the first": (lambda d: d.records.pop(0), "revisions before it are missing"),
    "what was deleted": (lambda d: d.records.__setitem__(2, (d.records[2][0], key_value(
        SECRET + "x", kms_v2(), 4))), "what it deletes is missing"),
    "a version": (lambda d: d.records.__setitem__(5, (d.records[5][0], key_value(
        SECRET + "x", kms_v2(), 7))), "version of its key before is missing"),
    "the beginning of a transaction": (lambda d: d.records.__setitem__(6, (
        revision_key(8, 1), d.records[6][1])), "parts of its transaction"),
    "a record": (lambda d: d.records.__setitem__(6, (d.records[6][0], b"")), "it has no bytes"),
}


@pytest.mark.parametrize("name", LOST)
def test_lost_records(audit, name):
    """Nothing in a database guards its records, but they say what must have been before them."""
    change, words = LOST[name]
    assert audit(lost(lambda db: None)).code == 0
    ran = audit(lost(change))
    assert ran.code == 3 and ran.out == "" and words in ran.err, ran.told()
    assert "damaged at page " in ran.err and ", byte " in ran.err
    # Below a compaction etcd takes them away itself.
    for name in (b"scheduledCompactRev", b"finishedCompactRev"):
        db = lost(change)
        db.meta[name] = revision_key(db.revision)
        assert audit(db).code == 0


def test_compacted(report):
    db = Db().put(NAMESPACE, plaintext("Namespace"))
    for _ in range(5):
        db.put(SECRET + "a", kms_v2()).put(SECRET + "b", kms_v2()).delete(SECRET + "b")
    db.compact().put(SECRET + "a", kms_v2()).put(SECRET + "b", kms_v2())
    made = report(db)
    assert made["source"]["compact_revision"] == 17 and made["source"]["revision"] == 19
    assert made["totals"]["keys"] == 3 and made["source"]["records"] == 4


def test_newer_etcd(audit):
    """As etcd itself, which does not start on it."""
    for version, code in ((b"3.5.0", 0), (b"3.6.0", 0), (b"3.7.0", 0), (b"3.8.0", 3), (b"4.0.0", 3),
                          (b"\xff", 3), (b"", 0)):
        db = cluster(a=kms_v2())
        db.meta[b"storageVersion"] = version
        ran = audit(db)
        assert ran.code == code, ran.told()
        assert code == 0 or ("newer etcd" in ran.err and "--endpoints" in ran.err), ran.told()


@pytest.mark.parametrize("bucket, other", [(b"key", b"kez"), (b"meta", b"metb")])
def test_bucket_of_another_name(audit, bucket, other):
    damage = Damage()
    place = damage.data.index(bucket, damage.at("root", element(2)))
    damage.data[place:place + len(bucket)] = other
    ran = audit(bytes(damage.data))
    assert ran.code == 3 and f"no bucket {bucket.decode()}" in ran.err, ran.told()


@pytest.mark.parametrize("name", ["count", "position", "revision"])
def test_damage_has_a_place(audit, name):
    damage = Damage()
    place = DAMAGES[name][0](damage)
    ran = audit(bytes(damage.data))
    page = damage.db.pages["leaf-1"]
    assert f"page {page}, byte " in ran.err, ran.told()
    told = int(ran.err.split("byte ")[1].split(":")[0])
    assert abs(told - place) <= 16, ran.told()


def test_cut_at_any_byte(audit):
    """Never taken for whole: only what lies behind the pages in use may be missing."""
    good = Damage().good
    for length in [*range(1, 200, 13), *range(200, len(good), 997), len(good) - 1]:
        ran = audit(good[:length])
        assert ran.code == 3 and ran.out == "", f"{length} bytes: {ran.told()}"


def test_cut_snapshot(audit):
    data = Db(snapshot=True).put(SECRET + "a", kms_v2()).data()
    assert audit(data[:-4096 - 32]).code == 3
    assert audit(data[:-4096]).code == 3


OTHERS = {
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 500, "unpack it"),
    "zip": (b"PK\x03\x04" + b"\0" * 500, "unpack it"),
    "sqlite": (b"SQLite format 3\0" + b"\0" * 500, "kine"),
    "text": (b"apiVersion: v1\n" * 300, "etcdctl snapshot save"),
    "short": (b"x", "etcdctl snapshot save"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files(audit, name):
    data, word = OTHERS[name]
    ran = audit(data)
    assert ran.code == 3 and word in ran.err, ran.told()


# --- files -------------------------------------------------------------------------------------------------

def test_no_file(tool):
    tool.run("audit").refused(2, "--snapshot")
    tool.run("audit", "--snapshot", tool.folder / "none").refused(3, "none")
    tool.run("audit", "--snapshot", tool.folder).refused(3, "regular file")
    os.mkfifo(tool.folder / "pipe")
    tool.run("audit", "--snapshot", tool.folder / "pipe").refused(3, "regular file")


# As root without root's right to read all.
WITHOUT = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def test_fields_that_etcd_does_not_write_so(audit):
    """A value twice, or behind a lease: etcd would read one and a reader another."""
    for more in (field(5, plaintext()), field(6, 1) + field(5, plaintext()), field(2, 1)):
        db = cluster(a=kms_v2())
        name, record = db.records[-1]
        db.records[-1] = name, record + more
        ran = audit(db)
        assert ran.code == 3 and "no KeyValue" in ran.err, ran.told()


def test_taken_over_from_etcd_2(audit):
    """A first version of an older creation, which only a compaction explains."""
    db = cluster(a=kms_v2())
    name, _ = db.records[-1]
    db.records[-1] = name, key_value(SECRET + "a", kms_v2(), 3, created=2, version=1)
    assert audit(db).code == 3
    audit(db.compact()).ok()


@pytest.mark.parametrize("option, file", [("--snapshot", "db"), ("--kine", "db"),
                                          ("--data-dir", "etcd/member/snap/db"),
                                          ("--data-dir", "etcd/member/wal/0.wal")])
def test_no_permission(tool, option, file):
    (tool.folder / "db").write_bytes(cluster(a=kms_v2()).data())
    Wal().entry(put_request(SECRET + "a", kms_v2())).write(tool.folder / "etcd" / "member" / "wal")
    (tool.folder / "etcd" / "member" / "snap").mkdir()
    (tool.folder / "etcd" / "member" / "snap" / "db").write_bytes(cluster(a=kms_v2()).data())
    path = next((tool.folder / file).parent.glob("*.wal"), tool.folder / file)
    path.chmod(0)
    named = tool.folder / file.split("/", maxsplit=1)[0]
    ran = subprocess.run([*WITHOUT, program(), "audit", option, named], capture_output=True, text=True)
    assert ran.returncode == 3 and ran.stdout == "" and ran.stderr.count("\n") == 1, ran.stderr
    assert f"{path} may not be read by this user: run the audit as one who may" in ran.stderr


def test_bad_configuration(audit, tool):
    ran = audit(cluster(a=kms_v2()), config="kind: Pod\n")
    assert ran.code == 2 and "encryption-config check" in ran.err, ran.told()
    ran = audit(cluster(a=kms_v2()), "--encryption-config", tool.folder / "none.yaml")
    assert ran.code == 3, ran.told()


def test_in_use(audit, tool):
    path = tool.folder / "db"
    path.write_bytes(cluster(a=kms_v2()).data())
    with subprocess.Popen(["flock", "--exclusive", path, "sh", "-c", "echo held; read x"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        tool.run("audit", "--snapshot", path).refused(3, "running etcd", "etcdctl snapshot save")
        holder.communicate("\n")
    tool.run("audit", "--snapshot", path).ok()


def test_only_reads(tool):
    """Without keystore and configuration, of a file and in a folder that nobody may write."""
    path = tool.folder / "db"
    path.write_bytes(cluster(a=kms_v2()).data())
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(tool.folder))
    tool.run("audit", "--snapshot", path).ok()
    assert before == (path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(tool.folder)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_file_that_is_cut_while_it_is_read(tool):
    """Sixteen gigabytes of nothing behind the database keep it busy for long enough."""
    path = tool.folder / "db"
    path.write_bytes(cluster(a=kms_v2()).data())
    os.truncate(path, 16 << 30)
    with subprocess.Popen([program(), "audit", "--snapshot", path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        time.sleep(0.3)
        assert process.poll() is None, "it has ended before"
        os.truncate(path, 1 << 20)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and out == "", (process.returncode, err)
    assert "became shorter" in err and err.count("\n") == 1, err
