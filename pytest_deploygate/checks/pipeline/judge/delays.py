"""How long events took, by the rules of response times under load: counts over each limit, never an interpolated quantile.

Our own delay only makes them longer, so a pass needs no correction for it. For a failure it is taken off.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.pipeline.facts import Client, Measured, Out, Sent
from pytest_deploygate.checks.pipeline.judge.delivery import named
from pytest_deploygate.judging import quantiles
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.quantiles import Block, Decided
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Distribution, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.pipeline.section import Pipeline
    from pytest_deploygate.checks.pipeline.section.exits import EventLimits

_POINTS = 200
#: So much of the schedule must have been kept by our own side.
KEPT = 0.99


@dataclass(frozen=True)
class _Asked:
    """One quantile at one exit. Of an event that was read in steps the delay is known to lie between two bounds."""

    out: Out
    quantile: float
    limit_s: float
    alpha: float
    begun_s: Sequence[float]  # when events were really sent, and what we were late by when receiving
    certain: Sequence[Block]  # over the limit at least, without our own delay
    counted: Sequence[Block]  # over the limit at least, as counted
    perhaps: Sequence[Block]  # over the limit at most

    @property
    def name(self) -> str:
        """`p50 of live`."""
        return f"{self.called} of {self.out.name}"

    @property
    def called(self) -> str:
        """`p50`, `p99`."""
        return f"p{100 * self.quantile:g}"


def judge(found: Measured, criterion: Pipeline, said: Collector) -> list[Distribution]:
    """Judge p50 and p99 at each exit, and what came later than the longest time; return the plots."""
    asked = [each for out in found.outs for each in _asked(found, out, criterion)]
    p_values = {each.name: quantiles.decide(each.certain, each.quantile, each.alpha).p_fail for each in asked}
    failing = quantiles.holm(p_values, min((each.alpha for each in asked), default=0.05))
    slow = [each for each in asked if _quantile(each, found, said, may_fail=each.name in failing)]
    for quantile in (0.5, 0.99):
        if together := [each for each in slow if each.quantile == quantile]:
            said.wrong(_slow_words(together, found.sent))
    for out in found.outs:
        _late(found, out, criterion, said)
    return list(_figures(found, criterion))


def _asked(found: Measured, out: Out, criterion: Pipeline) -> Iterator[_Asked]:
    section = next(each for each in criterion.exits if each.name == out.name)
    limits, sent = criterion.limits_of(section), found.sent
    if out.problem or not out.order:
        return
    own_s = found.client.receive_lag_p99_s if found.client else math.inf
    begun_s = [
        due if at is None else max(due, at) + own_s for due, at in zip(sent.due_s, sent.sent_s, strict=True)
    ]
    for quantile, limit_s in ((0.5, limits.p50.total_seconds()), (0.99, limits.p99.total_seconds())):
        yield _Asked(
            out,
            quantile,
            limit_s,
            limits.alpha,
            begun_s,
            _blocks(sent, begun_s, out.not_before_s, limit_s),
            _blocks(sent, sent.due_s, out.not_before_s, limit_s),
            _blocks(sent, sent.due_s, out.by_s, limit_s),
        )


def _blocks(
    sent: Sent, from_s: Sequence[float], came_s: Sequence[float | None], limit_s: float
) -> list[Block]:
    """Return (events, at or over the limit) by the second in which they were due. What did not come is counted elsewhere."""
    blocks: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for due, began, at in zip(sent.due_s, from_s, came_s, strict=True):
        if at is not None:
            block = blocks[int(due)]
            block[0] += 1
            block[1] += at - began >= limit_s
    return [(events, over) for _, (events, over) in sorted(blocks.items())]


def _quantile(asked: _Asked, found: Measured, said: Collector, *, may_fail: bool) -> bool:
    """Read one quantile; say what is unknown, and return whether it fails."""
    # A pass must hold even if each event came at the end of its interval, a failure even if at its beginning.
    most = quantiles.decide(asked.perhaps, asked.quantile, asked.alpha)
    least = quantiles.decide(asked.certain, asked.quantile, asked.alpha, asked.alpha if may_fail else 0.0)
    _, high_s = _measured(asked, found.sent.due_s)
    name, where = f"{asked.called}, {asked.out.name}", asked.out.name
    value, limit = round(1000 * high_s, 1), f"< {1000 * asked.limit_s:g} ms"
    about = f"{asked.called} of the delay"
    kept = found.client is not None and found.client.kept >= KEPT
    if least.verdict is Verdict.FAIL and kept:
        without_s = _measured(asked, asked.begun_s)[1]
        said.read(Reading(name, round(1000 * without_s, 1), "ms", limit, ok=False))
        return True
    if quantiles.decide(asked.counted, asked.quantile, asked.alpha).verdict is Verdict.FAIL:
        said.read(Reading(name, value, "ms"))
        said.unknown(
            f"{about} is {words_for(high_s)}, {words_for(asked.limit_s)} are allowed, but {_own(found.client)}",
            where=where,
        )
    elif most.verdict is Verdict.PASS:
        said.read(Reading(name, value, "ms", limit, ok=True))
    else:
        said.read(Reading(name, value, "ms"))
        said.unknown(_undecided(asked, most, about), where=where)
    return False


def _slow_words(together: Sequence[_Asked], sent: Sent) -> str:
    """Say at which exits one quantile is over its limit, what the slow events have in common, and name the slowest."""
    one = together[0]
    at = ", ".join(
        f"{_between(*_measured(each, each.begun_s))} at {each.out.name} ({words_for(each.limit_s)} are allowed)"
        for each in together
    )
    slow = [
        number
        for number, (begun, came) in enumerate(zip(one.begun_s, one.out.not_before_s, strict=True))
        if came is not None and came - begun >= one.limit_s
    ]
    number = max(slow, key=lambda n: (one.out.by_s[n] or 0.0) - one.begun_s[n])
    longest_s = (one.out.by_s[number] or 0.0) - one.begun_s[number]
    entrances = {sent.entrance(n) for n in slow}
    many = len(set(sent.entrances)) > 1
    only = f", all of them entered by {min(entrances)}" if many and len(entrances) == 1 else ""
    step = f"what happens to events of {min(entrances)}" if only else "what holds events up"
    if len(together) == 1:
        step += f" on the way to {one.out.name}"
    return (
        f"{one.called} of the delay is {at}: {len(slow)} of {len(_delays(sent.due_s, one.out.by_s))} events took longer, "
        f"{1 - one.quantile:.0%} may{only}; the slowest took {words_for(round(longest_s, 3))}: {named(sent, [number])}; look at "
        f"{step}"
    )


def _own(client: Client | None) -> str:
    if client is None:
        return "how late our own side was is not known: run it again"
    return (
        f"our own side was late by {words_for(client.lag_p99_s)} (p99), which may be why: run it from a machine with free "
        "processors"
    )


def _undecided(asked: _Asked, most: Decided, about: str) -> str:
    needed = quantiles.needed(asked.quantile, asked.alpha)
    if most.n < needed:
        return f"{about} needs {needed} events even if none is slow, {most.n} came: raise `events`"
    read = " (those between two reads count as late: lower `every`)" if asked.perhaps != asked.counted else ""
    return (
        f"{about} cannot be told from the limit {words_for(asked.limit_s)}: {_share(most)} of the events took longer{read}, "
        f"{1 - asked.quantile:.0%} may; the true share is between {most.low:.2%} and {most.high:.2%}: raise `events`"
    )


def _share(decided: Decided) -> str:
    return f"{decided.over} of {decided.n} ({decided.over / decided.n:.1%})" if decided.n else "0 of 0"


def _between(low_s: float, high_s: float) -> str:
    if high_s - low_s < 0.02:
        return words_for(round(high_s, 3))
    return f"between {words_for(round(max(0.0, low_s), 3))} and {words_for(round(high_s, 3))}"


def _measured(asked: _Asked, from_s: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the quantile, of delays that count from these times."""
    low, high = (_delays(from_s, came_s) for came_s in (asked.out.not_before_s, asked.out.by_s))
    return _nearest(low, asked.quantile), _nearest(high, asked.quantile)


