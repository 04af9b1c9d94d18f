"""Judge the servers as a whole: enough answer, they are distinct machines in several failure domains, and each is as required."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.hosts.facts import Answer, Fleet, Machine
from pytest_deploygate.checks.hosts.judge import machine as one
from pytest_deploygate.fields.hosts import ALL
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import Cause, by_cause, listed
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.hosts.section import Hosts


def judge(measurement: Fleet, criterion: Hosts) -> Judgement:
    """Pass if the servers answer, are distinct machines in several failure domains, and each is as the section requires."""
    found = Collector(most=6, confirmed=True)
    there = [answer for answer in measurement.answers if answer.machine]
    _answering(measurement, criterion, found)
    _counted(measurement.answers, criterion, found)
    if there:
        _distinct(there, len(measurement.answers) > len(there), criterion, found)
        _domains(measurement.answers, there, criterion, found)
    for answer in there:
        one.judge(answer, criterion.require, found)
    return found.judgement(lambda: _good(there, measurement.answers))


def _good(there: Sequence[Answer], answers: Sequence[Answer]) -> str:
    domains = len({answer.failure_domain for answer in there if answer.failure_domain})
    return (
        f"{len(there)} of {len(answers)} servers answer, on {len(_by_boot(there))} machines in {domains} failure "
        f"domain{'s' if domains != 1 else ''}; resources, file systems and clocks are as required"
    )


def _answering(measurement: Fleet, criterion: Hosts, found: Collector) -> None:
    """Judge that enough hosts answered. If none did, our own side is as likely the cause."""
    answers = measurement.answers
    silent = [answer for answer in answers if answer.failure]
    there = len(answers) - len(silent)
    share = 100.0 * there / len(answers)
    enough = share >= criterion.quorum_percent
    limit = f"{criterion.quorum_percent:g} %" if criterion.quorum_percent < 100 else "all"
    found.read(
        Reading("servers that answer", f"{there} of {len(answers)}", limit=limit, ok=_known(silent, enough))
    )
    for failure, names in by_cause((a.name, a.failure) for a in silent if a.failure).items():
        said, where = failure.said, listed(names)
        if enough:
            found.note(f"{said}; within the quorum of {criterion.quorum_percent:g} %", where=where)
        elif not there:
            found.unknown(
                f"{said}; no server could be asked: check route and login from this machine first",
                where=where,
            )
        elif failure.cause is Cause.DOWN:
            found.wrong(said, where=where)
        else:
            found.unknown(said, where=where)


def _known(silent: Sequence[Answer], enough: bool) -> bool | None:
    """Return whether the number of answers is as required; None if our own side may be the cause."""
    if enough:
        return True
    return False if any(a.failure and a.failure.cause is Cause.DOWN for a in silent) else None


def _counted(answers: Sequence[Answer], criterion: Hosts, found: Collector) -> None:
    """Judge the number of servers by role: the list itself may have lost some."""
    for role, number in criterion.expected.items():
        have = sum(role == ALL or role in answer.roles for answer in answers)
        name = "servers in the inventory" if role == ALL else f"servers with the role {role}"
        found.read(Reading(name, have, limit=str(number), ok=have == number))
        if have != number:
            found.wrong(
                f"{name}: {have}, expected are {number}; complete `hosts.servers` or correct `expected`"
            )


def _by_boot(there: Sequence[Answer]) -> dict[str, list[str]]:
    return _shared(there, lambda machine: machine.boot_id)


def _shared(there: Sequence[Answer], of: Callable[[Machine], str | None]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for answer in there:
        if answer.machine and (value := of(answer.machine)):
            found[value].append(answer.name)
    return found


def _distinct(there: Sequence[Answer], some_missing: bool, criterion: Hosts, found: Collector) -> None:
    """Judge that the names stand for distinct machines.

    Two hosts of one boot id are one running kernel (random(4)). Hosts of one machine id with different boot ids are
    copies of one image (machine-id(5)): distinct machines, whose DHCP leases and journals are mixed up.
    """
    unknown = [a.name for a in there if a.machine and a.machine.boot_id is None]
    machines = _by_boot(there)
    least, most = len(machines), len(machines) + len(unknown)
    enough = (
        True
        if least >= criterion.machines
        else False
        if most < criterion.machines and not some_missing
        else None
    )
    limit = (
        "" if enough is None else f"at least {criterion.machines}"
    )  # what is not judged has no limit beside it
    found.read(Reading("distinct machines", least, limit=limit, ok=enough))
    for names in machines.values():
        if len(names) > 1:
            found.wrong(
                f"{' and '.join(names)} are one machine (same boot id): give each name its own server"
            )
    instances = _shared(there, lambda machine: machine.instance_id)
    for value, names in instances.items():
        if len(names) > 1 and not any(set(names) <= set(same) for same in machines.values()):
            found.wrong(f"{' and '.join(names)} say that they are the same instance ({value})")
    for names in _shared(there, lambda machine: machine.machine_id).values():
        if len(names) > 1 and not any(set(names) <= set(same) for same in machines.values()):
            found.wrong(
                f"{' and '.join(names)} are copies of one image (same machine id): empty /etc/machine-id on the copy and "
                "restart it"
            )
    nameless = [a.name for a in there if a.machine and a.machine.machine_id is None]
    if nameless and len(there) > 1:
        found.note(
            "no machine id can be read, so it is not known whether it is a copy of another server",
            where=listed(nameless),
        )
    if enough is False:
        found.wrong(f"{least} distinct machines, at least {criterion.machines} are required")
    elif enough is None:
        found.unknown(
            f"{least} distinct machines were seen, at least {criterion.machines} are required"
            + (f"; no boot id can be read on {listed(unknown)}" if unknown else "")
        )


def _domains(answers: Sequence[Answer], there: Sequence[Answer], criterion: Hosts, found: Collector) -> None:
    """Judge failure domains of the hosts that answered."""
    seen = {answer.failure_domain for answer in there if answer.failure_domain}
    named = {answer.failure_domain for answer in answers if answer.failure_domain}
    without = [answer.name for answer in answers if not answer.failure_domain]
    limit = f"at least {criterion.failure_domains}"
    enough = len(seen) >= criterion.failure_domains
    undecided = not enough and (bool(without) or len(named) >= criterion.failure_domains)
    found.read(
        Reading(
            "failure domains",
            len(seen),
            limit="" if undecided else limit,
            ok=None if undecided else enough,
        )
    )
    if enough:
        return
    words = f"servers answer in {len(seen)} failure domains, {limit} are required"
    if undecided and without:
        found.unknown(f"{words}; `failure_domain` is not set for {listed(without)}")
    elif undecided:
        found.unknown(words)
    else:
        found.wrong(f"{words}: {', '.join(sorted(seen)) or 'none'}")
