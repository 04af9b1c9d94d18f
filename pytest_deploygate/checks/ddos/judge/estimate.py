"""Finds rate and burst of a limit from what was let through, each between two bounds that are certain.

A limit with capacity C that refills at r per second has let through at most C + r t requests after t seconds. The server
met each request at some time between its sending and its answer, which is all that is assumed of our clock.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Limit

#: The phases in which one source asks for the same again and again.
PLAIN = ("burst", "sustain", "more")
#: As many may be let through one after the other by a limit that refills steadily.
_BY_CHANCE = 3
_GUESSES = 200
#: Of the rate: what is closer together is the same.
_CLOSE = 1e-3
#: So many capacities are tried.
_CAPACITIES = 40


@dataclass(frozen=True)
class Between:
    """A number that is between two bounds."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = (f"{bound:.3g}" if bound < 100 else f"{bound:.0f}" for bound in (self.low, self.high))
        if math.isinf(self.high):
            return f"{low} or more"
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Found:
    """A limit as it was found. `rate` is per second; `clump` is how many were let through one after the other.

    `window` tells that nothing more was let through after the first refusal for as long as requests were offered.
    """

    burst: Between
    rate: Between
    clump: int
    window: bool
    through: int
    over_s: float


def refused(attempt: Attempt, limit: Limit) -> bool:
    """Tell whether a request was refused as the inventory says."""
    return not attempt.served and attempt.status in limit.refused


def plain(trial: Trial) -> list[Attempt]:
    """Return the requests that wore the limit down."""
    return [attempt for attempt in trial.attempts if attempt.phase in PLAIN]


def span_s(attempts: Sequence[Attempt]) -> float:
    """Return the seconds from the first request until the last answer."""
    if not attempts:
        return 0.0
    return max(each.answered_s for each in attempts) - min(each.sent_s for each in attempts)


def let_through(limit: Limit, over_s: float) -> float:
    """Return the most that the declared limit lets through in a time, with its tolerance."""
    return (limit.burst + limit.rate * over_s) * (1 + limit.tolerance / 100) + 1


def found(trial: Trial, limit: Limit) -> Found | None:
    """Return the limit; None if nothing was refused.

    It is measured between two refusals, F and L: at each of them less than one request could have been let through, so
    k requests between them are r D, give or take one. Up to F n of them are C + r t. Where requests came so late that
    the limit may have been full again, what it lost by that is added to the upper bounds.
    """
    attempts = plain(trial)
    turned_away = [each for each in attempts if refused(each, limit)]
    if not turned_away:
        return None
    # Those offered one by one have their times between narrow bounds; those sent at once wait for each other.
    apart = [each for each in turned_away if each.phase != "burst"] or turned_away
    first, last = _ends(sorted(apart, key=_sent))
    between = [e for e in attempts if first.sent_s <= e.sent_s <= last.sent_s]
    clump = _clump(between)
    before = [e for e in attempts if e.sent_s <= first.answered_s]
    most = _never_above(attempts) if clump <= _BY_CHANCE else math.inf
    rate, burst = _alike(attempts, first, last, clump, most, _served_after(between), _served_after(before))
    window = not any(each.served and each.sent_s > first.answered_s for each in attempts)
    if window:
        burst = Between(_least_of_window(attempts, turned_away, rate, limit), burst.high)
    return Found(burst, rate, clump, window, sum(each.served for each in attempts), span_s(attempts))


def _least_of_window(
    attempts: Sequence[Attempt], turned_away: Sequence[Attempt], rate: Between, limit: Limit
) -> float:
    """Return the least capacity of a limit that lets nothing through once it is used up, so that its rate is not seen.

    Where requests came slowly, several windows have passed until a refusal, and each let through what is declared. Each
    refusal gives a bound.
    """
    most = max(rate.high, limit.rate * (1 + limit.tolerance / 100))
    began_s = min(each.sent_s for each in attempts)
    answered = sorted(each.answered_s for each in attempts if each.served)
    bounds = (
        bisect_right(answered, each.sent_s) - most * (each.answered_s - began_s) for each in turned_away
    )
    return max(0.0, *bounds)


def _sent(attempt: Attempt) -> float:
    return attempt.sent_s


