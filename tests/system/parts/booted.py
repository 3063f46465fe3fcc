# SPDX-License-Identifier: Apache-2.0
"""A system of its own, booted by systemd in namespaces, with what `cmake --install` puts in place."""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

from . import places
from .process import wait_until

BOOT = Path(__file__).with_name("boot.sh")
OWN_CGROUP = Path(__file__).with_name("own_cgroup.sh")
NAMESPACES = ["--pid", "--fork", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--kill-child"]


def install(build, root):
    """What a package would hold, below `root`."""
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True,
                   stdout=subprocess.DEVNULL, env=dict(os.environ) | {"DESTDIR": str(root)})


class Booted:
    def __init__(self, workspace, installed):
        self._log = workspace.logs / "journal.log"
        self.process = workspace.start("boot", [
            "unshare", "--mount", "--cgroup", "--", OWN_CGROUP, workspace.folder("cgroup"),
            "unshare", *NAMESPACES, "--", BOOT, workspace.folder("boot"), installed, places.ROOT])
        self.pid = wait_until("systemd has started", self._first_process, 20,
                              alive=self.process)
        wait_until("the system is up", lambda: self.run(
            "systemctl", "is-system-running", check=False).strip() in ("running", "degraded"), 60,
            every=0.2, alive=self.process)
        workspace.at_end(self.stop)

    def _first_process(self):
        """The one child of the inner unshare; by now it must be systemd itself."""
        pid = self.process.pid
        for _ in range(2):
            (pid,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(pid) if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else None

    def path(self, name):
        """A file of the system, seen from here."""
        return Path(f"/proc/{self.pid}/root{name}")

    def _inside(self, words):
        return ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd", "--",
                *map(str, words)]

    def run(self, *words, check=True):
        """What a command in the system prints."""
        done = subprocess.run(self._inside(words), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def person(self, commands, seconds=300, answer=""):
        """A person's shell in the source tree; whatever is asked without echo gets `answer` and
        Enter. What the terminal showed."""
        script = f'set -eux; cd "{places.ROOT}"; sudo() {{ "$@"; }}\n{commands}'
        pid, terminal = pty.fork()
        if pid == 0:
            words = self._inside(["sh", "-c", script])
            os.execvp(words[0], words)
        shown, until = b"", time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:  # all have closed it
                    break
            elif not termios.tcgetattr(terminal)[3] & termios.ECHO:
                os.write(terminal, answer.encode() + b"\n")
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0, f"{commands}: {code}: {shown.decode(errors='replace')}"
        return shown.decode(errors="replace")

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, unit="etcdseald.service"):
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def stop(self):
        if self.process.is_alive:
            self._log.write_text(self.run("journalctl", "--no-pager", check=False))
            os.kill(self.pid, signal.SIGKILL)
            assert self.process.wait(20) == 0, f"its cgroup is left: {self.process.log_tail()}"
