"""How a decision is named and marked: each ending differs in its words and its shape, not only in its colour.

A reader sees the page small, in grey, printed, or without its style sheet. The sign is a picture of its own, and the
frame of the banner (`signoff.css`) is filled, dashed, striped or light.
"""

from __future__ import annotations

from enum import StrEnum

from markupsafe import Markup

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Outcome, Verdict
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.record import Record


class Look(StrEnum):
    """How the banner and the boxes of the phases look; the values are classes of the style sheet."""

    GO = "go"
    WAIVED = "go-waived"
    HOLD = "hold"
    ROLLBACK = "rollback"
    BACK = "back"
    FAILED = "back-failed"
    NONE = "none"


@dataclass(frozen=True)
class Ending:
    """The decision as it is said at the top: `HOLD`, `Do not proceed.`"""

    headline: str
    means: str
    look: Look


#: An outcome whose rollback has ended, by exit code.
WENT_BACK = {
    23: Ending("ROLLED BACK", "Every step of the rollback was done and verified.", Look.BACK),
    24: Ending(
        "ROLLBACK FAILED",
        "A step failed or could not be verified: see the state of the platform below.",
        Look.FAILED,
    ),
}
_LOOKS = {Outcome.GO: Look.GO, Outcome.HOLD: Look.HOLD, Outcome.ROLLBACK: Look.ROLLBACK}


def of(record: Record) -> Ending:
    """Name the decision of a record."""
    waived = sum(1 for r in grouping.in_scope(record) if r.verdict is Verdict.WAIVED)
    return named(record.decision, record.change, waived, record.shard)


def named(decision: Decision | None, change: str, waived: int, shard: str = "") -> Ending:
    """Name a decision of a change with so many waived items; `shard` is `2/4` for a part of a run."""
    if decision is None:
        return Ending("NO DECISION", "Nothing was decided: do not proceed.", Look.NONE)
    if decision.exit_code in WENT_BACK:
        return WENT_BACK[decision.exit_code]
    said = Ending(decision.outcome.value, words.meaning(decision.outcome, change), _LOOKS[decision.outcome])
    if shard and decision.outcome is Outcome.GO:
        return Ending(
            f"SHARD {shard} GOOD",
            "This part of the run is good. It decides nothing for the change; deploygate merge does.",
            Look.WAIVED,
        )
    if decision.outcome is Outcome.GO and waived:
        number = words.count(waived, "item is", "items are")
        return Ending(
            f"GO with {words.count(waived, 'waiver')}",
            f"{said.means} {number} not as required; somebody answers for that.",
            Look.WAIVED,
        )
    return said


#: Exit codes that pytest gives by itself; the decision stands beside them.
PYTEST_ENDINGS = {2: "interrupted", 3: "internal error", 4: "usage error"}


def beside_a_failure(record: Record, exit_code: int | None) -> bool:
    """Tell whether the process ends with another exit code than its GO: another plugin set it."""
    decision = record.decision
    if decision is None or exit_code is None or decision.outcome is not Outcome.GO:
        return False
    return exit_code != decision.exit_code and exit_code not in PYTEST_ENDINGS


def of_run(record: Record, exit_code: int | None) -> Ending:
    """Name how a run ended: as decided, or not good as a whole. One outcome, never GO above another exit code."""
    ended = of(record)
    if not beside_a_failure(record, exit_code):
        return ended
    means = f"Another plugin set the exit code {exit_code}; the checklist alone is {ended.headline}."
    return Ending("NOT GOOD AS A WHOLE", means, Look.HOLD)


#: The signs, as strokes within 24 by 24: check, check in a broken ring, pause, arrow back, arrow back with check, cross.
_RING = '<circle cx="12" cy="12" r="10"/>'
_SIGNS = {
    Look.GO: _RING + '<path d="M7 12.5l3.5 3.5L17 8.5"/>',
    Look.WAIVED: '<circle cx="12" cy="12" r="10" stroke-dasharray="3.2 3.1"/><path d="M7 12.5l3.5 3.5L17 8.5"/>',
    Look.HOLD: '<path d="M8 2h8l6 6v8l-6 6H8l-6-6V8z"/><path stroke-width="3" d="M9.5 7.5v9M14.5 7.5v9"/>',
    Look.ROLLBACK: '<path stroke-width="3.2" d="M22 12H4M11 4l-8 8 8 8"/>',
    Look.BACK: '<path d="M8 3L3 8l5 5M3 8h11a6.5 6.5 0 0 1 0 13H9"/><path d="M10.5 14l2.5 2.5 4-5"/>',
    Look.FAILED: '<path d="M2 2h20v20H2z"/><path stroke-width="3" d="M7 7l10 10M17 7L7 17"/>',
    Look.NONE: '<path stroke-dasharray="2 3" d="M2 2h20v20H2z"/>',
}


def sign(look: Look, size: int) -> Markup:
    """Draw the sign of an ending, `size` pixels high. The words beside it say the same."""
    return Markup(
        '<svg class="sign" aria-hidden="true" width="{0}" height="{0}" viewBox="0 0 24 24" fill="none"'
        ' stroke="currentColor" stroke-width="2">{1}</svg>'
    ).format(size, Markup(_SIGNS[look]))  # noqa: S704 (a constant of this module)
