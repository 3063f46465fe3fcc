# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit --prove without a plugin: what is told of the command line, and what local keys open.
With plugins: tests/system/test_audit_prove.py."""

import base64

from audits import audit, cluster, report  # noqa: F401 (fixtures)
from etcd_db import plaintext

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
