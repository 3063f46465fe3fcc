# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --object over files: which key a name means, what is told of its value and its past,
and what is said when it is not there."""

import hashlib
import json

import pytest
import yaml

import test_audit_kine as sqlite
from audits import SECRET, audit, cluster  # noqa: F401 (fixtures)
from etcd_db import Db, kms_v1, kms_v2, local, plaintext
from test_audit_prove import KEY, config, object_named, sealed

TOP = "a-value-nobody-may-see"


def hidden(kind="Secret", **options):
    return plaintext(kind, **options) + TOP.encode()


@pytest.fixture
def shown(audit):  # noqa: F811
    """The JSON of one object; no value is in it."""
    def go(db, name, *words, code=0, config=None):  # noqa: A002
        ran = audit(db, "--object", name, *words, "-o", "json", config=config)
        assert ran.code == code, ran.told()
        assert TOP not in ran.out + ran.err
        return json.loads(ran.out)
    return go


def history(made):
    return [(row["what"], row["revision"], row["class"], row["key_id"]) for row in made["history"]]


def test_one_object(shown):
    """From plaintext to a first key to a second one, beside others that do not count."""
    db = cluster(other=hidden(), a=hidden())
    db.put(SECRET + "a", kms_v2(key_id="es1-old"))
    db.put(SECRET + "a", kms_v2(key_id="es1-new", annotations={"x.example.com": "v", "b.c": "w"}))
    made = shown(db, "secrets/default/a", "--current-key", "es1-new")
    stored = made["stored"]
    assert made["schema"] == "etcdseal.audit-object/1" and made["state"] == "live"
    assert made["etcd_key"] == SECRET + "a" and made["resource"] == "secrets"
    assert stored["prefix"] == "k8s:enc:kms:v2:etcdseal:" and stored["class"] == "kmsv2"
    assert stored["provider"] == "etcdseal" and stored["key_id"] == "es1-new"
    assert stored["key_id_hash"] == "sha256:" + hashlib.sha256(b"es1-new").hexdigest()
    assert stored["source_type"] == "HKDF_SHA256_XNONCE_AES_GCM_SEED"
    assert sorted(stored["annotations"]) == ["b.c", "x.example.com"]
    assert stored["size"] == len(kms_v2(key_id="es1-new", annotations={"x.example.com": "v", "b.c": "w"}))
    assert (stored["revision"], stored["create_revision"], stored["version"]) == (6, 4, 3)
    assert stored["opens"] == "unknown" and "--prove" in stored["why"]
    assert made["stale"] is False and made["expected_encrypted"] and made["verdict"] == "ENCRYPTED"
    assert history(made) == [("older", 5, "kmsv2", "es1-old"), ("older", 4, "plaintext", None)]
    assert made["history"][1]["form"] == "protobuf" and made["history"][1]["prefix"] is None
    # One of two plaintexts that are left over is another object's.
    assert made["residue"]["old_revisions"] == {"values": 2, "plaintext": 1}
    assert made["residue"]["wal"] is None and made["has_residue"]
    assert [f["rule"] for f in made["findings"]] == ["residue-old-revisions"]


def test_judged(shown):
    """Alone: neither the state of others nor a provider of others counts."""
    db = cluster(a=kms_v2(key_id="es1-old"), b=hidden(), c=local("aescbc", "key1", 64), d=kms_v1())
    made = shown(db, "secrets/default/a", "--current-key", "es1-new")
    assert made["stale"] is True and [f["rule"] for f in made["findings"]] == ["stale"]
    shown(db, "secrets/default/a", "--current-key", "es1-new", "--demand", "no-stale", code=1)
    shown(db, "secrets/default/a", "--demand", "only-key=es1-old")
    assert shown(db, "secrets/default/a")["stale"] is None
    made = shown(db, "secrets/default/b", code=1)
    assert made["verdict"] == "PLAINTEXT" and made["findings"][0]["rule"] == "plaintext"
    assert "kube-apiserver" in made["findings"][0]["cure"] and made["stored"]["opens"] is None
    made = shown(db, "secrets/default/c", config=config("aescbc", ("key1", KEY)))
    assert made["expected"] == "aescbc:key1" and made["stored"]["provider"] == "aescbc"
    assert made["stored"]["key_id"] == "key1" and made["stored"]["key_id_hash"] is None
    made = shown(db, "secrets/default/d", code=4, config=config("aescbc", ("key1", KEY)))
    assert made["stored"]["opens"] == "no" and made["stored"]["class"] == "kmsv1"
    assert made["stored"]["provider"] == "old"
    made = shown(db, "namespaces/default")
    assert made["expected_encrypted"] is False and made["verdict"] == "NONE"


def test_proved(shown):
    key = SECRET + "a"
    db = cluster(a=local("aesgcm", "k", 60)).put(key, sealed(KEY, key, object_named("a")))
    wanted = config("aesgcm", ("k", KEY))
    made = shown(db, "secrets/default/a", "--prove", config=wanted)
    assert made["stored"]["opens"] == "yes" and made["stored"]["why"] is None
    assert made["history"][0]["opens"] == "no" and "none of the keys" in made["history"][0]["why"]
    moved = db.put(SECRET + "b", sealed(KEY, SECRET + "b", object_named("a")))
    made = shown(moved, "secrets/default/b", "--prove", code=1, config=wanted)
    assert made["stored"]["opens"] == "moved"
    broken = db.put(key, local("aesgcm", "k", 60))
    made = shown(broken, "secrets/default/a", "--prove", code=4, config=wanted)
    assert made["stored"]["opens"] == "no" and made["history"][0]["opens"] == "yes"
    # The others' state is theirs.
    assert shown(broken, "secrets/default/b", "--prove", code=1, config=wanted)["verdict"] == "ENCRYPTED"


@pytest.mark.parametrize("key, name", [
    ("/registry/minions/n1", "nodes/n1"),
    ("/registry/services/specs/ns/s", "services/ns/s"),
    ("/registry/services/endpoints/ns/s", "endpoints/ns/s"),
    ("/registry/deployments/ns/d", "deployments.apps/ns/d"),
    ("/registry/deployments/ns/d", "deployments/ns/d"),
    ("/registry/ingress/ns/i", "ingresses.networking.k8s.io/ns/i"),
    ("/registry/clusterroles/system:node", "clusterroles/system:node"),
    ("/registry/example.com/widgets/ns/w", "widgets.example.com/ns/w"),
    ("/registry/example.com/widgets/w", "widgets.example.com/w"),
    ("/registry/apiregistration.k8s.io/apiservices/v1.x", "apiservices.apiregistration.k8s.io/v1.x"),
])
def test_names(shown, key, name):
    made = shown(cluster().put(key, hidden("X")), name)
    assert made["etcd_key"] == key and made["state"] == "live"


@pytest.mark.parametrize("name", ["secrets", "secrets/", "/secrets/a/b", "secrets/a/", "secrets//b",
                                  "secrets/a/b/c", "/"])
def test_no_names(audit, name):  # noqa: F811
    audit(cluster(), f"--object={name}").refused(2, "RESOURCE/NAMESPACE/NAME")


def test_two_of_one_name(audit, shown):  # noqa: F811
    db = cluster().put("/registry/a.com/widgets/ns/w", b"{}").put("/registry/b.com/widgets/ns/w", b"{}")
    audit(db, "--object", "widgets/ns/w").refused(
        2, "two keys", "/registry/a.com/widgets/ns/w", "/registry/b.com/widgets/ns/w")
    assert shown(db, "widgets.b.com/ns/w")["etcd_key"] == "/registry/b.com/widgets/ns/w"
    db = cluster(a=hidden()).put("/other/namespaces/default", hidden("Namespace"))
    db.put("/other/secrets/default/a", kms_v2())
    audit(db, "--object", "secrets/default/a").refused(2, "two keys", "--prefix")
    made = shown(db, "secrets/default/a", "--prefix", "/other/")
    assert made["etcd_key"] == "/other/secrets/default/a"


def test_not_there(audit, shown):  # noqa: F811
    db = cluster(a=hidden())
    for name, said in (("secrets/default/b", "is its name right?"),
                       ("secrets/kube-system/a", "namespace is not in it"),
                       ("secrets/a", "namespace is not in it"), ("secret/default/a", "plural")):
        ran = audit(db, "--object", name)
        assert ran.code == 1 and said in ran.err and "below /registry/;" in ran.err, ran.told()
        assert "state            absent" in ran.out
    made = shown(db, "secrets/default/b", code=1)
    assert made["state"] == "absent" and made["stored"] is made["etcd_key"] is made["resource"] is None
    assert made["history"] == made["findings"] == []
    assert made["as_demanded"] is made["source"]["is_partial"] is False


def test_deleted(audit, shown):  # noqa: F811
    """What is left of it is shown, whoever made it again."""
    db = cluster(a=hidden()).delete(SECRET + "a")
    ran = audit(db, "--object", "secrets/default/a")
    assert ran.code == 1 and "deleted at revision 4" in ran.err, ran.told()
    made = shown(db, "secrets/default/a", code=1)
    assert made["state"] == "deleted" and made["stored"] is None
    assert history(made) == [("deletion", 4, None, None), ("older", 3, "plaintext", None)]
    made = shown(db.put(SECRET + "a", kms_v2()), "secrets/default/a")
    assert made["state"] == "live" and [row["what"] for row in made["history"]] == ["deletion", "older"]


def test_a_long_past(shown, audit):  # noqa: F811
    db = cluster()
    for _ in range(4200):
        db.put(SECRET + "a", kms_v2())
    made = shown(db, "secrets/default/a")
    assert made["history_left_out"] == 2048 and len(made["history"]) == 4200 - 2048 - 1
    assert made["stored"]["revision"] == 4202 and made["history"][-1]["revision"] == 2 + 2048 + 1
    out = audit(db, "--object", "secrets/default/a").ok().out
    assert "... and 3200 older ones" in out


def test_forms(audit):  # noqa: F811
    db = cluster(a=hidden()).put(SECRET + "a", kms_v2(annotations={"x.y": "\x1b[31m"}, key_id="k\n1"))
    out = audit(db, "--object", "secrets/default/a").ok().out
    for line in ("etcd key         /registry/secrets/default/a", "class            kmsv2",
                 "annotations      x.y", r"key id           k\x0a1",
                 "mod revision     4", "expected         encrypted, by any provider",
                 "stale            not known"):
        assert line in out, out
    assert "REVISION  WHAT   CLASS" in out and "cure: " in out and "\x1b" not in out
    as_json = json.loads(audit(db, "--object", "secrets/default/a", "-o", "json").ok().out)
    as_yaml = yaml.safe_load(audit(db, "--object", "secrets/default/a", "-o", "yaml").ok().out)
    assert as_yaml["stored"] == as_json["stored"] and as_yaml["history"] == as_json["history"]


def test_to_a_file(tool, audit):  # noqa: F811
    file = tool.folder / "object.json"
    ran = audit(cluster(a=kms_v2()), "--object", "secrets/default/a", "-o", "json", "--output-file", file)
    assert ran.ok().out == "" and json.loads(file.read_text())["stored"]["class"] == "kmsv2"


def test_what_does_not_fit_together(tool, audit):  # noqa: F811
    db, name = cluster(a=kms_v2()), ("--object", "secrets/default/a")
    for form in ("html", "csv", "sarif", "junit", "prometheus", "wide"):
        audit(db, *name, "-o", form).refused(2, "--object is printed as table, json or yaml")
    audit(db, *name, "--report-dir", tool.folder / "r").refused(2, "--report-dir is for a whole audit")
    audit(db, *name, "--diff", "old.json").refused(2, "--diff is for a whole audit")
    tool.run("audit", "keys", *name).refused(2, "--object")


def test_kine(tool):
    """Each row tells of itself and of what it keeps of before; a deletion keeps what it deleted."""
    path = tool.folder / "state.db"
    name, top = SECRET + "a", sqlite.PLAINTEXT + TOP.encode()
    db = sqlite.Db(path).put(SECRET + "b", top).put(name, top).put(name, sqlite.ENCRYPTED)
    words = ("audit", "--kine", path, "--object", "secrets/default/a", "-o", "json")
    ran = tool.run(*words).ok()
    made = json.loads(ran.out)
    assert TOP not in ran.out and made["stored"]["revision"] == 3
    assert made["stored"]["create_revision"] is made["stored"]["version"] is None
    assert history(made) == [("old_value", 3, "plaintext", None), ("older", 2, "plaintext", None)]
    assert made["residue"]["kine_old_value"] == {"values": 1, "plaintext": 1}
    assert "residue-kine-old-value" in [f["rule"] for f in made["findings"]]
    db.db.execute("INSERT INTO kine SELECT NULL, name, 0, 1, 0, id, 0, value, value FROM kine "
                  "WHERE id = 3")
    ran = tool.run(*words)
    assert ran.code == 1 and "deleted at revision 4" in ran.err, ran.told()
    assert history(json.loads(ran.out))[:2] == [("deletion", 4, "aescbc", "key1"),
                                                ("old_value", 4, "aescbc", "key1")]
