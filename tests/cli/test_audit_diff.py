# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --diff: what has changed since an older report."""

import json

import pytest
import yaml

from audits import SECRET, audit, cluster, report  # noqa: F401: fixtures
from etcd_db import Db, kms_v2, plaintext
from test_audit_forms import HOSTILE, hostile


@pytest.fixture
def diff(audit, tool):
    """Audits `old`, then `new` with --diff. `words` are for both."""
    def go(old, new, *words, form="json", code=None):
        path = tool.folder / "old.json"
        path.write_text(old if isinstance(old, str) else audit(old, *words, "-o", "json").out)
        ran = audit(new, *words, "--diff", path, "-o", form)
        assert code is None or ran.code == code, ran.told()
        return json.loads(ran.out) if form == "json" else ran
    return go


def changes(rows, *names):
    return {tuple(row[name] for name in names): (row.get("state"), {
        change["field"]: (change["old"], change["new"]) for change in row["changes"]}) for row in rows}


def before():
    return cluster(a=plaintext(), b=plaintext(), c=kms_v2(key_id="es1-a"), d=kms_v2(key_id="es1-a"))


def after():
    db = cluster(a=kms_v2(key_id="es1-b"), b=kms_v2(key_id="es1-b"), c=kms_v2(key_id="es1-b"), e=plaintext())
    return db.put("/registry/configmaps/a/b", plaintext("ConfigMap"))


def test_what_has_changed(diff):
    made = diff(before(), after(), "--current-key", "es1-b", code=1)
    assert made["schema"] == "etcdseal.audit-diff/1"
    assert made["old"]["verdict"] == made["new"]["verdict"] == "PARTIAL"
    assert (made["old"]["revision"], made["new"]["revision"]) == (6, 7)
    assert changes([made["totals"]]) == {(): (None, {
        "keys": (5, 6), "kmsv2": (2, 3), "unproved": (2, 3), "stale": (4, 1)})}
    rows = changes(made["resources"], "resource")
    assert rows == {
        ("configmaps",): ("new", {"keys": (None, 1), "plaintext": (None, 1)}),
        ("secrets",): ("changed", {"kmsv2": (2, 3), "plaintext": (2, 1), "unproved": (2, 3), "stale": (4, 1)})}
    keys = changes(made["key_ids"], "class", "provider", "key_id")
    assert keys == {("kmsv2", "etcdseal", "es1-a"): ("gone", {"objects": (2, None), "seeds": (1, None)}),
                    ("kmsv2", "etcdseal", "es1-b"): ("new", {"objects": (None, 3), "seeds": (None, 1)})}
    assert [(f["rule"], f["etcd_key"]) for f in made["findings_new"]] == [("plaintext", SECRET + "e")]
    assert [(f["rule"], f["etcd_key"]) for f in made["findings_gone"]] == [
        ("plaintext", SECRET + "a"), ("plaintext", SECRET + "b"), ("stale", SECRET + "c"), ("stale", SECRET + "d")]


def test_residue(diff):
    new = cluster(a=kms_v2()).put(SECRET + "a", plaintext()).put(SECRET + "a", kms_v2())
    made = diff(cluster(a=kms_v2()), new, code=0)
    assert changes(made["residue"], "place") == {("old_revisions",): (None, {"values": (0, 2), "plaintext": (0, 1)})}
    assert [f["rule"] for f in made["findings_new"]] == ["residue-old-revisions"]
    assert (made["old"]["has_residue"], made["new"]["has_residue"]) == (False, True)
    more = cluster(a=kms_v2()).put(SECRET + "a", plaintext()).put(SECRET + "a", plaintext())
    made = diff(new, more.put(SECRET + "a", kms_v2()), code=0)
    assert made["findings_new"] == made["findings_gone"] == []  # the same finding, with another number


def test_nothing_has_changed(diff):
    made = diff(before(), before(), code=1)
    assert made["totals"]["changes"] == made["resources"] == made["key_ids"] == made["residue"] == []
    assert made["findings_new"] == made["findings_gone"] == []
    ran = diff(before(), before(), form="table", code=1)
    assert "no number has changed" in ran.out and "new findings: 0\n" in ran.out


def test_forms(diff):
    made = diff(before(), after(), "--current-key", "es1-b")
    other = yaml.safe_load(diff(before(), after(), "--current-key", "es1-b", form="yaml").out)
    for one in (made, other):
        one["old"].pop("started_at"), one["new"].pop("started_at")
    assert made == other
    out = diff(before(), after(), "--current-key", "es1-b", form="table").out
    assert "verdict       PARTIAL -> PARTIAL\n" in out and "revision      6 -> 7\n" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["all", "keys", "changed", "kmsv2", "2", "3"] in lines
    assert ["secrets", "changed", "plaintext", "2", "1"] in lines
    assert ["kmsv2", "etcdseal", "es1-a", "gone", "objects", "2", "-"] in lines
    assert ["error", "plaintext", SECRET + "e"] in lines and ["findings", "gone:", "4"] in lines


