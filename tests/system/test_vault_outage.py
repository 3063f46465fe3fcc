# SPDX-License-Identifier: Apache-2.0
"""OpenBao goes away for long, its key changes, its tokens are short: what the API server and those who
use it notice of it."""

import threading
import time

import pytest

from parts import places
from parts.apiserver import ApiError
from parts.client import Client
from parts.kms import Kms
from parts.process import wait_until
from parts.traffic import Traffic
from parts.vaulted import KEY, MOUNT, VaultedDaemon, VaultScenario, make_server

MODES = ("hierarchy", "direct")
OUTAGE = 600 if places.IS_LONG else 40
USUAL = {"poll": "10s"}  # as it is without being set, so that recovery is not quicker than usual


# --- the outage drill -----------------------------------------------------------------------------------


def begin(workspace, mode):
    scenario = VaultScenario(workspace, vault={"mode": mode} | USUAL)
    for do in (scenario.make_keystore, scenario.start_daemon, scenario.start_cluster):
        do()
    scenario.api.create_secret("before", "kept")
    return scenario


def restart_api(scenario, traffic, wait):
    traffic.pause()
    scenario.api.stop()
    scenario.api.start(wait)
    if wait:
        traffic.go_on()


def bring_back(scenario):
    """Seconds from the moment when OpenBao serves again to the one when all does."""
    scenario.bao.start()
    scenario.bao.unseal()
    began = time.monotonic()
    scenario.daemon.wait_service(seconds=15, state="serving", cause="none")
    wait_until("the API server reads and writes Secrets", lambda: reads_and_writes(scenario), 15)
    return time.monotonic() - began


def reads_and_writes(scenario):
    scenario.api.put_secret("before", "kept")
    return scenario.api.is_kms_healthy() and scenario.api.secret_value("before") == "kept"


def check_end(scenario, traffic, pid):
    assert scenario.daemon.process.pid == pid and scenario.daemon.process.is_alive
    scenario.restart_api()
    count = traffic.check_all()
    assert scenario.api.secret_value("before") == "kept"
    return count


@pytest.mark.timeout(1200)
def test_an_outage_in_mode_hierarchy(workspace):
    """Nobody notices, a restart of the API server included."""
    scenario = begin(workspace, "hierarchy")
    pid = scenario.daemon.process.pid
    with Traffic(scenario.api) as traffic:
        wait_until("there is traffic", lambda: min(traffic.counts()) > 100, 20)
        scenario.bao.kill()
        began, before = time.monotonic(), traffic.counts()
        scenario.daemon.wait_service(seconds=20, state="grace", cause="connect")
        time.sleep(OUTAGE / 2 - (time.monotonic() - began))
        restart_api(scenario, traffic, wait=True)
        time.sleep(max(5, OUTAGE - (time.monotonic() - began)))
        during = [now - then for now, then in zip(traffic.counts(), before)]
        assert scenario.daemon.service()["state"] == "grace"
        lasted = time.monotonic() - began
        took = bring_back(scenario)
        time.sleep(3)
    assert not traffic.failures, (len(traffic.failures), traffic.failures[:5])
    assert min(during) > 20 * OUTAGE, during
    count = check_end(scenario, traffic, pid)
    print(f"{during[0]} reads and {during[1]} writes in {lasted:.0f} s without OpenBao and with a "
          f"restart of kube-apiserver, none failed; all serves {took:.1f} s after it is back; {count} "
          "objects, none lost")


@pytest.mark.timeout(1200)
def test_an_outage_in_mode_direct(workspace):
    """What kube-apiserver has in its memory serves on; one that starts meanwhile reads and writes no
    Secret until OpenBao is back."""
    scenario = begin(workspace, "direct")
    api, pid = scenario.api, scenario.daemon.process.pid
    with Traffic(api) as traffic:
        wait_until("there is traffic", lambda: min(traffic.counts()) > 100, 20)
        scenario.bao.kill()
        began, before = time.monotonic(), traffic.counts()
        scenario.daemon.wait_service(seconds=20, state="grace", cause="connect")
        wait_until("kube-apiserver's check turns bad", lambda: not api.is_kms_healthy(), 60, 0.5)
        time.sleep(max(0, OUTAGE / 2 - (time.monotonic() - began)))
        during = [now - then for now, then in zip(traffic.counts(), before)]
        assert not traffic.failures, (len(traffic.failures), traffic.failures[:5])
        assert min(during) > 20 * OUTAGE / 2, during

        restart_api(scenario, traffic, wait=False)
        wait_until("kube-apiserver answers", lambda: api.health("/livez/ping")[0] == 200, 60)
        failed = 0
        while time.monotonic() - began < OUTAGE or failed < 5:
            for call, *words in ((api.secret_value, "before"), (api.put_secret, "before", "kept"),
                                 (api.create_secret, "new", "never made")):
                with pytest.raises(ApiError) as caught:
                    call(*words)
                assert caught.value.status >= 500, caught.value
                failed += 1
            assert not api.is_kms_healthy() and not api.is_ready()
            time.sleep(0.5)
        lasted = time.monotonic() - began
        took = bring_back(scenario)
        traffic.go_on()
        time.sleep(3)
    assert not traffic.failures, (len(traffic.failures), traffic.failures[:5])
    count = check_end(scenario, traffic, pid)
    print(f"{during[0]} reads and {during[1]} writes without OpenBao, none failed; then kube-apiserver "
          f"was restarted: {failed} of {failed} calls failed, {lasted:.0f} s in all; all serves "
          f"{took:.1f} s after it is back; {count} objects, none lost")


