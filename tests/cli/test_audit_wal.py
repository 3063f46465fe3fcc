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
                                      "key_ids": {"es1-old": 1, "es1-a": 1}, "other_key_ids": 0}
    assert made["verdict"] == "ENCRYPTED" and made["has_residue"]
    assert made["source"]["kind"] == "data-dir" and len(made["source"]["files"]) == 3
    assert [f["rule"] for f in made["findings"]] == ["residue-wal"]


def test_requests_of_etcd_2(report):
    """Up to 3.5 a member tells its name and version so."""
    wal = Wal()
    for method in ("PUT", "SYNC"):
        wal.entry(field(1, 7) + field(2, method) + field(3, "/0/members/8e9e05c52164694d/attributes") +
                  field(4, '{"name":"default"}') + field(5, 0) + field(6, "") + field(7, 0))
    wal.entry(put_request(SECRET + "a", kms_v2()))
    assert report(wal)["residue"]["wal"]["values"] == 1


def test_demand(report):
    report(filled(), "--demand", "no-residue", code=1)


def test_nothing_left(report):
    made = report(Wal().entry(put_request(SECRET + "a", kms_v2())), "--demand", "no-residue")
    assert made["residue"]["wal"] == {"values": 1, "plaintext": 0, "key_ids": {"es1-a": 1},
                                      "other_key_ids": 0}


def test_transactions_in_transactions(report):
    inner = put_operation(SECRET + "deep", plaintext())
    for _ in range(3):
        inner = field(4, field(2, inner))
    made = report(Wal().entry(txn_request(inner)))
    assert made["residue"]["wal"]["plaintext"] == 1


def test_other_requests(report):
    """Deletes, leases, compaction, changes of members, an empty entry of a new leader."""
    wal = Wal().entry(field(5, field(1, SECRET + "a"))).entry(field(7, field(1, 5))).entry(b"")
    wal.entry(b"\xff\xff members", kind=1).record(3, field(1, 2) + field(3, 1))
    wal.record(5, field(1, 3) + field(2, 2) + field(3, field(1, 7)))
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


@pytest.mark.parametrize("change", ["a record follows", "its length is longer", "its sector"])
def test_broken_in_the_middle(tool, folder, change):
    """Zeros that no crash leaves: etcd's own repair would drop what follows, the audit says so."""
    wal = filled().entry(put_request(SECRET + "z", plaintext(body=b"x" * 2000)))
    if change == "a record follows":
        wal.entry(put_request(SECRET + "y", kms_v2()))
    path = folder(wal)
    file = wals(path)[1]
    data = bytearray(file.read_bytes())
    start = data.index(b"x" * 2000) // 512 * 512 + 512
    if change == "a record follows":
        data[start:start + 512] = bytes(512)
    elif change == "its length is longer":
        at = data.index(b"metadata") - 10
        data[at - 7] ^= 0x40  # the second byte of the length
        assert data[at - 8] == 18
    else:  # zeros begin in the sector of its length
        data[last_type(data) - 1] = 0
        data[start:start + 512] = bytes(512)
    file.write_bytes(data)
    tool.run("audit", "--data-dir", path).refused(3, str(file), "damaged at byte")


def flip(data, at):
    data[at] ^= 1


def last_type(data):
    """Where the type of the last record stands, which no CRC covers."""
    at = last = 0
    while data[at:at + 8] != bytes(8):
        last, length = at, int.from_bytes(data[at:at + 7], "little")
        at += 8 + length + (data[at + 7] & 7 if data[at + 7] & 0x80 else 0)
    assert data[last + 8:last + 10] == b"\x08\x02"
    return last + 9


DAMAGES = {
    "data": (0, lambda d: flip(d, d.index(b"registry"))),
    "crc of a record": (0, lambda d: flip(d, d.index(b"metadata") - 3)),
    "length": (0, lambda d: d.__setitem__(slice(0, 8), b"\xff" * 7 + b"\x00")),
    "type": (0, lambda d: d.__setitem__(9, 9)),
    "entry as state": (1, lambda d: d.__setitem__(last_type(d), 3)),
    "entry as snapshot": (1, lambda d: d.__setitem__(last_type(d), 5)),
    "entry as metadata": (1, lambda d: d.__setitem__(last_type(d), 1)),
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
    """The numbers of the files show it; and the chain of CRCs, whatever their names are."""
    wal = filled().new_file().entry(put_request(SECRET + "a", kms_v2()))
    path = folder(wal)
    first, second, third = wals(path)
    second.unlink()
    tool.run("audit", "--data-dir", path).refused(3, "missing between", first.name, third.name)
    third.rename(second)
    tool.run("audit", "--data-dir", path).refused(3, "damaged at byte 0")


def test_oldest_file_begins_where_its_name_says(tool, folder):
    """etcd drops old files; an entry that is lost at the beginning is seen by the name."""
    wal = Wal().entry(b"").entry(b"")
    wal.files[0] = b""
    wal.crc = 0
    wal.record(4, None).record(1, b"metadata").entry(put_request(SECRET + "a", kms_v2()))
    path = folder(wal)
    (file,) = wals(path)
    tool.run("audit", "--data-dir", path).refused(3, "some are missing")
    file.rename(file.with_name(f"{5:016x}-{2:016x}.wal"))
    tool.run("audit", "--data-dir", path).refused(3, "some are missing")
    file.with_name(f"{5:016x}-{2:016x}.wal").rename(file.with_name(f"{5:016x}-{3:016x}.wal"))
    tool.run("audit", "--data-dir", path).ok()


def test_numbers_of_entries(tool, folder):
    """A new leader goes back, a snapshot that was received jumps; nothing else may."""
    wal = Wal().entry(b"").entry(b"")
    wal.index = 0
    wal.entry(b"").record(5, field(1, 70) + field(2, 2))
    wal.index = 70
    path = folder(wal.entry(put_request(SECRET + "a", plaintext())))
    made = json.loads(tool.run("audit", "--data-dir", path, "-o", "json").ok().out)
    assert made["residue"]["wal"]["plaintext"] == 1
    wal.index = 72
    (file,) = wals(path)
    file.write_bytes(wal.entry(b"").files[0])
    tool.run("audit", "--data-dir", path).refused(3, "some are missing", "damaged at byte")


def test_files_of_two_clusters(tool, folder):
    """Each file names its member and cluster; the chain of CRCs can be right all the same."""
    wal = filled()
    wal.files.append(b"")
    wal.record(4, None).record(1, b"of another cluster")
    path = folder(wal)
    tool.run("audit", "--data-dir", path).refused(3, str(wals(path)[2]), "another member or cluster")


def test_length_of_zero(tool, folder):
    """It ends the log, but not within a sector that holds more."""
    path = folder(filled())
    newest = wals(path)[1]
    data = bytearray(newest.read_bytes())
    at = data.index(b"metadata") + 8
    at += -at % 8
    assert data[at:at + 8] != bytes(8)
    data[at:at + 8] = bytes(8)
    newest.write_bytes(data)
    tool.run("audit", "--data-dir", path).refused(3, str(newest), f"damaged at byte {at}:", "zero")


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
