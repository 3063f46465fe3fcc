# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit over a data folder: the database and the write-ahead log beside it, whole, torn and
damaged."""

import json

import pytest

from audits import SECRET, cluster
from etcd_db import (Wal, crc32c, field, kms_v2, plaintext, put_operation, put_request,
                     txn_request)


@pytest.fixture
def folder(tool):
    """Writes a data folder with one encrypted Secret and a log."""
    def write(wal, **options):
        path = tool.folder / "etcd"
        (path / "member" / "snap").mkdir(parents=True)
        (path / "member" / "snap" / "db").write_bytes(cluster(a=kms_v2()).data())
        if wal is not None:
            wal.write(path / "member" / "wal", **options)
        return path
    return write


@pytest.fixture
def report(tool, folder):
    def go(wal, *words, code=0, **options):
        ran = tool.run("audit", "--data-dir", folder(wal, **options), *words, "-o", "json")
        assert ran.code == code, ran.told()
        return json.loads(ran.out)
    return go


def wals(path):
    return sorted((path / "member" / "wal").glob("*.wal"))


def filled():
    wal = Wal()
    wal.entry(put_request(SECRET + "a", plaintext()))
    wal.entry(txn_request(put_operation(SECRET + "b", plaintext()),
                          failure=[put_operation(SECRET + "c", kms_v2(key_id="es1-old"))]))
    wal.new_file()
    wal.entry(put_request("/registry/pods/a/b", plaintext("Pod")))
    wal.entry(put_request(SECRET + "a", kms_v2()))
    return wal


def test_crc():
    assert crc32c(b"123456789") == 0xe3069283  # the check value of CRC-32C
    assert crc32c(b"6789", crc32c(b"12345")) == 0xe3069283


def test_what_it_puts(report):
    made = report(filled())
    assert made["residue"]["wal"] == {"values": 5, "plaintext": 2,
                                      "key_ids": {"es1-old": 1, "es1-a": 1}}
    assert made["verdict"] == "ENCRYPTED" and made["has_residue"]
    assert made["source"]["kind"] == "data-dir" and len(made["source"]["files"]) == 3
    assert [f["rule"] for f in made["findings"]] == ["residue-wal"]


def test_demand(report):
    report(filled(), "--demand", "no-residue", code=1)


def test_nothing_left(report):
    made = report(Wal().entry(put_request(SECRET + "a", kms_v2())), "--demand", "no-residue")
    assert made["residue"]["wal"] == {"values": 1, "plaintext": 0, "key_ids": {"es1-a": 1}}


def test_transactions_in_transactions(report):
    inner = put_operation(SECRET + "deep", plaintext())
    for _ in range(3):
        inner = field(4, field(2, inner))
    made = report(Wal().entry(txn_request(inner)))
    assert made["residue"]["wal"]["plaintext"] == 1


def test_other_requests(report):
    """Deletes, leases, compaction, changes of members, an empty entry of a new leader."""
    wal = Wal().entry(field(5, field(1, SECRET + "a"))).entry(field(7, field(1, 5))).entry(b"")
    wal.entry(b"\xff\xff members", kind=1).record(3, b"state").record(5, b"snapshot")
    assert report(wal)["residue"]["wal"]["values"] == 0


@pytest.mark.parametrize("preallocated", [0, 7, 8, 100000])
def test_end_of_the_newest_file(report, preallocated):
    assert report(filled(), preallocated=preallocated)["residue"]["wal"]["values"] == 5


def test_torn_record(tool, folder):
    """A crash leaves a sector of the last record unwritten. In an older file that is damage."""
    path = folder(filled().entry(put_request(SECRET + "z", plaintext(body=b"x" * 2000))))
    torn = wals(path)[1]
    data = bytearray(torn.read_bytes())
    start = data.index(b"x" * 2000) // 512 * 512 + 512
    data[start:start + 512] = b"\0" * 512
    torn.write_bytes(data)
    made = json.loads(tool.run("audit", "--data-dir", path, "-o", "json").ok().out)
    assert made["residue"]["wal"]["values"] == 5
    name = path / "member" / "wal" / f"{2:016x}-{20:016x}.wal"
    name.write_bytes(Wal().files[0])
    tool.run("audit", "--data-dir", path).refused(3, str(torn), "damaged at byte")


def flip(data, at):
    data[at] ^= 1


DAMAGES = {
    "data": (0, lambda d: flip(d, d.index(b"registry"))),
    "crc of a record": (0, lambda d: flip(d, d.index(b"metadata") - 3)),
    "length": (0, lambda d: d.__setitem__(slice(0, 8), b"\xff" * 7 + b"\x00")),
    "type": (0, lambda d: d.__setitem__(9, 9)),
    "first record": (0, lambda d: d.__delitem__(slice(0, d.index(b"metadata") - 16))),
    "second file": (1, lambda d: flip(d, 11)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(tool, folder, name):
    number, change = DAMAGES[name]
    path = folder(filled())
    tool.run("audit", "--data-dir", path).ok()
    file = wals(path)[number]
    data = bytearray(file.read_bytes())
    change(data)
    assert bytes(data) != file.read_bytes()
    file.write_bytes(data)
    ran = tool.run("audit", "--data-dir", path).refused(3, str(file), "damaged at byte")
    assert ran.out == "" and ran.err.count("\n") == 1, ran.told()


def test_missing_file(tool, folder):
    """The chain of CRCs shows it."""
    wal = filled().new_file().entry(put_request(SECRET + "a", kms_v2()))
    path = folder(wal)
    wals(path)[1].unlink()
    tool.run("audit", "--data-dir", path).refused(3, "damaged at byte 0")


@pytest.mark.parametrize("request_bytes", [b"\xff\xff", field(4, b"\xff"), field(6, b"\x12\x7f"),
                                           txn_request(b"\x12\xff")])
def test_no_request(tool, folder, request_bytes):
    tool.run("audit", "--data-dir", folder(Wal().entry(request_bytes))).refused(3, "no request")


def test_too_deep(tool, folder):
    inner = put_operation(SECRET + "deep", plaintext())
    for _ in range(20):
        inner = field(4, field(2, inner))
    tool.run("audit", "--data-dir", folder(Wal().entry(txn_request(inner)))).refused(3, "no request")


def test_folders(tool, folder):
    tool.run("audit", "--data-dir", tool.folder).refused(3, "member/snap/db")
    path = folder(None)
    tool.run("audit", "--data-dir", path).refused(3, "member/wal")
    (path / "member" / "wal").mkdir()
    (path / "member" / "wal" / "0.tmp").write_bytes(b"x")
    (path / "member" / "wal" / "notes.wal").write_bytes(b"x")
    tool.run("audit", "--data-dir", path).refused(3, "no file of a write-ahead log")
    tool.run("audit", "--data-dir", path, "--snapshot", path / "member" / "snap" / "db").refused(
        2, "--snapshot", "--data-dir")
