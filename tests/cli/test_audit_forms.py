# SPDX-License-Identifier: Apache-2.0
"""The forms of the audit's report for other programs (CSV, SARIF, JUnit, Prometheus, HTML): each says
what the JSON report says, keeps its own language's rules whatever objects are called, and is written
whole or not at all. The page in a real browser: tests/system/test_audit_reports.py."""

import csv
import html.parser
import io
import json
import os
import re
import stat
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from audits import SECRET, audit, cluster, report  # noqa: F401: fixtures
from etcd_db import Db, field, kms_v2, local, plaintext
from conftest import ROOT, fingerprint

CLASSES = ["kmsv2", "kmsv1", "aescbc", "aesgcm", "secretbox", "plaintext", "other"]
FILES = {"report.txt": "wide", "report.json": "json", "report.yaml": "yaml", "report.csv": "csv",
         "keys.csv": "csv-keys", "findings.csv": "csv-findings", "report.sarif": "sarif",
         "report.junit.xml": "junit", "report.prom": "prometheus", "report.html": "html"}
HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style></title>&amp;",
           "=HYPERLINK(\"http://example.invalid\")", "@SUM(A1)", "a,b;c\"d", "\x1b[2J\x1b]0;t\x07",
           "line\r\nother", "\u202egnp.exe", "]]>", "nul\0\x01\x0b\x7f", "[text](http://a) {0}", "{{x}}",
           "\ufeff\uffff", "--", "'; rm -rf / #", "%s%n", "\\x41"]


def hostile():
    """A name of each kind, as a Secret's, a resource's, a provider's and a key's."""
    db = cluster(good=kms_v2())
    for i, name in enumerate(HOSTILE):
        db.put(SECRET + name, plaintext())
        db.put(f"{SECRET}not-utf-8-{i}".encode() + b"\xff\xfe" + name.encode(), b"k8s:enc:nothing")
        db.put(f"/registry/{name.replace('/', '')}/a/b", plaintext())
        db.put(f"/registry/example.com{i}/{name.replace('/', '')}/a/b", plaintext())
        db.put(SECRET + f"k{i}", kms_v2(key_id=name.replace("\0", "") or "x"))
        db.put(SECRET + f"p{i}", kms_v2(provider=name.replace(":", ""), key_id=f"p{i}"))
        db.put(SECRET + f"l{i}", local("aescbc", name.replace(":", ""), 32))
    return db


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.fixture
def raw(audit, tool):
    """The bytes, with the ends of lines as they are."""
    def go(db, form, *words):
        path = tool.folder / "raw"
        audit(db, "-o", form, "--output-file", path, *words)
        return path.read_bytes().decode("ascii")
    return go


# --- CSV -------------------------------------------------------------------------------------------------

def test_csv_says_what_json_says(audit, report):
    db = cluster(a=plaintext(), b=kms_v2(), c=kms_v2(key_id="es1-b"), d=local("aescbc", "key1", 32),
                 e=b"k8s:enc:x")
    made = report(db, "--current-key", "es1-a", code=4)
    text = audit(db, "--current-key", "es1-a", "-o", "csv").out
    rows = rows_of(text)
    assert [row["resource"] for row in rows] == [row["resource"] for row in made["resources"]]
    for row, wanted in zip(rows, made["resources"]):
        assert row == {name: "" if value is None else str(value).lower() if value is True or value is False
                       else str(value) for name, value in wanted.items()}
    keys = rows_of(audit(db, "--current-key", "es1-a", "-o", "csv-keys").out)
    for row, wanted in zip(keys, made["key_ids"], strict=True):
        for name, value in wanted.items():
            assert row[name] == ("" if value is None else str(value))
    found = rows_of(audit(db, "--current-key", "es1-a", "-o", "csv-findings").out)
    for row, wanted in zip(found, made["findings"], strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in wanted.items()}
    limited = audit(db, "--current-key", "es1-a", "-o", "csv-findings", "--max-findings", 2)
    assert rows_of(limited.out) == found[:2]


