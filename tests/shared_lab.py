"""A lab shared by the tests of a folder: it stops after the last of them and does not affect other labs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_deploygate.cli.shared.lab_drills import rehearse
from pytest_deploygate.lab import up
from pytest_deploygate.lab.state import Lab


def shared_lab(
    place: Path, name: str = "shared", *, profiles: Sequence[str] = (), drilled: bool = True
) -> Iterator[Lab]:
    """Yield a running lab with the servers of `profiles`; DEPLOYGATE_LAB points to it until its last test is over."""
    before = os.environ.get("DEPLOYGATE_LAB")
    folder = place / name
    os.environ["DEPLOYGATE_LAB"] = str(folder)
    try:
        running, _ = up.up(folder, _silently, lambda _: rehearse(_silently) if drilled else None, profiles)
        yield running
    finally:
        up.down(folder)
        if before is None:
            del os.environ["DEPLOYGATE_LAB"]
        else:
            os.environ["DEPLOYGATE_LAB"] = before


def _silently(_what: str, _seconds: float) -> None:
    """Ignore the lab's progress."""
