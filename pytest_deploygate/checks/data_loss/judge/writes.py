"""Judge whether every acknowledged write is where it must be, and whether the history of the clients makes sense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.data_loss.facts import Place, Written
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.histories.checking import Presence
from pytest_deploygate.judging.histories.strange import strange, strange_readings
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.data_loss.section import DataLoss


def judge_nodes(measurement: Written, criterion: DataLoss) -> Judgement:
    """Pass if each acknowledged write is on each node, nothing else is, and no client saw less than it should have."""
    found, seen = Collector(), measurement.anomalies
    found.read(*_counts(measurement))
    if not seen.acknowledged:
        why = f": {measurement.problem}" if measurement.problem else ""
        found.unknown(
            f"no write through {measurement.through} was acknowledged{why}; mend that, then run again"
        )
    if measurement.hung:
        found.unknown("a commit did not return and had to be cancelled, so its row may or may not be there")
    _places(found, measurement.nodes, seen.acknowledged)
    for sentence in strange(seen, measurement.through):
        found.wrong(sentence)
    found.read(*strange_readings(seen))
    if seen.acknowledged and not seen.reads:
        found.unknown(
            f"no read through {measurement.through} was answered, so stale reads were not looked for"
        )
    found.note(*_notes(measurement, criterion))
    return found.judgement(
        lambda: (
            f"all {seen.acknowledged:,} writes acknowledged through {measurement.through} in "
            f"{words_for(measurement.lasted_s)} are on {_names(measurement.nodes)}; {seen.reads:,} reads saw none missing"
        )
    )


def judge_restored(measurement: Written, criterion: DataLoss) -> Judgement:
    """Pass if a restored backup has each acknowledged write and no other."""
    found, seen, place = Collector(), measurement.anomalies, measurement.restored
    if place is None:
        how = (
            "name a scratch server with `backup.scratch`"
            if criterion.restored
            else "`data_loss.restored: false` says not to"
        )
        found.unknown(f"the acknowledged writes were not looked for in a restored backup: {how}")
        return found.judgement(str)
    if not seen.acknowledged:
        found.unknown("no write was acknowledged, so a backup cannot show that it keeps them")
    _places(found, (place,), seen.acknowledged)
    return found.judgement(
        lambda: (
            f"{place.name} has all {seen.acknowledged:,} acknowledged writes, recovered to the last of them in "
            f"{words_for(place.waited_s)}"
        )
    )


def _places(found: Collector, places: tuple[Place, ...], acknowledged: int) -> None:
    """Add what each place lacks or has too much of; places that lack the same are told together."""
    same: dict[Presence, list[str]] = {}
    for place in places:
        if place.presence is None:
            found.unknown(
                f"the acknowledged writes could not be looked for: {place.problem or 'no reason was recorded'}",
                where=place.name,
            )
            continue
        same.setdefault(place.presence, []).append(place.name)
        found.read(*_place_readings(place.name, place.presence))
    for presence, names in same.items():
        for sentence in _lacking(names, presence, acknowledged):
            found.wrong(sentence)


def _place_readings(name: str, presence: Presence) -> Iterator[Reading]:
    for what, some in (
        ("acknowledged writes missing", presence.lost),
        ("rows that nobody wrote", presence.phantom),
        ("rows that are there twice", presence.applied_twice),
    ):
        yield Reading(f"{what}: {name}", some.count, "rows", "0", not some)


def _lacking(names: list[str], presence: Presence, acknowledged: int) -> Iterator[str]:
    name, verb, has = (
        _joined(names),
        "lack" if len(names) > 1 else "lacks",
        "have" if len(names) > 1 else "has",
    )
    if presence.lost:
        cut = (
            f", all that was acknowledged in the last {words_for(presence.lost_s)}: its end is cut off, as by a crash"
            if presence.tail and presence.lost_s
            else ": single rows, so something removed or skipped them"
            if presence.found and not presence.tail
            else ""
        )
        yield (
            f"{name} {verb} {presence.lost.count:,} of {acknowledged:,} acknowledged writes (ids {presence.lost}){cut}; "
            "stop the deployment and look for triggers, policies, jobs and a second primary before anything else is written"
        )
    if presence.phantom:
        yield (
            f"{name} {has} {presence.phantom.count:,} rows that no writer wrote, or that were refused (ids {presence.phantom}); "
            "look for triggers and for a second writer of the gate's table"
        )
    if presence.applied_twice:
        yield (
            f"{name} {has} {presence.applied_twice.count:,} writes twice (ids {presence.applied_twice}); the primary key of the "
            "gate's table is gone, or its index is damaged: run amcheck's bt_index_check"
        )


def _counts(measurement: Written) -> Iterator[Reading]:
    seen = measurement.anomalies
    yield Reading("writers' way", measurement.through)
    yield Reading("acknowledged writes", seen.acknowledged, "rows", "more than 0", seen.acknowledged > 0)
    yield Reading("indeterminate writes", seen.indeterminate, "rows")
    yield Reading("refused writes", seen.refused, "rows")
    yield Reading("reads", seen.reads)


def _notes(measurement: Written, criterion: DataLoss) -> Iterator[str]:
    if measurement.problem:
        yield f"a writer met: {measurement.problem}"
    if measurement.left_out:
        yield f"not looked for on {', '.join(measurement.left_out)}, which is late on purpose"
    if criterion.load.duration.total_seconds() > 2 * measurement.lasted_s:
        yield f"the writers ended after {words_for(measurement.lasted_s)} of {words_for(criterion.load.duration)}"


def _names(places: tuple[Place, ...]) -> str:
    return _joined([place.name for place in places])


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
