# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit over hand-made database files: what is counted, found and demanded; forms; refusals.
Real etcd and kube-apiserver: tests/system/test_audit.py."""

import hashlib
import json
import re

import pytest
import yaml

from audits import NAMESPACE, SECRET, audit, cluster, report  # noqa: F401: fixtures
from conftest import ROOT
from etcd_db import (HEADER, LEAF, Db, field, key_value, kms_v1, kms_v2, local, plaintext,
                     revision_key)

CONFIG = """apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [%s]
    providers:
%s
"""
KMS = "      - kms: { apiVersion: v2, name: etcdseal, endpoint: 'unix:///run/etcdseal/kms.sock' }"
IDENTITY = "      - identity: {}"


def aes(kind, *names):
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    keys = ", ".join(f"{{ name: '{name}', secret: {key} }}" for name in names)
    return f"      - {kind}: {{ keys: [{keys}] }}"


def resource(report, name):
    (row,) = [row for row in report["resources"] if row["resource"] == name]
    return row


def rules(report):
    return sorted({finding["rule"] for finding in report["findings"]})


# --- classes ---------------------------------------------------------------------------------------

CLASSES = {
    "kmsv2": [kms_v2(), kms_v2(source_type=0, data=b"d" * 28), kms_v2(annotations={"a.b": b"1"})],
    "kmsv1": [kms_v1(), kms_v1(body=b"c" * 32)],
    "aescbc": [local("aescbc", "key1", 32)],
    "aesgcm": [local("aesgcm", "key1", 28)],
    "secretbox": [local("secretbox", "key1", 40)],
    "plaintext": [plaintext(), b'{"kind":"Secret"}', b"\xd9\xd9\xf7\xa1", b"k8s\0", b"{"],
}


@pytest.mark.parametrize("name", CLASSES)
def test_class(report, name):
    values = {f"s{i}": value for i, value in enumerate(CLASSES[name])}
    code = 1 if name == "plaintext" else 0
    made = report(cluster(**values), code=code)
    row = resource(made, "secrets")
    assert row[name] == row["keys"] == len(values)
    assert row["undecryptable"] == 0 and row["proved"] == 0
    assert row["unproved"] == (0 if name == "plaintext" else len(values))
    assert row["verdict"] == ("PLAINTEXT" if name == "plaintext" else "ENCRYPTED")
    assert made["totals"]["keys"] == len(values) + 1


def test_sum_of_classes(report):
    values = {f"{name}-{i}": value for name in CLASSES for i, value in enumerate(CLASSES[name])}
    made = report(cluster(**values), code=1)
    for counts in [made["totals"], *made["resources"]]:
        assert counts["keys"] == sum(counts[name] for name in [*CLASSES, "other"])
    assert made["verdict"] == "PARTIAL"


MALFORMED = {
    "unknown": b"k8s:enc:rot13:v1:key1:abc",
    "no name": b"k8s:enc:aescbc:v1:key1",
    "half a block": local("aescbc", "key1", 33),
    "short gcm": local("aesgcm", "key1", 27),
    "short secretbox": local("secretbox", "key1", 39),
    "kms v1 without a key": b"k8s:enc:kms:v1:old:\0\0" + b"b" * 60,
    "kms v1 cut": b"k8s:enc:kms:v1:old:\0",
    "kms v1 short": kms_v1(body=b"b" * 27),
    "no message": b"k8s:enc:kms:v2:etcdseal:\xff\xff",
    "group": b"k8s:enc:kms:v2:etcdseal:" + field(1, b"d" * 80) + b"\x33\x34",
    "no key id": kms_v2(key_id=""),
    "long key id": kms_v2(key_id="k" * 1025),
    "key id no utf-8": kms_v2(key_id=b"\xff"),
    "no seed": kms_v2(seed=b""),
    "long seed": kms_v2(seed=b"s" * 1025),
    "source type": kms_v2(source_type=2),
    "short data": kms_v2(data=b"d" * 59),
    "short data of type 0": kms_v2(source_type=0, data=b"d" * 27),
    **{f"annotation {name!r}": kms_v2(annotations={name: b"x"}) for name in
       ("", "nodots", "A.b", "-a.b", "a-.b", "a..b", ".a.b", "a.b-", "a_b.c", "a.b" * 85)},
    "annotations": kms_v2(annotations={"a.b": b"x" * 32766}),
    "annotation of a wrong type": kms_v2(more=field(4, field(1, 7))),
    "wrong type": kms_v2(more=field(2, 7)),
    "garbage": b"\x01\x02",
    "empty": b"",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(audit, name):
    ran = audit(cluster(good=kms_v2(), bad=MALFORMED[name]), "-o", "json")
    assert ran.code == 4 and "1 of 3 keys can't be decrypted" in ran.err, ran.told()
    made = json.loads(ran.out)
    (finding,) = made["findings"]
    assert (finding["rule"], finding["severity"]) == ("malformed", "error")
    assert (finding["object"], finding["etcd_key"]) == ("default/bad", SECRET + "bad")
    assert finding["mod_revision"] == 4 and finding["resource"] == "secrets"
    assert made["verdict"] == resource(made, "secrets")["verdict"] == "UNREADABLE"
    assert made["totals"]["undecryptable"] == 1


LARGEST = {
    "key id": kms_v2(key_id="k" * 1024), "seed": kms_v2(seed=b"s" * 1024),
    "domain name": kms_v2(annotations={"a-1.b2": b"x", "0.b.c.": b"x", "a.b-c.d": b"x"}),
    "annotations": kms_v2(annotations={"a.b": b"x" * 32765}),
}


@pytest.mark.parametrize("name", LARGEST)
def test_largest(report, name):
    assert report(cluster(a=LARGEST[name]))["verdict"] == "ENCRYPTED"


@pytest.mark.parametrize("more", [field(9, b"new"), field(2, "es1-a")])
def test_unusual_fields(report, more):
    made = report(cluster(a=kms_v2(more=more)))
    assert rules(made) == ["unusual"] and made["verdict"] == "ENCRYPTED"


# --- keys and resources ------------------------------------------------------------------------------

KEYS = {
    "minions/n": ("nodes", "n"), "services/specs/a/b": ("services", "a/b"),
    "services/endpoints/a/b": ("endpoints", "a/b"), "controllers/a/b": ("replicationcontrollers", "a/b"),
    "deployments/a/b": ("deployments.apps", "a/b"), "ingress/a/b": ("ingresses.networking.k8s.io", "a/b"),
    "example.com/widgets/a/b": ("widgets.example.com", "a/b"),
    "example.com/widgets/b": ("widgets.example.com", "b"),
    "apiregistration.k8s.io/apiservices/v1.": ("apiservices.apiregistration.k8s.io", "v1."),
    "ranges/serviceips": ("ranges", "serviceips"), "masterleases/10.0.0.1": ("masterleases", "10.0.0.1"),
    "unheard/a/b": ("unheard", "a/b"), "secrets/a/b": ("secrets", "a/b"),
}


@pytest.mark.parametrize("key", KEYS)
def test_resource(report, key):
    db = Db().put(NAMESPACE, plaintext("Namespace")).put("/registry/" + key, b"k8s:enc:no:")
    (finding,) = [f for f in report(db, code=4)["findings"] if f["rule"] == "malformed"]
    assert (finding["resource"], finding["object"]) == KEYS[key]


def test_outside(report):
    db = cluster(a=kms_v2()).put("compact_rev_key", b"12").put("/bootstrap/x", b"k8s:enc:")
    made = report(db, code=4)
    row = resource(made, "(outside)")
    assert (row["keys"], row["other"], row["verdict"]) == (2, 2, "UNREADABLE")
    made = report(cluster(a=kms_v2()).put("compact_rev_key", b"{"))
    assert resource(made, "(outside)")["verdict"] == "NONE" and made["verdict"] == "ENCRYPTED"


def test_prefixes(audit, report):
    def put(prefix):
        return Db().put(prefix + "namespaces/kube-system", b"{}").put(prefix + "secrets/a/b", kms_v2())
    assert report(put("/x/y/"))["source"]["prefixes"] == ["/x/y/"]
    assert report(Db().put("/registry/secrets/a/b", kms_v2()))["source"]["prefixes"] == ["/registry/"]
    made = report(put("/x/").put("/z/secrets/a/b", plaintext()), "--prefix", "/z/", "--prefix", "/x/",
                  code=1)
    assert made["source"]["prefixes"] == ["/z/", "/x/"]
    assert resource(made, "secrets")["keys"] == 2
    ran = audit(Db().put("/x/secrets/a/b", kms_v2()))
    assert ran.code == 3 and "--prefix" in ran.err, ran.told()
    ran = audit(put("/x/"), "--prefix", "/x")
    assert ran.code == 2 and "ends with '/'" in ran.err, ran.told()


def test_latest_revision_counts(report):
    db = cluster(a=plaintext(), b=plaintext(), c=kms_v2()).put(SECRET + "a", kms_v2())
    db.delete(SECRET + "b").put(SECRET + "c", kms_v2(key_id="es1-b"))
    made = report(db)
    row = resource(made, "secrets")
    assert (row["keys"], row["kmsv2"], row["plaintext"]) == (2, 2, 0)
    old = made["residue"]["old_revisions"]
    assert old == {"values": 3, "plaintext": 2, "key_ids": {"es1-a": 1}, "other_key_ids": 0}
    assert made["source"]["revision"] == db.revision and made["source"]["tombstones"] == 1
    assert "residue-old-revisions" in rules(made) and made["has_residue"]


def test_key_ids_and_seeds(report):
    values = {f"s{i}": kms_v2(seed=b"%d" % (i % 3) * 40, key_id="es1-a") for i in range(9)}
    values["other"] = kms_v2(key_id="es1-b")
    values["noted"] = kms_v2(key_id="es1-b", annotations={"a.b": b"1", "c.d": b"2"})
    values["turned"] = kms_v2(key_id="es1-b", annotations={"c.d": b"2", "a.b": b"1"})
    values["mine"] = kms_v2(provider="mine", key_id="es1-b")
    values["old"] = kms_v1()
    values["cbc"] = local("aescbc", "key1", 32)
    made = report(cluster(**values))
    rows = {(row["class"], row["provider"], row["key_id"]): row for row in made["key_ids"]}
    found = {key: (row["objects"], row["seeds"]) for key, row in rows.items()}
    assert found == {("kmsv2", "etcdseal", "es1-a"): (9, 3), ("kmsv2", "etcdseal", "es1-b"): (3, 2),
                     ("kmsv2", "mine", "es1-b"): (1, 1), ("kmsv1", "old", None): (1, None),
                     ("aescbc", "aescbc", "key1"): (1, None)}
    row = rows["kmsv2", "etcdseal", "es1-a"]
    assert row["key_id_hash"] == "sha256:" + hashlib.sha256(b"es1-a").hexdigest()


# --- what is expected ----------------------------------------------------------------------------------

def config(resources, *providers):
    return CONFIG % (resources, "\n".join(providers))


def test_without_a_configuration(report):
    db = cluster(a=kms_v2()).put("/registry/configmaps/a/b", plaintext("ConfigMap"))
    made = report(db)
    assert made["totals"]["stale"] is None
    assert resource(made, "secrets")["expected"] is None
    assert resource(made, "configmaps")["verdict"] == "PLAINTEXT" and made["verdict"] == "ENCRYPTED"


# Each loads, and kube-apiserver writes Secrets in plaintext under it.
PLAIN_SECRETS = {
    "identity first": config("secrets", IDENTITY, KMS),
    "an earlier entry": config("secrets", IDENTITY) + "  - resources: ['*.*']\n    providers:\n" + KMS + "\n",
    "forgotten": config("configmaps", KMS),
}


@pytest.mark.parametrize("name", PLAIN_SECRETS)
def test_secrets_are_always_expected(report, name):
    """A configuration that leaves them in plaintext does not make that right."""
    made = report(cluster(a=plaintext(), b=plaintext()), code=1, config=PLAIN_SECRETS[name])
    row = resource(made, "secrets")
    assert row["expected"] == "identity" and row["expected_encrypted"] is True
    assert row["verdict"] == "PLAINTEXT" and made["verdict"] in ("PLAINTEXT", "PARTIAL")
    assert sum((f["rule"], f["resource"]) == ("plaintext", "secrets") for f in made["findings"]) == 2


def test_only_secrets_are_always_expected(report):
    """A resource of that name in another group is none."""
    db = cluster(a=kms_v2()).put("/registry/example.com/secrets/x", plaintext())
    made = report(db, config=config("secrets", KMS))
    assert resource(made, "secrets.example.com")["expected_encrypted"] is False
    assert made["verdict"] == "ENCRYPTED"


def test_configuration(report):
    text = config("secrets, widgets.example.com", KMS, IDENTITY)
    db = cluster(a=kms_v2()).put("/registry/example.com/widgets/x", b"{}")
    made = report(db, code=1, config=text)
    assert resource(made, "secrets")["expected"] == "kmsv2:etcdseal"
    assert resource(made, "widgets.example.com")["expected"] == "kmsv2:etcdseal"
    assert resource(made, "namespaces")["expected"] == "identity"
    assert made["verdict"] == "PARTIAL" and rules(made) == ["plaintext", "read-provider"]
    assert made["totals"]["stale"] is None  # which key writes now is not known


@pytest.mark.parametrize("wanted, name", [
    ("'*.*'", "deployments/a/b"), ("'*.apps'", "deployments/a/b"), ("deployments.apps", "deployments/a/b"),
    ("'*.'", "configmaps/a/b"), ("'*.example.com'", "example.com/widgets/x")])
def test_wildcards(report, wanted, name):
    db = Db().put("/registry/" + name, plaintext())
    assert report(db, code=1, config=config(wanted, KMS))["verdict"] == "PLAINTEXT"
    other = config("'*.policy'", KMS)
    assert report(db, config=other)["verdict"] == "NONE"


def test_exact_name_wins(report):
    text = config("secrets", aes("aescbc", "k")) + CONFIG.split("resources:\n")[1] % ("'*.*'", KMS)
    made = report(cluster(a=local("aescbc", "k", 32)).put("/registry/pods/a/b", kms_v2()), code=1,
                  config=text)
    assert resource(made, "secrets")["expected"] == "aescbc:k"
    assert resource(made, "pods")["expected"] == "kmsv2:etcdseal"
    assert resource(made, "namespaces")["verdict"] == "PLAINTEXT"


STALE = [  # configuration, value, rule
    ([KMS], kms_v2(), None),
    ([KMS, aes("aesgcm", "k")], local("aesgcm", "k", 40), "stale"),
    ([aes("aesgcm", "k", "old")], local("aesgcm", "old", 40), "stale"),
    ([aes("aesgcm", "k", "old")], local("aesgcm", "k", 40), None),
    ([aes("aesgcm", "a:b")], local("aesgcm", "a:b", 40), None),
    ([aes("aesgcm", "k")], local("aesgcm", "other", 40), "unknown-key"),
    ([aes("aesgcm", "k")], kms_v2(), "wrong-provider"),
    ([KMS], kms_v2(provider="mine"), "unknown-key"),
    ([KMS], kms_v1("etcdseal"), "wrong-provider"),
    ([KMS], plaintext(), "plaintext"),
    ([IDENTITY, KMS], kms_v2(), "stale"),
    ([IDENTITY], kms_v2(), "wrong-provider"),
]


@pytest.mark.parametrize("number", range(len(STALE)))
def test_reading(report, number):
    providers, value, rule = STALE[number]
    code = {None: 0, "stale": 0, "plaintext": 1}.get(rule, 4)
    made = report(cluster(a=value), code=code, config=config("secrets", *providers))
    found = [f["rule"] for f in made["findings"] if f["object"] == "default/a"]
    assert found == ([rule] if rule else [])
    row = resource(made, "secrets")
    known = not providers[0].startswith("      - kms")
    assert row["stale"] == ((rule == "stale") if known else None)
    wanted = {None: "ENCRYPTED", "stale": "PENDING", "plaintext": "PLAINTEXT"}.get(rule, "UNREADABLE")
    assert row["verdict"] == wanted


def test_current_key(report):
    db = cluster(a=kms_v2(key_id="new"), b=kms_v2(key_id="old"),
                 c=kms_v2(key_id="new", source_type=0), d=kms_v2(key_id="old"))
    for text in (None, config("secrets", KMS)):
        made = report(db, "--current-key", "new", config=text)
        assert made["totals"]["stale"] == 3 and made["verdict"] == "PENDING"
        said = {f["object"]: f["message"] for f in made["findings"] if f["rule"] == "stale"}
        assert "type 0" in said["default/c"] and said["default/d"].endswith("kmsv2, old")
    made = report(cluster(a=local("aescbc", "k", 32)), "--current-key", "new")
    assert made["totals"]["stale"] == 1
    made = report(cluster(a=kms_v2(key_id="old", data=b"short")), "--current-key", "new", code=4)
    assert made["totals"]["stale"] == 0  # a rewrite does not cure it


@pytest.mark.parametrize("provider, word", [(IDENTITY, "identity"), (aes("aescbc", "k"), "aescbc"),
                                            (aes("aesgcm", "k"), None)])
def test_loose_readers(report, provider, word):
    made = report(cluster(a=kms_v2()), config=config("secrets", KMS, provider))
    found = [f["message"] for f in made["findings"] if f["rule"] == "read-provider"]
    assert [m.rpartition(": ")[2] for m in found] == ([word] if word else [])


def test_nothing_expected(report):
    made = report(Db().put(NAMESPACE, plaintext()))
    assert rules(made) == ["nothing-expected"] and made["verdict"] == "NONE"


# --- demands -------------------------------------------------------------------------------------------

DEMANDS = [
    ("all-encrypted", {"a": kms_v2()}, {"a": plaintext()}),
    ("no-plaintext", None, {"a": kms_v2()}),  # the namespace is
    ("no-stale", {"a": kms_v2(key_id="new")}, {"a": kms_v2(key_id="old")}),
    ("only-key=new", {"a": kms_v2(key_id="new")}, {"a": kms_v2(key_id="old")}),
    ("no-residue", {"a": kms_v2()}, None),
]


@pytest.mark.parametrize("demand, good, bad", DEMANDS)
def test_demand(report, demand, good, bad):
    for values, is_met in ((good, True), (bad, False)):
        db = cluster(**values) if values else cluster(a=kms_v2())
        if values is None and is_met:
            db = Db().put("/registry/secrets/a/b", kms_v2())
        elif values is None:
            db = cluster(a=plaintext()).put(SECRET + "a", kms_v2())
        made = report(db, "--current-key", "new", "--demand", demand, code=0 if is_met else 1)
        (row,) = made["demands"]
        assert row["met"] is is_met and made["as_demanded"] is is_met
        assert demand in (row["demand"], f"{row['demand']}={row['key_id']}")


def test_several_demands(report):
    made = report(cluster(a=kms_v2()), "--demand", "all-encrypted", "--demand", "no-plaintext", code=1)
    assert [row["met"] for row in made["demands"]] == [True, False]


@pytest.mark.parametrize("words, parts", [
    (["--demand", "all-encryptd"], ["did you mean 'all-encrypted'"]),
    (["--demand", "only-key"], ["only-key=KEY-ID"]), (["--demand", "only-key="], ["only-key=KEY-ID"]),
    (["--demand", "no-residue=x"], ["expected no-residue"]),
    (["--demand", "no-stale"], ["--current-key"]),
    (["--fail-on", "plain"], ["did you mean 'plaintext'"]),
    (["--prefix", "/registry"], ["ends with '/'"]), (["-o", "excel"], ["csv"]),
])
def test_wrong_words(audit, words, parts):
    ran = audit(cluster(a=kms_v2()), *words)
    assert ran.code == 2 and ran.out == "", ran.told()
    for part in parts:
        assert part in ran.err, ran.told()


@pytest.mark.parametrize("rule", ["stale", "warning"])
def test_fail_on(report, rule):
    db = cluster(a=kms_v2(key_id="old"))
    assert report(db, "--current-key", "new")["verdict"] == "PENDING"
    assert report(db, "--current-key", "new", "--fail-on", rule, code=1)["as_demanded"] is False
    assert report(db, "--current-key", "new", "--fail-on", "plaintext")["as_demanded"] is True


def test_unreadable_wins_over_demands(report):
    report(cluster(a=plaintext(), b=b"k8s:enc:x"), code=4)


# --- what is left over -----------------------------------------------------------------------------------

def left_page(db, *values, flags=LEAF):
    """A page that nothing leads to, as etcd leaves it."""
    items = [(0, revision_key(1000 + i), key_value(key, value, 1000 + i))
             for i, (key, value) in enumerate(values)]
    page = db.leaf(2, items)
    db.free.append(page)
    return page


def test_free_pages(report):
    db = cluster(a=kms_v2())
    left_page(db, (SECRET + "a", plaintext()), ("/registry/configmaps/a/b", plaintext("ConfigMap")),
              (SECRET + "b", kms_v2(key_id="es1-old")), (SECRET + "c", local("aescbc", "k", 32)))
    made = report(db)
    assert made["residue"]["free_pages"] == {
        "values": 4, "plaintext": 1, "key_ids": {"es1-old": 1}, "other_key_ids": 0}
    assert made["residue"]["old_revisions"]["values"] == 0
    assert made["residue"]["wal"] is None and made["residue"]["kine_old_value"] is None
    assert made["verdict"] == "ENCRYPTED" and made["has_residue"]
    assert resource(made, "secrets")["keys"] == 1


def test_what_is_left_of_our_own(report):
    """Below /etcdseal/, which is no prefix of Kubernetes."""
    db = cluster(a=kms_v2()).put("/etcdseal/v1/x", b"older").put("/etcdseal/v1/x", b"newer")
    left_page(db, ("/etcdseal/v1/x", b"freed"), ("/elsewhere/x", b"freed"))
    made = report(db)
    assert made["residue"]["old_revisions"]["values"] == 1
    assert made["residue"]["free_pages"] == {"values": 1, "plaintext": 0, "key_ids": {}, "other_key_ids": 0}
    assert made["verdict"] == "ENCRYPTED" and not made["has_residue"]


def test_what_is_left_of_invented_kinds(report):
    """Whoever may write an object may write what looks like values of ever other resources."""
    db = cluster(a=kms_v2())
    blob = b"".join(b"k8s\0" + field(1, field(1, "v1") + field(2, f"K{i}")) for i in range(20000))
    db.free = [blob[at:at + db.page_size].ljust(db.page_size, b"\0")
               for at in range(0, len(blob), db.page_size)]
    made = report(db)
    assert made["residue"]["free_pages"]["values"] >= 19000
    assert [row["resource"] for row in made["resources"]] == ["secrets", "namespaces"]


def test_free_bytes_that_repeat_a_key(report):
    """Each of them begins a record that never comes to its value: looked at once, not again and again
    (which took a minute for half a megabyte)."""
    db = cluster(a=kms_v2())
    blob = b"\x0a\x0a/registry/" * 200000
    db.free = [blob[at:at + db.page_size].ljust(db.page_size, b"\0")
               for at in range(0, len(blob), db.page_size)]
    assert report(db)["residue"]["free_pages"]["values"] == 0


def test_free_pages_without_their_head(report):
    """The first page of a freed run was used again: what follows has no header."""
    db = cluster(a=kms_v2())
    page = left_page(db, (SECRET + "a", plaintext(body=b"x" * 4000)), (SECRET + "b", plaintext()))
    assert len(page) == 2 * db.page_size
    db.free[0] = page[db.page_size:]
    assert report(db)["residue"]["free_pages"]["plaintext"] == 1
    cut = page.index(b"k8s\0")  # the record's own beginning is gone too: kind tells whose it was
    db.free[0] = page[cut:cut + 200].ljust(db.page_size, b"\0")
    assert report(db)["residue"]["free_pages"]["plaintext"] == 1
    db.free[0] = db.free[0].replace(b"Secret", b"Widget")
    assert report(db)["residue"]["free_pages"] == {
        "values": 1, "plaintext": 0, "key_ids": {}, "other_key_ids": 0}


def test_page_slack(report):
    data = bytearray(cluster(a=kms_v2()).data())
    db = cluster(a=kms_v2())
    data = bytearray(db.data())
    record = key_value(SECRET + "old", plaintext(), 2)
    end = (db.pages["leaf-0"] + 1) * db.page_size
    data[end - len(record):end] = record
    made = report(bytes(data))
    assert made["residue"]["page_slack"]["plaintext"] == 1 and made["has_residue"]


def test_behind_the_high_water_mark(report):
    record = key_value(SECRET + "a", plaintext(), 3)
    for length in (4096, len(record), 4096 + 7, 9000):
        data = cluster(a=kms_v2()).data() + record.ljust(length, b"\0")
        assert report(data)["residue"]["free_pages"]["plaintext"] == 1


# --- forms -----------------------------------------------------------------------------------------------

def test_forms_say_the_same(audit):
    db = cluster(a=plaintext(), b=kms_v2()).put(SECRET + "a", kms_v1())
    read = {form: audit(db, "-o", form) for form in ("json", "yaml", "table", "wide")}
    assert {ran.code for ran in read.values()} == {0}
    made, other = json.loads(read["json"].out), yaml.safe_load(read["yaml"].out)
    for report in (made, other):
        report.pop("started_at"), report.pop("duration_ms")
    assert made == other
    assert "ENCRYPTED with RESIDUE: 3 keys" in read["table"].out
    assert "KMSV1" in read["wide"].out and "KMSV1" not in read["table"].out


def test_schema_has_its_fields(report):
    made = report(cluster(a=plaintext(), b=kms_v2()), code=1)
    assert made["schema"] == "etcdseal.audit/1"
    counts = {"keys", "kmsv2", "kmsv1", "aescbc", "aesgcm", "secretbox", "plaintext", "other",
              "proved", "undecryptable", "unproved", "stale"}
    assert set(made["totals"]) == counts
    assert set(made["resources"][0]) == counts | {"resource", "expected", "expected_encrypted",
                                                  "verdict"}
    assert set(made["key_ids"][0]) >= {"provider", "key_id", "key_id_hash", "objects", "seeds",
                                       "proved", "undecryptable"}
    assert set(made["findings"][0]) == {"rule", "severity", "resource", "object", "etcd_key",
                                        "mod_revision", "message", "cure"}
    assert set(made["residue"]) == {"old_revisions", "free_pages", "page_slack", "wal",
                                    "kine_old_value"}


def test_every_rule_has_a_section():
    """docs/audit.md, by the rule's id."""
    ids = re.findall(r'^AUDIT_RULE\(\w+,\s*"([a-z-]+)"', (ROOT / "audit" / "rules.def").read_text(), re.M)
    sections = re.findall(r"^### (.+)$", (ROOT / "docs" / "audit.md").read_text(), re.M)
    assert len(ids) > 10 and sorted(ids) == sorted(set(ids) & set(sections))


