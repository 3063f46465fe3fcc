# SPDX-License-Identifier: Apache-2.0
"""A keystore that the C programs make and change, for tests of the reader."""

import json
import os
import subprocess
from pathlib import Path

from keystore_reader import Opened

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = b"correct horse battery staple"


def program(name):
    """From $ETCDSEAL_TEST_BIN, else from the development build."""
    folder = Path(os.environ.get("ETCDSEAL_TEST_BIN") or ROOT / "build" / "dev" / "bin")
    path = (ROOT / folder / name).absolute()
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is missing: build it, or set ETCDSEAL_TEST_BIN")
    return str(path)


class Store:
    """Slot boot opens with boot.key in `folder`, the keystore is `folder`/store/keystore."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.keystore = self.folder / "store" / "keystore"
        self.accepted = self.folder / "store" / "keystore.accepted"
        self.key_file = self.folder / "boot.key"

    def run(self, *words, env=None):
        argv = [program("etcdseal"), "--keystore", str(self.keystore), *map(str, words)]
        environment = {k: v for k, v in os.environ.items() if k != "ETCDSEAL_CONFIG"}
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=60, env=environment | (env or {}))
        assert done.returncode == 0, f"{words}: exit code {done.returncode}\n{done.stderr}"
        return done.stdout

    def init(self, *more, env=None):
        self.run("init", "--seal", f"boot=file:{self.key_file}", *more, env=env)
        return self

    def add_key(self, suite="xaes-256-gcm"):
        return self.run("key", "stage", "--suite", suite).strip()

    def promote(self, key_id):
        self.run("key", "promote", key_id)

    def rotate(self, suite="xaes-256-gcm"):
        key_id = self.add_key(suite)
        self.promote(key_id)
        return key_id

    def gated(self, verb, key_id, *more):
        """Commands that ask for the key id once more, and the daemon; there is none here."""
        self.run("key", verb, key_id, "--confirm", key_id, "--without-daemon", *more)

    def listed(self):
        return json.loads(self.run("key", "list", "-o", "json"))

    def primary(self):
        (key_id,) = [key["id"] for key in self.listed()["keys"] if key["state"] == "primary"]
        return key_id

    def wrap(self, seed):
        """(key id, wrapped bytes), as the daemon would answer."""
        done = subprocess.run([program("wrap_seed"), str(self.keystore), seed.hex()],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        key_id, wrapped = done.stdout.split()
        return key_id, bytes.fromhex(wrapped)

    def open(self, slot="boot", kind="file", path=None, data=None):
        """With the reader."""
        content = (path or self.key_file).read_bytes()
        return Opened(self.keystore.read_bytes() if data is None else data, slot, kind, content)
