# SPDX-License-Identifier: Apache-2.0
"""tools/bench works. Its numbers are no test's business: nothing here asserts a time."""

import importlib
import json
import re
import subprocess
import sys

import pytest

from parts import places

PAGE = places.ROOT / "docs" / "benchmarks.md"
SERVERS = ("etcdseald", "etcdseald, `log.requests: false`", "Go, k8s.io/kms service",
           "bare gRPC C core")


def run_bench(*words):
    done = subprocess.run([places.ROOT / "tools" / "bench", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=230)
    return done.returncode, done.stdout, done.stderr


def rows_of(out, title):
    """Cells of the table under a heading."""
    section = re.search(rf"^### {title}.*?$(.*?)(?=^### |\Z)", out, re.M | re.S).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("|")][2:]


@pytest.mark.alone
def test_quick_run():
    """All servers, all steps, no failed call; the page stays as it is."""
    page = PAGE.read_text()
    code, out, err = run_bench("--quick")
    assert code == 0, out + err
    assert err.endswith("\n0 failed calls\n"), err
    for title in ("Decrypt calls a second", "CPU time of the server", "Burst",
                  "Resident memory"):
        rows = rows_of(out, title)
        assert [row[0] for row in rows[:4]] == list(SERVERS), title
        assert all(row[1] for row in rows), rows
    assert [row[-1] for row in rows_of(out, "Burst")] == ["0"] * 4
    assert len(rows_of(out, "One call at a time")) == 12
    assert len(rows_of(out, "Unsealing")) == 3
    assert len(rows_of(out, "What was expected")) == 8
    assert PAGE.read_text() == page
    print(out)


@pytest.mark.alone
def test_quick_run_with_vault():
    page = PAGE.read_text()
    code, out, err = run_bench("--vault", "--quick")
    assert code == 0, out + err
    assert len(rows_of(out, "Vault: one call at a time")) == 9
    for title in ("Vault: load, memory, start", "Vault: OpenBao stops for 5 s"):
        rows = rows_of(out, title)
        assert len(rows) == 3 and all(all(row) for row in rows), rows
    assert len(rows_of(out, "Vault: what was expected")) == 5
    assert PAGE.read_text() == page
    print(out)


@pytest.mark.alone
def test_quick_run_with_audit():
    """Every command ran and said yes; an audit that finds something would end it."""
    page = PAGE.read_text()
    code, out, err = run_bench("--audit", "--quick")
    assert code == 0, out + err
    assert len(rows_of(out, "Audit: a snapshot")) == 6
    assert len(rows_of(out, "Audit: a running etcd")) == 4
    assert len(rows_of(out, "Audit: what was expected")) == 8
    assert len(rows_of(out, "Audit: ratios")) == 8
    assert PAGE.read_text() == page
    print(out)


@pytest.mark.parametrize("words", [["--nonsense"], ["--rounds"], ["--rounds", "0"],
                                   ["--rounds", "101"], ["--rounds", "two"]])
def test_wrong_words(words):
    code, out, err = run_bench(*words)
    assert code == 2 and out == "" and "usage: tools/bench" in err and "error: " in err


def load(*words):
    done = subprocess.run([places.real_part("bench-load"), *map(str, words)], capture_output=True,
                          text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [["calls", "--count", 50, "--warm-up", 0],
                                   ["burst", "--count", 50]])
def test_failed_calls_are_counted(idle_daemon, words):
    """More Decrypt calls than the daemon allows: the refused ones show."""
    idle_daemon.config["peers"][0]["decrypt_rate"] = 1
    idle_daemon.write_config()
    daemon = idle_daemon.start()
    code, out, err = load(*words, "--socket", daemon.socket, "--pid", daemon.process.pid)
    assert code == 0, err
    found = json.loads(out)
    assert found["count"] == 50 and 40 <= found["failed"] < 50, found
    assert "decrypt_rate" in found["error"], found


def test_a_server_that_does_not_answer(idle_daemon):
    """Sealed for good: the load generator says so and measures nothing."""
    idle_daemon.key_file.write_bytes(b"x" * 32)
    code, out, err = load("start", "--socket", idle_daemon.socket, "--", *idle_daemon.argv())
    assert code == 1 and out == "" and "FailedPrecondition" in err, err


@pytest.fixture
def report(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(places.ROOT / "bench")])
    return importlib.import_module("report")


def test_the_page_keeps_its_words(report, workspace, monkeypatch):
    """What the program writes replaces what it wrote before, and nothing else."""
    page = workspace.write("page.md", PAGE.read_text())
    monkeypatch.setattr(report, "PAGE", page)
    for command in ("tools/bench", "tools/bench --vault", "tools/bench --audit"):
        begin, end = report.marks(command)
        before, after = page.read_text().split(begin)[0], page.read_text().split(end)[1]
        for text in ("first", "second"):
            report.put_into_page(text, command)
            assert page.read_text() == f"{before}{begin}\n\n{text}\n\n{end}{after}"
    page.write_text("no such lines")
    with pytest.raises(AssertionError, match="lost the two lines"):
        report.put_into_page("third", "tools/bench")


def test_ratios_are_of_one_round(report):
    """A machine that is twice as slow in the second round changes no ratio."""
    results = importlib.import_module("stats").Results()
    for factor in (1, 2):
        results.add("a", "ms", 30 * factor)
        results.add("b", "ms", 20 * factor)
    assert results.ratio("a", "b", "ms") == 1.5
    assert results.difference("a", "b", "ms") == 15
    results.add("a", "ms", 1)
    with pytest.raises(ValueError):  # a round that lacks one of the two
        results.ratio("a", "b", "ms")
