"""Judge private pages: nobody gets another one's, and no shared cache may keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.cdn.facts import Directives, Pages, Shared
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.cdn.section import Cdn

_OK = 200


def judge_private(found: Pages, cdn: Cdn) -> Judgement:
    """Pass if each page was shown to its owner alone, and says that shared caches must not keep it."""
    collector = Collector(most=6)
    if not found.pages and cdn.nothing_private:
        collector.read(Reading("private pages through the CDN", 0))
    for page in found.pages:
        _page(page, collector)
    return collector.judgement(lambda: _good(found))


def _good(found: Pages) -> str:
    if not found.pages:
        return "the inventory says that no page with a login goes through the CDN, so none can be shared"
    pages = len(found.pages)
    return (
        f"{'the private page' if pages == 1 else f'each of {pages} private pages'} was shown to its owner alone: neither another "
        "account nor anybody without a login got it at the same address"
    )


def _page(page: Shared, collector: Collector) -> None:
    owner = page.owner
    if owner.problem or owner.status != _OK:
        why = owner.problem or f"the first account gets {owner.status}, expected is 200: check its login"
        collector.unknown(why, where=page.name)
        return
    if page.public:
        collector.unknown(
            "others get the same at an address that nobody fetched before, so it shows nothing private: name a page that does, "
            "or its private text in `shows`",
            where=page.name,
        )
        return
    got = [reader for reader in page.readers if reader.same]
    asked = [reader for reader in page.readers if not reader.problem]
    if asked:
        collector.read(
            Reading(f"{page.name}: others who got the first account's page", len(got), limit="0", ok=not got)
        )
    for reader in got:
        collector.wrong(
            f"{reader.who} got the page of the first account{' from the cache' if reader.hit else ''}: turn caching off for it at the CDN, have "
            "the origin say `Cache-Control: private, no-store`, and purge what was kept",
            where=page.name,
        )
    for reader in page.readers:
        if reader.problem:
            collector.unknown(f"it was not seen what {reader.who} gets: {reader.problem}", where=page.name)
    if owner.hit and not got:
        collector.wrong(
            "the first account got it from the cache, where no private page may be: turn caching off for it",
            where=page.name,
        )
    if why := storable(owner.directives, page.login):
        collector.wrong(
            f"shared caches may keep it: {why}; say `Cache-Control: private, no-store`", where=page.name
        )
        if owner.cookies:
            collector.wrong(
                f"it sets the cookie {owner.cookies[0]}, which a cache would give to others, too",
                where=page.name,
            )


def storable(directives: Directives, login: str) -> str:
    """Return why a shared cache may store the answer to a request with a login; empty if it may not.

    With `Authorization` it may only if the answer says so (RFC 9111, section 3.5); nothing protects one with a cookie.
    """
    if {"no-store", "private", "no-cache"} & set(directives.flags):
        return ""
    said = f"Cache-Control is {directives.said!r}" if directives.said else "there is no Cache-Control"
    if login == "cookie":
        return f"{said}, and caches do not look at cookies"
    if directives.s_maxage_s is not None or {"public", "must-revalidate"} & set(directives.flags):
        return f"{said}, which allows it even with a login"
    return ""
