"""Judge the table as a whole: what vantage points met, and what hosts listen on and filter."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.firewall.facts import Network
from pytest_deploygate.checks.firewall.judge import attempts, hosts, picture
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.firewall.section import Firewall


def judge(measurement: Network, criterion: Firewall) -> Judgement:
    """Pass if every attempt met what the table says, with a control that worked, and hosts listen and filter as declared."""
    found = Collector(most=6, confirmed=True)
    silent = [(each.name, each.failure) for each in measurement.vantages if each.failure]
    named = {name for name, _ in silent}
    silent += [
        (side.name, side.failure) for side in measurement.hosts if side.failure and side.name not in named
    ]
    for failure, names in by_cause(silent).items():
        found.unknown(f"cannot be used: {failure.said}", where=listed(names))
    down = {name for name, _ in silent}
    _table(measurement, down, found)
    sides = [side for side in measurement.hosts if side.failure is None]
    hosts.judge_listeners(sides, found)
    hosts.judge_filters(sides, found)
    unlisted = [side.name for side in measurement.hosts if side.declared is None]
    if unlisted:
        found.note(
            f"what {listed(unlisted)} {'listens' if len(unlisted) == 1 else 'listen'} on is not judged: `listeners` says "
            "nothing of it"
        )
    judgement = found.judgement(lambda: _good(measurement, criterion))
    figure = picture.drawn(measurement, down)
    return replace(judgement, figures=(figure,)) if figure else judgement


def _table(measurement: Network, down: Collection[str], found: Collector) -> None:
    """Judge what the vantage points met that could be used; those where all is as declared have a reading together."""
    used = [vantage for vantage in measurement.vantages if vantage.name not in down]
    served = attempts.served(measurement)
    counts = [attempts.judge_vantage(vantage, measurement, served, found) for vantage in used]
    whole = attempts.Count(
        sum(count.total for count in counts),
        sum(count.wrong for count in counts),
        sum(count.unknown for count in counts),
    )
    if not whole.total:
        return
    seen = [each for each in measurement.seen if each.source not in down]
    with_control = sum(count.controlled for count in counts)
    found.read(
        whole.reading("attempts as declared"),
        Reading("outcomes", attempts.counted(seen)),
        Reading("vantage points with a control that answers", f"{with_control} of {len(counts)}"),
    )


def _good(measurement: Network, criterion: Firewall) -> str:
    tried = sum(vantage.tried for vantage in measurement.vantages)
    asked = sum(vantage.of for vantage in measurement.vantages)
    drawn = f", drawn from {asked} with seed {measurement.seed}," if tried < asked else ""
    listening = sum(side.declared is not None for side in measurement.hosts)
    filtering = sum(bool(side.filters) for side in measurement.hosts)
    parts = [
        f"{tried} attempts{drawn} from {_places(len(measurement.vantages))} met what the table of {len(criterion.rules)} rows says"
    ]
    if listening:
        parts.append(f"{listening} hosts listen on nothing undeclared")
    if filtering:
        parts.append(f"{filtering} hosts drop what no rule mentions")
    return "; ".join(parts)


def _places(number: int) -> str:
    return "1 vantage point" if number == 1 else f"{number} vantage points"
