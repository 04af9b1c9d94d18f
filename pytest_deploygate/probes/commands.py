"""Commands of the inventory that a drill runs: what stops something and what brings it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

BOUND_S = 120.0


def run(command: str) -> None:
    """Run a command through the shell. Raises CannotTell when it fails or takes longer than BOUND_S."""
    # Programs installed beside this one (`deploygate` itself) are found without an activated environment, too.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotTell(f"`{redact(command)}` did not end within {BOUND_S:.0f} s") from None
    if done.returncode:
        said = redact((done.stderr or done.stdout).strip()[-200:])
        raise CannotTell(f"`{redact(command)}` failed with {done.returncode}: {said}")
