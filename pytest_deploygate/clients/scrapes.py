"""Targets of Prometheus that missed one scrape. That is no outage: the next one, a scrape interval later, tells.

Of thousands of targets, one has often just missed a scrape: a packet lost, a pause of the target's own. `up` is 0 and its
series are gone until the next one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pytest_deploygate.clients import prometheus
from pytest_deploygate.clients.prometheus import Series
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell

#: With more targets down than this, it is no single scrape.
_MOST = 20
#: So many scrapes are looked at, of which only the last failed.
_SCRAPES = 5
#: Longer than so many scrapes at usual intervals, and shorter than Prometheus keeps a series that is gone.
_BACK = timedelta(minutes=5)
#: Nobody waits for a scrape that comes later than this.
_LONGEST_S = 60.0
_EVERY_S, _MARGIN_S = 0.5, 2.0
_Labels = tuple[tuple[str, str], ...]


def missed(server: Prometheus) -> tuple[str, ...]:
    """Wait for the next scrape of targets whose last one failed, and only that; return those that it found up again.

    They are in words, `JOB INSTANCE`. Others are not waited for: a target that failed twice of late, one that was never
    up, and all where more are down than a few. What Prometheus does not tell is left to what is asked next.
    """
    try:
        down = {_labels(sample.labels) for sample in prometheus.vector(server, "up == 0")}
        if not 0 < len(down) <= _MOST:
            return ()
        once = {
            _labels(series.labels): series
            for series in _history(server, down)
            if _labels(series.labels) in down and _interval_s(series) <= _LONGEST_S
        }
        return tuple(sorted(_words(labels) for labels in _answered(server, once)))
    except CannotTell:
        return ()


def _history(server: Prometheus, targets: set[_Labels]) -> Sequence[Series]:
    chosen = ", ".join(
        f"{name}=~{_quoted('|'.join(sorted({re.escape(dict(labels).get(name, '')) for labels in targets})))}"
        for name in ("job", "instance")
    )
    return [series for series in prometheus.raw(server, f"up{{{chosen}}}", _BACK) if series.samples]


def _interval_s(series: Series) -> float:
    """Return the interval of a target that failed its last scrape only; endless for any other."""
    last = series.samples[-_SCRAPES:]
    if len(last) < 2 or [value for _, value in last] != [1.0] * (len(last) - 1) + [0.0]:
        return float("inf")
    return (last[-1][0] - last[-2][0]).total_seconds()


def _answered(server: Prometheus, once: Mapping[_Labels, Series]) -> set[_Labels]:
    """Wait until all were scraped again; return those that answered. Raises CannotTell."""
    failed_at = {labels: series.samples[-1][0] for labels, series in once.items()}
    # The next scrape comes within an interval, and may take as long as one.
    until = time.monotonic() + 2 * max(map(_interval_s, once.values()), default=0.0) + _MARGIN_S
    found: set[_Labels] = set()
    while failed_at and time.monotonic() < until:
        for series in _history(server, set(failed_at)):
            labels = _labels(series.labels)
            at, value = series.samples[-1]
            if labels in failed_at and at > failed_at[labels]:
                del failed_at[labels]
                found |= {labels} if value == 1 else set()
        if failed_at:
            time.sleep(_EVERY_S)
    return found


def _labels(labels: Mapping[str, str]) -> _Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))


def _words(labels: _Labels) -> str:
    return " ".join(value for name in ("job", "instance") if (value := dict(labels).get(name)))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
