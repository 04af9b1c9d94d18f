"""Judge what is deployed: versions, images, programs that were replaced under a process, and drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.stack.facts import Deployed, Planned, Running, Told
from pytest_deploygate.checks.stack.judge.versions import meets
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.stack.section import Component, Plan, Stack

_NAMED = 3
_NO_CHANGES, _CHANGES = 0, 2
_SHORT = 19


def judge_deployed(measurement: Deployed, criterion: Stack) -> Judgement:
    """Pass if every component has its version wherever it is told, runs its image, and no plan has changes."""
    found = Collector(most=6, confirmed=True)
    for failure, names in by_cause(measurement.silent).items():
        found.unknown(f"cannot be asked: {failure.said}", where=listed(names))
    told: dict[str, list[Told]] = defaultdict(list)
    for each in measurement.versions:
        told[each.component].append(each)
    running: dict[str, list[Running]] = defaultdict(list)
    for one in measurement.images:
        running[one.component].append(one)
    for component in criterion.components:
        if component.version is not None:
            _versions(component, told[component.name], found)
        if component.image is not None:
            _images(component, running[component.name], found)
    for gone in measurement.replaced:
        found.read(Reading(f"{gone.where}: {gone.component}: replaced programs", 1, limit="0", ok=False))
        found.wrong(
            f"its process runs {gone.program} as it was before that file was replaced: restart it",
            where=f"{gone.where}: {gone.component}",
        )
    plans = {plan.name: plan for plan in criterion.plans}
    for planned in measurement.plans:
        _plan(planned, plans[planned.name], found)
    return found.judgement(lambda: _good(measurement, criterion))


def _versions(component: Component, told: Sequence[Told], found: Collector) -> None:
    named = component.version or ""
    if not told:
        found.unknown("nothing told its version", where=component.name)
        return
    groups: dict[tuple[str, str | None, str, bool], list[Told]] = defaultdict(list)
    for each in told:
        groups[each.by, each.version, each.why, each.absent].append(each)
    for (by, version, why, absent), these in groups.items():
        where = _where(component.name, these)
        name = f"{where}: {by}"
        if version is None:
            found.read(
                Reading(name, "not there" if absent else "unknown", limit=named, ok=False if absent else None)
            )
            if absent:
                found.wrong(f"{by}: {why}, expected {named}", where=where)
            else:
                found.unknown(f"{by} does not tell its version: {why}", where=where)
            continue
        ok = meets(version, named)
        found.read(Reading(name, version, limit=named, ok=ok))
        if not ok:
            # A page that is asked several times may be answered by servers of several versions.
            asked = sum(each.by == by for each in told)
            share = (
                f" in {len(these)} of {asked} answers" if not these[0].where and len(these) < asked else ""
            )
            found.wrong(
                f"{by} is {version}{share}, expected {named}: deploy it, or correct the inventory",
                where=where,
            )


def _where(component: str, these: Iterable[Told | Running]) -> str:
    hosts = list(dict.fromkeys(each.where for each in these if each.where))
    return f"{listed(hosts)}: {component}" if hosts else component


def _images(component: Component, running: Sequence[Running], found: Collector) -> None:
    named = (component.image or "").rpartition("@")[2]
    if not running:
        found.unknown("nothing told its image", where=component.name)
        return
    for each in running:
        where = _where(component.name, [each])
        name = f"{where}: image of {each.by}"
        if each.images is None:
            found.read(
                Reading(
                    name,
                    "not there" if each.absent else "unknown",
                    limit=_short(named),
                    ok=False if each.absent else None,
                )
            )
            if each.absent:
                found.wrong(f"{each.by}: {each.why}", where=where)
            else:
                found.unknown(f"{each.by} does not tell its image: {each.why}", where=where)
            continue
        wrong = [digests for digests in each.images if named not in digests]
        shown = _short((wrong or each.images)[0][0]) if (wrong or each.images)[0] else "none"
        if not wrong:
            shown = _short(named)
        found.read(Reading(name, shown, limit=_short(named), ok=not wrong))
        if wrong:
            share = f" in {len(wrong)} of {len(each.images)} pods" if len(each.images) > 1 else ""
            found.wrong(
                f"{each.by} runs the image {shown}{share}, expected {_short(named)}: deploy that image, or correct the inventory",
                where=where,
            )


def _short(digest: str) -> str:
    return digest[:_SHORT] + "…" if len(digest) > _SHORT else digest


def _plan(planned: Planned, plan: Plan, found: Collector) -> None:
    where = f"plan {planned.name}"
    ignored = [(address, action) for address, action in planned.changes if address in plan.ignored]
    changes = [change for change in planned.changes if change not in ignored]
    name = f"{where}: changes"
    if ignored:
        found.note(f"changes that are ignored: {_changes(ignored)}", where=where)
    if planned.exit_code == _NO_CHANGES and planned.complete:
        found.read(Reading(name, 0, limit="0", ok=True))
        drifted = [change for change in changes if change[1] == "changed outside"]
        if drifted:
            found.note(f"{_changes(drifted)}, which the plan leaves as they are", where=where)
    elif planned.exit_code == _CHANGES and planned.changes and not changes:
        found.read(Reading(name, 0, limit="0", ok=True))
    elif planned.exit_code == _CHANGES:
        found.read(Reading(name, len(changes) or "some", limit="0", ok=False))
        found.wrong(
            f"the infrastructure is not as its configuration says: {_changes(changes)}; apply the configuration, or bring "
            "it up to date",
            where=where,
        )
    else:
        why = planned.said or (
            "it did not end in time"
            if planned.exit_code is None
            else f"it ended with exit code {planned.exit_code}"
        )
        if planned.exit_code == _NO_CHANGES:
            why = f"exit code 0, but no summary of a plan: {planned.said or 'is it Terraform?'}"
        found.unknown(f"could not be made: {why}", where=where)


def _changes(changes: Sequence[tuple[str, str]]) -> str:
    if not changes:
        return "it does not say what changes"
    named = ", ".join(f"{address} ({action})" for address, action in changes[:_NAMED])
    return f"{named} and {len(changes) - _NAMED} more" if len(changes) > _NAMED else named


def _good(measurement: Deployed, criterion: Stack) -> str:
    parts = []
    if measurement.versions:
        names = {each.component for each in measurement.versions}
        parts.append(f"{len(names)} components have their version, told in {len(measurement.versions)} ways")
    if measurement.images:
        parts.append(f"{len(measurement.images)} run their image")
    if criterion.plans:
        parts.append(
            f"{len(criterion.plans)} {'plan has' if len(criterion.plans) == 1 else 'plans have'} no changes"
        )
    return "; ".join(parts)
