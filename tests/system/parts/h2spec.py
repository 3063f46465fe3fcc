# SPDX-License-Identifier: Apache-2.0
"""h2spec, the conformance test of HTTP/2 servers, against a unix socket."""

import subprocess
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

from . import places

# Run side by side: most of the time h2spec waits for frames that do not come.
SECTIONS = ("generic", "hpack", *[f"http2/{number}" for number in (3, 4, 5, 6, 7, 8)])
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_OUTCOMES = {"failure": FAILED, "error": FAILED, "skipped": SKIPPED}


class H2spec:
    """`port`: of the loopback. `path`: of the requests that h2spec makes."""

    def __init__(self, port, workspace, path="/v2.KeyManagementService/Status"):
        self._program = places.real_part("h2spec")
        self._port = port
        self._path = path
        self._workspace = workspace
        self._reports = 0

    def _run(self, what):
        """Outcomes by (section, case) in h2spec's own order."""
        self._reports += 1
        report = self._workspace.path(f"h2spec-{self._reports}-{what.replace('/', '-')}.xml")
        done = subprocess.run(
            [self._program, what, "--host", "127.0.0.1", "--port", str(self._port), "--path",
             self._path, "--timeout", "2", "--junit-report", report],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200)
        assert report.exists(), f"h2spec {what}: exit code {done.returncode}\n{done.stdout}"
        return {(case.get("package"), case.get("classname")): _outcome(case)
                for case in ElementTree.parse(report).iter("testcase")}

    def all(self):
        outcomes = {}
        with ThreadPoolExecutor(len(SECTIONS)) as pool:
            for found in pool.map(self._run, SECTIONS):
                outcomes |= found
        return outcomes

    def again(self, case, number):
        """One case alone; `number`: its place in its section, from 1."""
        (outcome,) = self._run(f"{case[0]}/{number}").values()
        return outcome


def _outcome(case):
    return next((_OUTCOMES[inner.tag] for inner in case if inner.tag in _OUTCOMES), PASSED)
