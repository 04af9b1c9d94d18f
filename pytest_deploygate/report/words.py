"""The wording of the report: verdicts, outcomes, exit codes, numbers and times for a human reader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from pytest_deploygate.model import (
    NO_CHANGE,
    WORST_FIRST,
    Outcome,
    Reading,
    Scalar,
    Severity,
    Verdict,
    words_for,
)

MEANING: dict[Verdict, str] = {
    Verdict.FAIL: "measured, and the criterion is not met",
    Verdict.INCONCLUSIVE: "looked at without a result: too little data, unreachable, no permission",
    Verdict.NOT_COVERED: "nothing ran for this item, so nothing is known",
    Verdict.WAIVED: "a named person accepts the risk until a date",
    Verdict.ATTESTED: "a named person vouches for it, with evidence",
    Verdict.PASS: "measured, and the criterion is met",
    Verdict.NOT_APPLICABLE: "the inventory says, with reason and owner, that it does not apply here",
}
MEANS: dict[Outcome, str] = {
    Outcome.GO: "Proceed.",
    Outcome.HOLD: "Do not proceed.",
    Outcome.ROLLBACK: "Roll back.",
}


def meaning(outcome: Outcome, change: str) -> str:
    """Return what a decision means, as its headline says it: `Proceed.`

    A GO without a change id builds on no phase before, and says so.
    """
    if outcome is Outcome.GO and change == NO_CHANGE:
        return "Proceed with this scope alone (no change id)."
    return MEANS[outcome]


#: What a rule that did not decide means for the decision.
BESIDE: dict[Outcome, str] = {
    Outcome.ROLLBACK: "Asks for a rollback",
    Outcome.HOLD: "Would hold by itself",
    Outcome.GO: "Listed, does not hold",
}
EXIT: dict[int, str] = {
    0: "GO",
    1: "HOLD, an item failed",
    20: "GO with waivers",
    21: "HOLD, nothing failed but something is unknown",
    22: "ROLLBACK decided",
    23: "rolled back and verified",
    24: "rollback failed or not verified",
    25: "evidence incomplete",
    26: "sign-off missing, invalid or not trusted",
}
SEVERITIES: tuple[Severity, ...] = tuple(Severity)


def verdict(value: Verdict) -> str:
    """Return a verdict in words: `not covered`."""
    return value.value.replace("_", " ")


def number(value: Scalar) -> str:
    """Format a value: `200,000`, `0.25`, `yes`; None was not measured."""
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return value


def measured(reading: Reading) -> str:
    """Format a measured value with its unit: `16 MB`, `99.9%`."""
    text = number(reading.value)
    if not reading.unit or reading.value is None:
        return text
    # The same units as in limits: a reader compares 16.2 MB with 16 MB, not with 16,986,931 bytes.
    if isinstance(reading.value, int | float) and math.isfinite(reading.value):
        if reading.unit in ("bytes", "B"):
            return _size(reading.value)
        if reading.unit == "s" and abs(reading.value) >= _LONG_S:
            return _span(reading.value)
    return f"{text}%" if reading.unit == "%" else f"{text} {reading.unit}"


#: From this many seconds on, a duration is shown in minutes, hours or days, as in limits.
_LONG_S = 120.0


def _size(size: float) -> str:
    """Format bytes with four digits, so that a value just over its limit does not look like it."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(size) >= 1024**power:
            return f"{size / 1024**power:.4g} {unit}"
    return f"{size:.4g} B"


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def met(reading: Reading) -> str:
    """Say whether a reading meets its limit; `not judged` if that is not known, a dash if it has none."""
    if reading.ok is None and not reading.limit:
        return "–"  # nothing to compare it with
    return {True: "met", False: "NOT met", None: "not judged"}[reading.ok]


def moment(when: datetime | None) -> str:
    """Format a time in UTC to the second: `2026-03-14 14:03:11 UTC`."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else "unknown"


def between(start: datetime, end: datetime) -> str:
    """Format a span of time in UTC: `2026-03-14 14:03 to 16:00 UTC`."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {until} UTC"


def span(start: datetime, end: datetime | None) -> str:
    """Format how long something took: `4 min`."""
    return words_for(end - start) if end else "unknown"


def count(n: int, one: str, many: str = "") -> str:
    """Format a number of things: `1 item`, `1,200 items`."""
    return f"{thousands(n)} {one if n == 1 else many or one + 's'}"


def thousands(n: int) -> str:
    """Format a count: `1,200`."""
    return f"{n:,}"


def elsewhere(n: int, *, more: bool) -> str:
    """Return the line for weakenings of other scopes: `12 further weakenings bear on no item in scope`."""
    further = "further " if more else ""
    return count(n, f"{further}weakening bears", f"{further}weakenings bear") + " on no item in scope"


def tally(verdicts: Iterable[Verdict]) -> tuple[tuple[Verdict, int], ...]:
    """Count the verdicts that occur, worst first."""
    found = Counter(verdicts)
    return tuple((v, found[v]) for v in WORST_FIRST if found[v])


def tally_words(verdicts: Iterable[Verdict]) -> str:
    """Format a tally: `1 fail, 7 pass`."""
    return ", ".join(f"{n:,} {verdict(v)}" for v, n in tally(verdicts))


def listed(parts: Iterable[str], most: int = 6) -> str:
    """Join with commas; past `most`, say how many more there are: `a, b and 3 more`."""
    known = list(parts)
    if len(known) <= most:
        return ", ".join(known)
    return f"{', '.join(known[: most - 1])} and {len(known) - most + 1} more"


def shortened(text: str, most: int) -> str:
    """Shorten a text on one line, between words where possible, and mark it with an ellipsis."""
    one_line = " ".join(text.split())
    if len(one_line) <= most:
        return one_line
    cut = one_line[: most - 1]
    between = cut.rfind(" ", most * 3 // 4)
    return (cut[:between] if between > 0 else cut).rstrip(" ,;:") + "…"


def duration(seconds: float) -> str:
    """Format a duration: `0.25 s`, `4 min`, `3 h`, `12 d`."""
    return words_for(seconds)
