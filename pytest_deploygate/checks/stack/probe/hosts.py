"""What is asked of one host, in one script: units, processes, containers, packages, versions that commands print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pytest_deploygate.checks.hosts.section import Host, Hosts, chosen
from pytest_deploygate.checks.stack.facts import Replaced, Running, Seen, Told
from pytest_deploygate.checks.stack.probe import containers, packages, processes, units
from pytest_deploygate.checks.stack.section import Component, Stack
from pytest_deploygate.clients.host import asking
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.judging.silent_hosts import Failure

#: Host, and the components that it has.
Wanted = tuple[Host, Sequence[Component]]


def wanted(stack: Stack, hosts: Hosts | None) -> list[Wanted]:
    """Return each host with its components."""
    found: dict[str, tuple[Host, list[Component]]] = {}
    for component in stack.components:
        for host in chosen(component.hosts or [], hosts) if component.on_hosts else ():
            found.setdefault(host.name, (host, []))[1].append(component)
    return [(host, components) for host, components in found.values()]


def nowhere(stack: Stack, hosts: Hosts | None) -> list[str]:
    """Return the components whose hosts are none: a role of nobody is not a component that is fine."""
    return [each.name for each in stack.components if each.on_hosts and not chosen(each.hosts or [], hosts)]


def told(host: Host, commands: Mapping[str, str], timeout_s: float) -> asking.Told | Failure:
    """Ask a host."""
    return ask(host.connection, host.run_as, commands, timeout_s, host.run_as_password)


def _by_program(components: Sequence[Component]) -> dict[str, list[str]]:
    """Return names of containers by the program that knows them."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in components:
        if each.container and each.api is None:
            found[each.program].append(each.container)
    return found


def of_health(components: Sequence[Component]) -> dict[str, str]:
    """Return the commands of one read of what runs."""
    asked = {"uptime": "cat /proc/uptime"}
    if names := [each.unit for each in components if each.unit]:
        asked["units"] = units.command(names)
    if names := [each.process for each in components if each.process]:
        asked["processes"] = processes.command(names)
    for number, (program, known) in enumerate(_by_program(components).items()):
        asked[f"containers{number}"] = containers.command(program, known, images=False)
    return asked


def seen(components: Sequence[Component], parts: Mapping[str, str]) -> Iterator[tuple[str, str, Seen]]:
    """Yield the component, what of it was looked at, and what one read saw."""
    now, uptime_s = datetime.now(UTC), _uptime_s(parts)
    programs = list(_by_program(components).items())
    inspected = {
        program: containers.read(parts.get(f"containers{number}"), names)
        for number, (program, names) in enumerate(programs)
    }
    for each in components:
        if each.unit:
            yield each.name, f"unit {each.unit}", units.seen(each.unit, parts.get("units", ""), uptime_s)
        if each.process:
            yield (
                each.name,
                f"process {each.process}",
                processes.seen(
                    each.process, each.arguments, each.processes, parts.get("processes"), uptime_s
                ),
            )
        if each.container and each.api is None:
            yield (
                each.name,
                f"container {each.container}",
                containers.seen(each.container, inspected[each.program], now),
            )


def _uptime_s(parts: Mapping[str, str]) -> float | None:
    try:
        return float(parts.get("uptime", "").split()[0])
    except (ValueError, IndexError):
        return None


def of_versions(components: Sequence[Component]) -> dict[str, str]:
    """Return the commands that tell what is deployed."""
    asked: dict[str, str] = {}
    if names := [each.package for each in components if each.package]:
        asked["packages"] = packages.command(names)
    for number, each in enumerate(components):
        if each.version_command:
            asked[f"version{number}"] = packages.printing(each.version_command)
    if names := [each.process for each in components if each.process and each.has_version]:
        asked["processes"] = processes.command(names)
    with_image = [each for each in components if each.image]
    for number, (program, known) in enumerate(_by_program(with_image).items()):
        asked[f"containers{number}"] = containers.command(program, known, images=True)
    return asked


def versions(where: str, components: Sequence[Component], parts: Mapping[str, str]) -> Iterator[Told]:
    """Yield the versions that a host told."""
    for number, each in enumerate(components):
        if each.package:
            yield from packages.told(each.name, each.package, where, parts.get("packages"))
        if each.version_command:
            yield packages.printed(each.name, each.version_command, where, parts.get(f"version{number}"))


def replaced(where: str, components: Sequence[Component], parts: Mapping[str, str]) -> Iterator[Replaced]:
    """Yield the processes whose program was replaced after they were started."""
    found, _ = processes.listed(parts.get("processes", ""))
    for each in components:
        if each.process and each.has_version:
            gone = {one.replaced for one in processes.of(each.process, each.arguments, found) if one.replaced}
            yield from (Replaced(each.name, where, program) for program in sorted(gone))


def images(where: str, components: Sequence[Component], parts: Mapping[str, str]) -> Iterator[Running]:
    """Yield the images of the host's containers."""
    with_image = [each for each in components if each.image]
    for number, (program, names) in enumerate(_by_program(with_image).items()):
        inspected = containers.read(parts.get(f"containers{number}"), names)
        for each in with_image:
            if each.container and each.api is None and each.program == program:
                yield image(each.name, each.container, where, inspected)


def image(component: str, container: str, where: str, inspected: containers.Inspected) -> Running:
    """Return the image of a container."""
    found = containers.images_of(container, inspected)
    absent = container in inspected.absent
    why = "there is no such container" if absent else f"it cannot be inspected: {inspected.why}"
    by = f"container {container}"
    return Running(component, by, where, (found,) if found else None, "" if found else why, absent)
