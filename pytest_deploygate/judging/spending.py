"""What an active probe may use, what it used, and when the service's own answers say that it must end. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from pytest_deploygate.lazy import dataclass

#: The kind of journal line that has a run's ledger.
KIND = "spent"
#: A stop must have ended everything after this time.
STOP_S = 1.0


@dataclass(frozen=True)
class Limits:
    """What each active probe of an item may use in one run. Bytes are those of requests and of answers.

    `requests` counts what the probe asks for: a request, a statement, an attempt to connect, a command on a host.
    """

    requests: int = 10_000
    connections: int = 2_000
    sent_bytes: int = 100_000_000
    received_bytes: int = 1_000_000_000
    seconds: float = 900.0
    concurrency: int = 64

    def lowered(self, said: Mapping[str, float]) -> Limits:
        """Return these limits with those that the inventory names in place of ours."""
        return replace(self, **{name: type(getattr(self, name))(value) for name, value in said.items()})


#: What stands for item and probe where all probes of a run are counted together.
TOGETHER = ("all items", "all probes together")
#: For probes outside of a run of the gate: commands and tests, which answer for themselves.
UNBOUNDED = Limits(10**9, 10**9, 10**15, 10**15, 10**7, 10**6)


@dataclass(frozen=True)
class Bounds:
    """When a probe ends by itself: the service's errors or its latency rose by more than this while the probe ran.

    `errors` is a share of the answers, added to the share before. `slower` is how many times the median latency before,
    at least `slower_s` more than it.
    """

    errors: float = 0.2
    slower: float = 5.0
    slower_s: float = 0.5


@dataclass(frozen=True)
class Baseline:
    """The service before a probe began: answers, those that were wrong, and their median latency in seconds."""

    answers: int
    wrong: int
    median_s: float

    @property
    def errors(self) -> float:
        """The share of wrong answers."""
        return self.wrong / self.answers if self.answers else 0.0


#: So many answers are looked at together, those of the last seconds; fewer if they took long.
_LEAST, _MOST, _WINDOW_S = 5, 50, 3.0
_FEW, _LONG_S = 3, 1.5
#: One slow answer says little: it may be missing for this long, and for so many times the median that ends a probe.
_OPEN_S, _OPEN_TIMES = 2.0, 4


def middle(values: Sequence[float]) -> float:
    """Return the upper median of values."""
    return sorted(values)[len(values) // 2]


class Harm:
    """Looks at the service's answers while a probe runs."""

    def __init__(self, bounds: Bounds, before: Baseline) -> None:
        self.bounds, self.before = bounds, before
        self._seen: deque[tuple[float, float, bool]] = deque(maxlen=_MOST)

    @property
    def slowest_s(self) -> float:
        """The median latency at which a probe ends."""
        return max(self.before.median_s * self.bounds.slower, self.before.median_s + self.bounds.slower_s)

    @property
    def longest_s(self) -> float:
        """How long a single answer may be missing before a probe ends."""
        return max(_OPEN_S, _OPEN_TIMES * self.slowest_s)

    def add(self, at_s: float, took_s: float, *, wrong: bool) -> str:
        """Take an answer at a time of some steady clock, without our own delay. Return why the probe must end, or nothing."""
        self._seen.append((at_s, took_s, wrong))
        recent = [seen for seen in self._seen if at_s - seen[0] <= _WINDOW_S]
        long = sum(seen[1] for seen in recent) >= _LONG_S
        if len(recent) < (_FEW if long else _LEAST):
            return ""
        share = sum(seen[2] for seen in recent) / len(recent)
        if share > self.before.errors + self.bounds.errors:
            return (
                f"{share:.0%} of the service's last {len(recent)} answers were errors, {self.before.errors:.0%} were "
                f"before the probe began, and {self.bounds.errors:.0%} more are allowed"
            )
        median = middle([seen[1] for seen in recent])
        if median > self.slowest_s:
            return (
                f"the service's median latency rose to {median * 1000:.0f} ms over its last {len(recent)} answers; it was "
                f"{self.before.median_s * 1000:.0f} ms before the probe began, {self.slowest_s * 1000:.0f} ms are allowed"
            )
        return ""


@dataclass(frozen=True)
class Spent:
    """What one probe of an item used. `ended` is how it ended: `done`, or the word of what ended it.

    `why` is the sentence of an ending that was not its own, `stop_s` the seconds from a stop until it had ended (None: not
    stopped), `left` what it had begun and did not take away. `before` is None if the service was not watched, `unwatched`
    says why. `ended` is empty if the probe's process died.
    """

    item: str
    probe: str
    limits: Limits = field(default_factory=Limits)
    requests: int = 0
    connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    wrong: int = 0
    peak: int = 0
    largest_bytes: int = 0
    seconds: float = 0.0
    runs: int = 0
    ended: Sequence[str] = ()
    why: Sequence[str] = ()
    stop_s: float | None = None
    left: Sequence[str] = ()
    before: Baseline | None = None
    unwatched: str = ""
    harm_s: float | None = None


#: Answers that were on their way when a limit was reached: those of all open requests.
_ON_THE_WAY = "received_bytes"
_COUNTED = {
    "requests": "requests",
    "connections": "connections",
    "sent_bytes": "bytes sent",
    "received_bytes": "bytes received",
    "peak": "requests at a time",
    "seconds": "seconds",
}


def overspent(entry: Spent) -> list[str]:
    """Say where a probe used more than its budget; answers that were on their way, and a second, are no excess."""
    said = []
    for name, words in _COUNTED.items():
        used, limit = getattr(entry, name), getattr(entry.limits, "concurrency" if name == "peak" else name)
        spare = entry.peak * entry.largest_bytes if name == _ON_THE_WAY else 1.0 if name == "seconds" else 0
        if used > limit + spare:
            said.append(
                f"it used {used:,} {words}, {limit:,} are its budget".replace(",", " ").replace("  ", ", ")
            )
    return said


def went_on(entry: Spent, within_s: float = STOP_S) -> list[str]:
    """Say how a probe went on after a stop, or while the service suffered."""
    said = []
    if entry.stop_s is not None and entry.stop_s > within_s:
        said.append(f"it ended {entry.stop_s:.1f} s after the stop, {within_s:g} s are allowed")
    if entry.harm_s is not None and entry.harm_s > within_s:
        said.append(
            f"it went on for {entry.harm_s:.1f} s while the service suffered, {within_s:g} s are allowed"
        )
    return said
