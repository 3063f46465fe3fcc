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
from etcd_db import BRANCH, HEADER, LEAF, Db, fnv1a, kms_v2, plaintext


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
    "overflow into the next page": (lambda d: d.put("leaf-1", 12, "<I", 1), ["in use elsewhere"]),
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
    "empty key": (lambda d: d.put("leaf-1", element(0, 8), "<I", 0), ["a key below"]),
    "key order": (lambda d: d.put("leaf-1", element(4) + 7, "<B", 200), ["behind the one before"]),
    "branch order": (lambda d: d.put("branch", element(6) + 17 * 3 + 7, "<B", 1),
                     ["behind the one before"]),
    "branch key above its page": (lambda d: d.put("branch", element(6) + 17 * 5 + 6, "<B", 1),
                                  ["below that of the page above"]),
    "revision": (lambda d: d.put("leaf-1", element(4) + 8, "<B", 0x60), ["expected a revision"]),
    "record": (lambda d: d.put("leaf-1", element(4) + 17, "<B", 0x0b), ["no KeyValue"]),
    "bucket is no bucket": (lambda d: d.put("root", element(0), "<I", 0), ["expected a bucket"]),
    "bucket in a bucket": (lambda d: d.put("leaf-1", element(1), "<I", 1), ["bucket inside"]),
    "inline bucket": (lambda d: d.put("root", element(1, 12), "<I", 20), ["a bucket of 20 bytes"]),
    "root page": (lambda d: d.meta(16, "<Q", 2 ** 63), ["leads to page"]),
    "high-water mark": (lambda d: d.meta(40, "<Q", 2 ** 50), ["cut off"]),
    "high-water mark 0": (lambda d: d.meta(40, "<Q", 0), ["high-water mark"]),
    "page size 0": (lambda d: d.meta(8, "<I", 0), ["page size of 0"]),
    "page size odd": (lambda d: d.meta(8, "<I", 4095), ["page size of 4095"]),
    "page size huge": (lambda d: d.meta(8, "<I", 1 << 25), ["page size of 33554432"]),
    "page size wrong": (lambda d: d.meta(8, "<I", 8192), []),
    "version": (lambda d: d.meta(4, "<I", 3), ["version 3"]),
    "freelist": (lambda d: d.meta(32, "<Q", d.db.pages["leaf-1"]), ["expected a freelist"]),
    "checksums": (lambda d: [d.put(page, HEADER + 16, "<Q", 1) for page in (0, 1)], ["checksum"]),
    "byte order": (lambda d: [d.put(page, HEADER, ">I", 0xED0CDAED) for page in (0, 1)],
                   ["other byte order"]),
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
