"""Judge what was tried: poisoning, deception, a purge, and the origin down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.cdn.facts import Down, Node, Page, Purged, Tries
from pytest_deploygate.drills import judging
from pytest_deploygate.drills.record import Evidence, Facts
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.cdn.section import Tried


def judge_tries(found: Evidence[Tries], tried: Tried) -> Judgement:
    """Pass if nothing that is no part of the cache's key reached another user, and no private page was kept as a file."""
    counted = _counted(found, tried, "try to poison the cache")
    if isinstance(counted, Judgement):
        return counted
    facts = counted.record.facts
    collector = Collector(most=6, confirmed=True)
    collector.read(*counted.readings)
    for page in facts.pages:
        _poisoned(page, collector)
    for page in facts.deceptions:
        _deceived(page, collector)
    if not any(page.tries for page in facts.pages) and not collector.failed:
        collector.unknown(
            "nothing could be tried: name a page in `cdn.tried.pages` that is cached, and apart for each query"
        )
    tries = [one for page in (*facts.pages, *facts.deceptions) for one in page.tries]
    poisoned = sum(1 for one in tries if one.outcome == "poisoned")
    collector.read(Reading("tries that reached another user", poisoned, limit="0", ok=poisoned == 0))
    return collector.judgement(
        lambda: (
            f"none of {len(tries)} tries (list version {facts.version}) reached another user through the cache"
        )
    )


def _counted(found: Evidence[Facts], tried: Tried, what: str) -> judging.Counted[Facts] | Judgement:
    again = (
        f"{judging.rerun(found.environment)}, or set `cdn.tried.opt_in: {found.environment or 'INVENTORY'}`"
    )
    return judging.counted(found, tried.max_age, what, again, readings=lambda _record: ())


def _poisoned(page: Page, collector: Collector) -> None:
    if page.problem:
        collector.unknown(f"it was not tried: {page.problem}", where=page.url)
    elif page.apart is False:
        collector.unknown(
            "its query is no part of the cache's key, so users would have got what we cause, and nothing was tried: put "
            "`{buster}` into its path, or name another page",
            where=page.url,
        )
    elif not page.cached:
        collector.note("it is not cached, so nothing was tried on it", where=page.url)
    if page.cookies:
        collector.wrong(
            f"the cache gives the cookie {', '.join(page.cookies)} of one user to others: keep no answer with Set-Cookie, or remove "
            "it before it is kept",
            where=page.url,
        )
    for said, what in _poisoned_by(page).items():
        collector.wrong(
            f"{', '.join(what[:4])} {'poisons' if len(what) == 1 else 'poison'} the cache: for other users {said}; have the CDN drop "
            "it, make it part of the key, or do not build the page from it",
            where=page.url,
        )
    if lost := [one for one in page.tries if one.outcome == "unknown"]:
        collector.unknown(
            f"the outcome of {len(lost)} of {len(page.tries)} tries is not known ({lost[0].what}: {lost[0].said})",
            where=page.url,
        )


def _deceived(page: Page, collector: Collector) -> None:
    for said, what in _poisoned_by(page).items():
        collector.wrong(
            f"at an address with {' or '.join(what[:4])} it is kept as if it were a file, and {said}: have the application answer "
            "404 there, and the CDN go by the origin's Cache-Control, not by the extension",
            where=page.url,
        )


def _poisoned_by(page: Page) -> dict[str, list[str]]:
    """Return what poisoned, by what that did."""
    found: dict[str, list[str]] = {}
    for one in page.tries:
        if one.outcome == "poisoned":
            found.setdefault(one.said, []).append(one.what)
    return found


def judge_purge(found: Evidence[Purged], tried: Tried) -> Judgement:
    """Pass if every cache that held the object served a new one in time after the purge."""
    counted = _counted(found, tried, "purge")
    if isinstance(counted, Judgement):
        return counted
    facts = counted.record.facts
    wanted = tried.purge
    collector = Collector(most=6, confirmed=True)
    collector.read(*counted.readings)
    if facts.problem:
        collector.wrong(f"it cannot be purged: {facts.problem}", where=facts.url)
    elif wanted is not None:
        _caches(facts, wanted.within.total_seconds(), collector)
    return collector.judgement(lambda: _all_new(facts))


def _all_new(facts: Purged) -> str:
    held = [node for node in facts.nodes if node.held]
    slowest = max(node.new_after_s or 0.0 for node in held)
    return f"after the purge, all {len(held)} caches that held it served a new object, the last one after {max(0.0, slowest):.1f} s"


def _caches(facts: Purged, within_s: float, collector: Collector) -> None:
    held = [node for node in facts.nodes if node.held]
    if not held:
        collector.unknown("no cache held it before the purge: name an object that is cached", where=facts.url)
    late = [node for node in facts.nodes if node.old_until_s is not None and _is_late(node, within_s)]
    for node in late:
        others = [other.name for other in held if other not in late]
        but = f", while {', '.join(others)} had the new one" if others else ""
        collector.wrong(
            f"{node.name} still served the object from before the purge after {node.old_until_s:.1f} s{but}, at most {within_s:g} s are "
            "allowed: send the purge to every cache, and look at its answer there",
            where=facts.url,
        )
    collector.read(Reading("caches with the old object", len(late), limit="0", ok=not late))
    for node in held:
        if node not in late and node.new_after_s is None:
            why = (
                "does not tell when its answers were made"
                if node.unknown
                else "did not answer after the purge"
            )
            collector.unknown(f"{node.name} {why}", where=facts.url)


def _is_late(node: Node, within_s: float) -> bool:
    return node.new_after_s is None or (node.old_until_s or 0.0) > within_s


def judge_down(found: Evidence[Down], tried: Tried) -> Judgement:
    """Pass if the object was served while its origin was down."""
    counted = _counted(found, tried, "drill with the origin down")
    if isinstance(counted, Judgement):
        return counted
    facts = counted.record.facts
    collector = Collector(confirmed=True)
    collector.read(*counted.readings)
    collector.read(Reading("bad answers while the origin was down", facts.bad, limit="0", ok=facts.bad == 0))
    if facts.bad:
        collector.wrong(
            f"with the origin down, {facts.bad} of {facts.good + facts.bad} fetches {facts.said}: allow stale answers "
            "(`stale-if-error`, grace)",
            where=facts.url,
        )
    elif not facts.stale:
        collector.note("no answer said by its Age that it was stale", where=facts.url)
    return collector.judgement(lambda: f"{facts.good} fetches were served while the origin was down")
