# SPDX-License-Identifier: Apache-2.0
"""The main job with real API servers: what tools/demo shows, as tests, and what goes beyond it."""

import hashlib
import json
import re
import time

import pytest

from parts import places, stored
from parts.apiserver import ApiError, ApiServer
from parts.daemon import Daemon, key_id_hash
from parts.etcd import Etcd
from parts.process import wait_until
from parts.scenario import Scenario

SECRETS = "/registry/secrets/default/"


class Cluster:
    """An etcd and one API server with our daemon behind it."""

    def __init__(self, workspace, daemon, version="1.36"):
        self.daemon = daemon
        self.etcd = Etcd(workspace)
        self.config = daemon.write_encryption_config()
        self.api = ApiServer(workspace, self.etcd, self.config, version)

    def stored(self, name):
        return stored.parse(self.etcd.value(SECRETS + name))

    def rotate(self):
        """A new key that the API server writes with."""
        key_id = self.daemon.tool.rotate()
        self.wait_key(key_id)
        return key_id

    def wait_key(self, key_id, api=None):
        api = api or self.api
        wait_until("the API server has seen the key",
                   lambda: api.is_kms_healthy() and api.has_seen_key(key_id_hash(key_id)), 90, 0.5)


@pytest.fixture
def cluster(workspace, daemon):
    return Cluster(workspace, daemon)


@pytest.mark.parametrize("version", ["1.36", "1.31"])
def test_scenario(workspace, version):
    for what, step in Scenario(workspace, version).steps():
        print(f"{what}: {step()}")


@pytest.mark.alone
def test_two_thousand_secrets(workspace, cluster):
    """Created, read with empty caches, rewritten after a key change: few calls for many objects."""
    count = 2000
    api, daemon = cluster.api, cluster.daemon
    first = daemon.tool.primary()
    values = {f"many-{n:04}": f"value {n}" for n in range(count)}
    api.in_parallel(lambda row: api.create_secret(*row), values.items())
    raw = cluster.etcd.values(SECRETS)
    assert len(raw) == count
    assert {stored.parse(value).key_id for value in raw.values()} == {first}
    assert len({stored.parse(value).wrapped_seed for value in raw.values()}) == 1, "one seed"

    before = decrypts(daemon)
    api.stop()
    api.start()
    assert api.secrets() == values
    assert 1 <= decrypts(daemon) - before <= 50, "one distinct seed: a handful of calls"

    assert {before == after for before, after in
            api.in_parallel(api.rewrite_secret, list(values)[:100])} == {True}, "nothing is stale"
    second = cluster.rotate()
    changed = api.in_parallel(api.rewrite_secret, values)
    assert sum(before != after for before, after in changed) == count
    raw = cluster.etcd.values(SECRETS)
    assert {stored.parse(value).key_id for value in raw.values()} == {second}
    assert api.secrets() == values


def decrypts(daemon):
    return daemon.metrics()['etcdseal_requests_total{method="Decrypt",code="OK"}']


def test_two_api_servers_on_one_etcd(workspace, cluster):
    """Each has seeds of its own and reads what the other wrote, before and after a key change."""
    one = cluster.api
    two = ApiServer(workspace, cluster.etcd, cluster.config, name="second", node="node-b")
    one.create_secret("from-one", "1")
    two.create_secret("from-two", "2")
    assert (one.secret_value("from-two"), two.secret_value("from-one")) == ("2", "1")
    assert cluster.stored("from-one").wrapped_seed != cluster.stored("from-two").wrapped_seed

    key_id = cluster.daemon.tool.rotate()
    cluster.wait_key(key_id, one)
    cluster.wait_key(key_id, two)
    one.rewrite_secret("from-two")
    two.rewrite_secret("from-one")
    assert cluster.stored("from-one").key_id == cluster.stored("from-two").key_id == key_id
    assert (one.secret_value("from-one"), two.secret_value("from-two")) == ("1", "2")
    leases = one.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?labelSelector="
                     "apiserver.kubernetes.io/identity=kube-apiserver")["items"]
    assert len(leases) == 2, "two identities"
    for api in (one, two):
        ids = {label for (name, labels), _ in api.metrics().items() if "key_id_hash" in name
               for label in re.findall(r'apiserver_id_hash="([^"]*)"', labels)}
        hashes = {"sha256:" + hashlib.sha256(lease["metadata"]["name"].encode()).hexdigest()
                  for lease in leases}
        assert len(ids) == 1 and ids < hashes