def test_max_findings(audit, report):
    db = cluster(**{f"s{i:03}": plaintext() for i in range(120)})
    made = report(db, code=1)
    assert len(made["findings"]) == made["findings_count"] == 120
    made = report(db, "--max-findings", 7, code=1)
    assert (len(made["findings"]), made["findings_count"]) == (7, 120)
    for words, shown in (([], 5), (["-o", "wide"], 100), (["--max-findings", "7"], 7)):
        ran = audit(db, *words)
        assert ran.out.count(SECRET) == shown and f"and {120 - shown} more" in ran.out, ran.told()


def test_values_are_never_shown(audit):
    marker = b"TheValueItself"
    db = cluster(a=plaintext(body=marker * 3), b=kms_v2(data=marker * 6), c=b"k8s:enc:x:" + marker,
                 d=local("aescbc", "key1", 0) + marker * 16).put(SECRET + "a", marker)
    for form in ("table", "wide", "json", "yaml"):
        ran = audit(db, "-o", form)
        assert marker.decode() not in ran.out + ran.err


def test_hostile_names(audit):
    db = cluster().put(SECRET + "a\x1b[2J\n\"x\\", plaintext()).put(SECRET + "b\0c", plaintext())
    db.put(SECRET + "k", kms_v2(key_id="\x1b[1m"))
    ran = audit(db)
    assert "\x1b" not in ran.out + ran.err and "\\x1b" in ran.out
    made = json.loads(audit(db, "-o", "json").out)
    assert [f["etcd_key"] for f in made["findings"]] == [SECRET + "a\x1b[2J\n\"x\\", SECRET + "b\0c"]
    assert yaml.safe_load(audit(db, "-o", "yaml").out)["findings"] == made["findings"]


