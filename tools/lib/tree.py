# SPDX-License-Identifier: Apache-2.0
"""What the check-* programs share: the files of the tree, the findings, the command line."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"build", ".git", "__pycache__", ".pytest_cache"}


def files(root, *suffixes):
    """Files with one of the suffixes ("" for none), sorted; what is built is left out."""
    return sorted(p for p in root.rglob("*")
                  if p.suffix in suffixes and not NOT_OURS & set(p.relative_to(root).parts)
                  and p.is_file() and not p.is_symlink())


class Findings:
    def __init__(self, root):
        self._root = root
        self._lines = []

    def add(self, path, line, text):
        place = path.relative_to(self._root) if path.is_absolute() else path
        self._lines.append(f"{place}:{line}: {text}" if line else f"{place}: {text}")

    def report(self, what):
        """Prints them. Returns the exit code."""
        for line in self._lines:
            print(line)
        print(f"{what}: {len(self._lines) or 'no'} finding{'s' if len(self._lines) != 1 else ''}")
        return 1 if self._lines else 0


def main(description, check):
    """check(root, findings) returns what the last line shall say was looked at."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=ROOT, help="another tree, for tests")
    root = parser.parse_args().root.resolve()
    findings = Findings(root)
    what = check(root, findings)
    sys.exit(findings.report(what))
