"""The progress of a rollback, computed only from the journal's lines of kind `rollback`.

Each step has an intent and a result. An intent without a result is a step interrupted by a crash: whether it took
effect is unknown, so it is verified before anything is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pytest_deploygate import moments
from pytest_deploygate.journal import ODD, Entry, JournalError
from pytest_deploygate.journal.typed import text
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.moments import Moment

KIND = "rollback"


class Mark(StrEnum):
    """What a line records."""

    BEGUN = "begun"
    INTENT = "intent"
    DONE = "done"  # and verified
    FAILED = "failed"
    ENDED = "ended"  # every step done
    STOPPED = "stopped"  # a step failed


@dataclass(frozen=True)
class Line:
    """One line. `said` is what was seen; `after_crash` marks a step interrupted by a crash that had taken effect."""

    rollback: str
    mark: Mark
    at: Moment
    step: str = ""
    said: str = ""
    took_s: float = 0.0
    after_crash: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a rollback is."""

    id: str
    begun: Moment
    lines: tuple[Line, ...]

    def mark_of(self, step: str) -> Mark | None:
        """Return the last mark of a step; None if it was never begun."""
        marks = [line.mark for line in self.lines if line.step == step]
        return marks[-1] if marks else None

    def done(self, step: str) -> bool:
        """True when a step was done and verified."""
        return self.mark_of(step) is Mark.DONE

    @property
    def ended(self) -> bool:
        """True when every step was done and verified."""
        return any(line.mark is Mark.ENDED for line in self.lines)


def to_json(line: Line) -> dict[str, Any]:
    """Return a line as the journal stores it."""
    return {
        "rollback": line.rollback,
        "mark": line.mark.value,
        "moment": moments.to_json(line.at),
        "step": line.step,
        "said": line.said,
        "took_s": round(line.took_s, 3),
        "after_crash": line.after_crash,
    }


def of(entries: Sequence[Entry], rollback: str) -> Progress | None:
    """Return how far a rollback is, None if it was never begun. Raises JournalError."""
    lines = tuple(line for line in _lines(entries) if line.rollback == rollback)
    return Progress(rollback, lines[0].at, lines) if lines else None


def newest(entries: Sequence[Entry]) -> Progress | None:
    """Return the newest rollback of a journal, None if none was begun. Raises JournalError."""
    names = [line.rollback for line in _lines(entries) if line.mark is Mark.BEGUN]
    return of(entries, names[-1]) if names else None


def _lines(entries: Sequence[Entry]) -> list[Line]:
    return [_line(entry) for entry in entries if entry.kind == KIND]


def _line(entry: Entry) -> Line:
    body: Mapping[str, Any] = entry.body
    try:
        return Line(
            text(body["rollback"], "rollback"),
            Mark(body["mark"]),
            moments.from_json(body["moment"]),
            text(body["step"], "step"),
            text(body["said"], "said"),
            moments.number_of(body["took_s"]),
            bool(body["after_crash"]),
        )
    except ODD as error:
        raise JournalError(
            f"line {entry.seq} of the journal is not a readable rollback step: {error!r}"
        ) from None
