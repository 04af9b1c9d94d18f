"""What a running load sees of the service: it ends by itself when the answers become much worse than the first ones were.

No request is sent for that: one beside the load would disturb what is measured. Errors are those of the kill switch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from pytest_deploygate.judging.spending import Baseline, Bounds, Harm, middle

#: So many answers show what the service is like: they come before the load can have done anything.
_FIRST = 10
#: Later ones are looked at over this time, so many at least. A stall of 2 s (a garbage collection) with the requests that
#: queued behind it is less than half of it: that is the finding of a percentile, and ends nothing.
_WINDOW_S, _LEAST = 5.0, 5
#: With no answer at all it is not waited that long.
_SILENT_S = 3.0


class OwnAnswers:
    """The answers of a load. Times are seconds since it began, latencies without the wait for a free connection.

    `allowed_s` is what the inventory allows the slowest of its requests: an answer within it is no harm.
    """

    def __init__(self, bounds: Bounds, allowed_s: float) -> None:
        self._bounds, self._allowed_s = bounds, allowed_s
        self._first: list[tuple[float, bool]] = []
        self._recent: deque[tuple[float, bool]] = deque()
        self._slow = 0
        self._harm: Harm | None = None
        self._answered_s = self._since_s = 0.0

    @property
    def before(self) -> Baseline | None:
        """What the first answers were like; None until they are there."""
        return self._harm.before if self._harm else None

    def add(self, at_s: float, took_s: float, *, wrong: bool) -> None:
        """Take an answer."""
        self._answered_s = at_s
        if self._harm is not None:
            slow = took_s > self._harm.slowest_s
            self._recent.append((at_s, slow))
            self._slow += slow
            return
        self._first.append((took_s, wrong))
        if len(self._first) == _FIRST:
            median_s = middle([took for took, _ in self._first])
            slower_s = max(self._bounds.slower_s, self._allowed_s - median_s)
            before = Baseline(_FIRST, sum(wrong for _, wrong in self._first), median_s)
            self._harm = Harm(replace(self._bounds, slower_s=slower_s), before)
            self._since_s = at_s

    def forget(self, now_s: float) -> None:
        """Leave out what came while this client stood still: it says nothing of the service."""
        self._recent.clear()
        self._slow, self._answered_s, self._since_s = 0, now_s, now_s

    def suffers(self, now_s: float, open_now: int) -> str:
        """Return why the load must end: its last answers, or that none comes while requests are open. Empty: it need not."""
        if self._harm is None:
            return ""
        usual = f"{self._harm.before.median_s * 1000:.3g} ms were usual when the load began"
        if open_now and (silent_s := now_s - self._answered_s) > max(_SILENT_S, self._harm.longest_s):
            return f"the service suffers: {open_now} requests are open and none was answered for {silent_s:.1f} s; {usual}"
        while self._recent and self._recent[0][0] < now_s - _WINDOW_S:
            self._slow -= self._recent.popleft()[1]
        count = len(self._recent)
        if now_s - self._since_s < _WINDOW_S or count < _LEAST or 2 * self._slow <= count:
            return ""
        return (
            f"the service suffers: {self._slow} of its last {count} answers took over "
            f"{self._harm.slowest_s * 1000:.0f} ms; {usual}"
        )
