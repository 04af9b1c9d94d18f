"""What wrk2 measured, from what it prints: `wrk -R RATE -d TIME --latency URL > FILE`.

Source: wrk2's README and `src/wrk.c` (giltene/wrk2, 4.0.0). wrk2 times from when a request was due. After ten seconds and
5 ms for each connection of a thread it calibrates and drops what it has recorded; at its end it does not wait for answers.
Plain wrk has no rate: it waits for each answer before it sends the next request, so a stall hides requests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from pytest_deploygate.checks.load.facts import Spectrum
from pytest_deploygate.checks.load.section import Load, LoadEndpoint
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_MOST_BYTES = 1 << 20
_CALIBRATED_AFTER_S, _CALIBRATED_EACH_S = 10.0, 0.005
#: A rate or a duration this close to the plan's is the plan's: wrk2 prints two digits after the point.
_CLOSE = 0.01
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_RUNNING = re.compile(r"^Running ([0-9.]+)(us|ms|s|m|h) test @ (\S+)$", re.MULTILINE)
_THREADS = re.compile(r"^ +([0-9]+) threads and ([0-9]+) connections$", re.MULTILINE)
_RECORDED = re.compile(
    r"^  Latency Distribution \(HdrHistogram - Recorded Latency\)$(.*?)^#\[Max += +([0-9.]+), Total count += +([0-9]+)\]$",
    re.MULTILINE | re.DOTALL,
)
_ROW = re.compile(r"^ *([0-9.]+) +([01]\.[0-9]+) +([0-9]+) +(?:[0-9.]+|inf)$", re.MULTILINE)
_TOTAL = re.compile(r"^  ([0-9]+) requests in ", re.MULTILINE)
_PER_SECOND = re.compile(r"^Requests/sec: +([0-9.]+)$", re.MULTILINE)
_STATUS = re.compile(r"^  Non-2xx or 3xx responses: ([0-9]+)$", re.MULTILINE)
_SOCKETS = re.compile(
    r"^  Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)$", re.MULTILINE
)


@dataclass(frozen=True)
class _Printed:
    """The summary lines of one run."""

    url: str
    duration_s: float
    connections_each: float
    answered: int
    per_second: float
    rows: tuple[tuple[float, int], ...]
    recorded: int


def wrk2(path: Path, load: Load) -> Spectrum:
    """Return what wrk2 printed to a file, for the one endpoint and the plan of the inventory's load.

    Raises CannotTell if the file is not wrk2's, is cut off, or is of another load.
    """
    text = _read(path)
    found = _printed(path, text)
    endpoint = _endpoint(path, found.url, load)
    stage = load.stages[0]
    lasts_s = stage.lasts.total_seconds()
    lasted_s = found.answered / found.per_second if found.per_second else found.duration_s
    _same_plan(path, found, load)
    recorded_s = _recorded_s(found, lasted_s) if "Thread calibration:" in text else lasted_s
    status, sockets = _STATUS.search(text), _SOCKETS.search(text)
    kinds = ("connect", "read", "write", "timeout")
    return Spectrum(
        url=found.url,
        label=endpoint.label,
        origin=load.target.origin if load.target else "",
        planned=round(stage.rate * lasts_s),
        planned_s=lasts_s,
        greatest_rate=load.greatest_rate,
        answered=found.answered,
        lasted_s=lasted_s,
        rows=found.rows,
        recorded=found.recorded,
        recorded_s=recorded_s,
        due=max(found.recorded, round(stage.rate * recorded_s)),
        bad_status=int(status[1]) if status else 0,
        broken=dict(zip(kinds, map(int, sockets.groups()), strict=True)) if sockets else {},
    )


def _read(path: Path) -> str:
    try:
        with bounded.opened(path) as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CannotTell(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise CannotTell(f"{path} is larger than {_MOST_BYTES >> 20} MB: this is not what wrk2 prints")
    return content.decode("utf-8", "replace")


def _printed(path: Path, text: str) -> _Printed:
    runs = _RUNNING.findall(text)
    if not runs:
        raise CannotTell(
            f"{path} is not what wrk2 prints: there is no line `Running … test @ …`; keep all of "
            f"`wrk -R RATE -d TIME --latency URL > {path.name}`"
        )
    if len(runs) > 1:
        raise CannotTell(f"{path} has {len(runs)} runs of wrk2: keep each in a file of its own")
    totals, per_second = _TOTAL.search(text), _PER_SECOND.search(text)
    threads = _THREADS.search(text)
    if not totals or not per_second or not threads:
        raise CannotTell(f"{path} is cut off: wrk2 was killed, or still runs (`Requests/sec:` is missing)")
    recorded = _RECORDED.search(text)
    if not recorded:
        raise CannotTell(_no_spectrum(path, text))
    rows = tuple((_number(path, row[0]) / 1000, int(row[2])) for row in _ROW.findall(recorded[1]))
    total = int(recorded[3])
    _check_rows(path, rows, total)
    number, unit, url = runs[0]
    return _Printed(
        url,
        _number(path, number) * _UNITS[unit],
        int(threads[2]) / max(1, int(threads[1])),
        int(totals[1]),
        _number(path, per_second[1]),
        rows,
        total,
    )


def _no_spectrum(path: Path, text: str) -> str:
    if re.search(r"^  Latency Distribution$", text, re.MULTILINE):
        return (
            f"{path} is from wrk, not from wrk2: wrk has no rate and waits for each answer (closed loop), so a stall hides the "
            "requests that it kept from being sent; measure with wrk2, k6 or `deploygate load`"
        )
    return (
        f"{path} has no line `Latency Distribution (HdrHistogram - Recorded Latency)`: run wrk2 with --latency; plain wrk, "
        "which waits for each answer (closed loop), is not judged"
    )


def _check_rows(path: Path, rows: Sequence[tuple[float, int]], total: int) -> None:
    """Check that the rows rise and end at the total: else lines are missing."""
    rising = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(rows))
    if not rows or not total:
        raise CannotTell(f"{path}: wrk2 recorded no answer; it drops those of its first ten seconds")
    if not rising or rows[-1][1] != total:
        raise CannotTell(
            f"{path}: the percentile spectrum is not whole: its last row has {rows[-1][1]} of {total} requests"
        )


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CannotTell(f"{path}: {text!r} is no number that wrk2 prints") from None


def _endpoint(path: Path, url: str, load: Load) -> LoadEndpoint:
    """Return the one endpoint of the load. wrk2 has no counts by endpoint, so there may be no other."""
    if len(load.endpoints) != 1:
        raise CannotTell(
            f"{path}: wrk2 does not print how many requests each of {len(load.endpoints)} endpoints had: name the one that it "
            "requested with --endpoint"
        )
    endpoint, asked = load.endpoints[0], urlsplit(url)
    path_asked = f"{asked.path or '/'}{f'?{asked.query}' if asked.query else ''}"
    if path_asked != endpoint.path:
        raise CannotTell(
            f"{path}: wrk2 requested {path_asked}, and the endpoint {endpoint.label} is {endpoint.path}: choose the endpoint "
            "that wrk2 requested"
        )
    if load.target is not None and not load.target.is_at(url):
        raise CannotTell(f"{path}: wrk2 measured {url}, and `load.target` is {load.target.origin}")
    return endpoint


def _same_plan(path: Path, found: _Printed, load: Load) -> None:
    """Check that wrk2 was run with the plan's rate and duration."""
    stages = load.stages
    if len(stages) > 1 or stages[0].to not in (None, stages[0].rate):
        raise CannotTell(
            f"{path}: wrk2 sends at one rate, and `load.profile` has several: give --rate and --duration of wrk2's run"
        )
    lasts_s, rate = stages[0].lasts.total_seconds(), stages[0].rate
    if abs(found.duration_s - lasts_s) > max(1.0, lasts_s * _CLOSE):
        raise CannotTell(
            f"{path}: wrk2 ran for {found.duration_s:g} s, and the plan is {lasts_s:g} s: give --duration {found.duration_s:g}s"
        )
    if found.per_second > rate * (1 + _CLOSE) + 1:
        raise CannotTell(
            f"{path}: wrk2 had {found.per_second:g} answers a second, and the plan is {rate:g}/s: give --rate with wrk2's -R"
        )


def _recorded_s(found: _Printed, lasted_s: float) -> float:
    """Return how long wrk2 recorded after it had calibrated."""
    return max(0.0, lasted_s - _CALIBRATED_AFTER_S - _CALIBRATED_EACH_S * found.connections_each)
