"""One load that several machines sent together: counts and histograms are added up without loss.

What cannot be added up is taken from the machine that measured worst: the quantiles within one second, of phases and of
kinds of connections, and how late a client was. Averages of percentiles mean nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from hdrh.histogram import HdrHistogram

from pytest_deploygate.checks.load.facts import (
    Client,
    Connected,
    Floor,
    Latencies,
    LoadRun,
    PhaseTimes,
    Second,
)
from pytest_deploygate.checks.load.tally import latencies, new_histogram

#: Parts that began further apart than this did not send their load together.
_APART_S = 5.0
_OTHERS = "other causes"


class NotOneLoadError(ValueError):
    """The runs are not the parts of one load; the message says why."""


def merged(runs: Sequence[LoadRun]) -> LoadRun:
    """Return the run that all parts made together. Raises NotOneLoadError."""
    parts = sorted(runs, key=lambda run: run.part or (0, 0))
    _check(parts)
    began = [datetime.fromisoformat(run.started).timestamp() for run in parts]
    late = [round(at - min(began)) for at in began]
    names = [found.name for found in parts[0].endpoints]
    endpoints = tuple(
        _added([run.of(name) if len(names) > 1 else run.endpoints[0] for run in parts], late)
        for name in names
    )
    first = parts[0]
    return replace(
        first,
        started=min(run.started for run in parts),
        lasted_s=max(run.lasted_s + after for run, after in zip(parts, late, strict=True)),
        stopped="; ".join(f"part {_words(run)}: {run.stopped}" for run in parts if run.stopped),
        cut=sum(run.cut for run in parts),
        whole=_added([run.whole for run in parts], late),
        endpoints=endpoints,
        phases=tuple(_phases(parts)),
        client=_client(parts),
        part=None,
    )


def _check(parts: Sequence[LoadRun]) -> None:
    """Check that these are all parts of one load, each once."""
    if not parts or any(run.part is None for run in parts):
        raise NotOneLoadError("a run is a whole load and no part of one: parts are sent with --part I/N")
    of = {run.part[1] for run in parts if run.part}
    if len(of) > 1:
        raise NotOneLoadError(f"the parts are of different divisions: {', '.join(map(_words, parts))}")
    there = Counter(run.part[0] for run in parts if run.part)
    total = of.pop()
    if doubled := [index for index, times in there.items() if times > 1]:
        raise NotOneLoadError(f"part {doubled[0]}/{total} is there {there[doubled[0]]} times")
    if missing := [index for index in range(1, total + 1) if index not in there]:
        raise NotOneLoadError(f"part {missing[0]}/{total} is missing: its requests would count as never sent")
    for said, value in _SAME:
        if len({value(run) for run in parts}) > 1:
            raise NotOneLoadError(f"the parts have different {said}: they are not of one load")
    began = [datetime.fromisoformat(run.started).timestamp() for run in parts]
    if max(began) - min(began) > _APART_S:
        raise NotOneLoadError(
            f"the parts began {max(began) - min(began):.0f} s apart, so the load was never as high as planned: "
            "start them together, with clocks that agree"
        )


_SAME: tuple[tuple[str, Callable[[LoadRun], object]], ...] = (
    ("targets", lambda run: run.target),
    ("endpoints", lambda run: tuple(found.name for found in run.endpoints)),
    ("limits", lambda run: run.whole.limits_s),
    ("durations", lambda run: run.planned_s),
    ("rates", lambda run: run.greatest_rate),
    ("kinds of connections", lambda run: run.connections),
    ("versions of HTTP", lambda run: run.http_version),
)


def _words(run: LoadRun) -> str:
    return "{}/{}".format(*(run.part or (0, 0)))


def _added(each: Sequence[Latencies], late: Sequence[int]) -> Latencies:
    """Add up one endpoint of all parts; `late` are the seconds by which each began after the first."""
    histogram = new_histogram()
    for found in each:
        if found.histogram:
            histogram.add(HdrHistogram.decode(found.histogram))
    failures: Counter[str] = Counter()
    for found in each:
        failures.update(found.failures)
    # A part names its ten most frequent causes only.
    if rest := sum(found.failed for found in each) - failures.total():
        failures[_OTHERS] += rest
    seconds: list[Second] = [
        replace(second, second=second.second + after)
        for found, after in zip(each, late, strict=True)
        for second in found.seconds
    ]
    whole = latencies(each[0].name, seconds, failures, each[0].limits_s, histogram)
    return replace(
        whole,
        opening=_connected([found.opening for found in each]),
        kept=_connected([found.kept for found in each]),
    )


def _connected(each: Sequence[Connected | None]) -> Connected | None:
    known = [one for one in each if one is not None]
    if len(known) < len(each):
        return None
    return Connected(
        sum(one.requests for one in known),
        tuple(map(sum, zip(*(one.over for one in known), strict=True))),
        tuple(map(sum, zip(*(one.overtaken for one in known), strict=True))),
        _worst(one.p50_s for one in known if one.requests),
        _worst(one.p99_s for one in known if one.requests),
    )


def _worst(values: Iterable[float | None]) -> float | None:
    """Return the highest; None (a quantile that falls among failed requests) is higher than any."""
    found = [math.inf if value is None else value for value in values]
    most = max(found, default=math.inf)
    return None if most == math.inf else most


def _phases(parts: Sequence[LoadRun]) -> Iterable[PhaseTimes]:
    for name in dict.fromkeys(phase.name for run in parts for phase in run.phases):
        mine = [phase for run in parts for phase in run.phases if phase.name == name]
        yield PhaseTimes(
            name,
            sum(phase.count for phase in mine),
            max(phase.p50_s for phase in mine),
            max(phase.p99_s for phase in mine),
        )


def _client(parts: Sequence[LoadRun]) -> Client:
    """Describe all clients as one: their requests together, and the lag of the latest."""
    clients = [run.client for run in parts]
    planned = sum(client.planned for client in clients)
    waited = [client.cpu_wait_share for client in clients if client.cpu_wait_share is not None]
    floors = [client.floor for client in clients if client.floor is not None]
    return Client(
        planned=planned,
        begun=sum(client.begun for client in clients),
        kept=min(client.kept for client in clients),
        rate_planned=sum(client.rate_planned for client in clients),
        rate_achieved=sum(client.rate_achieved for client in clients),
        lag_p50_s=max(client.lag_p50_s for client in clients),
        lag_p99_s=max(client.lag_p99_s for client in clients),
        lag_max_s=max(client.lag_max_s for client in clients),
        held=sum(client.held for client in clients),
        cpu_share=max(client.cpu_share for client in clients),
        floor=_highest(floors) if len(floors) == len(clients) else None,
        problem="; ".join(f"part {_words(run)}: {run.client.problem}" for run in parts if run.client.problem),
        cpu_wait_share=max(waited) if waited else None,
    )


def _highest(floors: Sequence[Floor]) -> Floor:
    return Floor(
        min(floor.requests for floor in floors),
        sum(floor.rate for floor in floors),
        max(floor.p50_s for floor in floors),
        max(floor.p99_s for floor in floors),
    )
