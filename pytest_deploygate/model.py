"""The vocabulary of the product as frozen values. No I/O, no clock, no judging.

Layers exchange only these values: a checklist `Item` is measured, the measurement is judged (`Judgement`), the gate
adds test, time and evidence (`Finding`), and findings become a `Decision`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterable
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from pytest_deploygate.lazy import dataclass

Scalar = str | int | float | bool | None

#: The change of runs that were not given one: their decision speaks for its scope alone.
NO_CHANGE = "local"


def option_of(change: str) -> str:
    """Return the option that names a change in a command, with a blank before it; empty if it was not named."""
    return "" if change == NO_CHANGE else f" --change {shlex.quote(change)}"


class Verdict(StrEnum):
    """The result of an item. Unknown is neither pass nor fail."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_COVERED = "not_covered"
    WAIVED = "waived"
    ATTESTED = "attested"
    PASS = "pass"  # noqa: S105 (a verdict)
    NOT_APPLICABLE = "not_applicable"

    @property
    def good(self) -> bool:
        """True if it needs no action."""
        return self in _GOOD


_GOOD = frozenset((Verdict.PASS, Verdict.ATTESTED, Verdict.NOT_APPLICABLE))
#: From worst to best; the worst of an item's targets counts.
WORST_FIRST: tuple[Verdict, ...] = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; `not_covered` if there are none: a run of nothing is never a pass."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.NOT_COVERED)


class Severity(StrEnum):
    """The weight of a bad item: critical and major cause a HOLD, minor is only listed."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class Kind(StrEnum):
    """Who provides the evidence: the machine (A), machine and person (H), a person (M)."""

    AUTOMATED = "automated"
    HYBRID = "hybrid"
    MANUAL = "manual"


class Closing(StrEnum):
    """What decides an item when a run closes, instead of tests and attestations.

    `documented`: everything in its phase that is not green has an entry in the issue log. `resolved`: no blocking entry
    of the log is open. `signed`: all roles of the checklist have signed the report.
    """

    DOCUMENTED = "documented"
    RESOLVED = "resolved"
    SIGNED = "signed"


@dataclass(frozen=True)
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
    role: str = ""  # the role that must attest it; empty: any of the checklist's roles
    closing: Closing | None = None
    check: str = ""  # the id whose tests it borrows, besides tests of its own id

    @property
    def about_the_log(self) -> bool:
        """True if the issue log decides the item; such an item needs no entry in the log itself."""
        return self.closing in (Closing.DOCUMENTED, Closing.RESOLVED)


@dataclass(frozen=True)
class Phase:
    """A checklist heading that can be run with `-m`.

    `window` is the planned time as written, `day` the `T-7 days` of a heading above it. A `read_only` phase changes
    nothing on the platform, so it may run in a freeze. The items of a `whole_change` phase concern the whole change and
    not one step of it, so no other phase waits for its decision.
    """

    id: str
    title: str
    window: str = ""
    day: str = ""
    read_only: bool = False
    whole_change: bool = False


@dataclass(frozen=True)
class Reading:
    """One measured value with its limit, in readable form.

    `ok` is None if the reading is informational and has no limit.
    """

    name: str
    value: Scalar
    unit: str = ""
    limit: str = ""
    ok: bool | None = None


@dataclass(frozen=True)
class Distribution:
    """The distribution of a measured quantity, for a plot.

    `points` are (value, share at or below it), both increasing. `quantile` is the share that must be below `limit`;
    `low` and `high` are the bounds of the true quantile, None if not known. `samples` is how many values there are, 0 if
    not known: no quantile beyond 1 - 1/samples can be seen.
    """

    title: str
    unit: str
    points: tuple[tuple[float, float], ...]
    quantile: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0


@dataclass(frozen=True)
class Line:
    """One line of a `Series`: (seconds since the start, value); None is a gap."""

    name: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True)
class Series:
    """A quantity over time, for a plot. `start` is the time of second 0, in ISO 8601 (UTC); empty if not known.

    Values should be at or below `limit`, and at or above `least`; None where there is no such bound.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    limit: float | None = None
    start: str = ""
    least: float | None = None


@dataclass(frozen=True)
class Spans:
    """States over time, for a plot: rows of (from, to, state), in seconds since `start`.

    States are words such as `up`, `down`, `unknown`. `until` is the end of the expected observation.
    """

    title: str
    rows: tuple[tuple[str, tuple[tuple[float, float, str], ...]], ...]
    until: float
    start: str = ""


@dataclass(frozen=True)
class Shares:
    """What became of the members of groups, for a plot: rows of (group, ((state, number), …), least share of the first state).

    The least share is between 0 and 1, None where none is required. States are words such as `blocked`, `passed`, `unresolved`.
    """

    title: str
    unit: str
    rows: tuple[tuple[str, tuple[tuple[str, int], ...], float | None], ...]


@dataclass(frozen=True)
class Places:
    """Where along an order something lies, for a plot: rows of (name, how many in each of equal parts of the order)."""

    title: str
    unit: str
    rows: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Grid:
    """What was met in each field of a table, for a plot: rows of (name, (look, words) for each of the columns).

    A look is `pass`, `fail` or `unknown`; it is empty where nothing was tried.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Takeover:
    """A fault of a primary, for a plot: writes that were acknowledged in each tenth of a second, and who took writes when.

    `writable` has a row for each node: (name, ((from, to), …)). All times are in seconds since the first bucket;
    `write_s` and `read_s` are when clients could write and read again, None if they never could.
    """

    title: str
    per_100ms: tuple[int, ...]
    fault_s: float
    writable: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    write_s: float | None = None
    read_s: float | None = None
    start: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of a page. `thumbnail` is shown in the report: WebP in base64, at most `MOST_OF_A_THUMBNAIL` characters.

    `path` is the whole picture in the out folder (PNG), with its digest; empty if it was not kept.
    """

    title: str
    thumbnail: str
    width: int
    height: int
    path: str = ""
    sha256: str = ""


