"""The course of a resource as a picture: what was used, the limit, and how it may go on."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from pytest_deploygate.checks.resources.facts import Use, Used
from pytest_deploygate.checks.resources.judge.outlook import Outlook
from pytest_deploygate.checks.resources.judge.seen import UNLIMITED, limit_of
from pytest_deploygate.model import Line, Series

_SIZES = ((2.0**40, "TB"), (2.0**30, "GB"), (2.0**20, "MB"), (2.0**10, "kB"))


def picture(
    found: Used, use: Use, unit: str, outlook: Outlook | None = None, horizon_s: float = 0.0
) -> Series:
    """Draw a series with its limit; with an outlook also the earliest and the latest line to the limit."""
    limit = limit_of(use) if limit_of(use) < UNLIMITED else None
    largest = limit or max((p.used for p in use.points if p.used is not None), default=0.0)
    size, said = next(
        ((s, u) for s, u in _SIZES if unit == "bytes" and largest >= s),
        (1.0, "B" if unit == "bytes" else unit),
    )
    start = use.points[0].at
    points = tuple(
        (round(p.at - start, 3), None if p.used is None else _short(p.used / size)) for p in use.points
    )
    lines = [Line("used", points)]
    if outlook is not None and limit is not None:
        for name, seconds in (("at the earliest", outlook.early_s), ("at the latest", outlook.late_s)):
            lines += _until(name, points, seconds, limit / size, horizon_s)
    return Series(
        f"{found.name} {use.of}",
        said,
        tuple(lines),
        None if limit is None else _short(limit / size),
        datetime.fromtimestamp(start, UTC).isoformat(),
    )


def _until(
    name: str, points: tuple[tuple[float, float | None], ...], seconds: float, limit: float, horizon_s: float
) -> list[Line]:
    last = next(((at, value) for at, value in reversed(points) if value is not None), None)
    if last is None or not math.isfinite(seconds) or seconds <= 0:
        return []
    at, value = last
    shown = min(seconds, horizon_s)
    end = value + (limit - value) * shown / seconds
    return [Line(name, ((at, value), (round(at + shown, 3), _short(end))))]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
