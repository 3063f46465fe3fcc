# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --kine over files that Python's SQLite wrote: what is counted, and that whatever is
damaged, foreign, locked or half there gives exit code 3 with the place, and changes nothing."""

import contextlib
import fcntl
import json
import os
import random
import sqlite3
import struct
import threading
import time

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from test_audit_prove import KEY, config
from conftest import fingerprint
from etcd_db import kms_v2
from kine_db import ENCRYPTED, HEAD, PLAINTEXT, SCHEMA, SECRET, Db

PAGE = 4096


@pytest.fixture
def path(tool):
    (tool.folder / "db").mkdir()
    return tool.folder / "db" / "state.db"


@pytest.fixture
def audit(tool, path):
    """A run changes nothing in the folder."""
    def go(*words):
        before = fingerprint(path.parent), [p.stat().st_mtime_ns for p in path.parent.iterdir()]
        ran = tool.run("audit", "--kine", path, *words)
        assert before == (fingerprint(path.parent),
                          [p.stat().st_mtime_ns for p in path.parent.iterdir()])
        return ran
    return go


@pytest.fixture
def report(audit):
    def go(*words, code=0):
        ran = audit(*words, "-o", "json")
        assert ran.code == code, ran.told()
        return json.loads(ran.out)
    return go


def left_over(report):
    return {place: found["plaintext"] for place, found in report["residue"].items()}


# --- what is counted -------------------------------------------------------------------------------------

@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize("is_open", [True, False])
def test_counted(report, path, wal, is_open):
    db = Db(path, wal).fill(20)
    if not is_open:
        db.close()
    made = report("--digest")
    assert made["source"]["kind"] == "kine" and made["source"]["revision"] == 40
    files = [path] + [path.with_name("state.db-wal")] * (wal and is_open)
    assert [f["path"] for f in made["source"]["files"]] == [str(f) for f in files]
    assert made["totals"]["aescbc"] == made["totals"]["keys"] == 20
    left = left_over(made)
    assert left["old_revisions"] == left["kine_old_value"] == 20
    raw = sum(f.read_bytes().count(HEAD) for f in files)
    assert sum(left.values()) == raw
    assert made["verdict"] == "ENCRYPTED" and made["has_residue"]
    rules = {f["rule"]: f for f in made["findings"]}
    assert "label" in rules["residue-kine-old-value"]["cure"]


def test_forms(audit, path):
    Db(path).fill(3)
    ran = audit().ok()
    assert "kine_old_value  3" in ran.out and "KINE-OLD-VALUE" in ran.out, ran.told()
    assert "kine old value" in audit("-o", "html").ok().out
    assert '{place="kine_old_value"} 3' in audit("-o", "prometheus").ok().out
    assert "residue-kine-old-value" in audit("-o", "junit").ok().out


def test_demand(audit, path):
    db = Db(path).put(SECRET + "a", ENCRYPTED).put(SECRET + "a", ENCRYPTED)
    audit("--demand", "no-residue").ok()
    db.put(SECRET + "b", PLAINTEXT).put(SECRET + "b", ENCRYPTED)
    assert audit("--demand", "no-residue").code == 1
    audit("--demand", "all-encrypted").ok()


def test_key_ids_that_are_none(report, path):
    """What stands in place of a key id in a value that others were written over is not told."""
    good, bad = kms_v2(key_id="es1-b"), [kms_v2(key_id="a\0b"), kms_v2(key_id="\x1b[31m"),
                                         kms_v2(provider="x\x01"), kms_v2(seed=b""),
                                         kms_v2(key_id="es1-b", more=b"\x12\x02zz")]
    db = Db(path)
    for i, value in enumerate([good, *bad]):
        db.put(f"{SECRET}{i}", value).put(f"{SECRET}{i}", ENCRYPTED)
    made = report()
    for place in ("old_revisions", "kine_old_value"):
        assert made["residue"][place] == {
            "values": 6, "plaintext": 0, "key_ids": {"es1-b": 1}, "other_key_ids": 0}
    assert {row["key_id"] for row in made["key_ids"]} == {"es1-b", "key1"}


@pytest.mark.parametrize("seed", range(12))
def test_churn(report, path, seed):
    """Whatever is written, deleted, moved out of the log and made anew: the sum is that of a search."""
    rnd = random.Random(seed)
    db = Db(path, wal=rnd.random() < 0.8).put("/registry/namespaces/default", b"{}").fill(60)
    for _ in range(120):
        choice = rnd.random()
        if choice < 0.4:
            first = rnd.randrange(300)
            db.db.execute("DELETE FROM kine WHERE id BETWEEN ? AND ? AND id > 1",
                          (first, first + rnd.randrange(40)))
        elif choice < 0.9:
            db.put(f"{SECRET}s-{rnd.randrange(60):03}",
                   PLAINTEXT + b"y" * rnd.choice([0, 90, 900, 9000]))
        elif choice < 0.97:
            db.db.execute(f"PRAGMA wal_checkpoint({rnd.choice(['PASSIVE', 'RESTART'])})")
        else:
            db.db.execute("VACUUM")
    made = report(code=1)
    (row,) = [row for row in made["resources"] if row["resource"] == "secrets"]
    total = row["plaintext"] + sum(left_over(made).values())
    raw = sum(path.with_name("state.db" + end).read_bytes().count(HEAD) for end in ("", "-wal")
              if path.with_name("state.db" + end).exists())
    assert raw <= total <= raw + raw // 50  # by its row a value is known that ends within its head
    ((old,),) = db.db.execute("SELECT count(*) FROM kine WHERE instr(old_value, 'Secret')")
    assert made["residue"]["kine_old_value"]["plaintext"] == old


def test_proved(report, tool, path):
    """SQLite's memory passes from row to row; what waits to be decrypted does not change with it."""
    key = AESGCM(b"k" * 32)
    db = Db(path)
    for i in range(3000):
        name, nonce = f"{SECRET}s-{i:04}", i.to_bytes(12, "big")
        body = json.dumps({"kind": "Secret", "metadata": {"name": f"s-{i:04}", "namespace": "default"},
                           "data": {"x": "y" * (i % 500)}}).encode()
        sealed = nonce + key.encrypt(nonce, body, name.encode())
        if i == 2000:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        db.put(name, b"k8s:enc:aesgcm:v1:k:" + sealed)
    (tool.folder / "enc.yaml").write_text(config("aesgcm", ("k", KEY)))
    made = report("--prove", "--encryption-config", tool.folder / "enc.yaml", code=4)
    totals = made["totals"]
    assert (totals["proved"], totals["undecryptable"], totals["unproved"]) == (2999, 1, 0)
    (found,) = [f for f in made["findings"] if f["rule"] == "undecryptable"]
    assert found["object"] == "default/s-2000"


