"""What a way around a limit met, and how much of it the limit itself explains."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge.estimate import Found, plain, refused
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Limit

#: So many that are all refused show that a way is closed, however long they took.
_ENOUGH = 5


@dataclass(frozen=True)
class Way:
    """A way around the limit: how many of its requests were served, and how many the limit itself explains."""

    tried: int
    served: int
    explained: float
    still_limited: bool
    odd: tuple[int, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it leads around the limit."""
        return self.still_limited and self.served > self.explained

    @property
    def known(self) -> bool:
        """Whether it could be told."""
        told = self.tried > self.explained or (self.served == 0 and self.tried >= _ENOUGH)
        return self.open or (self.still_limited and told and not self.odd)


def way(trial: Trial, phase: str, limit: Limit, found: Found) -> Way | None:
    """Return what a way around the limit met; None if it was not tried."""
    tried = [each for each in trial.attempts if each.phase == phase and each.varied]
    if not tried:
        return None
    beside = [each for each in trial.attempts if each.phase == phase and not each.varied]
    varied = list(_in_force(tried, beside, trial, limit)) if found.window else tried
    began = min((each.sent_s for each in varied), default=0.0)
    ended = max((each.answered_s for each in varied), default=0.0)
    before = [each.sent_s for each in trial.attempts if each.sent_s < began and refused(each, limit)]
    return Way(
        len(varied),
        sum(each.served for each in varied),
        _explained(limit, found, ended - max(before, default=began)),
        any(refused(each, limit) for each in beside),
        tuple(sorted({e.status for e in varied if not e.served and not 400 <= e.status < 500 and not refused(e, limit)})),
    )  # fmt: skip


def _in_force(
    varied: Sequence[Attempt], beside: Sequence[Attempt], trial: Trial, limit: Limit
) -> Iterator[Attempt]:
    """Yield those between two ordinary requests that were refused.

    A window lets nothing through while it is full. Once an ordinary request is served, it is not: it is over, or this
    machine was silent for so long that the server forgot about it.
    """
    after = sorted(beside, key=_sent)
    before = sorted((*plain(trial), *beside), key=_sent)
    for each in varied:
        earlier = bisect_right(before, each.sent_s, key=_sent)
        later = bisect_right(after, each.sent_s, key=_sent)
        if (
            earlier
            and refused(before[earlier - 1], limit)
            and (later == len(after) or refused(after[later], limit))
        ):
            yield each


def _sent(attempt: Attempt) -> float:
    return attempt.sent_s


def _explained(limit: Limit, found: Found, over_s: float) -> float:
    """Return how many requests the limit itself may let through in a time.

    A window that each request prolongs lets nothing through while somebody asks. If this machine stalls for a moment, it
    lets through what is declared.
    """
    declared = limit.rate * (1 + limit.tolerance / 100)
    rate = max(found.rate.high, declared) if found.window else found.rate.high
    return math.inf if math.isinf(rate) else rate * over_s + found.clump
