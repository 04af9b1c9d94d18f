"""Judge the table as a whole: what vantage points met, and what hosts listen on and filter."""

from __future__ import annotations

from pytest_deploygate.checks.firewall.facts import Network
from pytest_deploygate.checks.firewall.judge import attempts, hosts
from pytest_deploygate.checks.firewall.section import Firewall
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement


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
    for vantage in measurement.vantages:
        if vantage.name not in down:
            attempts.judge_vantage(vantage, measurement, found)
    for side in measurement.hosts:
        if side.failure is None:
            hosts.judge_listeners(side, found)
            hosts.judge_filters(side, found)
    unlisted = [side.name for side in measurement.hosts if side.declared is None]
    if unlisted:
        found.note(
            f"what {listed(unlisted)} {'listens' if len(unlisted) == 1 else 'listen'} on is not judged: `listeners` says "
            "nothing of it"
        )
    return found.judgement(lambda: _good(measurement, criterion))


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