def test_quiet(audit):
    assert audit(cluster(a=kms_v2()), "-q").err == ""
    assert audit(cluster(a=kms_v2())).err == "ENCRYPTED: as demanded\n"
    assert audit(cluster(a=plaintext()), "-q").err == "etcdseal: PLAINTEXT: not as demanded\n"


def test_digest(audit, report):
    db = Db(snapshot=True).put(SECRET + "a", kms_v2())
    made = report(db, "--digest")
    assert made["source"]["kind"] == "snapshot"
    assert made["source"]["files"][0]["sha256"] == hashlib.sha256(db.data()).hexdigest()
    assert made["source"]["files"][0]["size"] == len(db.data())
    data = bytearray(db.data())
    data[-1] ^= 1
    assert report(bytes(data))["verdict"] == "ENCRYPTED"  # not looked at
    ran = audit(bytes(data), "--digest")
    assert ran.code == 3 and "SHA-256" in ran.err and ran.out == "", ran.told()
    made = report(cluster(a=kms_v2()))
    assert made["source"]["kind"] == "db" and made["source"]["files"][0]["sha256"] is None


def test_page_sizes(report):
    for size in (1024, 4096, 65536, 1 << 24):
        db = Db(page_size=size, per_leaf=4).put(NAMESPACE, plaintext())
        for i in range(9):
            db.put(f"{SECRET}{i}", kms_v2(data=b"d" * 900))
        assert resource(report(db), "secrets")["kmsv2"] == 9
