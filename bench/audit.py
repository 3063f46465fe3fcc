# SPDX-License-Identifier: Apache-2.0
"""The part of tools/bench --audit that measures: the audit of snapshots of several sizes, with and without
proof, and of a running etcd, beside etcdutl and etcdctl on the same data. Start reading at measure."""

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import report
from parts import places
from parts.daemon import Daemon
from parts.etcd import Etcd
from parts.kms import Kms
from parts.workspace import Workspace
from stats import Results, number, ratio_with_spread, with_spread

KEYS, SEEDS = 3, 200
AUDIT, PROVE, STATUS = "audit", "audit --prove", "etcdutl snapshot status"
LIVE, LIVE_PROVE = "audit --endpoints", "audit --endpoints --prove"
SAVE, GET = "etcdctl snapshot save", "etcdctl get --prefix"
OFFLINE, ONLINE = (AUDIT, PROVE, STATUS), (LIVE, LIVE_PROVE, SAVE, GET)
POLL_S = 0.01
STATUS_S = 2.6  # what it took for 1,000,000 objects on the machine that the seconds are for


@dataclass
class Plan:
    rounds: int
    sizes: tuple  # objects of a snapshot; the one before the last is served by an etcd, too
    what: str


QUICK = Plan(1, (1000, 2000), "1,000 and 2,000 objects")
FULL = Plan(5, (10_000, 1_000_000, 3_000_000), "10,000, 1,000,000 and 3,000,000 objects")


