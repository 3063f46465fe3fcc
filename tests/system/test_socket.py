# SPDX-License-Identifier: Apache-2.0
"""The socket: made by the daemon itself, or passed by systemd."""

import os
import signal
import socket
import stat

import grpc
import pytest

from parts.daemon import Daemon
from parts.kms import Kms
from parts.process import wait_until

pytestmark = pytest.mark.sanitizer
OWN = str(os.getuid())


def configured(daemon, **socket_keys):
    daemon.config["socket"] |= socket_keys
    daemon.write_config()
    return daemon


def second(workspace, daemon):
    """Another daemon with the configuration of the first."""
    other = Daemon(workspace, "second", keystore=False)
    other.config_path = daemon.config_path
    return other


# --- self-made --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["0600", "0660", "0770"])
def test_mode_and_owner(workspace, idle_daemon, mode):
    if os.getuid() == 0:
        configured(idle_daemon, mode=mode, owner="4321", group="4322")
    else:
        configured(idle_daemon, mode=mode)
    idle_daemon.start()
    found = os.stat(idle_daemon.socket)
    assert stat.S_ISSOCK(found.st_mode)
    assert oct(stat.S_IMODE(found.st_mode)) == oct(int(mode, 8))
    if os.getuid() == 0:
        assert (found.st_uid, found.st_gid) == (4321, 4322)


def test_mode_is_never_wider_for_a_moment(workspace, idle_daemon):
    """Seen by strace: bind happens under a umask that lets nobody in, and listen comes last."""
    trace = workspace.path("trace")
    idle_daemon.start(wait="socket", prefix=["strace", "-f", "-o", str(trace), "-e",
                                             "trace=umask,bind,listen,chmod,fchmodat"])
    lines = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if "(" in line]
    at = next(i for i, line in enumerate(lines) if "bind(" in line and "kms.sock" in line)
    assert lines[at - 1].startswith("umask(0177)"), lines[:at + 1]
    listening = next(i for i, line in enumerate(lines[at:]) if line.startswith("listen("))
    assert any("chmod" in line for line in lines[at:at + listening]), lines[at:]


def test_live_listener_is_named(workspace, daemon):
    log = second(workspace, daemon).refuses_to_start(3, str(daemon.socket))
    assert str(daemon.process.pid) in log
    with Kms(daemon.socket) as kms:
        assert kms.status().healthz == "ok"


