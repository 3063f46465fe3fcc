# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit of files, interrupted: a report of what was read, that says so and meets no demand.
tests/system/test_audit_live.py does it with a running etcd."""

import json
import signal
import subprocess
import time

import pytest

from audits import NAMESPACE, SECRET
from conftest import program
from etcd_db import Db, Wal, kms_v2, local, plaintext, put_request
from kine_db import Db as Kine

COUNT = 40_000


@pytest.fixture(scope="module")
def db():
    made = Db(per_leaf=40).put(NAMESPACE, plaintext("Namespace"))
    value = local("aescbc", "key", 48)  # of which each is looked at
    for i in range(COUNT):
        made.put(f"{SECRET}s{i:06}", value)
    return made.data()


@pytest.fixture
def sources(tool, db):
    """The words that name each; all hold COUNT Secrets."""
    def make(kind):
        if kind == "kine":
            path = tool.folder / "state.db"
            kine = Kine(path)
            kine.db.executemany("INSERT INTO kine (name, deleted, value, old_value) VALUES (?, 0, ?, ?)",
                                [(f"{SECRET}s{i:06}", local("aescbc", "key", 48), None) for i in range(COUNT)])
            kine.close()
            return ["--kine", path]
        if kind == "snapshot":
            path = tool.folder / "db"
            path.write_bytes(db)
            return ["--snapshot", path]
        path = tool.folder / "etcd"
        (path / "member" / "snap").mkdir(parents=True)
        (path / "member" / "snap" / "db").write_bytes(db)
        Wal().entry(put_request(SECRET + "a", kms_v2())).write(path / "member" / "wal")
        return ["--data-dir", path]
    return make


def interrupted_after(seconds, words):
    with subprocess.Popen([program(), "audit", *words, "-o", "json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("kind", ["snapshot", "data-dir", "kine"])
def test_a_part(tool, sources, kind):
    words = sources(kind)
    begin = time.monotonic()
    whole = tool.run("audit", *words, "-o", "json").json()
    took = time.monotonic() - begin
    assert whole["totals"]["aescbc"] == COUNT and whole["source"]["is_partial"] is False
    parts = []
    for i in range(60):
        code, out, err = interrupted_after(took * (i % 20 + 1) / 20, words)
        if out == "":
            assert code == -signal.SIGINT  # before it had begun to read
            continue
        made = json.loads(out)
        if made["source"]["is_partial"]:
            assert code == -signal.SIGINT and "interrupted" in err, err
            assert made["as_demanded"] is False and made["totals"]["keys"] <= COUNT + 1
            parts.append(made["totals"]["keys"])
        else:
            assert made["totals"] == whole["totals"]
        if any(0 < keys < COUNT for keys in parts):
            return
    pytest.fail(f"never within the count: {parts}")