def _delays(from_s: Sequence[float], came_s: Sequence[float | None]) -> list[float]:
    return sorted(at - began for began, at in zip(from_s, came_s, strict=True) if at is not None)


def _nearest(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def _late(found: Measured, out: Out, criterion: Pipeline, said: Collector) -> None:
    """What came after the longest time was lost for users, although it came."""
    within_s = criterion.within.total_seconds()
    sent = found.sent
    late = [
        n
        for n, (due, at) in enumerate(zip(sent.due_s, out.not_before_s, strict=True))
        if at is not None and at - due > within_s
    ]
    if not late or out.problem:
        return
    longest_s = max((out.not_before_s[n] or 0.0) - sent.due_s[n] for n in late)
    sentence = (
        f"{len(late)} of {len(sent.due_s)} events came out after more than {words_for(within_s)}, the longest after "
        f"{words_for(round(longest_s, 3))}: {named(sent, late)}"
    )
    own_s = found.client.lag_max_s if found.client else math.inf
    if longest_s - own_s <= within_s:
        said.unknown(
            f"{sentence}; but our own side was late by up to {words_for(own_s)}: run it again", where=out.name
        )
    else:
        said.read(
            Reading(f"longest delay, {out.name}", round(longest_s, 3), "s", f"<= {within_s:g} s", ok=False)
        )
        said.wrong(sentence, where=out.name)


def _figures(found: Measured, criterion: Pipeline) -> Iterator[Distribution]:
    for out, section in zip(found.outs, criterion.exits, strict=True):
        delays = _delays(found.sent.due_s, out.by_s)
        if len(delays) < 2:
            continue
        limits: EventLimits = criterion.limits_of(section)
        steps = sorted({math.ceil(n * len(delays) / _POINTS) - 1 for n in range(1, _POINTS + 1)} | {0})
        points: dict[float, float] = {}
        for step in steps:
            points[round(1000 * delays[step], 3)] = round((step + 1) / len(delays), 6)
        yield Distribution(
            f"delay of events at {out.name}",
            "ms",
            tuple(points.items()),
            0.99,
            1000 * limits.p99.total_seconds(),
            samples=len(delays),
        )
