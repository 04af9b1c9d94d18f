"""Whether the critical features hold: by the results of the items that measure them, in this change."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.checks.journeys.facts import Decided
from pytest_deploygate.checks.journeys.judge.features import judge_features
from pytest_deploygate.checks.journeys.section import Keys
from pytest_deploygate.decision import standing
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Judgement
from pytest_deploygate.session.settings import Settings


def named(settings: Settings) -> list[str]:
    """Return the items that the inventory names."""
    journeys = settings.inventory.of(Keys).journeys
    return (journeys.features if journeys else None) or []


def judged(settings: Settings, entries: Sequence[Entry]) -> Judgement:
    """Judge the critical features by the journal so far; items of earlier runs of the change count as they were."""
    items = named(settings)
    found = [
        Decided(result.item.id, result.verdict, result.reason, result.confirmed)
        for result in standing.results(entries)
        if result.item.id in items
    ]
    return judge_features(found, items)
