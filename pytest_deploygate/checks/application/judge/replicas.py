"""Judge the replicas: as many as expected run the expected version, whoever is asked, and none restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.application.facts import Replicas
from pytest_deploygate.checks.stack.facts import Running, Told
from pytest_deploygate.checks.stack.judge.health import judged
from pytest_deploygate.checks.stack.judge.versions import meets
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import by_cause, listed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.application.section import Application, Service
    from pytest_deploygate.checks.stack.section import Component

_SHORT = 19


@dataclass(frozen=True)
class _Counted:
    """How many replicas a component stands for that run what they should; what is wrong with it, or unknown."""

    right: int = 0
    wrong: str = ""
    unknown: str = ""


def judge_replicas(measurement: Replicas, criterion: Application) -> Judgement:
    """Pass if each service has as many replicas of its version as are expected, and nothing restarts or is down."""
    found = Collector(most=6, confirmed=True)
    for failure, names in by_cause(measurement.deployed.silent).items():
        found.unknown(f"cannot be asked: {failure.said}", where=listed(names))
    down = _running(measurement, criterion, found)
    for gone in measurement.deployed.replaced:
        found.read(Reading(f"{gone.where}: {gone.component}: replaced programs", 1, limit="0", ok=False))
        found.wrong(
            f"its process runs {gone.program} as it was before that file was replaced: restart it",
            where=f"{gone.where}: {gone.component}",
        )
    named = [service for service in criterion.services if service.has_version]
    for service in named:
        _count(service, measurement, down, found)
        _entrance(service, measurement, found)
    return found.judgement(
        lambda: "; ".join(f"{each.name}: {each.number} of {each.number} run {_what(each)}" for each in named)
    )


def _running(measurement: Replicas, criterion: Application, found: Collector) -> set[str]:
    """Judge how the replicas run; return those that something is wrong with."""
    down = set()
    for each in measurement.health.watched if measurement.health else ():
        said = judged(each, measurement.health, criterion)  # type: ignore[arg-type]
        up = sum(read.state == "up" for read in each.reads)
        ok = False if said.wrong else None if said.unknown else True
        found.read(Reading(each.name, f"up in {up} of {len(each.reads)} reads", limit="up in all", ok=ok))
        if said.wrong:
            down.add(each.component)
            found.wrong(said.wrong, where=each.name)
        elif said.unknown:
            found.unknown(said.unknown, where=each.name)
    return down


def _count(service: Service, measurement: Replicas, down: set[str], found: Collector) -> None:
    counted = {each.name: _counted(each, measurement) for each in service.replicas if each.has_version}
    if service.expected is None:
        # Then it is as many as are named: one on several hosts is one.
        counted = {name: replace(each, right=min(each.right, 1)) for name, each in counted.items()}
    if not counted:
        return
    right = sum(each.right for each in counted.values())
    # One that is known to be down is none that runs the version.
    unknown = [name for name, each in counted.items() if each.unknown and name not in down]
    silent = [name for name, _ in measurement.deployed.silent]
    if right < service.number and any(each.on_hosts for each in service.replicas):
        unknown += silent
    found.read(
        Reading(
            f"{service.name}: replicas that run {_what(service)}",
            f"{right}, {len(unknown)} unknown" if unknown else right,
            limit=f"= {service.number}",
            ok=None if unknown else right == service.number,
        )
    )
    for name, each in counted.items():
        if each.wrong:
            found.wrong(each.wrong, where=f"{service.name}: {name}")
        elif name in unknown:
            found.unknown(each.unknown, where=f"{service.name}: {name}")
    explained = unknown or down & counted.keys() or any(each.wrong for each in counted.values())
    if right != service.number and not explained:
        more = "is a replica of an earlier release left?" if right > service.number else "deploy the others"
        found.wrong(
            f"{right} {'replica runs' if right == 1 else 'replicas run'} {_what(service)}, expected {service.number}: {more}",
            where=service.name,
        )


def _what(service: Service) -> str:
    return service.version or "what is named"


def _counted(component: Component, measurement: Replicas) -> _Counted:
    """Count a component: by its image where it has one, and all that tells its version must tell the right one."""
    right = 1
    if component.image is not None:
        by_image = _by_image(
            component.image, [one for one in measurement.deployed.images if one.component == component.name]
        )
        if by_image.wrong or by_image.unknown:
            return by_image
        right = by_image.right
    if component.version is not None:
        told = [one for one in measurement.deployed.versions if one.component == component.name]
        by_version = _by_version(component, told)
        if by_version.wrong or by_version.unknown:
            return by_version
        right = right if component.image else by_version.right
        if component.image is None and component.workload is not None:
            return _Counted(unknown="its pods are counted by their image: name its `image`")
    return _Counted(right)


def _by_version(component: Component, told: list[Told]) -> _Counted:
    if not told:
        return _Counted(unknown="nothing told its version")
    versions = Counter((each.by, each.version) for each in told if each.version is not None)
    for (by, version), times in versions.items():
        if not meets(str(version), component.version or ""):
            return _Counted(
                wrong=f"{by} is {version}{_share(times, by, told)}, expected {component.version}: deploy it there, or take "
                "this replica away"
            )
    for each in told:
        if each.version is None and each.absent:
            return _Counted(wrong=f"{each.by}: {each.why}")
        if each.version is None:
            return _Counted(unknown=f"{each.by} does not tell its version: {each.why}")
    # A component on several hosts is a replica on each.
    return _Counted(max(1, len({each.where for each in told})))


def _share(times: int, by: str, told: Iterable[Told]) -> str:
    asked = sum(each.by == by for each in told)
    return f" in {times} of {asked} answers" if times < asked else ""


def _by_image(image: str, running: list[Running]) -> _Counted:
    named = image.rpartition("@")[2]
    if not running:
        return _Counted(unknown="nothing told its image")
    right = 0
    for each in running:
        if each.images is None:
            said = (
                f"{each.by}: {each.why}" if each.absent else f"{each.by} does not tell its image: {each.why}"
            )
            return _Counted(wrong=said) if each.absent else _Counted(unknown=said)
        others = [digests for digests in each.images if named not in digests]
        right += len(each.images) - len(others)
        if others:
            other = others[0][0] if others[0] else "none"
            share = f" in {len(others)} of {len(each.images)} pods" if len(each.images) > 1 else ""
            return _Counted(
                right,
                wrong=f"{each.by} runs the image {other[:_SHORT]}…{share}, expected {named[:_SHORT]}…: deploy that image",
            )
    return _Counted(right)


def _entrance(service: Service, measurement: Replicas, found: Collector) -> None:
    if service.entrance is None:
        return
    where = f"{service.name}, entrance"
    told = [one for one in measurement.deployed.versions if one.component == where]
    right = [one for one in told if one.version is not None and meets(one.version, service.version or "")]
    silent = [one for one in told if one.version is None]
    other = Counter(one.version for one in told if one not in right and one not in silent)
    found.read(
        Reading(
            f"{where}: answers of {service.version}",
            f"{len(right)} of {len(told)}",
            limit="all",
            ok=False if other else None if silent or not told else True,
        )
    )
    for version, times in other.items():
        found.wrong(
            f"{service.entrance.url} is {version} in {times} of {len(told)} answers, expected {service.version}: a replica "
            "of another version is behind the load balancer",
            where=where,
        )
    if silent:
        found.unknown(
            f"{service.entrance.url} does not tell its version in {len(silent)} of {len(told)} answers: {silent[0].why}",
            where=where,
        )
    elif not told:
        found.unknown("nothing told its version", where=where)
