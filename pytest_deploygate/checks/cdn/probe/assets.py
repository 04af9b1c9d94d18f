"""An asset: fetched many times, in each coding, in parts, with what was seen before, in clear text, and from its origin."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.probe.fetching import Fetcher, described, fetching, file_digest
from pytest_deploygate.checks.cdn.probe.wire import Answer, NoAnswer, Refused
from pytest_deploygate.checks.cdn.section import Asset, Cdn
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell

#: The first fetches of an asset fill the caches, however many there are.
_WARMING = 3
_AT_ONCE = 4
#: One coding alone is asked for this many times: the second one comes from the cache.
_EACH = 3
_ALONE = ("gzip", "br", "zstd", "identity", "nothing")
_COOKIE = "deploygate=1"


def asset(cdn: Cdn, wanted: Asset, budget: Budget) -> facts.Asset:
    """Fetch an asset in all ways. Raises CannotTell if it cannot be fetched at all."""
    with fetching(cdn, budget, f"asset {wanted.name}") as fetcher:
        fetcher.asker.errors_are_judged = True
        return _fetched(cdn, wanted, fetcher)


def _fetched(cdn: Cdn, wanted: Asset, fetcher: Fetcher) -> facts.Asset:
    first = [fetcher.fetch(wanted.url) for _ in range(_WARMING)]
    if all(fetch.problem and not fetch.unreadable for fetch in first):
        raise CannotTell(
            f"{wanted.url} cannot be fetched: {first[-1].problem}; check the address, and the way to it from here"
        )
    with ThreadPoolExecutor(fetcher.asker.spending.at_once(_AT_ONCE), "cdn") as pool:
        coded = tuple(pool.map(lambda name: _alone(fetcher, wanted.url, name), _ALONE))
        fetcher.asker.calm()
        more = list(pool.map(lambda _: fetcher.fetch(wanted.url), range(cdn.fetches)))
    warming, counted = _counted(first, more)
    seen = next((fetch for fetch in reversed(more) if not fetch.problem), first[-1])
    return facts.Asset(
        tuple(warming),
        tuple(counted),
        coded,
        _wanted(cdn, wanted, fetcher),
        _asked(fetcher, wanted.url, seen),
        () if wanted.ranges is False else _parts(fetcher, wanted.url),
        _plain(cdn, wanted.url, fetcher),
        fetcher.fetch(wanted.url, {"Cookie": _COOKIE}),
    )


def _counted(
    first: list[facts.Fetch], more: list[facts.Fetch]
) -> tuple[list[facts.Fetch], list[facts.Fetch]]:
    """Part off each cache's first answer, if it was no hit: it had to ask the origin. At most half of all."""
    known = {fetch.node for fetch in first if fetch.node}
    warming, counted = list(first), []
    for fetch in more:
        if fetch.node and fetch.node not in known and fetch.hit is False and len(warming) < len(more) // 2:
            warming.append(fetch)
        else:
            counted.append(fetch)
        known.add(fetch.node)
    return warming, counted


def _alone(fetcher: Fetcher, url: str, name: str) -> facts.Coded:
    sent = {"Accept-Encoding": "" if name == "nothing" else name}
    return facts.Coded(name, tuple(fetcher.fetch(url, sent) for _ in range(_EACH)))


def _wanted(cdn: Cdn, asset: Asset, fetcher: Fetcher) -> facts.Wanted | None:
    """Return the content that an asset must have: what the inventory says, else what the origin serves."""
    if asset.sha256:
        return facts.Wanted("the inventory's `sha256`", asset.sha256.lower(), asset.content_type or "")
    if asset.file:
        try:
            return facts.Wanted(str(asset.file), file_digest(asset.file), asset.content_type or "")
        except OSError as error:
            return facts.Wanted(str(asset.file), problem=f"it cannot be read: {error.strerror}")
    if cdn.origin is None:
        return None
    mine, theirs = urlsplit(asset.url), urlsplit(cdn.origin.url)
    url = urlunsplit((theirs.scheme, theirs.netloc, mine.path, mine.query, ""))
    sent = {"Accept-Encoding": "identity"} | sending.headers(cdn.origin)
    try:
        answer = fetcher.asker.ask(url, sent, roots=cdn.origin.ca_file)
    except NoAnswer as none:
        return facts.Wanted(url, problem=str(none))
    fetch, _ = described(answer, None)
    if fetch.status != 200:
        return facts.Wanted(url, problem=f"it answers {fetch.status}")
    if not fetch.sha256:
        return facts.Wanted(url, problem=fetch.broken or fetch.undecoded)
    return facts.Wanted(url, fetch.sha256, asset.content_type or fetch.content_type, vary=fetch.vary)


