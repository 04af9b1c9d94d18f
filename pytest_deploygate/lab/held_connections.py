"""Holds idle sessions of db1, as an application does that never gives them back, until the process ends.

Run as `python -m pytest_deploygate.lab.held_connections FOLDER NUMBER`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.state import load

if __name__ == "__main__":
    lab = load(Path(sys.argv[1]), up=False)
    held = [sql.connect(lab) for _ in range(int(sys.argv[2]))]
    signal.pause()
