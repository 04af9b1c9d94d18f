"""The lab's failover: checks the health of the primary site and moves the name to the standby with a signed DNS update.

Run as `python -m pytest_deploygate.lab.failover_controller FOLDER`.
"""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.request
from pathlib import Path

from pytest_deploygate.lab.services import dns
from pytest_deploygate.lab.state import HOST, Lab, LabError, load

_EVERY_S = 0.2
#: The number of bad answers in a row that moves the name: one lost request is no outage.
_BAD = 3


def control(lab: Lab) -> None:
    """Watch until the process is ended."""
    bad, here = 0, True
    while True:
        bad = 0 if _healthy(lab) else bad + 1
        wanted = bad < _BAD
        if wanted is not here:
            with contextlib.suppress(LabError):
                dns.point(lab, dns.FAILING_OVER, HOST if wanted else dns.STANDBY)
                here = wanted
        time.sleep(_EVERY_S)


def _healthy(lab: Lab) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{lab.ports['edge-app']}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    control(load(Path(sys.argv[1]), up=False))