@pytest.mark.parametrize("form", ["csv", "csv-keys", "csv-findings"])
def test_csv_is_safe_to_open(raw, form):
    text = raw(hostile(), form)
    assert re.fullmatch(r"[\x20-\x7e\r\n]*", text)
    assert text.endswith("\r\n") and text.count("\r") == text.count("\n") == text.count("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) > len(HOSTILE) and {len(row) for row in rows} == {len(rows[0])}
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row), row


def test_csv_findings_name_the_key(audit):
    """Whoever reads it gets the etcd key back, whatever it is."""
    rows = rows_of(audit(hostile(), "-o", "csv-findings").out)
    keys = {row["etcd_key"] for row in rows if row["rule"] == "plaintext"}
    told = {re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), key.encode()) for key in keys}
    assert {(SECRET + name).encode() for name in HOSTILE} <= told


# --- Prometheus ------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'(etcdseal_audit_[a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? ([0-9.]+)')


def samples(text):
    found, family = {}, None
    for line in text.splitlines():
        if line.startswith("#"):
            family = line.split(" ")[2]
            continue
        match = SAMPLE.fullmatch(line)
        assert match and match[1] == family, line
        labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        assert (match[1], labels) not in found, line
        found[match[1], labels] = float(match[3])
    return found


def test_prometheus_says_what_json_says(audit, report):
    db = cluster(a=plaintext(), b=kms_v2(), c=kms_v2(key_id="es1-b"), d=local("aescbc", "key1", 32))
    made = report(db, "--current-key", "es1-a", code=1)
    found = samples(audit(db, "--current-key", "es1-a", "-o", "prometheus").out)
    name = "etcdseal_audit_"
    for row in made["resources"]:
        for kind in CLASSES:
            assert found[name + "objects", (("resource", row["resource"]), ("class", kind))] == row[kind]
        of = (("resource", row["resource"]),)
        assert found[name + "undecryptable_objects", of] == row["undecryptable"]
        assert found[name + "proved_objects", of] == row["proved"]
        assert found[name + "expected_encrypted", of] == row["expected_encrypted"]
        assert found.get((name + "stale_objects", of)) == row["stale"]
    for row in made["key_ids"]:
        of = (("class", row["class"]), ("provider", row["provider"]),
              ("key_id_hash", row["key_id_hash"] or ""),
              ("key_name", row["key_id"] if row["class"] != "kmsv2" else ""))
        assert found[name + "key_objects", of] == row["objects"]
        assert found.get((name + "key_seeds", of)) == row["seeds"]
    assert found[name + "verdict", (("verdict", "PARTIAL"),)] == 1
    assert sum(value for (family, _), value in found.items() if family == name + "verdict") == 1
    assert found[name + "as_demanded", ()] == 0
    assert found[name + "findings", (("rule", "plaintext"), ("severity", "error"))] == 1
    assert (name + "residue_values", (("place", "wal"),)) not in found
    assert found[name + "residue_plaintext", (("place", "free_pages"),)] == 0


def test_prometheus_names_no_object(audit):
    """What everybody on the host may read: no names of objects, no key ids."""
    text = audit(cluster(secretname=plaintext(), b=kms_v2(key_id="es1-keyid")), "-o", "prometheus").out
    assert "secretname" not in text and "es1-keyid" not in text
    assert samples(audit(hostile(), "-o", "prometheus").out)


# --- JUnit -----------------------------------------------------------------------------------------------

def cases(text):
    root = ElementTree.fromstring(text)
    found = {}
    for suite in root:
        inside = list(suite)
        assert int(suite.get("tests")) == len(inside)
        assert int(suite.get("failures")) == len(suite.findall("*/failure"))
        assert int(suite.get("skipped")) == len(suite.findall("*/skipped"))
        for case in inside:
            assert (suite.get("name"), case.get("name")) not in found
            found[suite.get("name"), case.get("name")] = case
    return found


