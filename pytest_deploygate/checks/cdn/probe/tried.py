"""What is tried on a cache, only where that is allowed: poisoning, deception, a purge, and the origin down.

Each poisoned answer is at an address of our own, which no user asks for. Nothing is tried where the cache does not keep
such addresses apart.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.probe.asking import harmless
from pytest_deploygate.checks.cdn.probe.fetching import Fetcher, described, fetching
from pytest_deploygate.checks.cdn.probe.private import busted, logged_in, owns
from pytest_deploygate.checks.cdn.probe.wire import Answer, NoAnswer
from pytest_deploygate.checks.cdn.section import BUSTER, Cdn, Down, Private, Purge, Tried
from pytest_deploygate.clients.budget import Budget, headers
from pytest_deploygate.drills import record as drills
from pytest_deploygate.drills.record import Evidence, Facts
from pytest_deploygate.lazy import dataclass

_LIST = Path(__file__).with_name("data") / "unkeyed.json"
_LONG = 9000
#: So often an address is fetched until the cache that we want has answered.
_MOST_CLEAN, _CLEAN_WITHOUT_NAMES, _FILLING, _APART = 12, 6, 6, 4


def tries(
    cdn: Cdn, tried: Tried, environment: str, budget: Budget, *, allowed: bool
) -> Evidence[facts.Tries]:
    """Try to poison the cache if that is allowed, else read the record. A missing answer, and a missing record, is a value."""
    found: dict[str, Any] = json.loads(_LIST.read_text())
    about = {
        "list": f"version {found['version']}",
        "pages": ", ".join(tried.pages),
        "private pages": ", ".join(page.url for page in cdn.private),
    }
    drill = _Drill("poisoning", facts.Tries, about, lambda: _try_all(cdn, tried, found, budget))
    return _ran_or_read(tried, environment, drill, allowed=allowed)


@dataclass(frozen=True)
class _Drill(Generic[Facts]):
    of: str
    kind: type[Facts]
    about: dict[str, str]
    run: Callable[[], Facts]


def _ran_or_read(tried: Tried, environment: str, drill: _Drill[Facts], *, allowed: bool) -> Evidence[Facts]:
    ran = None
    if allowed or (tried.opt_in and tried.opt_in == environment):
        ran = drills.made(drill.run(), drills.GOOD, drill.about, environment=environment)
        if tried.record:
            drills.write(tried.record, ran, of=drill.of)
    return drills.evidence(
        tried.record, drill.kind, ran=ran, configuration=drill.about, environment=environment, of=drill.of
    )


def _try_all(cdn: Cdn, tried: Tried, found: dict[str, Any], budget: Budget) -> facts.Tries:
    static = urlsplit(cdn.assets[0].url).path.rpartition("/")[0]
    url, sent = tried.pages[0].replace(BUSTER, ""), headers(budget.item)
    with fetching(cdn, budget, "poisoning", control=lambda: harmless(cdn, url, sent)) as fetcher:
        return facts.Tries(
            found["version"],
            tuple(_page(fetcher, url, found["tries"]) for url in tried.pages),
            tuple(_deceived(fetcher, page, static, found["deceptions"]) for page in cdn.private),
        )


def _page(fetcher: Fetcher, url: str, listed: list[dict[str, Any]]) -> facts.Page:
    own = busted(url)
    filling = [fetcher.fetch(own) for _ in range(_FILLING)]
    problem = next((fetch.problem for fetch in filling if fetch.problem), "")
    if problem:
        return facts.Page(url, None, cached=False, problem=problem)
    if all(fetch.hit is None for fetch in filling):
        return facts.Page(url, None, cached=False, problem="nothing tells whether it comes from the cache")
    cached = any(fetch.hit for fetch in filling)
    others = [fetcher.fetch(busted(url)) for _ in range(_APART)]
    if filling[0].hit or any(fetch.hit for fetch in others):
        return facts.Page(url, apart=False, cached=True)
    if not cached:
        return facts.Page(url, apart=True, cached=False)
    status = filling[0].status
    cookies = tuple(sorted({name for fetch in filling if fetch.hit for name in fetch.cookies}))
    tries = tuple(_try(fetcher, url, one, status) for one in listed)
    return facts.Page(url, True, True, tries, cookies=cookies)


def _try(fetcher: Fetcher, url: str, one: dict[str, Any], status: int) -> facts.Try:
    """Send one odd request, then fetch the same address as a user would, until the cache that got it has answered."""
    own, token = busted(url), f"dg{secrets.token_hex(8)}"
    words = {"token": token, "digits": str(secrets.randbelow(9000) + 1000), "long": "x" * _LONG}
    sent = {name: value.format_map(words) for name, value in one.get("headers", {}).items()}
    body = one["body"].format_map(words).encode() if "body" in one else None
    odd = own
    if "query" in one:
        odd += ("&" if "?" in own else "?") + one["query"].format_map(words)
    try:
        address = fetcher.next_address(url)
        first = fetcher.asker.ask(odd, sent, address=address, body=body, odd=True)
    except NoAnswer:
        # A server may close the connection on what it does not take. Then it kept nothing.
        return facts.Try(one["what"], "clean", "not taken")
    kept_by = described(first, fetcher.declared)[0].node
    traces = {token, words["digits"]} if "{digits}" in json.dumps(one) else {token}
    for number in range(_MOST_CLEAN):
        try:
            answer = fetcher.asker.ask(own, address=address, odd=True)
        except NoAnswer:
            continue
        seen, content = described(answer, fetcher.declared)
        if where := _trace(answer, content, traces):
            return facts.Try(one["what"], "poisoned", f"{where} has what was sent with it")
        if seen.hit and seen.status != status:
            if fetcher.fetch(busted(url), address=address).status == status:
                return facts.Try(
                    one["what"], "poisoned", f"the page answers {seen.status} instead of {status}"
                )
            return facts.Try(
                one["what"], "unknown", f"it answers {seen.status}, other addresses do so now, too"
            )
        if (seen.node == kept_by) if kept_by else number + 1 >= _CLEAN_WITHOUT_NAMES:
            return facts.Try(one["what"], "clean")
    return facts.Try(one["what"], "unknown", f"{kept_by or 'no cache'} did not answer again")


def _trace(answer: Answer, content: bytes | None, traces: set[str]) -> str:
    """Return where an answer has what we said to it in an earlier request; empty if nowhere."""
    for name, value in answer.headers:
        if any(trace in value for trace in traces):
            return f"the header {name} of the answer"
    body = content if content is not None else answer.body
    return "the page" if any(trace.encode() in body for trace in traces) else ""


def _deceived(fetcher: Fetcher, page: Private, static: str, listed: list[dict[str, Any]]) -> facts.Page:
    parts = urlsplit(page.url)
    found = []
    for one in listed:
        urls = [_deceiving(parts, one, static) for _ in range(2)]
        found.append(_deceive(fetcher, page, one["what"], urls))
    return facts.Page(page.name, True, True, tuple(found))


def _deceiving(parts: SplitResult, one: dict[str, Any], static: str) -> str:
    path = parts.path.rstrip("/")
    words = {
        "path": path,
        "bare": path.lstrip("/").replace("/", "%2f"),
        "static": static,
        "token": f"dg{secrets.token_hex(8)}",
    }
    query = one["query"].format_map(words) if "query" in one else ""
    return urlunsplit(parts._replace(path=one["path"].format_map(words), query=query))


def _deceive(fetcher: Fetcher, page: Private, what: str, urls: list[str]) -> facts.Try:
    """Have the first account fetch an address that looks like a file, then fetch it as nobody."""
    url, never = urls
    own, content = fetcher.content(url, logged_in(page.a))
    if own.problem or own.status != 200 or (page.shows and not owns(page, content)):
        return facts.Try(what, "clean", "its owner does not get the page there")
    for _ in range(_CLEAN_WITHOUT_NAMES):
        other, seen = fetcher.content(url)
        same = owns(page, seen) if page.shows else other.sha256 == own.sha256
        if other.status == 200 and same:
            if not page.shows and fetcher.fetch(never).sha256 == own.sha256:
                return facts.Try(what, "clean", "everybody gets the same there")
            return facts.Try(what, "poisoned", "a client without a login gets the page of the first account")
    return facts.Try(what, "clean")


def purged(
    cdn: Cdn, tried: Tried, wanted: Purge, environment: str, budget: Budget, *, allowed: bool
) -> Evidence[facts.Purged]:
    """Purge an object if that is allowed, and watch all caches; else read the record. Raises CannotTell."""
    from pytest_deploygate.checks.cdn.probe.purge import purge  # noqa: PLC0415 (runs commands, and few need it)

    how = wanted.run or ", ".join(f"{one.method} {one.url}" for one in wanted.requests)
    about = {"object": wanted.url, "purge": how}
    drill = _Drill("purge", facts.Purged, about, lambda: purge(cdn, wanted, budget))
    return _ran_or_read(tried, environment, drill, allowed=allowed)


def down(
    cdn: Cdn, tried: Tried, wanted: Down, environment: str, budget: Budget, *, allowed: bool
) -> Evidence[facts.Down]:
    """Stop the origin if that is allowed, and fetch an object; else read the record. Raises CannotTell."""
    from pytest_deploygate.checks.cdn.probe.purge import without_origin  # noqa: PLC0415

    about = {"object": wanted.url, "stop": wanted.stop}
    drill = _Drill("origin down", facts.Down, about, lambda: without_origin(cdn, wanted, budget))
    return _ran_or_read(tried, environment, drill, allowed=allowed)
