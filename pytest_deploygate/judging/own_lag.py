"""Whether a time that is over its limit may be the gate's own delay instead of the platform's. Pure.

The gate, and in a small setup the servers beside it, wait for the processors of this machine. A figure that would be
within its limit without that wait says nothing about the platform.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Verdict, words_for

#: Less than this is not worth a word.
_LATE_S, _CROWDED = 0.05, 1.1
#: The servers beside us do about as much work for a request as we do ourselves.
_BOTH_ENDS = 2


@dataclass(frozen=True)
class OwnLag:
    """What delayed the gate while it timed something for `over_s` seconds.

    `late_s` is by how much a thread that only slept woke too late, in total: the process was stopped or its threads got in
    each other's way. `cpu_s` is the processor time that we used. `runnable` is how many tasks of other processes wanted a
    processor, on average (None: unknown), and `processors` how many there are.
    """

    over_s: float = 0.0
    late_s: float = 0.0
    cpu_s: float = 0.0
    runnable: float | None = None
    processors: int = 1

    @property
    def slower(self) -> float:
        """How many times longer work on this machine took: tasks, one of ours included, for each processor."""
        return max(1.0, ((self.runnable or 0.0) + 1) / self.processors)

    @property
    def delay_s(self) -> float:
        """The most by which we, and servers on this machine, were late. What only waits is not slower on a busy machine."""
        return self.late_s + _BOTH_ENDS * self.cpu_s * (self.slower - 1)

    def explains(self, figure_s: float, limit_s: float) -> str:
        """Return why a time over its limit may be ours, as the end of a sentence; empty if it is too long for that."""
        if figure_s <= limit_s or figure_s - self.delay_s > limit_s:
            return ""
        return (
            f"but {self}, so {words_for(min(figure_s, self.delay_s))} of it may be our own delay: run it again when this "
            "machine has free processors"
        )

    def __str__(self) -> str:
        parts = []
        if self.late_s >= _LATE_S:
            parts.append(f"this process was {words_for(self.late_s)} late itself")
        if self.slower >= _CROWDED:
            wanted = (self.runnable or 0.0) + 1
            parts.append(
                f"{wanted:.1f} tasks wanted the {self.processors} processors of this machine meanwhile"
            )
        return " and ".join(parts) or "this process was late itself"


def excused(found: Judgement, lag: OwnLag, figure_s: float | None, limit_s: float) -> Judgement:
    """Return a failure because of `figure_s` as inconclusive if our own lag explains it; anything else unchanged."""
    if found.verdict is not Verdict.FAIL or figure_s is None or not (why := lag.explains(figure_s, limit_s)):
        return found
    readings = tuple(replace(each, ok=None) if each.ok is False else each for each in found.readings)
    return replace(
        found,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{found.reason}, {why}",
        readings=readings,
        confirmed=False,
    )
