# SPDX-License-Identifier: Apache-2.0
"""The part of tools/demo that runs the steps of parts.scenario and shows them."""

import argparse
import signal
import sys
import time

from parts import apiserver, places
from parts.scenario import Scenario, program_version
from parts.vaulted import VaultScenario
from parts.workspace import Workspace


def run_steps(scenario):
    """Prints each step. Returns rows of (step, passed, proof); what comes after a failure is not
    run."""
    rows = []
    steps = scenario.steps()
    for number, (what, do) in enumerate(steps, 1):
        print(f"[{number:2}/{len(steps)}] {what}", flush=True)
        began = time.monotonic()
        try:
            proof, passed = do(), True
        except Exception as error:  # the demo goes on to its table and its end
            proof, passed = f"{type(error).__name__}: {error}", False
        print(f"        {'ok' if passed else 'FAILED'} ({time.monotonic() - began:.1f} s): {proof}",
              flush=True)
        rows.append((what, passed))
        if not passed:
            break
    rows += [(what, None) for what, _ in steps[len(rows):]]
    return rows


def print_table(rows):
    width = max(len(what) for what, _ in rows)
    words = {True: "passed", False: "FAILED", None: "not run"}
    print(f"\n{'check':{width}}  result\n{'-' * width}  -------")
    for what, passed in rows:
        print(f"{what:{width}}  {words[passed]}")
    print(f"{'-' * width}  -------")
    passed = sum(passed is True for _, passed in rows)
    print(f"{passed} of {len(rows)} checks passed")


def print_how_to(scenario):
    api, daemon = scenario.api, scenario.daemon
    secret = next(iter(scenario.values))
    tool = places.our_program("etcdseal")
    # kube-apiserver comes first: it does not end well when etcd is gone.
    running = [p for p in reversed(scenario.workspace.processes) if p.is_alive]
    pids = " ".join(str(p.pid) for p in sorted(running, key=lambda p: p is not api.process))
    print(f"""
Everything runs on, in {scenario.workspace.root}:
  the API   curl --cacert {api.ca_file} -H 'Authorization: Bearer {apiserver.TOKEN}' \\
                 {api.url}{api.secret_path(secret)}
            kubectl --server={api.url} --token={apiserver.TOKEN} \\
                    --certificate-authority={api.ca_file} get secrets
  etcd      etcdctl --endpoints={scenario.etcd.url} get --prefix /registry/secrets/
  etcdseal  {tool} status --socket {daemon.status_socket}
{scenario.how_to_see_keys()}
  logs      {scenario.workspace.logs}
Stop it with:
  for pid in {pids}; do kill $pid; tail --pid=$pid -f /dev/null; done
  rm -r {scenario.workspace.root}""")


def main():
    parser = argparse.ArgumentParser(prog="tools/demo")
    parser.add_argument("--vault", action="store_true")
    parser.add_argument("--keep", action="store_true")
    words = parser.parse_args()
    keep = words.keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    began = time.monotonic()
    programs = [places.our_program("etcdseald"), places.real_part("etcd"),
                places.real_part("kube-apiserver-1.36")]
    programs += [places.real_part("openbao")] if words.vault else []
    print(", ".join(program_version(program, "--version") for program in programs))
    workspace = Workspace(outlive=keep)
    scenario = (VaultScenario if words.vault else Scenario)(workspace)
    rows, is_kept, all_passed = [], False, False
    try:
        rows = run_steps(scenario)
        all_passed = all(passed for _, passed in rows)
        is_kept = keep and scenario.api is not None
    finally:
        if not is_kept:
            print("stopping everything", flush=True)
            workspace.close(keep=bool(rows) and not all_passed)
    print_table(rows)
    print(f"{time.monotonic() - began:.0f} s")
    if is_kept:
        print_how_to(scenario)
    elif not all_passed:
        print(f"the logs are kept in {workspace.logs}")
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main())
