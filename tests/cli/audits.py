# SPDX-License-Identifier: Apache-2.0
"""What the tests of etcdseal audit share."""

import json

import pytest

from etcd_db import Db, plaintext

NAMESPACE = "/registry/namespaces/default"
SECRET = "/registry/secrets/default/"


@pytest.fixture
def audit(tool):
    """Audits a file; a run changes nothing in the folder."""
    def go(file, *words, config=None):
        path = tool.folder / "db"
        path.write_bytes(file.data() if isinstance(file, Db) else file)
        if config is not None:
            (tool.folder / "enc.yaml").write_text(config)
            words += ("--encryption-config", tool.folder / "enc.yaml")
        return tool.run("audit", "--snapshot", path, *words)
    return go


@pytest.fixture
def report(audit):
    """The JSON report, whatever the exit code is."""
    def go(file, *words, code=0, config=None):
        ran = audit(file, *words, "-o", "json", config=config)
        assert ran.code == code, ran.told()
        return json.loads(ran.out)
    return go


def cluster(**values):
    """A database with one Secret for each value."""
    db = Db().put(NAMESPACE, plaintext("Namespace"))
    for name, value in values.items():
        db.put(SECRET + name, value)
    return db
