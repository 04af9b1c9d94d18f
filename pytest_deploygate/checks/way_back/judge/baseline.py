"""Judge the baseline: what was measured, and what was red, before the change. Without it no rollback can be advised."""

from __future__ import annotations

from datetime import datetime, timedelta

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, option_of, words_for

_NAMED = 6


@dataclass(frozen=True)
class BaselineSeen:
    """The record of the change before. `problem` says why it cannot be used, `missing` that there is none at all.

    `measured`, `red` and `unclear` (asked, and inconclusive) are item ids, `at` is when its last run began, `inventory` the one that it measured.
    """

    change: str
    problem: str = ""
    missing: bool = False
    inventory: str = ""
    at: datetime | None = None
    measured: tuple[str, ...] = ()
    red: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What a baseline must be: of `inventory`, with `items` in it (the critical ones whose failure calls for a
    rollback and that this inventory can measure), at most `max_age` old at `until` (the cutover, else now), and before it.
    """

    inventory: str
    items: tuple[str, ...]
    max_age: timedelta
    until: datetime
    phase: str


def judge_baseline(found: BaselineSeen, expected: Wanted) -> Judgement:
    """Pass when every item that could call for a rollback was measured before the change; what was red then is a note."""
    again = f"run `pytest -m {expected.phase} --inventory {expected.inventory}{option_of(found.change)}` before the change"
    if found.missing:
        reason = f"what was red before the change is unknown: {found.problem}; {again}"
        return Judgement(Verdict.INCONCLUSIVE, reason)
    if found.problem or found.at is None:
        why = found.problem or "its run has no time"
        return Judgement(
            Verdict.FAIL,
            f"the baseline {found.change!r} cannot be used: {why}; {again}",
            (Reading("baseline", why, limit="can be used", ok=False),),
            confirmed=True,
        )
    missing = [item for item in expected.items if item not in found.measured]
    age_s = (expected.until - found.at).total_seconds()
    readings = (
        Reading("inventory of the baseline", found.inventory, limit=expected.inventory,
                ok=found.inventory == expected.inventory),
        Reading("items measured before", len(set(expected.items) - set(missing)), limit=f"{len(expected.items)}",
                ok=not missing),
        Reading("red before", len(found.red)),
        Reading("age at the cutover", round(age_s), "s", f"at most {words_for(expected.max_age)}",
                0 <= age_s <= expected.max_age.total_seconds()),
    )  # fmt: skip
    wrong = []
    if found.inventory != expected.inventory:
        wrong.append(f"it is of the inventory {found.inventory!r}, not {expected.inventory!r}")
    if age_s < 0:
        wrong.append(f"it was measured {words_for(-age_s)} after the cutover: that is not before the change")
    if age_s > expected.max_age.total_seconds():
        wrong.append(f"it is {words_for(age_s)} old, more than {words_for(expected.max_age)}")
    unclear = [item for item in missing if item in found.unclear]
    if never := [item for item in missing if item not in found.unclear]:
        some = ", ".join(never[:_NAMED]) + (" …" if len(never) > _NAMED else "")
        wrong.append(f"it did not measure {some}, so whether that was red before is unknown")
    if missing and not wrong:
        some = f"{', '.join(unclear[:_NAMED])}{' …' if len(unclear) > _NAMED else ''}"
        reason = (
            f"the baseline {found.change!r} asked {some} and found no answer, so whether that was red before is unknown; "
            f"its report says why; {again}, or declare what does not apply under `not_applicable`"
        )
        return Judgement(Verdict.INCONCLUSIVE, reason, readings, _red(found))
    if wrong:
        reason = f"the baseline {found.change!r}: {'; '.join(wrong)}; {again}"
        return Judgement(Verdict.FAIL, reason, readings, _red(found), confirmed=True)
    if not expected.items:
        reason = "no critical item from go-live on can be measured with this inventory, so a baseline proves nothing"
        return Judgement(Verdict.INCONCLUSIVE, reason, readings)
    count = len(expected.items)
    said = f"{count} item{'s' if count > 1 else ''} that could call for a rollback measured {words_for(age_s)} before it"
    red = f", {len(found.red)} of all items were red then" if found.red else ", none was red"
    return Judgement(Verdict.PASS, f"{found.change}: {said}{red}", readings, _red(found))


def _red(found: BaselineSeen) -> tuple[str, ...]:
    if not found.red:
        return ()
    return (f"already red before the change, so no reason to roll back: {', '.join(found.red[:20])}",)
