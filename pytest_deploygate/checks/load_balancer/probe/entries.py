"""Look at the balancer's own addresses: each must serve the pool."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.probe.asking import Asker
from pytest_deploygate.checks.load_balancer.section import Member, Pool
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host import commands

_AT_ONCE = 8
_STATE_WITHIN_S = 10.0


def entries(pool: Pool) -> facts.Entries:
    """Make one connection to each address of the balancer. Raises CannotTell for unreadable files."""
    asker = Asker(pool)
    found = _places(pool, asker)
    members = (pool.redundancy.vrrp or []) if pool.redundancy else []
    states = {each.address: each for each in members}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        every = tuple(threads.map(lambda place: _entry(asker, place, states.get(place)), found.places))
    return facts.Entries(found.kind, every, found.problem)


def serving(pool: Pool, asker: Asker) -> facts.Entries:
    """Return the addresses that users reach at the same time, with what each answers."""
    found = _places(pool, asker)
    if found.kind == "vrrp":
        return facts.Entries(found.kind, (facts.Entry(asker.itself),))
    return facts.Entries(
        found.kind, tuple(_entry(asker, place, None) for place in found.places), found.problem
    )


class _Places:
    """Addresses of a balancer, by what the inventory declares."""

    def __init__(self, kind: str, places: list[str], problem: str = "") -> None:
        self.kind, self.places, self.problem = kind, places, problem


def _places(pool: Pool, asker: Asker) -> _Places:
    declared = pool.redundancy
    if declared and declared.addresses:
        return _Places("addresses", list(declared.addresses))
    if declared and declared.vrrp:
        return _Places("vrrp", [each.address for each in declared.vrrp])
    if declared and declared.dns:
        try:
            found = reach.addresses(asker.host, asker.port)
        except OSError as error:
            return _Places("dns", [], f"{asker.host}: {reach.why_ours(error) or error}")
        return _Places("dns", [reach.at(each, asker.port) for each in found])
    return _Places("provider" if declared else "", [asker.itself])


def _entry(asker: Asker, place: str, member: Member | None) -> facts.Entry:
    answer = asker.once(place)
    state, problem = "", ""
    if member and member.state:
        ran = commands.run(member.state, within_s=_STATE_WITHIN_S)
        words = ran.said.split()
        with contextlib.suppress(IndexError):
            state = words[-1].upper()
        problem = (
            f"`{ran.command}` {ran.problem}"
            if ran.problem
            else ""
            if state
            else f"`{ran.command}` printed nothing"
        )
    return facts.Entry(place, answer.error, answer.ours, state, problem)
