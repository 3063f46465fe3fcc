# SPDX-License-Identifier: Apache-2.0
"""Under load: nothing goes back to an old key, nothing is lost, memory stays where it was."""

import threading
import time

import pytest

from parts import places
from parts.client import Client
from parts.kms import Kms

MIB = 1 << 20


def change_keys(daemon, until, pause=0.3):
    """Stages and promotes without end. Returns the ids."""
    ids = []
    while time.monotonic() < until:
        ids.append(daemon.tool.rotate())
        time.sleep(pause)
    return ids


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_no_regression_under_key_changes(workspace, daemon):
    """Status and Encrypt at full load, 32 in flight, while the primary key changes again and
    again: once an answer carried a new id, no call that begins later gets an older one; and of the
    probes that each of the 32 makes (Status, then Encrypt), at most one fails for each change."""
    seconds = 600 if places.IS_LONG else 20
    first = daemon.tool.primary()
    hammer = Client().hammer(workspace, daemon.socket, seconds)
    ids = change_keys(daemon, time.monotonic() + seconds - 2)
    found = hammer.result()
    assert found["ok"], found
    assert found["regressions"] == 0 and found["failures"] == 0, found
    assert found["ids"] == [first, *ids][:len(found["ids"])], "in the order of the changes"
    assert len(found["ids"]) >= 10, found["ids"]
    assert found["split_probes_of_one_worker"] <= len(found["ids"]) - 1, found
    print(f"{found['calls']} calls, {len(ids)} key changes, 0 regressions, at most "
          f"{found['split_probes_of_one_worker']} failed probes of one worker, slowest "
          f"{found['slowest_ms']} ms")


@pytest.mark.sanitizer
def test_hammer_with_everything_at_once(workspace, daemon):
    """Calls, key changes, SIGHUP and scrapes together: what a sanitizer shall see."""
    hammer = Client().hammer(workspace, daemon.socket, 8, workers=16)
    until = time.monotonic() + 6
    scraper = threading.Thread(target=_scrape, args=(daemon, until))
    scraper.start()
    while time.monotonic() < until:
        daemon.tool.rotate()
        daemon.reload()
    scraper.join()
    found = hammer.result()
    assert found["regressions"] == 0 and found["failures"] == 0, found


def _scrape(daemon, until):
    while time.monotonic() < until:
        daemon.metrics_text()
        daemon.status()
        with Kms(daemon.socket) as kms:
            kms.status()


@pytest.mark.alone
@pytest.mark.parametrize("method", ["Decrypt", "Encrypt", "Status"])
def test_burst(daemon, method):
    """10,000 calls at once, as after a start of the API server: each is answered inside its 3 s,
    and resident memory stays under 28 MiB after it."""
    found = Client().ok("burst", socket=daemon.socket, count=10000, method=method)
    assert found["failures"] == 0
    assert found["slowest_ms"] < 3000
    resident = daemon.metrics()["process_resident_memory_bytes"]
    print(f"10,000 x {method}: {found['wall_ms']} ms, slowest {found['slowest_ms']} ms, resident "
          f"{resident / MIB:.1f} MiB after it")
    assert resident < 28 * MIB


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_memory_does_not_grow(daemon):
    """Ten bursts and twenty key changes (more with --all) cost no more than two and none."""
    for _ in range(2):
        Client().ok("burst", socket=daemon.socket, count=5000)
    before = daemon.metrics()
    for _ in range(200 if places.IS_LONG else 10):
        Client().ok("burst", socket=daemon.socket, count=5000)
        daemon.tool.rotate()
        daemon.wait_key(daemon.tool.rotate())
    after = daemon.metrics()
    grown = after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]
    assert grown < 4 * MIB, f"{grown / MIB:.1f} MiB"
    assert after["process_open_fds"] <= before["process_open_fds"] + 2
