# SPDX-License-Identifier: Apache-2.0
"""deploy/audit.schema.json against the reports that the program writes, judged by a validator that is
not ours. A field that the schema does not describe fails too, though readers must take it."""

import copy
import json

import jsonschema
import pytest
import yaml

from audits import NAMESPACE, SECRET, audit, cluster, report  # noqa: F401: fixtures
from conftest import ROOT
from etcd_db import LEAF, Db, Wal, key_value, kms_v1, kms_v2, local, plaintext, put_request, revision_key
from test_audit_forms import hostile
from kine_db import Db as Kine

SCHEMA = json.loads((ROOT / "deploy" / "audit.schema.json").read_text())
COUNTS = SCHEMA["definitions"]["counts"]["properties"]


def closed(part):
    """The schema without fields that it does not name. allOf is told apart by hand."""
    if isinstance(part, list):
        return [closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "allOf" in part:
        first, second = part["allOf"]
        return closed({"type": "object", "required": second["required"],
                       "properties": second["properties"] | COUNTS})
    made = {name: closed(value) for name, value in part.items()}
    if part.get("type") == "object" and "properties" in part:
        made["additionalProperties"] = False
    return made


STRICT = jsonschema.Draft7Validator(closed(SCHEMA))
OPEN = jsonschema.Draft7Validator(SCHEMA)


def check(made):
    for validator in (OPEN, STRICT):
        errors = [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(made)]
        assert errors == []


def every_class():
    return cluster(a=plaintext(), b=kms_v2(), c=kms_v1(), d=local("aescbc", "k", 32), e=local("aesgcm", "k", 28),
                   f=local("secretbox", "k", 40), g=b"k8s:enc:x", h=kms_v2(key_id="old"))


def with_residue():
    db = cluster(a=kms_v2()).put(SECRET + "b", plaintext()).put(SECRET + "b", kms_v2())
    db.free.append(db.leaf(2, [(0, revision_key(1000), key_value(SECRET + "a", kms_v2(key_id="gone"), 1000))]))
    return db


REPORTS = {"every class": every_class, "hostile": hostile, "residue": with_residue,
           "none": lambda: Db().put(NAMESPACE, plaintext())}


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_reports(audit, name):
    db = REPORTS[name]()
    for words in ([], ["--current-key", "es1-a"], ["--digest", "--max-findings", 1],
                  ["--demand", "only-key=es1-a", "--demand", "no-residue"]):
        made = json.loads(audit(db, *words, "-o", "json").out)
        check(made)
        check(yaml.safe_load(audit(db, *words, "-o", "yaml").out))


def test_data_folder(tool):
    (tool.folder / "etcd" / "member" / "snap").mkdir(parents=True)
    (tool.folder / "etcd" / "member" / "snap" / "db").write_bytes(every_class().data())
    Wal().entry(put_request(SECRET + "a", plaintext())).write(tool.folder / "etcd" / "member" / "wal")
    made = json.loads(tool.run("audit", "--data-dir", tool.folder / "etcd", "-o", "json").out)
    check(made)
    assert made["residue"]["wal"]["plaintext"] == 1


def damaged(made):
    """The report with one thing wrong, for each thing."""
    def but(change):
        other = copy.deepcopy(made)
        change(other)
        return other
    yield "schema", but(lambda r: r.update(schema="etcdseal.audit/2"))
    yield "verdict", but(lambda r: r.update(verdict="FINE"))
    yield "negative", but(lambda r: r["totals"].update(keys=-1))
    yield "text", but(lambda r: r["resources"][0].update(keys="7"))
    yield "null", but(lambda r: r["resources"][0].update(verdict=None))
    yield "hash", but(lambda r: r["key_ids"][0].update(key_id_hash="sha256:x"))
    yield "severity", but(lambda r: r["findings"][0].update(severity="fatal"))
    yield "place", but(lambda r: r["residue"].update(wal={"values": 1}))
    for name in SCHEMA["required"]:
        yield f"without {name}", but(lambda r: r.pop(name))


def test_it_refuses(report):
    made = report(every_class(), "--current-key", "es1-a", code=4)
    for name, other in damaged(made):
        assert not OPEN.is_valid(other), name
    assert OPEN.is_valid(made | {"a_new_field": 1}) and not STRICT.is_valid(made | {"a_new_field": 1})


def test_the_page_names_all_fields():
    """docs/audit.md, by the names of the schema."""
    page = (ROOT / "docs" / "audit.md").read_text()
    section = page[page.index("## The report for programs"):]

    def names(part):
        if isinstance(part, list):
            for item in part:
                yield from names(item)
        elif isinstance(part, dict):
            yield from part.get("properties", {})
            for value in part.values():
                yield from names(value)
    missing = {name for name in names(SCHEMA) if f"`{name}`" not in section and f"`{name}[]`" not in section}
    assert missing == set()


def test_kine(tool):
    path = tool.folder / "state.db"
    Kine(path).fill(3).close()
    check(json.loads(tool.run("audit", "--kine", path, "-o", "json").ok().out))
