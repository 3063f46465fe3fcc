# SPDX-License-Identifier: Apache-2.0
"""The part of tools/bench --vault that measures: keys in a real OpenBao, over TLS, in both modes, beside
the local keystore. Start reading at measure_round. The steps are those of run.py."""

import signal
import sys
import time

import grpc

import report
import servers
from parts import places
from parts.kms import Kms
from parts.vaulted import VaultedDaemon, make_server
from parts.workspace import Workspace
from run import Plan, Round, parse_options, read_memory
from servers import Server
from stats import Results, number, ratio_with_spread, with_spread

LOCAL, HIERARCHY, DIRECT = "etcdseald", "hierarchy", "direct"
CALLED = (LOCAL, HIERARCHY, DIRECT)
TITLES = {LOCAL: "local keystore", HIERARCHY: "vault, mode hierarchy", DIRECT: "vault, mode direct"}
IN_FLIGHT = (8, 64)
CALLS = ("Status", "Encrypt", "Decrypt")
STALL_S = 5
WARM_UP = 100  # calls of the load generator before those that it measures; and one Encrypt

QUICK = Plan(rounds=1, starts=1, serial=200, in_flight=1000, burst=500)
FULL = Plan(rounds=5, starts=3, serial=3000, in_flight=10000, burst=10000)


def make_all(workspace, bao):
    made = {LOCAL: servers.make_etcdseald(workspace, LOCAL, {})}
    for mode in (HIERARCHY, DIRECT):
        # Times as they are by default: what a poll costs belongs to the figures.
        daemon = VaultedDaemon(workspace, bao, name=mode, vault={"mode": mode, "poll": "10s"},
                               config={"log": {}})
        made[mode] = Server(mode, daemon.socket, daemon.argv(), daemon=daemon)
    return made


def requests(server):
    """That the daemon has sent to OpenBao."""
    metrics = server.daemon.metrics()
    return metrics.get("etcdseal_key_service_requests_total", 0)


def call(now, made, name, figure, **flags):
    """Failures are a result here, not an error: a server that is asked may be too slow."""
    before = requests(made[name])
    flags["warm_up"] = WARM_UP
    words = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
    found = now.load("calls", "--socket", made[name].socket, "--pid", now.running[name].pid, *words)
    found["requests"] = (requests(made[name]) - before) / (found["count"] + WARM_UP + 1)
    for key in ("p50_us", "p99_us", "cpu_us_per_call", "calls_per_second", "requests", "failed"):
        now.results.add(name, f"{figure}_{key}", found[key])
    return found


def stall(now, made, bao):
    """The server stops for STALL_S seconds while calls are made one after the other; then how long it
    takes until an Encrypt works."""
    clients = {name: Kms(made[name].socket) for name in CALLED}
    wrapped = {name: clients[name].encrypt() for name in CALLED}
    for name in now.each(CALLED):
        bao.pause()
        until = time.monotonic() + STALL_S
        counts = {"good": 0, "failed": 0}
        slowest = 0
        while time.monotonic() < until:
            for ask in (clients[name].status, clients[name].encrypt,
                        lambda: clients[name].unwrap(wrapped[name])):
                began = time.monotonic()
                try:
                    ask()
                    counts["good"] += 1
                except grpc.RpcError:
                    counts["failed"] += 1
                slowest = max(slowest, time.monotonic() - began)
        bao.resume()
        began = time.monotonic()
        while True:
            try:
                clients[name].encrypt()
                break
            except grpc.RpcError:
                time.sleep(0.01)
        now.results.add(name, "stall_good", counts["good"])
        now.results.add(name, "stall_failed", counts["failed"])
        now.results.add(name, "stall_slowest_ms", slowest * 1000)
        now.results.add(name, "stall_recovery_ms", (time.monotonic() - began) * 1000)
    for client in clients.values():
        client.close()


def start_all(now, made):
    for name in now.each():
        now.running[name] = servers.start(now.workspace, made[name])
        made[name].daemon.process = now.running[name]
        made[name].daemon.wait_ready()
    time.sleep(0.5)
    for name in now.each():
        now.results.add(name, "idle_mib", read_memory(now.running[name].pid)[0])


def burst(now, made):
    for name in now.each(CALLED):
        found = now.load("burst", "--socket", made[name].socket, "--pid", now.running[name].pid,
                         f"--count={now.plan.burst}")
        now.results.add(name, "burst_ms", found["wall_ms"])
        now.results.add(name, "burst_late", found["failed"])
        now.results.add(name, "after_mib", found["resident_kib"] / 1024)


def measure_round(now, made, bao):
    for _ in range(now.plan.starts):
        for name in now.each():
            now.results.add(name, "start_ms", now.time_start(made[name]))
    start_all(now, made)
    for method in CALLS:
        for name in now.each(CALLED):
            call(now, made, name, f"{method}_1", method=method, count=now.plan.serial)
    for in_flight in IN_FLIGHT:
        for name in now.each(CALLED):
            call(now, made, name, f"Decrypt_{in_flight}", in_flight=in_flight,
                 count=now.plan.in_flight)
    burst(now, made)
    stall(now, made, bao)
    for process in now.running.values():
        process.stop()


