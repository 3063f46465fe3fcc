# SPDX-License-Identifier: Apache-2.0
"""kube-bench, which holds a control-plane host against the CIS benchmarks, and such a host for it."""

import json
import os
import signal
import subprocess
from pathlib import Path

from . import places
from .process import wait_until

BENCHMARK = "cis-1.12"
# kube-bench looks at nothing unless these run. It knows them by their names, the second by the 15
# letters that the kernel keeps of it.
OTHERS = ("kube-scheduler", "kube-controller-manager", "kubelet")


class Host:
    """Processes that see each other and nobody else's, in a PID namespace: kube-bench finds what it
    judges by `ps`, and tests that run meanwhile have API servers too. It is taken wherever a workspace
    is, and starts each program under the name that it is started by, not that of its file."""

    def __init__(self, workspace):
        self._workspace = workspace
        first = workspace.start("host", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                                         "--", "sleep", "infinity"])
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children")
        self._pid = wait_until("the namespace is there", lambda: self._first_of(children), 10,
                               alive=first)
        workspace.at_end(lambda: first.is_alive and os.kill(self._pid, signal.SIGKILL))
        for name in OTHERS:
            self.start(name, ["/bin/sleep", "infinity"])

    def __getattr__(self, name):
        return getattr(self._workspace, name)

    @staticmethod
    def _first_of(children):
        """The namespace's first process; its /proc is mounted before it becomes sleep."""
        (pid,) = children.read_text().split()
        return int(pid) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n" else None

    def _inside(self, words):
        return ["nsenter", "--target", str(self._pid), "--pid", "--mount", "--", *map(str, words)]

    def start(self, name, argv, **options):
        program = self._workspace.folder("programs") / name
        if not program.is_symlink():
            program.symlink_to(argv[0])
        return self._workspace.start(name, self._inside([program, *argv[1:]]), **options)

    def kube_bench(self, *checks):
        """What kube-bench prints of each check, by its number."""
        done = subprocess.run(
            self._inside([places.real_part("kube-bench"), "run", "--targets", "master", "--benchmark",
                          BENCHMARK, "--check", ",".join(checks), "--json", "--config-dir",
                          places.real_part("kube-bench-cfg")]),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"kube-bench: {done.returncode}\n{done.stdout}{done.stderr}"
        results = {result["test_number"]: result for control in json.loads(done.stdout)["Controls"]
                   for group in control["tests"] for result in group["results"]}
        assert sorted(results) == sorted(checks), done.stdout
        return results
