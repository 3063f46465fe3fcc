# SPDX-License-Identifier: Apache-2.0
"""What the tests of etcdseal share: the program, a keystore in a temporary folder, a fake daemon.

The program is taken from $ETCDSEAL_TEST_BIN, else from the release build. Run as root, they test
more (folders of other users, systemd credentials)."""

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_daemon import FakeDaemon

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = b"correct horse battery"


def program():
    folder = Path(os.environ.get("ETCDSEAL_TEST_BIN") or ROOT / "build" / "release" / "bin")
    path = (ROOT / folder / "etcdseal").absolute()
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is missing: build it, or set ETCDSEAL_TEST_BIN")
    return str(path)


def pages():
    """What is made from the tables of the programs, beside them in the build tree."""
    return Path(program()).parents[1] / "pages"


def fingerprint(folder):
    """Everything in a folder: names, kinds, owners, modes and contents."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        st = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, hashlib.sha256(content).hexdigest())
    return found


@dataclass
class Ran:
    words: list
    code: int
    out: str
    err: str

    def told(self):
        return f"{' '.join(map(str, self.words))}: exit code {self.code}\n{self.out}{self.err}"

    def ok(self):
        assert self.code == 0, self.told()
        assert "etcdseal: " not in self.err, self.told()
        return self

    def refused(self, code, *words):
        """One line that says why, and nothing on standard output."""
        assert self.code == code, f"expected {code}: {self.told()}"
        lines = [line for line in self.err.splitlines() if line.startswith("etcdseal: ")]
        assert len(lines) == 1, self.told()
        for word in words:
            assert word in lines[0], f"no {word!r}: {self.told()}"
        return self

    def json(self):
        return json.loads(self.ok().out)


class Tool:
    """etcdseal with a configuration of its own, in `folder`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.store = self.folder / "store"
        self.keystore = self.store / "keystore"
        self.key_file = self.folder / "boot.key"
        self.config = self.folder / "etcdseald.yaml"
        self.status_socket = self.folder / "status.sock"
        self.prefix = []
        self.configure()

    def configure(self, more=""):
        self.config.write_text(f"socket: {{ path: {self.folder}/kms.sock }}\n"
                               f"keystore:\n  path: {self.keystore}\n{more}")
        self.config.chmod(0o644)

    def run(self, *words, secret=None, env=None, config=True, timeout=60):
        """`secret`: bytes to be read from descriptor 9. There is no terminal."""
        argv = [*self.prefix, program(), *map(str, words)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCDSEAL_CONFIG")}
        if config:
            environment["ETCDSEAL_CONFIG"] = str(self.config)
        environment |= env or {}
        options = {}
        if secret is not None:
            read, write = os.pipe()
            os.write(write, secret)
            os.close(write)
            argv = ["bash", "-c", f'exec 9<&{read}; exec "$@"', "bash", *argv]
            options["pass_fds"] = (read,)
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, env=environment, start_new_session=True,
                                  **options)
        finally:
            for fd in options.get("pass_fds", ()):
                os.close(fd)
        return Ran(list(words), done.returncode, done.stdout, done.stderr)

    def unchanged(self, *words, **options):
        """Runs what must change nothing, neither in the keystore's folder nor beside it."""
        before = fingerprint(self.folder)
        ran = self.run(*words, **options)
        assert fingerprint(self.folder) == before, f"something changed: {ran.told()}"
        return ran

    # --- what most tests need -----------------------------------------------------------------

    def init(self, *more, **options):
        return self.run("init", "--seal", f"boot=file:{self.key_file}", *more, **options).ok()

    def init_two(self):
        """Slots boot (key file) and ops (passphrase)."""
        return self.init("--seal", "ops=passphrase:fd=9", "--passphrase-cost", "min",
                         secret=PASSPHRASE)

    def listing(self):
        return self.run("key", "list", "-o", "json").json()

    def keys(self):
        return {key["id"]: key for key in self.listing()["keys"]}

    def states(self):
        return {key_id: key["state"] for key_id, key in self.keys().items()}

    def key_in(self, state):
        (key_id,) = [key_id for key_id, is_in in self.states().items() if is_in == state]
        return key_id

    def generation(self):
        return self.listing()["generation"]

    def stage(self, *more):
        out = self.run("key", "stage", *more).ok().out
        assert out.count("\n") == 1 and out.endswith("\n"), f"not an id alone: {out!r}"
        return out.strip()

    def rotate(self):
        """Stages and promotes; returns the ids of the retired and the primary key."""
        old, new = self.key_in("primary"), self.stage()
        self.run("key", "promote", new).ok()
        return old, new


@pytest.fixture
def tool():
    """In a folder that other users may pass through, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="etcdseal-") as folder:
        os.chmod(folder, 0o711)
        yield Tool(folder)


@pytest.fixture
def store(tool):
    """With a keystore of one slot and one key."""
    tool.init()
    return tool


@pytest.fixture
def two(tool):
    """With a keystore of two slots."""
    tool.init_two()
    return tool


@pytest.fixture
def daemon(store):
    """A fake daemon that serves the store's keystore and has seen no Decrypt."""
    with FakeDaemon(store.status_socket, store.listing()) as fake:
        yield fake


IS_STRICT = bool(os.environ.get("ETCDSEAL_TEST_STRICT"))  # tools/test: nothing is skipped
needs_root = pytest.mark.skipif(os.geteuid() != 0 and not IS_STRICT, reason="needs root")
