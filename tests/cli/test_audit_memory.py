# SPDX-License-Identifier: Apache-2.0
"""--max-memory of etcdseal audit: what is taken stays under it, and where it is not enough the audit
ends with 3 and says so. tests/system/test_audit_member.py has a running etcd's share."""

import sqlite3
import subprocess
import time

import pytest

from conftest import program
from etcd_db import Db, plaintext
from kine_db import PLAINTEXT, SCHEMA

MIB = 1 << 20
COUNT = 300_000  # findings: 48 bytes each, in an array that doubles


class Peak:
    """Runs an audit; `anonymous` is the most that it had of memory that no file backs."""

    def __init__(self, *words):
        self.anonymous = 0
        running = subprocess.Popen([program(), "audit", *map(str, words)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while running.poll() is None:
            self.anonymous = max(self.anonymous, self._look(running.pid))
            time.sleep(0.001)
        self.out, self.err = running.communicate()
        self.code = running.returncode

    @staticmethod
    def _look(pid):
        try:
            with open(f"/proc/{pid}/status") as status:
                lines = [line for line in status if line.startswith("RssAnon")]
        except ProcessLookupError:
            lines = []
        return int(lines[0].split()[1]) * 1024 if lines else 0


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A file in which each key is a finding."""
    path = tmp_path_factory.mktemp("many") / "db"
    db = Db(per_leaf=40)
    value = plaintext()
    for i in range(COUNT):
        db.put(f"/registry/secrets/default/s-{i}", value)
    path.write_bytes(db.data())
    return path


def test_it_is_kept(many):
    whole = Peak("--snapshot", many, "-q")
    assert whole.code == 1, whole.err
    assert 20 * MIB < whole.anonymous < 128 * MIB  # there is something to limit
    enough = Peak("--snapshot", many, "-q", "--max-memory", "128MiB")
    assert enough.code == 1 and enough.out == whole.out
    assert enough.anonymous < 128 * MIB
    print("MiB", whole.anonymous / MIB, enough.anonymous / MIB)


def test_it_is_not_enough(many):
    ran = Peak("--snapshot", many, "--max-memory", "64MiB")
    assert ran.code == 3 and ran.out == ""
    (line,) = ran.err.splitlines()
    assert "would go over the limit of memory" in line and "of 64 MiB are taken" in line
    assert "allow more with --max-memory" in line and "--prefix" in line
    assert ran.anonymous < 64 * MIB


def test_forms_that_sort_findings_count_too(many, tool):
    words = ["--snapshot", many, "--report-dir", tool.folder / "report"]
    ran = Peak(*words, "--max-memory", "128MiB")
    assert ran.code == 1 and ran.anonymous < 128 * MIB, ran.err


def test_sqlite_has_its_share(tool):
    path = tool.folder / "state.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(SCHEMA)
    db.execute("INSERT INTO kine VALUES (1, '/registry/secrets/a/b', 1, 0, 0, 0, 0, ?, NULL)",
               (PLAINTEXT + bytes(20 * MIB),))
    db.close()
    assert tool.run("audit", "--kine", path).code == 1
    tool.run("audit", "--kine", path, "--max-memory", "64MiB").refused(
        3, "out of memory", "allow more with --max-memory")


@pytest.mark.parametrize("words", [["--max-memory", "63MiB"], ["--max-memory", "64"],
                                   ["--max-memory", "1TiB"]])
def test_sizes_that_are_none(tool, words):
    tool.run("audit", "--snapshot", "x", *words).refused(2, "--max-memory: expected a size such as",
                                                         "from 64 MiB")


def test_too_little_for_a_running_etcd(tool):
    """Before anybody is asked."""
    for more in ([], ["--member-snapshot"]):
        tool.run("audit", "--endpoints", "http://127.0.0.1:1", "--max-memory", "64MiB", *more).refused(
            3, "room for etcd's answers of 36 MiB", "--max-memory")
