# SPDX-License-Identifier: Apache-2.0
"""Reads the pages of the documentation: fenced blocks, their marks, and links.

A fenced block of language sh holds commands. A test runs them (tests/system/test_docs.py), unless
the line above the block says otherwise:
    <!-- not-run: REASON -->      cannot be run in a test
    <!-- run-by: FILE -->         that file (a test or a script) runs it
"""

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^ {0,3}```+ *([^`\s]*)\s*$")
_MARK = re.compile(r"^\s*<!-- *(not-run|run-by): *(.*?) *-->\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


@dataclass
class Block:
    line: int
    language: str
    text: str
    mark: str = ""   # "", "not-run" or "run-by"
    reason: str = ""


def pages(root):
    """README.md of every folder that is not built, and docs/."""
    found = [p for p in root.rglob("*.md")
             if not {"build", ".git", "node_modules"} & set(p.relative_to(root).parts)]
    return sorted(found)


def blocks(page):
    """Every fenced block; ValueError for one that never ends."""
    found, current, lines = [], None, page.read_text().splitlines()
    above = ""
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if current is None and fence:
            mark = _MARK.match(above)
            current = Block(number, fence.group(1), "", *(mark.groups() if mark else ()))
        elif current is not None and fence and not fence.group(1):
            found.append(current)
            current = None
        elif current is not None:
            current.text += line + "\n"
        above = line if line.strip() else above
    if current is not None:
        raise ValueError(f"{page}:{current.line}: this block never ends")
    return found


def commands_to_run(page):
    return [b.text for b in blocks(page) if b.language == "sh" and not b.mark]


def links(page):
    """(line, target) of links to files beside the page."""
    found, is_code = [], False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        is_code ^= bool(_FENCE.match(line))
        if not is_code:
            found += [(number, target) for target in _LINK.findall(re.sub(r"`[^`]*`", "", line))
                      if not re.match(r"[a-z]+:|#", target)]
    return found