def figures(results, name, *wanted):
    return [with_spread(results.values(name, figure)) for figure in wanted]


def rows(results, *wanted):
    return [[TITLES[name], *figures(results, name, *wanted)] for name in CALLED]


def calls_table(results):
    lines = [[TITLES[name], method, *figures(results, name, *[
        f"{method}_1_{key}" for key in ("p50_us", "p99_us", "cpu_us_per_call", "requests")])]
        for name in CALLED for method in CALLS]
    return "### Vault: one call at a time\n\n" + report.table(
        ["keys", "call", "p50, µs", "p99, µs", "CPU of etcdseald, µs",
         "requests to OpenBao for a call"], lines)


def ratios_table(results):
    wanted = [(f"{method} {title}", f"{method}_1_{key}") for method in CALLS
              for title, key in (("p50", "p50_us"), ("CPU", "cpu_us_per_call"))]
    wanted += [(f"Decrypt CPU, {n} in flight", f"Decrypt_{n}_cpu_us_per_call") for n in IN_FLIGHT]
    lines = [[title, *[ratio_with_spread(results.ratios(mode, LOCAL, figure))
                       for mode in (HIERARCHY, DIRECT)]] for title, figure in wanted]
    return "### Vault: ratios to the local keystore\n\nEach is taken within a round.\n\n" + \
        report.table(["figure", TITLES[HIERARCHY], TITLES[DIRECT]], lines)


def load_table(results, count):
    head = ["keys", *[f"Decrypt calls a second, {n} in flight" for n in IN_FLIGHT],
            f"{count:,} at once, ms", "of them failed or later than 3 s", "memory idle, MiB",
            "after the burst, MiB", "exec to the first Status, ms"]
    wanted = [*[f"Decrypt_{n}_calls_per_second" for n in IN_FLIGHT], "burst_ms", "burst_late",
              "idle_mib", "after_mib", "start_ms"]
    return "### Vault: load, memory, start\n\n" + report.table(head, rows(results, *wanted))


def stall_table(results):
    return (f"### Vault: OpenBao stops for {STALL_S} s\n\nStatus, Encrypt, Decrypt in turn, one at a "
            "time, each with 3 s.\n\n") + report.table(
        ["keys", "good calls", "failed calls", "slowest, ms", "first good Encrypt after it, ms"],
        rows(results, "stall_good", "stall_failed", "stall_slowest_ms", "stall_recovery_ms"))


def expectations(results):
    cpu = max(results.ratio(HIERARCHY, LOCAL, f"{method}_1_cpu_us_per_call") for method in CALLS)
    asked = max(max(results.values(mode, "Status_1_requests")) for mode in (HIERARCHY, DIRECT))
    per_call = max(max(results.values(HIERARCHY, f"{m}_1_requests")) for m in ("Encrypt", "Decrypt"))
    failed = sum(results.values(HIERARCHY, "stall_failed"))
    after = max(results.values(HIERARCHY, "after_mib"))
    lines = [
        report.judged("CPU of a call in mode hierarchy, to the local keystore", "at most 1.15",
                      f"{cpu:.2f}", cpu <= 1.15),
        report.judged("requests to OpenBao for a Status, polls of that time included", "under 0.05",
                      number(asked), asked < 0.05),
        report.judged("the same for Encrypt and Decrypt in mode hierarchy", "under 0.05",
                      number(per_call), per_call < 0.05),
        report.judged("failed calls in mode hierarchy while OpenBao stops", "0", failed, failed == 0),
        report.judged("resident memory after the burst in mode hierarchy", "under 28 MiB",
                      f"{number(after)} MiB", after < 28),
    ]
    return "### Vault: what was expected\n\n" + report.table(["", "expected", "found", ""], lines)


def main(argv):
    options, plan = parse_options(argv, QUICK, FULL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    facts = [*report.machine_facts(" ".join(["tools/bench", "--vault", *argv])),
             report.rounds_of_calls(plan)]
    results, workspace = Results(), Workspace()
    try:
        bao = make_server(workspace)
        made, order = make_all(workspace, bao), list(CALLED)
        for turn in range(1, plan.rounds + 1):
            print(f"bench: round {turn} of {plan.rounds}", file=sys.stderr)
            measure_round(Round(workspace, plan, results, order), made, bao)
    finally:
        workspace.close()
    facts.append(("server", report.first_line(places.real_part("openbao"), "version")))
    text = "\n\n".join([report.table(["", ""], facts), expectations(results), calls_table(results),
                        ratios_table(results), load_table(results, plan.burst), stall_table(results)])
    print(text)
    if not options.quick:
        report.put_into_page(text, "tools/bench --vault")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
