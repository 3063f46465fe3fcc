# SPDX-License-Identifier: Apache-2.0
"""A real kine on the loopback with SQLite, as k3s runs it, and what lies in its file: read by
Python's own SQLite and by searching for bytes."""

import contextlib
import os
import shutil
import signal
import sqlite3

from . import places
from .process import wait_until

PARAMETERS = "_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate"


class Kine:
    """`compact`: kine throws superseded rows away every second, all but the last."""

    def __init__(self, workspace, name="kine"):
        self._workspace = workspace
        self._name = name
        self._port = workspace.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.db = workspace.folder(name) / "state.db"
        self.process = None
        self.start()

    def start(self, compact=False):
        compaction = ["--compact-interval=1s", "--compact-min-retain=1"] if compact else []
        self.process = self._workspace.start(self._name, [
            places.real_part("kine"), "--endpoint", f"sqlite://{self.db}?{PARAMETERS}",
            "--listen-address", f"tcp://127.0.0.1:{self._port}", "--metrics-bind-address", "0",
            *compaction])
        wait_until("kine listens", lambda: "Kine available" in self.process.log(), 30,
                   alive=self.process)

    def stop(self, number=signal.SIGTERM):
        return self.process.stop(number)

    @contextlib.contextmanager
    def frozen(self):
        """It does nothing meanwhile, and holds what it holds."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield self
        finally:
            self.process.send_signal(signal.SIGCONT)

    def files(self):
        """The database, its log and its shared memory, as far as they are there."""
        found = [self.db.with_name(self.db.name + end) for end in ("", "-wal", "-shm")]
        return [path for path in found if path.exists()]

    def marks(self):
        """Content and times of the files: what must not change."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ctime_ns)
                for path in self.files()}

    def count_bytes(self, marker):
        return sum(path.read_bytes().count(marker) for path in self.files()
                   if not path.name.endswith("-shm"))

    def rows(self):
        """All rows by SQL, of a copy: what reads a database may change it."""
        folder = self._workspace.folder("kine-copy")
        for path in folder.iterdir():
            path.unlink()
        for path in self.files():
            shutil.copy(path, folder / path.name)
        # The index of the log is made anew: that of a frozen kine would be taken for one in use.
        shm = folder / (self.db.name + "-shm")
        if shm.exists():
            os.unlink(shm)
        with contextlib.closing(sqlite3.connect(folder / self.db.name)) as db:
            db.row_factory = sqlite3.Row
            return db.execute("SELECT * FROM kine ORDER BY id").fetchall()
