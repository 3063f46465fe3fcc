# SPDX-License-Identifier: Apache-2.0
"""One child process: in a session of its own, with its output in a file."""

import os
import signal
import subprocess
import time


class ProcessFailed(AssertionError):
    pass


class Process:
    """`user`: uid and gid to run as. A process does not outlive us unless `outlive` is set."""

    def __init__(self, name, argv, log_path, env=None, cwd=None, user=None, pass_fds=(),
                 outlive=False, uts_name=None):
        self.name = name
        self.log_path = log_path
        self.argv = [str(word) for word in argv]
        self.ended_as_expected = False
        self._log = open(log_path, "ab")
        self._popen = subprocess.Popen(
            self._prefix(user, outlive, uts_name) + self.argv, stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True, cwd=cwd,
            env=dict(os.environ) | {k: str(v) for k, v in (env or {}).items()}, pass_fds=pass_fds)

    @staticmethod
    def _prefix(user, outlive, uts_name):
        prefix = []
        if uts_name:  # an identity of its own: another host name
            script = 'hostname "$1" && shift && exec "$@"'
            prefix += ["unshare", "--uts", "sh", "-c", script, "sh", uts_name]
        options = [] if outlive else ["--pdeathsig", "KILL"]
        if user:
            options += ["--reuid", str(user[0]), "--regid", str(user[1]), "--clear-groups"]
        return prefix + (["setpriv", *options, "--"] if options else [])

    @property
    def pid(self):
        return self._popen.pid

    @property
    def is_alive(self):
        return self._popen.poll() is None

    @property
    def exit_code(self):
        return self._popen.poll()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def send_signal(self, number):
        self._popen.send_signal(number)

    def wait(self, seconds=10):
        """The exit code; fails when it does not end in time."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} did not end in {seconds} s:\n{self.log_tail()}")

    def stop(self, number=signal.SIGTERM, seconds=15):
        """Ends the whole session. Returns the exit code; -9 when it had to be killed for it."""
        if self.is_alive:
            self._popen.send_signal(number)
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        code = self._popen.wait()
        self._log.close()
        return code

    def check_alive(self):
        if not self.is_alive:
            raise ProcessFailed(f"{self.name} ended with {self.exit_code}:\n{self.log_tail()}")


def wait_until(what, condition, seconds=10, every=0.05, alive=None):
    """The first true value of condition(); exceptions count as not yet. `alive`: a Process that
    must not end meanwhile."""
    until = time.monotonic() + seconds
    why = ""
    while True:
        try:
            value = condition()
            if value:
                return value
            why = f"last value {value!r}"
        except Exception as error:  # whatever a half-started server does
            why = repr(error)
        if alive is not None:
            alive.check_alive()
        if time.monotonic() > until:
            tail = f"\n{alive.log_tail()}" if alive is not None else ""
            raise AssertionError(f"not within {seconds} s: {what} ({why}){tail}")
        time.sleep(every)