def test_junit(audit):
    db = cluster(a=plaintext(), b=kms_v2(key_id="es1-b"), c=kms_v2())
    words = ["--current-key", "es1-a", "--demand", "all-encrypted", "--demand", "only-key=es1-a", "-o", "junit"]
    found = cases(audit(db, *words).out)
    assert found["demands", "all-encrypted"].find("failure") is not None
    assert found["demands", "only-key=es1-a"].find("failure") is not None
    failed = found["secrets", "plaintext"].find("failure")
    assert failed.text.startswith("1 times: stored in plaintext") and SECRET + "a" in failed.text
    assert found["secrets", "stale"].find("failure") is None
    assert SECRET + "b" in found["secrets", "stale"].find("system-out").text
    assert len(found["secrets", "malformed"]) == 0
    assert found["residue", "residue-wal"].find("skipped") is not None
    assert len(found["residue", "residue-free-pages"]) == 0
    found = cases(audit(db, *words, "--fail-on", "stale").out)
    assert found["secrets", "stale"].find("failure") is not None
    assert len(found["source", "all-read"]) == 0
    found = cases(audit(cluster(c=kms_v2()), "-o", "junit").out)
    assert not any(case.find("failure") is not None for case in found.values())


def test_junit_lists_some(audit):
    db = cluster(**{f"s{i:03}": plaintext() for i in range(50)})
    text = cases(audit(db, "-o", "junit").out)["secrets", "plaintext"].find("failure").text
    assert text.count(SECRET) == 20 and "and 30 more" in text


def test_junit_of_hostile_names(audit):
    found = cases(audit(hostile(), "-o", "junit").out)
    assert len({suite for suite, _ in found}) > len(HOSTILE)


# --- SARIF -----------------------------------------------------------------------------------------------

def sarif(text):
    (run,) = json.loads(text)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["defaultConfiguration"]["level"] == result["level"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("file:///")
    return run


def test_sarif(audit, report):
    db = cluster(a=plaintext(), b=plaintext(), c=kms_v2(key_id="es1-b"))
    db.put(SECRET + "a", plaintext())
    made = report(db, "--current-key", "es1-a", code=1)
    run = sarif(audit(db, "--current-key", "es1-a", "-o", "sarif").out)
    wanted = {}
    for finding in made["findings"]:
        key = finding["rule"], finding["resource"]
        wanted[key] = wanted.get(key, 0) + 1
    found = {}
    for result in run["results"]:
        place = result["locations"][0].get("logicalLocations", [{}])[0]
        found[result["ruleId"], place.get("fullyQualifiedName")] = result["occurrenceCount"]
    assert found == wanted and len(run["results"]) == len(wanted) == 3
    (invocation,) = run["invocations"]
    assert "audit --snapshot" in invocation["commandLine"] and invocation["executionSuccessful"] is True


def test_sarif_fingerprints(audit):
    """The same for the same rule and resource, whatever the number and the file are."""
    def prints(db, *words):
        return [result["partialFingerprints"]["etcdsealAudit/v1"]
                for result in sarif(audit(db, *words, "-o", "sarif").out)["results"]]
    one, more = cluster(a=plaintext()), cluster(a=plaintext(), b=plaintext())
    both = cluster(a=plaintext(), b=kms_v2(key_id="old"))
    assert prints(one) == prints(more)
    first, second = sorted(prints(both, "--current-key", "new"))
    assert first != second and re.fullmatch("[0-9a-f]{64}", first)


def test_sarif_messages_are_no_links(audit):
    db = Db().put("/registry/[text](http:a) {0}/a/b", b"k8s:enc:x")
    (result,) = [r for r in sarif(audit(db, "-o", "sarif").out)["results"] if r["ruleId"] == "malformed"]
    assert result["message"]["text"].startswith("\\[text\\](http:a) {{0}}: 1: no key can open it. Cure: ")
    assert sarif(audit(hostile(), "-o", "sarif").out)["results"]


# --- HTML ------------------------------------------------------------------------------------------------

VOID = {"meta", "br"}
ELEMENTS = VOID | {
    "html", "head", "title", "style", "body", "a", "header", "div", "p", "time", "h1", "h2", "h3", "small",
    "strong", "span", "dl", "dt", "dd", "nav", "main", "section", "table", "caption", "thead", "tbody", "tr",
    "th", "td", "svg", "rect", "ul", "li", "details", "summary", "article", "code", "footer"}
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "href", "datetime", "aria-label",
    "aria-labelledby", "aria-hidden", "id", "scope", "viewbox", "preserveaspectratio", "role", "x", "width",
    "height", "open"}


