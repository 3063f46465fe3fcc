# SPDX-License-Identifier: Apache-2.0
"""The part of tools/bench that measures. Start reading at measure_round.

All servers live side by side in a round, and each step is taken with one after the other; the order
turns round with every step, so that a machine that becomes slower or faster hits all alike.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import report
import servers
from parts import places
from parts.workspace import Workspace
from servers import CALLED, ETCDSEALD, LINKED
from stats import Results

MIB_IN_KIB = 1024


@dataclass
class Plan:
    rounds: int
    starts: int     # of each server in a round
    serial: int     # calls, one at a time
    in_flight: int  # calls with several in flight
    burst: int      # calls at once


# A busy machine answers the small burst in time too: the quick run is about what works.
QUICK = Plan(rounds=1, starts=2, serial=300, in_flight=3000, burst=1000)
FULL = Plan(rounds=10, starts=5, serial=5000, in_flight=30000, burst=10000)


class Round:
    def __init__(self, workspace, plan, results, order):
        self.workspace = workspace
        self.plan = plan
        self.results = results
        self._order = order
        self._load = places.real_part("bench-load")
        self.running = {}

    def each(self, names=None):
        """The servers in an order that is the other way round the next time."""
        self._order.reverse()
        return [name for name in self._order if names is None or name in names]

    def load(self, command, *words, env=None):
        done = subprocess.run([self._load, command, *map(str, words)], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, check=True,
                              env=dict(os.environ) | (env or {}))
        return json.loads(done.stdout)

    def call(self, command, server, process, **flags):
        """Load on a running server; failed calls are counted, never left out."""
        words = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        found = self.load(command, "--socket", server.socket, "--pid", process.pid, *words)
        self.results.add(server.name, "failed", found["failed"])
        if found["failed"]:
            print(f"bench: {server.name}: {command} {flags}: {found['failed']} calls failed: "
                  f"{found.get('error')}", file=sys.stderr)
        return found

    def time_start(self, server, *words):
        """Milliseconds from exec to the first good Status."""
        server.socket.unlink(missing_ok=True)
        return self.load("start", "--socket", server.socket, *words, "--", *server.argv,
                         env=server.env)["first_status_ms"]


def time_starts(now, made):
    for _ in range(now.plan.starts):
        for name in now.each():
            now.results.add(name, "start_ms", now.time_start(made[name]))


def start_all(now, made):
    for name in now.each():
        now.running[name] = servers.start(now.workspace, made[name])
    for name in now.each():
        now.call("calls", made[name], now.running[name], method="Status", count=1, warm_up=0)
    time.sleep(0.5)  # what a start leaves to be done later is done
    for name in now.each():
        resident, anonymous = read_memory(now.running[name].pid)
        now.results.add(name, "idle_mib", resident)
        now.results.add(name, "idle_anonymous_mib", anonymous)


def read_memory(pid):
    """Resident and anonymous memory in MiB."""
    with open(f"/proc/{pid}/status") as file:
        rows = dict(line.split(":", 1) for line in file)
    return [int(rows[key].split()[0]) / MIB_IN_KIB for key in ("VmRSS", "RssAnon")]


def call_one_by_one(now, made, method):
    for name in now.each(CALLED):
        found = now.call("calls", made[name], now.running[name], method=method,
                         count=now.plan.serial)
        for figure in ("p50_us", "p99_us", "p999_us", "cpu_us_per_call", "calls_per_second"):
            now.results.add(name, f"{method}_1_{figure}", found[figure])


def call_at_once(now, made, in_flight):
    for name in now.each(CALLED):
        found = now.call("calls", made[name], now.running[name], in_flight=in_flight,
                         count=now.plan.in_flight)
        for figure in ("p50_us", "p99_us", "cpu_us_per_call", "calls_per_second"):
            now.results.add(name, f"Decrypt_{in_flight}_{figure}", found[figure])
        now.results.add(name, f"load_{in_flight}_mib", found["resident_kib"] / MIB_IN_KIB)


def burst(now, made):
    for name in now.each(CALLED):
        found = now.call("burst", made[name], now.running[name], count=now.plan.burst)
        now.results.add(name, "burst_ms", found["wall_ms"])
        now.results.add(name, "burst_slowest_ms", found["slowest_ms"])
        now.results.add(name, "burst_failed", found["failed"])
        now.results.add(name, "burst_cpu_us", found["cpu_us_per_call"])
        now.results.add(name, "after_mib", found["resident_kib"] / MIB_IN_KIB)
        now.results.add(name, "after_anonymous_mib", found["anonymous_kib"] / MIB_IN_KIB)


def unseal(now, seal_starts):
    """The daemon's own figure, the whole start, and the tool."""
    for seal in seal_starts:
        log = now.workspace.logs / f"{seal.server.name}.log"
        words = ["--log", log, "--linger", "100ms"]  # the line comes after the first answer
        now.results.add(seal.title, "unseal_start_ms", now.time_start(seal.server, *words))
        (loaded,) = [row for row in map(json.loads, log.read_text().splitlines())
                     if row["event"] == "keys-loaded"]
        now.results.add(seal.title, "unseal_ms", loaded["duration_ms"])
        now.results.add(seal.title, "unseal_tool_ms", seal.test_with_tool())


def measure_round(now, made, seal_starts):
    time_starts(now, made)
    start_all(now, made)
    for method in ("Status", "Encrypt", "Decrypt"):
        call_one_by_one(now, made, method)
    for in_flight in (8, 64, 256):
        call_at_once(now, made, in_flight)
    burst(now, made)
    for process in now.running.values():
        process.stop()
    unseal(now, seal_starts)


def parse_options(argv, quick, full):
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args(argv)
    plan = quick if options.quick else full
    plan.rounds = options.rounds or plan.rounds
    return options, plan


def main(argv):
    options, plan = parse_options(argv, QUICK, FULL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    servers.check_same_libraries()
    facts = [*report.machine_facts(" ".join(["tools/bench", *argv])), report.rounds_of_calls(plan)]
    results, workspace = Results(), Workspace()
    try:
        made, seal_starts = servers.make_all(workspace), servers.make_seal_starts(workspace)
        order = [*CALLED, LINKED]
        for number in range(1, plan.rounds + 1):
            print(f"bench: round {number} of {plan.rounds}", file=sys.stderr)
            measure_round(Round(workspace, plan, results, order), made, seal_starts)
    finally:
        workspace.close()
    text = report.write(results, facts, plan.burst, [seal.title for seal in seal_starts])
    print(text)
    if not options.quick:
        report.put_into_page(text, "tools/bench")
    failed = results.total("failed")
    print(f"{failed} failed calls", file=sys.stderr)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
