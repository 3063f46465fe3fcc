# SPDX-License-Identifier: Apache-2.0
"""etcdseal vault plan: what it says is needed, beside what a real etcd holds under which key id."""

import collections
import json
import subprocess

from parts import places, stored
from parts.vaulted import KEY, MOUNT, VaultScenario


class Planned(VaultScenario):
    def snapshot(self, name):
        path = self.workspace.path(name)
        subprocess.run([places.real_part("etcdctl"), "--endpoints", self.etcd.url, "snapshot", "save", path],
                       check=True, capture_output=True)
        return path

    def plan(self, *words, later=None):
        """Rows by version, and the document. `later`: as if so much time had passed."""
        argv = [places.our_program("etcdseal"), "vault", "plan", "--config", self.daemon.config_path,
                "-o", "json", *words]
        prefix = ["faketime", "-f", later] if later else []
        done = subprocess.run([str(word) for word in prefix + argv], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return {row["version"]: row for row in found["versions"]}, found

    def counted(self):
        """How many lie in etcd under each key id, by a reader of our own."""
        parsed = [stored.parse(value) for value in self.etcd.values("/registry/secrets/").values()]
        return collections.Counter(one.key_id for one in parsed)


def test_plan(workspace):
    s = Planned(workspace)
    s.make_keystore()
    s.start_daemon()
    s.start_cluster()
    s.create_secrets()
    rows, found = s.plan()
    assert rows[1]["state"] == "primary" and rows[1]["needed"] == "yes" and found["may_rise_to"] is None
    s.change_key()
    s.wait_for_key()

    # Half way: what was written before still needs version 1.
    before = s.snapshot("before")
    rows, found = s.plan("--snapshot", before, later="+10m")
    assert {rows[n]["key_id"]: rows[n]["values"] for n in rows} == dict(s.counted()) | {s.second_key: 0}
    assert rows[1]["key_id"] == s.first_key and rows[1]["needed"] == "yes"
    assert found["may_rise_to"] is None and found["min_decryption_version"] == 1

    # Rewritten, and the daemon has not been asked for version 1 since it started.
    s.rewrite()
    after = s.snapshot("after")
    s.daemon.restart()
    rows, found = s.plan("--snapshot", after)
    assert rows[1]["needed"] == "no" and rows[1]["values"] == 0 and rows[2]["values"] == s.count
    assert found["may_rise_to"] is None and "five minutes" in found["why"]
    rows, found = s.plan("--snapshot", after, later="+10m")
    assert found["may_rise_to"] == 2, found
    rows, found = s.plan(later="+10m")
    assert rows[1]["needed"] == "unknown" and found["may_rise_to"] is None
    rows, found = s.plan("--snapshot", before, later="+10m")
    assert rows[1]["needed"] == "yes" and found["may_rise_to"] is None, "an older backup needs it"

    # Raised as it said: all is readable, and the version stays in the list.
    s.bao.set_config(MOUNT, KEY, min_decryption_version=2)
    s.daemon.wait_service(min_decryption_version=2)
    s.restart_api()
    s.check_decrypted()
    rows, found = s.plan("--snapshot", after, later="+10m")
    assert rows[1]["state"] == "below minimum" and found["may_rise_to"] is None
    # After a restart nobody knows it any more, but the older snapshot has values under it.
    s.daemon.restart()
    rows, found = s.plan("--snapshot", before, later="+10m")
    assert set(rows) == {2} and found["strange_values"] == s.count and found["may_rise_to"] is None
