# SPDX-License-Identifier: Apache-2.0
"""tools/demo itself, as a stranger runs it on a machine where everything is built already."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from parts import places

DEMO = places.ROOT / "tools" / "demo"
FAKE = '#!/bin/sh\n[ "$1" = --version ] && echo "a fake" && exit\nexit 1\n'


def run_demo(*words, path=None):
    env = dict(os.environ) | ({"PATH": path} if path else {})
    began = time.monotonic()
    done = subprocess.run([DEMO, *words], capture_output=True, text=True, timeout=230,
                          stdin=subprocess.DEVNULL, env=env)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


@pytest.mark.alone
@pytest.mark.parametrize("words", [(), ("--vault",)], ids=["local", "vault"])
def test_demo(words):
    code, out, err, seconds = run_demo(*words)
    assert code == 0, out + err
    assert re.search(r"^(\d+) of \1 checks passed$", out, re.M), out
    assert "FAILED" not in out
    assert "k8s:enc:kms:v2:etcdseal:" in out
    assert ("rotate the key in Transit" in out) == ("--vault" in words)
    assert seconds < 90, f"{seconds:.0f} s\n{out}"
    print(out)


@pytest.mark.parametrize("words, count, keys", [
    ((), 3, r"^ +(\S*etcdseal key list .*)$"),
    (("--vault",), 4, r"^  OpenBao +((?:.*\\\n)+.*)$")], ids=["local", "vault"])
def test_demo_keeps_it_running(words, count, keys):
    code, out, err, _ = run_demo("--keep", *words)
    stop = re.search(r"^Stop it with:\n(.*\n.*)$", out, re.M).group(1)
    pids = [int(word) for word in re.search(r"for pid in ([\d ]+);", stop).group(1).split()]
    folder = Path(re.search(r"^Everything runs on, in (\S+):", out, re.M).group(1))
    try:
        assert code == 0, out + err
        assert len(pids) == count and all(map(is_alive, pids))
        tool = re.search(r"^  etcdseal +(.* status .*)$", out, re.M).group(1)
        assert subprocess.run(tool.split(), capture_output=True).returncode == 0
        shown = subprocess.run(["sh", "-c", re.search(keys, out, re.M).group(1)],
                               capture_output=True, text=True)
        assert shown.returncode == 0 and ("primary" in shown.stdout or "latest_version" in
                                          shown.stdout), shown
        curl = re.search(r"^  the API +(curl .*)\\\n +(\S+)$", out, re.M)
        answer = subprocess.run(["sh", "-c", f"{curl.group(1)} {curl.group(2)}"],
                                capture_output=True, text=True)
        assert '"kind": "Secret"' in answer.stdout, answer
    finally:
        subprocess.run(["sh", "-c", stop], check=True, timeout=60)
    assert not any(map(is_alive, pids)) and not folder.exists()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_demo_fails_when_a_check_fails(workspace):
    """A kube-apiserver that does not work: exit code 1, and the table says what was not run."""
    broken = workspace.write("bin/kube-apiserver", FAKE, 0o755)
    code, out, err, _ = run_demo("--bin-dir", broken.parent)
    assert code == 1, out + err
    assert re.search(r"^start etcd and kube-apiserver +FAILED$", out, re.M), out
    assert re.search(r"^restart etcdseald +not run$", out, re.M), out
    shutil.rmtree(Path(re.search(r"^the logs are kept in (\S+)/logs$", out, re.M).group(1)))


def test_demo_takes_its_parts_from_path(workspace):
    for name in ("etcd", "kube-apiserver"):
        workspace.write(f"bin/{name}", FAKE, 0o755)
    code, out, err, _ = run_demo(path=f"{workspace.path('bin')}:{os.environ['PATH']}")
    assert code == 1, out + err
    assert "from PATH" in err, err
    shutil.rmtree(Path(re.search(r"^the logs are kept in (\S+)/logs$", out, re.M).group(1)))


@pytest.mark.parametrize("words, code", [(["--help"], 0), (["--nonsense"], 2), (["--bin-dir"], 1),
                                         (["--bin-dir", "/nowhere/at/all"], 1)])
def test_words(words, code):
    got, out, err, _ = run_demo(*words)
    assert got == code, out + err
    assert "tools/demo" in out or "error" in err