class Page(html.parser.HTMLParser):
    """Refuses what is not closed in order, and whatever the page has no use for."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.texts, self.attributes, self.labels = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids)) and set(self.labels) <= set(self.ids)

    def handle_starttag(self, tag, attributes):
        assert tag in ELEMENTS, tag
        for name, value in attributes:
            assert name in ATTRIBUTES, (tag, name)
            self.attributes.append((tag, name, value))
            self.ids += [value] if name == "id" else []
            self.labels += [value] if name == "aria-labelledby" else []
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError("a comment")

    def text(self):
        return " ".join("".join(self.texts).split())


def test_html_says_what_json_says(audit, tool):
    folder = tool.folder / "reports"
    db = cluster(a=plaintext(), b=kms_v2(key_id="es1-b"), c=kms_v2())
    db.put(SECRET + "a", plaintext())
    audit(db, "--current-key", "es1-a", "--digest", "--report-dir", folder)
    made, text = json.loads((folder / "report.json").read_text()), (folder / "report.html").read_text()
    page = Page(text)
    assert text.startswith("<!doctype html>\n<html lang=\"en\">")
    said = page.text()
    for words in ("PARTIAL", "Not as demanded", "all-encrypted: not met", "es1-b", "rewrite it through",
                  SECRET + "a", made["source"]["files"][0]["sha256"], made["started_at"],
                  "--current-key es1-a --digest --report-dir", "It does not prove", made["version"],
                  made["key_ids"][0]["key_id_hash"], "not looked at"):
        assert words in said, words
    assert ("svg", "aria-label", "encrypted 1, encrypted, but stale 1, plaintext 1") in page.attributes
    scopes = [value for tag, name, value in page.attributes if name == "scope"]
    heads = len(re.findall("<th[ >]", text))
    assert len(scopes) == heads > 10 and set(scopes) == {"col", "row"}


def test_html_needs_nothing(audit):
    """No script, no style of an element, nothing from elsewhere; and its policy says so."""
    text = audit(hostile(), "-o", "html").out
    page = Page(text)
    policy = dict(re.findall(r"([a-z-]+) ([^;\"]+)", re.search(
        r'Content-Security-Policy" content="([^"]+)"', text)[1]))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    digest = subprocess.run("openssl dgst -sha256 -binary | openssl base64 -A", shell=True,
                            input=style.encode(), capture_output=True, check=True).stdout.decode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert "@import" not in style and "url(" not in style
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    assert "prefers-color-scheme: dark" in style and "@media print" in style


def test_html_of_hostile_names(audit):
    text = audit(hostile(), "-o", "html").out
    assert re.fullmatch(r"[\x20-\x7e\n]*", text)
    said = Page(text).text()
    for name in ("<script>alert(1)</script>", "onerror=alert(1)>", "</style></title>&amp;", "]]>",
                 "\\x1b[2J", "\\xe2\\x80\\xaegnp.exe"):
        assert name in said, name
    assert said.count("UNREADABLE") >= 2


def test_html_folds_and_ends_lists(audit):
    db = cluster(**{f"s{i:04}": plaintext() for i in range(1200)})
    text = audit(db, "-o", "html").out
    assert text.count(SECRET) == 1000 and "1,000 of 1,200" in Page(text).text()
    assert "<details><summary>Where: 1,000 of 1,200" in text
    assert audit(db, "-o", "html", "--max-findings", 3).out.count(SECRET) == 3
    assert "<details open><summary>Where: 1 of 1" in audit(cluster(a=plaintext()), "-o", "html").out
    assert "None." in Page(audit(Db().put(SECRET + "a", kms_v2()), "-o", "html").out).text()


def test_html_tone(audit):
    """Green only when all is well."""
    def tone(db, *words):
        return re.search(r'<div class="verdict (\w+)">', audit(db, *words, "-o", "html").out)[1]
    good = cluster(a=kms_v2())
    assert tone(good) == "good" and tone(good, "--demand", "no-plaintext") == "bad"
    assert tone(cluster(a=plaintext()).put(SECRET + "a", kms_v2())) == "wait"  # residue
    assert tone(good, "--current-key", "new") == "wait"
    assert tone(cluster(a=plaintext())) == "bad" and tone(Db().put("/registry/namespaces/a", b"{")) == "flat"


# --- all of them -----------------------------------------------------------------------------------------

FORMS = ["table", *FILES.values()]


@pytest.mark.parametrize("form", FORMS)
def test_no_values_and_no_escapes(audit, form):
    marker = b"TheValueItself"
    db = cluster(a=plaintext(body=marker * 3), b=kms_v2(data=marker * 6), c=b"k8s:enc:x:" + marker)
    db.put(SECRET + "\x1b[2J", plaintext(body=marker)).put(SECRET + "a", marker)
    ran = audit(db, "-o", form)
    assert ran.code == 4 and marker.decode() not in ran.out + ran.err
    assert "\x1b" not in ran.out + ran.err


def test_output_file(audit, tool):
    path = tool.folder / "report"
    db = cluster(a=kms_v2())
    path.write_text("old")
    path.chmod(0o600)
    ran = audit(db, "-o", "csv", "--output-file", path).ok()
    assert ran.out == "" and path.read_text() == audit(db, "-o", "csv").out
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tool.folder.glob("*report*")] == ["report"]
    audit(db, "-o", "prometheus", "--output-file", tool.folder / "a.prom").ok()
    assert stat.S_IMODE((tool.folder / "a.prom").stat().st_mode) == 0o644


def test_report_dir(audit, tool):
    folder = tool.folder / "reports"
    db = hostile()
    ran = audit(db, "-o", "json", "--report-dir", folder)
    assert ran.code == 4 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {p.name for p in folder.iterdir()} == set(FILES)
    assert json.loads(ran.out) == json.loads((folder / "report.json").read_text())
    made = json.loads(ran.out)
    for name, form in FILES.items():
        mode = stat.S_IMODE((folder / name).stat().st_mode)
        assert mode == (0o644 if form == "prometheus" else 0o640), name
    assert yaml.safe_load((folder / "report.yaml").read_text()) == made
    assert f"{made['totals']['keys']} keys of" in (folder / "report.txt").read_text()
    Page((folder / "report.html").read_text())
    cases((folder / "report.junit.xml").read_text())
    before = fingerprint(folder)
    audit(cluster(a=kms_v2()), "--report-dir", folder).ok()
    assert {p.name for p in folder.iterdir()} == set(FILES)
    assert all(fingerprint(folder)[name] != before[name] for name in before)
    assert json.loads((folder / "report.json").read_text())["verdict"] == "ENCRYPTED"


def test_places_that_can_not_be_written(audit, tool):
    """Said before anything is read, with exit code 2 or 3: 1 speaks of what was found."""
    db, folder = cluster(a=kms_v2()), tool.folder
    (folder / "file").write_text("")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "folder")
    for words, code in ((["--output-file", folder / "none" / "x"], 3), (["--output-file", folder], 2),
                        (["--output-file", "/dev/null"], 2), (["--output-file", folder / "link"], 2),
                        (["--report-dir", folder / "file"], 2), (["--report-dir", folder / "none" / "x"], 3),
                        (["--report-dir", folder / "link"], 2), (["--output-file", ""], 2)):
        ran = audit(db, "-o", "json", *words)
        assert ran.code == code and ran.out == "", (words, ran.told())
        assert ran.err.startswith("etcdseal: ") and ran.err.count("\n") == 1
    (folder / "folder" / "report.html").mkdir()
    audit(db, "--report-dir", folder / "folder").refused(2, "report.html", "not a regular file")
    assert [p.name for p in (folder / "folder").iterdir()] == ["report.html"]  # nothing of a half set


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_full_disk(audit, tool):
    folder = tool.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
    try:
        (folder / "report.json").write_text("old")
        db = cluster(**{f"s{i:04}": plaintext() for i in range(2000)})
        audit(db, "--report-dir", folder).refused(3, "No space left")
        assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("report.json", "old")]
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("form", [form for form in FILES.values() if form not in ("json", "yaml", "sarif")])
def test_forms_of_the_audit_alone(tool, form):
    tool.run("status", "-o", form).refused(2, form, "'etcdseal audit' only")


def test_an_empty_database(audit):
    for form in FORMS:
        ran = audit(Db().put("/registry/ranges/a", plaintext()), "-o", form)
        assert ran.code == 0 and ran.out, (form, ran.told())


def test_unusual_fields_in_every_form(audit):
    for form in FORMS:
        ran = audit(cluster(a=kms_v2(more=field(9, b"new"))), "-o", form)
        assert ran.code == 0, (form, ran.told())


# --- with --prove ----------------------------------------------------------------------------------------

def test_a_plugin_that_can_not_be_asked(audit, report, tool):
    """Every form says so; what it has to do with the whole stands where JUnit shows it."""
    db, words = cluster(a=kms_v2(), b=kms_v2()), ["--prove", "--kms", f"unix:{tool.folder}/<none>.sock"]
    made = report(db, *words, code=3)
    (told,) = made["kms"]
    assert told["key_id"] is None and {f["rule"] for f in made["findings"]} >= {"kms-unreachable", "unproved"}
    text = audit(db, *words, "-o", "html").out
    page = Page(text)
    assert "a KMS plugin could not be asked" in page.text() and f"{tool.folder}/<none>.sock" in page.text()
    assert "it does not answer" in page.text() and 'class="verdict good"' not in text
    found = cases(audit(db, *words, "-o", "junit").out)
    assert found["audit", "kms-unreachable"].find("failure") is not None
    assert SECRET not in found["secrets", "unproved"].find("system-out").text
    found = samples(audit(db, *words, "-o", "prometheus").out)
    assert found["etcdseal_audit_kms_unreachable", ()] == 1
    assert found["etcdseal_audit_unproved_objects", (("resource", "secrets"),)] == 2
    results = {r["ruleId"] for r in sarif(audit(db, *words, "-o", "sarif").out)["results"]}
    assert results >= {"kms-unreachable", "unproved"}
    row = rows_of(audit(db, *words, "-o", "csv").out)[0]
    assert (row["resource"], row["proved"], row["unproved"]) == ("secrets", "0", "2")


def test_each_rule_is_a_case_once(audit):
    """Of a resource, of a place or of the whole; a new rule falls somewhere."""
    ids = re.findall(r'^AUDIT_RULE\(\w+,\s*"([a-z-]+)"', (ROOT / "audit" / "rules.def").read_text(), re.M)
    found = cases(audit(cluster(a=kms_v2()), "-o", "junit").out)
    names = [name for suite, name in found if suite in ("residue", "audit", "secrets")]
    assert sorted(names) == sorted(ids)
