"""Judges the clock of a server whose ages of samples are to be believed."""

from __future__ import annotations

from datetime import timedelta

from pytest_deploygate.checks.monitoring.facts import Clock
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading


def read_clock(found: Collector, clock: Clock, tolerance: timedelta) -> bool:
    """Read the offset of the server's clock; return whether ages can be believed. Beyond the tolerance they are unknown."""
    limit_s = tolerance.total_seconds()
    # The truth is between the bounds: what the nearest one says is certain.
    off_s = 0.0 if clock.low_s <= 0 <= clock.high_s else min(abs(clock.low_s), abs(clock.high_s))
    good = off_s <= limit_s
    if good:
        found.read(Reading("clock's offset", round(off_s, 1), "s", f"≤ {limit_s:g} s", ok=True))
        return True
    found.read(Reading("clock's offset", round(off_s, 1), "s"))
    side = "ahead of" if clock.low_s > 0 else "behind"
    found.unknown(
        f"its clock is {off_s:.1f} s {side} that of this machine (tolerance {limit_s:g} s), so no age of a sample can be "
        "believed: compare both with `chronyc tracking` and correct the wrong one"
    )
    return False