# --- rotation -------------------------------------------------------------------------------------------


def keep_reading(nodes, until, made, failures):
    """Each node encrypts, and the other one decrypts at once. `made`: one value of each node by key
    id."""
    connections = [Kms(node.socket) for node in nodes]
    while time.monotonic() < until:
        for writer, reader in (connections, reversed(connections)):
            try:
                wrapped = writer.encrypt(b"s" * 32)
                assert reader.unwrap(wrapped) == b"s" * 32
                made.setdefault(wrapped.key_id, {})[id(writer)] = wrapped
            except Exception as error:
                failures.append(repr(error))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_rotation_on_two_nodes(workspace, mode):
    """Under load on both: no key id goes back, both nodes use the same ones in the same order, and all
    is readable on both, at once and at the end."""
    seconds = 600 if places.IS_LONG else 24
    bao = make_server(workspace)
    times = {"mode": mode, "poll": "1s", "stability": "1s", "activation_delay": "3s"}
    nodes = [VaultedDaemon(workspace, bao, name=name, vault=times).start()
             for name in ("node-a", "node-b")]
    hammers = [Client().hammer(workspace, node.socket, seconds, workers=4) for node in nodes]
    made, failures = {}, []
    until = time.monotonic() + seconds - 2
    reader = threading.Thread(target=keep_reading, args=(nodes, until, made, failures))
    reader.start()
    rotations = 0
    while time.monotonic() < until - 7:
        version = bao.rotate(MOUNT, KEY)
        rotations += 1
        first, second = (node.wait_version(version) for node in nodes)
        assert first == second
    reader.join()
    found = [hammer.result() for hammer in hammers]
    for one in found:
        assert one["ok"] and one["regressions"] == 0 and one["failures"] == 0, one
        assert one["ids"] == list(made), "the same key ids in the same order"
    assert not failures, (len(failures), failures[:5])
    assert len(made) == rotations + 1
    for node in nodes:
        node.restart()
        with Kms(node.socket) as kms:
            for wrapped in (one for both in made.values() for one in both.values()):
                assert kms.unwrap(wrapped) == b"s" * 32
    print(f"mode {mode}: {rotations} rotations, {sum(one['calls'] for one in found)} calls, no key id "
          "went back, all values readable on both nodes")


# --- tokens ---------------------------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_short_tokens(workspace):
    """Tokens that live two seconds and can be renewed for six: no call fails, and there are no more
    logins and renewals than their lives ask for."""
    seconds = 600 if places.IS_LONG else 60
    bao = make_server(workspace, audit=True)
    knobs = {"token_ttl": "2s", "token_max_ttl": "6s"}
    nodes = [VaultedDaemon(workspace, bao, name=f"node-{mode}", vault={"mode": mode}, knobs=knobs)
             .start() for mode in MODES]
    connections = [Kms(node.socket) for node in nodes]
    calls, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for kms in connections:
            assert kms.status().healthz == "ok"
            kms.unwrap(kms.encrypt())
            calls += 3
        time.sleep(0.02)
    audited = bao.calls()
    logins, renewals = audited["auth/approle/login"], audited["auth/token/renew-self"]
    assert 2 * seconds / 6 <= logins <= 2 * seconds / 2, audited
    assert renewals <= 2 * seconds / 0.8, audited
    for node in nodes:
        assert not node.events("keys-failed") and not node.events("keys-warning")
        service = node.service()
        assert service["logins"] > 1 and service["renewals"] > 1
    print(f"{calls} calls in {seconds} s, none failed; {logins} logins and {renewals} renewals of two "
          "daemons")


@pytest.mark.sanitizer
def test_a_secret_id_revoked(workspace):
    """An alarm at once when a login fails, and what is cached goes on when the token has ended too."""
    bao = make_server(workspace)
    knobs = {"token_ttl": "6s", "token_max_ttl": "6s"}
    node = VaultedDaemon(workspace, bao, knobs=knobs).start()
    bao.revoke_secret_id(node.role, node.secret_id)
    with Kms(node.socket) as kms:
        wrapped = kms.encrypt()
        node.wait_service(login_cause="login", state="serving")
        told = node.wait_event("keys-warning")["cause"]
        assert "does not take this node's credential" in told and "new secret id" in told
        assert node.metrics()['etcdseal_key_service_login{cause="login"}'] == 1
        node.wait_service(state="grace", cause="login")
        assert kms.status().healthz == "ok"
        kms.unwrap(kms.encrypt())
        kms.unwrap(wrapped)
        node.write_secret_id(bao.secret_id(node.role))
        node.wait_service(state="serving", cause="none", login_cause="none")
        node.wait_event("keys-warning-over")
        kms.unwrap(wrapped)
