"""Judge for how long an answer may be kept, and whether it was served for longer (RFC 9111, 5861, 8246)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.cdn.facts import Directives, Fetch
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.cdn.section import Asset

#: Clocks and whole seconds of Age.
_TOLERANCE_S = 2


def judge(good: Sequence[Fetch], asset: Asset, collector: Collector) -> None:
    """Judge the answers of an asset: the shortest lifetime counts."""
    kinds = Counter(fetch.directives for fetch in good)
    directives = min(kinds, key=lambda one: -1 if one.browser_s is None else one.browser_s)
    _lifetime(directives, asset, collector)
    if asset.immutable and (lacking := [one for one in kinds if "immutable" not in one.flags]):
        number = sum(kinds[one] for one in lacking)
        collector.wrong(
            f"{number} of {len(good)} answers say {lacking[0].said or 'nothing'!r}, without `immutable`: add it to Cache-Control, "
            "so that browsers do not ask for it again on a reload"
        )
    for odd in dict.fromkeys(odd for one in kinds for odd in one.odd):
        collector.wrong(
            f"Cache-Control has {odd!r}, which caches read differently or take for expired: write it once, as RFC 9111 has it"
        )
    if directives.forbids_stale and directives.stale_s:
        collector.note(
            "Cache-Control forbids stale answers (must-revalidate, proxy-revalidate or s-maxage) and allows them at once; caches follow the former"
        )
    if not _stale(good, collector):
        _left(good, collector)


def _lifetime(directives: Directives, asset: Asset, collector: Collector) -> None:
    wanted_s, seconds = asset.lifetime.total_seconds(), directives.browser_s
    limit = f"at least {words_for(asset.lifetime)}"
    said = f"Cache-Control is {directives.said!r}" if directives.said else "there is no Cache-Control"
    if directives.shared_s == 0 and "private" in directives.flags:
        collector.wrong(f"{said}: `private` keeps the CDN from storing it; say `public`")
    if seconds is None:
        collector.read(Reading("lifetime in browsers", "not said", limit=limit, ok=False))
        collector.wrong(
            f"{said} and no Expires, so each browser guesses how long to keep it: send `max-age`, {limit} is required"
        )
        return
    ok = seconds >= wanted_s
    collector.read(Reading("lifetime in browsers", words_for(timedelta(seconds=seconds)), limit=limit, ok=ok))
    if not ok:
        by = said if directives.max_age_s is not None or not directives.expires_s else "by Expires"
        collector.wrong(
            f"browsers may keep it for {words_for(timedelta(seconds=seconds))}, {limit} is required ({by}): raise `max-age`"
        )
    if asset.max_lifetime is not None and seconds > asset.max_lifetime.total_seconds():
        most = f"at most {words_for(asset.max_lifetime)}"
        collector.read(
            Reading(
                "longest lifetime in browsers", words_for(timedelta(seconds=seconds)), limit=most, ok=False
            )
        )
        collector.wrong(
            f"browsers may keep it for {words_for(timedelta(seconds=seconds))}, {most} is allowed, since its name stays when it "
            "changes: lower `max-age`"
        )


def _stale(good: Sequence[Fetch], collector: Collector) -> bool:
    """Judge an Age over the lifetime, which `stale-while-revalidate` allows for a time; return whether there is one."""
    worst: tuple[int, Fetch] | None = None
    for fetch in good:
        directives = fetch.directives
        if fetch.age_s is None or not fetch.hit or directives.shared_s is None:
            continue
        allowed_s = 0 if directives.forbids_stale else directives.stale_s
        over_s = fetch.age_s - directives.shared_s - allowed_s
        if over_s > _TOLERANCE_S and (worst is None or over_s > worst[0]):
            worst = over_s, fetch
    if worst:
        over_s, fetch = worst
        collector.wrong(
            f"an answer from the cache is {fetch.age_s} s old, {over_s} s more than {fetch.directives.said!r} allows: a rule of the CDN "
            "keeps it for longer than the origin says"
        )
    return worst is not None


def _left(good: Sequence[Fetch], collector: Collector) -> None:
    """A browser counts the Age in: what a cache may keep for longer than `max-age` can be expired when it arrives."""
    for fetch in good:
        seconds, age_s = fetch.directives.browser_s, fetch.age_s
        if seconds and age_s is not None and age_s > seconds + fetch.directives.stale_s + _TOLERANCE_S:
            collector.wrong(
                f"browsers may keep it for {words_for(timedelta(seconds=seconds))}, but it arrives with an Age of "
                f"{words_for(timedelta(seconds=age_s))}, so it is expired at once: have the CDN send the time that is left, or no Age"
            )
            return
