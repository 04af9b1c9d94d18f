"""The critical features: the items that measure them all hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.journeys.facts import Decided
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for_count
from pytest_deploygate.redaction import shortened

if TYPE_CHECKING:
    from pytest_deploygate.checks.journeys.section import Journeys

__all__ = ["judge_features", "judge_named"]

_MOST_WORDS = 200


def judge_named(journeys: Journeys, _expected: None = None) -> Judgement:
    """Pass when the inventory says what the critical features are: by journeys, by items, or both."""
    smoke, items = journeys.smoke or [], journeys.features or []
    if not smoke and not items:
        return Judgement(
            Verdict.NOT_COVERED,
            "nothing says what the critical features are; add `journeys: {smoke: […]}`, or the items that measure them: "
            "`journeys: {features: [phase3.smoke, phase3.api]}`",
        )
    said = [words_for_count(len(smoke), "journey", "journeys")] if smoke else []
    said += [f"the items {', '.join(items)}"] if items else []
    return Judgement(
        Verdict.PASS,
        f"measured by {' and '.join(said)}",
        (Reading("journeys and items that measure critical features", len(smoke) + len(items)),),
    )


def judge_features(found: Sequence[Decided], named: Sequence[str]) -> Judgement:
    """Pass when every named item is good in this change. One that was not measured, or is waived, is unknown."""
    by_id = {each.item: each for each in found}
    failed = [each for name in named if (each := by_id.get(name)) and each.verdict is Verdict.FAIL]
    collector = Collector(confirmed=bool(failed) and all(each.confirmed for each in failed))
    for name in named:
        each = by_id.get(name)
        if each is None:
            collector.unknown(f"the checklist has no item {name}: correct `journeys.features`")
        elif each.verdict is Verdict.FAIL:
            collector.wrong(f"{name} fails: {shortened(each.reason, _MOST_WORDS)}")
        elif each.verdict is Verdict.WAIVED:
            collector.unknown(f"{name} is waived, so nothing shows that it holds")
        elif not each.verdict.good:
            word = each.verdict.value.replace("_", " ")
            collector.unknown(f"{name} is {word} in this change: {shortened(each.reason, _MOST_WORDS)}")
        ok = (
            None
            if each is None or not (each.verdict.good or each.verdict is Verdict.FAIL)
            else each.verdict.good
        )
        word = "unknown" if each is None else each.verdict.value
        collector.read(Reading(name, word, limit="" if ok is None else "pass", ok=ok))
    measured = [each for name in named if (each := by_id.get(name)) and each.verdict is Verdict.PASS]
    if not measured and not failed:
        collector.unknown("none of the critical features was measured in this change: run their items first")
    return collector.judgement(lambda: f"all hold: {', '.join(named)}")
