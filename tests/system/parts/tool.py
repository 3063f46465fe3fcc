# SPDX-License-Identifier: Apache-2.0
"""The operator's tool, etcdseal, as a person runs it."""

import json
import os
import subprocess
from dataclasses import dataclass

from . import places


@dataclass
class Ran:
    argv: list
    code: int
    out: str
    err: str

    def ok(self):
        assert self.code == 0, f"{' '.join(self.argv)}: exit code {self.code}\n{self.err}"
        return self

    def refused(self, code, *words):
        """Exit code and words of the message."""
        text = self.out + self.err
        assert self.code == code, f"{' '.join(self.argv)}: {self.code}, not {code}\n{text}"
        for word in words:
            assert word in text, f"{' '.join(self.argv)}: no {word!r} in\n{text}"
        return self

    def json(self):
        return json.loads(self.ok().out)


class Tool:
    """`keystore`: given with each command, unless it has options of its own for that."""

    def __init__(self, keystore=None, user=None):
        self.keystore = keystore
        self._user = user

    def run(self, *words, stdin="", env=None, secret_fd=None, timeout=60, keystore=True):
        """`secret_fd`: bytes that the tool can read from descriptor 9."""
        argv = [str(places.our_program("etcdseal")), *[str(w) for w in words]]
        if self.keystore and keystore:
            argv += ["--keystore", str(self.keystore)]
        prefix = []
        if self._user:
            prefix = ["setpriv", "--reuid", str(self._user[0]), "--regid", str(self._user[1]),
                      "--clear-groups", "--"]
        options = {}
        if secret_fd is not None:
            prefix = ["bash", "-c", 'exec 9<&"$0"; exec "$@"', *_pipe_with(secret_fd, options),
                      *prefix]
        try:
            done = subprocess.run(prefix + argv, input=stdin, capture_output=True, text=True,
                                  timeout=timeout, env=dict(os.environ) | (env or {}), **options)
        finally:
            for fd in options.get("pass_fds", ()):
                os.close(fd)
        return Ran(argv[:1] + [str(w) for w in words], done.returncode, done.stdout, done.stderr)

    # --- what most tests need ---------------------------------------------------------------------

    def init(self, *seals):
        words = ["init"]
        for seal in seals:
            words += ["--seal", seal]
        return self.run(*words).ok()

    def keys(self):
        return self.run("key", "list", "-o", "json").json()["keys"]

    def generation(self):
        return self.run("key", "list", "-o", "json").json()["generation"]

    def key_states(self):
        return {key["id"]: key["state"] for key in self.keys()}

    def primary(self):
        (key,) = [key["id"] for key in self.keys() if key["state"] == "primary"]
        return key

    def stage(self, *options):
        """The new key's id: all that the command prints on stdout."""
        out = self.run("key", "stage", *options).ok().out
        assert out == out.strip() + "\n" and "\n" not in out.strip(), f"not an id alone: {out!r}"
        return out.strip()

    def promote(self, key_id):
        self.run("key", "promote", key_id).ok()

    def rotate(self):
        """Stages and promotes a key. Returns its id."""
        key_id = self.stage()
        self.promote(key_id)
        return key_id


def _pipe_with(data, options):
    """A pipe that holds the data; its read end is passed on. Returns its number as a word."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    options["pass_fds"] = (read,)
    return [str(read)]
