# SPDX-License-Identifier: Apache-2.0
"""Where programs and files lie."""

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "config" / "samples"
IS_LONG = bool(os.environ.get("ETCDSEAL_TEST_LONG"))  # tools/test --all


def our_program(name):
    """etcdseald or etcdseal, from $ETCDSEAL_TEST_BIN or the release build."""
    folder = Path(os.environ.get("ETCDSEAL_TEST_BIN") or ROOT / "build" / "release" / "bin")
    program = (ROOT / folder / name).absolute()
    if not os.access(program, os.X_OK):
        raise FileNotFoundError(f"{program} is missing: build it, or set ETCDSEAL_TEST_BIN")
    return program


@functools.lru_cache(maxsize=None)
def real_part(name):
    """A real component by its name in tools/real-parts, which builds it if it must."""
    done = subprocess.run([ROOT / "tools" / "real-parts", name], stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, check=True)
    return Path(done.stdout.strip())