def _ends(refusals: Sequence[Attempt]) -> tuple[Attempt, Attempt]:
    """Return two refusals far apart whose times are known best: of the first fifth and of the last one, the quickest."""
    some = max(1, len(refusals) // 5)
    first, last = (min(those, key=_took) for those in (refusals[:some], refusals[-some:]))
    return (first, last) if first.answered_s < last.sent_s else (refusals[0], refusals[-1])


def _took(attempt: Attempt) -> float:
    return attempt.answered_s - attempt.sent_s


def _alike(
    attempts: Sequence[Attempt],
    first: Attempt,
    last: Attempt,
    clump: int,
    never_above: float,
    gaps: Sequence[float],
    gaps_before: Sequence[float],
) -> tuple[Between, Between]:
    """Return the rates and capacities that agree with each other.

    A limit that is full before the next request comes lets through less: what it loses depends on its rate and capacity,
    and the other way round. So each capacity is tried, from the smallest. For a capacity, the greatest rate is the only
    number at which what was let through and lost is what it refilled: guesses come closer to it from below.
    """
    rate = _rate(attempts, first, last, clump)
    never_above = max(rate.low, never_above)
    burst = _burst(attempts, first, clump, rate, 0.0)
    if math.isinf(rate.high):
        return rate, burst
    most = burst.high + _lost(gaps_before, rate.high, 0.0)
    agreeing: list[tuple[Between, Between]] = []
    for low, high in itertools.pairwise(
        1 + (most - 1) * (n / _CAPACITIES) ** 2 for n in range(_CAPACITIES + 1)
    ):
        highest = _highest(rate, gaps, low - 1, last.sent_s - first.answered_s, never_above)
        within = _burst(attempts, first, clump, highest, _lost(gaps_before, highest.high, low - 1))
        if within.low <= high and low <= within.high:
            agreeing.append(
                (highest, Between(max(low, within.low) if low > 1 else within.low, min(high, within.high)))
            )
    if not agreeing:  # it is none of the limits that this describes
        return rate, burst
    return agreeing[0][0], Between(agreeing[0][1].low, max(within.high for _, within in agreeing))


def _highest(rate: Between, gaps: Sequence[float], room: float, over_s: float, never_above: float) -> Between:
    """Return the rate with the upper bound that a limit with so much room may have, if it lost what it could."""
    guess = rate.high
    for _ in range(_GUESSES):
        before, guess = guess, rate.high + _lost(gaps, guess, room) / over_s
        if guess - before < _CLOSE * guess:
            break
    else:  # answers took so long that it may have lost more than it let through
        guess = math.inf
    return Between(rate.low, min(never_above, guess * (1 + _CLOSE)))


def _never_above(attempts: Sequence[Attempt]) -> float:
    """Return the rate that a limit cannot have which refused a request so long after the one before it."""
    ordered = sorted(attempts, key=_sent)
    earlier = itertools.accumulate((each.answered_s for each in ordered), max)
    waited = [
        now.sent_s - answered_s
        for answered_s, now, after in zip(earlier, ordered[1:], [*ordered[2:], None], strict=False)
        if not now.served and (after is None or after.sent_s >= now.answered_s)
    ]
    longest = max(waited, default=0.0)
    return 1 / longest if longest > 0 else math.inf


def _served_after(attempts: Sequence[Attempt]) -> list[float]:
    """Return the seconds before each request that was served, after the one before it."""
    ordered = sorted(attempts, key=_sent)
    return [after.answered_s - before.sent_s for before, after in itertools.pairwise(ordered) if after.served]


def _lost(gaps: Iterable[float], rate: float, room: float) -> float:
    """Return how many requests a limit may have lost by being full before the next request came."""
    return sum(max(0.0, rate * gap - room) for gap in gaps)


def _burst(attempts: Sequence[Attempt], first: Attempt, clump: int, rate: Between, lost: float) -> Between:
    """Return the capacity, from what was let through until the refusal `first`."""
    surely = sum(each.served and each.answered_s <= first.sent_s for each in attempts)
    perhaps = sum(each.served and each.sent_s <= first.answered_s for each in attempts)
    low_s = max(0.0, first.sent_s - min(each.answered_s for each in attempts))
    high_s = first.answered_s - min(each.sent_s for each in attempts)
    refill = rate.high * high_s
    least = surely - refill - (clump if clump > _BY_CHANCE else 0)
    return Between(max(0.0, least), max(1.0, perhaps + 1 - rate.low * low_s + lost))


def _rate(attempts: Sequence[Attempt], first: Attempt, last: Attempt, clump: int) -> Between:
    """Return the rate between two refusals of a limit that lost nothing."""
    surely = sum(e.served and e.sent_s >= first.answered_s and e.answered_s <= last.sent_s for e in attempts)
    perhaps = sum(e.served and e.answered_s >= first.sent_s and e.sent_s <= last.answered_s for e in attempts)
    low_s, high_s = last.sent_s - first.answered_s, last.answered_s - first.sent_s
    final = max((e for e in attempts if not e.served), key=_sent)
    after = [each for each in attempts if each.sent_s > final.answered_s]
    # What was served after the last refusal shows a higher rate than was offered: there is no upper bound then.
    bounded = low_s > 0 and len(after) <= 2 * clump + _BY_CHANCE
    if not bounded and after:
        offered_s = max(each.answered_s for each in after) - final.sent_s
        return Between(max(0.0, (sum(each.served for each in after) - clump) / offered_s), math.inf)
    low = max(0.0, (surely - clump) / high_s) if high_s > 0 else 0.0
    return Between(low, (perhaps + clump) / low_s if bounded else math.inf)


def _clump(attempts: Iterable[Attempt]) -> int:
    """Return how many are let through at a time: 1 of a limit that refills steadily, more at the border of a window.

    Steadily means that either those let through or those refused come one by one, depending on how often is asked.
    """
    ordered = sorted(attempts, key=lambda attempt: attempt.sent_s + attempt.answered_s)
    runs = [(served, len(list(those))) for served, those in itertools.groupby(ordered, _is_served)]
    through, refusals = (max((n for s, n in runs if s is served), default=0) for served in (True, False))
    return max(1, through if min(through, refusals) > _BY_CHANCE else min(through, refusals))


def _is_served(attempt: Attempt) -> bool:
    return attempt.served
