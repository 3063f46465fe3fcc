# SPDX-License-Identifier: Apache-2.0
"""The provider vault with a real OpenBao: both modes, versions, several nodes."""

import grpc
import pytest

from parts.daemon import key_id_hash
from parts.kms import Kms, check_refused
from parts.process import wait_until
from parts.scenario import Scenario
from parts.vaulted import KEY, MOUNT, VaultedDaemon, VaultScenario, make_server

MODES = ("hierarchy", "direct")


@pytest.fixture
def bao(workspace):
    return make_server(workspace)


@pytest.mark.parametrize("mode", MODES)
def test_the_main_job(workspace, mode):
    """The scenario of the local keystore, step by step, with a real kube-apiserver."""
    scenario = VaultScenario(workspace, vault={"mode": mode})
    for what, do in scenario.steps():
        print(what, "->", do())


@pytest.mark.parametrize("mode", MODES)
def test_encrypt_decrypt_status(workspace, bao, mode):
    daemon = VaultedDaemon(workspace, bao, vault={"mode": mode}).start()
    with Kms(daemon.socket) as kms:
        status = kms.status()
        assert status.healthz == "ok" and status.key_id.startswith("esv1-")
        wrapped = kms.encrypt(b"k" * 32)
        assert wrapped.key_id == status.key_id
        assert set(wrapped.annotations) == ({"kek.etcdseal.internal"} if mode == "hierarchy" else set())
        assert kms.unwrap(wrapped) == b"k" * 32
    service = daemon.service()
    assert (service["mode"], service["state"], service["cause"]) == (mode, "serving", "none")
    assert daemon.metrics()['etcdseal_key_service_state{state="serving",cause="none"}'] == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_rotation_keeps_all_readable(workspace, bao, mode):
    daemon = VaultedDaemon(workspace, bao, vault={"mode": mode}).start()
    with Kms(daemon.socket) as kms:
        made = [kms.encrypt()]
        for _ in range(3):
            daemon.wait_version(bao.rotate(MOUNT, KEY))
            made.append(kms.encrypt())
        assert len({wrapped.key_id for wrapped in made}) == 4
    daemon.restart()
    with Kms(daemon.socket) as kms:
        for wrapped in made:
            kms.unwrap(wrapped)


def test_two_nodes_have_the_same_key_ids(workspace, bao):
    one = VaultedDaemon(workspace, bao, name="node-a").start()
    two = VaultedDaemon(workspace, bao, name="node-b", vault={"mode": "direct"}).start()
    assert one.current_key() == two.current_key()
    with Kms(one.socket) as a, Kms(two.socket) as b:
        from_a, from_b = a.encrypt(b"a" * 32), b.encrypt(b"b" * 32)
        assert b.unwrap(from_a) == b"a" * 32, "its KEK travels in the annotation"
        assert a.unwrap(from_b) == b"b" * 32, "either mode reads what the other stored"
