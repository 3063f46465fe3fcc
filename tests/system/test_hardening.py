# SPDX-License-Identifier: Apache-2.0
"""What the process gives up, and what never shows anywhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parts.daemon import Daemon
from parts.kms import Kms
from parts.process import wait_until
from parts.tool import Tool

USER = (4321, 4321)
PASSPHRASE = b"correct horse battery staple"


def proc(daemon, name):
    return Path(f"/proc/{daemon.process.pid}/{name}")


def proc_status(daemon):
    rows = (line.split(":", 1) for line in proc(daemon, "status").read_text().splitlines())
    return {name: value.strip() for name, value in rows}


@pytest.fixture
def idle_user_daemon(workspace):
    """As in production: the folder belongs to the daemon's own user, root makes the keystore."""
    daemon = Daemon(workspace, keystore=False)
    for folder in (daemon.run_folder, daemon.keystore.parent):
        os.chown(folder, *USER)
    daemon.key_file = daemon.keystore.parent / "boot.key"
    daemon.tool.init(f"boot=file:{daemon.key_file}")
    workspace.secret(daemon.key_file.read_bytes())
    daemon.config["socket"] |= {"owner": str(USER[0]), "group": str(USER[1])}
    daemon.write_config()
    return daemon


@pytest.fixture
def user_daemon(idle_user_daemon):
    return idle_user_daemon.start(user=USER)


def test_limits(daemon):
    status = proc_status(daemon)
    assert status["NoNewPrivs"] == "1"
    assert status["Umask"] == "0077"
    assert int(status["VmLck"].split()[0]) > 0, "keys lie in locked memory"
    assert int(status["VmSwap"].split()[0]) == 0
    core = re.search(r"Max core file size +(\S+) +(\S+)", proc(daemon, "limits").read_text())
    assert core.groups() == ("0", "0")
    assert daemon.status()["memory_lock"] == {"policy": "strict", "unlocked_secrets": 0}


def test_not_dumpable(user_daemon):
    """The kernel shows it by giving the process's own files in /proc to root."""
    assert proc(user_daemon, "environ").stat().st_uid == 0
    for name in ("mem", "environ", "maps"):
        script = f"open('/proc/{user_daemon.process.pid}/{name}', 'rb').read(1)"
        done = subprocess.run(["setpriv", "--reuid", str(USER[0]), "--regid", str(USER[1]),
                               "--clear-groups", "--", sys.executable, "-c", script],
                              capture_output=True, text=True, cwd="/")
        assert "PermissionError" in done.stderr, f"{name}: {done.stderr}"


def test_runs_as_its_own_user(user_daemon):
    """Root stages and promotes, the daemon's user reads it."""
    assert proc_status(user_daemon)["Uid"].split()[1] == str(USER[0])
    for path in user_daemon.keystore.parent.iterdir():
        assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (USER[0], 0), path
    with Kms(user_daemon.socket) as kms:
        key_id = user_daemon.tool.rotate()
        user_daemon.wait_key(key_id)
        assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32


def test_user_can_work_on_his_own_keystore(user_daemon):
    key_id = Tool(user_daemon.keystore, user=USER).rotate()
    user_daemon.wait_key(key_id)


@pytest.mark.parametrize("value", ["all", "http,tcp,api"])
def test_grpc_variables_are_ignored(workspace, idle_daemon, value):
    """GRPC_TRACE would print payloads."""
    idle_daemon.start(env={"GRPC_TRACE": value, "GRPC_VERBOSITY": "DEBUG",
                           "GRPC_EXPERIMENTS": "tcp_frame_size_tuning"})
    with Kms(idle_daemon.socket) as kms:
        wrapped = kms.encrypt(workspace.secret(os.urandom(32)))
        workspace.secret(kms.unwrap(wrapped))
    assert all(line.startswith("{") for line in idle_daemon.log().splitlines()), idle_daemon.log()


def test_no_secret_in_arguments_or_environment(workspace):
    """Neither the daemon's nor the tool's; the log is searched by the workspace."""
    workspace.secret(PASSPHRASE)
    passphrase = workspace.write("passphrase", PASSPHRASE)
    daemon = Daemon(workspace, seals=[f"boot=passphrase:file={passphrase}"])
    daemon.start()
    with Kms(daemon.socket) as kms:
        for _ in range(20):
            kms.unwrap(kms.encrypt(workspace.secret(os.urandom(32))))
    for name in ("cmdline", "environ"):
        assert PASSPHRASE not in proc(daemon, name).read_bytes()


def memory_of(pid):
    """All that the process can write, as root reads it: where it lies, and its bytes."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in open(f"/proc/{pid}/maps"):
            place, rights = line.split()[:2]
            if "w" in rights:
                first, last = (int(word, 16) for word in place.split("-"))
                memory.seek(first)
                yield line.strip(), memory.read(last - first)


def places_of(pid, content):
    return [where for where, data in memory_of(pid) if content in data]


def test_unsealing_leaves_nothing_behind(workspace, idle_daemon):
    """The key file's bytes are wiped once they have opened the keystore."""
    idle_daemon.start()
    key_id = idle_daemon.current_key().encode()
    assert places_of(idle_daemon.process.pid, key_id), "this test would not find anything"
    assert places_of(idle_daemon.process.pid, idle_daemon.key_file.read_bytes()) == []


def test_plaintext_is_wiped(workspace, daemon, kms):
    """Seeds that went through it are not left lying about, neither in memory of ours nor in what
    gRPC has freed."""
    mark = os.urandom(16)
    for _ in range(200):
        seed = workspace.secret(mark + os.urandom(16))
        assert kms.unwrap(kms.encrypt(seed)) == seed
    assert places_of(daemon.process.pid, mark) == []


@pytest.mark.parametrize("words", [
    ["init", "--seal", "ops=passphrase:correct horse battery staple"],
    ["init", "--seal", "passphrase:pass=correct horse battery staple"],
    ["seal", "add", "ops=passphrase:correct horse battery staple"],
])
def test_secrets_are_refused_on_the_command_line(workspace, words):
    """And the message does not repeat them."""
    ran = Tool(workspace.folder("store") / "keystore").run(*words)
    assert ran.code == 2
    assert "staple" not in ran.out + ran.err


def test_memory_lock_is_strict(idle_user_daemon):
    """No memory can be locked: no key is loaded, and log and status say why."""
    daemon = idle_user_daemon
    daemon.start(wait=None, prefix=["prlimit", "--memlock=0:0"], user=USER)
    wait_until("it tells that memory cannot be locked", lambda: "locked" in daemon.log())
    if daemon.process.is_alive:
        assert daemon.http("/readyz")[0] == 503


def test_memory_lock_best_effort(idle_user_daemon):
    """For small hosts: it serves, and says how many secrets lie unlocked."""
    daemon = idle_user_daemon
    daemon.config["memory_lock"] = "best-effort"
    daemon.write_config()
    daemon.start(prefix=["prlimit", "--memlock=0:0"], user=USER)
    with Kms(daemon.socket) as kms:
        assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    assert daemon.status()["memory_lock"]["policy"] == "best-effort"
    assert daemon.metrics()["etcdseal_unlocked_secrets_total"] > 0
