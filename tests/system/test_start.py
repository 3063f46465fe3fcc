# SPDX-License-Identifier: Apache-2.0
"""Start, readiness, reload, signals: what the daemon does when its world changes."""

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import grpc
import pytest

from parts import places, wire
from parts.daemon import Daemon, key_id_hash
from parts.kms import Kms, check_refused
from parts.process import wait_until

Code = grpc.StatusCode
PASSPHRASE = b"correct horse battery staple"
pytestmark = pytest.mark.sanitizer


@pytest.fixture
def passphrase_daemon(workspace):
    """Its only slot wants a person."""
    daemon = Daemon(workspace, keystore=False)
    workspace.secret(PASSPHRASE)
    daemon.tool.run("init", "--seal", "ops=passphrase:fd=9", secret_fd=PASSPHRASE).ok()
    return daemon


# --- readiness ----------------------------------------------------------------------------------------


def test_ready_daemon(daemon):
    assert daemon.http("/livez") == (200, "ok\n")
    assert daemon.http("/readyz") == (200, "ok\n")
    assert daemon.http("/healthz")[0] == 200
    status = daemon.status()
    assert (status["ready"], status["sealed"]) == (True, False)
    assert status["pid"] == daemon.process.pid
    assert status["provider"]["current_key_id"] == daemon.tool.primary()


def test_status_socket_answers_only_what_it_has(daemon):
    assert daemon.http("/")[0] == 404
    assert daemon.http("/keystore")[0] == 404
    assert daemon.http("/../../etc/passwd")[0] == 404
    assert daemon.http("/status", method="POST")[0] in (400, 404, 405)
    assert daemon.http("/status", method="HEAD") == (200, "")


def test_sealed_for_good(passphrase_daemon):
    """Alive, not ready; every call is answered at once and says that a person must act."""
    daemon = passphrase_daemon.start(wait="socket")
    wait_until("the first attempt has ended", lambda: daemon.status()["needs_a_person"])
    assert daemon.http("/livez")[0] == 200
    code, text = daemon.http("/readyz")
    assert code == 503 and "person" in text
    assert daemon.metrics()["etcdseal_sealed"] == 1
    with Kms(daemon.socket) as kms:
        began = time.monotonic()
        check_refused(Code.FAILED_PRECONDITION, kms.status)
        check_refused(Code.FAILED_PRECONDITION, kms.encrypt)
        check_refused(Code.FAILED_PRECONDITION, kms.decrypt, b"x" * 74, "es1-" + "a" * 26)
        check_refused(Code.UNIMPLEMENTED, kms.raw, "Rotate", b"")
        assert time.monotonic() - began < 1
    assert daemon.stop() == 0


def test_no_keystore_yet(workspace):
    """The daemon lives, answers that a person must act, and opens the keystore as soon as there is
    one."""
    daemon = Daemon(workspace, keystore=False).start(wait="socket")
    with Kms(daemon.socket) as kms:
        wait_until("the first attempt has ended", lambda: daemon.status()["needs_a_person"])
        text = check_refused(Code.FAILED_PRECONDITION, kms.status)
        assert str(daemon.keystore) not in text
        assert daemon.http("/readyz")[0] == 503
        daemon.tool.init(f"boot=file:{daemon.key_file}")
        daemon.wait_ready()
        assert kms.status().key_id == daemon.tool.primary()


def test_key_file_comes_late(workspace, idle_daemon):
    hidden = workspace.path("hidden.key")
    idle_daemon.key_file.rename(hidden)
    daemon = idle_daemon.start(wait="socket")
    with Kms(daemon.socket) as kms:
        wait_until("it says what is missing", lambda: daemon.events("keys-failed"))
        check_refused(Code.FAILED_PRECONDITION, kms.status)
        hidden.rename(daemon.key_file)
        daemon.wait_ready(40)
        assert kms.status().healthz == "ok"


@pytest.mark.alone
def test_socket_answers_before_unsealing(workspace):
    """While a slow seal (Argon2id) works, calls are refused at once as UNAVAILABLE."""
    passphrase = workspace.write("passphrase", PASSPHRASE + b"\n")
    workspace.secret(PASSPHRASE)
    daemon = Daemon(workspace, seals=[f"boot=passphrase:file={passphrase}"])
    daemon.start(wait=None)
    wait_until("the socket stands", daemon.socket.exists, every=0.001)
    refused = []
    with Kms(daemon.socket) as kms:
        while not refused or daemon.http("/readyz")[0] != 200:
            try:
                kms.status()
            except grpc.RpcError as error:
                refused.append((error.code(), error.details()))
    assert set(refused) == {(Code.UNAVAILABLE, "sealed: unsealing is still being tried")}
    print(f"{len(refused)} calls were answered while it unsealed")