def test_demands_decide(diff):
    diff(before(), cluster(a=kms_v2()), code=0)
    diff(cluster(a=kms_v2()), before(), code=1)
    diff(before(), cluster(a=b"k8s:enc:x"), code=4)


def test_cut_reports_are_not_compared(diff, audit, tool):
    made = diff(before(), after(), "--max-findings", "1")
    assert made["findings_new"] is None and made["findings_gone"] is None
    assert "findings are not compared" in diff(before(), after(), "--max-findings", "1", form="table").out


def test_hostile_names(diff):
    out = diff(Db().put(SECRET + "a", plaintext()), hostile(), form="table").out
    assert "\x1b" not in out and "\\x1b" in out and "\\x5cx" not in out.replace("\\x5cx41", "")
    made = diff(hostile(), Db().put(SECRET + "a", kms_v2()), code=0)
    gone = {f["etcd_key"] for f in made["findings_gone"]}
    assert {SECRET + name.replace("\0", "\ufffd") for name in HOSTILE} <= gone
    made = diff(hostile(), hostile())
    assert made["findings_new"] == made["findings_gone"] == made["resources"] == made["key_ids"] == []


def test_many_findings(diff):
    db = cluster(**{f"s{i:04}": plaintext() for i in range(3000)})
    made = diff(db, cluster(a=kms_v2()))
    assert len(made["findings_gone"]) == 3000
    ran = diff(db, cluster(a=kms_v2()), form="table")
    assert ran.out.count(SECRET) == 20 and "and 2980 more" in ran.out


@pytest.mark.parametrize("text, words", [
    ("", "not JSON"), ("[]", "no report of schema etcdseal.audit/1"), ("{", "not JSON"), ("7", "no report"),
    ('{"schema": "etcdseal.audit/2"}', "etcdseal audit -o json"), ('{"schema": 1}', "no report"),
    ('{"schema": "etcdseal.audit/1", "schema": "etcdseal.audit/1"}', "duplicate"),
    ("[" * 100 + "]" * 100, "nested"), ("\xff", "not JSON"),
], ids=range(9))
def test_what_is_no_report(audit, tool, text, words):
    path = tool.folder / "old.json"
    path.write_text(text, encoding="latin-1")
    ran = audit(cluster(a=kms_v2()), "--diff", path)
    ran.refused(2, "old.json", words)
    assert ran.out == ""


def test_too_large(audit, tool):
    path = tool.folder / "old.json"
    path.write_bytes(b" " * ((32 << 20) + 1))
    audit(cluster(a=kms_v2()), "--diff", path).refused(2, "old.json", "33554432", "--max-findings")


@pytest.mark.parametrize("text", [
    '{"schema": "etcdseal.audit/1"}',
    '{"schema": "etcdseal.audit/1", "totals": 7, "resources": {"a": 1}, "findings": "x", "residue": [1, 2]}',
    '{"schema": "etcdseal.audit/1", "totals": {"keys": "many", "kmsv2": -1, "plaintext": 1.5}, "resources": [1, '
    '{"resource": 7}, {"resource": null}, {"resource": "secrets"}, {"resource": "secrets"}], "findings_count": 2, '
    '"findings": [{}, null], "key_ids": [[], {"key_id": {}}], "residue": {"wal": 1, "free_pages": {"values": []}}}',
], ids=range(3))
def test_half_a_report(diff, text):
    """Of the right schema and of odd form: what can be compared is."""
    for form in ("json", "yaml", "table"):
        assert "" != diff(text, before(), form=form, code=1)


def test_wrong_words(audit, tool):
    (tool.folder / "old.json").write_text(audit(before(), "-o", "json").out)
    audit(before(), "--diff", tool.folder / "old.json", "-o", "html").refused(2, "table, json or yaml", "html")
    audit(before(), "--diff", tool.folder / "none.json").refused(3, "none.json")
    audit(before(), "--diff", tool.folder).refused(2, "regular file")


def test_over_the_older_report(audit, tool):
    """--report-dir where the older report lies: it was read before."""
    folder = tool.folder / "reports"
    audit(before(), "--report-dir", folder, "-q")
    ran = audit(after(), "--report-dir", folder, "--diff", folder / "report.json", "-o", "json")
    assert json.loads(ran.out)["findings_gone"] != []
    assert json.loads((folder / "report.json").read_text())["source"]["revision"] == 7
