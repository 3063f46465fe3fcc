# SPDX-License-Identifier: Apache-2.0
"""The production client: k8s.io/apiserver's KMS code, driven by tests/real/kms-client."""

import base64
import json
import subprocess

from . import places

VERSIONS = ("0.36", "0.31", "0.29")


class Client:
    def __init__(self, version="0.36"):
        self.program = places.real_part(f"kms-client-{version}")

    def run(self, command, stdin="", timeout=120, **flags):
        """The results, one for each line on stdout, and whether all was as expected."""
        words = [self.program, command]
        for name, value in flags.items():
            words += [f"--{name.replace('_', '-')}={value}"]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert rows, f"kms-client {command}: nothing on stdout\n{done.stderr[-2000:]}"
        return rows, done.returncode == 0

    def ok(self, command, **options):
        """The one result of a command that must succeed."""
        rows, is_ok = self.run(command, **options)
        assert is_ok, f"kms-client {command}: {json.dumps(rows[-1], indent=1)}"
        return rows[-1]

    def fails(self, command, **options):
        """The text with which a command must fail."""
        rows, is_ok = self.run(command, **options)
        assert not is_ok, f"kms-client {command} did not fail: {rows[-1]}"
        return rows[-1].get("error") or json.dumps(rows[-1])

    def hammer(self, workspace, socket, seconds, workers=32, allow_errors=False):
        """Runs in the background; .result() of what comes back waits for it."""
        words = [self.program, "hammer", f"--socket={socket}", f"--seconds={seconds}",
                 f"--workers={workers}"] + (["--allow-errors"] if allow_errors else [])
        return Background(workspace.start("hammer", words), seconds)


class Background:
    def __init__(self, process, seconds):
        self.process = process
        self._seconds = seconds

    def result(self):
        self.process.wait(self._seconds + 30)
        return json.loads(self.process.log().splitlines()[-1])


class KeyChange:
    """`kms-client keychange`: one loaded configuration that obeys, as a running API server."""

    def __init__(self, version, config, wait="10s"):
        self._popen = subprocess.Popen(
            [places.real_part(f"kms-client-{version}"), "keychange", f"--config={config}",
             f"--wait={wait}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.opened = json.loads(self._popen.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.stdin.close()
        self._popen.wait(10)
        self._popen.stdout.close()

    def tell(self, *words):
        """The answer, whatever it is."""
        self._popen.stdin.write(" ".join(words) + "\n")
        self._popen.stdin.flush()
        return json.loads(self._popen.stdout.readline())

    def ok(self, *words):
        answer = self.tell(*words)
        assert answer["ok"], f"{words[0]}: {answer}"
        return answer

    def write(self, path):
        answer = self.ok("write", path)
        return answer["key_id"], answer["value"]

    def read(self, path, value):
        """Whether the value is stale."""
        return self.ok("read", path, value)["stale"]

    def is_healthy(self):
        return self.tell("health")["ok"]


def b64(data):
    return base64.b64encode(data).decode()
