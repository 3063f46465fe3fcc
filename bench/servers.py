# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured side by side, and how each is started."""

import re
import subprocess
import time
from dataclasses import dataclass, field

from parts import places
from parts.daemon import Daemon
from parts.process import wait_until

ETCDSEALD, QUIET, GO, BARE, LINKED = "etcdseald", "etcdseald-quiet", "go", "bare", "bare-linked"

TITLES = {
    ETCDSEALD: "etcdseald",
    QUIET: "etcdseald, `log.requests: false`",
    GO: "Go, k8s.io/kms service",
    BARE: "bare gRPC C core",
    LINKED: "bare, libraries of etcdseald",
}
CALLED = (ETCDSEALD, QUIET, GO, BARE)  # LINKED differs from BARE in its start and its memory only


@dataclass
class Server:
    name: str
    socket: str
    argv: list
    env: dict = field(default_factory=dict)
    daemon: Daemon = None  # of etcdseald


def make_etcdseald(workspace, name, log):
    daemon = Daemon(workspace, name, config={"log": log})
    return Server(name, daemon.socket, daemon.argv(), daemon=daemon)


def make_all(workspace):
    """By name. Every server has a folder and a socket of its own."""
    plugin = places.real_part("bench-go-plugin")
    servers = [make_etcdseald(workspace, ETCDSEALD, {}),
               make_etcdseald(workspace, QUIET, {"requests": False})]
    for name, program in ((GO, plugin), (BARE, places.our_program("bare-server")),
                          (LINKED, places.our_program("bare-server-linked"))):
        socket = workspace.folder(name) / "kms.sock"
        servers.append(Server(name, socket, [program, socket]))
    return {server.name: server for server in servers}


def start(workspace, server):
    """The process, once its socket is there."""
    server.socket.unlink(missing_ok=True)
    process = workspace.start(server.name, server.argv, env=server.env)
    wait_until(f"{server.name} listens", server.socket.is_socket, 20, 0.01, process)
    return process


def _loaded(program):
    """Names of the shared libraries that a program loads."""
    out = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return set(re.findall(r"^\s*(\S+)", out, re.M))


def check_same_libraries():
    """"The same link line" must stay true when etcdseald gets or loses a library."""
    ours = _loaded(places.our_program("etcdseald"))
    theirs = _loaded(places.our_program("bare-server-linked"))
    if ours != theirs:
        raise AssertionError("bare-server-linked does not load what etcdseald loads: mend the list in "
                             f"bench/CMakeLists.txt: {sorted(ours ^ theirs)}")


@dataclass
class SealStart:
    """A daemon that opens its keystore by one kind of seal, and the tool's test of that slot."""
    title: str
    server: Server
    daemon: Daemon
    slot: str

    def test_with_tool(self):
        """Milliseconds of `etcdseal seal test`."""
        began = time.monotonic()
        self.daemon.tool.run("seal", "test", self.slot, env=self.server.env).ok()
        return (time.monotonic() - began) * 1000


def _seals(workspace):
    """Title, slot, seal of `init`, seal of the daemon. Credentials are encrypted as systemd does it
    for a service, and passed decrypted, as a service gets them."""
    folder = workspace.folder("seals")
    passphrase = workspace.write("seals/passphrase", "a passphrase for the benchmark alone")
    return [
        ("key file", "boot", f"file:{folder}/boot.key", f"file:{folder}/boot.key"),
        ("systemd credential", "unit", f"credential:bench,file={folder}/bench.cred",
         "credential:bench"),
        ("passphrase (Argon2id, 3 passes, 256 MiB)", "ops", f"passphrase:file={passphrase}",
         f"passphrase:file={passphrase}"),
    ]


def make_seal_starts(workspace):
    """One keystore for each kind of seal."""
    folder, made = workspace.folder("seals"), []
    passed = workspace.folder("seals/passed")
    for title, slot, init_seal, daemon_seal in _seals(workspace):
        daemon = Daemon(workspace, f"seal-{slot}", seals=[f"{slot}={init_seal}"])
        daemon.config["keystore"]["unseal"] = {slot: daemon_seal}
        daemon.write_config()
        server = Server(daemon.name, daemon.socket, daemon.argv(),
                        {"CREDENTIALS_DIRECTORY": str(passed)})
        made.append(SealStart(title, server, daemon, slot))
    subprocess.run(["systemd-creds", "decrypt", "--name=bench", folder / "bench.cred",
                    passed / "bench"], check=True, stderr=subprocess.DEVNULL)
    return made
