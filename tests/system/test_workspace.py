# SPDX-License-Identifier: Apache-2.0
"""What the other tests rely on."""

import subprocess
import sys
from pathlib import Path

ASK = "from parts.workspace import Workspace; w = Workspace(); print(w.free_port()); w.close()"


def other_process():
    """The port that another test process is given now."""
    done = subprocess.run([sys.executable, "-c", ASK], cwd=Path(__file__).parent,
                          stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def test_a_port_stays_ours_while_nobody_listens(workspace):
    ours = {workspace.free_port() for _ in range(100)}
    assert len(ours) == 100
    assert other_process() not in ours