def make_seeds(daemon):
    """SEEDS seeds as kube-apiserver makes them, wrapped under KEYS keys of the daemon."""
    made = []
    for turn in range(KEYS):
        if turn > 0:
            daemon.wait_key(daemon.tool.rotate())
        with Kms(daemon.socket) as kms:
            for _ in range(SEEDS * turn // KEYS, SEEDS * (turn + 1) // KEYS):
                seed = os.urandom(32)
                wrapped = kms.encrypt(seed)
                made.append({"seed": seed, "ciphertext": wrapped.ciphertext, "key_id": wrapped.key_id,
                             "annotations": dict(wrapped.annotations)})
    return json.dumps(made, default=lambda data: base64.b64encode(data).decode()).encode()


def make_snapshot(workspace, seeds, objects):
    path = workspace.path(f"snapshot-{objects}")
    subprocess.run([places.real_part("bench-etcd-db"), "-out", path, "-objects", str(objects)],
                   input=seeds, check=True)
    return path


def serve(workspace, snapshot):
    """An etcd that holds what the snapshot does."""
    folder = workspace.path("etcd")
    subprocess.run([places.real_part("etcdutl"), "snapshot", "restore", snapshot, "--data-dir", folder],
                   check=True, capture_output=True)
    return Etcd(workspace, flags=["--quota-backend-bytes=8589934592"])


def anonymous_kib(pid):
    """Memory that is the process's own: not the mapped file's."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("RssAnon")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def run(results, name, size, argv):
    """One run, warm: wall, CPU, and the most anonymous memory that was seen."""
    most, began = 0, time.monotonic()
    process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while True:
        pid, code, usage = os.wait4(process.pid, os.WNOHANG)
        if pid != 0:
            break
        most = max(most, anonymous_kib(process.pid))
        time.sleep(POLL_S)
    if code != 0:
        raise SystemExit(f"bench: {name}: exit code {os.waitstatus_to_exitcode(code)}: "
                         f"{process.stderr.read().decode()}")
    results.add(name, f"{size}_wall", time.monotonic() - began)
    results.add(name, f"{size}_cpu", usage.ru_utime + usage.ru_stime)
    results.add(name, f"{size}_anonymous", most / 1024)


def prove_with(daemon):
    return ["--prove", "--kms", f"unix:{daemon.socket}"]


def offline_commands(snapshot, daemon):
    audit = [places.our_program("etcdseal"), "audit", "-q", "--snapshot", snapshot]
    return {AUDIT: audit, PROVE: [*audit, *prove_with(daemon)],
            STATUS: [places.real_part("etcdutl"), "snapshot", "status", snapshot]}


def online_commands(etcd, daemon, saved):
    audit = [places.our_program("etcdseal"), "audit", "-q", "--endpoints", etcd.url]
    etcdctl = [places.real_part("etcdctl"), "--endpoints", etcd.url, "--command-timeout=600s"]
    return {LIVE: audit, LIVE_PROVE: [*audit, *prove_with(daemon)],
            SAVE: [*etcdctl, "snapshot", "save", saved],
            GET: [*etcdctl, "get", "/registry/", "--prefix"]}


def take_turns(plan, results, size, todo, clean_up=lambda: None):
    """Each command once in a round, in another order each time; the first round warms."""
    order = list(todo)
    for turn in range(plan.rounds + 1):
        for name in order[turn % len(order):] + order[:turn % len(order)]:
            run(Results() if turn == 0 else results, name, size, todo[name])
            clean_up()


def measure(workspace, plan, results):
    daemon = Daemon(workspace).start()
    seeds = make_seeds(daemon)
    served = plan.sizes[-2]
    for size in plan.sizes:
        print(f"bench: {size} objects", file=sys.stderr)
        snapshot = make_snapshot(workspace, seeds, size)
        results.add("file", f"{size}_mib", snapshot.stat().st_size / 2**20)
        take_turns(plan, results, size, offline_commands(snapshot, daemon))
        if size == served:
            etcd, saved = serve(workspace, snapshot), workspace.path("saved")
            take_turns(plan, results, size, online_commands(etcd, daemon, saved),
                       lambda: saved.unlink(missing_ok=True))
            etcd.process.stop()
        snapshot.unlink()


# --- what is told -----------------------------------------------------------------------------------


def times_table(results, plan, names, title, sizes):
    rows = [[f"{size:,}", f"`{name}`", *[with_spread(results.values(name, f"{size}_{figure}"))
                                         for figure in ("wall", "cpu", "anonymous")]]
            for size in sizes for name in names]
    return f"### Audit: {title}\n\n" + report.table(
        ["objects", "command", "wall, s", "CPU, s", "anonymous memory, MiB"], rows)


def ratios_table(results, plan):
    served, last = plan.sizes[-2], plan.sizes[-1]
    rows = []
    for name, other in [(name, STATUS) for name in (AUDIT, PROVE)] + [
            (name, other) for other in (SAVE, GET) for name in (LIVE, LIVE_PROVE)]:
        rows.append([f"`{name}` to `{other}`", *[ratio_with_spread(results.ratios(
            name, other, f"{served}_{figure}")) for figure in ("wall", "cpu")]])
    growth = [[f"`{name}`, {last:,} objects to {served:,}",
               *[number(results.median(name, f"{last}_{figure}") /
                        results.median(name, f"{served}_{figure}")) for figure in ("wall", "cpu")]]
              for name in (AUDIT, PROVE)]
    return f"### Audit: ratios, {served:,} objects\n\n" + report.table(["", "wall", "CPU"], rows + growth)


def expectations(results, plan):
    first, served, last = plan.sizes[0], plan.sizes[-2], plan.sizes[-1]
    wall = {name: results.median(name, f"{served}_wall") for name in OFFLINE}
    ratio = {name: results.ratio(name, STATUS, f"{served}_wall") for name in (AUDIT, PROVE)}
    small = results.median(PROVE, f"{first}_wall")
    memory = max(results.values(PROVE, f"{served}_anonymous"))
    live = results.ratio(LIVE, SAVE, f"{served}_wall")
    growth = results.median(PROVE, f"{last}_cpu") / results.median(PROVE, f"{served}_cpu")
    return "### Audit: what was expected\n\n" + report.table(["", "expected", "found", ""], [
        report.judged(f"a snapshot of {served:,} objects with proof", "under 3 s", f"{wall[PROVE]:.2f} s",
                      wall[PROVE] < 3),
        report.judged("the same without", "under 0.5 s", f"{wall[AUDIT]:.2f} s", wall[AUDIT] < 0.5),
        *[report.judged(f"the same {named}, as a share of `{STATUS}`",
                        f"at most {share:.2f}", f"{found:.2f}", found <= share)
          for named, share, found in (("with proof", 3 / STATUS_S, ratio[PROVE]),
                                      ("without", 0.5 / STATUS_S, ratio[AUDIT]))],
        report.judged("anonymous memory with proof", "under 256 MiB", f"{memory:.0f} MiB", memory < 256),
        report.judged(f"{first:,} objects with proof", "under 0.2 s", f"{small:.2f} s", small < 0.2),
        report.judged("a running etcd, to etcdctl snapshot save", "at most 1.5", f"{live:.2f}",
                      live <= 1.5),
        report.judged(f"CPU for {last / served:.0f} times the objects, with proof",
                      f"at most {last / served * 1.2:.1f} times", f"{growth:.2f}",
                      growth <= last / served * 1.2),
    ])


def main(argv):
    parser = argparse.ArgumentParser(prog="tools/bench --audit")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    plan.rounds = options.rounds or plan.rounds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    facts = report.machine_facts(" ".join(["tools/bench", "--audit", *argv]))
    results, workspace = Results(), Workspace()
    try:
        measure(workspace, plan, results)
    finally:
        workspace.close()
    served = plan.sizes[-2]
    sizes = ", ".join(f"{number(results.median('file', f'{size}_mib'))} MiB" for size in plan.sizes)
    facts.append(("snapshots", f"{plan.what} of 700 to 4,000 bytes, four resources, {SEEDS} seeds under "
                               f"{KEYS} keys: {sizes}"))
    facts.append(("rounds", f"{plan.rounds}, each command once in a round, after one that warms"))
    text = "\n\n".join([
        report.table(["", ""], facts), expectations(results, plan),
        times_table(results, plan, OFFLINE, "a snapshot", plan.sizes),
        times_table(results, plan, ONLINE, "a running etcd", [served]), ratios_table(results, plan)])
    print(text)
    if not options.quick:
        report.put_into_page(text, "tools/bench --audit")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
