# SPDX-License-Identifier: Apache-2.0
"""Reports for other programs, held against what others have published: the JSON Schema of SARIF 2.1.0
(OASIS) and the XML Schema of JUnit reports (Jenkins' xUnit plugin). Our own schema of the JSON report:
test_audit_schema.py."""

import copy
import datetime
import functools
import json
import re
import subprocess

import jsonschema
import pytest

from audits import audit, cluster  # noqa: F401: fixtures
from conftest import ROOT
from etcd_db import kms_v2, plaintext
from test_audit_schema import REPORTS, every_class
from test_encryption_config import CHECK, GOOD, READABLE, WRONG, file, run  # noqa: F401: fixtures

WORDS = {"": [], "current key": ["--current-key", "es1-a"],
         "demands": ["--demand", "only-key=es1-a", "--demand", "no-residue", "--fail-on", "stale"],
         "few": ["--max-findings", 1, "--digest"]}
XSD = ROOT / "tests" / "data" / "junit-10.xsd"
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")


# --- SARIF -----------------------------------------------------------------------------------------------

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("uri-reference")
def is_uri_reference(value):
    return URI.fullmatch(value) is not None


@FORMATS.checks("uri")
def is_uri(value):
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) is not None and is_uri_reference(value)


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value):
    return datetime.datetime.fromisoformat(value).tzinfo is not None


@functools.lru_cache(maxsize=None)
def sarif_schema():
    done = subprocess.run([ROOT / "tools" / "real-parts", "sarif-schema"], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, check=True)
    with open(done.stdout.strip(), encoding="utf-8") as file:
        schema = json.load(file)
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema, format_checker=FORMATS)


def sarif_errors(log):
    return [f"{list(error.path)}: {error.message}" for error in sarif_schema().iter_errors(log)]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", REPORTS)
def test_sarif_of_audit(audit, name, words):
    log = json.loads(audit(REPORTS[name](), *WORDS[words], "-o", "sarif").out)
    assert sarif_errors(log) == []


@pytest.mark.parametrize("text", [GOOD, READABLE, WRONG], ids=["good", "readable", "wrong"])
def test_sarif_of_encryption_config(run, file, text):
    assert sarif_errors(json.loads(run(*CHECK, file(text), "-o", "sarif").out)) == []


def damages():
    """What each does to a log with a result that has a place."""
    def run_of(log):
        return log["runs"][0]
    yield "version", lambda log: log.update(version="2.0.0")
    yield "no driver", lambda log: run_of(log)["tool"].pop("driver")
    yield "no message", lambda log: run_of(log)["results"][0].pop("message")
    yield "level", lambda log: run_of(log)["results"][0].update(level="fatal")
    yield "count", lambda log: run_of(log)["results"][0].update(occurrenceCount="2")
    yield "new field", lambda log: run_of(log)["results"][0].update(ours=1)
    yield "time", lambda log: run_of(log)["invocations"][0].update(startTimeUtc="yesterday")
    yield "uri", lambda log: run_of(log)["results"][0]["locations"][0]["physicalLocation"][
        "artifactLocation"].update(uri="file:///a b")


@pytest.mark.parametrize("name", [name for name, _ in damages()])
def test_sarif_refuses(audit, name):
    """So that the schema is known to be read."""
    log = json.loads(audit(every_class(), "-o", "sarif").out)
    broken = copy.deepcopy(log)
    dict(damages())[name](broken)
    assert sarif_errors(log) == [] and len(sarif_errors(broken)) > 0


# --- JUnit -----------------------------------------------------------------------------------------------

def junit_errors(text):
    done = subprocess.run(["xmllint", "--nonet", "--noout", "--schema", XSD, "-"], input=text.encode(),
                          capture_output=True)
    assert done.returncode in (0, 3), done.stderr.decode()  # 3: not valid
    return done.stderr.decode() if done.returncode != 0 else ""


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", REPORTS)
def test_junit_of_audit(audit, name, words):
    assert junit_errors(audit(REPORTS[name](), *WORDS[words], "-o", "junit").out) == ""


@pytest.mark.parametrize("old, new", [
    ("<testsuites ", '<testsuites ours="1" '), (' tests="', ' ours="'), (' name="plaintext"', ""),
    ("failure>", "broken>"), (' time="', ' time="no')])
def test_junit_refuses(audit, old, new):
    text = audit(cluster(a=plaintext(), b=kms_v2()), "-o", "junit").out
    assert junit_errors(text) == "" and old in text
    assert junit_errors(text.replace(old, new)) != ""
