"""A purge seen at every cache, and an object served while its origin is down."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.probe.fetching import Fetcher, fetching
from pytest_deploygate.checks.cdn.probe.wire import NoAnswer
from pytest_deploygate.checks.cdn.section import Cdn, Down, Purge
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell

#: Age has whole seconds, so an object must be this old before it is purged.
_OLD_S = 2.2
_TOLERANCE_S = 1.1
#: Each address is fetched this often in each round: several caches stand behind one.
_ROUND, _PAUSE_S = 4, 0.2
#: Answers to each address that must be new after the last old one.
_LEAST = 8
_COMMAND_S = 60.0


class _Watched:
    """What the caches answered after the purge."""

    def __init__(self) -> None:
        self.held: dict[str, bool] = {}
        self.answers: dict[str, int] = {}
        self.unknown: dict[str, int] = {}
        self.old_until_s: dict[str, float] = {}
        self.new_after_s: dict[str, float] = {}

    def add(self, name: str, fetch: facts.Fetch, purged_s: float) -> None:
        """Add an answer: old if the origin made it before the purge."""
        self.answers[name] = self.answers.get(name, 0) + 1
        after_s = round(fetch.at_s - purged_s, 2)
        if fetch.hit is False or (fetch.stored_s is not None and fetch.stored_s >= purged_s - _TOLERANCE_S):
            self.new_after_s.setdefault(name, after_s)
        elif fetch.hit is None or fetch.stored_s is None:
            self.unknown[name] = self.unknown.get(name, 0) + 1
        else:
            self.old_until_s[name] = after_s
            self.new_after_s.pop(name, None)

    def settled(self) -> bool:
        """Whether each cache that held the object was seen to have another one since."""
        return (
            all(name in self.new_after_s for name, held in self.held.items() if held)
            and sum(self.answers.values()) >= _LEAST
            and not self.unknown
        )


def purge(cdn: Cdn, wanted: Purge, budget: Budget) -> facts.Purged:
    """Fill the caches, purge, and fetch until each cache has a new object, or the time is over. Raises CannotTell."""
    with fetching(cdn, budget, "purge") as fetcher:
        return _purged(cdn, wanted, fetcher)


def _purged(cdn: Cdn, wanted: Purge, fetcher: Fetcher) -> facts.Purged:
    watched = _Watched()
    try:
        addresses = fetcher.asker.addresses(wanted.url)
    except NoAnswer as none:
        raise CannotTell(f"{wanted.url} cannot be fetched before the purge: {none}") from None
    youngest = 0.0
    for address in addresses:
        for _ in range(2 * _ROUND):
            fetch = fetcher.fetch(wanted.url, address=address)
            if fetch.problem:
                raise CannotTell(f"{wanted.url} cannot be fetched before the purge: {fetch.problem}")
            name = fetch.node or address
            watched.held[name] = watched.held.get(name, False) or fetch.hit is True
            youngest = max(youngest, fetch.stored_s or 0.0)
    fetcher.asker.calm()
    time.sleep(max(0.0, min(_OLD_S, youngest + _OLD_S - time.time())))
    problem = _execute(cdn, wanted, fetcher)
    purged_s = time.time()
    if not problem:
        _watch(fetcher, wanted, addresses, watched, purged_s)
    nodes = tuple(
        facts.Node(
            name,
            watched.held.get(name, False),
            watched.answers.get(name, 0),
            watched.unknown.get(name, 0),
            watched.old_until_s.get(name),
            watched.new_after_s.get(name),
        )
        for name in sorted({*watched.held, *watched.answers})
    )
    return facts.Purged(wanted.url, nodes, round(time.time() - purged_s, 2), problem)


def _watch(
    fetcher: Fetcher, wanted: Purge, addresses: tuple[str, ...], watched: _Watched, purged_s: float
) -> None:
    until = time.monotonic() + wanted.within.total_seconds()
    while True:
        over = time.monotonic() >= until
        for address in addresses:
            for _ in range(_ROUND):
                fetch = fetcher.fetch(wanted.url, address=address)
                if not fetch.problem:
                    watched.add(fetch.node or address, fetch, purged_s)
        if over or watched.settled():
            return
        time.sleep(_PAUSE_S)


def _execute(cdn: Cdn, wanted: Purge, fetcher: Fetcher) -> str:
    """Purge; return why that failed, empty if it did not."""
    if wanted.run:
        ran = commands.run(wanted.run, within_s=_COMMAND_S)
        return f"`{ran.command}` {ran.problem}" if ran.problem else ""
    for one in wanted.requests:
        body = one.sent.encode() if one.sent is not None else None
        try:
            answer = fetcher.asker.ask(
                one.url,
                sending.headers(one),
                method=one.method,
                body=body,
                roots=one.ca_file or cdn.ca_file,
                odd=True,
            )
        except NoAnswer as none:
            return f"{one.method} {one.url}: {none}"
        if answer.status not in one.status:
            return f"{one.method} {one.url} answered {answer.status}, expected {one.expected}"
    return ""


def without_origin(cdn: Cdn, wanted: Down, budget: Budget) -> facts.Down:
    """Stop the origin, wait until an object is no longer fresh, fetch it, and start the origin again. Raises CannotTell."""
    with fetching(cdn, budget, "origin down", unwatched="the drill stops the origin") as fetcher:
        return _without_origin(wanted, fetcher)


def _without_origin(wanted: Down, fetcher: Fetcher) -> facts.Down:
    for _ in range(2 * _ROUND):
        before = fetcher.fetch(wanted.url)
    if before.status != 200:
        raise CannotTell(
            f"{wanted.url} is not served before the drill: {before.problem or f'it answers {before.status}'}"
        )
    fresh_s = before.directives.shared_s
    if fresh_s is None or fresh_s > 60:
        raise CannotTell(
            f"{wanted.url} has {'no lifetime' if fresh_s is None else f'a lifetime of {fresh_s} s'}: name an object with one of "
            "a few seconds, as the drill waits until it is over"
        )
    try:
        commands.must(wanted.stop)
        time.sleep(max(0.0, before.at_s + fresh_s + _TOLERANCE_S - time.time()))
        seen = [fetcher.fetch(wanted.url) for _ in range(2 * _ROUND)]
    finally:
        with stopping.shielded():
            commands.must(wanted.start)
    bad = [fetch for fetch in seen if fetch.status != 200 or fetch.broken]
    said = (bad[0].problem or f"answered {bad[0].status}") if bad else ""
    stale = sum(1 for fetch in seen if fetch.age_s is not None and fetch.age_s > fresh_s)
    return facts.Down(urlsplit(wanted.url).path, fresh_s, len(seen) - len(bad), len(bad), said, stale)
