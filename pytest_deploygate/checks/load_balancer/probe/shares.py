"""Count which backend serves fresh connections, at each address of the balancer."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.probe.asking import Answer, Asker, named
from pytest_deploygate.checks.load_balancer.probe.entries import serving
from pytest_deploygate.checks.load_balancer.probe.states import read_all
from pytest_deploygate.checks.load_balancer.section import Pool
from pytest_deploygate.clients.budget import Budget

_LEAST = 50
#: Connections with which a client, or a key, shows that it stays with its backend.
_STAYS = 12
#: Standard deviations between a share and its floor: on each side beyond one in ten thousand.
_SIGMAS = 3.8


def shares(pool: Pool, budget: Budget) -> facts.Shares:
    """Make so many fresh connections to each address that the shares can be told. Raises CannotTell for unreadable files."""
    asker = Asker(pool)
    found = serving(pool, asker)
    if found.problem:
        return facts.Shares((), read_all(pool.control), found.problem)
    places = [each.address for each in found.entries if not each.problem] or [asker.itself]
    with budget.probe(f"shares of {pool.name}", control=lambda: asker.good(places[0])) as spending:
        asker.use(spending)
        at_once = spending.at_once(pool.at_once)
        if pool.told_by.counters:
            return _by_counters(pool, asker, places, at_once)
        counted = tuple(_by_answers(pool, asker, place, at_once) for place in places)
    return facts.Shares(counted, read_all(pool.control))


def number(pool: Pool) -> int:
    """Return how many connections tell each share from its floor, also if backends are drawn by lot."""
    if pool.from_one_place and not pool.told_by.counters:
        return _LEAST
    least = min(pool.shares.values())
    gap = least * (1 - pool.floor)
    wanted = (2 * _SIGMAS) ** 2 * least * (1 - least) / gap**2
    # A whole number of rounds: one that is cut off in its middle would look uneven.
    rounds = sum(each.weight for each in pool.backends if each.out is None)
    whole = math.ceil(max(wanted, _LEAST) / rounds) * rounds
    return min(whole, pool.most_connections)


def _by_answers(pool: Pool, asker: Asker, place: str, at_once: int) -> facts.Share:
    answers = _ask(pool, asker, place, at_once)
    name = named(pool)
    told = Counter(name(each.backend) for each in answers if each.backend and not each.error)
    mine = {each.name for each in pool.backends}
    bad = [each for each in answers if each.error]
    sticky, strayed, no_cookie = _stay(pool, asker, place)
    return facts.Share(
        place,
        len(answers),
        tuple((each, told[each]) for each in mine if told[each]),
        tuple((each, count) for each, count in told.items() if each not in mine),
        sum(not each.backend and not each.error for each in answers),
        sum(not each.silent and not each.ours for each in bad),
        sum(each.silent or each.ours for each in bad),
        bad[0].error if bad else "",
        sticky=sticky,
        strayed=strayed,
        no_cookie=no_cookie,
    )


def _ask(pool: Pool, asker: Asker, place: str, at_once: int) -> list[Answer]:
    mark = secrets.token_hex(4)
    with ThreadPoolExecutor(at_once, "balanced") as threads:
        return list(threads.map(lambda i: _keyed(pool, asker, place, f"{mark}{i}"), range(number(pool))))


def _keyed(pool: Pool, asker: Asker, place: str, key: str) -> Answer:
    """Ask with a key of its own where keys decide about the backend."""
    if pool.balance == "hash-url":
        mark = "&" if "?" in asker.path else "?"
        return asker.once(place, path=f"{asker.path}{mark}deploygate={key}")
    if pool.balance == "hash-header" and pool.hash_header:
        return asker.once(place, more={pool.hash_header: f"deploygate-{key}"})
    return asker.once(place)


def _stay(pool: Pool, asker: Asker, place: str) -> tuple[int, int, bool]:
    """Return with how many connections a client or key should have stayed, how many did not, and whether it got no cookie."""
    again: Callable[[], Answer]
    first = None
    if pool.sticky == "cookie":
        first = asker.once(place)
        if not first.cookies:
            return 0, 0, not first.error
        cookies = first.cookies
        again = lambda: asker.once(place, more={"Cookie": cookies})  # noqa: E731 (two of a kind)
    elif pool.from_one_place or pool.balance.startswith("hash-"):
        key = secrets.token_hex(8)
        again = lambda: _keyed(pool, asker, place, key)  # noqa: E731 (two of a kind)
        first = again()
    if first is None or not first.backend:
        return 0, 0, False
    others = [each for each in (again() for _ in range(_STAYS)) if not each.error]
    # A cookie is set once: answers after the first need not tell the backend by it.
    return len(others), sum(bool(each.backend) and each.backend != first.backend for each in others), False


def _by_counters(pool: Pool, asker: Asker, places: Sequence[str], at_once: int) -> facts.Shares:
    """Read what the balancers counted meanwhile. Where the address decides, all that they counted so far."""
    before = () if pool.from_one_place else read_all(pool.control)
    answers = [each for place in places for each in _ask(pool, asker, place, at_once)]
    after = read_all(pool.control)
    bad = [each for each in answers if each.error]
    found = []
    for control in after:
        earlier = next((each for each in before if each.name == control.name), None)
        counts, why = _counted(control, earlier, since_start=pool.from_one_place)
        mine = {each.name for each in pool.backends}
        found.append(
            facts.Share(
                control.name,
                sum(count for name, count in counts if name in mine),
                tuple((name, count) for name, count in counts if name in mine),
                tuple((name, count) for name, count in counts if name not in mine and count),
                errors=sum(not each.silent and not each.ours for each in bad),
                silent=sum(each.silent or each.ours for each in bad),
                first_error=bad[0].error if bad else "",
                by_counters=True,
                uncounted=why,
            )
        )
    return facts.Shares(tuple(found), after)


def _counted(
    now: facts.Control, before: facts.Control | None, *, since_start: bool
) -> tuple[list[tuple[str, int]], str]:
    if now.problem or (before and before.problem):
        return [], now.problem or (before.problem if before else "")
    earlier = {each.name: each.requests or 0 for each in before.members} if before else {}
    mute = [each.name for each in now.members if each.requests is None]
    if mute:
        return [], f"{now.program} does not count the requests of {', '.join(mute)}"
    counts = [(each.name, (each.requests or 0) - earlier.get(each.name, 0)) for each in now.members]
    if not since_start and any(count < 0 for _, count in counts):
        return [], "its counters went back: it was restarted meanwhile"
    return counts, ""
