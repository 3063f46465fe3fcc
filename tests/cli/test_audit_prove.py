# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --prove without a plugin: what is told of the command line, and what local keys open.
With plugins: tests/system/test_audit_prove.py."""

import base64

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audits import audit, cluster, report  # noqa: F401 (fixtures)
from etcd_db import Db, kms_v2, local, plaintext

KEY = base64.b64encode(b"k" * 32).decode()


def config(provider, *keys):
    rows = "".join(f"      - {{name: {name}, secret: {secret}}}\n" for name, secret in keys)
    return ("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
            f"- resources: [secrets]\n  providers:\n  - {provider}:\n      keys:\n{rows}"
            "  - identity: {}\n")


def test_command_line(audit):  # noqa: F811
    db = cluster()
    audit(db, "--kms", "unix:/a").refused(2, "--kms is for --prove")
    audit(db, "--demand", "all-proved").refused(2, "'all-proved' needs --prove")
    for bad in ("/a", "=unix:/a", "http://a", "unix:a", "unix:", "x=", "unix:/" + "a" * 108,
                "n" * 510 + "=unix:/a"):
        audit(db, "--prove", "--kms", bad).refused(2)
    many = [word for n in range(17) for word in ("--kms", f"p{n}=unix:/a{n}")]
    audit(db, "--prove", *many).refused(2, "more than 16 KMS plugins")


def test_nothing_to_prove(report):  # noqa: F811
    made = report(cluster(), "--prove")
    assert made["proving"] and made["totals"]["proved"] == made["totals"]["unproved"] == 0
    assert [d["met"] for d in made["demands"]] == [True, True]


def test_a_value_that_no_key_opens(report):  # noqa: F811
    """Of right form, and nothing that was ever encrypted."""
    for provider, body in (("aesgcm", b"n" * 12 + b"c" * 40), ("aescbc", b"i" * 16 + b"c" * 48),
                           ("secretbox", b"n" * 24 + b"c" * 40)):
        db = cluster(a=f"k8s:enc:{provider}:v1:k:".encode() + body)
        made = report(db, "--prove", code=4, config=config(provider, ("k", KEY)))
        (row,) = [r for r in made["resources"] if r["resource"] == "secrets"]
        assert (row["proved"], row["undecryptable"], row["unproved"]) == (0, 1, 0)
        (found,) = [f for f in made["findings"] if f["rule"] == "undecryptable"]
        assert found["object"] == "default/a" and "none of the keys" in found["message"]
        # Without its key nobody can say.
        made = report(db, "--prove", code=1)
        assert made["totals"]["unproved"] == 1 and made["verdict"] == "ENCRYPTED"


def test_what_is_broken_counts_more_than_what_is_not_known(report):  # noqa: F811
    """A plugin that can't be asked alone is 3; beside a value that no key opens it is 4."""
    plugin = "  - kms: {apiVersion: v2, name: etcdseal, endpoint: 'unix:///nowhere.sock'}\n"
    both = config("aesgcm", ("k", KEY)).replace("  - identity", plugin + "  - identity")
    made = report(cluster(a=kms_v2()), "--prove", code=3, config=both)
    assert made["totals"]["unproved"] == 1
    broken = b"k8s:enc:aesgcm:v1:k:" + b"n" * 12 + b"c" * 40
    made = report(cluster(a=kms_v2(), b=broken), "--prove", code=4, config=both)
    assert (made["totals"]["unproved"], made["totals"]["undecryptable"]) == (1, 1)
    assert {"kms-unreachable", "undecryptable"} <= {f["rule"] for f in made["findings"]}


def test_a_key_of_a_wrong_size(audit):  # noqa: F811
    """kube-apiserver does not load such a file."""
    short = base64.b64encode(b"short").decode()
    audit(cluster(), "--prove", config=config("aesgcm", ("k", short))).refused(2, "does not load it")


def test_names(report):  # noqa: F811
    """Plaintext that says another name than its key, where plaintext is what is expected."""
    db = cluster()
    for name in ("a", "b"):
        db.put(f"/registry/configmaps/default/{name}", plaintext("ConfigMap", name="a", namespace="default"))
    made = report(db)
    assert [f["etcd_key"] for f in made["findings"] if f["rule"] == "moved"] == [
        "/registry/configmaps/default/b"]


def sealed(secret, key, text, name="k"):
    """As kube-apiserver's aesgcm seals it."""
    nonce = b"n" * 12
    return (f"k8s:enc:aesgcm:v1:{name}:".encode() + nonce +
            AESGCM(base64.b64decode(secret)).encrypt(nonce, text, key.encode()))


def secret(name):
    return f"/registry/secrets/default/{name}"


def object_named(name, namespace="default"):
    return plaintext(name=name, namespace=namespace)


