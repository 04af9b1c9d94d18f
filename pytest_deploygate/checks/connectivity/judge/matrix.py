"""Judge the matrix as a whole: a service that nobody reaches and a place that reaches nothing are said once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.connectivity.facts import Cell, Matrix
from pytest_deploygate.checks.connectivity.judge.cells import Judged, judge_cell
from pytest_deploygate.fields.hosts import HERE
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement, Reading, Shares

if TYPE_CHECKING:
    from pytest_deploygate.checks.connectivity.section import Connectivity

#: A reading for each cell; of a larger matrix those that are not as required, and a count for each place.
_MOST_CELLS = 150


def judge(measurement: Matrix, criterion: Connectivity) -> Judgement:
    """Pass if every place reaches each of its services: name, TCP, TLS, first byte, in time, with packets of full size."""
    found = Collector(most=6, confirmed=True)
    silent = [(place.name, place.failure) for place in measurement.places if place.failure]
    for failure, names in by_cause(silent).items():
        found.unknown(f"cannot be used: {failure.said}", where=listed(names))
    for place, service in measurement.unfinished:
        found.unknown(
            "was not tried to its end in time: raise `within`, or look at the name servers of that place",
            where=f"{place} → {service}",
        )
    judged = list(_cells(measurement, criterion))
    _read(judged, found)
    _say(judged, found)
    for each in judged:
        found.note(*each.notes)
    judgement = found.judgement(lambda: _good(judged))
    return replace(judgement, figures=(_picture(judged, measurement),)) if judged else judgement


def _cells(measurement: Matrix, criterion: Connectivity) -> Iterable[Judged]:
    services = {service.name: service for service in criterion.services}
    unfinished = set(measurement.unfinished)
    cells: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in measurement.cells:
        if (cell.source, cell.service) not in unfinished:
            cells[cell.source, cell.service].append(cell)
    for (_, name), these in cells.items():
        yield judge_cell(these, services[name], criterion)


def _read(judged: Sequence[Judged], found: Collector) -> None:
    total, good = len(judged), sum(each.good for each in judged)
    wrong = any(each.wrong for each in judged)
    if not total:
        return
    found.read(
        Reading(
            "cells of the matrix that are as required",
            f"{good} of {total}",
            limit="all",
            ok=False if wrong else None if good < total else True,
        )
    )
    shown = judged if total <= _MOST_CELLS else [each for each in judged if not each.good][:_MOST_CELLS]
    found.read(*(each.reading for each in shown))


def _say(judged: Sequence[Judged], found: Collector) -> None:
    """Say what is wrong: services that nobody reaches, places that reach nothing, then single cells alike together."""
    by_service, by_source = _grouped(judged, "service"), _grouped(judged, "source")
    said: set[tuple[str, str]] = set()
    for service, cells in by_service.items():
        if len(cells) > 1 and all(each.wrong for each in cells):
            first = cells[0]
            found.wrong(f"from all {len(cells)} places: {first.wrong}", where=service)
            said |= {(each.source, service) for each in cells}
    for source, cells in by_source.items():
        left = [each for each in cells if (each.source, each.service) not in said]
        if source == HERE and left and not any(each.good or each.refused for each in cells):
            # A host lets us log in, so its network works; ours is proven by nothing then.
            found.unknown(
                f"nothing that this machine tries gives it an answer, so check its own network first ({_either(left[0])})",
                where=HERE,
            )
        elif len(left) > 1 and len(left) == len(cells) and all(each.wrong for each in left):
            found.wrong(f"all of its {len(left)} services: {left[0].wrong}", where=source)
        else:
            continue
        said |= {(each.source, each.service) for each in left}
    for each in judged:
        where = f"{each.source} → {each.service}"
        if (each.source, each.service) in said:
            continue
        if each.wrong:
            others = [o.source for o in by_service[each.service] if o.good]
            reached = f" ({listed(others)} {'reaches' if len(others) == 1 else 'reach'} it)" if others else ""
            found.wrong(f"{each.wrong}{reached}", where=where)
        elif each.unknown:
            found.unknown(each.unknown, where=where)


def _either(each: Judged) -> str:
    return f"{each.service}: {each.wrong or each.unknown}"


def _grouped(judged: Sequence[Judged], name: str) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        groups[getattr(each, name)].append(each)
    return groups


def _picture(judged: Sequence[Judged], measurement: Matrix) -> Shares:
    """Draw for each service how many places reach it."""
    rows = []
    lost: dict[str, int] = defaultdict(int)
    for _, service in measurement.unfinished:
        lost[service] += 1
    for service, cells in _grouped(judged, "service").items():
        states = (
            ("reached", sum(each.good for each in cells)),
            ("not reached", sum(bool(each.wrong) for each in cells)),
            ("unknown", sum(bool(each.unknown) for each in cells) + lost[service]),
        )
        rows.append((service, states, 1.0))
    return Shares("Places that reach each service", "places", tuple(rows))


def _good(judged: Sequence[Judged]) -> str:
    places, services = len({each.source for each in judged}), len({each.service for each in judged})
    slowest = max(judged, key=lambda each: float(each.reading.value or 0.0))
    return (
        f"{len(judged)} cells of {places} {'place' if places == 1 else 'places'} and {services} "
        f"{'service' if services == 1 else 'services'} are connected, the slowest ({slowest.reading.name}) in "
        f"{slowest.reading.value} ms"
    )
