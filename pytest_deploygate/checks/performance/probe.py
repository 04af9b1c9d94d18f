"""Read the servers' histogram and send our own requests; never sees a limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.load.facts import Baseline, LoadRun, ServerHistogram
from pytest_deploygate.checks.load.probe import baseline, send, server_histogram
from pytest_deploygate.checks.load.section import Histogram
from pytest_deploygate.checks.load.tally import WHOLE
from pytest_deploygate.checks.performance.facts import Earlier
from pytest_deploygate.checks.performance.section import Performance
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell

__all__ = ["client_before", "histogram", "server_before", "visited"]

_MOST_BYTES = 64 << 20


def histogram(prometheus: Prometheus, histograms: Histogram) -> ServerHistogram:
    """Return what the servers counted. Raises CannotTell with where, why and what to do."""
    return server_histogram(histograms, prometheus)


def visited(performance: Performance, name: str, budget: Budget) -> LoadRun:
    """Send our own requests and return how long they took. Raises CannotTell if the inventory `name` does not allow it."""
    visits = performance.client
    if visits.allow != name:
        raise CannotTell(
            f"no request of our own was sent, so what clients see is unknown: set `performance.client.allow: {name}` once "
            f"{visits.requests} requests at {visits.per_second:g}/s are agreed"
        )
    return send(visits.as_load(visits.requests, performance.limits), name, budget=budget)


def client_before(performance: Performance) -> Baseline:
    """Return what our own client measured in the run before; where there is none, that is a value (`problem`)."""
    return baseline(performance.client_baseline, WHOLE)


def server_before(path: Path | None, now: ServerHistogram) -> Earlier:
    """Return the newest record of the same histogram in a folder's evidence, or in a file.

    Where there are several, one over the same window counts: a night is compared with a night. What is missing is a value
    (`problem`).
    """
    if path is None:
        return Earlier(
            "",
            problem="no run before is named: add `performance.baseline` with the folder of the earlier change",
        )
    if not path.exists():
        return Earlier(str(path), problem=f"there is no file or folder {path}")
    found = [each for file in _files(path) for each in _records(file) if each.metric == now.metric]
    if not found:
        return Earlier(str(path), problem=f"{path} contains no record of the histogram {now.metric}")
    return max(found, key=lambda each: (each.window_s == now.window_s, each.until))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    folder = path / "evidence" if (path / "evidence").is_dir() else path
    return sorted(folder.glob("*.json"))


def _records(file: Path) -> Iterator[Earlier]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return
        content: Any = bounded.from_json(bounded.read(file, bounded.MADE))
        measured = content["measurement"]
        measured = measured.get("now", measured)
        yield record(measured, str(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        return  # another check's evidence


def record(measured: Any, source: str) -> Earlier:
    """Return a measurement of a histogram, as evidence has it, as a record. Raises KeyError, TypeError, ValueError."""
    bounds = tuple(float(bound) for bound in measured["bounds_s"])
    scrapes = [*measured["scrapes"], *measured["appeared"]]
    counts, perhaps = (
        tuple(sum(int(scrape[kind][n]) for scrape in scrapes) for n in range(len(bounds)))
        for kind in ("at_or_below", "perhaps")
    )
    newest = max(float(scrape["at"]) for scrape in scrapes)
    until = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    return Earlier(
        source, str(measured["metric"]), until, float(measured["window_s"]), bounds, counts, perhaps
    )