def test_an_older_key_of_the_same_name(report):  # noqa: F811
    """Which of them opened it is what makes it stale."""
    new, old = KEY, base64.b64encode(b"o" * 32).decode()
    db = cluster(a=sealed(old, secret("a"), object_named("a")), b=sealed(new, secret("b"), object_named("b")))
    words = ("--prove", "--demand", "no-stale", "--demand", "all-proved")
    made = report(db, *words, code=1, config=config("aesgcm", ("k", new), ("k", old)))
    assert (made["totals"]["proved"], made["totals"]["stale"], made["verdict"]) == (2, 1, "PENDING")
    assert [f["object"] for f in made["findings"] if f["rule"] == "stale"] == ["default/a"]


def test_what_opens_and_is_no_object(report):  # noqa: F811
    for text in (b"{rubbish", b"rubbish", b"{"):
        made = report(cluster(a=sealed(KEY, secret("a"), text)), "--prove", code=4,
                      config=config("aesgcm", ("k", KEY)))
        assert made["totals"]["undecryptable"] == 1
    text = b'{"metadata":{"name":"a","namespace":"default"}}\n'
    made = report(cluster(a=sealed(KEY, secret("a"), text)), "--prove", config=config("aesgcm", ("k", KEY)))
    assert made["totals"]["proved"] == 1


def test_a_moved_value_is_no_proof(report):  # noqa: F811
    """Under its key, and of another name: somebody who could write it there had the key."""
    db = cluster(a=sealed(KEY, secret("a"), object_named("b")))
    made = report(db, "--prove", code=1, config=config("aesgcm", ("k", KEY)))
    assert {d["demand"]: d["met"] for d in made["demands"]} == {"all-encrypted": True, "all-proved": False}


def test_a_name_that_begins_another(report):  # noqa: F811
    """kube-apiserver tries both."""
    value = local("aescbc", "a:bcd", 32)
    for names in (("a", "a:bcd"), ("a:bcd", "a")):
        keys = [(f"'{name}'", KEY) for name in names]
        made = report(cluster(a=value), config=config("aescbc", *keys))
        assert made["totals"]["undecryptable"] == 0, names


def test_names_of_other_api_servers(report):  # noqa: F811
    """Where a key has more or fewer words than ours have."""
    db = cluster()
    for key, name, namespace in (
            ("/registry/oauth/clients/console", "console", ""),
            ("/registry/wardle.example.com/wardle.example.com/flunders/ns1/f", "f", "ns1"),
            ("/registry/example.com/ranges/default/a", "a", "default")):
        db.put(key, plaintext("Any", name=name, namespace=namespace))
    assert [f for f in report(db)["findings"] if f["rule"] == "moved"] == []


def test_resources_whose_group_the_key_does_not_say(report):  # noqa: F811
    """One that Kubernetes has and our table does not; and one that only looks like bookkeeping."""
    text = ("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
            "- resources: [workloads.scheduling.k8s.io, ranges.example.com, '*.apps']\n  providers:\n"
            "  - kms: {apiVersion: v2, name: etcdseal, endpoint: 'unix:///x'}\n  - identity: {}\n")
    db = Db().put("/registry/namespaces/default", plaintext("Namespace"))
    for key in ("workloads/default/a", "example.com/ranges/default/a"):
        db.put(f"/registry/{key}", kms_v2())
        db.put(f"/registry/{key}2", plaintext("Any"))
    db.put("/registry/unheard/default/a", kms_v2())
    made = report(db, code=1, config=text)
    rows = {row["resource"]: row for row in made["resources"]}
    for name in ("workloads", "ranges.example.com"):
        assert rows[name]["expected"] == "kmsv2:etcdseal" and rows[name]["undecryptable"] == 0
        assert (rows[name]["kmsv2"], rows[name]["plaintext"]) == (1, 1)
    assert rows["unheard"]["undecryptable"] == 0
    assert sorted(f["etcd_key"] for f in made["findings"] if f["rule"] == "plaintext") == [
        "/registry/example.com/ranges/default/a2", "/registry/workloads/default/a2"]


def test_a_plugin_that_nothing_needs(report):  # noqa: F811
    """Gone, and under it nothing is stored: worth a finding, and no reason to say that all was not read."""
    db = cluster(a=sealed(KEY, secret("a"), object_named("a")))
    made = report(db, "--prove", "--kms", "old=unix:/nowhere.sock", config=config("aesgcm", ("k", KEY)))
    assert [f["rule"] for f in made["findings"] if f["severity"] == "error"] == ["kms-unreachable"]
    assert made["kms"][0]["socket"] == "/nowhere.sock" and made["kms"][0]["unasked"] == 0


def test_endpoints_of_the_configuration_come_first(report):  # noqa: F811
    """A plugin without a name is that of the providers which have no other."""
    text = ("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
            "- resources: [secrets]\n  providers:\n"
            "  - kms: {apiVersion: v2, name: ours, endpoint: 'unix:///ours.sock'}\n"
            "  - kms: {apiVersion: v2, name: theirs, endpoint: 'unix:///theirs.sock'}\n")
    made = report(cluster(), "--prove", "--kms", "unix:/any.sock", "--kms", "ours=unix:/other.sock",
                  config=text)
    assert [(kms["provider"], kms["socket"]) for kms in made["kms"]] == [
        (None, "/any.sock"), ("ours", "/other.sock"), ("theirs", "/theirs.sock")]
