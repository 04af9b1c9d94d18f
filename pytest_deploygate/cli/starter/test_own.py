"""An example of your own check. Change it, or delete it together with its line in checklist.md.

`pytest --inventory NAME` runs it beside the shipped checks. Measure first, then judge: the measurement knows no limit,
and the judge reads nothing but its arguments, so it can be tested with measurements made by hand.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_deploygate.model import CannotTell, Judgement, Reading, Verdict


@dataclass(frozen=True, slots=True)
class Disk:
    """How much of a file system is free."""

    path: str
    free_gb: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What is required."""

    free_gb: float = 1.0


def measure(path: Path) -> Disk:
    """Read the free space. Raises CannotTell, which makes the item inconclusive, never a pass."""
    try:
        return Disk(str(path), shutil.disk_usage(path).free / 1e9)
    except OSError as error:
        raise CannotTell(f"free space of {path} cannot be read: {error.strerror}; correct the path") from None


def judge(found: Disk, limits: Limits) -> Judgement:
    """Pass only when enough was measured."""
    readings = (Reading("free", found.free_gb, "GB"),)
    room = f"{found.path} has {found.free_gb:.2f} GB free, limit {limits.free_gb:.2f} GB"
    if found.free_gb >= limits.free_gb:
        return Judgement(Verdict.PASS, room, readings)
    return Judgement(Verdict.FAIL, f"{room}; delete old results in deploygate-out", readings)


@pytest.mark.item("own.free-disk")
def test_results_have_disk_space(gate, pytestconfig):
    """There is enough free disk space for the results of this run."""
    gate.judge(judge, measure(pytestconfig.rootpath), Limits())
