# SPDX-License-Identifier: Apache-2.0
"""Passphrases asked on a terminal: a pseudo-terminal plays the person."""

import os
import pty
import re
import select
import signal
import termios
import time

import pytest

from conftest import PASSPHRASE, program

TYPED = PASSPHRASE.decode()
NEW = ["init", "--passphrase-cost", "min", "--seal", "ops=passphrase:"]


class Terminal:
    """Runs etcdseal on a terminal of its own."""

    def __init__(self, tool, *words, env=None):
        environment = {"ETCDSEAL_CONFIG": str(tool.config), "PATH": os.environ["PATH"]} | (env or {})
        self.shown = ""
        self._seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):  # nohup(1)
                signal.signal(number, signal.SIG_DFL)
            os.execve(program(), ["etcdseal", *map(str, words)], environment)

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # the other side has ended
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, words, seconds=20):
        until = time.monotonic() + seconds
        while words not in self.shown[self._seen:]:
            assert time.monotonic() < until, f"no {words!r} in {self.shown!r}"
            assert self._read(0.5) or self.is_alive(), f"no {words!r} in {self.shown!r}"
        self._seen = self.shown.index(words, self._seen) + len(words)
        return self

    def is_alive(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait_hidden(self, seconds=10):
        """Until the terminal shows nothing of what is typed."""
        until = time.monotonic() + seconds
        while self.echoes():
            assert time.monotonic() < until
            time.sleep(0.01)
        return self

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, text):
        self.wait_hidden()
        os.write(self.fd, text.encode())
        return self

    def end(self):
        """Exit code, or the negative number of the signal."""
        while self._read(20):
            pass
        assert self.echoes(), "the terminal was left without echo"
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_new_passphrase_is_asked_for_twice(tool):
    t = Terminal(tool, *NEW)
    t.wait_for("New passphrase of slot ops (Enter: have a strong one made): ").type(TYPED + "\n")
    t.wait_for("again: ").type(TYPED + "\n")
    assert t.end() == 0, t.shown
    assert TYPED not in t.shown and "working on the passphrase of slot ops" in t.shown
    t = Terminal(tool, "key", "list")
    t.wait_for("Passphrase of slot ops: ").type(TYPED + "\n")
    assert t.end() == 0 and "primary" in t.shown
    tool.run("key", "list", "--unseal", "ops=passphrase:fd=9", secret=PASSPHRASE).ok()


def test_wrong_passphrase(tool):
    tool.init_two()
    t = Terminal(tool, "key", "list", "--unseal", "ops=passphrase:")
    t.wait_for("Passphrase of slot ops: ").type("not that passphrase\n")
    assert t.end() == 4 and "wrong secret" in t.shown and "not that" not in t.shown


def test_no_answer(tool):
    tool.init_two()
    for typed in ("\n", "\x04"):
        t = Terminal(tool, "key", "list", "--unseal", "ops=passphrase:")
        t.wait_for("slot ops: ").type(typed)
        assert t.end() == 3, t.shown


def test_two_that_differ(tool):
    t = Terminal(tool, *NEW)
    for _ in range(3):
        t.wait_for("made): ").type(TYPED + "\n")
        t.wait_for("again: ").type(TYPED + "x\n")
        t.wait_for("The two differ")
    assert t.end() == 2 and "nothing was changed" in t.shown
    assert not tool.keystore.exists()


def test_short_ones_are_asked_for_again(tool):
    t = Terminal(tool, *NEW)
    t.wait_for("made): ").type("elevenbytes\n")
    t.wait_for("At least 12 bytes")
    t.wait_for("made): ").type(TYPED + "\n")
    t.wait_for("again: ").type(TYPED + "\n")
    assert t.end() == 0


def test_a_made_passphrase(tool):
    t = Terminal(tool, *NEW)
    t.wait_for("made): ").type("\n")
    t.wait_for("shown once")
    assert t.end() == 0
    (made,) = re.findall(r"^    ((?:[a-z2-7]{5}-){4}[a-z2-7]{5})\r$", t.shown, re.M)
    tool.run("key", "list", "--unseal", "ops=passphrase:fd=9", secret=made.encode()).ok()
    for path in tool.store.iterdir():
        assert made.encode() not in path.read_bytes()


def test_made_passphrases_differ(tool):
    made = set()
    for _ in range(3):
        t = Terminal(tool, *NEW, "--keystore", tool.folder / f"s{len(made)}" / "keystore")
        t.wait_for("made): ").type("\n")
        assert t.end() == 0
        made |= set(re.findall(r"^    ([a-z2-7-]{29})\r$", t.shown, re.M))
    assert len(made) == 3


def test_two_slots_are_asked_for_by_name(tool):
    t = Terminal(tool, *NEW, "--seal", "boss=passphrase:")
    for slot in ("ops", "boss"):
        t.wait_for(f"New passphrase of slot {slot}").type(f"{TYPED} {slot}\n")
        t.wait_for("again: ").type(f"{TYPED} {slot}\n")
    assert t.end() == 0
    tool.run("key", "list", "--unseal", "boss=passphrase:fd=9",
             secret=PASSPHRASE + b" boss").ok()


def test_too_long(tool):
    tool.init_two()
    t = Terminal(tool, "key", "list", "--unseal", "ops=passphrase:")
    t.wait_for("slot ops: ").type("x" * 1025 + "\n")
    assert t.end() == 2 and "1024" in t.shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_leave_the_terminal_as_it_was(tool, number):
    t = Terminal(tool, *NEW)
    t.wait_for("made): ").wait_hidden()
    if number == signal.SIGINT:
        os.write(t.fd, b"half a pass\x03")
    else:
        os.kill(t.pid, number)
    assert t.end() == -number, t.shown
    assert "half" not in t.shown
    assert not tool.keystore.exists()


def test_colour_on_a_terminal_only(tool):
    t = Terminal(tool, "init", "--seal", f"file:{tool.key_file}")
    assert t.end() == 0 and "\033[1;33mWARNING:\033[0m" in t.shown
    t = Terminal(tool, "seal", "add", f"b=file:{tool.folder}/b.key", env={"NO_COLOR": "1"})
    assert t.end() == 0 and "WARNING" in t.shown and "\033" not in t.shown


def test_progress_is_for_terminals_and_can_be_left_out(tool):
    ran = tool.init_two()
    assert "working on" not in ran.err
    t = Terminal(tool, "key", "list", "-q", "--unseal", "ops=passphrase:")
    t.wait_for("slot ops: ").type(TYPED + "\n")
    assert t.end() == 0 and "working on" not in t.shown


def test_the_password_of_an_etcd_user(tool):
    """It is asked for, shown nowhere, and an interrupt leaves the terminal as it was."""
    audit = ["audit", "--endpoints", f"unix:{tool.folder}/nobody", "--user", "auditor"]
    t = Terminal(tool, *audit)
    t.wait_for("Password of etcd's user auditor: ").type("sesame open\n")
    assert t.end() == 3, t.shown
    assert "sesame" not in t.shown and "No such file" in t.shown
    t = Terminal(tool, *audit)
    t.wait_for("Password of etcd's user auditor: ").type("sesame")
    os.write(t.fd, b"\x03")
    assert t.end() == -signal.SIGINT