def test_live_listener_that_is_somebody_else_is_named(workspace, idle_daemon):
    """No lock is held, but somebody listens: an older plugin, say."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(idle_daemon.socket))
        s.listen()
        idle_daemon.refuses_to_start(3, str(idle_daemon.socket), str(os.getpid()))
    assert idle_daemon.socket.exists()


def test_stale_socket_is_replaced(daemon):
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    with Kms(daemon.socket) as kms:
        assert kms.status().healthz == "ok"


@pytest.mark.parametrize("what", ["file", "folder", "link to a file", "link to nowhere", "fifo"])
def test_anything_else_in_the_place_is_refused_and_left_alone(workspace, idle_daemon, what):
    place = idle_daemon.socket
    target = workspace.write("target", "precious")
    {"file": lambda: place.write_text("precious"),
     "folder": place.mkdir,
     "link to a file": lambda: place.symlink_to(target),
     "link to nowhere": lambda: place.symlink_to("/nowhere/at/all"),
     "fifo": lambda: os.mkfifo(place)}[what]()
    before = os.lstat(place)
    idle_daemon.refuses_to_start(3, str(place))
    after = os.lstat(place)
    assert (before.st_ino, before.st_mode, before.st_size) == (after.st_ino, after.st_mode,
                                                               after.st_size)
    assert target.read_text() == "precious"


def test_removed_at_exit(daemon):
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert not daemon.status_socket.exists()


def test_left_alone_at_exit_if_not_ours(daemon):
    """Somebody has put another socket into the place."""
    daemon.socket.unlink()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(daemon.socket))
        daemon.stop()
        assert daemon.socket.exists()


@pytest.mark.parametrize("path, word", [
    ("relative/kms.sock", "absolute"),
    ("kms.sock", "absolute"),
    ("@abstract", "abstract"),
    ("", "socket.path"),
    ("/tmp/" + "x" * 103, "107"),
    ("/tmp/nowhere/at/all/kms.sock", "/tmp/nowhere/at/all"),
])
def test_paths_that_cannot_work(idle_daemon, path, word):
    configured(idle_daemon, path=path)
    log = idle_daemon.refuses_to_start(3 if "nowhere" in path else 2, word)
    assert "etcdseal" in log


def test_longest_path(workspace, idle_daemon):
    name = "k" * (107 - len(str(idle_daemon.run_folder)) - 1)
    path = idle_daemon.run_folder / name
    assert len(str(path)) == 107
    idle_daemon.socket = path
    configured(idle_daemon, path=str(path)).start()
    with Kms(path) as kms:
        assert kms.status().healthz == "ok"


@pytest.mark.parametrize("keys, word", [
    (dict(mode="0888"), "mode"), (dict(mode="rw"), "mode"), (dict(owner="no-such-user"),
                                                             "no-such-user"),
    (dict(group="no-such-group"), "no-such-group"), (dict(mode="4700"), "mode"),
    (dict(mode="0666"), "mode"),
])
def test_bad_mode_and_owner(idle_daemon, keys, word):
    configured(idle_daemon, **keys).refuses_to_start(2, word)


def test_other_owner_needs_root(workspace):
    """As a user: refused with the cure, and no socket is left."""
    user = (4321, 4321)
    home = workspace.folder("user", 0o700)
    os.chown(home, *user)
    path = home / "kms.sock"
    config = workspace.write("user.yaml", (
        f"socket: {{ path: {path}, owner: root, group: root }}\n"
        f"keystore: {{ path: {home}/keystore }}\n"), 0o644)
    daemon = Daemon(workspace, "as-user", keystore=False)
    daemon.config_path = config
    daemon.refuses_to_start(3, "socket.owner", user=user)
    assert not path.exists()


# --- passed by systemd ------------------------------------------------------------------------------


def activated(workspace, daemon, *sockets, **options):
    words = []
    for path in sockets:
        words += ["-l", str(path)]
    for name in os.environ:  # the rest of the environment is not passed on
        if name.endswith("SAN_OPTIONS"):
            words += ["-E", name]
    return workspace.start("systemd-socket-activate", ["systemd-socket-activate", *words,
                                                       *daemon.argv()], **options)


def test_socket_activation(workspace, idle_daemon):
    """The socket stands before the daemon; the first connection starts it, and it stays after."""
    process = activated(workspace, idle_daemon, idle_daemon.socket, idle_daemon.status_socket)
    wait_until("the socket stands", idle_daemon.socket.exists)
    inode = os.stat(idle_daemon.socket).st_ino
    with Kms(idle_daemon.socket, timeout=10) as kms:
        wait_until("it serves", lambda: kms.status().healthz == "ok")
        assert kms.unwrap(kms.encrypt(b"x" * 32)) == b"x" * 32
    assert idle_daemon.status()["socket"]["activated"] is True
    assert process.stop(signal.SIGTERM) == 0
    assert os.stat(idle_daemon.socket).st_ino == inode, "the socket belongs to systemd"


def test_socket_activation_without_the_status_socket(workspace, idle_daemon):
    activated(workspace, idle_daemon, idle_daemon.socket)
    wait_until("the socket stands", idle_daemon.socket.exists)
    with Kms(idle_daemon.socket, timeout=10) as kms:
        wait_until("it serves", lambda: kms.status().healthz == "ok")
    assert idle_daemon.http("/readyz")[0] == 200


def test_passed_socket_with_another_path_is_refused(workspace, idle_daemon):
    other = workspace.path("other.sock")
    process = activated(workspace, idle_daemon, other)
    wait_until("the socket stands", other.exists)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(other))
        assert process.wait(10) == 2
    assert str(other) in process.log() and str(idle_daemon.socket) in process.log()


def test_passed_tcp_socket_is_refused(workspace, idle_daemon):
    port = workspace.free_port()
    process = activated(workspace, idle_daemon, f"127.0.0.1:{port}")

    def is_refused():
        with socket.socket() as s:
            s.connect_ex(("127.0.0.1", port))
        return not process.is_alive

    wait_until("it refuses", is_refused, every=0.2)
    assert process.exit_code == 2
    assert "unix" in process.log()


def test_restart_behind_a_passed_socket_loses_no_call(workspace, daemon):
    """What systemd does at a restart: the listening socket stays, connections wait in it."""
    daemon.stop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(daemon.socket))
        listening.listen(16)
        script = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        passed = dict(prefix=["bash", "-c", script, listening.fileno()],
                      pass_fds=(listening.fileno(),))
        for _ in range(3):
            with Kms(daemon.socket, timeout=20) as kms:
                future = kms.raw_future("Status", b"", wait_for_ready=True)
                daemon.start(**passed)
                try:
                    future.result()
                except grpc.RpcError as error:  # it came while the keystore was being opened
                    assert "sealed" in error.details()
                assert kms.status().key_id == daemon.current_key()
                daemon.stop()
