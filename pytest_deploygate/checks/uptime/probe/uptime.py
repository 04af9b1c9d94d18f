"""The uptime of one target from records of the watch or from Prometheus: a view for each vantage point."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.uptime.facts import View, Watched
from pytest_deploygate.checks.uptime.probe.record import Record, RecordError, Run, Sample, read
from pytest_deploygate.checks.uptime.probe.stretches import Point, stretches
from pytest_deploygate.checks.uptime.section import Uptime, WatchTarget
from pytest_deploygate.clients import prometheus
from pytest_deploygate.files import sha256
from pytest_deploygate.model import CannotTell

_MOST_REASONS = 3
_MARGIN_S = 600.0


def measure(uptime: Uptime, target: WatchTarget, inventory: str) -> Watched:
    """Return what is known of a target's uptime. Raises CannotTell if nothing is."""
    now = time.time()
    if target.prometheus:
        return Watched(target.name, now, _series(uptime, target.prometheus, now))
    records, notes = _records(uptime, inventory)
    views = [view for record in records if (view := _view(record, target))]
    if not views:
        raise CannotTell(
            f"no record of the watch has a target {target.name}: {', '.join(r.file for r in records)};"
            f" restart `deploygate watch --inventory {inventory}` if the target was added after its start"
        )
    return Watched(target.name, now, tuple(views), tuple(notes))


def _records(uptime: Uptime, inventory: str) -> tuple[list[Record], list[str]]:
    if not uptime.files:
        raise CannotTell(
            f"there is no record of a watch ({', '.join(map(str, uptime.records))}): start one at t0 with"
            f" `deploygate watch --inventory {inventory} --detach`, or copy the files of other hosts here"
        )
    try:
        found = [read(file) for file in uptime.files]
    except RecordError as error:
        raise CannotTell(str(error)) from None
    mine = [record for record in found if record.inventory == inventory]
    others = [record for record in found if record.inventory != inventory]
    if not mine:
        raise CannotTell(
            f"{others[0].file} is of the inventory {others[0].inventory}, none is of {inventory}"
        )
    twice = [name for name, count in Counter(record.vantage for record in mine).items() if count > 1]
    if twice:
        files = ", ".join(record.file for record in mine if record.vantage in twice)
        raise CannotTell(
            f"{files} are all from the vantage point {twice[0]}: one observer would be counted twice; keep one"
        )
    return mine, [f"{record.file} is of the inventory {record.inventory}: left out" for record in others]


def _view(record: Record, target: WatchTarget) -> View | None:
    if target.name not in record.targets:
        return None
    if record.targets[target.name] != target.what:
        raise CannotTell(
            f"{record.file} watched {target.name} as {record.targets[target.name]}, the inventory has {target.what}:"
            " that is another target; watch it again, or revert the change"
        )
    points, backwards = _points(record.runs, target.name)
    samples = [s for run in record.runs for s in run.samples if s.target == target.name]
    return View(
        vantage=record.vantage,
        source=record.file,
        sha256=record.sha256,
        every_s=max((run.every_s for run in record.runs), default=float("inf")),
        t0=record.t0,
        stretches=stretches(points),
        samples=len(samples),
        failed=sum(s.up is False for s in samples),
        blind=sum(s.up is None for s in samples),
        failures=_reasons(samples),
        failing=_spans([(s.at, s.up is False) for s in samples]),
        cut_off=_spans([(s.at, s.up is None) for s in samples]),
        notes=(*_notes(record), *backwards),
    )


def _points(runs: Sequence[Run], target: str) -> tuple[list[Point], list[str]]:
    """Return the samples in order of time. If a run begins before the last one ended, the overlap is dropped."""
    points: list[Point] = []
    notes = []
    for run in runs:
        # Requests to one target do not overlap, so a run is in order of time.
        new = [Point(s.at, s.up, run.every_s) for s in run.samples if s.target == target and s.up is not None]
        if points and new and new[0].at <= points[-1].at:
            start, end = new[0].at, points[-1].at
            notes.append(
                f"the clock went back by at least {end - start:.1f} s before the start at {_clock(run.at)}: that time"
                " counts as unknown"
            )
            points = [p for p in points if p.at < start]
            new = [p for p in new if p.at > end]
        points += new
    return points, notes


def _reasons(samples: Sequence[Sample]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(s.why for s in samples if s.why).most_common(_MOST_REASONS))


def _spans(samples: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Return the first and last moments of successive samples for which something is true."""
    runs = (list(run) for true, run in itertools.groupby(sorted(samples), lambda sample: sample[1]) if true)
    return tuple((run[0][0], run[-1][0]) for run in runs)


def _notes(record: Record) -> Iterator[str]:
    if len(record.runs) > 1:
        yield f"the watch at {record.vantage} was started {len(record.runs)} times; the time between counts as unknown"
    if record.torn:
        yield f"{record.file} ends in an unfinished line, which was ignored"
    for run in record.runs:
        for at, moved_s in run.clock:
            yield (
                f"the clock of {record.vantage} was moved by {moved_s:+.1f} s at {_clock(at)}; the watch continued with"
                " its own monotonic clock"
            )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _series(uptime: Uptime, selector: str, now: float) -> tuple[View, ...]:
    """Query Prometheus for the raw samples: no function, no step, so that gaps stay gaps.

    A range selector in an instant query gives raw samples; `query_range` would repeat a sample for five minutes.
    """
    if uptime.t0 is None:
        raise CannotTell("the inventory has no beginning of the window; add `uptime: {t0: …}`")
    start = uptime.t0.timestamp() - _MARGIN_S
    end = min(now, uptime.t0.timestamp() + uptime.window.total_seconds() + _MARGIN_S)
    if end <= start + _MARGIN_S:
        raise CannotTell(f"the window has not begun: t0 is {_clock(uptime.t0.timestamp())}")
    question = f"{selector.strip()}[{int(end - start)}s]"
    found = _asked(uptime, {"query": question, "time": f"{end:.3f}"})
    views = tuple(_series_view(entry) for entry in found)
    if not views:
        raise CannotTell(
            f"Prometheus has no samples of {selector} since t0; check the selector, and that the target is scraped"
        )
    return views


def _asked(uptime: Uptime, question: dict[str, str]) -> list[dict[str, Any]]:
    where = uptime.prometheus
    if where is None:
        raise CannotTell("the inventory has no address of Prometheus; add `uptime: {prometheus: {url: …}}`")
    return list(prometheus.ask(where, question, "matrix"))


def _series_view(entry: dict[str, Any]) -> View:
    labels = ", ".join(f'{k}="{v}"' for k, v in sorted(entry["metric"].items()) if k != "__name__")
    values = [(float(at), float(value)) for at, value in entry["values"]]
    steps = [after - before for (before, _), (after, _) in itertools.pairwise(values)]
    every_s = round(statistics.median(steps), 3) if steps else float("inf")
    known = [Point(at, value == 1.0, every_s) for at, value in values if value in (0.0, 1.0)]
    return View(
        vantage=labels,
        source=f"Prometheus {{{labels}}}",
        sha256=sha256(json.dumps(entry, sort_keys=True).encode()),
        every_s=every_s,
        t0=None,
        stretches=stretches(known) if steps else (),
        samples=len(values),
        failed=sum(value == 0.0 for _, value in values),
        blind=len(values) - len(known),
        failing=_spans([(at, value == 0.0) for at, value in values]),
        cut_off=_spans([(at, value not in (0.0, 1.0)) for at, value in values]),
    )
