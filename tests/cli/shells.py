# SPDX-License-Identifier: Apache-2.0
"""Completion as bash and zsh do it: a line in, the words that are offered out."""

import os
import pty
import select
import shlex
import subprocess
import time
from pathlib import Path

from conftest import pages

CAPTURE = Path(__file__).with_name("capture.zsh")
DEFAULT = "(files)"  # bash: left to readline, which completes file names

# As bash cuts a line where = and : are in COMP_WORDBREAKS, which they are by default.
BREAKS = "=:"

# Behind it: the script, the words.
BASH = """
set -u
compopt() { printf '%s\\n' "compopt $*"; }
eval "$PREPARE"
source "$1"
COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
COMPREPLY=(left over)
"_$2"
printf '%s\\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
"""


def cut(line):
    """COMP_WORDS: runs of break characters are words of their own; an open word is the last."""
    words = []
    for part in line.split(" "):
        pieces, at = [], ""
        for c in part:
            if at and (c in BREAKS) != (at[-1] in BREAKS):
                pieces.append(at)
                at = ""
            at += c
        words += pieces + ([at] if at or not pieces else [])
    return words


def bash(line, prepare="", words=None):
    """What the function leaves in COMPREPLY. `prepare`: commands before the script is read."""
    words = words or cut(line)
    done = subprocess.run(["bash", "--norc", "--noprofile", "-c", BASH, "bash",
                           pages() / f"{words[0]}.bash", *words], capture_output=True, text=True,
                          env=os.environ | {"LINE": line, "PREPARE": prepare})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    told = [line for line in done.stdout.splitlines() if line]
    return [DEFAULT if word == "compopt -o default" else word for word in told]


class Terminal:
    """An interactive shell on a terminal of its own, in `folder`."""

    def __init__(self, argv, folder, **env):
        self._master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, cwd=folder, start_new_session=True,
            env=os.environ | {"TERM": "dumb", "LANG": "C.UTF-8"} | env)
        os.close(slave)

    def type(self, text):
        os.write(self._master, text.encode())

    def wait(self, what, is_there, seconds=30):
        end = time.monotonic() + seconds
        while not is_there(self):
            assert time.monotonic() < end, f"no {what}: {self.text!r}"
            if select.select([self._master], [], [], 0.05)[0]:
                self.text += os.read(self._master, 4096).decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._master)


class Zsh:
    """One zsh for many lines."""

    def __init__(self, folder):
        self._captured = Path(folder) / "captured"
        self._captured.touch()
        work = Path(folder) / "work"
        work.mkdir()
        (work / "some.yaml").touch()
        self.work = work
        self._terminal = Terminal(["zsh", "-f", "-i"], work, CAPTURED=str(self._captured),
                                  FUNCTIONS=str(pages()))
        self._terminal.type(f"source {shlex.quote(str(CAPTURE))}\n")
        self._wait("READY")

    def _wait(self, word):
        self._terminal.wait(word, lambda _: word in self._captured.read_text().split("\n"))

    def __call__(self, line):
        self._captured.write_text("")
        self._terminal.type(line + "\x18")
        self._wait("DONE")
        self._terminal.type("\x15")  # an empty line again
        return [word for word in self._captured.read_text().splitlines() if word != "DONE"]

    def close(self):
        self._terminal.close()


def bash_on_terminal(folder, line, completions):
    """What stands in the line after a Tab: real bash, real readline."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], folder, PS1="READY> ",
                        INPUTRC="/dev/null")
    try:
        for path in completions:
            terminal.type(f"source {shlex.quote(str(path))}\n")
        terminal.type("bind 'set bell-style none'; etcdseal() { printf '<%s>' \"$@\"; echo END; }\n")
        terminal.type(f"{line}\t\n")
        terminal.wait("line", lambda t: "END\r\n" in t.text.split("echo END; }")[-1])
        return terminal.text.split("echo END; }")[-1].split("\r\n")[-2]
    finally:
        terminal.close()
