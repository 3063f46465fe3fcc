# SPDX-License-Identifier: Apache-2.0
"""The product's main job from the first key to a key change, an outage and restarts, as steps.

tools/demo shows them to people, test_scenario.py runs them with several API servers. A step returns
one line of proof and fails with an AssertionError.
"""

import re
import socket
import subprocess
import time

from . import places, stored
from .apiserver import ApiServer
from .daemon import Daemon, key_id_hash
from .etcd import Etcd
from .process import wait_until

MARKER = "plaintext-of-secret"  # stands in each value, so that a look into etcd can find it


class Scenario:
    def __init__(self, workspace, version="1.36", count=20):
        self.workspace = workspace
        self.version = version
        self.count = count
        self.values = {f"demo-{n:02}": f"{MARKER}-{n:02}" for n in range(count)}
        self.daemon = self.etcd = self.api = None
        self.first_key = self.second_key = None

    def steps(self):
        """(what happens, function that does it)"""
        return [
            ("make a keystore", self.make_keystore),
            ("start etcdseald", self.start_daemon),
            ("start etcd and kube-apiserver", self.start_cluster),
            ("create Secrets through the API", self.create_secrets),
            ("look at the raw bytes in etcd", self.check_stored),
            ("read them back through the API", self.check_values),
            ("stage and promote a new key", self.change_key),
            ("wait until kube-apiserver uses it", self.wait_for_key),
            ("rewrite the Secrets (no-op updates)", self.rewrite),
            ("look at etcd again: the key id has changed", self.check_stored),
            ("restart etcdseald", self.restart_daemon),
            ("restart kube-apiserver", self.restart_api),
            ("read again with empty caches", self.check_decrypted),
            ("kill -9 etcdseald: cached reads go on", self.check_outage),
            ("start it again: writes go on", self.check_recovery),
        ]

    def stored(self):
        return {name: stored.parse(value) for name, value in self._raw().items()}

    def _raw(self):
        prefix = f"/registry/secrets/{ApiServer.secret_path('x').split('/')[4]}/"
        return {key.removeprefix(prefix): value for key, value in self.etcd.values(prefix).items()
                if key.removeprefix(prefix) in self.values}

    def _current(self):
        return self.second_key or self.first_key

    def how_to_see_keys(self):
        """A line for people, when everything goes on running."""
        return f"            {places.our_program('etcdseal')} key list --keystore {self.daemon.keystore}"

    # --- steps ------------------------------------------------------------------------------------

    def make_keystore(self):
        self.daemon = Daemon(self.workspace)
        self.first_key = self.daemon.tool.primary()
        return f"{self.daemon.keystore}, primary key {self.first_key}"

    def start_daemon(self):
        began = time.monotonic()
        self.daemon.start()
        took = (time.monotonic() - began) * 1000
        assert self.daemon.current_key() == self.first_key
        return f"ready after {took:.0f} ms, answers on {self.daemon.socket}"

    def start_cluster(self):
        began = time.monotonic()
        self.etcd = Etcd(self.workspace)
        config = self.daemon.write_encryption_config()
        self.api = ApiServer(self.workspace, self.etcd, config, self.version)
        version = self.api.get("/version")["gitVersion"]
        return f"kube-apiserver {version} is ready after {time.monotonic() - began:.1f} s"

    def create_secrets(self):
        began = time.monotonic()
        self.api.in_parallel(lambda row: self.api.create_secret(*row), self.values.items())
        return f"{self.count} created in {time.monotonic() - began:.1f} s"

    def check_stored(self):
        """Every value is ours, under the current key, and shows nothing."""
        raw = self._raw()
        assert len(raw) == self.count, f"{len(raw)} of {self.count} in etcd"
        for name, value in raw.items():
            assert MARKER.encode() not in value, f"{name}: plaintext in etcd"
            key_id = stored.parse(value).key_id
            assert key_id == self._current(), f"{name}: stored under {key_id}"
        shown = re.sub(rb"[^ -~]", b".", next(iter(raw.values())))[:72].decode()
        return f"{len(raw)} of {len(raw)} under {self._current()}, no plaintext: {shown}..."

    def check_values(self):
        values = {k: v for k, v in self.api.secrets().items() if k in self.values}
        assert values == self.values, "values came back changed"
        return f"{len(values)} of {self.count} equal"

    def change_key(self):
        self.second_key = self.daemon.tool.stage()
        assert self.daemon.current_key() == self.first_key, "a staged key must not be used"
        self.daemon.tool.promote(self.second_key)
        took = self.daemon.wait_key(self.second_key)
        return f"{self.second_key} is primary, etcdseald serves it after {took * 1000:.0f} ms"

    def wait_for_key(self):
        began = time.monotonic()
        seen = key_id_hash(self.second_key)

        def uses_it():
            self.api.is_kms_healthy()  # the health check is what makes it ask
            return self.api.has_seen_key(seen)

        wait_until("kube-apiserver reports the new key id", uses_it, 90, every=0.5)
        wait_until("its KMS check is good", self.api.is_kms_healthy, 30, every=0.5)
        return f"after {time.monotonic() - began:.0f} s its metrics show {seen[:23]}..."

    def rewrite(self):
        versions = self.api.in_parallel(self.api.rewrite_secret, self.values)
        written = sum(before != after for before, after in versions)
        assert written == self.count, f"{written} of {self.count} were written"
        return f"{written} of {self.count} were stale and were written again"

    def restart_daemon(self):
        self.daemon.restart()
        wait_until("kube-apiserver's KMS check is good", self.api.is_kms_healthy, 30, every=0.2)
        return f"pid {self.daemon.process.pid}, ready; the KMS check of kube-apiserver is good"

    def restart_api(self):
        began = time.monotonic()
        self.api.stop()
        self.api.start()
        return f"ready after {time.monotonic() - began:.1f} s"

    def check_decrypted(self):
        self.check_values()
        calls = self._decrypts()
        assert calls > 0, "kube-apiserver read the Secrets without asking etcdseald"
        return f"{self.count} of {self.count} equal, {calls:.0f} Decrypt calls reached etcdseald"

    def _decrypts(self):
        return self.daemon.metrics()['etcdseal_requests_total{method="Decrypt",code="OK"}']

    def check_outage(self):
        """Until kube-apiserver itself has noticed: it remembers a good check for 20 s."""
        self.daemon.kill()
        began, reads, is_noticed = time.monotonic(), 0, False
        while not is_noticed or time.monotonic() - began < 3:
            assert time.monotonic() - began < 60, "kube-apiserver does not notice"
            with socket.socket(socket.AF_UNIX) as s:
                assert s.connect_ex(str(self.daemon.socket)) != 0, "somebody answers"
            self.check_values()
            reads += self.count
            is_noticed = not self.api.is_kms_healthy()
        return (f"{reads} reads in {time.monotonic() - began:.0f} s without etcdseald, all equal; "
                "the KMS check of kube-apiserver has turned bad")

    def check_recovery(self):
        began = time.monotonic()
        self.daemon.start()
        wait_until("kube-apiserver's KMS check is good", self.api.is_kms_healthy, 60, every=0.2)
        took = time.monotonic() - began
        self.values["after-outage"] = f"{MARKER}-after-outage"
        self.count += 1
        self.api.create_secret("after-outage", self.values["after-outage"])
        self.check_values()
        self.check_stored()
        return f"good again after {took:.1f} s, a new Secret was stored and read"


def program_version(path, *words):
    """First line of what PROGRAM --version prints."""
    done = subprocess.run([path, *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
