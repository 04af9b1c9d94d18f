"""The words of the product as frozen values. No I/O, no clock, no judgement.

Everything that passes from one layer to the next is one of these: an `Item` of the checklist is measured, the
measurement is judged (`Judgement`), the gate adds who, when and what evidence (`Finding`), and findings become a
`Decision`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

Scalar = str | int | float | bool | None


class Verdict(StrEnum):
    """What became of an item. Unknown is neither pass nor fail."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_COVERED = "not_covered"
    WAIVED = "waived"
    ATTESTED = "attested"
    PASS = "pass"  # noqa: S105 (a verdict)
    NOT_APPLICABLE = "not_applicable"

    @property
    def good(self) -> bool:
        """True when nobody has to do anything about it."""
        return self in (Verdict.PASS, Verdict.ATTESTED, Verdict.NOT_APPLICABLE)


#: From worst to best; over the targets of an item the worst counts.
WORST_FIRST: tuple[Verdict, ...] = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; of none, `not_covered`: nothing ran is never a pass."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.NOT_COVERED)


class Severity(StrEnum):
    """How much a bad item weighs: critical and major hold, minor is listed."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class Kind(StrEnum):
    """Who brings the evidence: the machine (A), machine and person (H), a person (M)."""

    AUTOMATED = "automated"
    HYBRID = "hybrid"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Item:
    """One box of the checklist."""

    id: str
    text: str
    phase: str
    severity: Severity
    kind: Kind
    area: str = ""
    line: int = 0
    waivable: bool = True
    role: str = ""  # who must attest it; empty: any of the checklist's roles


@dataclass(frozen=True, slots=True)
class Phase:
    """A heading of the checklist that can be run with `-m`.

    `window` is the planned time as written there, `day` the `T-7 days` of a heading above it.
    """

    id: str
    title: str
    window: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that was measured, beside its limit, as a person reads it.

    `ok` is None where the reading informs and no limit applies.
    """

    name: str
    value: Scalar
    unit: str = ""
    limit: str = ""
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a measured quantity is spread, for a plot.

    `points` are (value, share of all at or below it), rising in both. `quantile` is the share that must lie under
    `limit`; `low` and `high` bound where the true quantile lies, None where that is not known.
    """

    title: str
    unit: str
    points: tuple[tuple[float, float], ...]
    quantile: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a `Series`: (time in seconds since the start, value); None where nothing was seen: a gap."""

    name: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity over time, for a plot. `start` is the time of second 0, in ISO 8601 (UTC); empty where it is not known."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    limit: float | None = None
    start: str = ""


@dataclass(frozen=True, slots=True)
class Spans:
    """What was the case when, for a plot: rows of (from, to, state), in seconds since `start`.

    States are words such as `up`, `down`, `unknown`. `until` is the end of what should have been seen.
    """

    title: str
    rows: tuple[tuple[str, tuple[tuple[float, float, str], ...]], ...]
    until: float
    start: str = ""


