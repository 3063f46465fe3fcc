# SPDX-License-Identifier: Apache-2.0
"""Which prefixes etcdseal audit finds, what it makes of some within each other, and what it warns of when
--prefix is taken for a filter, or names nothing."""

import pytest
import test_audit_kine as sqlite
from audits import NAMESPACE, SECRET, audit, cluster, report  # noqa: F401 (fixtures)
from etcd_db import Db, kms_v2, plaintext


def warnings(ran):
    return [line for line in ran.err.splitlines() if "--prefix" in line]


@pytest.mark.parametrize("prefix, root", [
    ("/registry/secrets/", "/registry/"),
    ("/registry/example.com/widgets/", "/registry/"),
    ("/registry/n", None),
    ("/kubernetes.io/configmaps/kube-system/", "/kubernetes.io/"),
])
def test_within_the_keys(audit, prefix, root):  # noqa: F811
    """Secrets below /registry/secrets/ are no Secrets to who is told that keys begin there."""
    ran = audit(cluster(a=kms_v2(), b=plaintext()), "--prefix", prefix)
    if root is None:
        ran.refused(2, "ends with '/'")
        return
    (line,) = warnings(ran)
    assert f"--prefix {prefix} lies within" in line and f"say --prefix {root}," in line
    assert warnings(audit(cluster(a=kms_v2()), "--prefix", prefix, "-q")) == [line]


def test_the_right_ones(audit):  # noqa: F811
    db = cluster(a=kms_v2()).put("/other/namespaces/default", plaintext("Namespace"))
    for words in ([], ["--prefix", "/registry/"], ["--prefix", "/other/"],
                  ["--prefix", "/registry/", "--prefix", "/other/"], ["--prefix", "/"]):
        assert warnings(audit(db, *words)) == []


def test_nothing_below(audit, tool):  # noqa: F811
    db = cluster(a=kms_v2())
    (line,) = warnings(audit(db, "--prefix", "/kubernetes.io/"))
    assert "/kubernetes.io/: no key begins with it, and others begin with /registry/: leave" in line
    assert str(tool.folder / "db") in line
    other = Db().put("/x\x1b/namespaces/default", plaintext("Namespace"))
    (line,) = warnings(audit(other, "--prefix", "/y/"))
    assert "/y/: no key begins with it, and others begin with /x\\x1b/: leave" in line
    (line,) = warnings(audit(Db().put("/x/pods/a", plaintext()), "--prefix", "/y/"))
    assert "is it the API server's --etcd-prefix?" in line
    # One that has keys does not speak for one that has none.
    (line,) = warnings(audit(db, "--prefix", "/registry/", "--prefix", "/y/"))
    assert "--prefix /y/:" in line


def test_every_kind(tool):
    """kine, and each backup of 'audit keys' by its name."""
    path = tool.folder / "state.db"
    sqlite.Db(path, wal=False).put("/registry/secrets/default/a", sqlite.ENCRYPTED).close()
    (line,) = warnings(tool.run("audit", "--kine", path, "--prefix", "/x/"))
    assert "others begin with /registry/" in line
    backups = [tool.folder / "one", tool.folder / "two"]
    for file in backups:
        file.write_bytes(cluster(a=kms_v2()).data())
    lines = warnings(tool.run("audit", "keys", "--prefix", "/registry/secrets/", *backups))
    assert [any(str(file) in line for line in lines) for file in backups] == [True, True]
    assert len(lines) == 2


def plaintext_secrets(made):
    return sum(row["plaintext"] for row in made["resources"] if row["resource"] == "secrets")


def test_a_secret_called_as_a_namespace(report):  # noqa: F811
    """What stands before it is a resource, and no prefix, whichever is older."""
    db = Db().put(SECRET[:-len("default/")] + "namespaces/default", kms_v2())
    db.put(SECRET[:-len("default/")] + "prod/db", plaintext())
    for i in range(40):
        db.put(f"/registry/g{i}.example.com/things/namespaces/default", plaintext("Thing"))
    db.put(NAMESPACE, plaintext("Namespace"))
    made = report(db, code=1)
    assert made["source"]["prefixes"] == ["/registry/"] and made["verdict"] == "PARTIAL"
    assert plaintext_secrets(made) == 1
    other = Db().put("/own/secrets/namespaces/default", kms_v2()).put("/own/secrets/prod/db", plaintext())
    other.put("/own/namespaces/default", plaintext("Namespace"))
    made = report(other, code=1)
    assert made["source"]["prefixes"] == ["/own/"] and plaintext_secrets(made) == 1


def test_prefixes_within_each_other(report):  # noqa: F811
    """A known resource is told by the outer one, whatever its namespaces are called."""
    db = cluster(a=plaintext()).put(SECRET[:-len("default/")] + "pods/a", plaintext())
    db.put("/registry/b/secrets/x/y", plaintext()).put("/registry/secrets/namespaces/default", plaintext())
    for order in (("", "secrets/", "b/"), ("b/", "secrets/", "")):
        words = [word for name in order for word in ("--prefix", f"/registry/{name}")]
        made = report(db, *words, code=1)
        assert plaintext_secrets(made) == 4, order
        assert {row["resource"] for row in made["resources"]} == {"secrets", "namespaces"}
