# SPDX-License-Identifier: Apache-2.0
"""What the whole-system tests share: a workspace for each test, and a started daemon."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from parts import places
from parts.daemon import Daemon
from parts.kms import Kms
from parts.workspace import Workspace

LOGS = places.ROOT / "build" / "system-logs"  # of tests that failed


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.has_failed = item.getparent(pytest.Module).has_failed = True


def _keep_logs(workspace, test_name):
    folder = LOGS / test_name.replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workspace.logs, folder)
    for log in sorted(folder.iterdir()):
        lines = log.read_text(errors="replace").splitlines()
        print(f"--- {log} (last lines)", *lines[-25:], sep="\n")


def _workspace_of(node):
    made = Workspace()
    yield made
    has_failed = getattr(node, "has_failed", False)
    made.end()
    leaks, complaints = made.leaks(), made.complaints()
    if has_failed or leaks or complaints:
        _keep_logs(made, node.name)
    made.close()
    assert not leaks, f"a secret shows in {leaks}"
    assert not complaints, f"a sanitizer complains in {complaints}"


@pytest.fixture
def workspace(request):
    """Ends what was started in it. No log may show a remembered secret, no sanitizer may have
    complained."""
    yield from _workspace_of(request.node)


@pytest.fixture(scope="module")
def module_workspace(request):
    """The same for what the tests of one file share."""
    yield from _workspace_of(request.node)


@pytest.fixture
def idle_daemon(workspace):
    """With a keystore, not started."""
    return Daemon(workspace)


@pytest.fixture
def daemon(idle_daemon):
    return idle_daemon.start()


@pytest.fixture
def kms(daemon):
    with Kms(daemon.socket) as client:
        yield client


# Tests run side by side in several processes; those marked `alone` wait for the others to end and keep
# them from beginning. Everybody passes the gate one by one, so that nobody overtakes who waits.
_LOCKS = Path(tempfile.gettempdir()) / f"etcdseal-tests-{os.getppid()}"


def _lock(name, how):
    _LOCKS.mkdir(exist_ok=True)
    file = open(_LOCKS / name, "w")
    fcntl.flock(file, how)
    return file


@pytest.fixture(autouse=True)
def _turn(request):
    is_alone = request.node.get_closest_marker("alone")
    with _lock("gate", fcntl.LOCK_EX):
        turn = _lock("turn", fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
    yield
    turn.close()


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(_LOCKS, ignore_errors=True)
