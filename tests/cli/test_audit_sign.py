# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --sign and verify-report, with keys that minisign made. The real minisign, both ways:
tests/system/test_audit_reports.py."""

import json
import stat

import pytest

from audits import SECRET, audit, cluster, report  # noqa: F401: fixtures
from conftest import ROOT
from etcd_db import kms_v2, plaintext
from test_audit_forms import FILES

SAMPLES = ROOT / "tests" / "fuzz" / "seeds" / "minisign"
ID = "7AC3FC626D1ABF4A"


@pytest.fixture
def key(tool):
    """Two files: the secret key, and tool.folder / "pub"."""
    (tool.folder / "pub").write_bytes((SAMPLES / "public").read_bytes())
    path = tool.folder / "sec"
    path.write_bytes((SAMPLES / "secret").read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def verify(tool):
    return lambda path: tool.run("audit", "verify-report", path, "--public-key", tool.folder / "pub")


def test_a_file(audit, tool, key, verify):
    path = tool.folder / "report.json"
    ran = audit(cluster(a=kms_v2()), "-o", "json", "--output-file", path, "--sign", key).ok()
    assert ran.out == "" and json.loads(path.read_text())["verdict"] == "ENCRYPTED"
    beside = tool.folder / "report.json.minisig"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o640
    ran = verify(path).ok()
    assert ran.out.startswith(f"signed by {ID}: timestamp:")
    assert ran.out.endswith(" file:report.json hashed verdict:ENCRYPTED\n")
    data = path.read_bytes()
    for other in (data[:-1], data + b"\n", data.replace(b"ENCRYPTED", b"PLAINTEXT"), b"x"):
        path.write_bytes(other)
        verify(path).refused(4, "report.json.minisig", "changed")
    path.write_bytes(data)
    verify(path).ok()
    text = beside.read_text()
    beside.write_text(text.replace("ENCRYPTED", "PENDING"))
    verify(path).refused(4, "trusted comment")
    beside.write_text("nonsense\n")
    verify(path).refused(4, "no signature of minisign")
    beside.unlink()
    verify(path).refused(3, "report.json.minisig")


def test_a_folder(audit, tool, key, verify):
    folder = tool.folder / "reports"
    db = cluster(a=kms_v2()).put(SECRET + "b", plaintext()).put(SECRET + "b", kms_v2())
    audit(db, "--report-dir", folder, "--sign", key).ok()
    assert {p.name for p in folder.iterdir()} == {*FILES, *(name + ".minisig" for name in FILES)}
    for name in FILES:
        out = verify(folder / name).ok().out
        assert f" file:{name} hashed verdict:ENCRYPTED with RESIDUE" in out
    # A signature of another file is none of this one.
    (folder / "report.csv.minisig").write_bytes((folder / "keys.csv.minisig").read_bytes())
    verify(folder / "report.csv").refused(4, "not of this file")


def test_the_key_leaves_no_trace(audit, tool, key):
    folder = tool.folder / "reports"
    ran = audit(cluster(a=kms_v2()), "--report-dir", folder, "--sign", key, "-o", "json").ok()
    secret = key.read_text().splitlines()[1]
    for text in (ran.out, ran.err, *(p.read_text() for p in folder.iterdir())):
        assert secret[80:] not in text


def test_another_key(audit, tool, key, verify):
    path = tool.folder / "report"
    audit(cluster(a=kms_v2()), "--output-file", path, "--sign", key).ok()
    text = (tool.folder / "pub").read_text().splitlines()
    (tool.folder / "pub").write_text(f"{text[0]}\n{text[1].replace('RWRK', 'RWRL')}\n")
    verify(path).refused(4, f"of key {ID}, not of 7AC3FC626D1ABF4B")
    (tool.folder / "pub").write_text(f"{text[0]}\n{text[1].replace('XWsF', 'XWsG')}\n")
    verify(path).refused(4, "report.minisig")


def test_keys_that_are_refused(audit, tool, key):
    """Before anything is read or written."""
    db, path = cluster(a=kms_v2()), tool.folder / "report"

    def refused(code, *words):
        ran = audit(db, "--output-file", path, "--sign", key)
        ran.refused(code, *words)
        assert ran.out == "" and not path.exists()
    key.chmod(0o640)
    refused(3, "sec", "chmod")
    key.chmod(0o600)
    key.write_bytes((SAMPLES / "secret-with-password").read_bytes())
    refused(3, "password", "minisign -G -W")
    key.write_bytes((SAMPLES / "public").read_bytes())
    refused(2, "no secret key of minisign")
    key.unlink()
    refused(3, "sec")


def test_wrong_words(audit, tool, key):
    audit(cluster(a=kms_v2()), "--sign", key).refused(2, "--output-file or --report-dir")
    tool.run("audit", "verify-report", key).refused(2, "--public-key")
    tool.run("audit", "verify-report", key, "--public-key", key).refused(2, "no public key of minisign")
    tool.run("audit", "verify-report", tool.folder / "none", "--public-key", tool.folder / "pub").refused(3, "none")
    tool.run("audit", "verify-report", "--public-key", key).refused(2, "FILE")
