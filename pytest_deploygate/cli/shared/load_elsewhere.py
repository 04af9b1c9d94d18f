"""A load that another program sent: its output is read, or refused as an input (exit 4)."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.checks.load.facts import LoadRun, Spectrum
from pytest_deploygate.checks.load.probe.k6 import k6
from pytest_deploygate.checks.load.probe.wrk2 import wrk2
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.model import CannotTell


def of_k6(file: Path, plan: Load) -> LoadRun:
    """Return the run that k6 recorded. Raises Refused."""
    try:
        return k6(file, plan)
    except CannotTell as odd:
        raise Refused(f"--k6: {odd}") from None


def of_wrk2(file: Path, plan: Load) -> Spectrum:
    """Return what wrk2 printed. Raises Refused."""
    try:
        return wrk2(file, plan)
    except CannotTell as odd:
        raise Refused(f"--wrk2: {odd}") from None
