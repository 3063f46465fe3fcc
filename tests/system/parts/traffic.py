# SPDX-License-Identifier: Apache-2.0
"""Writers and readers of Secrets at a steady rate, who know what they must find."""

import random
import threading
import time

WRITERS, READERS = 5, 3
NAMES = 40  # of each writer


class Traffic:
    """About `rate` writes and as many reads a second, over connections of their own. A writer has
    names of its own and counts in their values, so a reader knows between which counts the value
    must lie. What fails while the API server is said to be ready stands in `failures`; pause() before
    it is stopped, go_on() once it is ready again."""

    def __init__(self, api, rate=50):
        self.api = api
        self._pause = WRITERS / rate
        self._lock = threading.Lock()
        self._written = {}  # name: count of the last write that was acknowledged
        self._begun = {}  # name: of the last one that was begun
        self._may_run = threading.Event()
        self._turn = 0  # grows with each pause
        self._is_over = False
        self.failures = []
        self.reads = self.writes = 0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        self._threads += [threading.Thread(target=self._read) for _ in range(READERS)]

    def __enter__(self):
        self.go_on()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._may_run.set()
        for thread in self._threads:
            thread.join()

    def pause(self):
        self._turn += 1
        self._may_run.clear()

    def go_on(self):
        self._may_run.set()

    def counts(self):
        return self.reads, self.writes

    def check_all(self):
        """No object is lost, none is older than what was acknowledged. How many there are."""
        found = self.api.secrets()
        for name, least in self._written.items():
            assert self._fits(name, found[name], least), f"{name}: {found[name]}, written {least}"
        return len(self._written)

    # --- threads ----------------------------------------------------------------------------------

    def _fits(self, name, value, least):
        owner, _, count = value.rpartition(":")
        return owner == name and least <= int(count) <= self._begun[name]

    def _try(self, what, call):
        """False when it failed."""
        turn = self._turn
        try:
            call()
            return True
        except Exception as error:
            with self._lock:
                if turn == self._turn and not self._is_over:
                    self.failures.append(f"{what}: {error!r}")
            return False

    def _write(self, number):
        due = time.monotonic()
        count = 0
        while not self._is_over:
            self._may_run.wait()
            name = f"traffic-{number}-{count % NAMES}"
            self._begun[name] = count
            if self._try(f"write {name}", lambda: self._put(name, f"{name}:{count}")):
                with self._lock:
                    self._written[name] = count
                    self.writes += 1
                count += 1
            due = max(due + self._pause, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def _put(self, name, value):
        if name in self._written:
            self.api.put_secret(name, value)
        else:
            self.api.create_secret(name, value)

    def _read(self):
        due = time.monotonic()
        while not self._is_over:
            self._may_run.wait()
            with self._lock:
                name, least = random.choice(list(self._written.items()) or [(None, 0)])
            if name and self._try(f"read {name}", lambda: self._check(name, least)):
                with self._lock:
                    self.reads += 1
            due = max(due + self._pause * READERS / WRITERS, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def _check(self, name, least):
        value = self.api.secret_value(name)
        assert self._fits(name, value, least), f"{value}, written {least}"