def test_two_daemons_with_one_keystore(workspace, cluster):
    """Two nodes, each with its own daemon; the keystore is the same file on both."""
    other = Daemon(workspace, "node-b", keystore=False)
    other.keystore = cluster.daemon.keystore
    other.config["keystore"]["path"] = str(other.keystore)
    other.config_path = other.write_config()
    other.start()
    config = other.write_encryption_config("enc-b.yaml")
    two = ApiServer(workspace, cluster.etcd, config, name="second", node="node-b")
    cluster.api.create_secret("shared", "x")
    assert two.secret_value("shared") == "x"
    key_id = cluster.rotate()
    cluster.wait_key(key_id, two)
    two.rewrite_secret("shared")
    assert cluster.stored("shared").key_id == key_id
    assert cluster.api.secret_value("shared") == "x"


@pytest.mark.timeout(900)
def test_restart_storm(cluster):
    """The daemon goes away and comes back again and again, politely and not, while the API server
    works: no read fails, no write is lost, and all is well at the end."""
    api, daemon = cluster.api, cluster.daemon
    values = {}
    for turn in range(200 if places.IS_LONG else 12):
        name = f"storm-{turn}"
        api.create_secret(name, name)
        values[name] = name
        daemon.kill() if turn % 2 else daemon.stop()
        assert api.secrets() == values
        api.rewrite_secret(name)
        daemon.start()
    wait_until("the KMS check is good", api.is_kms_healthy, 60, 0.5)
    api.stop()
    api.start()
    assert api.secrets() == values


@pytest.mark.timeout(900)
def test_api_server_restart_storm(cluster):
    turns = 40 if places.IS_LONG else 4
    api, values = cluster.api, {}
    for turn in range(turns):
        name = f"turn-{turn}"
        api.create_secret(name, name)
        values[name] = name
        api.stop()
        api.start()
        assert api.secrets() == values
    seeds = {stored.parse(v).wrapped_seed for v in cluster.etcd.values(SECRETS).values()}
    assert len(seeds) == turns, "one seed for each life"


def test_api_server_without_plugin(workspace, idle_daemon):
    """It starts, is not ready, reads nothing; it recovers by itself when the daemon comes."""
    etcd = Etcd(workspace)
    config = idle_daemon.write_encryption_config()
    api = ApiServer(workspace, etcd, config, wait=False)
    wait_until("it listens", lambda: api.health("/livez")[0] == 200, 60, 0.5, api.process)
    assert api.health("/readyz/kms-providers")[0] == 500
    status, _ = api.call("GET", api.secret_path("nothing"))
    assert status in (404, 500)
    idle_daemon.start()
    api.wait_ready(150)
    api.create_secret("late", "x")
    assert api.secret_value("late") == "x"


def test_health_endpoints(cluster):
    """/livez does not depend on us; /readyz does, and names us without details."""
    api, daemon = cluster.api, cluster.daemon
    for path in ("/livez", "/readyz", "/healthz", "/readyz/kms-providers"):
        assert api.health(path)[0] == 200, path
    daemon.kill()
    wait_until("the KMS check is bad", lambda: not api.is_kms_healthy(), 60, 0.5)
    assert api.health("/readyz")[0] == 500 and "kms-providers failed" in api.health("/readyz")[1]
    assert api.health("/livez")[0] == 200
    assert api.health("/readyz?exclude=kms-providers")[0] == 200
    daemon.start()
    wait_until("the KMS check is good", api.is_kms_healthy, 60, 0.5)
    assert api.health("/readyz")[0] == 200


def test_sealed_daemon_in_the_health_check(workspace, cluster):
    """A sealed daemon answers Status with an error: the check shows our sentence, nothing more."""
    api, daemon = cluster.api, cluster.daemon
    daemon.stop()
    daemon.keystore.rename(workspace.path("moved"))
    daemon.start(wait="socket")
    wait_until("the KMS check is bad", lambda: not api.is_kms_healthy(), 60, 0.5)
    text = wait_until("it shows our answer", lambda: [t for t in [
        api.health("/readyz/kms-providers")[1]] if "sealed" in t], 60, 0.5)[0]
    assert str(daemon.keystore) not in text
    workspace.path("moved").rename(daemon.keystore)
    daemon.wait_ready(40)
    wait_until("the KMS check is good", api.is_kms_healthy, 60, 0.5)


def test_metrics_join(cluster):
    """Its metrics and ours name the key by the same hash."""
    api, daemon = cluster.api, cluster.daemon
    first = key_id_hash(daemon.tool.primary())
    api.create_secret("a", "x")
    assert api.has_seen_key(first) and api.writes_with_key(first) >= 1
    assert daemon.metrics()[f'etcdseal_current_key_id_hash{{key_id_hash="{first}"}}'] == 1
    second = key_id_hash(cluster.rotate())
    api.create_secret("b", "x")
    wait_until("values are counted under the new key", lambda: api.writes_with_key(second) >= 1)
    assert f'etcdseal_current_key_id_hash{{key_id_hash="{second}"}}' in daemon.metrics()
    assert not any(name.endswith("invalid_key_id_from_status_total")
                   for (name, _), value in api.metrics().items() if value)


