# SPDX-License-Identifier: Apache-2.0
"""Tables, ratios and expectations as Markdown, and their place in docs/benchmarks.md."""

import os
import platform
import re
import subprocess
import time

from parts import places
from servers import BARE, CALLED, ETCDSEALD, GO, LINKED, QUIET, TITLES
from stats import number, ratio_with_spread, with_spread

PAGE = places.ROOT / "docs" / "benchmarks.md"
IN_FLIGHT = (1, 8, 64, 256)
CALLS = ("Status", "Encrypt", "Decrypt")


def first_line(*argv):
    """Of what a program prints."""
    done = subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.split("\n")[0]


def machine_facts(command):
    """What the numbers depend on. Read before the run, which loads the machine itself."""
    models = re.findall(r"^model name\s*:\s*(.*)$", open("/proc/cpuinfo").read(), re.M)
    version = first_line(places.our_program("etcdseald"), "--version")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        ("command", f"`{command}`"),
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("processor", f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
                      "shared with the load generator"),
        ("memory", f"{memory:.0f} GiB"),
        ("kernel", f"Linux {platform.release()}"),
        ("load average before", f"{os.getloadavg()[0]:.2f}"),
        ("program", version),
    ]


def rounds_of_calls(plan):
    return ("rounds", f"{plan.rounds}; in each {plan.serial} calls one at a time for each method, "
                      f"{plan.in_flight} for each number in flight, {plan.burst} at once, "
                      f"{plan.starts} starts")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines)


def _row(results, name, *figures):
    return [TITLES[name], *[with_spread(results.values(name, figure)) for figure in figures]]


def _latency(results):
    rows = []
    for name in CALLED:
        for call in CALLS:
            rows.append([TITLES[name], call, *_row(
                results, name, *[f"{call}_1_{p}_us" for p in ("p50", "p99", "p999")])[1:]])
    return "### One call at a time, µs\n\n" + table(["server", "call", "p50", "p99", "p99.9"], rows)


def _throughput(results):
    rows = [_row(results, name, *[f"Decrypt_{n}_calls_per_second" for n in IN_FLIGHT])
            for name in CALLED]
    return "### Decrypt calls a second, by calls in flight\n\n" + table(
        ["server", *IN_FLIGHT], rows)


def _cpu(results):
    figures = [*[f"{call}_1_cpu_us_per_call" for call in CALLS],
               *[f"Decrypt_{n}_cpu_us_per_call" for n in IN_FLIGHT[1:]]]
    head = ["server", *[f"{call}, 1 in flight" for call in CALLS],
            *[f"Decrypt, {n}" for n in IN_FLIGHT[1:]]]
    return "### CPU time of the server for a call, µs\n\n" + table(
        head, [_row(results, name, *figures) for name in CALLED])


def _burst(results, count):
    rows = [[*_row(results, name, "burst_ms", "burst_slowest_ms"),
             sum(results.values(name, "burst_failed"))] for name in CALLED]
    return f"### Burst: {count:,} Decrypt calls at once\n\n" + table(
        ["server", "all answered after, ms", "slowest, ms", "failed or later than 3 s, all rounds"],
        rows)


def _memory(results):
    figures = ["idle_mib", "load_64_mib", "after_mib", "after_anonymous_mib"]
    rows = [_row(results, name, *figures) for name in CALLED]
    rows.append([*_row(results, LINKED, "idle_mib"), "", "", ""])
    return "### Resident memory, MiB\n\n" + table(
        ["server", "idle", "64 calls in flight", "after the burst", "of it anonymous"], rows)


def _start(results):
    rows = [_row(results, name, "start_ms") for name in (*CALLED, LINKED)]
    return "### From exec to the first Status, ms\n\n" + table(["server", "ms"], rows)


def _unsealing(results, titles):
    rows = [[title, *[with_spread(results.values(title, figure))
                      for figure in ("unseal_ms", "unseal_start_ms", "unseal_tool_ms")]]
            for title in titles]
    return "### Unsealing, ms\n\n" + table(
        ["seal", "opening the keystore, by the daemon's log", "exec to the first Status",
         "`etcdseal seal test`"], rows)