#: The largest thumbnail: it is in the journal and in the report.
MOST_OF_A_THUMBNAIL = 12_000

#: The plots and pictures that a judgement can have.
Figure = Distribution | Series | Spans | Shares | Places | Grid | Takeover | Picture


@dataclass(frozen=True)
class Judgement:
    """A judge's result for one measurement. `reason` is a sentence that a tired person can act on.

    `notes` are warnings that do not change the verdict. `figures` are plotted in the report. `deferred_to` names the
    phase after which an inconclusive item can be measured (zero rows before the data arrives). `confirmed` is true if the
    observation was repeated.
    """

    verdict: Verdict
    reason: str
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()
    deferred_to: str = ""
    confirmed: bool = False
    figures: tuple[Figure, ...] = ()


def combine(judgements: Iterable[Judgement]) -> Judgement:
    """Combine several judgements about one target: worst verdict, its reasons first, all readings.

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
    """Return the phase to which an item with these parts is deferred, or an empty text.

    It is deferred only if every part that is not good is inconclusive and deferred to the same phase. One unknown
    that no later phase resolves makes the whole item unknown now.
    """
    said = {p.deferred_to if p.verdict is Verdict.INCONCLUSIVE else "" for p in parts if not p.verdict.good}
    return said.pop() if len(said) == 1 else ""


@dataclass(frozen=True)
class Evidence:
    """What supports a finding: a file in the out folder, whose `path` is relative to that folder, or `content` itself.

    `path` is empty where the content is kept with the finding. `sha256` is that of the content in UTF-8.
    """

    path: str
    sha256: str
    title: str = ""
    content: str = ""


@dataclass(frozen=True)
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
    """Raised by a probe that could not measure anything: unreachable, refused, timed out, no permission.

    Becomes `inconclusive` with this text, which says where, why and what to do.
    """


class NotReached(CannotTell):
    """Raised by a probe if the gate's own side got no answer: the name does not resolve here, there is no route, a firewall
    or a login keeps us out, or nothing answers at all.

    It says nothing about the service: where an unusable service is a failure, this is still inconclusive.
    """


class NotCovered(Exception):  # noqa: N818 (it is an answer, not an error)
    """Raised if the inventory lacks what an item needs. Becomes `not_covered`; the text says what to add."""


class Outcome(StrEnum):
    """The decision: proceed, do not proceed, roll back."""

    GO = "GO"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True)
class Rule:
    """A policy rule that took part in the decision, with its inputs."""

    name: str
    says: Outcome
    because: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """GO, HOLD or ROLLBACK for a scope at a time, with the rules that decided and the exit code."""

    outcome: Outcome
    scope: str
    exit_code: int
    rules: tuple[Rule, ...]
    at: datetime
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Weakening:
    """A setting that requires less than its default or the shipped checklist; `text` is a sentence about it.

    `items` are the ids of the items that it affects. Empty means unknown: it then counts for every scope.
    """

    text: str
    items: tuple[str, ...] = ()

    def bears_on(self, scope: Container[str]) -> bool:
        """Tell whether it may affect one of these items. If unknown, it may."""
        return not self.items or any(item in scope for item in self.items)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_CALENDAR = re.compile(r"\d\s*(mo|mon|months?|y|yr|years?)\b")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


#: Longer durations, added to a time, leave the calendar.
_LONGEST = timedelta(days=36500)


def parse_duration(text: str) -> timedelta:
    """Parse `90s`, `5m`, `1h30m`, `2d`. Raises ValueError with the accepted forms.

    A bare number is rejected: nobody can tell seconds from minutes at three in the morning.
    """
    if _CALENDAR.search(text):
        raise ValueError(f"{text!r}: months and years differ in length; write days, for example 30d or 365d")
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write for example 500ms, 30s, 5m, 2h, 7d or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST.total_seconds():
        raise ValueError(
            f"{text[:40]!r} is longer than {_LONGEST.days} days; no clock of the gate runs that long"
        )
    return timedelta(seconds=seconds)


def words_for(span: timedelta | float) -> str:
    """Format a duration (timedelta or seconds) for people: `0.25 s`, `4 min`, `3 h`, `12 d`."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)i?B\s*")


def parse_size(text: str) -> int:
    """Parse `16MB`, `1GB`, `512kB` into bytes, powers of 1024 as in PostgreSQL."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a size; write for example 512kB, 16MB or 1GB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def words_for_count(count: int, one: str, many: str) -> str:
    """Format a count with its noun: `1 sequence is`, `2 sequences are`."""
    return f"{count} {one if count == 1 else many}"


def about(target: str, reason: str) -> str:
    """Prefix a reason with its target, unless it begins with it already."""
    name = target.rpartition(" ")[2]
    return reason if not target or reason.startswith((target, name)) else f"{target}: {reason}"


def words_for_bytes(size: float) -> str:
    """Format a size for people: `512 B`, `16 MB`, `1.5 GB` (powers of 1024)."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(size) >= 1024**power:
            return f"{float(f'{size / 1024**power:.3g}'):g} {unit}"  # 1010 MB, not 1.01e+03 MB
    return f"{size:.0f} B"
