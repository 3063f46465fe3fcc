# SPDX-License-Identifier: Apache-2.0
"""A temporary folder with everything that was started in it."""

import base64
import shutil
import socket
import tempfile
from pathlib import Path

from .process import Process

# Below the ports that the kernel hands out, so that no client of ours takes one by chance.
PORT_FIRST = 20000
PORT_LAST = 31999


class Workspace:
    """The folder's name is short: the path of a unix socket has at most 107 bytes. Others may pass
    through it, not look into it."""

    def __init__(self, outlive=False):
        self.outlive = outlive  # processes may go on when we have ended
        self.root = Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
        self.root.chmod(0o711)
        self.logs = self.folder("logs", 0o711)
        self.processes = []
        self.secrets = []
        self._at_end = []
        self._port_claims = []

    def path(self, *names):
        return self.root.joinpath(*names)

    def folder(self, name, mode=0o700):
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        return path

    def write(self, name, content, mode=0o600):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def start(self, name, argv, **options):
        number = sum(p.name == name for p in self.processes)
        log = self.logs / (f"{name}.log" if number == 0 else f"{name}-{number}.log")
        options.setdefault("outlive", self.outlive)
        process = Process(name, argv, log, **options)
        self.processes.append(process)
        return process

    def at_end(self, call):
        """Called before the processes are ended, the last one first."""
        self._at_end.append(call)

    def free_port(self):
        """A loopback port that nobody listens on, ours until the workspace is closed: what was
        stopped finds it free again. The claim is an abstract unix socket named for the port, which
        other test processes see and which ends with this one."""
        for port in range(PORT_FIRST, PORT_LAST):
            claim = socket.socket(socket.AF_UNIX)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    claim.bind(f"\0etcdseal-test-port-{port}")
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    claim.close()
                    continue
            self._port_claims.append(claim)
            return port
        raise RuntimeError(f"no free port between {PORT_FIRST} and {PORT_LAST}")

    def secret(self, value):
        """Remembers bytes that must never show in a log."""
        self.secrets.append(bytes(value))
        return value

    def leaks(self):
        """Names of logs that show one of the secrets, plain, in hex or in base64."""
        forms = set()
        for value in self.secrets:
            forms |= {value, value.hex().encode(), base64.b64encode(value).rstrip(b"="),
                      base64.urlsafe_b64encode(value).rstrip(b"=")}
        found = []
        for log in sorted(self.logs.iterdir()):
            data = log.read_bytes()
            if any(form in data for form in forms):
                found.append(log.name)
        return found

    def complaints(self):
        """Names of logs in which a sanitizer of the compiler complains."""
        words = (b"ERROR: AddressSanitizer", b"WARNING: ThreadSanitizer", b"runtime error:",
                 b"ERROR: LeakSanitizer")
        return [log.name for log in sorted(self.logs.iterdir())
                if any(word in log.read_bytes() for word in words)]

    def end(self):
        """Ends everything, the newest first. The logs are complete then."""
        while self._at_end:
            self._at_end.pop()()
        for process in reversed(self.processes):
            process.stop()

    def close(self, keep=False):
        """Ends everything. `keep`: leave the folder."""
        self.end()
        while self._port_claims:
            self._port_claims.pop().close()
        if not keep:
            shutil.rmtree(self.root, ignore_errors=True)