def test_at_most_one_failed_probe_for_each_change(cluster):
    """Status and Encrypt of one probe may fall on both sides of a change; never more than once. The
    API server shows a failure for 3 s, so that looking twice a second misses none, and names the
    probe in it. (test_load.py makes probes fast enough to fall there.)"""
    api, daemon = cluster.api, cluster.daemon
    failed = set()

    def is_healthy():
        status, text = api.health("/readyz/kms-providers")
        if status != 200:
            failed.update(re.findall(r'failed to rotate DEK uid="([^"]+)"', text) or [text])
        return status == 200

    for _ in range(2):
        failed.clear()
        key_id = daemon.tool.rotate()
        wait_until("the API server has seen the key", lambda: is_healthy() and
                   api.has_seen_key(key_id_hash(key_id)), 90, 0.5)
        assert len(failed) <= 1, failed
    failed.clear()
    daemon.kill()
    wait_until("the KMS check is bad", lambda: not is_healthy(), 60, 0.5)
    assert failed, "a failed probe is seen"


def test_no_op_update_writes_only_what_is_stale(cluster):
    api = cluster.api
    api.create_secret("a", "x")
    before, after = api.rewrite_secret("a")
    assert before == after
    cluster.rotate()
    before, after = api.rewrite_secret("a")
    assert before != after
    before, after = api.rewrite_secret("a")
    assert before == after, "once"


def test_staged_key_changes_nothing(cluster):
    api, daemon = cluster.api, cluster.daemon
    first = daemon.tool.primary()
    daemon.tool.stage()
    time.sleep(3)
    api.create_secret("a", "x")
    assert cluster.stored("a").key_id == first


def test_plaintext_is_encrypted_when_encryption_is_turned_on(workspace, cluster):
    """The first sample's way: what was plaintext is read, and encrypted by a rewrite."""
    api = cluster.api
    off = workspace.write("off.yaml", json.dumps({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"identity": {}}]}]}))
    without = ApiServer(workspace, cluster.etcd, off, name="without", node="node-b")
    without.create_secret("old", "in-the-clear")
    without.stop()
    assert b"in-the-clear" in cluster.etcd.value(SECRETS + "old")
    assert api.secret_value("old") == "in-the-clear"
    before, after = api.rewrite_secret("old")
    assert before != after
    assert b"in-the-clear" not in cluster.etcd.value(SECRETS + "old")
    assert cluster.stored("old").key_id == cluster.daemon.tool.primary()
    assert api.secret_value("old") == "in-the-clear"


def test_values_cannot_be_moved_or_forged(workspace, cluster):
    """Who can write to etcd can't move a value to another name, nor change a bit of it."""
    api, etcd = cluster.api, cluster.etcd
    api.create_secret("mine", "my-value")
    good = etcd.value(SECRETS + "mine")
    etcd.put(SECRETS + "yours", good)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    etcd.put(SECRETS + "flipped", bytes(flipped))
    for name in ("yours", "flipped"):
        with pytest.raises(ApiError) as refused:
            api.get(api.secret_path(name))
        assert refused.value.status == 500 and "my-value" not in refused.value.body
    for name in ("yours", "flipped"):
        etcd.put(SECRETS + name, good.replace(b"k8s:enc:kms:v2:etcdseal:", b"k8s:enc:kms:v2:other:"))
        assert api.call("GET", api.secret_path(name))[0] == 500
    assert api.secret_value("mine") == "my-value"


def test_only_kms_sample_refuses_plaintext(workspace, daemon):
    """The end state: plaintext that somebody puts into etcd is not believed."""
    etcd = Etcd(workspace)
    config = daemon.write_encryption_config(sample="secrets-3.yaml")
    api = ApiServer(workspace, etcd, config)
    api.create_secret("a", "x")
    assert stored.parse(etcd.value(SECRETS + "a")).key_id == daemon.tool.primary()
    etcd.put(SECRETS + "planted", b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x0b\n\t\n\x07planted")
    assert api.call("GET", api.secret_path("planted"))[0] == 500


def test_config_maps_sample(workspace, daemon):
    etcd = Etcd(workspace)
    config = daemon.write_encryption_config(sample="secrets-configmaps-2.yaml")
    api = ApiServer(workspace, etcd, config)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"password": "in-a-configmap"}}
    assert api.call("POST", "/api/v1/namespaces/default/configmaps", body)[0] == 201
    value = etcd.value("/registry/configmaps/default/a")
    assert b"in-a-configmap" not in value
    assert stored.parse(value).key_id == daemon.tool.primary()
