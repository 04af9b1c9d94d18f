"""Users do not see synthetic devices, and nothing of them stays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_deploygate.checks.pipeline.facts import Measured, Number
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.pipeline.section import Pipeline

#: Counts of other events vary by so many times their root.
_SIGMAS = 3.0


def judge(found: Measured, criterion: Pipeline, said: Collector) -> None:
    """Say where synthetic devices are seen, and what of them stays."""
    for place in found.shown:
        if place.problem:
            said.unknown(place.problem)
        else:
            said.read(
                Reading(
                    f"synthetic devices in {place.name}", int(bool(place.seen)), limit="0", ok=not place.seen
                )
            )
        if place.seen:
            said.wrong(f"{place.name} shows {place.seen}: leave synthetic devices out of what users see")
    for number in found.numbers:
        _number(number, len(found.sent.due_s), len(found.sent.devices), said)
    if not found.shown and not found.numbers:
        said.note(
            "whether users see synthetic devices was not looked at: `left_out` names no page, number or query"
        )
    said.unknown(*(f"{problem}: synthetic events may be left" for problem in found.cleaning))
    if not criterion.clean_up:
        said.note("synthetic events stay in the platform: there is no `clean_up`")
    for out in found.outs:
        if out.remains is not None:
            said.read(
                Reading(
                    f"events left after the clean-up, {out.name}", out.remains, limit="0", ok=not out.remains
                )
            )
        if out.remains:
            said.wrong(
                f"{out.remains} synthetic events are still in {out.name} after the clean-up: check its steps"
            )


def _number(number: Number, events: int, devices: int, said: Collector) -> None:
    """Judge a number's rise: it counts no device if it rose by less than one sends, or as much without them."""
    if number.problem or number.before is None or number.after is None:
        said.unknown(number.problem or f"{number.name} could not be read")
        return
    rose, one = number.after - number.before, max(1, events // devices)
    name, limit = f"rise of {number.name}", f"< {one}"
    counts = f"{number.name} rose by {rose}, from {number.before} to {number.after}, while {events} synthetic events were sent"
    if rose < one:
        said.read(Reading(name, rose, limit=limit, ok=True))
        return
    if number.later is None:
        said.read(Reading(name, rose))
        said.unknown(f"{counts}, and was not read again")
        return
    more = number.later - number.after
    noise = _SIGMAS * math.sqrt(max(1, rose + abs(more)))
    counts += f", and by {more} in the same time without them"
    if rose - more <= noise < one:
        said.read(Reading(name, rose))
        said.note(f"{counts}: others explain it")
    elif rose - more + noise >= events and rose - more > noise:
        said.read(Reading(name, rose, limit=limit, ok=False))
        said.wrong(f"{counts}: leave synthetic devices out of it")
    else:
        said.read(Reading(name, rose))
        said.unknown(
            f"{counts}: whether it counts some of them is not clear; raise `events`, or test when there is less traffic"
        )
