"""Judge what a rollback now would lose: it must be known, within the inventory's bound, and saveable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for


@dataclass(frozen=True)
class Bearable:
    """What may be lost. `acceptable` rows at most, None: any number that can be saved.

    `saved_by` is the command that saves them, empty if there is none. `restores` are the steps of the runbook after
    which they are lost.
    """

    acceptable: int | None
    saved_by: str
    restores: tuple[str, ...]


def judge_loss(found: Lost, expected: Bearable) -> Judgement:
    """Pass when the rows are counted and, if a step would lose some, can be saved first."""
    readings = tuple(_readings(found, expected))
    if found.rows is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"what a rollback would lose is unknown: {found.problem}", readings
        )
    wrong = list(_wrong(found, expected))
    if wrong:
        return Judgement(Verdict.FAIL, f"{_said(found)}; {'; '.join(wrong)}", readings, confirmed=True)
    notes: tuple[str, ...] = ()
    if not expected.restores:
        notes = (
            "no step of the runbook has `loses_writes`: a rollback would keep them, or the runbook is incomplete",
        )
    elif found.rows:
        notes = (
            f"past the step {expected.restores[0]!r} a rollback needs a named person: --accept-loss --role ROLE",
        )
    return Judgement(Verdict.PASS, _said(found), readings, notes)


def _wrong(found: Lost, expected: Bearable) -> Iterator[str]:
    rows = found.rows or 0
    if expected.acceptable is not None and rows > expected.acceptable:
        yield (
            f"more than the {expected.acceptable} that are acceptable; decide now whether to roll back or fix forward: "
            "each minute adds to it"
        )
    if rows and expected.restores and not expected.saved_by:
        yield (
            f"the step {expected.restores[0]!r} would lose them and no export is configured: add rollback.loss.export and export_to"
        )
    if expected.saved_by and found.export_problem:
        yield f"the rows cannot be saved before a restore: {found.export_problem}"


def _said(found: Lost) -> str:
    since = f"since the cutover at {_time(found.cutover)}" if found.cutover else "since the cutover"
    if not found.rows:
        return f"the new side accepted no row {since}: a rollback now loses nothing"
    free = f"; a rollback lost nothing until {_time(found.first)}" if found.first else ""
    rows = "1 row" if found.rows == 1 else f"{found.rows} rows"
    return f"a rollback now loses {rows} that the new side accepted {since}{free}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _readings(found: Lost, expected: Bearable) -> Iterator[Reading]:
    most = expected.acceptable
    yield Reading(
        "rows that a rollback now loses",
        found.rows,
        limit="" if most is None else f"at most {most}",
        ok=None if most is None or found.rows is None else found.rows <= most,
    )
    if found.rows and expected.restores:
        saved = expected.saved_by and not found.export_problem
        yield Reading("rows can be saved before a restore", bool(saved), limit="yes", ok=bool(saved))
    elif expected.saved_by and found.export_problem:
        yield Reading("rows can be saved before a restore", False, limit="yes", ok=False)
    if found.first and found.at:
        yield Reading("a rollback lost nothing until", _time(found.first))
        yield Reading("since then", words_for((found.at - found.first).total_seconds()))