#: What a judgement can be illustrated with.
Figure = Distribution | Series | Spans


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one measurement. `reason` is a sentence that a tired person can act on.

    `notes` are warnings that change no verdict. `figures` are what the report draws beside the readings. `deferred_to` names the phase after which an inconclusive
    item can be measured (zero rows before the data arrives). `confirmed` is true when the observation was repeated.
    """

    verdict: Verdict
    reason: str
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()
    deferred_to: str = ""
    confirmed: bool = False
    figures: tuple[Figure, ...] = ()


def combine(judgements: Iterable[Judgement]) -> Judgement:
    """Fold several judgements about one target into one: worst verdict, its reasons first, all readings.

    Example: `combine([passed, failed]).verdict` is `fail` and its reason is that of the failed one.
    """
    parts = list(judgements)
    verdict = worst(p.verdict for p in parts)
    decisive = [p for p in parts if p.verdict is verdict]
    return Judgement(
        verdict=verdict,
        reason="; ".join(p.reason for p in decisive if p.reason) or "nothing was judged",
        readings=tuple(r for p in decisive + [p for p in parts if p not in decisive] for r in p.readings),
        notes=tuple(n for p in parts for n in p.notes),
        deferred_to=deferred(parts),
        confirmed=all(p.confirmed for p in decisive) if decisive else False,
        figures=tuple(f for p in decisive + [p for p in parts if p not in decisive] for f in p.figures),
    )


def deferred(parts: Iterable[Judgement | Finding]) -> str:
    """Return the phase to which an item with these parts is deferred, or nothing.

    It is deferred only when every part that is not good is inconclusive and deferred to the same phase. One unknown
    that no later phase clears up makes the whole unknown now.
    """
    said = {p.deferred_to if p.verdict is Verdict.INCONCLUSIVE else "" for p in parts if not p.verdict.good}
    return said.pop() if len(said) == 1 else ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file of the out folder that backs a finding. `path` is relative to that folder."""

    path: str
    sha256: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement with its item, target, time and evidence: one line of the journal."""

    item: str
    target: str
    verdict: Verdict
    reason: str
    test: str
    at: datetime
    duration_s: float
    readings: tuple[Reading, ...] = ()
    criterion: str = ""
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    deferred_to: str = ""
    confirmed: bool = False
    figures: tuple[Figure, ...] = ()


class CannotTell(Exception):  # noqa: N818 (it is an answer, not an error)
    """Raised by a probe that could measure nothing at all: unreachable, refused, timed out, no permission.

    Ends as `inconclusive` with this text, which says where, why and what to do.
    """


class NotCovered(Exception):  # noqa: N818 (it is an answer, not an error)
    """Raised where the inventory says nothing about an item. Ends as `not_covered`; the text says what to add."""


class Outcome(StrEnum):
    """The decision: proceed, do not proceed, roll back."""

    GO = "GO"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the policy that had a say in the decision, with what it looked at."""

    name: str
    says: Outcome
    because: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """GO, HOLD or ROLLBACK for a scope, with the rules that decided, at a time, and the exit code it means."""

    outcome: Outcome
    scope: str
    exit_code: int
    rules: tuple[Rule, ...]
    at: datetime
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weakening:
    """A setting that asks for less than its default or the shipped checklist does; `text` is a sentence about it.

    `items` are the ids of the items that it bears on. Empty means unknown: it then counts for every scope.
    """

    text: str
    items: tuple[str, ...] = ()

    def bears_on(self, scope: Container[str]) -> bool:
        """Tell whether it may bear on one of these items. What is unknown may."""
        return not self.items or any(item in scope for item in self.items)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `5m`, `1h30m`, `2d`. Raises ValueError with the forms that work.

    A bare number is refused: nobody can tell seconds from minutes at three in the morning.
    """
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write for example 500ms, 30s, 5m, 2h, 7d or 1h30m")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def words_for(span: timedelta | float) -> str:
    """Say a duration (timedelta or seconds) as people do: `0.25 s`, `4 min`, `3 h`, `12 d`."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)i?B\s*")


def parse_size(text: str) -> int:
    """Read `16MB`, `1GB`, `512kB` into bytes, powers of 1024 as PostgreSQL counts them."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a size; write for example 512kB, 16MB or 1GB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def words_for_count(count: int, one: str, many: str) -> str:
    """Write a count with what is counted: `1 sequence is`, `2 sequences are`."""
    return f"{count} {one if count == 1 else many}"


def about(target: str, reason: str) -> str:
    """Write a target before a reason, unless the reason begins with it: nothing is named twice."""
    name = target.rpartition(" ")[2]
    return reason if not target or reason.startswith((target, name)) else f"{target}: {reason}"


def words_for_bytes(size: float) -> str:
    """Say a size as people do: `512 B`, `16 MB`, `1.5 GB` (powers of 1024)."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(size) >= 1024**power:
            return f"{size / 1024**power:.3g} {unit}"
    return f"{size:.0f} B"