def test_metrics_pass_promtool(workspace, daemon, kms):
    kms.unwrap(kms.encrypt(b"x" * 32))
    check_refused(Code.NOT_FOUND, kms.decrypt, b"x" * 74, "nobody")
    done = subprocess.run([places.real_part("promtool"), "check", "metrics"],
                          input=daemon.metrics_text(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_metrics_tell(daemon, kms):
    wrapped = kms.encrypt(b"x" * 32)
    kms.unwrap(wrapped)
    m = daemon.metrics()
    seen = key_id_hash(wrapped.key_id)
    assert m['etcdseal_requests_total{method="Encrypt",code="OK"}'] == 1
    assert m['etcdseal_request_duration_seconds_count{method="Decrypt"}'] == 1
    assert m[f'etcdseal_current_key_id_hash{{key_id_hash="{seen}"}}'] == 1
    assert m[f'etcdseal_decrypts_total{{key_id_hash="{seen}",state="primary"}}'] == 1
    assert m["etcdseal_keystore_generation"] == daemon.tool.generation()
    assert m["etcdseal_sealed"] == 0
    assert m["process_resident_memory_bytes"] > 1 << 20
    assert wrapped.key_id not in daemon.metrics_text()


def test_metrics_on_the_loopback(workspace, idle_daemon):
    port = workspace.free_port()
    idle_daemon.config["metrics"] = {"listen": f"127.0.0.1:{port}"}
    idle_daemon.write_config()
    idle_daemon.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"etcdseal_build_info" in answer.read()


def test_status_of_the_tool(daemon, kms):
    kms.unwrap(kms.encrypt(b"x" * 32))
    shown = daemon.tool.run("status", "--socket", daemon.status_socket, "-o", "json",
                            keystore=False).json()
    assert shown["provider"]["current_key_id"] == daemon.tool.primary()
    table = daemon.tool.run("status", "--socket", daemon.status_socket, keystore=False).ok().out
    assert daemon.tool.primary() in table


# --- changes of the keystore -------------------------------------------------------------------------


@pytest.mark.alone
def test_change_is_served_in_a_second(daemon, kms):
    slowest = 0
    for _ in range(5):
        key_id = daemon.tool.stage()
        began = time.monotonic()
        daemon.tool.promote(key_id)
        while kms.status().key_id != key_id:
            assert time.monotonic() - began < 5, "never"
            time.sleep(0.002)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1, f"{slowest:.3f} s from the start of `key promote`"


def test_nothing_wraps_under_an_old_key_after_a_change(daemon, kms):
    for _ in range(5):
        key_id = daemon.tool.rotate()
        wait_until("Status tells it", lambda: kms.status().key_id == key_id)
        assert kms.encrypt(b"x" * 32).key_id == key_id


def test_a_change_that_inotify_cannot_see(workspace, idle_daemon):
    """The folder is replaced while the daemon looks; the poll is the net."""
    idle_daemon.config["keystore"]["poll"] = "1s"
    idle_daemon.write_config()
    daemon = idle_daemon.start()
    folder = daemon.keystore.parent
    moved = folder.rename(folder.with_name("moved"))
    wait_until("the log tells", lambda: daemon.events("keys-failed"), 10)
    moved.rename(folder)
    key_id = daemon.tool.rotate()
    daemon.wait_key(key_id, 10)


@pytest.mark.parametrize("breakage", ["truncated", "flipped", "empty", "absent", "garbage",
                                      "unreadable"])
def test_broken_keystore_leaves_the_old_state_serving(daemon, kms, breakage):
    wrapped = kms.encrypt(b"x" * 32)
    good = daemon.keystore.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    new = daemon.keystore.with_name("new")
    new.write_bytes({"truncated": good[:-40], "flipped": bytes(flipped), "empty": b"",
                     "garbage": os.urandom(3000)}.get(breakage, good))
    new.chmod(0o666 if breakage == "unreadable" else 0o600)
    new.rename(daemon.keystore)
    if breakage == "absent":
        daemon.keystore.unlink()
    daemon.reload()

    if breakage != "unreadable" or daemon.metrics()["etcdseal_last_reload_success"] == 0:
        daemon.wait_event("keys-failed")
        wait_until("the metric tells",
                   lambda: daemon.metrics()["etcdseal_last_reload_success"] == 0)
        last = daemon.status()["last_reload"]
        assert last["ok"] is False and last["message"]
    assert daemon.http("/readyz")[0] == 200
    assert kms.unwrap(wrapped) == b"x" * 32
    assert kms.encrypt(b"x" * 32).key_id == wrapped.key_id

    new.write_bytes(good)
    new.chmod(0o600)
    new.rename(daemon.keystore)
    wait_until("it is content again",
               lambda: daemon.metrics()["etcdseal_last_reload_success"] == 1)
    assert daemon.status()["last_reload"]["ok"] is True


# --- signals --------------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_flight(workspace, daemon, kms):
    """Callers see answers or a clean refusal, no call is lost, and the exit code is 0."""
    wrapped = kms.encrypt(b"x" * 32)
    bad, done, stop = [], [0], threading.Event()

    def call():
        while not stop.is_set():
            try:
                assert kms.unwrap(wrapped) == b"x" * 32
                done[0] += 1
            except grpc.RpcError as error:
                if error.code() not in (Code.UNAVAILABLE, Code.CANCELLED):
                    bad.append(error)
                return

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until("calls are under way", lambda: done[0] > 50)
    began = time.monotonic()
    code = daemon.stop()
    took = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    assert code == 0 and took < 6, took
    assert not bad, bad
    assert daemon.events("stopped")


def test_sigterm_with_a_call_that_hangs(daemon):
    """A half-sent request is cancelled after the grace time (5 s)."""
    with wire.Wire(daemon.socket) as w:
        w.start("/v2.KeyManagementService/Encrypt", b"\0\0\0\0\x20abc", end=False)
        w.ping()
        began = time.monotonic()
        assert daemon.stop(seconds=20) == 0
        assert time.monotonic() - began < 8


def test_sigterm_while_sealed(workspace):
    daemon = Daemon(workspace, keystore=False).start(wait="socket")
    assert daemon.stop() == 0


def test_sigint_ends_it_too(daemon):
    assert daemon.stop(signal.SIGINT) == 0
    assert not daemon.socket.exists()


def test_sighup_without_a_change(daemon, kms):
    before = daemon.metrics()['etcdseal_reloads_total{result="unchanged",reason="signal"}']
    daemon.reload()
    wait_until("it has looked", lambda: daemon.metrics()[
        'etcdseal_reloads_total{result="unchanged",reason="signal"}'] > before)
    assert kms.status().healthz == "ok"


def test_sighup_takes_up_the_log(daemon, kms):
    daemon.config["log"]["requests"] = False
    daemon.write_config()
    daemon.reload()
    daemon.wait_event("config-reloaded")
    kms.encrypt(b"x" * 32, uid="not-to-be-logged")
    assert "not-to-be-logged" not in daemon.log()


@pytest.mark.parametrize("text, words", [
    ("socket: { path: /run/x }\nno_such_key: 1\n", "no_such_key"),
    ("peers: [ { uid: 0 } ]\npeers: [ { uid: 1 } ]\n", "peers"),
    ("keystore: [ not, a, map ]\n", "keystore"),
    ("{{{", "etcdseald.yaml"),
    ("", "etcdseald.yaml"),
])
def test_broken_config_leaves_the_old_state_serving(daemon, kms, text, words):
    if not text:
        daemon.config_path.unlink()
    else:
        daemon.write_config(text)
    daemon.reload()
    event = daemon.wait_event("config-failed")
    assert words in event["cause"]
    assert daemon.status()["last_reload"]["ok"] is False
    assert daemon.metrics()["etcdseal_last_reload_success"] == 0
    assert kms.status().healthz == "ok"
    daemon.write_config()
    daemon.reload()
    wait_until("it is content again",
               lambda: daemon.metrics()["etcdseal_last_reload_success"] == 1)


def test_changes_that_need_a_restart_say_so(daemon, kms):
    daemon.config["socket"]["mode"] = "0660"
    daemon.config["kms_version"] = "v2beta1"
    daemon.config["memory_lock"] = "best-effort"
    daemon.config["socket"]["connections_max"] = 7
    daemon.write_config()
    daemon.reload()
    wait_until("the metric tells", lambda: daemon.metrics()["etcdseal_restart_needed"] == 1)
    assert set(daemon.status()["restart_needed"]) == {
        "socket.mode", "kms_version", "memory_lock", "socket.connections_max"}
    assert daemon.status()["memory_lock"]["policy"] == "strict", "what is in force is told"
    assert daemon.status()["connections"]["max"] == 64
    assert kms.status().version == "v2", "constant for the life of the process"


def test_ready_is_told_to_systemd(workspace, idle_daemon):
    """READY=1 comes when the socket answers and the first attempt to unseal has ended."""
    path = workspace.path("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(10)
        idle_daemon.start(wait=None, env={"NOTIFY_SOCKET": path})
        told = ""
        while "READY=1" not in told:
            told += s.recv(4096).decode() + "\n"
        assert idle_daemon.http("/readyz")[0] == 200
        idle_daemon.process.send_signal(signal.SIGHUP)
        while "RELOADING=1" not in told:
            told += s.recv(4096).decode() + "\n"
        idle_daemon.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in told:
            told += s.recv(4096).decode() + "\n"
    assert "STATUS=" in told


# --- command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, code, told", [
    (["--version"], 0, "etcdseald"),
    (["--help"], 0, "--config"),
    (["--nonsense"], 2, "--nonsense"),
    (["extra"], 2, "extra"),
    (["--config"], 2, "--config"),
    (["--config", "/nowhere/at/all.yaml"], 3, "/nowhere/at/all.yaml"),
])
def test_command_line(workspace, words, code, told):
    process = workspace.start("words", [places.our_program("etcdseald"), *words])
    assert process.wait(10) == code
    assert told in process.log()