def _asked(fetcher: Fetcher, url: str, seen: facts.Fetch) -> facts.Asked | None:
    """Ask whether it changed, by the ETag or date that was just seen; and by one that it cannot have."""
    if seen.status != 200:
        return None
    if not (seen.etag or seen.last_modified):
        return facts.Asked("")
    by, value = ("If-None-Match", seen.etag) if seen.etag else ("If-Modified-Since", seen.last_modified)
    other = f'"deploygate-{secrets.token_hex(8)}"' if seen.etag else "Thu, 01 Jan 1970 00:00:00 GMT"
    try:
        answer = fetcher.asker.ask(url, {by: value}, address=fetcher.next_address(url))
        changed = fetcher.asker.ask(url, {by: other}, address=fetcher.next_address(url))
    except NoAnswer as none:
        return facts.Asked(by, problem=str(none))
    return facts.Asked(by, answer.status, len(answer.body), changed.status)


def _parts(fetcher: Fetcher, url: str) -> tuple[facts.Part, ...]:
    """Ask for the beginning, the middle, the end, and a part behind the end, each without a coding.

    A server that codes all the same has parts of what it sends then, so that is what they are compared with.
    """
    plain = {"Accept-Encoding": "identity"}
    try:
        whole = fetcher.asker.ask(url, plain, address=fetcher.next_address(url))
    except NoAnswer:
        return ()
    body = whole.body
    if whole.status != 200 or not whole.whole or not body:
        return ()
    size = len(body)
    middle, upto = size // 3, min(size - 1, size // 3 + 99)
    asked = (
        (f"bytes=0-{min(99, size - 1)}", body[:100], 0),
        (f"bytes={middle}-{upto}", body[middle : upto + 1], middle),
        (f"bytes=-{min(50, size)}", body[-50:], max(0, size - 50)),
        (f"bytes={size}-", None, 0),
    )
    return tuple(_part(fetcher, url, plain, words, part, start, body) for words, part, start in asked)


def _part(
    fetcher: Fetcher, url: str, plain: dict[str, str], words: str, part: bytes | None, start: int, body: bytes
) -> facts.Part:
    try:
        answer = fetcher.asker.ask(url, {**plain, "Range": words}, address=fetcher.next_address(url))
    except NoAnswer as none:
        return facts.Part(words, 0, problem=str(none))
    right = None
    if answer.status == 206:
        says = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.one("content-range"))
        placed = says is not None and int(says[1]) == start and says[3] in (str(len(body)), "*")
        right = placed and part is not None and answer.body == part
    elif answer.status == 200:
        right = answer.body == body
    return facts.Part(words, answer.status, answer.one("content-range"), len(answer.body), right)


def _plain(cdn: Cdn, url: str, fetcher: Fetcher) -> facts.Plain:
    """Fetch it over plain HTTP."""
    parts = urlsplit(url)
    if cdn.plain_port is None or parts.scheme != "https":
        return facts.Plain(asked=False)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    netloc = host if cdn.plain_port == 80 else f"{host}:{cdn.plain_port}"
    try:
        address = fetcher.next_address(url)
        answer: Answer = fetcher.asker.ask(
            urlunsplit(("http", netloc, parts.path, parts.query, "")), address=address
        )
    except Refused:
        return facts.Plain(asked=True, closed=True)
    except NoAnswer as none:
        return facts.Plain(asked=True, problem=str(none))
    return facts.Plain(True, False, answer.status, answer.one("location"))
