"""Judge the balancer's own redundancy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.load_balancer.facts import Entries, Entry
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.load_balancer.section import Pool

_HOW = {"addresses": "addresses", "vrrp": "machines of the virtual address", "dns": "addresses of the name"}


def judge_entries(found: Entries, expected: Pool) -> Judgement:
    """Pass when every address of the balancer serves the pool, and it is redundant as declared."""
    collector = Collector(about=expected.name)
    if found.problem:
        collector.unknown(found.problem)
    if expected.redundancy is None:
        collector.note("whether the balancer itself is redundant was not looked at: declare `redundancy`")
    elif expected.redundancy.provider:
        collector.note(
            f"the balancer itself is kept redundant by its provider: {expected.redundancy.provider}"
        )
    for entry in found.entries:
        _entry(entry, collector)
    serving = sum(not entry.problem for entry in found.entries)
    wanted = max(expected.redundancy.dns or 0 if expected.redundancy else 0, len(found.entries))
    ours = any(entry.ours for entry in found.entries)
    if found.entries:
        ok = True if serving == wanted else None if ours else False
        name = f"{_HOW.get(found.kind, 'addresses')} that serve the pool"
        collector.read(Reading(name, serving, limit="" if ok is None else str(wanted), ok=ok))
    if found.entries and found.kind == "dns" and len(found.entries) < wanted:
        collector.wrong(
            f"the name has {len(found.entries)} address{'es' if len(found.entries) != 1 else ''}, at least {wanted} are "
            "declared: add the other to DNS"
        )
    _masters(found, collector)
    return collector.judgement(
        lambda: f"{expected.name}: {serving} of {len(found.entries)} addresses of the balancer serve it"
    )


def _entry(entry: Entry, collector: Collector) -> None:
    if entry.ours:
        collector.unknown(f"cannot be reached from here: {entry.problem}", where=entry.address)
    elif entry.problem:
        collector.wrong(
            f"does not serve the pool ({entry.problem}): start the balancer there, nothing takes over when the other fails",
            where=entry.address,
        )
    if entry.state_problem:
        collector.unknown(f"its VRRP state is unknown: {entry.state_problem}", where=entry.address)


def _masters(found: Entries, collector: Collector) -> None:
    told = [entry for entry in found.entries if entry.state]
    if not told:
        return
    masters = [entry.address for entry in told if entry.state == "MASTER"]
    standing = [entry.address for entry in told if entry.state == "BACKUP"]
    ok = len(masters) == 1 and len(masters) + len(standing) == len(told)
    collector.read(Reading("machines that are MASTER", len(masters), limit="1", ok=len(masters) == 1))
    if len(masters) > 1:
        collector.wrong(
            f"{' and '.join(masters)} are MASTER at once: they do not hear each other's VRRP; look at the network between them"
        )
    elif not masters:
        collector.wrong("no machine is MASTER: nobody holds the virtual address; look at keepalived")
    elif not ok:
        odd = ", ".join(f"{e.address} is {e.state}" for e in told if e.state not in ("MASTER", "BACKUP"))
        collector.wrong(f"{odd}: it does not take over; look at keepalived there")
        collector.read(Reading("machines that are BACKUP", len(standing), limit=str(len(told) - 1), ok=False))