# --- what is damaged, or something else ------------------------------------------------------------------

def patch(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        assert f.read(len(data)) != data, "nothing was damaged"
        f.seek(offset)
        f.write(data)


OTHERS = {
    "empty": (b"", "empty"),
    "text": (b"apiVersion: v1\n" * 300, "no SQLite database"),
    "encrypted": (random.Random(1).randbytes(3 * PAGE), "no SQLite database"),
    "header alone": (b"SQLite format 3\0", "no SQLite database"),
    "no page size": (b"SQLite format 3\0" + bytes(500), "byte 16: pages of 0 bytes"),
    "etcd": (bytes(16) + struct.pack("<II", 0xED0CDAED, 2) + bytes(8000), "no SQLite database"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files(audit, path, name):
    data, words = OTHERS[name]
    path.write_bytes(data)
    audit().refused(3, words)


SCHEMAS = {
    "no table": ("CREATE TABLE other (id INTEGER)", "no table kine"),
    "a view": ("CREATE TABLE t (a); CREATE VIEW kine AS SELECT * FROM t", "no plain table"),
    "columns": ("CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT, value BLOB)", "columns"),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_other_schemas(audit, path, name):
    schema, words = SCHEMAS[name]
    Db(path, False, schema).close()
    audit().refused(3, words, "state.db")


@pytest.mark.parametrize("pages", [0, 1, 2, 5, 20])
def test_cut_off(audit, path, pages):
    Db(path, False).fill().close()
    assert path.stat().st_size > 25 * PAGE
    os.truncate(path, pages * PAGE + 200)
    audit().refused(3, "cut off")


def test_garbage_pages(audit, path):
    Db(path, False).fill(40).close()
    good = path.read_bytes()
    for page in range(1, len(good) // PAGE):
        path.write_bytes(good)
        patch(path, page * PAGE, random.Random(page).randbytes(PAGE))
        audit().refused(3, "state.db: ")
    path.write_bytes(good)
    audit().ok()


@pytest.mark.parametrize("name", ["rows", "name", "deleted"])
def test_rows_that_are_lost_or_changed(audit, path, name):
    """Tables keep no checksum: what is not used says it of rows, the indexes of names and numbers."""
    db = Db(path, False)
    db.db.execute("CREATE INDEX kine_id_deleted_index ON kine (id, deleted)")
    db.put("/registry/namespaces/default", b"{}").put(SECRET + "a", ENCRYPTED).put(SECRET + "b", ENCRYPTED)
    db.close()
    audit().ok()
    data = path.read_bytes()
    if name == "rows":
        assert data[PAGE + 4] == 3
        patch(path, PAGE + 4, b"\x02")
    elif name == "name":
        patch(path, data.index(b"default/a", PAGE) + 8, b"x")
    else:  # the types of the numbers 0 and 1 are 8 and 9
        patch(path, data.index(SECRET.encode() + b"b", PAGE) - 7, b"\x09")
    audit().refused(3, "state.db", "damaged")


DAMAGES = {
    "version": (19, b"\x07", "version 7"),
    "pages": (28, b"\x00\x10\x00\x00", "cut off"),
    "root page": (PAGE, b"\x09", "page 2, byte 4096: type 9"),
    "cycle": (PAGE + 8, b"\x00\x00\x00\x02", "page 2, byte 4104: leads to page 2, which is in use"),
    "cells": (PAGE + 3, b"\xff\xff", "page 2"),
    "schema": (PAGE - 60, b"\0" * 50, "state.db"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged(audit, path, name):
    offset, data, words = DAMAGES[name]
    Db(path, False).fill().close()
    audit().ok()
    patch(path, offset, data)
    audit().refused(3, words)


def test_damaged_log(audit, path):
    db = Db(path).fill()
    log = path.with_name("state.db-wal")
    good = log.read_bytes()
    db.close()
    path.with_name("state.db-shm").unlink(missing_ok=True)
    for offset, data, words in ((0, b"\0", "state.db-wal: damaged at byte 0"),
                                (32 + 10 * (24 + PAGE) + 100, b"\xee" * 9, "frame 10 has a wrong"),
                                (32 + 10 * (24 + PAGE) + 8, b"\xee" * 4, "10 has a wrong salt"),
                                (16, b"\xee" * 8, "state.db-wal: damaged at byte 0"),
                                (8, b"\x00\x00\x08\x00", "state.db-wal: damaged at byte 0")):
        log.write_bytes(good)
        patch(log, offset, data)
        audit().refused(3, words)
    log.write_bytes(good)
    audit().ok()
    log.write_bytes(good[:-PAGE // 2])  # the last frame was not written to its end
    ran = audit("--fail-on", "plaintext")
    assert ran.code == 1 and "s-099" in ran.out, ran.told()  # what it rewrote is as it was


# --- files -------------------------------------------------------------------------------------------------

def test_no_file(tool, path):
    tool.run("audit", "--kine", path).refused(3, "state.db")
    tool.run("audit", "--kine", path.parent).refused(3, "regular file")
    os.mkfifo(path)
    tool.run("audit", "--kine", path).refused(3, "regular file")
    tool.run("audit", "--kine", path, "--snapshot", path).refused(2, "--kine FILE")


def test_named_as_another(tool, path):
    """Who takes the wrong option is told the right one."""
    Db(path).fill(3)
    tool.run("audit", "--snapshot", path).refused(3, "--kine")


def test_unended_transaction(audit, path):
    """Without the log, SQLite keeps beside the file what a transaction has written over."""
    Db(path, False).fill(3).close()
    path.with_name("state.db-journal").write_bytes(b"x")
    audit().refused(3, "state.db-journal", "start kine once")
    path.with_name("state.db-journal").write_bytes(b"")
    audit().ok()


# Where SQLite locks: all readers of the database; in the shared memory those who move the log's pages.
DB_SHARED, CHECKPOINT = 0x40000002, 121


@pytest.mark.parametrize("end, offset", [("", DB_SHARED), ("-shm", CHECKPOINT)])
def test_waits_for_a_writer(audit, path, end, offset):
    db = Db(path, wal=end != "").fill(3)
    with open(path.with_name("state.db" + end), "r+b") as f:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
        fcntl.fcntl(f, fcntl.F_OFD_SETLK, lock)
        free = struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, offset, 1, 0)
        timer = threading.Timer(1, lambda: fcntl.fcntl(f, fcntl.F_OFD_SETLK, free))
        begin = time.monotonic()
        timer.start()
        audit().ok()
        assert time.monotonic() - begin > 0.9
        timer.join()
    db.close()


def test_a_writer_that_goes_on(tool, path):
    """Whoever holds SQLite's exclusive lock for longer than the audit waits is told of, with a way."""
    db = Db(path, wal=False).fill(3)
    db.db.execute("BEGIN EXCLUSIVE")  # nothing here may open the file: its locks go when it is closed
    begin = time.monotonic()
    tool.run("audit", "--kine", path).refused(3, "is being written by kine all the time", "try again")
    assert 9 < time.monotonic() - begin < 30
    db.db.execute("ROLLBACK")
    tool.run("audit", "--kine", path).ok()


def test_holds_off_who_moves_the_log(tool, path):
    """While it is read, nothing leaves the log and the log is not begun anew; writes go on."""
    db = Db(path).fill(600)
    stop = threading.Event()
    busy, done = [], []

    def checkpoint():
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            while not stop.is_set():
                done.append(other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
                busy.append(done[-1][0])
                other.execute("INSERT INTO kine (name, value) VALUES (?, ?)",
                              (f"{SECRET}new", ENCRYPTED))
                time.sleep(0.005)
    thread = threading.Thread(target=checkpoint)
    thread.start()
    try:
        for _ in range(5):
            made = tool.run("audit", "--kine", path, "-o", "json").json()
            assert made["totals"]["aescbc"] in (600, 601)
    finally:
        stop.set()
        thread.join()
    assert 1 in busy and 0 in busy, "no checkpoint met an audit"
    db.close()
