# SPDX-License-Identifier: Apache-2.0
"""Somebody who writes to etcd invents key ids, more than an audit tells apart: what is judged of all
objects stays, and nothing is said that only the rows of keys could show."""

import json

import pytest

from audits import NAMESPACE, SECRET
from conftest import ROOT
from etcd_db import Db, kms_v2, plaintext

jsonschema = pytest.importorskip("jsonschema")
KEPT = 16384
MORE = 40


def flooded(count, *first, last=()):
    db = Db(per_leaf=16).put(NAMESPACE, plaintext("Namespace"))
    for i, value in enumerate(first):
        db.put(f"{SECRET}first-{i}", value)
    for i in range(count):
        db.put(f"{SECRET}s-{i}", kms_v2(key_id=f"k-{i}", seed=b"%074d" % i))
    for i, value in enumerate(last):
        db.put(f"{SECRET}last-{i}", value)
    return db.data()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flooded")
    made = {"many": flooded(KEPT + MORE - 1, kms_v2(key_id="real"),
                            last=[plaintext(), kms_v2(key_id="real"), kms_v2(key_id="late"),
                                  kms_v2(key_id="real", provider="other")]),
            "full": flooded(KEPT - 1, kms_v2(key_id="real"))}
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return folder


def report(tool, path, *words, code=1):
    ran = tool.run("audit", "--snapshot", path, *words, "-o", "json")
    assert ran.code == code, ran.told()
    return json.loads(ran.out)


def test_the_rest_of_the_audit_stands(tool, files):
    made = report(tool, files / "many", "--fail-on", "plaintext")
    jsonschema.validate(made, json.loads((ROOT / "deploy" / "audit.schema.json").read_text()))
    assert made["verdict"] == "PARTIAL" and made["totals"]["plaintext"] == 2
    assert made["totals"]["kmsv2"] == KEPT + MORE + 3
    assert len(made["key_ids"]) == KEPT
    # k-16383 and behind, late, and real of another provider.
    assert made["other_key_ids"]["objects"] == MORE + 2 == made["other_key_ids"]["seeds"]
    assert sum(row["objects"] for row in made["key_ids"]) + MORE + 2 == made["totals"]["kmsv2"]
    (found,) = [row for row in made["findings"] if row["rule"] == "many-key-ids"]
    assert found["message"].endswith(f": {MORE + 2} objects under others than the first {KEPT}")
    (real,) = [row for row in made["key_ids"] if row["key_id"] == "real"]
    assert real["objects"] == 2

    full = report(tool, files / "full", code=0)
    assert full["other_key_ids"] is None and len(full["key_ids"]) == KEPT
    assert "many-key-ids" not in {row["rule"] for row in full["findings"]}


def test_findings_of_what_has_no_row(tool, files):
    """Stale is told of each of them, and by its key in etcd."""
    made = report(tool, files / "many", "--current-key", "real")
    stale = {row["etcd_key"] for row in made["findings"] if row["rule"] == "stale"}
    assert len(stale) == KEPT + MORE and f"{SECRET}last-2" in stale


def test_demands_do_not_become_better(tool, files):
    made = report(tool, files / "many", "--demand", "only-key=real")
    assert made["demands"][0]["met"] is False
    tool.run("audit", "--snapshot", files / "many", "--fail-on", "many-key-ids", "--demand",
             "only-key=real").refused(1, "not as demanded")


def test_forms(tool, files):
    folder = tool.folder / "report"
    ran = tool.run("audit", "--snapshot", files / "many", "--report-dir", folder)
    assert f"(others): {MORE + 2} objects under key ids beyond these" in ran.out, ran.told()
    assert f"{MORE + 2} objects are under further key ids" in (folder / "report.html").read_text()
    assert 'rule="many-key-ids"' in (folder / "report.prom").read_text()


def test_no_key_is_said_to_be_unneeded(tool, files):
    """Not one without a row, nor one that has a row without objects: it may be another provider's."""
    def keys(*words):
        return tool.run("audit", "keys", "--snapshot", files / "many", *words)
    for key in ("late", "nobody-s"):
        ran = keys("--unneeded", key)
        assert ran.code == 3 and f"whether key {key} is needed can't be said" in ran.err, ran.err
    assert "real is still needed: 2 live objects" in keys("--unneeded", "real").err
    ran = keys("-o", "json")
    made = json.loads(ran.out)
    assert ran.code == 0 and f"{MORE + 2} objects are under more key ids" in ran.err
    assert made["sources"][0]["other_objects"] == MORE + 2
    tool.run("audit", "keys", "--snapshot", files / "full", "--unneeded", "late").ok()
    # Of a backup that is given too.
    tool.run("audit", "keys", files / "full", files / "many", "--unneeded", "late").refused(
        3, "can't be said")
