"""Judge which services are ready, in the order in which they need each other: where to begin comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.stack.facts import Health, State, Watched
from pytest_deploygate.checks.stack.judge.health import Said, judged
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.application.section import Application, Service


def judge_readiness(measurement: Health, criterion: Application) -> Judgement:
    """Pass if everything of each service was up in every read, and each service has something that says it is ready."""
    found = Collector(most=6, confirmed=True)
    for failure, hosts in by_cause(measurement.silent).items():
        found.unknown(f"cannot be asked: {failure.said}", where=listed(hosts))
    silent = {name for name, _ in measurement.silent}
    not_ready: list[str] = []
    order = criterion.in_order()
    for service in order:
        names = {replica.name for replica in service.replicas}
        mine = [each for each in measurement.watched if each.component in names]
        waits = [name for name in not_ready if name in _all_needs(service, order)]
        for name in sorted(names - {each.component for each in mine}):
            found.unknown(
                f"nothing says whether {name} is ready: add `health`, or how it runs", where=service.name
            )
        bad = [each for each in mine if _judge(each, service, measurement, criterion, found, waits, silent)]
        if bad:
            not_ready.append(service.name)
    return found.judgement(
        lambda: (
            f"ready in this order: {', '.join(service.name for service in order)}; {len(measurement.watched)} things were up "
            f"in {len(measurement.watched[0].reads)} reads over {words_for(measurement.over_s)}"
        )
    )


def _all_needs(service: Service, order: list[Service]) -> set[str]:
    """Return the names of all services that one needs, also through others. `order` has each after those that it needs."""
    needs: dict[str, set[str]] = {}
    for each in order:
        needs[each.name] = set(each.needs).union(*(needs[name] for name in each.needs))
    return needs[service.name]


def _judge(
    each: Watched,
    service: Service,
    measurement: Health,
    criterion: Application,
    found: Collector,
    waits: list[str],
    silent: set[str],
) -> bool:
    """Judge one thing of a service; return whether it is not ready. `waits` are services that it needs and are not ready."""
    found.note(*each.notes, where=each.component)
    said = judged(each, measurement, criterion)
    up = sum(read.state is State.UP for read in each.reads)
    ok = False if said.wrong else None if said.unknown else True
    found.read(Reading(each.name, f"up in {up} of {len(each.reads)} reads", limit="up in all", ok=ok))
    where = f"{service.name}: {each.name}" if service.name != each.component else each.name
    if said.wrong:
        first = f"; {service.name} needs {listed(waits)}, not ready either: begin there" if waits else ""
        found.wrong(f"{said.wrong}{first}", where=where)
    elif said.unknown and each.where not in silent:
        found.unknown(said.unknown, where=where)
    return said != Said()
