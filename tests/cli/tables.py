# SPDX-License-Identifier: Apache-2.0
"""The commands and options of a program, read from its --help: what pages and scripts are held
against."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from conftest import program

COMMAND = re.compile(r"^  ([a-z][a-z0-9-]*)(?:  |$)")
OPTION = re.compile(r"^  (?:-(.), |    )--([a-z][a-z0-9-]*)(?: ([^ ]+))?")
USAGE = re.compile(r"^Usage: (.*) \[OPTIONS\](?: (.*))?$")


@dataclass
class Level:
    """What stands behind some words: more words, or options and arguments of a command."""
    words: tuple
    args: str = ""
    is_command: bool = False  # by itself, whether or not others are below it
    next: list = field(default_factory=list)
    options: dict = field(default_factory=dict)  # "--output": ("-o" or "", "FORMAT" or "")

    @property
    def names(self):
        return set(self.options)

    @property
    def letters(self):
        return {letter for letter, _ in self.options.values() if letter}


def helped(name, words):
    done = subprocess.run([Path(program()).with_name(name), *words, "--help"], capture_output=True,
                          text=True, check=True)
    return done.stdout.splitlines()


def level(name, words=()):
    lines = helped(name, words)
    usage = USAGE.match(lines[0])
    found = Level(tuple(words), args=usage.group(2) or "",
                  is_command=bool(words) and not usage.group(1).endswith(" COMMAND"))
    part = ""
    for line in lines:
        if re.fullmatch(r"[A-Z][a-z]+:", line):
            part = line
        elif part == "Commands:" and COMMAND.match(line):
            found.next.append(COMMAND.match(line).group(1))
        elif part == "Options:" and OPTION.match(line):
            letter, option, value = OPTION.match(line).groups()
            found.options[f"--{option}"] = (f"-{letter}" if letter else "", value or "")
    return found


def levels(name):
    """All levels of a program, that without words first."""
    found, waiting = [], [()]
    while waiting:
        here = level(name, waiting.pop(0))
        found.append(here)
        waiting += [here.words + (word,) for word in here.next]
    return found
