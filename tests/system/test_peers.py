# SPDX-License-Identifier: Apache-2.0
"""Who may connect, and what each peer may call."""

import socket
import subprocess
import sys

import grpc
import pytest

from parts import places
from parts.kms import Kms, check_refused
from parts.process import wait_until

Code = grpc.StatusCode
NOBODY = 65533  # any uid that is neither ours nor 65534, which stands for unmapped ones
pytestmark = pytest.mark.sanitizer

CALL = """
import sys, grpc
from parts.kms import Kms
kms = Kms(sys.argv[1], timeout=3)
for method in sys.argv[2:]:
    try:
        kms.raw(method, b"" if method == "Status" else b"\\x0a\\x01x")
        print(method, "OK")
    except grpc.RpcError as error:
        print(method, error.code().name)
"""


def call_as(uid, gid, socket_path, *methods, groups=()):
    """Codes by method of calls made by another user."""
    groups = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    done = subprocess.run(
        ["setpriv", "--reuid", str(uid), "--regid", str(gid), *groups, "--",
         sys.executable, "-c", CALL, str(socket_path), *methods],
        capture_output=True, text=True, timeout=60, check=True, cwd="/",
        env={"PYTHONPATH": str(places.ROOT / "tests" / "system"), "PATH": "/usr/bin:/bin"})
    return dict(line.split() for line in done.stdout.splitlines())


def open_to(daemon, *peers, gid=NOBODY):
    """A socket that the file system lets a group reach: what is left is the peer check."""
    daemon.config["socket"] |= {"mode": "0660", "group": str(gid)}
    daemon.config["peers"] = [*daemon.config["peers"], *peers]
    daemon.write_config()
    return daemon.start()


def test_wrong_uid_is_closed_before_a_byte_is_read(idle_daemon):
    daemon = open_to(idle_daemon)
    assert call_as(NOBODY, NOBODY, daemon.socket, "Status") == {"Status": "UNAVAILABLE"}
    event = daemon.wait_event("connection-refused", reason="peer")
    assert (event["peer_uid"], event["peer_gid"]) == (NOBODY, NOBODY)
    assert daemon.metrics()['etcdseal_refused_connections_total{reason="peer"}'] >= 1
    assert daemon.events("request") == []


def test_the_file_system_refuses_first(daemon):
    """Mode 0600: others don't get as far as the peer check."""
    probe = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    done = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY),
                           "--clear-groups", "--", sys.executable, "-c", probe, daemon.socket],
                          capture_output=True, text=True, cwd="/")
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize("methods, codes", [
    (["status"], {"Status": "OK", "Encrypt": "PERMISSION_DENIED", "Decrypt": "PERMISSION_DENIED"}),
    (["status", "encrypt"], {"Status": "OK", "Encrypt": "OK", "Decrypt": "PERMISSION_DENIED"}),
    (["decrypt"], {"Status": "PERMISSION_DENIED", "Encrypt": "PERMISSION_DENIED",
                   "Decrypt": "INVALID_ARGUMENT"}),
    (["status", "encrypt", "decrypt"], {"Status": "OK", "Encrypt": "OK",
                                        "Decrypt": "INVALID_ARGUMENT"}),
])
def test_rights_of_each_row(idle_daemon, methods, codes):
    daemon = open_to(idle_daemon, {"uid": NOBODY, "methods": methods, "note": "a test"})
    assert call_as(NOBODY, NOBODY, daemon.socket, *codes) == codes
    with Kms(daemon.socket) as ours:  # the other row keeps its rights
        assert ours.unwrap(ours.encrypt(b"x" * 32)) == b"x" * 32


def test_a_method_that_is_unknown_is_so_for_every_peer(idle_daemon):
    daemon = open_to(idle_daemon, {"uid": NOBODY, "methods": ["status"]})
    assert call_as(NOBODY, NOBODY, daemon.socket, "Rotate") == {"Rotate": "UNIMPLEMENTED"}


def test_gid_row_means_the_primary_group(idle_daemon):
    daemon = open_to(idle_daemon, {"gid": 4242, "methods": ["status"]}, gid=4242)
    assert call_as(NOBODY, 4242, daemon.socket, "Status") == {"Status": "OK"}
    assert call_as(NOBODY, NOBODY, daemon.socket, "Status", groups=[4242]) == {
        "Status": "UNAVAILABLE"}


def test_decrypt_rate(idle_daemon):
    idle_daemon.config["peers"][0]["decrypt_rate"] = 5
    idle_daemon.write_config()
    daemon = idle_daemon.start()
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt(b"x" * 32)
        codes = []
        for _ in range(12):
            try:
                kms.unwrap(wrapped)
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
        assert codes[:5] == ["OK"] * 5 and "RESOURCE_EXHAUSTED" in codes[5:], codes
        kms.encrypt(b"x" * 32)  # not limited


def test_rights_that_were_taken_away_end(idle_daemon):
    """A reload closes connections whose rights have changed (calls that are under way end)."""
    daemon = idle_daemon.start()
    with Kms(daemon.socket) as kms:
        kms.encrypt(b"x" * 32)
        daemon.config["peers"][0]["methods"] = ["status"]
        daemon.write_config()
        daemon.reload()
        daemon.wait_event("config-reloaded")
        wait_until("the old connection has ended",
                   lambda: check_refused(Code.PERMISSION_DENIED, kms.encrypt, b"x" * 32), 2)
        assert kms.status().healthz == "ok"


def test_peer_shows_in_the_request_log(idle_daemon):
    daemon = open_to(idle_daemon, {"uid": NOBODY, "methods": ["status"]})
    call_as(NOBODY, NOBODY, daemon.socket, "Status", "Encrypt")
    assert daemon.wait_event("request", method="Status", peer_uid=NOBODY)["code"] == "OK"
    denied = daemon.wait_event("request", method="Encrypt", peer_uid=NOBODY)
    assert denied["code"] == "PERMISSION_DENIED"


def test_unmapped_uid_is_refused_in_the_configuration(idle_daemon):
    idle_daemon.config["peers"] = [{"uid": 65534}]
    idle_daemon.write_config()
    idle_daemon.refuses_to_start(2, "65534")


def test_a_socket_without_any_peer_row_is_refused(idle_daemon):
    idle_daemon.config["peers"] = []
    idle_daemon.write_config()
    idle_daemon.refuses_to_start(2, "peers")


def test_status_socket_is_for_everybody_who_may_open_it(daemon):
    """It has no peer check and no secrets; its mode is its guard."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(daemon.status_socket))
    assert "boot.key" not in daemon.http("/status")[1]