def _ratios(results):
    figures = [
        ("Status p50", "Status_1_p50_us"), ("Encrypt p50", "Encrypt_1_p50_us"),
        ("Decrypt p50", "Decrypt_1_p50_us"), ("Decrypt p99", "Decrypt_1_p99_us"),
        *[(f"calls a second, {n} in flight", f"Decrypt_{n}_calls_per_second") for n in IN_FLIGHT],
        *[(f"CPU of a {call}", f"{call}_1_cpu_us_per_call") for call in CALLS],
        *[(f"CPU of a Decrypt, {n} in flight", f"Decrypt_{n}_cpu_us_per_call")
          for n in IN_FLIGHT[1:]],
        ("burst", "burst_ms"), ("memory after it", "after_mib"),
    ]
    rows = [[title, *[ratio_with_spread(results.ratios(ours, other, figure))
                      for ours, other in ((ETCDSEALD, BARE), (QUIET, BARE), (ETCDSEALD, GO))]]
            for title, figure in figures]
    return "### Ratios\n\nEach is taken within a round; below 1 is less.\n\n" + table(
        ["figure", "etcdseald to the bare server", "the same without `log.requests`",
         "etcdseald to the Go plugin"], rows)


def judged(title, wanted, found, is_met):
    return [title, wanted, found, "met" if is_met else "**missed**"]


def _beside_go(results, title, figures, is_more_better=False):
    """The figure that does worst counts."""
    ratios = [results.ratio(ETCDSEALD, GO, figure) for figure in figures]
    worst = min(ratios) if is_more_better else max(ratios)
    wanted = "above 1" if is_more_better else "below 1"
    return judged(f"{title}, to the Go plugin", wanted, f"{worst:.2f}",
                   worst > 1 if is_more_better else worst < 1)


def _expectations(results):
    cpu = [f"{call}_1_cpu_us_per_call" for call in CALLS]
    cpu += [f"Decrypt_{n}_cpu_us_per_call" for n in IN_FLIGHT[1:]]
    worst = max(results.ratio(ETCDSEALD, BARE, figure) for figure in cpu)
    after = max(results.values(ETCDSEALD, "after_mib"))
    failed = sum(results.values(ETCDSEALD, "burst_failed"))
    behind = results.difference(ETCDSEALD, LINKED, "start_ms")
    rows = [
        judged("CPU of a call, to the bare server", "at most 1.15", f"{worst:.2f}", worst <= 1.15),
        _beside_go(results, "latency", [f"{call}_1_{p}_us" for call in CALLS
                                        for p in ("p50", "p99")]),
        _beside_go(results, "calls a second",
                   [f"Decrypt_{n}_calls_per_second" for n in IN_FLIGHT], is_more_better=True),
        _beside_go(results, "CPU of a call", cpu),
        _beside_go(results, "memory after the burst", ["after_mib"]),
        judged("resident memory after the burst", "under 28 MiB", f"{number(after)} MiB",
                after < 28),
        judged("failed or late calls of the burst", "0", failed, failed == 0),
        judged("exec to the first Status, behind the bare server with the same libraries",
                "at most 5 ms", f"{behind:.1f} ms", behind <= 5),
    ]
    return "### What was expected\n\nOf several figures the one that does worst counts.\n\n" + table(
        ["", "expected", "found", ""], rows)


def write(results, facts, burst, seal_titles):
    parts = [table(["", ""], facts), _expectations(results), _ratios(results), _latency(results),
             _throughput(results), _cpu(results), _burst(results, burst), _memory(results),
             _start(results), _unsealing(results, seal_titles)]
    return "\n\n".join(parts)


def marks(command):
    """Between these two lines stand a command's tables."""
    return f"<!-- written by {command}: begin -->", f"<!-- written by {command}: end -->"


def put_into_page(text, command):
    page = PAGE.read_text()
    first, last = marks(command)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise AssertionError(f"{PAGE} has lost the two lines between which the tables stand")
    PAGE.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}")
